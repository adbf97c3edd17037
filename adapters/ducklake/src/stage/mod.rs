//! Rows on their way in: loaded beside the lake, checked against the table, and only then written.
//!
//! Many rows are loaded and checked before they get a place in the writer's queue; nothing here holds a lock. A few
//! rows go into the queue as they are: the writer loads and checks those of many requests in one go.

mod batches;
mod check;
mod columns;
mod group;
mod parquet;
mod source;
mod spool;

use std::fmt::Write as _;
use std::sync::Arc;

use duckdb::Connection;
use gadwall_domain::names::ColumnName;
use gadwall_domain::ports::lake::WriteError;
use gadwall_domain::rows::{RowSource, RowsError, StagedFile};
use gadwall_domain::schema::{Column, TableSchema};
use tokio::runtime::Handle;

use crate::engine::Engine;
use crate::error::{Failure, classify, lake_error, message};
use crate::root::Lent;
use crate::sql;

pub(crate) use batches::{Few, stage_few};
pub(crate) use check::{Keys, duplicates};
pub(crate) use group::{numbers, stage_group};
pub(crate) use source::exact_form;
pub(crate) use spool::{Spool, SpooledFile};

/// Numbers the request that a row came with, where rows of several are together. No table's column can have this name.
pub(crate) const REQUEST: &str = "__gadwall_request";
/// Numbers the rows of a request, from 1. No table's column can have this name.
pub(crate) const ROW: &str = "__gadwall_row";

/// Rows that came with a request.
pub(crate) enum Incoming {
    /// So few that the writer looks at them together with those of others.
    Few(Few),
    /// Loaded and checked.
    Staged(Staged),
}

/// Rows that fit their table, ready to be inserted. Dropping it removes what was staged.
pub(crate) struct Staged {
    engine: Arc<Engine>,
    relation: Relation,
    /// Columns that the rows have, with how to read each as the table's type.
    pub(crate) columns: Vec<(ColumnName, String)>,
    /// How many rows.
    pub(crate) rows: u64,
    /// What the rules of a contract count in them, as far as that is known.
    pub(crate) counted: Option<Vec<i64>>,
}

enum Relation {
    /// A table in the engine's memory.
    Memory(String),
    /// A Parquet file, kept as long as this lives.
    File(Arc<StagedFile>),
    /// Files with all columns of the table.
    Spooled(Vec<SpooledFile>),
    /// Removed again.
    Nothing,
}

impl Relation {
    fn sql(&self) -> String {
        match self {
            Self::Memory(name) => format!("memory.main.{}", sql::ident(name)),
            Self::File(file) => {
                let path = sql::text(&file.path().to_string_lossy());
                format!("(SELECT *, file_row_number + 1 AS {ROW} FROM read_parquet({path}, file_row_number = true))")
            }
            Self::Spooled(files) => {
                let paths: Vec<String> = files.iter().map(|file| sql::text(&file.path().to_string_lossy())).collect();
                format!("read_parquet([{}])", paths.join(", "))
            }
            Self::Nothing => "(SELECT 1 WHERE false)".to_owned(),
        }
    }
}

impl Staged {
    /// A new table in the engine's memory, still to be made.
    fn in_memory(engine: &Arc<Engine>) -> (Self, String) {
        let name = engine.next_stage();
        let relation = Relation::Memory(name.clone());
        (Self::of(engine, relation, 0), name)
    }

    fn of(engine: &Arc<Engine>, relation: Relation, rows: u64) -> Self {
        Self { engine: Arc::clone(engine), relation, columns: Vec::new(), rows, counted: None }
    }

    /// Says how to read the rows as the table's types.
    fn read_as(&mut self, sources: &[source::Source]) {
        self.columns = sources.iter().map(|source| (source.column.name.clone(), source.expression())).collect();
    }

    /// The rows as something to select from.
    pub(crate) fn relation(&self) -> String {
        self.relation.sql()
    }

    /// The select list that reads the rows as the table's types.
    pub(crate) fn values(&self) -> String {
        let mut list = String::new();
        for (name, expression) in &self.columns {
            let comma = if list.is_empty() { "" } else { ", " };
            let _ = write!(list, "{comma}{expression} AS {}", sql::ident(name.as_str()));
        }
        list
    }

    /// How to read a column; its default where the rows don't have it.
    pub(crate) fn value(&self, column: &Column) -> String {
        let given = self.columns.iter().find(|(name, _)| *name == column.name);
        given.map_or_else(|| sql::default_of(column), |(_, expression)| expression.clone())
    }

    /// The key's values, as a select list.
    pub(crate) fn key_list(&self, schema: &TableSchema) -> String {
        let columns = schema.key_columns().iter().filter_map(|name| schema.column(name));
        let list = columns.map(|column| format!("{} AS {}", self.value(column), sql::ident(column.name.as_str())));
        list.collect::<Vec<_>>().join(", ")
    }

    /// `SELECT` of the key's values of all rows.
    pub(crate) fn key_values(&self, schema: &TableSchema) -> String {
        format!("SELECT {} FROM {}", self.key_list(schema), self.relation())
    }

    /// Whether each row has its number among those of its request.
    pub(crate) fn is_numbered(&self) -> bool {
        matches!(self.relation, Relation::Memory(_) | Relation::File(_))
    }

    /// The files that hold the rows, if they only have to be put in their place.
    pub(crate) fn files(&self) -> Option<&[SpooledFile]> {
        match &self.relation {
            Relation::Spooled(files) => Some(files),
            _ => None,
        }
    }

    /// Removes what was staged, now and with a connection that is there.
    pub(crate) fn remove(mut self, connection: &Connection) {
        let Relation::Memory(name) = &self.relation else { return };
        if let Err(error) = connection.execute_batch(&drop_table(name)) {
            tracing::warn!(error = %message(&error), "staged rows were not removed");
            return;
        }
        self.relation = Relation::Nothing;
    }
}

fn drop_table(name: &str) -> String {
    format!("DROP TABLE IF EXISTS memory.main.{}", sql::ident(name))
}

impl Drop for Staged {
    fn drop(&mut self) {
        let Relation::Memory(name) = &self.relation else { return };
        let (engine, name) = (Arc::clone(&self.engine), name.clone());
        let remove = move || {
            let dropped = engine.connect().and_then(|connection| connection.execute_batch(&drop_table(&name)));
            if let Err(error) = dropped {
                tracing::warn!(error = %message(&error), "staged rows were not removed");
            }
        };
        // Dropped from the async side as well as from blocking threads; outside a runtime the engine is going away.
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn_blocking(remove);
        }
    }
}

/// Loads rows and checks them against the table; a few are taken as they are.
pub(crate) async fn stage(
    spool: Spool,
    schema: &TableSchema,
    source: RowSource,
    keys: Keys,
) -> Result<Incoming, WriteError> {
    match source {
        RowSource::Batches(batches) => batches::take(&spool, schema, batches, keys).await,
        RowSource::Parquet(file) => {
            let (engine, schema) = (Arc::clone(&spool.shared.engine), schema.clone());
            let work = move |connection: &Lent| parquet::stage_parquet(&spool, connection, &schema, file, keys);
            step(&engine, work).await.map(Incoming::Staged)
        }
    }
}

/// Does a part of the staging in one of the places there are for it. Nobody holds one while they wait for their client.
async fn step<T, F>(engine: &Arc<Engine>, work: F) -> Result<T, WriteError>
where
    T: Send + 'static,
    F: FnOnce(&Lent) -> Result<T, WriteError> + Send + 'static,
{
    engine.run(&engine.staging, move |connection| Ok(work(connection))).await?
}

/// The engine refused what the decoder let through.
fn engine_refused(what: &str, error: &duckdb::Error) -> WriteError {
    if classify(error) == Failure::Statement {
        let reason = format!("{what} can't be loaded: {}", message(error));
        return RowsError::Malformed { format: "rows", reason }.into();
    }
    lake_error(error).into()
}
