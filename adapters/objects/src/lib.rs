//! Datasets on local files; in a bucket of an S3 server: `s3`.
//!
//! An object lies at `{root}/{lake}/{dataset}/{its name}`, under its own name, so that the engine can read it and
//! match it with patterns. Two folders lie beside the datasets, under names that no dataset can have, so that no
//! listing, pattern or object name reaches them:
//!
//! - `{root}/.incoming`: what is being written. It moves to its place by a rename, whole and synced.
//! - `{root}/{lake}/.types/{dataset}`: content types that an object's name doesn't tell (see `types`).
//!
//! The crate `object_store` is not used for them: its local adapter syncs nothing, keeps no content types, follows
//! links out of its root, writes beside the object where patterns see it, and has no names that end in `#1`.
//! The decision is in `docs/decisions`.

mod backups;
mod error;
mod folder;
mod incoming;
mod list;
mod place;
mod read;
mod results;
mod room;
pub mod s3;
mod sync;
mod turns;
mod types;
mod version;

use std::fmt;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use gadwall_domain::dataset::{ContentType, DatasetName, ObjectInfo, ObjectName, Precondition};
use gadwall_domain::ids::LakeId;
use gadwall_domain::ports::objects::{
    Content, ObjectError, ObjectQuery, ObjectStorage, OpenObject, PutOptions, Stored,
};
use gadwall_domain::ports::system::{Clock, IdGenerator};

use error::{failed, fault};
use folder::Folder;
use incoming::Incoming;
use place::Turns;
use version::Stamps;

pub use backups::{LocalBackups, S3Backups};
pub use error::OpenError;
pub use results::LocalResults;
pub use sync::{FileSync, Fsync};
pub use turns::ProcessTurns;

/// Where content types lie, within a lake's folder.
const TYPES: &str = ".types";

/// Datasets in a folder.
pub struct LocalObjects {
    inner: Arc<Inner>,
}

/// What the blocking half needs.
struct Inner {
    root: PathBuf,
    incoming: Incoming,
    stamps: Stamps,
    turns: Turns,
    sync: Box<dyn FileSync>,
}

impl fmt::Debug for LocalObjects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LocalObjects")
    }
}

impl LocalObjects {
    /// Opens a folder that nobody else writes to, and removes what an earlier life of the process left unfinished.
    /// Blocks.
    pub fn open(root: &Path, clock: Arc<dyn Clock>, ids: Arc<dyn IdGenerator>) -> Result<Self, OpenError> {
        Self::open_with(root, clock, ids, Box::new(Fsync))
    }

    /// As [`Self::open`], with another way to make files last.
    pub fn open_with(
        root: &Path,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn IdGenerator>,
        sync: Box<dyn FileSync>,
    ) -> Result<Self, OpenError> {
        let failed = |source| OpenError { path: root.to_owned(), source };
        std::fs::create_dir_all(root).map_err(failed)?;
        let root = root.canonicalize().map_err(failed)?;
        let incoming = Incoming::open(&root, ids).map_err(failed)?;
        let stamps = Stamps::new(clock);
        Ok(Self { inner: Arc::new(Inner { root, incoming, stamps, turns: Turns::default(), sync }) })
    }

    /// Does what blocks on a thread that may.
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Inner) -> Result<T, ObjectError> + Send + 'static,
    ) -> Result<T, ObjectError> {
        let inner = Arc::clone(&self.inner);
        tokio::task::spawn_blocking(move || work(&inner)).await.map_err(fault)?
    }
}

impl Inner {
    fn root(&self) -> Result<Folder, ObjectError> {
        Folder::open(&self.root).map_err(failed)
    }

    /// A lake's folder, if it has any dataset.
    fn lake(&self, lake: LakeId) -> Result<Option<Folder>, ObjectError> {
        self.root()?.child(&lake_name(lake)).map_err(failed)
    }

    /// A dataset's folder.
    fn dataset(&self, lake: LakeId, dataset: &DatasetName) -> Result<Folder, ObjectError> {
        let found = match self.lake(lake)? {
            Some(lake) => lake.child(&dataset.folded()).map_err(failed)?,
            None => None,
        };
        found.ok_or(ObjectError::NoDataset)
    }
}

/// A lake's folder name: never the project's, which users choose.
fn lake_name(lake: LakeId) -> String {
    lake.uuid().simple().to_string()
}

#[async_trait]
impl ObjectStorage for LocalObjects {
    async fn create_dataset(&self, lake: LakeId, dataset: &DatasetName) -> Result<(), ObjectError> {
        let dataset = dataset.clone();
        self.run(move |inner| inner.create_dataset(lake, &dataset)).await
    }

    async fn datasets(&self, lake: LakeId) -> Result<Vec<DatasetName>, ObjectError> {
        self.run(move |inner| {
            let Some(folder) = inner.lake(lake)? else { return Ok(Vec::new()) };
            let mut found = Vec::new();
            let walked = folder.each(|name, kind| {
                if kind.is_dir()
                    && let Ok(dataset) = DatasetName::parse(name)
                {
                    found.push(dataset);
                }
                ControlFlow::Continue(())
            });
            walked.map_err(failed)?;
            found.sort_unstable();
            Ok(found)
        })
        .await
    }

    async fn delete_dataset(&self, lake: LakeId, dataset: &DatasetName) -> Result<(), ObjectError> {
        let dataset = dataset.clone();
        self.run(move |inner| inner.delete_dataset(lake, &dataset)).await
    }

    async fn list(
        &self,
        lake: LakeId,
        dataset: &DatasetName,
        query: &ObjectQuery,
    ) -> Result<Vec<ObjectInfo>, ObjectError> {
        let (dataset, query) = (dataset.clone(), query.clone());
        self.run(move |inner| inner.list(lake, &dataset, &query)).await
    }

    async fn put(
        &self,
        lake: LakeId,
        dataset: &DatasetName,
        object: &ObjectName,
        content: Content,
        options: PutOptions,
    ) -> Result<Stored, ObjectError> {
        let (dataset, object) = (dataset.clone(), object.clone());
        let (home, name, precondition) = (dataset.clone(), object.clone(), options.precondition.clone());
        // Told before the content is read; looked at again when it takes its place.
        self.run(move |inner| inner.check(lake, &home, &name, &precondition)).await?;
        let staged = self.inner.incoming.receive(content).await?;
        self.run(move |inner| inner.place(lake, &dataset, &object, &staged, options)).await
    }

    async fn head(&self, lake: LakeId, dataset: &DatasetName, object: &ObjectName) -> Result<ObjectInfo, ObjectError> {
        let (dataset, object) = (dataset.clone(), object.clone());
        self.run(move |inner| inner.head(lake, &dataset, &object)).await
    }

    async fn get(
        &self,
        lake: LakeId,
        dataset: &DatasetName,
        object: &ObjectName,
    ) -> Result<Box<dyn OpenObject>, ObjectError> {
        let (dataset, object) = (dataset.clone(), object.clone());
        let opened = self.run(move |inner| inner.get(lake, &dataset, &object)).await?;
        Ok(Box::new(opened))
    }

    async fn delete(
        &self,
        lake: LakeId,
        dataset: &DatasetName,
        object: &ObjectName,
        precondition: &Precondition,
    ) -> Result<(), ObjectError> {
        let (dataset, object, precondition) = (dataset.clone(), object.clone(), precondition.clone());
        self.run(move |inner| inner.delete(lake, &dataset, &object, &precondition)).await
    }

    async fn remove_all(&self, lake: LakeId) -> Result<u64, ObjectError> {
        self.run(move |inner| inner.remove_all(lake)).await
    }

    async fn engine_location(&self, lake: LakeId, dataset: &DatasetName) -> Result<String, ObjectError> {
        let dataset = dataset.clone();
        self.run(move |inner| {
            inner.dataset(lake, &dataset)?;
            let path = inner.root.join(lake_name(lake)).join(dataset.folded());
            path.into_os_string().into_string().map_err(|_| fault("the data directory's path is not UTF-8"))
        })
        .await
    }

    async fn adopt(
        &self,
        lake: LakeId,
        dataset: &DatasetName,
        object: &ObjectName,
        file: PathBuf,
        content_type: ContentType,
    ) -> Result<Stored, ObjectError> {
        let (dataset, object) = (dataset.clone(), object.clone());
        let options = PutOptions { content_type: Some(content_type), ..PutOptions::default() };
        self.run(move |inner| {
            inner.check(lake, &dataset, &object, &options.precondition)?;
            let staged = inner.incoming.take(&file).map_err(failed)?;
            inner.place(lake, &dataset, &object, &staged, options)
        })
        .await
    }
}
