//! Webhooks and what they could not be told.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use gadwall_domain::ids::WebhookId;
use gadwall_domain::names::ProjectId;
use gadwall_domain::ports::metadata::StoreError;
use gadwall_domain::ports::webhooks::WebhookRepository;
use gadwall_domain::webhook::{DeadLetter, Webhook, WebhookProgress};

use crate::rows::{self, micros, number};
use crate::statement::sql;
use crate::tx::SqlTx;

const INSERT: &str =
    "INSERT INTO webhooks (id, project, url, types, secret, created_at, position, attempts, due_at, error)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
const FIND: &str = "SELECT w.*, p.id AS project_id FROM webhooks w JOIN projects p ON p.id_key = w.project
     WHERE w.project = $1 AND w.id = $2";
const LIST: &str = "SELECT w.*, p.id AS project_id FROM webhooks w JOIN projects p ON p.id_key = w.project
     WHERE w.project = $1 ORDER BY w.id";
const DUE: &str = "SELECT w.*, p.id AS project_id FROM webhooks w JOIN projects p ON p.id_key = w.project
     WHERE w.due_at <= $1 AND (w.claimed_until IS NULL OR w.claimed_until <= $1)
       AND EXISTS (SELECT 1 FROM events e WHERE e.project = w.project AND e.position > w.position)
     ORDER BY w.due_at, w.id LIMIT $2";
const CLAIM: &str = "UPDATE webhooks SET claimed_until = $3
     WHERE id = $1 AND (claimed_until IS NULL OR claimed_until <= $2)";
const KEEP: &str = "UPDATE webhooks SET position = $2, attempts = $3, due_at = $4, error = $5, claimed_until = NULL
     WHERE id = $1";
const BURY: &str =
    "INSERT INTO webhook_dead_letters (webhook, position, event_type, subject, attempts, error, failed_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (webhook, position) DO NOTHING";
const KEEP_NEWEST: &str = "DELETE FROM webhook_dead_letters WHERE webhook = $1 AND position NOT IN (
    SELECT position FROM webhook_dead_letters WHERE webhook = $1 ORDER BY position DESC LIMIT $2)";

#[async_trait]
impl WebhookRepository for SqlTx {
    async fn insert(&mut self, webhook: &Webhook) -> Result<(), StoreError> {
        let progress = &webhook.progress;
        let statement = sql(INSERT)
            .bind(webhook.id.to_string())
            .bind(webhook.project.folded())
            .bind(webhook.url.as_str())
            .bind(webhook.types.as_deref())
            .bind(&webhook.secret.0[..])
            .bind(micros(webhook.created_at))
            .bind(number("position", progress.position)?)
            .bind(i64::from(progress.attempts))
            .bind(micros(progress.due_at))
            .bind(progress.error.as_deref());
        self.run(statement).await.map(drop)
    }

    async fn find(&mut self, project: &ProjectId, id: WebhookId) -> Result<Option<Webhook>, StoreError> {
        let statement = sql(FIND).bind(project.folded()).bind(id.to_string());
        self.find_row(statement).await?.as_ref().map(rows::webhook).transpose()
    }

    async fn list(&mut self, project: &ProjectId) -> Result<Vec<Webhook>, StoreError> {
        self.all(sql(LIST).bind(project.folded())).await?.iter().map(rows::webhook).collect()
    }

    async fn remove(&mut self, project: &ProjectId, id: WebhookId) -> Result<bool, StoreError> {
        if WebhookRepository::find(self, project, id).await?.is_none() {
            return Ok(false);
        }
        self.run(sql("DELETE FROM webhook_dead_letters WHERE webhook = $1").bind(id.to_string())).await?;
        Ok(self.run(sql("DELETE FROM webhooks WHERE id = $1").bind(id.to_string())).await? > 0)
    }

    async fn clear(&mut self, project: &ProjectId) -> Result<(), StoreError> {
        let letters = "DELETE FROM webhook_dead_letters WHERE webhook IN (SELECT id FROM webhooks WHERE project = $1)";
        self.run(sql(letters).bind(project.folded())).await?;
        self.run(sql("DELETE FROM webhooks WHERE project = $1").bind(project.folded())).await.map(drop)
    }

    async fn due(&mut self, now: DateTime<Utc>, limit: u32) -> Result<Vec<Webhook>, StoreError> {
        self.all(sql(DUE).bind(micros(now)).bind(i64::from(limit))).await?.iter().map(rows::webhook).collect()
    }

    async fn claim(&mut self, id: WebhookId, now: DateTime<Utc>, until: DateTime<Utc>) -> Result<bool, StoreError> {
        Ok(self.run(sql(CLAIM).bind(id.to_string()).bind(micros(now)).bind(micros(until))).await? > 0)
    }

    async fn keep(&mut self, id: WebhookId, progress: &WebhookProgress) -> Result<(), StoreError> {
        let statement = sql(KEEP)
            .bind(id.to_string())
            .bind(number("position", progress.position)?)
            .bind(i64::from(progress.attempts))
            .bind(micros(progress.due_at))
            .bind(progress.error.as_deref());
        self.run(statement).await.map(drop)
    }

    async fn bury(&mut self, letter: &DeadLetter, most: u32) -> Result<(), StoreError> {
        let statement = sql(BURY)
            .bind(letter.webhook.to_string())
            .bind(number("position", letter.position)?)
            .bind(letter.event_type.as_str())
            .bind(letter.subject.as_str())
            .bind(i64::from(letter.attempts))
            .bind(letter.error.as_str())
            .bind(micros(letter.failed_at));
        self.run(statement).await?;
        self.run(sql(KEEP_NEWEST).bind(letter.webhook.to_string()).bind(i64::from(most))).await.map(drop)
    }

    async fn dead_letters(&mut self, id: WebhookId, limit: u32) -> Result<Vec<DeadLetter>, StoreError> {
        let statement = sql("SELECT * FROM webhook_dead_letters WHERE webhook = $1 ORDER BY position DESC LIMIT $2")
            .bind(id.to_string())
            .bind(i64::from(limit));
        self.all(statement).await?.iter().map(rows::dead_letter).collect()
    }
}
