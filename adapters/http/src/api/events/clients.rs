//! Those who watch events: looked after by those whose project it is.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use gadwall_application::access::Access;
use gadwall_application::events::{ClientReport, Detected, Events, seconds};
use gadwall_domain::ports::system::Clock;
use poem::{Request, RequestBody};
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::registry::{MetaMediaType, MetaRequest, MetaSchema, MetaSchemaRef, Registry};
use poem_openapi::types::Any;
use poem_openapi::{ApiExtractor, ApiExtractorType, ExtractParamOptions, Object, OpenApi};
use serde_json::{Map, Value};

use super::looked_after;
use crate::api::Area;
use crate::api::models::JsonObject;
use crate::auth::Auth;
use crate::problem::{ApiError, ApiResult};

pub(crate) struct EventClientsApi {
    pub(crate) access: Arc<Access>,
    pub(crate) events: Arc<Events>,
    pub(crate) clock: Arc<dyn Clock>,
}

/// Those who watch.
#[derive(Debug, Object)]
#[oai(rename = "EventStats")]
pub(crate) struct StatsBody {
    /// How many there are.
    connected_clients: u64,
    /// Of them, those who do well.
    healthy_clients: u64,
    /// Of them, those who count as dead and are waited for.
    zombie_clients: u64,
    /// Events that are at hand without asking the log.
    event_history_size: u64,
    /// Who was found dead, since this server started.
    zombie_detection: DetectionBody,
    /// Each of them.
    clients: Vec<ClientBody>,
}

/// Who was found dead.
#[derive(Debug, Object)]
#[oai(rename = "ZombieDetection")]
pub(crate) struct DetectionBody {
    /// How many.
    total_detected: u64,
    /// How many for each reason.
    detection_reasons: Any<Map<String, Value>>,
    /// When they were last removed by hand, in seconds since 1970.
    last_cleanup: Option<f64>,
}

/// A client of a stream. Times are seconds since 1970.
#[derive(Debug, Object)]
#[oai(rename = "EventClient")]
pub(crate) struct ClientBody {
    /// Its id.
    client_id: String,
    /// The project it watches; null for all.
    project_id: Option<String>,
    /// The events it wants; `*` for all.
    subscriptions: Vec<String>,
    /// Events that wait for it.
    queue_size: u64,
    /// Seconds since it came.
    connected_duration: f64,
    /// When it was last pinged.
    last_ping: Option<f64>,
    /// When it last answered.
    last_pong: Option<f64>,
    /// How often it was pinged.
    ping_count: u64,
    /// Pings in a row that it didn't answer.
    missed_pings: u32,
    /// Events that found its queue full.
    queue_full_count: u64,
    /// Writes in a row that failed.
    write_errors: u32,
    /// Whether it counts as dead.
    is_zombie: bool,
    /// Since when.
    zombie_detected_at: Option<f64>,
    /// Whether it does well.
    connection_healthy: bool,
}

/// Those who count as dead.
#[derive(Debug, Object)]
#[oai(rename = "Zombies")]
pub(crate) struct ZombiesBody {
    /// How many there are now.
    current_zombies: u64,
    /// How many there were, since this server started.
    total_detected: u64,
    /// How many for each reason.
    detection_reasons: Any<Map<String, Value>>,
    /// When they were last removed by hand, in seconds since 1970.
    last_cleanup: Option<f64>,
    /// Each of them.
    zombie_details: Vec<ZombieBody>,
}

/// A client that counts as dead.
#[derive(Debug, Object)]
#[oai(rename = "Zombie")]
pub(crate) struct ZombieBody {
    /// Its id.
    client_id: String,
    /// Why.
    reason: String,
    /// Since when, in seconds since 1970.
    zombie_detected_at: f64,
    /// For how many seconds.
    zombie_duration: f64,
    /// Pings in a row that it didn't answer.
    missed_pings: u32,
    /// Events that found its queue full.
    queue_full_count: u64,
    /// Writes in a row that failed.
    write_errors: u32,
    /// Whether it does well.
    connection_healthy: bool,
}

/// What was done.
#[derive(Debug, Object)]
#[oai(rename = "EventDone")]
pub(crate) struct DoneBody {
    /// In words.
    message: String,
}

/// What was said.
#[derive(Debug, Object)]
#[oai(rename = "Broadcast")]
pub(crate) struct SaidBody {
    /// In words.
    message: String,
    /// Its id.
    event_id: String,
}

/// Who was removed.
#[derive(Debug, Object)]
#[oai(rename = "ZombieCleanup")]
pub(crate) struct CleanupBody {
    /// In words.
    message: String,
    /// How many there were.
    zombies_before: u64,
    /// How many were removed.
    zombies_removed: u64,
}

/// What is to be said.
#[derive(Debug, Object)]
#[oai(rename = "BroadcastRequest")]
pub(crate) struct Say {
    /// `lineage_event`, `job_status`, `queue_status`, `system_metric`, `error`, `heartbeat` or `ping`; may as well stand in
    /// the query.
    event_type: Option<String>,
    /// What to say.
    data: JsonObject,
    /// Only to these clients.
    target_clients: Option<Vec<String>>,
}

/// A JSON document, or no body at all.
pub(crate) struct MaybeJson(Value);

impl<'a> ApiExtractor<'a> for MaybeJson {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::RequestObject];

    type ParamType = ();
    type ParamRawType = ();

    fn register(_: &mut Registry) {}

    fn request_meta() -> Option<MetaRequest> {
        let schema = MetaSchemaRef::Inline(Box::new(MetaSchema::ANY));
        let content = vec![MetaMediaType { content_type: "application/json", schema }];
        Some(MetaRequest { description: Some("As the parameters of the query."), content, required: false })
    }

    async fn from_request(
        _: &'a Request,
        body: &mut RequestBody,
        _: ExtractParamOptions<Self::ParamType>,
    ) -> poem::Result<Self> {
        let bytes = body.take()?.into_bytes().await?;
        if bytes.is_empty() {
            return Ok(Self(Value::Null));
        }
        let malformed = |error| ApiError::out_of_range(format!("body: {error}"));
        Ok(Self(serde_json::from_slice(&bytes).map_err(malformed)?))
    }
}

impl MaybeJson {
    fn text(&self, name: &str) -> Option<String> {
        self.0.get(name).and_then(Value::as_str).map(str::to_owned)
    }
}

#[OpenApi(tag = "Area::Events")]
impl EventClientsApi {
    /// Look at those who watch
    ///
    /// Those of one's own project; an admin's key sees all, or those of the project that `X-Project` names. Each server tells
    /// of its own clients.
    #[oai(path = "/events/stats", method = "get", operation_id = "event_stats")]
    async fn stats(&self, auth: Auth) -> ApiResult<Json<StatsBody>> {
        let (clients, kept, detected) = self.report(&auth).await?;
        let now = self.clock.now();
        let zombies = clients.iter().filter(|client| client.vitals.dead.is_some()).count();
        Ok(Json(StatsBody {
            connected_clients: clients.len() as u64,
            healthy_clients: (clients.len() - zombies) as u64,
            zombie_clients: zombies as u64,
            event_history_size: kept as u64,
            zombie_detection: detection(&detected),
            clients: clients.into_iter().map(|client| client_body(client, now)).collect(),
        }))
    }

    /// Say something to those who watch
    ///
    /// Those of one's own project who want such events hear it; an admin's key reaches all, or those of the project that
    /// `X-Project` names. Nobody keeps it.
    #[oai(path = "/events/broadcast", method = "post", operation_id = "broadcast_event")]
    async fn broadcast(
        &self,
        auth: Auth,
        /// As in the body.
        event_type: Query<Option<String>>,
        body: Json<Say>,
    ) -> ApiResult<Json<SaidBody>> {
        let project = looked_after(&auth, &self.access)?;
        let Say { event_type: kind, data, target_clients } = body.0;
        let kind = event_type.0.or(kind).ok_or_else(|| ApiError::out_of_range("event_type is missing"))?;
        let data = Value::Object(data.0);
        let event_id = self.events.broadcast(auth.caller(), project.as_ref(), &kind, data, target_clients).await?;
        Ok(Json(SaidBody { message: "Event broadcasted successfully".to_owned(), event_id }))
    }

    /// Disconnect a client
    #[oai(path = "/events/clients/:client", method = "delete", operation_id = "disconnect_event_client")]
    async fn disconnect(&self, auth: Auth, client: Path<String>) -> ApiResult<Json<DoneBody>> {
        let project = looked_after(&auth, &self.access)?;
        self.events.disconnect(auth.caller(), project.as_ref(), &client.0).await?;
        Ok(Json(DoneBody { message: format!("Client {} disconnected", client.0) }))
    }

    /// Look at clients that count as dead
    #[oai(path = "/events/zombies", method = "get", operation_id = "list_event_zombies")]
    async fn zombies(&self, auth: Auth) -> ApiResult<Json<ZombiesBody>> {
        let (clients, _, detected) = self.report(&auth).await?;
        let now = self.clock.now();
        let zombie_details: Vec<_> = clients.into_iter().filter_map(|client| zombie_body(client, now)).collect();
        let DetectionBody { total_detected, detection_reasons, last_cleanup } = detection(&detected);
        let current_zombies = zombie_details.len() as u64;
        Ok(Json(ZombiesBody { current_zombies, total_detected, detection_reasons, last_cleanup, zombie_details }))
    }

    /// Answer a ping
    ///
    /// In the query or as JSON.
    #[oai(path = "/events/pong", method = "post", operation_id = "pong_events")]
    async fn pong(
        &self,
        auth: Auth,
        /// The client's id.
        client_id: Query<Option<String>>,
        /// The ping's id.
        ping_id: Query<Option<String>>,
        body: MaybeJson,
    ) -> ApiResult<Json<DoneBody>> {
        let project = looked_after(&auth, &self.access)?;
        let viewer = self.events.viewer(auth.caller(), project.as_ref()).await?;
        let missing = |name: &str| ApiError::out_of_range(format!("{name} is missing"));
        let client = client_id.0.or_else(|| body.text("client_id")).ok_or_else(|| missing("client_id"))?;
        ping_id.0.or_else(|| body.text("ping_id")).ok_or_else(|| missing("ping_id"))?;
        self.events.pong(&viewer, &client).await?;
        Ok(Json(DoneBody { message: "Pong received successfully".to_owned() }))
    }

    /// Disconnect clients that count as dead
    #[oai(path = "/events/zombies/cleanup", method = "post", operation_id = "clean_up_event_zombies")]
    async fn clean_up(&self, auth: Auth) -> ApiResult<Json<CleanupBody>> {
        let project = looked_after(&auth, &self.access)?;
        let (before, removed) = self.events.clean_up_zombies(auth.caller(), project.as_ref()).await?;
        let message = format!("{removed} zombie clients removed");
        Ok(Json(CleanupBody { message, zombies_before: before as u64, zombies_removed: removed as u64 }))
    }
}

impl EventClientsApi {
    async fn report(&self, auth: &Auth) -> ApiResult<(Vec<ClientReport>, usize, Detected)> {
        let project = looked_after(auth, &self.access)?;
        Ok(self.events.report(auth.caller(), project.as_ref()).await?)
    }
}

fn detection(detected: &Detected) -> DetectionBody {
    let reasons = detected.reasons();
    DetectionBody {
        total_detected: reasons.values().sum(),
        detection_reasons: Any(reasons.into_iter().map(|(why, times)| (why.to_owned(), times.into())).collect()),
        last_cleanup: detected.last_cleanup().map(seconds),
    }
}

fn client_body(client: ClientReport, now: DateTime<Utc>) -> ClientBody {
    let ClientReport { id, project, interest, queued, vitals } = client;
    ClientBody {
        client_id: id,
        project_id: project.map(|project| project.to_string()),
        subscriptions: interest,
        queue_size: queued as u64,
        connected_duration: (now - vitals.connected_at).as_seconds_f64(),
        last_ping: vitals.last_ping.map(seconds),
        last_pong: vitals.last_pong.map(seconds),
        ping_count: vitals.pings,
        missed_pings: vitals.missed_pings,
        queue_full_count: vitals.queue_full,
        write_errors: vitals.write_errors,
        is_zombie: vitals.dead.is_some(),
        zombie_detected_at: vitals.dead.map(|(at, _)| seconds(at)),
        connection_healthy: vitals.dead.is_none(),
    }
}

fn zombie_body(client: ClientReport, now: DateTime<Utc>) -> Option<ZombieBody> {
    let (at, why) = client.vitals.dead?;
    Some(ZombieBody {
        client_id: client.id,
        reason: why.as_str().to_owned(),
        zombie_detected_at: seconds(at),
        zombie_duration: (now - at).as_seconds_f64(),
        missed_pings: client.vitals.missed_pings,
        queue_full_count: client.vitals.queue_full,
        write_errors: client.vitals.write_errors,
        connection_healthy: false,
    })
}
