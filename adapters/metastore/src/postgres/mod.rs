//! Metadata on PostgreSQL, for as many servers as share the database.
//!
//! Those that write take turns, as in SQLite: a unit of work that may write holds an advisory lock of the database
//! from its beginning to its commit. So what it read still holds when it commits, a repository may look before it
//! writes, and events get their positions in the order in which they become visible: whoever reads on from a position
//! misses none. The lock is taken before anything is read, and each statement reads what is committed when it runs
//! (`READ COMMITTED`), so nothing of the time before the turn is seen. A process takes its own turns first, on one
//! connection, so a crowd of writers never keeps readers from theirs.
//!
//! Readers see one state (`REPEATABLE READ`) and wait for nobody.
//!
//! Every wait has an end: for a connection, for the lock, for a statement; and the server ends transactions that
//! stand still, so a process that hangs doesn't stop the others.

mod error;
mod open;
mod peers;
mod turns;

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use gadwall_domain::ports::metadata::{MetadataStore, MetadataTx, StoreError};
use gadwall_domain::ports::operating::{PoolFigures, PoolMonitor};
use gadwall_domain::ports::system::{Health, HealthProbe};
use sqlx::postgres::PgArguments;
use sqlx::query::Query;
use sqlx::{PgPool, Postgres};

pub use error::ConnectError;
pub(crate) use error::store_error;
pub use open::PostgresConfig;
pub use peers::PostgresPeers;
pub(crate) use peers::tell;
pub use turns::PostgresTurns;

use crate::statement::Statement;
use crate::tx::SqlTx;
use crate::{health, pools};

const READ: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
pub(crate) const WRITE: &str = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE";
/// Whose turn it is to write. The first number tells our locks from those of others in the same database.
pub(crate) const TURN: &str = "SELECT pg_advisory_xact_lock(1734435959, 1)";

const ACCESS_VERSION: &str = "SELECT coalesce(max(version), 0) FROM access_version";
/// A database that was put back, or lost its last transactions with its server, counts on from the time: no number comes twice.
pub(crate) const COUNT_ACCESS_VERSION: &str = "INSERT INTO access_version AS known (id, version)
    VALUES (1, (extract(epoch FROM clock_timestamp()) * 1000000)::BIGINT)
    ON CONFLICT (id) DO UPDATE SET version = greatest(known.version + 1, excluded.version)";

/// Metadata in a PostgreSQL database.
pub struct PostgresMetadata {
    pub(crate) writer: PgPool,
    pub(crate) readers: PgPool,
    /// How long a statement may take, seen from here: the server's own limit ends it before.
    limit: Duration,
    /// Commits of this process that may have changed projects, keys or links.
    access_changes: Arc<AtomicU64>,
}

impl fmt::Debug for PostgresMetadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PostgresMetadata")
    }
}

impl PostgresMetadata {
    /// Connects to the database, which must be there, and brings it up to date.
    pub async fn open(config: &PostgresConfig) -> Result<Self, ConnectError> {
        let (writer, readers) = open::pools(config).await?;
        let limit = config.statement_timeout + config.acquire_timeout;
        Ok(Self { writer, readers, limit, access_changes: Arc::default() })
    }

    /// Waits for what is under way and disconnects. Later calls answer `Unavailable`.
    pub async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}

impl PostgresMetadata {
    pub(crate) async fn read_tx(&self) -> Result<SqlTx, StoreError> {
        let tx = within(self.limit, self.readers.begin_with(READ)).await?;
        Ok(SqlTx::postgres(tx, self.limit))
    }

    pub(crate) async fn write_tx(&self) -> Result<SqlTx, StoreError> {
        let mut tx = within(self.limit, self.writer.begin_with(WRITE)).await?;
        within(self.limit, sqlx::query(TURN).execute(&mut *tx)).await?;
        Ok(SqlTx::postgres_that_writes(tx, self.limit, Arc::clone(&self.access_changes)))
    }
}

#[async_trait]
impl MetadataStore for PostgresMetadata {
    async fn read(&self) -> Result<Box<dyn MetadataTx>, StoreError> {
        Ok(Box::new(self.read_tx().await?))
    }

    #[tracing::instrument(name = "metadata.turn", skip_all)]
    async fn write(&self) -> Result<Box<dyn MetadataTx>, StoreError> {
        Ok(Box::new(self.write_tx().await?))
    }

    async fn shared_access_version(&self) -> Result<Option<u64>, StoreError> {
        let version: i64 = within(self.limit, sqlx::query_scalar(ACCESS_VERSION).fetch_one(&self.readers)).await?;
        Ok(u64::try_from(version).ok())
    }

    fn access_changes(&self) -> u64 {
        self.access_changes.load(Ordering::Acquire)
    }
}

#[async_trait]
impl HealthProbe for PostgresMetadata {
    async fn check(&self) -> Health {
        health::of(sqlx::query(health::LOOK).fetch_one(&self.readers)).await
    }
}

impl PoolMonitor for PostgresMetadata {
    fn pools(&self) -> Vec<PoolFigures> {
        let of = |name, pool: &PgPool| {
            pools::of(name, "postgresql", pool.size(), pool.num_idle(), pool.options().get_max_connections())
        };
        vec![of("metadata_readers", &self.readers), of("metadata_writer", &self.writer)]
    }
}

/// The statement as PostgreSQL takes it: its text can't hold U+0000, so the sign for it takes its place.
pub(crate) fn query(statement: Statement<'_>) -> Query<'_, Postgres, PgArguments> {
    statement.map_text(without_null).for_postgres()
}

pub(crate) fn without_null(text: Cow<'_, str>) -> Cow<'_, str> {
    if text.contains('\0') { text.replace('\0', "\u{2400}").into() } else { text }
}

/// Does it within a time: a server that vanished without a word is not waited for.
pub(crate) async fn within<T>(
    limit: Duration,
    work: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, StoreError> {
    match tokio::time::timeout(limit, work).await {
        Ok(done) => done.map_err(store_error),
        Err(elapsed) => Err(StoreError::Unavailable(Box::new(elapsed))),
    }
}
