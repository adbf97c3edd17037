//! Events: streams of them, the log in pages, and the tokens that open streams in browsers.

pub(crate) mod clients;
pub(crate) mod page;

use std::sync::Arc;

use chrono::{DateTime, Utc};
use gadwall_application::access::Access;
use gadwall_application::events::{EventPage, Events, Form, Interest, MAX_EVENTS_LISTED, Watching, cloud_event};
use gadwall_domain::live::Viewer;
use gadwall_domain::names::ProjectId;
use gadwall_domain::ports::system::Clock;
use poem::{Body, IntoResponse, Request, Response};
use poem_openapi::auth::ApiKey;
use poem_openapi::param::{Header, Path, Query};
use poem_openapi::payload::{Json, Payload};
use poem_openapi::registry::{MetaMediaType, MetaResponse, MetaResponses, MetaSchemaRef, Registry};
use poem_openapi::types::{Any, Type};
use poem_openapi::{ApiResponse, Object, OpenApi, SecurityScheme};
use serde_json::{Map, Value};

use super::{Area, number, paging, project_id};
use crate::auth::{AccessData, Auth};
use crate::problem::{ApiError, ApiResult};
use crate::sse::{self, EVENT_STREAM, Sse};

const BATCH: &str = "application/cloudevents-batch+json";
/// Most events that are sent again to who comes anew.
const MAX_REPLAY: u32 = 1_000;

pub(crate) struct EventsApi {
    pub(crate) access: Arc<Access>,
    pub(crate) events: Arc<Events>,
    pub(crate) clock: Arc<dyn Clock>,
}

/// A token of `POST /events/token`, for who can't send a header.
#[derive(Debug, SecurityScheme)]
#[oai(ty = "api_key", key_in = "query", key_name = "token", rename = "EventToken", checker = "check")]
pub(crate) struct EventToken(Viewer);

async fn check(request: &Request, token: ApiKey) -> poem::Result<Viewer> {
    let missing = || poem::Error::from(poem_openapi::error::AuthorizationError);
    let data = request.extensions().get::<Arc<AccessData>>().ok_or_else(missing)?;
    Ok(data.events.open_token(&token.key).await.map_err(ApiError::from)?)
}

/// Who watches: with a token, or else with a key.
#[derive(SecurityScheme)]
pub(crate) enum Watcher {
    Token(EventToken),
    Key(Auth),
}

/// A `CloudEvents` 1.0 event.
type CloudEvent = Any<Map<String, Value>>;

/// A page of a project's events.
#[derive(Debug, Object)]
#[oai(rename = "EventPage")]
pub(crate) struct PageBody {
    /// The events as `CloudEvents` 1.0, oldest first. `id` is an event's position in the log.
    events: Vec<CloudEvent>,
    /// Send it as `after` for what comes next: now, or later.
    next_after: u64,
    /// Whether there is more right now.
    more: bool,
    /// The last position that the log has forgotten, if that is later than `after`: events may be missing.
    #[oai(skip_serializing_if_is_none)]
    reset: Option<u64>,
}

/// A token that opens streams of events.
#[derive(Debug, Object)]
#[oai(rename = "StreamToken")]
pub(crate) struct TokenBody {
    /// Send it as `?token=`.
    token: String,
    /// When it ends. A stream that it opened goes on.
    expires_at: DateTime<Utc>,
    /// Seconds until then.
    expires_in: i64,
    /// The project whose events it shows; null for those of all.
    project_id: Option<String>,
}

/// A page of events, or a stream of them.
pub(crate) enum Answer {
    Page(PageBody),
    Batch(Vec<Value>),
    Stream(Sse),
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        match self {
            Self::Page(page) => Json(page).into_response(),
            Self::Batch(events) => {
                Response::builder().content_type(BATCH).body(Body::from_string(Value::Array(events).to_string()))
            }
            Self::Stream(stream) => stream.into_response(),
        }
    }
}

impl ApiResponse for Answer {
    fn meta() -> MetaResponses {
        let batch = MetaMediaType { content_type: BATCH, schema: Vec::<CloudEvent>::schema_ref() };
        let page = MetaMediaType {
            content_type: Json::<PageBody>::CONTENT_TYPE,
            schema: MetaSchemaRef::Reference(PageBody::name().into_owned()),
        };
        MetaResponses {
            responses: vec![MetaResponse {
                description: "The events; as a stream, if that is what `Accept` asks for.",
                status: Some(200),
                status_range: None,
                content: vec![page, batch, sse::media_type()],
                headers: vec![sse::client_header()],
            }],
        }
    }

    fn register(registry: &mut Registry) {
        PageBody::register(registry);
    }
}

impl From<EventPage> for PageBody {
    fn from(page: EventPage) -> Self {
        let cloud = |event| match cloud_event(event) {
            Value::Object(event) => Any(event),
            _ => Any(Map::new()),
        };
        let events = page.events.iter().map(cloud).collect();
        Self { events, next_after: page.next_after, more: page.more, reset: page.reset }
    }
}

/// How a stream is asked for.
struct Asked {
    last_event_id: Option<String>,
    after: Option<String>,
    client_id: Option<String>,
    pong: Option<bool>,
    replay: Option<i64>,
    follow: Option<bool>,
}

impl Asked {
    fn watching(self, interest: Interest) -> ApiResult<Watching> {
        // What a browser sends when it comes again is newer than the address it had at first.
        let after = self.last_event_id.filter(|id| !id.is_empty()).or(self.after);
        let after = after.map(|text| position("last_event_id", &text)).transpose()?;
        let replay = self.replay.map(|replay| number("replay", Some(replay), 0..=MAX_REPLAY, 0)).transpose()?;
        Ok(Watching {
            interest,
            after,
            replay: replay.map(|replay| replay as usize),
            client_id: self.client_id,
            answers: self.pong.unwrap_or(false),
            follow: self.follow.unwrap_or(true),
        })
    }
}

fn position(name: &str, text: &str) -> ApiResult<u64> {
    paging::position(text)
        .ok_or_else(|| ApiError::out_of_range(format!("{name} is an event's position: a whole number from 0")))
}

fn interest(names: Option<&str>) -> ApiResult<Interest> {
    Ok(names
        .map(Interest::parse)
        .transpose()
        .map_err(gadwall_application::error::UseCaseError::from)?
        .unwrap_or_default())
}

#[OpenApi(tag = "Area::Events")]
impl EventsApi {
    /// Watch events
    ///
    /// Server-sent events of one's own project; an admin's key watches all projects, or the one that `X-Project` names. The
    /// first event, `connected`, tells the client its id. `data` is `{"timestamp": …, "data": …}`. Events of the log have
    /// their position as `id`: who sends it as `Last-Event-ID` goes on from there, without gap or repeat. Who was away for
    /// longer than the log is kept gets `reset` first.
    #[oai(path = "/events/stream", method = "get", operation_id = "stream_events")]
    #[expect(clippy::too_many_arguments, reason = "each is a parameter of the route")]
    async fn stream(
        &self,
        watcher: Watcher,
        /// Types with commas between them, such as `table.created,rows.*,job_status`. All without. Unknown ones are passed
        /// over, unless there is no other.
        events: Query<Option<String>>,
        /// The last position that the client has; the header wins.
        last_event_id: Query<Option<String>>,
        /// The last position that the client has.
        #[oai(name = "Last-Event-ID")]
        header: Header<Option<String>>,
        /// The client's own name for itself.
        client_id: Query<Option<String>>,
        /// Whether the client answers pings (`POST /events/pong`). Who does and stops counts as dead.
        pong: Query<Option<bool>>,
        /// How many of the last events are sent again to who comes without a position: 0 to 1000.
        replay: Query<Option<i64>>,
        /// Whether the stream goes on once the client has all that there is.
        follow: Query<Option<bool>>,
    ) -> ApiResult<Sse> {
        let interest = interest(events.0.as_deref())?;
        let asked = Asked {
            last_event_id: header.0,
            after: last_event_id.0,
            client_id: client_id.0,
            pong: pong.0,
            replay: replay.0,
            follow: follow.0,
        };
        self.open(watcher, interest, asked).await
    }

    /// Watch lineage
    ///
    /// As `GET /events/stream` with `lineage_event` and `error`.
    #[oai(path = "/events/lineage", method = "get", operation_id = "stream_lineage")]
    #[expect(clippy::too_many_arguments, reason = "each is a parameter of the route")]
    async fn lineage(
        &self,
        watcher: Watcher,
        /// The last position that the client has; the header wins.
        last_event_id: Query<Option<String>>,
        /// The last position that the client has.
        #[oai(name = "Last-Event-ID")]
        header: Header<Option<String>>,
        /// The client's own name for itself.
        client_id: Query<Option<String>>,
        /// Whether the client answers pings.
        pong: Query<Option<bool>>,
        /// How many of the last events are sent again.
        replay: Query<Option<i64>>,
        /// Whether the stream goes on.
        follow: Query<Option<bool>>,
    ) -> ApiResult<Sse> {
        let asked = Asked {
            last_event_id: header.0,
            after: last_event_id.0,
            client_id: client_id.0,
            pong: pong.0,
            replay: replay.0,
            follow: follow.0,
        };
        self.open(watcher, Interest::of(&["lineage_event", "error"]), asked).await
    }

    /// Watch jobs
    ///
    /// As `GET /events/stream` with `job_status` and `error`.
    #[oai(path = "/events/jobs", method = "get", operation_id = "stream_jobs")]
    #[expect(clippy::too_many_arguments, reason = "each is a parameter of the route")]
    async fn jobs(
        &self,
        watcher: Watcher,
        /// The last position that the client has; the header wins.
        last_event_id: Query<Option<String>>,
        /// The last position that the client has.
        #[oai(name = "Last-Event-ID")]
        header: Header<Option<String>>,
        /// The client's own name for itself.
        client_id: Query<Option<String>>,
        /// Whether the client answers pings.
        pong: Query<Option<bool>>,
        /// How many of the last events are sent again.
        replay: Query<Option<i64>>,
        /// Whether the stream goes on.
        follow: Query<Option<bool>>,
    ) -> ApiResult<Sse> {
        let asked = Asked {
            last_event_id: header.0,
            after: last_event_id.0,
            client_id: client_id.0,
            pong: pong.0,
            replay: replay.0,
            follow: follow.0,
        };
        self.open(watcher, Interest::of(&["job_status", "error"]), asked).await
    }

    /// Watch figures
    ///
    /// As `GET /events/stream` with `system_metric`, `queue_status` and `error`. None of these is kept: they have no `id`.
    #[oai(path = "/events/metrics", method = "get", operation_id = "stream_metrics")]
    async fn metrics(
        &self,
        watcher: Watcher,
        /// The client's own name for itself.
        client_id: Query<Option<String>>,
        /// Whether the client answers pings.
        pong: Query<Option<bool>>,
        /// Whether the stream goes on.
        follow: Query<Option<bool>>,
    ) -> ApiResult<Sse> {
        let asked = Asked {
            last_event_id: None,
            after: None,
            client_id: client_id.0,
            pong: pong.0,
            replay: Some(0),
            follow: follow.0,
        };
        self.open(watcher, Interest::of(&["system_metric", "queue_status", "error"]), asked).await
    }

    /// Make a token for a browser
    ///
    /// A page can't send a key when it opens a stream; it sends `?token=` instead. The token shows the events that the
    /// caller may see, and nothing else.
    #[oai(path = "/events/token", method = "post", operation_id = "create_event_token")]
    async fn token(&self, auth: Auth) -> ApiResult<Json<TokenBody>> {
        let viewer = self.viewer(&auth).await?;
        let project_id = viewer.project.as_ref().map(ToString::to_string);
        let (token, expires_at) = self.events.make_token(viewer).await?;
        let expires_in = (expires_at - self.clock.now()).num_seconds();
        Ok(Json(TokenBody { token, expires_at, expires_in, project_id }))
    }

    /// Read a project's events
    ///
    /// As `CloudEvents` 1.0, oldest first, after a position: a page, for who asks again and again with the `next_after` of
    /// the page before; or a stream, for who sends `Accept: text/event-stream`. Events stay for as long as
    /// `events.retention` says.
    #[oai(path = "/projects/:project/events", method = "get", operation_id = "list_events")]
    #[expect(clippy::too_many_arguments, reason = "each is a parameter of the route")]
    async fn list(
        &self,
        watcher: Watcher,
        project: Path<String>,
        request: &Request,
        /// Only what comes after this position. Without it a page begins at the log's first event, and a stream now.
        after: Query<Option<String>>,
        /// The last position that the client of a stream has; it wins over `after`.
        #[oai(name = "Last-Event-ID")]
        header: Header<Option<String>>,
        /// At most so many events on a page: 1 to 1000, 100 unless told. A page may hold less of what is of these types.
        limit: Query<Option<i64>>,
        /// Types with commas between them, as in `GET /events/stream`.
        types: Query<Option<String>>,
        /// The name that the client of a stream has for itself.
        client_id: Query<Option<String>>,
        /// Whether a stream goes on once the client has all that there is.
        follow: Query<Option<bool>>,
    ) -> ApiResult<Answer> {
        let viewer = self.viewer_of(&watcher, &project_id(&project.0)?).await?;
        let interest = interest(types.0.as_deref())?;
        if accepts(request, EVENT_STREAM) {
            let asked = Asked {
                last_event_id: header.0,
                after: after.0,
                client_id: client_id.0,
                pong: None,
                replay: Some(0),
                follow: follow.0,
            };
            let stream = self.events.watch(viewer, asked.watching(interest)?).await?;
            return Ok(Answer::Stream(Sse::of(stream, Form::Cloud)));
        }
        let after = after.0.map_or(Ok(0), |after| position("after", &after))?;
        let limit = number("limit", limit.0, 1..=MAX_EVENTS_LISTED, 100)?;
        let page = self.events.page(&viewer, &interest, after, limit).await?;
        if accepts(request, BATCH) {
            return Ok(Answer::Batch(page.events.iter().map(cloud_event).collect()));
        }
        Ok(Answer::Page(page.into()))
    }
}

impl EventsApi {
    async fn open(&self, watcher: Watcher, interest: Interest, asked: Asked) -> ApiResult<Sse> {
        let viewer = match watcher {
            Watcher::Token(EventToken(viewer)) => viewer,
            Watcher::Key(auth) => self.viewer(&auth).await?,
        };
        let stream = self.events.watch(viewer, asked.watching(interest)?).await?;
        Ok(Sse::of(stream, Form::Plain))
    }

    /// What a key shows: its own project's events; an admin's those of all, or of the project that it names.
    async fn viewer(&self, auth: &Auth) -> ApiResult<Viewer> {
        let project = looked_after(auth, &self.access)?;
        Ok(self.events.viewer(auth.caller(), project.as_ref()).await?)
    }

    async fn viewer_of(&self, watcher: &Watcher, project: &ProjectId) -> ApiResult<Viewer> {
        match watcher {
            Watcher::Key(auth) => Ok(self.events.viewer(auth.caller(), Some(project)).await?),
            Watcher::Token(EventToken(viewer)) if viewer.is_of(project) => {
                self.access.require_in_use(project).await?;
                Ok(Viewer { project: Some(project.clone()), ..viewer.clone() })
            }
            Watcher::Token(_) => Err(gadwall_application::error::UseCaseError::Forbidden.into()),
        }
    }
}

/// The project whose streams a caller has to do with; none are those of all.
fn looked_after(auth: &Auth, access: &Access) -> ApiResult<Option<ProjectId>> {
    let is_admin = auth.caller().principal().is_some_and(gadwall_domain::access::Principal::is_admin);
    if is_admin { auth.named_project() } else { auth.own_project(access).map(Some) }
}

/// Whether a request names a media type among those it accepts.
pub(super) fn accepts(request: &Request, media_type: &str) -> bool {
    let accepted = request.headers().get_all(poem::http::header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    accepted
        .flat_map(|value| value.split(','))
        .any(|range| range.split(';').next().is_some_and(|range| range.trim().eq_ignore_ascii_case(media_type)))
}
