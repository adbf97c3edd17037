//! Operations: long work that is answered before it is done. Started, watched, stopped, and forgotten at last.

mod error;
mod live;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::TimeDelta;
use futures_util::future::{AbortHandle, AbortRegistration, Abortable};
use gadwall_domain::access::Scope;
use gadwall_domain::error::{Classify as _, ErrorKind};
use gadwall_domain::ids::OperationId;
use gadwall_domain::names::ProjectId;
use gadwall_domain::operation::{Operation, OperationKind, OperationState, Progress};
use gadwall_domain::ports::background::Background;
use gadwall_domain::ports::metadata::{MetadataStore, OperationFilter, StoreError};
use gadwall_domain::ports::system::{Clock, IdGenerator};
use gadwall_domain::project::Project;
use serde_json::Value;
use tokio::sync::oneshot;

use crate::access::Access;
use crate::caller::Caller;
use crate::elsewhere::{Elsewhere, Work};
use crate::error::UseCaseError;
use crate::instances::Instances;

use live::Live;

pub use error::OperationError;
pub(crate) use error::{interrupted, kept};
pub use live::Running;
pub(crate) use live::Started;

/// Operations of one project that run or wait: a project can't fill the queue of all.
const MAX_OF_PROJECT: usize = 20;
/// How long one that ended is kept.
const KEPT: TimeDelta = TimeDelta::days(7);
/// Most operations in one answer.
pub const MAX_LISTED: u32 = 1_000;

/// The use cases of operations.
pub struct Operations {
    store: Arc<dyn MetadataStore>,
    access: Arc<Access>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn IdGenerator>,
    background: Arc<dyn Background>,
    instances: Arc<Instances>,
    live: Mutex<HashMap<OperationId, Arc<Live>>>,
    elsewhere: Option<Arc<Elsewhere>>,
}

impl fmt::Debug for Operations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Operations")
    }
}

impl Operations {
    /// Keeps operations in this store and runs them in this background.
    pub fn new(
        store: Arc<dyn MetadataStore>,
        access: Arc<Access>,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn IdGenerator>,
        background: Arc<dyn Background>,
        instances: Arc<Instances>,
    ) -> Self {
        Self { store, access, clock, ids, background, instances, live: Mutex::default(), elsewhere: None }
    }

    /// Stops operations of other servers, too.
    #[must_use]
    pub fn with_elsewhere(self, elsewhere: Option<Arc<Elsewhere>>) -> Self {
        Self { elsewhere, ..self }
    }

    /// Accepts work that its caller may do. It is kept before it is answered, and tells its end to who waits for it.
    pub(crate) async fn start<F, W>(
        self: &Arc<Self>,
        caller: &Caller,
        project: &Project,
        kind: OperationKind,
        subject: String,
        work: F,
    ) -> Result<Started, UseCaseError>
    where
        F: FnOnce(Running) -> W + Send + 'static,
        W: Future<Output = Result<Value, UseCaseError>> + Send + 'static,
    {
        let counts = |known: Operation| known.project == project.id && !known.state.is_final();
        if self.lock().values().filter(|live| counts(live.now())).count() >= MAX_OF_PROJECT {
            return Err(OperationError::TooMany.into());
        }
        let place = self.background.reserve().map_err(|_| OperationError::TooMany)?;
        let operation = Operation {
            id: OperationId::new(self.ids.next_id()),
            project: project.id.clone(),
            kind,
            subject,
            started_by: caller.label(),
            request_id: caller.request_id.clone(),
            created_at: self.clock.now(),
            finished_at: None,
            state: OperationState::Pending,
            progress: Progress::default(),
            instance: self.instances.id(),
        };
        let mut tx = self.store.write().await?;
        tx.operations().insert(&operation).await?;
        tx.commit().await?;
        let (abort, registration) = AbortHandle::new_pair();
        let live = Arc::new(Live::new(operation.clone(), abort));
        self.lock().insert(operation.id, Arc::clone(&live));
        let operations = Arc::clone(self);
        let (tell, told) = oneshot::channel();
        let begun = Arc::clone(&live);
        let carried_out = async move {
            let end = operations.carry_out(begun, registration, work).await;
            // Most callers don't wait.
            drop(tell.send(end));
        };
        place.start(kind.as_str(), Box::pin(carried_out));
        Ok(Started { operation, live, end: told })
    }

    #[tracing::instrument(name = "operation", skip_all, fields(operation.id = %live.now().id, request.id = %live.now().request_id))]
    async fn carry_out<F, W>(
        &self,
        live: Arc<Live>,
        registration: AbortRegistration,
        work: F,
    ) -> Result<Value, UseCaseError>
    where
        F: FnOnce(Running) -> W,
        W: Future<Output = Result<Value, UseCaseError>>,
    {
        let Some(running) = live.begin() else {
            // Who stopped it may not have stayed until that was kept.
            if !live.now().state.is_final() {
                self.finish(&live, OperationState::Cancelled).await;
            }
            return Err(OperationError::Cancelled.into());
        };
        if let Err(error) = self.keep(&running).await {
            tracing::warn!(error = %error, "an operation's start was not kept");
        }
        let done = Abortable::new(work(Running(Arc::clone(&live))), registration).await;
        let done = done.unwrap_or_else(|_| Err(OperationError::Cancelled.into()));
        live.close();
        let state = match &done {
            Ok(result) => OperationState::Succeeded(result.clone()),
            _ if live.is_cancelled() => OperationState::Cancelled,
            Err(error) => {
                if error.kind() == ErrorKind::Internal {
                    tracing::error!(error = ?error, "an operation failed");
                }
                OperationState::Failed(kept(error))
            }
        };
        self.finish(&live, state).await;
        done
    }

    /// Ends it. It is kept before anybody hears of it, or who begins the next at once, maybe elsewhere, would find it under way. What
    /// can't be kept stays known as long as this process lives, and is tried again.
    async fn finish(&self, live: &Live, state: OperationState) {
        let mut ended = live.now();
        if matches!(state, OperationState::Succeeded(_)) {
            ended.progress.percent = Some(100.0);
        }
        ended.state = state;
        ended.finished_at = Some(self.clock.now());
        let kept = self.keep(&ended).await;
        let id = ended.id;
        *live.lock() = ended;
        match kept {
            Ok(()) => drop(self.lock().remove(&id)),
            Err(error) => tracing::error!(error = %error, operation = %id, "an operation's end was not kept"),
        }
    }

    /// Operations that no server knows to have ended.
    pub(crate) async fn unfinished(&self) -> Result<Vec<Operation>, StoreError> {
        let kept = self.store.read().await?.operations().unfinished().await?;
        Ok(kept.into_iter().map(|operation| self.newest(operation)).filter(|known| !known.state.is_final()).collect())
    }

    async fn keep(&self, operation: &Operation) -> Result<(), StoreError> {
        let mut tx = self.store.write().await?;
        tx.operations().update(operation).await?;
        tx.commit().await
    }

    /// A project's operations, newest first.
    pub async fn list(
        &self,
        caller: &Caller,
        project: &ProjectId,
        filter: OperationFilter,
    ) -> Result<Vec<Operation>, UseCaseError> {
        let project = self.open(caller, project, Scope::Read).await?;
        let filter = OperationFilter { limit: filter.limit.min(MAX_LISTED), ..filter };
        let found = self.store.read().await?.operations().list(&project.id, filter).await?;
        Ok(found.into_iter().map(|operation| self.newest(operation)).collect())
    }

    /// An operation.
    pub async fn get(&self, caller: &Caller, project: &ProjectId, id: &str) -> Result<Operation, UseCaseError> {
        let project = self.open(caller, project, Scope::Read).await?;
        self.find(&project, id).await
    }

    /// Stops an operation. One that takes effect already goes on to its end, and one that ended stays as it is.
    #[tracing::instrument(skip_all, fields(project.id = %project))]
    pub async fn cancel(&self, caller: &Caller, project: &ProjectId, id: &str) -> Result<Operation, UseCaseError> {
        let project = self.open(caller, project, Scope::Write).await?;
        let found = self.find(&project, id).await?;
        let live = self.lock().get(&found.id).cloned();
        match (live, &self.elsewhere) {
            (Some(live), _) => {
                self.stop(&live).await;
                Ok(live.now())
            }
            (None, Some(elsewhere)) if !found.state.is_final() => {
                elsewhere.stop(Work::Operation { project: project.id.clone(), id: found.id }).await?;
                self.find(&project, id).await
            }
            (None, _) => Ok(found),
        }
    }

    /// One that still waits would be told only when its turn comes; one that runs says so itself when it has stopped.
    async fn stop(&self, live: &Live) -> bool {
        let stopped = live.cancel();
        if stopped && live.now().state == OperationState::Pending {
            self.finish(live, OperationState::Cancelled).await;
        }
        stopped
    }

    /// Stops an operation of this server for another one; whether it did. `None` where it isn't one of this server.
    pub(crate) async fn stop_here(&self, project: &ProjectId, id: OperationId) -> Option<bool> {
        let live = self.lock().get(&id).cloned().filter(|live| live.now().project == *project)?;
        Some(self.stop(&live).await)
    }

    /// Marks what servers left unfinished that live no more: an earlier life of this one, or others.
    pub async fn mark_interrupted(&self) -> Result<(), UseCaseError> {
        let mut tx = self.store.write().await?;
        let alive = self.instances.alive(&mut *tx).await?;
        let unfinished = tx.operations().unfinished().await?;
        for operation in unfinished.into_iter().filter(|operation| !alive.contains(&operation.instance)) {
            let state = OperationState::Failed(interrupted());
            let ended = Operation { state, finished_at: Some(self.clock.now()), ..operation };
            tx.operations().update(&ended).await?;
        }
        Ok(tx.commit().await?)
    }

    /// Keeps ends that couldn't be kept, and forgets what ended long ago; answers how many.
    pub async fn clean_up(&self) -> Result<u64, UseCaseError> {
        let known: Vec<Operation> = self.lock().values().map(|live| live.now()).collect();
        for ended in known.into_iter().filter(|operation| operation.state.is_final()) {
            match self.keep(&ended).await {
                Ok(()) => drop(self.lock().remove(&ended.id)),
                Err(error) => {
                    tracing::warn!(error = %error, operation = %ended.id, "an operation's end is still not kept");
                }
            }
        }
        let mut tx = self.store.write().await?;
        let forgotten = tx.operations().forget_before(self.clock.now() - KEPT).await?;
        tx.commit().await?;
        Ok(forgotten)
    }

    async fn find(&self, project: &Project, id: &str) -> Result<Operation, UseCaseError> {
        let missing =
            || OperationError::NoOperation { project: project.id.clone(), operation: id.chars().take(64).collect() };
        let id = OperationId::parse(id).ok_or_else(missing)?;
        let found = self.store.read().await?.operations().find(&project.id, id).await?;
        Ok(self.newest(found.ok_or_else(missing)?))
    }

    /// What this process knows of it is newer than what is kept.
    fn newest(&self, kept: Operation) -> Operation {
        let live = self.lock().get(&kept.id).cloned();
        live.map_or(kept, |live| live.now())
    }

    /// Opens a project for its operations. They are about files, so a key of one bucket has no part in them.
    async fn open(&self, caller: &Caller, project: &ProjectId, scope: Scope) -> Result<Project, UseCaseError> {
        let project = self.access.open(caller, project, scope).await?;
        match caller.principal() {
            Some(principal) if principal.only_bucket().is_none() => Ok(project),
            _ => Err(UseCaseError::Forbidden),
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<OperationId, Arc<Live>>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
