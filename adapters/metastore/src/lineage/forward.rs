//! Events that are handed on to another server of lineage.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use gadwall_domain::names::ProjectId;
use gadwall_domain::ports::lineage::{ForwardBacklog, ForwardProgress, ForwardRepository, ForwardedEvent};
use gadwall_domain::ports::metadata::StoreError;

use crate::error::value_fault;
use crate::rows::{count, json, micros, number, optional_time};
use crate::statement::{Value, sql};
use crate::tx::SqlTx;

const CLAIM: &str = "UPDATE lineage_forwarding SET claimed_until = $2
     WHERE id = 1 AND (claimed_until IS NULL OR claimed_until <= $1) AND (due_at IS NULL OR due_at <= $1)";
const RELEASE: &str = "UPDATE lineage_forwarding SET attempts = $1, due_at = $2, error = $3, dropped = dropped + $4,
     claimed_until = NULL WHERE id = 1";

#[async_trait]
impl ForwardRepository for SqlTx {
    async fn forward(
        &mut self,
        project: &ProjectId,
        events: &[String],
        at: DateTime<Utc>,
        most: u64,
    ) -> Result<(), StoreError> {
        if events.is_empty() {
            return Ok(());
        }
        let rows: Vec<[Value<'_>; 3]> =
            events.iter().map(|event| [project.folded().into(), event.as_str().into(), micros(at).into()]).collect();
        self.insert_all("INSERT INTO lineage_forward (project, event, received_at)", rows, "").await?;
        // Places may be left out, so that rather fewer stay.
        let oldest = "DELETE FROM lineage_forward WHERE position <= (SELECT max(position) FROM lineage_forward) - $1";
        let gone = self.run(sql(oldest).bind(number("most", most)?)).await?;
        if gone > 0 {
            let counted = sql("UPDATE lineage_forwarding SET dropped = dropped + $1 WHERE id = 1");
            self.run(counted.bind(number("dropped", gone)?)).await?;
        }
        Ok(())
    }

    async fn to_forward(&mut self, limit: u32) -> Result<Vec<ForwardedEvent>, StoreError> {
        let statement = sql("SELECT position, event FROM lineage_forward ORDER BY position LIMIT $1");
        let rows = self.all(statement.bind(i64::from(limit))).await?;
        let event = |row| Ok(ForwardedEvent { position: count(row, "position")?, event: json(row, "event")? });
        rows.iter().map(event).collect()
    }

    async fn forwarded(&mut self, positions: &[u64]) -> Result<(), StoreError> {
        self.remove_positions("DELETE FROM lineage_forward WHERE position", positions).await
    }

    async fn forward_backlog(&mut self, project: Option<&ProjectId>) -> Result<ForwardBacklog, StoreError> {
        let statement = sql("SELECT count(*) AS events, min(received_at) AS oldest
               FROM lineage_forward WHERE $1 IS NULL OR project = $1");
        let row = self.one(statement.bind(project.map(ProjectId::folded))).await?;
        Ok(ForwardBacklog { waiting: count(&row, "events")?, oldest: optional_time(&row, "oldest")? })
    }

    async fn forward_progress(&mut self) -> Result<ForwardProgress, StoreError> {
        let row = self.one(sql("SELECT * FROM lineage_forwarding WHERE id = 1")).await?;
        Ok(ForwardProgress {
            attempts: u32::try_from(count(&row, "attempts")?).map_err(|error| value_fault("attempts", &error))?,
            due_at: optional_time(&row, "due_at")?,
            error: row.get("error")?,
            dropped: count(&row, "dropped")?,
        })
    }

    async fn claim_forwarding(&mut self, now: DateTime<Utc>, until: DateTime<Utc>) -> Result<bool, StoreError> {
        Ok(self.run(sql(CLAIM).bind(micros(now)).bind(micros(until))).await? > 0)
    }

    async fn release_forwarding(&mut self, progress: &ForwardProgress, dropped: u64) -> Result<(), StoreError> {
        let statement = sql(RELEASE)
            .bind(i64::from(progress.attempts))
            .bind(progress.due_at.map(micros))
            .bind(progress.error.as_deref())
            .bind(number("dropped", dropped)?);
        self.run(statement).await.map(drop)
    }
}
