//! Jobs, datasets and runs as Marquez's API shows them, and what a batch of events comes to.

use chrono::{DateTime, Utc};
use gadwall_domain::lineage::{Dataset, Job, NodeName, Run};
use poem_openapi::Object;
use poem_openapi::types::Any;
use serde_json::{Map, Value};

use crate::api::models::JsonObject;

/// What is told of an event that was not taken.
#[derive(Debug, Object)]
#[oai(rename = "FailedLineageEvent")]
pub(super) struct FailedEvent {
    /// Its number in the request, from 0.
    index: u64,
    /// Why.
    reason: String,
    /// Whether it may be taken when it is sent again as it is.
    retriable: bool,
}

impl FailedEvent {
    pub(super) fn new(index: usize, reason: String) -> Self {
        Self { index: index as u64, reason, retriable: false }
    }
}

/// How many events were taken.
#[derive(Debug, Object)]
struct BatchSummary {
    /// Events of the request.
    received: u64,
    /// Those that were taken.
    successful: u64,
    /// Those that were not.
    failed: u64,
    /// Those of them that may be taken when sent again.
    retriable: u64,
    /// Those that will not.
    non_retriable: u64,
}

/// What came of a batch.
#[derive(Debug, Object)]
#[oai(rename = "LineageBatch")]
pub(super) struct BatchBody {
    /// `success`, or `partial_success` where some were not taken.
    status: String,
    /// In numbers.
    summary: BatchSummary,
    /// What was not taken.
    failed_events: Vec<FailedEvent>,
}

impl BatchBody {
    pub(super) fn new(taken: usize, failed_events: Vec<FailedEvent>) -> Self {
        let (successful, failed) = (taken as u64, failed_events.len() as u64);
        let status = if failed == 0 { "success" } else { "partial_success" };
        let received = successful + failed;
        let summary = BatchSummary { received, successful, failed, retriable: 0, non_retriable: failed };
        Self { status: status.to_owned(), summary, failed_events }
    }
}

/// What a node is called.
#[derive(Debug, Object)]
#[oai(rename = "LineageNodeName")]
pub(super) struct NameBody {
    /// Its namespace.
    namespace: String,
    /// Its name.
    name: String,
}

impl From<&NodeName> for NameBody {
    fn from(name: &NodeName) -> Self {
        Self { namespace: name.namespace().to_owned(), name: name.name().to_owned() }
    }
}

/// A run, in the shape of Marquez.
#[derive(Debug, Object)]
#[oai(rename = "MarquezRun", rename_all = "camelCase")]
pub(super) struct MarquezRun {
    /// Its id.
    id: String,
    /// When it was first heard of.
    created_at: DateTime<Utc>,
    /// When it was last heard of.
    updated_at: DateTime<Utc>,
    /// From when on its data is, if that was told.
    nominal_start_time: Option<String>,
    /// Until when.
    nominal_end_time: Option<String>,
    /// `NEW`, `RUNNING`, `COMPLETED`, `FAILED` or `ABORTED`.
    state: String,
    /// When it began.
    started_at: Option<DateTime<Utc>>,
    /// When it ended.
    ended_at: Option<DateTime<Utc>>,
    /// How long it took.
    duration_ms: Option<i64>,
    /// Its arguments: what is kept beside it, as texts.
    args: JsonObject,
    /// Its job.
    job: NameBody,
    /// The snapshot that it made, if it is a write of Gadwall's own.
    snapshot_id: Option<u64>,
    /// What events told of it.
    facets: Value,
}

impl From<Run> for MarquezRun {
    fn from(run: Run) -> Self {
        let nominal = |field: &str| {
            let facet = run.facets.get("nominalTime")?;
            facet[field].as_str().map(str::to_owned)
        };
        let args = run.metadata.as_ref().and_then(Value::as_object).into_iter().flatten();
        let args = args.map(|(name, value)| {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            (name.clone(), Value::String(text))
        });
        let took = run.started_at.zip(run.ended_at).map(|(started, ended)| (ended - started).num_milliseconds());
        Self {
            id: run.id.to_string(),
            created_at: run.created_at,
            updated_at: run.updated_at,
            nominal_start_time: nominal("nominalStartTime"),
            nominal_end_time: nominal("nominalEndTime"),
            state: run.state.in_marquez().to_owned(),
            started_at: run.started_at,
            ended_at: run.ended_at,
            duration_ms: took,
            args: Any(args.collect()),
            job: (&run.job).into(),
            snapshot_id: run.snapshot.map(gadwall_domain::ids::SnapshotId::get),
            facets: Value::Object(run.facets),
        }
    }
}

/// A job, in the shape of Marquez.
#[derive(Debug, Object)]
#[oai(rename = "MarquezJob", rename_all = "camelCase")]
pub(super) struct MarquezJob {
    /// What it is called.
    id: NameBody,
    /// `BATCH`, `STREAM` or `SERVICE`.
    #[oai(rename = "type")]
    kind: String,
    /// Its name.
    name: String,
    /// Its name without that of what it is a part of.
    simple_name: String,
    /// When it was first heard of.
    created_at: DateTime<Utc>,
    /// When it was last heard of.
    updated_at: DateTime<Utc>,
    /// Its namespace.
    namespace: String,
    /// What it reads.
    inputs: Vec<NameBody>,
    /// What it writes.
    outputs: Vec<NameBody>,
    /// Labels.
    tags: Vec<String>,
    /// Where its code is.
    location: Option<String>,
    /// What it is for.
    description: Option<String>,
    /// Its newest run.
    latest_run: Option<MarquezRun>,
    /// How often it ran.
    total_runs: u64,
    /// What events told of it.
    facets: Value,
}

fn text_of(facets: &Map<String, Value>, facet: &str, field: &str) -> Option<String> {
    facets.get(facet).and_then(|facet| facet[field].as_str()).map(str::to_owned)
}

/// The labels of the facet `tags`.
fn tags(facets: &Map<String, Value>) -> Vec<String> {
    let tags = facets.get("tags").and_then(|facet| facet["tags"].as_array()).into_iter().flatten();
    tags.filter_map(|tag| tag["key"].as_str()).map(str::to_owned).collect()
}

impl MarquezJob {
    pub(super) fn new(job: Job, inputs: &[NodeName], outputs: &[NodeName], latest_run: Option<Run>) -> Self {
        let kind = text_of(&job.facets, "jobType", "processingType").unwrap_or_else(|| "BATCH".to_owned());
        let name = job.name.name().to_owned();
        Self {
            id: (&job.name).into(),
            kind: if kind == "STREAMING" { "STREAM".to_owned() } else { kind },
            simple_name: name.rsplit('.').next().unwrap_or(&name).to_owned(),
            name,
            created_at: job.created_at,
            updated_at: job.updated_at,
            namespace: job.name.namespace().to_owned(),
            inputs: inputs.iter().map(Into::into).collect(),
            outputs: outputs.iter().map(Into::into).collect(),
            tags: tags(&job.facets),
            location: text_of(&job.facets, "sourceCodeLocation", "url"),
            description: job.description.or_else(|| text_of(&job.facets, "documentation", "description")),
            latest_run: latest_run.map(Into::into),
            total_runs: job.total_runs,
            facets: Value::Object(job.facets),
        }
    }
}

/// A column of a dataset.
#[derive(Debug, Object)]
#[oai(rename = "MarquezField", rename_all = "camelCase")]
struct MarquezField {
    /// Its name.
    name: String,
    /// Its type, as it was told.
    #[oai(rename = "type")]
    kind: Option<String>,
    /// Labels.
    tags: Vec<String>,
    /// What it is.
    description: Option<String>,
}

/// A dataset, in the shape of Marquez.
#[derive(Debug, Object)]
#[oai(rename = "MarquezDataset", rename_all = "camelCase")]
pub(super) struct MarquezDataset {
    /// What it is called.
    id: NameBody,
    /// `DB_TABLE`
    #[oai(rename = "type")]
    kind: String,
    /// Its name.
    name: String,
    /// Its name where it is kept.
    physical_name: String,
    /// When it was first heard of.
    created_at: DateTime<Utc>,
    /// When it was last written, or something was told of it that wasn't known.
    updated_at: DateTime<Utc>,
    /// Its namespace.
    namespace: String,
    /// What it is kept in.
    source_name: String,
    /// Its columns.
    fields: Vec<MarquezField>,
    /// Labels.
    tags: Vec<String>,
    /// When its rows last changed, as far as was told.
    last_modified_at: Option<DateTime<Utc>>,
    /// What last happened to it: `CREATE`, `DROP`, …
    last_lifecycle_state: Option<String>,
    /// What it is.
    description: Option<String>,
    /// What events told of it.
    facets: Value,
    /// Whether it is gone.
    deleted: bool,
}

impl From<Dataset> for MarquezDataset {
    fn from(dataset: Dataset) -> Self {
        let facets = dataset.facets;
        let fields = facets.get("schema").and_then(|facet| facet["fields"].as_array()).into_iter().flatten();
        let field = |field: &Value| {
            Some(MarquezField {
                name: field["name"].as_str()?.to_owned(),
                kind: field["type"].as_str().map(str::to_owned),
                tags: Vec::new(),
                description: field["description"].as_str().map(str::to_owned),
            })
        };
        let state = text_of(&facets, "lifecycleStateChange", "lifecycleStateChange");
        Self {
            id: (&dataset.name).into(),
            kind: "DB_TABLE".to_owned(),
            name: dataset.name.name().to_owned(),
            physical_name: dataset.name.name().to_owned(),
            created_at: dataset.created_at,
            updated_at: dataset.updated_at,
            namespace: dataset.name.namespace().to_owned(),
            source_name: text_of(&facets, "dataSource", "name").unwrap_or_else(|| dataset.name.namespace().to_owned()),
            fields: fields.filter_map(field).collect(),
            tags: tags(&facets),
            last_modified_at: Some(dataset.updated_at),
            deleted: state.as_deref() == Some("DROP"),
            last_lifecycle_state: state,
            description: text_of(&facets, "documentation", "description"),
            facets: Value::Object(facets),
        }
    }
}
