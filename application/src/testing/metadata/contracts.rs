//! Contracts of tables and results of looks at them.

use std::collections::BTreeMap;

use async_trait::async_trait;
use gadwall_domain::alteration::Alteration;
use gadwall_domain::commit::{Change, Commit, WriteRecord};
use gadwall_domain::contract::{ContractResult, LoggedResult, MAX_RESULTS, MAX_VERSIONS, Occasion, StoredContract};
use gadwall_domain::ids::SnapshotId;
use gadwall_domain::names::ProjectId;
use gadwall_domain::ports::contracts::ContractRepository;
use gadwall_domain::ports::metadata::StoreError;
use gadwall_domain::table::TableRef;

use super::MemoryTx;

/// Those of one project.
#[derive(Debug, Clone, Default)]
pub(super) struct Contracts {
    /// Oldest first, each with its table.
    all: Vec<(TableRef, StoredContract)>,
    results: BTreeMap<u64, (TableRef, ContractResult)>,
    /// The last number that was given.
    last: u64,
}

impl Contracts {
    pub(super) fn follow(&mut self, commit: &Commit, write: &WriteRecord) {
        match &write.change {
            Change::TableAltered { table, alteration: Alteration::Contract { document }, .. } => {
                self.put(commit, write, table, document.as_ref());
            }
            Change::TableDropped { table } if !commit.makes(table) => self.drop(|known| known == table),
            Change::TableUndeleted { table, .. } => self.drop(|known| known == table),
            Change::BucketDropped { bucket } => self.drop(|known| known.bucket == *bucket),
            Change::TableRenamed { table, to } => {
                if table != to {
                    self.drop(|known| known == to);
                }
                let contracts = self.all.iter_mut().map(|(known, _)| known);
                let results = self.results.values_mut().map(|(known, _)| known);
                contracts.chain(results).filter(|known| *known == table).for_each(|known| *known = to.clone());
            }
            _ => {}
        }
        self.keep_breaches(commit, write);
    }

    fn put(&mut self, commit: &Commit, write: &WriteRecord, table: &TableRef, document: Option<&serde_json::Value>) {
        let now = self.all.iter_mut().filter(|(known, contract)| known == table && contract.until.is_none());
        now.for_each(|(_, contract)| contract.until = Some(commit.snapshot));
        let Some(document) = document else { return };
        let contract = StoredContract {
            since: commit.snapshot,
            put_at: commit.committed_at,
            put_by: write.origin.key_id.as_ref().map(ToString::to_string),
            until: None,
            object: table.table.to_string(),
            document: document.clone(),
        };
        self.all.push((table.clone(), contract));
        let mut surplus = self.of(table).count().saturating_sub(MAX_VERSIONS as usize);
        self.all.retain(|(known, _)| {
            let goes = known == table && surplus > 0;
            surplus -= usize::from(goes);
            !goes
        });
    }

    fn keep_breaches(&mut self, commit: &Commit, write: &WriteRecord) {
        let Some(table) = write.change.table().filter(|_| !write.breaches.is_empty()) else { return };
        let Some(contract) = self.current(table).map(|contract| contract.since) else { return };
        let result = ContractResult {
            at: commit.committed_at,
            occasion: Occasion::Written,
            contract,
            snapshot: Some(commit.snapshot),
            request_id: write.origin.request_id.clone(),
            measures: write.breaches.clone(),
            service_levels: Vec::new(),
        };
        self.record(table, result);
    }

    fn of<'a>(&'a self, table: &'a TableRef) -> impl DoubleEndedIterator<Item = &'a StoredContract> {
        self.all.iter().filter(move |(known, _)| known == table).map(|(_, contract)| contract)
    }

    fn current(&self, table: &TableRef) -> Option<&StoredContract> {
        self.all
            .iter()
            .find(|(known, contract)| known == table && contract.until.is_none())
            .map(|(_, contract)| contract)
    }

    fn record(&mut self, table: &TableRef, result: ContractResult) {
        self.last += 1;
        self.results.insert(self.last, (table.clone(), result));
        let numbers = self.results.iter().rev().filter(|(_, (known, _))| known == table).map(|(number, _)| *number);
        if let Some(oldest) = numbers.clone().nth(MAX_RESULTS as usize) {
            self.results.remove(&oldest);
        }
    }

    fn drop(&mut self, goes: impl Fn(&TableRef) -> bool) {
        self.all.retain(|(known, _)| !goes(known));
        self.results.retain(|_, (known, _)| !goes(known));
    }
}

impl MemoryTx {
    fn contracts_of(&self, project: &ProjectId) -> Contracts {
        self.state.contracts.get(project).cloned().unwrap_or_default()
    }
}

#[async_trait]
impl ContractRepository for MemoryTx {
    async fn contract(&mut self, project: &ProjectId, table: &TableRef) -> Result<Option<StoredContract>, StoreError> {
        Ok(self.contracts_of(project).current(table).cloned())
    }

    async fn contracts(&mut self, project: &ProjectId) -> Result<Vec<(TableRef, StoredContract)>, StoreError> {
        let mut all = self.contracts_of(project).all;
        all.retain(|(_, contract)| contract.until.is_none());
        all.sort_by(|(one, _), (other, _)| one.cmp(other));
        Ok(all)
    }

    async fn contract_versions(
        &mut self,
        project: &ProjectId,
        table: &TableRef,
    ) -> Result<Vec<StoredContract>, StoreError> {
        Ok(self.contracts_of(project).of(table).rev().cloned().collect())
    }

    async fn contract_version(
        &mut self,
        project: &ProjectId,
        table: &TableRef,
        since: SnapshotId,
    ) -> Result<Option<StoredContract>, StoreError> {
        Ok(self.contracts_of(project).of(table).find(|contract| contract.since == since).cloned())
    }

    async fn record_result(
        &mut self,
        project: &ProjectId,
        table: &TableRef,
        result: &ContractResult,
    ) -> Result<(), StoreError> {
        let state = self.change()?;
        let project = state.project(project)?.id.clone();
        state.contracts.entry(project).or_default().record(table, result.clone());
        Ok(())
    }

    async fn contract_results(
        &mut self,
        project: &ProjectId,
        table: &TableRef,
        before: Option<u64>,
        limit: u32,
    ) -> Result<Vec<LoggedResult>, StoreError> {
        let before = before.unwrap_or(u64::MAX);
        let all = self.contracts_of(project).results;
        let wanted = all.into_iter().rev().filter(|(number, (known, _))| *number < before && known == table);
        Ok(wanted.take(limit as usize).map(|(number, (_, result))| LoggedResult { number, result }).collect())
    }
}
