//! Where lineage is kept: in the metadata store, project by project.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde_json::Value;

use super::metadata::StoreError;
use super::webhooks::DeliveryError;
use crate::ids::SnapshotId;
use crate::lineage::{
    ColumnEdge, Dataset, Direction, Job, NodeId, NodeKind, NodeName, Outdated, Run, RunId, RunState, Use,
};
use crate::names::ProjectId;

/// Which nodes to list, by namespace and name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NodeFilter {
    /// Only those of this namespace.
    pub namespace: Option<String>,
    /// Only those whose name has this in it, in any case.
    pub contains: Option<String>,
    /// Only those after this one in the list.
    pub after: Option<NodeName>,
    /// At most so many.
    pub limit: u32,
}

/// Which runs to list, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RunFilter {
    /// Only those of this job.
    pub job: Option<NodeName>,
    /// Only those of this state.
    pub state: Option<RunState>,
    /// Only those that made this snapshot.
    pub snapshot: Option<SnapshotId>,
    /// Only those after this one in the list: when it was first heard of, and which it is.
    pub after: Option<(DateTime<Utc>, RunId)>,
    /// At most so many.
    pub limit: u32,
}

/// Nodes of the graph beside those asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edge {
    /// The job.
    pub job: NodeName,
    /// The dataset that it reads or writes.
    pub dataset: NodeName,
    /// Which of both.
    pub direction: Direction,
}

/// An event that waits to be worked off, or can't be.
#[derive(Debug, Clone, PartialEq)]
pub struct QueuedEvent {
    /// Its place in the queue.
    pub position: u64,
    /// The project it is of.
    pub project: ProjectId,
    /// The event as it came.
    pub event: Value,
    /// When it came.
    pub received_at: DateTime<Utc>,
    /// How often it was tried.
    pub attempts: u32,
    /// Why it can't be worked off; none while it waits.
    pub reason: Option<String>,
}

/// How much waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Backlog {
    /// Events that wait.
    pub waiting: u64,
    /// Events that can't be worked off.
    pub dead: u64,
    /// When the oldest that waits came.
    pub oldest: Option<DateTime<Utc>>,
}

/// An event that is to be handed on to another server of lineage.
#[derive(Debug, Clone, PartialEq)]
pub struct ForwardedEvent {
    /// Its place among those that are handed on.
    pub position: u64,
    /// The event.
    pub event: Value,
}

/// How far the handing on is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ForwardProgress {
    /// How often the next events were tried.
    pub attempts: u32,
    /// When they are tried next; at once without.
    pub due_at: Option<DateTime<Utc>>,
    /// Why that failed last; none since a success.
    pub error: Option<String>,
    /// Events that were left out since the beginning: refused by the other server, or the oldest of too many.
    pub dropped: u64,
}

/// How much waits to be handed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ForwardBacklog {
    /// Events.
    pub waiting: u64,
    /// When the oldest of them came.
    pub oldest: Option<DateTime<Utc>>,
}

/// Events that are handed on to another server of lineage, in their order.
#[async_trait]
pub trait ForwardRepository: Send {
    /// Adds events, as JSON; of more than `most` the oldest of all go, and are counted.
    async fn forward(
        &mut self,
        project: &ProjectId,
        events: &[String],
        at: DateTime<Utc>,
        most: u64,
    ) -> Result<(), StoreError>;
    /// The first that wait, of all projects, at most so many.
    async fn to_forward(&mut self, limit: u32) -> Result<Vec<ForwardedEvent>, StoreError>;
    /// Takes out what was handed on.
    async fn forwarded(&mut self, positions: &[u64]) -> Result<(), StoreError>;
    /// How much waits: of a project, or of all.
    async fn forward_backlog(&mut self, project: Option<&ProjectId>) -> Result<ForwardBacklog, StoreError>;
    /// How far the handing on is.
    async fn forward_progress(&mut self) -> Result<ForwardProgress, StoreError>;
    /// Claims the handing on until a time, unless another server has it or it isn't due; answers whether that is so.
    async fn claim_forwarding(&mut self, now: DateTime<Utc>, until: DateTime<Utc>) -> Result<bool, StoreError>;
    /// Gives it back, and keeps when it is tried next and why. More that were dropped are added to those before.
    async fn release_forwarding(&mut self, progress: &ForwardProgress, dropped: u64) -> Result<(), StoreError>;
}

/// Hands events on to another server of lineage.
#[async_trait]
pub trait LineageSender: Send + Sync {
    /// Sends an event. Good is any status from 200 to 299.
    async fn send(&self, event: &Value) -> Result<(), DeliveryError>;
}

/// Jobs and datasets. What is put takes the place of what was there under its name.
#[async_trait]
pub trait NodeRepository: Send {
    /// The jobs of these names that are known.
    async fn jobs(&mut self, project: &ProjectId, names: &[NodeName]) -> Result<Vec<Job>, StoreError>;
    /// Puts jobs.
    async fn put_jobs(&mut self, project: &ProjectId, jobs: &[Job]) -> Result<(), StoreError>;
    /// A page of jobs.
    async fn list_jobs(&mut self, project: &ProjectId, filter: &NodeFilter) -> Result<Vec<Job>, StoreError>;
    /// The datasets of these names that are known.
    async fn datasets(&mut self, project: &ProjectId, names: &[NodeName]) -> Result<Vec<Dataset>, StoreError>;
    /// Puts datasets.
    async fn put_datasets(&mut self, project: &ProjectId, datasets: &[Dataset]) -> Result<(), StoreError>;
    /// A page of datasets.
    async fn list_datasets(&mut self, project: &ProjectId, filter: &NodeFilter) -> Result<Vec<Dataset>, StoreError>;
    /// The namespaces that jobs and datasets have, by name.
    async fn namespaces(&mut self, project: &ProjectId) -> Result<Vec<String>, StoreError>;
}

/// Runs, and what they read and write. What is put takes the place of what was there under its id.
#[async_trait]
pub trait RunRepository: Send {
    /// The runs of these ids that are known.
    async fn runs(&mut self, project: &ProjectId, ids: &[RunId]) -> Result<Vec<Run>, StoreError>;
    /// Puts runs.
    async fn put_runs(&mut self, project: &ProjectId, runs: &[Run]) -> Result<(), StoreError>;
    /// A page of runs.
    async fn list_runs(&mut self, project: &ProjectId, filter: &RunFilter) -> Result<Vec<Run>, StoreError>;
    /// Adds what runs and jobs read and write.
    async fn put_uses(&mut self, project: &ProjectId, uses: &[Use]) -> Result<(), StoreError>;
    /// What a run reads and writes.
    async fn uses_of(&mut self, project: &ProjectId, run: RunId) -> Result<Vec<(Direction, NodeName)>, StoreError>;
}

/// What lies between jobs and datasets, and between columns.
#[async_trait]
pub trait GraphRepository: Send {
    /// The edges of a direction at some nodes of one kind, at most so many.
    async fn edges_at(
        &mut self,
        project: &ProjectId,
        kind: NodeKind,
        direction: Direction,
        names: &[NodeName],
        limit: u32,
    ) -> Result<Vec<Edge>, StoreError>;
    /// Adds which columns come from which, once what is outdated is removed. An edge that is there is told anew.
    async fn put_columns(
        &mut self,
        project: &ProjectId,
        edges: &[ColumnEdge],
        outdated: &[Outdated],
    ) -> Result<(), StoreError>;
    /// The edges that lead to some datasets' columns, or from them (`Direction::Input`: what they are made of), at most so
    /// many.
    async fn columns_at(
        &mut self,
        project: &ProjectId,
        direction: Direction,
        datasets: &[NodeName],
        limit: u32,
    ) -> Result<Vec<ColumnEdge>, StoreError>;
}

/// Events on their way in.
#[async_trait]
pub trait QueueRepository: Send {
    /// Puts events into the queue, as JSON, in order.
    async fn enqueue(&mut self, project: &ProjectId, events: &[String], at: DateTime<Utc>) -> Result<(), StoreError>;
    /// The first events that wait, of all projects, at most so many.
    async fn waiting(&mut self, limit: u32) -> Result<Vec<QueuedEvent>, StoreError>;
    /// How many events wait up to a place, of all projects.
    async fn waiting_up_to(&mut self, position: u64) -> Result<u64, StoreError>;
    /// Takes events out of the queue.
    async fn take_out(&mut self, positions: &[u64]) -> Result<(), StoreError>;
    /// Sets an event aside, with the reason.
    async fn set_aside(&mut self, position: u64, reason: &str) -> Result<(), StoreError>;
    /// A project's events that were set aside after a place, oldest first.
    async fn dead(&mut self, project: &ProjectId, after: u64, limit: u32) -> Result<Vec<QueuedEvent>, StoreError>;
    /// Lets an event that was set aside wait again; `false` when there is none at that place.
    async fn retry(&mut self, project: &ProjectId, position: u64) -> Result<bool, StoreError>;
    /// Forgets an event that was set aside; `false` when there is none at that place.
    async fn discard(&mut self, project: &ProjectId, position: u64) -> Result<bool, StoreError>;
    /// How much waits: of a project, or of all.
    async fn backlog(&mut self, project: Option<&ProjectId>) -> Result<Backlog, StoreError>;
}

/// All of lineage.
#[async_trait]
pub trait LineageRepository:
    NodeRepository + RunRepository + GraphRepository + QueueRepository + ForwardRepository
{
    /// Forgets all of a project's lineage.
    async fn clear(&mut self, project: &ProjectId) -> Result<(), StoreError>;
}

impl Edge {
    /// The job's node.
    pub fn job_node(&self) -> NodeId {
        NodeId::job(self.job.clone())
    }

    /// The dataset's node.
    pub fn dataset_node(&self) -> NodeId {
        NodeId::dataset(self.dataset.clone())
    }

    /// Where it begins and where it ends, as rows go.
    pub fn ends(&self) -> (NodeId, NodeId) {
        match self.direction {
            Direction::Input => (self.dataset_node(), self.job_node()),
            Direction::Output => (self.job_node(), self.dataset_node()),
        }
    }
}
