//! The folders under the data directory.

use std::fs::{self, File, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use async_trait::async_trait;
use gadwall_domain::ports::system::{Folder, STORAGE_RESERVE, StorageFolders};
use uuid::Uuid;

/// Where everything lies, below one data directory.
#[derive(Debug, Clone)]
pub(crate) struct LocalFolders {
    data: PathBuf,
}

impl LocalFolders {
    /// Folders below this one.
    pub(crate) fn new(data: PathBuf) -> Self {
        Self { data }
    }

    /// The lakes' folder.
    pub(crate) fn lakes(&self) -> PathBuf {
        self.data.join("lakes")
    }

    /// Where bodies wait.
    pub(crate) fn staging(&self) -> PathBuf {
        self.data.join("staging")
    }

    /// Where the engine puts what doesn't fit in memory.
    pub(crate) fn spill(&self) -> PathBuf {
        self.data.join("spill")
    }

    /// The datasets' folder.
    pub(crate) fn files(&self) -> PathBuf {
        self.data.join("files")
    }

    /// Where results of queries in the background lie.
    pub(crate) fn results(&self) -> PathBuf {
        self.data.join("results")
    }

    /// The metadata store's file.
    pub(crate) fn metadata(&self) -> PathBuf {
        self.data.join("metadata.sqlite")
    }

    /// The names that health and storage answers use, and the folders behind them.
    fn named(&self) -> [(&'static str, PathBuf); 4] {
        [
            ("data_dir", self.data.clone()),
            ("duckdb_dir", self.lakes()),
            ("files_dir", self.files()),
            ("snapshots_dir", self.data.join("snapshots")),
        ]
    }

    /// Makes folders that are missing; answers their names.
    pub(crate) fn create(&self) -> io::Result<Vec<&'static str>> {
        let mut created = Vec::new();
        for (name, path) in self.named() {
            if !path.is_dir() {
                fs::create_dir_all(&path)?;
                created.push(name);
            }
        }
        Ok(created)
    }

    /// Fails with what to do when a folder can't be written. A full one can: what is there can be read.
    pub(crate) fn require_writable(&self) -> anyhow::Result<()> {
        for (name, path) in self.named().into_iter().chain([("staging", self.staging()), ("spill", self.spill())]) {
            if !path.is_dir() {
                continue;
            }
            match probe(&path) {
                Err(error) if error.kind() != io::ErrorKind::StorageFull => {
                    return Err(error).with_context(|| unwritable(name, &path));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// What to do about a folder that can't be written.
fn unwritable(name: &str, path: &Path) -> String {
    format!(
        "the folder {} ({name}) can't be written; make it writable for the user that runs the server, or set data_dir \
         (DATA_DIR) to one that is",
        path.display()
    )
}

/// Keeps a data directory to one process. Released by the system when the process ends, however it ends.
#[derive(Debug)]
pub(crate) struct DataLock {
    file: File,
    before: Option<Uuid>,
}

impl DataLock {
    /// The life of a server that had the data directory before, if it is known. It is over.
    pub(crate) fn before(&self) -> Option<Uuid> {
        self.before
    }

    /// Says whose the data directory is, for the one that has it next.
    pub(crate) fn belongs_to(&mut self, instance: Uuid) -> io::Result<()> {
        self.file.set_len(0)?;
        self.file.rewind()?;
        write!(self.file, "{instance}")
    }
}

impl LocalFolders {
    /// Takes the data directory for this process alone.
    pub(crate) fn lock(&self) -> anyhow::Result<DataLock> {
        let mut options = File::options();
        // What stands in it is the one's who has it.
        options.read(true).write(true).create(true).truncate(false);
        let mut file = options.open(self.data.join(".lock")).with_context(|| unwritable("data_dir", &self.data))?;
        match file.try_lock() {
            Ok(()) => {
                let mut text = String::new();
                // Whatever else stands there says nothing.
                let read = (&mut file).take(64).read_to_string(&mut text);
                let before = read.ok().and_then(|_| Uuid::parse_str(text.trim()).ok());
                Ok(DataLock { file, before })
            }
            Err(TryLockError::WouldBlock) => {
                anyhow::bail!(
                    "another server uses the data directory {}; stop it, or set DATA_DIR",
                    self.data.display()
                )
            }
            Err(TryLockError::Error(error)) => Err(error).context("the data directory can't be locked"),
        }
    }
}

/// Makes a file in the folder, and removes it.
fn probe(folder: &Path) -> io::Result<()> {
    let file = folder.join(".gadwall-probe");
    let written = fs::write(&file, b"x");
    let removed = fs::remove_file(&file);
    written.and(removed)
}

/// Whether there is room for more than the reserve.
fn has_room(folder: &Path) -> bool {
    rustix::fs::statvfs(folder).map_or(true, |disk| disk.f_bavail.saturating_mul(disk.f_frsize) >= STORAGE_RESERVE)
}

/// Why the folder can't be used, if it can't.
fn problem(folder: &Path) -> Option<&'static str> {
    match probe(folder).map_err(|error| error.kind()) {
        Ok(()) => (!has_room(folder)).then_some("full"),
        Err(io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge) => Some("full"),
        Err(io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied) => Some("read_only"),
        Err(io::ErrorKind::NotFound) => Some("missing"),
        Err(_) => Some("failed"),
    }
}

#[async_trait]
impl StorageFolders for LocalFolders {
    async fn check(&self) -> Vec<Folder> {
        let named = self.named();
        let look = move || {
            let folder = |(name, path): (&'static str, PathBuf)| {
                let problem = problem(&path);
                Folder { name, usable: problem.is_none(), problem, path: path.to_string_lossy().into_owned() }
            };
            named.into_iter().map(folder).collect()
        };
        // A panic while looking would be a bug; an empty list then reads as nothing known.
        tokio::task::spawn_blocking(look).await.unwrap_or_default()
    }

    async fn create_missing(&self) -> Vec<&'static str> {
        let folders = self.clone();
        let create = move || match folders.create() {
            Ok(created) => created,
            Err(error) => {
                tracing::error!(error = %error, "a storage folder can't be made");
                Vec::new()
            }
        };
        tokio::task::spawn_blocking(create).await.unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_data_directory_is_taken_by_one_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let folders = LocalFolders::new(dir.path().to_owned());
        let lock = folders.lock().unwrap();
        let refused = folders.lock().unwrap_err().to_string();
        assert!(refused.contains("another server"), "{refused}");
        assert_eq!(lock.before(), None);
        drop(lock);
        for number in 1..3 {
            folders.lock().unwrap().belongs_to(Uuid::from_u128(number)).unwrap();
            assert_eq!(folders.lock().unwrap().before(), Some(Uuid::from_u128(number)));
        }
    }

    #[tokio::test]
    async fn missing_folders_are_made_once_and_checked_by_writing() {
        let dir = tempfile::tempdir().unwrap();
        let folders = LocalFolders::new(dir.path().join("data"));
        assert!(folders.check().await.iter().all(|folder| !folder.usable));
        assert_eq!(folders.create_missing().await.len(), 4);
        assert!(folders.create_missing().await.is_empty());
        assert!(folders.check().await.iter().all(|folder| folder.usable));
    }
}
