//! A lake's earlier snapshots, as far as they are kept.

use chrono::{DateTime, Utc};
use duckdb::Connection;
use gadwall_domain::commit::{Commit, CommitInfo};
use gadwall_domain::ids::{LakeId, SnapshotId};
use gadwall_domain::names::BucketName;
use gadwall_domain::ports::lake::{DroppedTable, LakeError, SnapshotFilter};
use gadwall_domain::table::TableRef;

use super::{number, on, rows, snapshot, table_ref, time};
use crate::version::ROOT;

const COMMITS: &str = "
    SELECT s.snapshot_id, epoch_us(s.snapshot_time), c.commit_extra_info
      FROM {md}.ducklake_snapshot s LEFT JOIN {md}.ducklake_snapshot_changes c USING (snapshot_id)";

fn commits(
    connection: &Connection,
    lake: LakeId,
    rest: &str,
    parameters: &[&dyn duckdb::ToSql],
) -> Result<Vec<Commit>, LakeError> {
    let found = rows(connection, &on(lake, &format!("{COMMITS} {rest}")), parameters, |row| {
        Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, Option<String>>(2)?))
    })?;
    let commit = |(number, micros, info): (i64, i64, Option<String>)| {
        let info = info.and_then(|text| serde_json::from_str::<CommitInfo>(&text).ok());
        let writes = info.map(|info| info.writes).unwrap_or_default();
        Ok(Commit { snapshot: snapshot(number)?, committed_at: time(micros)?, writes })
    };
    found.into_iter().map(commit).collect()
}

/// One snapshot, if it is kept.
pub(crate) fn one(connection: &Connection, lake: LakeId, wanted: SnapshotId) -> Result<Option<Commit>, LakeError> {
    Ok(commits(connection, lake, "WHERE s.snapshot_id = ?", &[&number(wanted)])?.pop())
}

/// The newest snapshot that was there at a time, unless it is gone: then there is a gap after the one found.
pub(crate) fn snapshot_at(
    connection: &Connection,
    lake: LakeId,
    wanted: DateTime<Utc>,
) -> Result<Option<SnapshotId>, LakeError> {
    let statement = on(
        lake,
        "SELECT max(s.snapshot_id) FILTER (WHERE epoch_us(s.snapshot_time) <= ?),
                min(s.snapshot_id) FILTER (WHERE epoch_us(s.snapshot_time) > ?)
           FROM {md}.ducklake_snapshot s",
    );
    let micros = wanted.timestamp_micros();
    let found = rows(connection, &statement, &[&micros, &micros], |row| {
        Ok((row.get::<_, Option<i64>>(0)?, row.get::<_, Option<i64>>(1)?))
    })?;
    match found.into_iter().next() {
        Some((Some(found), next)) if next.is_none_or(|next| next == found + 1) => snapshot(found).map(Some),
        _ => Ok(None),
    }
}

/// Snapshots, newest first.
pub(crate) fn of_table(
    connection: &Connection,
    lake: LakeId,
    filter: &SnapshotFilter,
) -> Result<Vec<Commit>, LakeError> {
    let before = filter.before.map_or(i64::MAX, number);
    let limit = i64::from(filter.limit);
    let Some(table) = &filter.table else {
        let rest = "WHERE s.snapshot_id < ? ORDER BY s.snapshot_id DESC LIMIT ?";
        return commits(connection, lake, rest, &[&before, &limit]);
    };
    let Some(root) = last_of_name(connection, lake, table)? else { return Ok(Vec::new()) };
    // Every part of a table begins and ends with the snapshots that changed it.
    let ids = format!("SELECT t.table_id FROM {{md}}.ducklake_table t WHERE {ROOT} = {root}");
    let part = |of: &str, key: &str| {
        format!("SELECT unnest([begin_snapshot, end_snapshot]) FROM {{md}}.{of} WHERE {key} IN ({ids})")
    };
    let parts = [
        part("ducklake_table", "table_id"),
        part("ducklake_column", "table_id"),
        part("ducklake_data_file", "table_id"),
        part("ducklake_delete_file", "table_id"),
        part("ducklake_partition_info", "table_id"),
        part("ducklake_sort_info", "table_id"),
        part("ducklake_tag", "object_id"),
        part("ducklake_column_tag", "table_id"),
    ];
    // A file that was merged says of those in it only which was the first and which the last.
    let merged = format!(
        "SELECT x.snapshot_id FROM {{md}}.ducklake_snapshot_changes x
           JOIN ({ids}) line ON regexp_matches(x.changes_made, '(^|,)[a-z_]+:' || line.table_id || '(,|$)')
          WHERE EXISTS (FROM {{md}}.ducklake_data_file f WHERE f.table_id IN ({ids}) AND f.partial_max IS NOT NULL)"
    );
    let rest = format!(
        "WHERE s.snapshot_id < ? AND s.snapshot_id IN ({} UNION ALL {merged}) AND (c.commit_extra_info IS NULL OR c.commit_extra_info NOT LIKE '%\"writes\":[]%')
         ORDER BY s.snapshot_id DESC LIMIT ?",
        parts.join(" UNION ALL ")
    );
    commits(connection, lake, &rest, &[&before, &limit])
}

/// The number that the table keeps which has a name, or had it last.
fn last_of_name(connection: &Connection, lake: LakeId, table: &TableRef) -> Result<Option<i64>, LakeError> {
    let statement = on(
        lake,
        &format!(
            "SELECT {ROOT} FROM {{md}}.ducklake_table t JOIN {{md}}.ducklake_schema s ON s.schema_id = t.schema_id
              WHERE lower(s.schema_name) = ? AND lower(t.table_name) = ? ORDER BY t.begin_snapshot DESC LIMIT 1"
        ),
    );
    let parameters: [&dyn duckdb::ToSql; 2] = [&table.bucket.folded(), &table.table.folded()];
    Ok(rows(connection, &statement, &parameters, |row| row.get(0))?.pop())
}

/// Dropped tables that can be brought back: the last of each name that isn't taken now.
pub(crate) fn dropped(
    connection: &Connection,
    lake: LakeId,
    bucket: Option<&BucketName>,
) -> Result<Vec<DroppedTable>, LakeError> {
    // An entry also ends when its table is renamed or built anew; then another begins in that snapshot.
    let statement = on(
        lake,
        &format!(
            "WITH entry AS (
                SELECT {ROOT} AS root, lower(s.schema_name) AS bucket, lower(t.table_name) AS name,
                       s.schema_name, t.table_name, t.begin_snapshot, t.end_snapshot
                  FROM {{md}}.ducklake_table t JOIN {{md}}.ducklake_schema s ON s.schema_id = t.schema_id),
             gone AS (
                SELECT *, row_number() OVER (PARTITION BY bucket, name ORDER BY end_snapshot DESC) AS age
                  FROM entry e
                 WHERE end_snapshot IS NOT NULL
                   AND NOT EXISTS (FROM entry n WHERE n.root = e.root AND n.begin_snapshot = e.end_snapshot))
             SELECT g.schema_name, g.table_name, g.end_snapshot - 1, epoch_us(x.snapshot_time)
               FROM gone g
               JOIN {{md}}.ducklake_snapshot k ON k.snapshot_id = g.end_snapshot - 1
               JOIN {{md}}.ducklake_snapshot x ON x.snapshot_id = g.end_snapshot
              WHERE g.age = 1
                AND EXISTS (FROM {{md}}.ducklake_schema s WHERE s.end_snapshot IS NULL AND lower(s.schema_name) = g.bucket)
                AND NOT EXISTS (FROM entry n WHERE n.bucket = g.bucket AND n.name = g.name AND n.end_snapshot IS NULL)
                AND (? IS NULL OR g.bucket = ?)
              ORDER BY g.bucket, g.name"
        ),
    );
    let wanted = bucket.map(BucketName::folded);
    let found = rows(connection, &statement, &[&wanted, &wanted], |row| {
        Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?, row.get::<_, i64>(2)?, row.get::<_, i64>(3)?))
    })?;
    let table = |(bucket, table, last, dropped): (String, String, i64, i64)| {
        Ok(DroppedTable { name: table_ref(&bucket, &table)?, last: snapshot(last)?, dropped_at: time(dropped)? })
    };
    found.into_iter().map(table).collect()
}
