//! The audit log. Entries are added, never changed.

use async_trait::async_trait;
use gadwall_domain::audit::AuditEntry;
use gadwall_domain::ids::SnapshotId;
use gadwall_domain::names::ProjectId;
use gadwall_domain::ports::metadata::{AuditLog, StoreError};

use crate::rows::{self, micros, number};
use crate::tx::SqliteTx;

#[async_trait]
impl AuditLog for SqliteTx {
    async fn append(&mut self, entries: &[AuditEntry]) -> Result<(), StoreError> {
        for entry in entries {
            let snapshot = entry.snapshot.map(SnapshotId::get);
            let statement = sqlx::query(
                "INSERT INTO audit (at, principal, operation, project, resource, request_id, snapshot)
                 VALUES ($1, $2, $3, $4, $5, $6, $7)",
            )
            .bind(micros(entry.at))
            .bind(entry.principal.as_str())
            .bind(entry.operation.as_str())
            .bind(entry.project.folded())
            .bind(entry.resource.as_str())
            .bind(entry.request_id.as_str())
            .bind(snapshot.map(|snapshot| number("snapshot", snapshot)).transpose()?);
            self.run(statement).await?;
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
