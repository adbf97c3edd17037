//! The index of the lakes' commits: what holds now, and since and until when what was held.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use gadwall_domain::commit::{Change, Commit};
use gadwall_domain::history::ReadAt;
use gadwall_domain::ids::{ApiKeyId, SnapshotId};
use gadwall_domain::names::{BucketName, ColumnName, ProjectId};
use gadwall_domain::ports::metadata::{BucketFacts, KeyedWrite, LakeIndex, StoreError, TableFacts};
use gadwall_domain::schema::Column;
use gadwall_domain::table::TableRef;

use crate::rows::{self, micros, number, to_json};
use crate::tx::SqliteTx;

/// Ends what holds of a bucket, or of the tables in it. What began in the same snapshot never held.
const END_BUCKET: [&str; 4] = [
    "DELETE FROM bucket_facts WHERE project = $1 AND begin_snapshot = $2 AND end_snapshot IS NULL AND bucket_key = $3",
    "UPDATE bucket_facts SET end_snapshot = $2 WHERE project = $1 AND end_snapshot IS NULL AND bucket_key = $3",
    "DELETE FROM table_facts WHERE project = $1 AND begin_snapshot = $2 AND end_snapshot IS NULL AND bucket_key = $3",
    "UPDATE table_facts SET end_snapshot = $2 WHERE project = $1 AND end_snapshot IS NULL AND bucket_key = $3",
];
/// Ends what holds of a table.
const END_TABLE: [&str; 2] = [
    "DELETE FROM table_facts
      WHERE project = $1 AND begin_snapshot = $2 AND end_snapshot IS NULL AND bucket_key = $3 AND table_key = $4",
    "UPDATE table_facts SET end_snapshot = $2
      WHERE project = $1 AND end_snapshot IS NULL AND bucket_key = $3 AND table_key = $4",
];
const FORGET: [&str; 3] = [
    "DELETE FROM table_facts WHERE project = $1",
    "DELETE FROM bucket_facts WHERE project = $1",
    "DELETE FROM lake_applied WHERE project = $1",
];

/// Where in a project's history a change stands.
struct At<'a> {
    project: &'a str,
    snapshot: i64,
    time: DateTime<Utc>,
}

#[async_trait]
impl LakeIndex for SqliteTx {
    async fn applied(&mut self, project: &ProjectId) -> Result<SnapshotId, StoreError> {
        let statement = sqlx::query("SELECT snapshot FROM lake_applied WHERE project = $1").bind(project.folded());
        let found = self.find_row(statement).await?;
        found.map_or(Ok(SnapshotId::ZERO), |row| rows::snapshot(&row, "snapshot"))
    }

    async fn apply(&mut self, project: &ProjectId, commit: &Commit) -> Result<bool, StoreError> {
        let project = project.folded();
        let snapshot = number("snapshot", commit.snapshot.get())?;
        let at = At { project: &project, snapshot, time: commit.committed_at };
        if commit.snapshot == SnapshotId::ZERO || !self.advance(&at).await? {
            return Ok(false);
        }
        for write in &commit.writes {
            self.apply_change(&at, &write.change).await?;
        }
        Ok(true)
    }

    async fn tables(
        &mut self,
        project: &ProjectId,
        bucket: Option<&BucketName>,
        _: ReadAt,
    ) -> Result<Vec<TableFacts>, StoreError> {
        let statement = sqlx::query(
            "SELECT bucket, table_name, columns, primary_key, created_at FROM table_facts
              WHERE project = $1 AND end_snapshot IS NULL AND bucket_key = coalesce($2, bucket_key)
              ORDER BY bucket_key, table_key",
        )
        .bind(project.folded())
        .bind(bucket.map(BucketName::folded));
        self.all(statement).await?.iter().map(rows::table_facts).collect()
    }

    async fn table(
        &mut self,
        project: &ProjectId,
        table: &TableRef,
        _: ReadAt,
    ) -> Result<Option<TableFacts>, StoreError> {
        let statement = sqlx::query(
            "SELECT bucket, table_name, columns, primary_key, created_at FROM table_facts
              WHERE project = $1 AND end_snapshot IS NULL AND bucket_key = $2 AND table_key = $3",
        )
        .bind(project.folded())
        .bind(table.bucket.folded())
        .bind(table.table.folded());
        self.find_row(statement).await?.as_ref().map(rows::table_facts).transpose()
    }

    async fn buckets(&mut self, project: &ProjectId, _: ReadAt) -> Result<Vec<BucketFacts>, StoreError> {
        let statement = sqlx::query(
            "SELECT bucket, description FROM bucket_facts WHERE project = $1 AND end_snapshot IS NULL
              ORDER BY bucket_key",
        )
        .bind(project.folded());
        self.all(statement).await?.iter().map(rows::bucket_facts).collect()
    }

    async fn write_of_key(
        &mut self,
        _: &ProjectId,
        _: Option<ApiKeyId>,
        _: &str,
    ) -> Result<Option<KeyedWrite>, StoreError> {
        Ok(None)
    }

    async fn forget_keys(&mut self, _: DateTime<Utc>) -> Result<u64, StoreError> {
        Ok(0)
    }

    async fn clear(&mut self, project: &ProjectId) -> Result<(), StoreError> {
        for statement in FORGET {
            self.run(sqlx::query(statement).bind(project.folded())).await?;
        }
        Ok(())
    }
}

impl SqliteTx {
    /// Moves on to the snapshot; `false` if the index was there already.
    async fn advance(&mut self, at: &At<'_>) -> Result<bool, StoreError> {
        let statement = sqlx::query(
            "INSERT INTO lake_applied (project, snapshot) VALUES ($1, $2)
             ON CONFLICT (project) DO UPDATE SET snapshot = excluded.snapshot
              WHERE lake_applied.snapshot < excluded.snapshot",
        )
        .bind(at.project)
        .bind(at.snapshot);
        Ok(self.run(statement).await? > 0)
    }

    async fn apply_change(&mut self, at: &At<'_>, change: &Change) -> Result<(), StoreError> {
        match change {
            Change::BucketCreated { bucket, description } => {
                // Something else may have dropped one of that name without saying so.
                self.end_bucket(at, bucket).await?;
                self.begin_bucket(at, bucket, description.as_deref()).await
            }
            Change::BucketDropped { bucket } => self.end_bucket(at, bucket).await,
            Change::TableCreated { table, columns, primary_key, .. } => {
                self.end_table(at, table).await?;
                self.begin_table(at, table, columns, primary_key).await
            }
            Change::TableDropped { table } => self.end_table(at, table).await,
            _ => Ok(()),
        }
    }

    async fn begin_bucket(
        &mut self,
        at: &At<'_>,
        bucket: &BucketName,
        description: Option<&str>,
    ) -> Result<(), StoreError> {
        let statement = sqlx::query(
            "INSERT INTO bucket_facts (project, bucket_key, begin_snapshot, bucket, description)
             VALUES ($1, $2, $3, $4, $5)",
        )
        .bind(at.project)
        .bind(bucket.folded())
        .bind(at.snapshot)
        .bind(bucket.as_str())
        .bind(description);
        self.run(statement).await.map(drop)
    }

    async fn begin_table(
        &mut self,
        at: &At<'_>,
        table: &TableRef,
        columns: &[Column],
        primary_key: &[ColumnName],
    ) -> Result<(), StoreError> {
        let statement = sqlx::query(
            "INSERT INTO table_facts (project, bucket_key, table_key, begin_snapshot, bucket, table_name, columns,
                                      primary_key, created_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        )
        .bind(at.project)
        .bind(table.bucket.folded())
        .bind(table.table.folded())
        .bind(at.snapshot)
        .bind(table.bucket.as_str())
        .bind(table.table.as_str())
        .bind(to_json("columns", columns)?)
        .bind(to_json("primary_key", primary_key)?)
        .bind(micros(at.time));
        self.run(statement).await.map(drop)
    }

    async fn end_bucket(&mut self, at: &At<'_>, bucket: &BucketName) -> Result<(), StoreError> {
        for statement in END_BUCKET {
            self.run(sqlx::query(statement).bind(at.project).bind(at.snapshot).bind(bucket.folded())).await?;
        }
        Ok(())
    }

    async fn end_table(&mut self, at: &At<'_>, table: &TableRef) -> Result<(), StoreError> {
        let (bucket, name) = (table.bucket.folded(), table.table.folded());
        for statement in END_TABLE {
            let statement = sqlx::query(statement).bind(at.project).bind(at.snapshot).bind(&bucket).bind(&name);
            self.run(statement).await?;
        }
        Ok(())
    }
}
