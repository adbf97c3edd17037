//! Opens the file: how its connections are set, and which migrations it needs.

use std::path::PathBuf;
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Connection as _, SqlitePool};

use super::error::OpenError;
use crate::migrations;

/// Pages that a connection keeps in memory at most, in KiB (said by the minus): 16 MiB to write, 2 to read.
/// The system keeps the file's pages, too: what isn't here is a copy away, and what is here is taken for good.
const WRITERS_CACHE: &str = "-16384";
const READERS_CACHE: &str = "-2048";
/// Pages of 4 KiB after which the log is copied into the database: 16 MiB.
const PAGES_IN_LOG: &str = "4096";
/// Bytes that the log's file keeps once it is copied.
const LOG_STAYS: &str = "67108864";
/// Rows that a connection's thread reads ahead of who takes them: each time that it has to wait, two threads change places.
const ROWS_AHEAD: usize = 512;

/// How to open the metadata store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SqliteConfig {
    /// The database file.
    pub path: PathBuf,
    /// Most units of work that read at the same time; at least one.
    pub max_readers: u32,
    /// How long a unit of work waits for its turn.
    pub acquire_timeout: Duration,
    /// How long a statement waits for another process that holds the file.
    pub busy_timeout: Duration,
}

/// The writing and the reading connections of an up-to-date database.
pub(crate) async fn pools(config: &SqliteConfig) -> Result<(SqlitePool, SqlitePool), OpenError> {
    let failed = |error| OpenError::open(&config.path, error);
    let writer = pool(config, 1).connect_with(writing(config)).await.map_err(failed)?;
    if let Err(error) = migrate(&writer, config).await {
        // Whoever wants to look at the file finds it closed.
        writer.close().await;
        return Err(error);
    }
    let readers = pool(config, config.max_readers.max(1)).connect_with(reading(config)).await.map_err(failed)?;
    Ok((writer, readers))
}

/// Connections to a local file don't go stale, so they are neither tested nor replaced. That the writer
/// stays open also keeps the log in place that readers need.
fn pool(config: &SqliteConfig, connections: u32) -> SqlitePoolOptions {
    SqlitePoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(config.acquire_timeout)
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
        // A full disk makes SQLite end a transaction by itself; the connection then counts one that isn't there and
        // would refuse every other. The ping waits until a rollback that is under way has been tried.
        .after_release(|connection, _| {
            Box::pin(async move {
                connection.ping().await?;
                Ok(!connection.is_in_transaction())
            })
        })
}

fn writing(config: &SqliteConfig) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(&config.path)
        .create_if_missing(true)
        .busy_timeout(config.busy_timeout)
        .row_buffer_size(ROWS_AHEAD)
        .foreign_keys(true)
        // Readers don't wait for the writer, nor it for them.
        .journal_mode(SqliteJournalMode::Wal)
        // The log is synced with every commit: what was acknowledged survives a power loss.
        .synchronous(SqliteSynchronous::Full)
        // On macOS a plain sync stops at the disk's cache. Without effect elsewhere.
        .pragma("fullfsync", "1")
        // Transactions that touch many pages don't write them out and read them again on their way.
        .pragma("cache_size", WRITERS_CACHE)
        // What a statement of many rows would undo is kept in memory, not in a file.
        .pragma("temp_store", "memory")
        // A page that changes again and again is copied into the database once for many commits.
        .pragma("wal_autocheckpoint", PAGES_IN_LOG)
        .pragma("journal_size_limit", LOG_STAYS)
}

fn reading(config: &SqliteConfig) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(&config.path)
        .read_only(true)
        .busy_timeout(config.busy_timeout)
        .row_buffer_size(ROWS_AHEAD)
        .pragma("cache_size", READERS_CACHE)
}

async fn migrate(writer: &SqlitePool, config: &SqliteConfig) -> Result<(), OpenError> {
    let migrator = migrations::migrator(migrations::SQLITE);
    migrator.run(writer).await.map_err(|error| OpenError::migrate(&config.path, error))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn setting(pool: &SqlitePool, pragma: &'static str) -> i64 {
        sqlx::query_scalar(pragma).fetch_one(pool).await.unwrap()
    }

    #[tokio::test]
    async fn connections_are_set_for_safety() {
        let folder = tempfile::tempdir().unwrap();
        let config = SqliteConfig {
            path: folder.path().join("m.sqlite"),
            max_readers: 0,
            acquire_timeout: Duration::from_secs(5),
            busy_timeout: Duration::from_millis(1_234),
        };
        let (writer, readers) = pools(&config).await.unwrap();
        let mode: String = sqlx::query_scalar("PRAGMA journal_mode").fetch_one(&writer).await.unwrap();
        assert_eq!(mode, "wal");
        let full = 2;
        assert_eq!(setting(&writer, "PRAGMA synchronous").await, full);
        assert_eq!(setting(&writer, "PRAGMA foreign_keys").await, 1);
        assert_eq!(setting(&writer, "PRAGMA wal_autocheckpoint").await, 4_096);
        assert_eq!(setting(&writer, "PRAGMA cache_size").await, -16_384);
        assert_eq!(setting(&readers, "PRAGMA cache_size").await, -2_048);
        assert_eq!(setting(&readers, "PRAGMA busy_timeout").await, 1_234);
        assert!(sqlx::query("DELETE FROM projects").execute(&readers).await.is_err());
        assert!(sqlx::query("DELETE FROM projects").execute(&writer).await.is_ok());
    }
}
