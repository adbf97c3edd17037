//! The lake's ports, put together from their parts.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use duckdb::Connection;
use gadwall_domain::commit::{Commit, RowCounts, WriteOrigin};
use gadwall_domain::history::{Expected, ReadAt};
use gadwall_domain::ids::{LakeId, SnapshotId};
use gadwall_domain::names::{BucketName, TableName};
use gadwall_domain::ports::lake::{
    Committed, LakeError, LakeStore, LakeWrite, LoadMode, Purge, PurgeError, PurgeReport, QueryEngine, StoredBucket,
    StoredTable, WriteError,
};
use gadwall_domain::ports::system::{BrokenLakes, Health, HealthProbe, LakeProbe};
use gadwall_domain::query::{Query, QueryError, QueryOutput, ReadScope};
use gadwall_domain::rows::RowSource;
use gadwall_domain::schema::TableSchema;
use gadwall_domain::table::TableRef;
use gadwall_domain::view::View;

use crate::area::Area;
use crate::catalogs::Catalogs;
use crate::cloud::CatalogServer;
use crate::commit::{Commit as CommitWork, Load, keys_of};
use crate::config::LakeConfig;
use crate::durable::{FileSync, Fsync};
use crate::engine::{Engine, OpenError, prepare_folder};
use crate::error::{fault, lake_error};
use crate::instance::Serves;
use crate::known::Known;
use crate::profiles::Profiles;
use crate::query::{self, Work};
use crate::root::Lent;
use crate::stage::{Spool, stage};
use crate::structure;
use crate::writer::{Ready, Shared, Writers};
use crate::{area, room};

/// A health check must answer quickly or not at all.
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);
/// How often, and how long, removal waits for readers of the lake to finish.
const REMOVE_RETRY: Duration = Duration::from_millis(50);
const REMOVE_TRIES: u32 = 600;

/// DuckLake on DuckDB files: one engine shared by all projects, a catalog each.
pub struct EmbeddedLakes {
    pub(crate) engine: Arc<Engine>,
    pub(crate) catalogs: Arc<Catalogs>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) writers: Writers,
    pub(crate) profiles: Profiles,
}

impl fmt::Debug for EmbeddedLakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EmbeddedLakes")
    }
}

impl EmbeddedLakes {
    /// Opens the engine. Blocks while DuckDB checks its extensions' signatures (a fraction of a second).
    pub fn open(config: &LakeConfig) -> Result<Self, OpenError> {
        Self::open_with(config, Arc::new(Fsync))
    }

    /// Opens the engine with another way of making files last.
    pub fn open_with(config: &LakeConfig, sync: Arc<dyn FileSync>) -> Result<Self, OpenError> {
        prepare_folder("lakes", &config.lakes_dir, false)?;
        prepare_folder("staging", &config.staging_dir, true)?;
        prepare_folder("spill", &config.spill_dir, true)?;
        let area = area::open(config, Arc::clone(&sync));
        let catalogs = Arc::new(Catalogs::of_files(config, Arc::clone(&area), sync));
        Self::of(config, Serves::Many, catalogs, area, None)
    }

    /// Opens an engine over catalogs that are known.
    pub(crate) fn of(
        config: &LakeConfig,
        serves: Serves,
        catalogs: Arc<Catalogs>,
        area: Arc<dyn Area>,
        turns: Option<Arc<CatalogServer>>,
    ) -> Result<Self, OpenError> {
        let engine = Arc::new(Engine::open(config, serves, Arc::clone(&catalogs))?);
        let shared = Arc::new(Shared { engine: Arc::clone(&engine), catalogs: Arc::clone(&catalogs), area, turns });
        let writers = Writers::new(Arc::clone(&shared), config.writer_queue);
        Ok(Self { engine, catalogs, shared, writers, profiles: Profiles::default() })
    }

    /// Takes rows in, up to what only the writer can do.
    async fn loading(
        &self,
        lake: LakeId,
        table: TableRef,
        schema: TableSchema,
        mode: LoadMode,
        rows: RowSource,
        expected: Expected,
    ) -> Result<Load, WriteError> {
        if mode == LoadMode::Upsert && schema.key_columns().is_empty() {
            return Err(WriteError::NoKey);
        }
        let keys = keys_of(mode);
        let spool = Spool::new(Arc::clone(&self.shared), lake, table.clone(), &schema, keys);
        let rows = stage(spool, &schema, rows, keys).await?;
        Ok(Load { table, schema, mode, expected, rows })
    }

    /// Has something done in the lake's writer's turn.
    pub(crate) async fn submit(&self, lake: LakeId, ready: Ready) -> Result<Committed, WriteError> {
        let done = self.writers.submit(lake, ready).await;
        if let Err(WriteError::Lake(error)) = &done {
            self.catalogs.doubt(lake, error);
        }
        done
    }

    /// Does what needs no turn, as it writes nothing.
    pub(crate) async fn beside<F>(&self, lake: LakeId, work: F) -> Result<Committed, WriteError>
    where
        F: FnOnce(&CommitWork<'_>) -> Result<Committed, WriteError> + Send + 'static,
    {
        let shared = Arc::clone(&self.shared);
        let run = move |connection: &Lent| {
            let lease = shared.catalogs.lease(connection, lake)?;
            Ok(work(&CommitWork::new(&shared, connection, lake, &lease.known)))
        };
        self.engine.run(&self.engine.queries, run).await?
    }

    pub(crate) async fn read<T, F>(&self, lake: LakeId, work: F) -> Result<T, LakeError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, LakeError> + Send + 'static,
    {
        self.read_known(lake, |connection, _| work(connection)).await
    }

    /// The same, with what is known of the lake.
    async fn read_known<T, F>(&self, lake: LakeId, work: F) -> Result<T, LakeError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection, &Known) -> Result<T, LakeError> + Send + 'static,
    {
        let catalogs = Arc::clone(&self.catalogs);
        let leased = move |connection: &Lent| {
            let lease = catalogs.lease(connection, lake)?;
            // One look at the catalog, however many statements it takes. The connection is dropped with it.
            connection.execute_batch("BEGIN TRANSACTION").map_err(|error| lake_error(&error))?;
            let read = work(connection, &lease.known);
            let ended = connection.execute_batch("ROLLBACK").map_err(|error| lake_error(&error));
            let read = read?;
            ended.map(|()| read)
        };
        let read = self.engine.run(&self.engine.catalog, leased).await;
        if let Err(error) = &read {
            self.catalogs.doubt(lake, error);
        }
        read
    }

    /// What is known of a lake that nobody else writes to.
    fn own(&self, lake: LakeId) -> Option<Arc<Known>> {
        if self.catalogs.are_own() { self.catalogs.known(lake) } else { None }
    }
}

/// Whether a version isn't there, or not any more.
fn is_gone(connection: &Connection, lake: LakeId, at: ReadAt) -> Result<bool, LakeError> {
    match at {
        ReadAt::Head => Ok(false),
        ReadAt::Snapshot(snapshot) => Ok(!structure::is_kept(connection, lake, snapshot)?),
    }
}

#[async_trait]
impl LakeStore for EmbeddedLakes {
    async fn create(&self, lake: LakeId) -> Result<(), LakeError> {
        let catalogs = Arc::clone(&self.catalogs);
        self.engine.run(&self.engine.catalog, move |connection| catalogs.create(connection, lake)).await
    }

    async fn remove(&self, lake: LakeId) -> Result<u64, LakeError> {
        for _ in 0..REMOVE_TRIES {
            let catalogs = Arc::clone(&self.catalogs);
            let removed =
                self.engine.run(&self.engine.catalog, move |connection| catalogs.remove(connection, lake)).await;
            match removed {
                Err(LakeError::Busy) => tokio::time::sleep(REMOVE_RETRY).await,
                done => return done,
            }
        }
        Err(LakeError::Busy)
    }

    async fn head(&self, lake: LakeId) -> Result<SnapshotId, LakeError> {
        if let Some(stands) = self.own(lake).and_then(|known| known.standing().at) {
            return Ok(stands);
        }
        self.read_known(lake, move |connection, known| known.find_out(|| structure::head(connection, lake))).await
    }

    fn known_head(&self, lake: LakeId) -> Option<SnapshotId> {
        self.catalogs.known(lake)?.head()
    }

    async fn commits_after(&self, lake: LakeId, after: SnapshotId, limit: u32) -> Result<Vec<Commit>, LakeError> {
        let known = self.catalogs.known(lake).and_then(|known| known.commits_after(after, limit as usize));
        if let Some(commits) = known {
            return Ok(commits);
        }
        self.read(lake, move |connection| structure::commits_after(connection, lake, after, limit)).await
    }

    async fn buckets(&self, lake: LakeId, at: ReadAt) -> Result<Vec<StoredBucket>, LakeError> {
        let read = move |connection: &Connection| {
            if is_gone(connection, lake, at)? { Ok(Vec::new()) } else { structure::buckets(connection, lake, at) }
        };
        self.read(lake, read).await
    }

    async fn kept_bytes(&self, lake: LakeId) -> Result<Option<u64>, LakeError> {
        self.read(lake, move |connection| structure::kept_bytes(connection, lake)).await.map(Some)
    }

    async fn tables(
        &self,
        lake: LakeId,
        bucket: &BucketName,
        at: ReadAt,
    ) -> Result<Option<Vec<StoredTable>>, LakeError> {
        let bucket = bucket.clone();
        let counts = self.catalogs.inlines() || at != ReadAt::Head;
        let read = move |connection: &Connection| {
            if is_gone(connection, lake, at)? || structure::bucket(connection, lake, &bucket, at)?.is_none() {
                return Ok(None);
            }
            let mut tables = structure::tables(connection, lake, &bucket, None, at)?;
            if counts {
                tables.iter_mut().try_for_each(|table| structure::count_rows(connection, lake, table, at))?;
            }
            Ok(Some(tables))
        };
        self.read(lake, read).await
    }

    async fn table(
        &self,
        lake: LakeId,
        bucket: &BucketName,
        table: &TableName,
        at: ReadAt,
    ) -> Result<Option<StoredTable>, LakeError> {
        let wanted = TableRef { bucket: bucket.clone(), table: table.clone() };
        // The newest version is always kept, and nothing in it changes.
        if let (ReadAt::Snapshot(snapshot), Some(known)) = (at, self.own(lake))
            && known.standing().at == Some(snapshot)
            && let Some(kept) = known.settled.version(snapshot).table(&wanted)
        {
            return Ok(Some(kept));
        }
        let counts = self.catalogs.inlines() || at != ReadAt::Head;
        let read = move |connection: &Connection, known: &Known| {
            if is_gone(connection, lake, at)? {
                return Ok(None);
            }
            let version = match at {
                ReadAt::Head => None,
                ReadAt::Snapshot(snapshot) => Some(known.settled.version(snapshot)),
            };
            if let Some(kept) = version.and_then(|version| version.table(&wanted)) {
                return Ok(Some(kept));
            }
            let mut found = structure::tables(connection, lake, &wanted.bucket, Some(&wanted.table), at)?.pop();
            if let Some(table) = found.as_mut().filter(|_| counts) {
                structure::count_rows(connection, lake, table, at)?;
            }
            if let (Some(version), Some(table)) = (version, &found) {
                version.keep_table(table);
            }
            Ok(found)
        };
        self.read_known(lake, read).await
    }

    async fn views(
        &self,
        lake: LakeId,
        bucket: &BucketName,
        view: Option<&TableName>,
        at: ReadAt,
    ) -> Result<Vec<View>, LakeError> {
        let (bucket, view) = (bucket.clone(), view.cloned());
        let read = move |connection: &Connection| {
            if is_gone(connection, lake, at)? {
                return Ok(Vec::new());
            }
            structure::views(connection, lake, &bucket, view.as_ref(), at)
        };
        self.read(lake, read).await
    }

    async fn write(&self, lake: LakeId, write: LakeWrite, origin: WriteOrigin) -> Result<Committed, WriteError> {
        let ready = match write {
            LakeWrite::Load { table, schema, mode, rows, expected } => {
                Ready::Load(Box::new(self.loading(lake, table, schema, mode, rows, expected).await?), origin)
            }
            change => {
                let area = Arc::clone(&self.shared.area);
                Ready::Alone(Box::new(move |commit| {
                    if !room::frees(&change) {
                        area.require_room()?;
                    }
                    commit.change(&change, &origin)
                }))
            }
        };
        self.submit(lake, ready).await
    }

    async fn dry_run(&self, lake: LakeId, write: LakeWrite) -> Result<RowCounts, WriteError> {
        match write {
            LakeWrite::Load { table, schema, mode, rows, expected } => {
                let load = self.loading(lake, table, schema, mode, rows, expected).await?;
                let shared = Arc::clone(&self.shared);
                let look = move |connection: &Lent| {
                    let lease = shared.catalogs.lease(connection, lake)?;
                    Ok(CommitWork::new(&shared, connection, lake, &lease.known).would_load(&load))
                };
                self.engine.run(&self.engine.staging, look).await?
            }
            change => {
                let ready = Ready::Alone(Box::new(move |commit| commit.try_change(&change)));
                Ok(self.submit(lake, ready).await?.rows)
            }
        }
    }

    async fn purge(
        &self,
        lake: LakeId,
        purge: Purge,
        held: Vec<SnapshotId>,
        origin: WriteOrigin,
    ) -> Result<PurgeReport, PurgeError> {
        let (tell, told) = tokio::sync::oneshot::channel();
        let work = move |commit: &CommitWork<'_>| {
            let purged = commit.purge(&purge, &held, &origin);
            let snapshot = purged.as_ref().map_or(SnapshotId::ZERO, |report| report.snapshot);
            let _ = tell.send(purged);
            Ok(Committed { snapshot, rows: RowCounts::default() })
        };
        self.submit(lake, Ready::Alone(Box::new(work))).await?;
        told.await.unwrap_or_else(|_| Err(WriteError::from(fault("the purge ended before it answered")).into()))
    }
}

#[async_trait]
impl QueryEngine for EmbeddedLakes {
    async fn query(&self, scope: ReadScope, query: Query) -> Result<QueryOutput, QueryError> {
        let (lake, timeout) = (scope.lake, query.timeout);
        query::start(&self.engine, &self.catalogs, lake, Work::Checked { scope, query }, timeout).await
    }
}

#[async_trait]
impl HealthProbe for EmbeddedLakes {
    async fn check(&self) -> Health {
        let look = self.engine.run(&self.engine.catalog, |connection| {
            connection.query_row("SELECT 42", [], |row| row.get::<_, i64>(0)).map_err(|error| lake_error(&error))
        });
        let detail = match tokio::time::timeout(PROBE_TIMEOUT, look).await {
            Ok(Ok(_)) => None,
            Ok(Err(LakeError::Busy)) => Some("the engine is busy".to_owned()),
            Ok(Err(_)) => Some("the engine does not answer queries".to_owned()),
            Err(_) => Some("the engine did not answer in time".to_owned()),
        };
        Health { name: "engine", ok: detail.is_none(), detail }
    }
}

#[async_trait]
impl LakeProbe for EmbeddedLakes {
    async fn broken(&self, limit: usize) -> BrokenLakes {
        let catalogs = Arc::clone(&self.catalogs);
        if !catalogs.any_broken() {
            return BrokenLakes::default();
        }
        let look = self.engine.run(&self.engine.catalog, move |connection| Ok(catalogs.broken(connection, limit)));
        match tokio::time::timeout(PROBE_TIMEOUT, look).await {
            Ok(Ok(broken)) => broken,
            // The engine's own probe tells what is wrong with it.
            _ => self.catalogs.known_broken(limit),
        }
    }
}
