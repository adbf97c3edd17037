//! Lineage. Nodes are kept under digests of their names, which may be long.

mod forward;
mod graph;
mod nodes;
mod queue;
mod runs;

use async_trait::async_trait;
use gadwall_domain::lineage::{Direction, NodeName};
use gadwall_domain::names::ProjectId;
use gadwall_domain::ports::lineage::LineageRepository;
use gadwall_domain::ports::metadata::StoreError;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

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
const AT_ONCE: usize = 512;

/// What a node is kept under: the first half of the SHA-256 digest of its name.
fn key(name: &NodeName) -> String {
    let mut digest = Sha256::new();
    digest.update(name.namespace().as_bytes());
    digest.update([0]);
    digest.update(name.name().as_bytes());
    let mut half = [0; 16];
    half.copy_from_slice(&digest.finalize()[..16]);
    Uuid::from_bytes(half).simple().to_string()
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
            let mut some: Vec<String> = keys.by_ref().take(AT_ONCE).collect();
            // Statements of few lengths are prepared once; to ask for a key twice changes nothing.
            some.resize(some.len().next_power_of_two(), some.last().cloned().unwrap_or_default());
            let some: Vec<[Value<'_>; 1]> = some.into_iter().map(|key| [key.into()]).collect();
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
}

#[async_trait]
impl LineageRepository for SqlTx {
    async fn clear(&mut self, project: &ProjectId) -> Result<(), StoreError> {
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
