//! Buckets that other projects read: shared with one of them, or open to all, and linked under names of their own.

use chrono::{DateTime, Utc};

use crate::ids::SnapshotId;
use crate::names::{BucketName, ProjectId, TableName};

/// A bucket, and whose it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceBucket {
    /// The project that owns it.
    pub project: ProjectId,
    /// Its name there.
    pub bucket: BucketName,
}

/// That a project may read another's bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Share {
    /// What is shared.
    pub source: SourceBucket,
    /// With whom.
    pub target: ProjectId,
    /// Since when.
    pub created_at: DateTime<Utc>,
    /// By whom.
    pub created_by: String,
}

/// That every project may read a bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// What is open to all.
    pub source: SourceBucket,
    /// Since when.
    pub created_at: DateTime<Utc>,
    /// By whom.
    pub created_by: String,
}

/// The name under which a project reads another's bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// The project that reads.
    pub project: ProjectId,
    /// The name it has there.
    pub name: BucketName,
    /// What is read.
    pub source: SourceBucket,
    /// The version that is read; the newest without.
    pub snapshot: Option<SnapshotId>,
    /// Whether it reads without a share or grant, because an admin made it so.
    pub unconditional: bool,
    /// Since when.
    pub created_at: DateTime<Utc>,
    /// By whom.
    pub created_by: String,
}

/// A link, and whether its project may read through it now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownLink {
    /// The link.
    pub link: Link,
    /// Whether there is a share or grant for it, or none is needed.
    pub open: bool,
}

/// How often a project read a table of another's bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Readership {
    /// The bucket.
    pub source: SourceBucket,
    /// The table or view, as its owner calls it.
    pub table: TableName,
    /// The project that reads.
    pub reader: ProjectId,
    /// How often it did: a statement or request counts once.
    pub reads: u64,
    /// When it last did.
    pub last_read_at: DateTime<Utc>,
}

/// What happens to a share, a grant or a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SharingFact {
    /// A bucket was shared.
    Shared,
    /// A share ended.
    Unshared,
    /// A bucket was linked.
    Linked,
    /// A link ended.
    Unlinked,
    /// A bucket was opened to all.
    Granted,
    /// A bucket is open to all no more.
    Revoked,
}

impl SharingFact {
    /// The event type this fact is announced as.
    pub fn event_type(self) -> &'static str {
        match self {
            Self::Shared => "bucket.shared",
            Self::Unshared => "bucket.unshared",
            Self::Linked => "bucket.linked",
            Self::Unlinked => "bucket.unlinked",
            Self::Granted => "bucket.granted",
            Self::Revoked => "bucket.revoked",
        }
    }
}
