//! Metadata on SQLite.
//!
//! One connection writes, so writers wait their turn instead of failing; a few others read, each unit of
//! work a consistent state. What is acknowledged survives a power loss.

mod error;
mod open;
#[cfg(test)]
mod plans;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use gadwall_domain::ports::metadata::{MetadataStore, MetadataTx, StoreError};
use gadwall_domain::ports::operating::{PoolFigures, PoolMonitor};
use gadwall_domain::ports::system::{Health, HealthProbe};
use sqlx::SqlitePool;

pub use error::OpenError;
pub(crate) use error::store_error;
pub use open::SqliteConfig;

use crate::tx::SqlTx;
use crate::{health, pools};

/// Metadata in one SQLite file.
pub struct SqliteMetadata {
    writer: SqlitePool,
    pub(crate) readers: SqlitePool,
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

impl SqliteMetadata {
    pub(crate) async fn read_tx(&self) -> Result<SqlTx, StoreError> {
        let tx = self.readers.begin().await.map_err(store_error)?;
        Ok(SqlTx::sqlite(tx, None))
    }

    pub(crate) async fn write_tx(&self) -> Result<SqlTx, StoreError> {
        // Taking the write lock at once: a transaction that starts by reading could not be promoted later.
        let tx = self.writer.begin_with("BEGIN IMMEDIATE").await.map_err(store_error)?;
        Ok(SqlTx::sqlite(tx, Some(Arc::clone(&self.access_version))))
    }
}

#[async_trait]
impl MetadataStore for SqliteMetadata {
    async fn read(&self) -> Result<Box<dyn MetadataTx>, StoreError> {
        Ok(Box::new(self.read_tx().await?))
    }

    #[tracing::instrument(name = "metadata.turn", skip_all)]
    async fn write(&self) -> Result<Box<dyn MetadataTx>, StoreError> {
        Ok(Box::new(self.write_tx().await?))
    }

    fn access_version(&self) -> Option<u64> {
        Some(self.access_version.load(Ordering::Acquire))
    }
}

#[async_trait]
impl HealthProbe for SqliteMetadata {
    async fn check(&self) -> Health {
        health::of(sqlx::query(health::LOOK).fetch_one(&self.readers)).await
    }
}

impl PoolMonitor for SqliteMetadata {
    fn pools(&self) -> Vec<PoolFigures> {
        let of = |name, pool: &SqlitePool| {
            pools::of(name, "sqlite", pool.size(), pool.num_idle(), pool.options().get_max_connections())
        };
        vec![of("metadata_readers", &self.readers), of("metadata_writer", &self.writer)]
    }
}
