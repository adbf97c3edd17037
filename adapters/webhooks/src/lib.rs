//! Tells others over HTTP, without following anybody: webhooks, signed and only outside, and another server of lineage.
#![deny(missing_docs)]

mod address;
mod openlineage;
mod signature;

use std::error::Error as _;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use gadwall_domain::ports::webhooks::{Delivery, DeliveryError, WebhookSender};
use gadwall_domain::webhook::{WebhookSecret, WebhookUrl, WebhookUrlError};
use reqwest::redirect::Policy;
use reqwest::{Client, Url};
use thiserror::Error;

use address::{Outside, Resolver, is_outside};
pub use openlineage::{OpenLineageSender, TargetError};

/// Longest time until a connection stands.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest time until a delivery is answered.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Longest time to look for a host when a webhook is made.
const LOOK_UP: Duration = Duration::from_secs(5);

/// No client could be made.
#[derive(Debug, Error)]
#[error("no HTTP client can be made for webhooks")]
pub struct SenderError(#[source] reqwest::Error);

/// Tells webhooks.
pub struct HttpSender {
    client: Client,
    allow_private: bool,
}

impl fmt::Debug for HttpSender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HttpSender")
    }
}

impl HttpSender {
    /// A sender that tells private and local addresses as well, or not.
    pub fn new(allow_private: bool) -> Result<Self, SenderError> {
        // Fails where the process has one already, which serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(TIMEOUT)
            // Who sends elsewhere might send inside.
            .redirect(Policy::none())
            .no_proxy()
            // A host is looked for once, and what was found and checked is what is connected to.
            .dns_resolver(Arc::new(Resolver { allow_private }))
            .user_agent("gadwall")
            .build()
            .map_err(SenderError)?;
        Ok(Self { client, allow_private })
    }

    /// The address, unless its host is one that may not be told. Names are looked for when they are connected to.
    fn url(&self, url: &WebhookUrl) -> Result<Url, WebhookUrlError> {
        let url = Url::parse(url.as_str()).map_err(|_| WebhookUrlError::Malformed)?;
        match literal(&url) {
            Some(address) if !self.allow_private && !is_outside(address) => Err(WebhookUrlError::Private),
            _ => Ok(url),
        }
    }
}

/// A host that is an address.
fn literal(url: &Url) -> Option<IpAddr> {
    url.host_str()?.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

#[async_trait]
impl WebhookSender for HttpSender {
    async fn check(&self, url: &WebhookUrl) -> Result<(), WebhookUrlError> {
        let url = self.url(url)?;
        let host = url.host_str().ok_or(WebhookUrlError::Malformed)?;
        if literal(&url).is_some() {
            return Ok(());
        }
        let found = tokio::time::timeout(LOOK_UP, tokio::net::lookup_host((host, 0))).await;
        let found: Vec<IpAddr> = match found {
            Ok(Ok(found)) => found.map(|address| address.ip()).collect(),
            Ok(Err(_)) | Err(_) => return Err(WebhookUrlError::UnknownHost),
        };
        let may = self.allow_private || found.iter().any(|address| is_outside(*address));
        if may { Ok(()) } else { Err(WebhookUrlError::Private) }
    }

    async fn send(&self, url: &WebhookUrl, secret: &WebhookSecret, delivery: &Delivery) -> Result<(), DeliveryError> {
        let url = self.url(url)?;
        let timestamp = delivery.at.timestamp();
        let sent = self
            .client
            .post(url)
            .header("Content-Type", "application/cloudevents+json; charset=utf-8")
            .header("webhook-id", &delivery.id)
            .header("webhook-timestamp", timestamp)
            .header("webhook-signature", signature::sign(secret, &delivery.id, timestamp, &delivery.body))
            .body(delivery.body.clone())
            .send()
            .await;
        match sent {
            Ok(answer) if answer.status().is_success() => Ok(()),
            Ok(answer) => Err(DeliveryError::Status(answer.status().as_u16())),
            Err(error) => Err(failure(&error)),
        }
    }
}

fn failure(error: &reqwest::Error) -> DeliveryError {
    if error.is_timeout() {
        return DeliveryError::Timeout;
    }
    let mut cause = error.source();
    while let Some(error) = cause {
        if error.is::<Outside>() {
            return DeliveryError::Refused(WebhookUrlError::Private);
        }
        cause = error.source();
    }
    DeliveryError::Unreachable
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_inside_is_refused_however_it_is_written() {
        let sender = HttpSender::new(false).unwrap();
        for url in [
            "http://127.0.0.1/",
            "http://127.1/",
            "http://2130706433/",
            "http://0x7f000001/",
            "http://0177.0.0.1/",
            "http://[::1]/",
            "http://[::ffff:10.0.0.1]/",
            "http://169.254.169.254/latest/meta-data",
            "http://10.1.2.3:8000/",
            "http://localhost:1/",
        ] {
            let url = WebhookUrl::parse(url).unwrap();
            assert_eq!(sender.check(&url).await, Err(WebhookUrlError::Private), "{url:?}");
            let delivery = Delivery { id: "1".to_owned(), at: chrono::DateTime::UNIX_EPOCH, body: "{}".to_owned() };
            let sent = sender.send(&url, &WebhookSecret([0; 32]), &delivery).await;
            assert_eq!(sent, Err(DeliveryError::Refused(WebhookUrlError::Private)), "{url:?}");
        }
        assert_eq!(
            sender.check(&WebhookUrl::parse("https://192.0.0.0.1/").unwrap()).await,
            Err(WebhookUrlError::Malformed)
        );
        let open = HttpSender::new(true).unwrap();
        assert_eq!(open.check(&WebhookUrl::parse("http://127.0.0.1:1/").unwrap()).await, Ok(()));
    }
}
