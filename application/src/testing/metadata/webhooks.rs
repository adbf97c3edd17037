//! Webhooks as a map.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use gadwall_domain::ids::WebhookId;
use gadwall_domain::names::ProjectId;
use gadwall_domain::ports::metadata::StoreError;
use gadwall_domain::ports::webhooks::WebhookRepository;
use gadwall_domain::webhook::{DeadLetter, Webhook, WebhookProgress};

use super::MemoryTx;

/// A webhook, and until when somebody has it.
#[derive(Debug, Clone)]
pub(super) struct Kept {
    webhook: Webhook,
    claimed_until: Option<DateTime<Utc>>,
    dead: Vec<DeadLetter>,
}

#[async_trait]
impl WebhookRepository for MemoryTx {
    async fn insert(&mut self, webhook: &Webhook) -> Result<(), StoreError> {
        let state = self.change()?;
        let project = state.project(&webhook.project)?.id.clone();
        let webhook = Webhook { project, ..webhook.clone() };
        state.webhooks.insert(webhook.id, Kept { webhook, claimed_until: None, dead: Vec::new() });
        Ok(())
    }

    async fn find(&mut self, project: &ProjectId, id: WebhookId) -> Result<Option<Webhook>, StoreError> {
        let found = self.state.webhooks.get(&id).filter(|kept| kept.webhook.project == *project);
        Ok(found.map(|kept| kept.webhook.clone()))
    }

    async fn list(&mut self, project: &ProjectId) -> Result<Vec<Webhook>, StoreError> {
        let all = self.state.webhooks.values().map(|kept| &kept.webhook);
        Ok(all.filter(|webhook| webhook.project == *project).cloned().collect())
    }

    async fn remove(&mut self, project: &ProjectId, id: WebhookId) -> Result<bool, StoreError> {
        let is_there = WebhookRepository::find(self, project, id).await?.is_some();
        if is_there {
            self.change()?.webhooks.remove(&id);
        }
        Ok(is_there)
    }

    async fn clear(&mut self, project: &ProjectId) -> Result<(), StoreError> {
        self.change()?.webhooks.retain(|_, kept| kept.webhook.project != *project);
        Ok(())
    }

    async fn due(&mut self, now: DateTime<Utc>, limit: u32) -> Result<Vec<Webhook>, StoreError> {
        let is_due = |kept: &&Kept| {
            let progress = &kept.webhook.progress;
            progress.due_at <= now
                && kept.claimed_until.is_none_or(|until| until <= now)
                && self.state.events.has_after(&kept.webhook.project, progress.position)
        };
        let mut found: Vec<_> = self.state.webhooks.values().filter(is_due).map(|kept| kept.webhook.clone()).collect();
        found.sort_by_key(|webhook| (webhook.progress.due_at, webhook.id));
        found.truncate(limit as usize);
        Ok(found)
    }

    async fn claim(&mut self, id: WebhookId, now: DateTime<Utc>, until: DateTime<Utc>) -> Result<bool, StoreError> {
        let Some(kept) = self.change()?.webhooks.get_mut(&id) else { return Ok(false) };
        let is_free = kept.claimed_until.is_none_or(|until| until <= now);
        if is_free {
            kept.claimed_until = Some(until);
        }
        Ok(is_free)
    }

    async fn keep(&mut self, id: WebhookId, progress: &WebhookProgress) -> Result<(), StoreError> {
        if let Some(kept) = self.change()?.webhooks.get_mut(&id) {
            kept.webhook.progress = progress.clone();
            kept.claimed_until = None;
        }
        Ok(())
    }

    async fn bury(&mut self, letter: &DeadLetter, most: u32) -> Result<(), StoreError> {
        let state = self.change()?;
        let kept = state.webhooks.get_mut(&letter.webhook).ok_or_else(|| super::fault("no such webhook"))?;
        if !kept.dead.iter().any(|known| known.position == letter.position) {
            kept.dead.push(letter.clone());
        }
        kept.dead.sort_by_key(|letter| std::cmp::Reverse(letter.position));
        kept.dead.truncate(most as usize);
        Ok(())
    }

    async fn dead_letters(&mut self, id: WebhookId, limit: u32) -> Result<Vec<DeadLetter>, StoreError> {
        let dead = self.state.webhooks.get(&id).map(|kept| kept.dead.as_slice()).unwrap_or_default();
        Ok(dead.iter().take(limit as usize).cloned().collect())
    }
}
