//! A folder, on this machine or mounted on it.

use std::fmt;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::StreamExt as _;
use gadwall_domain::backup::BackupPath;
use gadwall_domain::ports::backup::{BackupTarget, TargetError, TargetFile};
use gadwall_domain::ports::objects::{Content, ContentError};
use gadwall_domain::ports::system::IdGenerator;
use tokio::io::AsyncWriteExt as _;
use tokio_util::io::ReaderStream;

use super::target;
use crate::error::{failed, fault};

/// Bytes of a file that are read at once.
const CHUNK: usize = 1024 * 1024;
/// Where files are written until they are whole. No file of a backup is below it.
const INCOMING: &str = ".incoming";

/// Backups in a folder.
pub struct LocalBackups {
    root: PathBuf,
    ids: Arc<dyn IdGenerator>,
}

impl fmt::Debug for LocalBackups {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LocalBackups")
    }
}

/// Removes what wasn't finished.
struct Unfinished(PathBuf);

impl Drop for Unfinished {
    fn drop(&mut self) {
        // Finished, it has another name.
        let _ = std::fs::remove_file(&self.0);
    }
}

impl LocalBackups {
    /// Keeps backups in this folder, which is made when something is kept.
    pub fn new(root: PathBuf, ids: Arc<dyn IdGenerator>) -> Self {
        Self { root, ids }
    }

    fn place(&self, path: &BackupPath) -> PathBuf {
        self.root.join(path.as_str())
    }
}

fn storage(error: io::Error) -> TargetError {
    target(failed(error))
}

/// Makes the names of a new file and its folders last, up to a folder.
fn sync_up(from: &Path, root: &Path) -> io::Result<()> {
    for folder in from.ancestors().skip(1).take_while(|folder| folder.starts_with(root)) {
        std::fs::File::open(folder)?.sync_all()?;
    }
    Ok(())
}

#[async_trait]
impl BackupTarget for LocalBackups {
    async fn put(&self, path: &BackupPath, mut content: Content) -> Result<(), TargetError> {
        let (place, incoming) = (self.place(path), self.root.join(INCOMING));
        tokio::fs::create_dir_all(&incoming).await.map_err(storage)?;
        let unfinished = Unfinished(incoming.join(self.ids.next_id().simple().to_string()));
        let mut file = tokio::fs::File::create(&unfinished.0).await.map_err(storage)?;
        while let Some(part) = content.next().await {
            file.write_all(&part?).await.map_err(storage)?;
        }
        file.sync_all().await.map_err(storage)?;
        let root = self.root.clone();
        let finish = move || {
            if let Some(folder) = place.parent() {
                std::fs::create_dir_all(folder)?;
            }
            std::fs::rename(&unfinished.0, &place)?;
            sync_up(&place, &root)
        };
        tokio::task::spawn_blocking(finish).await.map_err(|panic| target(fault(panic)))?.map_err(storage)
    }

    async fn open(&self, path: &BackupPath) -> Result<Content, TargetError> {
        let file = match tokio::fs::File::open(self.place(path)).await {
            Err(error) if error.kind() == ErrorKind::NotFound => return Err(TargetError::Missing(path.clone())),
            file => file.map_err(storage)?,
        };
        let read = ReaderStream::with_capacity(file, CHUNK);
        Ok(Box::pin(futures_util::TryStreamExt::map_err(read, |error| ContentError::Fault(error.into()))))
    }

    async fn list(&self, folder: &BackupPath) -> Result<Vec<TargetFile>, TargetError> {
        let (root, begin) = (self.root.clone(), self.place(folder));
        let walk = move || {
            let (mut found, mut waiting) = (Vec::new(), vec![begin]);
            while let Some(folder) = waiting.pop() {
                let entries = match std::fs::read_dir(&folder) {
                    Err(error) if error.kind() == ErrorKind::NotFound => continue,
                    entries => entries?,
                };
                for entry in entries {
                    let entry = entry?;
                    if entry.file_type()?.is_dir() {
                        waiting.push(entry.path());
                        continue;
                    }
                    let path = entry.path();
                    let inside = path.strip_prefix(&root).unwrap_or(&path).to_string_lossy().into_owned();
                    // What has another name is nobody's of ours.
                    if let Ok(path) = BackupPath::parse(&inside) {
                        let file = match entry.metadata() {
                            // It went since its name was read.
                            Err(error) if error.kind() == ErrorKind::NotFound => continue,
                            file => file?,
                        };
                        found.push(TargetFile { path, bytes: file.len() });
                    }
                }
            }
            Ok(found)
        };
        tokio::task::spawn_blocking(walk).await.map_err(|panic| target(fault(panic)))?.map_err(storage)
    }

    async fn remove(&self, path: &BackupPath) -> Result<(), TargetError> {
        let (place, root) = (self.place(path), self.root.clone());
        let remove = move || {
            match std::fs::remove_file(&place) {
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                done => done?,
            }
            // Folders go with their last file.
            for folder in place.ancestors().skip(1).take_while(|folder| *folder != root && folder.starts_with(&root)) {
                if std::fs::remove_dir(folder).is_err() {
                    break;
                }
            }
            Ok(())
        };
        tokio::task::spawn_blocking(remove).await.map_err(|panic| target(fault(panic)))?.map_err(storage)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use gadwall_application::testing::SeqIds;

    use super::*;

    #[tokio::test]
    async fn files_that_go_while_they_are_listed_are_no_error() {
        let dir = tempfile::tempdir().unwrap();
        let backups = LocalBackups::new(dir.path().to_owned(), Arc::new(SeqIds::default()));
        let (folder, stop) = (dir.path().join("b"), Arc::new(AtomicBool::new(false)));
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(folder.join("stays"), "abc").unwrap();
        let stopped = Arc::clone(&stop);
        let churn = std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                (0..50).for_each(|number| std::fs::write(folder.join(number.to_string()), "").unwrap());
                (0..50).for_each(|number| std::fs::remove_file(folder.join(number.to_string())).unwrap());
            }
        });
        let stays = BackupPath::parse("b/stays").unwrap();
        for _ in 0..1_000 {
            let listed = backups.list(&BackupPath::parse("b").unwrap()).await.unwrap();
            assert!(listed.iter().any(|file| file.path == stays && file.bytes == 3));
        }
        stop.store(true, Ordering::Relaxed);
        churn.join().unwrap();
    }
}
