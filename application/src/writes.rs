//! Writes to lakes on behalf of callers: once for each idempotency key, and never ahead of the index.

use std::fmt;
use std::sync::Arc;

use gadwall_domain::access::Principal;
use gadwall_domain::commit::Change;
use gadwall_domain::ids::RequestId;
use gadwall_domain::lineage::Export;
use gadwall_domain::names::ProjectId;
use gadwall_domain::ports::lake::{Committed, LakeStore, LakeWrite, WriteError};
use gadwall_domain::ports::metadata::{MetadataStore, StoreError};
use gadwall_domain::project::Project;

use crate::caller::Caller;
use crate::contracts::{Held, Recorder};
use crate::error::UseCaseError;
use crate::lineage::{Attempt, ExportAttempt, Failures};
use crate::operating::Operation;
use crate::projection::Projection;

/// What failed after a commit can't say that nothing was written: the caller asks again, under the same key.
fn after_commit(error: UseCaseError) -> UseCaseError {
    match error {
        UseCaseError::Store(StoreError::StorageFull(full)) => StoreError::Unavailable(full).into(),
        other => other,
    }
}

/// Commits writes.
pub struct Writes {
    store: Arc<dyn MetadataStore>,
    lakes: Arc<dyn LakeStore>,
    projection: Arc<Projection>,
    recorder: Option<Recorder>,
    failures: Option<Failures>,
}

impl fmt::Debug for Writes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Writes")
    }
}

impl Writes {
    /// Writes to these lakes, followed by this index.
    pub fn new(store: Arc<dyn MetadataStore>, lakes: Arc<dyn LakeStore>, projection: Arc<Projection>) -> Self {
        Self { store, lakes, projection, recorder: None, failures: None }
    }

    /// Writes down which writes were refused for a contract.
    #[must_use]
    pub fn recording(self, recorder: Recorder) -> Self {
        Self { recorder: Some(recorder), ..self }
    }

    /// Tells lineage which writes came to nothing.
    #[must_use]
    pub fn telling(self, failures: Failures) -> Self {
        Self { failures: Some(failures), ..self }
    }

    /// A write came to nothing; answers what its author is told.
    pub(crate) async fn failed(&self, attempt: &Attempt<'_>, error: UseCaseError) -> UseCaseError {
        if let Some(failures) = &self.failures {
            failures.tell(attempt, &error).await;
        }
        error
    }

    /// Tells lineage of an export.
    pub(crate) async fn tell_export(&self, project: &ProjectId, export: &Export<'_>) {
        if let Some(failures) = &self.failures {
            failures.tell_export(project, export).await;
        }
    }

    /// Tells lineage of an export that came to nothing.
    pub(crate) async fn tell_failed_export(&self, attempt: &ExportAttempt<'_>, error: &UseCaseError) {
        if let Some(failures) = &self.failures {
            failures.tell_failed_export(attempt, error).await;
        }
    }

    /// A write was refused.
    pub(crate) async fn refused(
        &self,
        project: &ProjectId,
        held: Option<&Held>,
        request: &RequestId,
        error: &WriteError,
    ) {
        if let Some(recorder) = &self.recorder {
            recorder.refused(project, held, request, error).await;
        }
    }

    /// Commits a write, unless the caller's idempotency key says that it was committed before: then that commit is the
    /// answer. Afterwards the index knows the commit.
    pub(crate) async fn commit(
        &self,
        caller: &Caller,
        project: &Project,
        write: LakeWrite,
        tell: impl FnOnce(WriteError) -> UseCaseError,
    ) -> Result<Committed, UseCaseError> {
        if let Some(before) = self.committed_before(caller, project).await? {
            return Ok(before);
        }
        let measured = self.projection.measure(&write);
        let held = write.held().and_then(|(table, contract)| Held::new(table, contract));
        let (operation, table) = (write.event_type(), write.table().cloned());
        let origin = caller.origin();
        let committed = match self.lakes.write(project.lake, write, origin.clone()).await {
            Ok(committed) => committed,
            Err(error) => {
                self.refused(&project.id, held.as_ref(), &caller.request_id, &error).await;
                // Who looks again at what changed meanwhile tries once more.
                if matches!(error, WriteError::TableChanged) {
                    return Err(tell(error));
                }
                let tables = table.as_slice();
                let attempt = Attempt { project: &project.id, origin: &origin, operation, tables, sql: None };
                return Err(self.failed(&attempt, tell(error)).await);
            }
        };
        measured.into_iter().for_each(Operation::succeeded);
        self.projection.catch_up(project, Some(committed.snapshot)).await.map_err(after_commit)?;
        Ok(committed)
    }

    /// What this request committed in an earlier attempt whose answer was lost.
    pub(crate) async fn committed_before(
        &self,
        caller: &Caller,
        project: &Project,
    ) -> Result<Option<Committed>, UseCaseError> {
        Ok(self.changed_before(caller, project).await?.map(|(committed, _)| committed))
    }

    /// The same, with what was written.
    pub(crate) async fn changed_before(
        &self,
        caller: &Caller,
        project: &Project,
    ) -> Result<Option<(Committed, Change)>, UseCaseError> {
        let Some(request) = &caller.idempotency else { return Ok(None) };
        self.projection.ensure(project).await?;
        let key_id = caller.principal().and_then(Principal::id);
        let mut tx = self.store.read().await?;
        let Some(found) = tx.lake_index().write_of_key(&project.id, key_id.as_ref(), &request.key).await? else {
            return Ok(None);
        };
        let same = match (&found.write.origin.fingerprint, request.fingerprint.get()) {
            (Some(then), Some(now)) => then == now,
            // A body that was never read can't be told from another.
            _ => true,
        };
        if !same {
            return Err(UseCaseError::KeyReused);
        }
        let committed = Committed { snapshot: found.snapshot, rows: found.write.change.counts() };
        Ok(Some((committed, found.write.change)))
    }
}
