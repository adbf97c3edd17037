//! Sends figures to a collector by OTLP, over HTTP or gRPC, one request at a time.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_client::MetricsServiceClient;
use opentelemetry_proto::tonic::collector::metrics::v1::{ExportMetricsServiceRequest, ExportMetricsServiceResponse};
use prost::Message as _;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use thiserror::Error;
use tonic::metadata::MetadataMap;
use tonic::transport::{Channel, ClientTlsConfig, Endpoint};

use crate::collector::{CollectorError, CollectorSettings, Protocol, body, endpoint, prepare_tls};
use crate::families::{Family, Times, message, resource};

/// Why figures weren't sent.
#[derive(Debug, Error)]
enum SendError {
    /// It took too long.
    #[error("it took longer than {} s", .0.as_secs_f64())]
    Late(Duration),
    /// The collector was not reached, or went away.
    #[error(transparent)]
    Http(#[from] reqwest::Error),
    /// It answers with something else than 200.
    #[error("the collector answered {0}")]
    Status(reqwest::StatusCode),
    /// What it answers is no answer.
    #[error("the collector's answer can't be read")]
    Answer,
    /// It refused, by gRPC.
    #[error("the collector answered {}: {}", .0.code(), .0.message())]
    Grpc(Box<tonic::Status>),
    /// It left some out.
    #[error("the collector left out {0} points: {1}")]
    Partly(i64, String),
}

/// How often figures were sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ExportTally {
    /// The collector took them.
    pub successful: u64,
    /// It didn't, or not all of them.
    pub failed: u64,
}

/// Counts how often figures were sent.
#[derive(Debug, Default)]
pub struct ExportCounts {
    successful: AtomicU64,
    failed: AtomicU64,
}

impl ExportCounts {
    /// How often it was so far.
    pub fn tally(&self) -> ExportTally {
        ExportTally { successful: self.successful.load(Ordering::Relaxed), failed: self.failed.load(Ordering::Relaxed) }
    }
}

/// Sends figures. What fails is logged once, until it goes well again.
#[derive(Debug)]
pub struct MetricExporter {
    way: Way,
    timeout: Duration,
    version: &'static str,
    instance: String,
    started: SystemTime,
    /// Whether the last time failed.
    fails: bool,
    counts: Arc<ExportCounts>,
}

enum Way {
    Http(reqwest::Client, reqwest::Url),
    Grpc(MetricsServiceClient<Channel>, MetadataMap),
}

impl fmt::Debug for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Http(..) => "Http",
            Self::Grpc(..) => "Grpc",
        })
    }
}

impl MetricExporter {
    /// Prepares sending. To be called on the runtime; whether the collector answers is not tried.
    ///
    /// # Errors
    /// When the settings can't be used.
    pub fn new(settings: CollectorSettings) -> Result<Self, CollectorError> {
        prepare_tls();
        let headers = settings.headers()?;
        let way = match settings.protocol {
            Protocol::Http => over_http(&settings, headers)?,
            Protocol::Grpc => over_grpc(&settings, headers)?,
        };
        let CollectorSettings { timeout, version, instance, .. } = settings;
        let (started, counts) = (SystemTime::now(), Arc::default());
        Ok(Self { way, timeout, version, instance, started, fails: false, counts })
    }

    /// What counts how often figures were sent.
    pub fn counts(&self) -> Arc<ExportCounts> {
        Arc::clone(&self.counts)
    }

    /// Gathers figures and sends them, within the time that this may take.
    pub async fn export(&mut self, gathered: impl Future<Output = Vec<Family>>) {
        let sent = tokio::time::timeout(self.timeout, async { self.send(gathered.await).await }).await;
        match sent.unwrap_or(Err(SendError::Late(self.timeout))) {
            Ok(()) => {
                self.counts.successful.fetch_add(1, Ordering::Relaxed);
                if self.fails {
                    tracing::info!("the collector takes metrics again");
                }
                self.fails = false;
            }
            Err(error) => {
                self.counts.failed.fetch_add(1, Ordering::Relaxed);
                if !self.fails {
                    let error: &dyn std::error::Error = &error;
                    tracing::warn!(error, "metrics were not sent; it is told when they are again");
                }
                self.fails = true;
            }
        }
    }

    async fn send(&self, families: Vec<Family>) -> Result<(), SendError> {
        let resource = resource(self.version, &self.instance);
        let resource_metrics = vec![message(families, resource, Times::since(self.started))];
        let request = ExportMetricsServiceRequest { resource_metrics };
        let answer = match &self.way {
            Way::Http(client, url) => {
                let body = request.encode_to_vec();
                answer(client.post(url.clone()).body(body).send().await?).await?
            }
            Way::Grpc(client, metadata) => {
                let mut asked = tonic::Request::new(request);
                *asked.metadata_mut() = metadata.clone();
                // A client is one more handle of the same channel.
                let answer = client.clone().export(asked).await;
                answer.map_err(|status| SendError::Grpc(Box::new(status)))?.into_inner()
            }
        };
        match answer.partial_success {
            Some(partly) if partly.rejected_data_points > 0 => {
                Err(SendError::Partly(partly.rejected_data_points, partly.error_message))
            }
            _ => Ok(()),
        }
    }
}

async fn answer(mut answer: reqwest::Response) -> Result<ExportMetricsServiceResponse, SendError> {
    if !answer.status().is_success() {
        return Err(SendError::Status(answer.status()));
    }
    let body = body(&mut answer).await?.ok_or(SendError::Answer)?;
    ExportMetricsServiceResponse::decode(&body[..]).map_err(|_| SendError::Answer)
}

fn over_http(settings: &CollectorSettings, mut headers: HeaderMap) -> Result<Way, CollectorError> {
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
    let client = settings.client().redirect(reqwest::redirect::Policy::none()).default_headers(headers);
    let url = reqwest::Url::parse(&settings.endpoint).map_err(endpoint)?;
    Ok(Way::Http(client.build().map_err(endpoint)?, url))
}

fn over_grpc(settings: &CollectorSettings, headers: HeaderMap) -> Result<Way, CollectorError> {
    let mut there = Endpoint::from_shared(settings.endpoint.clone()).map_err(endpoint)?;
    there = there.connect_timeout(settings.timeout).timeout(settings.timeout);
    if settings.is_encrypted() {
        there = there.tls_config(ClientTlsConfig::new().with_native_roots()).map_err(endpoint)?;
    }
    Ok(Way::Grpc(MetricsServiceClient::new(there.connect_lazy()), MetadataMap::from_headers(headers)))
}
