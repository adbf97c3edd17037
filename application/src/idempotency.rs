//! Requests that their clients may repeat: carried out once, answered alike each time.
//!
//! Three things make it exact. What was answered is kept and given again. What is being carried out is not begun a
//! second time. And a write that was committed but never answered for, because the process died in between, is found by
//! the key that stands in its commit (see [`Writes`](crate::writes::Writes)).

use std::fmt;
use std::sync::Arc;

use chrono::Duration;
use gadwall_domain::idempotency::{IdempotencyState, StoredAnswer};
use gadwall_domain::ports::metadata::{Begun, MetadataStore};
use gadwall_domain::ports::system::Clock;

use crate::caller::Caller;
use crate::error::UseCaseError;
use crate::instances::Instances;

/// Keeps the answers of requests that may be repeated.
pub struct Idempotency {
    store: Arc<dyn MetadataStore>,
    clock: Arc<dyn Clock>,
    /// What another life of a server began and didn't answer is up for anyone, when that life is over.
    instances: Arc<Instances>,
    keep: Duration,
}

impl fmt::Debug for Idempotency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Idempotency")
    }
}

/// What is to be done with a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Turn {
    /// Carry it out, then [`Idempotency::answered`] or [`Idempotency::failed`].
    CarryOut,
    /// It was answered before: give this again, if the request is the same one.
    Replay {
        /// The fingerprint of the request that was answered.
        fingerprint: String,
        /// The answer.
        answer: StoredAnswer,
    },
}

impl Idempotency {
    /// Keeps answers in this store for so long.
    pub fn new(
        store: Arc<dyn MetadataStore>,
        clock: Arc<dyn Clock>,
        instances: Arc<Instances>,
        keep: Duration,
    ) -> Self {
        Self { store, clock, instances, keep }
    }

    /// Begins a request, or tells what came of it. Keys belong to their caller: another's are no concern of theirs.
    pub async fn begin(&self, caller: &Caller, key: &str) -> Result<Turn, UseCaseError> {
        let now = self.clock.now();
        let mut tx = self.store.write().await?;
        let (instance, alive_since) = (self.instances.id(), self.instances.alive_since());
        let begun = tx.idempotency().begin(&caller.label(), key, instance, now, alive_since).await?;
        let record = match begun {
            Begun::Now => {
                tx.commit().await?;
                return Ok(Turn::CarryOut);
            }
            Begun::Before(record) => record,
        };
        if record.created_at + self.keep <= now && record.state != IdempotencyState::Running {
            // Nobody has cleaned up yet; the promise is over all the same.
            tx.idempotency().forget(&caller.label(), key).await?;
            tx.idempotency().begin(&caller.label(), key, instance, now, alive_since).await?;
            tx.commit().await?;
            return Ok(Turn::CarryOut);
        }
        match record.state {
            IdempotencyState::Running => Err(UseCaseError::KeyInUse),
            IdempotencyState::Answered { fingerprint, answer } => Ok(Turn::Replay { fingerprint, answer }),
        }
    }

    /// Keeps the answer of a request that was carried out.
    pub async fn answered(
        &self,
        caller: &Caller,
        key: &str,
        fingerprint: &str,
        answer: &StoredAnswer,
    ) -> Result<(), UseCaseError> {
        let mut tx = self.store.write().await?;
        if !tx.idempotency().answer(&caller.label(), key, fingerprint, answer).await? {
            tracing::warn!("an answer's idempotency key is not known any more");
        }
        Ok(tx.commit().await?)
    }

    /// Frees the key of a request that failed: it changed nothing, or its commit carries the key.
    pub async fn failed(&self, caller: &Caller, key: &str) -> Result<(), UseCaseError> {
        let mut tx = self.store.write().await?;
        tx.idempotency().forget(&caller.label(), key).await?;
        Ok(tx.commit().await?)
    }

    /// Forgets what is older than it is kept; answers how many requests.
    pub async fn clean_up(&self) -> Result<u64, UseCaseError> {
        let before = self.clock.now() - self.keep;
        let mut tx = self.store.write().await?;
        let forgotten = tx.idempotency().forget_before(before).await? + tx.lake_index().forget_keys(before).await?;
        tx.commit().await?;
        Ok(forgotten)
    }
}
