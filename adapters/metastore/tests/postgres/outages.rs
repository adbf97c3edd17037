//! A server that is stopped, killed or busy: an error that says so, in time; and all is well when it is back.

use std::time::{Duration, Instant};

use gadwall_application::testing::builders::{project, project_id};
use gadwall_domain::ports::metadata::{MetadataStore, StoreError};
use gadwall_domain::ports::system::HealthProbe as _;
use gadwall_metastore::{PostgresConfig, PostgresMetadata};
use gadwall_test_services::{Postgres, PostgresProcess};
use sqlx::Connection as _;

use crate::{config, insert, stranger};

fn impatient(url: &str) -> PostgresConfig {
    let patience = Duration::from_secs(1);
    PostgresConfig { acquire_timeout: patience, statement_timeout: patience, max_connections: 2, ..config(url) }
}

fn unavailable<T>(result: Result<T, StoreError>) {
    assert!(matches!(result, Err(StoreError::Unavailable(_))), "{:?}", result.err());
}

async fn found(store: &dyn MetadataStore, id: &str) -> bool {
    store.read().await.unwrap().projects().find(&project_id(id)).await.unwrap().is_some()
}

#[tokio::test]
async fn a_server_that_was_away_is_used_again() {
    let mut server = PostgresProcess::durable().await.unwrap();
    let store = PostgresMetadata::open(&impatient(server.url())).await.unwrap();
    insert(&store, "p1").await;
    assert!(store.check().await.ok);
    for (stop, again) in [(PostgresProcess::stop as fn(&mut _) -> _, "p2"), (PostgresProcess::kill, "p3")] {
        let mut reading = store.read().await.unwrap();
        assert!(reading.projects().find(&project_id("p1")).await.unwrap().is_some());
        let mut writing = store.write().await.unwrap();
        writing.projects().insert(&project("lost")).await.unwrap();
        stop(&mut server).unwrap();
        unavailable(reading.projects().find(&project_id("p1")).await);
        unavailable(writing.commit().await);
        drop(reading);
        unavailable(store.read().await.map(drop));
        unavailable(store.write().await.map(drop));
        assert!(!store.check().await.ok);
        server.start_again().await.unwrap();
        assert!(found(&store, "p1").await);
        assert!(!found(&store, "lost").await);
        assert!(store.check().await.ok);
        insert(&store, again).await;
    }
}

#[tokio::test]
async fn too_many_readers_are_turned_away_in_time() {
    let database = Postgres::database().await.unwrap();
    let store = PostgresMetadata::open(&impatient(database.url())).await.unwrap();
    let first = store.read().await.unwrap();
    let asked = Instant::now();
    unavailable(store.read().await.map(drop));
    assert!(asked.elapsed() < Duration::from_secs(10));
    // Writers have a connection of their own.
    insert(&store, "p1").await;
    drop(first);
    assert!(found(&store, "p1").await);
}

#[tokio::test]
async fn whoever_waits_too_long_for_a_turn_is_turned_away() {
    let database = Postgres::database().await.unwrap();
    let patient = Duration::from_secs(20);
    let config = PostgresConfig { statement_timeout: patient, ..impatient(database.url()) };
    let one = PostgresMetadata::open(&config).await.unwrap();
    let other = PostgresMetadata::open(&config).await.unwrap();
    let turn = one.write().await.unwrap();
    // In the same process, and in another.
    unavailable(one.write().await.map(drop));
    unavailable(other.write().await.map(drop));
    drop(turn);
    insert(&other, "p1").await;
    insert(&one, "p2").await;
}

#[tokio::test]
async fn a_unit_of_work_that_stands_still_loses_its_turn() {
    let database = Postgres::database().await.unwrap();
    let one = PostgresMetadata::open(&impatient(database.url())).await.unwrap();
    let other = PostgresMetadata::open(&config(database.url())).await.unwrap();
    let mut stuck = one.write().await.unwrap();
    stuck.projects().insert(&project("stuck")).await.unwrap();
    insert(&other, "p1").await;
    unavailable(stuck.commit().await);
    assert!(!found(&one, "stuck").await && found(&one, "p1").await);
}

#[tokio::test]
async fn a_statement_that_takes_too_long_is_ended() {
    let database = Postgres::database().await.unwrap();
    let store = PostgresMetadata::open(&impatient(database.url())).await.unwrap();
    let mut stranger = stranger(database.url()).await;
    let mut lock = stranger.begin().await.unwrap();
    sqlx::query("LOCK TABLE projects").execute(&mut *lock).await.unwrap();
    unavailable(store.read().await.unwrap().projects().find(&project_id("p1")).await);
    lock.rollback().await.unwrap();
    assert!(!found(&store, "p1").await);
}

#[tokio::test]
async fn what_failed_can_not_be_committed() {
    let database = Postgres::database().await.unwrap();
    let store = PostgresMetadata::open(&config(database.url())).await.unwrap();
    insert(&store, "p1").await;
    let mut tx = store.write().await.unwrap();
    tx.projects().insert(&project("p2")).await.unwrap();
    assert!(matches!(tx.projects().insert(&project("p1")).await, Err(StoreError::AlreadyExists)));
    assert!(matches!(tx.commit().await, Err(StoreError::Fault(_))));
    assert!(!found(&store, "p2").await);
}
