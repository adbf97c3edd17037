//! A server whose metrics are sent to a collector.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use gadwall_test_services::{Collector, Mood, SeenPoint, SeenValue};
use gadwall_tests::server::{ServerProcess, StartOptions};
use gadwall_tests::support::{Reply, send};
use reqwest::{Client, Method};
use serde_json::{Value, json};

/// Figures that move by themselves, and those that asking for figures moves.
const MOVING: [&str; 7] = [
    "process_",
    "system_",
    "gadwall_engine_",
    "db_client_connection_count",
    "http_server_active_requests",
    "gadwall_metrics_exports_total",
    "gadwall_result_cache_bytes",
];

struct Told {
    server: ServerProcess,
    client: Client,
    key: String,
}

impl Told {
    async fn start(settings: &[(&str, &str)]) -> Result<Self> {
        let all = settings.iter().chain(&[("GADWALL__METRICS__LEGACY_NAMES", "false")]);
        let env = all.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let options = StartOptions { env, ..StartOptions::default() };
        let server = ServerProcess::start(&options).await?;
        Ok(Self { server, client: Client::builder().no_proxy().build()?, key: options.admin_key })
    }

    async fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Reply> {
        let request = self.client.request(method, format!("{}{path}", self.server.url())).bearer_auth(&self.key);
        send(match body {
            Some(body) => request.json(body),
            None => request,
        })
        .await
    }

    async fn query(&self, sql: &str) -> Result<u16> {
        let query = json!({ "query": sql });
        Ok(self.ask(Method::POST, "/projects/default/query", Some(&query)).await?.status)
    }

    async fn metrics(&self) -> Result<BTreeMap<String, f64>> {
        let reply = self.ask(Method::GET, "/metrics", None).await?;
        ensure!(reply.status == 200, "{}", reply.text);
        exposed(&reply.text)
    }
}

/// What `/metrics` says: numbers by name and labels, these in order.
fn exposed(text: &str) -> Result<BTreeMap<String, f64>> {
    let samples = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    samples
        .map(|line| {
            let (name, value) = line.rsplit_once(' ').context("a line without a value")?;
            let (name, labels) = name.split_once('{').unwrap_or((name, ""));
            let labels: BTreeSet<_> =
                labels.trim_end_matches('}').split("\",").filter(|label| !label.is_empty()).collect();
            let labels: Vec<_> = labels.into_iter().map(|label| label.trim_end_matches('"').to_owned()).collect();
            Ok((key(name, labels), value.parse()?))
        })
        .collect()
}

fn key(name: &str, mut labels: Vec<String>) -> String {
    labels.sort();
    format!("{name}{labels:?}")
}

/// What a collector makes of points for Prometheus: dots become underscores, units and kinds endings.
fn translated(points: &[SeenPoint]) -> BTreeMap<String, f64> {
    let mut all = BTreeMap::new();
    for point in points {
        let unit = match point.unit.as_str() {
            "s" => "_seconds",
            "By" => "_bytes",
            "1" => "_ratio",
            _ => "",
        };
        let name = point.name.replace('.', "_");
        let name = if name.ends_with(unit) { name } else { name + unit };
        let labels: Vec<_> = point
            .attributes
            .iter()
            .map(|(label, value)| format!("{}=\"{}", label.replace('.', "_"), value.replace('"', "\\\"")))
            .collect();
        let mut put = |name: String, more: Option<String>, value| {
            all.insert(key(&name, labels.iter().cloned().chain(more).collect()), value);
        };
        match &point.value {
            SeenValue::Sum(value) => put(format!("{name}_total"), None, *value),
            SeenValue::Gauge(value) => put(name, None, *value),
            SeenValue::Histogram(bounds, counts, count, sum) => {
                let mut below = 0.0;
                let bounds = bounds.iter().map(|bound| format!("{bound:?}")).chain(["+Inf".to_owned()]);
                for (bound, count) in bounds.zip(counts) {
                    below += float(*count);
                    put(format!("{name}_bucket"), Some(format!("le=\"{bound}")), below);
                }
                put(format!("{name}_count"), None, float(*count));
                put(format!("{name}_sum"), None, *sum);
            }
        }
    }
    all
}

#[expect(clippy::cast_precision_loss, reason = "they are small")]
fn float(number: u64) -> f64 {
    number as f64
}

fn names(all: &BTreeMap<String, f64>) -> BTreeSet<&str> {
    all.keys().map(|key| key.split('[').next().unwrap_or_default()).collect()
}

async fn what_is_sent_is_what_is_shown(settings: &[(&str, &str)], collector: &Collector) -> Result<()> {
    let mut told = Told::start(settings).await?;
    for sql in ["SELECT 1 AS one", "SELECT 1 AS one", "SELECT 2 AS two", "SELEKT"] {
        told.query(sql).await?;
    }
    told.ask(Method::GET, "/projects", None).await?;
    let shown = told.metrics().await?;
    // The last figures are sent at the end, long before the interval is over.
    told.server.stop().await?;
    let sent = collector.figures();
    let last = sent.last().context("nothing was sent")?;
    ensure!(
        last.resource["service.name"] == "gadwall" && last.resource["service.version"] == env!("CARGO_PKG_VERSION")
    );
    ensure!(last.authorization.as_deref() == Some("Bearer x"), "{:?}", last.authorization);
    let sent = translated(&last.points);
    ensure!(names(&sent) == names(&shown), "{:?} and {:?}", names(&sent), names(&shown));
    let settled = |all: &BTreeMap<String, f64>| -> BTreeMap<String, f64> {
        let stays = |key: &str| !MOVING.iter().any(|moves| key.starts_with(moves)) && !key.contains("/metrics");
        all.iter().filter(|(key, _)| stays(key)).map(|(key, value)| (key.clone(), *value)).collect()
    };
    let (sent, shown) = (settled(&sent), settled(&shown));
    for (key, value) in &shown {
        // One way is a decimal text.
        let same = sent.get(key).is_some_and(|sent| (sent - value).abs() <= value.abs() * 1e-9);
        ensure!(same, "{key}: {value} is shown and {:?} sent", sent.get(key));
    }
    ensure!(sent.len() == shown.len(), "{sent:?}");
    ensure!(shown.keys().any(|key| key.contains("/projects/{project}/query")), "{shown:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_http_the_collector_of_traces_is_sent_what_is_shown() -> Result<()> {
    let collector = Collector::start().await?;
    let settings = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.http()),
        ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer x".to_owned()),
        ("GADWALL__METRICS__EXPORT", "true".to_owned()),
    ];
    what_is_sent_is_what_is_shown(&settings.each_ref().map(|(name, value)| (*name, value.as_str())), &collector).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_grpc_a_collector_of_metrics_is_sent_what_is_shown() -> Result<()> {
    let collector = Collector::start().await?;
    let settings = [
        ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", collector.grpc()),
        ("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "grpc".to_owned()),
        ("OTEL_EXPORTER_OTLP_METRICS_HEADERS", "authorization=Bearer x".to_owned()),
    ];
    what_is_sent_is_what_is_shown(&settings.each_ref().map(|(name, value)| (*name, value.as_str())), &collector)
        .await?;
    ensure!(collector.seen().is_empty(), "traces have no collector");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_in_trouble_troubles_nobody_and_is_told_of_once() -> Result<()> {
    let collector = Collector::start().await?;
    let settings = [
        ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", format!("{}/v1/metrics", collector.http())),
        ("OTEL_METRIC_EXPORT_INTERVAL", "1000".to_owned()),
        ("OTEL_METRIC_EXPORT_TIMEOUT", "1000".to_owned()),
    ];
    collector.set_mood(Mood::Failing);
    let told = Told::start(&settings.each_ref().map(|(name, value)| (*name, value.as_str()))).await?;
    for (mood, times) in [(Mood::Failing, 2), (Mood::Silent, 4)] {
        collector.set_mood(mood);
        while collector.asked() < times {
            ensure!(told.query("SELECT 1 AS one").await? == 200);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    collector.set_mood(Mood::Fine);
    let asked = collector.asked();
    collector.wait_asked(asked + 2).await?;
    let shown = told.metrics().await?;
    let ended = |outcome: &str| shown[&format!("gadwall_metrics_exports_total[\"outcome=\\\"{outcome}\"]")];
    ensure!(ended("failed") >= 3.0 && ended("successful") >= 1.0, "{shown:?}");
    let log = told.server.log();
    for said in ["metrics were not sent", "the collector takes metrics again"] {
        ensure!(log.matches(said).count() == 1, "{said}: {log}");
    }
    ensure!(log.contains("500"), "{log}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_collector_the_server_begins_and_ends_as_ever() -> Result<()> {
    for protocol in ["http/protobuf", "grpc"] {
        let settings = [
            ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://127.0.0.1:9"),
            ("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", protocol),
            ("OTEL_METRIC_EXPORT_INTERVAL", "1000"),
        ];
        let mut told = Told::start(&settings).await?;
        ensure!(told.query("SELECT 1 AS one").await? == 200);
        ensure!(told.server.stop().await?.success(), "{}", told.server.log());
    }
    Ok(())
}

#[tokio::test]
async fn a_header_that_is_none_is_told_at_the_start() -> Result<()> {
    for protocol in ["http/protobuf", "grpc"] {
        let settings = [
            ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://127.0.0.1:9"),
            ("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", protocol),
            ("OTEL_EXPORTER_OTLP_METRICS_HEADERS", "not a name=secret"),
        ];
        let refused = Told::start(&settings).await.err().context("it started")?.to_string();
        ensure!(refused.contains("not a header") && !refused.contains("secret"), "{refused}");
    }
    Ok(())
}
