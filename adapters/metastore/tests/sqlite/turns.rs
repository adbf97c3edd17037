//! Taking turns: how long a writer waits, and what becomes of one that goes away.

use std::sync::Arc;
use std::time::{Duration, Instant};

use gadwall_application::testing::builders::{project, project_id};
use gadwall_domain::ports::metadata::{MetadataStore, ProjectFilter, StoreError};
use gadwall_metastore::{SqliteConfig, SqliteMetadata};

use crate::{config, database, fresh, insert, stranger};

/// Long enough to open a file on a busy machine, short enough to wait for.
const SHORT: Duration = Duration::from_secs(1);

async fn impatient(folder: &tempfile::TempDir) -> SqliteMetadata {
    let patient = config(&database(folder));
    SqliteMetadata::open(SqliteConfig { max_readers: 1, acquire_timeout: SHORT, busy_timeout: SHORT, ..patient })
        .await
        .unwrap()
}

#[tokio::test]
async fn a_writer_waits_for_its_turn_and_then_gives_up() {
    let folder = tempfile::tempdir().unwrap();
    let store = impatient(&folder).await;
    let first = store.write().await.unwrap();
    assert!(matches!(store.write().await.err(), Some(StoreError::Unavailable(_))));
    // Reading goes on meanwhile.
    assert!(store.read().await.unwrap().projects().find(&project_id("p1")).await.unwrap().is_none());
    drop(first);
    insert(&store, "p1").await;
}

#[tokio::test]
async fn readers_beyond_the_limit_wait_and_then_give_up() {
    let folder = tempfile::tempdir().unwrap();
    let store = impatient(&folder).await;
    let first = store.read().await.unwrap();
    assert!(matches!(store.read().await.err(), Some(StoreError::Unavailable(_))));
    insert(&store, "p1").await;
    drop(first);
    assert!(store.read().await.is_ok());
}

#[tokio::test]
async fn another_process_that_writes_makes_it_unavailable() {
    let folder = tempfile::tempdir().unwrap();
    let store = impatient(&folder).await;
    let mut stranger = stranger(&folder).await;
    sqlx::query("BEGIN IMMEDIATE").execute(&mut stranger).await.unwrap();
    assert!(matches!(store.write().await.err(), Some(StoreError::Unavailable(_))));
    sqlx::query("ROLLBACK").execute(&mut stranger).await.unwrap();
    insert(&store, "p1").await;
}

/// Callers that go away in the middle of anything neither block the next one nor leave half of their work.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_that_goes_away_blocks_nobody() {
    let (store, _folder) = fresh().await;
    let two_projects = |store: Arc<SqliteMetadata>, number: u64| async move {
        let mut tx = store.write().await?;
        for half in ["a", "b"] {
            tx.projects().insert(&project(&format!("p{number}-{half}"))).await?;
        }
        tx.commit().await
    };
    for number in 0..120 {
        let caller = tokio::spawn(two_projects(Arc::clone(&store), number));
        let (start, patience) = (Instant::now(), Duration::from_micros(number * 10));
        while start.elapsed() < patience {
            // A timer is too coarse for this.
            tokio::task::yield_now().await;
        }
        caller.abort();
        let _ = caller.await;
    }
    two_projects(Arc::clone(&store), 1_000).await.unwrap();
    let all = ProjectFilter { status: None, limit: 1_000, offset: 0 };
    let (found, total) = store.read().await.unwrap().projects().list(all).await.unwrap();
    assert_eq!((found.len() as u64, total % 2), (total, 0));
    for project in found {
        let (number, _) = project.id.as_str().split_once('-').unwrap();
        for half in ["a", "b"] {
            let id = project_id(&format!("{number}-{half}"));
            assert!(store.read().await.unwrap().projects().find(&id).await.unwrap().is_some(), "{id}");
        }
    }
}
