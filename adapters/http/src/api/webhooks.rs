//! Webhooks: addresses that a project's events are told to.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use gadwall_application::error::UseCaseError;
use gadwall_application::webhooks::Webhooks;
use gadwall_domain::webhook::{DeadLetter, Webhook, WebhookSecret, WebhookUrl};
use poem_openapi::param::Path;
use poem_openapi::payload::Json;
use poem_openapi::{ApiResponse, Object, OpenApi};

use super::projects::Gone;
use super::{Area, project_id};
use crate::auth::Auth;
use crate::problem::{ApiError, ApiResult};

pub(crate) struct WebhooksApi {
    pub(crate) webhooks: Arc<Webhooks>,
}

/// What a webhook should be.
#[derive(Debug, Object)]
#[oai(rename = "CreateWebhook")]
pub(crate) struct CreateWebhook {
    /// Where it is: http or https, and not inside.
    url: String,
    /// Types with commas between them, as in `GET /events/stream`. All without.
    types: Option<String>,
}

/// An address that is told of a project's events.
#[derive(Debug, Object)]
#[oai(rename = "Webhook")]
pub(crate) struct WebhookBody {
    /// Its id.
    id: String,
    /// Where it is.
    url: String,
    /// The types it wants; null for all.
    types: Option<String>,
    /// What deliveries are signed with (`webhook-signature`, as Standard Webhooks has it). Shown only when it is made.
    #[oai(skip_serializing_if_is_none)]
    secret: Option<String>,
    /// When it was made.
    created_at: DateTime<Utc>,
    /// The last event that was told, passed over or given up.
    position: u64,
    /// How often the next one was tried.
    attempts: u32,
    /// Before then it isn't tried again.
    next_attempt_at: DateTime<Utc>,
    /// Why it failed last; null since a success.
    last_error: Option<String>,
}

/// A project's webhooks.
#[derive(Debug, Object)]
pub(crate) struct WebhookList {
    /// Oldest first.
    webhooks: Vec<WebhookBody>,
    /// How many.
    total: u64,
}

/// An event that was given up.
#[derive(Debug, Object)]
#[oai(rename = "DeadLetter")]
pub(crate) struct DeadLetterBody {
    /// Its position in the log: `GET /projects/{id}/events?after=` one less shows it.
    position: u64,
    /// Its type.
    event_type: String,
    /// What it happened to.
    subject: String,
    /// How often it was tried.
    attempts: u32,
    /// Why it failed last.
    error: String,
    /// When it was given up.
    failed_at: DateTime<Utc>,
}

/// Events that were given up.
#[derive(Debug, Object)]
pub(crate) struct DeadLetterList {
    /// Newest first; the last 100.
    dead_letters: Vec<DeadLetterBody>,
    /// How many.
    total: u64,
}

#[derive(ApiResponse)]
pub(crate) enum WebhookCreated {
    /// The webhook is there. This is the only time that its secret is shown.
    #[oai(status = 201)]
    Created(Json<WebhookBody>),
}

fn shown(webhook: Webhook) -> WebhookBody {
    WebhookBody {
        id: webhook.id.to_string(),
        url: webhook.url.as_str().to_owned(),
        types: webhook.types,
        secret: None,
        created_at: webhook.created_at,
        position: webhook.progress.position,
        attempts: webhook.progress.attempts,
        next_attempt_at: webhook.progress.due_at,
        last_error: webhook.progress.error,
    }
}

fn secret_text(secret: &WebhookSecret) -> String {
    format!("whsec_{}", STANDARD.encode(secret.0))
}

impl From<DeadLetter> for DeadLetterBody {
    fn from(letter: DeadLetter) -> Self {
        let DeadLetter { position, event_type, subject, attempts, error, failed_at, .. } = letter;
        Self { position, event_type, subject, attempts, error, failed_at }
    }
}

#[OpenApi(tag = "Area::Events")]
impl WebhooksApi {
    /// Create a webhook
    ///
    /// What happens in the project from now on is sent there as `CloudEvents`, one a request, in order and at least once. What
    /// fails (any status but 200 to 299) is tried again after 2 seconds, then after ever longer pauses, and given up after 10
    /// times. Repeated deliveries have the same `webhook-id`.
    #[oai(path = "/projects/:project/webhooks", method = "post", operation_id = "create_webhook")]
    async fn create(&self, auth: Auth, project: Path<String>, body: Json<CreateWebhook>) -> ApiResult<WebhookCreated> {
        let project = project_id(&project.0)?;
        let url = WebhookUrl::parse(&body.0.url).map_err(|error| ApiError::from(UseCaseError::from(error)))?;
        let made = self.webhooks.create(auth.caller(), &project, url, body.0.types).await?;
        let secret = Some(secret_text(&made.secret));
        Ok(WebhookCreated::Created(Json(WebhookBody { secret, ..shown(made) })))
    }

    /// List a project's webhooks
    #[oai(path = "/projects/:project/webhooks", method = "get", operation_id = "list_webhooks")]
    async fn list(&self, auth: Auth, project: Path<String>) -> ApiResult<Json<WebhookList>> {
        let found = self.webhooks.list(auth.caller(), &project_id(&project.0)?).await?;
        let total = found.len() as u64;
        Ok(Json(WebhookList { webhooks: found.into_iter().map(shown).collect(), total }))
    }

    /// Look at a webhook
    #[oai(path = "/projects/:project/webhooks/:webhook", method = "get", operation_id = "get_webhook")]
    async fn get(&self, auth: Auth, project: Path<String>, webhook: Path<String>) -> ApiResult<Json<WebhookBody>> {
        let found = self.webhooks.get(auth.caller(), &project_id(&project.0)?, &webhook.0).await?;
        Ok(Json(shown(found)))
    }

    /// Delete a webhook
    #[oai(path = "/projects/:project/webhooks/:webhook", method = "delete", operation_id = "delete_webhook")]
    async fn remove(&self, auth: Auth, project: Path<String>, webhook: Path<String>) -> ApiResult<Gone> {
        self.webhooks.remove(auth.caller(), &project_id(&project.0)?, &webhook.0).await?;
        Ok(Gone::NoContent)
    }

    /// List what a webhook could not be told
    #[oai(
        path = "/projects/:project/webhooks/:webhook/dead-letters",
        method = "get",
        operation_id = "list_dead_letters"
    )]
    async fn dead_letters(
        &self,
        auth: Auth,
        project: Path<String>,
        webhook: Path<String>,
    ) -> ApiResult<Json<DeadLetterList>> {
        let found = self.webhooks.dead_letters(auth.caller(), &project_id(&project.0)?, &webhook.0).await?;
        let total = found.len() as u64;
        Ok(Json(DeadLetterList { dead_letters: found.into_iter().map(Into::into).collect(), total }))
    }
}
