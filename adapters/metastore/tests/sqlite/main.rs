//! The SQLite adapter against its contract, and against what only a file on a disk can do to it.
#![expect(clippy::unwrap_used, reason = "tests may panic, also outside of functions marked as tests")]

mod faults;
mod history;
mod model;
mod opening;
mod turns;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use gadwall_application::testing::builders::project;
use gadwall_domain::ports::metadata::MetadataStore;
use gadwall_metastore::{SqliteConfig, SqliteMetadata};
use sqlx::ConnectOptions as _;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use tempfile::TempDir;

fn database(folder: &TempDir) -> PathBuf {
    folder.path().join("metadata.sqlite")
}

fn config(path: &Path) -> SqliteConfig {
    SqliteConfig {
        path: path.to_owned(),
        max_readers: 3,
        acquire_timeout: Duration::from_secs(20),
        busy_timeout: Duration::from_secs(5),
    }
}

/// A new store, and the folder that it is in.
async fn fresh() -> (Arc<SqliteMetadata>, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteMetadata::open(config(&database(&folder))).await.unwrap();
    (Arc::new(store), folder)
}

/// A connection of somebody else's.
async fn stranger(folder: &TempDir) -> SqliteConnection {
    SqliteConnectOptions::new().filename(database(folder)).connect().await.unwrap()
}

async fn insert(store: &dyn MetadataStore, id: &str) {
    let mut tx = store.write().await.unwrap();
    tx.projects().insert(&project(id)).await.unwrap();
    tx.commit().await.unwrap();
}

mod contract {
    use super::{Arc, MetadataStore, TempDir};

    async fn fresh() -> (Arc<dyn MetadataStore>, TempDir) {
        let (store, folder) = super::fresh().await;
        (store, folder)
    }

    gadwall_application::metadata_contract!(fresh().await);
}
