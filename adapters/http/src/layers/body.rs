//! Bounds on request bodies: how large, and how long without a byte.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::StreamExt as _;
use poem::{Body, Request};
use thiserror::Error;

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
    /// Nothing came for too long.
    #[error("the body stopped coming")]
    Idle,
    /// Whoever sends it may not any more.
    #[error("the body's sender may not go on")]
    Ended,
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
    pub(crate) idle: Duration,
}

/// Whether the request says by itself that its body is too large.
pub(crate) fn declared_too_large(request: &Request, bounds: Bounds) -> bool {
    let declared = request.header("Content-Length").and_then(|text| text.parse::<u64>().ok());
    declared.is_some_and(|length| length > bounds.limit)
}

/// Puts the body under its bounds; it breaks off where it goes over, or where its sender may not go on.
pub(crate) fn bound(request: &mut Request, bounds: Bounds, recheck: Option<Recheck>) {
    let body = request.take_body();
    request.set_body(bounded(body, bounds, recheck));
}

/// How far a body has come.
struct Coming<S> {
    chunks: S,
    bytes: u64,
    heard: Instant,
    looked: Looked,
}

fn bounded(body: Body, bounds: Bounds, recheck: Option<Recheck>) -> Body {
    let chunks = Box::pin(body.into_bytes_stream());
    let state = Some(Coming { chunks, bytes: 0, heard: Instant::now(), looked: Looked::now() });
    let recheck = Arc::new(recheck);
    let stream = futures_util::stream::unfold(state, move |state| {
        let recheck = Arc::clone(&recheck);
        async move {
            let mut coming = state?;
            let broken = |error: BodyError| Some((Err(error.into()), None));
            // Without a pause: the time that nobody reads is not the sender's.
            coming.heard = Instant::now();
            loop {
                let left = bounds.idle.saturating_sub(coming.heard.elapsed());
                let wait = recheck.as_ref().as_ref().map_or(left, |_| left.min(coming.looked.left()));
                let came = tokio::time::timeout(wait, coming.chunks.next()).await;
                let ends = matches!(came, Ok(None));
                if let Some(recheck) = recheck.as_ref()
                    && (coming.looked.left().is_zero() || ends && !coming.looked.is_fresh())
                {
                    if !recheck.may_go_on().await {
                        return broken(BodyError::Ended);
                    }
                    coming.looked = Looked::now();
                }
                match came {
                    Err(_) if coming.heard.elapsed() >= bounds.idle => return broken(BodyError::Idle),
                    Err(_) => {}
                    Ok(None) => return None,
                    Ok(Some(Err(error))) => return Some((Err(error), None)),
                    Ok(Some(Ok(chunk))) => {
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

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(chunks: Vec<&'static str>, limit: u64) -> io::Result<Vec<u8>> {
        let stream = futures_util::stream::iter(chunks.into_iter().map(|chunk| Ok::<_, io::Error>(Bytes::from(chunk))));
        let body = bounded(Body::from_bytes_stream(stream), Bounds { limit, idle: Duration::from_secs(5) }, None);
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
        let body = bounded(Body::from_bytes_stream(never), Bounds { limit: 4, idle: Duration::from_millis(20) }, None);
        let error = Box::pin(body.into_bytes_stream()).next().await.unwrap().unwrap_err();
        assert!(error.get_ref().is_some_and(<dyn std::error::Error + Send + Sync>::is::<BodyError>));
    }
}
