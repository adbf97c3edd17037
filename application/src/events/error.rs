//! Why events can't be watched.

use gadwall_domain::error::{Classify, ErrorKind};
use serde_json::{Value, json};
use thiserror::Error;

/// The failures of watching events.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum EventsError {
    /// None of the kinds that were asked for exists.
    #[error("there are no events of {0:?}; name types such as table.created, rows.*, or job_status")]
    NoKnownKind(String),
    /// The kind can't be broadcast.
    #[error("{_0:?} can't be broadcast; event_type is one of {known}", known = super::SPOKEN.join(", "))]
    NotSpoken(String),
    /// Nobody of that id watches.
    #[error("there is no client {0}")]
    NoClient(String),
    /// Somebody of that id watches already.
    #[error("a client {0} watches already; choose another client_id, or none")]
    ClientExists(String),
    /// Too many watch.
    #[error("too many streams of events are open; close one, or come back later")]
    TooMany,
    /// There is no such webhook.
    #[error("there is no webhook {0} in this project")]
    NoWebhook(String),
    /// The project has too many webhooks.
    #[error("a project has at most {0} webhooks; remove one first")]
    TooManyWebhooks(usize),
    /// There is no consumer of that name.
    #[error("there is no consumer {0} of this table")]
    NoConsumer(String),
    /// The table has too many consumers.
    #[error("a project has at most {0} consumers; remove one first")]
    TooManyConsumers(usize),
}

impl Classify for EventsError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::NoKnownKind(_) | Self::NotSpoken(_) => ErrorKind::Invalid,
            Self::NoClient(_) | Self::NoConsumer(_) | Self::NoWebhook(_) => ErrorKind::NotFound,
            Self::ClientExists(_) => ErrorKind::Conflict,
            Self::TooManyConsumers(_) | Self::TooManyWebhooks(_) => ErrorKind::Unprocessable,
            Self::TooMany => ErrorKind::Unavailable,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::NoKnownKind(_) | Self::NotSpoken(_) => "invalid_event_type",
            Self::NoClient(_) => "client_not_found",
            Self::NoConsumer(_) => "consumer_not_found",
            Self::NoWebhook(_) => "webhook_not_found",
            Self::TooManyWebhooks(_) => "too_many_webhooks",
            Self::ClientExists(_) => "client_exists",
            Self::TooManyConsumers(_) => "too_many_consumers",
            Self::TooMany => "too_many_streams",
        }
    }

    fn details(&self) -> Option<Value> {
        match self {
            Self::NoClient(id) | Self::ClientExists(id) => Some(json!({ "client_id": id })),
            _ => None,
        }
    }
}
