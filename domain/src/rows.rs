//! Rows on their way in and out.

use std::fmt;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use futures_core::Stream;
use serde_json::{Value, json};
use thiserror::Error;

use crate::error::{Classify, ErrorKind};
use crate::ontology::RefusedRecords;
use crate::query::QueryError;
use crate::quota::QuotaExceeded;

/// Violations listed one by one; the rest are only counted.
pub const MAX_VIOLATIONS: usize = 20;

/// A value in a row that doesn't fit its table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Which row of the request, from 1.
    pub row: u64,
    /// Which column; none if it is about the whole row.
    pub column: Option<String>,
    /// Why, with the (shortened) value.
    pub reason: String,
}

/// Violations found so far: the first [`MAX_VIOLATIONS`] and the count of all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Violations {
    first: Vec<Violation>,
    count: u64,
}

impl Violations {
    /// Adds one.
    pub fn push(&mut self, violation: Violation) {
        self.count += 1;
        if self.first.len() < MAX_VIOLATIONS {
            self.first.push(violation);
        }
    }

    /// Adds those that were counted but not described.
    pub fn add_count(&mut self, more: u64) {
        self.count += more;
    }

    /// Takes in another list, keeping the earliest rows.
    pub fn merge(&mut self, other: Self) {
        self.count += other.count;
        self.first.extend(other.first);
        self.first.sort_by_key(|violation| violation.row);
        self.first.truncate(MAX_VIOLATIONS);
    }

    /// Whether nothing was found.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// How many there are in all.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The first ones, by row.
    pub fn first(&self) -> &[Violation] {
        &self.first
    }

    /// As JSON objects for a client: `{row, column, reason}`.
    pub fn to_json(&self) -> Vec<Value> {
        let entry = |v: &Violation| json!({ "row": v.row, "column": v.column, "reason": v.reason });
        self.first.iter().map(entry).collect()
    }
}

/// Why a stream of rows broke off.
#[derive(Debug, Error)]
pub enum RowsError {
    /// The bytes are not what their media type says. Nothing of it is kept.
    #[error("the body is not valid {format}: {reason}")]
    Malformed {
        /// The format's name, e.g. `CSV`.
        format: &'static str,
        /// What is wrong, and where.
        reason: String,
    },
    /// A column that the table doesn't have.
    #[error("the table has no column {column:?}; its columns are {known}")]
    UnknownColumn {
        /// The column, shortened.
        column: String,
        /// The table's columns, comma separated.
        known: String,
    },
    /// More bytes than allowed.
    #[error("the body is larger than the limit of {limit} bytes")]
    TooLarge {
        /// The limit in bytes.
        limit: u64,
    },
    /// More than the project may have.
    #[error(transparent)]
    Quota(#[from] QuotaExceeded),
    /// Texts that are no records.
    #[error(transparent)]
    Refused(#[from] RefusedRecords),
    /// The client stopped sending.
    #[error("the body ended early")]
    Interrupted,
    /// There is no room for them.
    #[error("storage is full; nothing was written")]
    StorageFull(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A fault on our side (no space to spool, the engine failed).
    #[error("rows could not be transferred")]
    Internal(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl Classify for RowsError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Malformed { .. } | Self::UnknownColumn { .. } | Self::Interrupted => ErrorKind::Invalid,
            Self::TooLarge { .. } => ErrorKind::TooLarge,
            Self::StorageFull(_) => ErrorKind::StorageFull,
            Self::Quota(error) => error.kind(),
            Self::Refused(error) => error.kind(),
            Self::Internal(_) => ErrorKind::Internal,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Malformed { .. } => "malformed_body",
            Self::UnknownColumn { .. } => "unknown_column",
            Self::TooLarge { .. } => "body_too_large",
            Self::Interrupted => "body_incomplete",
            Self::StorageFull(_) => "storage_full",
            Self::Quota(error) => error.code(),
            Self::Refused(error) => error.code(),
            Self::Internal(_) => "internal_error",
        }
    }

    fn details(&self) -> Option<Value> {
        match self {
            Self::Quota(error) => error.details(),
            _ => None,
        }
    }

    fn findings(&self) -> Vec<Value> {
        match self {
            Self::Refused(error) => error.findings(),
            _ => Vec::new(),
        }
    }
}

/// A batch of decoded rows, with what the decoder found wrong in them.
///
/// The columns are named as the table's columns and are a subset of them. A text column (`Utf8`) holds
/// values to be read as the table's type says (for nested types and `JSON`: JSON text); any other type
/// holds values to be cast.
#[derive(Debug)]
pub struct RowBatch {
    /// The rows.
    pub rows: RecordBatch,
    /// What is wrong in them, by row of the whole request.
    pub violations: Violations,
}

/// Decoded rows, in order.
pub type RowBatchStream = Pin<Box<dyn Stream<Item = Result<RowBatch, RowsError>> + Send>>;

/// Rows on their way into a table.
pub enum RowSource {
    /// Rows decoded on the way; all batches have the same columns.
    Batches(RowBatchStream),
    /// A Parquet file in the staging area, removed when dropped.
    Parquet(Arc<StagedFile>),
}

impl fmt::Debug for RowSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Batches(_) => "RowSource::Batches",
            Self::Parquet(_) => "RowSource::Parquet",
        })
    }
}

/// A file that waits in the staging area. Its owner's guard removes it when the last handle is gone.
pub struct StagedFile {
    path: PathBuf,
    size: Option<u64>,
    _guard: Box<dyn Send + Sync>,
}

impl StagedFile {
    /// A file at `path`, kept as long as `guard` lives.
    pub fn new(path: PathBuf, guard: Box<dyn Send + Sync>) -> Self {
        Self { path, size: None, _guard: guard }
    }

    /// The same, where it is known how many bytes it has.
    #[must_use]
    pub fn with_size(self, size: u64) -> Self {
        Self { size: Some(size), ..self }
    }

    /// How many bytes it has, if that is known.
    pub fn size(&self) -> Option<u64> {
        self.size
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl fmt::Debug for StagedFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StagedFile(…)")
    }
}

/// Batches of rows on their way out.
pub type ResultBatches = Pin<Box<dyn Stream<Item = Result<RecordBatch, QueryError>> + Send>>;

/// Rows on their way out: their shape, then batches of them.
///
/// Types that Arrow has no type of its own for carry their DuckDB type in Arrow's extension metadata.
pub struct RowStream {
    /// Columns, known before the first batch.
    pub schema: SchemaRef,
    /// The rows. An error ends it; what came before is incomplete.
    pub batches: ResultBatches,
}

impl fmt::Debug for RowStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RowStream").field("schema", &self.schema).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_violations_are_kept_and_all_are_counted() {
        let mut late = Violations::default();
        let mut early = Violations::default();
        for row in 1..=30 {
            let violation = |row| Violation { row, column: None, reason: String::new() };
            late.push(violation(100 + row));
            early.push(violation(row));
        }
        late.merge(early);
        assert_eq!(late.count(), 60);
        assert_eq!(late.first().len(), MAX_VIOLATIONS);
        assert_eq!(late.first()[0].row, 1);
    }
}
