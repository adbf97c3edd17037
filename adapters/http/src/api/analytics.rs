//! `/api/v1/duckdb`: the engine's health and statistics, and its circuit breaker.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use gadwall_application::analytics::{Analytics, EngineHealth, EngineNumbers};
use gadwall_application::breaker::BreakerStatus;
use gadwall_application::query_statistics::{QueryAnalysis, QueryNumbers};
use gadwall_domain::ports::system::LakeFiles;
use poem_openapi::param::Query;
use poem_openapi::payload::Json;
use poem_openapi::{Enum, Object, OpenApi};

use super::Area;
use crate::auth::Auth;
use crate::problem::ApiResult;

/// Bytes in what the older services call MB.
const MB: f64 = 1024.0 * 1024.0;

pub(crate) struct AnalyticsApi {
    pub(crate) analytics: Arc<Analytics>,
}

/// What is here and where to go on.
#[derive(Debug, Object)]
struct EngineWelcome {
    service: String,
    version: String,
    description: String,
    /// Name to path.
    endpoints: BTreeMap<String, String>,
    docs: String,
}

#[derive(Debug, Clone, Copy, Enum)]
#[oai(rename_all = "snake_case")]
enum EngineState {
    Healthy,
    Unhealthy,
}

/// How the engine is doing.
#[derive(Debug, Object)]
#[oai(rename = "EngineHealth")]
struct HealthBody {
    /// Whether queries are answered. The status is 200 either way.
    status: EngineState,
    timestamp: DateTime<Utc>,
    /// Always true: the server listens only once everything has started.
    service_initialized: bool,
    /// `embedded`: where files lie is not told.
    database_path: String,
    database_exists: bool,
    /// All lakes together, counted within the last half minute.
    database_size_mb: Option<f64>,
    query_test: EngineQueryTest,
    connection_pool: EngineConnections,
    circuit_breaker: CircuitBreaker,
    /// All of them by name: `duckdb`, and where they are on other machines `object_store`, `metadata` and `catalog`.
    circuit_breakers: BTreeMap<String, CircuitBreaker>,
    metrics: EngineMetrics,
    system: EngineSystem,
    /// What is wrong.
    errors: Vec<String>,
}

/// A query past the circuit breaker.
#[derive(Debug, Object)]
struct EngineQueryTest {
    success: bool,
    /// Seconds.
    execution_time: f64,
    /// MB that the process had more afterwards.
    memory_usage: f64,
}

/// Places for queries. Each query has a connection of its own for as long as it runs.
#[derive(Debug, Object)]
#[expect(clippy::struct_field_names, reason = "named as clients know them")]
struct EngineConnections {
    /// In use now.
    total_connections: u64,
    /// Places that are free.
    available_connections: u64,
    /// All places.
    max_connections: u64,
}

/// What the engine did since the start.
#[derive(Debug, Object)]
struct EngineStatistics {
    service: EngineService,
    metrics: EngineMetrics,
    performance: EnginePerformance,
    system: EngineSystem,
    circuit_breaker: CircuitBreaker,
    /// All of them by name: `duckdb`, and where they are on other machines `object_store`, `metadata` and `catalog`.
    circuit_breakers: BTreeMap<String, CircuitBreaker>,
    /// The files of the project, or for an admin who names none, of all lakes; null if they are missing.
    database_file: Option<EngineFiles>,
    /// The last 1,000 queries; null before the first.
    query_analysis: Option<QueryAnalysisBody>,
}

#[derive(Debug, Object)]
struct EngineService {
    initialized: bool,
    uptime_seconds: f64,
    /// The project, or `embedded` for all of them: where files lie is not told.
    database_path: String,
    /// Most memory that the engine may use, in bytes.
    memory_limit: u64,
    worker_threads: u64,
}

/// Queries, where not said otherwise.
#[derive(Debug, Object)]
struct EngineMetrics {
    /// Connections opened since the start: one for each query.
    total_connections: u64,
    /// Connections in use or waited for.
    active_connections: u64,
    /// Queries that ended: successful, failed and cancelled ones.
    total_queries: u64,
    successful_queries: u64,
    /// With an error of any kind, also one in the query itself.
    failed_queries: u64,
    /// Queries whose reader went away.
    cancelled_queries: u64,
    /// The successful of those that were not cancelled, in percent; 100 before the first.
    success_rate: f64,
    /// Seconds to the last row.
    avg_query_time: f64,
    /// Resident memory of the process.
    memory_usage_mb: f64,
    last_query_time: Option<DateTime<Utc>>,
    /// Queries by the word they begin with.
    operations: BTreeMap<String, u64>,
}

#[derive(Debug, Object)]
struct EnginePerformance {
    /// Seconds to the last row.
    avg_query_time: f64,
    /// The last ten, in seconds, newest last.
    recent_query_times: Vec<f64>,
    /// Percent.
    success_rate: f64,
    /// Of the last 1,000.
    queries_over_1s: u64,
    /// Of the last 1,000.
    queries_over_5s: u64,
}

/// Process and machine. Zero where the system doesn't tell.
#[derive(Debug, Object)]
struct EngineSystem {
    process_memory_mb: f64,
    /// Of what the machine or the container has.
    process_memory_percent: f64,
    /// Of the process; 100 is one core.
    cpu_percent: f64,
    system_memory_percent: f64,
    system_cpu_percent: f64,
    /// The disk that holds the data.
    disk_usage_percent: f64,
}

#[derive(Debug, Object)]
struct EngineFiles {
    size_mb: f64,
    created: Option<DateTime<Utc>>,
    modified: Option<DateTime<Utc>>,
}

/// The last 1,000 queries, in seconds.
#[derive(Debug, Object)]
#[oai(rename = "QueryAnalysis")]
struct QueryAnalysisBody {
    total_queries: u64,
    min_time: f64,
    max_time: f64,
    median_time: f64,
    queries_over_1s: u64,
    queries_over_5s: u64,
}

/// Refuses queries for a while after the engine failed too often.
#[derive(Debug, Object)]
struct CircuitBreaker {
    name: String,
    /// `closed`, `open` or `half_open`.
    state: String,
    /// Faults, less successes since.
    failure_count: u32,
    /// Successes since it is half open.
    success_count: u32,
    /// Faults among the last calls.
    recent_failures: u32,
    next_attempt_time: Option<DateTime<Utc>>,
    seconds_until_retry: Option<f64>,
    /// As in `metrics`.
    success_rate: f64,
    config: CircuitBreakerConfig,
    metrics: CircuitBreakerMetrics,
}

#[derive(Debug, Object)]
struct CircuitBreakerConfig {
    failure_threshold: u32,
    success_threshold: u32,
    timeout_seconds: f64,
}

/// Since the start. An answer that says what is wrong with a query is a success here: the engine works.
#[derive(Debug, Object)]
struct CircuitBreakerMetrics {
    /// Answered or failed.
    total_requests: u64,
    successful_requests: u64,
    failed_requests: u64,
    /// Not let through; not among the total.
    refused_requests: u64,
    /// Percent; 100 before the first.
    success_rate: f64,
    circuit_open_count: u64,
    /// Seconds.
    avg_response_time: f64,
    last_failure_time: Option<DateTime<Utc>>,
    last_success_time: Option<DateTime<Utc>>,
}

/// What was done.
#[derive(Debug, Object)]
struct CircuitBreakerReset {
    status: String,
    message: String,
}

#[OpenApi(prefix_path = "/api/v1/duckdb", tag = "Area::Engine")]
#[expect(clippy::unused_async, reason = "every operation has to be async")]
impl AnalyticsApi {
    /// What is here and where to go on
    #[oai(path = "/", method = "get", operation_id = "engine_welcome")]
    async fn welcome(&self, auth: Auth) -> ApiResult<Json<EngineWelcome>> {
        self.analytics.enter(auth.caller())?;
        let endpoint = |name: &str, path: &str| (name.to_owned(), format!("/api/v1/duckdb/{path}"));
        Ok(Json(EngineWelcome {
            service: "gadwall".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            description: "The engine of queries: DuckDB on DuckLake".to_owned(),
            endpoints: BTreeMap::from([
                endpoint("health", "health"),
                endpoint("statistics", "statistics"),
                endpoint("circuit_breaker_reset", "circuit-breaker/reset"),
            ]),
            docs: "/docs".to_owned(),
        }))
    }

    /// How is the engine doing?
    ///
    /// It is asked past its circuit breaker. The status is 200 also when it isn't well: look at `status` and `errors`.
    #[oai(path = "/health", method = "get", operation_id = "engine_health")]
    async fn health(&self) -> Json<HealthBody> {
        Json(health(self.analytics.health().await))
    }

    /// What did the engine do?
    ///
    /// Numbers of all queries since the start. `database_file` is of the caller's project, or for an admin who names
    /// none, of all.
    #[oai(path = "/statistics", method = "get", operation_id = "engine_statistics")]
    async fn statistics(&self, auth: Auth) -> ApiResult<Json<EngineStatistics>> {
        let numbers = self.analytics.statistics(auth.caller(), auth.named_project()?).await?;
        Ok(Json(statistics(numbers)))
    }

    /// Close circuit breakers
    ///
    /// Admin only. All of them, or the one that is named. Counters and waits begin anew; what was counted since the start stays.
    #[oai(path = "/circuit-breaker/reset", method = "post", operation_id = "reset_circuit_breaker")]
    async fn reset(
        &self,
        auth: Auth,
        /// Only this one: `duckdb`, `object_store`, `metadata` or `catalog`.
        name: Query<Option<String>>,
    ) -> ApiResult<Json<CircuitBreakerReset>> {
        let names = self.analytics.reset(auth.caller(), name.0.as_deref())?;
        let message = format!("Circuit breaker was reset: calls are let through again ({})", names.join(", "));
        Ok(Json(CircuitBreakerReset { status: "success".to_owned(), message }))
    }
}

fn health(health: EngineHealth) -> HealthBody {
    let EngineHealth { healthy, answers, took, memory_growth, errors, numbers } = health;
    let places = number(numbers.limits.queries);
    HealthBody {
        status: if healthy { EngineState::Healthy } else { EngineState::Unhealthy },
        timestamp: numbers.now,
        service_initialized: true,
        database_exists: numbers.files.is_some(),
        database_size_mb: numbers.files.map(|files| megabytes(files.bytes)),
        query_test: EngineQueryTest {
            success: answers,
            execution_time: took.as_secs_f64(),
            memory_usage: megabytes(memory_growth),
        },
        connection_pool: EngineConnections {
            total_connections: numbers.queries.active.min(places),
            available_connections: places.saturating_sub(numbers.queries.active),
            max_connections: places,
        },
        circuit_breaker: circuit_breaker(&numbers.breaker),
        circuit_breakers: circuit_breakers(&numbers),
        metrics: metrics(&numbers.queries, numbers.memory.resident),
        system: system(&numbers),
        database_path: numbers.database,
        errors,
    }
}

fn statistics(numbers: EngineNumbers) -> EngineStatistics {
    let analysis = numbers.queries.analysis.as_ref();
    EngineStatistics {
        metrics: metrics(&numbers.queries, numbers.memory.resident),
        performance: EnginePerformance {
            avg_query_time: numbers.queries.average,
            recent_query_times: numbers.queries.recent.clone(),
            success_rate: numbers.queries.success_rate,
            queries_over_1s: analysis.map_or(0, |analysis| number(analysis.over_1s)),
            queries_over_5s: analysis.map_or(0, |analysis| number(analysis.over_5s)),
        },
        system: system(&numbers),
        circuit_breaker: circuit_breaker(&numbers.breaker),
        circuit_breakers: circuit_breakers(&numbers),
        database_file: numbers.files.as_ref().map(database_file),
        query_analysis: analysis.map(query_analysis),
        service: EngineService {
            initialized: true,
            uptime_seconds: numbers.uptime.as_secs_f64(),
            database_path: numbers.database,
            memory_limit: numbers.limits.memory,
            worker_threads: number(numbers.limits.threads),
        },
    }
}

fn metrics(queries: &QueryNumbers, resident: u64) -> EngineMetrics {
    EngineMetrics {
        total_connections: queries.started,
        active_connections: queries.active,
        total_queries: queries.total,
        successful_queries: queries.successful,
        failed_queries: queries.failed,
        cancelled_queries: queries.cancelled,
        success_rate: queries.success_rate,
        avg_query_time: queries.average,
        memory_usage_mb: megabytes(resident),
        last_query_time: queries.last,
        operations: queries.operations.iter().map(|(word, count)| ((*word).to_owned(), *count)).collect(),
    }
}

fn system(numbers: &EngineNumbers) -> EngineSystem {
    let EngineNumbers { memory, load, .. } = numbers;
    EngineSystem {
        process_memory_mb: megabytes(memory.resident),
        process_memory_percent: round(100.0 * megabytes(memory.resident) / megabytes(memory.total).max(1.0)),
        cpu_percent: round(load.process_cpu),
        system_memory_percent: round(load.system_memory),
        system_cpu_percent: round(load.system_cpu),
        disk_usage_percent: round(load.disk),
    }
}

fn circuit_breakers(numbers: &EngineNumbers) -> BTreeMap<String, CircuitBreaker> {
    let all = std::iter::once(&numbers.breaker).chain(&numbers.outside);
    all.map(|status| (status.name.to_owned(), circuit_breaker(status))).collect()
}

fn circuit_breaker(status: &BreakerStatus) -> CircuitBreaker {
    let tally = &status.tally;
    CircuitBreaker {
        name: status.name.to_owned(),
        state: status.state.as_str().to_owned(),
        failure_count: status.failure_count,
        success_count: status.success_count,
        recent_failures: status.recent_failures,
        next_attempt_time: status.next_attempt,
        seconds_until_retry: status.retry_after.as_ref().map(Duration::as_secs_f64),
        success_rate: tally.success_rate(),
        config: CircuitBreakerConfig {
            failure_threshold: status.config.failure_threshold,
            success_threshold: status.config.success_threshold,
            timeout_seconds: status.config.timeout.as_secs_f64(),
        },
        metrics: CircuitBreakerMetrics {
            total_requests: tally.total(),
            successful_requests: tally.successful,
            failed_requests: tally.failed,
            refused_requests: tally.refused,
            success_rate: tally.success_rate(),
            circuit_open_count: tally.opened,
            avg_response_time: tally.average_seconds(),
            last_failure_time: tally.last_failure,
            last_success_time: tally.last_success,
        },
    }
}

fn database_file(files: &LakeFiles) -> EngineFiles {
    EngineFiles { size_mb: megabytes(files.bytes), created: files.created, modified: files.modified }
}

fn query_analysis(analysis: &QueryAnalysis) -> QueryAnalysisBody {
    QueryAnalysisBody {
        total_queries: number(analysis.queries),
        min_time: analysis.min,
        max_time: analysis.max,
        median_time: analysis.median,
        queries_over_1s: number(analysis.over_1s),
        queries_over_5s: number(analysis.over_5s),
    }
}

fn number(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

/// With four digits: a new project's files are small.
#[expect(clippy::cast_precision_loss, reason = "shown with four digits")]
fn megabytes(bytes: u64) -> f64 {
    (bytes as f64 / MB * 10_000.0).round() / 10_000.0
}

fn round(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}
