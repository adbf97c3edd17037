//! What goes on on a connection: how long it may be quiet depends on that.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;

/// How long a connection may be quiet.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// From the start to the first request, and from a later request's first byte to the end of its head.
    pub(super) head: Duration,
    /// Between two requests.
    pub(super) keep_alive: Duration,
}

/// Why a connection was quiet for too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Quiet {
    /// No request came, or only a part of its head.
    NoRequest,
    /// There was nothing to do since the last one.
    Idle,
}

#[derive(Debug, Clone, Copy, Default)]
struct State {
    /// Requests whose answers aren't sent yet.
    active: usize,
    /// Whether there was one at all.
    served: bool,
    /// Whether frames come that aren't requests.
    http2: bool,
    /// Whether a part of the next head is there.
    head: bool,
}

/// The requests of a connection.
#[derive(Debug, Clone)]
pub(super) struct Activity(Arc<watch::Sender<State>>);

/// A request, from its head to the end of its answer.
#[derive(Debug)]
pub(super) struct ActiveRequest(Activity);

impl Activity {
    pub(super) fn new() -> Self {
        Self(Arc::new(watch::Sender::new(State::default())))
    }

    /// A request's head is there.
    pub(super) fn begin(&self, http2: bool) -> ActiveRequest {
        self.0.send_modify(|state| {
            *state = State { active: state.active + 1, served: true, http2, head: false };
        });
        ActiveRequest(self.clone())
    }

    /// Bytes are there. Between requests of HTTP/1.1 they begin the next one.
    pub(super) fn heard(&self) {
        self.0.send_if_modified(|state| {
            let begins = state.served && state.active == 0 && !state.http2 && !state.head;
            state.head |= begins;
            begins
        });
    }

    /// Completes once it has been quiet for too long.
    pub(super) async fn quiet(self, patience: Patience) -> Quiet {
        let mut states = self.0.subscribe();
        loop {
            let state = *states.borrow_and_update();
            let (limit, quiet) = match state {
                State { active: 0, served: true, head: false, .. } => (Some(patience.keep_alive), Quiet::Idle),
                State { active: 0, .. } => (Some(patience.head), Quiet::NoRequest),
                _ => (None, Quiet::Idle),
            };
            // This holds a sender itself, so a change can always come.
            let change = states.changed();
            let Some(limit) = limit else {
                let _ = change.await;
                continue;
            };
            if timeout(limit, change).await.is_err() {
                return quiet;
            }
        }
    }
}

impl Drop for ActiveRequest {
    fn drop(&mut self) {
        self.0.0.send_modify(|state| state.active -= 1);
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::{Instant, advance};

    use super::*;

    const PATIENCE: Patience = Patience { head: Duration::from_secs(10), keep_alive: Duration::from_mins(1) };

    #[tokio::test(start_paused = true)]
    async fn a_connection_without_a_request_has_the_time_of_a_head() {
        let (begun, activity) = (Instant::now(), Activity::new());
        activity.heard();
        assert_eq!(activity.quiet(PATIENCE).await, Quiet::NoRequest);
        assert_eq!(begun.elapsed().as_secs(), 10);
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_takes_as_long_as_it_takes_and_then_the_connection_idles() {
        let (begun, activity) = (Instant::now(), Activity::new());
        let request = activity.begin(false);
        let quiet = tokio::spawn(activity.quiet(PATIENCE));
        tokio::task::yield_now().await;
        advance(Duration::from_secs(1_000)).await;
        drop(request);
        assert_eq!(quiet.await.unwrap(), Quiet::Idle);
        assert_eq!(begun.elapsed().as_secs(), 1_060);
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_byte_of_a_later_head_sets_the_clock_and_the_next_ones_dont() {
        let (begun, activity) = (Instant::now(), Activity::new());
        drop(activity.begin(false));
        let quiet = tokio::spawn(activity.clone().quiet(PATIENCE));
        for _ in 0..9 {
            tokio::task::yield_now().await;
            advance(Duration::from_secs(5)).await;
            activity.heard();
        }
        assert_eq!(quiet.await.unwrap(), Quiet::NoRequest);
        assert!(begun.elapsed().as_secs() < 60);
    }

    #[tokio::test(start_paused = true)]
    async fn frames_of_http2_are_no_heads() {
        let (begun, activity) = (Instant::now(), Activity::new());
        drop(activity.begin(true));
        activity.heard();
        assert_eq!(activity.quiet(PATIENCE).await, Quiet::Idle);
        assert_eq!(begun.elapsed().as_secs(), 60);
    }
}
