//! The index of the lakes' commits.

use std::sync::Arc;

use gadwall_domain::commit::{Change, Commit};
use gadwall_domain::history::ReadAt;
use gadwall_domain::ids::SnapshotId;
use gadwall_domain::names::ProjectId;
use gadwall_domain::ports::metadata::{BucketFacts, MetadataStore, TableFacts};

use super::insert;
use crate::testing::builders::{
    bucket, bucket_created, column, commit, defaulted, names, project_id, schema, seconds_past_noon, table,
    table_created,
};

pub(super) async fn apply(store: &Arc<dyn MetadataStore>, project: &ProjectId, commits: &[Commit]) {
    let mut tx = store.write().await.unwrap();
    for commit in commits {
        assert!(tx.lake_index().apply(project, commit).await.unwrap());
    }
    tx.commit().await.unwrap();
}

async fn facts(store: &Arc<dyn MetadataStore>, project: &ProjectId) -> (SnapshotId, Vec<BucketFacts>, Vec<TableFacts>) {
    let mut tx = store.read().await.unwrap();
    let index = tx.lake_index();
    let applied = index.applied(project).await.unwrap();
    let buckets = index.buckets(project, ReadAt::Head).await.unwrap();
    (applied, buckets, index.tables(project, None, ReadAt::Head).await.unwrap())
}

/// The tables' names as they were spelled.
async fn table_names(store: &Arc<dyn MetadataStore>, project: &ProjectId) -> Vec<String> {
    facts(store, project).await.2.iter().map(|facts| facts.table.to_string()).collect()
}

fn plain(name: &str) -> Change {
    table_created(name, &schema(vec![column("id", "INTEGER")], &[]))
}

/// Of a lake that was never indexed nothing is known.
pub async fn an_index_starts_at_zero(store: Arc<dyn MetadataStore>) {
    insert(&store, "p1").await;
    let p1 = project_id("p1");
    assert_eq!(facts(&store, &p1).await, (SnapshotId::ZERO, Vec::new(), Vec::new()));
    assert_eq!(store.read().await.unwrap().lake_index().table(&p1, &table("t"), ReadAt::Head).await.unwrap(), None);
}

/// A table's facts are what its commit says: declared lengths, key, time.
pub async fn a_tables_facts_are_what_its_commit_says(store: Arc<dyn MetadataStore>) {
    insert(&store, "p1").await;
    let p1 = project_id("p1");
    let columns = vec![
        column("Größe (m²)", "DECIMAL(10,2)"),
        defaulted("it's", "VARCHAR(20)", "'it''s'"),
        column("deep", "STRUCT(a MAP(VARCHAR, BIGINT[]), \"b c\" TIMESTAMPTZ)"),
    ];
    let schema = schema(columns, &["it's"]);
    let made = [bucket_created("Sales", Some("for 'em")), table_created("sales.Orders", &schema)];
    apply(&store, &p1, &[commit(1, made.into())]).await;
    let expected = TableFacts {
        table: table("sales.Orders"),
        columns: schema.columns().to_vec(),
        primary_key: names(&["it's"]),
        created_at: seconds_past_noon(1),
    };
    let mut tx = store.read().await.unwrap();
    let found = tx.lake_index().table(&p1, &table("SALES.ORDERS"), ReadAt::Head).await.unwrap().unwrap();
    assert_eq!(found, expected);
    assert_eq!(found.table.to_string(), "sales.Orders");
    assert_eq!(tx.lake_index().tables(&p1, Some(&bucket("SALES")), ReadAt::Head).await.unwrap(), [expected]);
    let buckets = tx.lake_index().buckets(&p1, ReadAt::Head).await.unwrap();
    assert_eq!(buckets, [BucketFacts { bucket: bucket("Sales"), description: Some("for 'em".to_owned()) }]);
}

/// Facts come by bucket and name without regard to case; those of one bucket when asked for.
pub async fn facts_come_by_name(store: Arc<dyn MetadataStore>) {
    insert(&store, "p1").await;
    let p1 = project_id("p1");
    let buckets = [bucket_created("b", None), bucket_created("A", None), bucket_created("C", Some(""))];
    let tables = [plain("b.z"), plain("b.Y"), plain("A.x"), plain("main_thing")];
    apply(&store, &p1, &[commit(1, buckets.into()), commit(2, tables.into())]).await;
    assert_eq!(table_names(&store, &p1).await, ["A.x", "b.Y", "b.z", "main.main_thing"]);
    let (_, buckets, _) = facts(&store, &p1).await;
    let names: Vec<&str> = buckets.iter().map(|facts| facts.bucket.as_str()).collect();
    assert_eq!(names, ["A", "b", "C"]);
    assert_eq!(buckets[2].description.as_deref(), Some(""));
    let mut tx = store.read().await.unwrap();
    assert_eq!(tx.lake_index().tables(&p1, Some(&bucket("b")), ReadAt::Head).await.unwrap().len(), 2);
    assert!(tx.lake_index().tables(&p1, Some(&bucket("none")), ReadAt::Head).await.unwrap().is_empty());
}

/// A commit counts once. One that was applied, or lies before the last one applied, changes nothing.
pub async fn a_commit_counts_once(store: Arc<dyn MetadataStore>) {
    insert(&store, "p1").await;
    let p1 = project_id("p1");
    apply(&store, &p1, &[commit(3, vec![plain("a")])]).await;
    let mut tx = store.write().await.unwrap();
    for old in [commit(0, vec![plain("b")]), commit(2, vec![plain("b")]), commit(3, vec![plain("b")])] {
        assert!(!tx.lake_index().apply(&p1, &old).await.unwrap());
    }
    tx.commit().await.unwrap();
    assert_eq!(table_names(&store, &p1).await, ["main.a"]);
    assert_eq!(facts(&store, &p1).await.0, SnapshotId::new(3).unwrap());
}

/// Nothing comes before the first commit.
pub async fn snapshot_zero_is_no_commit(store: Arc<dyn MetadataStore>) {
    insert(&store, "p1").await;
    let p1 = project_id("p1");
    let mut tx = store.write().await.unwrap();
    assert!(!tx.lake_index().apply(&p1, &commit(0, vec![plain("a")])).await.unwrap());
    tx.commit().await.unwrap();
    assert_eq!(facts(&store, &p1).await, (SnapshotId::ZERO, Vec::new(), Vec::new()));
}

/// Commits that say nothing, or only that rows came, move the index on all the same.
pub async fn a_commit_without_facts_only_advances(store: Arc<dyn MetadataStore>) {
    insert(&store, "p1").await;
    let p1 = project_id("p1");
    let rows = Change::RowsAppended { table: table("a"), rows: 5 };
    apply(&store, &p1, &[commit(1, vec![plain("a")]), commit(2, vec![]), commit(7, vec![rows])]).await;
    assert_eq!(facts(&store, &p1).await.0, SnapshotId::new(7).unwrap());
    assert_eq!(table_names(&store, &p1).await, ["main.a"]);
}

/// A dropped table's facts are gone, whatever the case it is named in, and it can be made anew.
pub async fn a_dropped_table_is_forgotten(store: Arc<dyn MetadataStore>) {
    insert(&store, "p1").await;
    let p1 = project_id("p1");
    let dropped = Change::TableDropped { table: table("MAIN.A") };
    apply(&store, &p1, &[commit(1, vec![plain("a"), plain("b")]), commit(2, vec![dropped])]).await;
    assert_eq!(table_names(&store, &p1).await, ["main.b"]);
    let anew = table_created("A", &schema(vec![column("other", "VARCHAR(9)")], &["other"]));
    apply(&store, &p1, &[commit(3, vec![anew])]).await;
    let found = store.read().await.unwrap().lake_index().table(&p1, &table("a"), ReadAt::Head).await.unwrap().unwrap();
    assert_eq!(found.primary_key, names(&["other"]));
    assert_eq!(found.created_at, seconds_past_noon(3));
    assert_eq!(found.table.table.as_str(), "A");
}

/// A dropped bucket takes its tables' facts with it, and only those; it comes back empty.
pub async fn a_dropped_bucket_takes_its_tables(store: Arc<dyn MetadataStore>) {
    insert(&store, "p1").await;
    let p1 = project_id("p1");
    let made = vec![bucket_created("a", Some("old")), plain("a.x"), plain("a.y"), plain("x")];
    let dropped = Change::BucketDropped { bucket: bucket("A") };
    apply(&store, &p1, &[commit(1, made), commit(2, vec![dropped])]).await;
    assert_eq!(table_names(&store, &p1).await, ["main.x"]);
    assert!(facts(&store, &p1).await.1.is_empty());
    apply(&store, &p1, &[commit(3, vec![bucket_created("a", None)])]).await;
    assert_eq!(facts(&store, &p1).await.1, [BucketFacts { bucket: bucket("a"), description: None }]);
    assert_eq!(table_names(&store, &p1).await, ["main.x"]);
    apply(&store, &p1, &[commit(4, vec![Change::BucketDropped { bucket: bucket("main") }])]).await;
    assert!(table_names(&store, &p1).await.is_empty());
}

/// One snapshot may make, drop and make again.
pub async fn one_snapshot_may_make_and_drop(store: Arc<dyn MetadataStore>) {
    insert(&store, "p1").await;
    let p1 = project_id("p1");
    let changes = vec![
        bucket_created("a", Some("first")),
        plain("a.x"),
        Change::TableDropped { table: table("a.x") },
        plain("a.X"),
        Change::BucketDropped { bucket: bucket("a") },
        bucket_created("A", Some("second")),
        plain("A.x"),
    ];
    apply(&store, &p1, &[commit(1, changes)]).await;
    assert_eq!(table_names(&store, &p1).await, ["A.x"]);
    assert_eq!(facts(&store, &p1).await.1[0].description.as_deref(), Some("second"));
}

/// What something else dropped without saying so is replaced when it is made again.
pub async fn what_is_made_again_replaces_what_was(store: Arc<dyn MetadataStore>) {
    insert(&store, "p1").await;
    let p1 = project_id("p1");
    let first = vec![bucket_created("a", Some("first")), plain("a.x"), plain("t")];
    let anew = table_created("T", &schema(vec![column("k", "DATE")], &["k"]));
    apply(&store, &p1, &[commit(1, first), commit(2, vec![bucket_created("A", None), anew])]).await;
    assert_eq!(table_names(&store, &p1).await, ["main.T"]);
    assert_eq!(facts(&store, &p1).await.1, [BucketFacts { bucket: bucket("a"), description: None }]);
    let found = store.read().await.unwrap().lake_index().table(&p1, &table("t"), ReadAt::Head).await.unwrap().unwrap();
    assert_eq!(found.primary_key, names(&["k"]));
}

/// Projects don't see each other's facts.
pub async fn indexes_are_apart(store: Arc<dyn MetadataStore>) {
    insert(&store, "p1").await;
    insert(&store, "p2").await;
    let (p1, p2) = (project_id("p1"), project_id("p2"));
    apply(&store, &p1, &[commit(5, vec![bucket_created("a", None), plain("a.x")])]).await;
    apply(&store, &p2, &[commit(1, vec![bucket_created("a", None), plain("a.x")])]).await;
    apply(&store, &p2, &[commit(2, vec![Change::BucketDropped { bucket: bucket("a") }])]).await;
    assert_eq!(table_names(&store, &project_id("P1")).await, ["a.x"]);
    let mut tx = store.write().await.unwrap();
    tx.lake_index().clear(&p1).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(facts(&store, &p1).await, (SnapshotId::ZERO, Vec::new(), Vec::new()));
    assert_eq!(facts(&store, &p2).await.0, SnapshotId::new(2).unwrap());
}

/// Clearing and applying the same commits again gives the same facts, as often as one likes.
pub async fn an_index_can_be_rebuilt(store: Arc<dyn MetadataStore>) {
    insert(&store, "p1").await;
    let p1 = project_id("p1");
    let commits = some_history(200);
    apply(&store, &p1, &commits).await;
    let first = facts(&store, &p1).await;
    assert!(!first.2.is_empty(), "a history that ends with tables");
    for _ in 0..2 {
        let mut tx = store.write().await.unwrap();
        tx.lake_index().clear(&p1).await.unwrap();
        tx.commit().await.unwrap();
        for some in commits.chunks(70) {
            apply(&store, &p1, some).await;
        }
        assert_eq!(facts(&store, &p1).await, first);
    }
}

/// A history that looks like chance but is the same each time.
fn some_history(length: u64) -> Vec<Commit> {
    let mut state = 42_u64;
    let mut draw = |sides: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap() % sides
    };
    let mut change = || {
        let (in_bucket, name) = (["a", "B", "c"][draw(3)], ["x", "Y", "z"][draw(3)]);
        let full = format!("{in_bucket}.{name}");
        match draw(10) {
            0 => Change::BucketDropped { bucket: bucket(in_bucket) },
            1 => bucket_created(in_bucket, Some(name)),
            2 | 3 => Change::TableDropped { table: table(&full) },
            4 => Change::RowsAppended { table: table(&full), rows: 1 },
            _ => plain(&full),
        }
    };
    (1..=length).map(|snapshot| commit(snapshot, (0..snapshot % 4).map(|_| change()).collect())).collect()
}
