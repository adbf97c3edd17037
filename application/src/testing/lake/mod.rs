//! A lake in memory: every version of each project's tables, as values. It runs no SQL, reads no Parquet, and
//! understands text values of the plain types only. Kept simple, as it is also what other lakes are compared with.

mod alter;
mod change;
mod checks;
mod filter;
mod maintain;
mod measure;
mod past;
mod profile;
mod read;
mod restore;
mod rows;
mod state;
mod values;
mod views;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use gadwall_domain::commit::{Change, Commit, RowCounts, WriteOrigin};
use gadwall_domain::history::ReadAt;
use gadwall_domain::ids::{LakeId, SnapshotId};
use gadwall_domain::names::{BucketName, TableName};
use gadwall_domain::ports::lake::{
    Committed, DroppedTable, LakeError, LakeHistory, LakeStore, LakeWrite, LoadMode, Measured, Measuring, Purge,
    PurgeError, PurgeReport, SnapshotFilter, StoredBucket, StoredTable, TableProfile, TableReader, WriteError,
};
use gadwall_domain::ports::system::Clock;
use gadwall_domain::query::QueryError;
use gadwall_domain::rows::RowStream;
use gadwall_domain::selection::Selection;
use gadwall_domain::table::TableRef;
use gadwall_domain::view::View;

use super::FixedClock;
use change::Target;
use past::Lake;
use rows::Loaded;
use state::State;

/// Lakes in memory.
pub struct MemoryLake {
    clock: Arc<dyn Clock>,
    lakes: Mutex<BTreeMap<LakeId, Lake>>,
    shared: bool,
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

/// A write that needs nothing of the outside any more.
enum Ready {
    /// Rows that were read and checked.
    Load(Target, LoadMode, Loaded),
    /// Any other.
    Other(LakeWrite),
}

impl MemoryLake {
    /// No lakes; commits get their times from this clock.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, lakes: Mutex::default(), shared: false }
    }

    /// The same, to which several servers write.
    #[must_use]
    pub fn shared(self) -> Self {
        Self { shared: true, ..self }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<LakeId, Lake>> {
        self.lakes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn look<T>(&self, lake: LakeId, look: impl FnOnce(&Lake) -> T) -> Result<T, LakeError> {
        self.lock().get(&lake).map(look).ok_or(LakeError::NoLake)
    }

    fn query<T>(&self, lake: LakeId, query: impl FnOnce(&Lake) -> Result<T, QueryError>) -> Result<T, QueryError> {
        self.look(lake, query).map_err(|error| QueryError::Engine(error.to_string()))?
    }
}

/// Reads what comes from outside. Slow rows must not hold the lake.
async fn prepare(write: LakeWrite) -> Result<Ready, WriteError> {
    let LakeWrite::Load { table, schema, mode, rows, expected } = write else { return Ok(Ready::Other(write)) };
    if mode == LoadMode::Upsert && schema.primary_key().is_none() {
        return Err(WriteError::NoKey);
    }
    let loaded = rows::read(&schema, rows).await?;
    match mode {
        LoadMode::Upsert => {}
        LoadMode::Append | LoadMode::Replace => rows::refuse_duplicates(rows::twice(&schema, loaded.rows.iter()))?,
    }
    Ok(Ready::Load(Target { table, schema, expected }, mode, loaded))
}

/// The state after a write, and what it changed; `None` when nothing was touched.
fn apply(lake: &Lake, write: Ready) -> Result<(State, Option<Change>), WriteError> {
    let now = lake.next()?;
    let (_, head) = lake.at(ReadAt::Head).ok_or(LakeError::NoLake)?;
    let mut state = head.clone();
    let write = match write {
        Ready::Other(write) => write,
        Ready::Load(target, mode, loaded) => {
            let change = state.load(target, mode, loaded, now)?;
            return Ok((state, change));
        }
    };
    let change = match write {
        LakeWrite::CreateBucket { bucket, description } => state.create(bucket, description)?,
        LakeWrite::DropBucket { bucket, cascade } => state.drop_bucket(bucket, cascade)?,
        LakeWrite::CreateTable { table, schema, layout } => state.create_table(table, &schema, layout, now)?,
        LakeWrite::DropTable { table, expected } => state.drop_table(table, expected)?,
        LakeWrite::RenameTable { table, to, expected } => state.rename_table(table, to, expected, now)?,
        LakeWrite::Alter { table, schema, alteration, expected } => {
            state.alter(table, &schema, alteration, expected, now)?
        }
        LakeWrite::Delete { table, schema, filter, expected } => {
            let change = state.delete(Target { table, schema, expected }, filter.as_ref(), now)?;
            return Ok((state, change));
        }
        LakeWrite::Update { table, schema, filter, set, expected } => {
            let change = state.update(Target { table, schema, expected }, filter.as_ref(), &set, now)?;
            return Ok((state, change));
        }
        LakeWrite::Restore { table, from, schema, expected } => {
            lake.restore(&mut state, table, from, &schema, expected)?
        }
        LakeWrite::Undelete { table, from, schema } => lake.undelete(&mut state, table, from, &schema)?,
        LakeWrite::RegisterFiles { files, .. } => {
            let file = files.into_iter().next().map(|file| file.name).unwrap_or_default();
            return Err(WriteError::BadFile { file, reason: "can't be read by a lake in memory".to_owned() });
        }
        LakeWrite::Load { .. } => return Err(LakeError::Fault("a load is prepared first".into()).into()),
    };
    Ok((state, Some(change)))
}

#[async_trait]
impl LakeStore for MemoryLake {
    async fn create(&self, lake: LakeId) -> Result<(), LakeError> {
        let now = self.clock.now();
        self.lock().entry(lake).or_insert_with(|| Lake::new(now));
        Ok(())
    }

    /// A lake in memory has no files.
    async fn remove(&self, lake: LakeId) -> Result<u64, LakeError> {
        self.lock().remove(&lake);
        Ok(0)
    }

    fn is_shared(&self) -> bool {
        self.shared
    }

    async fn head(&self, lake: LakeId) -> Result<SnapshotId, LakeError> {
        self.look(lake, Lake::head)
    }

    async fn commits_after(&self, lake: LakeId, after: SnapshotId, limit: u32) -> Result<Vec<Commit>, LakeError> {
        self.look(lake, |lake| lake.commits_after(after, limit))
    }

    async fn kept_bytes(&self, _lake: LakeId) -> Result<Option<u64>, LakeError> {
        Ok(None)
    }

    async fn buckets(&self, lake: LakeId, at: ReadAt) -> Result<Vec<StoredBucket>, LakeError> {
        self.look(lake, |lake| lake.at(at).map(|(_, state)| state.list()).unwrap_or_default())
    }

    async fn tables(
        &self,
        lake: LakeId,
        bucket: &BucketName,
        at: ReadAt,
    ) -> Result<Option<Vec<StoredTable>>, LakeError> {
        self.look(lake, |lake| lake.at(at)?.1.tables(bucket))
    }

    async fn table(
        &self,
        lake: LakeId,
        bucket: &BucketName,
        table: &TableName,
        at: ReadAt,
    ) -> Result<Option<StoredTable>, LakeError> {
        self.look(lake, |lake| lake.at(at)?.1.table(bucket, table))
    }

    async fn views(
        &self,
        lake: LakeId,
        bucket: &BucketName,
        view: Option<&TableName>,
        at: ReadAt,
    ) -> Result<Vec<View>, LakeError> {
        self.look(lake, |lake| lake.at(at).map(|(_, state)| state.views(bucket, view)).unwrap_or_default())
    }

    async fn write(&self, lake: LakeId, write: LakeWrite, origin: WriteOrigin) -> Result<Committed, WriteError> {
        let ready = prepare(write).await?;
        let mut lakes = self.lock();
        let lake = lakes.get_mut(&lake).ok_or(LakeError::NoLake)?;
        match apply(lake, ready)? {
            (state, Some(change)) => Ok(lake.append(lake.next()?, state, change, origin, self.clock.now())),
            (_, None) => Ok(Committed { snapshot: lake.head(), rows: RowCounts::default() }),
        }
    }

    async fn dry_run(&self, lake: LakeId, write: LakeWrite) -> Result<RowCounts, WriteError> {
        let ready = prepare(write).await?;
        let (_, change) = self.look(lake, |lake| apply(lake, ready))??;
        Ok(change.map(|change| change.counts()).unwrap_or_default())
    }

    async fn purge(
        &self,
        lake: LakeId,
        purge: Purge,
        held: Vec<SnapshotId>,
        origin: WriteOrigin,
    ) -> Result<PurgeReport, PurgeError> {
        let mut lakes = self.lock();
        let lake = lakes.get_mut(&lake).ok_or(WriteError::Lake(LakeError::NoLake))?;
        lake.purge(purge, &held, origin, self.clock.now())
    }
}

#[async_trait]
impl LakeHistory for MemoryLake {
    async fn snapshot(&self, lake: LakeId, snapshot: SnapshotId) -> Result<Option<Commit>, LakeError> {
        self.look(lake, |lake| lake.versions.get(&snapshot).map(|version| version.commit.clone()))
    }

    async fn snapshot_at(&self, lake: LakeId, time: DateTime<Utc>) -> Result<Option<SnapshotId>, LakeError> {
        self.look(lake, |lake| lake.snapshot_at(time))
    }

    async fn snapshots(&self, lake: LakeId, filter: SnapshotFilter) -> Result<Vec<Commit>, LakeError> {
        self.look(lake, |lake| lake.snapshots(&filter))
    }

    async fn dropped(&self, lake: LakeId, bucket: Option<BucketName>) -> Result<Vec<DroppedTable>, LakeError> {
        self.look(lake, |lake| lake.dropped(bucket.as_ref()))
    }
}

#[async_trait]
impl TableReader for MemoryLake {
    async fn rows(
        &self,
        lake: LakeId,
        table: &TableRef,
        selection: Selection,
        at: ReadAt,
        _: Duration,
    ) -> Result<(RowStream, SnapshotId), QueryError> {
        self.query(lake, |lake| {
            let (snapshot, stored) = read::find(lake, table, at)?;
            Ok((read::stream(read::select(stored, &selection)?), snapshot))
        })
    }

    async fn changes(
        &self,
        lake: LakeId,
        table: &TableRef,
        from: SnapshotId,
        to: SnapshotId,
        limit: Option<u64>,
        _: Duration,
    ) -> Result<RowStream, QueryError> {
        self.query(lake, |lake| Ok(read::stream(read::changes(lake, table, from, to, limit)?)))
    }

    async fn measure(&self, lake: LakeId, measuring: Measuring, _: Duration) -> Result<Measured, QueryError> {
        self.query(lake, |lake| {
            let (snapshot, stored) = read::find(lake, &measuring.table, ReadAt::Head)?;
            Ok(measure::measure(stored, snapshot, &measuring))
        })
    }

    async fn profile(
        &self,
        lake: LakeId,
        table: &TableRef,
        at: ReadAt,
        _: Duration,
    ) -> Result<TableProfile, QueryError> {
        self.query(lake, |lake| {
            let (snapshot, stored) = read::find(lake, table, at)?;
            Ok(profile::profile(stored, snapshot))
        })
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

    mod maintenance {
        use std::sync::Arc;

        use super::MemoryLake;
        use crate::testing::contract::maintenance::MaintainedLake;

        fn fresh() -> (Arc<dyn MaintainedLake>, ()) {
            (Arc::new(MemoryLake::default()), ())
        }

        crate::maintenance_contract!(fresh());
    }

    mod views {
        use std::sync::Arc;

        use super::MemoryLake;
        use crate::testing::contract::views::ViewLake;

        fn fresh() -> (Arc<dyn ViewLake>, ()) {
            (Arc::new(MemoryLake::default()), ())
        }

        crate::views_contract!(fresh());
    }
}
