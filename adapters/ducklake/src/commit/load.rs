//! The rows of one request, put into their table as it asks for.

use std::time::SystemTime;

use gadwall_domain::commit::{Change, RowCounts, WriteOrigin, WriteRecord};
use gadwall_domain::history::Expected;
use gadwall_domain::ports::lake::{Committed, LoadMode, WriteError};
use gadwall_domain::schema::{Column, TableSchema};
use gadwall_domain::table::TableRef;

use super::hold::Brought;
use super::{Commit, same_shape};
use crate::error::{io_error, lake_error};
use crate::known::Shape;
use crate::stage::{Incoming, Keys, ROW, Staged, duplicates, stage_few};
use crate::{sql, structure};

/// Rows on their way into a table.
pub(crate) struct Load {
    pub(crate) table: TableRef,
    pub(crate) schema: TableSchema,
    pub(crate) mode: LoadMode,
    pub(crate) expected: Expected,
    pub(crate) rows: Incoming,
}

impl Load {
    /// Whether it can share a commit with others: it adds rows, whatever is there.
    pub(crate) fn is_sociable(&self) -> bool {
        self.mode == LoadMode::Append && self.expected == Expected::ANY
    }

    /// How many rows came.
    pub(super) fn count(&self) -> u64 {
        match &self.rows {
            Incoming::Few(few) => few.count() as u64,
            Incoming::Staged(staged) => staged.rows,
        }
    }
}

/// What a key that comes twice in a request means.
pub(crate) fn keys_of(mode: LoadMode) -> Keys {
    if mode == LoadMode::Upsert { Keys::LastWins } else { Keys::Once }
}

impl Commit<'_> {
    /// Fails unless the table is what the caller expects.
    fn require_expected(&self, table: &TableRef, expected: Expected) -> Result<(), WriteError> {
        if expected == Expected::ANY { Ok(()) } else { self.found(table, expected).map(drop) }
    }

    /// Commits the rows of one request.
    pub(super) fn load(&self, load: &Load, origin: &WriteOrigin) -> Result<Committed, WriteError> {
        let few = match &load.rows {
            Incoming::Staged(staged) => return self.insist(|| self.load_staged(load, staged, origin)),
            Incoming::Few(few) => few,
        };
        let staged = stage_few(&self.shared.engine, self.connection, &load.schema, few, keys_of(load.mode))?;
        let done = self.insist(|| self.load_staged(load, &staged, origin));
        staged.remove(self.connection);
        done
    }

    fn load_staged(&self, load: &Load, staged: &Staged, origin: &WriteOrigin) -> Result<Committed, WriteError> {
        if staged.rows == 0 {
            self.target(&load.table, &load.schema, load.expected)?;
        }
        let nothing = || {
            let snapshot = structure::head(self.connection, self.lake)?;
            Ok(Committed { snapshot, rows: RowCounts::default() })
        };
        if staged.rows == 0 && load.mode != LoadMode::Replace {
            return nothing();
        }
        let started = SystemTime::now();
        let done = self.transaction_of_rows(|| {
            let shape = self.shape(&load.table)?;
            self.require_expected(&load.table, load.expected)?;
            if !same_shape(&shape.columns, &load.schema) {
                return Err(WriteError::TableChanged);
            }
            self.require_contract(&load.table, &load.schema)?;
            let mut breaches = self.hold_batch(&load.schema, staged)?;
            let change = self.put(load, staged, &shape)?;
            breaches.extend(self.hold_table(&load.table, &load.schema, Brought::Batches(&[staged]))?);
            let counts = change.counts();
            // No rows in the place of none: DuckLake would make no snapshot of it either.
            if counts.total() == 0 {
                return Ok(None);
            }
            self.say(vec![WriteRecord { breaches, ..WriteRecord::new(origin.clone(), change) }])?;
            self.make_files_last(&shape, started)?;
            Ok(Some(counts))
        })?;
        match done {
            Some((rows, snapshot)) => Ok(Committed { snapshot, rows }),
            None => nothing(),
        }
    }

    fn put(&self, load: &Load, staged: &Staged, shape: &Shape) -> Result<Change, WriteError> {
        let (table, rows) = (load.table.clone(), staged.rows);
        let target = sql::table(self.lake, &table);
        if counts_on_gone_default(&shape.columns, staged) {
            return Err(WriteError::TableChanged);
        }
        match load.mode {
            LoadMode::Append => {
                self.refuse_known_keys(&target, &load.schema, staged)?;
                self.place(load, staged, shape)?;
                Ok(Change::RowsAppended { table, rows })
            }
            LoadMode::Replace => {
                let deleted = self.count_of(&format!("DELETE FROM {target}"))?;
                if rows > 0 {
                    self.place(load, staged, shape)?;
                }
                Ok(Change::RowsReplaced { table, inserted: rows, deleted })
            }
            LoadMode::Upsert => {
                let (inserted, updated) = self.merge(&target, &load.schema, staged)?;
                Ok(Change::RowsUpserted { table, inserted, updated })
            }
        }
    }

    /// Makes rows part of their table: their files are put in place where that will do.
    fn place(&self, load: &Load, staged: &Staged, shape: &Shape) -> Result<(), WriteError> {
        let target = sql::table(self.lake, &load.table);
        let Some(files) = staged.files() else { return self.insert(&target, &[(staged, &[])]) };
        if structure::arranges_files(self.connection, self.lake, &load.table)? {
            return self.insert(&target, &[(staged, &[])]);
        }
        let folder = self.shared.area.data(self.lake).join(&shape.folder);
        for file in files {
            let path = file.move_to(&folder).map_err(io_error)?;
            self.placed.borrow_mut().push(path.clone());
            self.execute(&format!(
                "CALL ducklake_add_data_files({}, {}, {}, schema => {})",
                sql::text(&sql::catalog(self.lake)),
                sql::text(load.table.table.as_str()),
                sql::text(&path.to_string_lossy()),
                sql::text(load.table.bucket.as_str())
            ))?;
        }
        Ok(())
    }

    /// Runs a statement that changes rows; answers how many.
    pub(super) fn count_of(&self, statement: &str) -> Result<u64, WriteError> {
        let changed = self.connection.execute(statement, []).map_err(|error| lake_error(&error))?;
        Ok(changed as u64)
    }

    /// A primary key holds because the writer is alone: what it finds absent stays absent until it commits.
    fn refuse_known_keys(&self, target: &str, schema: &TableSchema, staged: &Staged) -> Result<(), WriteError> {
        let key = schema.key_columns();
        if key.is_empty() {
            return Ok(());
        }
        let (names, given) = (sql::columns(key), staged.key_values(schema));
        let known = format!("SELECT {names} FROM ({given}) SEMI JOIN {target} USING ({names})");
        duplicates(self.connection, &known, key)
    }

    /// Rows whose key is there take that row's place, as a whole: a column that the rows don't have gets its default.
    /// Answers how many were new, and how many took a place.
    fn merge(&self, target: &str, schema: &TableSchema, staged: &Staged) -> Result<(u64, u64), WriteError> {
        let counts = self.upsert_counts(target, schema, staged)?;
        let key = schema.key_columns();
        let columns = schema.columns();
        let quoted = |name: &gadwall_domain::names::ColumnName| sql::ident(name.as_str());
        let values: Vec<String> =
            columns.iter().map(|column| format!("{} AS {}", staged.value(column), quoted(&column.name))).collect();
        let key_values: Vec<String> =
            columns.iter().filter(|column| key.contains(&column.name)).map(|column| staged.value(column)).collect();
        let source = format!(
            "SELECT {} FROM {} QUALIFY row_number() OVER (PARTITION BY {} ORDER BY {ROW} DESC) = 1",
            values.join(", "),
            staged.relation(),
            key_values.join(", ")
        );
        let same = key.iter().map(|name| format!("t.{0} = s.{0}", quoted(name))).collect::<Vec<_>>().join(" AND ");
        let set: Vec<String> = columns
            .iter()
            .filter(|column| !key.contains(&column.name))
            .map(|column| format!("{0} = s.{0}", quoted(&column.name)))
            .collect();
        let matched =
            if set.is_empty() { String::new() } else { format!("WHEN MATCHED THEN UPDATE SET {}", set.join(", ")) };
        let all_names = sql::columns(columns.iter().map(|column| &column.name));
        let new = columns.iter().map(|column| format!("s.{}", quoted(&column.name))).collect::<Vec<_>>().join(", ");
        self.execute_rows(&format!(
            "MERGE INTO {target} AS t USING ({source}) AS s ON {same} {matched}
             WHEN NOT MATCHED THEN INSERT ({all_names}) VALUES ({new})"
        ))?;
        Ok(counts)
    }

    /// How many of the rows would be new, and how many would take a place.
    fn upsert_counts(&self, target: &str, schema: &TableSchema, staged: &Staged) -> Result<(u64, u64), WriteError> {
        let key = schema.key_columns();
        if key.is_empty() {
            return Err(WriteError::NoKey);
        }
        let names = sql::columns(key);
        let given = format!("SELECT DISTINCT {names} FROM ({})", staged.key_values(schema));
        let all = self.count(&format!("SELECT count(*) FROM ({given})"))?;
        let updated = self.count(&format!("SELECT count(*) FROM ({given}) SEMI JOIN {target} USING ({names})"))?;
        Ok((all - updated, updated))
    }

    /// The count that a statement answers.
    pub(super) fn count(&self, statement: &str) -> Result<u64, WriteError> {
        let read = self.connection.query_row(statement, [], |row| row.get::<_, i64>(0));
        Ok(read.map(i64::unsigned_abs).map_err(|error| lake_error(&error))?)
    }

    /// Holds rows to all that their commit would, and says what they would touch. Nothing is written; called outside of
    /// the writer.
    pub(crate) fn would_load(&self, load: &Load) -> Result<RowCounts, WriteError> {
        let few = match &load.rows {
            Incoming::Staged(staged) => return self.would_put(load, staged),
            Incoming::Few(few) => few,
        };
        let staged = stage_few(&self.shared.engine, self.connection, &load.schema, few, keys_of(load.mode))?;
        let done = self.would_put(load, &staged);
        staged.remove(self.connection);
        done
    }

    fn would_put(&self, load: &Load, staged: &Staged) -> Result<RowCounts, WriteError> {
        self.execute("BEGIN TRANSACTION")?;
        let counts = self.would_touch(load, staged);
        self.execute("ROLLBACK")?;
        counts
    }

    fn would_touch(&self, load: &Load, staged: &Staged) -> Result<RowCounts, WriteError> {
        let stored = self.stored_columns(&load.table)?.ok_or(WriteError::NoTable)?;
        self.require_expected(&load.table, load.expected)?;
        if !same_shape(&stored, &load.schema) {
            return Err(WriteError::TableChanged);
        }
        self.require_contract(&load.table, &load.schema)?;
        self.hold_batch(&load.schema, staged)?;
        let target = sql::table(self.lake, &load.table);
        let (inserted, updated, deleted) = match load.mode {
            LoadMode::Append => {
                self.refuse_known_keys(&target, &load.schema, staged)?;
                (staged.rows, 0, 0)
            }
            LoadMode::Replace => (staged.rows, 0, self.count(&format!("SELECT count(*) FROM {target}"))?),
            LoadMode::Upsert => {
                let (inserted, updated) = self.upsert_counts(&target, &load.schema, staged)?;
                (inserted, updated, 0)
            }
        };
        Ok(RowCounts { inserted, updated, deleted })
    }
}

/// Whether rows leave a column out that has no value for them any more: they were checked when it still had a default.
fn counts_on_gone_default(stored: &[Column], staged: &Staged) -> bool {
    let needed = |column: &&Column| !column.nullable && column.default.is_none();
    let given = |column: &Column| staged.columns.iter().any(|(name, _)| *name == column.name);
    staged.rows > 0 && stored.iter().filter(needed).any(|column| !given(column))
}
