//! Stops work on a connection from outside: at its deadline, or when it is cancelled; but never in a commit.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use gadwall_domain::script::StopSignal;
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

use crate::root::Interrupter;

/// An interrupt that comes between two statements has no effect, so it is repeated.
const EVERY: Duration = Duration::from_millis(20);

/// Whether work goes on.
#[derive(Default)]
pub(crate) struct Stopper(Mutex<State>, Notify);

#[derive(Default)]
struct State {
    interrupter: Option<Arc<Interrupter>>,
    stopped: Option<Why>,
    /// It commits, or is done: too late to stop it.
    closed: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Why {
    TimedOut,
    Cancelled,
}

impl Stopper {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The work has begun, on a connection that can be interrupted. False if it was stopped before.
    pub(crate) fn begin(&self, interrupter: Arc<Interrupter>) -> bool {
        let mut state = self.state();
        if state.stopped.is_none() {
            state.interrupter = Some(interrupter);
        }
        state.stopped.is_none()
    }

    /// Whether the work is to stop.
    pub(crate) fn is_stopped(&self) -> bool {
        self.state().stopped.is_some()
    }

    /// Whether it is to stop because its time is over.
    pub(crate) fn is_timed_out(&self) -> bool {
        self.state().stopped == Some(Why::TimedOut)
    }

    /// The work commits now, and can't be stopped any more. False if it was stopped before.
    pub(crate) fn begin_commit(&self) -> bool {
        let mut state = self.state();
        state.closed = true;
        state.stopped.is_none()
    }

    /// The work is given up by itself: what undoes it is not to be interrupted. Whether it was stopped stays known.
    pub(crate) fn close(&self) {
        self.state().closed = true;
    }

    /// The work is done.
    pub(crate) fn end(&self) {
        let mut state = self.state();
        state.closed = true;
        state.interrupter = None;
    }

    /// Interrupts the work; answers whether that is over.
    fn stop(&self, why: Why) -> bool {
        let mut state = self.state();
        if state.closed {
            return true;
        }
        state.stopped.get_or_insert(why);
        // Under the lock, so that no commit begins in between. What waits for its turn never begins.
        if let Some(interrupter) = &state.interrupter {
            interrupter.interrupt();
        } else {
            state.closed = true;
            self.1.notify_one();
        }
        state.closed
    }

    /// Waits until the work is stopped before it began.
    pub(crate) async fn missed(&self) {
        self.1.notified().await;
    }

    /// Stops the work at its deadline, when it is told to, or when `alive` is dropped. Ends when the work does.
    pub(crate) async fn watch(self: Arc<Self>, deadline: Instant, alive: oneshot::Receiver<()>, stop: StopSignal) {
        let why = tokio::select! {
            () = tokio::time::sleep_until(deadline) => Why::TimedOut,
            _ = alive => Why::Cancelled,
            () = stop => Why::Cancelled,
        };
        while !self.stop(why) {
            tokio::time::sleep(EVERY).await;
        }
    }
}
