//! Bounds on request bodies: how large, and how long without a byte.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use poem::{Body, Request};
use thiserror::Error;

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

/// Puts the body under its bounds; it breaks off where it goes over.
pub(crate) fn bound(request: &mut Request, bounds: Bounds) {
    let body = request.take_body();
    request.set_body(bounded(body, bounds));
}

fn bounded(body: Body, bounds: Bounds) -> Body {
    let chunks = Box::pin(body.into_bytes_stream());
    let state = Some((chunks, 0_u64));
    let stream = futures_util::stream::unfold(state, move |state| async move {
        let (mut chunks, before) = state?;
        match tokio::time::timeout(bounds.idle, chunks.next()).await {
            Err(_) => Some((Err(BodyError::Idle.into()), None)),
            Ok(None) => None,
            Ok(Some(Err(error))) => Some((Err(error), None)),
            Ok(Some(Ok(chunk))) => {
                let total = before + chunk.len() as u64;
                if total > bounds.limit {
                    return Some((Err(BodyError::TooLarge { limit: bounds.limit }.into()), None));
                }
                Some((Ok::<Bytes, io::Error>(chunk), Some((chunks, total))))
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
        let body = bounded(Body::from_bytes_stream(stream), Bounds { limit, idle: Duration::from_secs(5) });
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
        let body = bounded(Body::from_bytes_stream(never), Bounds { limit: 4, idle: Duration::from_millis(20) });
        let error = Box::pin(body.into_bytes_stream()).next().await.unwrap().unwrap_err();
        assert!(error.get_ref().is_some_and(<dyn std::error::Error + Send + Sync>::is::<BodyError>));
    }
}
