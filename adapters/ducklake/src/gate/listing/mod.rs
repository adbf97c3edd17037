//! The engine's own lists of databases, tables and columns, made of what the caller may see.
//!
//! No such list of the engine is ever read: it would show every attached project. A reference to one becomes a
//! subquery that carries the caller's tables and columns in itself, with the columns and types of the original. It
//! holds no name that anything looks up, and passes the gate like a subquery that the caller had written.

mod rows;

use gadwall_domain::types::DataType;

use super::names::Names;
use crate::sql;

/// The name under which a caller's project stands in the lists, and may stand before a bucket's name.
pub(crate) const CATALOG: &str = "lake";

/// The alias of the subquery in the text of [`Relation::text`].
const ALIAS: &str = "r";

const RELATIONS: &str = include_str!("relations.sql");

/// What the caller may see, in the order it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Visible {
    pub(crate) buckets: Vec<VisibleBucket>,
    /// The bucket of tables that are named without one.
    pub(crate) default_bucket: String,
}

/// A bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct VisibleBucket {
    pub(crate) id: i64,
    pub(crate) name: String,
    pub(crate) tables: Vec<VisibleTable>,
}

/// A table or view.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct VisibleTable {
    pub(crate) id: i64,
    pub(crate) name: String,
    /// The query, if it is a view.
    pub(crate) query: Option<String>,
    pub(crate) comment: Option<String>,
    pub(crate) row_count: i64,
    pub(crate) columns: Vec<VisibleColumn>,
}

/// A column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct VisibleColumn {
    pub(crate) name: String,
    pub(crate) data_type: VisibleType,
    pub(crate) nullable: bool,
    /// As a SQL literal.
    pub(crate) default: Option<String>,
    pub(crate) comment: Option<String>,
}

/// A column's type: one that tables may have, or any of the engine's in a view.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum VisibleType {
    /// One that tables may have.
    Known(DataType),
    /// As the engine spells it.
    Other(String),
}

/// One of the lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Relation {
    name: &'static str,
    template: &'static str,
}

impl Relation {
    fn all() -> impl Iterator<Item = Self> {
        RELATIONS.split("\n-- relation ").skip(1).filter_map(|part| {
            let (name, template) = part.split_once('\n')?;
            Some(Self { name, template: template.trim() })
        })
    }

    fn find(schema: &str, name: &str) -> Option<Self> {
        Self::all().find(|relation| {
            relation.name.split_once('.').is_some_and(|(known_schema, known)| {
                known_schema.eq_ignore_ascii_case(schema) && known.eq_ignore_ascii_case(name)
            })
        })
    }

    /// The list that a table's name means, if it means one wherever the caller's own tables don't.
    pub(super) fn table(catalog: &str, schema: &str, name: &str) -> Option<Self> {
        if !["", CATALOG, "system"].iter().any(|known| known.eq_ignore_ascii_case(catalog)) {
            return None;
        }
        match schema.to_ascii_lowercase().as_str() {
            "" => Self::find("main", name).or_else(|| Self::find("pg_catalog", name)),
            known @ ("main" | "information_schema" | "pg_catalog") => Self::find(known, name),
            _ => None,
        }
    }

    /// The list that a call in FROM gives.
    pub(super) fn function(name: &str) -> Option<Self> {
        if is_function(name) { Self::find("main", name) } else { None }
    }

    /// The list behind `SHOW word`.
    pub(super) fn show(word: &str) -> Option<Self> {
        Self::find("show", word)
    }

    /// The list as a query of its own.
    pub(super) fn text(self, visible: &Visible) -> String {
        let mut text = String::new();
        let mut rest = self.template;
        // In one pass: what was put in may hold braces of its own.
        while let Some((before, (place, after))) =
            rest.split_once('{').and_then(|(before, inside)| Some((before, inside.split_once('}')?)))
        {
            text.push_str(before);
            text.push_str(&match place {
                "buckets" => rows::buckets(visible, self),
                "tables" => rows::tables(visible, self, |table| table.query.is_none()),
                "views" => rows::tables(visible, self, |table| table.query.is_some()),
                "relations" => rows::tables(visible, self, |_| true),
                "columns" => rows::columns(visible, self),
                _ => sql::text(CATALOG),
            });
            rest = after;
        }
        text.push_str(rest);
        text
    }

    /// Whether it shows a field of its rows.
    fn shows(self, field: &str) -> bool {
        let name = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
        self.template
            .split(&format!("{ALIAS}.{field}"))
            .skip(1)
            .any(|after| !after.as_bytes().first().is_some_and(name))
    }
}

/// Lists that are tables only under their names without a call.
fn is_function(name: &str) -> bool {
    name.get(..7).is_some_and(|start| start.eq_ignore_ascii_case("duckdb_"))
}

impl Visible {
    /// Only this bucket; `None` if there is no such one.
    pub(super) fn only(&self, bucket: &str) -> Option<Self> {
        let found = self.buckets.iter().find(|known| known.name.eq_ignore_ascii_case(bucket))?;
        Some(Self { buckets: vec![found.clone()], default_bucket: self.default_bucket.clone() })
    }
}

/// Whether a name without a bucket, or in `main`, is a table of the caller's: then it is no list.
pub(super) fn is_own(names: &dyn Names, schema: &str, name: &str) -> bool {
    names.table(None, (!schema.is_empty()).then_some(schema), name).is_ok()
}

#[cfg(test)]
pub(super) mod known {
    //! The lists for the test that compares them with a live engine.

    use super::Relation;

    pub(in crate::gate) fn names() -> Vec<&'static str> {
        Relation::all().map(|relation| relation.name).collect()
    }
}
