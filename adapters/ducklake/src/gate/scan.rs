//! A second look at the rewritten tree, by other means: a plain sweep that knows no grammar.
//!
//! It counts what looks like a query, an expression, a table, a call or a listing, anywhere, and compares with what the
//! walk visited. So a place the walk's grammar wrongly takes for plain data cannot hide a node, and no table is left
//! with a name the engine would have to look up.

use super::error::GateError;
use super::json::{Json, Members, get, text_of};
use super::walk::{Visited, Walk, malformed};

/// Fails unless the walk visited all there is and left only names of its own.
pub(super) fn verify(tree: &Json<'_>, walk: &Walk<'_>) -> Result<(), GateError> {
    let mut found = Visited::default();
    let mut waiting = vec![tree];
    while let Some(value) = waiting.pop() {
        match value {
            Json::Array(items) => waiting.extend(items),
            Json::Object(members) => {
                count(members, &mut found);
                if !named(members, walk) {
                    return Err(malformed());
                }
                waiting.extend(members.iter().map(|(_, member)| member));
            }
            _ => {}
        }
    }
    if found == walk.visited { Ok(()) } else { Err(malformed()) }
}

fn count(members: &Members<'_>, found: &mut Visited) {
    let has = |key| get(members, key).is_some();
    if has("cte_map") || text_of(members, "type").ends_with("_NODE") {
        found.queries += 1;
    }
    if has("class") {
        found.expressions += 1;
    }
    if has("function_name") || matches!(text_of(members, "class"), "FUNCTION" | "WINDOW") {
        found.calls += 1;
    }
    if has("show_type") || text_of(members, "type") == "SHOW_REF" {
        found.shows += 1;
    } else if has("table_name") || text_of(members, "type") == "BASE_TABLE" {
        found.base_tables += 1;
    }
}

/// Whether a table, if this is one, has a full name that was resolved, or one of the names we gave.
fn named(members: &Members<'_>, walk: &Walk<'_>) -> bool {
    if text_of(members, "type") != "BASE_TABLE" {
        return true;
    }
    let (catalog, schema, table) =
        (text_of(members, "catalog_name"), text_of(members, "schema_name"), text_of(members, "table_name"));
    if catalog.is_empty() {
        return matches!(schema, "" | "recurring") && walk.scopes.is_unique(table);
    }
    walk.tables.iter().any(|known| known.catalog == catalog && known.schema == schema && known.table == table)
}
