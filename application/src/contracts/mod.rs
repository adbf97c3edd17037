//! Contracts of tables: put, looked at, measured, proposed, and told as a data product.

mod derive;
mod levels;
mod product;
mod record;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use gadwall_domain::access::Scope;
use gadwall_domain::contract::{
    Breach, ContractResult, DataContract, HeldContract, LevelReport, LoggedResult, MAX_DOCUMENT, Metric, NO_NUMBER,
    Occasion, StoredContract,
};
use gadwall_domain::history::{Expected, ReadAt};
use gadwall_domain::ids::SnapshotId;
use gadwall_domain::names::{ColumnName, ProjectId};
use gadwall_domain::ontology::DocumentError;
use gadwall_domain::ports::lake::{Lake, Measured, Measuring};
use gadwall_domain::ports::metadata::MetadataStore;
use gadwall_domain::ports::system::Clock;
use gadwall_domain::project::Project;
use gadwall_domain::table::{Table, TableRef};
use serde_json::Value;

use crate::access::Access;
use crate::caller::Caller;
use crate::error::UseCaseError;
use crate::tables::{Tables, held};

pub use product::MAX_PORTS;
pub(crate) use record::Held;
pub use record::Recorder;

/// Most results in one answer.
pub const MAX_LISTED: u32 = 200;

/// What the use cases of contracts work with.
pub struct Parts {
    /// Where contracts are kept.
    pub store: Arc<dyn MetadataStore>,
    /// The tables' rows.
    pub lakes: Arc<dyn Lake>,
    /// Who may.
    pub access: Arc<Access>,
    /// The tables.
    pub tables: Arc<Tables>,
    /// Time.
    pub clock: Arc<dyn Clock>,
}

impl fmt::Debug for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Parts")
    }
}

/// The use cases of contracts.
#[derive(Debug)]
pub struct Contracts(Parts);

/// What a look at a table's contract found, with rows that break it.
#[derive(Debug, Clone)]
pub struct Checked {
    /// As it is kept.
    pub result: ContractResult,
    /// What each rule found, with some rows of the broken ones.
    pub rules: Vec<Breach>,
}

/// A contract that was put.
#[derive(Debug, Clone)]
pub struct Put {
    /// As it is in force.
    pub contract: StoredContract,
    /// Whether the table had none before.
    pub is_new: bool,
    /// What its rules find in the rows that are there: those are not refused.
    pub rules: Vec<Breach>,
}

impl Contracts {
    /// Puts them together.
    pub fn new(parts: Parts) -> Self {
        Self(parts)
    }

    /// Puts a contract in force, in the place of the one before it.
    #[tracing::instrument(skip_all, fields(project.id = %project, table.name = %table))]
    pub async fn put(
        &self,
        caller: &Caller,
        project: &ProjectId,
        table: &TableRef,
        document: Value,
        expected: Expected,
        timeout: Duration,
    ) -> Result<Put, UseCaseError> {
        let project = self.0.access.open_bucket(caller, project, &table.bucket, Scope::Manage).await?;
        if document.to_string().len() > MAX_DOCUMENT {
            let problem = format!("it has more than {} KiB", MAX_DOCUMENT >> 10);
            return Err(UseCaseError::BadContract(DocumentError { path: String::new(), problem }));
        }
        let found = self.0.tables.require_at(&project, table, ReadAt::Head).await?;
        let contract = DataContract::parse(found.name.table.as_str(), &document).map_err(UseCaseError::BadContract)?;
        let problems = contract.misfits(&found.schema);
        if !problems.is_empty() {
            return Err(UseCaseError::ContractUnfit { table: found.name, problems });
        }
        let is_new = found.schema.contract().is_none();
        let proposed = Arc::new(HeldContract { since: SnapshotId::ZERO, contract });
        let rules = self.measure(&project, &found, Arc::clone(&proposed), Vec::new(), timeout).await?.rules;
        // No write could keep a rule that can't be measured.
        let failed = rules.iter().zip(&proposed.contract.terms.rules).find_map(|(found, rule)| {
            let problem = found.measure.problem.as_ref().filter(|_| found.measure.measured.is_none())?;
            let answers_later = matches!(rule.metric, Metric::Sql { .. });
            (!answers_later || problem != NO_NUMBER)
                .then(|| DocumentError { path: rule.place.clone(), problem: format!("can't be measured: {problem}") })
        });
        if let Some(failed) = failed {
            return Err(UseCaseError::BadContract(failed));
        }
        let committed = self.0.tables.set_contract(caller, &project, &found, Some(document), expected).await?;
        let mut tx = self.0.store.read().await?;
        let stored = tx.contracts().contract_version(&project.id, &found.name, committed).await?;
        let gone = || UseCaseError::NoContract { table: found.name.clone(), since: Some(committed) };
        Ok(Put { contract: stored.ok_or_else(gone)?, is_new, rules })
    }

    /// Ends a table's contract. Its versions and results stay as long as the table.
    #[tracing::instrument(skip_all, fields(project.id = %project, table.name = %table))]
    pub async fn remove(
        &self,
        caller: &Caller,
        project: &ProjectId,
        table: &TableRef,
        expected: Expected,
    ) -> Result<SnapshotId, UseCaseError> {
        let project = self.0.access.open_bucket(caller, project, &table.bucket, Scope::Manage).await?;
        let found = self.0.tables.require_at(&project, table, ReadAt::Head).await?;
        let again = self.0.tables.has_committed(caller, &project).await?;
        if found.schema.contract().is_none() && !again {
            return Err(UseCaseError::NoContract { table: found.name, since: None });
        }
        self.0.tables.set_contract(caller, &project, &found, None, expected).await
    }

    /// The contract that a table is held to, or one of its versions. Whoever reads a linked table sees its contract.
    pub async fn get(
        &self,
        caller: &Caller,
        project: &ProjectId,
        table: &TableRef,
        since: Option<SnapshotId>,
    ) -> Result<StoredContract, UseCaseError> {
        let mut all = self.versions(caller, project, table).await?;
        let wanted = |contract: &StoredContract| match since {
            Some(since) => contract.since == since,
            None => contract.until.is_none(),
        };
        match all.iter().position(wanted) {
            Some(index) => Ok(all.swap_remove(index)),
            None => Err(UseCaseError::NoContract { table: table.clone(), since }),
        }
    }

    /// All contracts that a table was ever held to and that are kept, newest first.
    pub async fn versions(
        &self,
        caller: &Caller,
        project: &ProjectId,
        table: &TableRef,
    ) -> Result<Vec<StoredContract>, UseCaseError> {
        let place = self.0.access.open_to_read(caller, project, &table.bucket).await?;
        let there = place.table(table);
        let found = self.0.tables.require_at(&place.project, &there, ReadAt::Head).await;
        let found = found.map_err(|error| place.told(error))?;
        let mut tx = self.0.store.read().await?;
        let mut all = tx.contracts().contract_versions(&place.project.id, &found.name).await?;
        if place.link.is_some() {
            // Who put it is the owner's business.
            for contract in &mut all {
                contract.put_by = None;
            }
        }
        Ok(all)
    }

    /// Measures a table's contract on the rows that are there, and keeps what it finds.
    #[tracing::instrument(skip_all, fields(project.id = %project, table.name = %table))]
    pub async fn check(
        &self,
        caller: &Caller,
        project: &ProjectId,
        table: &TableRef,
        timeout: Duration,
    ) -> Result<Checked, UseCaseError> {
        let project = self.0.access.open_bucket(caller, project, &table.bucket, Scope::Write).await?;
        let found = self.0.tables.require_at(&project, table, ReadAt::Head).await?;
        let missing = || UseCaseError::NoContract { table: found.name.clone(), since: None };
        let held = Arc::clone(found.schema.contract().ok_or_else(missing)?);
        let elements = levels::elements(&held.contract, &found.schema);
        let measured = self.measure(&project, &found, Arc::clone(&held), elements.clone(), timeout).await?;
        let service_levels = self.service_levels(&project, &found, &held, &elements, &measured).await?;
        let result = ContractResult {
            at: self.0.clock.now(),
            occasion: Occasion::Check,
            contract: held.since,
            snapshot: Some(measured.snapshot),
            request_id: caller.request_id.clone(),
            measures: measured.rules.iter().map(|breach| breach.measure.clone()).collect(),
            service_levels,
        };
        let mut tx = self.0.store.write().await?;
        tx.contracts().record_result(&project.id, &found.name, &result).await?;
        tx.commit().await?;
        Ok(Checked { result, rules: measured.rules })
    }

    async fn service_levels(
        &self,
        project: &Project,
        table: &Table,
        held: &HeldContract,
        elements: &[ColumnName],
        measured: &Measured,
    ) -> Result<Vec<LevelReport>, UseCaseError> {
        if held.contract.service_levels.is_empty() {
            return Ok(Vec::new());
        }
        let changed = self.0.lakes.snapshot(project.lake, table.version.rows).await?;
        let facts = levels::Facts {
            now: self.0.clock.now(),
            changed_at: changed.map(|commit| commit.committed_at),
            elements,
            times: &measured.times,
        };
        Ok(held.contract.service_levels.iter().map(|level| levels::report(level, &facts)).collect())
    }

    async fn measure(
        &self,
        project: &Project,
        table: &Table,
        held: Arc<HeldContract>,
        times: Vec<ColumnName>,
        timeout: Duration,
    ) -> Result<Measured, UseCaseError> {
        let schema = table.schema.clone().held_to(Some(held));
        let measuring = Measuring { table: table.name.clone(), schema, times };
        Ok(self.0.lakes.measure(project.lake, measuring, timeout).await?)
    }

    /// Proposes a contract that a table keeps as it is now.
    pub async fn derive(
        &self,
        caller: &Caller,
        project: &ProjectId,
        table: &TableRef,
        timeout: Duration,
    ) -> Result<Value, UseCaseError> {
        let project = self.0.access.open_bucket(caller, project, &table.bucket, Scope::Read).await?;
        let found = self.0.tables.require_at(&project, table, ReadAt::Head).await?;
        let profile = self.0.lakes.profile(project.lake, &found.name, ReadAt::Head, timeout).await?;
        Ok(derive::contract(&project.id, &found, &profile))
    }

    /// What looks at a table's contract found, newest first: those before a number.
    pub async fn results(
        &self,
        caller: &Caller,
        project: &ProjectId,
        table: &TableRef,
        before: Option<u64>,
        limit: u32,
    ) -> Result<Vec<LoggedResult>, UseCaseError> {
        let project = self.0.access.open_bucket(caller, project, &table.bucket, Scope::Read).await?;
        let found = self.0.tables.require_at(&project, table, ReadAt::Head).await?;
        let limit = limit.clamp(1, MAX_LISTED);
        Ok(self.0.store.read().await?.contracts().contract_results(&project.id, &found.name, before, limit).await?)
    }
}

/// The contracts of a project's tables as they were read, with their documents.
async fn all_of(store: &dyn MetadataStore, project: &ProjectId) -> Result<Vec<(TableRef, HeldContract)>, UseCaseError> {
    let all = store.read().await?.contracts().contracts(project).await?;
    all.into_iter().map(|(table, stored)| Ok((table, held(&stored)?))).collect()
}
