//! A lake in memory: the structure, the rows and the commits of each project. It runs no SQL, reads no
//! Parquet, and understands text values of the plain types only.

mod rows;
mod tables;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use gadwall_domain::commit::{Change, Commit, RowCounts, WriteOrigin, WriteRecord};
use gadwall_domain::history::ReadAt;
use gadwall_domain::ids::{LakeId, SnapshotId};
use gadwall_domain::names::{BucketName, TableName};
use gadwall_domain::ports::lake::{
    Committed, DroppedTable, LakeError, LakeHistory, LakeStore, LakeWrite, Purge, PurgeError, PurgeReport,
    SnapshotFilter, StoredBucket, StoredTable, TableProfile, TableReader, WriteError,
};
use gadwall_domain::ports::system::Clock;
use gadwall_domain::query::QueryError;
use gadwall_domain::rows::RowStream;
use gadwall_domain::selection::Selection;
use gadwall_domain::table::TableRef;

use super::FixedClock;
use tables::Buckets;

/// Lakes in memory.
pub struct MemoryLake {
    clock: Arc<dyn Clock>,
    lakes: Mutex<BTreeMap<LakeId, Lake>>,
}

/// One project's lake.
#[derive(Default)]
struct Lake {
    buckets: Buckets,
    commits: Vec<Commit>,
}

impl Lake {
    fn head(&self) -> SnapshotId {
        self.commits.last().map_or(SnapshotId::ZERO, |commit| commit.snapshot)
    }
}

impl fmt::Debug for MemoryLake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MemoryLake")
    }
}

impl Default for MemoryLake {
    fn default() -> Self {
        Self::new(Arc::new(FixedClock::default()))
    }
}

impl MemoryLake {
    /// No lakes; commits get their times from this clock.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, lakes: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<LakeId, Lake>> {
        self.lakes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn look<T>(&self, lake: LakeId, look: impl FnOnce(&Lake) -> T) -> Result<T, LakeError> {
        self.lock().get(&lake).map(look).ok_or(LakeError::NoLake)
    }

    /// Applies a change and writes it down, or does neither.
    fn commit(
        &self,
        lake: LakeId,
        origin: WriteOrigin,
        apply: impl FnOnce(&mut Buckets) -> Result<Change, WriteError>,
    ) -> Result<Committed, WriteError> {
        let mut lakes = self.lock();
        let lake = lakes.get_mut(&lake).ok_or(LakeError::NoLake)?;
        let change = apply(&mut lake.buckets)?;
        let rows = change.counts();
        let number = i64::try_from(lake.commits.len()).unwrap_or(i64::MAX - 1) + 1;
        let snapshot = SnapshotId::new(number).map_err(|error| LakeError::Fault(Box::new(error)))?;
        let writes = vec![WriteRecord { origin, change }];
        lake.commits.push(Commit { snapshot, committed_at: self.clock.now(), writes });
        Ok(Committed { snapshot, rows })
    }
}

#[async_trait]
impl LakeStore for MemoryLake {
    async fn create(&self, lake: LakeId) -> Result<(), LakeError> {
        self.lock().entry(lake).or_default();
        Ok(())
    }

    async fn remove(&self, lake: LakeId) -> Result<(), LakeError> {
        self.lock().remove(&lake);
        Ok(())
    }

    async fn head(&self, lake: LakeId) -> Result<SnapshotId, LakeError> {
        self.look(lake, Lake::head)
    }

    async fn commits_after(&self, lake: LakeId, after: SnapshotId, limit: u32) -> Result<Vec<Commit>, LakeError> {
        self.look(lake, |lake| {
            let later = lake.commits.iter().filter(|commit| commit.snapshot > after);
            later.take(limit as usize).cloned().collect()
        })
    }

    async fn buckets(&self, lake: LakeId, _: ReadAt) -> Result<Vec<StoredBucket>, LakeError> {
        self.look(lake, |lake| lake.buckets.list())
    }

    async fn tables(
        &self,
        lake: LakeId,
        bucket: &BucketName,
        _: ReadAt,
    ) -> Result<Option<Vec<StoredTable>>, LakeError> {
        self.look(lake, |lake| lake.buckets.tables(bucket))
    }

    async fn table(
        &self,
        lake: LakeId,
        bucket: &BucketName,
        table: &TableName,
        _: ReadAt,
    ) -> Result<Option<StoredTable>, LakeError> {
        self.look(lake, |lake| lake.buckets.table(bucket, table))
    }

    async fn write(&self, lake: LakeId, write: LakeWrite, origin: WriteOrigin) -> Result<Committed, WriteError> {
        match write {
            LakeWrite::CreateBucket { bucket, description } => {
                self.commit(lake, origin, |buckets| buckets.create(bucket, description))
            }
            LakeWrite::DropBucket { bucket, cascade } => {
                self.commit(lake, origin, |buckets| buckets.drop_bucket(bucket, cascade))
            }
            LakeWrite::CreateTable { table, schema, .. } => {
                self.commit(lake, origin, |buckets| buckets.create_table(table, &schema))
            }
            LakeWrite::DropTable { table, .. } => self.commit(lake, origin, |buckets| buckets.drop_table(table)),
            LakeWrite::Load { table, schema, rows, .. } => {
                // Rows are read and checked before the lake is touched, as slow ones must not hold it.
                let rows = rows::read(&schema, rows).await?;
                if rows.is_empty() {
                    return Ok(Committed { snapshot: self.head(lake).await?, rows: RowCounts::default() });
                }
                self.commit(lake, origin, |buckets| buckets.append(table, &schema, rows))
            }
            _ => Err(unsupported().into()),
        }
    }

    async fn dry_run(&self, _: LakeId, _: LakeWrite) -> Result<RowCounts, WriteError> {
        Err(unsupported().into())
    }

    async fn purge(&self, _: LakeId, _: Purge, _: Vec<SnapshotId>, _: WriteOrigin) -> Result<PurgeReport, PurgeError> {
        Err(WriteError::from(unsupported()).into())
    }
}

fn unsupported() -> LakeError {
    LakeError::Fault("not in this lake".into())
}

#[async_trait]
impl LakeHistory for MemoryLake {
    async fn snapshot(&self, _: LakeId, _: SnapshotId) -> Result<Option<Commit>, LakeError> {
        Err(unsupported())
    }

    async fn snapshot_at(&self, _: LakeId, _: DateTime<Utc>) -> Result<Option<SnapshotId>, LakeError> {
        Err(unsupported())
    }

    async fn snapshots(&self, _: LakeId, _: SnapshotFilter) -> Result<Vec<Commit>, LakeError> {
        Err(unsupported())
    }

    async fn dropped(&self, _: LakeId, _: Option<BucketName>) -> Result<Vec<DroppedTable>, LakeError> {
        Err(unsupported())
    }
}

#[async_trait]
impl TableReader for MemoryLake {
    async fn rows(
        &self,
        lake: LakeId,
        table: &TableRef,
        selection: Selection,
        _: ReadAt,
        _: Duration,
    ) -> Result<(RowStream, SnapshotId), QueryError> {
        let limit = selection.limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX);
        let rows = self.look(lake, |lake| Ok::<_, QueryError>((lake.buckets.preview(table, limit)?, lake.head())));
        let (rows, head) = rows.map_err(|error| QueryError::Engine(error.to_string()))??;
        let (schema, batches) = (rows.schema(), vec![Ok(rows)]);
        Ok((RowStream { schema, batches: Box::pin(futures_util::stream::iter(batches)) }, head))
    }

    async fn changes(
        &self,
        _: LakeId,
        _: &TableRef,
        _: SnapshotId,
        _: SnapshotId,
        _: Option<u64>,
        _: Duration,
    ) -> Result<RowStream, QueryError> {
        Err(QueryError::Engine("not in this lake".to_owned()))
    }

    async fn profile(&self, _: LakeId, _: &TableRef, _: ReadAt, _: Duration) -> Result<TableProfile, QueryError> {
        Err(QueryError::Engine("not in this lake".to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use gadwall_domain::ports::lake::Lake;

    fn fresh() -> (Arc<dyn Lake>, ()) {
        (Arc::new(MemoryLake::default()), ())
    }

    crate::lake_contract!(fresh());
}
