//! Asks an issuer for its keys.

use std::time::Duration;

use reqwest::Client;
use reqwest::redirect::Policy;
use serde::Deserialize;
use thiserror::Error;

use crate::IssuerConfig;
use crate::jwk::KeySet;

/// Longest time until a connection stands.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// Largest document.
const MAX_BYTES: usize = 512 * 1024;

/// Why there are no keys. Names nothing but what was configured.
#[derive(Debug, Error)]
pub(crate) enum FetchError {
    #[error("it can't be reached")]
    Unreachable(#[source] reqwest::Error),
    #[error("it answered with status {0}")]
    Status(u16),
    #[error("its answer is larger than {MAX_BYTES} bytes")]
    TooLarge,
    #[error("its discovery document can't be read")]
    BadDiscovery,
    #[error("its discovery document is another issuer's")]
    OtherIssuer,
    #[error("its discovery document names an address for keys that may not be asked")]
    BadAddress,
    #[error("its keys can't be read, or none of them signs")]
    BadKeys,
}

/// What matters of a discovery document.
#[derive(Deserialize)]
struct Discovery {
    issuer: String,
    jwks_uri: String,
}

/// Where an issuer's keys are.
pub(crate) struct Fetcher {
    client: Client,
    issuer: String,
    jwks_url: Option<String>,
    allow_http: bool,
    timeout: Duration,
}

impl Fetcher {
    pub(crate) fn new(config: &IssuerConfig) -> reqwest::Result<Self> {
        // Fails where the process has one already, which serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        // Keys are where they were said to be: nobody is followed elsewhere, and nothing is taken from the environment.
        let client = Client::builder()
            .connect_timeout(CONNECT_TIMEOUT.min(config.timeout))
            .timeout(config.timeout)
            .redirect(Policy::none())
            .https_only(!config.allow_http)
            .pool_max_idle_per_host(1)
            .no_proxy()
            .user_agent("gadwall")
            .build()?;
        let (issuer, jwks_url) = (config.issuer.clone(), config.jwks_url.clone());
        Ok(Self { client, issuer, jwks_url, allow_http: config.allow_http, timeout: config.timeout })
    }

    /// The issuer, for the log.
    pub(crate) fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Longest time for all that is asked to have the keys: two documents.
    pub(crate) fn longest(&self) -> Duration {
        self.timeout * 2 + Duration::from_secs(1)
    }

    /// The keys as they are now.
    pub(crate) async fn keys(&self) -> Result<KeySet, FetchError> {
        let document = match &self.jwks_url {
            Some(url) => self.get(url).await?,
            None => self.get(&self.discover().await?).await?,
        };
        KeySet::parse(&document).ok_or(FetchError::BadKeys)
    }

    /// Where the issuer says its keys are.
    async fn discover(&self) -> Result<String, FetchError> {
        let url = format!("{}/.well-known/openid-configuration", self.issuer.trim_end_matches('/'));
        let document = self.get(&url).await?;
        let found: Discovery = serde_json::from_slice(&document).map_err(|_| FetchError::BadDiscovery)?;
        if found.issuer != self.issuer {
            return Err(FetchError::OtherIssuer);
        }
        let is_allowed =
            found.jwks_uri.starts_with("https://") || (self.allow_http && found.jwks_uri.starts_with("http://"));
        if is_allowed { Ok(found.jwks_uri) } else { Err(FetchError::BadAddress) }
    }

    async fn get(&self, url: &str) -> Result<Vec<u8>, FetchError> {
        let unreachable = |error: reqwest::Error| FetchError::Unreachable(error.without_url());
        let mut response =
            self.client.get(url).header("Accept", "application/json").send().await.map_err(unreachable)?;
        if response.status() != reqwest::StatusCode::OK {
            return Err(FetchError::Status(response.status().as_u16()));
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
            if body.len() + chunk.len() > MAX_BYTES {
                return Err(FetchError::TooLarge);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }
}
