//! The event log. A position is handed out once; readers go on from the last they saw.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use gadwall_domain::events::{Event, LogExtent, LoggedEvent};
use gadwall_domain::names::ProjectId;
use gadwall_domain::ports::metadata::{EventLog, StoreError};

use crate::row::Row;
use crate::rows::{self, count, micros, number, to_json};
use crate::statement::{insert, sql, with_rows};
use crate::tx::SqlTx;

/// What is read of an event.
macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT e.position, p.id AS project, e.event_type, e.subject, e.occurred_at, e.request_id, e.snapshot,
                    e.data
               FROM events e JOIN projects p ON p.id_key = e.project ",
            $rest
        )
    };
}

/// Where the log begins that is kept: all before has happened before a time.
const KEPT_FROM: &str = "SELECT COALESCE(
        (SELECT position FROM events WHERE occurred_at >= $1 ORDER BY position LIMIT 1),
        (SELECT MAX(position) + 1 FROM events), 0) AS position";
const OLD: &str = "SELECT project, MAX(position) AS position
    FROM (SELECT project, position FROM events WHERE position < $1 ORDER BY position LIMIT $2) AS old GROUP BY project";
const FORGET: &str = "DELETE FROM events WHERE position IN (
    SELECT position FROM events WHERE position < $1 ORDER BY position LIMIT $2)";
const LAST: &str = "SELECT COALESCE(MAX(position), 0) AS position FROM (
    SELECT MAX(position) AS position FROM events UNION ALL SELECT MAX(position) FROM events_forgotten) AS known";
const FORGOTTEN: &str =
    "SELECT COALESCE(MAX(position), 0) AS position FROM events_forgotten WHERE $1 IS NULL OR project = $1";

/// Events in one statement. Many come together, from commits that hold many writes.
const AT_ONCE: usize = 512;

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
        if events.is_empty() { Ok(()) } else { self.tell_of_events().await }
    }

    async fn read_after(
        &mut self,
        project: &ProjectId,
        position: u64,
        limit: u32,
    ) -> Result<Vec<LoggedEvent>, StoreError> {
        let statement = sql(select!("WHERE e.project = $1 AND e.position > $2 ORDER BY e.position LIMIT $3"))
            .bind(project.folded())
            // A client may name any position; there is nothing after the largest.
            .bind(i64::try_from(position).unwrap_or(i64::MAX))
            .bind(i64::from(limit));
        self.all(statement).await?.iter().map(rows::event).collect()
    }

    async fn read_all_after(&mut self, position: u64, limit: u32) -> Result<Vec<LoggedEvent>, StoreError> {
        let statement = sql(select!("WHERE e.position > $1 ORDER BY e.position LIMIT $2"))
            .bind(i64::try_from(position).unwrap_or(i64::MAX))
            .bind(i64::from(limit));
        self.all(statement).await?.iter().map(rows::event).collect()
    }

    async fn newest(&mut self, project: Option<&ProjectId>, limit: u32) -> Result<Vec<LoggedEvent>, StoreError> {
        let statement = match project {
            Some(project) => sql(select!("WHERE e.project = $2 ORDER BY e.position DESC LIMIT $1"))
                .bind(i64::from(limit))
                .bind(project.folded()),
            None => sql(select!("ORDER BY e.position DESC LIMIT $1")).bind(i64::from(limit)),
        };
        self.all(statement).await?.iter().rev().map(rows::event).collect()
    }

    async fn extent(&mut self, project: Option<&ProjectId>) -> Result<LogExtent, StoreError> {
        let last = count(&self.one(sql(LAST)).await?, "position")?;
        let forgotten = self.one(sql(FORGOTTEN).bind(project.map(ProjectId::folded))).await?;
        Ok(LogExtent { forgotten: count(&forgotten, "position")?, last })
    }

    async fn forget_before(&mut self, before: DateTime<Utc>, limit: u32) -> Result<u64, StoreError> {
        let kept_from = number("position", count(&self.one(sql(KEPT_FROM).bind(micros(before))).await?, "position")?)?;
        let old = self.all(sql(OLD).bind(kept_from).bind(i64::from(limit))).await?;
        if old.is_empty() {
            return Ok(0);
        }
        for some in old.chunks(AT_ONCE) {
            let last_of = |row| Ok([row_project(row)?.into(), number("position", count(row, "position")?)?.into()]);
            let rows = some.iter().map(last_of).collect::<Result<_, StoreError>>()?;
            let into = "INSERT INTO events_forgotten (project, position)";
            let known = " ON CONFLICT (project) DO UPDATE SET position = excluded.position";
            self.run(with_rows(into, rows, known)).await?;
        }
        self.run(sql(FORGET).bind(kept_from).bind(i64::from(limit))).await
    }
}

/// The project's key, as it stands there.
fn row_project(row: &Row) -> Result<String, StoreError> {
    row.get("project")
}
