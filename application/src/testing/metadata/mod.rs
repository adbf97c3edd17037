//! A metadata store in memory: each unit of work has a state of its own, which commit puts in place.

mod contracts;
mod events;
mod forward;
mod idempotency;
mod instances;
mod lake_index;
mod lineage;
mod maintenance;
mod operations;
mod queries;
mod repositories;
mod schemas;
mod sharing;
mod tags;
mod usage;
mod webhooks;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use chrono::NaiveDate;
use gadwall_domain::access::ApiKey;
use gadwall_domain::audit::LoggedAudit;
use gadwall_domain::history::Tag;
use gadwall_domain::idempotency::IdempotencyRecord;
use gadwall_domain::ids::{OperationId, QueryId, WebhookId};
use gadwall_domain::instance::Instance;
use gadwall_domain::names::{ProjectId, TagName};
use gadwall_domain::ontology::{GovernedTable, SchemaVersion};
use gadwall_domain::operation::Operation;
use gadwall_domain::ports::contracts::ContractRepository;
use gadwall_domain::ports::events::{ChangeConsumers, EventTokens};
use gadwall_domain::ports::lineage::LineageRepository;
use gadwall_domain::ports::maintenance::{KeptMaintenance, MaintenanceRepository};
use gadwall_domain::ports::metadata::{
    ApiKeyRepository, AuditLog, EventLog, IdempotencyRepository, InstanceRepository, LakeIndex, MetadataStore,
    MetadataTx, OperationRepository, ProjectRepository, QueryLog, StoreError, TagRepository,
};
use gadwall_domain::ports::ontology::SchemaRepository;
use gadwall_domain::ports::sharing::SharingRepository;
use gadwall_domain::ports::usage::UsageRepository;
use gadwall_domain::ports::webhooks::WebhookRepository;
use gadwall_domain::project::Project;
use gadwall_domain::query_record::QueryRecord;
use gadwall_domain::quota::QueryUsage;
use gadwall_domain::table::TableRef;
use tokio::sync::OwnedMutexGuard;
use uuid::Uuid;

use events::Events;
use forward::Forwarding;
use lake_index::LakeFacts;
use lineage::{Lineage, Queue};
use sharing::Sharing;

/// All that is stored.
#[derive(Debug, Clone, Default)]
struct State {
    projects: BTreeMap<ProjectId, Project>,
    keys: Vec<ApiKey>,
    events: Events,
    audit: Vec<LoggedAudit>,
    /// Entries that there ever were.
    audited: u64,
    lakes: BTreeMap<ProjectId, LakeFacts>,
    tags: BTreeMap<(ProjectId, TagName), Tag>,
    /// By caller and key.
    idempotency: BTreeMap<(String, String), IdempotencyRecord>,
    instances: BTreeMap<Uuid, Instance>,
    operations: BTreeMap<OperationId, Operation>,
    queries: BTreeMap<QueryId, QueryRecord>,
    sharing: Sharing,
    contracts: BTreeMap<ProjectId, contracts::Contracts>,
    webhooks: BTreeMap<WebhookId, webhooks::Kept>,
    usage: BTreeMap<(ProjectId, NaiveDate), QueryUsage>,
    lineage: BTreeMap<ProjectId, Lineage>,
    lineage_queue: Queue,
    maintenance: BTreeMap<ProjectId, KeptMaintenance>,
    lineage_forwarding: Forwarding,
    schemas: Vec<SchemaVersion>,
    governed: BTreeMap<(ProjectId, TableRef), GovernedTable>,
}

impl State {
    /// The project, as others refer to it.
    fn project(&self, id: &ProjectId) -> Result<&Project, StoreError> {
        self.projects.get(id).ok_or_else(|| fault("the row names a project that isn't there"))
    }
}

/// Metadata in memory.
#[derive(Default)]
pub struct MemoryMetadata {
    committed: Arc<Mutex<Arc<State>>>,
    writer: Arc<tokio::sync::Mutex<()>>,
    refuses_writes: AtomicBool,
}

impl fmt::Debug for MemoryMetadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MemoryMetadata")
    }
}

impl MemoryMetadata {
    /// From now on, whether nothing can be written.
    pub fn refuse_writes(&self, refuses: bool) {
        self.refuses_writes.store(refuses, Ordering::Relaxed);
    }

    fn current(&self) -> Arc<State> {
        Arc::clone(&self.committed.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[async_trait]
impl MetadataStore for MemoryMetadata {
    async fn read(&self) -> Result<Box<dyn MetadataTx>, StoreError> {
        Ok(Box::new(MemoryTx { state: self.current(), target: None }))
    }

    async fn write(&self) -> Result<Box<dyn MetadataTx>, StoreError> {
        if self.refuses_writes.load(Ordering::Relaxed) {
            return Err(StoreError::Unavailable("it was told to refuse".into()));
        }
        let turn = Arc::clone(&self.writer).lock_owned().await;
        let target = Target { committed: Arc::clone(&self.committed), _turn: turn };
        Ok(Box::new(MemoryTx { state: self.current(), target: Some(target) }))
    }
}

/// Where a writing unit of work puts its state; as long as it lives, no other one writes.
struct Target {
    committed: Arc<Mutex<Arc<State>>>,
    _turn: OwnedMutexGuard<()>,
}

struct MemoryTx {
    state: Arc<State>,
    target: Option<Target>,
}

impl MemoryTx {
    /// The state, to be changed; copied the first time.
    fn change(&mut self) -> Result<&mut State, StoreError> {
        if self.target.is_none() {
            return Err(fault("this unit of work only reads"));
        }
        Ok(Arc::make_mut(&mut self.state))
    }
}

fn fault(reason: &'static str) -> StoreError {
    StoreError::Fault(reason.into())
}

#[async_trait]
impl MetadataTx for MemoryTx {
    fn projects(&mut self) -> &mut dyn ProjectRepository {
        self
    }

    fn keys(&mut self) -> &mut dyn ApiKeyRepository {
        self
    }

    fn events(&mut self) -> &mut dyn EventLog {
        self
    }

    fn audit(&mut self) -> &mut dyn AuditLog {
        self
    }

    fn lake_index(&mut self) -> &mut dyn LakeIndex {
        self
    }

    fn tags(&mut self) -> &mut dyn TagRepository {
        self
    }

    fn idempotency(&mut self) -> &mut dyn IdempotencyRepository {
        self
    }

    fn instances(&mut self) -> &mut dyn InstanceRepository {
        self
    }

    fn operations(&mut self) -> &mut dyn OperationRepository {
        self
    }

    fn queries(&mut self) -> &mut dyn QueryLog {
        self
    }

    fn sharing(&mut self) -> &mut dyn SharingRepository {
        self
    }

    fn usage(&mut self) -> &mut dyn UsageRepository {
        self
    }

    fn lineage(&mut self) -> &mut dyn LineageRepository {
        self
    }

    fn schemas(&mut self) -> &mut dyn SchemaRepository {
        self
    }

    fn contracts(&mut self) -> &mut dyn ContractRepository {
        self
    }

    fn event_tokens(&mut self) -> &mut dyn EventTokens {
        self
    }

    fn consumers(&mut self) -> &mut dyn ChangeConsumers {
        self
    }

    fn maintenance(&mut self) -> &mut dyn MaintenanceRepository {
        self
    }

    fn webhooks(&mut self) -> &mut dyn WebhookRepository {
        self
    }

    async fn commit(self: Box<Self>) -> Result<(), StoreError> {
        let Self { state, target } = *self;
        if let Some(target) = target {
            *target.committed.lock().unwrap_or_else(PoisonError::into_inner) = state;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fresh() -> (Arc<dyn MetadataStore>, ()) {
        (Arc::new(MemoryMetadata::default()), ())
    }

    crate::metadata_contract!(fresh());
}
