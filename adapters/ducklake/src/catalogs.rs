//! Which lakes are attached: on first use, and the least recently used one makes room.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use duckdb::Connection;
use gadwall_domain::ids::LakeId;
use gadwall_domain::ports::lake::LakeError;

use crate::config::LakeConfig;
use crate::durable::FileSync;
use crate::error::{io_error, lake_error};
use crate::known::Known;
use crate::sql;

/// Attached lakes. An attach happens under the lock: two at once of the same lake would race in DuckLake.
pub(crate) struct Catalogs {
    dir: PathBuf,
    max_attached: usize,
    inlining_row_limit: u32,
    encrypted: bool,
    sync: Arc<dyn FileSync>,
    attached: Mutex<Attached>,
}

#[derive(Default)]
struct Attached {
    lakes: HashMap<LakeId, Use>,
    /// Lakes that were attached before, though they may not be now.
    known: HashSet<LakeId>,
    clock: u64,
}

#[derive(Default)]
struct Use {
    leases: usize,
    last: u64,
    known: Arc<Known>,
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
        if let Some(entry) = self.catalogs.lock().lakes.get_mut(&self.lake) {
            entry.leases -= 1;
        }
    }
}

impl Catalogs {
    pub(crate) fn new(config: &LakeConfig, sync: Arc<dyn FileSync>) -> Self {
        Self {
            dir: config.lakes_dir.clone(),
            max_attached: config.max_attached.max(1),
            inlining_row_limit: config.inlining_row_limit,
            encrypted: config.encrypted,
            sync,
            attached: Mutex::default(),
        }
    }

    /// The folder of a lake.
    pub(crate) fn folder(&self, lake: LakeId) -> PathBuf {
        self.dir.join(lake.uuid().simple().to_string())
    }

    /// The folder of a lake's data files.
    pub(crate) fn data_folder(&self, lake: LakeId) -> PathBuf {
        self.folder(lake).join("data")
    }

    /// The folder where files with rows wait for their commit. Emptied when the process first uses the lake.
    pub(crate) fn incoming_folder(&self, lake: LakeId) -> PathBuf {
        self.folder(lake).join("incoming")
    }

    /// Whether data files are encrypted.
    pub(crate) fn encrypts(&self) -> bool {
        self.encrypted
    }

    /// The log of a lake's catalog.
    pub(crate) fn log(&self, lake: LakeId) -> PathBuf {
        self.folder(lake).join("catalog.ducklake.wal")
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
    pub(crate) fn lease(self: &Arc<Self>, connection: &Connection, lake: LakeId) -> Result<Lease, LakeError> {
        let mut attached = self.lock();
        attached.clock += 1;
        let now = attached.clock;
        if !attached.lakes.contains_key(&lake) {
            if !catalog_file(&self.folder(lake)).is_file() {
                return Err(LakeError::NoLake);
            }
            self.make_room(connection, &mut attached)?;
            self.attach(connection, lake)?;
            if attached.known.insert(lake) {
                self.clear_incoming(lake);
            }
        }
        let entry = attached.lakes.entry(lake).or_default();
        entry.leases += 1;
        entry.last = now;
        let known = Arc::clone(&entry.known);
        drop(attached);
        Ok(Lease { catalogs: Arc::clone(self), lake, known })
    }

    /// Makes an empty lake, durably. One that is there already is left as it is. Blocks.
    pub(crate) fn create(self: &Arc<Self>, connection: &Connection, lake: LakeId) -> Result<(), LakeError> {
        let folder = self.folder(lake);
        if catalog_file(&folder).is_file() {
            return self.lease(connection, lake).map(drop);
        }
        fs::create_dir_all(self.data_folder(lake)).map_err(io_error)?;
        {
            let mut attached = self.lock();
            self.make_room(connection, &mut attached)?;
            self.attach(connection, lake)?;
            attached.lakes.insert(lake, Use::default());
            attached.known.insert(lake);
        }
        // The new files' names must last as well as their contents.
        [&folder, &self.dir].into_iter().try_for_each(|dir| self.sync.sync(dir)).map_err(io_error)
    }

    /// Detaches a lake and deletes its folder. Blocks; fails with `Busy` while someone uses it.
    pub(crate) fn remove(&self, connection: &Connection, lake: LakeId) -> Result<(), LakeError> {
        let mut attached = self.lock();
        if let Some(entry) = attached.lakes.get(&lake) {
            if entry.leases > 0 {
                return Err(LakeError::Busy);
            }
            detach(connection, lake)?;
            attached.lakes.remove(&lake);
        }
        match fs::remove_dir_all(self.folder(lake)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(io_error(error)),
            _ => Ok(()),
        }
    }

    /// Removes files that waited for a commit when an earlier life of the process ended: nobody was told of their rows.
    fn clear_incoming(&self, lake: LakeId) {
        match fs::remove_dir_all(self.incoming_folder(lake)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                tracing::warn!(error = %error, "files of an interrupted load were not removed");
            }
            _ => {}
        }
    }

    fn make_room(&self, connection: &Connection, attached: &mut Attached) -> Result<(), LakeError> {
        while attached.lakes.len() >= self.max_attached {
            let idle = attached.lakes.iter().filter(|(_, entry)| entry.leases == 0);
            // With every lake in use, going over the limit is better than refusing.
            let Some(oldest) = idle.min_by_key(|(_, entry)| entry.last).map(|(lake, _)| *lake) else { break };
            detach(connection, oldest)?;
            attached.lakes.remove(&oldest);
        }
        Ok(())
    }

    fn attach(&self, connection: &Connection, lake: LakeId) -> Result<(), LakeError> {
        let catalog = catalog_file(&self.folder(lake));
        let statement = format!(
            "ATTACH {} AS {} (DATA_PATH {}, OVERRIDE_DATA_PATH true, DATA_INLINING_ROW_LIMIT {}, ENCRYPTED {})",
            sql::text(&format!("ducklake:{}", catalog.to_string_lossy())),
            sql::catalog(lake),
            sql::text(&format!("{}/", self.data_folder(lake).to_string_lossy())),
            self.inlining_row_limit,
            self.encrypted,
        );
        connection.execute_batch(&statement).map_err(|error| lake_error(&error))
    }
}

fn catalog_file(folder: &Path) -> PathBuf {
    folder.join("catalog.ducklake")
}

fn detach(connection: &Connection, lake: LakeId) -> Result<(), LakeError> {
    connection.execute_batch(&format!("DETACH {}", sql::catalog(lake))).map_err(|error| lake_error(&error))
}
