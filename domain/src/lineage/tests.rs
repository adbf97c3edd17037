//! What is told of jobs, runs and datasets, and what is made of it.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use uuid::Uuid;

use super::*;
use crate::commit::{Change, WriteOrigin, WriteRecord};
use crate::ids::{LakeId, RequestId};
use crate::table::TableRef;
use crate::transfer::ObjectPath;

const RUN: &str = "01926f4e-7a3c-7d5e-8f00-0123456789ab";

fn noon() -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000, 0).unwrap()
}

fn name(text: &str) -> NodeName {
    NodeName::in_default(text).unwrap()
}

fn run_event(kind: &str, seconds: i64) -> Value {
    json!({
        "eventType": kind,
        "eventTime": noon() + TimeDelta::seconds(seconds),
        "producer": "https://example.org",
        "schemaURL": "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent",
        "run": { "runId": RUN },
        "job": { "namespace": "dbt", "name": "orders" },
    })
}

fn applied(events: &[Value]) -> Merged {
    let mut merged = Merged::default();
    for event in events {
        let mut event = LineageEvent::parse(event.clone()).unwrap();
        merged.job_and_run(&event, noon());
        merged.datasets(&mut event, noon()).unwrap();
    }
    merged
}

#[test]
fn events_in_any_order_and_twice_give_the_same_run() {
    let (start, running, complete) = (run_event("START", 0), run_event("RUNNING", 5), run_event("COMPLETE", 9));
    for order in [[&start, &running, &complete, &complete], [&complete, &start, &running, &start]] {
        let merged = applied(&order.map(Clone::clone));
        let run = merged.runs.values().next().unwrap();
        assert_eq!(run.state, RunState::Complete);
        assert_eq!(run.started_at, Some(noon()));
        assert_eq!(run.ended_at, Some(noon() + TimeDelta::seconds(9)));
    }
    let merged = applied(&[run_event("FAIL", 9), run_event("COMPLETE", 3)]);
    assert_eq!(merged.runs.values().next().unwrap().state, RunState::Fail, "the later end holds");
}

/// Who reads a dataset and tells of it what is known leaves it as it is: large graphs are mostly told again.
#[test]
fn a_dataset_changes_when_it_is_written_or_something_new_is_told() {
    let event = |direction: &str, columns: &str| {
        let mut event = run_event("COMPLETE", 0);
        event[direction] = json!([{ "namespace": "ns", "name": "d", "facets": { "schema": { "fields": columns } } }]);
        event
    };
    let mut known = applied(&[event("inputs", "a")]).datasets;
    let later = noon() + TimeDelta::seconds(1);
    for (direction, columns, changes) in
        [("inputs", "a", false), ("inputs", "b", true), ("outputs", "a", true), ("inputs", "a", false)]
    {
        let mut merged = applied(&[]);
        merged.datasets.clone_from(&known);
        merged.datasets(&mut LineageEvent::parse(event(direction, columns)).unwrap(), later).unwrap();
        let changed = merged.settle_datasets(later);
        assert_eq!(changed.len(), usize::from(changes), "{direction} {columns}");
        assert!(changed.iter().all(|dataset| dataset.facets["schema"]["fields"] == columns));
        if direction == "outputs" {
            known = changed.into_iter().map(|set| (set.name.clone(), Dataset { updated_at: noon(), ..set })).collect();
        }
    }
}

#[test]
fn facets_are_kept_as_they_came_replaced_by_name_and_deleted_on_word() {
    let mut first = run_event("START", 0);
    first["run"]["facets"] = json!({ "mine": { "x": [1, { "y": null }] }, "old": { "z": 1 } });
    let mut second = run_event("COMPLETE", 1);
    second["run"]["facets"] = json!({ "old": { "_deleted": true }, "new": {} });
    let merged = applied(&[first, second]);
    let facets = &merged.runs.values().next().unwrap().facets;
    assert_eq!(Value::Object(facets.clone()), json!({ "mine": { "x": [1, { "y": null }] }, "new": {} }));
}

#[test]
fn what_is_no_event_is_refused_by_path() {
    let mut no_id = run_event("START", 0);
    no_id["run"]["runId"] = json!("x");
    let mut no_zone = run_event("START", 0);
    no_zone["eventTime"] = json!("2026-01-01T00:00:00");
    let mut other = run_event("START", 0);
    other["schemaURL"] = json!("https://example.org/Event.json");
    let mut too_many = run_event("START", 0);
    too_many["inputs"] = json!(vec![json!({ "namespace": "a", "name": "b" }); MAX_DATASETS + 1]);
    let mut nameless = run_event("START", 0);
    nameless["outputs"] = json!([{ "namespace": "a" }]);
    for (event, path) in [
        (json!(3), "/eventTime"),
        (json!({ "eventTime": "2026-01-01T00:00:00Z" }), "/run"),
        (no_id, "/run/runId"),
        (no_zone, "/eventTime"),
        (other, "/schemaURL"),
        (run_event("MAYBE", 0), "/eventType"),
        (too_many, "/inputs"),
        (nameless, "/outputs/0/name"),
    ] {
        assert_eq!(LineageEvent::parse(event.clone()).unwrap_err().path, path, "{event}");
    }
}

#[test]
fn columns_come_from_columns_directly_and_not() {
    let mut event = run_event("COMPLETE", 0);
    let from = |field: &str, kind: &str, word: &str| {
        json!({ "namespace": "db", "name": "raw", "field": field,
                "transformations": [{ "type": kind, "subtype": word }] })
    };
    event["outputs"] = json!([{ "namespace": "db", "name": "clean", "facets": { "columnLineage": {
        "fields": { "total": { "inputFields": [from("price", "DIRECT", "AGGREGATION")] } },
        "dataset": [from("day", "INDIRECT", "FILTER")],
    } } }]);
    let merged = applied(std::slice::from_ref(&event));
    let told: Vec<_> = merged
        .columns
        .iter()
        .map(|edge| {
            (edge.to_field.as_deref(), edge.from_field.as_str(), edge.influence, edge.transformation.as_deref())
        })
        .collect();
    assert_eq!(
        told,
        [
            (None, "day", Influence::Indirect, Some("FILTER")),
            (Some("total"), "price", Influence::Direct, Some("AGGREGATION")),
        ]
    );
    event["outputs"][0]["facets"]["columnLineage"]["fields"]["total"]["inputFields"] = json!("price");
    let mut parsed = LineageEvent::parse(event).unwrap();
    let error = Merged::default().datasets(&mut parsed, noon()).unwrap_err();
    assert_eq!(error.path, "/outputs/0/facets/columnLineage/fields/total/inputFields");
}

#[test]
fn ids_of_nodes_are_read_wherever_the_namespace_ends() {
    let node = NodeId::dataset(NodeName::new("s3://bucket", "a:b").unwrap());
    assert_eq!(node.to_string(), "dataset:s3://bucket:a:b");
    assert!(NodeId::parse(&node.to_string()).contains(&node));
    assert_eq!(NodeId::parse("job:ducklake:orders"), [NodeId::job(name("orders"))]);
    for no_node in ["", "job", "job:x", "run:a:b", "dataset::x"] {
        assert!(NodeId::parse(no_node).is_empty(), "{no_node}");
    }
}

fn write(change: Change) -> WriteRecord {
    let origin = WriteOrigin {
        key_id: None,
        address: None,
        request_id: RequestId::parse("r1").unwrap(),
        traceparent: None,
        run_id: Some(RUN.to_owned()),
        idempotency_key: None,
        fingerprint: None,
        began_at: None,
        files: Vec::new(),
    };
    let reads = [TableRef::parse("raw.orders").unwrap()].into();
    WriteRecord { reads, ..WriteRecord::new(origin, change) }
}

#[test]
fn a_write_is_a_run_with_its_snapshot_and_what_it_read() {
    let lake = LakeId::new(Uuid::from_u128(7));
    let snapshot = |number| SnapshotId::new(number).unwrap();
    let appended = write(Change::RowsAppended { table: TableRef::parse("main.clean").unwrap(), rows: 3 });
    let event = event_of_write(lake, snapshot(5), 0, noon(), &appended).unwrap();
    assert_eq!(event, event_of_write(lake, snapshot(5), 0, noon(), &appended).unwrap(), "always the same run");
    assert_ne!(event["run"]["runId"], event_of_write(lake, snapshot(5), 1, noon(), &appended).unwrap()["run"]["runId"]);
    let merged = applied(&[event]);
    let run = merged.runs.values().next().unwrap();
    assert_eq!((run.state, run.snapshot), (RunState::Complete, Some(snapshot(5))));
    assert_eq!(run.parent, RunId::parse(RUN));
    let uses: Vec<_> = merged.uses.iter().map(|used| (used.direction, used.dataset.name())).collect();
    assert_eq!(uses, [(Direction::Input, "raw.orders"), (Direction::Output, "clean")]);
    let dropped = write(Change::BucketDropped { bucket: TableRef::parse("a.b").unwrap().bucket });
    assert_eq!(event_of_write(lake, snapshot(5), 0, noon(), &dropped), None);
}

#[test]
fn a_write_tells_which_columns_it_was_made_of() {
    let lake = LakeId::new(Uuid::from_u128(7));
    let at = |number| SnapshotId::new(number).unwrap();
    let origin = |column: &str, means| Origin {
        table: TableRef::parse("raw.orders").unwrap(),
        column: column.to_owned(),
        means,
        masking: false,
    };
    let mut made = write(Change::RowsAppended { table: TableRef::parse("main.clean").unwrap(), rows: 3 });
    made.origins = Origins {
        columns: [(
            "sum".to_owned(),
            [origin("price", Means::Aggregation), origin("price", Means::Conditional)].into(),
        )]
        .into(),
        rows: [origin("day", Means::Filter)].into(),
        partial: true,
    };
    let event = event_of_write(lake, at(5), 0, noon(), &made).unwrap();
    let facet = &event["outputs"][0]["facets"]["columnLineage"];
    assert_eq!(facet["fields"]["sum"]["inputFields"].as_array().map(Vec::len), Some(1), "a column is told once");
    let steps = &facet["fields"]["sum"]["inputFields"][0]["transformations"];
    assert_eq!((&steps[0]["type"], &steps[0]["subtype"]), (&json!("DIRECT"), &json!("AGGREGATION")));
    assert_eq!((&steps[1]["type"], &steps[1]["subtype"]), (&json!("INDIRECT"), &json!("CONDITIONAL")));
    let merged = applied(&[event]);
    let edges: Vec<_> = merged
        .columns
        .iter()
        .map(|edge| (edge.to_field.as_deref(), edge.from_field.as_str(), edge.transformation.as_deref()))
        .collect();
    let told = [
        (None, "day", Some("FILTER")),
        (Some("sum"), "price", Some("AGGREGATION")),
        (Some("sum"), "price", Some("CONDITIONAL")),
    ];
    assert_eq!(edges, told);
    let clean = NodeName::in_default("clean").unwrap();
    assert!(merged.datasets[&clean].is_partial());

    // The next write that tells all takes that back; one that tells nothing doesn't.
    let mut all = made.clone();
    all.origins.partial = false;
    let nothing = WriteRecord { origins: Origins::default(), ..made.clone() };
    let [made, nothing, all] = [(5, made), (6, nothing), (7, all)]
        .map(|(number, write)| event_of_write(lake, at(number), 0, noon(), &write).unwrap());
    assert!(applied(&[made.clone(), nothing]).datasets[&clean].is_partial());
    assert!(!applied(&[made, all]).datasets[&clean].is_partial());
}

#[test]
fn what_is_added_to_a_table_stays_beside_what_was_there_until_its_rows_go() {
    let lake = LakeId::new(Uuid::from_u128(7));
    let t = TableRef::parse("main.clean").unwrap();
    let of = |number: i64, change: Change, from: &str| {
        let origin = Origin {
            table: TableRef::parse(from).unwrap(),
            column: "x".to_owned(),
            means: Means::Identity,
            masking: false,
        };
        let origins = Origins { columns: [("x".to_owned(), [origin].into())].into(), ..Origins::default() };
        let write = WriteRecord { origins, ..write(change) };
        let at = noon() + TimeDelta::seconds(number);
        event_of_write(lake, SnapshotId::new(number).unwrap(), 0, at, &write).unwrap()
    };
    let appended = |number, from| of(number, Change::RowsAppended { table: t.clone(), rows: 1 }, from);
    let replaced = |number, from| of(number, Change::RowsReplaced { table: t.clone(), inserted: 1, deleted: 2 }, from);
    let left = |events: &[Value]| {
        let mut merged = applied(events);
        let (mut columns, outdated) = merged.settle_columns();
        columns.sort();
        let from: Vec<String> = columns.iter().map(|edge| edge.from.name().to_owned()).collect();
        (from, outdated.len())
    };
    assert_eq!(left(&[appended(1, "main.a"), appended(2, "main.b")]), (vec!["a".to_owned(), "b".to_owned()], 0));
    let all = [appended(1, "main.a"), replaced(2, "main.b"), appended(3, "main.c")];
    assert_eq!(left(&all), (vec!["b".to_owned(), "c".to_owned()], 1));
    // Another's job tells all of an output each time, and nothing of its other outputs.
    let told = |seconds: i64, to: &str, from: &str| {
        let mut event = run_event("COMPLETE", seconds);
        let input = json!({ "namespace": "db", "name": from, "field": "x" });
        let fields = json!({ "x": { "inputFields": [input] } });
        event["outputs"] =
            json!([{ "namespace": "db", "name": to, "facets": { "columnLineage": { "fields": fields } } }]);
        event
    };
    let all = [told(1, "one", "a"), told(2, "other", "b"), told(3, "one", "c"), told(2, "one", "late")];
    assert_eq!(left(&all), (vec!["c".to_owned(), "b".to_owned()], 2));
}

#[test]
fn an_own_run_says_when_it_began_and_its_beginning_is_told_of_its_end() {
    let mut appended = write(Change::RowsAppended { table: TableRef::parse("main.clean").unwrap(), rows: 3 });
    appended.origin.began_at = Some(noon() - TimeDelta::seconds(5));
    appended.origin.files = vec![ObjectPath::parse("/raw/2026/a.csv").unwrap()];
    let lake = LakeId::new(Uuid::from_u128(7));
    let ended = event_of_write(lake, SnapshotId::new(5).unwrap(), 0, noon(), &appended).unwrap();
    let started = start_of(&ended);
    assert_eq!((&started["eventType"], &started["run"]["runId"]), (&json!("START"), &ended["run"]["runId"]));
    assert_eq!(started["outputs"][0].get("outputFacets"), None, "what it made is known at its end");
    for events in [vec![ended.clone()], vec![started, ended]] {
        let merged = applied(&events);
        let run = merged.runs.values().next().unwrap();
        assert_eq!((run.started_at, run.ended_at), (Some(noon() - TimeDelta::seconds(5)), Some(noon())));
        let read: std::collections::BTreeSet<_> =
            merged.uses.iter().filter(|used| used.direction == Direction::Input).map(|used| &used.dataset).collect();
        assert_eq!(read.first(), Some(&&NodeName::new("dataset://raw", "2026/a.csv").unwrap()));
        assert_eq!(merged.jobs.values().next().unwrap().total_runs, 1);
    }
}
