//! Metadata on another machine, behind a breaker.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use gadwall_domain::ports::metadata::{MetadataStore, MetadataTx, StoreError};

use super::Meaning;
use super::outside::{Outside, ask};
use crate::breaker::{Breaker, Refused};

/// Opens units of work of another store, unless that failed too often.
///
/// To open one takes a question and its answer, and every request begins with one that reads: it is that which tells. A unit
/// of work under way is not looked at.
pub struct GuardedMetadata {
    store: Arc<dyn MetadataStore>,
    breaker: Arc<Breaker>,
}

impl fmt::Debug for GuardedMetadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GuardedMetadata")
    }
}

impl GuardedMetadata {
    /// Guards a store.
    pub fn new(store: Arc<dyn MetadataStore>, breaker: Arc<Breaker>) -> Self {
        Self { store, breaker }
    }
}

impl Outside for StoreError {
    fn refused(refused: Refused) -> Self {
        Self::Unavailable(refused.into())
    }

    fn meaning(&self) -> Meaning {
        match self {
            Self::Unavailable(_) => Meaning::Fails,
            Self::AlreadyExists => Meaning::Works,
            Self::StorageFull(_) | Self::Fault(_) => Meaning::Nothing,
        }
    }
}

#[async_trait]
impl MetadataStore for GuardedMetadata {
    async fn read(&self) -> Result<Box<dyn MetadataTx>, StoreError> {
        ask(&self.breaker, self.store.read()).await
    }

    async fn write(&self) -> Result<Box<dyn MetadataTx>, StoreError> {
        let permit = self.breaker.admit().map_err(StoreError::refused)?;
        let opened = self.store.write().await;
        // Who writes waits for a turn: that it didn't come says nothing of the database.
        if opened.is_ok() {
            permit.answered();
        }
        opened
    }

    fn access_version(&self) -> Option<u64> {
        self.store.access_version()
    }

    async fn shared_access_version(&self) -> Result<Option<u64>, StoreError> {
        ask(&self.breaker, self.store.shared_access_version()).await
    }

    fn access_changes(&self) -> u64 {
        self.store.access_changes()
    }
}
