//! Named snapshots, unique in a project by folded name.

use async_trait::async_trait;
use gadwall_domain::history::Tag;
use gadwall_domain::names::{ProjectId, TagName};
use gadwall_domain::ports::metadata::{StoreError, TagRepository};

use crate::rows::{self, micros, number};
use crate::statement::sql;
use crate::tx::SqlTx;

#[async_trait]
impl TagRepository for SqlTx {
    async fn insert(&mut self, tag: &Tag) -> Result<(), StoreError> {
        let statement = sql("INSERT INTO tags (project, name_key, name, snapshot, description, created_at, created_by)
             VALUES ($1, $2, $3, $4, $5, $6, $7)")
        .bind(tag.project.folded())
        .bind(tag.name.folded())
        .bind(tag.name.as_str())
        .bind(number("snapshot", tag.snapshot.get())?)
        .bind(tag.description.as_deref())
        .bind(micros(tag.created_at))
        .bind(tag.created_by.as_str());
        self.run(statement).await.map(drop)
    }

    async fn find(&mut self, project: &ProjectId, name: &TagName) -> Result<Option<Tag>, StoreError> {
        let statement = sql("SELECT p.id AS project, t.name, t.snapshot, t.description, t.created_at, t.created_by
               FROM tags t JOIN projects p ON p.id_key = t.project
              WHERE t.project = $1 AND t.name_key = $2")
        .bind(project.folded())
        .bind(name.folded());
        self.find_row(statement).await?.as_ref().map(rows::tag).transpose()
    }

    async fn list(&mut self, project: &ProjectId) -> Result<Vec<Tag>, StoreError> {
        let statement = sql("SELECT p.id AS project, t.name, t.snapshot, t.description, t.created_at, t.created_by
               FROM tags t JOIN projects p ON p.id_key = t.project
              WHERE t.project = $1 ORDER BY t.name_key")
        .bind(project.folded());
        self.all(statement).await?.iter().map(rows::tag).collect()
    }

    async fn remove(&mut self, project: &ProjectId, name: &TagName) -> Result<bool, StoreError> {
        let statement =
            sql("DELETE FROM tags WHERE project = $1 AND name_key = $2").bind(project.folded()).bind(name.folded());
        Ok(self.run(statement).await? > 0)
    }

    async fn clear(&mut self, project: &ProjectId) -> Result<(), StoreError> {
        let statement = sql("DELETE FROM tags WHERE project = $1").bind(project.folded());
        self.run(statement).await.map(drop)
    }
}
