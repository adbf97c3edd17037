//! The engine of queries as its operators see it: is it well, what did it do, and let it try again.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use gadwall_domain::access::{Principal, Scope};
use gadwall_domain::history::ReadAt;
use gadwall_domain::names::ProjectId;
use gadwall_domain::ports::lake::{Lake, LakeError};
use gadwall_domain::ports::system::{
    Clock, HealthProbe, LakeFiles, MemoryUse, ProcessMonitor, SystemLoad, SystemStatistics,
};
use gadwall_domain::project::Project;

use crate::access::Access;
use crate::breaker::{Breaker, BreakerState, BreakerStatus, elapsed};
use crate::caller::Caller;
use crate::error::UseCaseError;
use crate::guarded::GuardedEngine;
use crate::query_statistics::QueryNumbers;

/// What stands in for a path where all lakes are meant: where files lie is nobody's business.
const ALL_LAKES: &str = "embedded";

/// Limits of the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EngineLimits {
    /// Most memory it may use, in bytes.
    pub memory: u64,
    /// Threads it works with.
    pub threads: usize,
    /// Queries that run at once.
    pub queries: usize,
}

/// What the use cases work with.
pub struct Parts {
    /// The engine with its breaker.
    pub engine: Arc<GuardedEngine>,
    /// The breakers before what is on other machines.
    pub outside: Vec<Arc<Breaker>>,
    /// The same engine, without the breaker.
    pub probe: Arc<dyn HealthProbe>,
    /// The projects' lakes.
    pub lakes: Arc<dyn Lake>,
    /// Who may do what.
    pub access: Arc<Access>,
    /// The machine and its disk.
    pub system: Arc<dyn SystemStatistics>,
    /// This process.
    pub process: Arc<dyn ProcessMonitor>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// The engine's limits.
    pub limits: EngineLimits,
}

impl fmt::Debug for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Parts")
    }
}

/// The use cases of the engine's operators.
pub struct Analytics {
    parts: Parts,
    started: DateTime<Utc>,
}

impl fmt::Debug for Analytics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Analytics")
    }
}

/// What the engine did, and how the machine is doing.
#[derive(Debug, Clone, PartialEq)]
pub struct EngineNumbers {
    /// Now.
    pub now: DateTime<Utc>,
    /// How long the service has been there.
    pub uptime: Duration,
    /// What it is about: a project, or `embedded` for all of them. Never a path.
    pub database: String,
    /// Its files, if they are there.
    pub files: Option<LakeFiles>,
    /// What queries did.
    pub queries: QueryNumbers,
    /// How the breaker stands.
    pub breaker: BreakerStatus,
    /// How those before other machines stand.
    pub outside: Vec<BreakerStatus>,
    /// Memory of the process and of the machine.
    pub memory: MemoryUse,
    /// How busy both are.
    pub load: SystemLoad,
    /// The engine's limits.
    pub limits: EngineLimits,
}

/// How the engine is doing.
#[derive(Debug, Clone, PartialEq)]
pub struct EngineHealth {
    /// Whether queries are answered.
    pub healthy: bool,
    /// Whether a query past the breaker was answered.
    pub answers: bool,
    /// How long that took.
    pub took: Duration,
    /// Bytes of memory that the process had more afterwards.
    pub memory_growth: u64,
    /// What is wrong.
    pub errors: Vec<String>,
    /// All the rest.
    pub numbers: EngineNumbers,
}

impl Analytics {
    /// Looks at an engine. The time runs from now on.
    pub fn new(parts: Parts) -> Self {
        let started = parts.clock.now();
        Self { parts, started }
    }

    /// Asks the engine past its breaker, so that neither decides over the other. Open to everyone.
    pub async fn health(&self) -> EngineHealth {
        let Parts { probe, clock, process, engine, .. } = &self.parts;
        let (began, before) = (clock.now(), process.memory().resident);
        let found = probe.check().await;
        let (took, after) = (elapsed(began, clock.now()), process.memory().resident);
        let numbers = self.numbers(ALL_LAKES.to_owned(), self.parts.system.lake_files().await).await;
        let mut errors = Vec::new();
        if !found.ok {
            errors.push(found.detail.unwrap_or_else(|| "the engine does not answer queries".to_owned()));
        }
        if engine.breaker().status().state == BreakerState::Open {
            errors.push("the circuit breaker is open: queries are refused for now".to_owned());
        }
        if numbers.files.is_none() {
            errors.push("the storage of the lakes is missing".to_owned());
        }
        let memory_growth = after.saturating_sub(before);
        EngineHealth { healthy: errors.is_empty(), answers: found.ok, took, memory_growth, errors, numbers }
    }

    /// What the engine did. An admin who names no project sees the files of all; others see their project's.
    pub async fn statistics(&self, caller: &Caller, named: Option<ProjectId>) -> Result<EngineNumbers, UseCaseError> {
        if caller.principal().is_some_and(Principal::is_admin) && named.is_none() {
            return Ok(self.numbers(ALL_LAKES.to_owned(), self.parts.system.lake_files().await).await);
        }
        let project = self.parts.access.own_project(caller, named)?;
        let project = self.parts.access.open(caller, &project, Scope::Read).await?;
        // These numbers are wanted most when the engine is broken, and it is the engine that knows the files.
        let files = self.project_files(&project).await;
        let files = files.inspect_err(|error| tracing::warn!(%error, "a project's files were not counted")).ok();
        Ok(self.numbers(project.id.to_string(), files).await)
    }

    async fn project_files(&self, project: &Project) -> Result<LakeFiles, LakeError> {
        let lakes = &self.parts.lakes;
        let buckets = lakes.buckets(project.lake, ReadAt::Head).await?;
        let newest = lakes.snapshot(project.lake, lakes.head(project.lake).await?).await?;
        Ok(LakeFiles {
            bytes: buckets.iter().map(|bucket| bucket.size_bytes).sum(),
            created: Some(project.created_at),
            modified: newest.map(|commit| commit.committed_at),
        })
    }

    /// Lets in whoever has a valid key.
    pub fn enter(&self, caller: &Caller) -> Result<(), UseCaseError> {
        caller.principal().map(|_| ()).ok_or(UseCaseError::Unauthenticated)
    }

    /// Closes the breaker of that name, or all of them, whatever they knew; answers their names.
    pub fn reset(&self, caller: &Caller, name: Option<&str>) -> Result<Vec<&'static str>, UseCaseError> {
        match caller.principal() {
            None => return Err(UseCaseError::Unauthenticated),
            Some(principal) if principal.is_admin() => {}
            // One project's owner doesn't decide for all.
            Some(_) => return Err(UseCaseError::Forbidden),
        }
        let engine = self.parts.engine.breaker();
        let all = || std::iter::once(engine).chain(self.parts.outside.iter().map(|breaker| &**breaker));
        let meant: Vec<_> = all().filter(|breaker| name.is_none_or(|name| name == breaker.name())).collect();
        if meant.is_empty() {
            let names: Vec<_> = all().map(Breaker::name).collect();
            return Err(UseCaseError::Invalid(format!(
                "there is no such circuit breaker; there is {}",
                names.join(", ")
            )));
        }
        for breaker in &meant {
            breaker.reset();
        }
        let names: Vec<_> = meant.into_iter().map(Breaker::name).collect();
        tracing::info!(breakers = ?names, "circuit breakers were reset by an admin");
        Ok(names)
    }

    async fn numbers(&self, database: String, files: Option<LakeFiles>) -> EngineNumbers {
        let Parts { engine, system, process, clock, limits, .. } = &self.parts;
        let load = system.load().await;
        let now = clock.now();
        EngineNumbers {
            now,
            uptime: elapsed(self.started, now),
            database,
            files,
            queries: engine.numbers(),
            breaker: engine.breaker().status(),
            outside: self.parts.outside.iter().map(|breaker| breaker.status()).collect(),
            memory: process.memory(),
            load,
            limits: *limits,
        }
    }
}
