//! A commit: what waits, in one DuckLake transaction, as one durable snapshot that says what it holds.

mod appends;
mod structure;

use std::time::SystemTime;

use duckdb::Connection;
use gadwall_domain::commit::{CommitInfo, RowCounts, WriteOrigin, WriteRecord};
use gadwall_domain::ids::{LakeId, SnapshotId};
use gadwall_domain::ports::lake::{Committed, LakeError, WriteError};
use gadwall_domain::schema::{Column, TableSchema};
use gadwall_domain::table::TableRef;

use crate::durable::sync_changed;
use crate::error::{fault, io_error, lake_error, message};
use crate::writer::{Shared, Structure};
use crate::{sql, structure as stored};

pub(crate) use appends::Append;

/// One commit on one connection.
pub(crate) struct Commit<'a> {
    pub(crate) shared: &'a Shared,
    pub(crate) connection: &'a Connection,
    pub(crate) lake: LakeId,
}

impl Commit<'_> {
    /// Commits a change that isn't rows.
    pub(crate) fn change(&self, write: &Structure, origin: WriteOrigin) -> Result<Committed, WriteError> {
        let snapshot = self.transaction(|| {
            let change = self.apply(write)?;
            self.say(vec![WriteRecord { origin, change }])
        })?;
        Ok(Committed { snapshot, rows: RowCounts::default() })
    }

    /// Runs work in a transaction and makes it durable. Nothing of it stays when it fails.
    fn transaction(&self, work: impl FnOnce() -> Result<(), WriteError>) -> Result<SnapshotId, WriteError> {
        self.execute("BEGIN TRANSACTION")?;
        if let Err(error) = work().and_then(|()| Ok(self.execute("COMMIT")?)) {
            // A failed COMMIT has rolled back by itself; then this has nothing to do.
            if let Err(rollback) = self.connection.execute_batch("ROLLBACK") {
                tracing::debug!(error = %message(&rollback), "rollback after a failed write");
            }
            return Err(error);
        }
        let snapshot = self.committed_snapshot()?;
        // The catalog's log may be a new file; its name must last too.
        self.shared.sync.sync(&self.shared.catalogs.folder(self.lake)).map_err(io_error)?;
        Ok(snapshot)
    }

    fn execute(&self, statement: &str) -> Result<(), LakeError> {
        self.connection.execute_batch(statement).map_err(|error| lake_error(&error))
    }

    fn committed_snapshot(&self) -> Result<SnapshotId, LakeError> {
        let statement =
            format!("SELECT id FROM ducklake_last_committed_snapshot({})", sql::text(&sql::catalog(self.lake)));
        let id: i64 =
            self.connection.query_row(&statement, [], |row| row.get(0)).map_err(|error| lake_error(&error))?;
        SnapshotId::new(id).map_err(|error| fault(error.to_string()))
    }

    fn stored_columns(&self, table: &TableRef) -> Result<Option<Vec<Column>>, LakeError> {
        stored::columns(self.connection, self.lake, table)
    }

    /// Writes into the snapshot who made it and what changed.
    fn say(&self, writes: Vec<WriteRecord>) -> Result<(), WriteError> {
        let [first, ..] = writes.as_slice() else { return Ok(()) };
        let author = first.origin.key_id.map_or_else(|| "admin".to_owned(), |id| format!("key:{id}"));
        let more = if writes.len() > 1 { format!(" and {} more", writes.len() - 1) } else { String::new() };
        let summary = format!("{} {}{more}", first.change.event_type(), first.change.subject());
        let info = serde_json::to_string(&CommitInfo::new(writes))
            .map_err(|error| fault(format!("the commit's document can't be written: {error}")))?;
        let statement = format!(
            "CALL ducklake_set_commit_message({}, {}, {}, extra_info => {})",
            sql::text(&sql::catalog(self.lake)),
            sql::text(&author),
            sql::text(&summary),
            sql::text(&info)
        );
        Ok(self.execute(&statement)?)
    }

    fn make_files_last(&self, table: &TableRef, started: SystemTime) -> Result<(), WriteError> {
        let data = self.shared.catalogs.data_folder(self.lake);
        let Some(folder) = stored::table_folder(self.connection, self.lake, table)? else {
            return Err(fault("the table's folder is unknown").into());
        };
        let sync = &*self.shared.sync;
        sync_changed(&data.join(&folder), started, sync).map_err(io_error)?;
        // The table's and the bucket's folder may be new themselves.
        let parents = folder.ancestors().skip(1).map(|parent| data.join(parent));
        parents
            .filter(|parent| parent.is_dir())
            .try_for_each(|parent| sync.sync(&parent))
            .map_err(|error| io_error(error).into())
    }
}

fn same_shape(stored: &[Column], schema: &TableSchema) -> bool {
    stored.len() == schema.columns().len()
        && stored.iter().zip(schema.columns()).all(|(stored, known)| {
            stored.name == known.name
                && stored.data_type == known.data_type.without_lengths()
                && stored.nullable == known.nullable
        })
}
