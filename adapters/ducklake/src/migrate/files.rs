//! The data files: bytes from a folder into the bucket, each read back and compared.

use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_util::TryStreamExt as _;
use gadwall_domain::ids::LakeId;
use object_store::buffered::BufWriter;
use object_store::path::Path as Key;
use object_store::{ObjectStore, ObjectStoreExt as _};
use sha2::{Digest as _, Sha256};
use tokio::fs::File;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{LakeMigration, MigrationError};
use crate::area::DataFile;
use crate::config::DataPlace;
use crate::durable::Fsync;
use crate::error::{fault, io_error};

/// Parts in which files are read and sent.
const PART: usize = 8 << 20;
/// Longest wait for the next part to go or come.
const LIMIT: Duration = Duration::from_mins(2);

/// A file that is in the bucket now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CopiedFile {
    /// Its size.
    pub bytes: u64,
    /// Whether it had been copied before.
    pub was_there: bool,
}

impl LakeMigration {
    /// The lake's data files.
    pub(super) async fn source_files(&self, lake: LakeId) -> Result<Vec<DataFile>, MigrationError> {
        let mut config = self.config.clone();
        config.data = DataPlace::Local;
        let list = move || {
            let area = crate::area::open(&config, std::sync::Arc::new(Fsync));
            area.list(&area.data(lake))
        };
        let listed = tokio::task::spawn_blocking(list).await.map_err(|panic| fault(panic.to_string()))?;
        let mut files = listed.map_err(io_error)?;
        files.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(files)
    }

    /// Copies the lake's data files and compares their checksums, read back from the bucket. One that is there already with
    /// the same bytes isn't sent again.
    pub async fn copy_files(&self, lake: LakeId, mut copied: impl FnMut(CopiedFile)) -> Result<(), MigrationError> {
        let root = self.folder(lake).join("data");
        for file in self.source_files(lake).await? {
            let key = self.key(lake, &root, &file.path)?;
            copied(self.copy_file(&file.path, &key).await?);
        }
        Ok(())
    }

    fn key(&self, lake: LakeId, root: &Path, file: &Path) -> Result<Key, MigrationError> {
        let inside: PathBuf = file.strip_prefix(root).map_err(|_| MigrationError::Elsewhere)?.to_owned();
        let prefix = if self.place.prefix.is_empty() { String::new() } else { format!("{}/", self.place.prefix) };
        let key = format!("{prefix}lakes/{}/{}", lake.uuid().simple(), inside.to_string_lossy());
        Ok(Key::parse(key).map_err(|_| fault("a file has a name that no object can have"))?)
    }

    async fn copy_file(&self, file: &Path, key: &Key) -> Result<CopiedFile, MigrationError> {
        let (sum, bytes) = sum_of_file(file).await.map_err(io_error)?;
        let store = &*self.place.store;
        if is_there(store, key, bytes, &sum).await? {
            return Ok(CopiedFile { bytes, was_there: true });
        }
        self.send(file, key).await.map_err(io_error)?;
        if !is_there(store, key, bytes, &sum).await? {
            return Err(MigrationError::Differs("a file in the bucket is not the one that was sent".to_owned()));
        }
        Ok(CopiedFile { bytes, was_there: false })
    }

    async fn send(&self, file: &Path, key: &Key) -> std::io::Result<()> {
        let mut file = File::open(file).await?;
        let mut object = BufWriter::with_capacity(std::sync::Arc::clone(&self.place.store), key.clone(), PART);
        let mut part = vec![0; PART];
        loop {
            let read = file.read(&mut part).await?;
            if read == 0 {
                return within(object.shutdown()).await;
            }
            within(object.write_all(&part[..read])).await?;
        }
    }
}

async fn within<T>(work: impl Future<Output = std::io::Result<T>>) -> std::io::Result<T> {
    tokio::time::timeout(LIMIT, work).await.map_err(|_| std::io::Error::from(std::io::ErrorKind::TimedOut))?
}

async fn sum_of_file(path: &Path) -> std::io::Result<(Vec<u8>, u64)> {
    let mut file = File::open(path).await?;
    let (mut hash, mut bytes, mut part) = (Sha256::new(), 0, vec![0; PART]);
    loop {
        let read = file.read(&mut part).await?;
        if read == 0 {
            return Ok((hash.finalize().to_vec(), bytes));
        }
        hash.update(&part[..read]);
        bytes += read as u64;
    }
}

/// Whether the object is there with just these bytes.
async fn is_there(store: &dyn ObjectStore, key: &Key, bytes: u64, sum: &[u8]) -> Result<bool, MigrationError> {
    let read = async {
        match store.head(key).await {
            Ok(found) if found.size == bytes => {}
            Ok(_) | Err(object_store::Error::NotFound { .. }) => return Ok(false),
            Err(error) => return Err(error),
        }
        let mut content = store.get(key).await?.into_stream();
        let mut hash = Sha256::new();
        while let Some(part) = content.try_next().await? {
            hash.update(&part);
        }
        Ok(hash.finalize().as_slice() == sum)
    };
    read.await.map_err(|error| io_error(std::io::Error::new(std::io::ErrorKind::HostUnreachable, error)).into())
}
