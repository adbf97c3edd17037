//! The servers that share the store, as a map by id.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use gadwall_domain::instance::Instance;
use gadwall_domain::ports::metadata::{InstanceRepository, StoreError};
use uuid::Uuid;

use super::MemoryTx;

#[async_trait]
impl InstanceRepository for MemoryTx {
    async fn renew(&mut self, id: Uuid, now: DateTime<Utc>) -> Result<(), StoreError> {
        let new = Instance { id, started_at: now, last_seen: now };
        self.change()?.instances.entry(id).or_insert(new).last_seen = now;
        Ok(())
    }

    async fn list(&mut self) -> Result<Vec<Instance>, StoreError> {
        let mut all: Vec<Instance> = self.state.instances.values().copied().collect();
        all.sort_by_key(|instance| (instance.started_at, instance.id));
        Ok(all)
    }

    async fn remove(&mut self, id: Uuid, unless_seen_since: DateTime<Utc>) -> Result<bool, StoreError> {
        let instances = &mut self.change()?.instances;
        let known = instances.get(&id).is_some_and(|instance| instance.last_seen < unless_seen_since);
        if known {
            instances.remove(&id);
        }
        Ok(known)
    }
}
