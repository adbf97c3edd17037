//! Whatever the history of a lake, SQLite knows of it what the index in memory knows, in every snapshot.

use std::sync::Arc;

use gadwall_application::testing::MemoryMetadata;
use gadwall_application::testing::builders::{
    bucket, bucket_created, column, commit, project, project_id, schema, seconds_past_noon, table, table_created,
};
use gadwall_domain::alteration::Alteration;
use gadwall_domain::commit::{Change, Commit};
use gadwall_domain::history::ReadAt;
use gadwall_domain::ids::SnapshotId;
use gadwall_domain::ports::metadata::{BucketFacts, KeyedWrite, MetadataStore, MetadataTx, TableFacts};
use gadwall_domain::schema::TableSchema;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

/// Snapshots are below this.
const SNAPSHOTS: i64 = 12;
const KEYS: [&str; 3] = ["k", "K", "it's"];

fn snapshot(number: i64) -> SnapshotId {
    SnapshotId::new(number).unwrap()
}

fn buckets() -> impl Strategy<Value = &'static str> {
    select(vec!["a", "A", "b", "main"])
}

fn tables() -> impl Strategy<Value = String> {
    (buckets(), select(vec!["x", "X", "y"])).prop_map(|(bucket, name)| format!("{bucket}.{name}"))
}

/// A shape that tells one change from the next.
fn shapes() -> impl Strategy<Value = TableSchema> {
    (1..99_u32).prop_map(|length| schema(vec![column("id", &format!("VARCHAR({length})"))], &["id"]))
}

fn change() -> impl Strategy<Value = Change> {
    let altered = |(name, shape): (String, TableSchema)| Change::TableAltered {
        table: table(&name),
        alteration: Alteration::DropPrimaryKey,
        columns: shape.columns().to_vec(),
        primary_key: shape.key_columns().to_vec(),
    };
    let restored = |(name, from, shape): (String, i64, TableSchema)| Change::TableRestored {
        table: table(&name),
        from: snapshot(from),
        columns: shape.columns().to_vec(),
        primary_key: Vec::new(),
        inserted: 1,
        deleted: 1,
    };
    let undeleted = |(name, from, shape): (String, i64, TableSchema)| Change::TableUndeleted {
        table: table(&name),
        from: snapshot(from),
        columns: shape.columns().to_vec(),
        primary_key: shape.key_columns().to_vec(),
        rows: 1,
    };
    let renamed = |(name, to): (String, String)| Change::TableRenamed { table: table(&name), to: table(&to) };
    prop_oneof![
        1 => buckets().prop_map(|name| Change::BucketDropped { bucket: bucket(name) }),
        2 => (buckets(), "[a-z'é]{0,4}").prop_map(|(name, text)| bucket_created(name, Some(&text))),
        2 => tables().prop_map(|name| Change::TableDropped { table: table(&name) }),
        1 => tables().prop_map(|name| Change::RowsAppended { table: table(&name), rows: 1 }),
        5 => (tables(), shapes()).prop_map(|(name, shape)| table_created(&name, &shape)),
        3 => (tables(), shapes()).prop_map(altered),
        3 => (tables(), tables()).prop_map(renamed),
        1 => (tables(), 0..SNAPSHOTS, shapes()).prop_map(restored),
        3 => (tables(), 0..SNAPSHOTS, shapes()).prop_map(undeleted),
    ]
}

/// Commits in any order, some of them twice, some of their writes under a key.
fn history() -> impl Strategy<Value = Vec<Commit>> {
    let one = (0..SNAPSHOTS, vec((change(), option::of(select(KEYS.to_vec()))), 0..5));
    let one = one.prop_map(|(number, writes)| {
        let (mut changes, keys): (Vec<_>, Vec<_>) = writes.into_iter().unzip();
        for change in &mut changes {
            // What is there again was there before.
            if let Change::TableUndeleted { from, .. } = change {
                *from = (*from).min(snapshot((number - 1).max(0)));
            }
        }
        let mut commit = commit(number.try_into().unwrap(), changes);
        for (write, key) in commit.writes.iter_mut().zip(keys) {
            write.origin.idempotency_key = key.map(ToOwned::to_owned);
        }
        commit
    });
    // Many are of growing numbers, so that there is a past to read.
    (vec(one, 0..14), any::<bool>()).prop_map(|(mut commits, in_order)| {
        if in_order {
            commits.sort_by_key(|commit| commit.snapshot);
        }
        commits
    })
}

/// What is known of a version, with names as they are spelled.
type Version = (Vec<BucketFacts>, Vec<TableFacts>, Vec<String>);
/// How far the index is, the newest version and those before it, and the writes of the keys.
type Known = (SnapshotId, Vec<Version>, Vec<Option<KeyedWrite>>);

async fn version(tx: &mut dyn MetadataTx, at: ReadAt) -> Version {
    let p1 = project_id("p1");
    let index = tx.lake_index();
    let (buckets, tables) = (index.buckets(&p1, at).await.unwrap(), index.tables(&p1, None, at).await.unwrap());
    for facts in &tables {
        assert_eq!(index.table(&p1, &facts.table, at).await.unwrap().as_ref(), Some(facts));
    }
    let names = buckets.iter().map(|facts| facts.bucket.to_string());
    let names = names.chain(tables.iter().map(|facts| facts.table.to_string())).collect();
    (buckets, tables, names)
}

async fn known(tx: &mut dyn MetadataTx) -> Known {
    let p1 = project_id("p1");
    let mut versions = vec![version(tx, ReadAt::Head).await];
    for number in 0..=SNAPSHOTS {
        versions.push(version(tx, ReadAt::Snapshot(snapshot(number))).await);
    }
    let mut writes = Vec::new();
    for key in KEYS {
        writes.push(tx.lake_index().write_of_key(&p1, None, key).await.unwrap());
    }
    (tx.lake_index().applied(&p1).await.unwrap(), versions, writes)
}

/// What each commit is answered.
async fn apply(tx: &mut dyn MetadataTx, commits: &[Commit]) -> Vec<bool> {
    let mut answers = Vec::new();
    for commit in commits {
        answers.push(tx.lake_index().apply(&project_id("p1"), commit).await.unwrap());
    }
    answers
}

#[test]
fn sqlite_knows_what_memory_knows() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let stores = runtime.block_on(async {
        let (store, folder) = crate::fresh().await;
        crate::insert(&*store, "p1").await;
        (store as Arc<dyn MetadataStore>, folder)
    });
    let (sqlite, _folder) = stores;
    proptest!(ProptestConfig::with_cases(200), |(commits in history(), forgotten in 0..SNAPSHOTS)| {
        runtime.block_on(async {
            // Neither is committed, so that the next case starts from nothing again.
            let mut real = sqlite.write().await.unwrap();
            let mut model = MemoryMetadata::default().write().await.unwrap();
            model.projects().insert(&project("p1")).await.unwrap();
            let (answers, expected) = (apply(&mut *real, &commits).await, apply(&mut *model, &commits).await);
            prop_assert_eq!(&answers, &expected);
            let all = known(&mut *real).await;
            prop_assert_eq!(&all, &known(&mut *model).await);
            // What was forgotten is the same, and so is what is left.
            let before = seconds_past_noon(forgotten);
            let counts = (real.lake_index().forget_keys(before).await.unwrap(), model.lake_index().forget_keys(before).await.unwrap());
            prop_assert_eq!(counts.0, counts.1);
            prop_assert_eq!(known(&mut *real).await, known(&mut *model).await);
            // What is rebuilt from the commits that counted is what there was.
            let counted: Vec<Commit> = commits.iter().zip(&answers).filter(|(_, new)| **new).map(|(c, _)| c.clone()).collect();
            real.lake_index().clear(&project_id("p1")).await.unwrap();
            prop_assert!(apply(&mut *real, &counted).await.iter().all(|new| *new));
            prop_assert_eq!(known(&mut *real).await, all);
            Ok(())
        })?;
    });
}
