//! Hands events of OpenLineage on to another server, as its HTTP transport does.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use gadwall_domain::ports::lineage::LineageSender;
use gadwall_domain::ports::webhooks::DeliveryError;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Client, Url};
use serde_json::Value;
use thiserror::Error;

use crate::{CONNECT_TIMEOUT, SenderError, failure};

/// The server of lineage can't be told anything.
#[derive(Debug, Error)]
pub enum TargetError {
    /// Its address isn't one.
    #[error("the address of the other server of lineage is none of HTTP")]
    Url,
    /// Its key can't be sent.
    #[error("the key of the other server of lineage has letters that no header takes")]
    Key,
    /// No client could be made.
    #[error(transparent)]
    Client(#[from] SenderError),
}

/// Tells another server of lineage. Where it is is the operator's choice: it may be inside.
pub struct OpenLineageSender {
    client: Client,
    url: Url,
}

impl fmt::Debug for OpenLineageSender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OpenLineageSender")
    }
}

impl OpenLineageSender {
    /// Tells this address, with this key as a bearer's, and waits so long for each answer.
    ///
    /// # Errors
    /// What [`TargetError`] names.
    pub fn new(url: &str, key: Option<&str>, timeout: Duration) -> Result<Self, TargetError> {
        let url =
            Url::parse(url).ok().filter(|url| matches!(url.scheme(), "http" | "https")).ok_or(TargetError::Url)?;
        let mut headers = HeaderMap::new();
        if let Some(key) = key {
            let mut value = HeaderValue::from_str(&format!("Bearer {key}")).map_err(|_| TargetError::Key)?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        // Fails where the process has one already, which serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder()
            .connect_timeout(CONNECT_TIMEOUT.min(timeout))
            .timeout(timeout)
            // The key is for that server alone.
            .redirect(Policy::none())
            .no_proxy()
            .default_headers(headers)
            .user_agent("gadwall")
            .build()
            .map_err(SenderError)?;
        Ok(Self { client, url })
    }
}

#[async_trait]
impl LineageSender for OpenLineageSender {
    async fn send(&self, event: &Value) -> Result<(), DeliveryError> {
        let request = self.client.post(self.url.clone()).header("Content-Type", "application/json");
        match request.body(event.to_string()).send().await {
            Ok(answer) if answer.status().is_success() => Ok(()),
            Ok(answer) => Err(DeliveryError::Status(answer.status().as_u16())),
            Err(error) => Err(failure(&error)),
        }
    }
}
