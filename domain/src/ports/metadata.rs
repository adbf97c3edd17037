//! The metadata store: everything that is not rows.
//!
//! A unit of work is a transaction. State, its event and its audit entry are written in the same one.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use thiserror::Error;
use uuid::Uuid;

use crate::access::{ApiKey, KeyDigest};
use crate::audit::{AuditAge, AuditEntry, AuditFilter, LoggedAudit};
use crate::commit::{Commit, WriteRecord};
use crate::events::{Event, LogExtent, LoggedEvent};
use crate::history::{ReadAt, Tag};
use crate::idempotency::{IdempotencyRecord, StoredAnswer};
use crate::ids::{ApiKeyId, CallerId, OperationId, QueryId, SnapshotId};
use crate::instance::Instance;
use crate::names::{BucketName, ColumnName, ProjectId, TagName};
use crate::operation::{Operation, OperationKind};
use crate::ports::contracts::ContractRepository;
use crate::ports::events::{ChangeConsumers, EventTokens};
use crate::ports::lineage::LineageRepository;
use crate::ports::maintenance::MaintenanceRepository;
use crate::ports::ontology::SchemaRepository;
use crate::ports::sharing::SharingRepository;
use crate::ports::usage::UsageRepository;
use crate::ports::webhooks::WebhookRepository;
use crate::project::{Project, ProjectSize, ProjectStatus};
use crate::query_record::{QueryFilter, QueryRecord};
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
    /// There is no room for it.
    #[error("storage is full")]
    StorageFull(#[source] Box<dyn std::error::Error + Send + Sync>),
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

    /// Grows with each commit that may have changed projects, keys or links, where nobody else can change them: what was read
    /// after one look at it holds for as long as it stays the same. `None` where that can't be known without asking.
    fn access_version(&self) -> Option<u64> {
        None
    }

    /// The same where others can change them, too. It is asked for, which takes as long as one short question. Each look tells of
    /// all commits that were answered before it. `None` where nobody counts.
    async fn shared_access_version(&self) -> Result<Option<u64>, StoreError> {
        Ok(None)
    }

    /// Grows with each commit of this process that may have changed projects, keys or links: what was seen before one, its own
    /// request doesn't go by any more. Nothing is asked.
    fn access_changes(&self) -> u64 {
        self.access_version().unwrap_or_default()
    }
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
    /// Named snapshots.
    fn tags(&mut self) -> &mut dyn TagRepository;
    /// Requests that may be repeated.
    fn idempotency(&mut self) -> &mut dyn IdempotencyRepository;
    /// The servers that share the store.
    fn instances(&mut self) -> &mut dyn InstanceRepository;
    /// Long-running operations.
    fn operations(&mut self) -> &mut dyn OperationRepository;
    /// Queries that have ended.
    fn queries(&mut self) -> &mut dyn QueryLog;
    /// Shares, grants and links.
    fn sharing(&mut self) -> &mut dyn SharingRepository;
    /// What projects' queries did, day by day.
    fn usage(&mut self) -> &mut dyn UsageRepository;
    /// Jobs, runs, datasets, and what lies between them.
    fn lineage(&mut self) -> &mut dyn LineageRepository;
    /// Schemas that were fetched, and the tables that follow them.
    fn schemas(&mut self) -> &mut dyn SchemaRepository;
    /// What tables are held to.
    fn contracts(&mut self) -> &mut dyn ContractRepository;
    /// Tokens that open streams of events.
    fn event_tokens(&mut self) -> &mut dyn EventTokens;
    /// Who follows the changes of tables.
    fn consumers(&mut self) -> &mut dyn ChangeConsumers;
    /// Addresses that are told of events.
    fn webhooks(&mut self) -> &mut dyn WebhookRepository;
    /// What projects want of their maintenance.
    fn maintenance(&mut self) -> &mut dyn MaintenanceRepository;
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
    /// Replaces all but id, lake, time of creation and size. `false` when there is no such project.
    async fn update(&mut self, project: &Project) -> Result<bool, StoreError>;
    /// Deleted ones whose data may go by now, isn't all gone, and is claimed by nobody; those that wait longest first.
    async fn to_purge(&mut self, now: DateTime<Utc>, limit: u32) -> Result<Vec<Project>, StoreError>;
    /// Those whose data is gone since that time or later, the last first.
    async fn purged_since(&mut self, since: DateTime<Utc>, limit: u32) -> Result<Vec<Project>, StoreError>;
    /// Keeps counters that were just taken.
    async fn record_size(&mut self, id: &ProjectId, size: ProjectSize) -> Result<(), StoreError>;
}

/// Which keys to list, newest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyFilter {
    /// Only those after this one in the list.
    pub after: Option<ApiKeyId>,
    /// At most so many.
    pub limit: u32,
}

/// API keys. Ids sort by when keys were made.
#[async_trait]
pub trait ApiKeyRepository: Send {
    /// Adds a key. `AlreadyExists` when its id or its digest is there.
    async fn insert(&mut self, key: &ApiKey) -> Result<(), StoreError>;
    /// The key of that digest, be it of its secret or of the one before, whatever its state; none of a deleted project.
    async fn find_by_digest(&mut self, digest: &KeyDigest) -> Result<Option<ApiKey>, StoreError>;
    /// One key of a project, whatever its state.
    async fn find(&mut self, project: &ProjectId, id: ApiKeyId) -> Result<Option<ApiKey>, StoreError>;
    /// The newest key of a project whose secret was made by that repeatable request.
    async fn find_by_request(&mut self, project: &ProjectId, digest: &str) -> Result<Option<ApiKey>, StoreError>;
    /// A project's keys, newest first, whatever their state.
    async fn list(&mut self, project: &ProjectId, filter: KeyFilter) -> Result<Vec<ApiKey>, StoreError>;
    /// Replaces a key's secrets, the request that made them, and when it was revoked. `false` when there is no such key.
    async fn update(&mut self, key: &ApiKey) -> Result<bool, StoreError>;
    /// Keeps when keys were last used; what is older than what is known changes nothing, and so does a key that isn't
    /// there.
    async fn record_uses(&mut self, uses: &[(ApiKeyId, DateTime<Utc>)]) -> Result<(), StoreError>;
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
    /// The same of all projects together.
    async fn read_all_after(&mut self, position: u64, limit: u32) -> Result<Vec<LoggedEvent>, StoreError>;
    /// The newest events, of one project or of all; oldest first.
    async fn newest(&mut self, project: Option<&ProjectId>, limit: u32) -> Result<Vec<LoggedEvent>, StoreError>;
    /// How far the log reaches, to who reads it for one project or for all.
    async fn extent(&mut self, project: Option<&ProjectId>) -> Result<LogExtent, StoreError>;
    /// Forgets events that happened before a time, the first in the log first, up to the first that happened since;
    /// answers how many. Which positions are gone is remembered.
    async fn forget_before(&mut self, before: DateTime<Utc>, limit: u32) -> Result<u64, StoreError>;
}

/// The log of who did what.
#[async_trait]
pub trait AuditLog: Send {
    /// Appends entries in order.
    async fn append(&mut self, entries: &[AuditEntry]) -> Result<(), StoreError>;
    /// Entries, newest first.
    async fn list(&mut self, filter: &AuditFilter) -> Result<Vec<LoggedAudit>, StoreError>;
    /// Forgets old entries, the oldest first; answers how many.
    async fn forget_before(&mut self, age: AuditAge) -> Result<u64, StoreError>;
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
    /// When it was created; for a table that something else made, when the index first heard of it.
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

/// A committed write that was made under an idempotency key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyedWrite {
    /// The snapshot it stands in.
    pub snapshot: SnapshotId,
    /// What the commit says of it.
    pub write: WriteRecord,
}

/// The index of what commits say of themselves. Rebuilt by applying the commits again, in order.
///
/// Something else may have changed the lake in between without a word. A commit that doesn't fit what the index knows is
/// no failure: it counts, and what it contradicts ends.
#[async_trait]
pub trait LakeIndex: Send {
    /// The last commit applied; [`SnapshotId::ZERO`] when none was.
    async fn applied(&mut self, project: &ProjectId) -> Result<SnapshotId, StoreError>;
    /// Whether the project is in use. What is written in the same unit of work comes before its deletion, or not at all.
    async fn is_in_use(&mut self, project: &ProjectId) -> Result<bool, StoreError>;
    /// Applies a commit. One that was applied already changes nothing and answers `false`.
    async fn apply(&mut self, project: &ProjectId, commit: &Commit) -> Result<bool, StoreError>;
    /// Facts of the tables that exist in that version: all, or those of one bucket.
    async fn tables(
        &mut self,
        project: &ProjectId,
        bucket: Option<&BucketName>,
        at: ReadAt,
    ) -> Result<Vec<TableFacts>, StoreError>;
    /// Facts of one table that exists in that version.
    async fn table(
        &mut self,
        project: &ProjectId,
        table: &TableRef,
        at: ReadAt,
    ) -> Result<Option<TableFacts>, StoreError>;
    /// Facts of the buckets that exist in that version.
    async fn buckets(&mut self, project: &ProjectId, at: ReadAt) -> Result<Vec<BucketFacts>, StoreError>;
    /// The first write, of those not forgotten yet, that a caller made under an idempotency key. No `key_id` is an
    /// admin's key.
    async fn write_of_key(
        &mut self,
        project: &ProjectId,
        key_id: Option<&CallerId>,
        key: &str,
    ) -> Result<Option<KeyedWrite>, StoreError>;
    /// Forgets the idempotency keys of writes committed before a time, in all projects; answers of how many writes.
    /// Those of commits applied again are known again.
    async fn forget_keys(&mut self, before: DateTime<Utc>) -> Result<u64, StoreError>;
    /// Forgets all that is known of a project's lake.
    async fn clear(&mut self, project: &ProjectId) -> Result<(), StoreError>;
}

/// Named snapshots of projects.
#[async_trait]
pub trait TagRepository: Send {
    /// Adds a tag. `AlreadyExists` when the project has one of that name.
    async fn insert(&mut self, tag: &Tag) -> Result<(), StoreError>;
    /// One tag.
    async fn find(&mut self, project: &ProjectId, name: &TagName) -> Result<Option<Tag>, StoreError>;
    /// A project's tags by name.
    async fn list(&mut self, project: &ProjectId) -> Result<Vec<Tag>, StoreError>;
    /// Removes a tag; `false` when there is none of that name.
    async fn remove(&mut self, project: &ProjectId, name: &TagName) -> Result<bool, StoreError>;
    /// Removes all tags of a project.
    async fn clear(&mut self, project: &ProjectId) -> Result<(), StoreError>;
}

/// How the attempt to start a request that may be repeated went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Begun {
    /// It is new, or the process that carried it out died over it: carry it out now.
    Now,
    /// It was begun before.
    Before(IdempotencyRecord),
}

/// Requests that their clients may repeat.
#[async_trait]
pub trait IdempotencyRepository: Send {
    /// Writes down that a request is being carried out, unless that caller's key is there. A running one of another
    /// instance that isn't known, or wasn't seen since a time, is taken over; it stays as old as it is. Of two at once,
    /// one is the first and the other finds it.
    async fn begin(
        &mut self,
        caller: &str,
        key: &str,
        instance: Uuid,
        now: DateTime<Utc>,
        alive_since: DateTime<Utc>,
    ) -> Result<Begun, StoreError>;
    /// Keeps the answer of a request that this instance began. `false` when it isn't running (any more).
    async fn answer(
        &mut self,
        caller: &str,
        key: &str,
        fingerprint: &str,
        answer: &StoredAnswer,
    ) -> Result<bool, StoreError>;
    /// Forgets a running request that changed nothing, so that it may be tried again. One that was answered stays.
    async fn forget(&mut self, caller: &str, key: &str) -> Result<(), StoreError>;
    /// Forgets requests begun before a time; answers how many.
    async fn forget_before(&mut self, before: DateTime<Utc>) -> Result<u64, StoreError>;
}

/// The servers that share the store. Each says again and again that it is alive.
#[async_trait]
pub trait InstanceRepository: Send {
    /// Adds an instance, or notes that it was seen now. It stays as old as it is.
    async fn renew(&mut self, id: Uuid, now: DateTime<Utc>) -> Result<(), StoreError>;
    /// All of them, oldest first.
    async fn list(&mut self) -> Result<Vec<Instance>, StoreError>;
    /// Removes an instance, unless it was seen since that time; answers whether it was there and is gone.
    async fn remove(&mut self, id: Uuid, unless_seen_since: DateTime<Utc>) -> Result<bool, StoreError>;
}

/// Which operations to list, newest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OperationFilter {
    /// Only those after this one in the list.
    pub after: Option<OperationId>,
    /// Only those of this kind.
    pub kind: Option<OperationKind>,
    /// At most so many.
    pub limit: u32,
}

/// Long-running operations. One that has ended has a time of end, and no other has: anything else is a fault.
#[async_trait]
pub trait OperationRepository: Send {
    /// Adds an operation. `AlreadyExists` when the id is taken.
    async fn insert(&mut self, operation: &Operation) -> Result<(), StoreError>;
    /// Replaces an operation's state, progress and time of end. `false` when there is no such operation, or it had
    /// ended before.
    async fn update(&mut self, operation: &Operation) -> Result<bool, StoreError>;
    /// One operation of a project.
    async fn find(&mut self, project: &ProjectId, id: OperationId) -> Result<Option<Operation>, StoreError>;
    /// A project's operations, newest first.
    async fn list(&mut self, project: &ProjectId, filter: OperationFilter) -> Result<Vec<Operation>, StoreError>;
    /// Those of all projects that have not ended, oldest first.
    async fn unfinished(&mut self) -> Result<Vec<Operation>, StoreError>;
    /// Forgets those that ended before a time; answers how many.
    async fn forget_before(&mut self, before: DateTime<Utc>) -> Result<u64, StoreError>;
}

/// Queries that have ended. One without a time of end, or in a state that isn't final, is a fault.
#[async_trait]
pub trait QueryLog: Send {
    /// Adds a query. `AlreadyExists` when the id is taken.
    async fn insert(&mut self, query: &QueryRecord) -> Result<(), StoreError>;
    /// One query of a project.
    async fn find(&mut self, project: &ProjectId, id: QueryId) -> Result<Option<QueryRecord>, StoreError>;
    /// A project's queries, newest first.
    async fn list(&mut self, project: &ProjectId, filter: &QueryFilter) -> Result<Vec<QueryRecord>, StoreError>;
    /// Forgets all but the newest `keep` queries of a project; answers how many.
    async fn keep_newest(&mut self, project: &ProjectId, keep: u32) -> Result<u64, StoreError>;
    /// Forgets those of all projects that ended before a time; answers how many.
    async fn forget_before(&mut self, before: DateTime<Utc>) -> Result<u64, StoreError>;
}
