//! What is told of jobs, runs and datasets, and what is made of it.

mod failures;
mod forward;

use gadwall_domain::error::Classify as _;
use gadwall_domain::lineage::{NodeId, RunState};
use gadwall_domain::names::ProjectId;
use gadwall_domain::ports::lake::LakeWrite;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::*;
use crate::testing::SeqIds;
use crate::testing::builders::{column, origin, project_id, schema, table};
use crate::world::World;

fn lineage(world: &World) -> Lineage {
    let (store, clock) = (Arc::clone(&world.store) as _, Arc::clone(&world.clock) as _);
    Lineage::new(store, Arc::clone(&world.access), clock, Arc::new(SeqIds::default()))
}

fn name(text: &str) -> NodeName {
    NodeName::in_default(text).unwrap()
}

fn told(text: &str) -> ToldDataset {
    ToldDataset { name: name(text), description: None, uri: None, more: Map::new() }
}

/// An event of a run that reads and writes.
fn event(kind: &str, run: u128, job: &str, reads: &[&str], writes: &[&str]) -> Value {
    let sets = |names: &[&str]| -> Vec<Value> {
        names.iter().map(|name| json!({ "namespace": "ducklake", "name": name })).collect()
    };
    json!({
        "eventType": kind, "eventTime": "2026-01-01T00:00:00Z",
        "run": { "runId": Uuid::from_u128(run) }, "job": { "namespace": "ducklake", "name": job },
        "inputs": sets(reads), "outputs": sets(writes),
    })
}

async fn all_worked_off(lineage: &Lineage) {
    while lineage.work_off().await.unwrap() > 0 {}
}

fn shown(graph: &Graph) -> Vec<String> {
    graph.edges.iter().map(|(from, to)| format!("{} > {}", from.name.name(), to.name.name())).collect()
}

async fn graph(lineage: &Lineage, caller: &Caller, node: &str, depth: u32, way: Way) -> Result<Graph, UseCaseError> {
    lineage.graph(caller, &project_id("p"), node, depth, way).await
}

#[tokio::test]
async fn a_run_begins_ends_once_and_says_what_it_read() {
    let world = World::new();
    let (_, caller) = world.project("p").await;
    let (lineage, p, job) = (lineage(&world), project_id("p"), name("nightly"));
    let run = lineage.start_run(&caller, &p, &job, None, Some(json!({ "src": "s3" }))).await.unwrap();
    let found = lineage.run_of(&caller, &p, &job, run).await.unwrap();
    assert_eq!((found.run.state, found.run.ended_at), (RunState::Running, None));
    assert_eq!(found.run.metadata, Some(json!({ "src": "s3" })));

    let ended = Ended { metadata: None, inputs: vec![told("raw")], outputs: vec![told("clean")] };
    let other = lineage.end_run(&caller, &p, &name("other"), run, Ending::Complete, ended.clone()).await;
    assert_eq!(other.unwrap_err().code(), "run_not_found");
    lineage.end_run(&caller, &p, &job, run, Ending::Complete, ended.clone()).await.unwrap();
    let found = lineage.run_of(&caller, &p, &job, run).await.unwrap();
    assert_eq!(found.run.state, RunState::Complete);
    assert_eq!((found.inputs, found.outputs), (vec![name("raw")], vec![name("clean")]), "readable at once");
    assert_eq!(found.run.metadata, Some(json!({ "src": "s3" })), "what was noted stays");
    for ending in [Ending::Complete, Ending::Fail, Ending::Abort] {
        let again = lineage.end_run(&caller, &p, &job, run, ending, Ended::default()).await;
        assert_eq!(again.unwrap_err().code(), "run_finished");
    }
    let again = lineage.start_run(&caller, &p, &job, Some(run), None).await;
    assert_eq!(again.unwrap_err().code(), "run_finished");
    let stolen = lineage.start_run(&caller, &p, &name("other"), Some(run), None).await;
    assert_eq!(stolen.unwrap_err().code(), "run_of_another_job");
    let known = lineage.job(&caller, &p, &job).await.unwrap();
    assert_eq!((known.total_runs, known.latest_run), (1, Some(run)));
    let events = world.events("p").await;
    let of_a_run = ["job_status", "lineage_event", "lineage_event", "job_status"];
    assert_eq!(events[events.len() - 8..], [of_a_run, of_a_run].concat());
}

#[tokio::test]
async fn a_job_keeps_what_is_not_told_again() {
    let world = World::new();
    let (_, caller) = world.project("p").await;
    let (lineage, p) = (lineage(&world), project_id("p"));
    let new = |description: Option<&str>, metadata| NewJob {
        name: name("j"),
        description: description.map(str::to_owned),
        metadata,
    };
    assert!(lineage.put_job(&caller, &p, new(Some("d"), None)).await.unwrap().1);
    let (job, is_new) = lineage.put_job(&caller, &p, new(None, Some(json!({ "a": 1 })))).await.unwrap();
    assert!(!is_new);
    assert_eq!((job.description.as_deref(), job.metadata), (Some("d"), Some(json!({ "a": 1 }))));
    assert_eq!(lineage.job(&caller, &p, &name("k")).await.unwrap_err().code(), "job_not_found");
}

#[tokio::test]
async fn the_graph_is_followed_both_ways_and_so_far() {
    let world = World::new();
    let (_, caller) = world.project("p").await;
    let lineage = lineage(&world);
    let events = [
        event("COMPLETE", 1, "load", &["src"], &["raw"]),
        event("COMPLETE", 2, "clean", &["raw"], &["clean"]),
        event("COMPLETE", 3, "report", &["clean", "other"], &["report"]),
        event("COMPLETE", 4, "audit", &["raw"], &["audited"]),
    ];
    let done = lineage.ingest(&caller, &project_id("p"), events.to_vec()).await.unwrap();
    assert_eq!((done.taken, done.refused.len()), (4, 0));
    assert_eq!(lineage.backlog(&caller, &project_id("p")).await.unwrap().waiting, 4);
    let before = lineage.run(&caller, &project_id("p"), RunId::new(Uuid::from_u128(1))).await.unwrap().unwrap();
    assert_eq!(before.run.state, RunState::Complete, "the run is known before the graph");
    all_worked_off(&lineage).await;
    assert_eq!(lineage.backlog(&caller, &project_id("p")).await.unwrap().waiting, 0);

    let at = |node: &'static str, depth, way| graph(&lineage, &caller, node, depth, way);
    let clean = "dataset:ducklake:clean";
    let up = at(clean, 10, Way::Upstream).await.unwrap();
    assert_eq!(shown(&up), ["clean > clean", "load > raw", "raw > clean", "src > load"]);
    let down = at(clean, 10, Way::Downstream).await.unwrap();
    assert_eq!(shown(&down), ["report > report", "clean > report"]);
    let near = at(clean, 1, Way::Both).await.unwrap();
    assert_eq!(shown(&near), ["clean > clean", "clean > report"]);
    assert_eq!(at("job:ducklake:load", 10, Way::Downstream).await.unwrap().nodes.len(), 8);
    assert!(matches!(near.nodes[&NodeId::dataset(name("clean"))], GraphNode::Dataset(_)));
    assert_eq!(at("dataset:ducklake:nothing", 1, Way::Both).await.unwrap_err().code(), "node_not_found");
}

#[tokio::test]
async fn a_cycle_ends() {
    let world = World::new();
    let (_, caller) = world.project("p").await;
    let lineage = lineage(&world);
    let events = [event("COMPLETE", 1, "j", &["a"], &["b"]), event("COMPLETE", 2, "k", &["b"], &["a"])];
    lineage.ingest(&caller, &project_id("p"), events.to_vec()).await.unwrap();
    all_worked_off(&lineage).await;
    let whole = graph(&lineage, &caller, "dataset:ducklake:a", 100, Way::Both).await.unwrap();
    assert_eq!((whole.nodes.len(), whole.edges.len(), whole.truncated), (4, 4, false));
}

#[tokio::test]
async fn what_can_not_be_worked_off_is_set_aside_and_tried_again_on_word() {
    let world = World::new();
    let (_, caller) = world.project("p").await;
    let (lineage, p) = (lineage(&world), project_id("p"));
    let mut broken = event("COMPLETE", 1, "j", &["a"], &["b"]);
    broken["outputs"][0]["facets"] = json!({ "columnLineage": { "fields": 7 } });
    let good = event("COMPLETE", 2, "k", &["a"], &["b"]);
    lineage.ingest(&caller, &p, vec![broken, good]).await.unwrap();
    all_worked_off(&lineage).await;
    let dead = lineage.dead(&caller, &p, 0, 10).await.unwrap();
    assert_eq!(dead.len(), 1);
    assert_eq!(dead[0].reason.as_deref(), Some("/outputs/0/facets/columnLineage/fields: must be an object"));
    assert_eq!(graph(&lineage, &caller, "job:ducklake:k", 1, Way::Both).await.unwrap().edges.len(), 2);
    assert!(lineage.retry(&caller, &p, dead[0].position).await.unwrap());
    all_worked_off(&lineage).await;
    let again = lineage.dead(&caller, &p, 0, 10).await.unwrap();
    assert_eq!(again[0].attempts, 2);
    assert!(lineage.discard(&caller, &p, again[0].position).await.unwrap());
    assert!(!lineage.discard(&caller, &p, again[0].position).await.unwrap());
}

#[tokio::test]
async fn events_that_are_none_are_told_and_the_others_taken() {
    let world = World::new();
    let (_, caller) = world.project("p").await;
    let lineage = lineage(&world);
    let events = [json!({}), event("START", 1, "j", &[], &[]), json!("x")];
    let done = lineage.ingest(&caller, &project_id("p"), events.to_vec()).await.unwrap();
    assert_eq!(done.taken, 1);
    assert_eq!(done.refused.iter().map(|(number, _)| *number).collect::<Vec<_>>(), [0, 2]);
}

#[tokio::test]
async fn columns_are_followed_through_datasets() {
    let world = World::new();
    let (_, caller) = world.project("p").await;
    let (lineage, p) = (lineage(&world), project_id("p"));
    let with = |mut event: Value, to: &str, from_set: &str, from: &str| {
        event["outputs"][0]["facets"] = json!({ "columnLineage": { "fields": { to: { "inputFields": [
            { "namespace": "ducklake", "name": from_set, "field": from,
              "transformations": [{ "type": "DIRECT", "subtype": "IDENTITY" }] },
        ] } }, "dataset": [{ "namespace": "ducklake", "name": from_set, "field": "day" }] } });
        event
    };
    let events = [
        with(event("COMPLETE", 1, "j", &["raw"], &["clean"]), "price", "raw", "p"),
        with(event("COMPLETE", 2, "k", &["clean"], &["report"]), "total", "clean", "price"),
    ];
    lineage.ingest(&caller, &p, events.to_vec()).await.unwrap();
    all_worked_off(&lineage).await;
    let told = |graph: ColumnGraph| -> Vec<String> {
        let mut told: Vec<String> = graph
            .edges
            .iter()
            .map(|edge| format!("{}.{} > {:?}", edge.from.name(), edge.from_field, edge.to_field.as_deref()))
            .collect();
        told.sort();
        told
    };
    let columns = |set: &'static str, field: Option<&'static str>, depth, way| {
        let (lineage, caller, p) = (&lineage, &caller, &p);
        async move { lineage.columns(caller, p, &name(set), field, depth, way).await }
    };
    let up = columns("report", Some("total"), 10, Way::Upstream).await.unwrap();
    assert_eq!(
        told(up),
        ["clean.day > None", "clean.price > Some(\"total\")", "raw.day > None", "raw.p > Some(\"price\")",]
    );
    assert_eq!(told(columns("report", None, 1, Way::Upstream).await.unwrap()).len(), 2);
    let impact = columns("raw", Some("p"), 10, Way::Downstream).await.unwrap();
    assert_eq!(told(impact), ["clean.price > Some(\"total\")", "raw.p > Some(\"price\")"]);
    assert!(columns("nothing", None, 1, Way::Both).await.is_err());
}

#[tokio::test]
async fn writes_are_runs_of_their_own() {
    let world = World::new();
    let (_, caller) = world.project("p").await;
    let (lineage, p) = (lineage(&world), project_id("p"));
    let project = world.projects.get(&world.admin(), &p).await.unwrap();
    let create = LakeWrite::create_table(table("main.t"), schema(vec![column("id", "BIGINT")], &[]));
    let made = world.lakes.write(project.lake, create, origin("r9")).await.unwrap();
    world.projection.catch_up(&project, None).await.unwrap();
    all_worked_off(&lineage).await;
    let filter = RunFilter { snapshot: Some(made.snapshot), limit: 10, ..RunFilter::default() };
    let runs = lineage.runs(&caller, &p, &filter).await.unwrap();
    assert_eq!(runs.len(), 1);
    assert_eq!((runs[0].job.name(), runs[0].state), ("table.created t", RunState::Complete));
    let known = lineage.dataset(&caller, &p, &name("t")).await.unwrap().unwrap();
    assert_eq!(known.facets["schema"]["fields"], json!([{ "name": "id", "type": "BIGINT" }]));
}

#[tokio::test]
async fn lineage_is_for_its_project_alone() {
    let world = World::new();
    let (_, owner) = world.project("p").await;
    let (_, stranger) = world.project("q").await;
    let (lineage, p) = (lineage(&world), project_id("p"));
    lineage.ingest(&owner, &p, vec![event("COMPLETE", 1, "j", &["a"], &["b"])]).await.unwrap();
    all_worked_off(&lineage).await;
    let refused = |error: UseCaseError| assert_eq!(error.code(), "forbidden");
    refused(lineage.ingest(&stranger, &p, vec![]).await.unwrap_err());
    refused(lineage.graph(&stranger, &p, "job:ducklake:j", 1, Way::Both).await.unwrap_err());
    refused(lineage.job(&stranger, &p, &name("j")).await.unwrap_err());
    refused(lineage.dead(&stranger, &p, 0, 1).await.unwrap_err());
    let own: ProjectId = project_id("q");
    assert!(lineage.namespaces(&stranger, &own).await.unwrap().is_empty());
    let elsewhere = lineage.run(&stranger, &own, RunId::new(Uuid::from_u128(1))).await.unwrap();
    assert!(elsewhere.is_none(), "ids of others' runs lead nowhere");
}
