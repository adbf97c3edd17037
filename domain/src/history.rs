//! Reading the past: which version is meant, and what is kept.

use chrono::{DateTime, Utc};

use crate::ids::SnapshotId;
use crate::names::{ProjectId, TagName};

/// Which version of a lake is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ReadAt {
    /// The newest.
    #[default]
    Head,
    /// As it stood in this snapshot.
    Snapshot(SnapshotId),
}

/// Versions of a table, for telling whether it changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct TableVersion {
    /// The last snapshot that changed its shape: made, altered (in any way: its key, layout and comments count),
    /// renamed, restored or brought it back.
    pub schema: SnapshotId,
    /// The last snapshot that changed its rows, made it, restored it or brought it back. Altering it doesn't count.
    pub rows: SnapshotId,
}

/// What a caller expects a table to be, for a change that must not be made on top of others' changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Expected {
    /// The shape is of this version.
    pub schema: Option<SnapshotId>,
    /// The rows are of this version.
    pub rows: Option<SnapshotId>,
}

impl Expected {
    /// Anything will do.
    pub const ANY: Self = Self { schema: None, rows: None };

    /// Whether a table of this version is the expected one.
    pub fn fits(self, version: TableVersion) -> bool {
        self.schema.is_none_or(|schema| schema == version.schema) && self.rows.is_none_or(|rows| rows == version.rows)
    }
}

/// A name for a snapshot. While it is there, the snapshot is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tag {
    /// The project.
    pub project: ProjectId,
    /// The name: unique in the project without regard to case.
    pub name: TagName,
    /// The snapshot.
    pub snapshot: SnapshotId,
    /// What it is for.
    pub description: Option<String>,
    /// When the tag was made.
    pub created_at: DateTime<Utc>,
    /// Who made it.
    pub created_by: String,
}
