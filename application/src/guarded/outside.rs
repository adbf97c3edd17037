//! What is asked over the network, behind a breaker: whoever waits for what is away keeps others waiting, too.

use std::sync::Arc;

use gadwall_domain::ports::lake::{LakeError, PurgeError, WriteError};
use gadwall_domain::ports::objects::ObjectError;
use gadwall_domain::ports::results::ResultError;
use gadwall_domain::query::QueryError;
use gadwall_domain::script::{ScriptError, ScriptFault};

use super::Meaning;
use crate::breaker::{Breaker, Permit, Refused};

/// The name of the breaker before datasets and results in a bucket.
pub const OBJECT_STORE: &str = "object_store";
/// The name of the breaker before metadata in PostgreSQL.
pub const METADATA: &str = "metadata";
/// The name of the breaker before the lakes' catalogs in PostgreSQL.
pub const CATALOG: &str = "catalog";

/// An error of a port that may be away.
pub(super) trait Outside: Sized {
    /// That it was not asked, since it failed too often.
    fn refused(refused: Refused) -> Self;

    /// What it says of who was asked.
    fn meaning(&self) -> Meaning;
}

impl Meaning {
    pub(super) fn tell(self, permit: Permit) {
        match self {
            Self::Works => permit.answered(),
            Self::Fails => permit.failed(),
            Self::Nothing => {}
        }
    }
}

/// Asks, unless that failed too often.
pub(super) async fn ask<T, E: Outside>(
    breaker: &Arc<Breaker>,
    call: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    let permit = breaker.admit().map_err(E::refused)?;
    let answer = call.await;
    answer.as_ref().err().map_or(Meaning::Works, E::meaning).tell(permit);
    answer
}

/// As [`ask`], for what takes as long as its caller likes: others may find out meanwhile.
pub(super) async fn ask_at_length<T, E: Outside>(
    breaker: &Arc<Breaker>,
    call: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    let mut permit = breaker.admit().map_err(E::refused)?;
    permit.begun();
    let answer = call.await;
    answer.as_ref().err().map_or(Meaning::Works, E::meaning).tell(permit);
    answer
}

/// As [`ask_at_length`], for what needs the catalog and data, too: a fault doesn't tell which of them was away, and counts
/// for neither.
pub(super) async fn ask_both<T, E: LeftAlone>(
    breaker: &Arc<Breaker>,
    call: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    let mut permit = breaker.admit().map_err(E::left_alone)?;
    permit.begun();
    let answer = call.await;
    if answer.is_ok() {
        permit.answered();
    }
    answer
}

impl Outside for ObjectError {
    fn refused(refused: Refused) -> Self {
        Self::Unavailable(refused.into())
    }

    fn meaning(&self) -> Meaning {
        match self {
            Self::Unavailable(_) => Meaning::Fails,
            Self::DatasetExists
            | Self::NoDataset
            | Self::DatasetNotEmpty
            | Self::NoObject
            | Self::NameClash
            | Self::NameTooLong { .. }
            | Self::PreconditionFailed => Meaning::Works,
            // A sender that went away, a full store, a fault of ours: waiting mends none of them.
            Self::Content(_) | Self::StorageFull(_) | Self::ReadOnly(_) | Self::Busy(_) | Self::Fault(_) => {
                Meaning::Nothing
            }
        }
    }
}

impl Outside for ResultError {
    fn refused(refused: Refused) -> Self {
        Self::Unavailable(refused.into())
    }

    fn meaning(&self) -> Meaning {
        match self {
            Self::Unavailable(_) => Meaning::Fails,
            Self::LimitReached { .. } => Meaning::Works,
            Self::Query(_) | Self::StorageFull | Self::Fault(_) => Meaning::Nothing,
        }
    }
}

/// Of calls that read a catalog alone. For those that read or write data, see [`ask_both`].
impl Outside for LakeError {
    fn refused(refused: Refused) -> Self {
        Self::Unavailable(refused.into())
    }

    fn meaning(&self) -> Meaning {
        match self {
            Self::Unavailable(_) => Meaning::Fails,
            Self::NoLake | Self::Contended => Meaning::Works,
            Self::Busy | Self::StorageFull(_) | Self::ReadOnly(_) | Self::Damaged(_) | Self::Fault(_) => {
                Meaning::Nothing
            }
        }
    }
}

/// An error that can say that a catalog is left alone.
pub(super) trait LeftAlone {
    fn left_alone(refused: Refused) -> Self;
}

impl LeftAlone for LakeError {
    fn left_alone(refused: Refused) -> Self {
        Self::refused(refused)
    }
}

impl LeftAlone for WriteError {
    fn left_alone(refused: Refused) -> Self {
        Self::Lake(LakeError::refused(refused))
    }
}

impl LeftAlone for PurgeError {
    fn left_alone(refused: Refused) -> Self {
        Self::Write(WriteError::left_alone(refused))
    }
}

impl LeftAlone for QueryError {
    fn left_alone(refused: Refused) -> Self {
        Self::CatalogLeftAlone { retry_after: refused.retry_after }
    }
}

impl LeftAlone for ScriptError {
    fn left_alone(refused: Refused) -> Self {
        Self { statement: None, fault: ScriptFault::Query(QueryError::left_alone(refused)) }
    }
}
