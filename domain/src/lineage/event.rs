//! OpenLineage events, read from JSON. What isn't needed is kept as it came.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};
use thiserror::Error;

use super::{MAX_DATASETS, NameError, NodeName, RunId};
use crate::error::{Classify, ErrorKind};

/// Why a document is not an OpenLineage event.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{path}: {problem}")]
pub struct EventError {
    /// Where, as a JSON Pointer (RFC 6901).
    pub path: String,
    /// What is wrong there.
    pub problem: String,
}

impl Classify for EventError {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Unprocessable
    }

    fn code(&self) -> &'static str {
        "invalid_lineage_event"
    }
}

/// What is told of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventKind {
    /// It begins.
    Start,
    /// It runs.
    Running,
    /// It ended well.
    Complete,
    /// It was stopped.
    Abort,
    /// It failed.
    Fail,
    /// Something else about it.
    Other,
}

impl EventKind {
    /// The word of the standard.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Start => "START",
            Self::Running => "RUNNING",
            Self::Complete => "COMPLETE",
            Self::Abort => "ABORT",
            Self::Fail => "FAIL",
            Self::Other => "OTHER",
        }
    }

    fn parse(word: &str) -> Option<Self> {
        [Self::Start, Self::Running, Self::Complete, Self::Abort, Self::Fail, Self::Other]
            .into_iter()
            .find(|kind| kind.as_str().eq_ignore_ascii_case(word))
    }
}

/// A dataset in an event.
#[derive(Debug, Clone, PartialEq)]
pub struct DatasetUse {
    /// Its name.
    pub name: NodeName,
    /// What it is like.
    pub facets: Map<String, Value>,
    /// What this run's reading or writing of it was like.
    pub use_facets: Map<String, Value>,
}

/// Something happened to a run.
#[derive(Debug, Clone, PartialEq)]
pub struct RunEvent {
    /// What.
    pub kind: EventKind,
    /// When.
    pub at: DateTime<Utc>,
    /// To which run.
    pub run: RunId,
    /// What is told of it.
    pub run_facets: Map<String, Value>,
    /// Of which job.
    pub job: NodeName,
    /// What is told of that.
    pub job_facets: Map<String, Value>,
    /// What it reads.
    pub inputs: Vec<DatasetUse>,
    /// What it writes.
    pub outputs: Vec<DatasetUse>,
}

/// Something is told of a job.
#[derive(Debug, Clone, PartialEq)]
pub struct JobEvent {
    /// When.
    pub at: DateTime<Utc>,
    /// Which job.
    pub job: NodeName,
    /// What.
    pub job_facets: Map<String, Value>,
    /// What it reads whenever it runs.
    pub inputs: Vec<DatasetUse>,
    /// What it writes.
    pub outputs: Vec<DatasetUse>,
}

/// Something is told of a dataset.
#[derive(Debug, Clone, PartialEq)]
pub struct DatasetEvent {
    /// When.
    pub at: DateTime<Utc>,
    /// Which, and what.
    pub dataset: DatasetUse,
}

/// An event of OpenLineage.
#[derive(Debug, Clone, PartialEq)]
pub enum LineageEvent {
    /// Of a run.
    Run(Box<RunEvent>),
    /// Of a job.
    Job(JobEvent),
    /// Of a dataset.
    Dataset(DatasetEvent),
}

impl LineageEvent {
    /// Reads an event, and keeps the facets of it as they are: copying them costs more than the rest. Which of the three
    /// it is shows by what it has: a run, a dataset, or a job alone.
    pub fn parse(event: Value) -> Result<Self, EventError> {
        let mut reader = Reader { value: event, path: String::new() };
        let at = reader.time("eventTime")?;
        reader.schema_url()?;
        if !reader.value["run"].is_null() {
            let mut run = reader.object("run")?;
            let mut job = reader.object("job")?;
            return Ok(Self::Run(Box::new(RunEvent {
                kind: reader.kind()?,
                at,
                run: run.run_id()?,
                run_facets: run.facets("facets")?,
                job: job.node_name()?,
                job_facets: job.facets("facets")?,
                inputs: reader.datasets("inputs", "inputFacets")?,
                outputs: reader.datasets("outputs", "outputFacets")?,
            })));
        }
        if !reader.value["dataset"].is_null() {
            let dataset = reader.object("dataset")?.dataset("none")?;
            return Ok(Self::Dataset(DatasetEvent { at, dataset }));
        }
        if !reader.value["job"].is_null() {
            let mut job = reader.object("job")?;
            return Ok(Self::Job(JobEvent {
                at,
                job: job.node_name()?,
                job_facets: job.facets("facets")?,
                inputs: reader.datasets("inputs", "inputFacets")?,
                outputs: reader.datasets("outputs", "outputFacets")?,
            }));
        }
        Err(reader.wrong("run", "an event has a run and a job, a job, or a dataset"))
    }
}

impl LineageEvent {
    /// The datasets that it names, some of them more than once.
    pub fn dataset_names(&self) -> Vec<NodeName> {
        let names = |used: &[DatasetUse]| used.iter().map(|used| used.name.clone()).collect::<Vec<_>>();
        match self {
            Self::Run(event) => [names(&event.inputs), names(&event.outputs)].concat(),
            Self::Job(event) => [names(&event.inputs), names(&event.outputs)].concat(),
            Self::Dataset(event) => vec![event.dataset.name.clone()],
        }
    }
}

/// An object of an event, and where it stands.
struct Reader {
    value: Value,
    path: String,
}

impl Reader {
    fn wrong(&self, field: &str, problem: impl Into<String>) -> EventError {
        EventError { path: format!("{}/{field}", self.path), problem: problem.into() }
    }

    /// Takes a field out.
    fn take(&mut self, field: &str) -> Value {
        self.value.get_mut(field).map(Value::take).unwrap_or_default()
    }

    fn object(&mut self, field: &str) -> Result<Reader, EventError> {
        match self.take(field) {
            value @ Value::Object(_) => Ok(Reader { value, path: format!("{}/{field}", self.path) }),
            _ => Err(self.wrong(field, "must be an object")),
        }
    }

    fn text(&self, field: &str) -> Result<&str, EventError> {
        self.value[field].as_str().ok_or_else(|| self.wrong(field, "must be a text"))
    }

    fn time(&self, field: &str) -> Result<DateTime<Utc>, EventError> {
        let time = DateTime::parse_from_rfc3339(self.text(field)?);
        let time = time.map_err(|_| self.wrong(field, "must be a time with its offset (RFC 3339)"))?;
        Ok(time.with_timezone(&Utc))
    }

    /// Events of other standards are not taken for those of this one; where the schema lies, nobody can promise.
    fn schema_url(&self) -> Result<(), EventError> {
        match &self.value["schemaURL"] {
            Value::Null => Ok(()),
            Value::String(url) if url.contains("OpenLineage") || url.contains("openlineage") => Ok(()),
            _ => Err(self.wrong("schemaURL", "must be the address of OpenLineage's schema")),
        }
    }

    fn kind(&self) -> Result<EventKind, EventError> {
        if self.value["eventType"].is_null() {
            return Ok(EventKind::Other);
        }
        let wanted = "must be START, RUNNING, COMPLETE, ABORT, FAIL or OTHER";
        EventKind::parse(self.text("eventType")?).ok_or_else(|| self.wrong("eventType", wanted))
    }

    fn run_id(&self) -> Result<RunId, EventError> {
        RunId::parse(self.text("runId")?).ok_or_else(|| self.wrong("runId", "must be a UUID"))
    }

    fn node_name(&self) -> Result<NodeName, EventError> {
        let name = NodeName::new(self.text("namespace")?, self.text("name")?);
        name.map_err(|error: NameError| self.wrong("name", error.to_string()))
    }

    fn facets(&mut self, field: &str) -> Result<Map<String, Value>, EventError> {
        match self.take(field) {
            Value::Null => Ok(Map::new()),
            Value::Object(facets) => Ok(facets),
            _ => Err(self.wrong(field, "must be an object")),
        }
    }

    fn dataset(&mut self, use_facets: &str) -> Result<DatasetUse, EventError> {
        Ok(DatasetUse { name: self.node_name()?, facets: self.facets("facets")?, use_facets: self.facets(use_facets)? })
    }

    fn datasets(&mut self, field: &str, use_facets: &str) -> Result<Vec<DatasetUse>, EventError> {
        let found = match self.take(field) {
            Value::Null => return Ok(Vec::new()),
            Value::Array(found) if found.len() <= MAX_DATASETS => found,
            Value::Array(_) => return Err(self.wrong(field, format!("more than {MAX_DATASETS} datasets"))),
            _ => return Err(self.wrong(field, "must be a list")),
        };
        let read = |(number, value): (usize, Value)| {
            if !value.is_object() {
                return Err(self.wrong(field, "must be objects"));
            }
            Reader { value, path: format!("{}/{field}/{number}", self.path) }.dataset(use_facets)
        };
        found.into_iter().enumerate().map(read).collect()
    }
}
