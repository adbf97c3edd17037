//! Projects, unique by folded id.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use gadwall_domain::names::ProjectId;
use gadwall_domain::ports::metadata::{ProjectFilter, ProjectRepository, StoreError};
use gadwall_domain::project::{Project, ProjectSize, ProjectStatus};

use crate::rows::{self, micros, number, to_json};
use crate::statement::sql;
use crate::tx::SqlTx;

pub(crate) const TO_PURGE: &str = "
    SELECT * FROM projects WHERE status = 'deleted' AND purged_at IS NULL AND purge_after <= $1
       AND (claimed_until IS NULL OR claimed_until <= $1)
     ORDER BY purge_after, id_key LIMIT $2";
const PURGED_SINCE: &str = "
    SELECT * FROM projects WHERE status = 'deleted' AND purged_at >= $1 ORDER BY purged_at DESC, id_key LIMIT $2";

#[async_trait]
impl ProjectRepository for SqlTx {
    async fn insert(&mut self, project: &Project) -> Result<(), StoreError> {
        let statement = sql("INSERT INTO projects (id_key, id, lake, name, settings, status, created_at, updated_at,
                                   size_bytes, table_count, bucket_count, deletion_protection, quota)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)")
        .bind(project.id.folded())
        .bind(project.id.as_str())
        .bind(project.lake.to_string())
        .bind(project.name.as_deref())
        .bind(settings(project)?)
        .bind(project.status.as_str())
        .bind(micros(project.created_at))
        .bind(micros(project.updated_at))
        .bind(number("size_bytes", project.size.size_bytes)?)
        .bind(number("table_count", project.size.table_count)?)
        .bind(number("bucket_count", project.size.bucket_count)?)
        .bind(i64::from(project.deletion_protection))
        .bind(quota(project)?);
        self.run(statement).await.map(drop)
    }

    async fn find(&mut self, id: &ProjectId) -> Result<Option<Project>, StoreError> {
        let statement = sql("SELECT * FROM projects WHERE id_key = $1").bind(id.folded());
        self.find_row(statement).await?.as_ref().map(rows::project).transpose()
    }

    async fn list(&mut self, filter: ProjectFilter) -> Result<(Vec<Project>, u64), StoreError> {
        let status = filter.status.map(ProjectStatus::as_str);
        let counting = sql("SELECT count(*) AS total FROM projects WHERE status = coalesce($1, status)").bind(status);
        let total = rows::count(&self.one(counting).await?, "total")?;
        let page = sql("SELECT * FROM projects WHERE status = coalesce($1, status)
              ORDER BY created_at DESC, id_key LIMIT $2 OFFSET $3")
        .bind(status)
        .bind(i64::from(filter.limit))
        .bind(number("offset", filter.offset)?);
        let found = self.all(page).await?;
        Ok((found.iter().map(rows::project).collect::<Result<_, _>>()?, total))
    }

    async fn update(&mut self, project: &Project) -> Result<bool, StoreError> {
        let deletion = project.deletion.as_ref();
        let statement =
            sql("UPDATE projects SET name = $2, settings = $3, status = $4, updated_at = $5, deletion_protection = $6,
                    deleted_at = $7, purge_after = $8, purged_at = $9, freed_bytes = $10, claimed_until = $11, quota = $12
              WHERE id_key = $1")
            .bind(project.id.folded())
            .bind(project.name.as_deref())
            .bind(settings(project)?)
            .bind(project.status.as_str())
            .bind(micros(project.updated_at))
            .bind(i64::from(project.deletion_protection))
            .bind(deletion.map(|deletion| micros(deletion.at)))
            .bind(deletion.map(|deletion| micros(deletion.purge_after)))
            .bind(deletion.and_then(|deletion| deletion.purged_at).map(micros))
            .bind(number("freed_bytes", deletion.map_or(0, |deletion| deletion.freed_bytes))?)
            .bind(deletion.and_then(|deletion| deletion.claimed_until).map(micros))
            .bind(quota(project)?);
        Ok(self.run(statement).await? > 0)
    }

    async fn to_purge(&mut self, now: DateTime<Utc>, limit: u32) -> Result<Vec<Project>, StoreError> {
        let statement = sql(TO_PURGE).bind(micros(now)).bind(i64::from(limit));
        self.all(statement).await?.iter().map(rows::project).collect()
    }

    async fn purged_since(&mut self, since: DateTime<Utc>, limit: u32) -> Result<Vec<Project>, StoreError> {
        let statement = sql(PURGED_SINCE).bind(micros(since)).bind(i64::from(limit));
        self.all(statement).await?.iter().map(rows::project).collect()
    }

    async fn record_size(&mut self, id: &ProjectId, size: ProjectSize) -> Result<(), StoreError> {
        let statement =
            sql("UPDATE projects SET size_bytes = $2, table_count = $3, bucket_count = $4 WHERE id_key = $1")
                .bind(id.folded())
                .bind(number("size_bytes", size.size_bytes)?)
                .bind(number("table_count", size.table_count)?)
                .bind(number("bucket_count", size.bucket_count)?);
        self.run(statement).await.map(drop)
    }
}

fn quota(project: &Project) -> Result<Option<String>, StoreError> {
    let quota = Some(&project.quota).filter(|quota| !quota.is_empty());
    quota.map(|quota| to_json("quota", quota)).transpose()
}

fn settings(project: &Project) -> Result<Option<String>, StoreError> {
    project.settings.as_ref().map(|settings| to_json("settings", settings)).transpose()
}
