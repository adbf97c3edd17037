//! A table as DuckLake's own tables tell of it: now, or in a snapshot that is kept.

use std::collections::BTreeMap;

use duckdb::Connection;
use gadwall_domain::history::ReadAt;
use gadwall_domain::ids::{LakeId, SnapshotId};
use gadwall_domain::layout::Layout;
use gadwall_domain::names::ColumnName;
use gadwall_domain::ports::lake::LakeError;
use gadwall_domain::schema::Column;
use gadwall_domain::table::{Comments, TableRef};

use super::{at, details, on, raw_columns, rows, snapshot, table_ref, top_columns};
use crate::error::fault;
use crate::version::ROOT;

/// A table in a snapshot.
pub(crate) struct Told {
    /// DuckLake's number for it, which stays when it is renamed.
    pub(crate) id: i64,
    /// The number that it keeps when it is built anew.
    pub(crate) root: i64,
    /// Its name then.
    pub(crate) name: TableRef,
    pub(crate) columns: Vec<Column>,
    /// DuckLake's numbers for the columns, which stay when they are renamed.
    pub(crate) column_ids: BTreeMap<ColumnName, i64>,
    pub(crate) layout: Layout,
    pub(crate) comments: Comments,
}

/// All snapshots that are kept, oldest first.
pub(crate) fn kept(connection: &Connection, lake: LakeId) -> Result<Vec<SnapshotId>, LakeError> {
    let statement = on(lake, "SELECT snapshot_id FROM {md}.ducklake_snapshot ORDER BY snapshot_id");
    rows(connection, &statement, &[], |row| row.get(0))?.into_iter().map(snapshot).collect()
}

/// A table by the name it had.
pub(crate) fn named(
    connection: &Connection,
    lake: LakeId,
    table: &TableRef,
    version: ReadAt,
) -> Result<Option<Told>, LakeError> {
    let (bucket, name) = (table.bucket.folded(), table.table.folded());
    let which = "lower(s.schema_name) = ? AND lower(t.table_name) = ?";
    told(connection, lake, version, which, &[&bucket, &name])
}

/// A table that is there, or was, by the number that it keeps.
pub(crate) fn rooted(
    connection: &Connection,
    lake: LakeId,
    root: i64,
    version: ReadAt,
) -> Result<Option<Told>, LakeError> {
    told(connection, lake, version, &format!("{ROOT} = ?"), &[&root])
}

/// A table by DuckLake's number for it.
pub(crate) fn numbered(
    connection: &Connection,
    lake: LakeId,
    id: i64,
    version: ReadAt,
) -> Result<Option<Told>, LakeError> {
    told(connection, lake, version, "t.table_id = ?", &[&id])
}

fn told(
    connection: &Connection,
    lake: LakeId,
    version: ReadAt,
    which: &str,
    parameters: &[&dyn duckdb::ToSql],
) -> Result<Option<Told>, LakeError> {
    let statement = at(
        lake,
        version,
        &format!(
            "SELECT t.table_id, s.schema_name, t.table_name, {ROOT}
               FROM {{md}}.ducklake_table t JOIN {{md}}.ducklake_schema s ON s.schema_id = t.schema_id AND {{live s}}
              WHERE {{live t}} AND {which}"
        ),
    );
    let found = rows(connection, &statement, parameters, |row| {
        Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?, row.get::<_, String>(2)?, row.get::<_, i64>(3)?))
    })?;
    let Some((id, bucket, table, root)) = found.into_iter().next() else { return Ok(None) };
    let name = table_ref(&bucket, &table)?;
    let mut raw = raw_columns(connection, lake, version, "?", &[&id])?;
    let mut details = details::of(connection, lake, version, &[id], &raw)?;
    let details = details.remove(&id).unwrap_or_default();
    if details.partial {
        return Err(fault("the table is partitioned or sorted in a way that isn't known"));
    }
    let raw = raw.remove(&id).unwrap_or_default();
    let columns = top_columns(&raw)?;
    let top = raw.iter().filter(|column| column.parent.is_none());
    let column_ids = columns.iter().map(|column| column.name.clone()).zip(top.map(|column| column.id)).collect();
    let (layout, comments) = (details.layout, details.comments);
    Ok(Some(Told { id, root, name, columns, column_ids, layout, comments }))
}
