//! The audit log. Entries are added, never changed.

use async_trait::async_trait;
use gadwall_domain::audit::AuditEntry;
use gadwall_domain::names::ProjectId;
use gadwall_domain::ports::metadata::{AuditLog, StoreError};

use crate::rows::{self, micros, number};
use crate::statement::{insert, sql};
use crate::tx::SqlTx;

/// Entries in one statement. Many come together, from commits that hold many writes.
const AT_ONCE: usize = 100;

#[async_trait]
impl AuditLog for SqlTx {
    async fn append(&mut self, entries: &[AuditEntry]) -> Result<(), StoreError> {
        for some in entries.chunks(AT_ONCE) {
            let mut rows = Vec::with_capacity(some.len());
            for entry in some {
                let snapshot = entry.snapshot.map(|snapshot| number("snapshot", snapshot.get())).transpose()?;
                rows.push([
                    micros(entry.at).into(),
                    entry.principal.as_str().into(),
                    entry.operation.as_str().into(),
                    entry.project.folded().into(),
                    entry.resource.as_str().into(),
                    entry.request_id.as_str().into(),
                    snapshot.into(),
                ]);
            }
            let into = "INSERT INTO audit (at, principal, operation, project, resource, request_id, snapshot)";
            self.run(insert(into, rows)).await?;
        }
        Ok(())
    }

    async fn latest(&mut self, project: &ProjectId, limit: u32) -> Result<Vec<AuditEntry>, StoreError> {
        let statement =
            sql("SELECT a.at, a.principal, a.operation, p.id AS project, a.resource, a.request_id, a.snapshot
               FROM audit a JOIN projects p ON p.id_key = a.project
              WHERE a.project = $1
              ORDER BY a.entry DESC LIMIT $2")
            .bind(project.folded())
            .bind(i64::from(limit));
        self.all(statement).await?.iter().map(rows::audit_entry).collect()
    }
}
