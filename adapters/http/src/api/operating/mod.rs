//! What operators look at and turn: the machine, the log, memory, performance, and figures for Prometheus.

mod config;
mod memory;

use std::sync::Arc;

use gadwall_application::operating::{Operating, Performance, Tally};
use gadwall_domain::ports::operating::{LogSetting, MachineFigures};
use gadwall_telemetry::ExportCounts;
use poem::Request;
use poem_openapi::payload::{Json, PlainText};
use poem_openapi::{ApiResponse, Object, OpenApi, ResponseContent};
use serde_json::{Map, Value};

use super::Area;
use super::models::JsonObject;
use crate::auth::{self, Auth};
use crate::cache::ResultCache;
use crate::exposition::{self, Exposed, Figure};
use crate::problem::{ApiError, ApiResult};

pub(crate) use config::ConfigApi;
pub(crate) use memory::MemoryApi;

/// Figures for Prometheus.
#[derive(Debug, Clone)]
pub struct MetricsConfig {
    /// Whether they are told at all.
    pub enabled: bool,
    /// Whether they are told to who has no key.
    pub public: bool,
    /// Whether they are told under the older services' names, too.
    pub legacy_names: bool,
    /// What the server is spoken to by: `http` or `https`.
    pub scheme: &'static str,
    /// What counts how often they are sent to a collector, if there is one.
    pub exports: Option<Arc<ExportCounts>>,
}

/// Where the figures come from that are told.
#[derive(Clone)]
pub(crate) struct Exposing {
    pub(crate) operating: Arc<Operating>,
    pub(crate) cache: Arc<ResultCache>,
    pub(crate) metrics: MetricsConfig,
}

impl Exposing {
    /// All figures, as they are now.
    pub(crate) async fn figures(&self) -> Vec<Figure> {
        let (service, cache) = (self.operating.figures().await, self.cache.figures());
        let exports = self.metrics.exports.as_ref().map(|counts| counts.tally());
        let exposed = Exposed { service, cache, scheme: self.metrics.scheme, exports };
        exposition::figures(&exposed, self.metrics.legacy_names)
    }
}

pub(crate) struct OperatingApi {
    pub(crate) exposing: Exposing,
}

/// How busy the machine is.
#[derive(Debug, Object)]
struct SystemMetrics {
    cpu: CpuMetrics,
    memory: MachineMemory,
    /// The disk that holds the data.
    disk: DiskMetrics,
}

#[derive(Debug, Object)]
struct CpuMetrics {
    /// Since the last look; 100 is all cores.
    usage_percent: f64,
    /// Cores.
    count: u64,
}

/// In bytes; of the container where it has a limit.
#[derive(Debug, Object)]
struct MachineMemory {
    total: u64,
    available: u64,
    used: u64,
    percent: f64,
}

/// In bytes.
#[derive(Debug, Object)]
struct DiskMetrics {
    total: u64,
    used: u64,
    /// What can be had.
    free: u64,
    percent: f64,
}

impl From<MachineFigures> for SystemMetrics {
    fn from(machine: MachineFigures) -> Self {
        Self {
            cpu: CpuMetrics { usage_percent: round(machine.cpu_percent), count: machine.cores as u64 },
            memory: MachineMemory {
                total: machine.memory_total,
                available: machine.memory_available,
                used: machine.memory_used(),
                percent: percent(machine.memory_used(), machine.memory_total),
            },
            disk: DiskMetrics {
                total: machine.disk_total,
                used: machine.disk_used,
                free: machine.disk_free,
                percent: percent(machine.disk_used, machine.disk_used + machine.disk_free),
            },
        }
    }
}

/// What shall be logged.
#[derive(Debug, Object)]
struct LevelWish {
    /// `DEBUG`, `INFO`, `WARNING`, `ERROR` or `CRITICAL`, exactly so.
    level: String,
    /// A module such as `gadwall_http` or `sqlx::query`, if it is to have a level of its own.
    module: Option<String>,
}

#[derive(Debug, Object)]
struct LevelSet {
    message: String,
}

/// What is logged.
#[derive(Debug, Object)]
struct CurrentLevel {
    current_level: String,
    /// Modules with a level of their own, if there are any.
    #[oai(skip_serializing_if_is_none)]
    modules: Option<JsonObject>,
}

impl From<LogSetting> for CurrentLevel {
    fn from(setting: LogSetting) -> Self {
        let modules: Map<String, Value> =
            setting.modules.iter().map(|(name, level)| (name.as_str().to_owned(), level.as_str().into())).collect();
        Self {
            current_level: setting.level.as_str().to_owned(),
            modules: (!modules.is_empty()).then_some(poem_openapi::types::Any(modules)),
        }
    }
}

/// How fast the service was of late. Times are in seconds.
#[derive(Debug, Object)]
struct PerformanceMetrics {
    /// Requests of the last five minutes: `total_requests`, `avg_duration`, `min_duration`, `max_duration`,
    /// `requests_per_second` and `error_rate`; nothing if there was none.
    requests: JsonObject,
    database: DatabaseMetrics,
    /// Requests that are being served, this one among them.
    active_requests: u64,
    throughput: ThroughputMetrics,
}

/// What the engine did in the last hour.
#[derive(Debug, Object)]
struct DatabaseMetrics {
    total_queries: u64,
    avg_duration: f64,
    min_duration: f64,
    max_duration: f64,
    /// What it does now.
    active_queries: u64,
    /// How often it did what.
    operations: JsonObject,
}

/// The last minute, worked out every ten seconds.
#[derive(Debug, Object)]
struct ThroughputMetrics {
    /// When this was worked out.
    timestamp: chrono::DateTime<chrono::Utc>,
    requests_per_second: f64,
    avg_response_time: f64,
    /// The share of requests that were answered with 400 or more.
    error_rate: f64,
    active_requests: u64,
}

impl From<Performance> for PerformanceMetrics {
    fn from(performance: Performance) -> Self {
        let Performance { requests, requests_per_second, database, operations, throughput, .. } = performance;
        let operations: Map<String, Value> =
            operations.into_iter().map(|(name, count)| (name.to_owned(), count.into())).collect();
        Self {
            requests: poem_openapi::types::Any(
                requests.map_or_else(Map::new, |tally| told(&tally, requests_per_second)),
            ),
            database: DatabaseMetrics {
                total_queries: database.count,
                avg_duration: database.average(),
                min_duration: database.min.as_secs_f64(),
                max_duration: database.max.as_secs_f64(),
                active_queries: performance.active_operations,
                operations: poem_openapi::types::Any(operations),
            },
            active_requests: performance.active_requests,
            throughput: ThroughputMetrics {
                timestamp: throughput.at,
                requests_per_second: throughput.requests_per_second,
                avg_response_time: throughput.average,
                error_rate: throughput.error_rate,
                active_requests: throughput.active,
            },
        }
    }
}

fn told(tally: &Tally, per_second: f64) -> Map<String, Value> {
    let entries = [
        ("total_requests", Value::from(tally.count)),
        ("avg_duration", tally.average().into()),
        ("min_duration", tally.min.as_secs_f64().into()),
        ("max_duration", tally.max.as_secs_f64().into()),
        ("requests_per_second", per_second.into()),
        ("error_rate", tally.error_rate().into()),
    ];
    entries.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

#[derive(ApiResponse)]
enum Exposition {
    /// Figures in Prometheus' text format, version 0.0.4; in OpenMetrics for clients that name it in `Accept`.
    #[oai(status = 200)]
    Told(ExpositionContent),
}

/// Figures in the format that the client prefers.
#[derive(ResponseContent)]
enum ExpositionContent {
    #[oai(content_type = "text/plain; version=0.0.4; charset=utf-8")]
    Text(PlainText<String>),
    #[oai(content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8")]
    OpenMetrics(PlainText<String>),
}

#[OpenApi(tag = "Area::Operating")]
#[expect(clippy::unused_async, reason = "every operation has to be async")]
impl OperatingApi {
    /// How busy the machine is
    ///
    /// Processor, memory and disk. Admin only.
    #[oai(path = "/monitoring/metrics/system", method = "get", operation_id = "get_system_metrics")]
    async fn machine(&self, auth: Auth) -> ApiResult<Json<SystemMetrics>> {
        Ok(Json(self.exposing.operating.machine(auth.caller()).await?.into()))
    }

    /// What is logged
    ///
    /// Admin only.
    #[oai(path = "/admin/logging/level", method = "get", operation_id = "get_logging_level")]
    async fn logging(&self, auth: Auth) -> ApiResult<Json<CurrentLevel>> {
        Ok(Json(self.exposing.operating.logging(auth.caller())?.into()))
    }

    /// Set what is logged
    ///
    /// Holds at once, until the server stops. Without a module it is the level of all, and no module has one of its own
    /// any more. Admin only.
    #[oai(path = "/admin/logging/level", method = "post", operation_id = "set_logging_level")]
    async fn set_logging(&self, auth: Auth, wish: Json<LevelWish>) -> ApiResult<Json<LevelSet>> {
        let LevelWish { level, module } = wish.0;
        let level = self.exposing.operating.set_logging(auth.caller(), &level, module.as_deref()).await?;
        Ok(Json(LevelSet { message: format!("Logging level set to {}", level.as_str()) }))
    }

    /// How fast the service was of late
    ///
    /// Requests of the last five minutes, what the engine did in the last hour, and the throughput of the last minute.
    /// A request's time ends where its answer begins; a query's with its last row. Admin only.
    #[oai(path = "/metrics/performance", method = "get", operation_id = "get_performance_metrics")]
    async fn performance(&self, auth: Auth) -> ApiResult<Json<PerformanceMetrics>> {
        Ok(Json(self.exposing.operating.performance(auth.caller())?.into()))
    }

    /// Figures for Prometheus
    ///
    /// Needs no key, unless the server is set otherwise (`auth.metrics_public`): then an administrator's. Labels name
    /// routes and never projects.
    #[oai(path = "/metrics", method = "get", operation_id = "get_metrics")]
    async fn metrics(&self, request: &Request) -> ApiResult<Exposition> {
        let metrics = &self.exposing.metrics;
        if !metrics.public {
            auth::caller_of(request).await?.require_admin()?;
        }
        if !metrics.enabled {
            return Err(ApiError::switched_off("metrics", "features.enable_prometheus_metrics"));
        }
        let accept = request.header("Accept").unwrap_or_default();
        let figures = self.exposing.figures().await;
        Ok(Exposition::Told(if exposition::prefers_openmetrics(accept) {
            ExpositionContent::OpenMetrics(PlainText(exposition::openmetrics(figures)))
        } else {
            ExpositionContent::Text(PlainText(exposition::text(figures)))
        }))
    }
}

/// From 0 to 100; 0 of nothing.
fn percent(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { round(100.0 * float(part) / float(whole)) }
}

#[expect(clippy::cast_precision_loss, reason = "shown with two digits")]
fn float(number: u64) -> f64 {
    number as f64
}

/// With two digits.
fn round(number: f64) -> f64 {
    (number * 100.0).round() / 100.0
}

/// What the older services call MB.
fn megabytes(bytes: u64) -> f64 {
    round(float(bytes) / 1_048_576.0)
}
