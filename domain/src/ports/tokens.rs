//! Tokens of identity providers.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde_json::{Map, Value};
use thiserror::Error;

use crate::error::{Classify, ErrorKind};

/// Finds out whether a token is one of a known issuer's, for this server, and in time.
#[async_trait]
pub trait TokenVerifier: Send + Sync + 'static {
    /// Checks signature, issuer, audience and times. What the claims allow is not looked at.
    async fn verify(&self, token: &str) -> Result<VerifiedToken, TokenError>;
}

/// What a good token says.
#[derive(Clone, PartialEq)]
pub struct VerifiedToken {
    /// Who issued it, as configured.
    pub issuer: String,
    /// All that it says.
    pub claims: Map<String, Value>,
    /// When it ends.
    pub expires_at: DateTime<Utc>,
}

/// Claims are about a person, so they are not shown.
impl fmt::Debug for VerifiedToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifiedToken")
            .field("issuer", &self.issuer)
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

/// Why a token doesn't do. Never says anything that stands in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum TokenError {
    /// It isn't good, and never will be.
    #[error("the token is not valid: {0}")]
    Invalid(&'static str),
    /// It was good once.
    #[error("the token has expired; get another one from its issuer")]
    Expired,
    /// Nobody can tell: its issuer's keys can't be had.
    #[error("the token can't be checked: its issuer does not answer as it should; try again later")]
    IssuerAway {
        /// When to try again.
        retry_after: Duration,
    },
}

impl Classify for TokenError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Invalid(_) | Self::Expired => ErrorKind::Unauthenticated,
            Self::IssuerAway { .. } => ErrorKind::Unavailable,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Invalid(_) => "token_invalid",
            Self::Expired => "token_expired",
            Self::IssuerAway { .. } => "issuer_unavailable",
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::IssuerAway { retry_after } => Some(*retry_after),
            _ => None,
        }
    }
}
