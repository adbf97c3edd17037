//! When a table last changed: its shape, and its rows.
//!
//! Read from when DuckLake's entries about the table begin and end. Two things are told otherwise:
//! a table that was built anew with the same rows says in its folder's name of which version they are, and a file that
//! was merged from several begins with the oldest.

use duckdb::Connection;
use gadwall_domain::history::TableVersion;
use gadwall_domain::ids::{LakeId, SnapshotId};
use gadwall_domain::ports::lake::LakeError;

use crate::error::fault;
use crate::structure::{on, rows};

/// The beginning of the name of a table that is built anew with the rows of a version: the version follows.
const SAME_ROWS: &str = "__gadwall_rows_";

/// A name for a table that is built to take the place of another, whose rows it has. No user's table begins so.
pub(crate) fn name_with_rows_of(version: SnapshotId, head: SnapshotId) -> String {
    format!("{SAME_ROWS}{}_{}", version.get(), head.get())
}

/// A name for a table that is built to take another's place, with other rows.
pub(crate) fn name_of_new(head: SnapshotId) -> String {
    format!("__gadwall_new_{}", head.get())
}

/// When a table last changed, as of now.
pub(crate) fn version(connection: &Connection, lake: LakeId, table_id: i64) -> Result<TableVersion, LakeError> {
    let statement = on(
        lake,
        &format!(
            "WITH made AS (SELECT min(begin_snapshot) AS n,
                                  max(try_cast(regexp_extract(path, '^{SAME_ROWS}([0-9]+)_', 1) AS BIGINT)) AS same
                             FROM {{md}}.ducklake_table WHERE table_id = {table_id}),
                  shape(n) AS (
                    SELECT max(begin_snapshot) FROM {{md}}.ducklake_table WHERE table_id = {table_id}
                    UNION ALL SELECT max(greatest(begin_snapshot, coalesce(end_snapshot, 0)))
                                FROM {{md}}.ducklake_column WHERE table_id = {table_id}
                    UNION ALL SELECT max(greatest(begin_snapshot, coalesce(end_snapshot, 0)))
                                FROM {{md}}.ducklake_partition_info WHERE table_id = {table_id}
                    UNION ALL SELECT max(greatest(begin_snapshot, coalesce(end_snapshot, 0)))
                                FROM {{md}}.ducklake_sort_info WHERE table_id = {table_id}
                    UNION ALL SELECT max(greatest(begin_snapshot, coalesce(end_snapshot, 0)))
                                FROM {{md}}.ducklake_tag WHERE object_id = {table_id}
                    UNION ALL SELECT max(greatest(begin_snapshot, coalesce(end_snapshot, 0)))
                                FROM {{md}}.ducklake_column_tag WHERE table_id = {table_id}),
                  filled(n) AS (
                    SELECT CASE WHEN begin_snapshot = made.n AND made.same IS NOT NULL
                                THEN coalesce(end_snapshot, made.same)
                                ELSE greatest(begin_snapshot, coalesce(end_snapshot, 0), coalesce(partial_max, 0)) END
                      FROM {{md}}.ducklake_data_file, made WHERE table_id = {table_id}
                    UNION ALL SELECT greatest(begin_snapshot, coalesce(end_snapshot, 0), coalesce(partial_max, 0))
                                FROM {{md}}.ducklake_delete_file WHERE table_id = {table_id}
                    UNION ALL SELECT max(snapshot_id) FROM {{md}}.ducklake_snapshot_changes
                               WHERE list_has_any(string_split(changes_made, ','),
                                     ['inlined_insert:{table_id}', 'inlined_delete:{table_id}'])
                    UNION ALL SELECT coalesce(made.same, made.n) FROM made)
             SELECT (SELECT max(n) FROM shape), (SELECT max(n) FROM filled)"
        ),
    );
    let found = rows(connection, &statement, &[], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)))?;
    let (schema, rows) = found.into_iter().next().ok_or_else(|| fault("the table's version is unknown"))?;
    let snapshot = |number| SnapshotId::new(number).map_err(|error| fault(error.to_string()));
    Ok(TableVersion { schema: snapshot(schema)?, rows: snapshot(rows)? })
}
