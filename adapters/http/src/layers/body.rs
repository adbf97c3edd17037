//! Bounds on request bodies: how large, and how slow.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use poem::http::{HeaderValue, header};
use poem::{Body, Request};
use thiserror::Error;
use tokio::time::{Instant, timeout};

use super::recheck::{Looked, Recheck};

/// A body that won't be read to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(crate) enum BodyError {
    /// Too large.
    #[error("the body is larger than the limit of {limit} bytes")]
    TooLarge {
        /// The limit in bytes.
        limit: u64,
    },
    /// Nothing came for too long, or all in all too little.
    #[error("the body came too slowly")]
    Slow,
    /// Whoever sends it may not any more.
    #[error("the body's sender may not go on")]
    Ended,
}

impl BodyError {
    /// What broke a body off, if it was this. It may be wrapped: who reads the body has errors of their own around it.
    pub(crate) fn behind(error: &io::Error) -> Option<Self> {
        error.get_ref().and_then(|inner| Self::within(inner))
    }

    fn within(error: &(dyn std::error::Error + 'static)) -> Option<Self> {
        let mut cause = Some(error);
        while let Some(inner) = cause {
            if let Some(found) = inner.downcast_ref::<Self>() {
                return Some(*found);
            }
            if let Some(found) = inner.downcast_ref::<io::Error>().and_then(Self::behind) {
                return Some(found);
            }
            cause = inner.source();
        }
        None
    }
}

impl From<BodyError> for io::Error {
    fn from(error: BodyError) -> Self {
        Self::other(error)
    }
}

/// Bounds of a request's body.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) limit: u64,
    /// Longest wait for the next bytes.
    pub(crate) idle: Duration,
    /// Bytes a second that must come on average, once the first `idle` is over; 0 for any number.
    pub(crate) min_rate: u32,
}

impl Bounds {
    /// How long to wait for the next bytes, after so many came in so much waiting. Only waiting counts: a client isn't
    /// slow because the server is.
    fn patience(self, came: u64, waited: Duration) -> Duration {
        if self.min_rate == 0 {
            return self.idle;
        }
        let earned = Duration::from_millis(came.saturating_mul(1_000) / u64::from(self.min_rate));
        self.idle.saturating_add(earned).saturating_sub(waited).min(self.idle)
    }
}

/// Whether the request says by itself that its body is too large.
pub(crate) fn declared_too_large(request: &Request, bounds: Bounds) -> bool {
    let declared = request.header("Content-Length").and_then(|text| text.parse::<u64>().ok());
    declared.is_some_and(|length| length > bounds.limit)
}

/// Whether a body broke off because it came too slowly. Who reads it may only see that it broke off.
#[derive(Debug, Clone, Default)]
pub(crate) struct TooSlow(Arc<AtomicBool>);

impl TooSlow {
    pub(crate) fn is(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Puts the body under its bounds; it breaks off where it goes over, or where its sender may not go on.
pub(crate) fn bound(request: &mut Request, bounds: Bounds, recheck: Option<Recheck>) -> TooSlow {
    let (body, too_slow) = (request.take_body(), TooSlow::default());
    request.set_body(bounded(body, bounds, recheck, too_slow.clone()));
    too_slow
}

/// How far a body has come.
struct Coming<S> {
    chunks: S,
    bytes: u64,
    /// How long its bytes were waited for.
    waited: Duration,
    looked: Looked,
}

fn bounded(body: Body, bounds: Bounds, recheck: Option<Recheck>, too_slow: TooSlow) -> Body {
    let chunks = Box::pin(body.into_bytes_stream());
    let state = Some(Coming { chunks, bytes: 0, waited: Duration::ZERO, looked: Looked::now() });
    let watch = Arc::new((recheck, too_slow));
    let stream = futures_util::stream::unfold(state, move |state| {
        let watch = Arc::clone(&watch);
        async move {
            let mut coming = state?;
            let (recheck, too_slow) = watch.as_ref();
            let broken = |error: BodyError| Some((Err(error.into()), None));
            let asked = Instant::now();
            let patience = bounds.patience(coming.bytes, coming.waited);
            loop {
                let left = patience.saturating_sub(asked.elapsed());
                let wait = recheck.as_ref().map_or(left, |_| left.min(coming.looked.left()));
                let came = timeout(wait, coming.chunks.next()).await;
                let ends = matches!(came, Ok(None));
                if let Some(recheck) = recheck
                    && (coming.looked.left().is_zero() || ends && !coming.looked.is_fresh())
                {
                    if !recheck.may_go_on().await {
                        return broken(BodyError::Ended);
                    }
                    coming.looked = Looked::now();
                }
                match came {
                    Err(_) if asked.elapsed() >= patience => {
                        too_slow.0.store(true, Ordering::Relaxed);
                        return broken(BodyError::Slow);
                    }
                    Err(_) => {}
                    Ok(None) => return None,
                    Ok(Some(Err(error))) => return Some((Err(error), None)),
                    Ok(Some(Ok(chunk))) => {
                        coming.waited = coming.waited.saturating_add(asked.elapsed());
                        coming.bytes += chunk.len() as u64;
                        if coming.bytes > bounds.limit {
                            return broken(BodyError::TooLarge { limit: bounds.limit });
                        }
                        return Some((Ok::<Bytes, io::Error>(chunk), Some(coming)));
                    }
                }
            }
        }
    });
    Body::from_bytes_stream(stream)
}

/// Lets requests that may have a body come without one, and without a word of its kind: as from a shell.
pub(crate) fn allow_none(request: &mut Request) {
    let headers = request.headers();
    let is_empty = !headers.contains_key(header::TRANSFER_ENCODING)
        && headers.get(header::CONTENT_LENGTH).is_none_or(|length| length.as_bytes() == b"0");
    let may = !request.method().is_safe() && request.uri().path().starts_with("/jobs/");
    if may && is_empty && !headers.contains_key(header::CONTENT_TYPE) {
        request.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(chunks: Vec<&'static str>, limit: u64) -> io::Result<Vec<u8>> {
        let stream = futures_util::stream::iter(chunks.into_iter().map(|chunk| Ok::<_, io::Error>(Bytes::from(chunk))));
        let body = bounded(
            Body::from_bytes_stream(stream),
            Bounds { limit, idle: Duration::from_secs(5), min_rate: 0 },
            None,
            TooSlow::default(),
        );
        let mut all = Vec::new();
        let mut chunks = Box::pin(body.into_bytes_stream());
        while let Some(chunk) = chunks.next().await {
            all.extend_from_slice(&chunk?);
        }
        Ok(all)
    }

    #[tokio::test]
    async fn a_body_without_a_declared_length_breaks_off_at_the_limit() {
        assert_eq!(read(vec!["ab", "cd"], 4).await.unwrap(), b"abcd");
        let error = read(vec!["ab", "cde"], 4).await.unwrap_err();
        let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<BodyError>());
        assert_eq!(inner, Some(&BodyError::TooLarge { limit: 4 }));
    }

    #[tokio::test]
    async fn a_body_that_stops_coming_breaks_off() {
        let never = futures_util::stream::pending::<io::Result<Bytes>>();
        let body = bounded(
            Body::from_bytes_stream(never),
            Bounds { limit: 4, idle: Duration::from_millis(20), min_rate: 0 },
            None,
            TooSlow::default(),
        );
        let error = Box::pin(body.into_bytes_stream()).next().await.unwrap().unwrap_err();
        assert!(error.get_ref().is_some_and(<dyn std::error::Error + Send + Sync>::is::<BodyError>));
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_drips_breaks_off_and_one_that_only_pauses_does_not() {
        let dripping = |bytes: usize, pause: u64| {
            let chunks = futures_util::stream::repeat(()).take(10).then(move |()| async move {
                tokio::time::sleep(Duration::from_secs(pause)).await;
                Ok::<_, io::Error>(Bytes::from(vec![b'x'; bytes]))
            });
            let bounds = Bounds { limit: 1_000_000, idle: Duration::from_secs(30), min_rate: 100 };
            let mut body = Box::pin(
                bounded(Body::from_bytes_stream(chunks), bounds, None, TooSlow::default()).into_bytes_stream(),
            );
            async move {
                let mut came = 0;
                while let Some(chunk) = body.next().await {
                    came += chunk.map_or(1_000_000, |chunk| chunk.len());
                }
                came
            }
        };
        assert_eq!(dripping(2_000, 20).await, 20_000);
        assert_eq!(dripping(1_000, 20).await, 1_002_000, "in 20 s 2,000 are wanted");
        assert_eq!(dripping(1, 1).await, 10, "it is short");
        assert_eq!(dripping(1, 10).await, 1_000_003);
    }
}
