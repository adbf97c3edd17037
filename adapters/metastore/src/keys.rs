//! API keys, by digest. The secret itself is never here.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use gadwall_domain::access::{ApiKey, KeyDigest, Scope};
use gadwall_domain::names::{BucketName, ProjectId};
use gadwall_domain::ports::metadata::{ApiKeyRepository, StoreError};

use crate::rows::{self, micros};
use crate::statement::sql;
use crate::tx::SqlTx;

#[async_trait]
impl ApiKeyRepository for SqlTx {
    async fn insert(&mut self, key: &ApiKey) -> Result<(), StoreError> {
        let scopes: Vec<&str> = key.scopes.iter().copied().map(Scope::as_str).collect();
        let statement =
            sql("INSERT INTO api_keys (id, project, name, scopes, bucket, digest, created_at, expires_at, revoked_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)")
            .bind(key.id.to_string())
            .bind(key.project.folded())
            .bind(key.name.as_str())
            .bind(scopes.join(" "))
            .bind(key.bucket.as_ref().map(BucketName::as_str))
            .bind(key.digest.0.as_slice())
            .bind(micros(key.created_at))
            .bind(key.expires_at.map(micros))
            .bind(key.revoked_at.map(micros));
        self.run(statement).await.map(drop)
    }

    async fn find_by_digest(&mut self, digest: &KeyDigest) -> Result<Option<ApiKey>, StoreError> {
        let statement =
            sql("SELECT k.id, p.id AS project, k.name, k.scopes, k.bucket, k.digest, k.created_at, k.expires_at,
                    k.revoked_at
               FROM api_keys k JOIN projects p ON p.id_key = k.project
              WHERE k.digest = $1")
            .bind(digest.0.as_slice());
        self.find_row(statement).await?.as_ref().map(rows::api_key).transpose()
    }

    async fn revoke_all(&mut self, project: &ProjectId, at: DateTime<Utc>) -> Result<u64, StoreError> {
        let statement = sql("UPDATE api_keys SET revoked_at = $2 WHERE project = $1 AND revoked_at IS NULL")
            .bind(project.folded())
            .bind(micros(at));
        self.run(statement).await
    }
}
