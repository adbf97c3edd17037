//! Writes that were refused for their table's contract are told to those who look at it later.

use std::fmt;
use std::sync::Arc;

use gadwall_domain::contract::{Breach, ContractResult, HeldContract, MAX_RULES, Occasion};
use gadwall_domain::ids::RequestId;
use gadwall_domain::names::ProjectId;
use gadwall_domain::ports::lake::WriteError;
use gadwall_domain::ports::metadata::{MetadataStore, StoreError};
use gadwall_domain::ports::system::Clock;
use gadwall_domain::table::TableRef;

/// Writes them down.
#[derive(Clone)]
pub struct Recorder {
    store: Arc<dyn MetadataStore>,
    clock: Arc<dyn Clock>,
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Recorder")
    }
}

/// A contract that a write is held to, kept while the write is on its way.
pub(crate) struct Held {
    table: TableRef,
    contract: Arc<HeldContract>,
}

impl Held {
    pub(crate) fn new(table: &TableRef, contract: Option<&Arc<HeldContract>>) -> Option<Self> {
        contract.map(|contract| Self { table: table.clone(), contract: Arc::clone(contract) })
    }
}

impl Held {
    pub(crate) fn table(&self) -> &TableRef {
        &self.table
    }
}

impl Recorder {
    /// Writes down in this store, with times of this clock.
    pub fn new(store: Arc<dyn MetadataStore>, clock: Arc<dyn Clock>) -> Self {
        Self { store, clock }
    }

    /// Writes down why a write was refused, if it was for its contract. The refusal stands, also where that fails.
    pub(crate) async fn refused(
        &self,
        project: &ProjectId,
        held: Option<&Held>,
        request: &RequestId,
        error: &WriteError,
    ) {
        let (WriteError::Contract(breaches), Some(held)) = (error, held) else { return };
        if let Err(error) = self.keep(project, held, request, breaches).await {
            tracing::warn!(error = %error, "a refusal for a contract is not written down");
        }
    }

    async fn keep(
        &self,
        project: &ProjectId,
        held: &Held,
        request: &RequestId,
        breaches: &[Breach],
    ) -> Result<(), StoreError> {
        let result = ContractResult {
            at: self.clock.now(),
            occasion: Occasion::Refused,
            contract: held.contract.since,
            snapshot: None,
            request_id: request.clone(),
            measures: breaches.iter().take(MAX_RULES).map(|breach| breach.measure.clone()).collect(),
            service_levels: Vec::new(),
        };
        let mut tx = self.store.write().await?;
        // It may be gone by now, and so is the table's history then.
        if tx.contracts().contract(project, &held.table).await?.is_some() {
            tx.contracts().record_result(project, &held.table, &result).await?;
            tx.commit().await?;
        }
        Ok(())
    }
}
