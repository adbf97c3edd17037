//! Sends spans to a collector by OTLP, over HTTP or gRPC.

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_http::{HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::tonic_types::metadata::MetadataMap;
use opentelemetry_otlp::tonic_types::transport::ClientTlsConfig;
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _, WithHttpConfig as _, WithTonicConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracerProvider};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use thiserror::Error;
use tokio::runtime::Handle;
use tracing::Subscriber;
use tracing_subscriber::Layer;
use tracing_subscriber::registry::LookupSpan;

/// Spans that wait to be sent; more of them are dropped, and counted by the SDK.
const QUEUE: usize = 4_096;
/// Spans in one request.
const BATCH: usize = 512;
/// The longest time that a span waits for others.
const DELAY: Duration = Duration::from_secs(2);
/// The largest answer of a collector that is read.
pub(crate) const MAX_ANSWER: usize = 1 << 20;
/// What this program is called where several are watched.
pub(crate) const SERVICE: &str = "gadwall";

/// How a collector is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// Protocol buffers over HTTP, at `/v1/traces` under the endpoint.
    Http,
    /// gRPC.
    Grpc,
}

/// Where spans go.
#[derive(Clone)]
pub struct TraceSettings {
    /// The collector's address.
    pub endpoint: String,
    /// How it is spoken to.
    pub protocol: Protocol,
    /// What is sent along, as a collector with a lock on its door wants it.
    pub headers: Vec<(String, String)>,
    /// Of 100 traces that begin here, how many are kept. One that came with a request is kept if it is kept there.
    pub sampled_percent: u32,
    /// How long sending may take.
    pub timeout: Duration,
    /// This server's version.
    pub version: &'static str,
    /// This server's name among others of its kind.
    pub instance: String,
}

impl fmt::Debug for TraceSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Headers are secrets.
        f.debug_struct("TraceSettings")
            .field("endpoint", &self.endpoint)
            .field("protocol", &self.protocol)
            .finish_non_exhaustive()
    }
}

/// Why spans can't be sent.
#[derive(Debug, Error)]
pub enum TraceError {
    /// A header that is none.
    #[error("{0:?} and its value are not a header")]
    Header(String),
    /// The endpoint can't be spoken to.
    #[error("the endpoint can't be used")]
    Endpoint(#[source] Box<dyn std::error::Error + Send + Sync>),
}

pub(crate) fn endpoint(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> TraceError {
    TraceError::Endpoint(error.into())
}

/// Traces that are made. Ended with [`Traces::finish`].
#[derive(Debug, Clone)]
pub struct Traces {
    provider: SdkTracerProvider,
    timeout: Duration,
}

impl Traces {
    /// Begins to send spans, in the background: a collector that is away delays nobody. Sockets live on this runtime.
    ///
    /// # Errors
    /// When the settings can't be used; whether the collector answers is not tried.
    pub fn start(settings: &TraceSettings, runtime: &Handle) -> Result<Self, TraceError> {
        // Fails where the process has one already, which serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let headers = headers(&settings.headers)?;
        let exporter = match settings.protocol {
            Protocol::Http => over_http(settings, runtime)?,
            Protocol::Grpc => {
                // The channel's tasks are spawned where it is made.
                let _inside = runtime.enter();
                over_grpc(settings, headers)?
            }
        };
        let batches = BatchConfigBuilder::default()
            .with_max_queue_size(QUEUE)
            .with_max_export_batch_size(BATCH)
            .with_scheduled_delay(DELAY)
            .build();
        let resource = Resource::builder()
            .with_service_name(SERVICE)
            .with_attribute(KeyValue::new("service.version", settings.version))
            .with_attribute(KeyValue::new("service.instance.id", settings.instance.clone()))
            .build();
        let kept = Sampler::TraceIdRatioBased(f64::from(settings.sampled_percent.min(100)) / 100.0);
        let provider = SdkTracerProvider::builder()
            .with_span_processor(BatchSpanProcessor::builder(exporter).with_batch_config(batches).build())
            .with_sampler(Sampler::ParentBased(Box::new(kept)))
            .with_resource(resource)
            .build();
        Ok(Self { provider, timeout: settings.timeout })
    }

    /// What makes spans of `tracing` spans of traces.
    pub fn layer<S>(&self) -> impl Layer<S> + Send + Sync + use<S>
    where
        S: Subscriber + for<'span> LookupSpan<'span> + Send + Sync,
    {
        let tracer = self.provider.tracer("gadwall");
        tracing_opentelemetry::layer()
            .with_tracer(tracer)
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_tracked_inactivity(false)
    }

    /// Sends what waits, within the time that sending may take. Blocks: to be called off the runtime's threads.
    pub fn finish(&self) {
        if let Err(error) = self.provider.shutdown_with_timeout(self.timeout) {
            tracing::warn!(error = %error, "the last spans were not sent");
        }
    }
}

fn over_http(settings: &TraceSettings, runtime: &Handle) -> Result<SpanExporter, TraceError> {
    let client = reqwest::Client::builder().timeout(settings.timeout).no_proxy().user_agent("gadwall").build();
    let client = OnRuntime { client: client.map_err(endpoint)?, runtime: runtime.clone() };
    let url = format!("{}/v1/traces", settings.endpoint.trim_end_matches('/'));
    SpanExporter::builder()
        .with_http()
        .with_http_client(client)
        .with_headers(settings.headers.iter().cloned().collect::<HashMap<_, _>>())
        .with_endpoint(url)
        .with_timeout(settings.timeout)
        .build()
        .map_err(endpoint)
}

/// Headers as both protocols want them. One that is none is told by its name: values are secrets.
pub(crate) fn headers(pairs: &[(String, String)]) -> Result<HeaderMap, TraceError> {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        let bad = || TraceError::Header(name.clone());
        let value = HeaderValue::from_str(value).map_err(|_| bad())?;
        headers.insert(HeaderName::from_bytes(name.as_bytes()).map_err(|_| bad())?, value);
    }
    Ok(headers)
}

fn over_grpc(settings: &TraceSettings, headers: HeaderMap) -> Result<SpanExporter, TraceError> {
    let exporter = SpanExporter::builder()
        .with_tonic()
        .with_metadata(MetadataMap::from_headers(headers))
        .with_endpoint(settings.endpoint.clone())
        .with_timeout(settings.timeout);
    let exporter = if settings.endpoint.starts_with("https://") {
        exporter.with_tls_config(ClientTlsConfig::new().with_native_roots())
    } else {
        exporter
    };
    exporter.build().map_err(endpoint)
}

/// Requests from the exporter's own thread, done where sockets live.
#[derive(Debug)]
struct OnRuntime {
    client: reqwest::Client,
    runtime: Handle,
}

#[async_trait]
impl HttpClient for OnRuntime {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let request = request.try_into()?;
        let client = self.client.clone();
        let asked = self.runtime.spawn(async move {
            let mut answer = client.execute(request).await?;
            let (status, mut body) = (answer.status(), Vec::new());
            let headers = answer.headers().clone();
            while let Some(chunk) = answer.chunk().await? {
                if body.len() + chunk.len() > MAX_ANSWER {
                    return Err(HttpError::from("the collector's answer is too large"));
                }
                body.extend_from_slice(&chunk);
            }
            let mut told = Response::new(Bytes::from(body));
            (*told.status_mut(), *told.headers_mut()) = (status, headers);
            Ok(told)
        });
        asked.await?
    }
}
