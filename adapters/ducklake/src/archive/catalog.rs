//! The catalog: DuckLake's own tables, copied into a DuckDB file and back.

use std::path::Path;

use duckdb::{Connection, Row};
use gadwall_domain::backup::TableRows;
use gadwall_domain::ids::{LakeId, SnapshotId};
use gadwall_domain::ports::backup::{ArchiveError, CatalogContents};

use crate::error::{EngineFault, fault, lake_error, message};
use crate::sql;
use crate::structure::{on, rows};

/// Settings of a catalog that are its place's own.
const PLACE: &str = "key IN ('data_path', 'data_inlining_row_limit')";
/// Files that wait for their deletion, and where rows are that are in the catalog itself: in a copy they are empty.
const EMPTY: [&str; 2] = ["ducklake_files_scheduled_for_deletion", "ducklake_inlined_data_tables"];
/// All other tables of a catalog. The engine hides a lake's own tables from those that list tables, so they are named.
const TABLES: [&str; 26] = [
    "ducklake_column",
    "ducklake_column_mapping",
    "ducklake_column_tag",
    "ducklake_data_file",
    "ducklake_delete_file",
    "ducklake_file_column_stats",
    "ducklake_file_partition_value",
    "ducklake_file_variant_stats",
    "ducklake_macro",
    "ducklake_macro_impl",
    "ducklake_macro_parameters",
    "ducklake_metadata",
    "ducklake_name_mapping",
    "ducklake_partition_column",
    "ducklake_partition_info",
    "ducklake_schema",
    "ducklake_schema_versions",
    "ducklake_snapshot",
    "ducklake_snapshot_changes",
    "ducklake_sort_expression",
    "ducklake_sort_info",
    "ducklake_table",
    "ducklake_table_column_stats",
    "ducklake_table_stats",
    "ducklake_tag",
    "ducklake_view",
];

/// Does something while a file is attached under a name.
fn attached<T>(
    connection: &Connection,
    name: &str,
    path: &Path,
    options: &str,
    work: impl FnOnce() -> Result<T, ArchiveError>,
) -> Result<T, ArchiveError> {
    let path = sql::text(&path.to_string_lossy());
    batch(connection, &format!("ATTACH {path} AS {}{options}", sql::ident(name)))?;
    let done = work();
    if done.is_err() {
        // Fails where none of its transactions is open.
        let _ = connection.execute_batch("ROLLBACK");
    }
    let detached = batch(connection, &format!("DETACH {}", sql::ident(name)));
    let done = done?;
    detached.map(|()| done)
}

/// Copies the catalog into a new file, in one transaction, and tells what is in the copy.
pub(super) fn export(
    connection: &Connection,
    lake: LakeId,
    name: &str,
    path: &Path,
) -> Result<CatalogContents, ArchiveError> {
    let md = sql::metadata_of(lake);
    // Many small tables: with blocks of the usual size most of the file would be empty.
    attached(connection, name, path, " (BLOCK_SIZE 16384)", || {
        let copy = sql::ident(name);
        for table in inlined(connection, &md)? {
            if number(connection, &format!("SELECT count(*) FROM {md}.{}", sql::ident(&table)))? > 0 {
                return Err(ArchiveError::Inlined);
            }
        }
        batch(connection, "BEGIN TRANSACTION")?;
        for table in TABLES {
            batch(connection, &format!("CREATE TABLE {copy}.main.{table} AS SELECT * FROM {md}.{table}"))?;
        }
        for table in EMPTY {
            batch(connection, &format!("CREATE TABLE {copy}.main.{table} AS SELECT * FROM {md}.{table} WHERE false"))?;
        }
        let data = sql::text(&format!("data/{}/", lake.uuid().simple()));
        batch(
            connection,
            &format!(
                "UPDATE {copy}.main.ducklake_metadata SET value = {data} WHERE key = 'data_path';
                 COMMIT; CHECKPOINT {copy}"
            ),
        )?;
        contents(connection, &copy)
    })
}

/// Puts a copy in the place of an empty lake's catalog.
pub(super) fn import(connection: &Connection, lake: LakeId, name: &str, path: &Path) -> Result<(), ArchiveError> {
    let md = sql::metadata_of(lake);
    attached(connection, name, path, " (READ_ONLY)", || {
        let copy = sql::ident(name);
        // In a transaction of its own: keys that are deleted can't be written again in the same one.
        batch(connection, "BEGIN TRANSACTION")?;
        for table in TABLES {
            batch(connection, &format!("DELETE FROM {md}.{table} WHERE {}", which(table)))?;
        }
        batch(connection, "COMMIT; BEGIN TRANSACTION")?;
        for table in TABLES {
            let columns = columns(connection, &format!("{copy}.main.{table}"))?;
            let select = format!("SELECT {columns} FROM {copy}.main.{table} WHERE {}", which(table));
            batch(connection, &format!("INSERT INTO {md}.{table} ({columns}) {select}"))?;
        }
        batch(connection, "COMMIT")
    })
}

/// What is in a copy.
pub(super) fn inspect(path: &Path) -> Result<CatalogContents, ArchiveError> {
    let unreadable = |error: &duckdb::Error| ArchiveError::Unreadable(Box::new(EngineFault(message(error))));
    let engine = Connection::open_in_memory().map_err(|error| unreadable(&error))?;
    let attach = format!("ATTACH {} AS copy (READ_ONLY)", sql::text(&path.to_string_lossy()));
    engine.execute_batch(&attach).map_err(|error| unreadable(&error))?;
    contents(&engine, "copy")
}

fn contents(connection: &Connection, copy: &str) -> Result<CatalogContents, ArchiveError> {
    let of = |statement: &str| statement.replace("{md}", &format!("{copy}.main"));
    let elsewhere = "SELECT (SELECT count(*) FROM {md}.ducklake_data_file WHERE NOT path_is_relative)
        + (SELECT count(*) FROM {md}.ducklake_delete_file WHERE NOT path_is_relative)
        + (SELECT count(*) FROM {md}.ducklake_table WHERE NOT path_is_relative)
        + (SELECT count(*) FROM {md}.ducklake_schema WHERE NOT path_is_relative)";
    if number(connection, &of(elsewhere))? > 0 {
        return Err(ArchiveError::Elsewhere);
    }
    let heads = "SELECT max(snapshot_id), count(*) FROM {md}.ducklake_snapshot";
    let read = |row: &Row<'_>| Ok((row.get::<_, Option<i64>>(0)?, row.get::<_, i64>(1)?));
    let (head, snapshots) = one(connection, &of(heads), read)?;
    let head = head.and_then(|head| SnapshotId::new(head).ok()).ok_or_else(|| fault("the catalog has no snapshot"))?;
    let tables = "SELECT s.schema_name, t.table_name,
            ((SELECT coalesce(sum(f.record_count), 0) FROM {md}.ducklake_data_file f
               WHERE f.table_id = t.table_id AND f.end_snapshot IS NULL)
           - (SELECT coalesce(sum(d.delete_count), 0) FROM {md}.ducklake_delete_file d
                JOIN {md}.ducklake_data_file f ON f.data_file_id = d.data_file_id AND f.end_snapshot IS NULL
               WHERE d.table_id = t.table_id AND d.end_snapshot IS NULL))::BIGINT
          FROM {md}.ducklake_table t JOIN {md}.ducklake_schema s ON s.schema_id = t.schema_id AND s.end_snapshot IS NULL
         WHERE t.end_snapshot IS NULL ORDER BY 1, 2";
    let table = |row: &Row<'_>| {
        Ok(TableRows { bucket: row.get(0)?, table: row.get(1)?, rows: row.get::<_, i64>(2)?.unsigned_abs() })
    };
    let files = "SELECT path, file_size_bytes FROM {md}.ducklake_data_file
        UNION SELECT path, file_size_bytes FROM {md}.ducklake_delete_file ORDER BY 1";
    let file = |row: &Row<'_>| Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?.unsigned_abs()));
    let named = |(path, bytes): (String, u64)| (path.rsplit('/').next().unwrap_or_default().to_owned(), bytes);
    Ok(CatalogContents {
        head,
        snapshots: snapshots.unsigned_abs(),
        tables: rows(connection, &of(tables), &[], table)?,
        files: rows(connection, &of(files), &[], file)?.into_iter().map(named).collect(),
    })
}

/// Counts each table's rows from its files.
pub(super) fn count(connection: &Connection, lake: LakeId) -> Result<Vec<TableRows>, ArchiveError> {
    let names = on(
        lake,
        "SELECT s.schema_name, t.table_name FROM {md}.ducklake_table t
           JOIN {md}.ducklake_schema s ON s.schema_id = t.schema_id AND s.end_snapshot IS NULL
          WHERE t.end_snapshot IS NULL ORDER BY 1, 2",
    );
    let names = rows(connection, &names, &[], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))?;
    let count = |(bucket, table): (String, String)| {
        let of = format!("{}.{}.{}", sql::catalog(lake), sql::ident(&bucket), sql::ident(&table));
        // Counting alone would be answered from the catalog; so every column is read.
        let statement = format!("SELECT count(*) FROM (SELECT COLUMNS(*) IS NULL FROM {of})");
        Ok(TableRows { bucket, table, rows: number(connection, &statement)? })
    };
    names.into_iter().map(count).collect()
}

/// Rows of a table that are not its place's own.
fn which(table: &str) -> String {
    if table == "ducklake_metadata" { format!("NOT ({PLACE})") } else { "true".to_owned() }
}

/// Tables with rows that are in the catalog itself.
fn inlined(connection: &Connection, md: &str) -> Result<Vec<String>, ArchiveError> {
    let names = format!("SELECT table_name FROM {md}.ducklake_inlined_data_tables");
    Ok(rows(connection, &names, &[], |row| row.get(0))?)
}

fn columns(connection: &Connection, table: &str) -> Result<String, ArchiveError> {
    let names =
        rows(connection, &format!("SELECT column_name FROM (DESCRIBE {table})"), &[], |row| row.get::<_, String>(0))?;
    Ok(names.iter().map(|name| sql::ident(name)).collect::<Vec<_>>().join(", "))
}

fn one<T>(
    connection: &Connection,
    statement: &str,
    read: impl Fn(&Row<'_>) -> duckdb::Result<T>,
) -> Result<T, ArchiveError> {
    let found = rows(connection, statement, &[], read)?.pop();
    found.ok_or_else(|| fault("the catalog doesn't answer").into())
}

fn number(connection: &Connection, statement: &str) -> Result<u64, ArchiveError> {
    Ok(one(connection, &format!("SELECT ({statement})::BIGINT"), |row| row.get::<_, i64>(0))?.unsigned_abs())
}

fn batch(connection: &Connection, statement: &str) -> Result<(), ArchiveError> {
    Ok(connection.execute_batch(statement).map_err(|error| lake_error(&error))?)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::{find_extension_dir, runtime};

    #[test]
    fn all_tables_of_a_catalog_are_copied() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("c.ducklake").to_string_lossy().into_owned();
        let engine = Connection::open_in_memory().unwrap();
        let ducklake = runtime::extension_file(&find_extension_dir(None).unwrap(), runtime::DUCKLAKE).unwrap();
        let load = format!("LOAD {}", sql::text(&ducklake.to_string_lossy()));
        let make = format!("ATTACH {} AS lake; DETACH lake", sql::text(&format!("ducklake:{path}")));
        let look = format!("ATTACH {} AS plain", sql::text(&path));
        for statement in [load, make, look] {
            engine.execute_batch(&statement).unwrap();
        }
        let names = "SELECT table_name FROM duckdb_tables() WHERE database_name = 'plain'";
        let there: BTreeSet<String> = rows(&engine, names, &[], |row| row.get(0)).unwrap().into_iter().collect();
        let known: BTreeSet<String> = TABLES.into_iter().chain(EMPTY).map(str::to_owned).collect();
        assert_eq!(known, there);
    }
}
