//! Data files on this machine: `<lakes>/<lake>/data`, and `incoming` beside it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use gadwall_domain::ids::LakeId;
use gadwall_domain::ports::lake::LakeError;

use super::{Area, DataFile};
use crate::durable::{FileSync, Synced, sync_new};
use crate::room;

pub(super) struct LocalArea {
    dir: PathBuf,
    sync: Arc<dyn FileSync>,
}

impl LocalArea {
    pub(super) fn new(dir: PathBuf, sync: Arc<dyn FileSync>) -> Self {
        Self { dir, sync }
    }

    fn lake(&self, lake: LakeId) -> PathBuf {
        self.dir.join(lake.uuid().simple().to_string())
    }

    fn waiting(&self, lake: LakeId) -> PathBuf {
        self.lake(lake).join("incoming")
    }
}

impl Area for LocalArea {
    fn data(&self, lake: LakeId) -> PathBuf {
        self.lake(lake).join("data")
    }

    fn make(&self, lake: LakeId) -> io::Result<()> {
        fs::create_dir_all(self.data(lake))?;
        // The new folders' names must last as well as what will be in them.
        self.sync.sync(&self.lake(lake))?;
        self.sync.sync(&self.dir)
    }

    fn remove_all(&self, lake: LakeId) -> io::Result<u64> {
        remove_folder(&self.lake(lake))
    }

    fn require_room(&self) -> Result<(), LakeError> {
        room::require(&self.dir)
    }

    fn incoming(&self, lake: LakeId, _table: &Path) -> io::Result<PathBuf> {
        let folder = self.waiting(lake);
        fs::create_dir_all(&folder)?;
        Ok(folder)
    }

    fn clear_incoming(&self, lake: LakeId) {
        match fs::remove_dir_all(self.waiting(lake)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(error = %error, "files of an interrupted load were not removed");
            }
            _ => {}
        }
    }

    fn place(&self, file: &Path, folder: &Path) -> io::Result<PathBuf> {
        fs::create_dir_all(folder)?;
        let target = folder.join(file.file_name().unwrap_or_default());
        fs::rename(file, &target)?;
        self.sync.sync(&target)?;
        Ok(target)
    }

    fn link(&self, given: &Path, target: &Path) -> io::Result<Option<()>> {
        let Ok(given) = given.canonicalize() else { return Ok(None) };
        if !given.is_file() {
            return Ok(None);
        }
        if let Some(folder) = target.parent() {
            fs::create_dir_all(folder)?;
        }
        // Nothing is copied, unless the two areas are on different disks.
        if fs::hard_link(&given, target).is_err() {
            fs::copy(&given, target)?;
        }
        self.sync.sync(target)?;
        Ok(Some(()))
    }

    #[cfg(unix)]
    fn identity(&self, path: &Path) -> Option<String> {
        use std::os::unix::fs::MetadataExt as _;
        let file = path.metadata().ok()?;
        Some(format!("{}:{}", file.dev(), file.ino()))
    }

    #[cfg(not(unix))]
    fn identity(&self, _: &Path) -> Option<String> {
        None
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<DataFile>> {
        let mut found = Vec::new();
        let mut waiting = vec![folder.to_owned()];
        while let Some(folder) = waiting.pop() {
            let entries = match fs::read_dir(folder) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                entries => entries?,
            };
            for entry in entries {
                let entry = entry?;
                let kind = entry.file_type()?;
                if kind.is_dir() {
                    waiting.push(entry.path());
                } else if kind.is_file() {
                    let file = match entry.metadata() {
                        // It went since its name was read.
                        Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                        file => file?,
                    };
                    found.push(DataFile { path: entry.path(), bytes: file.len(), written: file.modified()? });
                }
            }
        }
        Ok(found)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn sync(&self, path: &Path) -> io::Result<()> {
        self.sync.sync(path)
    }

    fn sync_new(&self, folder: &Path, since: SystemTime, synced: &mut Synced) -> io::Result<()> {
        sync_new(folder, since, synced, &*self.sync)
    }

    fn is_folder(&self, path: &Path) -> bool {
        path.is_dir()
    }
}

/// Removes a folder and all below it; answers how many bytes its files had. One that isn't there is fine.
pub(crate) fn remove_folder(folder: &Path) -> io::Result<u64> {
    let bytes = bytes_below(folder);
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
        done => done.map(|()| bytes),
    }
}

/// Bytes of all files below a folder, as far as they can be seen.
fn bytes_below(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let size = |entry: fs::DirEntry| match entry.metadata() {
        Ok(found) if found.is_dir() => bytes_below(&entry.path()),
        Ok(found) => found.len(),
        Err(_) => 0,
    };
    entries.map(size).sum()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;
    use crate::durable::Fsync;

    #[test]
    fn files_that_go_while_they_are_listed_are_no_error() {
        let dir = tempfile::tempdir().unwrap();
        let area = LocalArea::new(dir.path().to_owned(), Arc::new(Fsync));
        let (folder, stop) = (dir.path().join("data"), AtomicBool::new(false));
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("stays"), "abc").unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    (0..50).for_each(|number| fs::write(folder.join(number.to_string()), "").unwrap());
                    (0..50).for_each(|number| fs::remove_file(folder.join(number.to_string())).unwrap());
                }
            });
            let listed: io::Result<Vec<_>> = (0..2_000).map(|_| area.list(&folder)).collect();
            stop.store(true, Ordering::Relaxed);
            let stays =
                |files: &Vec<DataFile>| files.iter().any(|file| file.bytes == 3 && file.path.ends_with("stays"));
            assert!(listed.unwrap().iter().all(stays));
        });
    }
}
