//! A place in a bucket.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::TryStreamExt as _;
use gadwall_domain::backup::BackupPath;
use gadwall_domain::ports::backup::{BackupTarget, TargetError, TargetFile};
use gadwall_domain::ports::objects::Content;
use object_store::path::Path;
use object_store::{Attributes, ObjectStoreExt as _, PutMode};

use super::target;
use crate::error::fault;
use crate::s3::backups::{Received, Store, broke_off, failed, if_there};
use crate::s3::{S3Config, S3OpenError, S3Store};

/// Backups in a bucket.
pub struct S3Backups {
    store: Arc<Store>,
    /// What all keys begin with: empty, or with a slash at its end.
    prefix: String,
}

impl fmt::Debug for S3Backups {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("S3Backups")
    }
}

fn storage(error: &object_store::Error) -> TargetError {
    target(failed(error))
}

impl S3Backups {
    /// Keeps backups in this bucket, below its prefix. It is asked for nothing yet.
    pub fn new(config: &S3Config) -> Result<Self, S3OpenError> {
        let prefix = config.prefix.trim_matches('/');
        let prefix = if prefix.is_empty() { String::new() } else { format!("{prefix}/") };
        Ok(Self { store: S3Store::unproven(config)?, prefix })
    }

    fn key(&self, path: &BackupPath) -> Result<Path, TargetError> {
        Path::parse(format!("{}{path}", self.prefix)).map_err(|error| target(fault(error)))
    }
}

#[async_trait]
impl BackupTarget for S3Backups {
    async fn put(&self, path: &BackupPath, content: Content) -> Result<(), TargetError> {
        let key = self.key(path)?;
        let attributes = Attributes::new();
        let received = Received::take(&self.store, &key, &attributes, content).await.map_err(target)?;
        received.place(&self.store, &key, attributes, PutMode::Overwrite).await.map_err(target)
    }

    async fn open(&self, path: &BackupPath) -> Result<Content, TargetError> {
        let found = if_there(self.store.objects.get(&self.key(path)?).await).map_err(|error| storage(&error))?;
        let found = found.ok_or_else(|| TargetError::Missing(path.clone()))?;
        Ok(Box::pin(found.into_stream().map_err(|error| broke_off(&error))))
    }

    async fn list(&self, folder: &BackupPath) -> Result<Vec<TargetFile>, TargetError> {
        let (mut found, begin) = (Vec::new(), format!("{}{folder}/", self.prefix));
        let each = self.store.each(&begin, |object| {
            let inside = object.location.as_ref().strip_prefix(&self.prefix).map(BackupPath::parse);
            if let Some(Ok(path)) = inside {
                found.push(TargetFile { path, bytes: object.size });
            }
        });
        each.await.map_err(|error| storage(&error))?;
        Ok(found)
    }

    async fn remove(&self, path: &BackupPath) -> Result<(), TargetError> {
        self.store.delete(&self.key(path)?).await.map_err(|error| storage(&error))
    }
}
