//! Maintenance of projects' lakes: how they are, what there is to do, and runs that do it. On demand, or by itself.
//!
//! A run is an operation. It goes slice by slice, each in a turn of the lake's writer, so that others write in between.

mod error;
mod holds;
mod run;
mod schedule;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use gadwall_domain::access::Scope;
use gadwall_domain::error::Classify as _;
use gadwall_domain::ids::OperationId;
use gadwall_domain::maintenance::{Holds, MaintenancePolicy, MaintenanceStep, Planned, PolicyChanges, plan};
use gadwall_domain::names::ProjectId;
use gadwall_domain::operation::{Operation, OperationKind};
use gadwall_domain::ports::events::SnapshotHolds;
use gadwall_domain::ports::lake::{FileFloors, LakeCondition, LakeMaintenance};
use gadwall_domain::ports::maintenance::KeptMaintenance;
use gadwall_domain::ports::metadata::{MetadataStore, OperationFilter};
use gadwall_domain::ports::system::{Clock, IdGenerator};
use gadwall_domain::project::Project;
use serde_json::{Value, json};

use crate::access::Access;
use crate::caller::Caller;
use crate::error::UseCaseError;
use crate::happened::Happened;
use crate::operating::Measured;
use crate::operations::Operations;
use crate::projection::Projection;
use crate::projects::Projects;

pub use error::MaintenanceError;
use holds::Needs;
pub(crate) use holds::ends;
use run::Run;
pub use run::{RunReport, StepReport};

/// Files that no snapshot ever showed are younger than this while a write may be at them.
const UNKNOWN_FOR: Duration = Duration::from_hours(24);

/// What holds for all projects.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MaintenanceSettings {
    /// What a project has that wants nothing else.
    pub defaults: MaintenancePolicy,
    /// Up to so much later than its time a project's run begins.
    pub jitter: Duration,
    /// How long files stay that no snapshot shows any more.
    pub keep_files_for: Duration,
}

impl MaintenanceSettings {
    fn floors(&self) -> FileFloors {
        FileFloors { unused: self.keep_files_for, unknown: self.keep_files_for.max(UNKNOWN_FOR) }
    }
}

/// What maintenance works on.
pub struct Parts {
    /// Policies, tags, links.
    pub store: Arc<dyn MetadataStore>,
    /// The lakes.
    pub maintenance: Arc<dyn LakeMaintenance>,
    /// Opens projects.
    pub access: Arc<Access>,
    /// The index of the lakes.
    pub projection: Arc<Projection>,
    /// Counts what projects hold.
    pub projects: Arc<Projects>,
    /// What runs run as.
    pub operations: Arc<Operations>,
    /// Who follows tables.
    pub followers: Arc<dyn SnapshotHolds>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Chance.
    pub ids: Arc<dyn IdGenerator>,
    /// Told what runs did.
    pub measured: Arc<Measured>,
    /// What holds for all projects.
    pub settings: MaintenanceSettings,
}

impl fmt::Debug for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Parts")
    }
}

impl Parts {
    fn needs(&self) -> Needs {
        Needs { store: Arc::clone(&self.store), followers: Arc::clone(&self.followers), clock: Arc::clone(&self.clock) }
    }

    /// What holds for a project. What it wanted once may no longer fit the defaults: then these hold.
    fn policy(&self, changes: &PolicyChanges) -> MaintenancePolicy {
        self.settings.defaults.with(changes).unwrap_or(self.settings.defaults)
    }
}

/// The use cases of maintenance.
#[derive(Debug)]
pub struct Maintenance {
    parts: Arc<Parts>,
    /// Who begins a run does so alone.
    beginning: futures_util::lock::Mutex<()>,
}

/// How a project's lake is, and how it is maintained.
#[derive(Debug, Clone)]
pub struct Upkeep {
    /// Its files and snapshots.
    pub condition: LakeCondition,
    /// What holds for it.
    pub policy: MaintenancePolicy,
    /// Whether maintenance is paused.
    pub is_paused: bool,
    /// The last run; it may be under way.
    pub last: Option<Operation>,
    /// When the next one begins by itself; none if none does.
    pub next_at: Option<DateTime<Utc>>,
}

impl Maintenance {
    /// Maintains these.
    pub fn new(parts: Parts) -> Self {
        Self { parts: Arc::new(parts), beginning: futures_util::lock::Mutex::default() }
    }

    /// How a project's lake is.
    pub async fn look(&self, caller: &Caller, project: &ProjectId) -> Result<Upkeep, UseCaseError> {
        let project = self.open(caller, project, Scope::Read).await?;
        let kept = self.kept(&project).await?;
        let policy = self.parts.policy(&kept.changes);
        let condition = self.parts.maintenance.condition(project.lake, policy, self.parts.settings.floors()).await?;
        let filter = OperationFilter { after: None, kind: Some(OperationKind::Maintenance), limit: 1 };
        let last = self.parts.operations.list(caller, &project.id, filter).await?.pop();
        let next_at = kept.next_at.filter(|_| policy.enabled && !kept.is_paused);
        Ok(Upkeep { condition, policy, is_paused: kept.is_paused, last, next_at })
    }

    /// What there is to do in a project.
    pub async fn plan(&self, caller: &Caller, project: &ProjectId) -> Result<Vec<Planned>, UseCaseError> {
        let project = self.open(caller, project, Scope::Read).await?;
        let policy = self.parts.policy(&self.kept(&project).await?.changes);
        let holds: Holds = self.parts.needs().holds(&project.id).await?;
        let condition = self.parts.maintenance.condition(project.lake, policy, self.parts.settings.floors()).await?;
        Ok(plan(&condition, &policy, &holds, self.parts.clock.now()))
    }

    /// What a run would do, for whom it would be done.
    pub async fn plan_run(&self, caller: &Caller, project: &ProjectId) -> Result<Vec<Planned>, UseCaseError> {
        self.open(caller, project, Scope::Manage).await?;
        self.plan(caller, project).await
    }

    /// What a project wants otherwise than the defaults, and what holds for it.
    pub async fn policy(
        &self,
        caller: &Caller,
        project: &ProjectId,
    ) -> Result<(PolicyChanges, MaintenancePolicy), UseCaseError> {
        let project = self.open(caller, project, Scope::Read).await?;
        let changes = self.kept(&project).await?.changes;
        let policy = self.parts.policy(&changes);
        Ok((changes, policy))
    }

    /// Says what a project wants otherwise than the defaults.
    #[tracing::instrument(skip_all, fields(project.id = %project))]
    pub async fn set_policy(
        &self,
        caller: &Caller,
        project: &ProjectId,
        changes: PolicyChanges,
    ) -> Result<MaintenancePolicy, UseCaseError> {
        let project = self.open(caller, project, Scope::Manage).await?;
        let policy = self.parts.settings.defaults.with(&changes).map_err(MaintenanceError::from)?;
        // It is looked anew when it has its next run.
        self.change(caller, &project, "maintenance.policy_changed", json!(changes), |kept| KeptMaintenance {
            changes,
            next_at: None,
            ..kept
        })
        .await?;
        Ok(policy)
    }

    /// Has nothing more done until it is resumed; a run that is at it ends after its slice.
    #[tracing::instrument(skip_all, fields(project.id = %project))]
    pub async fn pause(&self, caller: &Caller, project: &ProjectId) -> Result<(), UseCaseError> {
        let project = self.open(caller, project, Scope::Manage).await?;
        let pause = |kept| KeptMaintenance { is_paused: true, ..kept };
        self.change(caller, &project, "maintenance.paused", json!({}), pause).await
    }

    /// Takes a pause back.
    #[tracing::instrument(skip_all, fields(project.id = %project))]
    pub async fn resume(&self, caller: &Caller, project: &ProjectId) -> Result<(), UseCaseError> {
        let project = self.open(caller, project, Scope::Manage).await?;
        let resume = |kept| KeptMaintenance { is_paused: false, ..kept };
        self.change(caller, &project, "maintenance.resumed", json!({}), resume).await
    }

    /// Begins a run of some steps, or of all.
    #[tracing::instrument(skip_all, fields(project.id = %project))]
    pub async fn run(
        &self,
        caller: &Caller,
        project: &ProjectId,
        steps: Option<BTreeSet<MaintenanceStep>>,
    ) -> Result<Operation, UseCaseError> {
        let project = self.open(caller, project, Scope::Manage).await?;
        if self.kept(&project).await?.is_paused {
            return Err(MaintenanceError::Paused(project.id).into());
        }
        let steps = steps.unwrap_or_else(|| MaintenanceStep::ALL.into());
        self.begin(caller, project, steps).await
    }

    /// A project's runs, newest first.
    pub async fn runs(
        &self,
        caller: &Caller,
        project: &ProjectId,
        after: Option<OperationId>,
        limit: u32,
    ) -> Result<Vec<Operation>, UseCaseError> {
        let project = self.open(caller, project, Scope::Read).await?;
        let filter = OperationFilter { after, kind: Some(OperationKind::Maintenance), limit };
        self.parts.operations.list(caller, &project.id, filter).await
    }

    /// One run.
    pub async fn find(&self, caller: &Caller, project: &ProjectId, run: &str) -> Result<Operation, UseCaseError> {
        let project = self.open(caller, project, Scope::Read).await?;
        let missing = || MaintenanceError::NoRun { project: project.id.clone(), run: run.chars().take(64).collect() };
        match self.parts.operations.get(caller, &project.id, run).await {
            Ok(found) if found.kind == OperationKind::Maintenance => Ok(found),
            Ok(_) | Err(UseCaseError::Operation(_)) => Err(missing().into()),
            Err(error) => Err(error),
        }
    }

    /// Begins a run, unless one is under way.
    async fn begin(
        &self,
        caller: &Caller,
        project: Project,
        steps: BTreeSet<MaintenanceStep>,
    ) -> Result<Operation, UseCaseError> {
        let _alone = self.beginning.lock().await;
        let unfinished = self.parts.operations.unfinished().await?;
        let same = |other: &&Operation| other.project == project.id && other.kind == OperationKind::Maintenance;
        if let Some(other) = unfinished.iter().find(same) {
            let operation = other.id.to_string();
            return Err(MaintenanceError::AlreadyRunning { project: project.id, operation }.into());
        }
        let policy = self.parts.policy(&self.kept(&project).await?.changes);
        let subject = steps.iter().map(|step| step.as_str()).collect::<Vec<_>>().join(",");
        let (parts, of, by) = (Arc::clone(&self.parts), project.clone(), caller.clone());
        let work = move |running| async move {
            // Its commits are many: none of them is the answer to the request that the key stands for.
            let mut origin = by.origin();
            (origin.idempotency_key, origin.fingerprint) = (None, None);
            let begun = parts.clock.now();
            let run = Run {
                parts: Arc::clone(&parts),
                project: of.clone(),
                policy,
                origin,
                running,
                report: RunReport::default(),
            };
            let done = run.carry_out(&steps).await;
            let took = (parts.clock.now() - begun).to_std().unwrap_or_default();
            parts.measured.maintained(took, done.as_ref().ok().map(|report| report.bytes_reclaimed));
            let (event, told) = match &done {
                Ok(report) => ("maintenance.completed", json!(report)),
                Err(error) => ("maintenance.failed", json!({ "code": error.code() })),
            };
            let happened = Happened { caller: &by, project: &of.id, what: event, data: told };
            happened.tell(&*parts.store, parts.clock.now()).await?;
            done.map(|report| json!(report))
        };
        let operations = &self.parts.operations;
        Ok(operations.start(caller, &project, OperationKind::Maintenance, subject, work).await?.operation)
    }

    /// Changes what is kept of a project, and tells of it.
    async fn change(
        &self,
        caller: &Caller,
        project: &Project,
        what: &'static str,
        told: Value,
        change: impl FnOnce(KeptMaintenance) -> KeptMaintenance + Send,
    ) -> Result<(), UseCaseError> {
        let mut tx = self.parts.store.write().await?;
        let kept = tx.maintenance().find(&project.id).await?;
        let changed = change(kept.clone());
        if changed != kept {
            tx.maintenance().put(&project.id, &changed).await?;
            let happened = Happened { caller, project: &project.id, what, data: told };
            happened.append(&mut *tx, self.parts.clock.now()).await?;
        }
        Ok(tx.commit().await?)
    }

    async fn kept(&self, project: &Project) -> Result<KeptMaintenance, UseCaseError> {
        Ok(self.parts.store.read().await?.maintenance().find(&project.id).await?)
    }

    /// Opens a project for what concerns all of its buckets.
    async fn open(&self, caller: &Caller, project: &ProjectId, scope: Scope) -> Result<Project, UseCaseError> {
        let project = self.parts.access.open(caller, project, scope).await?;
        caller.require_whole_project()?;
        Ok(project)
    }
}
