//! What the index knows of the past: which facts held in which snapshot.

use std::sync::Arc;

use gadwall_domain::alteration::Alteration;
use gadwall_domain::commit::Change;
use gadwall_domain::history::ReadAt;
use gadwall_domain::ids::SnapshotId;
use gadwall_domain::names::ColumnName;
use gadwall_domain::ports::metadata::{MetadataStore, TableFacts};
use gadwall_domain::schema::TableSchema;

use super::insert;
use super::lake_index::apply;
use crate::testing::builders::{
    bucket, bucket_created, column, commit, project_id, schema, seconds_past_noon, table, table_created,
};

/// A table whose only column tells it from others.
fn shape(only_column: &str) -> TableSchema {
    schema(vec![column(only_column, "VARCHAR(9)")], &[only_column])
}

fn made(name: &str, only_column: &str) -> Change {
    table_created(name, &shape(only_column))
}

fn altered(name: &str, only_column: &str) -> Change {
    let schema = shape(only_column);
    Change::TableAltered {
        table: table(name),
        alteration: Alteration::DropPrimaryKey,
        columns: schema.columns().to_vec(),
        primary_key: schema.key_columns().to_vec(),
    }
}

fn restored(name: &str, only_column: &str) -> Change {
    let schema = shape(only_column);
    Change::TableRestored {
        table: table(name),
        from: snapshot(1),
        columns: schema.columns().to_vec(),
        primary_key: schema.key_columns().to_vec(),
        inserted: 1,
        deleted: 2,
    }
}

fn undeleted(name: &str, from: i64, only_column: &str) -> Change {
    let schema = shape(only_column);
    Change::TableUndeleted {
        table: table(name),
        from: snapshot(from),
        columns: schema.columns().to_vec(),
        primary_key: schema.key_columns().to_vec(),
        rows: 3,
    }
}

fn renamed(name: &str, to: &str) -> Change {
    Change::TableRenamed { table: table(name), to: table(to) }
}

fn dropped(name: &str) -> Change {
    Change::TableDropped { table: table(name) }
}

fn snapshot(number: i64) -> SnapshotId {
    SnapshotId::new(number).unwrap()
}

/// The tables in a snapshot, as `name column created`: as spelled, what tells them apart, seconds past noon.
/// Asking for each, or for those of its bucket, finds the same.
async fn in_snapshot(store: &Arc<dyn MetadataStore>, number: i64) -> Vec<String> {
    look(store, ReadAt::Snapshot(snapshot(number))).await
}

async fn now(store: &Arc<dyn MetadataStore>) -> Vec<String> {
    look(store, ReadAt::Head).await
}

async fn look(store: &Arc<dyn MetadataStore>, at: ReadAt) -> Vec<String> {
    let p1 = project_id("p1");
    let mut tx = store.read().await.unwrap();
    let index = tx.lake_index();
    let all = index.tables(&p1, None, at).await.unwrap();
    for facts in &all {
        assert_eq!(index.table(&p1, &facts.table, at).await.unwrap().as_ref(), Some(facts));
        assert!(index.tables(&p1, Some(&facts.table.bucket), at).await.unwrap().contains(facts));
    }
    all.iter().map(told).collect()
}

fn told(facts: &TableFacts) -> String {
    let [only_column] = facts.columns.as_slice() else { panic!("one column: {facts:?}") };
    assert_eq!(facts.primary_key, std::slice::from_ref(&only_column.name));
    let seconds = (facts.created_at - seconds_past_noon(0)).num_seconds();
    format!("{} {} {seconds}", facts.table, ColumnName::as_str(&only_column.name))
}

async fn history(store: &Arc<dyn MetadataStore>, commits: impl IntoIterator<Item = (u64, Vec<Change>)>) {
    insert(store, "p1").await;
    let commits: Vec<_> = commits.into_iter().map(|(number, changes)| commit(number, changes)).collect();
    apply(store, &project_id("p1"), &commits).await;
}

/// What held in a snapshot holds from the one that began it until before the one that ended it.
pub async fn the_past_reads_as_it_was(store: Arc<dyn MetadataStore>) {
    let commits =
        [(2, vec![made("t", "a")]), (4, vec![dropped("T")]), (6, vec![made("T", "b")]), (7, vec![made("u", "c")])];
    history(&store, commits).await;
    for (number, expected) in [
        (0, vec![]),
        (1, vec![]),
        (2, vec!["main.t a 2"]),
        (3, vec!["main.t a 2"]),
        (4, vec![]),
        (5, vec![]),
        (6, vec!["main.T b 6"]),
        (7, vec!["main.T b 6", "main.u c 7"]),
        (1_000, vec!["main.T b 6", "main.u c 7"]),
    ] {
        assert_eq!(in_snapshot(&store, number).await, expected, "snapshot {number}");
    }
    assert_eq!(now(&store).await, ["main.T b 6", "main.u c 7"]);
    let mut tx = store.read().await.unwrap();
    for number in [0, 1, 4, 5] {
        let at = ReadAt::Snapshot(snapshot(number));
        assert_eq!(tx.lake_index().table(&project_id("p1"), &table("t"), at).await.unwrap(), None, "snapshot {number}");
    }
}

/// Buckets are read as they were, too: their descriptions, and their tables, which ended with them.
pub async fn buckets_of_the_past_read_as_they_were(store: Arc<dyn MetadataStore>) {
    let commits = [
        (1, vec![bucket_created("b", Some("first")), made("b.t", "a")]),
        (3, vec![Change::BucketDropped { bucket: bucket("B") }]),
        (5, vec![bucket_created("B", None)]),
    ];
    history(&store, commits).await;
    let p1 = project_id("p1");
    for (number, expected) in
        [(0, None), (1, Some(Some("first"))), (2, Some(Some("first"))), (3, None), (5, Some(None))]
    {
        let at = ReadAt::Snapshot(snapshot(number));
        let found = store.read().await.unwrap().lake_index().buckets(&p1, at).await.unwrap();
        let found: Vec<_> = found.iter().map(|facts| facts.description.as_deref()).collect();
        assert_eq!(found, Vec::from_iter(expected), "snapshot {number}");
    }
    assert_eq!(in_snapshot(&store, 2).await, ["b.t a 1"]);
    assert!(in_snapshot(&store, 3).await.is_empty());
    assert!(now(&store).await.is_empty());
}

/// A table that is altered or restored has other columns and another key since; it stays as old as it is, and keeps
/// its name as it was spelled.
pub async fn an_altered_table_stays_as_old_as_it_is(store: Arc<dyn MetadataStore>) {
    history(
        &store,
        [(1, vec![made("Sales", "a")]), (2, vec![altered("SALES", "b")]), (3, vec![restored("sales", "c")])],
    )
    .await;
    assert_eq!(in_snapshot(&store, 1).await, ["main.Sales a 1"]);
    assert_eq!(in_snapshot(&store, 2).await, ["main.Sales b 1"]);
    assert_eq!(now(&store).await, ["main.Sales c 1"]);
}

/// A renamed table's facts are found by its new name since, and by its old one before.
pub async fn a_renamed_table_keeps_its_facts(store: Arc<dyn MetadataStore>) {
    let commits = [
        (1, vec![made("t", "a"), made("other", "z")]),
        (2, vec![renamed("T", "u")]),
        (3, vec![renamed("u", "U")]),
        (4, vec![made("t", "b")]),
    ];
    history(&store, commits).await;
    assert_eq!(in_snapshot(&store, 1).await, ["main.other z 1", "main.t a 1"]);
    assert_eq!(in_snapshot(&store, 2).await, ["main.other z 1", "main.u a 1"]);
    assert_eq!(in_snapshot(&store, 3).await, ["main.other z 1", "main.U a 1"]);
    assert_eq!(now(&store).await, ["main.other z 1", "main.t b 4", "main.U a 1"]);
}

/// A name that was given up may be another table's, also within one snapshot; two tables may trade names.
pub async fn a_name_given_up_is_free(store: Arc<dyn MetadataStore>) {
    let commits = [
        (1, vec![made("a", "x"), made("b", "y")]),
        (2, vec![renamed("a", "c"), renamed("b", "a"), renamed("c", "b")]),
        (3, vec![dropped("a")]),
        (4, vec![renamed("b", "a")]),
    ];
    history(&store, commits).await;
    assert_eq!(in_snapshot(&store, 1).await, ["main.a x 1", "main.b y 1"]);
    assert_eq!(in_snapshot(&store, 2).await, ["main.a y 1", "main.b x 1"]);
    assert_eq!(in_snapshot(&store, 3).await, ["main.b x 1"]);
    assert_eq!(now(&store).await, ["main.a x 1"]);
}

/// A table that is there again is as old as it was; if nothing is known of it, as old as the commit.
pub async fn an_undeleted_table_is_as_old_as_it_was(store: Arc<dyn MetadataStore>) {
    let commits = [
        (1, vec![made("t", "a")]),
        (2, vec![dropped("t")]),
        (3, vec![made("t", "b")]),
        (4, vec![dropped("t")]),
        (5, vec![undeleted("T", 1, "a")]),
        (6, vec![dropped("t"), undeleted("t", 3, "b")]),
        (7, vec![undeleted("strange", 2, "s")]),
    ];
    history(&store, commits).await;
    assert!(in_snapshot(&store, 4).await.is_empty());
    assert_eq!(in_snapshot(&store, 5).await, ["main.T a 1"]);
    assert_eq!(in_snapshot(&store, 6).await, ["main.t b 3"]);
    assert_eq!(now(&store).await, ["main.strange s 7", "main.t b 3"]);
}

/// Of several changes in one snapshot only their outcome is seen.
pub async fn one_snapshot_shows_only_its_outcome(store: Arc<dyn MetadataStore>) {
    let commits = [
        (1, vec![made("t", "a")]),
        (
            2,
            vec![altered("t", "b"), renamed("t", "u"), altered("u", "c"), made("t", "d"), dropped("t"), made("t", "e")],
        ),
        (3, vec![dropped("u"), undeleted("u", 2, "c"), renamed("u", "v"), renamed("v", "u")]),
    ];
    history(&store, commits).await;
    assert_eq!(in_snapshot(&store, 1).await, ["main.t a 1"]);
    assert_eq!(in_snapshot(&store, 2).await, ["main.t e 2", "main.u c 1"]);
    assert_eq!(now(&store).await, ["main.t e 2", "main.u c 1"]);
}

/// What something else did to a lake without saying so fails no commit: what is unknown begins, or stays unknown, and
/// what can't be any more ends.
pub async fn a_commit_that_does_not_fit_is_no_failure(store: Arc<dyn MetadataStore>) {
    let commits = [
        (1, vec![made("t", "a")]),
        (2, vec![renamed("unknown", "u"), dropped("unknown"), dropped("none.t"), renamed("none.a", "none.b")]),
        // Someone dropped `t`, and made the one that gets its name.
        (3, vec![renamed("unknown", "T")]),
        (4, vec![altered("strange", "s"), restored("stranger", "r")]),
        (5, vec![made("t", "b")]),
        // Someone dropped it.
        (6, vec![undeleted("t", 1, "a")]),
    ];
    history(&store, commits).await;
    assert_eq!(in_snapshot(&store, 2).await, ["main.t a 1"]);
    assert!(in_snapshot(&store, 3).await.is_empty());
    assert_eq!(in_snapshot(&store, 4).await, ["main.strange s 4", "main.stranger r 4"]);
    assert_eq!(now(&store).await, ["main.strange s 4", "main.stranger r 4", "main.t a 1"]);
}
