//! Contracts of tables, and what looks at them found.
//!
//! That a contract is put or removed is part of a lake's history: the index writes it down as it applies the commits. Here it
//! is read, with the results of checks.

use async_trait::async_trait;

use super::metadata::StoreError;
use crate::contract::{ContractResult, LoggedResult, StoredContract};
use crate::ids::SnapshotId;
use crate::names::ProjectId;
use crate::table::TableRef;

/// Contracts of tables by the tables' present names.
#[async_trait]
pub trait ContractRepository: Send {
    /// The contract that a table is held to.
    async fn contract(&mut self, project: &ProjectId, table: &TableRef) -> Result<Option<StoredContract>, StoreError>;
    /// Those of all tables, by bucket and name.
    async fn contracts(&mut self, project: &ProjectId) -> Result<Vec<(TableRef, StoredContract)>, StoreError>;
    /// All that a table was ever held to and that are kept, newest first.
    async fn contract_versions(
        &mut self,
        project: &ProjectId,
        table: &TableRef,
    ) -> Result<Vec<StoredContract>, StoreError>;
    /// One of them.
    async fn contract_version(
        &mut self,
        project: &ProjectId,
        table: &TableRef,
        since: SnapshotId,
    ) -> Result<Option<StoredContract>, StoreError>;
    /// Keeps a result; of those of the table, the newest [`MAX_RESULTS`](crate::contract::MAX_RESULTS) stay.
    async fn record_result(
        &mut self,
        project: &ProjectId,
        table: &TableRef,
        result: &ContractResult,
    ) -> Result<(), StoreError>;
    /// Results of a table, newest first: those before a number, at most so many.
    async fn contract_results(
        &mut self,
        project: &ProjectId,
        table: &TableRef,
        before: Option<u64>,
        limit: u32,
    ) -> Result<Vec<LoggedResult>, StoreError>;
}
