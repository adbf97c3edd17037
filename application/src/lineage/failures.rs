//! What no commit tells of: writes that were refused or failed, told as runs that failed, and exports.

use std::fmt;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use gadwall_domain::commit::WriteOrigin;
use gadwall_domain::error::{Classify as _, ErrorKind};
use gadwall_domain::lineage::{Export, FailedWrite, RunId, event_of_export, event_of_failure, start_of};
use gadwall_domain::names::ProjectId;
use gadwall_domain::ports::metadata::{MetadataStore, StoreError};
use gadwall_domain::ports::system::{Clock, IdGenerator};
use gadwall_domain::table::TableRef;
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
        // Where nothing can be written nothing can be told.
        if matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::StorageFull) {
            return;
        }
        if let Err(error) = self.keep(attempt, error).await {
            tracing::warn!(error = %error, "a write that failed is not told to lineage");
        }
    }

    async fn keep(&self, attempt: &Attempt<'_>, error: &UseCaseError) -> Result<(), StoreError> {
        let text = match error.kind() {
            // Its cause is in the log.
            ErrorKind::Internal => "an internal error".to_owned(),
            _ => error.to_string(),
        };
        let failed = FailedWrite {
            origin: attempt.origin,
            operation: attempt.operation,
            tables: attempt.tables,
            sql: attempt.sql,
            error: &text,
            code: error.code(),
        };
        let now = self.clock.now();
        match event_of_failure(RunId::new(self.ids.next_id()), now, &failed) {
            Some(event) => self.put(attempt.project, event, now).await,
            None => Ok(()),
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
                lineage.forward(project, &[start_of(&event), event.clone()], now, most).await?;
            }
            lineage.enqueue(project, &[event], now).await?;
            tx.commit().await?;
            self.came.notify_one();
        }
        Ok(())
    }
}
