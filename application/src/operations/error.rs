//! How the use cases of operations fail, and what is kept of another's failure.

use gadwall_domain::error::{Classify, ErrorKind};
use gadwall_domain::names::ProjectId;
use serde_json::{Value, json};
use thiserror::Error;

use crate::error::UseCaseError;

/// The failures of operations.
#[derive(Debug, Error)]
pub enum OperationError {
    /// No such operation in the project.
    #[error("there is no operation {operation} in project {project}; those that ended are forgotten after 7 days")]
    NoOperation {
        /// The project.
        project: ProjectId,
        /// As it was asked for, shortened.
        operation: String,
    },
    /// Too many wait already.
    #[error("too many imports and exports are running or waiting; try again when some have ended")]
    TooMany,
    /// It was cancelled. Kept by the operation's state, never told.
    #[error("the operation was cancelled")]
    Cancelled,
}

impl Classify for OperationError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::NoOperation { .. } => ErrorKind::NotFound,
            Self::TooMany => ErrorKind::Unavailable,
            Self::Cancelled => ErrorKind::Conflict,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::NoOperation { .. } => "operation_not_found",
            Self::TooMany => "too_many_operations",
            Self::Cancelled => "operation_cancelled",
        }
    }

    fn details(&self) -> Option<Value> {
        match self {
            Self::NoOperation { project, operation } => {
                Some(json!({ "project_id": project, "operation_id": operation }))
            }
            _ => None,
        }
    }
}

/// A failure as it is kept: what a driving adapter needs to tell it as if it had just happened.
pub(crate) fn kept(error: &UseCaseError) -> Value {
    let kind = error.kind();
    let detail = if kind == ErrorKind::Internal {
        "something went wrong on our side; the log has it under this request id".to_owned()
    } else {
        error.to_string()
    };
    json!({
        "kind": kind.as_str(),
        "code": error.code(),
        "detail": detail,
        "details": error.details(),
        "errors": error.findings(),
    })
}

/// The failure of what was running when the service stopped.
pub(crate) fn interrupted() -> Value {
    json!({
        "kind": ErrorKind::Unavailable.as_str(),
        "code": "interrupted",
        "detail": "the service stopped while this was running; look whether it took effect, and start it again if not",
        "details": null,
        "errors": [],
    })
}
