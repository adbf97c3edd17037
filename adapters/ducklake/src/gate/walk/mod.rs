//! The walk over a statement's tree: visits every node, resolves every table, checks every call, refuses the rest.
//!
//! What may stand where is in [`spec`]; here is what each kind of node means. The walk never skips: a
//! member that isn't in the grammar ends it. [`scan`](super::scan) counts afterwards that nothing was missed.

mod calls;
mod constants;
mod expressions;
mod files;
mod listings;
mod queries;
mod tables;
mod types;
mod views;

use super::columns::Qualifier;
use super::error::GateError;
use super::json::{Json, Members, get, text_of};
use super::listing::Visible;
use super::names::{Names, ResolvedTable};
use super::scope::{Scope, Scopes};
use super::spec::{self, Fields, Is};

/// How much a statement may grow while the engine binds it, in columns and tables.
///
/// Binding cannot be interrupted: `SELECT *, * FROM (SELECT *, * FROM (…))` doubles its columns at each level, and at
/// 18 levels took 24 s; this many take well under one.
pub(crate) const MAX_COST: u64 = 50_000;

/// How deep lambdas and `->` may nest: the engine's time to bind them doubles at each level.
const MAX_ARROWS: usize = 12;

/// What a walk learns, and what it needs on its way.
#[expect(clippy::struct_excessive_bools, reason = "independent findings of one walk")]
pub(super) struct Walk<'n> {
    names: &'n dyn Names,
    pub(super) scopes: Scopes,
    pub(super) tables: Vec<ResolvedTable>,
    pub(super) qualifiers: Vec<Qualifier>,
    pub(super) parameters: Vec<String>,
    pub(super) deterministic: bool,
    pub(super) visited: Visited,
    /// What the caller may see, once a list was asked for.
    visible: Option<Visible>,
    /// How many bytes of lists the statement carries.
    listed: usize,
    pub(super) cost: u64,
    /// How many views it names.
    pub(super) views: u64,
    /// The view whose query is being walked, if one is.
    view: Option<views::Inside>,
    /// How many references to views were replaced.
    replaced: usize,
    /// Whether a name of a WITH clause stands for its query, perhaps more than once.
    pub(super) reuses: bool,
    arrows: usize,
    /// Whether the expression being walked has a star in it.
    starred: bool,
    /// How many columns were given a name.
    unnamed: usize,
    /// Whether what is walked was written by the gate in place of a call that reads files.
    ours: bool,
    /// Where the files lie that it reads.
    pub(super) files: Vec<String>,
}

/// How many nodes of each sort were visited.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Visited {
    pub(super) queries: usize,
    pub(super) expressions: usize,
    pub(super) base_tables: usize,
    pub(super) calls: usize,
    pub(super) shows: usize,
}

/// Where a node stands: the names it sees, and how many columns a `*` means there.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Place {
    scope: Scope,
    star: u64,
}

impl<'n> Walk<'n> {
    pub(super) fn new(names: &'n dyn Names) -> Self {
        Self {
            names,
            scopes: Scopes::default(),
            tables: Vec::new(),
            qualifiers: Vec::new(),
            parameters: Vec::new(),
            deterministic: true,
            visited: Visited::default(),
            visible: None,
            listed: 0,
            cost: 0,
            views: 0,
            view: None,
            replaced: 0,
            reuses: false,
            arrows: 0,
            starred: false,
            unnamed: 0,
            ours: false,
            files: Vec::new(),
        }
    }

    /// Walks a whole SELECT statement.
    pub(super) fn statement(&mut self, statement: &mut Json<'_>) -> Result<(), GateError> {
        self.select(statement, Place::default()).map(|_| ())
    }

    /// Walks what a field holds; answers how many columns it stands for.
    fn field(&mut self, value: &mut Json<'_>, is: Is, place: Place) -> Result<u64, GateError> {
        match is {
            Is::Plain => plain(value).map(|()| 0),
            Is::Nothing => match value {
                Json::Null => Ok(0),
                _ => Err(unknown("an extension's type")),
            },
            Is::Expression => self.optional(value, |walk, value| walk.expression(value, place)),
            Is::Expressions => self.each(value, |walk, value| walk.expression(value, place)),
            Is::Rows => {
                let mut widest = 0;
                self.each(value, |walk, row| {
                    widest = widest.max(walk.each(row, |walk, value| walk.expression(value, place))?);
                    Ok(0)
                })?;
                Ok(widest)
            }
            Is::Query => self.optional(value, |walk, value| walk.query(value, place.scope)),
            Is::Queries => self.each(value, |walk, value| walk.query(value, place.scope)),
            Is::Select => self.select(value, place),
            Is::Table => self.optional(value, |walk, value| walk.table(value, place)),
            Is::Modifiers => self.each(value, |walk, value| walk.modifier(value, place)),
            Is::Modifier => self.optional(value, |walk, value| walk.modifier(value, place)),
            Is::Orders => self.each(value, |walk, value| walk.object(value, spec::ORDER, place)),
            Is::Cases => self.each(value, |walk, value| walk.object(value, spec::CASE, place)),
            Is::At => self.optional(value, |walk, value| walk.object(value, spec::AT, place)),
            Is::Sample => self.optional(value, |walk, value| {
                // A seed doesn't help: threads take rows in another order each time.
                walk.deterministic = false;
                walk.object(value, spec::SAMPLE, place)
            }),
            Is::Pivots => self.each(value, |walk, value| walk.pivot_column(value, place)),
            Is::PivotEntries => self.each(value, |walk, value| walk.object(value, spec::PIVOT_ENTRY, place)),
            Is::Type => self.logical_type(value, place).map(|()| 0),
            Is::Types => self.each(value, |walk, value| walk.named_type(value, place).map(|()| 0)),
            Is::Value => constants::valid(value).and_then(|()| self.constant_type(value, place)).map(|()| 0),
            Is::Values => self.each(value, |walk, value| walk.field(value, Is::Value, place)),
            Is::Replacements => self.each(value, |walk, value| walk.replacement(value, place)),
            Is::Columns => column_names(value).map(|()| 0),
            // WITH is handled with its query, whose other parts see its names.
            Is::With => Ok(0),
        }
    }

    /// Walks the members of an object that is all there is of its kind.
    fn object(&mut self, value: &mut Json<'_>, fields: Fields, place: Place) -> Result<u64, GateError> {
        let members = members(value)?;
        only(members, &[fields])?;
        self.members(members, fields, place)
    }

    /// Walks those members of an object that a part of its grammar names, in the grammar's order.
    fn members(&mut self, members: &mut Members<'_>, fields: Fields, place: Place) -> Result<u64, GateError> {
        let mut columns = 0_u64;
        for (name, is) in fields {
            if let Some((_, value)) = members.iter_mut().find(|(key, _)| key == name) {
                columns = columns.saturating_add(self.field(value, *is, place)?);
            }
        }
        Ok(columns)
    }

    fn optional<'a>(
        &mut self,
        value: &mut Json<'a>,
        walk: impl FnOnce(&mut Self, &mut Json<'a>) -> Result<u64, GateError>,
    ) -> Result<u64, GateError> {
        if *value == Json::Null { Ok(0) } else { walk(self, value) }
    }

    /// Walks each item of an array and adds up their columns.
    fn each<'a>(
        &mut self,
        value: &mut Json<'a>,
        mut walk: impl FnMut(&mut Self, &mut Json<'a>) -> Result<u64, GateError>,
    ) -> Result<u64, GateError> {
        let Json::Array(items) = value else {
            return Err(malformed());
        };
        let mut columns = 0_u64;
        for item in items {
            columns = columns.saturating_add(walk(self, item)?);
        }
        Ok(columns)
    }

    /// Adds to the statement's cost.
    fn spend(&mut self, cost: u64) -> Result<(), GateError> {
        self.cost = self.cost.saturating_add(cost);
        if self.cost > MAX_COST {
            return Err(GateError::unsupported(
                format!("a statement of more than {MAX_COST} columns and tables, with every * written out,"),
                "name the columns that are needed, and use fewer nested *",
            ));
        }
        Ok(())
    }
}

/// The members of an object.
fn members<'j, 'a>(value: &'j mut Json<'a>) -> Result<&'j mut Members<'a>, GateError> {
    match value {
        Json::Object(members) => Ok(members),
        _ => Err(malformed()),
    }
}

/// Refuses a member that no part of the grammar names.
fn only(members: &Members<'_>, grammar: &[Fields]) -> Result<(), GateError> {
    for (key, _) in members {
        if !grammar.iter().any(|fields| fields.iter().any(|(name, _)| name == key)) {
            return Err(unknown(&key.replace('_', " ")));
        }
    }
    Ok(())
}

/// Plain values only: scalars, arrays of them, and pairs of a key and a value.
fn plain(value: &Json<'_>) -> Result<(), GateError> {
    match value {
        Json::Array(items) => items.iter().try_for_each(plain),
        Json::Object(members) => {
            let pair = members.iter().all(|(key, value)| {
                matches!(&**key, "key" | "value") && !matches!(value, Json::Array(_) | Json::Object(_))
            });
            if pair { Ok(()) } else { Err(malformed()) }
        }
        _ => Ok(()),
    }
}

/// Qualified column names, alone or as the key of a new name.
fn column_names(value: &Json<'_>) -> Result<(), GateError> {
    let Json::Array(items) = value else {
        return Err(malformed());
    };
    for item in items {
        let name = item.get("key").unwrap_or(item);
        let Json::Object(members) = name else {
            return Err(malformed());
        };
        only(members, &[spec::COLUMN])?;
        members.iter().try_for_each(|(_, part)| plain(part))?;
        if let Json::Object(pair) = item
            && get(pair, "key").is_some()
            && pair.iter().any(|(key, value)| match &**key {
                "key" => false,
                "value" => value.as_str().is_none(),
                _ => true,
            })
        {
            return Err(malformed());
        }
    }
    Ok(())
}

/// A node's kind, under the key that tells it.
fn kind(members: &Members<'_>, key: &str) -> String {
    text_of(members, key).to_owned()
}

/// Something the grammar doesn't know.
fn unknown(what: &str) -> GateError {
    GateError::unsupported(what.to_lowercase(), "this construct is not known to the server; write the query without it")
}

/// A tree no parser of ours makes.
pub(super) fn malformed() -> GateError {
    unknown("the shape of this statement")
}
