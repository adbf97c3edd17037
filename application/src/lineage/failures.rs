//! What no commit tells of: writes that were refused or failed, told as runs that failed, and exports.

use std::fmt;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use gadwall_domain::commit::WriteOrigin;
use gadwall_domain::error::{Classify as _, ErrorKind};
use gadwall_domain::lineage::{
    Export, FailedExport, FailedWrite, Reason, RunId, event_of_export, event_of_failed_export, event_of_failure,
    start_of,
};
use gadwall_domain::names::ProjectId;
use gadwall_domain::ports::metadata::{MetadataStore, StoreError};
use gadwall_domain::ports::system::{Clock, IdGenerator};
use gadwall_domain::table::TableRef;
use gadwall_domain::transfer::ObjectPath;
use serde_json::Value;
use tokio::sync::Notify;

use crate::error::UseCaseError;

/// Events of a project that may wait. What fails beyond that isn't told: who asks again and again fills no queue.
const MAX_WAITING: u64 = 10_000;

/// Tells of them.
#[derive(Clone)]
pub struct Failures {
    store: Arc<dyn MetadataStore>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn IdGenerator>,
    /// Told when something waits to be worked off.
    came: Arc<Notify>,
    /// How many events may wait to be handed on to another server; none where there is none.
    forward: Option<u64>,
}

impl fmt::Debug for Failures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Failures")
    }
}

/// A write that is on its way.
pub(crate) struct Attempt<'a> {
    /// Into which project.
    pub(crate) project: &'a ProjectId,
    /// Who asked for it.
    pub(crate) origin: &'a WriteOrigin,
    /// What would have changed, as events tell it.
    pub(crate) operation: &'a str,
    /// The tables that it would have changed.
    pub(crate) tables: &'a [TableRef],
    /// Its statements, if it is SQL.
    pub(crate) sql: Option<&'a str>,
}

/// An export that is on its way.
pub(crate) struct ExportAttempt<'a> {
    /// Of which project.
    pub(crate) project: &'a ProjectId,
    /// Who asked for it.
    pub(crate) origin: &'a WriteOrigin,
    /// The table, if it is one's.
    pub(crate) table: Option<&'a TableRef>,
    /// The statement, if it is one's.
    pub(crate) sql: Option<&'a str>,
    /// Into which file.
    pub(crate) to: &'a ObjectPath,
}

impl Failures {
    /// Tells through the queue of this store; that word says that something waits in it.
    pub fn new(
        store: Arc<dyn MetadataStore>,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn IdGenerator>,
        came: Arc<Notify>,
    ) -> Self {
        Self { store, clock, ids, came, forward: None }
    }

    /// Hands them on to another server, too: so many may wait for it.
    #[must_use]
    pub fn forwarding(self, most: Option<u64>) -> Self {
        Self { forward: most, ..self }
    }

    /// Tells why a write came to nothing, in the words that its author is told. The failure stands, also where this fails.
    pub(crate) async fn tell(&self, attempt: &Attempt<'_>, error: &UseCaseError) {
        self.keep(attempt.project, error, |run, now, why| {
            let Attempt { origin, operation, tables, sql, .. } = *attempt;
            event_of_failure(run, now, &FailedWrite { origin, operation, tables, sql, why })
        })
        .await;
    }

    /// Tells why an export came to nothing, in the same way.
    pub(crate) async fn tell_failed_export(&self, attempt: &ExportAttempt<'_>, error: &UseCaseError) {
        self.keep(attempt.project, error, |run, now, why| {
            let ExportAttempt { origin, table, sql, to, .. } = *attempt;
            event_of_failed_export(run, now, &FailedExport { origin, table, sql, to, why })
        })
        .await;
    }

    async fn keep(
        &self,
        project: &ProjectId,
        error: &UseCaseError,
        event: impl FnOnce(RunId, DateTime<Utc>, Reason<'_>) -> Option<Value> + Send,
    ) {
        // Where nothing can be written nothing can be told.
        if matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::StorageFull) {
            return;
        }
        let text = match error.kind() {
            // Its cause is in the log.
            ErrorKind::Internal => "an internal error".to_owned(),
            _ => error.to_string(),
        };
        let now = self.clock.now();
        let why = Reason { error: &text, code: error.code() };
        let Some(event) = event(RunId::new(self.ids.next_id()), now, why) else { return };
        if let Err(error) = self.put(project, event, now).await {
            tracing::warn!(error = %error, "what failed is not told to lineage");
        }
    }

    /// Tells of an export that was carried out. The file is there, also where this fails.
    pub(crate) async fn tell_export(&self, project: &ProjectId, export: &Export<'_>) {
        let now = self.clock.now();
        let Some(event) = event_of_export(RunId::new(self.ids.next_id()), now, export) else { return };
        if let Err(error) = self.put(project, event, now).await {
            tracing::warn!(error = %error, "an export is not told to lineage");
        }
    }

    async fn put(&self, project: &ProjectId, event: Value, now: DateTime<Utc>) -> Result<(), StoreError> {
        let mut tx = self.store.write().await?;
        let lineage = tx.lineage();
        if lineage.backlog(Some(project)).await?.waiting < MAX_WAITING {
            if let Some(most) = self.forward {
                lineage.forward(project, &[start_of(&event).to_string(), event.to_string()], now, most).await?;
            }
            lineage.enqueue(project, &[event.to_string()], now).await?;
            tx.commit().await?;
            self.came.notify_one();
        }
        Ok(())
    }
}
