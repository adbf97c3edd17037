//! The figures under their own names.

use std::collections::BTreeMap;

use gadwall_application::breaker::{BreakerState, BreakerStatus};
use gadwall_application::operating::ServiceFigures;
use gadwall_domain::ports::operating::PoolFigures;

use super::{Exposed, Figure, Labels, float};

pub(super) fn figures(exposed: &Exposed) -> Vec<Figure> {
    let service = &exposed.service;
    let mut all = requests(service, exposed.scheme);
    all.extend(database(service));
    all.extend(engines(service));
    all.extend(breakers(&service.breakers));
    all.extend(cache(exposed));
    all.extend(lineage(service));
    all.extend(maintenance(service));
    all.extend(process(service));
    all.extend(exports(exposed));
    let version = vec![("version", env!("CARGO_PKG_VERSION").to_owned())];
    all.push(Figure::gauges("gadwall_build_info", "The version that runs.", [(version, 1.0)]));
    all
}

fn label(name: &'static str, value: &str) -> Labels {
    vec![(name, value.to_owned())]
}

fn requests(service: &ServiceFigures, scheme: &str) -> Vec<Figure> {
    let requests = service.requests.iter().map(|(request, figures)| {
        let mut labels = label("http_request_method", request.method);
        labels.push(("url_scheme", scheme.to_owned()));
        labels.push(("http_route", request.route.to_string()));
        labels.push(("http_response_status_code", request.status.to_string()));
        if request.status >= 500 {
            labels.push(("error_type", request.status.to_string()));
        }
        (labels, figures.clone())
    });
    vec![
        Figure::histograms(
            "http_server_request_duration_seconds",
            "How long requests took, up to the head of their answers.",
            requests,
        ),
        Figure::gauge("http_server_active_requests", "Requests that are being served.", float(service.active_requests)),
    ]
}

fn database(service: &ServiceFigures) -> Vec<Figure> {
    let operations = service.operations.iter().map(|(operation, figures)| {
        let mut labels = label("db_system_name", "other_sql");
        labels.push(("db_operation_name", operation.operation.to_owned()));
        if operation.failed {
            labels.push(("error_type", "_OTHER".to_owned()));
        }
        (labels, figures.clone())
    });
    let of_pool = |pool: &PoolFigures| {
        vec![("db_system_name", pool.system.to_owned()), ("db_client_connection_pool_name", pool.name.to_owned())]
    };
    let in_state = |pool: &PoolFigures, state: &str, count: u32| {
        let mut labels = of_pool(pool);
        labels.push(("db_client_connection_state", state.to_owned()));
        (labels, f64::from(count))
    };
    let connections =
        service.pools.iter().flat_map(|pool| [in_state(pool, "used", pool.used), in_state(pool, "idle", pool.idle)]);
    let most = service.pools.iter().map(|pool| (of_pool(pool), f64::from(pool.max)));
    let queries = &service.queries;
    let ended = [("successful", queries.successful), ("failed", queries.failed), ("cancelled", queries.cancelled)];
    vec![
        Figure::histograms(
            "db_client_operation_duration_seconds",
            "How long the engine took for queries, up to their last rows, and for writes with their wait for a turn.",
            operations,
        ),
        Figure::gauges("db_client_connection_count", "Connections to databases.", connections),
        Figure::gauges("db_client_connection_max", "The most connections to databases that there may be.", most),
        Figure::counters(
            "gadwall_queries",
            "Queries that ended.",
            ended.map(|(outcome, count)| (label("outcome", outcome), float(count))),
        ),
        Figure::gauge("gadwall_queries_active", "Queries that run or wait.", float(queries.active)),
    ]
}

fn engines(service: &ServiceFigures) -> Vec<Figure> {
    let engines = &service.engines;
    let memory = engines.memory.iter().map(|(tag, bytes)| (label("kind", tag), float(*bytes)));
    vec![
        Figure::gauge("gadwall_engines", "DuckDB engines that are open.", float(engines.engines)),
        Figure::gauge("gadwall_engine_connections", "Connections that are at work.", float(engines.connections)),
        Figure::gauge("gadwall_engine_waiting", "Statements that wait for a place.", float(engines.waiting)),
        Figure::gauges("gadwall_engine_memory_bytes", "Memory of the engines.", memory),
        Figure::gauge("gadwall_engine_spilled_bytes", "What the engines put aside on disk.", float(engines.spilled)),
        Figure::counter("gadwall_engine_reopenings", "Reopenings that somebody asked for.", float(service.reopened)),
        Figure::gauge("gadwall_writer_queue_length", "Writes that wait for their turn.", float(engines.queued_writes)),
        Figure::gauge("gadwall_writer_queue_limit", "How many may wait for one lake.", float(engines.queue_limit)),
    ]
}

fn breakers(all: &[BreakerStatus]) -> Vec<Figure> {
    let states = [BreakerState::Closed, BreakerState::Open, BreakerState::HalfOpen];
    let state = |breaker: &BreakerStatus, state: BreakerState| {
        let labels = vec![("name", breaker.name.to_owned()), ("state", state.as_str().to_owned())];
        (labels, f64::from(u8::from(breaker.state == state)))
    };
    let now = all.iter().flat_map(|breaker| states.map(|one| state(breaker, one)));
    let calls = all.iter().flat_map(|breaker| {
        let tally = breaker.tally;
        [("successful", tally.successful), ("failed", tally.failed), ("refused", tally.refused)].map(
            |(outcome, count)| (vec![("name", breaker.name.to_owned()), ("outcome", outcome.to_owned())], float(count)),
        )
    });
    let opened = all.iter().map(|breaker| (label("name", breaker.name), float(breaker.tally.opened)));
    vec![
        Figure::gauges("gadwall_circuit_breaker_state", "1 for the state that a circuit breaker is in.", now),
        Figure::counters("gadwall_circuit_breaker_calls", "Calls that a circuit breaker saw.", calls),
        Figure::counters("gadwall_circuit_breaker_openings", "How often a circuit breaker opened.", opened),
    ]
}

fn cache(exposed: &Exposed) -> Vec<Figure> {
    let cache = &exposed.cache;
    let asked = [("hit", cache.hits), ("miss", cache.misses)];
    vec![
        Figure::counters(
            "gadwall_result_cache_requests",
            "Queries whose results might have been kept.",
            asked.map(|(result, count)| (label("result", result), float(count))),
        ),
        Figure::gauge("gadwall_result_cache_bytes", "Results that are kept.", float(cache.bytes)),
        Figure::gauge("gadwall_result_cache_entries", "Results that are kept.", float(cache.entries)),
    ]
}

fn maintenance(service: &ServiceFigures) -> Vec<Figure> {
    let figures = service.maintenance;
    vec![
        Figure::counter("gadwall_maintenance_runs", "Runs of maintenance that ended.", float(figures.runs)),
        Figure::counter("gadwall_maintenance_failures", "Runs of maintenance that failed.", float(figures.failures)),
        Figure::counter("gadwall_maintenance_seconds", "How long runs of maintenance took in all.", figures.seconds),
        Figure::counter(
            "gadwall_maintenance_reclaimed_bytes",
            "Bytes of files that maintenance deleted.",
            float(figures.bytes_reclaimed),
        ),
    ]
}

fn lineage(service: &ServiceFigures) -> Vec<Figure> {
    let Some(backlog) = service.lineage else { return Vec::new() };
    let mut states = BTreeMap::from([("waiting", backlog.waiting), ("dead", backlog.dead)]);
    if let Some((forwarding, dropped)) = service.lineage_forward {
        // What was left out stays counted.
        states.extend([("forwarding", forwarding), ("dropped", dropped)]);
    }
    let samples = states.into_iter().map(|(state, count)| (label("state", state), float(count)));
    vec![Figure::gauges("gadwall_lineage_queue_events", "Lineage events that wait, or can't be worked off.", samples)]
}

fn exports(exposed: &Exposed) -> Option<Figure> {
    let tally = exposed.exports?;
    let ended = [("successful", tally.successful), ("failed", tally.failed)];
    let samples = ended.map(|(outcome, count)| (label("outcome", outcome), float(count)));
    Some(Figure::counters("gadwall_metrics_exports", "How often metrics were sent to the collector.", samples))
}

fn process(service: &ServiceFigures) -> Vec<Figure> {
    let process = &service.process;
    let machine = &service.machine;
    let memory = [("used", machine.memory_used()), ("free", machine.memory_available)];
    let disk = [("used", machine.disk_used), ("free", machine.disk_free)];
    let states = |all: [(&str, u64); 2]| all.map(|(state, bytes)| (label("state", state), float(bytes)));
    vec![
        Figure::counter("process_cpu_seconds", "Processor time.", process.cpu_seconds),
        Figure::gauge("process_resident_memory_bytes", "Resident memory.", float(process.resident)),
        Figure::gauge("process_virtual_memory_bytes", "Address space.", float(process.address_space)),
        Figure::gauge("process_open_fds", "Open files.", float(process.open_files)),
        Figure::gauge("process_max_fds", "Most open files.", float(process.max_files)),
        Figure::gauge("process_threads", "Threads.", float(process.threads)),
        Figure::gauge("process_start_time_seconds", "When it was started.", process.started),
        Figure::counter(
            "gadwall_memory_growth_alerts",
            "Stretches in which memory only grew.",
            float(service.leak_alerts),
        ),
        Figure::gauge("system_cpu_utilization_ratio", "How busy the machine is.", machine.cpu_percent / 100.0),
        Figure::gauges("system_memory_usage_bytes", "Memory of the machine or the container.", states(memory)),
        Figure::gauges("system_filesystem_usage_bytes", "The disk that holds the data.", states(disk)),
    ]
}
