//! Jobs, runs, datasets, and what lies between them.

use std::sync::Arc;

use chrono::TimeDelta;
use gadwall_domain::ids::SnapshotId;
use gadwall_domain::lineage::{
    ColumnEdge, Dataset, Direction, Influence, Job, MAX_NAME, MAX_NAMESPACE, NodeKind, NodeName, Outdated, Run, RunId,
    RunState, ToldBy, Use,
};
use gadwall_domain::ports::lineage::{NodeFilter, RunFilter};
use gadwall_domain::ports::metadata::{MetadataStore, MetadataTx};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::testing::builders::{noon, project, project_id};

pub(super) async fn two_projects(store: &Arc<dyn MetadataStore>) -> Box<dyn MetadataTx> {
    let mut tx = store.write().await.unwrap();
    tx.projects().insert(&project("p1")).await.unwrap();
    tx.projects().insert(&project("p2")).await.unwrap();
    tx
}

fn name(text: &str) -> NodeName {
    NodeName::in_default(text).unwrap()
}

fn job(text: &str) -> Job {
    Job {
        name: name(text),
        description: None,
        metadata: None,
        facets: Map::new(),
        created_at: noon(),
        updated_at: noon(),
        latest_run: None,
        total_runs: 0,
    }
}

fn id(number: u128) -> RunId {
    RunId::new(Uuid::from_u128(number))
}

fn run(number: u128, of: &str, seconds: i64) -> Run {
    let at = noon() + TimeDelta::seconds(seconds);
    Run { state: RunState::Running, ..Run::new(id(number), name(of), at) }
}

fn dataset(name: NodeName) -> Dataset {
    Dataset { name, facets: Map::new(), created_at: noon(), updated_at: noon() }
}

fn page(limit: u32) -> NodeFilter {
    NodeFilter { limit, ..NodeFilter::default() }
}

/// Jobs, runs and datasets read back as they were put, in their project and no other, however long their names are.
pub async fn lineage_reads_back_as_put(store: Arc<dyn MetadataStore>) {
    let mut tx = two_projects(&store).await;
    let (p1, p2) = (project_id("P1"), project_id("p2"));
    let long = NodeName::new(&"n".repeat(MAX_NAMESPACE), &"é".repeat(MAX_NAME / 2)).unwrap();
    let told = json!({ "x": { "deep": [1, null, "🦆"] } }).as_object().unwrap().clone();
    let full = Job {
        name: long.clone(),
        description: Some("d".to_owned()),
        metadata: Some(json!({ "a": 1 })),
        facets: told.clone(),
        latest_run: Some(id(1)),
        total_runs: 1,
        ..job("x")
    };
    let lineage = tx.lineage();
    lineage.put_jobs(&p1, &[full.clone(), job("j")]).await.unwrap();
    let whole = Run {
        job: long.clone(),
        state: RunState::Fail,
        started_at: Some(noon()),
        ended_at: Some(noon() + TimeDelta::seconds(3)),
        parent: Some(id(9)),
        metadata: Some(json!([1])),
        facets: told.clone(),
        snapshot: Some(SnapshotId::new(7).unwrap()),
        ..run(1, "x", 0)
    };
    lineage.put_runs(&p1, &[whole.clone(), run(2, "j", 0)]).await.unwrap();
    let set = Dataset { facets: told, ..dataset(long.clone()) };
    lineage.put_datasets(&p1, std::slice::from_ref(&set)).await.unwrap();

    let names = [long, name("j"), name("nobody")];
    let jobs = lineage.jobs(&p1, &names).await.unwrap();
    assert_eq!(jobs.len(), 2);
    assert!(jobs.contains(&full));
    let mut runs = lineage.runs(&p1, &[id(2), id(1), id(3)]).await.unwrap();
    runs.sort_by_key(|run| run.id);
    assert_eq!(runs, [whole, run(2, "j", 0)]);
    assert_eq!(lineage.datasets(&p1, &names).await.unwrap(), [set]);
    assert!(lineage.jobs(&p2, &names).await.unwrap().is_empty());
    assert!(lineage.runs(&p2, &[id(1)]).await.unwrap().is_empty());
    assert!(lineage.datasets(&p2, &names).await.unwrap().is_empty());
    assert_eq!(lineage.namespaces(&p1).await.unwrap(), ["ducklake".to_owned(), "n".repeat(MAX_NAMESPACE)]);
}

/// What is put again takes the place of what was there, but for when it was first heard of, and a run's job.
pub async fn lineage_put_again_replaces(store: Arc<dyn MetadataStore>) {
    let mut tx = two_projects(&store).await;
    let p1 = project_id("p1");
    let lineage = tx.lineage();
    lineage.put_jobs(&p1, &[job("j"), job("k")]).await.unwrap();
    lineage.put_runs(&p1, &[run(1, "j", 0)]).await.unwrap();
    let later = noon() + TimeDelta::hours(1);
    let again =
        Job { created_at: later, updated_at: later, description: Some("new".to_owned()), total_runs: 2, ..job("j") };
    lineage.put_jobs(&p1, std::slice::from_ref(&again)).await.unwrap();
    let ended = Run { state: RunState::Complete, ended_at: Some(later), job: name("k"), ..run(1, "k", 3_600) };
    lineage.put_runs(&p1, std::slice::from_ref(&ended)).await.unwrap();
    let found = lineage.jobs(&p1, &[name("j")]).await.unwrap();
    assert_eq!(found, [Job { created_at: noon(), ..again }]);
    let found = lineage.runs(&p1, &[id(1)]).await.unwrap();
    assert_eq!(found, [Run { created_at: noon(), job: name("j"), ..ended }]);
}

/// Jobs and datasets come by namespace and name, in pages.
pub async fn nodes_come_by_name_in_pages(store: Arc<dyn MetadataStore>) {
    let mut tx = two_projects(&store).await;
    let p1 = project_id("p1");
    let lineage = tx.lineage();
    let other = Job { name: NodeName::new("a", "Orders_2").unwrap(), ..job("x") };
    let many: Vec<Job> = (0..1_203).map(|number| job(&format!("j{number:04}"))).collect();
    lineage.put_jobs(&p1, &many).await.unwrap();
    lineage.put_jobs(&p1, std::slice::from_ref(&other)).await.unwrap();
    lineage.put_datasets(&p1, &[dataset(name("d2")), dataset(name("d1"))]).await.unwrap();
    let first = lineage.list_jobs(&p1, &page(2)).await.unwrap();
    assert_eq!(first.iter().map(|job| job.name.name()).collect::<Vec<_>>(), ["Orders_2", "j0000"]);
    let after = NodeFilter { after: Some(name("j1200")), ..page(10) };
    assert_eq!(lineage.list_jobs(&p1, &after).await.unwrap().len(), 2);
    for (words, count) in [("ORDERS_", 1), ("orders%", 0), ("J12", 3), ("j", 10)] {
        let filter = NodeFilter { contains: Some(words.to_owned()), ..page(10) };
        assert_eq!(lineage.list_jobs(&p1, &filter).await.unwrap().len(), count, "{words}");
    }
    let of_a = NodeFilter { namespace: Some("a".to_owned()), ..page(10) };
    assert_eq!(lineage.list_jobs(&p1, &of_a).await.unwrap(), [other]);
    let sets = lineage.list_datasets(&p1, &page(10)).await.unwrap();
    assert_eq!(sets.iter().map(|set| set.name.name()).collect::<Vec<_>>(), ["d1", "d2"]);
}

/// Runs come newest first, of all jobs, of one, of a state, or of a snapshot.
pub async fn runs_come_newest_first_in_pages(store: Arc<dyn MetadataStore>) {
    let mut tx = two_projects(&store).await;
    let p1 = project_id("p1");
    let lineage = tx.lineage();
    lineage.put_jobs(&p1, &[job("j"), job("k")]).await.unwrap();
    let made = Run { snapshot: Some(SnapshotId::new(5).unwrap()), state: RunState::Complete, ..run(4, "k", 2) };
    lineage.put_runs(&p1, &[run(1, "j", 0), run(3, "j", 1), run(2, "j", 1), made]).await.unwrap();
    let all = RunFilter { limit: 10, ..RunFilter::default() };
    let mut ids = Vec::new();
    for filter in [
        all.clone(),
        RunFilter { limit: 1, after: Some((noon() + TimeDelta::seconds(1), id(3))), ..all.clone() },
        RunFilter { job: Some(name("j")), ..all.clone() },
        RunFilter { state: Some(RunState::Complete), ..all.clone() },
        RunFilter { snapshot: SnapshotId::new(5).ok(), ..all.clone() },
        RunFilter { snapshot: SnapshotId::new(6).ok(), ..all },
    ] {
        let found = lineage.list_runs(&p1, &filter).await.unwrap();
        ids.push(found.iter().map(|run| run.id).collect::<Vec<_>>());
    }
    let wanted = [&[4, 3, 2, 1][..], &[2], &[3, 2, 1], &[4], &[4], &[]];
    assert_eq!(ids, wanted.map(|ids| ids.iter().map(|number| id(*number)).collect::<Vec<_>>()));
}

/// What runs and jobs read and write makes the graph's edges, each once.
pub async fn uses_make_edges(store: Arc<dyn MetadataStore>) {
    let mut tx = two_projects(&store).await;
    let p1 = project_id("p1");
    let lineage = tx.lineage();
    lineage.put_jobs(&p1, &[job("j"), job("k")]).await.unwrap();
    lineage.put_runs(&p1, &[run(1, "j", 0), run(2, "j", 1)]).await.unwrap();
    let sets = ["a", "b", "c"].map(|text| dataset(name(text)));
    lineage.put_datasets(&p1, &sets).await.unwrap();
    let used = |run: Option<u128>, job: &str, direction, set: &str| Use {
        run: run.map(id),
        job: name(job),
        dataset: name(set),
        direction,
        at: noon(),
    };
    let told = [
        used(Some(1), "j", Direction::Input, "a"),
        used(Some(2), "j", Direction::Input, "a"),
        used(Some(2), "j", Direction::Output, "b"),
        used(None, "k", Direction::Input, "b"),
    ];
    for _ in 0..2 {
        lineage.put_uses(&p1, &told).await.unwrap();
    }
    let of = lineage.uses_of(&p1, id(2)).await.unwrap();
    assert_eq!(of, [(Direction::Input, name("a")), (Direction::Output, name("b"))]);
    assert_eq!(lineage.uses_of(&p1, id(1)).await.unwrap(), [(Direction::Input, name("a"))]);
    let more = used(None, "k", Direction::Input, "a");
    lineage.put_uses(&p1, &[more]).await.unwrap();
    let both = [name("a"), name("b"), name("c")];
    for (kind, direction, names, wanted) in [
        (NodeKind::Job, Direction::Input, &[name("j")][..], &[("j", "a")][..]),
        (NodeKind::Job, Direction::Output, &[name("j"), name("k")], &[("j", "b")]),
        (NodeKind::Dataset, Direction::Input, &both, &[("j", "a"), ("k", "a"), ("k", "b")]),
        (NodeKind::Dataset, Direction::Output, &both, &[("j", "b")]),
        (NodeKind::Dataset, Direction::Output, &both[..1], &[]),
    ] {
        let edges = lineage.edges_at(&p1, kind, direction, names, 10).await.unwrap();
        assert!(edges.iter().all(|edge| edge.direction == direction));
        let mut found: Vec<_> = edges.iter().map(|edge| (edge.job.name(), edge.dataset.name())).collect();
        found.sort_unstable();
        assert_eq!(found, wanted);
    }
    let (kind, of) = (NodeKind::Dataset, Direction::Input);
    assert_eq!(lineage.edges_at(&p1, kind, of, &both, 1).await.unwrap().len(), 1);
    assert!(lineage.edges_at(&project_id("p2"), kind, of, &both, 10).await.unwrap().is_empty());
}

/// Edges between columns stay beside each other until they are outdated: those of a job, or of all jobs of a namespace,
/// towards one dataset.
pub async fn columns_stay_until_they_are_outdated(store: Arc<dyn MetadataStore>) {
    let mut tx = two_projects(&store).await;
    let p1 = project_id("p1");
    let lineage = tx.lineage();
    let other = Job { name: NodeName::new("other", "j").unwrap(), ..job("j") };
    lineage.put_jobs(&p1, &[job("j"), job("k"), other.clone()]).await.unwrap();
    lineage.put_datasets(&p1, &["a", "b", "c"].map(|text| dataset(name(text)))).await.unwrap();
    let edge = |job: &NodeName, to_field: Option<&str>, from_field: &str, seconds: i64| ColumnEdge {
        to: name("b"),
        to_field: to_field.map(str::to_owned),
        from: name("a"),
        from_field: from_field.to_owned(),
        influence: if to_field.is_some() { Influence::Direct } else { Influence::Indirect },
        transformation: to_field.map(|_| "IDENTITY".to_owned()),
        job: job.clone(),
        at: noon() + TimeDelta::seconds(seconds),
    };
    let [j, k, other] = [name("j"), name("k"), other.name];
    let elsewhere = ColumnEdge { to: name("c"), ..edge(&j, Some("x"), "x", 0) };
    let first = [
        edge(&j, Some("x"), "x", 0),
        edge(&j, None, "day", 0),
        edge(&k, Some("x"), "x", 0),
        edge(&other, Some("x"), "x", 0),
        elsewhere.clone(),
    ];
    lineage.put_columns(&p1, &first, &[]).await.unwrap();
    // What is told again is told later, and one edge still.
    lineage.put_columns(&p1, &[edge(&j, None, "day", 1)], &[]).await.unwrap();
    let outdated = |by, seconds| Outdated { to: name("b"), by, before: noon() + TimeDelta::seconds(seconds) };
    let second = [edge(&j, Some("x"), "y", 1)];
    lineage.put_columns(&p1, &second, &[outdated(ToldBy::Job(j.clone()), 1)]).await.unwrap();
    let mut left = vec![
        edge(&j, None, "day", 1),
        edge(&j, Some("x"), "y", 1),
        edge(&k, Some("x"), "x", 0),
        edge(&other, Some("x"), "x", 0),
    ];
    for direction in [Direction::Input, Direction::Output] {
        let at = if direction == Direction::Input { name("b") } else { name("a") };
        let mut found = lineage.columns_at(&p1, direction, &[at], 10).await.unwrap();
        found.retain(|edge| *edge != elsewhere);
        found.sort_by(|one, other| (&one.job, &one.to_field).cmp(&(&other.job, &other.to_field)));
        assert_eq!(found, left);
    }
    let all = ToldBy::Namespace(NodeName::DEFAULT_NAMESPACE.to_owned());
    lineage.put_columns(&p1, &[], &[outdated(all, 9)]).await.unwrap();
    assert_eq!(lineage.columns_at(&p1, Direction::Input, &[name("b")], 10).await.unwrap(), [left.remove(3)]);
    assert_eq!(lineage.columns_at(&p1, Direction::Input, &[name("c")], 10).await.unwrap(), [elsewhere]);
}

/// Events as they are put.
pub(super) fn texts(events: &[Value]) -> Vec<String> {
    events.iter().map(Value::to_string).collect()
}

/// Events wait in their order, until they are taken out or set aside; these may wait again.
pub async fn events_wait_in_order(store: Arc<dyn MetadataStore>) {
    let mut tx = two_projects(&store).await;
    let (p1, p2) = (project_id("p1"), project_id("p2"));
    let lineage = tx.lineage();
    let events: Vec<Value> = (0..3).map(|number| json!({ "n": number, "text": "\0" })).collect();
    lineage.enqueue(&p1, &texts(&events), noon()).await.unwrap();
    lineage.enqueue(&p2, &texts(&[json!("other")]), noon() + TimeDelta::seconds(9)).await.unwrap();
    let waiting = lineage.waiting(10).await.unwrap();
    assert_eq!(waiting.iter().map(|queued| &queued.event).collect::<Vec<_>>()[..3], events.iter().collect::<Vec<_>>());
    let positions: Vec<u64> = waiting.iter().map(|queued| queued.position).collect();
    assert!(positions.is_sorted());
    assert_eq!(lineage.waiting_up_to(positions[2]).await.unwrap(), 3);
    assert_eq!(lineage.waiting_up_to(positions[0] - 1).await.unwrap(), 0);
    lineage.take_out(&positions[..1]).await.unwrap();
    lineage.set_aside(positions[1], "broken").await.unwrap();
    let left: Vec<u64> = lineage.waiting(10).await.unwrap().iter().map(|queued| queued.position).collect();
    assert_eq!(left, positions[2..]);
    assert_eq!(lineage.waiting_up_to(positions[2]).await.unwrap(), 1);
    let dead = lineage.dead(&p1, 0, 10).await.unwrap();
    assert_eq!((dead[0].position, dead[0].attempts, dead[0].reason.as_deref()), (positions[1], 1, Some("broken")));
    assert!(lineage.dead(&p1, positions[1], 10).await.unwrap().is_empty());
    assert!(lineage.dead(&p2, 0, 10).await.unwrap().is_empty());
    let backlog = lineage.backlog(None).await.unwrap();
    assert_eq!((backlog.waiting, backlog.dead, backlog.oldest), (2, 1, Some(noon())));
    assert_eq!(lineage.backlog(Some(&p2)).await.unwrap().dead, 0);
    assert!(!lineage.retry(&p2, positions[1]).await.unwrap(), "another's");
    assert!(lineage.retry(&p1, positions[1]).await.unwrap());
    assert!(!lineage.discard(&p1, positions[1]).await.unwrap(), "it waits again");
    assert_eq!(lineage.waiting(1).await.unwrap()[0].position, positions[1]);
    lineage.set_aside(positions[1], "broken").await.unwrap();
    assert!(lineage.discard(&p1, positions[1]).await.unwrap());
    assert_eq!(lineage.backlog(Some(&p1)).await.unwrap().dead, 0);
}

/// A project's lineage goes at once, and nobody else's.
pub async fn lineage_is_cleared_by_project(store: Arc<dyn MetadataStore>) {
    let mut tx = two_projects(&store).await;
    let lineage = tx.lineage();
    for project in ["p1", "p2"] {
        let of = project_id(project);
        lineage.put_jobs(&of, &[job("j")]).await.unwrap();
        lineage.put_runs(&of, &[run(1, "j", 0)]).await.unwrap();
        lineage.put_datasets(&of, &[dataset(name("d"))]).await.unwrap();
        let used =
            Use { run: Some(id(1)), job: name("j"), dataset: name("d"), direction: Direction::Input, at: noon() };
        lineage.put_uses(&of, &[used]).await.unwrap();
        lineage.enqueue(&of, &texts(&[json!({})]), noon()).await.unwrap();
    }
    lineage.clear(&project_id("P1")).await.unwrap();
    for (project, left) in [("p1", 0), ("p2", 1)] {
        let of = project_id(project);
        assert_eq!(lineage.list_jobs(&of, &page(10)).await.unwrap().len(), left, "{project}");
        assert_eq!(lineage.list_datasets(&of, &page(10)).await.unwrap().len(), left);
        assert_eq!(lineage.edges_at(&of, NodeKind::Job, Direction::Input, &[name("j")], 10).await.unwrap().len(), left);
    }
    assert_eq!(lineage.waiting(10).await.unwrap().len(), 1);
}
