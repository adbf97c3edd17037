//! How the use cases of backups fail.

use gadwall_domain::error::{Classify, ErrorKind};
use gadwall_domain::names::ProjectId;
use gadwall_domain::ports::backup::{ArchiveError, TargetError};
use gadwall_domain::ports::objects::{ContentError, ObjectError};
use serde_json::{Value, json};
use thiserror::Error;

use crate::datasets::DatasetError;
use crate::error::UseCaseError;
use crate::lake_kind::lake_kind;

/// The failures of backups.
#[derive(Debug, Error)]
pub enum BackupError {
    /// Nobody said where they are kept.
    #[error("nothing is set up to keep backups in; set backup.target to a folder or to s3://bucket/prefix")]
    NoTarget,
    /// It is at it already.
    #[error("operation {operation} works on the backups already; wait for its end")]
    AlreadyRunning {
        /// Which operation does it.
        operation: String,
    },
    /// No such backup, or it isn't finished.
    #[error("there is no backup {0}")]
    NoBackup(String),
    /// The backup doesn't have the project.
    #[error("backup {backup} has no project {project}")]
    NotInBackup {
        /// The backup.
        backup: String,
        /// The project.
        project: ProjectId,
    },
    /// The project is in use, or its data isn't gone yet.
    #[error("project {0} is there: restore it under another name, or delete and purge it first")]
    ProjectThere(ProjectId),
    /// Several projects, or none, can't take one name.
    #[error("name the one project that shall have another name")]
    OneName,
    /// A document of a later Gadwall.
    #[error("the backup was made by a later Gadwall, or by nothing of the kind: its format is {0}")]
    Format(u32),
    /// Metadata of a later Gadwall.
    #[error(
        "the backup's metadata has version {theirs}, and this Gadwall knows up to {ours}; use the Gadwall that made it, or a later one"
    )]
    Later {
        /// The backup's.
        theirs: i64,
        /// This one's.
        ours: i64,
    },
    /// What is there isn't what was written.
    #[error("the backup is damaged: {0}")]
    Damaged(String),
    /// What was restored isn't what was backed up.
    #[error("what was restored differs: {0}")]
    Differs(String),
    /// Everything that could fail did.
    #[error("none of {0} projects could be backed up; the log says why")]
    AllFailed(usize),
    /// Where backups are kept.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// The lake.
    #[error(transparent)]
    Archive(ArchiveError),
}

impl From<ArchiveError> for UseCaseError {
    fn from(error: ArchiveError) -> Self {
        match error {
            ArchiveError::Lake(error) => error.into(),
            error => BackupError::Archive(error).into(),
        }
    }
}

impl From<TargetError> for UseCaseError {
    fn from(error: TargetError) -> Self {
        BackupError::Target(error).into()
    }
}

/// A failure of datasets' storage.
pub(super) fn objects(error: ObjectError) -> UseCaseError {
    DatasetError::Storage(error).into()
}

impl Classify for BackupError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::NoTarget | Self::AlreadyRunning { .. } | Self::ProjectThere(_) => ErrorKind::Conflict,
            Self::NoBackup(_) | Self::NotInBackup { .. } => ErrorKind::NotFound,
            Self::OneName => ErrorKind::Invalid,
            Self::Format(_) | Self::Later { .. } | Self::Damaged(_) | Self::Differs(_) => ErrorKind::Unprocessable,
            Self::AllFailed(_) => ErrorKind::Internal,
            Self::Target(error) => match error {
                TargetError::Full(_) => ErrorKind::StorageFull,
                TargetError::Unavailable(_) => ErrorKind::Unavailable,
                TargetError::Missing(_) => ErrorKind::Unprocessable,
                TargetError::Content(_) | TargetError::Fault(_) => ErrorKind::Internal,
            },
            Self::Archive(error) => match error {
                ArchiveError::Lake(error) => lake_kind(error),
                ArchiveError::Inlined
                | ArchiveError::Elsewhere
                | ArchiveError::Files { .. }
                | ArchiveError::Unreadable(_) => ErrorKind::Unprocessable,
                ArchiveError::Content(ContentError::Interrupted) => ErrorKind::Unavailable,
                ArchiveError::Content(_) => ErrorKind::Internal,
            },
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::NoTarget => "no_backup_target",
            Self::AlreadyRunning { .. } => "backup_running",
            Self::NoBackup(_) => "backup_not_found",
            Self::NotInBackup { .. } => "not_in_backup",
            Self::ProjectThere(_) => "project_exists",
            Self::OneName => "invalid_restore",
            Self::Format(_) | Self::Later { .. } => "backup_too_new",
            Self::Damaged(_) | Self::Target(TargetError::Missing(_)) => "backup_damaged",
            Self::Differs(_) => "restore_differs",
            Self::AllFailed(_) => "backup_failed",
            Self::Target(TargetError::Full(_)) => "backup_target_full",
            Self::Target(_) => "backup_target_unavailable",
            Self::Archive(ArchiveError::Files { .. }) => "lake_files_missing",
            Self::Archive(_) => "lake_not_archived",
        }
    }

    fn details(&self) -> Option<Value> {
        match self {
            Self::AlreadyRunning { operation } => Some(json!({ "operation_id": operation })),
            _ => None,
        }
    }
}
