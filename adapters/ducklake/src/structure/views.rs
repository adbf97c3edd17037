//! A lake's views. What DuckLake doesn't keep of a view stands in its comment, as a document.

use std::collections::{HashMap, HashSet};

use duckdb::{Connection, Row};
use gadwall_domain::history::ReadAt;
use gadwall_domain::ids::LakeId;
use gadwall_domain::names::{BucketName, TableName};
use gadwall_domain::ports::lake::LakeError;
use gadwall_domain::table::TableRef;
use gadwall_domain::view::{View, ViewColumn};
use serde::{Deserialize, Serialize};

use super::{at, rows, snapshot, table_ref, time};
use crate::error::fault;
use crate::gate::MAX_COST;
use crate::sql;

/// How deep views may stand in each other: the engine binds them one within the other.
const MAX_DEPTH: u32 = 16;

/// What is kept with a view.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ViewDocument {
    /// The query, as its author wrote it.
    pub(crate) query: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) comment: Option<String>,
    pub(crate) columns: Vec<ViewColumn>,
    /// What its query makes the engine bind, each view in it counted as a table.
    pub(crate) cost: u64,
    /// How often the views in it may be bound, at most.
    pub(crate) times: u64,
    /// The views that it reads.
    pub(crate) reads: Vec<TableRef>,
    /// Whether it reads what isn't in its bucket.
    #[serde(default = "unless_known")]
    pub(crate) reaches_out: bool,
}

/// Nobody knows what a view reads that something else made.
fn unless_known() -> bool {
    true
}

/// Views by their names.
#[derive(Debug, Clone, Default)]
pub(crate) struct Views(HashMap<TableRef, Known>);

/// A view, as far as its readers need to know it.
#[derive(Debug, Clone)]
struct Known {
    /// Its name as it is stored.
    name: TableRef,
    document: ViewDocument,
    /// Its query with full names, if it is stored by now.
    query: Option<String>,
}

impl Views {
    pub(crate) fn put(&mut self, name: TableRef, document: ViewDocument) {
        self.0.insert(name.clone(), Known { name, document, query: None });
    }

    pub(crate) fn remove(&mut self, name: &TableRef) {
        self.0.remove(name);
    }

    pub(crate) fn forget_buckets(&mut self, buckets: &HashSet<BucketName>) {
        self.0.retain(|view, _| !buckets.contains(&view.bucket));
    }

    /// A view's name as it is stored.
    pub(crate) fn name(&self, name: &TableRef) -> Option<&TableRef> {
        self.0.get(name).map(|known| &known.name)
    }

    /// The names of those in a bucket, as they are stored.
    pub(crate) fn of_bucket(&self, bucket: &BucketName) -> Vec<TableRef> {
        self.0.values().map(|known| &known.name).filter(|view| view.bucket == *bucket).cloned().collect()
    }

    /// How much the engine has to bind for a view. A view in it may have been made anew since it was made, so what they
    /// cost is asked each time.
    pub(crate) fn cost(&self, name: &TableRef) -> Option<u64> {
        self.0.get(name)?;
        Some(self.cost_within(name, MAX_DEPTH, &mut HashMap::new()))
    }

    /// A view's query with full names, if it is stored by now.
    pub(crate) fn stored_query(&self, name: &TableRef) -> Option<&str> {
        self.0.get(name)?.query.as_deref()
    }

    /// Whether a view shows what isn't in its bucket, directly or through another view.
    pub(crate) fn reaches_out(&self, name: &TableRef) -> bool {
        let mut seen = HashSet::new();
        let mut waiting = vec![name];
        while let Some(name) = waiting.pop() {
            match self.0.get(name) {
                Some(known) if !known.document.reaches_out => {
                    waiting.extend(known.document.reads.iter().filter(|read| seen.insert(*read)));
                }
                // What it read is gone, and may be anything when it is there again.
                _ => return true,
            }
        }
        false
    }

    /// Whether a query can read it.
    pub(crate) fn readable(&self, name: &TableRef) -> bool {
        self.cost(name).is_none_or(|cost| cost < MAX_COST)
    }

    fn cost_within<'a>(&'a self, name: &'a TableRef, depth: u32, known: &mut HashMap<(&'a TableRef, u32), u64>) -> u64 {
        let Some(Known { document, .. }) = self.0.get(name) else { return 1 };
        let Some(below) = depth.checked_sub(1) else { return u64::MAX };
        if let Some(cost) = known.get(&(name, depth)) {
            return *cost;
        }
        let mut dearest = 0;
        for read in &document.reads {
            dearest = self.cost_within(read, below, known).max(dearest);
        }
        let cost = document.cost.saturating_add(document.times.max(1).saturating_mul(dearest));
        known.insert((name, depth), cost);
        cost
    }
}

/// All views of a version.
pub(crate) fn all_views(connection: &Connection, lake: LakeId, version: ReadAt) -> Result<Views, LakeError> {
    let mut views = Views::default();
    for Found { view, document, stored, .. } in found(connection, lake, None, None, version)? {
        let known = Known { name: view.name.clone(), document, query: Some(stored) };
        views.0.insert(view.name, known);
    }
    Ok(views)
}

/// A bucket's views by name, or the one of that name.
pub(crate) fn views(
    connection: &Connection,
    lake: LakeId,
    bucket: &BucketName,
    view: Option<&TableName>,
    version: ReadAt,
) -> Result<Vec<View>, LakeError> {
    Ok(found(connection, lake, Some(bucket), view, version)?.into_iter().map(|found| found.view).collect())
}

/// A view as it is kept.
pub(super) struct Found {
    pub(super) id: i64,
    pub(super) view: View,
    document: ViewDocument,
    /// Its query with full names.
    stored: String,
}

/// How DuckLake writes its own catalog's name into what it stores.
pub(crate) const OWN_CATALOG: &str = "{DUCKLAKE_CATALOG}";

pub(super) fn found(
    connection: &Connection,
    lake: LakeId,
    bucket: Option<&BucketName>,
    view: Option<&TableName>,
    version: ReadAt,
) -> Result<Vec<Found>, LakeError> {
    let statement = at(
        lake,
        version,
        "SELECT s.schema_name, t.view_name, t.begin_snapshot, epoch_us(n.snapshot_time), g.value, t.sql, t.view_id,
                t.column_aliases
           FROM {md}.ducklake_view t
           JOIN {md}.ducklake_schema s ON s.schema_id = t.schema_id AND {live s}
           LEFT JOIN {md}.ducklake_snapshot n ON n.snapshot_id = t.begin_snapshot
           LEFT JOIN {md}.ducklake_tag g ON g.object_id = t.view_id AND g.key = 'comment' AND {live g}
          WHERE {live t} AND (? IS NULL OR lower(s.schema_name) = ?) AND (? IS NULL OR lower(t.view_name) = ?)
          ORDER BY lower(s.schema_name), lower(t.view_name)",
    );
    let (bucket, view) = (bucket.map(BucketName::folded), view.map(TableName::folded));
    let read = |row: &Row<'_>| {
        Ok(Entry {
            bucket: row.get(0)?,
            name: row.get(1)?,
            begin: row.get(2)?,
            micros: row.get(3)?,
            document: row.get(4)?,
            sql: row.get(5)?,
            id: row.get(6)?,
            aliases: row.get::<_, Option<String>>(7)?.unwrap_or_default(),
        })
    };
    let found = rows(connection, &statement, &[&bucket, &bucket, &view, &view], read)?;
    found.into_iter().map(|entry| entry.told(lake)).collect()
}

/// A view as DuckLake tells of it.
struct Entry {
    id: i64,
    bucket: String,
    name: String,
    begin: i64,
    micros: Option<i64>,
    document: Option<String>,
    sql: String,
    /// Names for its columns, if its query's own don't count.
    aliases: String,
}

impl Entry {
    fn told(self, lake: LakeId) -> Result<Found, LakeError> {
        let document = self.document.as_deref().map(serde_json::from_str::<ViewDocument>).transpose();
        let document = document.map_err(|error| fault(format!("a view's document can't be read: {error}")))?;
        let mut stored = self.sql.replace(OWN_CATALOG, &sql::catalog(lake));
        if !self.aliases.is_empty() {
            stored = format!("SELECT * FROM ({stored}) AS r({})", self.aliases);
        }
        // A view that something else made carries none; nobody knows what it reads.
        let document = document.unwrap_or_else(|| ViewDocument {
            query: self.sql,
            comment: None,
            columns: Vec::new(),
            cost: u64::MAX,
            times: 1,
            reads: Vec::new(),
            reaches_out: unless_known(),
        });
        let view = View {
            name: table_ref(&self.bucket, &self.name)?,
            query: document.query.clone(),
            comment: document.comment.clone(),
            columns: document.columns.clone(),
            snapshot: snapshot(self.begin)?,
            changed_at: self.micros.map(time).transpose()?,
        };
        Ok(Found { id: self.id, view, document, stored })
    }
}
