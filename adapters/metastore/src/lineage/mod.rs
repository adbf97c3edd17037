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
use crate::rows::number;
use crate::statement::{Statement, Value, sql, with_keys, with_rows};
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

    /// Removes what is at these positions. The statement ends in what is one of them.
    async fn remove_positions(&mut self, before: &str, positions: &[u64]) -> Result<(), StoreError> {
        for some in positions.chunks(AT_ONCE) {
            let keys = some.iter().map(|position| Ok(number("position", *position)?.into()));
            let keys = keys.collect::<Result<_, StoreError>>()?;
            self.run(with_keys(before, keys, "")).await?;
        }
        Ok(())
    }

    /// The rows of a project that have one of these keys, each looked up for itself. The statement ends in what is one of
    /// them; behind, `$1` is the project.
    async fn of_keys(
        &mut self,
        before: &str,
        project: &ProjectId,
        keys: impl IntoIterator<Item = String>,
        after: &str,
    ) -> Result<Vec<Row>, StoreError> {
        let (before, after) = (format!("{before} IN ("), format!("){after}"));
        let mut found = Vec::new();
        for some in parts(keys.into_iter().collect()) {
            let rows = some.into_iter().map(|key| [key.into()]).collect();
            found.extend(self.all(with_rows(&before, rows, &after).bind(project.folded())).await?);
        }
        Ok(found)
    }

    /// At most so many rows of a project that have one of these keys; behind, `$2` is the limit. PostgreSQL reads them faster
    /// than with [`Self::of_keys`], but only once it knows how many rows there are of what kind.
    async fn at_keys(
        &mut self,
        before: &str,
        project: &ProjectId,
        keys: impl IntoIterator<Item = String>,
        after: &str,
        limit: u32,
    ) -> Result<Vec<Row>, StoreError> {
        let mut found = Vec::new();
        for some in parts(keys.into_iter().collect()) {
            let left = i64::from(limit) - i64::try_from(found.len()).unwrap_or(i64::MAX);
            if left <= 0 {
                break;
            }
            let keys = some.into_iter().map(Value::from).collect();
            found.extend(self.all(with_keys(before, keys, after).bind(project.folded()).bind(left)).await?);
        }
        Ok(found)
    }
}

/// Keys for one statement each. SQLite prepares statements of few lengths once; to ask for a key twice changes nothing.
fn parts(keys: Vec<String>) -> impl Iterator<Item = Vec<String>> {
    let mut keys = keys.into_iter();
    std::iter::from_fn(move || {
        let mut some: Vec<String> = keys.by_ref().take(AT_ONCE).collect();
        let last = some.last()?.clone();
        some.resize(some.len().next_power_of_two(), last);
        Some(some)
    })
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
