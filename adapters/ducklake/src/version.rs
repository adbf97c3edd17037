//! When a table last changed: its shape, and its rows; and which table it is.
//!
//! Read from when DuckLake's entries about the table begin and end. Two things are told otherwise:
//! a table that was built anew says in its folder's name in whose place it stands, and of which version its rows are if
//! they are the same; and a file that was merged from several begins with the oldest.

use std::collections::HashMap;

use duckdb::Connection;
use gadwall_domain::history::{ReadAt, TableVersion};
use gadwall_domain::ids::{LakeId, SnapshotId};
use gadwall_domain::ports::lake::LakeError;

use crate::error::{fault, lake_error};
use crate::structure::{number, on, rows};

/// The beginning of the name of a table that is built anew with the rows of a version: the version follows.
const SAME_ROWS: &str = "__gadwall_rows_";

/// The catalog's setting of a table that says when its rows last changed, where nothing else does any more.
const LAST_CHANGE: &str = "gadwall_last_change";

/// Tables whose last change is kept in one statement.
const KEPT_AT_ONCE: usize = 500;

/// The number of the table that the entry `t` of `ducklake_table` is for its users: that of the first one, of those
/// that were built anew in each other's place.
pub(crate) const ROOT: &str =
    "coalesce(try_cast(regexp_extract(t.path, '^__gadwall_.*_of_([0-9]+)/?$', 1) AS BIGINT), t.table_id)";

/// A name for a table that is built to take the place of another, whose rows it has. No user's table begins so.
pub(crate) fn name_with_rows_of(version: SnapshotId, head: SnapshotId, root: i64) -> String {
    format!("{SAME_ROWS}{}_{}_of_{root}", version.get(), head.get())
}

/// A name for a table that is built to take another's place, with other rows.
pub(crate) fn name_of_new(head: SnapshotId, root: i64) -> String {
    format!("__gadwall_new_{}_of_{root}", head.get())
}

/// A name for a table that is built with the rows of another that lives on.
pub(crate) fn name_of_copy(head: SnapshotId) -> String {
    format!("__gadwall_copy_{}", head.get())
}

/// When a table last changed, as of now.
pub(crate) fn version(connection: &Connection, lake: LakeId, table_id: i64) -> Result<TableVersion, LakeError> {
    let mut found = versions(connection, lake, ReadAt::Head, &table_id.to_string())?;
    found.remove(&table_id).ok_or_else(|| fault("the table's version is unknown"))
}

/// Keeps when tables' rows last changed, for when the snapshots are gone that tell so. Rows that went away leave nothing
/// behind: without this the table would be as old again as the rows that it has.
pub(crate) fn keep(connection: &Connection, lake: LakeId) -> Result<(), LakeError> {
    let statement = on(
        lake,
        "SELECT t.table_id, greatest(
                  coalesce((SELECT max(greatest(f.begin_snapshot, coalesce(f.partial_max, 0))) FROM {md}.ducklake_data_file f
                             WHERE f.table_id = t.table_id AND f.end_snapshot IS NULL), 0),
                  coalesce((SELECT max(greatest(d.begin_snapshot, coalesce(d.partial_max, 0))) FROM {md}.ducklake_delete_file d
                             WHERE d.table_id = t.table_id AND d.end_snapshot IS NULL), 0))
           FROM {md}.ducklake_table t WHERE t.end_snapshot IS NULL",
    );
    let stays: HashMap<i64, i64> =
        rows(connection, &statement, &[], |row| Ok((row.get(0)?, row.get(1)?)))?.into_iter().collect();
    if stays.is_empty() {
        return Ok(());
    }
    let ids = stays.keys().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let now = versions(connection, lake, ReadAt::Head, &ids)?;
    let kept: Vec<(i64, i64)> = now
        .into_iter()
        .map(|(id, version)| (id, number(version.rows)))
        .filter(|(id, rows)| stays.get(id).is_some_and(|stays| stays < rows))
        .collect();
    for some in kept.chunks(KEPT_AT_ONCE) {
        let ids = some.iter().map(|(id, _)| id.to_string()).collect::<Vec<_>>().join(", ");
        let values =
            some.iter().map(|(id, rows)| format!("('{LAST_CHANGE}', '{rows}', 'table', {id})")).collect::<Vec<_>>();
        let statement = on(
            lake,
            &format!(
                "BEGIN TRANSACTION;
                 DELETE FROM {{md}}.ducklake_metadata WHERE key = '{LAST_CHANGE}' AND scope = 'table' AND scope_id IN ({ids});
                 INSERT INTO {{md}}.ducklake_metadata (key, value, scope, scope_id) VALUES {};
                 COMMIT",
                values.join(", ")
            ),
        );
        if let Err(error) = connection.execute_batch(&statement) {
            let _ = connection.execute_batch("ROLLBACK");
            return Err(lake_error(&error));
        }
    }
    Ok(())
}

/// Tables that take part in a table's shape: each entry begins and ends with a change.
const SHAPE: [(&str, &str); 6] = [
    ("ducklake_table", "table_id"),
    ("ducklake_column", "table_id"),
    ("ducklake_partition_info", "table_id"),
    ("ducklake_sort_info", "table_id"),
    ("ducklake_tag", "object_id"),
    ("ducklake_column_tag", "table_id"),
];

/// When tables last changed, as of a version, by their numbers; `ids` is a list of these.
pub(crate) fn versions(
    connection: &Connection,
    lake: LakeId,
    at: ReadAt,
    ids: &str,
) -> Result<HashMap<i64, TableVersion>, LakeError> {
    let until = match at {
        ReadAt::Head => i64::MAX,
        ReadAt::Snapshot(snapshot) => number(snapshot),
    };
    // What was not yet so in the version doesn't count.
    let past = |moment: &str| format!("CASE WHEN {moment} <= {until} THEN {moment} ELSE 0 END");
    let (ended, merged) = (past("coalesce(end_snapshot, 0)"), past("coalesce(partial_max, 0)"));
    let shape = SHAPE.map(|(of, id)| {
        format!(
            "SELECT {id} AS id, greatest(begin_snapshot, {ended}) AS n FROM {{md}}.{of}
              WHERE {id} IN ({ids}) AND begin_snapshot <= {until}"
        )
    });
    // All that ever happened is looked through only if rows of the tables may stand in the catalog.
    let statement = on(
        lake,
        &format!(
            "WITH made AS (
               SELECT table_id AS id, min(begin_snapshot) AS n,
                      max(try_cast(regexp_extract(path, '^{SAME_ROWS}([0-9]+)_', 1) AS BIGINT)) AS same
                 FROM {{md}}.ducklake_table WHERE table_id IN ({ids}) GROUP BY table_id),
             shape AS (SELECT id, max(n) AS n FROM ({shape}) GROUP BY id),
             filled AS (
               SELECT id, CASE WHEN begin_snapshot = made.n AND made.same IS NOT NULL
                               THEN greatest(made.same, {ended}, CASE WHEN {merged} > made.n THEN {merged} ELSE 0 END)
                               ELSE greatest(begin_snapshot, {ended}, {merged}) END AS n
                 FROM {{md}}.ducklake_data_file JOIN made ON id = table_id WHERE begin_snapshot <= {until}
               UNION ALL
               SELECT table_id, greatest(begin_snapshot, {ended}, {merged})
                 FROM {{md}}.ducklake_delete_file WHERE table_id IN ({ids}) AND begin_snapshot <= {until}
               UNION ALL
               SELECT inlined.id, snapshot_id
                 FROM (SELECT DISTINCT table_id AS id FROM {{md}}.ducklake_inlined_data_tables WHERE table_id IN ({ids})) inlined
                 JOIN {{md}}.ducklake_snapshot_changes ON snapshot_id <= {until}
                  AND regexp_matches(changes_made, '(^|,)inlined_[a-z]+:' || inlined.id || '(,|$)')
               UNION ALL
               SELECT scope_id, CAST(value AS BIGINT) FROM {{md}}.ducklake_metadata
                WHERE key = '{LAST_CHANGE}' AND scope = 'table' AND scope_id IN ({ids}) AND CAST(value AS BIGINT) <= {until}
               UNION ALL
               SELECT id, coalesce(same, n) FROM made)
             SELECT shape.id, any_value(shape.n), max(filled.n)
               FROM shape JOIN filled ON filled.id = shape.id GROUP BY shape.id",
            shape = shape.join(" UNION ALL ")
        ),
    );
    let found = rows(connection, &statement, &[], |row| {
        Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, i64>(2)?))
    })?;
    let snapshot = |number| SnapshotId::new(number).map_err(|error| fault(error.to_string()));
    let version = |(id, schema, rows)| Ok((id, TableVersion { schema: snapshot(schema)?, rows: snapshot(rows)? }));
    found.into_iter().map(version).collect()
}
