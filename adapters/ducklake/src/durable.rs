//! Makes files last: what a commit points to must survive a power loss.
//!
//! DuckLake syncs its catalog but neither the data files nor their folders, so the writer syncs what is
//! new under a lake's data folder before it commits.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// Forces a file or folder to disk. A trait, so that a test can tell what would be lost.
pub trait FileSync: Send + Sync {
    /// Returns once the file's bytes, or the folder's entries, are on disk.
    fn sync(&self, path: &Path) -> io::Result<()>;
}

/// Uses `fsync`.
#[derive(Debug, Default, Clone, Copy)]
pub struct Fsync;

impl FileSync for Fsync {
    fn sync(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }
}

/// File clocks may lag behind the system's by a tick; syncing a file twice does no harm.
const SLACK: Duration = Duration::from_secs(2);

/// Data files that were synced lately. They are written once, so that once is enough.
#[derive(Default)]
pub(crate) struct Synced(HashSet<PathBuf>);

/// Names that are kept; with more, files of the last moments are synced again.
const MAX_SYNCED: usize = 4096;

/// Syncs every file and folder under `dir` that is new since a moment, and `dir` itself.
pub(crate) fn sync_new(dir: &Path, since: SystemTime, synced: &mut Synced, sync: &dyn FileSync) -> io::Result<()> {
    let since = since.checked_sub(SLACK).unwrap_or(SystemTime::UNIX_EPOCH);
    sync_tree(dir, since, synced, sync)?;
    match sync.sync(dir) {
        // A table has no folder before its first file, and a commit may write none: the rows of an empty replacement.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

fn sync_tree(dir: &Path, since: SystemTime, synced: &mut Synced, sync: &dyn FileSync) -> io::Result<()> {
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        let kind = entry.file_type()?;
        // A folder with thousands of files is gone through with each commit, so a file is asked for its time only
        // where its name doesn't tell.
        let made = entry.file_name().to_str().and_then(made_at);
        if made.is_some_and(|made| made < since) {
            continue;
        }
        let path = entry.path();
        if kind.is_dir() {
            sync_tree(&path, since, synced, sync)?;
        }
        // What somebody else tried and took back may be gone again; what is to last is there.
        let gone = |error: &io::Error| error.kind() == io::ErrorKind::NotFound;
        if made.is_some() && kind.is_file() {
            if !synced.0.contains(&path) {
                match sync.sync(&path) {
                    Err(error) if gone(&error) => continue,
                    done => done?,
                }
                if synced.0.len() >= MAX_SYNCED {
                    synced.0.clear();
                }
                synced.0.insert(path);
            }
        } else if kind.is_dir() || kind.is_file() {
            let sync_new = || if entry.metadata()?.modified()? >= since { sync.sync(&path) } else { Ok(()) };
            match sync_new() {
                Err(error) if gone(&error) => {}
                done => done?,
            }
        }
    }
    Ok(())
}

/// When a data file was made, as its name says: DuckLake names files by UUIDs of version 7, which begin with the time.
pub(crate) fn made_at(name: &str) -> Option<SystemTime> {
    let name = name.strip_prefix("ducklake-")?;
    let id = uuid::Uuid::try_parse(name.get(..36)?).ok()?;
    let (seconds, nanos) = id.get_timestamp().filter(|_| id.get_version_num() == 7)?.to_unix();
    Some(SystemTime::UNIX_EPOCH + Duration::new(seconds, nanos))
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[derive(Default)]
    struct Recorder(Mutex<Vec<PathBuf>>);

    impl FileSync for Recorder {
        fn sync(&self, path: &Path) -> io::Result<()> {
            self.0.lock().unwrap().push(path.to_owned());
            Ok(())
        }
    }

    #[test]
    fn a_folder_that_is_not_there_has_nothing_to_last() {
        let dir = tempfile::tempdir().unwrap();
        let none = dir.path().join("sales/orders");
        sync_new(&none, SystemTime::now(), &mut Synced::default(), &Fsync).unwrap();
        assert!(!none.exists());
    }

    #[test]
    fn new_files_and_their_folders_are_synced_and_old_ones_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let nested = dir.path().join("sales/orders");
        fs::create_dir_all(&nested).unwrap();
        fs::write(nested.join("new.parquet"), "x").unwrap();
        let old = File::create(nested.join("old.parquet")).unwrap();
        old.set_modified(SystemTime::now() - Duration::from_mins(1)).unwrap();

        let recorder = Recorder::default();
        sync_new(dir.path(), SystemTime::now(), &mut Synced::default(), &recorder).unwrap();
        let synced = recorder.0.into_inner().unwrap();
        for path in [nested.join("new.parquet"), nested.clone(), dir.path().join("sales"), dir.path().to_owned()] {
            assert!(synced.contains(&path), "{path:?} was not synced");
        }
        assert!(!synced.contains(&nested.join("old.parquet")));
    }

    #[test]
    fn a_data_file_is_synced_once() {
        let dir = tempfile::tempdir().unwrap();
        #[expect(clippy::disallowed_methods, reason = "a file of now")]
        let file = dir.path().join(format!("ducklake-{}.parquet", uuid::Uuid::now_v7()));
        fs::write(&file, "x").unwrap();
        let (mut synced, recorder) = (Synced::default(), Recorder::default());
        for _ in 0..3 {
            sync_new(dir.path(), SystemTime::now(), &mut synced, &recorder).unwrap();
        }
        let made = recorder.0.into_inner().unwrap();
        assert_eq!(made.iter().filter(|path| **path == file).count(), 1);
        assert_eq!(made.iter().filter(|path| *path == dir.path()).count(), 3);
    }

    #[test]
    fn a_name_tells_when_a_file_was_made() {
        let name = "ducklake-01a1fd1e-06c6-7e73-a8c9-1bc9f258e3d9.parquet";
        let made = made_at(name).unwrap().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        assert_eq!(made.as_millis(), 0x01a1_fd1e_06c6);
        assert!(made_at(&name.replace(".parquet", "-delete.parquet")).is_some());
        // Another version, another prefix, no UUID at all.
        for other in [name.replace("-7e73", "-4e73"), name.replace("ducklake-", "x-"), "ducklake-1.parquet".to_owned()]
        {
            assert_eq!(made_at(&other), None, "{other}");
        }
    }
}
