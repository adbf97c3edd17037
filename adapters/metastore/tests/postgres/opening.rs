//! Opening a database: a new one, one's own, one from the future, one that isn't ours, and none.

use std::error::Error as _;
use std::time::Duration;

use gadwall_application::testing::builders::project_id;
use gadwall_domain::ports::metadata::MetadataStore as _;
use gadwall_metastore::{ConnectError, PostgresConfig, PostgresMetadata};
use gadwall_test_services::{Postgres, free_port};
use tokio::task::JoinSet;

use crate::{config, fresh, insert, open, stranger};

#[tokio::test]
async fn what_was_committed_is_there_after_opening_again() {
    let (store, database) = fresh().await;
    insert(&*store, "p1").await;
    store.close().await;
    let store = open(database.url()).await;
    assert!(store.read().await.unwrap().projects().find(&project_id("p1")).await.unwrap().is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_that_start_at_once_bring_it_up_to_date_once() {
    let database = Postgres::database().await.unwrap();
    let mut starting = JoinSet::new();
    for _ in 0..8 {
        let config = config(database.url());
        starting.spawn(async move { PostgresMetadata::open(&config).await });
    }
    let stores = starting.join_all().await;
    for (number, store) in stores.into_iter().enumerate() {
        insert(&store.unwrap(), &format!("p{number}")).await;
    }
    let applied = sqlx::query("SELECT 1 FROM _sqlx_migrations").fetch_all(&mut stranger(database.url()).await).await;
    assert_eq!(applied.unwrap().len(), 19);
}

#[tokio::test]
async fn a_newer_database_is_refused_and_left_alone() {
    let (store, database) = fresh().await;
    store.close().await;
    let mut stranger = stranger(database.url()).await;
    let newer = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
                 VALUES (9999, 'from the future', true, '\\x00', 0)";
    sqlx::query(newer).execute(&mut stranger).await.unwrap();
    let refused = PostgresMetadata::open(&config(database.url())).await;
    assert!(matches!(refused, Err(ConnectError::Newer(9999))), "{refused:?}");
    // Nor does whoever was refused keep others out.
    sqlx::query("DELETE FROM _sqlx_migrations WHERE version = 9999").execute(&mut stranger).await.unwrap();
    open(database.url()).await;
}

#[tokio::test]
async fn a_database_of_another_making_is_refused() {
    let (store, database) = fresh().await;
    store.close().await;
    let changed = "UPDATE _sqlx_migrations SET checksum = '\\x00' WHERE version = 1";
    sqlx::query(changed).execute(&mut stranger(database.url()).await).await.unwrap();
    let refused = PostgresMetadata::open(&config(database.url())).await;
    assert!(matches!(refused, Err(ConnectError::Foreign(1))), "{refused:?}");
}

/// All that an operator gets to read of an error.
fn told(error: &ConnectError) -> String {
    let mut told = format!("{error} {error:?}");
    let mut source = error.source();
    while let Some(error) = source {
        told = format!("{told} {error} {error:?}");
        source = error.source();
    }
    told
}

#[tokio::test]
async fn why_a_server_is_not_reached_is_told_without_its_address() {
    let database = Postgres::database().await.unwrap();
    let (start, place) = database.url().rsplit_once('@').unwrap();
    let (address, _) = database.url().rsplit_once('/').unwrap();
    let (user, _) = start.rsplit_once(':').unwrap();
    let nobody = format!("{user}:hunter2@127.0.0.1:{}/hidden", free_port().unwrap());
    for (url, expected) in [
        (format!("{user}:hunter2@{place}"), "refuses the user or the password"),
        (format!("{address}/hidden"), "has no database of that name"),
        (nobody, "does not answer in time"),
        ("hunter2".to_owned(), "is not of the form"),
        ("mysql://user:hunter2@hidden/x".to_owned(), "is not of the form"),
        ("postgres://user:hunter2@hidden:port/x".to_owned(), "is not of the form"),
    ] {
        let impatient = PostgresConfig { acquire_timeout: Duration::from_secs(2), ..config(&url) };
        let error = PostgresMetadata::open(&impatient).await.unwrap_err();
        let told = told(&error);
        assert!(told.contains(expected), "{told}");
        for secret in ["hunter2", "swordfish", "hidden", "127.0.0.1"] {
            assert!(!told.contains(secret), "{told}");
        }
        assert!(!format!("{:?}", config(&url)).contains("hunter2"));
    }
}
