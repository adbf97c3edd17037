//! The event log. A position is handed out once; readers go on from the last they saw.

use async_trait::async_trait;
use gadwall_domain::events::{Event, LoggedEvent};
use gadwall_domain::names::ProjectId;
use gadwall_domain::ports::metadata::{EventLog, StoreError};

use crate::rows::{self, micros, number, to_json};
use crate::statement::{insert, sql};
use crate::tx::SqlTx;

/// Events in one statement. Many come together, from commits that hold many writes.
const AT_ONCE: usize = 100;

#[async_trait]
impl EventLog for SqlTx {
    async fn append(&mut self, events: &[Event]) -> Result<(), StoreError> {
        for some in events.chunks(AT_ONCE) {
            let mut rows = Vec::with_capacity(some.len());
            for event in some {
                let snapshot = event.snapshot.map(|snapshot| number("snapshot", snapshot.get())).transpose()?;
                rows.push([
                    event.project.folded().into(),
                    event.event_type.into(),
                    event.subject.as_str().into(),
                    micros(event.occurred_at).into(),
                    event.request_id.as_str().into(),
                    snapshot.into(),
                    to_json("data", &event.data)?.into(),
                ]);
            }
            let into = "INSERT INTO events (project, event_type, subject, occurred_at, request_id, snapshot, data)";
            self.run(insert(into, rows)).await?;
        }
        Ok(())
    }

    async fn read_after(
        &mut self,
        project: &ProjectId,
        position: u64,
        limit: u32,
    ) -> Result<Vec<LoggedEvent>, StoreError> {
        let statement =
            sql("SELECT e.position, p.id AS project, e.event_type, e.subject, e.occurred_at, e.request_id, e.snapshot,
                    e.data
               FROM events e JOIN projects p ON p.id_key = e.project
              WHERE e.project = $1 AND e.position > $2
              ORDER BY e.position LIMIT $3")
            .bind(project.folded())
            // A client may name any position; there is nothing after the largest.
            .bind(i64::try_from(position).unwrap_or(i64::MAX))
            .bind(i64::from(limit));
        self.all(statement).await?.iter().map(rows::event).collect()
    }
}
