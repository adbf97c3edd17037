//! Lineage: which jobs ran, what they read and wrote, and which columns come from which. The words are those of
//! OpenLineage 2-0-2 (<https://openlineage.io/docs/spec/object-model>).

mod columns;
mod event;
mod merge;
mod origins;
mod own;
#[cfg(test)]
mod tests;

use std::fmt;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};
use thiserror::Error;
use uuid::Uuid;

use crate::error::{Classify, ErrorKind};
use crate::ids::SnapshotId;

pub use columns::{ColumnEdge, Influence, Outdated, ToldBy};
pub use event::{DatasetEvent, DatasetUse, EventError, EventKind, JobEvent, LineageEvent, RunEvent};
pub use merge::Merged;
pub use origins::{MAX_ORIGINS, Means, Origin, Origins};
pub use own::{
    Export, FailedExport, FailedWrite, MAX_SQL, OWN_JOBS, PARTIAL, PRODUCER, RUN_EVENT_SCHEMA, Reason, event_of_export,
    event_of_failed_export, event_of_failure, event_of_run, event_of_write, file_dataset, start_of, table_dataset,
};

/// Longest namespace, in bytes.
pub const MAX_NAMESPACE: usize = 512;
/// Longest name of a job or dataset, in bytes.
pub const MAX_NAME: usize = 1_024;
/// Longest name of a field, in bytes.
pub const MAX_FIELD: usize = 512;
/// Most datasets that an event may name.
pub const MAX_DATASETS: usize = 1_000;
/// Most fields of a dataset, and most edges between columns that an event may tell.
pub const MAX_FIELDS: usize = 20_000;

/// What has a name in lineage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NodeKind {
    /// Something that runs.
    Job,
    /// Something that is read or written.
    Dataset,
}

impl NodeKind {
    /// The word used in ids of nodes.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Job => "job",
            Self::Dataset => "dataset",
        }
    }
}

/// Why a text is no name.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{what} has 1 to {max} bytes and no control characters")]
pub struct NameError {
    what: &'static str,
    max: usize,
}

impl Classify for NameError {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Invalid
    }

    fn code(&self) -> &'static str {
        "invalid_name"
    }
}

fn legal(what: &'static str, text: &str, max: usize) -> Result<(), NameError> {
    if text.is_empty() || text.len() > max || text.chars().any(char::is_control) {
        return Err(NameError { what, max });
    }
    Ok(())
}

/// What a job or a dataset is called: a namespace, and a name in it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeName {
    namespace: String,
    name: String,
}

impl NodeName {
    /// The namespace of what doesn't say: that of Gadwall's own tables.
    pub const DEFAULT_NAMESPACE: &'static str = "ducklake";

    /// Parses a name.
    pub fn new(namespace: &str, name: &str) -> Result<Self, NameError> {
        legal("a namespace", namespace, MAX_NAMESPACE)?;
        legal("a name", name, MAX_NAME)?;
        Ok(Self { namespace: namespace.to_owned(), name: name.to_owned() })
    }

    /// The same in the namespace of what doesn't say.
    pub fn in_default(name: &str) -> Result<Self, NameError> {
        Self::new(Self::DEFAULT_NAMESPACE, name)
    }

    /// The namespace.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// The name in it.
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// A job or a dataset: a node of the graph.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId {
    /// Which of them.
    pub kind: NodeKind,
    /// Its name.
    pub name: NodeName,
}

impl NodeId {
    /// A job.
    pub fn job(name: NodeName) -> Self {
        Self { kind: NodeKind::Job, name }
    }

    /// A dataset.
    pub fn dataset(name: NodeName) -> Self {
        Self { kind: NodeKind::Dataset, name }
    }

    /// Reads `job:NAMESPACE:NAME` or `dataset:NAMESPACE:NAME`. A namespace may have colons in it (`s3://…`), a name may,
    /// too; all ways to part them are answered, the longest namespace first.
    pub fn parse(text: &str) -> Vec<Self> {
        let Some((kind, rest)) = text.split_once(':') else { return Vec::new() };
        let kind = match kind {
            "job" => NodeKind::Job,
            "dataset" => NodeKind::Dataset,
            _ => return Vec::new(),
        };
        let parts = rest.rmatch_indices(':').map(|(at, _)| (&rest[..at], &rest[at + 1..]));
        let names = parts.filter_map(|(namespace, name)| NodeName::new(namespace, name).ok());
        names.map(|name| Self { kind, name }).take(16).collect()
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.kind.as_str(), self.name.namespace, self.name.name)
    }
}

/// One execution of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RunId(Uuid);

impl RunId {
    /// Wraps a freshly minted or stored UUID.
    pub fn new(id: Uuid) -> Self {
        Self(id)
    }

    /// The id that a client sent; none if it can't be one.
    pub fn parse(text: &str) -> Option<Self> {
        Uuid::try_parse(text).ok().map(Self)
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How far a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunState {
    /// Known, not begun.
    New,
    /// It runs.
    Running,
    /// It ended well.
    Complete,
    /// It failed.
    Fail,
    /// It was stopped.
    Abort,
}

impl RunState {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::New, Self::Running, Self::Complete, Self::Fail, Self::Abort];

    /// The word used in the API and in storage: those of OpenLineage's events.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::New => "NEW",
            Self::Running => "RUNNING",
            Self::Complete => "COMPLETE",
            Self::Fail => "FAIL",
            Self::Abort => "ABORT",
        }
    }

    /// The word that Marquez's API has for it.
    pub fn in_marquez(self) -> &'static str {
        match self {
            Self::New => "NEW",
            Self::Running => "RUNNING",
            Self::Complete => "COMPLETED",
            Self::Fail => "FAILED",
            Self::Abort => "ABORTED",
        }
    }

    /// The state of that word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == word)
    }

    /// Whether nothing follows it.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Complete | Self::Fail | Self::Abort)
    }
}

/// A job.
#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    /// Its name.
    pub name: NodeName,
    /// What it is for.
    pub description: Option<String>,
    /// What its owner noted of it.
    pub metadata: Option<Value>,
    /// What events told of it: facets by name, as they came.
    pub facets: Map<String, Value>,
    /// When it was first heard of.
    pub created_at: DateTime<Utc>,
    /// When it was last heard of.
    pub updated_at: DateTime<Utc>,
    /// Its newest run.
    pub latest_run: Option<RunId>,
    /// Its runs, as they were counted when each was heard of first.
    pub total_runs: u64,
}

impl Job {
    /// A job of which nothing but its name is known.
    pub fn new(name: NodeName, now: DateTime<Utc>) -> Self {
        Self {
            name,
            description: None,
            metadata: None,
            facets: Map::new(),
            created_at: now,
            updated_at: now,
            latest_run: None,
            total_runs: 0,
        }
    }
}

/// A run.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// Its id.
    pub id: RunId,
    /// Of which job.
    pub job: NodeName,
    /// How far it is.
    pub state: RunState,
    /// When it began.
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended, if it has.
    pub ended_at: Option<DateTime<Utc>>,
    /// The run that it is a part of.
    pub parent: Option<RunId>,
    /// What its owner noted of it.
    pub metadata: Option<Value>,
    /// What events told of it.
    pub facets: Map<String, Value>,
    /// The snapshot that it made, if it is one of Gadwall's own.
    pub snapshot: Option<SnapshotId>,
    /// When it was first heard of.
    pub created_at: DateTime<Utc>,
    /// When it was last heard of.
    pub updated_at: DateTime<Utc>,
}

impl Run {
    /// A run of which nothing but its id and job is known.
    pub fn new(id: RunId, job: NodeName, now: DateTime<Utc>) -> Self {
        Self {
            id,
            job,
            state: RunState::New,
            started_at: None,
            ended_at: None,
            parent: None,
            metadata: None,
            facets: Map::new(),
            snapshot: None,
            created_at: now,
            updated_at: now,
        }
    }
}

/// A dataset.
#[derive(Debug, Clone, PartialEq)]
pub struct Dataset {
    /// Its name.
    pub name: NodeName,
    /// What events told of it.
    pub facets: Map<String, Value>,
    /// When it was first heard of.
    pub created_at: DateTime<Utc>,
    /// When it was last written, or something was told of it that wasn't known.
    pub updated_at: DateTime<Utc>,
}

impl Dataset {
    /// A dataset of which nothing but its name is known.
    pub fn new(name: NodeName, now: DateTime<Utc>) -> Self {
        Self { name, facets: Map::new(), created_at: now, updated_at: now }
    }

    /// Whether what is told of its columns is a part only.
    pub fn is_partial(&self) -> bool {
        self.facets.get(PARTIAL).is_some_and(|part| part["columnLineage"] == true)
    }
}

/// Which way rows go between a run and a dataset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// The run reads it.
    Input,
    /// The run writes it.
    Output,
}

/// That a run read or wrote a dataset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Use {
    /// The run; none where a job says so of itself.
    pub run: Option<RunId>,
    /// Its job.
    pub job: NodeName,
    /// The dataset.
    pub dataset: NodeName,
    /// Whether it reads or writes it.
    pub direction: Direction,
    /// When that was told.
    pub at: DateTime<Utc>,
}

/// Why a run can't become what a caller says it is.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RunError {
    /// It has ended.
    #[error("run {run} has ended already: {}", .state.as_str())]
    Ended {
        /// Which.
        run: RunId,
        /// How.
        state: RunState,
    },
    /// There is no such run of that job.
    #[error("Run {0} not found")]
    NotFound(String),
    /// There is no such job.
    #[error("Job {0} not found")]
    NoJob(String),
    /// There is no such node.
    #[error("nothing is known of {0}")]
    NoNode(String),
    /// No such event was set aside.
    #[error("no event {0} was set aside")]
    NoEvent(String),
    /// The id is taken by a run of another job.
    #[error("run {0} is one of another job")]
    OfAnotherJob(RunId),
}

impl Classify for RunError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Ended { .. } | Self::OfAnotherJob(_) => ErrorKind::Conflict,
            Self::NotFound(_) | Self::NoJob(_) | Self::NoNode(_) | Self::NoEvent(_) => ErrorKind::NotFound,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Ended { .. } => "run_finished",
            Self::OfAnotherJob(_) => "run_of_another_job",
            Self::NotFound(_) => "run_not_found",
            Self::NoJob(_) => "job_not_found",
            Self::NoNode(_) => "node_not_found",
            Self::NoEvent(_) => "lineage_event_not_found",
        }
    }
}
