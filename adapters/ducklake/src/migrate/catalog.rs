//! The catalog: DuckLake's own tables, copied row by row and compared.

use std::path::Path;

use duckdb::{Connection, Row};
use gadwall_domain::ids::{LakeId, SnapshotId};

use super::{MigrationError, batch};
use crate::error::{fault, lake_error};
use crate::sql;

/// A catalog that was copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CopiedCatalog {
    /// DuckLake's tables.
    pub tables: u64,
    /// Their rows.
    pub rows: u64,
}

/// Settings that differ between the two places.
const ELSEWHERE: &str = "key NOT IN ('data_path', 'data_inlining_row_limit')";

/// The newest snapshot, and how many there are. Fails for what can't be moved.
pub(super) fn look(engine: &Connection) -> Result<(SnapshotId, u64), MigrationError> {
    let inlined = "SELECT table_name FROM duckdb_tables() WHERE database_name = 'source'
        AND table_name LIKE 'ducklake\\_inlined\\_%' ESCAPE '\\' AND table_name != 'ducklake_inlined_data_tables'";
    for table in strings(engine, inlined)? {
        if count(engine, &format!("SELECT count(*) FROM source.{}", sql::ident(&table)))? > 0 {
            return Err(MigrationError::Inlined);
        }
    }
    let elsewhere = "SELECT (SELECT count(*) FROM source.ducklake_data_file WHERE NOT path_is_relative)
        + (SELECT count(*) FROM source.ducklake_delete_file WHERE NOT path_is_relative)
        + (SELECT count(*) FROM source.ducklake_table WHERE NOT path_is_relative)
        + (SELECT count(*) FROM source.ducklake_schema WHERE NOT path_is_relative)";
    if count(engine, elsewhere)? > 0 {
        return Err(MigrationError::Elsewhere);
    }
    let head = count(engine, "SELECT max(snapshot_id) FROM source.ducklake_snapshot")?;
    let head = i64::try_from(head).ok().and_then(|head| SnapshotId::new(head).ok());
    let head = head.ok_or_else(|| fault("the catalog has no snapshot"))?;
    Ok((head, count(engine, "SELECT count(*) FROM source.ducklake_snapshot")?))
}

/// Fills the catalog's tables in PostgreSQL, in one transaction. `attach` attaches the lake there, which makes the tables.
pub(super) fn copy(
    engine: &Connection,
    lake: LakeId,
    attach: &str,
    data: &str,
) -> Result<CopiedCatalog, MigrationError> {
    let schema = sql::catalog(lake);
    batch(engine, &format!("{attach}; DETACH {}", sql::ident(&schema)))?;
    let place = attach_plain(engine, lake)?;
    let tables = tables(engine)?;
    let full: Vec<String> = tables.iter().map(|(table, _)| format!("{}.{table}", sql::ident(&schema))).collect();
    let truncate = format!("TRUNCATE {}", full.join(", "));
    batch(engine, "BEGIN")?;
    batch(engine, &format!("CALL postgres_execute('target', {})", sql::text(&truncate)))?;
    for (table, columns) in &tables {
        let columns = list(columns);
        batch(engine, &format!("INSERT INTO {place}.{table} ({columns}) SELECT {columns} FROM source.{table}"))?;
    }
    batch(
        engine,
        &format!(
            "DELETE FROM {place}.ducklake_metadata WHERE NOT ({ELSEWHERE});
             INSERT INTO {place}.ducklake_metadata (key, value) VALUES ('data_path', {});
             COMMIT",
            sql::text(data)
        ),
    )?;
    compare(engine, &place, &tables)
}

/// Attaches the catalog in PostgreSQL as a plain schema; answers by which name.
fn attach_plain(engine: &Connection, lake: LakeId) -> Result<String, MigrationError> {
    let schema = sql::catalog(lake);
    let options = format!("TYPE postgres, SECRET gadwall_catalog, SCHEMA {}", sql::text(&schema));
    batch(engine, &format!("ATTACH 'application_name=gadwall' AS target ({options})"))?;
    Ok(format!("target.{}", sql::ident(&schema)))
}

/// Whether the newest snapshot in PostgreSQL isn't one of the source.
pub(super) fn has_gone_on(engine: &Connection, lake: LakeId) -> Result<bool, MigrationError> {
    let place = attach_plain(engine, lake)?;
    let newest = format!("SELECT max(snapshot_id) FROM {place}.ducklake_snapshot");
    let known = format!(
        "SELECT count(*) FROM source.ducklake_snapshot s JOIN {place}.ducklake_snapshot t
             ON t.snapshot_id = s.snapshot_id AND t.snapshot_time = s.snapshot_time
          WHERE t.snapshot_id = ({newest})"
    );
    Ok(count(engine, &known)? == 0)
}

/// Compares the contents of all tables, so the counts of every snapshot as well.
fn compare(
    engine: &Connection,
    place: &str,
    tables: &[(String, Vec<String>)],
) -> Result<CopiedCatalog, MigrationError> {
    let mut copied = CopiedCatalog { tables: 0, rows: 0 };
    for (table, columns) in tables {
        let same = if table == "ducklake_metadata" { ELSEWHERE } else { "true" };
        let values = columns.iter().map(|column| format!("{}::VARCHAR", sql::ident(column))).collect::<Vec<_>>();
        let sum = |of: &str| {
            let values = values.join(", ");
            format!("SELECT count(*), coalesce(bit_xor(hash({values})), 0)::VARCHAR FROM {of}.{table} WHERE {same}")
        };
        let read = |row: &Row<'_>| Ok((row.get::<_, u64>(0)?, row.get::<_, String>(1)?));
        let look = |of: &str| engine.query_row(&sum(of), [], read).map_err(|error| lake_error(&error));
        let (there, here) = (look(place)?, look("source")?);
        if there != here {
            return Err(MigrationError::Differs(format!("{table} has {} rows of {}", there.0, here.0)));
        }
        copied = CopiedCatalog { tables: copied.tables + 1, rows: copied.rows + here.0 };
    }
    Ok(copied)
}

/// Counts each table's rows in both places, from its files.
pub(super) fn compare_rows(
    engine: &Connection,
    lake: LakeId,
    attach: &str,
    data: &Path,
) -> Result<u64, MigrationError> {
    let source = "SELECT path FROM duckdb_databases() WHERE database_name = 'source'";
    let source = strings(engine, source)?.pop().ok_or_else(|| fault("the source is not attached"))?;
    let names = "SELECT s.schema_name || chr(0) || t.table_name FROM source.ducklake_table t
        JOIN source.ducklake_schema s ON s.schema_id = t.schema_id AND s.end_snapshot IS NULL
        WHERE t.end_snapshot IS NULL ORDER BY 1";
    let names = strings(engine, names)?;
    let files = format!(
        "DETACH source; ATTACH {} AS source (DATA_PATH {}, OVERRIDE_DATA_PATH true, READ_ONLY)",
        sql::text(&format!("ducklake:{source}")),
        sql::text(&format!("{}/", data.to_string_lossy())),
    );
    batch(engine, &files)?;
    batch(engine, attach)?;
    let target = sql::ident(&sql::catalog(lake));
    for name in &names {
        let (schema, table) = name.split_once('\0').unwrap_or_default();
        let table = format!("{}.{}", sql::ident(schema), sql::ident(table));
        // Counting alone would be answered from the catalog; so every column is read.
        let rows =
            |of: &str| count(engine, &format!("SELECT count(*) FROM (SELECT COLUMNS(*) IS NULL FROM {of}.{table})"));
        let (here, there) = (rows("source")?, rows(&target)?);
        if here != there {
            return Err(MigrationError::Differs(format!("a table has {there} rows of {here}")));
        }
    }
    Ok(names.len() as u64)
}

/// DuckLake's tables with their columns, without those for rows in the catalog.
fn tables(engine: &Connection) -> Result<Vec<(String, Vec<String>)>, MigrationError> {
    let tables = "SELECT table_name FROM duckdb_tables() WHERE database_name = 'source'
        AND table_name LIKE 'ducklake\\_%' ESCAPE '\\' AND table_name NOT LIKE 'ducklake\\_inlined\\_%' ESCAPE '\\' ORDER BY 1";
    let columns = |table: String| {
        let columns = "SELECT column_name FROM duckdb_columns() WHERE database_name = 'source' AND table_name = ";
        let columns = strings(engine, &format!("{columns}{} ORDER BY column_index", sql::text(&table)))?;
        Ok((table, columns))
    };
    strings(engine, tables)?.into_iter().map(columns).collect()
}

fn list(columns: &[String]) -> String {
    columns.iter().map(|column| sql::ident(column)).collect::<Vec<_>>().join(", ")
}

fn count(engine: &Connection, statement: &str) -> Result<u64, MigrationError> {
    let read = engine.query_row(statement, [], |row| row.get::<_, i64>(0)).map_err(|error| lake_error(&error))?;
    Ok(u64::try_from(read).unwrap_or_default())
}

fn strings(engine: &Connection, statement: &str) -> Result<Vec<String>, MigrationError> {
    let read = || -> duckdb::Result<_> { engine.prepare(statement)?.query_map([], |row| row.get(0))?.collect() };
    Ok(read().map_err(|error| lake_error(&error))?)
}
