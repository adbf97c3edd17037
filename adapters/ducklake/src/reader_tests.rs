//! Queries go on in a transaction of an earlier one, and nobody can tell but by the clock.

use std::collections::BTreeSet;
use std::time::Duration;

use arrow::array::AsArray as _;
use arrow::datatypes::DataType;
use futures_util::StreamExt as _;
use gadwall_application::testing::builders::{lake, table};
use gadwall_domain::history::ReadAt;
use gadwall_domain::ids::LakeId;
use gadwall_domain::ports::lake::{LakeStore as _, TableReader as _};
use gadwall_domain::ports::operating::EngineControl as _;
use gadwall_domain::selection::Selection;

use crate::EmbeddedLakes;
use crate::testing::{append, config, count, filled, query};

/// The first value of a query's answer, and what it scanned, if that was measured.
async fn value(lakes: &EmbeddedLakes, lake: LakeId, sql: &str) -> (String, Option<u64>) {
    let mut output = query(lakes, lake, sql).await.unwrap();
    let batch = output.rows.batches.next().await.unwrap().unwrap();
    assert!(output.rows.batches.next().await.is_none());
    let text = arrow::compute::cast(batch.column(0), &DataType::Utf8).unwrap();
    let scanned = output.figures.get().unwrap().profile.map(|profile| profile.rows_scanned);
    (text.as_string::<i32>().value(0).to_owned(), scanned)
}

/// Waits until so many transactions wait for a next query: they come back after the answer.
async fn waiting(lakes: &EmbeddedLakes, expected: usize) {
    for _ in 0..500 {
        if lakes.engine.readers() == expected && lakes.engine.at_work() == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    panic!("{} transactions wait, not {expected}", lakes.engine.readers());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn queries_and_previews_share_a_transaction_until_a_commit() {
    let (lakes, _dir) = filled().await;
    waiting(&lakes, 0).await;
    for _ in 0..3 {
        assert_eq!(count(&lakes, lake(1)).await, Ok(1));
        waiting(&lakes, 1).await;
    }
    let preview = lakes.rows(lake(1), &table("t"), Selection::default(), ReadAt::Head, Duration::from_secs(9)).await;
    assert_eq!(preview.unwrap().0.batches.next().await.unwrap().unwrap().num_rows(), 1);
    waiting(&lakes, 1).await;
    assert_eq!(count(&lakes, lake(2)).await, Ok(1));
    waiting(&lakes, 2).await;
    append(&lakes, lake(1)).await.unwrap();
    waiting(&lakes, 1).await;
    assert_eq!((count(&lakes, lake(1)).await, count(&lakes, lake(2)).await), (Ok(2), Ok(1)));
    waiting(&lakes, 2).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(count(&lakes, lake(1)).await, Ok(2));
    waiting(&lakes, 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_answered_write_is_seen_by_every_query_after_it() {
    let (lakes, _dir) = filled().await;
    for written in 2..40 {
        let readers = async {
            for _ in 0..4 {
                let found = count(&lakes, lake(1)).await.unwrap();
                assert!((written - 1..=written).contains(&found), "{found} of {written}");
            }
        };
        let (done, ..) = tokio::join!(append(&lakes, lake(1)), readers, count(&lakes, lake(1)));
        done.unwrap();
        let all = tokio::join!(count(&lakes, lake(1)), count(&lakes, lake(1)), count(&lakes, lake(1)));
        assert_eq!(all, (Ok(written), Ok(written), Ok(written)));
    }
    assert!(lakes.engine.readers() <= 8);
}

/// Also in a transaction that has not looked at the lake yet.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn rows_are_of_the_snapshot_that_is_told() {
    let (lakes, _dir) = filled().await;
    let first = lakes.head(lake(1)).await.unwrap().get();
    // The gate takes so long for it that writes commit meanwhile.
    let long = " OR id = 2".repeat(1_000);
    for round in 0..20_u64 {
        value(&lakes, lake(1), "SELECT 42").await;
        waiting(&lakes, 1).await;
        let reading = async {
            let sql = format!("SELECT id, {round} FROM t WHERE id = 1{long}");
            let mut output = query(&lakes, lake(1), &sql).await.unwrap();
            let mut rows = 0;
            while let Some(batch) = output.rows.batches.next().await {
                rows += batch.unwrap().num_rows() as u64;
            }
            assert_eq!(rows, output.snapshot.get() - first + 1, "in round {round}");
        };
        let (written, ()) = tokio::join!(append(&lakes, lake(1)), reading);
        written.unwrap();
        assert_eq!(lakes.head(lake(1)).await.unwrap().get(), first + round + 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_says_the_time_or_rolls_dice_has_a_transaction_of_its_own() {
    let (lakes, _dir) = filled().await;
    for sql in [
        "SELECT CAST(now() AS VARCHAR) FROM t",
        "SELECT random() FROM t",
        "SELECT CAST(get_current_timestamp() AS VARCHAR)",
    ] {
        let mut told = BTreeSet::new();
        for _ in 0..3 {
            count(&lakes, lake(1)).await.unwrap();
            waiting(&lakes, 1).await;
            told.insert(value(&lakes, lake(1), sql).await.0);
            waiting(&lakes, 0).await;
        }
        assert_eq!(told.len(), 3, "{sql}: {told:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_went_wrong_or_was_left_is_not_gone_on_with() {
    let (lakes, _dir) = filled().await;
    count(&lakes, lake(1)).await.unwrap();
    waiting(&lakes, 1).await;
    let failed = query(&lakes, lake(1), "SELECT CAST('no' || id AS INTEGER) FROM t").await;
    assert!(failed.is_err());
    waiting(&lakes, 0).await;
    count(&lakes, lake(1)).await.unwrap();
    waiting(&lakes, 1).await;
    let left = query(&lakes, lake(1), "SELECT a.id FROM t a, range(1000000000)").await.unwrap();
    drop(left);
    waiting(&lakes, 0).await;
    assert_eq!(count(&lakes, lake(1)).await, Ok(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn figures_are_of_the_query_alone() {
    let (lakes, _dir) = filled().await;
    let of_all = [
        ("SELECT id FROM t WHERE id > 0", "1", Some(1)),
        ("SELECT 42", "42", Some(0)),
        ("SELECT a.id FROM t a, t b", "1", Some(2)),
        // Answered from statistics: the engine says nothing.
        ("SELECT count(*) FROM t", "1", None),
    ];
    for (number, (sql, answer, scanned)) in of_all.into_iter().chain(of_all).enumerate() {
        assert_eq!(value(&lakes, lake(1), sql).await, (answer.to_owned(), scanned), "{sql}, number {number}");
        waiting(&lakes, 1).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lakes_come_and_go_beside_open_transactions() {
    let (lakes, dir) = filled().await;
    for number in 1..=3 {
        count(&lakes, lake(number)).await.unwrap();
    }
    waiting(&lakes, 3).await;
    lakes.remove(lake(1)).await.unwrap();
    waiting(&lakes, 2).await;
    assert!(!dir.path().join("lakes").join(lake(1).uuid().simple().to_string()).exists());
    lakes.create(lake(1)).await.unwrap();
    lakes.catalogs.reopen(lake(2));
    assert_eq!(count(&lakes, lake(2)).await, Ok(1));
    waiting(&lakes, 2).await;
    let lakes = std::sync::Arc::new(lakes);
    lakes.reopen().await.unwrap();
    waiting(&lakes, 0).await;
    assert_eq!(count(&lakes, lake(3)).await, Ok(1));
    waiting(&lakes, 1).await;
    drop(lakes);
    // Nothing holds the files any more.
    let lakes = EmbeddedLakes::open(&config(dir.path())).unwrap();
    assert_eq!(count(&lakes, lake(3)).await, Ok(1));
    assert_eq!(value(&lakes, lake(3), "SELECT CAST(sum(id) AS BIGINT) FROM t").await.0, "1");
}
