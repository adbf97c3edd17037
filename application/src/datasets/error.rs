//! How the use cases of datasets fail.

use gadwall_domain::dataset::{ContentTypeError, DatasetName, ObjectName};
use gadwall_domain::error::{Classify, ErrorKind};
use gadwall_domain::names::ProjectId;
use gadwall_domain::ports::objects::{ContentError, ObjectError};
use serde_json::{Value, json};
use thiserror::Error;

/// The failures of datasets and objects.
#[derive(Debug, Error)]
pub enum DatasetError {
    /// No such dataset in the project.
    #[error("there is no dataset {dataset} in project {project}")]
    NoDataset {
        /// The project.
        project: ProjectId,
        /// The dataset.
        dataset: DatasetName,
    },
    /// The dataset's name is taken.
    #[error("dataset {dataset} exists already in project {project}")]
    DatasetExists {
        /// The project.
        project: ProjectId,
        /// The dataset.
        dataset: DatasetName,
    },
    /// The dataset holds objects.
    #[error("dataset {dataset} is not empty; delete its objects first")]
    DatasetNotEmpty {
        /// The dataset.
        dataset: DatasetName,
    },
    /// No such object in the dataset.
    #[error("there is no object {object} in dataset {dataset}")]
    NoObject {
        /// The dataset.
        dataset: DatasetName,
        /// The object.
        object: ObjectName,
    },
    /// The object's name would make a folder of an object, or an object of a folder.
    #[error("{object} can't be an object: objects are files, and a file and a folder can't have one name; use another")]
    NameClash {
        /// The object.
        object: ObjectName,
    },
    /// The object's name is longer than the storage can have.
    #[error("{object} is too long: names in this dataset can have {limit} bytes where it is stored")]
    NameTooLong {
        /// The object.
        object: ObjectName,
        /// The most bytes it can have.
        limit: usize,
    },
    /// The object is not the version that the request speaks of.
    #[error("object {object} is not as the request's precondition says; look at it again")]
    PreconditionFailed {
        /// The object.
        object: ObjectName,
    },
    /// Storage has no addresses for others.
    #[error("objects that are kept on this server's disk have no address of their own; get the object itself")]
    NoUrls,
    /// Objects are never put past the service.
    #[error(
        "there are no addresses to put objects at: an upload there would pass by the checks; put the object itself"
    )]
    NoPutByUrl,
    /// The content type is not legal.
    #[error(transparent)]
    ContentType(#[from] ContentTypeError),
    /// The bytes stopped coming. Nothing was stored.
    #[error(transparent)]
    Content(#[from] ContentError),
    /// Object storage failed.
    #[error(transparent)]
    Storage(ObjectError),
}

impl From<ObjectError> for DatasetError {
    fn from(error: ObjectError) -> Self {
        match error {
            ObjectError::Content(error) => Self::Content(error),
            error => Self::Storage(error),
        }
    }
}

impl Classify for DatasetError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::NoDataset { .. } | Self::NoObject { .. } => ErrorKind::NotFound,
            Self::DatasetExists { .. } | Self::DatasetNotEmpty { .. } | Self::NameClash { .. } => ErrorKind::Conflict,
            Self::PreconditionFailed { .. } => ErrorKind::PreconditionFailed,
            Self::NoUrls | Self::NoPutByUrl => ErrorKind::Unprocessable,
            Self::ContentType(error) => error.kind(),
            Self::Content(ContentError::TooLarge { .. }) => ErrorKind::TooLarge,
            Self::Content(ContentError::Quota(error)) => error.kind(),
            Self::NameTooLong { .. } | Self::Content(ContentError::Interrupted | ContentError::Malformed { .. }) => {
                ErrorKind::Invalid
            }
            Self::Storage(ObjectError::StorageFull(_)) => ErrorKind::StorageFull,
            Self::Storage(ObjectError::ReadOnly(_) | ObjectError::Unavailable(_) | ObjectError::Busy(_)) => {
                ErrorKind::Unavailable
            }
            Self::Content(ContentError::Fault(_)) | Self::Storage(_) => ErrorKind::Internal,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::NoDataset { .. } => "dataset_not_found",
            Self::DatasetExists { .. } => "dataset_exists",
            Self::DatasetNotEmpty { .. } => "dataset_not_empty",
            Self::NoObject { .. } => "object_not_found",
            Self::NameClash { .. } => "object_name_clash",
            Self::NameTooLong { .. } => "object_name_too_long",
            Self::PreconditionFailed { .. } => "precondition_failed",
            Self::NoUrls | Self::NoPutByUrl => "presign_unsupported",
            Self::ContentType(error) => error.code(),
            Self::Content(ContentError::TooLarge { .. }) => "body_too_large",
            Self::Content(ContentError::Quota(error)) => error.code(),
            Self::Content(ContentError::Interrupted) => "body_incomplete",
            Self::Content(ContentError::Malformed { .. }) => "malformed_body",
            Self::Storage(ObjectError::StorageFull(_)) => "storage_full",
            Self::Storage(ObjectError::Busy(_)) => "busy",
            Self::Storage(ObjectError::ReadOnly(_) | ObjectError::Unavailable(_)) => "storage_unavailable",
            Self::Content(ContentError::Fault(_)) | Self::Storage(_) => "internal_error",
        }
    }

    fn details(&self) -> Option<Value> {
        match self {
            Self::Content(ContentError::Quota(error)) => error.details(),
            Self::NoDataset { project, dataset } | Self::DatasetExists { project, dataset } => {
                Some(json!({ "project_id": project, "dataset_name": dataset }))
            }
            Self::DatasetNotEmpty { dataset } => Some(json!({ "dataset_name": dataset })),
            Self::NoObject { dataset, object } => Some(json!({ "dataset_name": dataset, "object_name": object })),
            Self::NameTooLong { object, limit } => Some(json!({ "object_name": object, "limit_bytes": limit })),
            Self::NameClash { object } | Self::PreconditionFailed { object } => Some(json!({ "object_name": object })),
            _ => None,
        }
    }
}

/// Tells storage's failure in terms of the dataset it was about.
pub(crate) fn about_dataset(project: &ProjectId, dataset: &DatasetName) -> impl FnOnce(ObjectError) -> DatasetError {
    let (project, dataset) = (project.clone(), dataset.clone());
    move |error| match error {
        ObjectError::NoDataset => DatasetError::NoDataset { project, dataset },
        ObjectError::DatasetExists => DatasetError::DatasetExists { project, dataset },
        ObjectError::DatasetNotEmpty => DatasetError::DatasetNotEmpty { dataset },
        other => other.into(),
    }
}

/// Tells storage's failure in terms of the object it was about.
pub(crate) fn about_object(
    project: &ProjectId,
    dataset: &DatasetName,
    object: &ObjectName,
) -> impl FnOnce(ObjectError) -> DatasetError {
    let about_dataset = about_dataset(project, dataset);
    let (dataset, object) = (dataset.clone(), object.clone());
    move |error| match error {
        ObjectError::NoObject => DatasetError::NoObject { dataset, object },
        ObjectError::NameClash => DatasetError::NameClash { object },
        ObjectError::NameTooLong { limit } => DatasetError::NameTooLong { object, limit },
        ObjectError::PreconditionFailed => DatasetError::PreconditionFailed { object },
        other => about_dataset(other),
    }
}
