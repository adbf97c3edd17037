//! Identifiers that Gadwall mints or reads back.

use std::fmt;

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
    /// Identifies a long-running operation: an import, an export.
    OperationId
);

impl OperationId {
    /// The id that a client sent back; none if it can't be one.
    pub fn parse(text: &str) -> Option<Self> {
        Uuid::try_parse(text).ok().map(Self)
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
