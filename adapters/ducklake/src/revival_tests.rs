//! An engine that broke for good is opened anew, and nobody has to restart anything.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use futures_util::future::join_all;
use gadwall_application::testing::builders::lake;
use gadwall_domain::ports::operating::EngineControl as _;
use gadwall_domain::ports::system::HealthProbe as _;
use gadwall_domain::query::QueryError;

use crate::engine::OpenError;
use crate::error::lake_error;
use crate::root::{ReopenError, Root};
use crate::testing::{append, config, count, filled, query};
use crate::{EmbeddedLakes, sql};

const LONG: &str = "SELECT range FROM range(1000000000)";
const ENDLESS: &str = "SELECT count(*) FROM range(100000000) a, range(100000000) b WHERE a.range + b.range = 7";

/// Writes what the Parquet writer can't write: a fatal error to the whole engine.
async fn shatter(lakes: &EmbeddedLakes) {
    let catalogs = Arc::clone(&lakes.catalogs);
    let broken = lakes.engine.run(&lakes.engine.staging, move |connection| {
        let _lease = catalogs.lease(connection, lake(3))?;
        let table = format!("{}.main.nanos", sql::catalog(lake(3)));
        let create = format!("CREATE TABLE IF NOT EXISTS {table} (t TIME_NS)");
        connection.execute_batch(&create).map_err(|error| lake_error(&error))?;
        let written = connection.execute_batch(&format!("INSERT INTO {table} VALUES ('10:00:00'::TIME_NS)"));
        let after = connection.execute_batch("SELECT 1");
        Ok([written, after].map(|done| done.unwrap_err().to_string()))
    });
    let [written, after] = broken.await.unwrap();
    assert!(written.contains("TIME_NS") && after.contains("invalidated"), "{written} {after}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_next_query_and_the_next_write_succeed() {
    let (lakes, _dir) = filled().await;
    for round in 1..=3 {
        shatter(&lakes).await;
        assert_eq!(count(&lakes, lake(1)).await, Ok(round));
        append(&lakes, lake(1)).await.unwrap();
        shatter(&lakes).await;
        append(&lakes, lake(2)).await.unwrap();
        assert_eq!(count(&lakes, lake(2)).await, Ok(round + 1));
        assert_eq!(count(&lakes, lake(3)).await, Ok(1), "whose statement it was goes on, too");
        shatter(&lakes).await;
        assert!(lakes.check().await.ok);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_runs_is_stopped_so_that_nobody_waits_for_it() {
    let (lakes, _dir) = filled().await;
    // One reader that doesn't read any further, and a query that would never end.
    let mut stalled = query(&lakes, lake(1), LONG).await.unwrap();
    let endless = query(&lakes, lake(2), ENDLESS);
    let others = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        shatter(&lakes).await;
        let started = Instant::now();
        assert_eq!(count(&lakes, lake(1)).await, Ok(1));
        assert!(started.elapsed() < Duration::from_secs(5), "took {:?}", started.elapsed());
    };
    let (stopped, ()) = tokio::join!(endless, others);
    assert!(matches!(stopped.unwrap_err(), QueryError::Cancelled | QueryError::Engine(_)));
    let last = loop {
        match stalled.rows.batches.next().await {
            Some(Ok(_)) => {}
            last => break last,
        }
    };
    assert!(matches!(last, Some(Err(_))), "half of the rows never look like all of them");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_at_once_no_committed_row_is_lost() {
    let (lakes, dir) = filled().await;
    let mut told = [1, 1];
    for _ in 0..4 {
        let writes = (0..20).map(|number| {
            let lakes = &lakes;
            async move {
                let at = number % 2;
                append(lakes, lake(at as u128 + 1)).await.is_ok().then_some(at)
            }
        });
        let (written, ()) = tokio::join!(join_all(writes), shatter_soon(&lakes));
        written.into_iter().flatten().for_each(|at| told[at] += 1);
    }
    for (number, told) in [(1, told[0]), (2, told[1])] {
        let found = count(&lakes, lake(number)).await.unwrap();
        assert!(found >= told, "{told} rows were told to be written, {found} are there");
        append(&lakes, lake(number)).await.unwrap();
    }
    // The files are those of one engine, whole: a new process reads the same.
    let found = count(&lakes, lake(1)).await.unwrap();
    drop(lakes);
    let lakes = EmbeddedLakes::open(&config(dir.path())).unwrap();
    assert_eq!(count(&lakes, lake(1)).await, Ok(found));
}

async fn shatter_soon(lakes: &EmbeddedLakes) {
    tokio::time::sleep(Duration::from_millis(5)).await;
    shatter(lakes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_engine_that_works_is_opened_anew_once_its_work_is_done() {
    let (lakes, _dir) = filled().await;
    let lakes = Arc::new(lakes);
    assert_eq!(lakes.figures().await.engines, 1);
    let writes = (0..10).map(|_| append(&lakes, lake(1)));
    let (reopened, written) = tokio::join!(lakes.reopen(), join_all(writes));
    assert_eq!(reopened.unwrap(), 1);
    let written = written.into_iter().flatten().count();
    assert_eq!((written, count(&lakes, lake(1)).await), (10, Ok(11)), "work waits, or is waited for");
    assert_eq!(count(&lakes, lake(2)).await, Ok(1));
    assert!(lakes.check().await.ok);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn work_that_does_not_end_is_stopped_before_an_engine_is_opened_anew() {
    let (lakes, _dir) = filled().await;
    let lakes = Arc::new(lakes);
    let stalled = query(&lakes, lake(1), LONG).await.unwrap();
    let endless = query(&lakes, lake(2), ENDLESS);
    let reopening = async {
        // One that comes later waits, and runs on the next engine.
        while lakes.engine.at_work() < 2 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        lakes.reopen().await
    };
    let (stopped, reopened) = tokio::join!(endless, reopening);
    assert!(reopened.is_ok(), "{reopened:?}");
    assert!(stopped.is_err());
    assert_eq!(count(&lakes, lake(1)).await, Ok(1));
    drop(stalled);
}

#[test]
fn an_engine_that_can_not_be_opened_anew_is_told_of_and_tried_again() {
    let away = Arc::new(AtomicBool::new(false));
    let gone = Arc::clone(&away);
    let open = move || {
        if gone.load(Ordering::Relaxed) {
            return Err(OpenError::Folder { folder: "spill", source: std::io::ErrorKind::NotFound.into() });
        }
        Ok(duckdb::Connection::open_in_memory()?)
    };
    let root = Root::new(Box::new(open)).unwrap();
    let keep = "CREATE TABLE kept AS SELECT 1 AS i";
    root.connect().unwrap().execute_batch(keep).unwrap();
    away.store(true, Ordering::Relaxed);
    assert!(matches!(root.reopen(), Err(ReopenError::Failed(_))));
    assert!(root.connect().is_err(), "it is told as it is");
    away.store(false, Ordering::Relaxed);
    let connection = root.connect().unwrap();
    connection.execute_batch(keep).unwrap();
    drop(connection);
    root.reopen().unwrap();
    assert!(root.connect().unwrap().execute_batch("FROM kept").is_err(), "another engine");
}
