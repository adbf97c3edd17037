//! SQL that may write: statements that are carried out together, or not at all.

use std::collections::BTreeSet;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use arrow_array::{Int64Array, RecordBatch};
use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef};
use thiserror::Error;

use crate::history::ReadAt;
use crate::ids::SnapshotId;
use crate::names::BucketName;
use crate::ports::lake::WriteError;
use crate::query::{Parameters, QueryError};
use crate::schema::TableSchema;
use crate::table::TableRef;

/// Resolves when a script is to be stopped.
pub type StopSignal = Pin<Box<dyn Future<Output = ()> + Send>>;

/// One statement with the values for its placeholders.
#[derive(Debug, Clone, PartialEq)]
pub struct ScriptStatement {
    /// Its text.
    pub sql: String,
    /// Its parameters.
    pub parameters: Parameters,
}

/// Statements that stand in one snapshot. Temporary tables live as long as it runs.
#[derive(Debug, Clone, PartialEq)]
pub struct Script {
    /// In their order.
    pub statements: Vec<ScriptStatement>,
    /// The bucket of names without one; `main` otherwise.
    pub default_bucket: Option<BucketName>,
    /// When to give up, for all of them together.
    pub timeout: Duration,
    /// Whether it is only tried: everything is undone in the end.
    pub dry_run: bool,
    /// The version that it reads. What writes is on top of the newest.
    pub at: ReadAt,
    /// Most rows that the result of a reading statement may have.
    pub max_rows: u64,
}

/// What a statement does, as far as its text tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatementKind {
    /// It reads.
    Read,
    /// It changes rows.
    Rows,
    /// It changes what there is: tables, buckets, views.
    Structure,
    /// It makes something that ends with the script.
    Temporary,
    /// It writes or reads a file of a dataset (`COPY`).
    File,
}

/// A statement that was looked at, and not carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Examined {
    /// What it does.
    pub kind: StatementKind,
    /// Its first words: `INSERT`, `CREATE TABLE`.
    pub verb: &'static str,
    /// The table that it changes, if it changes one that may be there already.
    pub table: Option<TableRef>,
    /// What there is more of afterwards.
    pub growth: Growth,
}

/// What there is more of after a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Growth {
    /// Nothing: it reads, deletes, or changes only what things are called.
    None,
    /// Rows.
    Rows,
    /// A table, unless it is there already.
    Table {
        /// Whether it comes with rows.
        rows: bool,
    },
    /// A bucket of this name, unless it is there already.
    Bucket(String),
}

/// A `COPY` between a file and a table or query, as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copy {
    /// The file's path.
    pub path: String,
    /// What is copied, and whereto.
    pub way: CopyWay,
    /// Its options.
    pub options: Vec<CopyOption>,
}

/// Where a `COPY` goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CopyWay {
    /// A query's rows go into the file.
    To {
        /// The query.
        query: String,
    },
    /// The file's rows go into a table.
    From {
        /// The table.
        table: TableRef,
        /// Whether only some columns are filled.
        some_columns: bool,
    },
}

/// An option of a `COPY`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyOption {
    /// Its name in capitals.
    pub name: String,
    /// Its value; a name alone has none.
    pub value: Option<String>,
    /// Names in parentheses in place of a value.
    pub list: Vec<String>,
}

/// A table that a script changes, as its caller knows it: with its key and the lengths of its columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownTable {
    /// Its name.
    pub name: TableRef,
    /// Its columns and key.
    pub schema: TableSchema,
}

/// What one statement gave.
#[derive(Debug, Clone)]
pub struct StatementResult {
    /// The columns of its rows: `Count` for a change of rows, none for a change of structure.
    pub schema: SchemaRef,
    /// Its rows.
    pub batches: Vec<RecordBatch>,
    /// How long it took.
    pub elapsed: Duration,
    /// What it touches.
    pub touched: Touched,
}

/// The tables and views that a statement names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Touched {
    /// Those that it reads, among them one that it changes by what is there.
    pub reads: BTreeSet<TableRef>,
    /// Those that it changes, makes or drops, also where it finds nothing to change.
    pub writes: BTreeSet<TableRef>,
}

/// One row with a number, as DuckDB answers a change of rows.
///
/// # Errors
/// Never, as its column is of the type that it says.
pub fn counted(rows: u64) -> Result<RecordBatch, ArrowError> {
    let schema = Schema::new(vec![Field::new("Count", DataType::Int64, false)]);
    let values = Int64Array::from(vec![i64::try_from(rows).unwrap_or(i64::MAX)]);
    RecordBatch::try_new(Arc::new(schema), vec![Arc::new(values)])
}

/// What a script gave.
#[derive(Debug, Clone)]
pub struct ScriptOutput {
    /// One for each statement.
    pub results: Vec<StatementResult>,
    /// The snapshot that it made; the newest, if it changed nothing.
    pub snapshot: SnapshotId,
    /// Whether it changed something.
    pub changed: bool,
}

/// Why a script was not carried out. Nothing of it stands.
#[derive(Debug, Error)]
#[error("{fault}")]
pub struct ScriptError {
    /// The statement that failed, from 0; none if it was not one of them.
    pub statement: Option<usize>,
    /// Why.
    pub fault: ScriptFault,
}

/// What can't be changed as a statement wants.
#[derive(Debug, Error)]
#[error("{source}")]
pub struct WriteFault {
    /// Which table or bucket.
    pub about: String,
    /// Which table, if it was one.
    pub table: Option<TableRef>,
    /// Why.
    pub source: WriteError,
}

/// Why a statement failed.
#[derive(Debug, Error)]
pub enum ScriptFault {
    /// It can't be read, is refused, or takes too long.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// What it changes can't be changed so.
    #[error(transparent)]
    Write(Box<WriteFault>),
    /// A table that was changed by the script already is changed in its shape.
    #[error("a script changes the shape of a table once at most, and {0} was changed before")]
    MultipleDdl(Box<TableRef>),
}
