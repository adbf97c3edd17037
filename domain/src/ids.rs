//! Identifiers that Gadwall mints or reads back.

use std::fmt::{self, Write as _};

use serde::{Deserialize, Serialize};
use thiserror::Error;
use uuid::Uuid;

use crate::error::{Classify, ErrorKind};

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// Wraps a freshly minted or stored UUID.
            pub fn new(id: Uuid) -> Self {
                Self(id)
            }

            /// The UUID itself.
            pub fn uuid(self) -> Uuid {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

uuid_id!(
    /// Names a project's lake in storage (files, catalogs, roles). Never reused, never shown to users,
    /// so that a project's public id never reaches a path or an identifier of the engine.
    LakeId
);
uuid_id!(
    /// Identifies an API key. Not secret.
    ApiKeyId
);

impl ApiKeyId {
    /// The id that a client sent back; none if it can't be one.
    pub fn parse(text: &str) -> Option<Self> {
        Uuid::try_parse(text).ok().map(Self)
    }
}

uuid_id!(
    /// Identifies one query while it runs and in its history.
    QueryId
);

impl QueryId {
    /// The id that a client sent back; none if it can't be one.
    pub fn parse(text: &str) -> Option<Self> {
        Uuid::try_parse(text).ok().map(Self)
    }
}

uuid_id!(
    /// Identifies a webhook.
    WebhookId
);

impl WebhookId {
    /// The id that a client sent back; none if it can't be one.
    pub fn parse(text: &str) -> Option<Self> {
        Uuid::try_parse(text).ok().map(Self)
    }
}

uuid_id!(
    /// Identifies a long-running operation: an import, an export.
    OperationId
);

impl OperationId {
    /// The id that a client sent back; none if it can't be one.
    pub fn parse(text: &str) -> Option<Self> {
        Uuid::try_parse(text).ok().map(Self)
    }
}

/// Longest name of an issuer, and longest name of a subject, in a [`TokenId`].
const MAX_TOKEN_PART: usize = 255;

/// Whom a token speaks of: the issuer without its scheme, and the subject, with `#` between them. Other characters than
/// those of URLs are written as `%XX`, so no two subjects look alike and none breaks a line of a log.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TokenId(String);

/// An issuer or subject that can't be one.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("an issuer and a subject have 1 to {MAX_TOKEN_PART} characters, counted as they stand in a URL")]
pub struct TokenIdError;

impl TokenId {
    /// Of an issuer's URL and one of its subjects.
    pub fn new(issuer: &str, subject: &str) -> Result<Self, TokenIdError> {
        let issuer = issuer.split_once("://").map_or(issuer, |(_, rest)| rest);
        let (issuer, subject) = (in_url_characters(issuer)?, in_url_characters(subject)?);
        Ok(Self(format!("{issuer}#{subject}")))
    }
}

fn in_url_characters(text: &str) -> Result<String, TokenIdError> {
    let mut clean = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~@|:/+=,".contains(&byte) {
            clean.push(byte.into());
        } else {
            // Writing to a string doesn't fail.
            let _ = write!(clean, "%{byte:02X}");
        }
        if clean.len() > MAX_TOKEN_PART {
            return Err(TokenIdError);
        }
    }
    if clean.is_empty() { Err(TokenIdError) } else { Ok(clean) }
}

impl fmt::Display for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whose credentials something was done with, as it is kept: an API key's id, or whom a token speaks of. The one is a
/// UUID and the other has a `#`, so neither can be taken for the other.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", from = "String")]
pub enum CallerId {
    /// An API key.
    Key(ApiKeyId),
    /// A token.
    Token(TokenId),
}

impl CallerId {
    /// For logs and audit entries: `key:<id>` or `token:<issuer>#<subject>`.
    pub fn label(&self) -> String {
        match self {
            Self::Key(id) => format!("key:{id}"),
            Self::Token(id) => format!("token:{id}"),
        }
    }
}

impl fmt::Display for CallerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(id) => id.fmt(f),
            Self::Token(id) => id.fmt(f),
        }
    }
}

impl From<CallerId> for String {
    fn from(id: CallerId) -> Self {
        id.to_string()
    }
}

impl From<String> for CallerId {
    fn from(text: String) -> Self {
        ApiKeyId::parse(&text).map_or_else(|| Self::Token(TokenId(text)), Self::Key)
    }
}

/// Identifies one request, in logs, errors, events and commits.
///
/// Taken from the client's `X-Request-ID` when that is 1–128 printable ASCII characters, else minted.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RequestId(String);

impl RequestId {
    /// Accepts a client's id; `None` if it is not fit for a log line.
    pub fn parse(text: &str) -> Option<Self> {
        let fits = (1..=128).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
        fits.then(|| Self(text.to_owned()))
    }

    /// Wraps a freshly minted UUID.
    pub fn minted(id: Uuid) -> Self {
        Self(id.to_string())
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A committed version of a project's lake. Grows by one with every commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SnapshotId(u64);

/// A number that can't be a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0} is not a snapshot id; it is a whole number from 0")]
pub struct SnapshotIdError(i64);

impl Classify for SnapshotIdError {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Invalid
    }

    fn code(&self) -> &'static str {
        "invalid_snapshot"
    }
}

impl SnapshotId {
    /// The state before the first commit.
    pub const ZERO: Self = Self(0);

    /// Checks a number read from outside.
    pub fn new(number: i64) -> Result<Self, SnapshotIdError> {
        u64::try_from(number).map(Self).map_err(|_| SnapshotIdError(number))
    }

    /// The number.
    pub fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for SnapshotId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_id_must_fit_in_a_log_line() {
        assert!(RequestId::parse("a-b_c.1").is_some());
        for bad in ["", "a b", "a\nb", "é", &"x".repeat(129)] {
            assert!(RequestId::parse(bad).is_none(), "{bad:?}");
        }
    }

    #[test]
    fn a_snapshot_id_is_never_negative() {
        assert!(SnapshotId::new(-1).is_err());
        assert_eq!(SnapshotId::new(7).unwrap().get(), 7);
    }
}
