//! A lake in memory: the structure, the rows and the commits of each project. It runs no SQL, reads no
//! Parquet, and understands text values of the plain types only.

mod rows;
mod tables;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use gadwall_domain::commit::{Change, Commit, WriteOrigin, WriteRecord};
use gadwall_domain::ids::{LakeId, SnapshotId};
use gadwall_domain::names::{BucketName, TableName};
use gadwall_domain::ports::lake::{Committed, LakeError, LakeStore, LakeWrite, StoredBucket, StoredTable, WriteError};
use gadwall_domain::ports::system::Clock;
use gadwall_domain::query::QueryError;
use gadwall_domain::rows::RowStream;
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
        let rows = if let Change::RowsAppended { rows, .. } = change { rows } else { 0 };
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

    async fn buckets(&self, lake: LakeId) -> Result<Vec<StoredBucket>, LakeError> {
        self.look(lake, |lake| lake.buckets.list())
    }

    async fn tables(&self, lake: LakeId, bucket: &BucketName) -> Result<Option<Vec<StoredTable>>, LakeError> {
        self.look(lake, |lake| lake.buckets.tables(bucket))
    }

    async fn table(
        &self,
        lake: LakeId,
        bucket: &BucketName,
        table: &TableName,
    ) -> Result<Option<StoredTable>, LakeError> {
        self.look(lake, |lake| lake.buckets.table(bucket, table))
    }

    async fn preview(&self, lake: LakeId, table: &TableRef, limit: u32) -> Result<RowStream, QueryError> {
        let rows = self.look(lake, |lake| lake.buckets.preview(table, limit as usize));
        let rows = rows.map_err(|error| QueryError::Engine(error.to_string()))??;
        let (schema, batches) = (rows.schema(), vec![Ok(rows)]);
        Ok(RowStream { schema, batches: Box::pin(futures_util::stream::iter(batches)) })
    }

    async fn write(&self, lake: LakeId, write: LakeWrite, origin: WriteOrigin) -> Result<Committed, WriteError> {
        match write {
            LakeWrite::CreateBucket { bucket, description } => {
                self.commit(lake, origin, |buckets| buckets.create(bucket, description))
            }
            LakeWrite::DropBucket { bucket, cascade } => {
                self.commit(lake, origin, |buckets| buckets.drop_bucket(bucket, cascade))
            }
            LakeWrite::CreateTable { table, schema } => {
                self.commit(lake, origin, |buckets| buckets.create_table(table, &schema))
            }
            LakeWrite::DropTable { table } => self.commit(lake, origin, |buckets| buckets.drop_table(table)),
            LakeWrite::Append { table, schema, rows } => {
                // Rows are read and checked before the lake is touched, as slow ones must not hold it.
                let rows = rows::read(&schema, rows).await?;
                if rows.is_empty() {
                    return Ok(Committed { snapshot: self.head(lake).await?, rows: 0 });
                }
                self.commit(lake, origin, |buckets| buckets.append(table, &schema, rows))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fresh() -> (Arc<dyn LakeStore>, ()) {
        (Arc::new(MemoryLake::default()), ())
    }

    crate::lake_contract!(fresh());
}
