//! Events on their way in.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use gadwall_domain::names::ProjectId;
use gadwall_domain::ports::lineage::{Backlog, QueueRepository, QueuedEvent};
use gadwall_domain::ports::metadata::StoreError;

use crate::error::value_fault;
use crate::row::Row;
use crate::rows::{count, json, micros, number, optional_time, project_id, time};
use crate::statement::{Value, sql};
use crate::tx::SqlTx;

pub(crate) const WAITING: &str = "SELECT q.*, p.id AS project_id
      FROM lineage_queue q JOIN projects p ON p.id_key = q.project WHERE q.is_dead = 0 ORDER BY q.position LIMIT $1";
pub(crate) const DEAD: &str = "SELECT q.*, p.id AS project_id
      FROM lineage_queue q JOIN projects p ON p.id_key = q.project
     WHERE q.project = $1 AND q.is_dead = 1 AND q.position > $2 ORDER BY q.position LIMIT $3";

#[async_trait]
impl QueueRepository for SqlTx {
    async fn enqueue(&mut self, project: &ProjectId, events: &[String], at: DateTime<Utc>) -> Result<(), StoreError> {
        let rows: Vec<[Value<'_>; 5]> = events
            .iter()
            .map(|event| [project.folded().into(), event.as_str().into(), micros(at).into(), 0.into(), 0.into()])
            .collect();
        let into = "INSERT INTO lineage_queue (project, event, received_at, attempts, is_dead)";
        self.insert_all(into, rows, "").await
    }

    async fn waiting(&mut self, limit: u32) -> Result<Vec<QueuedEvent>, StoreError> {
        self.all(sql(WAITING).bind(i64::from(limit))).await?.iter().map(queued).collect()
    }

    async fn waiting_up_to(&mut self, position: u64) -> Result<u64, StoreError> {
        let statement = sql("SELECT count(*) AS events FROM lineage_queue WHERE is_dead = 0 AND position <= $1");
        count(&self.one(statement.bind(number("position", position)?)).await?, "events")
    }

    async fn take_out(&mut self, positions: &[u64]) -> Result<(), StoreError> {
        self.remove_positions("DELETE FROM lineage_queue WHERE position", positions).await
    }

    async fn set_aside(&mut self, position: u64, reason: &str) -> Result<(), StoreError> {
        let statement = sql("UPDATE lineage_queue SET is_dead = 1, reason = $2, attempts = attempts + 1
              WHERE position = $1");
        self.run(statement.bind(number("position", position)?).bind(reason)).await.map(drop)
    }

    async fn dead(&mut self, project: &ProjectId, after: u64, limit: u32) -> Result<Vec<QueuedEvent>, StoreError> {
        let statement = sql(DEAD).bind(project.folded()).bind(number("after", after)?).bind(i64::from(limit));
        self.all(statement).await?.iter().map(queued).collect()
    }

    async fn retry(&mut self, project: &ProjectId, position: u64) -> Result<bool, StoreError> {
        let statement = sql("UPDATE lineage_queue SET is_dead = 0, reason = NULL
              WHERE project = $1 AND position = $2 AND is_dead = 1");
        Ok(self.run(statement.bind(project.folded()).bind(number("position", position)?)).await? > 0)
    }

    async fn discard(&mut self, project: &ProjectId, position: u64) -> Result<bool, StoreError> {
        let statement = sql("DELETE FROM lineage_queue WHERE project = $1 AND position = $2 AND is_dead = 1");
        Ok(self.run(statement.bind(project.folded()).bind(number("position", position)?)).await? > 0)
    }

    async fn backlog(&mut self, project: Option<&ProjectId>) -> Result<Backlog, StoreError> {
        let statement = sql("SELECT count(*) AS events, CAST(coalesce(sum(is_dead), 0) AS BIGINT) AS dead,
                    min(CASE is_dead WHEN 0 THEN received_at END) AS oldest
               FROM lineage_queue WHERE $1 IS NULL OR project = $1");
        let row = self.one(statement.bind(project.map(ProjectId::folded))).await?;
        let dead = count(&row, "dead")?;
        let waiting = count(&row, "events")?.saturating_sub(dead);
        Ok(Backlog { waiting, dead, oldest: optional_time(&row, "oldest")? })
    }
}

fn queued(row: &Row) -> Result<QueuedEvent, StoreError> {
    let attempts = count(row, "attempts")?;
    Ok(QueuedEvent {
        position: count(row, "position")?,
        project: project_id(row)?,
        event: json(row, "event")?,
        received_at: time(row, "received_at")?,
        attempts: u32::try_from(attempts).map_err(|error| value_fault("attempts", &error))?,
        reason: row.get("reason")?,
    })
}
