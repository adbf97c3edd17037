//! The same figures for a collector that they are sent to.
//!
//! Those of OpenTelemetry's semantic conventions have the names that these give them, as Prometheus writes dots as underscores and units behind names; all
//! others have one name in both.

use gadwall_application::operating::HistogramFigures;
use gadwall_telemetry::{Attribute, Attributes, Distribution, Family, Points};

use super::{Figure, Labels, Samples};

/// Names of the conventions by those that Prometheus reads.
const NAMES: [(&str, &str); 5] = [
    ("http_server_request_duration_seconds", "http.server.request.duration"),
    ("http_server_active_requests", "http.server.active_requests"),
    ("db_client_operation_duration_seconds", "db.client.operation.duration"),
    ("db_client_connection_count", "db.client.connection.count"),
    ("db_client_connection_max", "db.client.connection.max"),
];

/// Attributes of the conventions by the labels that Prometheus reads.
const LABELS: [(&str, &str); 9] = [
    ("http_request_method", "http.request.method"),
    ("http_response_status_code", STATUS),
    ("http_route", "http.route"),
    ("url_scheme", "url.scheme"),
    ("error_type", "error.type"),
    ("db_system_name", "db.system.name"),
    ("db_operation_name", "db.operation.name"),
    ("db_client_connection_pool_name", "db.client.connection.pool.name"),
    ("db_client_connection_state", "db.client.connection.state"),
];

/// The one attribute that is a number.
const STATUS: &str = "http.response.status_code";

/// What figures are counted in, by the end of their names.
const UNITS: [(&str, &str); 3] = [("_seconds", "s"), ("_bytes", "By"), ("_ratio", "1")];

/// All figures.
pub(crate) fn families(figures: Vec<Figure>) -> Vec<Family> {
    figures.into_iter().map(family).collect()
}

fn family(Figure { name, help, samples }: Figure) -> Family {
    let unit = UNITS.iter().find(|(end, _)| name.ends_with(end)).map_or("", |(_, unit)| unit);
    let points = match samples {
        Samples::Counters(samples) => Points::Sums(points(samples, |value| value)),
        Samples::Gauges(samples) => Points::Gauges(points(samples, |value| value)),
        Samples::Histograms(samples) => Points::Distributions(points(samples, distribution)),
    };
    Family { name: known(&NAMES, name), help, unit, points }
}

fn points<F, T>(samples: Vec<(Labels, F)>, value: impl Fn(F) -> T) -> Vec<(Attributes, T)> {
    samples.into_iter().map(|(labels, sample)| (labels.into_iter().map(attribute).collect(), value(sample))).collect()
}

fn attribute((label, text): (&'static str, String)) -> (&'static str, Attribute) {
    let name = known(&LABELS, label);
    let number = if name == STATUS { text.parse().ok() } else { None };
    (name, number.map_or(Attribute::Text(text), Attribute::Number))
}

fn known(names: &[(&'static str, &'static str)], name: &'static str) -> &'static str {
    names.iter().find(|(exposed, _)| *exposed == name).map_or(name, |(_, known)| known)
}

fn distribution(HistogramFigures { classes, sum, count }: HistogramFigures) -> Distribution {
    Distribution {
        bounds: classes.iter().filter_map(|(bound, _)| *bound).collect(),
        counts: classes.iter().map(|(_, count)| *count).collect(),
        sum,
        count,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_conventions_and_nothing_is_lost() {
        let labels = |status: &str| vec![("http_response_status_code", status.to_owned()), ("name", "x".to_owned())];
        let histogram = HistogramFigures { classes: vec![(Some(0.5), 2), (None, 1)], sum: 12.5, count: 3 };
        let sent = families(vec![
            Figure::histograms("http_server_request_duration_seconds", "How long.", [(labels("200"), histogram)]),
            Figure::counter("gadwall_maintenance_reclaimed_bytes", "Bytes.", 7.0),
            Figure::gauge("gadwall_engines", "Engines.", 2.0),
        ]);
        let [took, bytes, engines] = &sent[..] else { panic!("{sent:?}") };
        assert_eq!((took.name, took.unit), ("http.server.request.duration", "s"));
        let attributes = vec![(STATUS, Attribute::Number(200)), ("name", Attribute::Text("x".to_owned()))];
        let told = Distribution { bounds: vec![0.5], counts: vec![2, 1], sum: 12.5, count: 3 };
        assert_eq!(took.points, Points::Distributions(vec![(attributes, told)]));
        assert_eq!((bytes.name, bytes.unit), ("gadwall_maintenance_reclaimed_bytes", "By"));
        assert_eq!(bytes.points, Points::Sums(vec![(Vec::new(), 7.0)]));
        assert_eq!((engines.unit, &engines.points), ("", &Points::Gauges(vec![(Vec::new(), 2.0)])));
    }

    #[test]
    fn prometheus_writes_them_as_it_reads_them() {
        for (exposed, known) in NAMES {
            let unit = if exposed.ends_with("_seconds") { "_seconds" } else { "" };
            assert_eq!(exposed, known.replace('.', "_") + unit);
        }
        for (exposed, known) in LABELS {
            assert_eq!(exposed, known.replace('.', "_"));
        }
    }
}
