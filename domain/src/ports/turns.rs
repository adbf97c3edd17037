//! Turns at what several servers change.

use async_trait::async_trait;
use thiserror::Error;

use crate::dataset::DatasetName;
use crate::ids::LakeId;

/// A turn didn't come in time, or is lost; trying again may work. The text of the cause is for the log.
#[derive(Debug, Error)]
#[error("others are changing it; try again shortly")]
pub struct TurnError(#[source] pub Box<dyn std::error::Error + Send + Sync>);

/// A turn. It is over when this is dropped.
#[async_trait]
pub trait Turn: Send {
    /// Whether it lasts: what is done within a turn that was lost may meet what others do.
    async fn still(&mut self) -> Result<(), TurnError>;
}

/// Lets one at a time change a dataset, among all who share these turns.
#[async_trait]
pub trait Turns: Send + Sync {
    /// Waits for a turn, but not for ever. Others may have to wait, too, whose dataset is another one.
    async fn take(&self, lake: LakeId, dataset: &DatasetName) -> Result<Box<dyn Turn>, TurnError>;
}
