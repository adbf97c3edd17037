//! Who did what: one entry for every change, and for what was refused.

use std::net::IpAddr;

use chrono::{DateTime, Utc};

use crate::commit::WriteRecord;
use crate::ids::{CallerId, RequestId, SnapshotId};
use crate::names::ProjectId;

/// Names a caller whose credentials opened nothing.
pub const UNKNOWN: &str = "unknown";

/// One entry of the audit log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// When.
    pub at: DateTime<Utc>,
    /// Who: `admin`, `key:<id>`, `token:<issuer>#<subject>` or `gadwall`; `unknown` for who was refused for want of credentials.
    pub principal: String,
    /// What: the event type of a change, or the method of a refused request.
    pub operation: String,
    /// Which project it concerns; none if that isn't known.
    pub project: Option<ProjectId>,
    /// To what, within the project; empty for the project itself. Of a refused request its path.
    pub resource: String,
    /// From where, if that is known.
    pub address: Option<IpAddr>,
    /// How it ended.
    pub outcome: AuditOutcome,
    /// The request behind it; the first of several.
    pub request_id: RequestId,
    /// The snapshot it stands in, for changes of the lake.
    pub snapshot: Option<SnapshotId>,
}

/// How what an entry tells of ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuditOutcome {
    /// It was done.
    Done,
    /// It was refused.
    Refused {
        /// The code of the problem that was answered.
        code: String,
        /// How many requests like this one the entry stands for.
        times: u32,
    },
}

impl AuditOutcome {
    /// The words for the outcomes.
    pub const WORDS: [&'static str; 2] = ["done", "refused"];

    /// The word used in the API and in storage.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Done => Self::WORDS[0],
            Self::Refused { .. } => Self::WORDS[1],
        }
    }
}

impl AuditEntry {
    /// The entry of one write in a commit.
    pub fn of_write(project: ProjectId, write: &WriteRecord, at: DateTime<Utc>, snapshot: SnapshotId) -> Self {
        let principal = write.origin.key_id.as_ref().map_or_else(|| "admin".to_owned(), CallerId::label);
        Self {
            at,
            principal,
            operation: write.change.event_type().to_owned(),
            project: Some(project),
            resource: write.change.subject(),
            address: write.origin.address,
            outcome: AuditOutcome::Done,
            request_id: write.origin.request_id.clone(),
            snapshot: Some(snapshot),
        }
    }
}

/// An entry as read back from the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoggedAudit {
    /// Position in the log: later entries have larger ones, and none is given twice.
    pub position: u64,
    /// The entry.
    pub entry: AuditEntry,
}

/// Which entries to list, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AuditFilter {
    /// Only those of this project.
    pub project: Option<ProjectId>,
    /// Only those of this principal.
    pub principal: Option<String>,
    /// Only of this operation.
    pub operation: Option<String>,
    /// Only those that ended so: one of [`AuditOutcome::WORDS`].
    pub outcome: Option<&'static str>,
    /// Only those of this time and later ones.
    pub since: Option<DateTime<Utc>>,
    /// Only those of before this time.
    pub until: Option<DateTime<Utc>>,
    /// Only those before this position.
    pub before: Option<u64>,
    /// At most so many.
    pub limit: u32,
}

/// Which entries to forget.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuditAge {
    /// Changes of before this time.
    pub changes_before: DateTime<Utc>,
    /// Refusals of before this time.
    pub refusals_before: DateTime<Utc>,
    /// At most so many of each.
    pub limit: u32,
}
