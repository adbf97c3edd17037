//! How the use cases of maintenance fail.

use gadwall_domain::error::{Classify, ErrorKind};
use gadwall_domain::maintenance::PolicyError;
use gadwall_domain::names::ProjectId;
use serde_json::{Value, json};
use thiserror::Error;

/// The failures of maintenance.
#[derive(Debug, Error)]
pub enum MaintenanceError {
    /// A policy that can't be.
    #[error("{0}")]
    Policy(#[from] PolicyError),
    /// It is at it already.
    #[error("project {project} is being maintained already, by operation {operation}")]
    AlreadyRunning {
        /// The project.
        project: ProjectId,
        /// Which operation does it.
        operation: String,
    },
    /// It is paused.
    #[error("maintenance of project {0} is paused; resume it first")]
    Paused(ProjectId),
    /// No such run in the project.
    #[error("there is no maintenance run {run} in project {project}; those that ended are forgotten after 7 days")]
    NoRun {
        /// The project.
        project: ProjectId,
        /// As it was asked for, shortened.
        run: String,
    },
}

impl Classify for MaintenanceError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Policy(_) => ErrorKind::Invalid,
            Self::AlreadyRunning { .. } | Self::Paused(_) => ErrorKind::Conflict,
            Self::NoRun { .. } => ErrorKind::NotFound,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Policy(_) => "invalid_maintenance_policy",
            Self::AlreadyRunning { .. } => "maintenance_running",
            Self::Paused(_) => "maintenance_paused",
            Self::NoRun { .. } => "maintenance_run_not_found",
        }
    }

    fn details(&self) -> Option<Value> {
        match self {
            Self::Policy(error) => Some(json!({ "field": error.field })),
            Self::AlreadyRunning { operation, .. } => Some(json!({ "operation_id": operation })),
            Self::Paused(_) | Self::NoRun { .. } => None,
        }
    }
}
