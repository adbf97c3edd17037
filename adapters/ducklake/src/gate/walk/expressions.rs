//! Expressions.

use super::super::error::GateError;
use super::super::functions;
use super::super::json::{Json, Members, get, set, text_of};
use super::super::same::quoted;
use super::super::spec;
use super::{MAX_ARROWS, Place, Walk, kind, malformed, members, only, unknown};

impl Walk<'_> {
    /// Walks an expression; answers how many columns it stands for in a SELECT list.
    pub(super) fn expression(&mut self, value: &mut Json<'_>, place: Place) -> Result<u64, GateError> {
        let members = members(value)?;
        let class = kind(members, "class");
        let (common, own) = match &*class {
            "DEFAULT" => {
                return Err(GateError::unsupported(
                    "DEFAULT",
                    "it means a column's default only where rows are written",
                ));
            }
            class => spec::expression(class).ok_or_else(|| unknown(&class.replace('_', " ")))?,
        };
        only(members, &[common, own])?;
        let own_type = text_of(members, "type");
        if !spec::expression_types(&class).contains(&own_type) {
            return Err(unknown(&own_type.replace('_', " ")));
        }
        self.visited.expressions += 1;
        let outside = std::mem::take(&mut self.starred);
        self.members(members, common, place)?;
        match &*class {
            "FUNCTION" => self.call(members)?,
            "WINDOW" => self.window(members)?,
            "COLUMN_REF" => self.column(members)?,
            "PARAMETER" => self.parameter(members)?,
            "COLLATE" => collation(members)?,
            "STAR" => quote_relation(members),
            "CONSTANT" => self.constant(members),
            "TYPE" => {
                self.type_name(text_of(members, "catalog"), text_of(members, "schema"), text_of(members, "type_name"))?;
            }
            _ => {}
        }
        if class == "LAMBDA" {
            self.arrow(members, own, place)?;
        } else {
            self.members(members, own, place)?;
        }
        // Stars in one expression name the same columns; those of a subquery are its own.
        let starred = class == "STAR" || (self.starred && class != "SUBQUERY");
        self.starred = outside || starred;
        Ok(if starred { place.star.max(1) } else { 1 })
    }

    /// A lambda, or `->`, which only the engine's binder can tell apart.
    fn arrow(&mut self, members: &mut Members<'_>, own: spec::Fields, place: Place) -> Result<(), GateError> {
        self.arrows += 1;
        if self.arrows > MAX_ARROWS {
            return Err(GateError::TooDeep {
                what: format!("at most {MAX_ARROWS} lambdas or -> in each other; use one path, as in json_extract"),
            });
        }
        self.members(members, own, place)?;
        self.arrows -= 1;
        Ok(())
    }

    fn column(&mut self, members: &Members<'_>) -> Result<(), GateError> {
        let Some(Json::Array(names)) = get(members, "column_names") else {
            return Err(malformed());
        };
        if names.is_empty() || names.iter().any(|name| name.as_str().is_none()) {
            return Err(malformed());
        }
        if let [name] = names.as_slice()
            && name.as_str().is_some_and(functions::is_clock_word)
        {
            // It may be a column of that name; then the result is merely not cached.
            self.deterministic = false;
        }
        Ok(())
    }

    fn parameter(&mut self, members: &Members<'_>) -> Result<(), GateError> {
        let name = text_of(members, "identifier");
        if name.is_empty() || !name.chars().all(|letter| letter.is_alphanumeric() || letter == '_') {
            return Err(malformed());
        }
        if !self.parameters.iter().any(|other| other.eq_ignore_ascii_case(name)) {
            self.parameters.push(name.to_owned());
        }
        Ok(())
    }

    /// `REPLACE (expression AS column)`.
    pub(super) fn replacement(&mut self, value: &mut Json<'_>, place: Place) -> Result<u64, GateError> {
        const PAIR: spec::Fields = &[("key", spec::Is::Plain), ("value", spec::Is::Expression)];
        self.object(value, PAIR, place)?;
        Ok(0)
    }
}

/// The engine prints the table of `"a b".*` as it is.
fn quote_relation(members: &mut Members<'_>) {
    let relation = text_of(members, "relation_name");
    if !relation.is_empty() {
        let quoted = quoted(relation);
        set(members, "relation_name", Json::text(quoted));
    }
}

/// A collation is a name like `de.nocase`.
fn collation(members: &Members<'_>) -> Result<(), GateError> {
    let name = text_of(members, "collation");
    let valid = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'.');
    if valid && !name.is_empty() {
        return Ok(());
    }
    Err(GateError::unsupported(format!("the collation {name}"), "use a collation such as nocase, noaccent or de"))
}
