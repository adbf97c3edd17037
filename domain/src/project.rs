//! Projects: the tenants.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::ids::LakeId;
use crate::names::ProjectId;
use crate::quota::Quota;

/// Longest display name of a project, in characters.
pub const MAX_DISPLAY_NAME: usize = 256;

/// A tenant: owns buckets, keys and events, and stands on a lake of its own.
#[derive(Debug, Clone, PartialEq)]
pub struct Project {
    /// Public id, chosen at creation, never reused.
    pub id: ProjectId,
    /// Where its data lies.
    pub lake: LakeId,
    /// Display name.
    pub name: Option<String>,
    /// Whatever its owner wants to keep beside it.
    pub settings: Option<Map<String, Value>>,
    /// Whether it is in use.
    pub status: ProjectStatus,
    /// Whether it can't be deleted until this is taken back.
    pub deletion_protection: bool,
    /// When a deleted one was deleted, and what became of its data; none of one in use.
    pub deletion: Option<Deletion>,
    /// When it was created.
    pub created_at: DateTime<Utc>,
    /// When name, settings or status last changed.
    pub updated_at: DateTime<Utc>,
    /// Counters as of the last time they were taken.
    pub size: ProjectSize,
    /// Limits that hold for it in place of the configured ones.
    pub quota: Quota,
}

/// Whether a project is in use. Deletion is soft: the id stays taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProjectStatus {
    /// In use.
    Active,
    /// Deleted: its keys open nothing, its data goes after a while, its id stays taken.
    Deleted,
}

impl ProjectStatus {
    /// The word used in the API and in storage.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Deleted => "deleted",
        }
    }

    /// The status of that word.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Active, Self::Deleted].into_iter().find(|status| status.as_str() == word)
    }
}

/// The deletion of a project.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deletion {
    /// When it was deleted.
    pub at: DateTime<Utc>,
    /// Until then it can be brought back; after it, its data goes.
    pub purge_after: DateTime<Utc>,
    /// Until then a server has the removal of its data to itself; none as long as none has begun.
    pub claimed_until: Option<DateTime<Utc>>,
    /// When all of its data was gone; none while some may be there.
    pub purged_at: Option<DateTime<Utc>>,
    /// Bytes of its files that were removed, so far.
    pub freed_bytes: u64,
}

impl Deletion {
    /// Whether the project can be brought back.
    pub fn can_be_undone(&self, now: DateTime<Utc>) -> bool {
        self.purged_at.is_none() && self.claimed_until.is_none() && now < self.purge_after
    }
}

/// How much a project holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ProjectSize {
    /// Bytes of table data in the current snapshot.
    pub size_bytes: u64,
    /// Tables in all buckets.
    pub table_count: u64,
    /// Buckets, as listed.
    pub bucket_count: u64,
}
