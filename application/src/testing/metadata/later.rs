//! Named snapshots, repeatable requests, and operations.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use gadwall_domain::history::Tag;
use gadwall_domain::idempotency::StoredAnswer;
use gadwall_domain::ids::OperationId;
use gadwall_domain::names::{ProjectId, TagName};
use gadwall_domain::operation::Operation;
use gadwall_domain::ports::metadata::{
    Begun, IdempotencyRepository, OperationFilter, OperationRepository, StoreError, TagRepository,
};
use uuid::Uuid;

use super::MemoryTx;

fn later<T>() -> Result<T, StoreError> {
    Err(StoreError::Fault("not stored yet".into()))
}

#[async_trait]
impl TagRepository for MemoryTx {
    async fn insert(&mut self, _: &Tag) -> Result<(), StoreError> {
        later()
    }
    async fn find(&mut self, _: &ProjectId, _: &TagName) -> Result<Option<Tag>, StoreError> {
        later()
    }
    async fn list(&mut self, _: &ProjectId) -> Result<Vec<Tag>, StoreError> {
        later()
    }
    async fn remove(&mut self, _: &ProjectId, _: &TagName) -> Result<bool, StoreError> {
        later()
    }
    async fn clear(&mut self, _: &ProjectId) -> Result<(), StoreError> {
        later()
    }
}

#[async_trait]
impl IdempotencyRepository for MemoryTx {
    async fn begin(&mut self, _: &str, _: &str, _: Uuid, _: DateTime<Utc>) -> Result<Begun, StoreError> {
        later()
    }
    async fn answer(&mut self, _: &str, _: &str, _: &str, _: &StoredAnswer) -> Result<bool, StoreError> {
        later()
    }
    async fn forget(&mut self, _: &str, _: &str) -> Result<(), StoreError> {
        later()
    }
    async fn forget_before(&mut self, _: DateTime<Utc>) -> Result<u64, StoreError> {
        later()
    }
}

#[async_trait]
impl OperationRepository for MemoryTx {
    async fn insert(&mut self, _: &Operation) -> Result<(), StoreError> {
        later()
    }
    async fn update(&mut self, _: &Operation) -> Result<bool, StoreError> {
        later()
    }
    async fn find(&mut self, _: &ProjectId, _: OperationId) -> Result<Option<Operation>, StoreError> {
        later()
    }
    async fn list(&mut self, _: &ProjectId, _: OperationFilter) -> Result<Vec<Operation>, StoreError> {
        later()
    }
    async fn unfinished(&mut self) -> Result<Vec<Operation>, StoreError> {
        later()
    }
    async fn forget_before(&mut self, _: DateTime<Utc>) -> Result<u64, StoreError> {
        later()
    }
}
