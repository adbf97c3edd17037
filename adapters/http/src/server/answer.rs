//! An answer's body on its way to the client. Who doesn't take it doesn't keep what makes it.
//!
//! A client that stops reading stops a socket, and `Paced` sees that; but over HTTP/2 it can as well leave its
//! stream's window closed while the socket works. So each long body is watched as well.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use hyper::body::{Body, Frame, SizeHint};
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::activity::ActiveRequest;

/// Bodies up to this size hold nothing worth being watched for.
const SMALL: u64 = 64 * 1024;

/// A body that is dropped early if its client doesn't take it.
pub(super) struct AnswerBody {
    held: Arc<Mutex<Held>>,
    watcher: Option<AbortHandle>,
    _request: ActiveRequest,
}

struct Held {
    /// None once it was dropped.
    body: Option<BoxBody<Bytes, io::Error>>,
    /// Since when its last part waits to be sent; none while the next one is being made.
    handed: Option<Instant>,
}

fn lock(held: &Mutex<Held>) -> MutexGuard<'_, Held> {
    held.lock().unwrap_or_else(PoisonError::into_inner)
}

impl AnswerBody {
    pub(super) fn new(body: BoxBody<Bytes, io::Error>, request: ActiveRequest, limit: Duration) -> Self {
        let is_small = body.size_hint().upper().is_some_and(|bytes| bytes <= SMALL);
        let held = Arc::new(Mutex::new(Held { body: Some(body), handed: Some(Instant::now()) }));
        let watcher = (!is_small).then(|| tokio::spawn(watch(Arc::clone(&held), limit)).abort_handle());
        Self { held, watcher, _request: request }
    }
}

/// Drops the body once it has waited to be sent for so long.
async fn watch(held: Arc<Mutex<Held>>, limit: Duration) {
    loop {
        let handed = lock(&held).handed;
        let until = handed.unwrap_or_else(Instant::now) + limit;
        tokio::time::sleep_until(until).await;
        let mut held = lock(&held);
        if handed.is_some() && held.handed == handed {
            tracing::debug!("an answer that its client doesn't take is given up");
            held.body = None;
            return;
        }
    }
}

impl Drop for AnswerBody {
    fn drop(&mut self) {
        if let Some(watcher) = &self.watcher {
            watcher.abort();
        }
        // The watcher may hold the rest for a moment longer.
        lock(&self.held).body = None;
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let mut held = lock(&self.held);
        let Some(body) = held.body.as_mut() else { return Poll::Ready(Some(Err(io::ErrorKind::TimedOut.into()))) };
        let polled = Pin::new(body).poll_frame(context);
        held.handed = polled.is_ready().then(Instant::now);
        polled
    }

    fn is_end_stream(&self) -> bool {
        lock(&self.held).body.as_ref().is_some_and(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        lock(&self.held).body.as_ref().map(Body::size_hint).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::StreamExt as _;
    use http_body_util::{BodyExt as _, StreamBody};

    use super::super::activity::Activity;
    use super::*;

    const LIMIT: Duration = Duration::from_secs(30);

    #[tokio::test(start_paused = true)]
    async fn a_body_that_nobody_takes_is_dropped_and_a_slow_one_is_not() {
        let alive = Arc::new(());
        let guard = Arc::clone(&alive);
        let parts = futures_util::stream::iter(0..3).then(move |_| {
            let guard = Arc::clone(&guard);
            // Made slowly: that isn't the client's fault.
            async move {
                tokio::time::sleep(LIMIT * 3).await;
                drop(guard);
                Ok::<_, io::Error>(Frame::data(Bytes::from_static(b"part")))
            }
        });
        let boxed = BoxBody::new(StreamBody::new(Box::pin(parts)));
        let mut body = AnswerBody::new(boxed, Activity::new().begin(true), LIMIT);
        for _ in 0..2 {
            assert!(body.frame().await.unwrap().is_ok());
            tokio::time::sleep(LIMIT * 9 / 10).await;
        }
        assert_eq!(Arc::strong_count(&alive), 2);
        tokio::time::sleep(LIMIT).await;
        assert_eq!(Arc::strong_count(&alive), 1, "what makes it is gone");
        assert!(body.frame().await.unwrap().is_err(), "and the client doesn't take a part for the whole");
    }
}
