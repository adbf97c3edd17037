//! Is the bucket there? Asked by a real request, but not by more than one in a moment, whoever wants to know.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use gadwall_domain::ports::system::{Health, HealthProbe};
use tokio::time::Instant;

use super::error::Fault;
use super::store::{S3Store, Store};

/// Longest wait for the answer. Those who probe don't wait long either.
const TIMEOUT: Duration = Duration::from_secs(3);
/// How long what was found is told again.
const KEPT: Duration = Duration::from_secs(2);

/// Tells how the bucket fares.
pub struct S3Probe {
    store: Arc<Store>,
    last: Mutex<Option<(Instant, Health)>>,
}

impl fmt::Debug for S3Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("S3Probe")
    }
}

impl S3Probe {
    /// Watches this bucket.
    pub fn new(store: &S3Store) -> Self {
        Self { store: Arc::clone(&store.0), last: Mutex::default() }
    }

    /// What was found a moment ago. Where that is longer ago, whoever comes next is told the same while this one looks.
    fn known(&self) -> Option<Health> {
        let mut last = self.lock();
        let (at, health) = last.as_mut()?;
        if at.elapsed() < KEPT {
            return Some(health.clone());
        }
        *at = Instant::now();
        None
    }

    async fn look(&self) -> Health {
        // A listing tells a missing bucket from a missing key, and wants the keys to be good.
        let detail = match tokio::time::timeout(TIMEOUT, self.store.any(&self.store.keys.probe(""))).await {
            Ok(Ok(_)) => None,
            Ok(Err(error)) => Some(Fault::of(&error).to_string()),
            Err(_) => Some("the S3 server did not answer in time".to_owned()),
        };
        Health { name: "object_store", ok: detail.is_none(), detail }
    }

    fn lock(&self) -> MutexGuard<'_, Option<(Instant, Health)>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl HealthProbe for S3Probe {
    async fn check(&self) -> Health {
        if let Some(health) = self.known() {
            return health;
        }
        let health = self.look().await;
        *self.lock() = Some((Instant::now(), health.clone()));
        health
    }
}
