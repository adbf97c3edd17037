//! API keys. The secret itself is never here.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use gadwall_domain::access::{ApiKey, KeyDigest, ReplacedSecret, Scope};
use gadwall_domain::ids::ApiKeyId;
use gadwall_domain::names::{BucketName, ProjectId};
use gadwall_domain::ports::metadata::{ApiKeyRepository, KeyFilter, StoreError};

use crate::rows::{self, micros};
use crate::statement::{sql, with_rows};
use crate::tx::SqlTx;

/// Keys in one statement.
const AT_ONCE: usize = 500;
/// Sorts after every id.
const PAST_ALL_IDS: &str = "g";

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT k.id, p.id AS project, k.name, k.scopes, k.bucket, k.digest, k.created_at, k.expires_at, k.revoked_at,
                    k.created_by, k.last_used_at, k.replaced_digest, k.replaced_until, k.request_digest
               FROM api_keys k JOIN projects p ON p.id_key = k.project
              WHERE ",
            $rest
        )
    };
}

fn replaced_digest(key: &ApiKey) -> Option<&[u8]> {
    key.replaced.as_ref().map(|replaced| replaced.digest.0.as_slice())
}

fn replaced_until(key: &ApiKey) -> Option<i64> {
    key.replaced.as_ref().map(|ReplacedSecret { until, .. }| micros(*until))
}

#[async_trait]
impl ApiKeyRepository for SqlTx {
    async fn insert(&mut self, key: &ApiKey) -> Result<(), StoreError> {
        let scopes: Vec<&str> = key.scopes.iter().copied().map(Scope::as_str).collect();
        let statement =
            sql("INSERT INTO api_keys (id, project, name, scopes, bucket, digest, created_at, expires_at, revoked_at,
                                   created_by, last_used_at, replaced_digest, replaced_until, request_digest)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)")
            .bind(key.id.to_string())
            .bind(key.project.folded())
            .bind(key.name.as_str())
            .bind(scopes.join(" "))
            .bind(key.bucket.as_ref().map(BucketName::as_str))
            .bind(key.digest.0.as_slice())
            .bind(micros(key.created_at))
            .bind(key.expires_at.map(micros))
            .bind(key.revoked_at.map(micros))
            .bind(key.created_by.as_str())
            .bind(key.last_used_at.map(micros))
            .bind(replaced_digest(key))
            .bind(replaced_until(key))
            .bind(key.request_digest.as_deref());
        self.run(statement).await.map(drop)
    }

    async fn find_by_digest(&mut self, digest: &KeyDigest) -> Result<Option<ApiKey>, StoreError> {
        let statement =
            sql(select!("(k.digest = $1 OR k.replaced_digest = $1) AND p.status = 'active'")).bind(digest.0.as_slice());
        self.find_row(statement).await?.as_ref().map(rows::api_key).transpose()
    }

    async fn find(&mut self, project: &ProjectId, id: ApiKeyId) -> Result<Option<ApiKey>, StoreError> {
        let statement = sql(select!("k.id = $1 AND k.project = $2")).bind(id.to_string()).bind(project.folded());
        self.find_row(statement).await?.as_ref().map(rows::api_key).transpose()
    }

    async fn find_by_request(&mut self, project: &ProjectId, digest: &str) -> Result<Option<ApiKey>, StoreError> {
        let statement = sql(select!("k.project = $1 AND k.request_digest = $2 ORDER BY k.id DESC LIMIT 1"))
            .bind(project.folded())
            .bind(digest);
        self.find_row(statement).await?.as_ref().map(rows::api_key).transpose()
    }

    async fn list(&mut self, project: &ProjectId, filter: KeyFilter) -> Result<Vec<ApiKey>, StoreError> {
        let statement = sql(select!("k.project = $1 AND k.id < $2 ORDER BY k.id DESC LIMIT $3"))
            .bind(project.folded())
            .bind(filter.after.map_or_else(|| PAST_ALL_IDS.to_owned(), |id| id.to_string()))
            .bind(i64::from(filter.limit));
        self.all(statement).await?.iter().map(rows::api_key).collect()
    }

    async fn update(&mut self, key: &ApiKey) -> Result<bool, StoreError> {
        let statement = sql("UPDATE api_keys
                SET digest = $3, replaced_digest = $4, replaced_until = $5, request_digest = $6, revoked_at = $7
              WHERE id = $1 AND project = $2")
        .bind(key.id.to_string())
        .bind(key.project.folded())
        .bind(key.digest.0.as_slice())
        .bind(replaced_digest(key))
        .bind(replaced_until(key))
        .bind(key.request_digest.as_deref())
        .bind(key.revoked_at.map(micros));
        Ok(self.run(statement).await? > 0)
    }

    async fn record_uses(&mut self, uses: &[(ApiKeyId, DateTime<Utc>)]) -> Result<(), StoreError> {
        for some in uses.chunks(AT_ONCE) {
            let rows = some.iter().map(|(id, at)| [id.to_string().into(), micros(*at).into()]).collect();
            let statement = with_rows(
                "UPDATE api_keys SET last_used_at = used.column2 FROM (",
                rows,
                ") AS used WHERE api_keys.id = used.column1
                     AND (api_keys.last_used_at IS NULL OR api_keys.last_used_at < used.column2)",
            );
            self.run(statement).await?;
        }
        Ok(())
    }

    async fn revoke_all(&mut self, project: &ProjectId, at: DateTime<Utc>) -> Result<u64, StoreError> {
        let statement = sql("UPDATE api_keys SET revoked_at = $2 WHERE project = $1 AND revoked_at IS NULL")
            .bind(project.folded())
            .bind(micros(at));
        self.run(statement).await
    }
}
