//! Webhooks: addresses that a project's events are told to, in their order and at least once.

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use gadwall_domain::access::Scope;
use gadwall_domain::events::LoggedEvent;
use gadwall_domain::ids::WebhookId;
use gadwall_domain::names::ProjectId;
use gadwall_domain::ports::metadata::{MetadataStore, StoreError};
use gadwall_domain::ports::system::{Clock, IdGenerator};
use gadwall_domain::ports::webhooks::{Delivery, DeliveryError, WebhookSender};
use gadwall_domain::project::Project;
use gadwall_domain::webhook::{DeadLetter, Webhook, WebhookProgress, WebhookSecret, WebhookUrl};

use crate::access::Access;
use crate::caller::Caller;
use crate::error::UseCaseError;
use crate::events::{EventsError, Interest, cloud_event};

/// Most webhooks of a project.
pub const MAX_WEBHOOKS: usize = 20;
/// Most dead letters that are kept of a webhook.
pub const MAX_DEAD_LETTERS: u32 = 100;
/// Webhooks told at once.
const AT_ONCE: u32 = 16;
/// Events read at once for one of them.
const PAGE: u32 = 50;
/// How long a webhook is told in one go; then others get their turn.
const TURN: TimeDelta = TimeDelta::seconds(10);
/// How long a webhook belongs to the server that tells it: a turn, and the last delivery in it.
const CLAIM: TimeDelta = TimeDelta::seconds(60);

/// The use cases of webhooks.
pub struct Webhooks {
    store: Arc<dyn MetadataStore>,
    access: Arc<Access>,
    sender: Arc<dyn WebhookSender>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn IdGenerator>,
}

impl fmt::Debug for Webhooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Webhooks")
    }
}

/// What a round came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Told {
    /// Webhooks that had something to be told.
    pub webhooks: usize,
    /// Events that were told.
    pub delivered: usize,
    /// Events that were given up.
    pub given_up: usize,
}

impl Webhooks {
    /// Tells through this sender.
    pub fn new(
        store: Arc<dyn MetadataStore>,
        access: Arc<Access>,
        sender: Arc<dyn WebhookSender>,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn IdGenerator>,
    ) -> Self {
        Self { store, access, sender, clock, ids }
    }

    /// Adds a webhook, which is told of what happens from now on.
    pub async fn create(
        &self,
        caller: &Caller,
        project: &ProjectId,
        url: WebhookUrl,
        types: Option<String>,
    ) -> Result<Webhook, UseCaseError> {
        let project = self.open(caller, project).await?;
        if let Some(types) = &types {
            Interest::parse(types)?;
        }
        self.sender.check(&url).await?;
        let now = self.clock.now();
        let mut secret = [0; 32];
        secret[..16].copy_from_slice(&self.ids.secret());
        secret[16..].copy_from_slice(&self.ids.secret());
        let mut tx = self.store.write().await?;
        if tx.webhooks().list(&project.id).await?.len() >= MAX_WEBHOOKS {
            return Err(EventsError::TooManyWebhooks(MAX_WEBHOOKS).into());
        }
        let position = tx.events().extent(None).await?.last;
        let webhook = Webhook {
            id: WebhookId::new(self.ids.next_id()),
            project: project.id.clone(),
            url,
            types,
            secret: WebhookSecret(secret),
            created_at: now,
            progress: WebhookProgress { position, attempts: 0, due_at: now, error: None },
        };
        tx.webhooks().insert(&webhook).await?;
        tx.audit().append(&[caller.entry(now, "webhook.created", &project.id, webhook.id.to_string())]).await?;
        tx.commit().await?;
        Ok(webhook)
    }

    /// A project's webhooks.
    pub async fn list(&self, caller: &Caller, project: &ProjectId) -> Result<Vec<Webhook>, UseCaseError> {
        let project = self.open(caller, project).await?;
        Ok(self.store.read().await?.webhooks().list(&project.id).await?)
    }

    /// One webhook.
    pub async fn get(&self, caller: &Caller, project: &ProjectId, id: &str) -> Result<Webhook, UseCaseError> {
        let project = self.open(caller, project).await?;
        self.find(&project, id).await
    }

    /// Removes a webhook.
    pub async fn remove(&self, caller: &Caller, project: &ProjectId, id: &str) -> Result<(), UseCaseError> {
        let project = self.open(caller, project).await?;
        let webhook = self.find(&project, id).await?;
        let mut tx = self.store.write().await?;
        if !tx.webhooks().remove(&project.id, webhook.id).await? {
            return Err(EventsError::NoWebhook(id.to_owned()).into());
        }
        tx.audit().append(&[caller.entry(self.clock.now(), "webhook.removed", &project.id, id)]).await?;
        Ok(tx.commit().await?)
    }

    /// What a webhook could not be told, newest first.
    pub async fn dead_letters(
        &self,
        caller: &Caller,
        project: &ProjectId,
        id: &str,
    ) -> Result<Vec<DeadLetter>, UseCaseError> {
        let project = self.open(caller, project).await?;
        let webhook = self.find(&project, id).await?;
        Ok(self.store.read().await?.webhooks().dead_letters(webhook.id, MAX_DEAD_LETTERS).await?)
    }

    async fn open(&self, caller: &Caller, project: &ProjectId) -> Result<Project, UseCaseError> {
        let project = self.access.open(caller, project, Scope::Manage).await?;
        caller.require_whole_project()?;
        Ok(project)
    }

    async fn find(&self, project: &Project, id: &str) -> Result<Webhook, UseCaseError> {
        let missing = || EventsError::NoWebhook(id.to_owned());
        let parsed = WebhookId::parse(id).ok_or_else(missing)?;
        let found = self.store.read().await?.webhooks().find(&project.id, parsed).await?;
        Ok(found.ok_or_else(missing)?)
    }

    /// Tells those that are due; answers what it came to. One that is slow delays the others by its turn at most.
    pub async fn deliver(&self) -> Result<Told, UseCaseError> {
        let now = self.clock.now();
        let due = self.store.read().await?.webhooks().due(now, AT_ONCE).await?;
        let mut mine = Vec::new();
        if !due.is_empty() {
            let mut tx = self.store.write().await?;
            for webhook in due {
                if tx.webhooks().claim(webhook.id, now, now + CLAIM).await? {
                    // As it is now: another server may have had it in between.
                    mine.extend(tx.webhooks().find(&webhook.project, webhook.id).await?);
                }
            }
            tx.commit().await?;
        }
        let mut all = Told { webhooks: mine.len(), ..Told::default() };
        let mut telling: FuturesUnordered<_> = mine.into_iter().map(|webhook| self.tell(webhook, now)).collect();
        while let Some(told) = telling.next().await {
            let told = told?;
            all.delivered += told.delivered;
            all.given_up += told.given_up;
        }
        Ok(all)
    }

    /// Tells one webhook for a turn, and keeps how far it is.
    async fn tell(&self, mut webhook: Webhook, begun: DateTime<Utc>) -> Result<Told, StoreError> {
        let interest = webhook.types.as_deref().map(Interest::parse).transpose().ok().flatten().unwrap_or_default();
        let position = webhook.progress.position;
        let events = self.store.read().await?.events().read_after(&webhook.project, position, PAGE).await?;
        let (mut told, mut dead) = (Told::default(), None);
        for event in events {
            if self.clock.now() - begun >= TURN {
                break;
            }
            if !interest.has(&event.event_type) {
                webhook.progress.done(event.position);
                continue;
            }
            match self.sender.send(&webhook.url, &webhook.secret, &self.delivery(&webhook, &event)).await {
                Ok(()) => {
                    webhook.progress.done(event.position);
                    webhook.progress.error = None;
                    told.delivered += 1;
                }
                Err(error) => {
                    dead = self.failed(&mut webhook, &event, &error);
                    told.given_up += usize::from(dead.is_some());
                    break;
                }
            }
        }
        let mut tx = self.store.write().await?;
        // It may have been removed meanwhile.
        if tx.webhooks().find(&webhook.project, webhook.id).await?.is_some() {
            tx.webhooks().keep(webhook.id, &webhook.progress).await?;
            if let Some(letter) = dead {
                tx.webhooks().bury(&letter, MAX_DEAD_LETTERS).await?;
            }
            tx.commit().await?;
        }
        Ok(told)
    }

    fn delivery(&self, webhook: &Webhook, event: &LoggedEvent) -> Delivery {
        Delivery {
            id: format!("{}.{}", webhook.id, event.position),
            at: self.clock.now(),
            body: cloud_event(event).to_string(),
        }
    }

    /// Notes a failure; answers the dead letter if the event is given up.
    fn failed(&self, webhook: &mut Webhook, event: &LoggedEvent, error: &DeliveryError) -> Option<DeadLetter> {
        let (now, text) = (self.clock.now(), error.to_string());
        if !webhook.progress.failed(now, &text) {
            return None;
        }
        let attempts = webhook.progress.attempts;
        webhook.progress.done(event.position);
        Some(DeadLetter {
            webhook: webhook.id,
            position: event.position,
            event_type: event.event_type.clone(),
            subject: event.subject.clone(),
            attempts,
            error: text,
            failed_at: now,
        })
    }
}
