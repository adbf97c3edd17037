//! Who follows the changes of tables, by folded names.

use async_trait::async_trait;
use gadwall_domain::live::ChangeConsumer;
use gadwall_domain::names::{ConsumerName, ProjectId};
use gadwall_domain::ports::events::ChangeConsumers;
use gadwall_domain::ports::metadata::StoreError;
use gadwall_domain::table::TableRef;

use crate::rows::{self, micros, number};
use crate::statement::sql;
use crate::tx::SqlTx;

const PUT: &str = "INSERT INTO change_consumers
       (project, bucket_key, table_key, name_key, bucket, table_name, name, snapshot, created_at, moved_at)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
     ON CONFLICT (project, bucket_key, table_key, name_key)
     DO UPDATE SET snapshot = excluded.snapshot, moved_at = excluded.moved_at";

#[async_trait]
impl ChangeConsumers for SqlTx {
    async fn put(&mut self, consumer: &ChangeConsumer) -> Result<(), StoreError> {
        let ChangeConsumer { project, table, name, snapshot, created_at, moved_at } = consumer;
        let statement = sql(PUT)
            .bind(project.folded())
            .bind(table.bucket.folded())
            .bind(table.table.folded())
            .bind(name.folded())
            .bind(table.bucket.as_str())
            .bind(table.table.as_str())
            .bind(name.as_str())
            .bind(number("snapshot", snapshot.get())?)
            .bind(micros(*created_at))
            .bind(micros(*moved_at));
        self.run(statement).await.map(drop)
    }

    async fn find(
        &mut self,
        project: &ProjectId,
        table: &TableRef,
        name: &ConsumerName,
    ) -> Result<Option<ChangeConsumer>, StoreError> {
        let statement =
            sql("SELECT c.*, p.id AS project_id FROM change_consumers c JOIN projects p ON p.id_key = c.project
              WHERE c.project = $1 AND c.bucket_key = $2 AND c.table_key = $3 AND c.name_key = $4")
            .bind(project.folded())
            .bind(table.bucket.folded())
            .bind(table.table.folded())
            .bind(name.folded());
        self.find_row(statement).await?.as_ref().map(rows::consumer).transpose()
    }

    async fn list(&mut self, project: &ProjectId) -> Result<Vec<ChangeConsumer>, StoreError> {
        let statement =
            sql("SELECT c.*, p.id AS project_id FROM change_consumers c JOIN projects p ON p.id_key = c.project
              WHERE c.project = $1 ORDER BY c.bucket_key, c.table_key, c.name_key")
            .bind(project.folded());
        self.all(statement).await?.iter().map(rows::consumer).collect()
    }

    async fn remove(&mut self, project: &ProjectId, table: &TableRef, name: &ConsumerName) -> Result<bool, StoreError> {
        let statement = sql("DELETE FROM change_consumers
              WHERE project = $1 AND bucket_key = $2 AND table_key = $3 AND name_key = $4")
        .bind(project.folded())
        .bind(table.bucket.folded())
        .bind(table.table.folded())
        .bind(name.folded());
        Ok(self.run(statement).await? > 0)
    }

    async fn clear(&mut self, project: &ProjectId) -> Result<(), StoreError> {
        self.run(sql("DELETE FROM change_consumers WHERE project = $1").bind(project.folded())).await.map(drop)
    }
}
