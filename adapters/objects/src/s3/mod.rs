//! Datasets, and results of queries, in a bucket of an S3 server.
//!
//! An object lies under its own name (see `keys`), so that the engine can read it. It becomes visible when all of it is
//! there: the server puts a key's bytes in place as a whole. What the server doesn't do is done here: whoever changes a
//! dataset takes a turn, and preconditions, and names that would be file and folder, are looked at within it.
//!
//! Where several servers have one prefix, they take turns among themselves, too (`S3Objects::shared`). A turn that is lost,
//! since its database went away, is noticed before anything is changed, but for the moment in between. Then the S3 server
//! still decides who makes a dataset, and which of several puts with a precondition takes place, as long as the bytes go
//! in one request (up to 8 MiB). For the rest it has no conditions that its client can set: parts are put together
//! without one.

/// What a target for backups uses of it.
pub(crate) mod backups {
    pub(crate) use super::error::{broke_off, failed, if_there};
    pub(crate) use super::store::Store;
    pub(crate) use super::upload::Received;
}
mod config;
mod error;
mod keys;
mod list;
mod place;
mod probe;
mod read;
mod results;
mod store;
#[cfg(test)]
mod tests;
mod upload;
mod version;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use gadwall_domain::dataset::{ContentType, DatasetName, ObjectInfo, ObjectName, Precondition};
use gadwall_domain::ids::LakeId;
use gadwall_domain::ports::objects::{
    Content, ContentError, ObjectError, ObjectQuery, ObjectStorage, OpenObject, PutOptions, Stored,
};
use gadwall_domain::ports::system::{Clock, IdGenerator};
use gadwall_domain::ports::turns::Turns;
use object_store::path::Path;
use object_store::signer::Method;
use quick_cache::sync::Cache;
use tokio_util::io::ReaderStream;

pub use config::S3Config;
pub use error::{Fault, S3OpenError};
pub use probe::S3Probe;
pub use results::S3Results;
pub use store::S3Store;

use crate::ProcessTurns;
use crate::error::failed as file_failed;
use error::failed;
use keys::{MAX_KEY, too_long};
use list::Seen;
use read::OpenVersion;
use store::{Found, Store};
use upload::Received;
use version::Version;

/// Objects of which is known what a listing doesn't tell.
const SEEN: usize = 50_000;
/// Bytes of a local file that are read at once.
const CHUNK: usize = 256 * 1024;

/// Datasets in a bucket.
pub struct S3Objects {
    inner: Arc<Inner>,
}

struct Inner {
    store: Arc<Store>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn IdGenerator>,
    turns: ProcessTurns,
    /// Turns among servers, where there are several.
    shared: Option<Arc<dyn Turns>>,
    seen: Cache<String, Seen>,
}

impl fmt::Debug for S3Objects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("S3Objects")
    }
}

impl S3Objects {
    /// Datasets in this bucket. Nobody but servers of one deployment may write below its prefix.
    pub fn new(store: &S3Store, clock: Arc<dyn Clock>, ids: Arc<dyn IdGenerator>) -> Self {
        Self::shared(store, clock, ids, None)
    }

    /// The same among several servers, which take these turns.
    pub fn shared(
        store: &S3Store,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn IdGenerator>,
        shared: Option<Arc<dyn Turns>>,
    ) -> Self {
        let (turns, seen) = (ProcessTurns::default(), Cache::new(SEEN));
        Self { inner: Arc::new(Inner { store: Arc::clone(&store.0), clock, ids, turns, shared, seen }) }
    }
}

impl Inner {
    /// Whether the dataset is there.
    async fn has(&self, lake: LakeId, dataset: &DatasetName) -> Result<bool, ObjectError> {
        let marker = self.store.keys.marker(lake, dataset)?;
        Ok(self.store.head(&marker).await.map_err(|error| failed(&error))?.is_some())
    }

    async fn require(&self, lake: LakeId, dataset: &DatasetName) -> Result<(), ObjectError> {
        if self.has(lake, dataset).await? { Ok(()) } else { Err(ObjectError::NoDataset) }
    }

    /// Why an object isn't there.
    async fn missing(&self, lake: LakeId, dataset: &DatasetName) -> ObjectError {
        self.require(lake, dataset).await.err().unwrap_or(ObjectError::NoObject)
    }

    /// The object as it is now, if there is one.
    async fn current(&self, key: &Path, name: &ObjectName) -> Result<Option<ObjectInfo>, ObjectError> {
        Ok(self.find(key, name).await?.0)
    }

    /// The object as it is now, and how the server tells it from others.
    async fn find(&self, key: &Path, name: &ObjectName) -> Result<(Option<ObjectInfo>, Found), ObjectError> {
        let Some(head) = self.store.head(key).await.map_err(|error| failed(&error))? else {
            return Ok((None, Found::Absent));
        };
        let info = Version::of(name, &head.meta, &head.attributes)?.info(name.clone(), head.meta.size);
        Ok((Some(info), head.meta.e_tag.map_or(Found::Untagged, Found::Tagged)))
    }

    #[tracing::instrument(name = "object_store.put", skip_all)]
    async fn put(
        self: &Arc<Self>,
        lake: LakeId,
        dataset: &DatasetName,
        name: &ObjectName,
        content: Content,
        options: PutOptions,
    ) -> Result<Stored, ObjectError> {
        let key = self.store.keys.object(lake, dataset, name)?;
        // Told before the content is read; looked at again when it takes its place.
        self.require(lake, dataset).await?;
        if too_long(&key) {
            let home = self.store.keys.home(lake, dataset);
            return Err(ObjectError::NameTooLong { limit: MAX_KEY.saturating_sub(home.len()) });
        }
        let current = self.current(&key, name).await?;
        if !options.precondition.holds(current.as_ref().map(|info| &info.etag)) {
            return Err(ObjectError::PreconditionFailed);
        }
        let content_type = options.content_type.unwrap_or_else(|| ContentType::guess(name));
        let version = Version::new(&*self.clock, &*self.ids, content_type)?;
        let received = Received::take(&self.store, &key, &version.attributes(), content).await?;
        self.place(lake, dataset, name, received, version, options.precondition).await
    }
}

#[async_trait]
impl ObjectStorage for S3Objects {
    async fn create_dataset(&self, lake: LakeId, dataset: &DatasetName) -> Result<(), ObjectError> {
        self.inner.create_dataset(lake, dataset).await
    }

    async fn datasets(&self, lake: LakeId) -> Result<Vec<DatasetName>, ObjectError> {
        let (mut found, folder) = (Vec::new(), self.inner.store.keys.markers(lake));
        let each = self.inner.store.each(&folder, |object| {
            let name = object.location.as_ref().strip_prefix(&folder);
            found.extend(name.and_then(|name| DatasetName::parse(name).ok()));
        });
        each.await.map_err(|error| failed(&error))?;
        found.sort_unstable();
        Ok(found)
    }

    async fn delete_dataset(&self, lake: LakeId, dataset: &DatasetName) -> Result<(), ObjectError> {
        self.inner.delete_dataset(lake, dataset).await
    }

    #[tracing::instrument(name = "object_store.list", skip_all)]
    async fn list(
        &self,
        lake: LakeId,
        dataset: &DatasetName,
        query: &ObjectQuery,
    ) -> Result<Vec<ObjectInfo>, ObjectError> {
        self.inner.list(lake, dataset, query).await
    }

    async fn put(
        &self,
        lake: LakeId,
        dataset: &DatasetName,
        object: &ObjectName,
        content: Content,
        options: PutOptions,
    ) -> Result<Stored, ObjectError> {
        self.inner.put(lake, dataset, object, content, options).await
    }

    #[tracing::instrument(name = "object_store.head", skip_all)]
    async fn head(&self, lake: LakeId, dataset: &DatasetName, object: &ObjectName) -> Result<ObjectInfo, ObjectError> {
        let key = self.inner.store.keys.object(lake, dataset, object)?;
        match self.inner.current(&key, object).await? {
            Some(info) => Ok(info),
            None => Err(self.inner.missing(lake, dataset).await),
        }
    }

    #[tracing::instrument(name = "object_store.get", skip_all)]
    async fn get(
        &self,
        lake: LakeId,
        dataset: &DatasetName,
        object: &ObjectName,
    ) -> Result<Box<dyn OpenObject>, ObjectError> {
        let store = Arc::clone(&self.inner.store);
        let key = store.keys.object(lake, dataset, object)?;
        match OpenVersion::open(store, key, object.clone()).await? {
            Some(opened) => Ok(Box::new(opened)),
            None => Err(self.inner.missing(lake, dataset).await),
        }
    }

    #[tracing::instrument(name = "object_store.delete", skip_all)]
    async fn delete(
        &self,
        lake: LakeId,
        dataset: &DatasetName,
        object: &ObjectName,
        precondition: &Precondition,
    ) -> Result<(), ObjectError> {
        self.inner.delete(lake, dataset, object, precondition).await
    }

    async fn remove_all(&self, lake: LakeId) -> Result<u64, ObjectError> {
        for dataset in self.datasets(lake).await? {
            self.inner.unmark(lake, &dataset).await?;
        }
        let objects = self.inner.store.keys.objects(lake);
        self.inner.store.delete_all(&objects).await.map_err(|error| failed(&error))
    }

    async fn engine_location(&self, lake: LakeId, dataset: &DatasetName) -> Result<String, ObjectError> {
        self.inner.require(lake, dataset).await?;
        let home = self.inner.store.keys.home(lake, dataset);
        Ok(format!("s3://{}/{}", self.inner.store.bucket, home.trim_end_matches('/')))
    }

    async fn read_url(
        &self,
        lake: LakeId,
        dataset: &DatasetName,
        object: &ObjectName,
        valid: Duration,
    ) -> Result<Option<String>, ObjectError> {
        let Some(signer) = &self.inner.store.signer else { return Ok(None) };
        // An address of nothing would be one of what is put there later.
        self.head(lake, dataset, object).await?;
        let key = self.inner.store.keys.object(lake, dataset, object)?;
        let url = signer.signed_url(Method::GET, &key, valid).await.map_err(|error| failed(&error))?;
        Ok(Some(url.into()))
    }

    #[tracing::instrument(name = "object_store.adopt", skip_all)]
    async fn adopt(
        &self,
        lake: LakeId,
        dataset: &DatasetName,
        object: &ObjectName,
        file: PathBuf,
        content_type: ContentType,
    ) -> Result<Stored, ObjectError> {
        let opened = tokio::fs::File::open(&file).await.map_err(file_failed)?;
        let read = ReaderStream::with_capacity(opened, CHUNK);
        let content = futures_util::TryStreamExt::map_err(read, |error| ContentError::Fault(error.into()));
        let options = PutOptions { content_type: Some(content_type), ..PutOptions::default() };
        let stored = self.inner.put(lake, dataset, object, Box::pin(content), options).await?;
        tokio::fs::remove_file(&file).await.map_err(file_failed)?;
        Ok(stored)
    }
}
