//! Many writers of different kinds at once.

use std::sync::Arc;

use arrow_array::RecordBatch;
use futures_util::TryStreamExt as _;
use gadwall_domain::history::{Expected, ReadAt};
use gadwall_domain::ids::SnapshotId;
use gadwall_domain::ports::lake::{Lake, LakeWrite, LoadMode, WriteError};
use gadwall_domain::selection::Selection;

use super::{
    LAKE, PATIENCE, append, delete_write, fresh_lake, head, load_write, make_table, rows_at, rows_of, stored,
    update_write,
};
use crate::testing::builders::{assign, column, equals, lake, origin, rows, schema, table};

type Answer = Result<gadwall_domain::ports::lake::Committed, WriteError>;

/// Sends all writes at once; answers what each got, in their order.
async fn at_once(store: &Arc<dyn Lake>, writes: Vec<LakeWrite>) -> Vec<Answer> {
    let running: Vec<_> = writes
        .into_iter()
        .enumerate()
        .map(|(number, write)| {
            let store = Arc::clone(store);
            tokio::spawn(async move { store.write(lake(LAKE), write, origin(&format!("r{number}"))).await })
        })
        .collect();
    let mut answers = Vec::new();
    for running in running {
        answers.push(running.await.unwrap());
    }
    answers
}

/// Of many upserts of one key each is counted, and the one of the last snapshot stays.
pub async fn the_last_of_many_upserts_stays(store: Arc<dyn Lake>) {
    fresh_lake(&store).await;
    let shape = make_table(&store, "t", schema(vec![column("id", "INTEGER"), column("v", "INTEGER")], &["id"])).await;
    let one = |number: usize| {
        let value = number.to_string();
        load_write(&shape, LoadMode::Upsert, rows(["id", "v"], &[[Some("1"), Some(value.as_str())]]))
    };
    let answers: Vec<_> = at_once(&store, (0..8).map(one).collect()).await.into_iter().map(Result::unwrap).collect();
    let counted =
        |of: fn(&gadwall_domain::commit::RowCounts) -> u64| answers.iter().map(|done| of(&done.rows)).sum::<u64>();
    assert_eq!((counted(|rows| rows.inserted), counted(|rows| rows.updated)), (1, 7));
    let commits = store.commits_after(lake(LAKE), SnapshotId::ZERO, 100).await.unwrap();
    let last = commits.last().unwrap().writes.last().unwrap().origin.request_id.clone();
    assert_eq!(rows_of(&store, "t").await, [format!("1|{}", &last.as_str()[1..])]);
}

/// Rows written by many in different ways are all there, and nothing else is.
pub async fn writes_of_different_kinds_lose_nothing(store: Arc<dyn Lake>) {
    fresh_lake(&store).await;
    let shape = make_table(&store, "t", schema(vec![column("id", "INTEGER"), column("v", "INTEGER")], &["id"])).await;
    append(&store, "t", &shape, rows(["id", "v"], &[[Some("100"), Some("0")], [Some("200"), Some("0")]])).await;
    let mut writes = Vec::new();
    for number in 0..6 {
        let key = number.to_string();
        let row = |shift: usize| {
            let key = (number + shift).to_string();
            rows(["id", "v"], &[[Some(key.as_str()), Some("1")]])
        };
        writes.push(load_write(&shape, LoadMode::Append, row(0)));
        writes.push(load_write(&shape, LoadMode::Upsert, row(10)));
        writes.push(update_write(&shape, Some(equals("id", "100")), vec![assign("v", Some(&key))]));
        writes.push(delete_write(&shape, Some(equals("id", "200"))));
    }
    let answers: Vec<_> = at_once(&store, writes).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(answers.iter().map(|done| done.rows.inserted).sum::<u64>(), 12);
    assert_eq!(answers.iter().map(|done| done.rows.updated).sum::<u64>(), 6);
    assert_eq!(answers.iter().map(|done| done.rows.deleted).sum::<u64>(), 1, "a row is deleted once");
    let found = rows_of(&store, "t").await;
    let mut expected: Vec<String> =
        (0..6).flat_map(|number| [format!("{number}|1"), format!("{}|1", number + 10)]).collect();
    expected.extend(found.iter().filter(|line| line.starts_with("100|")).cloned());
    expected.sort();
    assert_eq!(found, expected);
    assert_eq!(found.len(), 13);
    // Each version holds what was there after its writes.
    for answer in answers {
        let count = rows_at(&store, "t", ReadAt::Snapshot(answer.snapshot)).await.len();
        assert!((1..=14).contains(&count), "{count}");
    }
}

/// Of many that expect the same version one gets through; nobody's change is overwritten unseen.
pub async fn one_of_many_with_the_same_expectation_gets_through(store: Arc<dyn Lake>) {
    fresh_lake(&store).await;
    let shape = make_table(&store, "t", schema(vec![column("id", "INTEGER")], &[])).await;
    append(&store, "t", &shape, rows(["id"], &[[Some("0")]])).await;
    let version = stored(&store, "t").await.version;
    let expected = Expected { schema: Some(version.schema), rows: Some(version.rows) };
    let write = |number: usize| {
        let (table, schema, value) = (table("t"), shape.clone(), number.to_string());
        let rows = rows(["id"], &[[Some(value.as_str())]]);
        let modes = [LoadMode::Append, LoadMode::Replace];
        match number % 3 {
            2 => LakeWrite::Update { table, schema, filter: None, set: vec![assign("id", Some(&value))], expected },
            mode => LakeWrite::Load { table, schema, mode: modes[mode], rows, expected },
        }
    };
    let before = head(&store).await.get();
    let answers = at_once(&store, (1..10).map(write).collect()).await;
    let done = answers.iter().filter(|answer| answer.is_ok()).count();
    let stale = answers.iter().filter(|answer| matches!(answer, Err(WriteError::NotExpected { .. }))).count();
    assert_eq!((done, stale), (1, 8), "{answers:?}");
    assert_eq!(head(&store).await.get(), before + 1);
}

/// Whoever reads while others write is told the snapshot that the rows are of, not one shortly before it.
pub async fn rows_are_of_the_snapshot_that_is_told(store: Arc<dyn Lake>) {
    fresh_lake(&store).await;
    let shape = make_table(&store, "t", schema(vec![column("id", "INTEGER")], &[])).await;
    let before = head(&store).await.get();
    let writer = {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            for number in 0..40 {
                let number = number.to_string();
                append(&store, "t", &shape, rows(["id"], &[[Some(number.as_str())]])).await;
            }
        })
    };
    let reader = || {
        let store = Arc::clone(&store);
        let is_over = writer.abort_handle();
        tokio::spawn(async move {
            while !is_over.is_finished() {
                let read = store.rows(lake(LAKE), &table("t"), Selection::default(), ReadAt::Head, PATIENCE).await;
                let (rows, snapshot) = read.unwrap();
                let batches: Vec<RecordBatch> = rows.batches.try_collect().await.unwrap();
                let found: usize = batches.iter().map(RecordBatch::num_rows).sum();
                assert_eq!(found as u64, snapshot.get() - before, "each commit adds a row");
            }
        })
    };
    for reader in [reader(), reader(), reader()] {
        reader.await.unwrap();
    }
    writer.await.unwrap();
}
