//! What projects want of their maintenance, and when they have it next.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use gadwall_domain::names::ProjectId;
use gadwall_domain::ports::maintenance::{KeptMaintenance, MaintenanceRepository};
use gadwall_domain::ports::metadata::StoreError;

use crate::rows::{self, micros, to_json};
use crate::statement::sql;
use crate::tx::SqlTx;

#[async_trait]
impl MaintenanceRepository for SqlTx {
    async fn find(&mut self, project: &ProjectId) -> Result<KeptMaintenance, StoreError> {
        let statement = sql("SELECT * FROM maintenance WHERE project = $1").bind(project.folded());
        let found = self.find_row(statement).await?.as_ref().map(rows::maintenance).transpose()?;
        Ok(found.unwrap_or_default())
    }

    async fn put(&mut self, project: &ProjectId, kept: &KeptMaintenance) -> Result<(), StoreError> {
        let KeptMaintenance { changes, is_paused, next_at, ending } = kept;
        let statement = sql("INSERT INTO maintenance (project, policy, is_paused, next_at, ending)
             VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (project) DO UPDATE
               SET policy = excluded.policy, is_paused = excluded.is_paused, next_at = excluded.next_at, ending = excluded.ending")
        .bind(project.folded())
        .bind(to_json("policy", changes)?)
        .bind(i64::from(*is_paused))
        .bind(next_at.map(micros))
        .bind(to_json("ending", ending)?);
        self.run(statement).await.map(drop)
    }

    async fn due(&mut self, now: DateTime<Utc>, limit: u32) -> Result<Vec<ProjectId>, StoreError> {
        let statement = sql("SELECT p.id FROM projects p LEFT JOIN maintenance m ON m.project = p.id_key
              WHERE p.status = 'active' AND coalesce(m.is_paused, 0) = 0 AND coalesce(m.next_at, 0) <= $1
              ORDER BY coalesce(m.next_at, 0), p.id_key LIMIT $2")
        .bind(micros(now))
        .bind(i64::from(limit));
        self.all(statement).await?.iter().map(|row| rows::parsed(row, "id", ProjectId::parse)).collect()
    }

    async fn clear(&mut self, project: &ProjectId) -> Result<(), StoreError> {
        self.run(sql("DELETE FROM maintenance WHERE project = $1").bind(project.folded())).await.map(drop)
    }
}
