//! The audit log. Entries are added, never changed.

use async_trait::async_trait;
use gadwall_domain::audit::AuditEntry;
use gadwall_domain::names::ProjectId;
use gadwall_domain::ports::metadata::{AuditLog, StoreError};
use sqlx::{QueryBuilder, Sqlite};

use crate::rows::{self, micros, number};
use crate::tx::SqliteTx;

/// Entries in one statement. Many come together, from commits that hold many writes.
const AT_ONCE: usize = 100;

#[async_trait]
impl AuditLog for SqliteTx {
    async fn append(&mut self, entries: &[AuditEntry]) -> Result<(), StoreError> {
        for some in entries.chunks(AT_ONCE) {
            let mut values = Vec::with_capacity(some.len());
            for entry in some {
                values.push((entry, entry.snapshot.map(|snapshot| number("snapshot", snapshot.get())).transpose()?));
            }
            let mut statement = QueryBuilder::<Sqlite>::new(
                "INSERT INTO audit (at, principal, operation, project, resource, request_id, snapshot) ",
            );
            statement.push_values(values, |mut row, (entry, snapshot)| {
                row.push_bind(micros(entry.at))
                    .push_bind(entry.principal.as_str())
                    .push_bind(entry.operation.as_str())
                    .push_bind(entry.project.folded())
                    .push_bind(entry.resource.as_str())
                    .push_bind(entry.request_id.as_str())
                    .push_bind(snapshot);
            });
            self.run(statement.build()).await?;
        }
        Ok(())
    }

    async fn latest(&mut self, project: &ProjectId, limit: u32) -> Result<Vec<AuditEntry>, StoreError> {
        let statement = sqlx::query(
            "SELECT a.at, a.principal, a.operation, p.id AS project, a.resource, a.request_id, a.snapshot
               FROM audit a JOIN projects p ON p.id_key = a.project
              WHERE a.project = $1
              ORDER BY a.entry DESC LIMIT $2",
        )
        .bind(project.folded())
        .bind(i64::from(limit));
        self.all(statement).await?.iter().map(rows::audit_entry).collect()
    }
}
