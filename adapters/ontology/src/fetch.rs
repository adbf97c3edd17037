//! One question to the server: within its time, from nobody else, and no larger than it may be.

use std::time::Duration;

use gadwall_domain::ontology::SchemaId;
use gadwall_domain::ports::ontology::{Fetched, MAX_DOCUMENT, RegistryError};
use rand::Rng as _;
use reqwest::header::{ACCEPT, CONTENT_LENGTH, ETAG, HeaderMap, IF_NONE_MATCH};
use reqwest::redirect::{Attempt, Policy};
use reqwest::{Client, Response, StatusCode};
use serde_json::Value;
use thiserror::Error;

use crate::OntologyConfig;

/// Longest time until a connection stands.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// Times that a question is asked.
const ATTEMPTS: u32 = 3;
/// The wait before the second time, give or take a half; twice that before the third.
const PAUSE: Duration = Duration::from_millis(100);
/// Most places that the server may send us to, one after the other.
const MAX_REDIRECTS: usize = 3;
/// Longest tag that is kept.
const MAX_TAG: usize = 256;

/// What a document may be called.
const DOCUMENTS: &str = "application/json, application/schema+json, application/odcs+json;q=0.9, */*;q=0.1";

/// Why there is no answer. Names nothing but what was configured.
#[derive(Debug, Error)]
enum Fault {
    #[error("it can't be reached")]
    Unreachable(#[source] reqwest::Error),
    #[error("it answered with status {0}")]
    Status(u16),
    #[error("it did not answer in time")]
    TooSlow,
}

impl Fault {
    /// Whether asking again may help.
    fn may_pass(&self) -> bool {
        match self {
            Self::Unreachable(error) => !error.is_redirect() && !error.is_builder(),
            Self::Status(status) => matches!(status, 429 | 500 | 502 | 503 | 504),
            Self::TooSlow => false,
        }
    }
}

impl From<Fault> for RegistryError {
    fn from(fault: Fault) -> Self {
        Self::Unavailable(Box::new(fault))
    }
}

#[derive(Debug)]
pub(crate) struct Fetcher {
    client: Client,
    url: String,
    timeout: Duration,
}

impl Fetcher {
    pub(crate) fn new(config: &OntologyConfig) -> reqwest::Result<Self> {
        // Fails where the process has one already, which serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder()
            .connect_timeout(CONNECT_TIMEOUT.min(config.timeout))
            .timeout(config.timeout)
            .redirect(Policy::custom(stay))
            .pool_max_idle_per_host(2)
            .no_proxy()
            .user_agent("gadwall")
            .build()?;
        Ok(Self { client, url: config.url.trim_end_matches('/').to_owned(), timeout: config.timeout })
    }

    /// The document of a schema, unless it is still the one of that tag.
    #[tracing::instrument(name = "ontology.fetch", skip_all, fields(schema.id = %id))]
    pub(crate) async fn document(&self, id: &SchemaId, known: Option<&str>) -> Result<Fetched, RegistryError> {
        let url = format!("{}/schemas/{id}", self.url);
        self.in_time(async {
            for attempt in 1.. {
                match self.ask(&url, known).await {
                    Err(RegistryError::Unavailable(fault)) if attempt < ATTEMPTS && passes(&*fault) => {
                        tracing::debug!(schema = %id, attempt, error = %fault, "the ontology server is asked again");
                        tokio::time::sleep(pause(attempt)).await;
                    }
                    answer => return answer,
                }
            }
            Err(Fault::TooSlow.into())
        })
        .await
    }

    /// Whether the server says that it is well: 200, and nothing else.
    pub(crate) async fn health(&self) -> Result<(), RegistryError> {
        self.in_time(async {
            match self.get(&format!("{}/health", self.url), None).await?.status() {
                StatusCode::OK => Ok(()),
                other => Err(Fault::Status(other.as_u16()).into()),
            }
        })
        .await
    }

    async fn in_time<T>(&self, work: impl Future<Output = Result<T, RegistryError>>) -> Result<T, RegistryError> {
        tokio::time::timeout(self.timeout, work).await.unwrap_or_else(|_| Err(Fault::TooSlow.into()))
    }

    async fn get(&self, url: &str, known: Option<&str>) -> Result<Response, RegistryError> {
        let request = self.client.get(url).header(ACCEPT, DOCUMENTS);
        let request = match known {
            Some(tag) => request.header(IF_NONE_MATCH, tag),
            None => request,
        };
        let request = match gadwall_telemetry::traceparent(&tracing::Span::current()) {
            Some(place) => request.header("traceparent", place.to_string()),
            None => request,
        };
        Ok(request.send().await.map_err(unreachable)?)
    }

    async fn ask(&self, url: &str, known: Option<&str>) -> Result<Fetched, RegistryError> {
        let response = self.get(url, known).await?;
        match response.status() {
            StatusCode::NOT_MODIFIED if known.is_some() => Ok(Fetched::Unchanged),
            StatusCode::NOT_FOUND | StatusCode::GONE => Err(RegistryError::NotFound),
            status if status.is_success() => {
                let tag = tag(response.headers());
                let body = read(response).await?;
                let body: Value = serde_json::from_slice(&body)
                    .map_err(|error| RegistryError::Unusable(format!("it is not JSON: {error}")))?;
                Ok(Fetched::Document { body, tag })
            }
            status => Err(Fault::Status(status.as_u16()).into()),
        }
    }
}

/// Follows the server about itself, a few times; nobody is followed elsewhere.
fn stay(attempt: Attempt<'_>) -> reqwest::redirect::Action {
    let place = |url: &reqwest::Url| (url.scheme().to_owned(), url.host_str().map(str::to_owned), url.port());
    let began = attempt.previous().first().map(place);
    if attempt.previous().len() > MAX_REDIRECTS {
        attempt.error("it sends from place to place")
    } else if began == Some(place(attempt.url())) {
        attempt.follow()
    } else {
        attempt.stop()
    }
}

fn unreachable(error: reqwest::Error) -> Fault {
    if error.is_timeout() { Fault::TooSlow } else { Fault::Unreachable(error.without_url()) }
}

fn passes(fault: &(dyn std::error::Error + Send + Sync + 'static)) -> bool {
    fault.downcast_ref::<Fault>().is_some_and(Fault::may_pass)
}

/// Those who failed together don't come back together.
fn pause(attempt: u32) -> Duration {
    let whole = PAUSE * 2_u32.pow(attempt - 1);
    whole.mul_f64(rand::rng().random_range(0.5..1.5))
}

fn tag(headers: &HeaderMap) -> Option<String> {
    let tag = headers.get(ETAG)?.to_str().ok()?;
    (tag.len() <= MAX_TAG && !tag.is_empty()).then(|| tag.to_owned())
}

/// The body, as long as it isn't too large: it is read no further than that.
async fn read(mut response: Response) -> Result<Vec<u8>, RegistryError> {
    let too_large = || RegistryError::Unusable(format!("it is larger than {MAX_DOCUMENT} bytes"));
    let said = response.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if said.is_some_and(|length| length > MAX_DOCUMENT) {
        return Err(too_large());
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
        if body.len() + chunk.len() > MAX_DOCUMENT {
            return Err(too_large());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}
