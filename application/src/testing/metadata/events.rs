//! The log of events as a list, and who watches it.

use std::collections::BTreeMap;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use gadwall_domain::access::KeyDigest;
use gadwall_domain::events::{Event, LogExtent, LoggedEvent};
use gadwall_domain::live::{ChangeConsumer, EventToken};
use gadwall_domain::names::{ConsumerName, ProjectId};
use gadwall_domain::ports::events::{ChangeConsumers, EventTokens};
use gadwall_domain::ports::metadata::{EventLog, StoreError};
use gadwall_domain::table::TableRef;

use super::MemoryTx;

/// All that is stored of events.
#[derive(Debug, Clone, Default)]
pub(super) struct Events {
    log: Vec<LoggedEvent>,
    last: u64,
    forgotten: BTreeMap<ProjectId, u64>,
    tokens: Vec<EventToken>,
    consumers: BTreeMap<(ProjectId, TableRef, ConsumerName), ChangeConsumer>,
}

impl Events {
    /// Whether a project has events after a position.
    pub(super) fn has_after(&self, project: &ProjectId, position: u64) -> bool {
        self.log.iter().any(|event| event.project == *project && event.position > position)
    }
}

#[async_trait]
impl EventLog for MemoryTx {
    async fn append(&mut self, events: &[Event]) -> Result<(), StoreError> {
        let state = self.change()?;
        for event in events {
            let project = state.project(&event.project)?.id.clone();
            let event = event.clone();
            state.events.last += 1;
            state.events.log.push(LoggedEvent {
                position: state.events.last,
                project,
                event_type: event.event_type.to_owned(),
                subject: event.subject,
                occurred_at: event.occurred_at,
                request_id: event.request_id,
                snapshot: event.snapshot,
                data: event.data,
            });
        }
        Ok(())
    }

    async fn read_after(
        &mut self,
        project: &ProjectId,
        position: u64,
        limit: u32,
    ) -> Result<Vec<LoggedEvent>, StoreError> {
        let later = self.state.events.log.iter().filter(|event| event.project == *project && event.position > position);
        Ok(later.take(limit as usize).cloned().collect())
    }

    async fn read_all_after(&mut self, position: u64, limit: u32) -> Result<Vec<LoggedEvent>, StoreError> {
        let later = self.state.events.log.iter().filter(|event| event.position > position);
        Ok(later.take(limit as usize).cloned().collect())
    }

    async fn newest(&mut self, project: Option<&ProjectId>, limit: u32) -> Result<Vec<LoggedEvent>, StoreError> {
        let is_of = |event: &&LoggedEvent| project.is_none_or(|project| event.project == *project);
        let mut found: Vec<_> =
            self.state.events.log.iter().rev().filter(is_of).take(limit as usize).cloned().collect();
        found.reverse();
        Ok(found)
    }

    async fn extent(&mut self, project: Option<&ProjectId>) -> Result<LogExtent, StoreError> {
        let events = &self.state.events;
        let of = |known: &ProjectId| project.is_none_or(|project| known == project);
        let forgotten = events.forgotten.iter().filter(|(known, _)| of(known)).map(|(_, position)| *position).max();
        Ok(LogExtent { forgotten: forgotten.unwrap_or_default(), last: events.last })
    }

    async fn forget_before(&mut self, before: DateTime<Utc>, limit: u32) -> Result<u64, StoreError> {
        let events = &mut self.change()?.events;
        let old = events.log.iter().take_while(|event| event.occurred_at < before).count().min(limit as usize);
        for event in events.log.drain(..old) {
            events.forgotten.insert(event.project, event.position);
        }
        Ok(old as u64)
    }
}

#[async_trait]
impl EventTokens for MemoryTx {
    async fn insert(&mut self, token: &EventToken) -> Result<(), StoreError> {
        self.change()?.events.tokens.push(token.clone());
        Ok(())
    }

    async fn find(&mut self, digest: &KeyDigest, now: DateTime<Utc>) -> Result<Option<EventToken>, StoreError> {
        let is = |token: &&EventToken| token.digest == *digest && token.expires_at > now;
        Ok(self.state.events.tokens.iter().find(is).cloned())
    }

    async fn forget_ended(&mut self, now: DateTime<Utc>) -> Result<u64, StoreError> {
        let tokens = &mut self.change()?.events.tokens;
        let before = tokens.len();
        tokens.retain(|token| token.expires_at > now);
        Ok((before - tokens.len()) as u64)
    }
}

#[async_trait]
impl ChangeConsumers for MemoryTx {
    async fn put(&mut self, consumer: &ChangeConsumer) -> Result<(), StoreError> {
        let state = self.change()?;
        let project = state.project(&consumer.project)?.id.clone();
        let key = (project.clone(), consumer.table.clone(), consumer.name.clone());
        let new = || ChangeConsumer { project, ..consumer.clone() };
        let known = state.events.consumers.entry(key).or_insert_with(new);
        known.snapshot = consumer.snapshot;
        known.moved_at = consumer.moved_at;
        Ok(())
    }

    async fn find(
        &mut self,
        project: &ProjectId,
        table: &TableRef,
        name: &ConsumerName,
    ) -> Result<Option<ChangeConsumer>, StoreError> {
        Ok(self.state.events.consumers.get(&(project.clone(), table.clone(), name.clone())).cloned())
    }

    async fn list(&mut self, project: &ProjectId) -> Result<Vec<ChangeConsumer>, StoreError> {
        let all = self.state.events.consumers.values();
        Ok(all.filter(|consumer| consumer.project == *project).cloned().collect())
    }

    async fn remove(&mut self, project: &ProjectId, table: &TableRef, name: &ConsumerName) -> Result<bool, StoreError> {
        let key = (project.clone(), table.clone(), name.clone());
        Ok(self.change()?.events.consumers.remove(&key).is_some())
    }

    async fn clear(&mut self, project: &ProjectId) -> Result<(), StoreError> {
        self.change()?.events.consumers.retain(|(of, ..), _| of != project);
        Ok(())
    }
}
