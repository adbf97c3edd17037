//! Requests that may be repeated: one row for each caller's key.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use gadwall_domain::idempotency::StoredAnswer;
use gadwall_domain::ports::metadata::{Begun, IdempotencyRepository, StoreError};
use uuid::Uuid;

use crate::rows::{self, micros, to_json};
use crate::statement::sql;
use crate::tx::SqlTx;

pub(crate) const FORGET_BEFORE: &str = "DELETE FROM idempotency WHERE created_at < $1";

#[async_trait]
impl IdempotencyRepository for SqlTx {
    async fn begin(
        &mut self,
        caller: &str,
        key: &str,
        instance: Uuid,
        now: DateTime<Utc>,
        alive_since: DateTime<Utc>,
    ) -> Result<Begun, StoreError> {
        // One statement decides: of two at once, one touches the row and the other finds it taken.
        let statement =
            sql("INSERT INTO idempotency (caller, idempotency_key, instance, created_at) VALUES ($1, $2, $3, $4)
             ON CONFLICT (caller, idempotency_key) DO UPDATE SET instance = excluded.instance
              WHERE idempotency.status IS NULL AND idempotency.instance <> excluded.instance
                AND NOT EXISTS (SELECT 1 FROM instances
                                 WHERE instances.id = idempotency.instance AND instances.last_seen >= $5)")
            .bind(caller)
            .bind(key)
            .bind(instance.to_string())
            .bind(micros(now))
            .bind(micros(alive_since));
        if self.run(statement).await? > 0 {
            return Ok(Begun::Now);
        }
        let statement =
            sql("SELECT * FROM idempotency WHERE caller = $1 AND idempotency_key = $2").bind(caller).bind(key);
        rows::idempotency_record(&self.one(statement).await?).map(Begun::Before)
    }

    async fn answer(
        &mut self,
        caller: &str,
        key: &str,
        fingerprint: &str,
        answer: &StoredAnswer,
    ) -> Result<bool, StoreError> {
        let statement = sql("UPDATE idempotency SET status = $3, fingerprint = $4, headers = $5, body = $6
              WHERE caller = $1 AND idempotency_key = $2 AND status IS NULL")
        .bind(caller)
        .bind(key)
        .bind(i64::from(answer.status))
        .bind(fingerprint)
        .bind(to_json("headers", &answer.headers)?)
        .bind(answer.body.as_slice());
        Ok(self.run(statement).await? > 0)
    }

    async fn forget(&mut self, caller: &str, key: &str) -> Result<(), StoreError> {
        let statement = sql("DELETE FROM idempotency WHERE caller = $1 AND idempotency_key = $2 AND status IS NULL")
            .bind(caller)
            .bind(key);
        self.run(statement).await.map(drop)
    }

    async fn forget_before(&mut self, before: DateTime<Utc>) -> Result<u64, StoreError> {
        self.run(sql(FORGET_BEFORE).bind(micros(before))).await
    }
}
