//! Requests that may be repeated, as a map from a caller's key.

use std::collections::HashSet;
use std::collections::btree_map::Entry;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use gadwall_domain::idempotency::{IdempotencyRecord, IdempotencyState, StoredAnswer};
use gadwall_domain::ports::metadata::{Begun, IdempotencyRepository, StoreError};
use uuid::Uuid;

use super::MemoryTx;

impl MemoryTx {
    /// A request that is being carried out.
    fn running(&mut self, caller: &str, key: &str) -> Result<Option<&mut IdempotencyRecord>, StoreError> {
        let record = self.change()?.idempotency.get_mut(&(caller.to_owned(), key.to_owned()));
        Ok(record.filter(|record| record.state == IdempotencyState::Running))
    }
}

#[async_trait]
impl IdempotencyRepository for MemoryTx {
    async fn begin(
        &mut self,
        caller: &str,
        key: &str,
        instance: Uuid,
        now: DateTime<Utc>,
        alive_since: DateTime<Utc>,
    ) -> Result<Begun, StoreError> {
        let instances = &self.state.instances;
        let alive: HashSet<Uuid> =
            instances.values().filter(|known| known.last_seen >= alive_since).map(|known| known.id).collect();
        match self.change()?.idempotency.entry((caller.to_owned(), key.to_owned())) {
            Entry::Vacant(free) => {
                let (caller, key) = free.key().clone();
                let state = IdempotencyState::Running;
                free.insert(IdempotencyRecord { caller, key, instance, created_at: now, state });
                Ok(Begun::Now)
            }
            Entry::Occupied(mut taken) => {
                let record = taken.get_mut();
                if record.state != IdempotencyState::Running
                    || record.instance == instance
                    || alive.contains(&record.instance)
                {
                    return Ok(Begun::Before(record.clone()));
                }
                record.instance = instance;
                Ok(Begun::Now)
            }
        }
    }

    async fn answer(
        &mut self,
        caller: &str,
        key: &str,
        fingerprint: &str,
        answer: &StoredAnswer,
    ) -> Result<bool, StoreError> {
        let Some(record) = self.running(caller, key)? else { return Ok(false) };
        let (fingerprint, answer) = (fingerprint.to_owned(), answer.clone());
        record.state = IdempotencyState::Answered { fingerprint, answer };
        Ok(true)
    }

    async fn forget(&mut self, caller: &str, key: &str) -> Result<(), StoreError> {
        if self.running(caller, key)?.is_some() {
            self.change()?.idempotency.remove(&(caller.to_owned(), key.to_owned()));
        }
        Ok(())
    }

    async fn forget_before(&mut self, before: DateTime<Utc>) -> Result<u64, StoreError> {
        let requests = &mut self.change()?.idempotency;
        let known = requests.len();
        requests.retain(|_, record| record.created_at >= before);
        Ok((known - requests.len()) as u64)
    }
}
