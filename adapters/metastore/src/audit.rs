//! The audit log. Entries are added and, when they are old, forgotten; never changed.

use async_trait::async_trait;
use gadwall_domain::audit::{AuditAge, AuditEntry, AuditFilter, AuditOutcome, LoggedAudit};
use gadwall_domain::names::ProjectId;
use gadwall_domain::ports::metadata::{AuditLog, StoreError};

use crate::rows::{self, micros, number};
use crate::statement::{insert, sql};
use crate::tx::SqlTx;

/// Entries in one statement. Many come together, from commits that hold many writes.
const AT_ONCE: usize = 100;

/// What a list selects besides one column that has an index of its own: which one differs.
macro_rules! list {
    ($by:literal) => {
        concat!(
            "SELECT a.*, p.id AS project_id FROM audit a LEFT JOIN projects p ON p.id_key = a.project
              WHERE a.entry < $1 AND ",
            $by,
            " AND ($3 IS NULL OR a.principal = $3) AND ($4 IS NULL OR a.operation = $4)
              AND ($5 IS NULL OR a.outcome = $5) AND a.at >= $6 AND a.at < $7
              ORDER BY a.entry DESC LIMIT $8"
        )
    };
}

pub(crate) const OF_PROJECT: &str = list!("a.project = $2");
pub(crate) const OF_ALL: &str = list!("$2 IS NULL");
pub(crate) const FORGET: &str = "DELETE FROM audit WHERE entry IN (
    SELECT entry FROM audit WHERE outcome = $1 AND at < $2 ORDER BY at LIMIT $3)";

#[async_trait]
impl AuditLog for SqlTx {
    async fn append(&mut self, entries: &[AuditEntry]) -> Result<(), StoreError> {
        for some in entries.chunks(AT_ONCE) {
            let mut rows = Vec::with_capacity(some.len());
            for entry in some {
                let snapshot = entry.snapshot.map(|snapshot| number("snapshot", snapshot.get())).transpose()?;
                let (code, times) = match &entry.outcome {
                    AuditOutcome::Done => (None, 1),
                    AuditOutcome::Refused { code, times } => (Some(code.as_str()), *times),
                };
                rows.push([
                    micros(entry.at).into(),
                    entry.principal.as_str().into(),
                    entry.operation.as_str().into(),
                    entry.project.as_ref().map(ProjectId::folded).into(),
                    entry.resource.as_str().into(),
                    entry.request_id.as_str().into(),
                    snapshot.into(),
                    entry.address.map(|address| address.to_string()).into(),
                    entry.outcome.as_str().into(),
                    code.into(),
                    i64::from(times).into(),
                ]);
            }
            let into = "INSERT INTO audit (at, principal, operation, project, resource, request_id, snapshot, address,
                                           outcome, code, times)";
            self.run(insert(into, rows)).await?;
        }
        Ok(())
    }

    async fn list(&mut self, filter: &AuditFilter) -> Result<Vec<LoggedAudit>, StoreError> {
        let before = filter.before.map_or(Ok(i64::MAX), |before| number("before", before))?;
        let statement = sql(if filter.project.is_some() { OF_PROJECT } else { OF_ALL })
            .bind(before)
            .bind(filter.project.as_ref().map(ProjectId::folded))
            .bind(filter.principal.as_deref())
            .bind(filter.operation.as_deref())
            .bind(filter.outcome)
            .bind(filter.since.map_or(i64::MIN, micros))
            .bind(filter.until.map_or(i64::MAX, micros))
            .bind(i64::from(filter.limit));
        self.all(statement).await?.iter().map(rows::audit_entry).collect()
    }

    async fn forget_before(&mut self, age: AuditAge) -> Result<u64, StoreError> {
        let mut forgotten = 0;
        for (outcome, before) in AuditOutcome::WORDS.into_iter().zip([age.changes_before, age.refusals_before]) {
            let statement = sql(FORGET).bind(outcome).bind(micros(before)).bind(i64::from(age.limit));
            forgotten += self.run(statement).await?;
        }
        Ok(forgotten)
    }
}
