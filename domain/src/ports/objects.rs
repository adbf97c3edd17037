//! The files of a project's datasets.

use std::ops::Range;
use std::path::PathBuf;
use std::pin::Pin;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_core::Stream;
use thiserror::Error;

use crate::dataset::{ContentType, DatasetName, ObjectInfo, ObjectName, Precondition};
use crate::ids::LakeId;
use crate::ports::turns::TurnError;
use crate::quota::QuotaExceeded;

/// Most objects in one answer of [`ObjectStorage::list`].
pub const MAX_OBJECTS_LISTED: u32 = 10_000;

/// Why bytes stopped coming.
#[derive(Debug, Error)]
pub enum ContentError {
    /// More than allowed.
    #[error("the body is larger than the limit of {limit} bytes")]
    TooLarge {
        /// The limit in bytes.
        limit: u64,
    },
    /// More than the project may have.
    #[error(transparent)]
    Quota(#[from] QuotaExceeded),
    /// They ended before their end.
    #[error("the body ended early")]
    Interrupted,
    /// They are not what their wrapping says.
    #[error("the body is not a valid {format}: {reason}")]
    Malformed {
        /// The wrapping, e.g. `multipart form`.
        format: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// Storage failed while it was read.
    #[error("the object can't be read")]
    Fault(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Bytes on their way in or out. An error ends them; what came before is incomplete.
pub type Content = Pin<Box<dyn Stream<Item = Result<Bytes, ContentError>> + Send>>;

/// Why object storage didn't do it. Nothing of it is visible; only after [`ObjectError::Unavailable`] and
/// [`ObjectError::Fault`] it may be.
#[derive(Debug, Error)]
pub enum ObjectError {
    /// The dataset's name is taken.
    #[error("the dataset exists")]
    DatasetExists,
    /// No such dataset.
    #[error("no such dataset")]
    NoDataset,
    /// The dataset holds objects.
    #[error("the dataset is not empty")]
    DatasetNotEmpty,
    /// No such object.
    #[error("no such object")]
    NoObject,
    /// The name is a folder of other objects' names, or would need an object to be a folder.
    #[error("an object's name can't be the folder of another's")]
    NameClash,
    /// The name is legal, but longer than names in this dataset can be here.
    #[error("an object's name can have {limit} bytes here")]
    NameTooLong {
        /// The most bytes it can have.
        limit: usize,
    },
    /// The precondition doesn't hold.
    #[error("the object is another version")]
    PreconditionFailed,
    /// The bytes stopped coming.
    #[error(transparent)]
    Content(#[from] ContentError),
    /// Storage is full.
    #[error("storage is full; nothing was stored")]
    StorageFull(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Storage can be read, but not written.
    #[error("storage can't be written; nothing was stored")]
    ReadOnly(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Storage can't be reached, or refuses us; later it may not. The text of the cause is for the log.
    #[error("object storage is not available; try again later")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Others are changing the dataset, and its turn didn't come; trying again shortly may work.
    #[error(transparent)]
    Busy(#[from] TurnError),
    /// Anything else; the text is for the log.
    #[error("object storage failed")]
    Fault(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// What to store under a name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PutOptions {
    /// What it is; guessed by the name when not told.
    pub content_type: Option<ContentType>,
    /// What must hold of the object that is there.
    pub precondition: Precondition,
}

/// An object that was stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// The object.
    pub info: ObjectInfo,
    /// Whether it took the place of another one.
    pub replaced: bool,
}

/// Which objects to list.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ObjectQuery {
    /// Only those whose name starts so.
    pub prefix: String,
    /// Only those whose name comes after this one.
    pub after: Option<ObjectName>,
    /// At most so many, and at most [`MAX_OBJECTS_LISTED`].
    pub limit: u32,
}

/// One version of an object, opened. Stays whole and the same when the object is put again or deleted.
#[async_trait]
pub trait OpenObject: Send {
    /// What it is.
    fn info(&self) -> &ObjectInfo;

    /// Its bytes in this range, which lies within its size; exactly so many, or an error at the end.
    async fn read(self: Box<Self>, range: Range<u64>) -> Result<Content, ObjectError>;
}

/// A project's datasets and their objects. What is answered is durable.
///
/// Dataset names are compared without regard to case, object names with. A missing dataset is
/// [`ObjectError::NoDataset`] everywhere.
#[async_trait]
pub trait ObjectStorage: Send + Sync {
    /// Makes an empty dataset.
    async fn create_dataset(&self, lake: LakeId, dataset: &DatasetName) -> Result<(), ObjectError>;

    /// All datasets by name.
    async fn datasets(&self, lake: LakeId) -> Result<Vec<DatasetName>, ObjectError>;

    /// Removes a dataset without objects.
    async fn delete_dataset(&self, lake: LakeId, dataset: &DatasetName) -> Result<(), ObjectError>;

    /// A page of objects, sorted by the bytes of their names. Fewer than the limit: there are no more.
    async fn list(
        &self,
        lake: LakeId,
        dataset: &DatasetName,
        query: &ObjectQuery,
    ) -> Result<Vec<ObjectInfo>, ObjectError>;

    /// Stores an object. Whoever reads sees the old one or the new one. When this fails, or is dropped before the
    /// content's end, the old one stays.
    async fn put(
        &self,
        lake: LakeId,
        dataset: &DatasetName,
        object: &ObjectName,
        content: Content,
        options: PutOptions,
    ) -> Result<Stored, ObjectError>;

    /// An object without its bytes.
    async fn head(&self, lake: LakeId, dataset: &DatasetName, object: &ObjectName) -> Result<ObjectInfo, ObjectError>;

    /// Opens an object's current version.
    async fn get(
        &self,
        lake: LakeId,
        dataset: &DatasetName,
        object: &ObjectName,
    ) -> Result<Box<dyn OpenObject>, ObjectError>;

    /// Deletes an object. One that isn't there is fine, unless the precondition wants it.
    async fn delete(
        &self,
        lake: LakeId,
        dataset: &DatasetName,
        object: &ObjectName,
        precondition: &Precondition,
    ) -> Result<(), ObjectError>;

    /// Removes all datasets of a project; answers how many bytes they had. None is fine.
    async fn remove_all(&self, lake: LakeId) -> Result<u64, ObjectError>;

    /// Where the engine finds a dataset: an address to which `/` and an object's name, or a pattern, can be added.
    /// Names may hold characters that patterns give a meaning to.
    async fn engine_location(&self, lake: LakeId, dataset: &DatasetName) -> Result<String, ObjectError>;

    /// An address at which whoever knows it reads this object for so long, with a `GET`. `None` where storage has no addresses.
    async fn read_url(
        &self,
        lake: LakeId,
        dataset: &DatasetName,
        object: &ObjectName,
        valid: Duration,
    ) -> Result<Option<String>, ObjectError> {
        let _ = (lake, dataset, object, valid);
        Ok(None)
    }

    /// Moves a finished local file in, as [`ObjectStorage::put`] would store its bytes. Afterwards nothing is left of it there;
    /// when this fails, it may be.
    async fn adopt(
        &self,
        lake: LakeId,
        dataset: &DatasetName,
        object: &ObjectName,
        file: PathBuf,
        content_type: ContentType,
    ) -> Result<Stored, ObjectError>;
}
