//! The servers that share the database: one row for each life of a process.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use gadwall_domain::instance::Instance;
use gadwall_domain::ports::metadata::{InstanceRepository, StoreError};
use uuid::Uuid;

use crate::rows::{self, micros};
use crate::statement::sql;
use crate::tx::SqlTx;

#[async_trait]
impl InstanceRepository for SqlTx {
    async fn renew(&mut self, id: Uuid, now: DateTime<Utc>) -> Result<(), StoreError> {
        let statement = sql("INSERT INTO instances (id, started_at, last_seen) VALUES ($1, $2, $2)
             ON CONFLICT (id) DO UPDATE SET last_seen = excluded.last_seen")
        .bind(id.to_string())
        .bind(micros(now));
        self.run(statement).await.map(drop)
    }

    async fn list(&mut self) -> Result<Vec<Instance>, StoreError> {
        let statement = sql("SELECT * FROM instances ORDER BY started_at, id");
        self.all(statement).await?.iter().map(rows::instance).collect()
    }

    async fn remove(&mut self, id: Uuid, unless_seen_since: DateTime<Utc>) -> Result<bool, StoreError> {
        let statement = sql("DELETE FROM instances WHERE id = $1 AND last_seen < $2")
            .bind(id.to_string())
            .bind(micros(unless_seen_since));
        Ok(self.run(statement).await? > 0)
    }
}
