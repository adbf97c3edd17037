//! The unit of work: one transaction behind all repositories.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use gadwall_domain::ports::contracts::ContractRepository;
use gadwall_domain::ports::events::{ChangeConsumers, EventTokens};
use gadwall_domain::ports::lineage::LineageRepository;
use gadwall_domain::ports::maintenance::MaintenanceRepository;
use gadwall_domain::ports::metadata::{
    ApiKeyRepository, AuditLog, EventLog, IdempotencyRepository, InstanceRepository, LakeIndex, MetadataTx,
    OperationRepository, ProjectRepository, QueryLog, StoreError, TagRepository,
};
use gadwall_domain::ports::ontology::SchemaRepository;
use gadwall_domain::ports::peers::LOG_HAS_GROWN;
use gadwall_domain::ports::sharing::SharingRepository;
use gadwall_domain::ports::usage::UsageRepository;
use gadwall_domain::ports::webhooks::WebhookRepository;
use sqlx::{Postgres, Sqlite, Transaction};
use thiserror::Error;

use crate::row::Row;
use crate::statement::Statement;
use crate::{postgres, sqlite};

/// A transaction. Dropped without commit it rolls back.
pub(crate) struct SqlTx {
    inner: Inner,
    /// Counts this process's commits that may have changed projects, keys or links; none in a transaction that only reads.
    access_changes: Option<Arc<AtomicU64>>,
    /// Whether this may have changed them.
    access_touched: bool,
    /// Whether a statement failed: then nothing of this may last.
    failed: bool,
}

/// The statements are the same for every database; the drivers' types are not.
enum Inner {
    Sqlite(Transaction<'static, Sqlite>),
    /// And how long a statement may take.
    Postgres(Transaction<'static, Postgres>, Duration),
}

impl SqlTx {
    /// A transaction in SQLite. One that may write has the version to count up.
    pub(crate) fn sqlite(tx: Transaction<'static, Sqlite>, access_changes: Option<Arc<AtomicU64>>) -> Self {
        Self { inner: Inner::Sqlite(tx), access_changes, access_touched: false, failed: false }
    }

    /// A transaction in PostgreSQL that reads.
    pub(crate) fn postgres(tx: Transaction<'static, Postgres>, limit: Duration) -> Self {
        Self { inner: Inner::Postgres(tx, limit), access_changes: None, access_touched: false, failed: false }
    }

    /// A transaction in PostgreSQL that may write.
    pub(crate) fn postgres_that_writes(
        tx: Transaction<'static, Postgres>,
        limit: Duration,
        access_changes: Arc<AtomicU64>,
    ) -> Self {
        Self { access_changes: Some(access_changes), ..Self::postgres(tx, limit) }
    }

    /// Runs a statement; answers how many rows it touched.
    pub(crate) async fn run(&mut self, statement: Statement<'_>) -> Result<u64, StoreError> {
        let done = match &mut self.inner {
            Inner::Sqlite(tx) => {
                let done = statement.for_sqlite().execute(&mut **tx).await.map_err(sqlite::store_error);
                done.map(|done| done.rows_affected())
            }
            Inner::Postgres(tx, limit) => {
                let done = postgres::within(*limit, postgres::query(statement).execute(&mut **tx)).await;
                done.map(|done| done.rows_affected())
            }
        };
        self.noted(done)
    }

    /// The row of a statement that always has one.
    pub(crate) async fn one(&mut self, statement: Statement<'_>) -> Result<Row, StoreError> {
        let missing = || StoreError::Fault(Box::new(sqlx::Error::RowNotFound));
        self.find_row(statement).await?.ok_or_else(missing)
    }

    /// The row, if there is one.
    pub(crate) async fn find_row(&mut self, statement: Statement<'_>) -> Result<Option<Row>, StoreError> {
        let found = match &mut self.inner {
            Inner::Sqlite(tx) => {
                let row = statement.for_sqlite().fetch_optional(&mut **tx).await.map_err(sqlite::store_error);
                row.map(|row| row.map(Row::Sqlite))
            }
            Inner::Postgres(tx, limit) => {
                let row = postgres::within(*limit, postgres::query(statement).fetch_optional(&mut **tx)).await;
                row.map(|row| row.map(Row::Postgres))
            }
        };
        self.noted(found)
    }

    /// All rows.
    pub(crate) async fn all(&mut self, statement: Statement<'_>) -> Result<Vec<Row>, StoreError> {
        let found = match &mut self.inner {
            Inner::Sqlite(tx) => {
                let rows = statement.for_sqlite().fetch_all(&mut **tx).await.map_err(sqlite::store_error);
                rows.map(|rows| rows.into_iter().map(Row::Sqlite).collect())
            }
            Inner::Postgres(tx, limit) => {
                let rows = postgres::within(*limit, postgres::query(statement).fetch_all(&mut **tx)).await;
                rows.map(|rows| rows.into_iter().map(Row::Postgres).collect())
            }
        };
        self.noted(found)
    }

    /// Has the other servers told that the log of events has grown, once this is committed.
    pub(crate) async fn tell_of_events(&mut self) -> Result<(), StoreError> {
        match &self.inner {
            Inner::Sqlite(_) => Ok(()),
            Inner::Postgres(..) => self.run(postgres::tell(LOG_HAS_GROWN)).await.map(drop),
        }
    }

    fn noted<T>(&mut self, done: Result<T, StoreError>) -> Result<T, StoreError> {
        self.failed |= done.is_err();
        done
    }
}

/// PostgreSQL answers the commit of a transaction with a failed statement as if all were well, and keeps nothing.
#[derive(Debug, Error)]
#[error("a statement of this unit of work failed")]
struct Failed;

#[async_trait]
impl MetadataTx for SqlTx {
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

    fn instances(&mut self) -> &mut dyn InstanceRepository {
        self
    }

    fn operations(&mut self) -> &mut dyn OperationRepository {
        self
    }

    fn queries(&mut self) -> &mut dyn QueryLog {
        self
    }

    fn sharing(&mut self) -> &mut dyn SharingRepository {
        self.access_touched = true;
        self
    }

    fn usage(&mut self) -> &mut dyn UsageRepository {
        self
    }

    fn lineage(&mut self) -> &mut dyn LineageRepository {
        self
    }

    fn schemas(&mut self) -> &mut dyn SchemaRepository {
        self
    }

    fn contracts(&mut self) -> &mut dyn ContractRepository {
        self
    }

    fn event_tokens(&mut self) -> &mut dyn EventTokens {
        self
    }

    fn consumers(&mut self) -> &mut dyn ChangeConsumers {
        self
    }

    fn maintenance(&mut self) -> &mut dyn MaintenanceRepository {
        self
    }

    fn webhooks(&mut self) -> &mut dyn WebhookRepository {
        self
    }

    #[tracing::instrument(name = "metadata.commit", skip_all)]
    async fn commit(self: Box<Self>) -> Result<(), StoreError> {
        let Self { inner, access_changes, access_touched, failed } = *self;
        if failed {
            return Err(StoreError::Fault(Box::new(Failed)));
        }
        let changes = access_changes.filter(|_| access_touched);
        let done = match inner {
            Inner::Sqlite(tx) => tx.commit().await.map_err(sqlite::store_error),
            Inner::Postgres(mut tx, limit) => {
                // Other servers look for it there.
                if changes.is_some() {
                    postgres::within(limit, sqlx::query(postgres::COUNT_ACCESS_VERSION).execute(&mut *tx)).await?;
                }
                postgres::within(limit, tx.commit()).await
            }
        };
        // Also when it failed: who knows how far it came.
        if let Some(changes) = changes {
            changes.fetch_add(1, Ordering::Release);
        }
        done
    }
}
