//! Who follows tables, how far they are, and what is kept for them.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use gadwall_domain::access::Scope;
use gadwall_domain::history::ReadAt;
use gadwall_domain::ids::SnapshotId;
use gadwall_domain::live::ChangeConsumer;
use gadwall_domain::names::{ConsumerName, ProjectId};
use gadwall_domain::ports::events::SnapshotHolds;
use gadwall_domain::ports::lake::Lake;
use gadwall_domain::ports::metadata::{MetadataStore, StoreError};
use gadwall_domain::ports::system::Clock;
use gadwall_domain::table::TableRef;

use crate::access::Access;
use crate::caller::Caller;
use crate::error::UseCaseError;
use crate::events::EventsError;
use crate::maintenance::ends;
use crate::tables::Tables;

/// Most consumers of a project.
const MAX_CONSUMERS: usize = 1_000;

/// The use cases of consumers.
pub struct Consumers {
    store: Arc<dyn MetadataStore>,
    lakes: Arc<dyn Lake>,
    access: Arc<Access>,
    tables: Arc<Tables>,
    clock: Arc<dyn Clock>,
    max_hold: TimeDelta,
}

impl fmt::Debug for Consumers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Consumers")
    }
}

/// A consumer, and how it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownConsumer {
    /// The consumer.
    pub consumer: ChangeConsumer,
    /// The newest snapshot.
    pub newest: SnapshotId,
    /// Until when snapshots are kept for it, unless it moves.
    pub held_until: DateTime<Utc>,
}

impl Consumers {
    /// Works on these stores. Snapshots are kept for a consumer that doesn't move for so long at most.
    pub fn new(
        store: Arc<dyn MetadataStore>,
        lakes: Arc<dyn Lake>,
        access: Arc<Access>,
        tables: Arc<Tables>,
        clock: Arc<dyn Clock>,
        max_hold: TimeDelta,
    ) -> Self {
        Self { store, lakes, access, tables, clock, max_hold }
    }

    /// Makes a consumer, or moves it to a snapshot: to the newest if none is given. Answers whether it is new.
    pub async fn put(
        &self,
        caller: &Caller,
        project: &ProjectId,
        table: &TableRef,
        name: ConsumerName,
        snapshot: Option<SnapshotId>,
    ) -> Result<(KnownConsumer, bool), UseCaseError> {
        let project = self.access.open_bucket(caller, project, &table.bucket, Scope::Write).await?;
        let table = self.tables.require_at(&project, table, ReadAt::Head).await?.name;
        let newest = self.lakes.head(project.lake).await?;
        let wanted = snapshot.unwrap_or(newest);
        let now = self.clock.now();
        let mut tx = self.store.write().await?;
        let known = tx.consumers().find(&project.id, &table, &name).await?;
        if known.is_none() && tx.consumers().list(&project.id).await?.len() >= MAX_CONSUMERS {
            return Err(EventsError::TooManyConsumers(MAX_CONSUMERS).into());
        }
        let created_at = known.as_ref().map_or(now, |known| known.created_at);
        let consumer =
            ChangeConsumer { project: project.id.clone(), table, name, snapshot: wanted, created_at, moved_at: now };
        tx.consumers().put(&consumer).await?;
        if known.is_none() {
            let what = format!("{}/{}", consumer.table, consumer.name);
            tx.audit().append(&[caller.entry(now, "consumer.created", &project.id, what)]).await?;
        }
        // Looked for before it counts: from the commit on nothing removes it.
        let ends = ends(&mut *tx, &project.id, wanted, true).await?;
        if ends || self.lakes.snapshot(project.lake, wanted).await?.is_none() {
            return Err(UseCaseError::NoSnapshot { project: project.id, snapshot: wanted.to_string() });
        }
        tx.commit().await?;
        Ok((self.known(consumer, newest), known.is_none()))
    }

    /// A consumer by name.
    pub async fn get(
        &self,
        caller: &Caller,
        project: &ProjectId,
        table: &TableRef,
        name: &ConsumerName,
    ) -> Result<KnownConsumer, UseCaseError> {
        let project = self.access.open_bucket(caller, project, &table.bucket, Scope::Read).await?;
        let found = self.store.read().await?.consumers().find(&project.id, table, name).await?;
        let consumer = found.ok_or_else(|| EventsError::NoConsumer(name.to_string()))?;
        Ok(self.known(consumer, self.lakes.head(project.lake).await?))
    }

    /// Removes a consumer; nothing is kept for it any more.
    pub async fn remove(
        &self,
        caller: &Caller,
        project: &ProjectId,
        table: &TableRef,
        name: &ConsumerName,
    ) -> Result<(), UseCaseError> {
        let project = self.access.open_bucket(caller, project, &table.bucket, Scope::Write).await?;
        let mut tx = self.store.write().await?;
        if !tx.consumers().remove(&project.id, table, name).await? {
            return Err(EventsError::NoConsumer(name.to_string()).into());
        }
        let what = format!("{table}/{name}");
        tx.audit().append(&[caller.entry(self.clock.now(), "consumer.removed", &project.id, what)]).await?;
        Ok(tx.commit().await?)
    }

    fn known(&self, consumer: ChangeConsumer, newest: SnapshotId) -> KnownConsumer {
        let held_until = consumer.moved_at + self.max_hold;
        KnownConsumer { consumer, newest, held_until }
    }
}

#[async_trait]
impl SnapshotHolds for Consumers {
    async fn oldest_needed(&self, project: &ProjectId) -> Result<Option<SnapshotId>, StoreError> {
        let held_since = self.clock.now() - self.max_hold;
        let all = self.store.read().await?.consumers().list(project).await?;
        Ok(all.into_iter().filter(|consumer| consumer.moved_at > held_since).map(|consumer| consumer.snapshot).min())
    }
}
