//! Why a project isn't deleted, or not brought back.

use gadwall_domain::error::{Classify, ErrorKind};
use gadwall_domain::names::ProjectId;
use serde_json::{Value, json};
use thiserror::Error;

/// The failures of deletions.
#[derive(Debug, Error)]
pub enum DeletionError {
    /// The project is kept from deletion.
    #[error("project {0} is protected from deletion; set its deletion_protection to false first")]
    Protected(ProjectId),
    /// Its data would go, but it is in use.
    #[error("project {0} is in use; delete it first")]
    InUse(ProjectId),
    /// Its data is going, or gone.
    #[error("project {0} can't be brought back: its time is over, and its data is going or gone")]
    Purged(ProjectId),
}

impl DeletionError {
    fn project(&self) -> &ProjectId {
        match self {
            Self::Protected(id) | Self::InUse(id) | Self::Purged(id) => id,
        }
    }
}

impl Classify for DeletionError {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Conflict
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Protected(_) => "deletion_protected",
            Self::InUse(_) => "project_in_use",
            Self::Purged(_) => "project_purged",
        }
    }

    fn details(&self) -> Option<Value> {
        Some(json!({ "project_id": self.project() }))
    }
}
