//! References to views, replaced by a query where their names won't do.
//!
//! The engine reads a view by its name alone, which is how most are read. But it knows a view's tables only as they are
//! now; and it lets a reader's conditions get under those of the view, where an error or the time they take tells of
//! rows that the view leaves out. So a view that is read as of a version becomes its own query, with that version behind
//! each table; and one that conceals something becomes a subquery with a LIMIT, which no condition gets past.

use super::super::columns::Qualifier;
use super::super::error::GateError;
use super::super::json::{Json, Members, get, text_of};
use super::super::names::{NameError, ResolvedTable, written};
use super::super::too_deep;
use super::listings::{self, take_place};
use super::tables::at_version;
use super::{Place, Walk};
use crate::sql;

/// The most references that are replaced in a statement: each makes the engine parse a query.
const MAX_REPLACED: usize = 64;

/// How much deeper than a statement's tree those of views may be that stand in it, one in the other.
const ROOM: usize = 192;

/// The query of a view that is being walked.
#[derive(Clone)]
pub(super) struct Inside {
    /// The version behind each table that names none.
    version: Option<Json<'static>>,
    /// How deep a tree in it may still be.
    room: usize,
}

/// What takes the place of a reference to a view.
pub(super) struct Replaced {
    query: Json<'static>,
    inside: Inside,
}

impl Walk<'_> {
    /// The version that is read behind a table that names none.
    pub(super) fn version(&self, of: &ResolvedTable) -> Option<Json<'static>> {
        match (&self.view, of.linked) {
            (Some(inside), _) => inside.version.clone(),
            (None, Some(linked)) => Some(at_version(linked.version)),
            (None, None) => self.names.version().map(at_version),
        }
    }

    /// What a name in a view's query means; none outside of such.
    pub(super) fn in_view(&self, catalog: &str, schema: &str, table: &str) -> Option<Result<ResolvedTable, GateError>> {
        self.view.as_ref()?;
        let full = ResolvedTable { catalog: catalog.into(), schema: schema.into(), table: table.into(), linked: None };
        Some(self.names.full(&full).map_err(|error| match error {
            NameError::Unavailable(cause) => GateError::Unavailable(cause),
            NameError::Unknown { candidates } => {
                GateError::UnknownTable { name: written("", schema, table), candidates }
            }
        }))
    }

    /// The query for a view's place, if its name doesn't do.
    pub(super) fn replaced(
        &mut self,
        reference: &Members<'_>,
        [catalog, schema, table]: [&str; 3],
        view: &ResolvedTable,
        cost: u64,
    ) -> Result<Option<Replaced>, GateError> {
        let version = match get(reference, "at_clause") {
            None | Some(Json::Null) => self.version(view),
            Some(clause) => Some(constant(clause)?.clone().into_owned()),
        };
        // Within another view's query its author's right holds.
        let conceals = self.view.is_none() && self.names.conceals(view).map_err(unknown(schema, table))?;
        if version.is_none() && !conceals {
            return Ok(None);
        }
        self.replaced += 1;
        let before = self.cost;
        self.spend(cost)?;
        self.cost = before;
        if self.replaced > MAX_REPLACED {
            return Err(GateError::unsupported(
                format!("more than {MAX_REPLACED} views that are read as of a version, or with their author's rights,"),
                "name each view once, in a WITH clause",
            ));
        }
        let mut text = match &version {
            Some(_) => self.names.view_query(view).map_err(unknown(schema, table))?,
            None => format!("FROM {}", name(view)),
        };
        if conceals {
            text = format!("SELECT * FROM ({text}) AS r LIMIT {}", i64::MAX);
        }
        let room = self.view.as_ref().map_or(ROOM, |inside| inside.room);
        let tree = self.names.serialize(&format!("SELECT * FROM ({text}) AS r")).map_err(unknown(schema, table))?;
        let mut query = listings::reference(&tree, room).ok_or_else(too_deep)?;
        let alias = match text_of(reference, "alias") {
            "" => {
                self.qualifiers.extend(Qualifier::listing("", schema, table));
                self.qualifiers.extend(Qualifier::listing(catalog, schema, table).filter(|_| !catalog.is_empty()));
                table
            }
            alias => alias,
        };
        take_place(&mut query, reference, alias.to_owned())?;
        let inside = Inside { version, room: room.saturating_sub(depth(&query)) };
        Ok(Some(Replaced { query, inside }))
    }

    /// Walks what took the place of a view. No name of the statement's means anything in it.
    pub(super) fn walk_replaced(&mut self, value: &mut Json<'_>, replaced: Replaced) -> Result<u64, GateError> {
        if replaced.inside.version.is_some() {
            self.views += 1;
        }
        *value = replaced.query;
        let outer = self.view.replace(replaced.inside);
        let columns = self.table(value, Place::default());
        self.view = outer;
        columns
    }
}

fn name(view: &ResolvedTable) -> String {
    [&view.catalog, &view.schema, &view.table].map(|part| sql::ident(part)).join(".")
}

/// A version that says the same wherever it stands.
fn constant<'j, 'a>(clause: &'j Json<'a>) -> Result<&'j Json<'a>, GateError> {
    let mut waiting = vec![clause];
    while let Some(value) = waiting.pop() {
        match value {
            Json::Array(items) => waiting.extend(items),
            Json::Object(members) => {
                if !matches!(text_of(members, "class"), "" | "CONSTANT" | "CAST") {
                    return Err(GateError::unsupported(
                        "a computed version behind a view",
                        "write AT (VERSION => number) or AT (TIMESTAMP => TIMESTAMP 'text')",
                    ));
                }
                waiting.extend(members.iter().map(|(_, member)| member));
            }
            _ => {}
        }
    }
    Ok(clause)
}

fn unknown(schema: &str, table: &str) -> impl Fn(NameError) -> GateError {
    let name = written("", schema, table);
    move |error| match error {
        NameError::Unavailable(cause) => GateError::Unavailable(cause),
        NameError::Unknown { .. } => GateError::unsupported(
            format!("reading the view {name} as of a version at this place"),
            "read it in a request of its own, or read the tables of its query as of that version",
        ),
    }
}

/// How many levels a tree has.
fn depth(value: &Json<'_>) -> usize {
    1 + match value {
        Json::Array(items) => items.iter().map(depth).max().unwrap_or(0),
        Json::Object(members) => members.iter().map(|(_, member)| depth(member)).max().unwrap_or(0),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trees_depth_is_that_of_its_deepest_part() {
        let parsed = |text| depth(&Json::parse(text, 9).unwrap());
        assert_eq!([parsed("1"), parsed("[]"), parsed("{\"a\":[1,{}]}")], [1, 1, 3]);
    }
}
