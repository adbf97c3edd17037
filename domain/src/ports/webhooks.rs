//! Webhooks: kept, and told.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use thiserror::Error;

use super::metadata::StoreError;
use crate::ids::WebhookId;
use crate::names::ProjectId;
use crate::webhook::{DeadLetter, Webhook, WebhookProgress, WebhookSecret, WebhookUrl, WebhookUrlError};

/// Addresses that are told of projects' events.
#[async_trait]
pub trait WebhookRepository: Send {
    /// Adds a webhook.
    async fn insert(&mut self, webhook: &Webhook) -> Result<(), StoreError>;
    /// One webhook of a project.
    async fn find(&mut self, project: &ProjectId, id: WebhookId) -> Result<Option<Webhook>, StoreError>;
    /// A project's webhooks, oldest first.
    async fn list(&mut self, project: &ProjectId) -> Result<Vec<Webhook>, StoreError>;
    /// Removes a webhook and its dead letters; `false` when there is none of that id.
    async fn remove(&mut self, project: &ProjectId, id: WebhookId) -> Result<bool, StoreError>;
    /// Removes all of a project.
    async fn clear(&mut self, project: &ProjectId) -> Result<(), StoreError>;
    /// Those that have events to be told of now and that nobody has claimed; whose turn came first, first.
    async fn due(&mut self, now: DateTime<Utc>, limit: u32) -> Result<Vec<Webhook>, StoreError>;
    /// Claims a webhook until a time, unless it is claimed or gone; answers whether it is.
    async fn claim(&mut self, id: WebhookId, now: DateTime<Utc>, until: DateTime<Utc>) -> Result<bool, StoreError>;
    /// Keeps how far a claimed webhook is, and gives it back.
    async fn keep(&mut self, id: WebhookId, progress: &WebhookProgress) -> Result<(), StoreError>;
    /// Adds an event that could not be told; the oldest beyond `most` go.
    async fn bury(&mut self, letter: &DeadLetter, most: u32) -> Result<(), StoreError>;
    /// A webhook's dead letters, newest first.
    async fn dead_letters(&mut self, id: WebhookId, limit: u32) -> Result<Vec<DeadLetter>, StoreError>;
}

/// What is sent to a webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Tells it from all others; the same when it is sent again.
    pub id: String,
    /// When.
    pub at: DateTime<Utc>,
    /// The event, as a `CloudEvents` document.
    pub body: String,
}

/// Why a delivery failed. The text is for the webhook's owner: it tells nothing of the network it was sent from.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DeliveryError {
    /// The address may not be told.
    #[error(transparent)]
    Refused(#[from] WebhookUrlError),
    /// It can't be reached.
    #[error("the address can't be reached")]
    Unreachable,
    /// It took too long.
    #[error("the address didn't answer in time")]
    Timeout,
    /// It answered that it failed.
    #[error("the address answered with status {0}")]
    Status(u16),
}

/// Tells webhooks.
#[async_trait]
pub trait WebhookSender: Send + Sync {
    /// Refuses an address that may not be told.
    async fn check(&self, url: &WebhookUrl) -> Result<(), WebhookUrlError>;
    /// Sends a signed delivery. Good is any status from 200 to 299.
    async fn send(&self, url: &WebhookUrl, secret: &WebhookSecret, delivery: &Delivery) -> Result<(), DeliveryError>;
}
