//! How a table's rows are laid out in its files: apart by partition, in order within a file.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::names::ColumnName;

/// Partitioning and order of a table's files. Empty means "as they come".
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Layout {
    /// Rows that differ in one of these never share a file.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub partition_by: Vec<Partition>,
    /// Order of the rows within a file.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sort_by: Vec<SortKey>,
}

impl Layout {
    /// Whether rows lie as they come.
    pub fn is_plain(&self) -> bool {
        self.partition_by.is_empty() && self.sort_by.is_empty()
    }
}

/// One part of a table's partitioning: a column, or something computed of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Partition {
    /// Of which column.
    pub column: ColumnName,
    /// What is computed.
    pub transform: Transform,
}

/// What of a column's value decides the partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Transform {
    /// The value itself.
    Identity,
    /// Its year.
    Year,
    /// Its month.
    Month,
    /// Its day.
    Day,
    /// Its hour.
    Hour,
    /// A hash of it, in so many buckets.
    Bucket(u32),
}

/// One part of an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SortKey {
    /// By which column.
    pub column: ColumnName,
    /// Largest first.
    #[serde(default)]
    pub descending: bool,
    /// NULLs before all values.
    #[serde(default)]
    pub nulls_first: bool,
}

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let column = &self.column;
        match self.transform {
            Transform::Identity => write!(f, "{column}"),
            Transform::Year => write!(f, "year({column})"),
            Transform::Month => write!(f, "month({column})"),
            Transform::Day => write!(f, "day({column})"),
            Transform::Hour => write!(f, "hour({column})"),
            Transform::Bucket(count) => write!(f, "bucket({count}, {column})"),
        }
    }
}
