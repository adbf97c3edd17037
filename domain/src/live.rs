//! Watching events as they happen, and following the changes of a table.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::access::KeyDigest;
use crate::events::LoggedEvent;
use crate::ids::{ApiKeyId, SnapshotId};
use crate::names::{BucketName, ConsumerName, ProjectId};
use crate::table::TableRef;

/// What somebody who watches may see of the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Viewer {
    /// Who it is, as audit entries have it.
    pub label: String,
    /// The project whose events it sees; none for those of all.
    pub project: Option<ProjectId>,
    /// The one bucket whose events it sees, if it is limited to one.
    pub bucket: Option<BucketName>,
    /// Whether it sees what concerns keys.
    pub manages: bool,
    /// The key it came with.
    pub key: Option<ApiKeyId>,
    /// When what it came with ends.
    pub until: Option<DateTime<Utc>>,
}

impl Viewer {
    /// Whether an event is for its eyes.
    pub fn sees(&self, event: &LoggedEvent) -> bool {
        self.is_of(&event.project)
            && (self.manages || !event.event_type.starts_with("key."))
            && self.bucket.as_ref().is_none_or(|bucket| is_in(bucket, &event.subject))
    }

    /// Whether it watches the project.
    pub fn is_of(&self, project: &ProjectId) -> bool {
        self.project.as_ref().is_none_or(|own| own == project)
    }
}

/// Whether an event's subject is the bucket, or in it.
fn is_in(bucket: &BucketName, subject: &str) -> bool {
    let name = subject.split_once('.').map_or(subject, |(name, _)| name);
    name.eq_ignore_ascii_case(bucket.as_str())
}

/// What opens a stream of events for a short time, for who can't send a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventToken {
    /// Digest of its text.
    pub digest: KeyDigest,
    /// What it shows.
    pub viewer: Viewer,
    /// When it ends.
    pub expires_at: DateTime<Utc>,
}

/// Somebody who follows the changes of a table, and how far they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeConsumer {
    /// The project.
    pub project: ProjectId,
    /// The table.
    pub table: TableRef,
    /// The name: unique for the table without regard to case.
    pub name: ConsumerName,
    /// The last snapshot whose changes they have. Later ones are kept for them.
    pub snapshot: SnapshotId,
    /// When they were first heard of.
    pub created_at: DateTime<Utc>,
    /// When they last told how far they are.
    pub moved_at: DateTime<Utc>,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::ids::RequestId;

    fn event(kind: &str, subject: &str) -> LoggedEvent {
        LoggedEvent {
            position: 1,
            project: ProjectId::parse("p").unwrap(),
            event_type: kind.to_owned(),
            subject: subject.to_owned(),
            occurred_at: DateTime::UNIX_EPOCH,
            request_id: RequestId::parse("r").unwrap(),
            snapshot: None,
            data: json!({}),
        }
    }

    #[test]
    fn a_viewer_sees_its_project_its_bucket_and_keys_only_if_it_manages_them() {
        let whole = Viewer {
            label: "key:1".to_owned(),
            project: Some(ProjectId::parse("P").unwrap()),
            bucket: None,
            manages: true,
            key: None,
            until: None,
        };
        let reader = Viewer { manages: false, ..whole.clone() };
        let of_bucket = Viewer { bucket: Some(BucketName::parse("b").unwrap()), ..whole.clone() };
        let other = Viewer { project: Some(ProjectId::parse("q").unwrap()), ..whole.clone() };
        let all = Viewer { project: None, ..whole.clone() };
        for (kind, subject, seen) in [
            ("key.created", "018f", [true, false, false, false, true]),
            ("table.created", "B.t", [true, true, true, false, true]),
            ("bucket.created", "b", [true, true, true, false, true]),
            ("bucket.created", "b2", [true, true, false, false, true]),
            ("project.updated", "", [true, true, false, false, true]),
        ] {
            let event = event(kind, subject);
            let found = [&whole, &reader, &of_bucket, &other, &all].map(|viewer| viewer.sees(&event));
            assert_eq!(found, seen, "{kind} {subject}");
        }
    }
}
