//! One DuckDB instance: its limits, its sandbox, and its threads.
//!
//! Everything that calls DuckDB runs on a blocking thread, never on the async runtime. Connections are
//! cheap (12 µs), so each piece of work gets a fresh one and leaves no state behind; but for queries of a lake that stands still, which
//! go on in each other's transactions.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use gadwall_domain::ids::LakeId;
use gadwall_domain::ports::lake::LakeError;
use thiserror::Error;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use crate::catalogs::Catalogs;
use crate::config::LakeConfig;
use crate::error::{Scrub, fault, lake_error};
use crate::instance::{self, Serves};
use crate::root::{Lent, ReopenError, Root};
use crate::runtime::MissingExtension;

/// Why the engine didn't start.
#[derive(Debug, Error)]
pub enum OpenError {
    /// An extension is missing.
    #[error(transparent)]
    Extension(#[from] MissingExtension),
    /// A folder can't be made or used.
    #[error("the folder {folder} can't be used: {source}")]
    Folder {
        /// What the folder is for.
        folder: &'static str,
        /// Why.
        source: io::Error,
    },
    /// DuckDB refused.
    #[error("the engine did not start: {0}")]
    Engine(#[from] duckdb::Error),
}

/// Places for work of one kind: so many at once, so many waiting.
pub(crate) struct Lane {
    places: Arc<Semaphore>,
    waiting: AtomicUsize,
    max_waiting: usize,
    timeout: Duration,
}

impl Lane {
    fn new(places: usize, max_waiting: usize, timeout: Duration) -> Self {
        Self { places: Arc::new(Semaphore::new(places)), waiting: AtomicUsize::new(0), max_waiting, timeout }
    }

    /// How many wait.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Waits for a place; `None` when too many wait already or it takes too long.
    pub(crate) async fn enter(&self) -> Option<OwnedSemaphorePermit> {
        if let Ok(permit) = Arc::clone(&self.places).try_acquire_owned() {
            return Some(permit);
        }
        let _counted = Counted::new(&self.waiting, self.max_waiting)?;
        let acquired = tokio::time::timeout(self.timeout, Arc::clone(&self.places).acquire_owned()).await;
        acquired.ok()?.ok()
    }
}

/// Counts a waiter for as long as it waits, also when its future is dropped.
struct Counted<'a>(&'a AtomicUsize);

impl<'a> Counted<'a> {
    fn new(waiting: &'a AtomicUsize, most: usize) -> Option<Self> {
        let before = waiting.fetch_add(1, Ordering::Relaxed);
        let counted = Self(waiting);
        (before < most).then_some(counted)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Batches of rows on their way in, one at a time for each request.
const STAGING_PLACES: usize = 8;
/// Short reads of the catalog.
const CATALOG_PLACES: usize = 16;

pub(crate) struct Engine {
    root: Arc<Root>,
    stages: AtomicU64,
    pub(crate) queries: Lane,
    pub(crate) staging: Lane,
    pub(crate) catalog: Lane,
    pub(crate) scrub: Scrub,
    /// Whether what users' queries take is measured.
    pub(crate) profiling: bool,
}

impl Engine {
    /// Opens the instance.
    ///
    /// One that broke for good is replaced; then no lake is attached any more, which `catalogs` is told.
    pub(crate) fn open(config: &LakeConfig, serves: Serves, catalogs: Arc<Catalogs>) -> Result<Self, OpenError> {
        let hidden = instance::hidden(config);
        let settings = config.clone();
        let open = move || {
            let instance = instance::open(&settings, &serves)?;
            catalogs.forget();
            Ok(instance)
        };
        Ok(Self {
            root: Root::new(Box::new(open))?,
            stages: AtomicU64::new(0),
            queries: Lane::new(config.max_queries, config.max_waiting, config.queue_timeout),
            staging: Lane::new(STAGING_PLACES, config.max_waiting, config.queue_timeout),
            catalog: Lane::new(CATALOG_PLACES, config.max_waiting, config.queue_timeout),
            scrub: Scrub::new(hidden),
            profiling: config.profiling,
        })
    }

    /// A fresh connection. Call it on a blocking thread.
    pub(crate) fn connect(&self) -> Result<Lent, duckdb::Error> {
        self.root.connect()
    }

    /// A connection in a transaction that reads a lake as it is in this turn, if there is one.
    pub(crate) fn reader(&self, lake: LakeId, turn: u64) -> Option<Lent> {
        self.root.reader(lake, turn)
    }

    /// How many transactions wait for a next query.
    #[cfg(test)]
    pub(crate) fn readers(&self) -> usize {
        self.root.readers()
    }

    /// Tells when the instance breaks that is there now.
    pub(crate) fn broken(&self) -> watch::Receiver<u64> {
        self.root.broken()
    }

    /// Whether anything runs on it.
    pub(crate) fn is_busy(&self) -> bool {
        self.root.is_lending()
    }

    /// How many connections are at work.
    pub(crate) fn at_work(&self) -> usize {
        self.root.lending()
    }

    /// Lets work end, closes the instance, and opens another. Blocks.
    pub(crate) fn reopen(&self) -> Result<(), ReopenError> {
        self.root.reopen()
    }

    /// A name that no other staged rows have.
    pub(crate) fn next_stage(&self) -> String {
        format!("stage_{}", self.stages.fetch_add(1, Ordering::Relaxed))
    }

    /// Runs work on a blocking thread with a connection of its own, after waiting for a place in the lane.
    pub(crate) async fn run<T, F>(self: &Arc<Self>, lane: &Lane, work: F) -> Result<T, LakeError>
    where
        T: Send + 'static,
        F: FnOnce(&Lent) -> Result<T, LakeError> + Send + 'static,
    {
        let permit = lane.enter().await.ok_or(LakeError::Busy)?;
        self.run_holding(permit, work).await
    }

    /// Like [`Engine::run`] for work that needs no place: the project's one writer.
    pub(crate) async fn run_exclusive<T, F>(self: &Arc<Self>, work: F) -> Result<T, LakeError>
    where
        T: Send + 'static,
        F: FnOnce(&Lent) -> Result<T, LakeError> + Send + 'static,
    {
        self.run_holding((), work).await
    }

    async fn run_holding<T, F, P>(self: &Arc<Self>, place: P, work: F) -> Result<T, LakeError>
    where
        T: Send + 'static,
        P: Send + 'static,
        F: FnOnce(&Lent) -> Result<T, LakeError> + Send + 'static,
    {
        let engine = Arc::clone(self);
        let span = tracing::Span::current();
        let joined = tokio::task::spawn_blocking(move || {
            let _inside = span.entered();
            let _place = place;
            let connection = engine.connect().map_err(|error| lake_error(&error))?;
            work(&connection)
        })
        .await;
        joined.unwrap_or_else(|panic| Err(fault(format!("work on the engine panicked: {panic}"))))
    }
}

/// Makes a folder, or empties it.
pub(crate) fn prepare_folder(folder: &'static str, path: &Path, emptied: bool) -> Result<(), OpenError> {
    let prepare = || {
        if emptied && path.exists() {
            fs::remove_dir_all(path)?;
        }
        fs::create_dir_all(path)
    };
    prepare().map_err(|source| OpenError::Folder { folder, source })
}
