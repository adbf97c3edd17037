//! The doctor of catalogs: what is wrong with projects' lakes, and what can be mended. Each look is an operation.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use gadwall_domain::ids::SnapshotId;
use gadwall_domain::names::ProjectId;
use gadwall_domain::operation::{Operation, OperationKind};
use gadwall_domain::ports::doctor::{Finding, LakeDoctor, Severity};
use gadwall_domain::ports::lake::{LakeError, LakeStore, WriteError};
use gadwall_domain::ports::metadata::MetadataStore;
use gadwall_domain::ports::system::Clock;
use gadwall_domain::project::Project;
use serde::Serialize;
use serde_json::json;

use crate::caller::Caller;
use crate::error::UseCaseError;
use crate::happened::Happened;
use crate::operations::{Operations, Running};
use crate::projection::Projection;
use crate::projects::{default_project, in_use};

/// How long the index may be behind the lake while nothing is wrong.
const MOMENT: Duration = Duration::from_millis(500);

/// What the doctor works on.
pub struct Parts {
    /// Projects, and the index of their lakes.
    pub store: Arc<dyn MetadataStore>,
    /// The lakes.
    pub lakes: Arc<dyn LakeStore>,
    /// Who looks into catalogs.
    pub doctor: Arc<dyn LakeDoctor>,
    /// Copies commits into the index.
    pub projection: Arc<Projection>,
    /// What it runs as.
    pub operations: Arc<Operations>,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

impl fmt::Debug for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Parts")
    }
}

/// What was found in a project.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Checkup {
    /// The project.
    pub project: String,
    /// What is wrong by now.
    pub findings: Vec<Finding>,
    /// What was wrong and was mended, by the codes of the checks.
    pub repaired: Vec<&'static str>,
}

/// The use cases of the doctor. All are an admin's.
#[derive(Debug)]
pub struct Doctor {
    parts: Arc<Parts>,
}

impl Doctor {
    /// Looks after these.
    pub fn new(parts: Parts) -> Self {
        Self { parts: Arc::new(parts) }
    }

    /// Begins to look at these projects, or at all; with consent, what can be mended is.
    #[tracing::instrument(skip_all)]
    pub async fn examine(
        &self,
        caller: &Caller,
        projects: Vec<ProjectId>,
        repair: bool,
    ) -> Result<Operation, UseCaseError> {
        caller.require_admin()?;
        let projects = in_use(&*self.parts.store, projects).await?;
        let default = default_project(&*self.parts.store).await?;
        let (parts, by) = (Arc::clone(&self.parts), caller.clone());
        let work = move |_: Running| async move {
            let mut told = Vec::new();
            for project in projects {
                told.push(parts.project(&by, &project, repair).await?);
            }
            let findings = told.iter().map(|checkup| checkup.findings.len()).sum::<usize>();
            Ok(json!({ "findings": findings, "projects": told }))
        };
        let subject = if repair { "repair" } else { "examine" };
        let started =
            self.parts.operations.start(caller, &default, OperationKind::Doctor, subject.to_owned(), work).await?;
        Ok(started.operation)
    }
}

impl Parts {
    async fn project(&self, caller: &Caller, project: &Project, repair: bool) -> Result<Checkup, UseCaseError> {
        let mut findings = self.look(project).await?;
        if findings.iter().any(|finding| finding.code == "file_missing") {
            // Rows that are erased for good take their files with them, though their table's catalog was read before.
            findings = self.look(project).await?;
        }
        let mut repaired = Vec::new();
        if repair && findings.iter().any(|finding| finding.repairable) {
            if findings.iter().any(|finding| finding.repairable && finding.code != INDEX_BEHIND) {
                self.doctor.repair(project.lake).await.map_err(|error| match error {
                    WriteError::Lake(error) => UseCaseError::from(error),
                    error => LakeError::Fault(Box::new(error)).into(),
                })?;
            }
            self.projection.catch_up(project, None).await?;
            let left = self.look(project).await?;
            let is_left = |finding: &Finding| left.iter().any(|other| other.code == finding.code);
            repaired = findings.iter().filter(|finding| !is_left(finding)).map(|finding| finding.code).collect();
            findings = left;
            let data = json!({ "checks": repaired });
            let happened = Happened { caller, project: &project.id, what: "maintenance.repaired", data };
            happened.tell(&*self.store, self.clock.now()).await?;
        }
        Ok(Checkup { project: project.id.to_string(), findings, repaired })
    }

    /// What is wrong with a project's lake, and with the index of it.
    async fn look(&self, project: &Project) -> Result<Vec<Finding>, UseCaseError> {
        let mut findings = match self.doctor.examine(project.lake).await {
            Err(LakeError::Damaged(error)) => {
                tracing::error!(error = %error, project = %project.id, "a lake's catalog can't be read");
                return Ok(vec![unreadable()]);
            }
            Err(LakeError::NoLake) => return Ok(vec![gone()]),
            found => found?,
        };
        let applied = self.store.read().await?.lake_index().applied(&project.id).await?;
        let head = self.lakes.head(project.lake).await?;
        let subject = format!("the index is at snapshot {applied}, the lake at {head}");
        if applied > head {
            findings.push(Finding { subjects: vec![subject], ..ahead() });
        } else if applied < head && !self.is_busy(project, head).await? {
            findings.push(Finding { subjects: vec![subject], ..behind() });
        }
        Ok(findings)
    }

    /// Whether the index follows: a commit of this moment isn't in it yet.
    async fn is_busy(&self, project: &Project, head: SnapshotId) -> Result<bool, UseCaseError> {
        tokio::time::sleep(MOMENT).await;
        Ok(self.store.read().await?.lake_index().applied(&project.id).await? >= head)
    }
}

const INDEX_BEHIND: &str = "index_behind_lake";

fn found(code: &'static str, severity: Severity, repairable: bool, means: &'static str) -> Finding {
    Finding { code, severity, count: 1, subjects: Vec::new(), means, repairable }
}

fn unreadable() -> Finding {
    let means = "the catalog can't be opened or read; the log has what the engine says. Put catalog.ducklake and its .wal back, or \
                 restore the project from a backup";
    found("catalog_unreadable", Severity::Error, false, means)
}

fn gone() -> Finding {
    let means =
        "the project's catalog isn't there. Put its folder or schema back, or restore the project from a backup";
    found("catalog_missing", Severity::Error, false, means)
}

fn ahead() -> Finding {
    let means = "the lake lost commits that were acknowledged: its catalog is older than it was, as after a lost or cut write-ahead log. \
                 Put the newer catalog back, or restore the project from a backup";
    found("index_ahead_of_lake", Severity::Error, false, means)
}

fn behind() -> Finding {
    let means = "commits are not in the index yet, as after a crash: it is mended when the project is used next, or by a repair";
    found(INDEX_BEHIND, Severity::Warning, true, means)
}
