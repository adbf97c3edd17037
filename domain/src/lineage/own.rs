//! What Gadwall itself tells: each write as a run of its own, as an event of OpenLineage 2-0-2.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};
use uuid::{Builder, Uuid};

use super::{EventKind, NodeName, Origin, Origins, RunId};
use crate::commit::{Change, WriteRecord};
use crate::ids::{LakeId, SnapshotId};
use crate::schema::Column;
use crate::table::TableRef;

/// Who tells (`producer`).
pub const PRODUCER: &str = "https://github.com/gadwall/gadwall";
/// The facet of a dataset whose facets tell a part only: a field for each, such as `columnLineage`.
pub const PARTIAL: &str = "gadwall_partial";
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
    let output = match &write.change {
        Change::TableRenamed { to, .. } => to,
        Change::ViewCreated { view, .. } | Change::ViewDropped { view } => view,
        change => change.table()?,
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
        "outputs": [output_dataset(output, snapshot, write)],
    }))
}

fn output_dataset(table: &TableRef, snapshot: SnapshotId, write: &WriteRecord) -> Value {
    let change = &write.change;
    let mut facets = origins_facets(&write.origins);
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
