//! What a commit says of itself.
//!
//! Every snapshot carries, beside its rows, who made it and what changed that the lake itself can't
//! express (primary keys, lengths, descriptions). The commit is the truth; the metadata store keeps an
//! index of it that can be rebuilt by reading the commits again.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::ids::{ApiKeyId, RequestId, SnapshotId};
use crate::names::{BucketName, ColumnName};
use crate::schema::Column;
use crate::table::TableRef;

/// The document stored with a snapshot: one entry for each write in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommitInfo {
    /// Version of this document's form.
    pub gadwall: u32,
    /// The writes that the snapshot holds, in the order they were applied.
    pub writes: Vec<WriteRecord>,
}

impl CommitInfo {
    /// The form written by this version.
    pub const FORM: u32 = 1;

    /// A document of the current form.
    pub fn new(writes: Vec<WriteRecord>) -> Self {
        Self { gadwall: Self::FORM, writes }
    }
}

/// One write: who asked for it, in which context, and what it changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WriteRecord {
    /// Where it came from.
    #[serde(flatten)]
    pub origin: WriteOrigin,
    /// What it changed.
    pub change: Change,
}

/// Where a write came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WriteOrigin {
    /// The key used; none for the admin or Gadwall itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_id: Option<ApiKeyId>,
    /// The request.
    pub request_id: RequestId,
    /// W3C trace context, as received.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
    /// The OpenLineage run that the client named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_id: Option<String>,
    /// The client's idempotency key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<String>,
}

/// What a write changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Change {
    /// A bucket was made.
    BucketCreated {
        /// Which.
        bucket: BucketName,
        /// What it is for.
        #[serde(skip_serializing_if = "Option::is_none")]
        description: Option<String>,
    },
    /// A bucket was dropped with all that was in it.
    BucketDropped {
        /// Which.
        bucket: BucketName,
    },
    /// A table was made.
    TableCreated {
        /// Which.
        table: TableRef,
        /// Its columns with declared lengths.
        columns: Vec<Column>,
        /// Its key; empty without one.
        primary_key: Vec<ColumnName>,
    },
    /// A table was dropped.
    TableDropped {
        /// Which.
        table: TableRef,
    },
    /// Rows were added.
    RowsAppended {
        /// To which table.
        table: TableRef,
        /// How many.
        rows: u64,
    },
}

impl Change {
    /// The event type this change is announced as.
    pub fn event_type(&self) -> &'static str {
        match self {
            Self::BucketCreated { .. } => "bucket.created",
            Self::BucketDropped { .. } => "bucket.deleted",
            Self::TableCreated { .. } => "table.created",
            Self::TableDropped { .. } => "table.deleted",
            Self::RowsAppended { .. } => "rows.appended",
        }
    }

    /// What it happened to: `bucket` or `bucket.table`.
    pub fn subject(&self) -> String {
        match self {
            Self::BucketCreated { bucket, .. } | Self::BucketDropped { bucket } => bucket.to_string(),
            Self::TableCreated { table, .. } | Self::TableDropped { table } | Self::RowsAppended { table, .. } => {
                table.to_string()
            }
        }
    }
}

/// A committed snapshot as read back from the lake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// Which snapshot.
    pub snapshot: SnapshotId,
    /// When it was committed.
    pub committed_at: DateTime<Utc>,
    /// What it says of itself; empty when something other than Gadwall made it.
    pub writes: Vec<WriteRecord>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stored_form_is_stable() {
        let info = CommitInfo::new(vec![WriteRecord {
            origin: WriteOrigin {
                key_id: None,
                request_id: RequestId::parse("r1").unwrap(),
                traceparent: None,
                run_id: None,
                idempotency_key: None,
            },
            change: Change::RowsAppended { table: TableRef::parse("sales.orders").unwrap(), rows: 3 },
        }]);
        let text = serde_json::to_string(&info).unwrap();
        assert_eq!(
            text,
            r#"{"gadwall":1,"writes":[{"request_id":"r1","change":{"type":"rows_appended","table":{"bucket":"sales","table":"orders"},"rows":3}}]}"#
        );
        assert_eq!(serde_json::from_str::<CommitInfo>(&text).unwrap(), info);
    }
}
