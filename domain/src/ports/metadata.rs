//! The metadata store: everything that is not rows.
//!
//! A unit of work is a transaction. State, its event and its audit entry are written in the same one.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use thiserror::Error;

use crate::access::{ApiKey, KeyDigest};
use crate::audit::AuditEntry;
use crate::commit::Commit;
use crate::events::{Event, LoggedEvent};
use crate::ids::SnapshotId;
use crate::names::{BucketName, ColumnName, ProjectId};
use crate::project::{Project, ProjectSize, ProjectStatus};
use crate::schema::Column;
use crate::table::TableRef;

/// Why the metadata store didn't do it.
#[derive(Debug, Error)]
pub enum StoreError {
    /// Something unique is there already.
    #[error("already exists")]
    AlreadyExists,
    /// The store can't be reached or is too busy; trying again may work.
    #[error("the metadata store is unavailable")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Anything else: a fault, or a stored row that doesn't parse.
    #[error("the metadata store failed")]
    Fault(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Opens units of work.
#[async_trait]
pub trait MetadataStore: Send + Sync {
    /// A unit of work that reads one consistent state. Writing through it fails.
    async fn read(&self) -> Result<Box<dyn MetadataTx>, StoreError>;

    /// A unit of work that may write.
    async fn write(&self) -> Result<Box<dyn MetadataTx>, StoreError>;
}

/// A unit of work. Dropped without [`MetadataTx::commit`] it leaves nothing. After any `Err`, drop it.
#[async_trait]
pub trait MetadataTx: Send {
    /// Projects.
    fn projects(&mut self) -> &mut dyn ProjectRepository;
    /// API keys.
    fn keys(&mut self) -> &mut dyn ApiKeyRepository;
    /// The event log.
    fn events(&mut self) -> &mut dyn EventLog;
    /// The audit log.
    fn audit(&mut self) -> &mut dyn AuditLog;
    /// The index of the lakes' commits.
    fn lake_index(&mut self) -> &mut dyn LakeIndex;
    /// Makes it last.
    async fn commit(self: Box<Self>) -> Result<(), StoreError>;
}

/// Which projects to list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProjectFilter {
    /// Only those of this status.
    pub status: Option<ProjectStatus>,
    /// At most so many.
    pub limit: u32,
    /// Leaving out so many of the first.
    pub offset: u64,
}

/// Projects, newest first.
#[async_trait]
pub trait ProjectRepository: Send {
    /// Adds a project. `AlreadyExists` when the id is taken (without regard to case, also by a deleted one).
    async fn insert(&mut self, project: &Project) -> Result<(), StoreError>;
    /// The project, whatever its status.
    async fn find(&mut self, id: &ProjectId) -> Result<Option<Project>, StoreError>;
    /// A page of projects, newest first, and how many match in all.
    async fn list(&mut self, filter: ProjectFilter) -> Result<(Vec<Project>, u64), StoreError>;
    /// Replaces name, settings, status and `updated_at`. `false` when there is no such project.
    async fn update(&mut self, project: &Project) -> Result<bool, StoreError>;
    /// Keeps counters that were just taken.
    async fn record_size(&mut self, id: &ProjectId, size: ProjectSize) -> Result<(), StoreError>;
}

/// API keys, by digest.
#[async_trait]
pub trait ApiKeyRepository: Send {
    /// Adds a key.
    async fn insert(&mut self, key: &ApiKey) -> Result<(), StoreError>;
    /// The key of that digest, whatever its state.
    async fn find_by_digest(&mut self, digest: &KeyDigest) -> Result<Option<ApiKey>, StoreError>;
    /// Revokes all keys of a project that are not revoked yet; answers how many.
    async fn revoke_all(&mut self, project: &ProjectId, at: DateTime<Utc>) -> Result<u64, StoreError>;
}

/// The durable, ordered log of what happened.
#[async_trait]
pub trait EventLog: Send {
    /// Appends events in order.
    async fn append(&mut self, events: &[Event]) -> Result<(), StoreError>;
    /// A project's events after a position, oldest first.
    async fn read_after(
        &mut self,
        project: &ProjectId,
        position: u64,
        limit: u32,
    ) -> Result<Vec<LoggedEvent>, StoreError>;
}

/// The log of who did what.
#[async_trait]
pub trait AuditLog: Send {
    /// Appends entries in order.
    async fn append(&mut self, entries: &[AuditEntry]) -> Result<(), StoreError>;
    /// A project's entries, newest first.
    async fn latest(&mut self, project: &ProjectId, limit: u32) -> Result<Vec<AuditEntry>, StoreError>;
}

/// What the index knows of a table beyond what the lake stores.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableFacts {
    /// Which table.
    pub table: TableRef,
    /// Columns as declared, with their lengths.
    pub columns: Vec<Column>,
    /// Its key; empty without one.
    pub primary_key: Vec<ColumnName>,
    /// When it was created.
    pub created_at: DateTime<Utc>,
}

/// What the index knows of a bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BucketFacts {
    /// Which bucket.
    pub bucket: BucketName,
    /// What it is for.
    pub description: Option<String>,
}

/// The index of what commits say of themselves. Rebuilt by applying the commits again, in order.
#[async_trait]
pub trait LakeIndex: Send {
    /// The last commit applied; [`SnapshotId::ZERO`] when none was.
    async fn applied(&mut self, project: &ProjectId) -> Result<SnapshotId, StoreError>;
    /// Applies a commit. One that was applied already changes nothing and answers `false`.
    async fn apply(&mut self, project: &ProjectId, commit: &Commit) -> Result<bool, StoreError>;
    /// Facts of the tables that exist now: all, or those of one bucket.
    async fn tables(&mut self, project: &ProjectId, bucket: Option<&BucketName>)
    -> Result<Vec<TableFacts>, StoreError>;
    /// Facts of one table that exists now.
    async fn table(&mut self, project: &ProjectId, table: &TableRef) -> Result<Option<TableFacts>, StoreError>;
    /// Facts of the buckets that exist now.
    async fn buckets(&mut self, project: &ProjectId) -> Result<Vec<BucketFacts>, StoreError>;
    /// Forgets all that is known of a project's lake.
    async fn clear(&mut self, project: &ProjectId) -> Result<(), StoreError>;
}
