//! Which lakes are attached: on first use, and the least recently used one makes room. An instance of a single lake has
//! it from the beginning.

mod files;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use gadwall_domain::ids::LakeId;
use gadwall_domain::ports::lake::LakeError;
use gadwall_domain::ports::system::BrokenLakes;

use crate::area::Area;
use crate::config::LakeConfig;
use crate::durable::FileSync;
use crate::engine::Engine;
use crate::error::{EngineFault, Failure, classify, io_error, lake_error, message};
use crate::known::{Known, Standing};
use crate::root::Lent;
use crate::{sql, structure};

pub(crate) use files::CatalogFiles;

/// Lakes that are kept in mind as broken at most.
const MAX_BROKEN: usize = 10_000;
/// Broken lakes that one look at the service's health tries again.
const MAX_TRIED: usize = 4;
/// Attached lakes. An attach happens under the lock: two at once of the same lake would race in DuckLake.
pub(crate) struct Catalogs {
    /// Where they are; none where the instance was opened with the one it has.
    files: Option<CatalogFiles>,
    area: Arc<dyn Area>,
    max_attached: usize,
    inlining_row_limit: u32,
    encrypted: bool,
    attached: Mutex<Attached>,
}

#[derive(Default)]
struct Attached {
    lakes: HashMap<LakeId, Use>,
    /// Lakes that were attached before, though they may not be now.
    known: HashSet<LakeId>,
    /// Lakes that could not be opened when somebody last tried.
    broken: BTreeSet<LakeId>,
    /// Lakes that may hold data files that no snapshot knows.
    unswept: BTreeSet<LakeId>,
    clock: u64,
}

#[derive(Default)]
struct Use {
    leases: usize,
    last: u64,
    known: Arc<Known>,
    /// Whether its catalog turned out to be damaged while it was in use.
    doubtful: bool,
}

/// Keeps a lake attached for as long as it lives.
pub(crate) struct Lease {
    catalogs: Arc<Catalogs>,
    lake: LakeId,
    /// What is known of the lake without asking it.
    pub(crate) known: Arc<Known>,
}

impl Drop for Lease {
    fn drop(&mut self) {
        // What is attached now may be another instance's.
        let mut attached = self.catalogs.lock();
        let entry = attached.lakes.get_mut(&self.lake).filter(|entry| Arc::ptr_eq(&entry.known, &self.known));
        if let Some(entry) = entry {
            entry.leases -= 1;
        }
    }
}

impl Catalogs {
    /// Catalogs in files, of lakes with these data files.
    pub(crate) fn of_files(config: &LakeConfig, area: Arc<dyn Area>, sync: Arc<dyn FileSync>) -> Self {
        Self { files: Some(CatalogFiles::new(config.lakes_dir.clone(), sync)), ..Self::of_instance(config, area) }
    }

    /// The one catalog that an instance is opened with.
    pub(crate) fn of_instance(config: &LakeConfig, area: Arc<dyn Area>) -> Self {
        Self {
            files: None,
            area,
            max_attached: config.max_attached.max(1),
            inlining_row_limit: config.inlining_row_limit,
            encrypted: config.encrypted,
            attached: Mutex::default(),
        }
    }

    /// The files of catalogs that are in files.
    pub(crate) fn files(&self) -> Option<&CatalogFiles> {
        self.files.as_ref()
    }

    /// Whether nobody else writes to the lakes, as their catalogs are files: what is known of one need not be asked.
    pub(crate) fn are_own(&self) -> bool {
        self.files.is_some()
    }

    /// Whether data files are encrypted.
    pub(crate) fn encrypts(&self) -> bool {
        self.encrypted
    }

    pub(crate) fn inlines(&self) -> bool {
        self.inlining_row_limit > 0
    }

    fn lock(&self) -> MutexGuard<'_, Attached> {
        self.attached.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes note that there is a new instance, in which no lake is attached. Nobody holds a lease by then.
    pub(crate) fn forget(&self) {
        self.lock().lakes.clear();
    }

    /// What is known of a lake that is attached, without asking it.
    pub(crate) fn known(&self, lake: LakeId) -> Option<Arc<Known>> {
        self.lock().lakes.get(&lake).map(|entry| Arc::clone(&entry.known))
    }

    /// Makes sure that the lake is attached, and keeps it so while the lease lives. Blocks.
    pub(crate) fn lease(self: &Arc<Self>, connection: &Lent, lake: LakeId) -> Result<Lease, LakeError> {
        let mut attached = self.lock();
        attached.clock += 1;
        let now = attached.clock;
        if attached.lakes.get(&lake).is_some_and(|entry| entry.doubtful && entry.leases == 0) {
            detach(connection, lake)?;
            attached.lakes.remove(&lake);
        }
        if !attached.lakes.contains_key(&lake) {
            let opened = self.open(connection, &mut attached, lake);
            self.note(&mut attached, lake, opened.as_ref().err());
            opened?;
            if attached.known.insert(lake) {
                self.area.clear_incoming(lake);
                attached.unswept.insert(lake);
            }
        }
        let entry = attached.lakes.entry(lake).or_default();
        entry.leases += 1;
        entry.last = now;
        let known = Arc::clone(&entry.known);
        drop(attached);
        Ok(Lease { catalogs: Arc::clone(self), lake, known })
    }

    /// A connection in a transaction that reads the lake as it stands, if one waits, and keeps the lake attached while the lease lives.
    pub(crate) fn reader(self: &Arc<Self>, engine: &Engine, lake: LakeId) -> Option<(Lent, Lease, Standing)> {
        let mut attached = self.lock();
        attached.clock += 1;
        let now = attached.clock;
        let entry = attached.lakes.get_mut(&lake).filter(|entry| !entry.doubtful)?;
        let standing = entry.known.standing();
        // Under the lock, so that it isn't detached in between.
        let connection = engine.reader(lake, standing.turn)?;
        entry.leases += 1;
        entry.last = now;
        let known = Arc::clone(&entry.known);
        drop(attached);
        Some((connection, Lease { catalogs: Arc::clone(self), lake, known }, standing))
    }

    /// Attaches a lake that is there.
    fn open(&self, connection: &Lent, attached: &mut Attached, lake: LakeId) -> Result<(), LakeError> {
        let Some(files) = &self.files else { return Ok(()) };
        files.require_sound(lake)?;
        self.make_room(connection, attached)?;
        self.attach(connection, files, lake, false)?;
        // The engine reads a catalog when it needs to; one that was broken is read as a whole.
        if attached.broken.contains(&lake)
            && let Err(error) = structure::read_all(connection, lake)
        {
            detach(connection, lake)?;
            return Err(LakeError::Damaged(Box::new(EngineFault(error.to_string()))));
        }
        Ok(())
    }

    /// Looks whether a lake's catalog turned out to be damaged while it was used; then it is opened anew.
    pub(crate) fn doubt(&self, lake: LakeId, error: &LakeError) {
        if matches!(error, LakeError::Damaged(_)) {
            let mut attached = self.lock();
            // One that isn't attached was noted when it could not be, or is gone.
            if let Some(entry) = attached.lakes.get_mut(&lake) {
                entry.doubtful = true;
                self.note(&mut attached, lake, Some(error));
            }
        }
    }

    /// Has a lake opened anew before it is used next: its catalog was changed past the engine.
    pub(crate) fn reopen(&self, lake: LakeId) {
        if let Some(entry) = self.lock().lakes.get_mut(&lake) {
            entry.doubtful = true;
        }
    }

    /// Keeps in mind which lakes can't be opened, and tells the operator once of each.
    fn note(&self, attached: &mut Attached, lake: LakeId, error: Option<&LakeError>) {
        let broken = match error {
            Some(LakeError::Damaged(_) | LakeError::ReadOnly(_)) => true,
            // A lake without a folder may be one that was removed.
            Some(LakeError::NoLake) => self.files.as_ref().is_some_and(|files| files.folder(lake).is_dir()),
            // Says nothing about the lake.
            Some(_) => return,
            None => false,
        };
        if !broken {
            if attached.broken.remove(&lake) {
                tracing::info!(lake = %lake.uuid().simple(), "the lake can be opened again");
            }
        } else if attached.broken.len() < MAX_BROKEN && attached.broken.insert(lake) {
            let reason = error
                .map(|error| std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string));
            tracing::error!(
                lake = %lake.uuid().simple(),
                reason,
                "the project's lake can't be opened and is left as it is; put back catalog.ducklake and \
                 catalog.ducklake.wal in its folder below lakes/ from a backup, it is tried again with the next request"
            );
        }
    }

    /// Lakes that may hold data files that no snapshot knows.
    pub(crate) fn unswept(&self, limit: usize) -> Vec<LakeId> {
        self.lock().unswept.iter().take(limit).copied().collect()
    }

    /// Nothing is left of what may have been there.
    pub(crate) fn swept(&self, lake: LakeId) {
        self.lock().unswept.remove(&lake);
    }

    /// A commit failed, and its files may have stayed.
    pub(crate) fn unsweep(&self, lake: LakeId) {
        self.lock().unswept.insert(lake);
    }

    /// Lakes that can't be opened, some of them tried again. Blocks.
    pub(crate) fn broken(self: &Arc<Self>, connection: &Lent, limit: usize) -> BrokenLakes {
        let again: Vec<LakeId> = self.lock().broken.iter().take(MAX_TRIED).copied().collect();
        for lake in again {
            // What comes of it is kept in mind there.
            drop(self.lease(connection, lake));
        }
        self.known_broken(limit)
    }

    /// Lakes that could not be opened when somebody last tried.
    pub(crate) fn known_broken(&self, limit: usize) -> BrokenLakes {
        let attached = self.lock();
        BrokenLakes { first: attached.broken.iter().take(limit).copied().collect(), count: attached.broken.len() }
    }

    pub(crate) fn any_broken(&self) -> bool {
        !self.lock().broken.is_empty()
    }

    /// Makes an empty lake, durably. One that is there already is left as it is. Blocks.
    pub(crate) fn create(self: &Arc<Self>, connection: &Lent, lake: LakeId) -> Result<(), LakeError> {
        let Some(files) = self.files.as_ref().filter(|files| !files.are_there(lake)) else {
            return self.lease(connection, lake).map(drop);
        };
        files.require_room()?;
        let made = self.make(connection, files, lake);
        if made.is_err()
            && let Err(left) = self.remove(connection, lake)
        {
            tracing::warn!(error = %left, lake = %lake.uuid().simple(), "a lake that was not made stays behind");
        }
        made
    }

    fn make(&self, connection: &Lent, files: &CatalogFiles, lake: LakeId) -> Result<(), LakeError> {
        files.make_folder(lake)?;
        self.area.make(lake).map_err(io_error)?;
        {
            let mut attached = self.lock();
            self.make_room(connection, &mut attached)?;
            self.attach(connection, files, lake, true)?;
            attached.lakes.insert(lake, Use::default());
            attached.known.insert(lake);
        }
        files.make_last(lake)
    }

    /// Detaches a lake and deletes all its files; answers how many bytes they had. Blocks; fails with `Busy` while someone
    /// uses it.
    pub(crate) fn remove(&self, connection: &Lent, lake: LakeId) -> Result<u64, LakeError> {
        let mut attached = self.lock();
        if let Some(entry) = attached.lakes.get(&lake) {
            if entry.leases > 0 {
                return Err(LakeError::Busy);
            }
            detach(connection, lake)?;
            attached.lakes.remove(&lake);
        }
        attached.broken.remove(&lake);
        attached.unswept.remove(&lake);
        let catalog = self.files.as_ref().map_or(Ok(0), |files| files.remove(lake))?;
        drop(attached);
        Ok(catalog + self.area.remove_all(lake).map_err(io_error)?)
    }

    fn make_room(&self, connection: &Lent, attached: &mut Attached) -> Result<(), LakeError> {
        while attached.lakes.len() >= self.max_attached {
            let idle = attached.lakes.iter().filter(|(_, entry)| entry.leases == 0);
            // With every lake in use, going over the limit is better than refusing.
            let Some(oldest) = idle.min_by_key(|(_, entry)| entry.last).map(|(lake, _)| *lake) else { break };
            detach(connection, oldest)?;
            attached.lakes.remove(&oldest);
        }
        Ok(())
    }

    fn attach(&self, connection: &Lent, files: &CatalogFiles, lake: LakeId, new: bool) -> Result<(), LakeError> {
        let catalog = files.catalog(lake);
        let statement = format!(
            "ATTACH {} AS {} (DATA_PATH {}, OVERRIDE_DATA_PATH true, DATA_INLINING_ROW_LIMIT {}, ENCRYPTED {}, \
             CREATE_IF_NOT_EXISTS {new})",
            sql::text(&format!("ducklake:{}", catalog.to_string_lossy())),
            sql::catalog(lake),
            sql::text(&format!("{}/", self.area.data(lake).to_string_lossy())),
            self.inlining_row_limit,
            self.encrypted,
        );
        connection.execute_batch(&statement).map_err(|error| {
            // An attach that breaks off may leave the lake's own tables attached; they would be in the way of the next.
            let left = format!("DETACH DATABASE IF EXISTS {}", sql::metadata_of(lake));
            if let Err(error) = connection.execute_batch(&left) {
                tracing::debug!(error = %message(&error), "nothing was left of an attach that failed");
            }
            not_attached(&error)
        })
    }
}

/// Whatever is wrong with a catalog, only its lake is out of order.
fn not_attached(error: &duckdb::Error) -> LakeError {
    // Whoever had it before is about to let go of it.
    if message(error).contains("Unique file handle conflict") {
        return LakeError::Busy;
    }
    match classify(error) {
        Failure::Fault | Failure::Statement if !message(error).starts_with("FATAL") => {
            LakeError::Damaged(Box::new(EngineFault(message(error))))
        }
        _ => lake_error(error),
    }
}

fn detach(connection: &Lent, lake: LakeId) -> Result<(), LakeError> {
    connection.end_readers(lake);
    connection.execute_batch(&format!("DETACH {}", sql::catalog(lake))).map_err(|error| lake_error(&error))
}
