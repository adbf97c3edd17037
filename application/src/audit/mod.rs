//! The audit log: reading it, writing what was refused into it, and forgetting what is old.

mod refusals;

use std::fmt;
use std::sync::Arc;

use chrono::TimeDelta;
use gadwall_domain::access::{Principal, Scope};
use gadwall_domain::audit::{AuditAge, AuditEntry, AuditFilter, LoggedAudit};
use gadwall_domain::names::ProjectId;
use gadwall_domain::ports::metadata::{MetadataStore, StoreError};
use gadwall_domain::ports::system::Clock;

use crate::access::Access;
use crate::caller::Caller;
use crate::error::UseCaseError;

pub use refusals::{Refusals, Refused};

/// Most entries in a page.
pub const MAX_AUDIT_LISTED: u32 = 1_000;
/// Entries forgotten in one transaction: others wait for it.
const FORGOTTEN_AT_ONCE: u32 = 5_000;
/// Transactions in which entries are forgotten, in one round.
const FORGETTING_ROUNDS: u32 = 20;

/// How long entries are kept.
#[derive(Debug, Clone, Copy)]
pub struct AuditRetention {
    /// Those of changes.
    pub changes: TimeDelta,
    /// Those of what was refused.
    pub refusals: TimeDelta,
}

/// The use cases of the audit log.
pub struct Audit {
    store: Arc<dyn MetadataStore>,
    access: Arc<Access>,
    clock: Arc<dyn Clock>,
    retention: AuditRetention,
}

impl fmt::Debug for Audit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Audit")
    }
}

impl Audit {
    /// Works on this store, and writes what this `access` refuses.
    pub fn new(
        store: Arc<dyn MetadataStore>,
        access: Arc<Access>,
        clock: Arc<dyn Clock>,
        retention: AuditRetention,
    ) -> Self {
        Self { store, access, clock, retention }
    }

    /// A page of all entries, newest first.
    pub async fn list(&self, caller: &Caller, filter: &AuditFilter) -> Result<Vec<LoggedAudit>, UseCaseError> {
        caller.require_admin()?;
        Ok(self.store.read().await?.audit().list(filter).await?)
    }

    /// A page of the entries that concern a project, newest first. Where an admin was is not its owners' business.
    pub async fn list_of(
        &self,
        caller: &Caller,
        project: &ProjectId,
        filter: AuditFilter,
    ) -> Result<Vec<LoggedAudit>, UseCaseError> {
        let project = self.access.open_any(caller, project, Scope::Manage).await?;
        caller.require_whole_project()?;
        let filter = AuditFilter { project: Some(project.id), ..filter };
        let mut found = self.store.read().await?.audit().list(&filter).await?;
        if !caller.principal().is_some_and(Principal::is_admin) {
            let of_an_admin = |logged: &&mut LoggedAudit| logged.entry.principal == Principal::Admin.label();
            found.iter_mut().filter(of_an_admin).for_each(|logged| logged.entry.address = None);
        }
        Ok(found)
    }

    /// Refused requests that are missing in the log, since this server started.
    pub fn dropped(&self) -> u64 {
        self.access.refusals().dropped()
    }

    /// Writes what was refused; answers how many entries. What can't be written is dropped and counted. The last time is
    /// when the server stops.
    pub async fn write_refusals(&self, is_last: bool) -> Result<usize, UseCaseError> {
        let entries = self.access.refusals().take(self.clock.now(), is_last);
        if entries.is_empty() {
            return Ok(0);
        }
        if let Err(error) = self.write(&entries).await {
            self.access.refusals().drop_entries(&entries);
            return Err(error.into());
        }
        Ok(entries.len())
    }

    async fn write(&self, entries: &[AuditEntry]) -> Result<(), StoreError> {
        let mut entries = entries.to_vec();
        let mut reading = self.store.read().await?;
        for entry in &mut entries {
            // An admin may have named a project that isn't there.
            if let Some(project) = &entry.project
                && reading.projects().find(project).await?.is_none()
            {
                entry.project = None;
            }
        }
        drop(reading);
        let mut tx = self.store.write().await?;
        tx.audit().append(&entries).await?;
        tx.commit().await
    }

    /// Forgets entries that are old; answers how many. A round has its end: what is left waits for the next one.
    pub async fn clean_up(&self) -> Result<u64, UseCaseError> {
        let now = self.clock.now();
        let age = AuditAge {
            changes_before: now - self.retention.changes,
            refusals_before: now - self.retention.refusals,
            limit: FORGOTTEN_AT_ONCE,
        };
        let mut all = 0;
        for _ in 0..FORGETTING_ROUNDS {
            let mut tx = self.store.write().await?;
            let forgotten = tx.audit().forget_before(age).await?;
            tx.commit().await?;
            all += forgotten;
            if forgotten == 0 {
                break;
            }
        }
        Ok(all)
    }
}
