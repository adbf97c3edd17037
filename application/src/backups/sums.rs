//! Checksums of bytes on their way.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures_util::StreamExt as _;
use gadwall_domain::ports::objects::{Content, ContentError};
use sha2::{Digest as _, Sha256};

/// What has passed.
#[derive(Clone, Default)]
pub(super) struct Sum(Arc<Mutex<(Sha256, u64)>>);

impl Sum {
    fn add(&self, bytes: &[u8]) {
        let mut passed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        passed.0.update(bytes);
        passed.1 += bytes.len() as u64;
    }

    /// How many bytes there were, and their digest.
    pub(super) fn told(&self) -> (u64, String) {
        let passed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        (passed.1, hex::encode(passed.0.clone().finalize()))
    }
}

/// The same content, and its checksum once it has passed.
pub(super) fn summed(content: Content) -> (Content, Sum) {
    let sum = Sum::default();
    let passing = sum.clone();
    let content = content.inspect(move |part| {
        if let Ok(part) = part {
            passing.add(part);
        }
    });
    (Box::pin(content), sum)
}

/// Reads content to its end for its checksum alone.
pub(super) async fn sum_of(mut content: Content) -> Result<(u64, String), ContentError> {
    let sum = Sum::default();
    while let Some(part) = content.next().await {
        sum.add(&part?);
    }
    Ok(sum.told())
}

/// Reads content into memory; more than so much is an error.
pub(super) async fn whole(mut content: Content, limit: u64) -> Result<Vec<u8>, ContentError> {
    let mut all = Vec::new();
    while let Some(part) = content.next().await {
        let part = part?;
        if (all.len() + part.len()) as u64 > limit {
            return Err(ContentError::TooLarge { limit });
        }
        all.extend_from_slice(&part);
    }
    Ok(all)
}

/// Bytes as content.
pub(super) fn content(bytes: Vec<u8>) -> Content {
    Box::pin(futures_util::stream::once(std::future::ready(Ok(Bytes::from(bytes)))))
}
