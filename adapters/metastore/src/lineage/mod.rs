//! Lineage. Nodes are kept under digests of their names, which may be long.

mod forward;
mod graph;
mod nodes;
mod queue;
mod runs;

use std::fmt::Write as _;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use gadwall_domain::lineage::{ColumnEdge, Dataset, Direction, Job, NodeKind, NodeName, Run, RunId, Use};
use gadwall_domain::names::ProjectId;
use gadwall_domain::ports::lineage::{Backlog, Edge, LineageRepository, NodeFilter, QueuedEvent, RunFilter};
use gadwall_domain::ports::metadata::StoreError;
use serde_json::Value as Json;
use sha2::{Digest as _, Sha256};

use crate::row::Row;
use crate::statement::{Statement, Value, sql, with_rows};
use crate::tx::SqlTx;

#[cfg(test)]
pub(crate) use graph::{EDGES_OF_DATASETS, EDGES_OF_JOBS};
#[cfg(test)]
pub(crate) use queue::{DEAD, WAITING};
#[cfg(test)]
pub(crate) use runs::{LIST as LIST_RUNS, OF_JOB as RUNS_OF_JOB};

/// Rows in one statement.
const AT_ONCE: usize = 500;

/// What a node is kept under: the first half of the SHA-256 digest of its name.
fn key(name: &NodeName) -> String {
    let mut digest = Sha256::new();
    digest.update(name.namespace().as_bytes());
    digest.update([0]);
    digest.update(name.name().as_bytes());
    let digest = digest.finalize();
    let mut key = String::with_capacity(32);
    for byte in digest.iter().take(16) {
        // Writing to a String can't fail.
        let _ = write!(key, "{byte:02x}");
    }
    key
}

fn direction(direction: Direction) -> i64 {
    match direction {
        Direction::Input => 0,
        Direction::Output => 1,
    }
}

impl SqlTx {
    /// Inserts many rows.
    async fn insert_all<const COLUMNS: usize>(
        &mut self,
        into: &str,
        rows: Vec<[Value<'_>; COLUMNS]>,
        otherwise: &str,
    ) -> Result<(), StoreError> {
        let mut rows = rows.into_iter().peekable();
        while rows.peek().is_some() {
            let some: Vec<_> = rows.by_ref().take(AT_ONCE).collect();
            self.run(with_rows(into, some, otherwise)).await?;
        }
        Ok(())
    }

    /// The rows of a project that have one of these keys. The statement ends in `IN (`.
    async fn of_keys(
        &mut self,
        before: &str,
        project: &ProjectId,
        keys: impl IntoIterator<Item = String>,
        after: impl Fn(usize) -> String,
        limit: Option<u32>,
    ) -> Result<Vec<Row>, StoreError> {
        let mut keys = keys.into_iter().peekable();
        let mut found = Vec::new();
        while keys.peek().is_some() {
            let some: Vec<[Value<'_>; 1]> = keys.by_ref().take(AT_ONCE).map(|key| [key.into()]).collect();
            let number = some.len() + 1;
            let left = limit.map(|limit| i64::from(limit) - i64::try_from(found.len()).unwrap_or(i64::MAX));
            if left.is_some_and(|left| left <= 0) {
                break;
            }
            let statement = with_rows(before, some, &after(number)).bind(project.folded());
            let statement = match left {
                Some(left) => statement.bind(left),
                None => statement,
            };
            found.extend(self.all(statement).await?);
        }
        Ok(found)
    }

    async fn clear_lineage(&mut self, project: &ProjectId) -> Result<(), StoreError> {
        const ALL: [&str; 8] = [
            "DELETE FROM lineage_forward WHERE project = $1",
            "DELETE FROM lineage_queue WHERE project = $1",
            "DELETE FROM lineage_columns WHERE project = $1",
            "DELETE FROM lineage_edges WHERE project = $1",
            "DELETE FROM lineage_uses WHERE project = $1",
            "DELETE FROM lineage_datasets WHERE project = $1",
            "DELETE FROM lineage_runs WHERE project = $1",
            "DELETE FROM lineage_jobs WHERE project = $1",
        ];
        for text in ALL {
            let statement: Statement<'_> = sql(text);
            self.run(statement.bind(project.folded())).await?;
        }
        Ok(())
    }
}

#[async_trait]
impl LineageRepository for SqlTx {
    async fn jobs(&mut self, project: &ProjectId, names: &[NodeName]) -> Result<Vec<Job>, StoreError> {
        self.jobs_of(project, names).await
    }

    async fn put_jobs(&mut self, project: &ProjectId, jobs: &[Job]) -> Result<(), StoreError> {
        self.put_all_jobs(project, jobs).await
    }

    async fn list_jobs(&mut self, project: &ProjectId, filter: &NodeFilter) -> Result<Vec<Job>, StoreError> {
        self.page_of_jobs(project, filter).await
    }

    async fn runs(&mut self, project: &ProjectId, ids: &[RunId]) -> Result<Vec<Run>, StoreError> {
        self.runs_of(project, ids).await
    }

    async fn put_runs(&mut self, project: &ProjectId, runs: &[Run]) -> Result<(), StoreError> {
        self.put_all_runs(project, runs).await
    }

    async fn list_runs(&mut self, project: &ProjectId, filter: &RunFilter) -> Result<Vec<Run>, StoreError> {
        self.page_of_runs(project, filter).await
    }

    async fn datasets(&mut self, project: &ProjectId, names: &[NodeName]) -> Result<Vec<Dataset>, StoreError> {
        self.datasets_of(project, names).await
    }

    async fn put_datasets(&mut self, project: &ProjectId, datasets: &[Dataset]) -> Result<(), StoreError> {
        self.put_all_datasets(project, datasets).await
    }

    async fn list_datasets(&mut self, project: &ProjectId, filter: &NodeFilter) -> Result<Vec<Dataset>, StoreError> {
        self.page_of_datasets(project, filter).await
    }

    async fn namespaces(&mut self, project: &ProjectId) -> Result<Vec<String>, StoreError> {
        self.namespaces_of(project).await
    }

    async fn put_uses(&mut self, project: &ProjectId, uses: &[Use]) -> Result<(), StoreError> {
        self.put_all_uses(project, uses).await
    }

    async fn uses_of(&mut self, project: &ProjectId, run: RunId) -> Result<Vec<(Direction, NodeName)>, StoreError> {
        self.uses_of_run(project, run).await
    }

    async fn edges_at(
        &mut self,
        project: &ProjectId,
        kind: NodeKind,
        names: &[NodeName],
        limit: u32,
    ) -> Result<Vec<Edge>, StoreError> {
        self.edges_of(project, kind, names, limit).await
    }

    async fn put_columns(&mut self, project: &ProjectId, edges: &[ColumnEdge]) -> Result<(), StoreError> {
        self.put_all_columns(project, edges).await
    }

    async fn columns_at(
        &mut self,
        project: &ProjectId,
        direction: Direction,
        datasets: &[NodeName],
        limit: u32,
    ) -> Result<Vec<ColumnEdge>, StoreError> {
        self.columns_of(project, direction, datasets, limit).await
    }

    async fn clear(&mut self, project: &ProjectId) -> Result<(), StoreError> {
        self.clear_lineage(project).await
    }

    async fn enqueue(&mut self, project: &ProjectId, events: &[Json], at: DateTime<Utc>) -> Result<(), StoreError> {
        self.queue_events(project, events, at).await
    }

    async fn waiting(&mut self, limit: u32) -> Result<Vec<QueuedEvent>, StoreError> {
        self.first_events(limit).await
    }

    async fn take_out(&mut self, positions: &[u64]) -> Result<(), StoreError> {
        self.remove_events(positions).await
    }

    async fn set_aside(&mut self, position: u64, reason: &str) -> Result<(), StoreError> {
        self.kill_event(position, reason).await
    }

    async fn dead(&mut self, project: &ProjectId, after: u64, limit: u32) -> Result<Vec<QueuedEvent>, StoreError> {
        self.dead_events(project, after, limit).await
    }

    async fn retry(&mut self, project: &ProjectId, position: u64) -> Result<bool, StoreError> {
        self.revive_event(project, position).await
    }

    async fn discard(&mut self, project: &ProjectId, position: u64) -> Result<bool, StoreError> {
        self.discard_event(project, position).await
    }

    async fn backlog(&mut self, project: Option<&ProjectId>) -> Result<Backlog, StoreError> {
        self.backlog_of(project).await
    }
}
