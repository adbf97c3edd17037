//! A writer's turn among all processes that write to a lake: an advisory lock of the catalogs' server.
//!
//! The lock ends with its session, also in the middle of a commit. So it only keeps writers out of each other's way; that
//! none writes over another is held by the commit itself, which fails when there is a snapshot it doesn't know.

use gadwall_domain::ids::SnapshotId;
use gadwall_domain::ports::lake::LakeError;
use sqlx::pool::PoolConnection;
use sqlx::{PgConnection, Postgres};

use super::server::unreachable;
use crate::error::fault;

/// Keeps other writers out while it lives.
pub(crate) struct Turn {
    /// There until it ends.
    connection: Option<PoolConnection<Postgres>>,
    key: i64,
    /// The lake's newest snapshot when the turn began.
    pub(super) head: Option<SnapshotId>,
}

impl Turn {
    pub(super) fn new(connection: PoolConnection<Postgres>, key: i64) -> Self {
        Self { connection: Some(connection), key, head: None }
    }

    pub(super) fn connection(&mut self) -> Result<&mut PgConnection, LakeError> {
        self.connection.as_deref_mut().ok_or_else(|| fault("the writer's turn is over"))
    }

    /// The lake's newest snapshot when the turn began.
    pub(crate) fn head(&self) -> Option<SnapshotId> {
        self.head
    }

    pub(super) async fn take(&mut self) -> Result<(), LakeError> {
        let key = self.key;
        let lock = sqlx::query("SELECT pg_advisory_lock($1)").bind(key);
        lock.execute(self.connection()?).await.map(drop).map_err(unreachable)
    }

    /// Lets others write.
    pub(crate) async fn end(mut self) {
        let key = self.key;
        let Ok(connection) = self.connection() else { return };
        let unlock = sqlx::query("SELECT pg_advisory_unlock($1)").bind(key);
        match unlock.execute(connection).await {
            // Back to the others.
            Ok(_) => drop(self.connection.take()),
            Err(error) => tracing::warn!(error = %error, "a writer's turn ended with its connection"),
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        // Closed, the connection lets go of the lock.
        if let Some(connection) = self.connection.take() {
            drop(connection.detach());
        }
    }
}
