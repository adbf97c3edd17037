//! An operation while it waits or runs: how far it is, and whether it may still be stopped.

use std::fmt;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::AbortHandle;
use gadwall_domain::ids::OperationId;
use gadwall_domain::operation::{Operation, OperationState, Progress};
use gadwall_domain::ports::transfer::Watcher;
use gadwall_domain::query::QueryError;
use gadwall_domain::script::StopSignal;
use serde_json::Value;
use tokio::sync::oneshot;

use super::OperationError;
use crate::error::UseCaseError;

const OPEN: u8 = 0;
const SEALED: u8 = 1;
const CANCELLED: u8 = 2;

/// An operation of this process.
pub(super) struct Live {
    operation: Mutex<Operation>,
    /// Either it is stopped, or it takes effect: whoever says so first.
    fate: AtomicU8,
    abort: AbortHandle,
}

impl Live {
    pub(super) fn new(operation: Operation, abort: AbortHandle) -> Self {
        Self { operation: Mutex::new(operation), fate: AtomicU8::new(OPEN), abort }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Operation> {
        self.operation.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn now(&self) -> Operation {
        self.lock().clone()
    }

    /// Begins the work, unless it was stopped while it waited.
    pub(super) fn begin(&self) -> Option<Operation> {
        let mut operation = self.lock();
        if self.is_cancelled() {
            return None;
        }
        operation.state = OperationState::Running;
        Some(operation.clone())
    }

    pub(super) fn is_cancelled(&self) -> bool {
        self.fate.load(Ordering::Acquire) == CANCELLED
    }

    fn decide(&self, fate: u8) -> bool {
        let decided = self.fate.compare_exchange(OPEN, fate, Ordering::AcqRel, Ordering::Acquire);
        decided.is_ok() || decided == Err(fate)
    }

    /// Its work is over: what was not stopped by now is not stopped any more.
    pub(super) fn close(&self) {
        self.decide(SEALED);
    }

    /// Stops it. `false` when it takes effect already, or has ended.
    pub(super) fn cancel(&self) -> bool {
        // Under the lock, so that it doesn't begin in between.
        let _operation = self.lock();
        let stopped = self.decide(CANCELLED);
        if stopped {
            self.abort.abort();
        }
        stopped
    }
}

/// What the work of an operation is given: to tell how far it is, and to say when it takes effect.
#[derive(Clone)]
pub struct Running(pub(super) Arc<Live>);

impl fmt::Debug for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Running")
    }
}

impl Running {
    /// Which operation it is.
    pub(crate) fn id(&self) -> OperationId {
        self.0.lock().id
    }

    /// Tells how far it is.
    pub fn progress(&self, progress: Progress) {
        self.0.lock().progress = progress;
    }

    /// Something else that tells it: bytes of `total`, where that is known.
    pub fn watcher(&self, total: Option<u64>) -> Watcher {
        let running = self.clone();
        Arc::new(move |mut progress: Progress| {
            if let Some(total) = total.filter(|total| *total > 0) {
                progress.percent = Some(percent(progress.bytes, total));
            }
            running.progress(progress);
        })
    }

    /// From here on it takes effect, and can't be stopped any more. An error if it was stopped.
    pub fn seal(&self) -> Result<(), OperationError> {
        if self.0.decide(SEALED) { Ok(()) } else { Err(OperationError::Cancelled) }
    }
}

/// Never all of it: that is told by the state.
#[expect(clippy::cast_precision_loss, reason = "a percentage")]
fn percent(part: u64, whole: u64) -> f64 {
    (part as f64 * 100.0 / whole as f64).min(99.0)
}

/// An operation that was accepted.
pub(crate) struct Started {
    pub(crate) operation: Operation,
    pub(super) live: Arc<Live>,
    pub(super) end: oneshot::Receiver<Result<Value, UseCaseError>>,
}

/// Stops what nobody waits for any more.
struct Stop(Arc<Live>);

impl Drop for Stop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

impl Started {
    /// Waits for its end, and stops it when it is told to, this is dropped or it takes longer than the limit; what takes effect already
    /// goes on, and is waited for.
    pub(crate) async fn within(self, limit: Duration, stopped: StopSignal) -> Result<Value, UseCaseError> {
        let Self { live, mut end, .. } = self;
        let stop = Stop(Arc::clone(&live));
        let early = tokio::select! {
            ended = &mut end => Ok(ended),
            () = tokio::time::sleep(limit) => Err(QueryError::Timeout(limit)),
            () = stopped => Err(QueryError::Cancelled),
        };
        let ended = match early {
            Ok(ended) => ended,
            Err(error) if live.cancel() => return Err(error.into()),
            Err(_) => end.await,
        };
        drop(stop);
        ended.unwrap_or_else(|_| Err(QueryError::Cancelled.into())).map_err(|error| match error {
            // By another request.
            UseCaseError::Operation(OperationError::Cancelled) => QueryError::Cancelled.into(),
            error => error,
        })
    }
}
