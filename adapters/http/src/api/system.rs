//! The service itself: `/`, `/health`, probes, `/version`, `/backend/…`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use chrono::{DateTime, Utc};
use gadwall_application::schemas::Schemas;
use gadwall_application::system::{ServiceHealth, System};
use gadwall_domain::ports::system::{Clock, Folder, ProcessMonitor, SystemStatistics};
use poem_openapi::param::Query;
use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};
use serde_json::{Map, Value, json};

use super::Area;
use super::models::JsonObject;
use crate::auth::Auth;
use crate::context;
use crate::problem::{ApiError, ApiResult};

const VERSION: &str = env!("CARGO_PKG_VERSION");
/// Bytes in what the older services call MB.
const MB: f64 = 1024.0 * 1024.0;
/// Percent in use from which something is scarce.
const SCARCE: f64 = 95.0;

pub(crate) struct SystemApi {
    pub(crate) system: Arc<System>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) process: Arc<dyn ProcessMonitor>,
    pub(crate) active: Arc<AtomicU64>,
    pub(crate) environment: String,
    pub(crate) schemas: Arc<Schemas>,
    pub(crate) machine: Arc<dyn SystemStatistics>,
}

/// What this is and where to go on.
#[derive(Debug, Object)]
struct Welcome {
    message: String,
    service: String,
    version: String,
    description: String,
    docs: String,
    health: String,
    docs_url: String,
    openapi_url: String,
    request_id: String,
}

/// Version of the running program.
#[derive(Debug, Object)]
struct Version {
    service: String,
    version: String,
}

/// A probe's answer.
#[derive(Debug, Object)]
struct Probe {
    /// `ok`; `degraded` where some projects' lakes can't be opened.
    status: String,
    /// Each part, where asked for.
    #[oai(skip_serializing_if_is_none)]
    checks: Option<JsonObject>,
}

/// Whether anything is scarce.
#[derive(Debug, Object)]
struct MonitoringHealth {
    /// `healthy` or `degraded`.
    status: String,
    service: String,
    timestamp: DateTime<Utc>,
    checks: MonitoringChecks,
}

/// Each part.
#[derive(Debug, Object)]
struct MonitoringChecks {
    /// `ok` or `warning`.
    cpu: String,
    /// `ok` or `warning`.
    memory: String,
    /// `ok` or `warning`.
    disk: String,
    /// `ok` or `error`.
    onto_server: String,
    /// `ok` or `error`: metadata, lakes and storage.
    database: String,
}

/// How the service is doing.
#[derive(Debug, Object)]
#[oai(rename = "Health")]
struct HealthBody {
    /// `healthy`; `degraded` where some projects' lakes can't be opened.
    status: String,
    version: String,
    /// Whether all storage folders can be written.
    storage_available: bool,
    /// Each storage folder.
    details: JsonObject,
    /// `ok`: the metadata store answers.
    database: String,
    /// The lake's engine, after a real query.
    ducklake: LakeHealth,
    /// The circuit breakers before other machines: `closed`, `open` or `half_open`; none where all is embedded.
    circuit_breakers: JsonObject,
    memory: MemoryBody,
    performance: PerformanceBody,
    request_id: String,
}

#[derive(Debug, Object)]
struct LakeHealth {
    connected: bool,
    timestamp: DateTime<Utc>,
    environment: String,
    live_test: String,
    /// Lakes that can't be opened: how many, and the first of them by their folders' names.
    #[oai(skip_serializing_if_is_none)]
    degraded: Option<JsonObject>,
}

#[derive(Debug, Object)]
struct MemoryBody {
    /// Resident memory of the process.
    rss_mb: f64,
    /// Its share of the machine's.
    percent: f64,
}

#[derive(Debug, Object)]
struct PerformanceBody {
    /// Requests being served, this one among them.
    active_requests: u64,
}

/// Folders of the storage.
#[derive(Debug, Object)]
struct StorageBody {
    success: bool,
    message: String,
    /// Name to path; null where nothing was looked at.
    storage_paths: Option<JsonObject>,
}

#[OpenApi(tag = "Area::System")]
#[expect(clippy::unused_async, reason = "every operation has to be async")]
impl SystemApi {
    /// What this is
    #[oai(path = "/", method = "get", operation_id = "welcome")]
    async fn welcome(&self) -> Json<Welcome> {
        let text = str::to_owned;
        Json(Welcome {
            message: text("Gadwall serves data products over HTTP"),
            service: text("gadwall"),
            version: text(VERSION),
            description: text("Projects, buckets and tables on DuckDB and DuckLake"),
            docs: text("/docs"),
            health: text("/health"),
            docs_url: text("/docs"),
            openapi_url: text("/openapi.json"),
            request_id: context::current().0,
        })
    }

    /// Version of the running program
    #[oai(path = "/version", method = "get", operation_id = "get_version")]
    async fn version(&self) -> Json<Version> {
        Json(Version { service: "gadwall".to_owned(), version: VERSION.to_owned() })
    }

    /// Is the process alive?
    ///
    /// Looks at nothing else.
    #[oai(path = "/livez", method = "get", operation_id = "livez")]
    async fn livez(&self) -> Json<Probe> {
        Json(Probe { status: "ok".to_owned(), checks: None })
    }

    /// Can it serve requests?
    ///
    /// With `verbose` it tells of each part. A lake that can't be opened makes only its own project unavailable: the
    /// answer is still 200, and the status `degraded`.
    #[oai(path = "/readyz", method = "get", operation_id = "readyz")]
    async fn readyz(
        &self,
        /// Tell of each part; no value is needed.
        verbose: Query<Option<String>>,
    ) -> ApiResult<Json<Probe>> {
        let health = self.system.health().await;
        require_health(&health)?;
        let told = verbose.0.is_some_and(|value| !matches!(value.as_str(), "false" | "0"));
        let checks =
            if told { Some(poem_openapi::types::Any(self.with_ontology(checks(&health)).await)) } else { None };
        let status = if health.degraded() { "degraded" } else { "ok" };
        Ok(Json(Probe { status: status.to_owned(), checks }))
    }

    /// Is anything scarce?
    ///
    /// `warning` where processors, memory or disk are 95 % in use; `onto_server` and `database` are `ok` or `error`.
    /// `degraded` if any of them isn't ok.
    #[oai(path = "/monitoring/health", method = "get", operation_id = "get_monitoring_health")]
    async fn monitoring_health(&self) -> Json<MonitoringHealth> {
        let (load, health) = (self.machine.load().await, self.system.health().await);
        let scarce = |percent: f64| if percent >= SCARCE { "warning" } else { "ok" };
        let sound = |well: bool| if well { "ok" } else { "error" };
        let checks = MonitoringChecks {
            cpu: scarce(load.system_cpu).to_owned(),
            memory: scarce(load.system_memory).to_owned(),
            disk: scarce(load.disk).to_owned(),
            onto_server: sound(self.schemas.server_is_well().await).to_owned(),
            database: sound(health.healthy()).to_owned(),
        };
        let all = [&checks.cpu, &checks.memory, &checks.disk, &checks.onto_server, &checks.database];
        let status = if all.iter().all(|check| *check == "ok") { "healthy" } else { "degraded" };
        Json(MonitoringHealth {
            status: status.to_owned(),
            service: "gadwall".to_owned(),
            timestamp: self.clock.now(),
            checks,
        })
    }

    /// Has it started?
    #[oai(path = "/startupz", method = "get", operation_id = "startupz")]
    async fn startupz(&self) -> Json<Probe> {
        // The listener opens only when everything has started.
        Json(Probe { status: "ok".to_owned(), checks: None })
    }

    /// How is it doing?
    ///
    /// Every part is looked at by using it. 503 with the parts that fail. Lakes that can't be opened are named under
    /// `ducklake`; all other projects work.
    #[oai(path = "/health", method = "get", operation_id = "get_health")]
    async fn health(&self) -> ApiResult<Json<HealthBody>> {
        let health = self.system.health().await;
        require_health(&health)?;
        let memory = self.process.memory();
        let ok = || "ok".to_owned();
        Ok(Json(HealthBody {
            status: if health.degraded() { "degraded" } else { "healthy" }.to_owned(),
            version: VERSION.to_owned(),
            storage_available: true,
            details: poem_openapi::types::Any(folder_states(&health.folders)),
            database: ok(),
            ducklake: LakeHealth {
                connected: true,
                timestamp: self.clock.now(),
                environment: self.environment.clone(),
                live_test: "passed".to_owned(),
                degraded: degraded(&health).map(poem_openapi::types::Any),
            },
            circuit_breakers: poem_openapi::types::Any(breakers(&health)),
            memory: MemoryBody {
                rss_mb: round(megabytes(memory.resident)),
                percent: round(100.0 * megabytes(memory.resident) / megabytes(memory.total.max(1))),
            },
            performance: PerformanceBody { active_requests: self.active.load(Ordering::Relaxed) },
            request_id: context::current().0,
        }))
    }

    /// Make storage folders that are missing
    ///
    /// Admin only. Done at every start too.
    #[oai(path = "/backend/init", method = "post", operation_id = "init_backend")]
    async fn init(&self, auth: Auth) -> ApiResult<Json<StorageBody>> {
        let (folders, created) = self.system.init_backend(auth.caller()).await?;
        let unusable: Vec<Value> = folders
            .iter()
            .filter(|folder| !folder.usable)
            .map(|folder| json!(format!("{} can't be written", folder.name)))
            .collect();
        if !unusable.is_empty() {
            return Err(ApiError::init_failed(&unusable));
        }
        let mut message = "Backend initialized successfully".to_owned();
        if !created.is_empty() {
            message = format!("{message} (created: {})", created.join(", "));
        }
        let paths: Map<String, Value> =
            folders.into_iter().map(|folder| (folder.name.to_owned(), folder.path.into())).collect();
        Ok(Json(StorageBody { success: true, message, storage_paths: Some(poem_openapi::types::Any(paths)) }))
    }

    /// Remove nothing
    ///
    /// Deprecated: kept for older clients, as data goes with its project. Admin only.
    #[oai(path = "/backend/remove", method = "post", operation_id = "remove_backend", deprecated)]
    async fn remove(&self, auth: Auth) -> ApiResult<Json<StorageBody>> {
        self.system.remove_backend(auth.caller())?;
        let message = "Nothing was removed: data goes with its project, not with the backend (no-op)".to_owned();
        Ok(Json(StorageBody { success: true, message, storage_paths: None }))
    }
}

impl SystemApi {
    async fn with_ontology(&self, mut checks: Map<String, Value>) -> Map<String, Value> {
        let state = if self.schemas.server_is_well().await { "ok" } else { "error" };
        checks.insert("onto_server".to_owned(), state.into());
        checks
    }
}

fn require_health(health: &ServiceHealth) -> ApiResult<()> {
    if health.healthy() {
        return Ok(());
    }
    let details = checks(health);
    if health.storage_available() {
        return Err(ApiError::unavailable("unhealthy", "a part of the service does not work", details.into()));
    }
    Err(ApiError::unavailable("storage_unavailable", "a storage folder can't be written", details.into()))
}

/// What was found of each part.
fn checks(health: &ServiceHealth) -> Map<String, Value> {
    let mut checks = folder_states(&health.folders);
    let problems = health.folders.iter().filter_map(|folder| Some((folder.name.to_owned(), json!(folder.problem?))));
    let problems: Map<String, Value> = problems.collect();
    if !problems.is_empty() {
        checks.insert("problems".to_owned(), problems.into());
    }
    checks
        .extend(health.parts.iter().map(|part| (part.name.to_owned(), json!(part.detail.as_deref().unwrap_or("ok")))));
    if !health.breakers.is_empty() {
        checks.insert("circuit_breakers".to_owned(), breakers(health).into());
    }
    checks.insert("lakes".to_owned(), degraded(health).map_or_else(|| json!("ok"), Value::Object));
    checks
}

/// Each circuit breaker before another machine, and its state.
fn breakers(health: &ServiceHealth) -> Map<String, Value> {
    health.breakers.iter().map(|(name, state)| ((*name).to_owned(), state.as_str().into())).collect()
}

/// The lakes that can't be opened. Not by their projects: this is open to everyone, and whose ids there are is not.
fn degraded(health: &ServiceHealth) -> Option<Map<String, Value>> {
    let names: Vec<String> = health.broken.first.iter().map(|lake| lake.uuid().simple().to_string()).collect();
    let told = [("count".to_owned(), json!(health.broken.count)), ("lakes".to_owned(), json!(names))];
    health.degraded().then(|| told.into_iter().collect())
}

fn folder_states(folders: &[Folder]) -> Map<String, Value> {
    folders.iter().map(|folder| (folder.name.to_owned(), Value::Bool(folder.usable))).collect()
}

#[expect(clippy::cast_precision_loss, reason = "shown with two digits")]
fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / MB
}

fn round(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}
