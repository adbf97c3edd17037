//! Maintenance of a lake's files and snapshots.

use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::{LakeError, WriteError};
use crate::commit::WriteOrigin;
use crate::ids::{LakeId, SnapshotId};
use crate::maintenance::MaintenancePolicy;
use crate::table::TableRef;

/// Files, and how many bytes they have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Files {
    /// How many.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// A snapshot that is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeptSnapshot {
    /// Which.
    pub id: SnapshotId,
    /// When it was committed.
    pub committed_at: DateTime<Utc>,
}

/// How a table's newest version lies in files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableCondition {
    /// Which table.
    pub table: TableRef,
    /// Its files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Rows in them, deleted ones among them.
    pub rows: u64,
    /// Rows that are deleted.
    pub deleted_rows: u64,
    /// Files that are small.
    pub small_files: u64,
    /// Small files that are worth being merged.
    pub mergeable_files: u64,
    /// Their bytes.
    pub mergeable_bytes: u64,
    /// Files with so many deleted rows that they are worth being written anew.
    pub rewritable_files: u64,
    /// Their bytes.
    pub rewritable_bytes: u64,
}

/// How a lake is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LakeCondition {
    /// Its tables, by name.
    pub tables: Vec<TableCondition>,
    /// All snapshots that are kept, oldest first.
    pub snapshots: Vec<KeptSnapshot>,
    /// Files that no snapshot shows any more and that are still there.
    pub waiting: Files,
    /// Those of them that waited for long enough.
    pub deletable: Files,
    /// Files that no snapshot ever showed, old enough to be deleted.
    pub orphans: Files,
}

/// How long files stay that no snapshot shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileFloors {
    /// Since the snapshots ended: whoever read one still finds its files.
    pub unused: Duration,
    /// Since they were written, where no snapshot ever showed them: a write may still be at them.
    pub unknown: Duration,
}

/// A piece of maintenance, small enough for one turn of the lake's writer.
#[derive(Debug, Clone, PartialEq)]
pub enum Slice {
    /// Makes fewer files of small ones of a table.
    Merge {
        /// Which table.
        table: TableRef,
        /// What small is, and how large they become.
        policy: MaintenancePolicy,
    },
    /// Writes files of a table anew without their deleted rows, worst first.
    Rewrite {
        /// Which table.
        table: TableRef,
        /// Which files are meant.
        policy: MaintenancePolicy,
    },
    /// Ends these snapshots. The newest never ends, and one that is gone is fine.
    Expire(Vec<SnapshotId>),
    /// Deletes files that no snapshot has shown for so long.
    DeleteUnused(Duration),
    /// Deletes files that no snapshot ever showed, and that are older than this.
    DeleteUnknown(Duration),
}

/// What a slice did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SliceReport {
    /// The snapshot that it made, if it made one.
    pub snapshot: Option<SnapshotId>,
    /// Files that are no longer part of the newest version, or were deleted from storage.
    pub removed: Files,
    /// Files that took their place.
    pub made: Files,
    /// Snapshots that ended.
    pub expired: u64,
    /// Files that should have been deleted but weren't: a snapshot shows them after all, or they lie where the lake's
    /// don't.
    pub spared: u64,
    /// Whether there may be more of the same to do.
    pub more: bool,
}

/// Keeps lakes in order. Rows, keys and shapes stay as they are in all snapshots that are kept.
#[async_trait]
pub trait LakeMaintenance: Send + Sync {
    /// How a lake is, measured by a policy..
    async fn condition(
        &self,
        lake: LakeId,
        policy: MaintenancePolicy,
        floors: FileFloors,
    ) -> Result<LakeCondition, LakeError>;

    /// Does one slice in a turn of the lake's writer: others write before and after it.
    async fn maintain(&self, lake: LakeId, slice: Slice, origin: WriteOrigin) -> Result<SliceReport, WriteError>;
}
