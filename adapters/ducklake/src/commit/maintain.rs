//! Files that are written anew with the rows they have, and snapshots that end.

use std::time::SystemTime;

use gadwall_domain::commit::{Change, WriteOrigin, WriteRecord};
use gadwall_domain::ids::SnapshotId;
use gadwall_domain::maintenance::MaintenancePolicy;
use gadwall_domain::ports::lake::{Files, LakeError, SliceReport, WriteError};
use gadwall_domain::table::TableRef;

use super::Commit;
use crate::error::fault;
use crate::maintenance::LIVE_FILES;
use crate::structure::told::{self, Told};
use crate::structure::{on, rows};
use crate::version;
use crate::{sql, structure};

/// Files that are merged into one in a slice: each costs memory before the first byte is read.
const MERGED_AT_ONCE: u64 = 500;
/// Bytes of files that are written anew in a slice, unless one alone has more, or many have the same share of deleted rows.
const REWRITTEN_AT_ONCE: u64 = 256 << 20;
/// In front of the first file's number.
const NO_FILE: i64 = -1;
/// Shares are computed from the same two numbers here and there; this much they may differ.
const EXACT: f64 = 1e-9;

impl Commit<'_> {
    /// Merges small files of a table.
    pub(crate) fn merge_files(
        &self,
        table: &TableRef,
        policy: &MaintenancePolicy,
        origin: &WriteOrigin,
    ) -> Result<SliceReport, WriteError> {
        self.insist(|| {
            let told = self.named(table)?;
            let Some(target) = self.merge_target(&told, policy)? else { return Ok(SliceReport::default()) };
            let [catalog, bucket, table] = self.quoted(&told);
            let option = |bytes: u64| {
                format!(
                    "CALL ducklake_set_option({catalog}, 'target_file_size', '{bytes}B', table_name => {table}, schema => {bucket})"
                )
            };
            let call = format!(
                "CALL ducklake_merge_adjacent_files({catalog}, {table}, schema => {bucket},
                   max_compacted_files => 1, max_file_size => {})",
                policy.small_file_size.get()
            );
            self.compact(&told, origin, || {
                // Nothing else bounds how many files are read for one that is written.
                self.execute(&option(target))?;
                let merged = self.compacted(&call)?;
                self.execute(&option(policy.target_file_size.get()))?;
                Ok(merged)
            })
        })
    }

    /// How large merged files may become in a slice; none if there is nothing worth being merged.
    fn merge_target(&self, told: &Told, policy: &MaintenancePolicy) -> Result<Option<u64>, LakeError> {
        let statement = on(
            self.lake,
            &format!(
                "WITH live AS ({LIVE_FILES}),
                 small AS (SELECT part, bytes, row_number() OVER (PARTITION BY part ORDER BY begin_snapshot, data_file_id) AS place
                             FROM live WHERE table_id = {} AND bytes < {} AND NOT has_deletes)
                 SELECT count(*)::BIGINT, (sum(bytes) FILTER (WHERE place <= {MERGED_AT_ONCE}))::BIGINT
                   FROM small GROUP BY part HAVING count(*) >= {}",
                told.id,
                policy.small_file_size.get(),
                policy.min_small_files.get()
            ),
        );
        let groups = rows(self.connection, &statement, &[], |row| {
            Ok((row.get::<_, i64>(0)?.unsigned_abs(), row.get::<_, i64>(1)?.unsigned_abs()))
        })?;
        if groups.is_empty() {
            return Ok(None);
        }
        let bounds = groups.iter().filter(|(files, _)| *files > MERGED_AT_ONCE).map(|(_, bytes)| *bytes);
        Ok(Some(bounds.fold(policy.target_file_size.get(), u64::min)))
    }

    /// Writes files of a table anew that have many deleted rows.
    pub(crate) fn rewrite_deleted(
        &self,
        table: &TableRef,
        policy: &MaintenancePolicy,
        origin: &WriteOrigin,
    ) -> Result<SliceReport, WriteError> {
        self.insist(|| {
            let told = self.named(table)?;
            let Some(share) = self.worst_share(&told, policy)? else { return Ok(SliceReport::default()) };
            let [catalog, bucket, table] = self.quoted(&told);
            let call = format!(
                "CALL ducklake_rewrite_data_files({catalog}, {table}, schema => {bucket}, delete_threshold => {share})"
            );
            self.compact(&told, origin, || self.compacted(&call))
        })
    }

    /// The share of deleted rows from which on files are written anew in this slice; none if there are none.
    fn worst_share(&self, told: &Told, policy: &MaintenancePolicy) -> Result<Option<f64>, LakeError> {
        let statement = on(
            self.lake,
            &format!(
                "WITH live AS ({LIVE_FILES})
                 SELECT bytes, deleted::DOUBLE / record_count AS share
                   FROM live WHERE table_id = {} AND deleted > 0 AND deleted >= {} * record_count
                  ORDER BY share DESC",
                told.id,
                policy.delete_ratio.get()
            ),
        );
        let files = rows(self.connection, &statement, &[], |row| {
            Ok((row.get::<_, i64>(0)?.unsigned_abs(), row.get::<_, f64>(1)?))
        })?;
        let (mut bytes, mut worst) = (0, None);
        for (size, share) in files {
            bytes += size;
            if worst.is_some() && bytes > REWRITTEN_AT_ONCE {
                break;
            }
            worst = Some((share - EXACT).max(0.0));
        }
        Ok(worst)
    }

    /// Runs what writes files anew as one commit that says so; `work` answers how many files it took and made.
    fn compact(
        &self,
        told: &Told,
        origin: &WriteOrigin,
        work: impl Fn() -> Result<(u64, u64), WriteError>,
    ) -> Result<SliceReport, WriteError> {
        let (before, last, started) = (self.live_after(told, NO_FILE)?, self.last_file()?, SystemTime::now());
        let done = self.transaction_of_rows(|| {
            let (removed, made) = work()?;
            if removed == 0 {
                return Ok(None);
            }
            let change = Change::FilesCompacted { table: told.name.clone(), removed, made };
            self.say(vec![WriteRecord::new(origin.clone(), change)])?;
            self.make_files_last(&*self.shape(&told.name)?, started)?;
            Ok(Some((removed, made)))
        })?;
        let Some(((removed, made), snapshot)) = done else { return Ok(SliceReport::default()) };
        let (after, new) = (self.live_after(told, NO_FILE)?, self.live_after(told, last)?);
        let taken = (before.bytes + new.bytes).saturating_sub(after.bytes);
        Ok(SliceReport {
            snapshot: Some(snapshot),
            removed: Files { files: removed, bytes: taken },
            made: Files { files: made, bytes: new.bytes },
            more: true,
            ..SliceReport::default()
        })
    }

    /// Files that a call took and made.
    fn compacted(&self, call: &str) -> Result<(u64, u64), WriteError> {
        let answers = rows(self.connection, call, &[], |row| {
            Ok((row.get::<_, i64>(2)?.unsigned_abs(), row.get::<_, i64>(3)?.unsigned_abs()))
        })?;
        Ok(answers.into_iter().fold((0, 0), |(removed, made), (took, gave)| (removed + took, made + gave)))
    }

    fn named(&self, table: &TableRef) -> Result<Told, WriteError> {
        let told = told::named(self.connection, self.lake, table, gadwall_domain::history::ReadAt::Head)?;
        told.ok_or(WriteError::NoTable)
    }

    /// The names of the catalog, the bucket and the table, as calls take them.
    fn quoted(&self, told: &Told) -> [String; 3] {
        let (catalog, name) = (sql::catalog(self.lake), &told.name);
        [&*catalog, name.bucket.as_str(), name.table.as_str()].map(sql::text)
    }

    /// The number of the lake's last file.
    fn last_file(&self) -> Result<i64, LakeError> {
        let statement = on(self.lake, "SELECT max(data_file_id)::BIGINT FROM {md}.ducklake_data_file");
        let last = rows(self.connection, &statement, &[], |row| row.get::<_, Option<i64>>(0))?.pop();
        Ok(last.flatten().unwrap_or(NO_FILE))
    }

    /// The files of a table's newest version that came after one.
    fn live_after(&self, told: &Told, last: i64) -> Result<Files, LakeError> {
        let statement = on(
            self.lake,
            "SELECT count(*)::BIGINT, coalesce(sum(file_size_bytes), 0)::BIGINT
               FROM {md}.ducklake_data_file WHERE table_id = ? AND end_snapshot IS NULL AND data_file_id > ?",
        );
        Ok(rows(self.connection, &statement, &[&told.id, &last], files_of)?.pop().unwrap_or_default())
    }

    /// Ends snapshots.
    pub(crate) fn expire(&self, snapshots: &[SnapshotId]) -> Result<SliceReport, WriteError> {
        let head = structure::head(self.connection, self.lake)?;
        let kept = told::kept(self.connection, self.lake)?;
        let gone: Vec<SnapshotId> =
            snapshots.iter().copied().filter(|at| *at < head && kept.binary_search(at).is_ok()).collect();
        if gone.is_empty() {
            return Ok(SliceReport::default());
        }
        // What began and ended in snapshots that are gone is forgotten with them, but not when tables last changed.
        version::keep(self.connection, self.lake)?;
        let list = gone.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let catalog = sql::text(&sql::catalog(self.lake));
        {
            let _changing = self.changing();
            self.execute(&format!("CALL ducklake_expire_snapshots({catalog}, versions => [{list}])"))?;
        }
        self.make_log_last()?;
        let left = told::kept(self.connection, self.lake)?;
        if let Some(still) = gone.iter().find(|at| left.binary_search(at).is_ok()) {
            return Err(fault(format!("snapshot {still} is still there")).into());
        }
        Ok(SliceReport { expired: gone.len() as u64, ..SliceReport::default() })
    }
}

fn files_of(row: &duckdb::Row<'_>) -> duckdb::Result<Files> {
    Ok(Files { files: row.get::<_, i64>(0)?.unsigned_abs(), bytes: row.get::<_, i64>(1)?.unsigned_abs() })
}
