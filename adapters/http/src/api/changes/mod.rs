//! The changes of a table as a stream, and those who follow them.

mod body;

use std::sync::Arc;

use chrono::{DateTime, Utc};
use gadwall_application::changes::{Begin, Changes, Consumers, KnownConsumer};
use gadwall_application::error::UseCaseError;
use gadwall_domain::names::ConsumerName;
use poem::{Body, IntoResponse, Request, Response};
use poem_openapi::param::{Header, Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::registry::{MetaMediaType, MetaResponse, MetaResponses, MetaSchema, MetaSchemaRef, Registry};
use poem_openapi::{ApiResponse, Object, OpenApi};

use super::events::accepts;
use super::queries::QueryLimits;
use super::{Area, project_id, snapshot_id, table_ref};
use crate::api::projects::Gone;
use crate::auth::Auth;
use crate::layers::compress::AsItComes;
use crate::problem::{ApiError, ApiResult};
use crate::sse::{self, Sse};

pub(crate) struct ChangesApi {
    pub(crate) changes: Arc<Changes>,
    pub(crate) consumers: Arc<Consumers>,
    pub(crate) limits: QueryLimits,
}

const NDJSON: &str = "application/x-ndjson";

/// Somebody who follows the changes of a table.
#[derive(Debug, Object)]
#[oai(rename = "Consumer")]
pub(crate) struct ConsumerBody {
    /// The name.
    name: String,
    /// The last snapshot whose changes they have.
    snapshot_id: u64,
    /// The project's newest snapshot.
    newest_snapshot_id: u64,
    /// When the consumer was made.
    created_at: DateTime<Utc>,
    /// When it last told how far it is.
    moved_at: DateTime<Utc>,
    /// Until when snapshots after its own are kept for it, unless it moves.
    held_until: DateTime<Utc>,
}

/// How far a consumer is.
#[derive(Debug, Object)]
#[oai(rename = "MoveConsumer")]
pub(crate) struct MoveConsumer {
    /// The last snapshot whose changes it has; the newest if left out.
    snapshot_id: Option<u64>,
}

impl From<KnownConsumer> for ConsumerBody {
    fn from(known: KnownConsumer) -> Self {
        let consumer = known.consumer;
        Self {
            name: consumer.name.to_string(),
            snapshot_id: consumer.snapshot.get(),
            newest_snapshot_id: known.newest.get(),
            created_at: consumer.created_at,
            moved_at: consumer.moved_at,
            held_until: known.held_until,
        }
    }
}

#[derive(ApiResponse)]
pub(crate) enum ConsumerPut {
    /// The consumer was there, and is now there.
    #[oai(status = 200)]
    Moved(Json<ConsumerBody>),
    /// The consumer is new.
    #[oai(status = 201)]
    Created(Json<ConsumerBody>),
}

/// Changes, as server-sent events or as lines of JSON.
pub(crate) enum Streamed {
    Events(Sse),
    Lines(Body),
}

impl IntoResponse for Streamed {
    fn into_response(self) -> Response {
        match self {
            Self::Events(events) => events.into_response(),
            Self::Lines(body) => Response::builder()
                .content_type(NDJSON)
                .header("Cache-Control", "no-cache")
                .header("X-Accel-Buffering", "no")
                .extension(AsItComes)
                .body(body),
        }
    }
}

impl ApiResponse for Streamed {
    fn meta() -> MetaResponses {
        let schema = MetaSchemaRef::Inline(Box::new(MetaSchema::new("string")));
        MetaResponses {
            responses: vec![MetaResponse {
                description: "The changes, until the client goes or is cut.",
                status: Some(200),
                status_range: None,
                content: vec![sse::media_type(), MetaMediaType { content_type: NDJSON, schema }],
                headers: vec![sse::client_header()],
            }],
        }
    }

    fn register(_: &mut Registry) {}
}

#[OpenApi(tag = "Area::Rows")]
impl ChangesApi {
    /// Follow the changes of a table
    ///
    /// Row by row, from a snapshot on, as they are committed: as server-sent events, or, with
    /// `Accept: application/x-ndjson`, as lines `{"event": …, "data": …}`. `change` is an inserted or deleted row, or an updated
    /// one before and after, as in `GET …/changes`. `schema` tells of all else that happens to the table; with `resync` its rows
    /// must be read anew. After `checkpoint`, whose `id` is a snapshot, a client can go on from there: with `cursor`,
    /// `Last-Event-ID`, or as a consumer. What comes after the last checkpoint comes again then. `reset` says that changes up to
    /// a snapshot are gone.
    #[oai(
        path = "/projects/:project/buckets/:bucket/tables/:table/changes/stream",
        method = "get",
        operation_id = "stream_changes"
    )]
    #[expect(clippy::too_many_arguments, reason = "each is a parameter of the route")]
    async fn stream(
        &self,
        auth: Auth,
        project: Path<String>,
        bucket: Path<String>,
        table: Path<String>,
        request: &Request,
        /// The last snapshot that the client has. Without it and without a consumer the stream begins now.
        cursor: Query<Option<String>>,
        /// The last snapshot that the client has; it wins over `cursor`.
        #[oai(name = "Last-Event-ID")]
        header: Header<Option<String>>,
        /// The consumer from whose snapshot on the stream goes.
        consumer: Query<Option<String>>,
        /// Whether the stream goes on once all is told that there is now.
        follow: Query<Option<bool>>,
    ) -> ApiResult<Streamed> {
        let (project, table) = (project_id(&project.0)?, table_ref(&bucket.0, &table.0)?);
        let begin = match (header.0.filter(|id| !id.is_empty()).or(cursor.0), consumer.0) {
            (Some(cursor), _) => Begin::After(snapshot_id("cursor", &cursor)?),
            (None, Some(name)) => Begin::Consumer(consumer_name(&name)?),
            (None, None) => Begin::Now,
        };
        let follow = follow.0.unwrap_or(true);
        let timeout = self.limits.max_timeout;
        let changes = self.changes.follow(auth.caller(), &project, &table, begin, follow, timeout).await?;
        let client_id = changes.client_id().to_owned();
        if accepts(request, NDJSON) {
            let lines = body::written(changes, body::Form::Lines);
            return Ok(Streamed::Lines(Body::from_bytes_stream(lines)));
        }
        Ok(Streamed::Events(Sse::written(body::written(changes, body::Form::Events), client_id)))
    }

    /// Register a consumer, or tell how far it is
    ///
    /// Snapshots after its own are kept for it, for at most `events.consumer_max_hold` since it last told.
    #[oai(
        path = "/projects/:project/buckets/:bucket/tables/:table/consumers/:consumer",
        method = "put",
        operation_id = "put_consumer"
    )]
    async fn put(
        &self,
        auth: Auth,
        project: Path<String>,
        bucket: Path<String>,
        table: Path<String>,
        consumer: Path<String>,
        body: Json<MoveConsumer>,
    ) -> ApiResult<ConsumerPut> {
        let (project, table) = (project_id(&project.0)?, table_ref(&bucket.0, &table.0)?);
        let name = consumer_name(&consumer.0)?;
        let number = body.0.snapshot_id.map(|number| snapshot_id("snapshot_id", &number.to_string())).transpose()?;
        let (known, is_new) = self.consumers.put(auth.caller(), &project, &table, name, number).await?;
        let body = Json(known.into());
        Ok(if is_new { ConsumerPut::Created(body) } else { ConsumerPut::Moved(body) })
    }

    /// Look at a consumer
    #[oai(
        path = "/projects/:project/buckets/:bucket/tables/:table/consumers/:consumer",
        method = "get",
        operation_id = "get_consumer"
    )]
    async fn get(
        &self,
        auth: Auth,
        project: Path<String>,
        bucket: Path<String>,
        table: Path<String>,
        consumer: Path<String>,
    ) -> ApiResult<Json<ConsumerBody>> {
        let (project, table) = (project_id(&project.0)?, table_ref(&bucket.0, &table.0)?);
        let name = consumer_name(&consumer.0)?;
        Ok(Json(self.consumers.get(auth.caller(), &project, &table, &name).await?.into()))
    }

    /// Remove a consumer
    #[oai(
        path = "/projects/:project/buckets/:bucket/tables/:table/consumers/:consumer",
        method = "delete",
        operation_id = "remove_consumer"
    )]
    async fn remove(
        &self,
        auth: Auth,
        project: Path<String>,
        bucket: Path<String>,
        table: Path<String>,
        consumer: Path<String>,
    ) -> ApiResult<Gone> {
        let (project, table) = (project_id(&project.0)?, table_ref(&bucket.0, &table.0)?);
        let name = consumer_name(&consumer.0)?;
        self.consumers.remove(auth.caller(), &project, &table, &name).await?;
        Ok(Gone::NoContent)
    }
}

fn consumer_name(text: &str) -> ApiResult<ConsumerName> {
    ConsumerName::parse(text).map_err(|error| ApiError::from(UseCaseError::from(error)))
}
