//! A metadata store that tells when the log of events has grown.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use gadwall_domain::ports::contracts::ContractRepository;
use gadwall_domain::ports::events::{ChangeConsumers, EventTokens};
use gadwall_domain::ports::lineage::LineageRepository;
use gadwall_domain::ports::maintenance::MaintenanceRepository;
use gadwall_domain::ports::metadata::{
    ApiKeyRepository, AuditLog, EventLog, IdempotencyRepository, InstanceRepository, LakeIndex, MetadataStore,
    MetadataTx, OperationRepository, ProjectRepository, QueryLog, StoreError, TagRepository,
};
use gadwall_domain::ports::ontology::SchemaRepository;
use gadwall_domain::ports::sharing::SharingRepository;
use gadwall_domain::ports::usage::UsageRepository;
use gadwall_domain::ports::webhooks::WebhookRepository;
use tokio::sync::Notify;

/// Rings when the log may have grown: here, or at another server.
#[derive(Debug, Clone, Default)]
pub struct Bell(Arc<Notify>);

impl Bell {
    /// Rings it.
    pub fn ring(&self) {
        self.0.notify_one();
    }

    /// Waits until it rings. For one who listens; it is kept in mind for who comes late.
    pub async fn rung(&self) {
        self.0.notified().await;
    }
}

/// Another store, whose commits with events ring.
pub struct AnnouncingMetadata {
    store: Arc<dyn MetadataStore>,
    bell: Bell,
}

impl fmt::Debug for AnnouncingMetadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AnnouncingMetadata")
    }
}

impl AnnouncingMetadata {
    /// Rings this bell.
    pub fn new(store: Arc<dyn MetadataStore>, bell: Bell) -> Self {
        Self { store, bell }
    }
}

#[async_trait]
impl MetadataStore for AnnouncingMetadata {
    async fn read(&self) -> Result<Box<dyn MetadataTx>, StoreError> {
        self.store.read().await
    }

    async fn write(&self) -> Result<Box<dyn MetadataTx>, StoreError> {
        let tx = self.store.write().await?;
        Ok(Box::new(AnnouncingTx { tx, bell: self.bell.clone(), has_events: false }))
    }

    fn access_version(&self) -> Option<u64> {
        self.store.access_version()
    }

    async fn shared_access_version(&self) -> Result<Option<u64>, StoreError> {
        self.store.shared_access_version().await
    }

    fn access_changes(&self) -> u64 {
        self.store.access_changes()
    }
}

struct AnnouncingTx {
    tx: Box<dyn MetadataTx>,
    bell: Bell,
    has_events: bool,
}

/// Repositories that are handed on as they are.
macro_rules! handed_on {
    ($($name:ident: $repository:ident),+ $(,)?) => {
        $(fn $name(&mut self) -> &mut dyn $repository {
            self.tx.$name()
        })+
    };
}

#[async_trait]
impl MetadataTx for AnnouncingTx {
    handed_on! {
        projects: ProjectRepository,
        keys: ApiKeyRepository,
        audit: AuditLog,
        lake_index: LakeIndex,
        tags: TagRepository,
        idempotency: IdempotencyRepository,
        instances: InstanceRepository,
        operations: OperationRepository,
        queries: QueryLog,
        sharing: SharingRepository,
        usage: UsageRepository,
        lineage: LineageRepository,
        schemas: SchemaRepository,
        contracts: ContractRepository,
        event_tokens: EventTokens,
        consumers: ChangeConsumers,
        webhooks: WebhookRepository,
        maintenance: MaintenanceRepository,
    }

    fn events(&mut self) -> &mut dyn EventLog {
        self.has_events = true;
        self.tx.events()
    }

    async fn commit(self: Box<Self>) -> Result<(), StoreError> {
        let Self { tx, bell, has_events } = *self;
        tx.commit().await?;
        if has_events {
            bell.ring();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::MemoryMetadata;

    fn fresh() -> (Arc<dyn MetadataStore>, ()) {
        (Arc::new(AnnouncingMetadata::new(Arc::new(MemoryMetadata::default()), Bell::default())), ())
    }

    crate::metadata_contract!(fresh());
}
