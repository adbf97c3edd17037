//! The unit of work: one SQLite transaction behind all repositories.

use async_trait::async_trait;
use gadwall_domain::ports::metadata::{
    ApiKeyRepository, AuditLog, EventLog, IdempotencyRepository, LakeIndex, MetadataTx, OperationRepository,
    ProjectRepository, StoreError, TagRepository,
};
use sqlx::query::Query;
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{Sqlite, Transaction};

use crate::error::store_error;

/// A statement with its values.
pub(crate) type Statement<'q> = Query<'q, Sqlite, SqliteArguments>;

/// A transaction. Dropped without commit it rolls back.
pub(crate) struct SqliteTx(Transaction<'static, Sqlite>);

impl SqliteTx {
    pub(crate) fn new(tx: Transaction<'static, Sqlite>) -> Self {
        Self(tx)
    }

    /// Runs a statement; answers how many rows it touched.
    pub(crate) async fn run(&mut self, statement: Statement<'_>) -> Result<u64, StoreError> {
        let done = statement.execute(&mut *self.0).await.map_err(store_error)?;
        Ok(done.rows_affected())
    }

    /// The row of a statement that always has one.
    pub(crate) async fn one(&mut self, statement: Statement<'_>) -> Result<SqliteRow, StoreError> {
        statement.fetch_one(&mut *self.0).await.map_err(store_error)
    }

    /// The row, if there is one.
    pub(crate) async fn find_row(&mut self, statement: Statement<'_>) -> Result<Option<SqliteRow>, StoreError> {
        statement.fetch_optional(&mut *self.0).await.map_err(store_error)
    }

    /// All rows.
    pub(crate) async fn all(&mut self, statement: Statement<'_>) -> Result<Vec<SqliteRow>, StoreError> {
        statement.fetch_all(&mut *self.0).await.map_err(store_error)
    }
}

#[async_trait]
impl MetadataTx for SqliteTx {
    fn projects(&mut self) -> &mut dyn ProjectRepository {
        self
    }

    fn keys(&mut self) -> &mut dyn ApiKeyRepository {
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

    async fn commit(self: Box<Self>) -> Result<(), StoreError> {
        self.0.commit().await.map_err(store_error)
    }
}
