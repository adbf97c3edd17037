//! Events that are handed on, as a map.

use std::collections::BTreeMap;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use gadwall_domain::names::ProjectId;
use gadwall_domain::ports::lineage::{ForwardBacklog, ForwardProgress, ForwardRepository, ForwardedEvent};
use gadwall_domain::ports::metadata::StoreError;
use serde_json::Value;

use super::MemoryTx;
use super::lineage::from_json;

/// What waits by its place, and how far it is.
#[derive(Debug, Clone, Default)]
pub(super) struct Forwarding {
    last: u64,
    events: BTreeMap<u64, (ProjectId, Value, DateTime<Utc>)>,
    progress: ForwardProgress,
    claimed_until: Option<DateTime<Utc>>,
}

impl Forwarding {
    pub(super) fn clear(&mut self, project: &ProjectId) {
        self.events.retain(|_, (of, ..)| of != project);
    }
}

#[async_trait]
impl ForwardRepository for MemoryTx {
    async fn forward(
        &mut self,
        project: &ProjectId,
        events: &[String],
        at: DateTime<Utc>,
        most: u64,
    ) -> Result<(), StoreError> {
        let id = self.state.project(project)?.id.clone();
        let queue = &mut self.change()?.lineage_forwarding;
        for event in events {
            queue.last += 1;
            queue.events.insert(queue.last, (id.clone(), from_json(event)?, at));
        }
        let before = queue.events.len();
        let last = queue.last;
        queue.events.retain(|position, _| *position > last.saturating_sub(most));
        queue.progress.dropped += (before - queue.events.len()) as u64;
        Ok(())
    }

    async fn to_forward(&mut self, limit: u32) -> Result<Vec<ForwardedEvent>, StoreError> {
        let first = self.state.lineage_forwarding.events.iter().take(limit as usize);
        Ok(first
            .map(|(position, (_, event, _))| ForwardedEvent { position: *position, event: event.clone() })
            .collect())
    }

    async fn forwarded(&mut self, positions: &[u64]) -> Result<(), StoreError> {
        self.change()?.lineage_forwarding.events.retain(|position, _| !positions.contains(position));
        Ok(())
    }

    async fn forward_backlog(&mut self, project: Option<&ProjectId>) -> Result<ForwardBacklog, StoreError> {
        let all = self.state.lineage_forwarding.events.values();
        let times: Vec<_> =
            all.filter(|(of, ..)| project.is_none_or(|project| of == project)).map(|(_, _, at)| *at).collect();
        Ok(ForwardBacklog { waiting: times.len() as u64, oldest: times.into_iter().min() })
    }

    async fn forward_progress(&mut self) -> Result<ForwardProgress, StoreError> {
        Ok(self.state.lineage_forwarding.progress.clone())
    }

    async fn claim_forwarding(&mut self, now: DateTime<Utc>, until: DateTime<Utc>) -> Result<bool, StoreError> {
        let queue = &mut self.change()?.lineage_forwarding;
        let free = queue.claimed_until.is_none_or(|until| until <= now);
        let due = queue.progress.due_at.is_none_or(|due| due <= now);
        if free && due {
            queue.claimed_until = Some(until);
        }
        Ok(free && due)
    }

    async fn release_forwarding(&mut self, progress: &ForwardProgress, dropped: u64) -> Result<(), StoreError> {
        let queue = &mut self.change()?.lineage_forwarding;
        let dropped = queue.progress.dropped + dropped;
        queue.progress = ForwardProgress { dropped, ..progress.clone() };
        queue.claimed_until = None;
        Ok(())
    }
}
