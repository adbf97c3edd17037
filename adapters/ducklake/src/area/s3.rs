//! Data files in a bucket: `<prefix>/lakes/<lake>/`. An object that was answered for lasts, and shows only once it is whole, so
//! that files are written where they will stay.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use futures_util::{StreamExt as _, TryStreamExt as _};
use gadwall_domain::ids::LakeId;
use gadwall_domain::ports::lake::LakeError;
use object_store::path::Path as Key;
use object_store::{ObjectStore as _, ObjectStoreExt as _};
use tokio::runtime::Handle;

use super::{Area, DataFile};
use crate::config::S3Place;
use crate::durable::Synced;

/// Longest time for one request, with all that it is tried again.
const LIMIT: Duration = Duration::from_mins(2);

pub(super) struct S3Area {
    place: S3Place,
    root: PathBuf,
}

impl S3Area {
    pub(super) fn new(place: S3Place) -> Self {
        let root = place.url("lakes");
        Self { place, root }
    }

    /// The object's name in the bucket.
    fn key(&self, path: &Path) -> io::Result<Key> {
        let inside = path.strip_prefix(Path::new("s3://").join(&self.place.bucket));
        let inside = inside.map_err(|_| io::Error::other("the location is outside of the bucket"))?;
        Key::parse(inside.to_string_lossy()).map_err(io::Error::other)
    }

    fn location(&self, key: &Key) -> PathBuf {
        Path::new("s3://").join(&self.place.bucket).join(key.as_ref())
    }

    /// Waits for storage; called on threads that may block.
    fn wait<T>(work: impl Future<Output = object_store::Result<T>>) -> io::Result<T> {
        let limited = async { tokio::time::timeout(LIMIT, work).await };
        match Handle::current().block_on(limited) {
            Ok(done) => done.map_err(io_error),
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        }
    }
}

fn io_error(error: object_store::Error) -> io::Error {
    let kind = match &error {
        object_store::Error::NotFound { .. } => io::ErrorKind::NotFound,
        object_store::Error::PermissionDenied { .. } | object_store::Error::Unauthenticated { .. } => {
            io::ErrorKind::PermissionDenied
        }
        _ => io::ErrorKind::HostUnreachable,
    };
    io::Error::new(kind, error)
}

impl Area for S3Area {
    fn data(&self, lake: LakeId) -> PathBuf {
        self.root.join(lake.uuid().simple().to_string())
    }

    fn make(&self, _: LakeId) -> io::Result<()> {
        Ok(())
    }

    fn remove_all(&self, lake: LakeId) -> io::Result<u64> {
        let (store, folder) = (&self.place.store, self.key(&self.data(lake))?);
        Self::wait(async {
            let bytes = Arc::new(AtomicU64::new(0));
            let counted = Arc::clone(&bytes);
            let keys = store.list(Some(&folder)).map_ok(move |object| {
                counted.fetch_add(object.size, Ordering::Relaxed);
                object.location
            });
            // One that is gone by now is fine.
            let mut removed = store.delete_stream(keys.boxed());
            while let Some(done) = removed.next().await {
                match done {
                    Err(object_store::Error::NotFound { .. }) => {}
                    done => drop(done?),
                }
            }
            Ok(bytes.load(Ordering::Relaxed))
        })
    }

    fn require_room(&self) -> Result<(), LakeError> {
        Ok(())
    }

    fn incoming(&self, lake: LakeId, table: &Path) -> io::Result<PathBuf> {
        Ok(self.data(lake).join(table))
    }

    fn clear_incoming(&self, _: LakeId) {}

    fn place(&self, file: &Path, folder: &Path) -> io::Result<PathBuf> {
        let target = folder.join(file.file_name().unwrap_or_default());
        if file == target {
            return Ok(target);
        }
        // The table was built anew since the file was written.
        let (from, to) = (self.key(file)?, self.key(&target)?);
        Self::wait(self.place.store.copy(&from, &to))?;
        if let Err(error) = Self::wait(self.place.store.delete(&from)) {
            tracing::warn!(error = %error, "a file with staged rows was not removed");
        }
        Ok(target)
    }

    fn link(&self, given: &Path, target: &Path) -> io::Result<Option<()>> {
        // Whatever lies elsewhere isn't there.
        let Ok(from) = self.key(given) else { return Ok(None) };
        let to = self.key(target)?;
        match Self::wait(self.place.store.copy(&from, &to)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            done => done.map(Some),
        }
    }

    fn identity(&self, path: &Path) -> Option<String> {
        let key = self.key(path).ok()?;
        let found = Self::wait(self.place.store.head(&key)).ok()?;
        // Objects of the same bytes count as the same; one that was sent in parts has another tag than its copy, and
        // counts as another.
        Some(format!("{}:{}", found.e_tag?, found.size))
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<DataFile>> {
        let (store, folder) = (&self.place.store, self.key(folder)?);
        let objects = Self::wait(store.list(Some(&folder)).try_collect::<Vec<_>>())?;
        let file = |object: object_store::ObjectMeta| DataFile {
            path: self.location(&object.location),
            bytes: object.size,
            written: SystemTime::from(object.last_modified),
        };
        Ok(objects.into_iter().map(file).collect())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let key = self.key(path)?;
        Self::wait(self.place.store.delete(&key))
    }

    fn sync(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn sync_new(&self, _: &Path, _: SystemTime, _: &mut Synced) -> io::Result<()> {
        Ok(())
    }

    fn is_folder(&self, _: &Path) -> bool {
        false
    }
}
