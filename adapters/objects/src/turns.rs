//! Turns among those of one process.

use std::fmt;
use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};
use std::sync::Arc;

use async_trait::async_trait;
use gadwall_domain::dataset::DatasetName;
use gadwall_domain::ids::LakeId;
use gadwall_domain::ports::turns::{Turn, TurnError, Turns};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Turns at changing a dataset, a bounded number of them. Held for a few requests, each of which has its time.
pub struct ProcessTurns([Arc<Semaphore>; 64]);

impl fmt::Debug for ProcessTurns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ProcessTurns")
    }
}

impl Default for ProcessTurns {
    fn default() -> Self {
        Self(std::array::from_fn(|_| Arc::new(Semaphore::new(1))))
    }
}

struct Held(#[expect(dead_code, reason = "given back when dropped")] OwnedSemaphorePermit);

#[async_trait]
impl Turn for Held {
    async fn still(&mut self) -> Result<(), TurnError> {
        Ok(())
    }
}

#[async_trait]
impl Turns for ProcessTurns {
    async fn take(&self, lake: LakeId, dataset: &DatasetName) -> Result<Box<dyn Turn>, TurnError> {
        let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one((lake, dataset));
        let index = usize::try_from(hash % self.0.len() as u64).unwrap_or_default();
        let place = Arc::clone(&self.0[index]).acquire_owned().await;
        Ok(Box::new(Held(place.map_err(|error| TurnError(error.into()))?)))
    }
}
