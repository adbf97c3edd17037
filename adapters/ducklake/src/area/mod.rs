//! Where the lakes' data files lie, and how they are moved, found and removed there.
//!
//! A location is written as the engine writes it: an absolute path, or an `s3://` URL. Both are made of the same parts, so
//! both are a `PathBuf`.

mod local;
mod s3;

use std::borrow::Cow;
use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use gadwall_domain::ids::LakeId;
use gadwall_domain::ports::lake::LakeError;

use crate::config::{DataPlace, LakeConfig};
use crate::durable::{FileSync, Synced};

use local::LocalArea;
pub(crate) use local::remove_folder;
use s3::S3Area;

/// A data file that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DataFile {
    /// Its location.
    pub(crate) path: PathBuf,
    /// Its size.
    pub(crate) bytes: u64,
    /// When it was last written.
    pub(crate) written: SystemTime,
}

impl DataFile {
    /// Its name, without folders. No two files of a lake have one name.
    pub(crate) fn name(&self) -> Cow<'_, str> {
        self.path.file_name().unwrap_or_default().to_string_lossy()
    }
}

/// Files by their names.
pub(crate) fn by_name(files: Vec<DataFile>) -> HashMap<String, DataFile> {
    files.into_iter().map(|file| (file.name().into_owned(), file)).collect()
}

/// The data files of all lakes. Everything here blocks.
pub(crate) trait Area: Send + Sync {
    /// The folder of a lake's data files.
    fn data(&self, lake: LakeId) -> PathBuf;

    /// Makes the folder of a new lake, durably.
    fn make(&self, lake: LakeId) -> io::Result<()>;

    /// Removes all files of a lake; answers how many bytes they had.
    fn remove_all(&self, lake: LakeId) -> io::Result<u64>;

    /// Fails when storage is about to be full.
    fn require_room(&self) -> Result<(), LakeError>;

    /// The folder for files with rows of a table that wait for their commit, given the table's own.
    fn incoming(&self, lake: LakeId, table: &Path) -> io::Result<PathBuf>;

    /// Removes files that waited for a commit when an earlier life of the process ended: nobody was told of their rows.
    fn clear_incoming(&self, lake: LakeId);

    /// Puts a file that waited into its table's folder, durably; answers where it is by then.
    fn place(&self, file: &Path, folder: &Path) -> io::Result<PathBuf>;

    /// Makes a dataset's file known under another name as well, durably. `None` when there is no such file.
    fn link(&self, given: &Path, target: &Path) -> io::Result<Option<()>>;

    /// Tells a file from others, whatever name it is reached by, where that can be told.
    fn identity(&self, path: &Path) -> Option<String>;

    /// All files below a folder; none if it isn't there.
    fn list(&self, folder: &Path) -> io::Result<Vec<DataFile>>;

    /// Removes a file. One that isn't there is an error of that kind.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Returns once a file's bytes, or a folder's entries, are on disk.
    fn sync(&self, path: &Path) -> io::Result<()>;

    /// Makes every file and folder last that is new below a folder since a moment, and the folder itself.
    fn sync_new(&self, folder: &Path, since: SystemTime, synced: &mut Synced) -> io::Result<()>;

    /// Whether there is a folder whose entry can be made to last.
    fn is_folder(&self, path: &Path) -> bool;
}

/// The area that these settings name.
pub(crate) fn open(config: &LakeConfig, sync: Arc<dyn FileSync>) -> Arc<dyn Area> {
    match &config.data {
        DataPlace::Local => Arc::new(LocalArea::new(config.lakes_dir.clone(), sync)),
        DataPlace::S3(place) => Arc::new(S3Area::new(place.clone())),
    }
}
