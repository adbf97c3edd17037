//! How a lake's tables lie in files, and which snapshots there are.

use chrono::{DateTime, Utc};
use duckdb::Connection;
use gadwall_domain::ids::{LakeId, SnapshotId};
use gadwall_domain::maintenance::MaintenancePolicy;
use gadwall_domain::names::{BucketName, NameError, TableName};
use gadwall_domain::ports::lake::{KeptSnapshot, LakeError, TableCondition};
use gadwall_domain::table::TableRef;

use crate::error::fault;
use crate::structure::{on, rows};

/// The files of the newest version, with the rows deleted from each and the group of those that may be one file: of one
/// shape of the table and one partition.
pub(crate) const LIVE_FILES: &str = "
    SELECT f.table_id, f.data_file_id, f.begin_snapshot, f.record_count, f.file_size_bytes AS bytes,
           coalesce(d.delete_count, 0) AS deleted, d.delete_file_id IS NOT NULL AS has_deletes,
           concat_ws('/', coalesce(f.partition_id, 0),
             coalesce((SELECT max(v.begin_snapshot) FROM {md}.ducklake_schema_versions v
                        WHERE v.table_id = f.table_id AND v.begin_snapshot <= f.begin_snapshot), 0),
             coalesce(p.partition, '')) AS part
      FROM {md}.ducklake_data_file f
      LEFT JOIN {md}.ducklake_delete_file d ON d.data_file_id = f.data_file_id AND d.end_snapshot IS NULL
      LEFT JOIN (SELECT data_file_id, string_agg(coalesce('=' || partition_value, '-'), '/' ORDER BY partition_key_index) AS partition
                   FROM {md}.ducklake_file_partition_value GROUP BY data_file_id) p ON p.data_file_id = f.data_file_id
     WHERE f.end_snapshot IS NULL";

/// Tables by name, measured by a policy.
pub(super) fn tables(
    connection: &Connection,
    lake: LakeId,
    policy: &MaintenancePolicy,
) -> Result<Vec<TableCondition>, LakeError> {
    let (small, least, ratio) = (policy.small_file_size.get(), policy.min_small_files.get(), policy.delete_ratio.get());
    let statement = on(
        lake,
        &format!(
            "WITH live AS ({LIVE_FILES}),
             judged AS (SELECT *, bytes < {small} AS is_small,
                               deleted > 0 AND deleted >= {ratio} * record_count AS is_rewritable,
                               count(*) FILTER (WHERE bytes < {small} AND NOT has_deletes)
                                 OVER (PARTITION BY table_id, part) >= {least} AS is_many
                          FROM live),
             told AS (SELECT table_id, count(*) AS files, sum(bytes) AS bytes, sum(record_count) AS row_count, sum(deleted) AS deleted,
                             count(*) FILTER (WHERE is_small) AS small,
                             count(*) FILTER (WHERE is_small AND is_many AND NOT has_deletes) AS mergeable,
                             coalesce(sum(bytes) FILTER (WHERE is_small AND is_many AND NOT has_deletes), 0) AS mergeable_bytes,
                             count(*) FILTER (WHERE is_rewritable) AS rewritable,
                             coalesce(sum(bytes) FILTER (WHERE is_rewritable), 0) AS rewritable_bytes
                        FROM judged GROUP BY table_id)
             SELECT s.schema_name, t.table_name, coalesce(files, 0)::BIGINT, coalesce(bytes, 0)::BIGINT,
                    coalesce(row_count, 0)::BIGINT, coalesce(deleted, 0)::BIGINT, coalesce(small, 0)::BIGINT,
                    coalesce(mergeable, 0)::BIGINT, coalesce(mergeable_bytes, 0)::BIGINT,
                    coalesce(rewritable, 0)::BIGINT, coalesce(rewritable_bytes, 0)::BIGINT
               FROM {{md}}.ducklake_table t
               JOIN {{md}}.ducklake_schema s ON s.schema_id = t.schema_id AND s.end_snapshot IS NULL
               LEFT JOIN told ON told.table_id = t.table_id
              WHERE t.end_snapshot IS NULL
              ORDER BY lower(s.schema_name), lower(t.table_name)"
        ),
    );
    let read = |row: &duckdb::Row<'_>| {
        let number = |at: usize| row.get::<_, i64>(at).map(i64::unsigned_abs);
        let numbers = (2..11).map(number).collect::<duckdb::Result<Vec<u64>>>()?;
        Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?, numbers))
    };
    let found = rows(connection, &statement, &[], read)?;
    found.into_iter().map(|(bucket, table, numbers)| table_of(&bucket, &table, &numbers)).collect()
}

fn table_of(bucket: &str, table: &str, numbers: &[u64]) -> Result<TableCondition, LakeError> {
    let bad_name = |error: NameError| fault(error.to_string());
    let number = |at: usize| numbers.get(at).copied().unwrap_or_default();
    Ok(TableCondition {
        table: TableRef {
            bucket: BucketName::parse(bucket).map_err(bad_name)?,
            table: TableName::parse(table).map_err(bad_name)?,
        },
        files: number(0),
        bytes: number(1),
        rows: number(2),
        deleted_rows: number(3),
        small_files: number(4),
        mergeable_files: number(5),
        mergeable_bytes: number(6),
        rewritable_files: number(7),
        rewritable_bytes: number(8),
    })
}

/// All snapshots that are kept, oldest first.
pub(super) fn snapshots(connection: &Connection, lake: LakeId) -> Result<Vec<KeptSnapshot>, LakeError> {
    let statement =
        on(lake, "SELECT snapshot_id, epoch_us(snapshot_time) FROM {md}.ducklake_snapshot ORDER BY snapshot_id");
    let found = rows(connection, &statement, &[], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)))?;
    let kept = |(number, micros): (i64, i64)| {
        let committed_at =
            DateTime::<Utc>::from_timestamp_micros(micros).ok_or_else(|| fault("a snapshot's time is out of range"))?;
        let id = SnapshotId::new(number).map_err(|error| fault(error.to_string()))?;
        Ok(KeptSnapshot { id, committed_at })
    };
    found.into_iter().map(kept).collect()
}
