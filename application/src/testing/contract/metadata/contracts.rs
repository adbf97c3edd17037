//! Contracts of tables, and what looks at them found.

use std::sync::Arc;

use gadwall_domain::alteration::Alteration;
use gadwall_domain::commit::{Change, Commit, WriteRecord};
use gadwall_domain::contract::{
    ContractResult, Expectation, LevelReport, MAX_RESULTS, MAX_VERSIONS, Measure, Metric, Occasion, QualityRule,
    Severity, Unit,
};
use gadwall_domain::ids::SnapshotId;
use gadwall_domain::ports::metadata::MetadataStore;
use serde_json::{Value, json};

use super::insert;
use crate::testing::builders::{bucket, column, commit, origin, project_id, request, seconds_past_noon, table};

fn altered(name: &str, document: Option<Value>) -> Change {
    Change::TableAltered {
        table: table(name),
        alteration: Alteration::Contract { document },
        columns: vec![column("id", "INTEGER")],
        primary_key: Vec::new(),
    }
}

fn put(name: &str, number: u64) -> Change {
    altered(name, Some(json!({ "number": number })))
}

fn created(name: &str) -> Change {
    Change::TableCreated {
        table: table(name),
        columns: vec![column("id", "INTEGER")],
        primary_key: Vec::new(),
        layout: gadwall_domain::layout::Layout::default(),
    }
}

fn measure() -> Measure {
    let rule = QualityRule {
        name: "it's".to_owned(),
        place: "/schema/0".to_owned(),
        description: None,
        metric: Metric::RowCount,
        unit: Unit::Percent,
        expected: Expectation::Between(0.5, 2.0),
        severity: Severity::Warning,
        dimension: Some("coverage"),
    };
    Measure::of(&rule, Some(2.25))
}

fn result(second: i64) -> ContractResult {
    ContractResult {
        at: seconds_past_noon(second),
        occasion: Occasion::Check,
        contract: SnapshotId::new(1).unwrap(),
        snapshot: SnapshotId::new(second).ok(),
        request_id: request("r"),
        measures: vec![measure()],
        service_levels: vec![LevelReport {
            property: "freshness".to_owned(),
            value: json!(2),
            unit: Some("h".to_owned()),
            element: None,
            measured: Some(json!(5)),
            met: Some(true),
            detail: "in time".to_owned(),
        }],
    }
}

async fn apply(store: &Arc<dyn MetadataStore>, commits: Vec<Commit>) {
    let mut tx = store.write().await.unwrap();
    for commit in commits {
        tx.lake_index().apply(&project_id("p1"), &commit).await.unwrap();
    }
    tx.commit().await.unwrap();
}

async fn record(store: &Arc<dyn MetadataStore>, name: &str, results: impl IntoIterator<Item = ContractResult>) {
    let mut tx = store.write().await.unwrap();
    for result in results {
        tx.contracts().record_result(&project_id("p1"), &table(name), &result).await.unwrap();
    }
    tx.commit().await.unwrap();
}

/// The number in a table's contract.
async fn number(store: &Arc<dyn MetadataStore>, name: &str) -> Option<u64> {
    let found = store.read().await.unwrap().contracts().contract(&project_id("P1"), &table(name)).await.unwrap();
    found.map(|contract| contract.document["number"].as_u64().unwrap())
}

async fn counts(store: &Arc<dyn MetadataStore>, name: &str) -> (usize, usize) {
    let (project, table) = (project_id("p1"), table(name));
    let mut tx = store.read().await.unwrap();
    let versions = tx.contracts().contract_versions(&project, &table).await.unwrap().len();
    (versions, tx.contracts().contract_results(&project, &table, None, 5_000).await.unwrap().len())
}

/// A contract is in force from the commit that puts it until another one takes its place or ends it; all are kept.
pub async fn a_contract_is_in_force_until_another_is(store: Arc<dyn MetadataStore>) {
    insert(&store, "P1").await;
    apply(&store, vec![commit(1, vec![created("b.T")]), commit(2, vec![put("b.t", 1)])]).await;
    assert_eq!(number(&store, "B.t").await, Some(1));
    apply(&store, vec![commit(4, vec![put("b.T", 2)])]).await;
    assert_eq!(number(&store, "b.t").await, Some(2));
    let mut tx = store.read().await.unwrap();
    let (project, of) = (project_id("p1"), table("b.t"));
    let versions = tx.contracts().contract_versions(&project, &of).await.unwrap();
    let told: Vec<_> =
        versions.iter().map(|version| (version.since.get(), version.until.map(SnapshotId::get))).collect();
    assert_eq!(told, [(4, None), (2, Some(4))]);
    assert_eq!((versions[1].put_at, versions[1].put_by.as_deref()), (seconds_past_noon(2), None));
    assert_eq!(versions[1].object, "t", "what the table was called by who put it");
    let two = SnapshotId::new(2).unwrap();
    assert_eq!(tx.contracts().contract_version(&project, &of, two).await.unwrap().as_ref(), versions.last());
    let all = tx.contracts().contracts(&project).await.unwrap();
    assert_eq!(all.iter().map(|(name, _)| name.to_string()).collect::<Vec<_>>(), ["b.T"]);
    drop(tx);
    apply(&store, vec![commit(5, vec![altered("b.t", None)])]).await;
    assert_eq!((number(&store, "b.t").await, counts(&store, "b.t").await.0), (None, 2));
    assert!(store.read().await.unwrap().contracts().contracts(&project).await.unwrap().is_empty());
}

/// A table takes its contracts and results with it to another name, and ends them when it is dropped.
pub async fn contracts_go_with_their_table(store: Arc<dyn MetadataStore>) {
    insert(&store, "p1").await;
    apply(&store, vec![commit(1, vec![put("b.t", 1)]), commit(2, vec![put("b.u", 2)]), commit(3, vec![put("c.t", 3)])])
        .await;
    for name in ["b.t", "b.u", "c.t"] {
        record(&store, name, [result(1)]).await;
    }
    let renamed = Change::TableRenamed { table: table("b.t"), to: table("b.u") };
    apply(&store, vec![commit(4, vec![renamed])]).await;
    assert_eq!((number(&store, "b.t").await, number(&store, "b.u").await), (None, Some(1)));
    assert_eq!((counts(&store, "b.t").await, counts(&store, "b.u").await), ((0, 0), (1, 1)));
    let spelled = Change::TableRenamed { table: table("b.u"), to: table("b.U") };
    apply(&store, vec![commit(5, vec![spelled])]).await;
    assert_eq!(counts(&store, "b.u").await, (1, 1));
    // One that is made anew in the same commit is the same to its users; one of the same name that comes later isn't.
    let dropped = || Change::TableDropped { table: table("b.u") };
    apply(&store, vec![commit(6, vec![dropped(), created("b.u")])]).await;
    assert_eq!(counts(&store, "b.u").await, (1, 1));
    apply(&store, vec![commit(7, vec![dropped()]), commit(8, vec![created("b.u")])]).await;
    assert_eq!((number(&store, "b.u").await, counts(&store, "b.u").await), (None, (0, 0)));
    apply(&store, vec![commit(9, vec![Change::BucketDropped { bucket: bucket("C") }])]).await;
    assert_eq!(counts(&store, "c.t").await, (0, 0));
}

/// A result reads back as it was kept; pages go from the newest to the oldest.
pub async fn results_are_read_in_pages(store: Arc<dyn MetadataStore>) {
    insert(&store, "p1").await;
    apply(&store, vec![commit(1, vec![put("t", 1)])]).await;
    record(&store, "t", (1..=5).map(result)).await;
    record(&store, "u", [result(9)]).await;
    let (project, of) = (project_id("p1"), table("T"));
    let mut tx = store.read().await.unwrap();
    let first = tx.contracts().contract_results(&project, &of, None, 3).await.unwrap();
    assert_eq!(first.iter().map(|logged| logged.result.clone()).collect::<Vec<_>>(), [5, 4, 3].map(result));
    let rest = tx.contracts().contract_results(&project, &of, Some(first[2].number), 3).await.unwrap();
    assert_eq!(rest.iter().map(|logged| logged.result.clone()).collect::<Vec<_>>(), [2, 1].map(result));
}

/// Of results and of versions only so many are kept.
pub async fn only_the_newest_results_and_versions_are_kept(store: Arc<dyn MetadataStore>) {
    insert(&store, "p1").await;
    let many = u64::from(MAX_VERSIONS) + 3;
    apply(&store, (1..=many).map(|number| commit(number, vec![put("t", number)])).collect()).await;
    assert_eq!((number(&store, "t").await, counts(&store, "t").await.0), (Some(many), MAX_VERSIONS as usize));
    record(&store, "u", [result(1)]).await;
    record(&store, "t", (1..=i64::from(MAX_RESULTS) + 2).map(result)).await;
    assert_eq!((counts(&store, "t").await.1, counts(&store, "u").await.1), (MAX_RESULTS as usize, 1));
}

/// A write that broke rules which only warn is among the results, once.
pub async fn warnings_of_a_commit_are_results(store: Arc<dyn MetadataStore>) {
    insert(&store, "p1").await;
    let change = Change::RowsAppended { table: table("t"), rows: 3 };
    let write = WriteRecord { breaches: vec![measure()], ..WriteRecord::new(origin("r7"), change) };
    let warned = |snapshot| Commit { writes: vec![write.clone()], ..commit(snapshot, Vec::new()) };
    // Nothing is told of a contract that isn't known.
    apply(&store, vec![warned(1), commit(2, vec![put("t", 1)]), warned(3), warned(3)]).await;
    let mut tx = store.read().await.unwrap();
    let found = tx.contracts().contract_results(&project_id("p1"), &table("t"), None, 10).await.unwrap();
    assert_eq!(found.len(), 1);
    let told = &found[0].result;
    assert_eq!(
        (told.occasion, told.contract.get(), told.snapshot.map(SnapshotId::get)),
        (Occasion::Written, 2, Some(3))
    );
    assert_eq!((told.request_id.as_str(), &told.measures, told.at), ("r7", &vec![measure()], seconds_past_noon(3)));
}

/// What is known of contracts is rebuilt from the commits, as the index is.
pub async fn contracts_are_part_of_the_index(store: Arc<dyn MetadataStore>) {
    insert(&store, "p1").await;
    let commits = || vec![commit(1, vec![put("t", 1)]), commit(2, vec![put("t", 2)])];
    apply(&store, commits()).await;
    record(&store, "t", [result(1)]).await;
    let mut tx = store.write().await.unwrap();
    tx.lake_index().clear(&project_id("p1")).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(counts(&store, "t").await, (0, 0));
    apply(&store, commits()).await;
    assert_eq!((number(&store, "t").await, counts(&store, "t").await.0), (Some(2), 2));
}
