//! Connects: how connections are set and pooled, and which migrations the database needs.

use std::fmt;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Connection as _, PgPool};

use super::error::ConnectError;
use crate::migrations;

/// Longest wait for another server that brings the database up to date.
const MIGRATION_TURN: Duration = Duration::from_mins(1);
/// How long a connection may take to tell that it is in order, after it was used.
const RELEASE: Duration = Duration::from_secs(5);
/// For how long a connection that was in order is taken to be so.
const FRESH: Duration = Duration::from_secs(1);

/// How to reach the metadata store.
#[derive(Clone)]
pub struct PostgresConfig {
    /// `postgres://user:password@host:port/database?sslmode=…`.
    pub url: String,
    /// Most connections; at least two: one writes, the others read.
    pub max_connections: u32,
    /// How long a unit of work waits for a connection, and then for its turn to write.
    pub acquire_timeout: Duration,
    /// How long a statement may run, and a transaction stand still.
    pub statement_timeout: Duration,
    /// How long a connection stays open without work.
    pub idle_timeout: Duration,
    /// How long a connection is used at all.
    pub max_lifetime: Duration,
}

/// The address has a password in it.
impl fmt::Debug for PostgresConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresConfig").field("max_connections", &self.max_connections).finish_non_exhaustive()
    }
}

/// The writing and the reading connections to an up-to-date database.
pub(super) async fn pools(config: &PostgresConfig) -> Result<(PgPool, PgPool), ConnectError> {
    let options = options(config)?;
    migrate(config, options.clone()).await?;
    let options = limited(options, config.statement_timeout, config.acquire_timeout, config.statement_timeout);
    let readers = config.max_connections.max(2) - 1;
    Ok((pool(config, 1).connect_lazy_with(options.clone()), pool(config, readers).connect_lazy_with(options)))
}

/// How its connections are made.
pub(super) fn options(config: &PostgresConfig) -> Result<PgConnectOptions, ConnectError> {
    let address = config.url.strip_prefix("postgres://").or_else(|| config.url.strip_prefix("postgresql://"));
    let options = address.and_then(|_| config.url.parse::<PgConnectOptions>().ok()).ok_or(ConnectError::Address)?;
    Ok(options.application_name("gadwall"))
}

/// Ends on the server's side what takes too long, also where this process can't any more.
pub(super) fn limited(
    options: PgConnectOptions,
    statement: Duration,
    lock: Duration,
    idle: Duration,
) -> PgConnectOptions {
    options.options([
        ("statement_timeout", statement.as_millis().to_string()),
        ("lock_timeout", lock.as_millis().to_string()),
        ("idle_in_transaction_session_timeout", idle.as_millis().to_string()),
    ])
}

pub(super) fn pool(config: &PostgresConfig, connections: u32) -> PgPoolOptions {
    PgPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(config.acquire_timeout)
        .idle_timeout(config.idle_timeout)
        .max_lifetime(config.max_lifetime)
        // The server may have been started anew since. One that was used a moment ago is not asked: that costs as much as a
        // short question.
        .test_before_acquire(false)
        .before_acquire(|connection, about| {
            Box::pin(async move {
                if about.idle_for > FRESH {
                    connection.ping().await?;
                }
                Ok(true)
            })
        })
        // Rolls back what was dropped. A connection that doesn't answer makes room for another.
        .after_release(|connection, _| {
            Box::pin(async move {
                let answered = tokio::time::timeout(RELEASE, connection.ping()).await;
                answered.map_err(|_| sqlx::Error::PoolTimedOut)??;
                Ok(true)
            })
        })
}

/// On a connection of its own: if it fails, its lock goes with it. Servers that start at once take turns by the
/// migrator's lock.
async fn migrate(config: &PostgresConfig, options: PgConnectOptions) -> Result<(), ConnectError> {
    let options = limited(options, Duration::ZERO, MIGRATION_TURN, Duration::ZERO);
    let connection = pool(config, 1).connect_with(options).await.map_err(ConnectError::connect)?;
    let done = migrations::migrator(migrations::POSTGRES).run(&connection).await.map_err(ConnectError::migrate);
    // Nothing is lost where it can't say farewell.
    let _ = tokio::time::timeout(RELEASE, connection.close()).await;
    done
}
