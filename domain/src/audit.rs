//! Who did what: one entry for every mutation.

use chrono::{DateTime, Utc};

use crate::commit::WriteRecord;
use crate::ids::{CallerId, RequestId, SnapshotId};
use crate::names::ProjectId;

/// One entry of the audit log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// When.
    pub at: DateTime<Utc>,
    /// Who: `admin`, `key:<id>`, `token:<issuer>#<subject>` or `gadwall`.
    pub principal: String,
    /// What: the event type of the change.
    pub operation: String,
    /// In which project.
    pub project: ProjectId,
    /// To what, within the project; empty for the project itself.
    pub resource: String,
    /// The request behind it.
    pub request_id: RequestId,
    /// The snapshot it stands in, for changes of the lake.
    pub snapshot: Option<SnapshotId>,
}

impl AuditEntry {
    /// The entry of one write in a commit.
    pub fn of_write(project: ProjectId, write: &WriteRecord, at: DateTime<Utc>, snapshot: SnapshotId) -> Self {
        let principal = write.origin.key_id.as_ref().map_or_else(|| "admin".to_owned(), CallerId::label);
        Self {
            at,
            principal,
            operation: write.change.event_type().to_owned(),
            project,
            resource: write.change.subject(),
            request_id: write.origin.request_id.clone(),
            snapshot: Some(snapshot),
        }
    }
}
