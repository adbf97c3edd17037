//! The index of the lakes' commits: what holds, and since and until when what was held.

mod apply;
mod facts;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use gadwall_domain::commit::Commit;
use gadwall_domain::history::ReadAt;
use gadwall_domain::ids::{CallerId, SnapshotId};
use gadwall_domain::names::{BucketName, ProjectId};
use gadwall_domain::ports::metadata::{BucketFacts, KeyedWrite, LakeIndex, StoreError, TableFacts};
use gadwall_domain::table::TableRef;

pub(crate) use apply::At;

use crate::rows::{self, micros, number};
use crate::statement::sql;
use crate::tx::SqlTx;

/// What holds now and what ended later, apart: each half has an index of its own.
pub(crate) const TABLES: &str = "
    SELECT bucket_key, table_key, bucket, table_name, columns, primary_key, created_at FROM table_facts
     WHERE project = $1 AND end_snapshot IS NULL AND begin_snapshot <= $2 AND bucket_key = coalesce($3, bucket_key)
     UNION ALL
    SELECT bucket_key, table_key, bucket, table_name, columns, primary_key, created_at FROM table_facts
     WHERE project = $1 AND end_snapshot > $2 AND begin_snapshot <= $2 AND bucket_key = coalesce($3, bucket_key)
     ORDER BY bucket_key, table_key";
pub(crate) const FORGET_KEYS: &str = "DELETE FROM keyed_writes WHERE committed_at < $1";
const FORGET: [&str; 6] = [
    "DELETE FROM contract_results WHERE project = $1",
    "DELETE FROM contracts WHERE project = $1",
    "DELETE FROM table_facts WHERE project = $1",
    "DELETE FROM bucket_facts WHERE project = $1",
    "DELETE FROM keyed_writes WHERE project = $1",
    "DELETE FROM lake_applied WHERE project = $1",
];

#[async_trait]
impl LakeIndex for SqlTx {
    async fn applied(&mut self, project: &ProjectId) -> Result<SnapshotId, StoreError> {
        let statement = sql("SELECT snapshot FROM lake_applied WHERE project = $1").bind(project.folded());
        let found = self.find_row(statement).await?;
        found.map_or(Ok(SnapshotId::ZERO), |row| rows::snapshot(&row, "snapshot"))
    }

    async fn is_in_use(&mut self, project: &ProjectId) -> Result<bool, StoreError> {
        let statement = sql("SELECT 1 FROM projects WHERE id_key = $1 AND status = 'active'").bind(project.folded());
        Ok(self.find_row(statement).await?.is_some())
    }

    async fn apply(&mut self, project: &ProjectId, commit: &Commit) -> Result<bool, StoreError> {
        self.apply_commit(&project.folded(), commit).await
    }

    async fn tables(
        &mut self,
        project: &ProjectId,
        bucket: Option<&BucketName>,
        at: ReadAt,
    ) -> Result<Vec<TableFacts>, StoreError> {
        let statement = sql(TABLES).bind(project.folded()).bind(version(at)?).bind(bucket.map(BucketName::folded));
        self.all(statement).await?.iter().map(rows::table_facts).collect()
    }

    async fn table(
        &mut self,
        project: &ProjectId,
        table: &TableRef,
        at: ReadAt,
    ) -> Result<Option<TableFacts>, StoreError> {
        self.table_at(&project.folded(), table, version(at)?).await
    }

    async fn buckets(&mut self, project: &ProjectId, at: ReadAt) -> Result<Vec<BucketFacts>, StoreError> {
        let statement = sql("SELECT bucket, description FROM bucket_facts
              WHERE project = $1 AND begin_snapshot <= $2 AND (end_snapshot IS NULL OR end_snapshot > $2)
              ORDER BY bucket_key")
        .bind(project.folded())
        .bind(version(at)?);
        self.all(statement).await?.iter().map(rows::bucket_facts).collect()
    }

    async fn write_of_key(
        &mut self,
        project: &ProjectId,
        key_id: Option<&CallerId>,
        key: &str,
    ) -> Result<Option<KeyedWrite>, StoreError> {
        let statement = sql("SELECT snapshot, record FROM keyed_writes
              WHERE project = $1 AND key_id = $2 AND idempotency_key = $3
              ORDER BY snapshot, write_number LIMIT 1")
        .bind(project.folded())
        .bind(key_owner(key_id))
        .bind(key);
        self.find_row(statement).await?.as_ref().map(rows::keyed_write).transpose()
    }

    async fn forget_keys(&mut self, before: DateTime<Utc>) -> Result<u64, StoreError> {
        self.run(sql(FORGET_KEYS).bind(micros(before))).await
    }

    async fn clear(&mut self, project: &ProjectId) -> Result<(), StoreError> {
        for statement in FORGET {
            self.run(sql(statement).bind(project.folded())).await?;
        }
        Ok(())
    }
}

/// The version to compare with. What holds now has no end, so the newest version is any late enough.
fn version(at: ReadAt) -> Result<i64, StoreError> {
    match at {
        ReadAt::Head => Ok(i64::MAX),
        ReadAt::Snapshot(snapshot) => number("snapshot", snapshot.get()),
    }
}

/// Whose idempotency key it is, as stored: the caller, or nothing for an admin's key.
fn key_owner(key_id: Option<&CallerId>) -> String {
    key_id.map(ToString::to_string).unwrap_or_default()
}
