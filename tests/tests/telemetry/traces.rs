//! A server whose traces are sent to a collector.

use anyhow::{Context as _, Result, ensure};
use gadwall_test_services::{Collector, Recorder, SeenSpan};
use gadwall_tests::server::{ServerProcess, StartOptions};
use gadwall_tests::support::{Reply, send};
use reqwest::{Client, Method};
use serde_json::{Value, json};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const ASKING: &str = "00f067aa0ba902b7";
const TABLES: &str = "/projects/p/buckets/main/tables";

struct Traced {
    server: ServerProcess,
    client: Client,
    key: String,
}

impl Traced {
    async fn start(collector: &str, protocol: &str, schemas: &str) -> Result<Self> {
        let settings = [
            ("GADWALL__LOGGING__FORMAT", "json"),
            ("GADWALL__TRACES__SAMPLED_PERCENT", "0"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", collector),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
            ("ONTO_SERVER_URL", schemas),
            ("USE_MOCK_ONTO_SERVER", "false"),
        ];
        let env = settings.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let options = StartOptions { env, ..StartOptions::default() };
        let server = ServerProcess::start(&options).await?;
        Ok(Self { server, client: Client::builder().no_proxy().build()?, key: options.admin_key })
    }

    /// Asks within a trace that is kept.
    async fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Reply> {
        let url = format!("{}{path}", self.server.url());
        let request = self.client.request(method, url).bearer_auth(&self.key);
        let request = request.header("traceparent", format!("00-{TRACE}-{ASKING}-01"));
        send(match body {
            Some(body) => request.json(body),
            None => request,
        })
        .await
    }

    async fn post(&self, path: &str, body: &Value) -> Result<Reply> {
        let reply = self.ask(Method::POST, path, Some(body)).await?;
        ensure!(reply.status < 300, "{path}: {} {}", reply.status, reply.text);
        Ok(reply)
    }
}

fn named<'s>(seen: &'s [SeenSpan], name: &'s str) -> impl Iterator<Item = &'s SeenSpan> {
    seen.iter().filter(move |span| span.name == name)
}

/// Whether a span is in another one, in whatever depth.
fn is_in(seen: &[SeenSpan], inner: &SeenSpan, outer: &SeenSpan) -> bool {
    let mut at = inner;
    while at.parent != outer.id {
        match seen.iter().find(|span| span.id == at.parent) {
            Some(parent) => at = parent,
            None => return false,
        }
    }
    true
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trace_goes_through_the_server_and_on() -> Result<()> {
    let (collector, schemas) = tokio::try_join!(Collector::start(), Recorder::start())?;
    let traced = Traced::start(&collector.http(), "http/protobuf", &schemas.url()).await?;
    traced.post("/projects", &json!({ "id": "p" })).await?;
    let columns = json!({ "name": "t", "columns": [{ "name": "i", "type": "INTEGER" }] });
    traced.post(TABLES, &columns).await?;
    traced.post(&format!("{TABLES}/t/rows"), &json!([{ "i": 1 }])).await?;
    traced.post("/projects/p/query", &json!({ "query": "SELECT i FROM t" })).await?;
    let broken = traced.ask(Method::POST, "/projects/p/query", Some(&json!({ "query": "SELEKT" }))).await?;
    ensure!(broken.status == 400, "{}", broken.text);
    traced.ask(Method::GET, "/schemas/unknown", None).await?;

    let (append, query) =
        ("POST /projects/{project}/buckets/{bucket}/tables/{table}/rows", "POST /projects/{project}/query");
    let ours = ["write.queue", "commit", "metadata.commit", "query.queue", "query.engine", "catalog", "gate"];
    let wanted: Vec<_> = ours.into_iter().chain([append, query, "ontology.fetch", "GET /schemas/{schema}"]).collect();
    let seen = collector.wait(TRACE, &wanted).await?;
    let of = |name| named(&seen, name);
    for (inner, outer) in
        [("write.queue", append), ("commit", append), ("gate", query), ("ontology.fetch", "GET /schemas/{schema}")]
    {
        ensure!(of(inner).any(|inner| of(outer).any(|outer| is_in(&seen, inner, outer))), "{inner} is not in {outer}");
    }
    for span in of(append).chain(of(query)) {
        ensure!(span.is_server && span.parent == ASKING && !span.failed, "{span:?}");
    }
    // A client's mistake is no failure of the server.
    ensure!(of(query).any(|span| span.attributes["http.response.status_code"] == "400"), "{seen:?}");
    ensure!(seen.iter().all(|span| span.resource["service.name"] == "gadwall"), "{seen:?}");
    ensure!(!format!("{seen:?}").contains(&traced.key), "the key is in a span");

    // Whoever is asked, and whoever reads the history or the log, finds the same trace.
    let asked = schemas.seen();
    let mut told = asked.iter().filter_map(|request| request.header("traceparent"));
    let told = told.find(|told| told.contains(TRACE)).context("no request was made in the trace")?;
    ensure!(!told.contains(ASKING), "{told}");
    let history = traced.ask(Method::GET, &format!("{TABLES}/t/snapshots"), None).await?;
    ensure!(history.text.contains(TRACE), "{}", history.text);
    let log = traced.server.log();
    ensure!(log.lines().any(|line| line.contains(&format!("\"trace_id\":\"{TRACE}\""))), "{log}");
    // Of traces that begin here none is kept, as configured.
    ensure!(collector.seen().iter().all(|span| span.trace == TRACE));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_spans_are_sent_before_the_server_ends() -> Result<()> {
    let (collector, schemas) = tokio::try_join!(Collector::start(), Recorder::start())?;
    let mut traced = Traced::start(&collector.grpc(), "grpc", &schemas.url()).await?;
    traced.ask(Method::GET, "/projects", None).await?;
    traced.server.stop().await?;
    let seen = collector.seen();
    ensure!(seen.iter().any(|span| span.name == "GET /projects" && span.trace == TRACE), "{seen:?}");
    Ok(())
}
