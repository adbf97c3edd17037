//! The same figures under the older services' names, for the dashboards that ask for these.

use std::collections::BTreeMap;

use gadwall_application::operating::{HistogramFigures, RequestLabels, ServiceFigures};

use super::{Exposed, Figure, Labels, float};

pub(super) fn figures(exposed: &Exposed) -> Vec<Figure> {
    let service = &exposed.service;
    let mut all = requests(service);
    all.extend(machine(service));
    all.extend(database(service));
    all
}

fn labels(request: &RequestLabels) -> Labels {
    vec![
        ("method", request.method.to_owned()),
        ("endpoint", request.route.to_string()),
        ("status", request.status.to_string()),
    ]
}

fn requests(service: &ServiceFigures) -> Vec<Figure> {
    let counts = || service.requests.iter().map(|(request, figures)| (labels(request), float(figures.count)));
    let mut durations: BTreeMap<(&str, &str), HistogramFigures> = BTreeMap::new();
    for (request, figures) in &service.requests {
        let all = durations.entry((request.method, &request.route));
        all.and_modify(|all| all.add(figures)).or_insert_with(|| figures.clone());
    }
    let durations = || {
        durations.iter().map(|((method, route), figures)| {
            (vec![("method", (*method).to_owned()), ("endpoint", (*route).to_owned())], figures.clone())
        })
    };
    let help = "As http_server_request_duration_seconds.";
    vec![
        Figure::counters("http_requests", help, counts()),
        Figure::counters("ducklake_requests", help, counts()),
        Figure::histograms("ducklake_request_duration_seconds", help, durations()),
        Figure::counters("duckdb_api_requests", help, counts()),
        Figure::histograms("duckdb_api_request_duration_seconds", help, durations()),
        Figure::gauge(
            "duckdb_api_requests_in_progress",
            "As http_server_active_requests.",
            float(service.active_requests),
        ),
        Figure::counters("duckdb_table_creations", "Tables by what was done with them.", tables(service)),
    ]
}

/// What became of requests that make, change and remove tables.
fn tables(service: &ServiceFigures) -> Vec<(Labels, f64)> {
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for (request, figures) in &service.requests {
        let of_all = request.route.ends_with("/tables");
        let of_one = request.route.ends_with("/tables/{table}");
        let (done, failed) = match request.method {
            "POST" if of_all => ("success", "failed"),
            "PUT" | "PATCH" if of_one && &*request.route != "/tables/{table}" => ("updated", "update_failed"),
            "DELETE" if of_one => ("deleted", "deletion_failed"),
            _ => continue,
        };
        *counts.entry(if request.status < 400 { done } else { failed }).or_default() += figures.count;
    }
    counts.into_iter().map(|(status, count)| (vec![("status", status.to_owned())], float(count))).collect()
}

fn machine(service: &ServiceFigures) -> Vec<Figure> {
    let (machine, process) = (&service.machine, &service.process);
    let percent = |part: u64, whole: u64| if whole == 0 { 0.0 } else { 100.0 * float(part) / float(whole) };
    let memory = [("rss", process.resident), ("vms", process.address_space)];
    vec![
        Figure::gauge("cpu_usage_percent", "As system_cpu_utilization_ratio.", machine.cpu_percent),
        Figure::gauge(
            "memory_usage_percent",
            "As system_memory_usage_bytes.",
            percent(machine.memory_used(), machine.memory_total),
        ),
        Figure::gauge(
            "disk_usage_percent",
            "As system_filesystem_usage_bytes.",
            percent(machine.disk_used, machine.disk_used + machine.disk_free),
        ),
        Figure::gauges(
            "ducklake_memory_usage_bytes",
            "As process_resident_memory_bytes and process_virtual_memory_bytes.",
            memory.map(|(kind, bytes)| (vec![("type", kind.to_owned())], float(bytes))),
        ),
    ]
}

fn database(service: &ServiceFigures) -> Vec<Figure> {
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for (operation, figures) in &service.operations {
        *counts.entry(operation.operation).or_default() += figures.count;
    }
    let counts = counts.into_iter().map(|(name, count)| (vec![("operation", name.to_owned())], float(count)));
    vec![Figure::counters("ducklake_database_queries", "As db_client_operation_duration_seconds.", counts)]
}
