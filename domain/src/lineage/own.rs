//! What Gadwall itself tells: each write as a run of its own, as an event of OpenLineage 2-0-2.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};
use uuid::{Builder, Uuid};

use super::{EventKind, NodeName, RunId};
use crate::commit::{Change, WriteRecord};
use crate::ids::{LakeId, SnapshotId};
use crate::schema::Column;
use crate::table::TableRef;

/// Who tells (`producer`).
pub const PRODUCER: &str = "https://github.com/gadwall/gadwall";
/// The namespace of Gadwall's own jobs.
pub const OWN_JOBS: &str = "gadwall";
/// What runs' events are of.
pub const RUN_EVENT_SCHEMA: &str = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent";

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

fn dataset(table: &TableRef, facets: &Value) -> Value {
    json!({ "namespace": NodeName::DEFAULT_NAMESPACE, "name": table.short(), "facets": facets })
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
    let output = write.change.table()?;
    let output = match &write.change {
        Change::TableRenamed { to, .. } => to,
        // Nothing comes of anything: the rows are where they were.
        Change::FilesCompacted { .. } => return None,
        _ => output,
    };
    let run = run_of_write(lake, snapshot, number);
    let mut run_facets = Map::new();
    let whence = json!({
        "snapshotId": snapshot, "requestId": write.origin.request_id, "traceparent": write.origin.traceparent,
        "change": write.change.event_type(),
    });
    run_facets.insert("gadwall".to_owned(), facet("RunFacet.json", whence));
    let job_name = format!("{} {}", write.change.event_type(), output.short());
    if let Some(parent) = write.origin.run_id.as_deref().and_then(RunId::parse) {
        let parent = json!({
            "run": { "runId": parent.to_string() },
            "job": { "namespace": NodeName::DEFAULT_NAMESPACE, "name": job_name },
        });
        run_facets.insert("parent".to_owned(), facet("1-2-0/ParentRunFacet.json", parent));
    }
    let mut inputs: Vec<Value> = write.reads.iter().map(|table| dataset(table, &json!({}))).collect();
    if let Change::TableRenamed { table, .. } = &write.change {
        inputs.push(dataset(table, &json!({})));
    }
    let job_type = json!({ "processingType": "BATCH", "integration": "GADWALL", "jobType": "COMMAND" });
    Some(json!({
        "eventType": EventKind::Complete.as_str(),
        "eventTime": at,
        "producer": PRODUCER,
        "schemaURL": RUN_EVENT_SCHEMA,
        "run": { "runId": run.to_string(), "facets": run_facets },
        "job": {
            "namespace": OWN_JOBS,
            "name": job_name,
            "facets": { "jobType": facet("2-0-4/JobTypeJobFacet.json", job_type) },
        },
        "inputs": inputs,
        "outputs": [output_dataset(output, snapshot, &write.change)],
    }))
}

fn output_dataset(table: &TableRef, snapshot: SnapshotId, change: &Change) -> Value {
    let mut facets = Map::new();
    let version = json!({ "datasetVersion": snapshot.get().to_string() });
    facets.insert("version".to_owned(), facet("1-0-1/DatasetVersionDatasetFacet.json", version));
    if let Some(columns) = columns_of(change) {
        let fields: Vec<Value> =
            columns.iter().map(|column| json!({ "name": column.name, "type": column.data_type.to_string() })).collect();
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
        Change::TableCreated { .. } | Change::TableUndeleted { .. } => "CREATE",
        Change::TableDropped { .. } => "DROP",
        Change::TableAltered { .. } => "ALTER",
        Change::TableRenamed { .. } => "RENAME",
        Change::TableTruncated { .. } => "TRUNCATE",
        Change::RowsReplaced { .. } | Change::TableRestored { .. } => "OVERWRITE",
        _ => return None,
    })
}

/// The run that a write is.
fn run_of_write(lake: LakeId, snapshot: SnapshotId, number: usize) -> RunId {
    let place = (u128::from(snapshot.get()) << 20) | (number as u128 & 0xF_FFFF);
    // Spread over all bits, so that the version's place in them costs nothing that tells writes apart.
    let spread = place.wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835);
    let bits = lake.uuid().as_u128() ^ spread;
    RunId::new(Builder::from_random_bytes(Uuid::from_u128(bits).into_bytes()).into_uuid())
}
