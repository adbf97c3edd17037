//! Webhooks: addresses that are told of a project's events.

use std::fmt;

use chrono::{DateTime, TimeDelta, Utc};
use thiserror::Error;

use crate::error::{Classify, ErrorKind};
use crate::ids::WebhookId;
use crate::names::ProjectId;

/// Longest address.
const MAX_URL: usize = 2_000;
/// Deliveries of one event that are tried.
pub const MAX_ATTEMPTS: u32 = 10;
/// The first pause after a failure; each next one is twice as long.
const FIRST_PAUSE: TimeDelta = TimeDelta::seconds(2);
/// The longest pause.
const LONGEST_PAUSE: TimeDelta = TimeDelta::hours(1);

/// An address that can't be told.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum WebhookUrlError {
    /// It isn't one.
    #[error(
        "a webhook's url begins with https:// or http://, names a host, has no user, no fragment and at most {MAX_URL} characters"
    )]
    Malformed,
    /// It is inside.
    #[error(
        "a webhook's url must not lead to a private, local or reserved address; see events.webhook_private_addresses"
    )]
    Private,
    /// Its host isn't known.
    #[error("the host of the webhook's url is not known")]
    UnknownHost,
}

impl Classify for WebhookUrlError {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Unprocessable
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Malformed | Self::UnknownHost => "invalid_webhook_url",
            Self::Private => "webhook_url_private",
        }
    }
}

/// The address of a webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookUrl(String);

impl WebhookUrl {
    /// Parses an address.
    pub fn parse(text: &str) -> Result<Self, WebhookUrlError> {
        let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
        let host = rest.and_then(|rest| rest.split(['/', '?']).next()).unwrap_or_default();
        let fits = !host.is_empty()
            && !host.starts_with(':')
            && !host.contains('@')
            && text.len() <= MAX_URL
            && text.bytes().all(|b| b.is_ascii_graphic() && b != b'#' && b != b'\\');
        if fits { Ok(Self(text.to_owned())) } else { Err(WebhookUrlError::Malformed) }
    }

    /// The address.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What deliveries are signed with.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookSecret(pub [u8; 32]);

impl fmt::Debug for WebhookSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WebhookSecret(…)")
    }
}

/// An address that is told of a project's events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhook {
    /// Its id.
    pub id: WebhookId,
    /// The project.
    pub project: ProjectId,
    /// Where it is.
    pub url: WebhookUrl,
    /// The types it wants, as they were given; none are all.
    pub types: Option<String>,
    /// What deliveries are signed with.
    pub secret: WebhookSecret,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// How far it is.
    pub progress: WebhookProgress,
}

/// How far a webhook is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookProgress {
    /// The last event that was told, passed over or given up.
    pub position: u64,
    /// How often the next one was tried.
    pub attempts: u32,
    /// When it is tried next.
    pub due_at: DateTime<Utc>,
    /// Why it failed last; none since a success.
    pub error: Option<String>,
}

impl WebhookProgress {
    /// An event was told, or isn't wanted.
    pub fn done(&mut self, position: u64) {
        self.position = position;
        self.attempts = 0;
    }

    /// An event could not be told. Answers whether it is given up.
    pub fn failed(&mut self, now: DateTime<Utc>, error: &str) -> bool {
        self.attempts += 1;
        self.error = Some(error.to_owned());
        let pause = FIRST_PAUSE * 2_i32.pow(self.attempts.saturating_sub(1).min(20));
        self.due_at = now + pause.min(LONGEST_PAUSE);
        self.attempts >= MAX_ATTEMPTS
    }
}

/// An event that a webhook could not be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// The webhook.
    pub webhook: WebhookId,
    /// The event's position in the log.
    pub position: u64,
    /// Its type.
    pub event_type: String,
    /// What it happened to.
    pub subject: String,
    /// How often it was tried.
    pub attempts: u32,
    /// Why it failed last.
    pub error: String,
    /// When it was given up.
    pub failed_at: DateTime<Utc>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_scheme_and_a_host_and_no_user() {
        for good in ["https://example.org", "http://example.org:8080/a?b=c", "https://[2001:db8::1]/x"] {
            assert!(WebhookUrl::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "ftp://x",
            "https://",
            "https:///x",
            "https://u:p@x",
            "https://x/#a",
            "https://x y",
            "https://x\\y",
            "//x",
        ] {
            assert!(WebhookUrl::parse(bad).is_err(), "{bad}");
        }
        assert!(WebhookUrl::parse(&format!("https://x/{}", "y".repeat(MAX_URL))).is_err());
    }

    #[test]
    fn pauses_grow_until_an_event_is_given_up() {
        let now = DateTime::UNIX_EPOCH;
        let mut progress = WebhookProgress { position: 3, attempts: 0, due_at: now, error: None };
        let mut pauses = Vec::new();
        for attempt in 1..=MAX_ATTEMPTS {
            assert_eq!(progress.failed(now, "503"), attempt == MAX_ATTEMPTS);
            pauses.push((progress.due_at - now).num_seconds());
        }
        assert_eq!(pauses, [2, 4, 8, 16, 32, 64, 128, 256, 512, 1024]);
        progress.attempts = 40;
        progress.failed(now, "503");
        assert_eq!(progress.due_at - now, LONGEST_PAUSE);
        progress.done(4);
        assert_eq!((progress.position, progress.attempts), (4, 0));
    }
}
