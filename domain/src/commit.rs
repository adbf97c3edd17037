//! What a commit says of itself.
//!
//! Every snapshot carries, beside its rows, who made it and what changed that the lake itself can't
//! express (primary keys, lengths, descriptions). The commit is the truth; the metadata store keeps an
//! index of it that can be rebuilt by reading the commits again.

use std::collections::BTreeSet;
use std::net::IpAddr;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::alteration::Alteration;
use crate::contract::Measure;
use crate::ids::{CallerId, RequestId, SnapshotId};
use crate::layout::Layout;
use crate::lineage::Origins;
use crate::names::{BucketName, ColumnName};
use crate::schema::Column;
use crate::table::TableRef;
use crate::transfer::ObjectPath;
use crate::view::ViewColumn;

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
    /// The tables and views that it made that of, as far as its text tells.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub reads: BTreeSet<TableRef>,
    /// Which columns it made that of, as far as its text tells.
    #[serde(default, skip_serializing_if = "Origins::is_empty")]
    pub origins: Origins,
    /// The statement that made it of what it read, if it is one: its beginning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sql: Option<String>,
    /// Rules of the table's contract that it broke, and that only warn.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub breaches: Vec<Measure>,
}

impl WriteRecord {
    /// A write that reads nothing but what it was sent, and broke no rule.
    pub fn new(origin: WriteOrigin, change: Change) -> Self {
        Self { origin, change, reads: BTreeSet::new(), origins: Origins::default(), sql: None, breaches: Vec::new() }
    }
}

/// Where a write came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WriteOrigin {
    /// Whose key or token it was; none for an admin's key or Gadwall itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_id: Option<CallerId>,
    /// The client's address, if that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<IpAddr>,
    /// The request.
    pub request_id: RequestId,
    /// W3C trace context, as received.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
    /// The OpenLineage run that the client named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_id: Option<String>,
    /// The client's idempotency key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<String>,
    /// Fingerprint of the request that the key stands for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
    /// When its request came, if that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub began_at: Option<DateTime<Utc>>,
    /// The files that its rows were in, at most [`MAX_FILES`] of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<ObjectPath>,
}

/// Most files that a write tells of.
pub const MAX_FILES: usize = 100;

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
        /// How its files are laid out.
        #[serde(default, skip_serializing_if = "Layout::is_plain")]
        layout: Layout,
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
    /// Rows were added, or took the place of those with the same key.
    RowsUpserted {
        /// In which table.
        table: TableRef,
        /// How many were new.
        inserted: u64,
        /// How many took another's place.
        updated: u64,
    },
    /// All rows gave way to others.
    RowsReplaced {
        /// In which table.
        table: TableRef,
        /// How many there are now.
        inserted: u64,
        /// How many there were.
        deleted: u64,
    },
    /// Rows were changed.
    RowsUpdated {
        /// In which table.
        table: TableRef,
        /// How many.
        rows: u64,
    },
    /// Rows were deleted.
    RowsDeleted {
        /// From which table.
        table: TableRef,
        /// How many.
        rows: u64,
    },
    /// All rows were deleted.
    TableTruncated {
        /// From which table.
        table: TableRef,
        /// How many.
        rows: u64,
    },
    /// Rows were deleted, to be erased from history and storage as well.
    RowsPurged {
        /// From which table.
        table: TableRef,
        /// How many.
        rows: u64,
    },
    /// Files that lay there became part of a table.
    FilesRegistered {
        /// Of which table.
        table: TableRef,
        /// How many files.
        files: u64,
        /// How many rows are in them.
        rows: u64,
    },
    /// A table's files were written anew; its rows are as they were.
    FilesCompacted {
        /// Of which table.
        table: TableRef,
        /// Files that were part of its newest version and aren't any more.
        removed: u64,
        /// Files that took their place.
        made: u64,
    },
    /// A table's shape changed.
    TableAltered {
        /// Which table.
        table: TableRef,
        /// How.
        alteration: Alteration,
        /// Its columns since, with declared lengths.
        columns: Vec<Column>,
        /// Its key since; empty without one.
        primary_key: Vec<ColumnName>,
    },
    /// A table got another name.
    TableRenamed {
        /// Its old name.
        table: TableRef,
        /// Its new name, in the same bucket.
        to: TableRef,
    },
    /// A table is as it was.
    TableRestored {
        /// Which table.
        table: TableRef,
        /// As it was in this snapshot.
        from: SnapshotId,
        /// Its columns since, with declared lengths.
        columns: Vec<Column>,
        /// Its key since; empty without one.
        primary_key: Vec<ColumnName>,
        /// How many rows it has since.
        inserted: u64,
        /// How many it had before.
        deleted: u64,
    },
    /// A dropped table is there again.
    TableUndeleted {
        /// Which table.
        table: TableRef,
        /// As it was in this snapshot.
        from: SnapshotId,
        /// Its columns, with declared lengths.
        columns: Vec<Column>,
        /// Its key; empty without one.
        primary_key: Vec<ColumnName>,
        /// How many rows it has.
        rows: u64,
    },
    /// A view was made, or made anew.
    ViewCreated {
        /// Which.
        view: TableRef,
        /// Its query, as its author wrote it.
        sql: String,
        /// Its columns.
        columns: Vec<ViewColumn>,
        /// What it is for.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        comment: Option<String>,
    },
    /// A view was dropped.
    ViewDropped {
        /// Which.
        view: TableRef,
    },
}

/// Rows that a write touched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RowCounts {
    /// New rows.
    pub inserted: u64,
    /// Rows that changed.
    pub updated: u64,
    /// Rows that went away.
    pub deleted: u64,
}

impl RowCounts {
    /// Rows touched in any way.
    pub fn total(self) -> u64 {
        self.inserted + self.updated + self.deleted
    }
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
            Self::RowsUpserted { .. } => "rows.upserted",
            Self::RowsReplaced { .. } => "rows.replaced",
            Self::RowsUpdated { .. } => "rows.updated",
            Self::RowsDeleted { .. } => "rows.deleted",
            Self::TableTruncated { .. } => "table.truncated",
            Self::RowsPurged { .. } => "rows.purged",
            Self::FilesRegistered { .. } => "files.registered",
            Self::FilesCompacted { .. } => "maintenance.files_compacted",
            Self::TableAltered { alteration: Alteration::Contract { document: Some(_) }, .. } => "contract.put",
            Self::TableAltered { alteration: Alteration::Contract { document: None }, .. } => "contract.removed",
            Self::TableAltered { .. } => "table.altered",
            Self::TableRenamed { .. } => "table.renamed",
            Self::TableRestored { .. } => "table.restored",
            Self::TableUndeleted { .. } => "table.undeleted",
            Self::ViewCreated { .. } => "view.created",
            Self::ViewDropped { .. } => "view.deleted",
        }
    }

    /// The table it happened to, by its name before the change; none for a bucket or a view.
    pub fn table(&self) -> Option<&TableRef> {
        match self {
            Self::BucketCreated { .. }
            | Self::BucketDropped { .. }
            | Self::ViewCreated { .. }
            | Self::ViewDropped { .. } => None,
            Self::TableCreated { table, .. }
            | Self::TableDropped { table }
            | Self::RowsAppended { table, .. }
            | Self::RowsUpserted { table, .. }
            | Self::RowsReplaced { table, .. }
            | Self::RowsUpdated { table, .. }
            | Self::RowsDeleted { table, .. }
            | Self::TableTruncated { table, .. }
            | Self::RowsPurged { table, .. }
            | Self::FilesRegistered { table, .. }
            | Self::FilesCompacted { table, .. }
            | Self::TableAltered { table, .. }
            | Self::TableRenamed { table, .. }
            | Self::TableRestored { table, .. }
            | Self::TableUndeleted { table, .. } => Some(table),
        }
    }

    /// The bucket it happened in.
    pub fn bucket(&self) -> Option<&BucketName> {
        match self {
            Self::BucketCreated { bucket, .. } | Self::BucketDropped { bucket } => Some(bucket),
            Self::ViewCreated { view, .. } | Self::ViewDropped { view } => Some(&view.bucket),
            other => other.table().map(|table| &table.bucket),
        }
    }

    /// What it happened to: `bucket`, `bucket.table` or `bucket.view`.
    pub fn subject(&self) -> String {
        match self {
            Self::BucketCreated { bucket, .. } | Self::BucketDropped { bucket } => bucket.to_string(),
            Self::ViewCreated { view, .. } | Self::ViewDropped { view } => view.to_string(),
            other => other.table().map(ToString::to_string).unwrap_or_default(),
        }
    }

    /// The rows that it touched.
    pub fn counts(&self) -> RowCounts {
        match *self {
            Self::RowsAppended { rows, .. }
            | Self::FilesRegistered { rows, .. }
            | Self::TableUndeleted { rows, .. } => RowCounts { inserted: rows, ..RowCounts::default() },
            Self::RowsUpserted { inserted, updated, .. } => RowCounts { inserted, updated, deleted: 0 },
            Self::RowsReplaced { inserted, deleted, .. } | Self::TableRestored { inserted, deleted, .. } => {
                RowCounts { inserted, updated: 0, deleted }
            }
            Self::RowsUpdated { rows, .. } => RowCounts { updated: rows, ..RowCounts::default() },
            Self::RowsDeleted { rows, .. } | Self::TableTruncated { rows, .. } | Self::RowsPurged { rows, .. } => {
                RowCounts { deleted: rows, ..RowCounts::default() }
            }
            _ => RowCounts::default(),
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

impl Commit {
    /// Whether it makes a table of this name: one that is dropped in it, too, is the same to its users.
    pub fn makes(&self, name: &TableRef) -> bool {
        self.writes.iter().any(|write| matches!(&write.change, Change::TableCreated { table, .. } if table == name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stored_form_is_stable() {
        let info = CommitInfo::new(vec![WriteRecord {
            origin: WriteOrigin {
                key_id: None,
                address: None,
                request_id: RequestId::parse("r1").unwrap(),
                traceparent: None,
                run_id: None,
                idempotency_key: None,
                fingerprint: None,
                began_at: None,
                files: Vec::new(),
            },
            change: Change::RowsAppended { table: TableRef::parse("sales.orders").unwrap(), rows: 3 },
            reads: BTreeSet::new(),
            origins: Origins::default(),
            sql: None,
            breaches: Vec::new(),
        }]);
        let text = serde_json::to_string(&info).unwrap();
        assert_eq!(
            text,
            r#"{"gadwall":1,"writes":[{"request_id":"r1","change":{"type":"rows_appended","table":{"bucket":"sales","table":"orders"},"rows":3}}]}"#
        );
        assert_eq!(serde_json::from_str::<CommitInfo>(&text).unwrap(), info);
    }
}
