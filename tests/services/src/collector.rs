//! A collector of traces and metrics that keeps what it is sent, by OTLP over HTTP or gRPC.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_server::{
    MetricsService, MetricsServiceServer,
};
use opentelemetry_proto::tonic::collector::metrics::v1::{ExportMetricsServiceRequest, ExportMetricsServiceResponse};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{TraceService, TraceServiceServer};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as Number;
use opentelemetry_proto::tonic::metrics::v1::{HistogramDataPoint, Metric, NumberDataPoint, ResourceMetrics};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};

use crate::recorder::head;

/// Longest wait for a span.
const PATIENCE: Duration = Duration::from_secs(30);

/// A span, as it came.
#[derive(Debug, Clone)]
pub struct SeenSpan {
    /// Its name.
    pub name: String,
    /// Its trace, in hexadecimal digits.
    pub trace: String,
    /// Its own id.
    pub id: String,
    /// The id of the span that it is in; empty for none.
    pub parent: String,
    /// Whether it is a server's answer to a request.
    pub is_server: bool,
    /// Whether it failed.
    pub failed: bool,
    /// What it says of itself.
    pub attributes: BTreeMap<String, String>,
    /// What its sender says of itself.
    pub resource: BTreeMap<String, String>,
    /// The header `authorization` that came with it.
    pub authorization: Option<String>,
}

/// A point of a figure, as it came.
#[derive(Debug, Clone, PartialEq)]
pub struct SeenPoint {
    /// The figure's name.
    pub name: String,
    /// What it is counted in.
    pub unit: String,
    /// What the point is of.
    pub attributes: BTreeMap<String, String>,
    /// What it says.
    pub value: SeenValue,
}

/// What a point says.
#[derive(Debug, Clone, PartialEq)]
pub enum SeenValue {
    /// A sum that only grows.
    Sum(f64),
    /// What is so at a moment.
    Gauge(f64),
    /// How values are distributed: upper bounds, how many are in each class, how many there are, and their sum.
    Histogram(Vec<f64>, Vec<u64>, u64, f64),
}

/// The figures of one request.
#[derive(Debug, Clone)]
pub struct SeenFigures {
    /// Their points.
    pub points: Vec<SeenPoint>,
    /// What their sender says of itself.
    pub resource: BTreeMap<String, String>,
    /// The header `authorization` that came with them.
    pub authorization: Option<String>,
}

/// How it answers who sends figures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mood {
    /// As it should.
    #[default]
    Fine,
    /// With an internal error.
    Failing,
    /// Never.
    Silent,
}

#[derive(Debug, Default)]
struct Kept {
    spans: Vec<SeenSpan>,
    figures: Vec<SeenFigures>,
    mood: Mood,
    /// How many asked to have their figures taken, whatever the answer.
    asked: u64,
}

type Seen = Arc<Mutex<Kept>>;

fn lock(seen: &Seen) -> MutexGuard<'_, Kept> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Listens on two ports of its own. Gone when dropped.
#[derive(Debug)]
pub struct Collector {
    http: SocketAddr,
    grpc: SocketAddr,
    seen: Seen,
    tasks: [JoinHandle<()>; 2],
}

impl Collector {
    /// Listens on free ports.
    ///
    /// # Errors
    /// When no port can be listened on.
    pub async fn start() -> anyhow::Result<Self> {
        let bind = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
        let (listener, calls) = (bind().await.context("no port")?, bind().await.context("no port")?);
        let (http, grpc, seen) = (listener.local_addr()?, calls.local_addr()?, Seen::default());
        let kept = Arc::clone(&seen);
        let over_http = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(serve(client, Arc::clone(&kept)));
            }
        });
        let traces = TraceServiceServer::new(Calls(Arc::clone(&seen)));
        let metrics = MetricsServiceServer::new(Calls(Arc::clone(&seen)));
        let over_grpc = tokio::spawn(async move {
            let served = tonic::transport::Server::builder().add_service(traces).add_service(metrics);
            let _ = served.serve_with_incoming(TcpIncoming::from(calls)).await;
        });
        Ok(Self { http, grpc, seen, tasks: [over_http, over_grpc] })
    }

    /// Where it takes protocol buffers over HTTP.
    pub fn http(&self) -> String {
        format!("http://{}", self.http)
    }

    /// Where it takes gRPC.
    pub fn grpc(&self) -> String {
        format!("http://{}", self.grpc)
    }

    /// What it was sent so far.
    pub fn seen(&self) -> Vec<SeenSpan> {
        lock(&self.seen).spans.clone()
    }

    /// The figures that it was sent so far, request by request.
    pub fn figures(&self) -> Vec<SeenFigures> {
        lock(&self.seen).figures.clone()
    }

    /// How many asked to have their figures taken, whatever the answer was.
    pub fn asked(&self) -> u64 {
        lock(&self.seen).asked
    }

    /// How it answers who sends figures from now on.
    pub fn set_mood(&self, mood: Mood) {
        lock(&self.seen).mood = mood;
    }

    /// Waits until so many have asked to have their figures taken.
    ///
    /// # Errors
    /// When they don't.
    pub async fn wait_asked(&self, times: u64) -> anyhow::Result<()> {
        let begun = Instant::now();
        while self.asked() < times {
            anyhow::ensure!(begun.elapsed() < PATIENCE, "asked {} times of {times}", self.asked());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    /// Waits for spans that are wanted all, in one trace.
    ///
    /// # Errors
    /// When one of them doesn't come.
    pub async fn wait(&self, trace: &str, wanted: &[&str]) -> anyhow::Result<Vec<SeenSpan>> {
        let begun = Instant::now();
        loop {
            let seen: Vec<_> = self.seen().into_iter().filter(|span| span.trace == trace).collect();
            let lacks: Vec<_> = wanted.iter().filter(|name| !seen.iter().any(|span| span.name == **name)).collect();
            if lacks.is_empty() {
                return Ok(seen);
            }
            let names: Vec<_> = seen.iter().map(|span| span.name.as_str()).collect();
            anyhow::ensure!(begun.elapsed() < PATIENCE, "no {lacks:?} in {names:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

struct Calls(Seen);

#[tonic::async_trait]
impl TraceService for Calls {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let authorization = authorization(&request);
        keep(&self.0, request.into_inner(), authorization.as_deref());
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

#[tonic::async_trait]
impl MetricsService for Calls {
    async fn export(
        &self,
        request: Request<ExportMetricsServiceRequest>,
    ) -> Result<Response<ExportMetricsServiceResponse>, Status> {
        let authorization = authorization(&request);
        match keep_figures(&self.0, request.into_inner(), authorization.as_deref()) {
            Mood::Fine => Ok(Response::new(ExportMetricsServiceResponse::default())),
            Mood::Failing => Err(Status::internal("in a bad mood")),
            Mood::Silent => std::future::pending().await,
        }
    }
}

fn authorization<T>(request: &Request<T>) -> Option<String> {
    request.metadata().get("authorization").and_then(|value| value.to_str().ok()).map(str::to_owned)
}

/// Answers requests until the client goes away.
async fn serve(client: TcpStream, seen: Seen) -> Option<()> {
    let mut client = BufReader::new(client);
    loop {
        let request = head(&mut client).await?;
        let mut body = vec![0; request.header("content-length")?.parse().ok()?];
        client.read_exact(&mut body).await.ok()?;
        let is_right = request.method == "POST" && request.header("content-type") == Some("application/x-protobuf");
        let status = match request.path.as_str() {
            _ if !is_right => "400 Bad Request",
            "/v1/traces" => match ExportTraceServiceRequest::decode(&body[..]) {
                Ok(spans) => {
                    keep(&seen, spans, request.header("authorization"));
                    "200 OK"
                }
                Err(_) => "400 Bad Request",
            },
            "/v1/metrics" => match ExportMetricsServiceRequest::decode(&body[..]) {
                Ok(figures) => match keep_figures(&seen, figures, request.header("authorization")) {
                    Mood::Fine => "200 OK",
                    Mood::Failing => "500 Internal Server Error",
                    Mood::Silent => std::future::pending().await,
                },
                Err(_) => "400 Bad Request",
            },
            _ => "404 Not Found",
        };
        let answer = format!("HTTP/1.1 {status}\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n");
        client.write_all(answer.as_bytes()).await.ok()?;
    }
}

fn keep(seen: &Seen, sent: ExportTraceServiceRequest, authorization: Option<&str>) {
    let mut seen = lock(seen);
    for of_resource in sent.resource_spans {
        let resource = of_resource.resource.map(|resource| attributes(&resource.attributes)).unwrap_or_default();
        let spans = of_resource.scope_spans.into_iter().flat_map(|of_scope| of_scope.spans);
        seen.spans.extend(spans.map(|span| seen_span(&span, &resource, authorization)));
    }
}

/// Keeps figures, unless it is in another mood; tells which one.
fn keep_figures(seen: &Seen, sent: ExportMetricsServiceRequest, authorization: Option<&str>) -> Mood {
    let mut seen = lock(seen);
    seen.asked += 1;
    if seen.mood == Mood::Fine {
        seen.figures
            .extend(sent.resource_metrics.into_iter().map(|of_resource| seen_figures(of_resource, authorization)));
    }
    seen.mood
}

fn seen_figures(sent: ResourceMetrics, authorization: Option<&str>) -> SeenFigures {
    let metrics = sent.scope_metrics.into_iter().flat_map(|of_scope| of_scope.metrics);
    SeenFigures {
        points: metrics.flat_map(seen_points).collect(),
        resource: sent.resource.map(|resource| attributes(&resource.attributes)).unwrap_or_default(),
        authorization: authorization.map(str::to_owned),
    }
}

fn seen_points(metric: Metric) -> Vec<SeenPoint> {
    let Metric { name, unit, data, .. } = metric;
    let point = |told: &[KeyValue], value| SeenPoint {
        name: name.clone(),
        unit: unit.clone(),
        attributes: attributes(told),
        value,
    };
    let number = |point: &NumberDataPoint| match point.value {
        Some(Number::AsDouble(value)) => value,
        _ => f64::NAN,
    };
    match data {
        Some(Data::Sum(sum)) => {
            sum.data_points.iter().map(|one| point(&one.attributes, SeenValue::Sum(number(one)))).collect()
        }
        Some(Data::Gauge(gauge)) => {
            gauge.data_points.iter().map(|one| point(&one.attributes, SeenValue::Gauge(number(one)))).collect()
        }
        Some(Data::Histogram(histogram)) => {
            let value = |bounds: &[f64], counts: &[u64], count, sum: Option<f64>| {
                SeenValue::Histogram(bounds.to_vec(), counts.to_vec(), count, sum.unwrap_or(f64::NAN))
            };
            let points = histogram.data_points.iter();
            let one = |one: &HistogramDataPoint| value(&one.explicit_bounds, &one.bucket_counts, one.count, one.sum);
            points.map(|told| point(&told.attributes, one(told))).collect()
        }
        _ => Vec::new(),
    }
}

fn seen_span(span: &Span, resource: &BTreeMap<String, String>, authorization: Option<&str>) -> SeenSpan {
    const SERVER: i32 = 2;
    const ERROR: i32 = 2;
    SeenSpan {
        name: span.name.clone(),
        trace: hex(&span.trace_id),
        id: hex(&span.span_id),
        parent: hex(&span.parent_span_id),
        is_server: span.kind == SERVER,
        failed: span.status.as_ref().is_some_and(|status| status.code == ERROR),
        attributes: attributes(&span.attributes),
        resource: resource.clone(),
        authorization: authorization.map(str::to_owned),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn attributes(pairs: &[KeyValue]) -> BTreeMap<String, String> {
    let text = |value: Option<&AnyValue>| match value.and_then(|value| value.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::IntValue(number)) => number.to_string(),
        Some(Value::BoolValue(is)) => is.to_string(),
        other => format!("{other:?}"),
    };
    pairs.iter().map(|pair| (pair.key.clone(), text(pair.value.as_ref()))).collect()
}
