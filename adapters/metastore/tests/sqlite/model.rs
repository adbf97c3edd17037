//! Whatever the history of a lake, SQLite knows of it what the index in memory knows.

use std::sync::Arc;

use gadwall_application::testing::MemoryMetadata;
use gadwall_application::testing::builders::{
    bucket, bucket_created, column, commit, project, project_id, schema, table, table_created,
};
use gadwall_domain::commit::{Change, Commit};
use gadwall_domain::history::ReadAt;
use gadwall_domain::ids::SnapshotId;
use gadwall_domain::ports::metadata::{BucketFacts, MetadataStore, MetadataTx, TableFacts};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

fn change() -> impl Strategy<Value = Change> {
    let buckets = || select(vec!["a", "A", "b", "main"]);
    let tables = (buckets(), select(vec!["x", "X", "y"])).prop_map(|(bucket, name)| format!("{bucket}.{name}"));
    let tables = tables.boxed();
    let made = |(name, length): (String, u32)| {
        table_created(&name, &schema(vec![column("id", &format!("VARCHAR({length})"))], &["id"]))
    };
    prop_oneof![
        1 => buckets().prop_map(|name| Change::BucketDropped { bucket: bucket(name) }),
        2 => (buckets(), "[a-z'é]{0,4}").prop_map(|(name, text)| bucket_created(name, Some(&text))),
        2 => tables.clone().prop_map(|name| Change::TableDropped { table: table(&name) }),
        1 => tables.clone().prop_map(|name| Change::RowsAppended { table: table(&name), rows: 1 }),
        5 => (tables, 1..9_u32).prop_map(made),
    ]
}

/// Commits in any order, some of them twice.
fn history() -> impl Strategy<Value = Vec<Commit>> {
    let one = (0..12_u64, vec(change(), 0..4)).prop_map(|(snapshot, changes)| commit(snapshot, changes));
    vec(one, 0..12)
}

type Facts = (SnapshotId, Vec<BucketFacts>, Vec<TableFacts>);

/// What each commit is answered, and what is known in the end, with names as they are spelled.
async fn outcome(tx: &mut dyn MetadataTx, commits: &[Commit]) -> (Vec<bool>, Facts, Vec<String>) {
    let p1 = project_id("p1");
    let mut answers = Vec::new();
    for commit in commits {
        answers.push(tx.lake_index().apply(&p1, commit).await.unwrap());
    }
    let index = tx.lake_index();
    let applied = index.applied(&p1).await.unwrap();
    let (buckets, tables) =
        (index.buckets(&p1, ReadAt::Head).await.unwrap(), index.tables(&p1, None, ReadAt::Head).await.unwrap());
    for facts in &tables {
        assert_eq!(index.table(&p1, &facts.table, ReadAt::Head).await.unwrap().as_ref(), Some(facts));
    }
    let names = buckets.iter().map(|facts| facts.bucket.to_string());
    let names = names.chain(tables.iter().map(|facts| facts.table.to_string())).collect();
    (answers, (applied, buckets, tables), names)
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
    proptest!(ProptestConfig::with_cases(150), |(commits in history())| {
        runtime.block_on(async {
            // Neither is committed, so that the next case starts from nothing again.
            let mut real = sqlite.write().await.unwrap();
            let mut model = MemoryMetadata::default().write().await.unwrap();
            model.projects().insert(&project("p1")).await.unwrap();
            let (known, expected) = (outcome(&mut *real, &commits).await, outcome(&mut *model, &commits).await);
            prop_assert_eq!(&known, &expected);
            // What is rebuilt from the commits that counted is the same.
            let counted: Vec<Commit> = commits.iter().zip(&known.0).filter(|(_, new)| **new).map(|(c, _)| c.clone()).collect();
            real.lake_index().clear(&project_id("p1")).await.unwrap();
            let rebuilt = outcome(&mut *real, &counted).await;
            prop_assert_eq!((rebuilt.1, rebuilt.2), (known.1, known.2));
            Ok(())
        })?;
    });
}
