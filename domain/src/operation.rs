//! Long work that is answered before it is done.

use chrono::{DateTime, Utc};
use serde_json::Value;
use uuid::Uuid;

use crate::ids::{OperationId, RequestId};
use crate::names::ProjectId;

/// A piece of long work, as its client sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct Operation {
    /// Its id.
    pub id: OperationId,
    /// The project it works in.
    pub project: ProjectId,
    /// What it does.
    pub kind: OperationKind,
    /// What it works on: `bucket.table`.
    pub subject: String,
    /// Who started it: the label of a principal.
    pub started_by: String,
    /// The request that started it.
    pub request_id: RequestId,
    /// When it was accepted.
    pub created_at: DateTime<Utc>,
    /// When it ended, if it has.
    pub finished_at: Option<DateTime<Utc>>,
    /// How far it is.
    pub state: OperationState,
    /// How much it has done.
    pub progress: Progress,
    /// The life of the server that carries it out, or did.
    pub instance: Uuid,
}

/// What an operation does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OperationKind {
    /// Reads files into a table.
    Import,
    /// Writes a table or a query's result into files.
    Export,
    /// Keeps the project's lake in order.
    Maintenance,
    /// Copies projects to where backups are kept, or looks after what is there.
    Backup,
    /// Makes projects of a backup.
    Restore,
    /// Looks for what is wrong with catalogs.
    Doctor,
}

impl OperationKind {
    const ALL: [Self; 6] = [Self::Import, Self::Export, Self::Maintenance, Self::Backup, Self::Restore, Self::Doctor];

    /// The word used in the API and in storage.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Import => "import",
            Self::Export => "export",
            Self::Maintenance => "maintenance",
            Self::Backup => "backup",
            Self::Restore => "restore",
            Self::Doctor => "doctor",
        }
    }

    /// The kind of that word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }
}

/// How far an operation is.
#[derive(Debug, Clone, PartialEq)]
pub enum OperationState {
    /// Accepted; it waits for its turn.
    Pending,
    /// At work.
    Running,
    /// Done; what came of it.
    Succeeded(Value),
    /// It failed and left nothing; the problem as a client would have got it.
    Failed(Value),
    /// Its client stopped it; it left nothing.
    Cancelled,
}

impl OperationState {
    /// The word used in the API and in storage.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Succeeded(_) => "succeeded",
            Self::Failed(_) => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether nothing more will happen.
    pub fn is_final(&self) -> bool {
        !matches!(self, Self::Pending | Self::Running)
    }
}

/// How much of the work is done.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Progress {
    /// From 0 to 100; none while it can't be told.
    pub percent: Option<f64>,
    /// Rows read or written so far.
    pub rows: u64,
    /// Bytes read or written so far.
    pub bytes: u64,
}
