//! The metadata store on SQLite.
//!
//! One connection writes, so writers wait their turn instead of failing; a few others read, each unit of
//! work a consistent state. What is acknowledged survives a power loss.
#![deny(missing_docs)]

mod audit;
mod error;
mod events;
mod idempotency;
mod keys;
mod lake_index;
mod open;
mod operations;
#[cfg(test)]
mod plans;
mod projects;
mod queries;
mod rows;
mod tags;
mod tx;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use gadwall_domain::ports::metadata::{MetadataStore, MetadataTx, StoreError};
use gadwall_domain::ports::system::{Health, HealthProbe};
use sqlx::SqlitePool;

pub use error::OpenError;
pub use open::SqliteConfig;

use crate::error::store_error;
use crate::tx::SqliteTx;

/// A health check must answer quickly or not at all.
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);

/// Metadata in one SQLite file.
pub struct SqliteMetadata {
    writer: SqlitePool,
    readers: SqlitePool,
    access_version: Arc<AtomicU64>,
}

impl fmt::Debug for SqliteMetadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SqliteMetadata")
    }
}

impl SqliteMetadata {
    /// Opens the file, making it if it isn't there (its folder must be), and brings it up to date.
    pub async fn open(config: SqliteConfig) -> Result<Self, OpenError> {
        let (writer, readers) = open::pools(&config).await?;
        Ok(Self { writer, readers, access_version: Arc::default() })
    }

    /// Waits for what is under way and closes the file. Later calls answer `Unavailable`.
    pub async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}

#[async_trait]
impl MetadataStore for SqliteMetadata {
    async fn read(&self) -> Result<Box<dyn MetadataTx>, StoreError> {
        let tx = self.readers.begin().await.map_err(store_error)?;
        Ok(Box::new(SqliteTx::reading(tx)))
    }

    async fn write(&self) -> Result<Box<dyn MetadataTx>, StoreError> {
        // Taking the write lock at once: a transaction that starts by reading could not be promoted later.
        let tx = self.writer.begin_with("BEGIN IMMEDIATE").await.map_err(store_error)?;
        Ok(Box::new(SqliteTx::writing(tx, Arc::clone(&self.access_version))))
    }

    fn access_version(&self) -> Option<u64> {
        Some(self.access_version.load(Ordering::Acquire))
    }
}

#[async_trait]
impl HealthProbe for SqliteMetadata {
    async fn check(&self) -> Health {
        let look = sqlx::query("SELECT count(*) FROM projects").fetch_one(&self.readers);
        let detail = match tokio::time::timeout(PROBE_TIMEOUT, look).await {
            Ok(Ok(_)) => None,
            Ok(Err(error)) => {
                tracing::warn!(error = %error, "the metadata store's health check failed");
                Some("the metadata store can't be read".to_owned())
            }
            Err(_) => Some("the metadata store did not answer in time".to_owned()),
        };
        Health { name: "metadata", ok: detail.is_none(), detail }
    }
}
