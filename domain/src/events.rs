//! Facts that happened, for those who watch.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use crate::commit::WriteRecord;
use crate::ids::{ApiKeyId, RequestId, SnapshotId};
use crate::names::ProjectId;

/// An event about to be logged.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// The project it belongs to.
    pub project: ProjectId,
    /// What happened: `project.created`, `table.created`, `rows.appended`, …
    pub event_type: &'static str,
    /// What it happened to, within the project; empty for the project itself.
    pub subject: String,
    /// When.
    pub occurred_at: DateTime<Utc>,
    /// The request behind it.
    pub request_id: RequestId,
    /// The snapshot it stands in, for changes of the lake.
    pub snapshot: Option<SnapshotId>,
    /// Particulars.
    pub data: Value,
}

/// An event as read back from the log.
#[derive(Debug, Clone, PartialEq)]
pub struct LoggedEvent {
    /// Position in the log: grows without regard to project, never reused.
    pub position: u64,
    /// The project it belongs to.
    pub project: ProjectId,
    /// What happened.
    pub event_type: String,
    /// What it happened to.
    pub subject: String,
    /// When.
    pub occurred_at: DateTime<Utc>,
    /// The request behind it.
    pub request_id: RequestId,
    /// The snapshot it stands in.
    pub snapshot: Option<SnapshotId>,
    /// Particulars.
    pub data: Value,
}

/// How far the log of events reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LogExtent {
    /// The last position that is forgotten; 0 while all are there. Who was no farther may have missed something.
    pub forgotten: u64,
    /// The last position of the whole log.
    pub last: u64,
}

/// What happens to a project itself (the rest comes out of commits).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProjectFact {
    /// It was created.
    Created,
    /// Its name or settings changed.
    Updated,
    /// Its limits changed.
    QuotaChanged,
    /// It was deleted.
    Deleted,
    /// It was brought back.
    Undeleted,
    /// Its data is gone.
    Purged,
    /// A key was made for it.
    KeyCreated(ApiKeyId),
    /// A key of it got another secret.
    KeyRotated(ApiKeyId),
    /// A key of it was revoked.
    KeyRevoked(ApiKeyId),
}

impl ProjectFact {
    /// The event type this fact is announced as.
    pub fn event_type(self) -> &'static str {
        match self {
            Self::Created => "project.created",
            Self::Updated => "project.updated",
            Self::QuotaChanged => "project.quota_changed",
            Self::Deleted => "project.deleted",
            Self::Undeleted => "project.undeleted",
            Self::Purged => "project.purged",
            Self::KeyCreated(_) => "key.created",
            Self::KeyRotated(_) => "key.rotated",
            Self::KeyRevoked(_) => "key.revoked",
        }
    }

    /// The event of this fact.
    pub fn event(self, project: ProjectId, at: DateTime<Utc>, request_id: RequestId) -> Event {
        let (subject, data) = match self {
            Self::KeyCreated(id) | Self::KeyRotated(id) | Self::KeyRevoked(id) => {
                (id.to_string(), json!({ "key_id": id }))
            }
            _ => (String::new(), json!({})),
        };
        Event { project, event_type: self.event_type(), subject, occurred_at: at, request_id, snapshot: None, data }
    }
}

impl Event {
    /// The event of one write in a commit.
    pub fn of_write(project: ProjectId, write: &WriteRecord, at: DateTime<Utc>, snapshot: SnapshotId) -> Self {
        Self {
            project,
            event_type: write.change.event_type(),
            subject: write.change.subject(),
            occurred_at: at,
            request_id: write.origin.request_id.clone(),
            snapshot: Some(snapshot),
            data: json!({ "change": write.change, "run_id": write.origin.run_id }),
        }
    }
}
