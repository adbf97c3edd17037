//! Keeps `bucket.table.column` meaning what it meant, where the bucket has another name in the engine.
//!
//! A linked bucket's schema is called as its owner calls it. `FROM linked.t` is rewritten to the owner's schema, so
//! `linked.t.id` has to follow. A column can only come from a table in FROM, so this never widens what is read.

use super::json::{Json, Members, get, text_of};
use super::names::ResolvedTable;

/// A written table name and the engine's.
#[derive(Debug, Clone)]
pub(super) struct Qualifier {
    /// Bucket and table as written, perhaps with a catalog before them.
    written: Vec<String>,
    /// What stands in their place.
    meant: Meant,
}

#[derive(Debug, Clone)]
struct Meant {
    catalog: String,
    schema: String,
    table: String,
}

impl Qualifier {
    /// `None` if columns qualified as written already mean the table.
    pub(super) fn new(catalog: &str, schema: &str, resolved: &ResolvedTable) -> Option<Self> {
        let same_schema = schema.eq_ignore_ascii_case(&resolved.schema);
        let same_catalog = catalog.is_empty() || catalog.eq_ignore_ascii_case(&resolved.catalog);
        if schema.is_empty() || (same_schema && same_catalog) {
            return None;
        }
        let ResolvedTable { catalog: to_catalog, schema: to_schema, table, .. } = resolved.clone();
        let meant = Meant { catalog: to_catalog, schema: to_schema, table };
        Some(Self { written: parts([catalog, schema, &resolved.table]), meant })
    }

    /// For a list that has become a subquery, with its name alone as its alias.
    pub(super) fn listing(catalog: &str, schema: &str, table: &str) -> Option<Self> {
        let meant = Meant { catalog: String::new(), schema: String::new(), table: table.to_owned() };
        (!schema.is_empty()).then(|| Self { written: parts([catalog, schema, table]), meant })
    }

    fn fits(&self, names: &[Json<'_>]) -> bool {
        names.len() > self.written.len()
            && self
                .written
                .iter()
                .zip(names)
                .all(|(part, name)| name.as_str().is_some_and(|name| name.eq_ignore_ascii_case(part)))
    }
}

/// The parts of a name that were written.
fn parts(name: [&str; 3]) -> Vec<String> {
    name.into_iter().filter(|part| !part.is_empty()).map(str::to_owned).collect()
}

/// Rewrites every column qualified by one of these names.
pub(super) fn requalify(value: &mut Json<'_>, qualifiers: &[Qualifier]) {
    match value {
        Json::Array(items) => {
            for item in items {
                requalify(item, qualifiers);
            }
        }
        Json::Object(members) => {
            if text_of(members, "class") == "COLUMN_REF" {
                column(members, qualifiers);
            } else if get(members, "column").is_some() && get(members, "table").is_some() {
                excluded(members, qualifiers);
            } else {
                for (_, member) in members {
                    requalify(member, qualifiers);
                }
            }
        }
        _ => {}
    }
}

fn column(members: &mut Members<'_>, qualifiers: &[Qualifier]) {
    let Some((_, Json::Array(names))) = members.iter_mut().find(|(key, _)| key == "column_names") else {
        return;
    };
    let Some(qualifier) = qualifiers.iter().find(|qualifier| qualifier.fits(names)) else {
        return;
    };
    let Meant { catalog, schema, table } = &qualifier.meant;
    names.splice(..qualifier.written.len(), parts([catalog, schema, table]).into_iter().map(Json::text));
}

/// A column in EXCLUDE or RENAME.
fn excluded(members: &mut Members<'_>, qualifiers: &[Qualifier]) {
    let names: Vec<Json<'_>> = ["catalog", "schema", "table", "column"]
        .into_iter()
        .map(|part| text_of(members, part).to_owned())
        .filter(|part| !part.is_empty())
        .map(Json::text)
        .collect();
    let Some(qualifier) = qualifiers.iter().find(|qualifier| qualifier.fits(&names)) else {
        return;
    };
    let Meant { catalog, schema, table } = qualifier.meant.clone();
    for (part, value) in [("catalog", catalog), ("schema", schema), ("table", table)] {
        super::json::set(members, part, Json::text(value));
    }
}
