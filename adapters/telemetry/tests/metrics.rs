//! Figures on their way to a collector.

use std::time::Duration;

use gadwall_telemetry::{
    Attribute, CollectorSettings, Distribution, ExportTally, Family, MetricExporter, Points, Protocol, Sampling, Traces,
};
use gadwall_test_services::{Collector, Mood, SeenPoint, SeenValue};
use tokio::runtime::Handle;

fn settings(protocol: Protocol, endpoint: String) -> CollectorSettings {
    CollectorSettings {
        endpoint,
        protocol,
        headers: vec![("Authorization".to_owned(), "Bearer x".to_owned())],
        timeout: Duration::from_secs(10),
        version: "1.2.3",
        instance: "one".to_owned(),
    }
}

fn both(collector: &Collector) -> [(Protocol, String); 2] {
    [(Protocol::Http, format!("{}/v1/metrics", collector.http())), (Protocol::Grpc, collector.grpc())]
}

fn some() -> Vec<Family> {
    let family = |name, unit, points| Family { name, help: "What it is.", unit, points };
    let text = |text: &str| Attribute::Text(text.to_owned());
    let told = Distribution { bounds: vec![0.5, 1.0], counts: vec![2, 1, 1], sum: 12.5, count: 4 };
    vec![
        family("things", "", Points::Sums(vec![(vec![("kind", text("a"))], 3.0), (vec![("kind", text("b"))], 0.0)])),
        family("height", "By", Points::Gauges(vec![(Vec::new(), 1.5)])),
        family("took", "s", Points::Distributions(vec![(vec![("status", Attribute::Number(500))], told)])),
        family("nothing", "", Points::Gauges(Vec::new())),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn figures_are_sent_as_they_are_by_either_protocol() {
    let collector = Collector::start().await.unwrap();
    for (protocol, endpoint) in both(&collector) {
        let before = collector.figures().len();
        let mut exporter = MetricExporter::new(settings(protocol, endpoint)).unwrap();
        exporter.export(async { some() }).await;
        assert_eq!(exporter.counts().tally(), ExportTally { successful: 1, failed: 0 });
        let seen = collector.figures().split_off(before);
        let [seen] = &seen[..] else { panic!("{protocol:?}: {seen:?}") };
        let point = |name: &str, unit: &str, attributes: &[(&str, &str)], value| SeenPoint {
            name: name.to_owned(),
            unit: unit.to_owned(),
            attributes: attributes.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
            value,
        };
        let expected = [
            point("things", "", &[("kind", "a")], SeenValue::Sum(3.0)),
            point("things", "", &[("kind", "b")], SeenValue::Sum(0.0)),
            point("height", "By", &[], SeenValue::Gauge(1.5)),
            point("took", "s", &[("status", "500")], SeenValue::Histogram(vec![0.5, 1.0], vec![2, 1, 1], 4, 12.5)),
        ];
        assert_eq!(seen.points, expected, "{protocol:?}");
        assert_eq!(seen.resource["service.name"], "gadwall");
        assert_eq!(seen.resource["service.version"], "1.2.3");
        assert_eq!(seen.resource["service.instance.id"], "one");
        assert_eq!(seen.authorization.as_deref(), Some("Bearer x"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_fails_is_counted_and_never_takes_longer_than_it_may() {
    let collector = Collector::start().await.unwrap();
    for (protocol, endpoint) in both(&collector) {
        let timeout = Duration::from_millis(300);
        let mut exporter =
            MetricExporter::new(CollectorSettings { timeout, ..settings(protocol, endpoint.clone()) }).unwrap();
        for mood in [Mood::Failing, Mood::Silent] {
            collector.set_mood(mood);
            let sent = exporter.export(async { some() });
            tokio::time::timeout(Duration::from_secs(30), sent).await.unwrap();
        }
        assert_eq!(exporter.counts().tally(), ExportTally { successful: 0, failed: 2 }, "{protocol:?}");
        // Gathering counts to the time, too.
        let gathered = exporter.export(std::future::pending());
        tokio::time::timeout(Duration::from_secs(30), gathered).await.unwrap();
        collector.set_mood(Mood::Fine);
        let mut again = MetricExporter::new(settings(protocol, endpoint)).unwrap();
        again.export(async { some() }).await;
        assert_eq!(again.counts().tally(), ExportTally { successful: 1, failed: 0 }, "{protocol:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_header_that_is_none_is_told_by_its_name_only() {
    for protocol in [Protocol::Http, Protocol::Grpc] {
        for (name, value) in [("x-team\n", "secret"), ("x-team", "sec\nret"), ("", "secret")] {
            let headers = vec![(name.to_owned(), value.to_owned())];
            let collector = CollectorSettings { headers, ..settings(protocol, "http://127.0.0.1:9".to_owned()) };
            let errors = [
                MetricExporter::new(collector.clone()).unwrap_err().to_string(),
                Traces::start(&collector, &Sampling::of_percent(0), &Handle::current()).unwrap_err().to_string(),
            ];
            for error in errors {
                assert!(error.contains("not a header") && !error.contains("secret"), "{protocol:?}: {error}");
            }
        }
    }
}
