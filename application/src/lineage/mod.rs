//! Lineage: what jobs did and what comes from what, for those whose project it is.
//!
//! An event's job and run are known when it is answered. What it says of datasets follows: it waits in a queue that lasts,
//! which [`Lineage::work_off`] works off in order.

mod failures;
mod forward;
mod graph;
mod ingest;
mod jobs;
mod queue;
#[cfg(test)]
mod tests;
mod told;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use gadwall_domain::access::Scope;
use gadwall_domain::lineage::{Dataset, Direction, Job, NodeName, Run, RunId};
use gadwall_domain::names::ProjectId;
use gadwall_domain::ports::lineage::{NodeFilter, RunFilter};
use gadwall_domain::ports::metadata::MetadataStore;
use gadwall_domain::ports::system::{Clock, IdGenerator};
use gadwall_domain::project::Project;
use tokio::sync::Notify;

use crate::access::Access;
use crate::caller::Caller;
use crate::error::UseCaseError;

pub use failures::Failures;
pub(crate) use failures::{Attempt, ExportAttempt};
pub use forward::{Forwarded, Forwarding};
pub use graph::{ColumnGraph, Graph, GraphNode, MAX_DEPTH, Way};
pub use ingest::{Ingested, MAX_EVENTS};
pub use jobs::{Ended, Ending, NewJob, ToldDataset};

/// Most nodes, jobs or runs in one answer.
pub const MAX_LISTED: u32 = 1_000;

/// The use cases of lineage.
pub struct Lineage {
    store: Arc<dyn MetadataStore>,
    access: Arc<Access>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn IdGenerator>,
    /// Told when something waits to be worked off.
    came: Arc<Notify>,
    /// How many events may wait to be handed on to another server; none where there is none.
    forward: Option<u64>,
}

impl fmt::Debug for Lineage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Lineage")
    }
}

/// A run, with what it reads and writes.
#[derive(Debug, Clone)]
pub struct FullRun {
    /// The run.
    pub run: Run,
    /// What it reads.
    pub inputs: Vec<NodeName>,
    /// What it writes.
    pub outputs: Vec<NodeName>,
    /// Where these are, as far as that was told.
    pub places: BTreeMap<NodeName, String>,
}

impl Lineage {
    /// Keeps lineage in this store.
    pub fn new(
        store: Arc<dyn MetadataStore>,
        access: Arc<Access>,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn IdGenerator>,
    ) -> Self {
        Self { store, access, clock, ids, came: Arc::default(), forward: None }
    }

    /// Goes by that word that something waits: writes bring events, too.
    #[must_use]
    pub fn woken_by(self, came: Arc<Notify>) -> Self {
        Self { came, ..self }
    }

    /// Hands all events on to another server: so many may wait for it.
    #[must_use]
    pub fn forwarding(self, most: Option<u64>) -> Self {
        Self { forward: most, ..self }
    }

    /// Waits until something is to be worked off, but not longer than that.
    pub async fn wait(&self, at_most: Duration) {
        // Whichever it was, the queue is looked at.
        let _ = tokio::time::timeout(at_most, self.came.notified()).await;
    }

    /// A project whose lineage a caller may use: all of it is one graph, so a key to a bucket is none to this.
    async fn open(&self, caller: &Caller, project: &ProjectId, scope: Scope) -> Result<Project, UseCaseError> {
        let project = self.access.open(caller, project, scope).await?;
        caller.require_whole_project()?;
        Ok(project)
    }

    /// A page of jobs, by name.
    pub async fn jobs(
        &self,
        caller: &Caller,
        project: &ProjectId,
        filter: &NodeFilter,
    ) -> Result<Vec<Job>, UseCaseError> {
        let project = self.open(caller, project, Scope::Read).await?;
        Ok(self.store.read().await?.lineage().list_jobs(&project.id, filter).await?)
    }

    /// A page of datasets, by name.
    pub async fn datasets(
        &self,
        caller: &Caller,
        project: &ProjectId,
        filter: &NodeFilter,
    ) -> Result<Vec<Dataset>, UseCaseError> {
        let project = self.open(caller, project, Scope::Read).await?;
        Ok(self.store.read().await?.lineage().list_datasets(&project.id, filter).await?)
    }

    /// One dataset.
    pub async fn dataset(
        &self,
        caller: &Caller,
        project: &ProjectId,
        name: &NodeName,
    ) -> Result<Option<Dataset>, UseCaseError> {
        let project = self.open(caller, project, Scope::Read).await?;
        let mut tx = self.store.read().await?;
        Ok(tx.lineage().datasets(&project.id, std::slice::from_ref(name)).await?.pop())
    }

    /// The namespaces that jobs and datasets have.
    pub async fn namespaces(&self, caller: &Caller, project: &ProjectId) -> Result<Vec<String>, UseCaseError> {
        let project = self.open(caller, project, Scope::Read).await?;
        Ok(self.store.read().await?.lineage().namespaces(&project.id).await?)
    }

    /// A page of runs, newest first.
    pub async fn runs(
        &self,
        caller: &Caller,
        project: &ProjectId,
        filter: &RunFilter,
    ) -> Result<Vec<Run>, UseCaseError> {
        let project = self.open(caller, project, Scope::Read).await?;
        Ok(self.store.read().await?.lineage().list_runs(&project.id, filter).await?)
    }

    /// One run, whatever its job.
    pub async fn run(&self, caller: &Caller, project: &ProjectId, id: RunId) -> Result<Option<FullRun>, UseCaseError> {
        let project = self.open(caller, project, Scope::Read).await?;
        let mut tx = self.store.read().await?;
        let Some(run) = tx.lineage().runs(&project.id, &[id]).await?.pop() else { return Ok(None) };
        let uses = tx.lineage().uses_of(&project.id, id).await?;
        let of = |direction: Direction| -> Vec<NodeName> {
            uses.iter().filter(move |(used, _)| *used == direction).map(|(_, dataset)| dataset.clone()).collect()
        };
        let (inputs, outputs) = (of(Direction::Input), of(Direction::Output));
        let names: Vec<NodeName> = uses.into_iter().map(|(_, dataset)| dataset).collect();
        let found = tx.lineage().datasets(&project.id, &names).await?;
        let place = |dataset: Dataset| {
            let uri = dataset.facets.get("dataSource")?["uri"].as_str()?.to_owned();
            Some((dataset.name, uri))
        };
        Ok(Some(FullRun { run, inputs, outputs, places: found.into_iter().filter_map(place).collect() }))
    }
}
