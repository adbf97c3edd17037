//! Tables as they stand in a snapshot.

use std::collections::BTreeMap;
use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::history::TableVersion;
use crate::layout::Layout;
use crate::names::{BucketName, ColumnName, NameError, TableName};
use crate::schema::TableSchema;

/// Names a table within a project.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TableRef {
    /// The bucket it is in.
    pub bucket: BucketName,
    /// Its name there.
    pub table: TableName,
}

impl TableRef {
    /// Reads `table` (in the bucket `main`) or `bucket.table`.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        match text.split_once('.') {
            Some((bucket, table)) => Ok(Self { bucket: BucketName::parse(bucket)?, table: TableName::parse(table)? }),
            None => Ok(Self { bucket: BucketName::main(), table: TableName::parse(text)? }),
        }
    }

    /// The short form: without the bucket when that is `main`.
    pub fn short(&self) -> String {
        if self.bucket.is_main() { self.table.to_string() } else { self.to_string() }
    }
}

impl fmt::Display for TableRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.bucket, self.table)
    }
}

/// A table with its shape and size, in a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// Its name.
    pub name: TableRef,
    /// Columns and key, with declared lengths.
    pub schema: TableSchema,
    /// When it was created; unknown for tables that something else made.
    pub created_at: Option<DateTime<Utc>>,
    /// How much it holds.
    pub size: TableSize,
    /// How its files are laid out.
    pub layout: Layout,
    /// What it and its columns are for.
    pub comments: Comments,
    /// When it last changed.
    pub version: TableVersion,
}

/// What a table and its columns are for, in words.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Comments {
    /// The table.
    pub table: Option<String>,
    /// Columns that have a comment.
    pub columns: BTreeMap<ColumnName, String>,
}

/// How much a table holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TableSize {
    /// Rows.
    pub row_count: u64,
    /// Bytes of its data files.
    pub size_bytes: u64,
}
