//! Query nodes: SELECT, set operations, recursive queries, and the names a WITH introduces.

use super::super::error::GateError;
use super::super::json::{Json, Members, get, set, text_of};
use super::super::scope::Scope;
use super::super::spec::{self, Is};
use super::{Place, Walk, kind, malformed, members, only, unknown};

const RECURSIVE: &str = "RECURSIVE_CTE_NODE";

impl Walk<'_> {
    /// Walks a whole SELECT with its list of parameters.
    pub(super) fn select(&mut self, value: &mut Json<'_>, place: Place) -> Result<u64, GateError> {
        let members = members(value)?;
        only(members, &[spec::SELECT])?;
        if !matches!(get(members, "node"), Some(Json::Object(_))) {
            return Err(malformed());
        }
        self.members(members, spec::SELECT, place)
    }

    /// Walks a query node; answers how many columns it gives.
    pub(super) fn query(&mut self, value: &mut Json<'_>, scope: Scope) -> Result<u64, GateError> {
        let members = members(value)?;
        if kind(members, "type") == RECURSIVE {
            // It only has a meaning under the name a WITH gives it.
            return Err(malformed());
        }
        self.node(members, scope, None)
    }

    /// Walks a query node. `itself` is the name under which a recursive one reads its own rows.
    fn node(&mut self, members: &mut Members<'_>, scope: Scope, itself: Option<Scope>) -> Result<u64, GateError> {
        let kind = kind(members, "type");
        let (common, own) = spec::query(&kind).ok_or_else(|| unknown(&kind.replace('_', " ")))?;
        only(members, &[common, own])?;
        self.visited.queries += 1;
        let scope = match members.iter_mut().find(|(key, _)| key == "cte_map") {
            Some((_, with)) => self.with(with, scope)?,
            None => return Err(malformed()),
        };
        let mut place = Place { scope, star: 0 };
        let mut columns = 0;
        for (name, is) in own.iter().chain(common) {
            let Some((_, value)) = members.iter_mut().find(|(key, _)| key == name) else {
                continue;
            };
            // The first part of a recursive query doesn't see the rows the second part adds.
            self.scopes.hide(itself, *name == "left");
            let width = match *name {
                "select_list" => self.select_list(value, place)?,
                _ => self.field(value, *is, place)?,
            };
            self.scopes.hide(itself, false);
            match *name {
                "from_table" => place.star = width,
                "select_list" | "left" | "children" => columns = columns.max(width),
                _ => {}
            }
            if *name == "left"
                && let Some(entry) = itself.and_then(|itself| self.scopes.entry_mut(itself))
            {
                entry.columns = width;
            }
        }
        self.spend(columns)?;
        Ok(columns)
    }

    /// Walks a SELECT list.
    ///
    /// The engine names a column without alias after its text. With a subquery in it that text would show the names we
    /// gave to tables, so such a column gets a name of its own; one that no author would refer to, since an alias can
    /// take the place of a column in ORDER BY.
    fn select_list(&mut self, value: &mut Json<'_>, place: Place) -> Result<u64, GateError> {
        self.each(value, |walk, item| {
            let before = walk.visited.queries;
            let starred = std::mem::take(&mut walk.starred);
            let number = number(item);
            let columns = walk.expression(item, place)?;
            let single = !std::mem::replace(&mut walk.starred, starred);
            let members = members(item)?;
            if !text_of(members, "alias").is_empty() {
                return Ok(columns);
            }
            if let Some(number) = number.filter(|_| text_of(members, "class") == "CAST") {
                set(members, "alias", Json::text(number));
            } else if single && walk.visited.queries > before {
                walk.unnamed += 1;
                let name = match walk.unnamed {
                    1 => "(subquery)".to_owned(),
                    number => format!("(subquery {number})"),
                };
                set(members, "alias", Json::text(name));
            }
            Ok(columns)
        })
    }

    /// Walks a WITH clause; answers the scope behind it, and renames what it introduces.
    fn with(&mut self, value: &mut Json<'_>, outer: Scope) -> Result<Scope, GateError> {
        let clause = members(value)?;
        only(clause, &[&[("map", Is::With)]])?;
        let entries = match clause.first_mut() {
            None => return Ok(outer),
            Some((_, Json::Array(entries))) => entries,
            Some(_) => return Err(malformed()),
        };
        let mut scope = outer;
        for entry in entries {
            scope = self.named_query(entry, scope)?;
        }
        Ok(scope)
    }

    fn named_query(&mut self, value: &mut Json<'_>, outer: Scope) -> Result<Scope, GateError> {
        const ENTRY: spec::Fields = &[("key", Is::Plain), ("value", Is::With)];
        const NAMED: spec::Fields = &[
            ("aliases", Is::Plain),
            ("query", Is::Select),
            ("materialized", Is::Plain),
            ("key_targets", Is::Expressions),
        ];
        let pair = members(value)?;
        only(pair, &[ENTRY])?;
        let name = get(pair, "key").and_then(Json::as_str).ok_or_else(malformed)?.to_owned();
        let scope = self.scopes.add(outer, &name);
        let unique = self.scopes.entry_mut(scope).map(|entry| entry.unique.clone()).ok_or_else(malformed)?;

        let Some((_, named)) = pair.iter_mut().find(|(key, _)| key == "value") else {
            return Err(malformed());
        };
        let named = members(named)?;
        only(named, &[NAMED])?;
        let inlined = text_of(named, "materialized") == "CTE_MATERIALIZE_NEVER";
        let keyed = matches!(get(named, "key_targets"), Some(Json::Array(keys)) if !keys.is_empty());
        if let Some(entry) = self.scopes.entry_mut(scope) {
            entry.keyed = keyed;
        }
        let before = self.cost;
        let mut columns = 0;
        for (field, is) in NAMED {
            let Some((_, value)) = named.iter_mut().find(|(key, _)| key == field) else {
                continue;
            };
            let place = Place { scope: outer, star: 0 };
            let width = match is {
                Is::Select => self.named_select(value, outer, scope, &unique)?,
                _ => self.field(value, *is, place)?,
            };
            if *is == Is::Select {
                columns = width;
            }
        }
        let cost = if inlined { self.cost.saturating_sub(before).max(1) } else { 1 };
        if let Some(entry) = self.scopes.entry_mut(scope) {
            entry.columns = columns;
            entry.cost = cost;
        }
        set(pair, "key", Json::text(unique));
        Ok(scope)
    }

    /// The query behind a name: a recursive one sees itself, any other sees what was named before it.
    fn named_select(
        &mut self,
        value: &mut Json<'_>,
        outer: Scope,
        itself: Scope,
        unique: &str,
    ) -> Result<u64, GateError> {
        let recursive = value.get("node").and_then(|node| node.get("type")).and_then(Json::as_str) == Some(RECURSIVE);
        if !recursive {
            return self.select(value, Place { scope: outer, star: 0 });
        }
        let select = members(value)?;
        only(select, &[spec::SELECT])?;
        let mut columns = 0;
        for (key, value) in select {
            if key == "node" {
                let node = members(value)?;
                columns = self.node(node, itself, Some(itself))?;
                set(node, "cte_name", Json::text(unique.to_owned()));
            } else {
                self.field(value, Is::Plain, Place::default())?;
            }
        }
        Ok(columns)
    }

    /// DISTINCT, ORDER BY or LIMIT.
    pub(super) fn modifier(&mut self, value: &mut Json<'_>, place: Place) -> Result<u64, GateError> {
        let members = members(value)?;
        let kind = kind(members, "type");
        let fields = spec::modifier(&kind).ok_or_else(|| unknown(&kind.replace('_', " ")))?;
        only(members, &[fields])?;
        self.members(members, fields, place)
    }
}

/// The text of a number that stands alone: the column's name, if the walk turns it into a cast.
fn number(item: &Json<'_>) -> Option<String> {
    match item.get("value")?.get("value")? {
        Json::Number(number) => {
            Some(number.split_once('e').filter(|(_, exponent)| !exponent.starts_with('-')).map_or_else(
                || number.to_string(),
                |(mantissa, exponent)| format!("{mantissa}e+{}", exponent.trim_start_matches('+')),
            ))
        }
        _ => None,
    }
}
