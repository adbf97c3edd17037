//! What Gadwall itself tells: each write as a run of its own, as an event of OpenLineage 2-0-2.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};
use uuid::{Builder, Uuid};

use super::{EventKind, MAX_DATASETS, NodeName, Origin, Origins, RunId};
use crate::commit::{Change, WriteOrigin, WriteRecord};
use crate::ids::{LakeId, SnapshotId};
use crate::schema::Column;
use crate::table::TableRef;
use crate::transfer::ObjectPath;

/// Who tells (`producer`).
pub const PRODUCER: &str = "https://github.com/gadwall/gadwall";
/// The facet of a dataset whose facets tell a part only: a field for each, such as `columnLineage`.
pub const PARTIAL: &str = "gadwall_partial";
/// The namespace of Gadwall's own jobs.
pub const OWN_JOBS: &str = "gadwall";
/// What runs' events are of.
pub const RUN_EVENT_SCHEMA: &str = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent";

/// Longest text of a statement in an event, and in a commit, in bytes.
pub const MAX_SQL: usize = 8 << 10;
/// Longest message of a failure, in bytes.
const MAX_MESSAGE: usize = 2 << 10;

/// The name of a table of a project, as a dataset: jobs that are told of by hand call it the same.
pub fn table_dataset(table: &TableRef) -> Option<NodeName> {
    NodeName::in_default(&table.short()).ok()
}

fn facet(schema: &str, fields: Value) -> Value {
    let mut facet = Map::new();
    facet.insert("_producer".to_owned(), PRODUCER.into());
    facet.insert("_schemaURL".to_owned(), format!("https://openlineage.io/spec/facets/{schema}").into());
    if let Value::Object(fields) = fields {
        facet.extend(fields);
    }
    Value::Object(facet)
}

/// The name of a file of a project, as a dataset. Names of object stores are like that (`s3://bucket`, `key`); where the file
/// really lies is nobody's business.
pub fn file_dataset(path: &ObjectPath) -> Option<NodeName> {
    NodeName::new(&format!("dataset://{}", path.dataset), path.object.as_str()).ok()
}

fn dataset(table: &TableRef, facets: &Value) -> Value {
    json!({ "namespace": NodeName::DEFAULT_NAMESPACE, "name": table.short(), "facets": facets })
}

/// A file as a dataset; none of a name that lineage doesn't take.
fn file(path: &ObjectPath) -> Option<Value> {
    let name = file_dataset(path)?;
    let source = json!({ "name": name.namespace(), "uri": format!("{}/{}", name.namespace(), name.name()) });
    let facets = json!({
        "dataSource": facet("1-0-1/DatasourceDatasetFacet.json", source),
        "datasetType": facet("1-0-1/DatasetTypeDatasetFacet.json", json!({ "datasetType": "FILE" })),
    });
    Some(json!({ "namespace": name.namespace(), "name": name.name(), "facets": facets }))
}

/// The event of a run that a client tells of by other means than events.
pub fn event_of_run(
    kind: EventKind,
    at: DateTime<Utc>,
    run: RunId,
    job: &NodeName,
    run_facets: &Map<String, Value>,
    (inputs, outputs): (&[Value], &[Value]),
) -> Value {
    json!({
        "eventType": kind.as_str(),
        "eventTime": at,
        "producer": PRODUCER,
        "schemaURL": RUN_EVENT_SCHEMA,
        "run": { "runId": run.to_string(), "facets": run_facets },
        "job": { "namespace": job.namespace(), "name": job.name(), "facets": {} },
        "inputs": inputs,
        "outputs": outputs,
    })
}

/// The event of a write that stands in a snapshot, as its so manieth; none of what moves no data. A write is told of
/// when it is done. The same write is the same run, whoever tells of it.
pub fn event_of_write(
    lake: LakeId,
    snapshot: SnapshotId,
    number: usize,
    at: DateTime<Utc>,
    write: &WriteRecord,
) -> Option<Value> {
    let output = match &write.change {
        Change::TableRenamed { to, .. } => to,
        Change::ViewCreated { view, .. } | Change::ViewDropped { view } => view,
        change => change.table()?,
    };
    let run = run_of_write(lake, snapshot, number);
    let job_name = format!("{} {}", write.change.event_type(), output.short());
    let mut run_facets = run_facets(&write.origin, &job_name);
    let whence = json!({
        "snapshotId": snapshot, "requestId": write.origin.request_id, "traceparent": write.origin.traceparent,
        "change": write.change.event_type(), "startedAt": write.origin.began_at,
    });
    run_facets.insert("gadwall".to_owned(), facet("RunFacet.json", whence));
    let mut inputs: Vec<Value> = write.reads.iter().map(|table| dataset(table, &json!({}))).collect();
    if let Change::TableRenamed { table, .. } = &write.change {
        inputs.push(dataset(table, &json!({})));
    }
    inputs.extend(write.origin.files.iter().filter_map(file));
    let outputs = match &write.change {
        // The run is told, but nothing comes of anything: the rows are where they were.
        Change::FilesCompacted { .. } => Vec::new(),
        _ => vec![output_dataset(output, snapshot, write)],
    };
    let job = (&*job_name, write.sql.as_deref());
    Some(run_event(EventKind::Complete, at, run, job, &run_facets, (inputs, outputs)))
}

/// A write that came to nothing.
#[derive(Debug, Clone, Copy)]
pub struct FailedWrite<'a> {
    /// Where it came from.
    pub origin: &'a WriteOrigin,
    /// What it would have been: the word that events have for such a change, or `sql`.
    pub operation: &'a str,
    /// The tables that it would have changed.
    pub tables: &'a [TableRef],
    /// Its statements, if it is SQL.
    pub sql: Option<&'a str>,
    /// Why.
    pub why: Reason<'a>,
}

/// Why something came to nothing.
#[derive(Debug, Clone, Copy)]
pub struct Reason<'a> {
    /// As its author is told.
    pub error: &'a str,
    /// The stable code of that.
    pub code: &'a str,
}

/// An export that came to nothing.
#[derive(Debug, Clone, Copy)]
pub struct FailedExport<'a> {
    /// Where it came from.
    pub origin: &'a WriteOrigin,
    /// The table that it would have been made of, if it is one's.
    pub table: Option<&'a TableRef>,
    /// The statement whose result it would have been, if it is one's.
    pub sql: Option<&'a str>,
    /// The file.
    pub to: &'a ObjectPath,
    /// Why.
    pub why: Reason<'a>,
}

/// A file that was written.
#[derive(Debug, Clone, Copy)]
pub struct Export<'a> {
    /// Where it came from.
    pub origin: &'a WriteOrigin,
    /// The tables that it was made of.
    pub reads: &'a BTreeSet<TableRef>,
    /// Which columns it was made of.
    pub origins: &'a Origins,
    /// The version that they had.
    pub snapshot: SnapshotId,
    /// The statement whose result it is, if it is one's.
    pub sql: Option<&'a str>,
    /// The file.
    pub to: &'a ObjectPath,
    /// Its columns, and their types.
    pub columns: &'a [(String, String)],
    /// Its rows.
    pub rows: u64,
    /// Its size.
    pub bytes: u64,
}

/// The event of a write that failed or was refused, as a run; none if it was about no table.
pub fn event_of_failure(run: RunId, at: DateTime<Utc>, failed: &FailedWrite<'_>) -> Option<Value> {
    let job_name = format!("{} {}", failed.operation, failed.tables.first()?.short());
    let run_facets = facets_of_failure(failed.origin, &job_name, failed.operation, failed.why);
    let inputs = failed.origin.files.iter().filter_map(file).collect();
    let outputs = failed.tables.iter().take(MAX_DATASETS).map(|table| dataset(table, &json!({}))).collect();
    Some(run_event(EventKind::Fail, at, run, (&job_name, failed.sql), &run_facets, (inputs, outputs)))
}

/// The event of an export that failed.
pub fn event_of_failed_export(run: RunId, at: DateTime<Utc>, failed: &FailedExport<'_>) -> Option<Value> {
    let output = file(failed.to)?;
    let job_name = format!("export {}", failed.to);
    let run_facets = facets_of_failure(failed.origin, &job_name, "export", failed.why);
    let inputs = failed.table.iter().map(|table| dataset(table, &json!({}))).collect();
    Some(run_event(EventKind::Fail, at, run, (&job_name, failed.sql), &run_facets, (inputs, vec![output])))
}

/// The facets of a run that failed.
fn facets_of_failure(origin: &WriteOrigin, job_name: &str, change: &str, why: Reason<'_>) -> Map<String, Value> {
    let mut facets = run_facets(origin, job_name);
    let whence = json!({
        "requestId": origin.request_id, "traceparent": origin.traceparent, "change": change, "code": why.code,
        "startedAt": origin.began_at,
    });
    facets.insert("gadwall".to_owned(), facet("RunFacet.json", whence));
    let message = json!({ "message": cut(why.error, MAX_MESSAGE), "programmingLanguage": "SQL" });
    facets.insert("errorMessage".to_owned(), facet("1-0-1/ErrorMessageRunFacet.json", message));
    facets
}

/// The event of an export that was carried out.
pub fn event_of_export(run: RunId, at: DateTime<Utc>, export: &Export<'_>) -> Option<Value> {
    let mut output = file(export.to)?;
    let job_name = format!("export {}", export.to);
    let mut run_facets = run_facets(export.origin, &job_name);
    let whence = json!({
        "requestId": export.origin.request_id, "traceparent": export.origin.traceparent, "change": "export",
        "readSnapshotId": export.snapshot, "startedAt": export.origin.began_at,
    });
    run_facets.insert("gadwall".to_owned(), facet("RunFacet.json", whence));
    let fields: Vec<Value> =
        export.columns.iter().map(|(name, data_type)| json!({ "name": name, "type": data_type })).collect();
    if let Some(facets) = output["facets"].as_object_mut() {
        facets.insert("schema".to_owned(), facet("1-2-0/SchemaDatasetFacet.json", json!({ "fields": fields })));
        facets.extend(origins_facets(export.origins));
    }
    let statistics = json!({ "rowCount": export.rows, "size": export.bytes, "fileCount": 1 });
    let statistics = facet("1-0-2/OutputStatisticsOutputDatasetFacet.json", statistics);
    output["outputFacets"] = json!({ "outputStatistics": statistics });
    let inputs = export.reads.iter().take(MAX_DATASETS).map(|table| dataset(table, &json!({}))).collect();
    Some(run_event(EventKind::Complete, at, run, (&job_name, export.sql), &run_facets, (inputs, vec![output])))
}

/// The event of an own run's beginning, by that of its end: another server of lineage is told of both. What the run made is
/// known at its end alone.
pub fn start_of(ended: &Value) -> Value {
    let mut start = ended.clone();
    start["eventType"] = EventKind::Start.as_str().into();
    if let began @ Value::String(_) = &ended["run"]["facets"]["gadwall"]["startedAt"] {
        start["eventTime"] = began.clone();
    }
    if let Some(facets) = start["run"]["facets"].as_object_mut() {
        facets.remove("errorMessage");
    }
    for output in start["outputs"].as_array_mut().into_iter().flatten().filter_map(Value::as_object_mut) {
        output.insert("facets".to_owned(), json!({}));
        output.remove("outputFacets");
    }
    start
}

/// The facets that each of Gadwall's own runs has.
fn run_facets(origin: &WriteOrigin, job_name: &str) -> Map<String, Value> {
    let mut facets = Map::new();
    if let Some(parent) = origin.run_id.as_deref().and_then(RunId::parse) {
        let parent = json!({
            "run": { "runId": parent.to_string() },
            "job": { "namespace": NodeName::DEFAULT_NAMESPACE, "name": job_name },
        });
        facets.insert("parent".to_owned(), facet("1-2-0/ParentRunFacet.json", parent));
    }
    facets
}

fn run_event(
    kind: EventKind,
    at: DateTime<Utc>,
    run: RunId,
    (job_name, sql): (&str, Option<&str>),
    run_facets: &Map<String, Value>,
    (inputs, outputs): (Vec<Value>, Vec<Value>),
) -> Value {
    let job_type = json!({ "processingType": "BATCH", "integration": "GADWALL", "jobType": "COMMAND" });
    let mut job_facets = Map::new();
    job_facets.insert("jobType".to_owned(), facet("2-0-4/JobTypeJobFacet.json", job_type));
    if let Some(sql) = sql {
        let query = json!({ "query": cut(sql, MAX_SQL), "dialect": "duckdb" });
        job_facets.insert("sql".to_owned(), facet("1-1-0/SQLJobFacet.json", query));
    }
    json!({
        "eventType": kind.as_str(),
        "eventTime": at,
        "producer": PRODUCER,
        "schemaURL": RUN_EVENT_SCHEMA,
        "run": { "runId": run.to_string(), "facets": run_facets },
        "job": { "namespace": OWN_JOBS, "name": job_name, "facets": job_facets },
        "inputs": inputs,
        "outputs": outputs,
    })
}

/// The beginning of a text.
fn cut(text: &str, most: usize) -> &str {
    &text[..text.floor_char_boundary(most)]
}

fn output_dataset(table: &TableRef, snapshot: SnapshotId, write: &WriteRecord) -> Value {
    let change = &write.change;
    let mut facets = origins_facets(&write.origins);
    let source = json!({ "name": NodeName::DEFAULT_NAMESPACE, "uri": format!("ducklake://tables/{}", table.short()) });
    facets.insert("dataSource".to_owned(), facet("1-0-1/DatasourceDatasetFacet.json", source));
    let version = json!({ "datasetVersion": snapshot.get().to_string() });
    facets.insert("version".to_owned(), facet("1-0-1/DatasetVersionDatasetFacet.json", version));
    if let Some(fields) = fields_of(change) {
        facets.insert("schema".to_owned(), facet("1-2-0/SchemaDatasetFacet.json", json!({ "fields": fields })));
    }
    if let Some(state) = lifecycle(change) {
        let mut told = json!({ "lifecycleStateChange": state });
        if let Change::TableRenamed { table, .. } = change {
            let before = json!({ "namespace": NodeName::DEFAULT_NAMESPACE, "name": table.short() });
            told["previousIdentifier"] = before;
        }
        facets.insert("lifecycleStateChange".to_owned(), facet("1-0-1/LifecycleStateChangeDatasetFacet.json", told));
    }
    let mut output = dataset(table, &Value::Object(facets));
    let rows = change.counts();
    if rows.total() > 0 {
        let statistics = json!({ "rowCount": rows.inserted + rows.updated });
        let statistics = facet("1-0-2/OutputStatisticsOutputDatasetFacet.json", statistics);
        output["outputFacets"] = json!({ "outputStatistics": statistics });
    }
    output
}

fn fields_of(change: &Change) -> Option<Vec<Value>> {
    if let Change::ViewCreated { columns, .. } = change {
        return Some(columns.iter().map(|column| json!({ "name": column.name, "type": column.data_type })).collect());
    }
    let field = |column: &Column| json!({ "name": column.name, "type": column.data_type.to_string() });
    columns_of(change).map(|columns| columns.iter().map(field).collect())
}

fn columns_of(change: &Change) -> Option<&[Column]> {
    match change {
        Change::TableCreated { columns, .. }
        | Change::TableAltered { columns, .. }
        | Change::TableRestored { columns, .. }
        | Change::TableUndeleted { columns, .. } => Some(columns),
        _ => None,
    }
}

fn lifecycle(change: &Change) -> Option<&'static str> {
    Some(match change {
        Change::TableCreated { .. } | Change::TableUndeleted { .. } | Change::ViewCreated { .. } => "CREATE",
        Change::TableDropped { .. } | Change::ViewDropped { .. } => "DROP",
        Change::TableAltered { .. } => "ALTER",
        Change::TableRenamed { .. } => "RENAME",
        Change::TableTruncated { .. } => "TRUNCATE",
        Change::RowsReplaced { .. } | Change::TableRestored { .. } => "OVERWRITE",
        _ => return None,
    })
}

/// Whether a change of that word leaves nothing of a dataset's rows, so that all that was told of where they came from is
/// over. (What was undeleted or restored came from where it had come before.)
pub(super) fn starts_anew(change: &str) -> bool {
    matches!(change, "table.created" | "rows.replaced" | "table.truncated" | "view.created")
}

/// The run that a write is.
fn run_of_write(lake: LakeId, snapshot: SnapshotId, number: usize) -> RunId {
    let place = (u128::from(snapshot.get()) << 20) | (number as u128 & 0xF_FFFF);
    // Spread over all bits, so that the version's place in them costs nothing that tells writes apart.
    let spread = place.wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835);
    let bits = lake.uuid().as_u128() ^ spread;
    RunId::new(Builder::from_random_bytes(Uuid::from_u128(bits).into_bytes()).into_uuid())
}

/// The facets that tell which columns the output's come from: none of a write whose columns come from nowhere.
fn origins_facets(origins: &Origins) -> Map<String, Value> {
    let mut facets = Map::new();
    if origins.is_empty() {
        return facets;
    }
    let fields: Map<String, Value> = origins
        .columns
        .iter()
        .map(|(column, origins)| (column.clone(), json!({ "inputFields": input_fields(origins) })))
        .collect();
    let told = json!({ "fields": fields, "dataset": input_fields(&origins.rows) });
    facets.insert("columnLineage".to_owned(), facet("1-2-0/ColumnLineageDatasetFacet.json", told));
    // The next write that tells all takes it back.
    let part = if origins.partial { json!({ "columnLineage": true }) } else { json!({ "_deleted": true }) };
    facets.insert(PARTIAL.to_owned(), facet("DatasetFacet.json", part));
    facets
}

/// The columns of a facet, each with all that is done with it.
fn input_fields(origins: &BTreeSet<Origin>) -> Vec<Value> {
    let mut fields: Vec<Value> = Vec::new();
    let mut last: Option<(&TableRef, &str)> = None;
    for origin in origins {
        let step = json!({
            "type": origin.means.influence().as_str(), "subtype": origin.means.as_str(), "description": "",
            "masking": origin.masking,
        });
        let field = (&origin.table, &*origin.column);
        match fields.last_mut().and_then(|known| known["transformations"].as_array_mut()) {
            Some(steps) if last == Some(field) => steps.push(step),
            _ => fields.push(json!({
                "namespace": NodeName::DEFAULT_NAMESPACE, "name": origin.table.short(), "field": origin.column,
                "transformations": [step],
            })),
        }
        last = Some(field);
    }
    fields
}
