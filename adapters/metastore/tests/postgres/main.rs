//! The PostgreSQL adapter against its contract, and against what other servers and an operator can do to it.
#![expect(clippy::unwrap_used, reason = "tests may panic, also outside of functions marked as tests")]

mod copying;
mod opening;
mod outages;
mod replicas;
mod schema;

use std::sync::Arc;
use std::time::Duration;

use gadwall_application::testing::builders::project;
use gadwall_domain::ports::metadata::MetadataStore;
use gadwall_metastore::{PostgresConfig, PostgresMetadata};
use gadwall_test_services::{Database, Postgres};
use sqlx::{Connection as _, PgConnection};

fn config(url: &str) -> PostgresConfig {
    PostgresConfig {
        url: url.to_owned(),
        max_connections: 5,
        acquire_timeout: Duration::from_secs(20),
        statement_timeout: Duration::from_secs(20),
        idle_timeout: Duration::from_mins(1),
        max_lifetime: Duration::from_mins(1),
    }
}

async fn open(url: &str) -> Arc<PostgresMetadata> {
    Arc::new(PostgresMetadata::open(&config(url)).await.unwrap())
}

/// A new store, and the database that it is in.
async fn fresh() -> (Arc<PostgresMetadata>, Database) {
    let database = Postgres::database().await.unwrap();
    (open(database.url()).await, database)
}

/// A connection of somebody else's.
async fn stranger(url: &str) -> PgConnection {
    PgConnection::connect(url).await.unwrap()
}

async fn insert(store: &dyn MetadataStore, id: &str) {
    let mut tx = store.write().await.unwrap();
    tx.projects().insert(&project(id)).await.unwrap();
    tx.commit().await.unwrap();
}

mod contract {
    use super::{Arc, Database, MetadataStore};

    async fn fresh() -> (Arc<dyn MetadataStore>, Database) {
        let (store, database) = super::fresh().await;
        (store, database)
    }

    gadwall_application::metadata_contract!(fresh().await);
}

mod turns {
    use gadwall_domain::ports::turns::Turns;
    use gadwall_metastore::PostgresTurns;

    use super::{Arc, Database, Postgres, config};

    async fn fresh() -> ([Arc<dyn Turns>; 2], Database) {
        let database = Postgres::database().await.unwrap();
        let turns = || Arc::new(PostgresTurns::new(&config(database.url())).unwrap()) as _;
        ([turns(), turns()], database)
    }

    gadwall_application::turns_contract!(fresh().await);
}
