//! All tables and views that may be seen, with their columns, for the lists that SQL can ask for: a few statements,
//! however many tables there are.

use std::collections::HashMap;

use duckdb::{Connection, Row};
use gadwall_domain::history::ReadAt;
use gadwall_domain::ids::LakeId;
use gadwall_domain::names::BucketName;
use gadwall_domain::ports::lake::LakeError;
use gadwall_domain::types::DataType;

use super::views::{Found, found};
use super::{at, raw_column, rows, top_columns};
use crate::gate::{VisibleBucket, VisibleColumn, VisibleTable, VisibleType};
use crate::types::RawColumn;

/// Limits schemas `s` to one, if one is given.
const ONLY: &str = "{live s} AND (? IS NULL OR lower(s.schema_name) = ?)";

/// Buckets, tables and columns of a version, each by name or place.
pub(crate) fn listing(
    connection: &Connection,
    lake: LakeId,
    only: Option<&BucketName>,
    version: ReadAt,
) -> Result<Vec<VisibleBucket>, LakeError> {
    let look = Look { connection, lake, version, only: only.map(BucketName::folded) };
    let mut tables = look.tables()?;
    let mut views = views(connection, lake, only, version)?;
    let buckets = look.rows(
        "SELECT s.schema_id, s.schema_name FROM {md}.ducklake_schema s WHERE {only} ORDER BY lower(s.schema_name)",
        |row| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?)),
    )?;
    let bucket = |(id, name): (i64, String)| {
        let mut tables = tables.remove(&id).unwrap_or_default();
        tables.extend(views.remove(&name).unwrap_or_default());
        tables.sort_by_cached_key(|table| table.name.to_lowercase());
        VisibleBucket { id, name, tables }
    };
    Ok(buckets.into_iter().map(bucket).collect())
}

/// Views by their bucket's name.
fn views(
    connection: &Connection,
    lake: LakeId,
    only: Option<&BucketName>,
    version: ReadAt,
) -> Result<HashMap<String, Vec<VisibleTable>>, LakeError> {
    let mut views: HashMap<String, Vec<VisibleTable>> = HashMap::new();
    for Found { id, view, .. } in found(connection, lake, only, None, version)? {
        let columns = view.columns.into_iter().map(|column| VisibleColumn {
            name: column.name,
            data_type: DataType::parse(&column.data_type)
                .map_or_else(|_| VisibleType::Other(column.data_type), VisibleType::Known),
            nullable: true,
            default: None,
            comment: None,
        });
        let table = VisibleTable {
            id,
            name: view.name.table.to_string(),
            query: Some(view.query),
            comment: view.comment,
            row_count: 0,
            columns: columns.collect(),
        };
        views.entry(view.name.bucket.to_string()).or_default().push(table);
    }
    Ok(views)
}

struct Look<'a> {
    connection: &'a Connection,
    lake: LakeId,
    version: ReadAt,
    only: Option<String>,
}

impl Look<'_> {
    fn rows<T>(&self, text: &str, read: impl Fn(&Row<'_>) -> duckdb::Result<T>) -> Result<Vec<T>, LakeError> {
        let statement = at(self.lake, self.version, &text.replace("{only}", ONLY));
        rows(self.connection, &statement, &[&self.only, &self.only], read)
    }

    /// Tables by their bucket's number.
    fn tables(&self) -> Result<HashMap<i64, Vec<VisibleTable>>, LakeError> {
        let found = self.rows(
            "SELECT t.schema_id, t.table_id, t.table_name, row_count::BIGINT,
                    (SELECT g.value FROM {md}.ducklake_tag g
                      WHERE {live g} AND g.object_id = t.table_id AND g.key = 'comment')
               FROM (SELECT t.*, {sizes} FROM {md}.ducklake_table t WHERE {live t}) t
               JOIN {md}.ducklake_schema s ON s.schema_id = t.schema_id
              WHERE {only} ORDER BY lower(t.table_name)",
            |row| {
                let table = VisibleTable {
                    id: row.get(1)?,
                    name: row.get(2)?,
                    query: None,
                    row_count: row.get(3)?,
                    comment: row.get(4)?,
                    columns: Vec::new(),
                };
                Ok((row.get::<_, i64>(0)?, table))
            },
        )?;
        let mut columns = self.columns()?;
        let mut tables: HashMap<i64, Vec<VisibleTable>> = HashMap::new();
        for (bucket, table) in found {
            let columns = columns.remove(&table.id).unwrap_or_default();
            tables.entry(bucket).or_default().push(VisibleTable { columns, ..table });
        }
        Ok(tables)
    }

    /// Columns by their table's number.
    fn columns(&self) -> Result<HashMap<i64, Vec<VisibleColumn>>, LakeError> {
        let found = self.rows(
            "SELECT c.table_id, c.column_id, c.parent_column, c.column_name, c.column_type, c.nulls_allowed,
                    c.default_value, g.value
               FROM {md}.ducklake_column c
               LEFT JOIN {md}.ducklake_column_tag g
                      ON g.table_id = c.table_id AND g.column_id = c.column_id AND g.key = 'comment' AND {live g}
              WHERE {live c} AND c.table_id IN (
                    SELECT t.table_id FROM {md}.ducklake_table t
                      JOIN {md}.ducklake_schema s ON s.schema_id = t.schema_id
                     WHERE {live t} AND {only})
              ORDER BY c.table_id, c.column_order",
            |row| {
                let (table, column) = raw_column(row)?;
                Ok((table, column, row.get::<_, Option<String>>(7)?))
            },
        )?;
        let mut raw: HashMap<i64, (Vec<RawColumn>, Vec<Option<String>>)> = HashMap::new();
        for (table, column, comment) in found {
            let (columns, comments) = raw.entry(table).or_default();
            if column.parent.is_none() {
                comments.push(comment);
            }
            columns.push(column);
        }
        let named = |(table, (columns, comments)): (i64, (Vec<RawColumn>, Vec<Option<String>>))| {
            let columns = top_columns(&columns)?.into_iter().zip(comments);
            let visible = columns.map(|(column, comment)| VisibleColumn {
                default: column.default.as_ref().map(|default| default.literal(&column.data_type)),
                name: column.name.to_string(),
                data_type: VisibleType::Known(column.data_type),
                nullable: column.nullable,
                comment,
            });
            Ok((table, visible.collect()))
        };
        raw.into_iter().map(named).collect()
    }
}
