//! Maintenance of a lake: what keeps its files few and its past as long as its project wants it, and no longer.

mod plan;
mod policy;

pub use plan::{Holds, Planned, expirable, plan};
pub use policy::{
    Amount, DeleteRatio, FileSize, Interval, KeepFor, KeepSnapshots, MaintenancePolicy, MinFiles, PolicyChanges,
    PolicyError,
};

use serde::{Deserialize, Serialize};

/// One kind of work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MaintenanceStep {
    /// Makes few files of many small ones.
    MergeFiles,
    /// Writes files anew without their deleted rows.
    RewriteFiles,
    /// Ends snapshots that nobody needs.
    ExpireSnapshots,
    /// Deletes files that no snapshot shows any more.
    DeleteFiles,
    /// Deletes files that no snapshot ever showed.
    DeleteOrphans,
}

impl MaintenanceStep {
    /// All, in the order in which they are done: each makes work for the next.
    pub const ALL: [Self; 5] =
        [Self::RewriteFiles, Self::MergeFiles, Self::ExpireSnapshots, Self::DeleteFiles, Self::DeleteOrphans];

    /// The word used in the API and in storage.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::MergeFiles => "merge_files",
            Self::RewriteFiles => "rewrite_files",
            Self::ExpireSnapshots => "expire_snapshots",
            Self::DeleteFiles => "delete_files",
            Self::DeleteOrphans => "delete_orphans",
        }
    }

    /// The step of that word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|step| step.as_str() == word)
    }
}
