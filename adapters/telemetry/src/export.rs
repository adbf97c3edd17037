//! Sends spans to a collector by OTLP, over HTTP or gRPC.

use std::collections::HashMap;
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
use opentelemetry_sdk::trace::{BatchConfigBuilder, BatchSpanProcessor, SdkTracerProvider};
use reqwest::header::HeaderMap;
use tokio::runtime::Handle;
use tracing::Subscriber;
use tracing_subscriber::Layer;
use tracing_subscriber::registry::LookupSpan;

use crate::collector::{CollectorError, CollectorSettings, Protocol, SERVICE, body, endpoint, prepare_tls};
use crate::sampling::{InTraces, Sampling};

/// Spans that wait to be sent; more of them are dropped, and counted by the SDK.
const QUEUE: usize = 4_096;
/// Spans in one request.
const BATCH: usize = 512;
/// The longest time that a span waits for others.
const DELAY: Duration = Duration::from_secs(2);

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
    pub fn start(settings: &CollectorSettings, sampling: &Sampling, runtime: &Handle) -> Result<Self, CollectorError> {
        prepare_tls();
        let headers = settings.headers()?;
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
        let provider = SdkTracerProvider::builder()
            .with_span_processor(BatchSpanProcessor::builder(exporter).with_batch_config(batches).build())
            .with_sampler(sampling.sampler())
            .with_resource(resource)
            .build();
        Ok(Self { provider, timeout: settings.timeout })
    }

    /// What makes spans of `tracing` spans of traces: of those that say their kind (`otel.kind`), and of all within them.
    pub fn layer<S>(&self) -> impl Layer<S> + Send + Sync + use<S>
    where
        S: Subscriber + for<'span> LookupSpan<'span> + Send + Sync,
    {
        let tracer = self.provider.tracer(SERVICE);
        tracing_opentelemetry::layer()
            .with_tracer(tracer)
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_tracked_inactivity(false)
            .with_filter(InTraces)
    }

    /// Sends what waits, within the time that sending may take. Blocks: to be called off the runtime's threads.
    pub fn finish(&self) {
        if let Err(error) = self.provider.shutdown_with_timeout(self.timeout) {
            tracing::warn!(error = %error, "the last spans were not sent");
        }
    }
}

fn over_http(settings: &CollectorSettings, runtime: &Handle) -> Result<SpanExporter, CollectorError> {
    let client = OnRuntime { client: settings.client().build().map_err(endpoint)?, runtime: runtime.clone() };
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

fn over_grpc(settings: &CollectorSettings, headers: HeaderMap) -> Result<SpanExporter, CollectorError> {
    let exporter = SpanExporter::builder()
        .with_tonic()
        .with_metadata(MetadataMap::from_headers(headers))
        .with_endpoint(settings.endpoint.clone())
        .with_timeout(settings.timeout);
    let exporter = if settings.is_encrypted() {
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
            let (status, headers) = (answer.status(), answer.headers().clone());
            let body = body(&mut answer).await?;
            let body = body.ok_or_else(|| HttpError::from("the collector's answer is too large"))?;
            let mut told = Response::new(Bytes::from(body));
            (*told.status_mut(), *told.headers_mut()) = (status, headers);
            Ok(told)
        });
        asked.await?
    }
}
