//! Why a key doesn't do, or isn't made.

use std::time::Duration;

use gadwall_domain::error::{Classify, ErrorKind};
use gadwall_domain::names::ProjectId;
use serde_json::{Value, json};
use thiserror::Error;

/// The failures of keys. That one was revoked or has expired is told only to who has its secret.
#[derive(Debug, Error)]
pub enum KeyError {
    /// The key presented was revoked, or its secret was replaced.
    #[error("this key was revoked or replaced; ask for another one")]
    Revoked,
    /// The key presented has expired.
    #[error("this key has expired; ask for another one")]
    Expired,
    /// Too many keys from one address were refused.
    #[error("too many keys from this address were refused; try again later")]
    TooManyFailures {
        /// How long to wait.
        wait: Duration,
    },
    /// No such key in the project.
    #[error("there is no key {key} in project {project}")]
    NotFound {
        /// The project.
        project: ProjectId,
        /// The id asked for.
        key: String,
    },
    /// Whoever makes a key can't give it what they don't have.
    #[error("a key can't give what it doesn't have: {0}")]
    Exceeds(&'static str),
    /// A key that opens nothing any more gets no other secret.
    #[error("the key was revoked or has expired; make another one")]
    Ended,
}

impl Classify for KeyError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Revoked | Self::Expired => ErrorKind::Unauthenticated,
            Self::TooManyFailures { .. } => ErrorKind::TooMany,
            Self::NotFound { .. } => ErrorKind::NotFound,
            Self::Exceeds(_) => ErrorKind::Forbidden,
            Self::Ended => ErrorKind::Conflict,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Revoked => "key_revoked",
            Self::Expired => "key_expired",
            Self::TooManyFailures { .. } => "too_many_failures",
            Self::NotFound { .. } => "key_not_found",
            Self::Exceeds(_) => "exceeds_own_key",
            Self::Ended => "key_ended",
        }
    }

    fn details(&self) -> Option<Value> {
        match self {
            Self::NotFound { project, key } => Some(json!({ "project_id": project, "key_id": key })),
            _ => None,
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::TooManyFailures { wait } => Some(*wait),
            _ => None,
        }
    }
}
