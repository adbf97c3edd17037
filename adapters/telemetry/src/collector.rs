//! A collector: where it is, how it is spoken to, and who speaks.

use std::fmt;
use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use thiserror::Error;

/// The largest answer of a collector that is read.
const MAX_ANSWER: usize = 1 << 20;
/// What this program is called where several are watched.
pub(crate) const SERVICE: &str = "gadwall";

/// How a collector is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// Protocol buffers over HTTP.
    Http,
    /// gRPC.
    Grpc,
}

/// A collector, and who sends to it.
#[derive(Clone)]
pub struct CollectorSettings {
    /// Its address. Over HTTP spans go to `/v1/traces` under it, and figures to itself.
    pub endpoint: String,
    /// How it is spoken to.
    pub protocol: Protocol,
    /// What is sent along, as a collector with a lock on its door wants it.
    pub headers: Vec<(String, String)>,
    /// How long sending may take; of figures, gathering them as well.
    pub timeout: Duration,
    /// This server's version.
    pub version: &'static str,
    /// This server's name among others of its kind.
    pub instance: String,
}

impl fmt::Debug for CollectorSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Headers are secrets.
        f.debug_struct("CollectorSettings")
            .field("endpoint", &self.endpoint)
            .field("protocol", &self.protocol)
            .finish_non_exhaustive()
    }
}

/// Why nothing can be sent to a collector.
#[derive(Debug, Error)]
pub enum CollectorError {
    /// A header that is none.
    #[error("{0:?} and its value are not a header")]
    Header(String),
    /// The endpoint can't be spoken to.
    #[error("the endpoint can't be used")]
    Endpoint(#[source] Box<dyn std::error::Error + Send + Sync>),
}

pub(crate) fn endpoint(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> CollectorError {
    CollectorError::Endpoint(error.into())
}

impl CollectorSettings {
    /// Headers as both protocols want them. One that is none is told by its name: values are secrets.
    pub(crate) fn headers(&self) -> Result<HeaderMap, CollectorError> {
        let mut headers = HeaderMap::new();
        for (name, value) in &self.headers {
            let bad = || CollectorError::Header(name.clone());
            let value = HeaderValue::from_str(value).map_err(|_| bad())?;
            headers.insert(HeaderName::from_bytes(name.as_bytes()).map_err(|_| bad())?, value);
        }
        Ok(headers)
    }

    /// Speaks HTTP to it.
    pub(crate) fn client(&self) -> reqwest::ClientBuilder {
        reqwest::Client::builder().timeout(self.timeout).no_proxy().user_agent(SERVICE)
    }

    /// Whether it is spoken to by TLS.
    pub(crate) fn is_encrypted(&self) -> bool {
        self.endpoint.starts_with("https://")
    }
}

/// Has what TLS needs of the process.
pub(crate) fn prepare_tls() {
    // Fails where the process has one already, which serves as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// The body of an answer; none of one that is too large.
pub(crate) async fn body(answer: &mut reqwest::Response) -> Result<Option<Vec<u8>>, reqwest::Error> {
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await? {
        if body.len() + chunk.len() > MAX_ANSWER {
            return Ok(None);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Some(body))
}
