//! What waits, and what can't be worked off.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use gadwall_application::access::Access;
use gadwall_application::error::UseCaseError;
use gadwall_application::lineage::{Lineage, MAX_LISTED};
use gadwall_domain::lineage::RunError;
use gadwall_domain::names::ProjectId;
use gadwall_domain::ports::lineage::QueuedEvent;
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::types::Any;
use poem_openapi::{Object, OpenApi};
use serde_json::Value;

use crate::api::paging::{next_cursor, position};
use crate::api::short_tables::{Done, done};
use crate::api::{Area, number};
use crate::auth::Auth;
use crate::problem::{ApiError, ApiResult};

pub(crate) struct LineageQueueApi {
    pub(crate) access: Arc<Access>,
    pub(crate) lineage: Arc<Lineage>,
}

/// How much waits.
#[derive(Debug, Object)]
#[oai(rename = "LineageBacklog")]
struct BacklogBody {
    /// Events that wait for the graph to follow.
    waiting: u64,
    /// Events that can't be worked off.
    dead: u64,
    /// When the oldest that waits came.
    oldest_waiting_since: Option<DateTime<Utc>>,
    /// How the handing on to another server is; null where there is none.
    forwarding: Option<ForwardingBody>,
}

/// How the handing on to another server is.
#[derive(Debug, Object)]
#[oai(rename = "LineageForwarding")]
struct ForwardingBody {
    /// Events of the project that wait for it.
    waiting: u64,
    /// When the oldest of them came.
    oldest_waiting_since: Option<DateTime<Utc>>,
    /// How often it failed in a row, whatever the project.
    attempts: u32,
    /// Why it failed last; null since a success.
    error: Option<String>,
    /// When it is tried next; null for at once.
    next_attempt_at: Option<DateTime<Utc>>,
}

/// An event that can't be worked off.
#[derive(Debug, Object)]
#[oai(rename = "DeadLineageEvent")]
struct DeadBody {
    /// Its place in the queue.
    id: u64,
    /// When it came.
    received_at: DateTime<Utc>,
    /// How often it was tried.
    attempts: u32,
    /// Why it can't be worked off.
    reason: Option<String>,
    /// The event as it came.
    event: Any<Value>,
}

impl From<QueuedEvent> for DeadBody {
    fn from(dead: QueuedEvent) -> Self {
        Self {
            id: dead.position,
            received_at: dead.received_at,
            attempts: dead.attempts,
            reason: dead.reason,
            event: Any(dead.event),
        }
    }
}

/// A page of events that can't be worked off.
#[derive(Debug, Object)]
#[oai(rename = "DeadLineageEvents")]
struct DeadList {
    /// Oldest first.
    events: Vec<DeadBody>,
    /// Send it as `after` for the next page; null on the last one.
    next_cursor: Option<String>,
}

#[OpenApi(tag = "Area::Lineage")]
impl LineageQueueApi {
    /// See how much waits
    #[oai(path = "/api/v1/lineage/queue", method = "get", operation_id = "get_lineage_queue")]
    async fn backlog(&self, auth: Auth) -> ApiResult<Json<BacklogBody>> {
        let project = self.project(&auth)?;
        let backlog = self.lineage.backlog(auth.caller(), &project).await?;
        let forwarding = self.lineage.forwarding_of(Some(&project)).await?.map(|(waits, progress)| ForwardingBody {
            waiting: waits.waiting,
            oldest_waiting_since: waits.oldest,
            attempts: progress.attempts,
            error: progress.error,
            next_attempt_at: progress.due_at,
        });
        let oldest_waiting_since = backlog.oldest;
        Ok(Json(BacklogBody { waiting: backlog.waiting, dead: backlog.dead, oldest_waiting_since, forwarding }))
    }

    /// List events that can't be worked off
    #[oai(path = "/api/v1/lineage/dead-letters", method = "get", operation_id = "list_dead_lineage")]
    async fn dead(
        &self,
        auth: Auth,
        /// At most so many: 1 to 1000, 100 unless told.
        limit: Query<Option<i64>>,
        /// The `next_cursor` of the page before.
        after: Query<Option<String>>,
    ) -> ApiResult<Json<DeadList>> {
        let project = self.project(&auth)?;
        let limit = number("limit", limit.0, 1..=MAX_LISTED, 100)?;
        let after = after.0.as_deref().map(place).transpose()?.unwrap_or_default();
        let found = self.lineage.dead(auth.caller(), &project, after, limit).await?;
        let next_cursor = next_cursor(&found, limit, |last| last.position.to_string());
        Ok(Json(DeadList { events: found.into_iter().map(Into::into).collect(), next_cursor }))
    }

    /// Try such an event again
    #[oai(path = "/api/v1/lineage/dead-letters/:event/retry", method = "post", operation_id = "retry_dead_lineage")]
    async fn retry(&self, auth: Auth, event: Path<String>) -> ApiResult<Json<Done>> {
        let project = self.project(&auth)?;
        if self.lineage.retry(auth.caller(), &project, place(&event.0)?).await? {
            return Ok(done(&auth, format!("Event {} waits again", event.0)));
        }
        Err(nothing(&event.0))
    }

    /// Forget such an event
    #[oai(path = "/api/v1/lineage/dead-letters/:event", method = "delete", operation_id = "discard_dead_lineage")]
    async fn discard(&self, auth: Auth, event: Path<String>) -> ApiResult<Json<Done>> {
        let project = self.project(&auth)?;
        if self.lineage.discard(auth.caller(), &project, place(&event.0)?).await? {
            return Ok(done(&auth, format!("Event {} is forgotten", event.0)));
        }
        Err(nothing(&event.0))
    }
}

impl LineageQueueApi {
    fn project(&self, auth: &Auth) -> ApiResult<ProjectId> {
        auth.own_project(&self.access)
    }
}

fn place(text: &str) -> ApiResult<u64> {
    position(text).ok_or_else(|| ApiError::out_of_range("an event that was set aside is known by a whole number"))
}

fn nothing(event: &str) -> ApiError {
    UseCaseError::from(RunError::NoEvent(event.to_owned())).into()
}
