//! The event log. A position is handed out once; readers go on from the last they saw.

use async_trait::async_trait;
use gadwall_domain::events::{Event, LoggedEvent};
use gadwall_domain::ids::SnapshotId;
use gadwall_domain::names::ProjectId;
use gadwall_domain::ports::metadata::{EventLog, StoreError};

use crate::rows::{self, micros, number, to_json};
use crate::tx::SqliteTx;

#[async_trait]
impl EventLog for SqliteTx {
    async fn append(&mut self, events: &[Event]) -> Result<(), StoreError> {
        for event in events {
            let snapshot = event.snapshot.map(SnapshotId::get);
            let statement = sqlx::query(
                "INSERT INTO events (project, event_type, subject, occurred_at, request_id, snapshot, data)
                 VALUES ($1, $2, $3, $4, $5, $6, $7)",
            )
            .bind(event.project.folded())
            .bind(event.event_type)
            .bind(event.subject.as_str())
            .bind(micros(event.occurred_at))
            .bind(event.request_id.as_str())
            .bind(snapshot.map(|snapshot| number("snapshot", snapshot)).transpose()?)
            .bind(to_json("data", &event.data)?);
            self.run(statement).await?;
        }
        Ok(())
    }

    async fn read_after(
        &mut self,
        project: &ProjectId,
        position: u64,
        limit: u32,
    ) -> Result<Vec<LoggedEvent>, StoreError> {
        let statement = sqlx::query(
            "SELECT e.position, p.id AS project, e.event_type, e.subject, e.occurred_at, e.request_id, e.snapshot,
                    e.data
               FROM events e JOIN projects p ON p.id_key = e.project
              WHERE e.project = $1 AND e.position > $2
              ORDER BY e.position LIMIT $3",
        )
        .bind(project.folded())
        // A client may name any position; there is nothing after the largest.
        .bind(i64::try_from(position).unwrap_or(i64::MAX))
        .bind(i64::from(limit));
        self.all(statement).await?.iter().map(rows::event).collect()
    }
}
