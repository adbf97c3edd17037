//! The service's figures as Prometheus reads them: OpenMetrics 1.0.0, and the text format 0.0.4 for all others; and as collectors are sent them.
//!
//! Names follow OpenTelemetry where it has one. Labels are bounded: routes of the API, never paths, projects or keys.

mod legacy;
mod names;
mod otlp;

use std::collections::BTreeSet;
use std::fmt::{self, Write as _};

use gadwall_application::operating::{HistogramFigures, ServiceFigures};
use gadwall_telemetry::ExportTally;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet, text as openmetrics_text};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use crate::cache::CacheFigures;

pub(crate) use otlp::families;

/// What is exposed.
pub(crate) struct Exposed {
    pub(crate) service: ServiceFigures,
    pub(crate) cache: CacheFigures,
    /// What the server is spoken to by.
    pub(crate) scheme: &'static str,
    /// How often all this was sent to a collector, if there is one.
    pub(crate) exports: Option<ExportTally>,
}

/// Labels of a sample, by name.
type Labels = Vec<(&'static str, String)>;

/// A figure with its samples.
#[derive(Debug)]
pub(crate) struct Figure {
    /// Without the ending that counters get.
    name: &'static str,
    help: &'static str,
    samples: Samples,
}

#[derive(Debug)]
enum Samples {
    Counters(Vec<(Labels, f64)>),
    Gauges(Vec<(Labels, f64)>),
    Histograms(Vec<(Labels, HistogramFigures)>),
}

impl Figure {
    fn counter(name: &'static str, help: &'static str, value: f64) -> Self {
        Self::counters(name, help, [(Vec::new(), value)])
    }

    fn counters(name: &'static str, help: &'static str, samples: impl IntoIterator<Item = (Labels, f64)>) -> Self {
        Self { name, help, samples: Samples::Counters(samples.into_iter().collect()) }
    }

    fn gauge(name: &'static str, help: &'static str, value: f64) -> Self {
        Self::gauges(name, help, [(Vec::new(), value)])
    }

    fn gauges(name: &'static str, help: &'static str, samples: impl IntoIterator<Item = (Labels, f64)>) -> Self {
        Self { name, help, samples: Samples::Gauges(samples.into_iter().collect()) }
    }

    fn histograms(
        name: &'static str,
        help: &'static str,
        samples: impl IntoIterator<Item = (Labels, HistogramFigures)>,
    ) -> Self {
        Self { name, help, samples: Samples::Histograms(samples.into_iter().collect()) }
    }

    fn encode(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        match &self.samples {
            Samples::Counters(samples) => {
                let mut metric = encoder.encode_descriptor(self.name, self.help, None, MetricType::Counter)?;
                for (labels, value) in samples {
                    labelled(&mut metric, labels, |metric| metric.encode_counter::<NoLabelSet, _, f64>(value, None))?;
                }
            }
            Samples::Gauges(samples) => {
                let mut metric = encoder.encode_descriptor(self.name, self.help, None, MetricType::Gauge)?;
                for (labels, value) in samples {
                    labelled(&mut metric, labels, |metric| metric.encode_gauge(value))?;
                }
            }
            Samples::Histograms(samples) => {
                let mut metric = encoder.encode_descriptor(self.name, self.help, None, MetricType::Histogram)?;
                for (labels, HistogramFigures { classes, sum, count }) in samples {
                    // The last class has no bound, which is how the largest number is written.
                    let classes: Vec<(f64, u64)> =
                        classes.iter().map(|(bound, count)| (bound.unwrap_or(f64::MAX), *count)).collect();
                    labelled(&mut metric, labels, |metric| {
                        metric.encode_histogram::<NoLabelSet>(*sum, *count, &classes, None)
                    })?;
                }
            }
        }
        Ok(())
    }
}

/// Encodes a sample with its labels; without any, there are no braces either.
fn labelled(
    metric: &mut MetricEncoder<'_>,
    labels: &Labels,
    encode: impl FnOnce(&mut MetricEncoder<'_>) -> fmt::Result,
) -> fmt::Result {
    if labels.is_empty() {
        return encode(metric);
    }
    let escaped: Labels = labels.iter().map(|(name, value)| (*name, escaped(value))).collect();
    encode(&mut metric.encode_family(&escaped)?)
}

/// The library writes labels as they are.
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// All figures; with the older services' names if wanted.
pub(crate) fn figures(exposed: &Exposed, legacy_names: bool) -> Vec<Figure> {
    let mut figures = names::figures(exposed);
    if legacy_names {
        figures.extend(legacy::figures(exposed));
    }
    figures
}

#[derive(Debug)]
struct Figures(Vec<Figure>);

impl Collector for Figures {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|figure| figure.encode(&mut encoder))
    }
}

/// In OpenMetrics.
pub(crate) fn openmetrics(figures: Vec<Figure>) -> String {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Figures(figures)));
    let mut text = String::new();
    // Writing to a text doesn't fail.
    let _ = openmetrics_text::encode(&mut text, &registry);
    text
}

/// In the older text format. It differs in that a counter's description has its whole name, and that it just ends.
pub(crate) fn text(figures: Vec<Figure>) -> String {
    let counters: BTreeSet<&'static str> = figures
        .iter()
        .filter(|figure| matches!(figure.samples, Samples::Counters(_)))
        .map(|figure| figure.name)
        .collect();
    let mut text = String::new();
    for line in openmetrics(figures).lines().filter(|line| *line != "# EOF") {
        let described = ["# HELP ", "# TYPE "].into_iter().find_map(|kind| Some((kind, line.strip_prefix(kind)?)));
        let whole = described.and_then(|(kind, rest)| Some((kind, rest.split_once(' ')?)));
        // Writing to a text doesn't fail.
        let _ = match whole {
            Some((kind, (name, rest))) if counters.contains(name) => writeln!(text, "{kind}{name}_total {rest}"),
            _ => writeln!(text, "{line}"),
        };
    }
    text
}

/// Whether a client likes OpenMetrics at least as much as plain text.
pub(crate) fn prefers_openmetrics(accept: &str) -> bool {
    let quality = |kind: &str| {
        let named = accept.split(',').filter_map(|range| {
            let mut parts = range.split(';').map(str::trim);
            parts.next().filter(|name| name.eq_ignore_ascii_case(kind))?;
            let weight = parts.find_map(|part| part.strip_prefix("q=")?.parse::<f32>().ok());
            Some(weight.unwrap_or(1.0))
        });
        named.fold(0.0_f32, f32::max)
    };
    let openmetrics = quality("application/openmetrics-text");
    openmetrics > 0.0 && openmetrics >= quality("text/plain")
}

#[expect(clippy::cast_precision_loss, reason = "Prometheus has no other numbers")]
fn float(number: u64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some() -> Vec<Figure> {
        let labels = |status: &str| vec![("http_route", "/a\"b".to_owned()), ("status", status.to_owned())];
        let histogram =
            HistogramFigures { classes: vec![(Some(0.5), 2), (Some(1.0), 1), (None, 1)], sum: 12.5, count: 4 };
        vec![
            Figure::counters("things", "Things that were.", [(labels("200"), 3.0)]),
            Figure::gauge("height_bytes", "How high.", 1.5),
            Figure::histograms("took_seconds", "How long.", [(labels("500"), histogram)]),
        ]
    }

    #[test]
    fn openmetrics_is_as_its_standard_has_it() {
        let text = openmetrics(some());
        for line in [
            "# HELP things Things that were.",
            "# TYPE things counter",
            "things_total{http_route=\"/a\\\"b\",status=\"200\"} 3.0",
            "# TYPE height_bytes gauge",
            "height_bytes 1.5",
            "# TYPE took_seconds histogram",
            "took_seconds_sum{http_route=\"/a\\\"b\",status=\"500\"} 12.5",
            "took_seconds_count{http_route=\"/a\\\"b\",status=\"500\"} 4",
            "took_seconds_bucket{le=\"0.5\",http_route=\"/a\\\"b\",status=\"500\"} 2",
            "took_seconds_bucket{le=\"1.0\",http_route=\"/a\\\"b\",status=\"500\"} 3",
            "took_seconds_bucket{le=\"+Inf\",http_route=\"/a\\\"b\",status=\"500\"} 4",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
        assert!(text.ends_with("# EOF\n"));
    }

    #[test]
    fn the_older_format_describes_counters_by_their_whole_names() {
        let text = text(some());
        assert!(
            text.contains("# HELP things_total Things that were.\n# TYPE things_total counter\nthings_total{"),
            "{text}"
        );
        assert!(!text.contains("EOF") && text.contains("# TYPE height_bytes gauge\n"), "{text}");
    }

    #[test]
    fn openmetrics_is_for_who_asks_for_it() {
        for (accept, wanted) in [
            ("application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1", true),
            ("application/openmetrics-text; version=1.0.0", true),
            ("text/plain;version=0.0.4;q=0.6,application/openmetrics-text;version=1.0.0;q=0.5", false),
            ("text/plain", false),
            ("*/*", false),
            ("", false),
        ] {
            assert_eq!(prefers_openmetrics(accept), wanted, "{accept}");
        }
    }
}
