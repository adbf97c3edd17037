//! What an error *means*, independent of how it is told to a client.

use std::time::Duration;

use serde_json::Value;

/// The meanings an error can have. A driving adapter maps each to its own
/// notion of failure (HTTP maps them to statuses in one file).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The request can't be understood or names something illegal.
    Invalid,
    /// No or unknown credentials.
    Unauthenticated,
    /// Known caller, not allowed (also: may not know whether it exists).
    Forbidden,
    /// The thing named is not there.
    NotFound,
    /// It clashes with what is there.
    Conflict,
    /// It isn't of the version that the caller expects.
    PreconditionFailed,
    /// More than the limits allow.
    TooLarge,
    /// Well-formed, but it breaks a rule of the table or isn't supported.
    Unprocessable,
    /// Took longer than its deadline.
    Timeout,
    /// The caller asks too often; after a while it may ask again.
    TooMany,
    /// Can't be served now; trying again later may work.
    Unavailable,
    /// There is no room to store it; works again once there is.
    StorageFull,
    /// A fault of ours. The text is for the log, never for the client.
    Internal,
}

impl ErrorKind {
    const ALL: [Self; 13] = [
        Self::Invalid,
        Self::Unauthenticated,
        Self::Forbidden,
        Self::NotFound,
        Self::Conflict,
        Self::PreconditionFailed,
        Self::TooLarge,
        Self::Unprocessable,
        Self::Timeout,
        Self::TooMany,
        Self::Unavailable,
        Self::StorageFull,
        Self::Internal,
    ];

    /// The word used in storage.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Invalid => "invalid",
            Self::Unauthenticated => "unauthenticated",
            Self::Forbidden => "forbidden",
            Self::NotFound => "not_found",
            Self::Conflict => "conflict",
            Self::PreconditionFailed => "precondition_failed",
            Self::TooLarge => "too_large",
            Self::Unprocessable => "unprocessable",
            Self::Timeout => "timeout",
            Self::TooMany => "too_many",
            Self::Unavailable => "unavailable",
            Self::StorageFull => "storage_full",
            Self::Internal => "internal",
        }
    }

    /// The kind of that word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }
}

/// An error that knows its meaning and its stable code.
pub trait Classify: std::error::Error {
    /// What kind of failure this is.
    fn kind(&self) -> ErrorKind;

    /// Stable, machine-readable code, e.g. `bucket_exists`.
    fn code(&self) -> &'static str;

    /// Structured context for the client, if there is any.
    fn details(&self) -> Option<Value> {
        None
    }

    /// When trying again may work, where that is known.
    fn retry_after(&self) -> Option<Duration> {
        None
    }

    /// Single findings, where there are several (row violations).
    fn findings(&self) -> Vec<Value> {
        Vec::new()
    }
}
