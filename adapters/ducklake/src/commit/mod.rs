//! A commit: what waits, in one DuckLake transaction, as one durable snapshot that says what it holds.

mod alter;
mod appends;
mod build;
mod change;
mod edit;
mod hold;
mod load;
mod maintain;
mod purge;
mod register;
mod restore;
mod script;
mod structure;

use std::cell::{Cell, RefCell};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use chrono::{DateTime, Utc};
use duckdb::Connection;
use gadwall_domain::commit::{CommitInfo, WriteRecord};
use gadwall_domain::history::ReadAt;
use gadwall_domain::ids::{CallerId, LakeId, SnapshotId};
use gadwall_domain::ports::lake::{LakeError, WriteError};
use gadwall_domain::schema::{Column, TableSchema};
use gadwall_domain::table::TableRef;

use crate::error::{fault, io_error, lake_error, message};
use crate::known::{Committing, Known, Shape};
use crate::root::{Interrupter, Lent};
use crate::writer::Shared;
use crate::{sql, structure as stored};

pub(crate) use load::{Load, keys_of};
pub(crate) use register::linked_at;
pub(crate) use script::ViewChange;

/// How often a write is tried when others come in between. They wait for their turn, so that hardly ever happens.
const ATTEMPTS: usize = 4;

/// One commit on one connection.
pub(crate) struct Commit<'a> {
    shared: &'a Shared,
    connection: &'a Lent,
    lake: LakeId,
    known: &'a Known,
    /// What the commit says of itself, until it is made.
    said: RefCell<Vec<WriteRecord>>,
    /// Whether the change is only tried: what is done is undone.
    dry: Cell<bool>,
    /// Whether files were written that aren't in the folder of the table as it was before.
    wrote_elsewhere: Cell<bool>,
    /// The newest snapshot before a change that may come to nothing: then DuckLake makes none.
    before: Cell<Option<SnapshotId>>,
    /// Files that were put into the lake's folder, to be removed should the change fail.
    linked: RefCell<Vec<PathBuf>>,
    /// Files that were put among the table's, until the commit is made.
    placed: RefCell<Vec<PathBuf>>,
}

impl<'a> Commit<'a> {
    /// A commit to a lake that is attached for as long as this lives.
    pub(crate) fn new(shared: &'a Shared, connection: &'a Lent, lake: LakeId, known: &'a Known) -> Self {
        Self {
            shared,
            connection,
            lake,
            known,
            said: RefCell::default(),
            dry: Cell::default(),
            wrote_elsewhere: Cell::default(),
            before: Cell::default(),
            linked: RefCell::default(),
            placed: RefCell::default(),
        }
    }

    /// Interrupts what runs on its connection.
    pub(crate) fn interrupter(&self) -> Arc<Interrupter> {
        self.connection.interrupter()
    }

    /// Runs work in a transaction and makes it durable. Nothing of it stays when it fails, or says that there is
    /// nothing to commit.
    fn transaction_of_rows<T>(
        &self,
        work: impl FnOnce() -> Result<Option<T>, WriteError>,
    ) -> Result<Option<(T, SnapshotId)>, WriteError> {
        self.said.borrow_mut().clear();
        self.before.set(None);
        self.execute("BEGIN TRANSACTION")?;
        let done = work();
        if !matches!(done, Ok(Some(_))) {
            self.remove_placed();
        }
        // Should COMMIT fail, files stay where they were put: who knows how far it came.
        let done = done.and_then(|done| {
            if done.is_some() {
                let _changing = self.changing();
                let committed = self.execute("COMMIT");
                if committed.is_err() {
                    self.shared.catalogs.unsweep(self.lake);
                }
                committed?;
            }
            Ok(done)
        });
        self.placed.take();
        let Ok(Some(done)) = done else {
            // A failed COMMIT has rolled back by itself; then this has nothing to do.
            if let Err(rollback) = self.connection.execute_batch("ROLLBACK") {
                tracing::debug!(error = %message(&rollback), "rollback after a failed write");
            }
            return done.map(|_| None);
        };
        let (snapshot, committed_at) = self.committed_snapshot()?;
        self.make_log_last()?;
        let writes = self.said.take();
        if self.before.take() == Some(snapshot) {
            return Ok(Some((done, snapshot)));
        }
        self.known.committed(gadwall_domain::commit::Commit { snapshot, committed_at, writes });
        Ok(Some((done, snapshot)))
    }

    /// Until the answer is dropped, nobody takes the lake for standing still, or goes on in a transaction from before. One at a time.
    fn changing(&self) -> Committing<'_> {
        let committing = self.known.commit_begins();
        self.connection.end_readers(self.lake);
        committing
    }

    /// Tries again when another process wrote in between: all is looked at anew.
    fn insist<T>(&self, attempt: impl Fn() -> Result<T, WriteError>) -> Result<T, WriteError> {
        for _ in 1..ATTEMPTS {
            match attempt() {
                Err(WriteError::Lake(LakeError::Contended)) => self.known.forget_shapes(),
                done => return done,
            }
        }
        attempt()
    }

    pub(crate) fn connection(&self) -> &Connection {
        self.connection
    }

    fn execute(&self, statement: &str) -> Result<(), LakeError> {
        self.connection.execute_batch(statement).map_err(|error| lake_error(&error))
    }

    /// Runs a statement that puts rows in. They were checked against the columns as their writer knew them; if one is
    /// NULL all the same, it counted on a default that is gone.
    fn execute_rows(&self, statement: &str) -> Result<(), WriteError> {
        self.connection.execute_batch(statement).map_err(|error| {
            let gone = message(&error).contains("NOT NULL constraint failed");
            if gone { WriteError::TableChanged } else { lake_error(&error).into() }
        })
    }

    /// The snapshot that was just made.
    fn committed_snapshot(&self) -> Result<(SnapshotId, DateTime<Utc>), LakeError> {
        if self.shared.turns.is_some() {
            return stored::committed_last(self.connection, self.lake);
        }
        // Nobody else makes any.
        stored::newest(self.connection, self.lake, self.known.last().unwrap_or(SnapshotId::ZERO))
    }

    /// A table's shape as it is; asked for once between changes that aren't rows.
    fn shape(&self, table: &TableRef) -> Result<Arc<Shape>, WriteError> {
        if let Some(shape) = self.known.shape(table) {
            return Ok(shape);
        }
        let columns = self.stored_columns(table)?.ok_or(WriteError::NoTable)?;
        let folder = stored::table_folder(self.connection, self.lake, table)?
            .ok_or_else(|| fault("the table's folder is unknown"))?;
        let shape = Arc::new(Shape { columns, folder });
        self.known.keep(table, Arc::clone(&shape));
        Ok(shape)
    }

    fn stored_columns(&self, table: &TableRef) -> Result<Option<Vec<Column>>, LakeError> {
        stored::columns(self.connection, self.lake, table, ReadAt::Head)
    }

    /// Writes into the snapshot who made it and what changed.
    fn say(&self, writes: Vec<WriteRecord>) -> Result<(), WriteError> {
        let [first, ..] = writes.as_slice() else { return Ok(()) };
        let author = first.origin.key_id.as_ref().map_or_else(|| "admin".to_owned(), CallerId::label);
        let more = if writes.len() > 1 { format!(" and {} more", writes.len() - 1) } else { String::new() };
        let summary = format!("{} {}{more}", first.change.event_type(), first.change.subject());
        let info = CommitInfo::new(writes);
        let text = serde_json::to_string(&info)
            .map_err(|error| fault(format!("the commit's document can't be written: {error}")))?;
        let statement = format!(
            "CALL ducklake_set_commit_message({}, {}, {}, extra_info => {})",
            sql::text(&sql::catalog(self.lake)),
            sql::text(&author),
            sql::text(&summary),
            sql::text(&text)
        );
        self.execute(&statement)?;
        *self.said.borrow_mut() = info.writes;
        Ok(())
    }

    /// Syncs all files of the lake that were written since a moment.
    fn make_all_last(&self, started: SystemTime) -> Result<(), WriteError> {
        self.make_folder_last(&self.shared.area.data(self.lake), started)
    }

    fn make_folder_last(&self, folder: &Path, started: SystemTime) -> Result<(), WriteError> {
        let mut synced = self.known.take_synced();
        let done = self.shared.area.sync_new(folder, started, &mut synced);
        self.known.put_synced(synced);
        Ok(done.map_err(io_error)?)
    }

    /// Syncs the files that were written into a table's folder since a moment.
    fn make_files_last(&self, shape: &Shape, started: SystemTime) -> Result<(), WriteError> {
        let (data, area) = (self.shared.area.data(self.lake), &self.shared.area);
        self.make_folder_last(&data.join(&shape.folder), started)?;
        // The table's and the bucket's folder may be new themselves.
        for folder in shape.folder.ancestors() {
            let (Some(parent), false) = (folder.parent(), self.known.lasts(folder)) else { continue };
            if area.is_folder(&data.join(parent)) {
                area.sync(&data.join(parent)).map_err(io_error)?;
                self.known.made_last(folder.to_owned());
            }
        }
        Ok(())
    }

    /// Removes files that didn't become part of their table after all.
    fn remove_placed(&self) {
        for path in self.placed.take() {
            if let Err(error) = self.shared.area.remove(&path) {
                tracing::warn!(error = %error, "a file of a failed load was not removed");
            }
        }
    }

    /// DuckLake syncs the catalog's log, but the log may be a new file, and its name must last too.
    fn make_log_last(&self) -> Result<(), WriteError> {
        let Some(files) = self.shared.catalogs.files() else { return Ok(()) };
        let log = files.log_file(self.lake);
        if log.is_none_or(|log| !self.known.log_lasts(log)) {
            files.make_log_last(self.lake)?;
            if let Some(log) = log {
                self.known.log_made_last(log);
            }
        }
        Ok(())
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
