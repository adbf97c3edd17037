//! Many writers at once.

use std::collections::BTreeSet;
use std::sync::Arc;

use gadwall_domain::ids::SnapshotId;
use gadwall_domain::ports::lake::{Committed, Lake, LakeWrite, WriteError};
use gadwall_domain::schema::TableSchema;

use super::{LAKE, Preview, bucket_names, fresh_lake, make_table, stored};
use crate::testing::builders::{bucket, column, lake, origin, rows, schema, table};

/// Appends one row and makes one bucket for each number, all at once; answers what the appends got.
async fn all_at_once(store: &Arc<dyn Lake>, shape: &TableSchema, numbers: usize) -> Vec<Committed> {
    let running: Vec<_> = (0..numbers)
        .flat_map(|number| {
            let value = number.to_string();
            let rows = rows(["id"], &[[Some(value.as_str())]]);
            let append = LakeWrite::append(table("t"), shape.clone(), rows);
            let make = LakeWrite::CreateBucket { bucket: bucket(&format!("b{number:02}")), description: None };
            [(format!("append-{number}"), append), (format!("make-{number}"), make)]
        })
        .map(|(request, write)| {
            let store = Arc::clone(store);
            tokio::spawn(async move { store.write(lake(LAKE), write, origin(&request)).await })
        })
        .collect();
    let mut answers = Vec::new();
    for writer in running {
        answers.push(writer.await.unwrap().unwrap());
    }
    answers
}

/// Every write that was answered is there, in the snapshot that it was answered with.
pub async fn no_write_is_lost_among_many(store: Arc<dyn Lake>) {
    fresh_lake(&store).await;
    let shape = make_table(&store, "t", schema(vec![column("id", "INTEGER")], &["id"])).await;
    let start = store.head(lake(LAKE)).await.unwrap();
    let answers = all_at_once(&store, &shape, 12).await;
    assert_eq!(stored(&store, "t").await.size.row_count, 12);
    let mut found = Preview::of(&store, "t", 100).await.integers("id");
    found.sort_unstable();
    assert_eq!(found, (0..12).map(Some).collect::<Vec<_>>());
    assert_eq!(bucket_names(&store).await.iter().filter(|name| name.starts_with('b')).count(), 12);
    let commits = store.commits_after(lake(LAKE), start, 100).await.unwrap();
    for (index, answer) in answers.iter().enumerate() {
        let request = format!("{}-{}", ["append", "make"][index % 2], index / 2);
        let said = commits
            .iter()
            .filter(|commit| commit.writes.iter().any(|write| write.origin.request_id.as_str() == request));
        let snapshots: Vec<_> = said.map(|commit| commit.snapshot).collect();
        assert_eq!(snapshots, [answer.snapshot], "{request}");
    }
}

/// Writes may share a snapshot, but none is without and none is left out of what its commit says.
pub async fn many_writes_stand_in_the_snapshots_they_name(store: Arc<dyn Lake>) {
    fresh_lake(&store).await;
    let shape = make_table(&store, "t", schema(vec![column("id", "INTEGER")], &[])).await;
    let start = store.head(lake(LAKE)).await.unwrap().get();
    let answers = all_at_once(&store, &shape, 8).await;
    let snapshots: BTreeSet<u64> = answers.iter().map(|answer| answer.snapshot.get()).collect();
    let head = store.head(lake(LAKE)).await.unwrap().get();
    assert_eq!(snapshots, (start + 1..=head).collect(), "no snapshot without a write, no write without a snapshot");
    let commits = store.commits_after(lake(LAKE), SnapshotId::new(start.cast_signed()).unwrap(), 100).await.unwrap();
    let named: usize = commits.iter().map(|commit| commit.writes.len()).sum();
    assert_eq!(named, answers.len(), "each write is named in the commit that holds it");
}

/// Of many that write the same key one gets through.
pub async fn a_key_is_written_once_by_many(store: Arc<dyn Lake>) {
    fresh_lake(&store).await;
    let shape = make_table(&store, "t", schema(vec![column("id", "INTEGER")], &["id"])).await;
    let running: Vec<_> = (0..8)
        .map(|number| {
            let (store, schema) = (Arc::clone(&store), shape.clone());
            let write = LakeWrite::append(table("t"), schema, rows(["id"], &[[Some("1")]]));
            tokio::spawn(async move { store.write(lake(LAKE), write, origin(&format!("r{number}"))).await })
        })
        .collect();
    let mut written = 0;
    for writer in running {
        match writer.await.unwrap() {
            Ok(_) => written += 1,
            Err(WriteError::DuplicateKeys { count, .. }) => assert_eq!(count, 1),
            Err(other) => panic!("{other:?}"),
        }
    }
    assert_eq!(written, 1);
    assert_eq!(stored(&store, "t").await.size.row_count, 1);
}

/// Of many that make the same table one gets through.
pub async fn a_table_is_made_once_by_many(store: Arc<dyn Lake>) {
    fresh_lake(&store).await;
    let running: Vec<_> = (0..8)
        .map(|number| {
            let store = Arc::clone(&store);
            let shape = schema(vec![column(&format!("c{number}"), "INTEGER")], &[]);
            let write = LakeWrite::create_table(table("t"), shape);
            tokio::spawn(async move { store.write(lake(LAKE), write, origin("r1")).await })
        })
        .collect();
    let mut made = Vec::new();
    for (number, writer) in running.into_iter().enumerate() {
        match writer.await.unwrap() {
            Ok(_) => made.push(format!("c{number}")),
            Err(WriteError::TableExists) => {}
            Err(other) => panic!("{other:?}"),
        }
    }
    assert_eq!(made, [stored(&store, "t").await.columns[0].name.to_string()]);
}
