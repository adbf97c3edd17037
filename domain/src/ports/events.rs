//! Who watches events, and who follows the changes of tables.

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::metadata::StoreError;
use crate::access::KeyDigest;
use crate::ids::SnapshotId;
use crate::live::{ChangeConsumer, EventToken};
use crate::names::{ConsumerName, ProjectId};
use crate::table::TableRef;

/// Tokens that open streams of events for a short time.
#[async_trait]
pub trait EventTokens: Send {
    /// Adds a token.
    async fn insert(&mut self, token: &EventToken) -> Result<(), StoreError>;
    /// The token of that digest, unless it has ended.
    async fn find(&mut self, digest: &KeyDigest, now: DateTime<Utc>) -> Result<Option<EventToken>, StoreError>;
    /// Forgets those that have ended; answers how many.
    async fn forget_ended(&mut self, now: DateTime<Utc>) -> Result<u64, StoreError>;
}

/// Who needs old snapshots. Whoever removes snapshots asks first, and keeps these and all that come after.
#[async_trait]
pub trait SnapshotHolds: Send + Sync {
    /// The oldest snapshot of a project that somebody needs: its changes are told, those after it aren't.
    async fn oldest_needed(&self, project: &ProjectId) -> Result<Option<SnapshotId>, StoreError>;
}

/// Who follows the changes of tables.
#[async_trait]
pub trait ChangeConsumers: Send {
    /// Adds a consumer, or moves the one of that name; it stays as old as it is.
    async fn put(&mut self, consumer: &ChangeConsumer) -> Result<(), StoreError>;
    /// The consumer of a table by name.
    async fn find(
        &mut self,
        project: &ProjectId,
        table: &TableRef,
        name: &ConsumerName,
    ) -> Result<Option<ChangeConsumer>, StoreError>;
    /// All of a project, by table and name.
    async fn list(&mut self, project: &ProjectId) -> Result<Vec<ChangeConsumer>, StoreError>;
    /// Removes a consumer; `false` when there is none of that name.
    async fn remove(&mut self, project: &ProjectId, table: &TableRef, name: &ConsumerName) -> Result<bool, StoreError>;
    /// Removes all of a project.
    async fn clear(&mut self, project: &ProjectId) -> Result<(), StoreError>;
}
