//! The unit of work: one SQLite transaction behind all repositories.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use gadwall_domain::ports::metadata::{
    ApiKeyRepository, AuditLog, EventLog, IdempotencyRepository, LakeIndex, MetadataTx, OperationRepository,
    ProjectRepository, QueryLog, StoreError, TagRepository,
};
use sqlx::query::Query;
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{Sqlite, Transaction};

use crate::error::store_error;

/// A statement with its values.
pub(crate) type Statement<'q> = Query<'q, Sqlite, SqliteArguments>;

/// A transaction. Dropped without commit it rolls back.
pub(crate) struct SqliteTx {
    tx: Transaction<'static, Sqlite>,
    /// Counts commits that may have changed projects or keys; none in a transaction that only reads.
    access_version: Option<Arc<AtomicU64>>,
    /// Whether this may have changed them.
    access_touched: bool,
}

impl SqliteTx {
    /// A transaction that only reads.
    pub(crate) fn reading(tx: Transaction<'static, Sqlite>) -> Self {
        Self { tx, access_version: None, access_touched: false }
    }

    /// A transaction that may write.
    pub(crate) fn writing(tx: Transaction<'static, Sqlite>, access_version: Arc<AtomicU64>) -> Self {
        Self { tx, access_version: Some(access_version), access_touched: false }
    }

    /// Runs a statement; answers how many rows it touched.
    pub(crate) async fn run(&mut self, statement: Statement<'_>) -> Result<u64, StoreError> {
        let done = statement.execute(&mut *self.tx).await.map_err(store_error)?;
        Ok(done.rows_affected())
    }

    /// The row of a statement that always has one.
    pub(crate) async fn one(&mut self, statement: Statement<'_>) -> Result<SqliteRow, StoreError> {
        statement.fetch_one(&mut *self.tx).await.map_err(store_error)
    }

    /// The row, if there is one.
    pub(crate) async fn find_row(&mut self, statement: Statement<'_>) -> Result<Option<SqliteRow>, StoreError> {
        statement.fetch_optional(&mut *self.tx).await.map_err(store_error)
    }

    /// All rows.
    pub(crate) async fn all(&mut self, statement: Statement<'_>) -> Result<Vec<SqliteRow>, StoreError> {
        statement.fetch_all(&mut *self.tx).await.map_err(store_error)
    }
}

#[async_trait]
impl MetadataTx for SqliteTx {
    fn projects(&mut self) -> &mut dyn ProjectRepository {
        self.access_touched = true;
        self
    }

    fn keys(&mut self) -> &mut dyn ApiKeyRepository {
        self.access_touched = true;
        self
    }

    fn events(&mut self) -> &mut dyn EventLog {
        self
    }

    fn audit(&mut self) -> &mut dyn AuditLog {
        self
    }

    fn lake_index(&mut self) -> &mut dyn LakeIndex {
        self
    }

    fn tags(&mut self) -> &mut dyn TagRepository {
        self
    }

    fn idempotency(&mut self) -> &mut dyn IdempotencyRepository {
        self
    }

    fn operations(&mut self) -> &mut dyn OperationRepository {
        self
    }

    fn queries(&mut self) -> &mut dyn QueryLog {
        self
    }

    async fn commit(self: Box<Self>) -> Result<(), StoreError> {
        let Self { tx, access_version, access_touched } = *self;
        let done = tx.commit().await;
        // Also when it failed: who knows how far it came.
        if let Some(version) = access_version.filter(|_| access_touched) {
            version.fetch_add(1, Ordering::Release);
        }
        done.map_err(store_error)
    }
}
