//! Running the service: what it is set to, what it has, what it did, and what operators may turn.

mod histogram;
mod measured;
mod memory;
mod settings;
mod window;

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};
use gadwall_domain::audit::{AuditEntry, AuditOutcome};
use gadwall_domain::ports::lake::LakeError;
use gadwall_domain::ports::lineage::Backlog;
use gadwall_domain::ports::metadata::{MetadataStore, StoreError};
use gadwall_domain::ports::operating::{
    EngineControl, EngineFigures, LogControl, LogSetting, LoggingLevel, MachineFigures, MachineMonitor, ModuleName,
    PoolFigures, PoolMonitor, ProcessFigures,
};
use gadwall_domain::ports::system::{Clock, Health, HealthProbe};

use crate::breaker::{Breaker, BreakerStatus};
use crate::caller::Caller;
use crate::error::UseCaseError;
use crate::guarded::GuardedEngine;
use crate::query_statistics::QueryNumbers;

pub use histogram::HistogramFigures;
pub(crate) use measured::Operation;
pub use measured::{
    DatabaseLabels, MaintenanceFigures, Measured, Performance, RequestLabels, THROUGHPUT_EVERY, Throughput,
};
pub use memory::{MemoryStats, SAMPLED_EVERY};
pub use settings::{DatabaseSettings, LakeSettings, ServiceSettings, StorageSettings};
pub use window::Tally;

use memory::MemoryHistory;

/// What the use cases work with.
pub struct Parts {
    /// Where it is written who did what.
    pub store: Arc<dyn MetadataStore>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// The log.
    pub log: Arc<dyn LogControl>,
    /// The machine and this process.
    pub machine: Arc<dyn MachineMonitor>,
    /// The engines.
    pub engines: Arc<dyn EngineControl>,
    /// Whether they answer.
    pub probe: Arc<dyn HealthProbe>,
    /// The engine of queries with its breaker.
    pub queries: Arc<GuardedEngine>,
    /// The breakers before other machines.
    pub outside: Vec<Arc<Breaker>>,
    /// Pools of connections.
    pub pools: Vec<Arc<dyn PoolMonitor>>,
    /// What requests and databases did.
    pub measured: Arc<Measured>,
    /// What the server is set to.
    pub settings: ServiceSettings,
}

impl fmt::Debug for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Parts")
    }
}

/// The use cases of those who run the service.
pub struct Operating {
    parts: Parts,
    memory: Mutex<MemoryHistory>,
    reopened: AtomicU64,
}

impl fmt::Debug for Operating {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Operating")
    }
}

/// Memory now and of late.
#[derive(Debug, Clone, PartialEq)]
pub struct MemoryNumbers {
    /// This process.
    pub process: ProcessFigures,
    /// The machine.
    pub machine: MachineFigures,
    /// The last hour; none where memory isn't looked at.
    pub stats: Option<MemoryStats>,
    /// The engines.
    pub engines: EngineFigures,
}

/// Whether the lakes' engines answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connection {
    /// When that was found out.
    pub at: DateTime<Utc>,
    /// What was found out.
    pub health: Health,
}

/// What was given back.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Released {
    /// Whether the allocator could be asked.
    pub asked: bool,
    /// Resident memory before, in bytes.
    pub before: u64,
    /// What this process has now.
    pub process: ProcessFigures,
    /// The machine.
    pub machine: MachineFigures,
}

/// All figures of the service, for those who gather them.
#[derive(Debug, Clone, PartialEq)]
pub struct ServiceFigures {
    /// Requests by route.
    pub requests: Vec<(RequestLabels, HistogramFigures)>,
    /// Requests that are being served.
    pub active_requests: u64,
    /// What the database did.
    pub operations: Vec<(DatabaseLabels, HistogramFigures)>,
    /// What maintenance came to.
    pub maintenance: MaintenanceFigures,
    /// What queries did.
    pub queries: QueryNumbers,
    /// The breakers.
    pub breakers: Vec<BreakerStatus>,
    /// The engines.
    pub engines: EngineFigures,
    /// How often they were opened anew because somebody asked for it.
    pub reopened: u64,
    /// Pools of connections.
    pub pools: Vec<PoolFigures>,
    /// Lineage that waits; none where that can't be told.
    pub lineage: Option<Backlog>,
    /// Events of lineage that wait to be handed on to another server, and those that were left out, if that can be told.
    pub lineage_forward: Option<(u64, u64)>,
    /// This process.
    pub process: ProcessFigures,
    /// The machine.
    pub machine: MachineFigures,
    /// Stretches in which memory only grew.
    pub leak_alerts: u64,
}

impl Operating {
    /// Runs this.
    pub fn new(parts: Parts) -> Self {
        Self { parts, memory: Mutex::default(), reopened: AtomicU64::new(0) }
    }

    /// How busy the machine is.
    pub async fn machine(&self, caller: &Caller) -> Result<MachineFigures, UseCaseError> {
        caller.require_admin()?;
        Ok(self.parts.machine.machine().await)
    }

    /// What is logged.
    pub fn logging(&self, caller: &Caller) -> Result<LogSetting, UseCaseError> {
        caller.require_admin()?;
        Ok(self.parts.log.setting())
    }

    /// Sets what is logged, of one module or of all.
    pub async fn set_logging(
        &self,
        caller: &Caller,
        level: &str,
        module: Option<&str>,
    ) -> Result<LoggingLevel, UseCaseError> {
        caller.require_admin()?;
        let wanted = || UseCaseError::Invalid("level is one of DEBUG, INFO, WARNING, ERROR, CRITICAL".to_owned());
        let level = LoggingLevel::parse(level).ok_or_else(wanted)?;
        let wanted = || UseCaseError::Invalid("module is a path such as gadwall_http or sqlx::query".to_owned());
        let module = module.map(|name| ModuleName::parse(name).ok_or_else(wanted)).transpose()?;
        self.parts.log.set(level, module.as_ref()).map_err(|error| UseCaseError::Invalid(error.to_string()))?;
        let what =
            module.map_or_else(|| level.as_str().to_owned(), |name| format!("{}={}", name.as_str(), level.as_str()));
        self.audit(caller, "logging.level_set", &what).await;
        Ok(level)
    }

    /// What the server is set to, and what is logged now.
    pub fn settings(&self, caller: &Caller) -> Result<(&ServiceSettings, LoggingLevel), UseCaseError> {
        caller.require_admin()?;
        Ok((&self.parts.settings, self.parts.log.setting().level))
    }

    /// Whether the lakes' engines answer, and what they are set to.
    pub async fn connection(&self, caller: &Caller) -> Result<(Connection, &ServiceSettings), UseCaseError> {
        caller.require_admin()?;
        Ok((self.look().await, &self.parts.settings))
    }

    async fn look(&self) -> Connection {
        let health = self.parts.probe.check().await;
        Connection { at: self.parts.clock.now(), health }
    }

    /// Closes the lakes' engines and opens them again; answers how many, and whether they answer then.
    pub async fn reconnect(&self, caller: &Caller) -> Result<(u64, Connection), UseCaseError> {
        caller.require_admin()?;
        let engines = self.parts.engines.reopen().await?;
        let connection = self.look().await;
        if !connection.health.ok {
            let reason = connection.health.detail.unwrap_or_else(|| "the engines do not answer".to_owned());
            return Err(LakeError::Unavailable(reason.into()).into());
        }
        self.reopened.fetch_add(1, Ordering::Relaxed);
        tracing::info!(engines, "the engines were opened anew, as an admin wished");
        self.audit(caller, "engine.reopened", &engines.to_string()).await;
        Ok((engines, connection))
    }

    /// Memory now and in the last hour.
    pub async fn memory(&self, caller: &Caller) -> Result<MemoryNumbers, UseCaseError> {
        caller.require_admin()?;
        let Parts { machine, engines, clock, .. } = &self.parts;
        let (process, machine, engines) = (machine.process().await, machine.machine().await, engines.figures().await);
        let stats = self.history().stats(clock.now());
        Ok(MemoryNumbers { process, machine, stats, engines })
    }

    /// Looks at memory, for the history. Warns when it only grows.
    pub async fn sample(&self) {
        let resident = self.parts.machine.process().await.resident;
        let grown = self.history().add(self.parts.clock.now(), resident);
        if let Some(bytes) = grown {
            tracing::warn!(
                grown_mb = bytes >> 20,
                resident_mb = resident >> 20,
                "memory only grows: is something leaking?"
            );
        }
    }

    /// What requests and the database did of late.
    pub fn performance(&self, caller: &Caller) -> Result<Performance, UseCaseError> {
        caller.require_admin()?;
        Ok(self.parts.measured.performance())
    }

    /// Gives free memory back to the machine. `dropped` tells what the caller let go before.
    pub async fn release(&self, caller: &Caller, dropped: usize) -> Result<Released, UseCaseError> {
        caller.require_admin()?;
        let machine = &self.parts.machine;
        let before = machine.process().await.resident;
        let asked = machine.give_back().await;
        self.audit(caller, "memory.released", &dropped.to_string()).await;
        Ok(Released { asked, before, process: machine.process().await, machine: machine.machine().await })
    }

    /// All figures. Who may see them is decided by whoever asks: they tell of no project.
    pub async fn figures(&self) -> ServiceFigures {
        let Parts { machine, engines, queries, outside, pools, measured, store, .. } = &self.parts;
        let mut breakers = vec![queries.breaker().status()];
        breakers.extend(outside.iter().map(|breaker| breaker.status()));
        ServiceFigures {
            requests: measured.requests(),
            active_requests: measured.active().load(Ordering::Relaxed),
            operations: measured.operations(),
            maintenance: measured.maintenance(),
            queries: queries.numbers(),
            breakers,
            engines: engines.figures().await,
            reopened: self.reopened.load(Ordering::Relaxed),
            pools: pools.iter().flat_map(|pool| pool.pools()).collect(),
            lineage: backlog(&**store).await.ok(),
            lineage_forward: forwarding(&**store).await.ok(),
            process: machine.process().await,
            machine: machine.machine().await,
            leak_alerts: self.history().alerts,
        }
    }

    /// Writes down who did what. It is done already, so a store that is away only makes the log say it instead: what
    /// operators turn must work when metadata doesn't.
    async fn audit(&self, caller: &Caller, operation: &str, resource: &str) {
        let entry = AuditEntry {
            at: self.parts.clock.now(),
            principal: caller.label(),
            operation: operation.to_owned(),
            project: None,
            resource: resource.to_owned(),
            address: caller.address,
            outcome: AuditOutcome::Done,
            request_id: caller.request_id.clone(),
            snapshot: None,
        };
        let written = async {
            let mut tx = self.parts.store.write().await?;
            tx.audit().append(std::slice::from_ref(&entry)).await?;
            tx.commit().await
        };
        if let Err(error) = written.await {
            tracing::error!(error = %error, principal = entry.principal, operation, resource, "not in the audit log");
        }
    }

    fn history(&self) -> MutexGuard<'_, MemoryHistory> {
        // Nothing panics half way, so a poisoned lock is still good.
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn forwarding(store: &dyn MetadataStore) -> Result<(u64, u64), StoreError> {
    let mut tx = store.read().await?;
    let waiting = tx.lineage().forward_backlog(None).await?.waiting;
    Ok((waiting, tx.lineage().forward_progress().await?.dropped))
}

async fn backlog(store: &dyn MetadataStore) -> Result<Backlog, StoreError> {
    store.read().await?.lineage().backlog(None).await
}
