//! A table as DuckLake's own tables tell of it: now, or in a snapshot that is kept.

use std::collections::BTreeMap;

use duckdb::Connection;
use gadwall_domain::ids::{LakeId, SnapshotId};
use gadwall_domain::layout::{Layout, Partition, SortKey, Transform};
use gadwall_domain::names::{BucketName, ColumnName, TableName};
use gadwall_domain::ports::lake::LakeError;
use gadwall_domain::schema::Column;
use gadwall_domain::table::{Comments, TableRef};

use crate::error::fault;
use crate::structure::{on, rows, top_columns};
use crate::types::RawColumn;
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

/// A snapshot's number for the catalog; the newest without one.
pub(crate) fn number(at: Option<SnapshotId>) -> i64 {
    at.map_or(i64::MAX, |at| i64::try_from(at.get()).unwrap_or(i64::MAX))
}

/// What was there in a snapshot.
fn alive(table: &str, at: Option<SnapshotId>) -> String {
    let at = number(at);
    format!("({table}.begin_snapshot <= {at} AND ({table}.end_snapshot IS NULL OR {table}.end_snapshot > {at}))")
}

/// Whether a snapshot is kept.
pub(crate) fn is_kept(connection: &Connection, lake: LakeId, snapshot: SnapshotId) -> Result<bool, LakeError> {
    let statement = on(lake, "SELECT 1 FROM {md}.ducklake_snapshot WHERE snapshot_id = ?");
    Ok(!rows(connection, &statement, &[&number(Some(snapshot))], |_| Ok(()))?.is_empty())
}

/// All snapshots that are kept, oldest first.
pub(crate) fn kept(connection: &Connection, lake: LakeId) -> Result<Vec<SnapshotId>, LakeError> {
    let statement = on(lake, "SELECT snapshot_id FROM {md}.ducklake_snapshot ORDER BY snapshot_id");
    let found = rows(connection, &statement, &[], |row| row.get::<_, i64>(0))?;
    found.into_iter().map(|id| SnapshotId::new(id).map_err(|error| fault(error.to_string()))).collect()
}

/// A table by the name it had.
pub(crate) fn named(
    connection: &Connection,
    lake: LakeId,
    table: &TableRef,
    at: Option<SnapshotId>,
) -> Result<Option<Told>, LakeError> {
    let (bucket, name) = (table.bucket.folded(), table.table.folded());
    told(connection, lake, at, "lower(s.schema_name) = ? AND lower(t.table_name) = ?", &[&bucket, &name])
}

/// A table that is there, or was, by the number that it keeps.
pub(crate) fn rooted(
    connection: &Connection,
    lake: LakeId,
    root: i64,
    at: Option<SnapshotId>,
) -> Result<Option<Told>, LakeError> {
    told(connection, lake, at, &format!("{ROOT} = ?"), &[&root])
}

/// A table by DuckLake's number for it.
pub(crate) fn numbered(
    connection: &Connection,
    lake: LakeId,
    id: i64,
    at: Option<SnapshotId>,
) -> Result<Option<Told>, LakeError> {
    told(connection, lake, at, "t.table_id = ?", &[&id])
}

fn told(
    connection: &Connection,
    lake: LakeId,
    at: Option<SnapshotId>,
    which: &str,
    parameters: &[&dyn duckdb::ToSql],
) -> Result<Option<Told>, LakeError> {
    let statement = on(
        lake,
        &format!(
            "SELECT t.table_id, s.schema_name, t.table_name, {ROOT}
               FROM {{md}}.ducklake_table t JOIN {{md}}.ducklake_schema s ON s.schema_id = t.schema_id AND {}
              WHERE {} AND {which}",
            alive("s", at),
            alive("t", at)
        ),
    );
    let found = rows(connection, &statement, parameters, |row| {
        Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?, row.get::<_, String>(2)?, row.get::<_, i64>(3)?))
    })?;
    let Some((id, bucket, table, root)) = found.into_iter().next() else { return Ok(None) };
    let bad_name = |error: gadwall_domain::names::NameError| fault(error.to_string());
    let name = TableRef {
        bucket: BucketName::parse(&bucket).map_err(bad_name)?,
        table: TableName::parse(&table).map_err(bad_name)?,
    };
    let raw = raw_columns(connection, lake, id, at)?;
    let columns = top_columns(&raw)?;
    let top = raw.iter().filter(|column| column.parent.is_none());
    let column_ids = columns.iter().map(|column| column.name.clone()).zip(top.map(|column| column.id)).collect();
    let names: BTreeMap<i64, ColumnName> = name_of(&column_ids);
    let layout = layout(connection, lake, id, at, &names)?;
    let comments = comments(connection, lake, id, at, &names)?;
    Ok(Some(Told { id, root, name, columns, column_ids, layout, comments }))
}

fn name_of(ids: &BTreeMap<ColumnName, i64>) -> BTreeMap<i64, ColumnName> {
    ids.iter().map(|(name, id)| (*id, name.clone())).collect()
}

fn raw_columns(
    connection: &Connection,
    lake: LakeId,
    id: i64,
    at: Option<SnapshotId>,
) -> Result<Vec<RawColumn>, LakeError> {
    let statement = on(
        lake,
        &format!(
            "SELECT c.column_id, c.parent_column, c.column_name, c.column_type, c.nulls_allowed, c.default_value
               FROM {{md}}.ducklake_column c WHERE c.table_id = ? AND {} ORDER BY c.column_order",
            alive("c", at)
        ),
    );
    rows(connection, &statement, &[&id], |row| {
        Ok(RawColumn {
            id: row.get(0)?,
            parent: row.get(1)?,
            name: row.get(2)?,
            type_word: row.get(3)?,
            nullable: row.get(4)?,
            default: row.get(5)?,
        })
    })
}

fn layout(
    connection: &Connection,
    lake: LakeId,
    id: i64,
    at: Option<SnapshotId>,
    names: &BTreeMap<i64, ColumnName>,
) -> Result<Layout, LakeError> {
    let statement = on(
        lake,
        &format!(
            "SELECT c.column_id, c.transform
               FROM {{md}}.ducklake_partition_info i JOIN {{md}}.ducklake_partition_column c USING (partition_id, table_id)
              WHERE i.table_id = ? AND {} ORDER BY c.partition_key_index",
            alive("i", at)
        ),
    );
    let parts = rows(connection, &statement, &[&id], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?)))?;
    let partition_by = parts.into_iter().map(|(column, transform)| {
        let column = names.get(&column).cloned().ok_or_else(|| fault("a partition is of a column that isn't there"))?;
        let transform = transform_of(&transform).ok_or_else(|| fault("a partition of an unknown kind"))?;
        Ok(Partition { column, transform })
    });
    let partition_by = partition_by.collect::<Result<_, LakeError>>()?;
    let statement = on(
        lake,
        &format!(
            "SELECT e.expression, e.sort_direction, e.null_order
               FROM {{md}}.ducklake_sort_info i JOIN {{md}}.ducklake_sort_expression e USING (sort_id, table_id)
              WHERE i.table_id = ? AND {} ORDER BY e.sort_key_index",
            alive("i", at)
        ),
    );
    let keys = rows(connection, &statement, &[&id], |row| {
        Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?, row.get::<_, String>(2)?))
    })?;
    let sort_by = keys.into_iter().map(|(expression, direction, nulls)| {
        let column = ColumnName::parse(&unquoted(&expression)).map_err(|error| fault(error.to_string()))?;
        let descending = direction.eq_ignore_ascii_case("DESC");
        Ok(SortKey { column, descending, nulls_first: nulls.eq_ignore_ascii_case("NULLS_FIRST") })
    });
    Ok(Layout { partition_by, sort_by: sort_by.collect::<Result<_, LakeError>>()? })
}

fn transform_of(text: &str) -> Option<Transform> {
    Some(match text {
        "identity" => Transform::Identity,
        "year" => Transform::Year,
        "month" => Transform::Month,
        "day" => Transform::Day,
        "hour" => Transform::Hour,
        bucket => Transform::Bucket(bucket.strip_prefix("bucket(")?.strip_suffix(')')?.trim().parse().ok()?),
    })
}

fn unquoted(name: &str) -> String {
    let inner = name.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    inner.map_or_else(|| name.to_owned(), |inner| inner.replace("\"\"", "\""))
}

fn comments(
    connection: &Connection,
    lake: LakeId,
    id: i64,
    at: Option<SnapshotId>,
    names: &BTreeMap<i64, ColumnName>,
) -> Result<Comments, LakeError> {
    let statement = on(
        lake,
        &format!(
            "SELECT NULL, x.value FROM {{md}}.ducklake_tag x WHERE x.object_id = ? AND x.key = 'comment' AND {0}
              UNION ALL
             SELECT x.column_id, x.value FROM {{md}}.ducklake_column_tag x
              WHERE x.table_id = ? AND x.key = 'comment' AND {0}",
            alive("x", at)
        ),
    );
    let found = rows(connection, &statement, &[&id, &id], |row| {
        Ok((row.get::<_, Option<i64>>(0)?, row.get::<_, Option<String>>(1)?))
    })?;
    let mut comments = Comments::default();
    for (column, text) in found {
        match (column, text) {
            (None, text) => comments.table = text,
            (Some(column), Some(text)) => {
                if let Some(name) = names.get(&column) {
                    comments.columns.insert(name.clone(), text);
                }
            }
            (Some(_), None) => {}
        }
    }
    Ok(comments)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transforms_and_quoted_names_are_read_as_ducklake_writes_them() {
        assert_eq!(transform_of("bucket(16)"), Some(Transform::Bucket(16)));
        assert_eq!(transform_of("year"), Some(Transform::Year));
        assert_eq!(transform_of("bucket(x)"), None);
        assert_eq!(unquoted("\"it\"\"s\""), "it\"s");
        assert_eq!(unquoted("id"), "id");
    }
}
