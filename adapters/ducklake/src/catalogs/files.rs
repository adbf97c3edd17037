//! The files of a lake's catalog: a DuckDB database and its log.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use gadwall_domain::ids::LakeId;
use gadwall_domain::ports::lake::LakeError;

use crate::area::remove_folder;
use crate::durable::FileSync;
use crate::error::io_error;
use crate::known::LogFile;
use crate::room;

/// Bytes of a database's headers.
const HEADERS: u64 = 3 * 4096;

/// The catalogs' folders, one for each lake.
pub(crate) struct CatalogFiles {
    dir: PathBuf,
    sync: Arc<dyn FileSync>,
}

impl CatalogFiles {
    pub(super) fn new(dir: PathBuf, sync: Arc<dyn FileSync>) -> Self {
        Self { dir, sync }
    }

    pub(super) fn folder(&self, lake: LakeId) -> PathBuf {
        self.dir.join(lake.uuid().simple().to_string())
    }

    pub(super) fn catalog(&self, lake: LakeId) -> PathBuf {
        self.folder(lake).join("catalog.ducklake")
    }

    fn log(&self, lake: LakeId) -> PathBuf {
        self.folder(lake).join("catalog.ducklake.wal")
    }

    /// Whether there is a catalog.
    pub(super) fn are_there(&self, lake: LakeId) -> bool {
        self.catalog(lake).is_file()
    }

    /// Fails unless there is a catalog that the engine may open.
    pub(super) fn require_sound(&self, lake: LakeId) -> Result<(), LakeError> {
        if !self.are_there(lake) {
            return Err(LakeError::NoLake);
        }
        // The engine would make a new catalog of an empty file.
        if !is_database(&self.catalog(lake)).map_err(io_error)? {
            return Err(LakeError::Damaged("the catalog is not a database".into()));
        }
        // And it would drop a log that it can't make out.
        if !is_log(&self.log(lake)).map_err(io_error)? {
            return Err(LakeError::Damaged("the catalog's log is not a log".into()));
        }
        Ok(())
    }

    pub(crate) fn require_room(&self) -> Result<(), LakeError> {
        room::require(&self.dir)
    }

    pub(super) fn make_folder(&self, lake: LakeId) -> Result<(), LakeError> {
        fs::create_dir_all(self.folder(lake)).map_err(io_error)
    }

    /// The new files' names must last as well as their contents.
    pub(super) fn make_last(&self, lake: LakeId) -> Result<(), LakeError> {
        [&self.folder(lake), &self.dir].into_iter().try_for_each(|dir| self.sync.sync(dir)).map_err(io_error)
    }

    pub(super) fn remove(&self, lake: LakeId) -> Result<u64, LakeError> {
        remove_folder(&self.folder(lake)).map_err(io_error)
    }

    /// Makes the name of the catalog's log last.
    pub(crate) fn make_log_last(&self, lake: LakeId) -> Result<(), LakeError> {
        self.sync.sync(&self.folder(lake)).map_err(io_error)
    }

    /// The catalog's log as it is now, where the system tells one from another.
    #[cfg(unix)]
    pub(crate) fn log_file(&self, lake: LakeId) -> Option<LogFile> {
        use std::os::unix::fs::MetadataExt as _;
        let log = self.log(lake).metadata().ok()?;
        Some((log.ino(), log.created().ok()?))
    }

    #[cfg(not(unix))]
    pub(crate) fn log_file(&self, _: LakeId) -> Option<LogFile> {
        None
    }
}

/// Whether a log, if there is one, begins as the engine's logs do: with the entry of its version. One that holds nothing
/// yet may be empty, or zeros after a power loss.
fn is_log(path: &Path) -> io::Result<bool> {
    let mut start = [0; 3];
    match File::open(path).and_then(|mut file| file.read_exact(&mut start)) {
        Ok(()) => Ok(matches!(start, [0x64, 0, 0x62] | [0, 0, 0])),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::UnexpectedEof) => Ok(true),
        Err(error) => Err(error),
    }
}

/// Whether a file begins as the engine's databases do, with all of its headers.
fn is_database(path: &Path) -> io::Result<bool> {
    let mut start = [0; 12];
    let mut file = File::open(path)?;
    Ok(file.metadata()?.len() >= HEADERS && file.read_exact(&mut start).is_ok() && start.ends_with(b"DUCK"))
}
