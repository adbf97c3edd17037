//! Facts as rows: they begin in one snapshot and end in another. What began in the snapshot that ends it never held.

use gadwall_domain::names::BucketName;
use gadwall_domain::ports::metadata::{StoreError, TableFacts};
use gadwall_domain::table::TableRef;

use super::apply::At;
use crate::rows::{self, micros, to_json};
use crate::statement::sql;
use crate::tx::SqlTx;

/// Ends what holds of a bucket and of the tables in it.
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

impl SqlTx {
    /// What holds of a table in a version.
    pub(super) async fn table_at(
        &mut self,
        project: &str,
        table: &TableRef,
        version: i64,
    ) -> Result<Option<TableFacts>, StoreError> {
        // At most one row holds. It is the last to begin, so that older ones aren't looked at.
        let statement = sql("SELECT bucket, table_name, columns, primary_key, created_at FROM table_facts
              WHERE project = $1 AND bucket_key = $2 AND table_key = $3
                AND begin_snapshot <= $4 AND (end_snapshot IS NULL OR end_snapshot > $4)
              ORDER BY begin_snapshot DESC LIMIT 1")
        .bind(project)
        .bind(table.bucket.folded())
        .bind(table.table.folded())
        .bind(version);
        self.find_row(statement).await?.as_ref().map(rows::table_facts).transpose()
    }

    pub(super) async fn begin_bucket(
        &mut self,
        at: &At<'_>,
        bucket: &BucketName,
        description: Option<&str>,
    ) -> Result<(), StoreError> {
        let statement = sql("INSERT INTO bucket_facts (project, bucket_key, begin_snapshot, bucket, description)
             VALUES ($1, $2, $3, $4, $5)")
        .bind(at.project)
        .bind(bucket.folded())
        .bind(at.snapshot)
        .bind(bucket.as_str())
        .bind(description);
        self.run(statement).await.map(drop)
    }

    pub(super) async fn begin_table(&mut self, at: &At<'_>, facts: &TableFacts) -> Result<(), StoreError> {
        let TableFacts { table, columns, primary_key, created_at } = facts;
        let statement =
            sql("INSERT INTO table_facts (project, bucket_key, table_key, begin_snapshot, bucket, table_name, columns,
                                      primary_key, created_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)")
            .bind(at.project)
            .bind(table.bucket.folded())
            .bind(table.table.folded())
            .bind(at.snapshot)
            .bind(table.bucket.as_str())
            .bind(table.table.as_str())
            .bind(to_json("columns", columns)?)
            .bind(to_json("primary_key", primary_key)?)
            .bind(micros(*created_at));
        self.run(statement).await.map(drop)
    }

    pub(super) async fn end_bucket(&mut self, at: &At<'_>, bucket: &BucketName) -> Result<(), StoreError> {
        for statement in END_BUCKET {
            self.run(sql(statement).bind(at.project).bind(at.snapshot).bind(bucket.folded())).await?;
        }
        Ok(())
    }

    pub(super) async fn end_table(&mut self, at: &At<'_>, table: &TableRef) -> Result<(), StoreError> {
        let (bucket, name) = (table.bucket.folded(), table.table.folded());
        for statement in END_TABLE {
            let statement = sql(statement).bind(at.project).bind(at.snapshot).bind(bucket.as_str()).bind(name.as_str());
            self.run(statement).await?;
        }
        Ok(())
    }
}
