//! Reads a lake's structure out of DuckLake's own tables: one statement, one consistent state, and no
//! introspection that would walk every attached lake.

mod details;
mod listing;
mod past;
pub(crate) mod told;
mod views;

use std::collections::HashMap;
use std::path::PathBuf;

use chrono::{DateTime, Utc};
use duckdb::{Connection, Row};
use gadwall_domain::commit::{Commit, CommitInfo};
use gadwall_domain::history::ReadAt;
use gadwall_domain::ids::{LakeId, SnapshotId};
use gadwall_domain::names::{BucketName, ColumnName, TableName};
use gadwall_domain::ports::lake::{LakeError, StoredBucket, StoredTable};
use gadwall_domain::schema::{Column, DefaultValue};
use gadwall_domain::table::{TableRef, TableSize};

use crate::error::{fault, lake_error};
use crate::sql;
use crate::types::{RawColumn, data_type};
use crate::version::versions;

use details::Details;
pub(crate) use listing::listing;
pub(crate) use past::{dropped, of_table, one, snapshot_at};
pub(crate) use views::{OWN_CATALOG, ViewDocument, Views, all_views, views};

/// Rows and bytes of the table `t`: what its files hold, less what was deleted from them.
const SIZES: &str = "
    (SELECT coalesce(sum(f.record_count), 0) FROM {md}.ducklake_data_file f
      WHERE f.table_id = t.table_id AND {live f})
  - (SELECT coalesce(sum(d.delete_count), 0) FROM {md}.ducklake_delete_file d
       JOIN {md}.ducklake_data_file f ON f.data_file_id = d.data_file_id AND {live f}
      WHERE d.table_id = t.table_id AND {live d}) AS row_count,
    (SELECT coalesce(sum(f.file_size_bytes), 0) FROM {md}.ducklake_data_file f
      WHERE f.table_id = t.table_id AND {live f}) AS size_bytes";

/// Writes a statement over a lake's own tables: `{md}` is the database they are in, `{sizes}` are [`SIZES`], and
/// `{live x}` holds for rows of `x` that are part of the version.
fn at(lake: LakeId, version: ReadAt, statement: &str) -> String {
    let mut text = statement.replace("{sizes}", SIZES);
    for alias in ["s", "t", "c", "f", "d", "p", "o", "g", "h", "v"] {
        let live = match version {
            ReadAt::Head => format!("{alias}.end_snapshot IS NULL"),
            ReadAt::Snapshot(number) => format!(
                "({alias}.begin_snapshot <= {number} AND ({alias}.end_snapshot IS NULL OR {alias}.end_snapshot > {number}))"
            ),
        };
        text = text.replace(&format!("{{live {alias}}}"), &live);
    }
    on(lake, &text)
}

pub(crate) fn on(lake: LakeId, statement: &str) -> String {
    statement.replace("{md}", &sql::metadata_of(lake))
}

pub(crate) fn rows<T>(
    connection: &Connection,
    statement: &str,
    parameters: &[&dyn duckdb::ToSql],
    read: impl Fn(&Row<'_>) -> duckdb::Result<T>,
) -> Result<Vec<T>, LakeError> {
    let query = || -> duckdb::Result<Vec<T>> {
        let mut prepared = connection.prepare(statement)?;
        let found = prepared.query_map(parameters, |row| read(row))?;
        found.collect()
    };
    query().map_err(|error| lake_error(&error))
}

/// The newest snapshot.
pub(crate) fn head(connection: &Connection, lake: LakeId) -> Result<SnapshotId, LakeError> {
    let statement = on(lake, "SELECT max(snapshot_id) FROM {md}.ducklake_snapshot");
    let number: i64 = connection.query_row(&statement, [], |row| row.get(0)).map_err(|error| lake_error(&error))?;
    snapshot(number)
}

/// The snapshot that this connection's transaction reads tables at, from now on if not from before: the lake's own tables
/// are read in a transaction of their own, which may be of an older one.
pub(crate) fn pinned(connection: &Connection, lake: LakeId) -> Result<SnapshotId, LakeError> {
    let statement = format!("SELECT id FROM ducklake_current_snapshot({})", sql::text(&sql::catalog(lake)));
    let number: i64 = connection.query_row(&statement, [], |row| row.get(0)).map_err(|error| lake_error(&error))?;
    snapshot(number)
}

/// The newest snapshot and when it was made, given that it isn't older than another.
pub(crate) fn newest(
    connection: &Connection,
    lake: LakeId,
    since: SnapshotId,
) -> Result<(SnapshotId, DateTime<Utc>), LakeError> {
    let statement = on(
        lake,
        &format!(
            "SELECT snapshot_id, epoch_us(snapshot_time) FROM {{md}}.ducklake_snapshot WHERE snapshot_id >= {}
              ORDER BY snapshot_id DESC LIMIT 1",
            since.get()
        ),
    );
    let read = |row: &Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?));
    let (number, micros) = connection.query_row(&statement, [], read).map_err(|error| lake_error(&error))?;
    Ok((snapshot(number)?, time(micros)?))
}

/// The snapshot that this connection committed last, and when it was made.
pub(crate) fn committed_last(connection: &Connection, lake: LakeId) -> Result<(SnapshotId, DateTime<Utc>), LakeError> {
    let statement = format!("FROM ducklake_last_committed_snapshot({})", sql::text(&sql::catalog(lake)));
    let number: i64 = connection.query_row(&statement, [], |row| row.get(0)).map_err(|error| lake_error(&error))?;
    let statement = on(lake, "SELECT epoch_us(snapshot_time) FROM {md}.ducklake_snapshot WHERE snapshot_id = ?");
    let micros: i64 =
        connection.query_row(&statement, [number], |row| row.get(0)).map_err(|error| lake_error(&error))?;
    Ok((snapshot(number)?, time(micros)?))
}

fn time(micros: i64) -> Result<DateTime<Utc>, LakeError> {
    DateTime::<Utc>::from_timestamp_micros(micros).ok_or_else(|| fault("a snapshot's time is out of range"))
}

/// A snapshot's number, for the catalog.
pub(crate) fn number(snapshot: SnapshotId) -> i64 {
    i64::try_from(snapshot.get()).unwrap_or(i64::MAX)
}

fn snapshot(number: i64) -> Result<SnapshotId, LakeError> {
    SnapshotId::new(number).map_err(|error| fault(error.to_string()))
}

/// Commits after a snapshot, oldest first.
pub(crate) fn commits_after(
    connection: &Connection,
    lake: LakeId,
    after: SnapshotId,
    limit: u32,
) -> Result<Vec<Commit>, LakeError> {
    let statement = on(
        lake,
        "SELECT s.snapshot_id, epoch_us(s.snapshot_time), c.commit_extra_info
           FROM {md}.ducklake_snapshot s LEFT JOIN {md}.ducklake_snapshot_changes c USING (snapshot_id)
          WHERE s.snapshot_id > ? ORDER BY s.snapshot_id LIMIT ?",
    );
    let found = rows(connection, &statement, &[&number(after), &i64::from(limit)], |row| {
        Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, Option<String>>(2)?))
    })?;
    found
        .into_iter()
        .map(|(number, micros, info)| {
            let committed_at = time(micros)?;
            // A commit that something else made carries another document, or none.
            let info = info.and_then(|text| serde_json::from_str::<CommitInfo>(&text).ok());
            Ok(Commit {
                snapshot: snapshot(number)?,
                committed_at,
                writes: info.map(|info| info.writes).unwrap_or_default(),
            })
        })
        .collect()
}

/// All buckets; `main` once it holds a table or a view.
pub(crate) fn buckets(connection: &Connection, lake: LakeId, version: ReadAt) -> Result<Vec<StoredBucket>, LakeError> {
    let statement = at(
        lake,
        version,
        "SELECT s.schema_name, count(t.table_id)::BIGINT, coalesce(sum(t.size_bytes), 0)::BIGINT
           FROM {md}.ducklake_schema s
           LEFT JOIN (SELECT t.table_id, t.schema_id, {sizes} FROM {md}.ducklake_table t WHERE {live t}) t
                  ON t.schema_id = s.schema_id
          WHERE {live s}
          GROUP BY s.schema_id, s.schema_name
         HAVING lower(s.schema_name) <> 'main' OR count(t.table_id) > 0
             OR EXISTS (FROM {md}.ducklake_view v WHERE v.schema_id = s.schema_id AND {live v})
          ORDER BY lower(s.schema_name)",
    );
    let found = rows(connection, &statement, &[], |row| {
        Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?, row.get::<_, i64>(2)?))
    })?;
    found
        .into_iter()
        .map(|(name, tables, bytes)| {
            let name = BucketName::parse(&name).map_err(|error| fault(error.to_string()))?;
            Ok(StoredBucket { name, table_count: count(tables)?, size_bytes: count(bytes)? })
        })
        .collect()
}

/// Bytes of all files of rows and of deletions that the catalog still knows, whichever version they are of.
pub(crate) fn kept_bytes(connection: &Connection, lake: LakeId) -> Result<u64, LakeError> {
    let statement = on(
        lake,
        "SELECT ((SELECT coalesce(sum(file_size_bytes), 0) FROM {md}.ducklake_data_file)
               + (SELECT coalesce(sum(file_size_bytes), 0) FROM {md}.ducklake_delete_file))::BIGINT",
    );
    let found = rows(connection, &statement, &[], |row| row.get::<_, i64>(0))?;
    count(found.first().copied().unwrap_or_default())
}

fn count(number: i64) -> Result<u64, LakeError> {
    u64::try_from(number).map_err(|_| fault("the catalog counts below zero"))
}

/// The bucket's name as it is stored, if there is such a bucket.
pub(crate) fn bucket(
    connection: &Connection,
    lake: LakeId,
    name: &BucketName,
    version: ReadAt,
) -> Result<Option<String>, LakeError> {
    let statement = at(
        lake,
        version,
        "SELECT s.schema_name FROM {md}.ducklake_schema s WHERE {live s} AND lower(s.schema_name) = ?",
    );
    Ok(rows(connection, &statement, &[&name.folded()], |row| row.get(0))?.pop())
}

/// Limits tables `t` to a bucket, or one table in it, as they are now.
const IN_SCOPE: &str = "
    JOIN {md}.ducklake_schema s ON s.schema_id = t.schema_id AND {live s}
   WHERE {live t} AND lower(s.schema_name) = ? AND (? IS NULL OR lower(t.table_name) = ?)";

/// The tables in scope, by their numbers.
fn in_scope() -> String {
    format!("SELECT t.table_id FROM {{md}}.ducklake_table t {IN_SCOPE}")
}

/// A column after its table's number.
fn raw_column(row: &Row<'_>) -> duckdb::Result<(i64, RawColumn)> {
    let column = RawColumn {
        id: row.get(1)?,
        parent: row.get(2)?,
        name: row.get(3)?,
        type_word: row.get(4)?,
        nullable: row.get(5)?,
        default: row.get(6)?,
    };
    Ok((row.get(0)?, column))
}

/// The columns of tables, nested parts among them, by the table's number; `of` lists these.
fn raw_columns(
    connection: &Connection,
    lake: LakeId,
    version: ReadAt,
    of: &str,
    parameters: &[&dyn duckdb::ToSql],
) -> Result<HashMap<i64, Vec<RawColumn>>, LakeError> {
    let statement = at(
        lake,
        version,
        &format!(
            "SELECT c.table_id, c.column_id, c.parent_column, c.column_name, c.column_type, c.nulls_allowed, c.default_value
               FROM {{md}}.ducklake_column c
              WHERE {{live c}} AND c.table_id IN ({of})
              ORDER BY c.table_id, c.column_order"
        ),
    );
    let columns = rows(connection, &statement, parameters, raw_column)?;
    let mut columns_of: HashMap<i64, Vec<RawColumn>> = HashMap::new();
    for (table_id, column) in columns {
        columns_of.entry(table_id).or_default().push(column);
    }
    Ok(columns_of)
}

/// A table's columns, if there is such a table.
pub(crate) fn columns(
    connection: &Connection,
    lake: LakeId,
    table: &TableRef,
    version: ReadAt,
) -> Result<Option<Vec<Column>>, LakeError> {
    let (bucket_name, table_name) = (table.bucket.folded(), table.table.folded());
    let found = raw_columns(connection, lake, version, &in_scope(), &[&bucket_name, &table_name, &table_name])?;
    found.values().next().map(|columns| top_columns(columns)).transpose()
}

/// Tables of a bucket, or one of them, by name.
pub(crate) fn tables(
    connection: &Connection,
    lake: LakeId,
    bucket: &BucketName,
    table: Option<&TableName>,
    version: ReadAt,
) -> Result<Vec<StoredTable>, LakeError> {
    let (bucket_name, table_name) = (bucket.folded(), table.map(TableName::folded));
    let parameters: [&dyn duckdb::ToSql; 3] = [&bucket_name, &table_name, &table_name];
    let statement = at(
        lake,
        version,
        &format!(
            "SELECT t.table_id, s.schema_name, t.table_name, row_count::BIGINT, size_bytes::BIGINT
               FROM (SELECT t.*, {{sizes}} FROM {{md}}.ducklake_table t) t {IN_SCOPE}
              ORDER BY lower(t.table_name)"
        ),
    );
    let found = rows(connection, &statement, &parameters, |row| {
        Ok((
            row.get::<_, i64>(0)?,
            row.get::<_, String>(1)?,
            row.get::<_, String>(2)?,
            row.get::<_, i64>(3)?,
            row.get::<_, i64>(4)?,
        ))
    })?;
    let columns_of = raw_columns(connection, lake, version, &in_scope(), &parameters)?;
    let ids: Vec<i64> = found.iter().map(|row| row.0).collect();
    let mut details = details::of(connection, lake, version, &ids, &columns_of)?;
    let mut versions =
        if ids.is_empty() { HashMap::new() } else { versions(connection, lake, version, &details::numbers(&ids))? };
    found
        .into_iter()
        .map(|(id, bucket, table, row_count, size_bytes)| {
            let name = table_ref(&bucket, &table)?;
            let columns = top_columns(columns_of.get(&id).map_or(&[], Vec::as_slice))?;
            let Details { layout, comments, .. } = details.remove(&id).unwrap_or_default();
            let version = versions.remove(&id).unwrap_or_default();
            let size = TableSize { row_count: count(row_count)?, size_bytes: count(size_bytes)? };
            Ok(StoredTable { name, columns, size, layout, comments, version })
        })
        .collect()
}

/// Whether a table has data files, in any version that is kept.
pub(crate) fn has_files(connection: &Connection, lake: LakeId, table_id: i64) -> Result<bool, LakeError> {
    let statement = on(lake, "SELECT count(*) FROM {md}.ducklake_data_file WHERE table_id = ?");
    Ok(rows(connection, &statement, &[&table_id], |row| row.get::<_, i64>(0))?.pop() > Some(0))
}

/// Whether a snapshot is kept.
pub(crate) fn is_kept(connection: &Connection, lake: LakeId, snapshot: SnapshotId) -> Result<bool, LakeError> {
    let statement = on(lake, "SELECT count(*) FROM {md}.ducklake_snapshot WHERE snapshot_id = ?");
    Ok(rows(connection, &statement, &[&number(snapshot)], |row| row.get::<_, i64>(0))?.pop() == Some(1))
}

/// The first of these snapshots that isn't kept. They are numbered without gaps.
pub(crate) fn first_gone(
    connection: &Connection,
    lake: LakeId,
    from: SnapshotId,
    to: SnapshotId,
) -> Result<Option<SnapshotId>, LakeError> {
    let statement =
        on(lake, "SELECT snapshot_id FROM {md}.ducklake_snapshot WHERE snapshot_id BETWEEN ? AND ? ORDER BY 1");
    let kept = rows(connection, &statement, &[&number(from), &number(to)], |row| row.get::<_, i64>(0))?;
    let gone = (number(from)..=number(to)).zip(kept.into_iter().map(Some).chain(std::iter::repeat(None)));
    gone.into_iter().find(|(wanted, kept)| *kept != Some(*wanted)).map(|(wanted, _)| snapshot(wanted)).transpose()
}

fn table_ref(bucket: &str, table: &str) -> Result<TableRef, LakeError> {
    let bad_name = |error: gadwall_domain::names::NameError| fault(error.to_string());
    Ok(TableRef {
        bucket: BucketName::parse(bucket).map_err(bad_name)?,
        table: TableName::parse(table).map_err(bad_name)?,
    })
}

pub(crate) fn top_columns(all: &[RawColumn]) -> Result<Vec<Column>, LakeError> {
    let top = all.iter().filter(|column| column.parent.is_none());
    top.map(|column| {
        let name = ColumnName::parse(&column.name).map_err(|error| fault(error.to_string()))?;
        // DuckLake spells "no default" as the word NULL.
        let default = column.default.clone().filter(|text| text != "NULL").map(DefaultValue::stored);
        let data_type = data_type(column, all).map_err(fault)?;
        Ok(Column { nullable: column.nullable, default, ..Column::new(name, data_type) })
    })
    .collect()
}

/// The folder of a table's data files, relative to the lake's data folder.
pub(crate) fn table_folder(
    connection: &Connection,
    lake: LakeId,
    table: &TableRef,
) -> Result<Option<PathBuf>, LakeError> {
    let statement = on(
        lake,
        "SELECT s.path, t.path
           FROM {md}.ducklake_table t JOIN {md}.ducklake_schema s ON s.schema_id = t.schema_id AND s.end_snapshot IS NULL
          WHERE t.end_snapshot IS NULL AND s.path_is_relative AND t.path_is_relative
            AND lower(s.schema_name) = ? AND lower(t.table_name) = ?",
    );
    let names = (table.bucket.folded(), table.table.folded());
    let found = rows(connection, &statement, &[&names.0, &names.1], |row| {
        Ok(PathBuf::from(row.get::<_, String>(0)?).join(row.get::<_, String>(1)?))
    })?;
    Ok(found.into_iter().next())
}

/// Reads all of a lake's own tables, to see whether they can be read.
pub(crate) fn read_all(connection: &Connection, lake: LakeId) -> Result<(), LakeError> {
    let database = format!("__ducklake_metadata_{}", sql::catalog(lake));
    let tables = "SELECT schema_name, table_name FROM duckdb_tables() WHERE database_name = ?";
    let tables =
        rows(connection, tables, &[&database], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))?;
    for (schema, table) in tables {
        let name = format!("{}.{}.{}", sql::metadata_of(lake), sql::ident(&schema), sql::ident(&table));
        let read = format!("SELECT max(hash(COLUMNS(*))) FROM {name}");
        connection.execute_batch(&read).map_err(|error| lake_error(&error))?;
    }
    Ok(())
}

/// Whether the lake lays out a table's files by its rows' values, so that it must write them itself.
pub(crate) fn arranges_files(connection: &Connection, lake: LakeId, table: &TableRef) -> Result<bool, LakeError> {
    let statement = on(
        lake,
        "SELECT count(*)
           FROM {md}.ducklake_table t JOIN {md}.ducklake_schema s ON s.schema_id = t.schema_id AND s.end_snapshot IS NULL
          WHERE t.end_snapshot IS NULL AND lower(s.schema_name) = ? AND lower(t.table_name) = ?
            AND (EXISTS (FROM {md}.ducklake_partition_info p WHERE p.table_id = t.table_id AND p.end_snapshot IS NULL)
              OR EXISTS (FROM {md}.ducklake_sort_info o WHERE o.table_id = t.table_id AND o.end_snapshot IS NULL))",
    );
    let parameters: [&dyn duckdb::ToSql; 2] = [&table.bucket.folded(), &table.table.folded()];
    let found = rows(connection, &statement, &parameters, |row| row.get::<_, i64>(0))?;
    Ok(found.first().is_none_or(|count| *count > 0))
}

/// The names of all tables and views.
pub(crate) fn table_names(connection: &Connection, lake: LakeId, version: ReadAt) -> Result<Vec<TableRef>, LakeError> {
    let statement = at(
        lake,
        version,
        "SELECT s.schema_name, t.table_name
           FROM {md}.ducklake_table t JOIN {md}.ducklake_schema s ON s.schema_id = t.schema_id AND {live s}
          WHERE {live t}
          UNION ALL
         SELECT s.schema_name, t.view_name
           FROM {md}.ducklake_view t JOIN {md}.ducklake_schema s ON s.schema_id = t.schema_id AND {live s}
          WHERE {live t}",
    );
    let found = rows(connection, &statement, &[], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))?;
    found.into_iter().map(|(bucket, table)| table_ref(&bucket, &table)).collect()
}

/// A table's bucket and name as they are stored, if there is such a table.
pub(crate) fn stored_name(
    connection: &Connection,
    lake: LakeId,
    bucket: &BucketName,
    table: &TableName,
    version: ReadAt,
) -> Result<Option<(String, String)>, LakeError> {
    let statement = at(
        lake,
        version,
        "SELECT s.schema_name, t.table_name
           FROM {md}.ducklake_table t JOIN {md}.ducklake_schema s ON s.schema_id = t.schema_id AND {live s}
          WHERE {live t} AND lower(s.schema_name) = ? AND lower(t.table_name) = ?",
    );
    let parameters: [&dyn duckdb::ToSql; 2] = [&bucket.folded(), &table.folded()];
    Ok(rows(connection, &statement, &parameters, |row| Ok((row.get(0)?, row.get(1)?)))?.pop())
}

/// Counts a table's rows by reading it: where small inserts may stand in the catalog instead of files, and for the
/// past, whose files may have been merged with later ones.
pub(crate) fn count_rows(
    connection: &Connection,
    lake: LakeId,
    table: &mut StoredTable,
    version: ReadAt,
) -> Result<(), LakeError> {
    let then = match version {
        ReadAt::Head => String::new(),
        ReadAt::Snapshot(snapshot) => format!(" AT (VERSION => {snapshot})"),
    };
    let statement = format!("SELECT count(*) FROM {}{then}", sql::table(lake, &table.name));
    let counted: i64 = connection.query_row(&statement, [], |row| row.get(0)).map_err(|error| lake_error(&error))?;
    table.size.row_count = count(counted)?;
    Ok(())
}
