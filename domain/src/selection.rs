//! Which of a table's rows and columns are read, and in which order.

use crate::filter::Filter;
use crate::layout::SortKey;
use crate::names::ColumnName;

/// A part of a table. The default is all of it, as it lies.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Selection {
    /// Only these columns, in this order; all without.
    pub columns: Option<Vec<ColumnName>>,
    /// Only these rows; all without.
    pub filter: Option<Filter>,
    /// In this order. Rows that are equal in it, and all rows without it, come in a fixed order of their own
    /// when `limit` is set, so that pages fit together.
    pub order_by: Vec<SortKey>,
    /// At most so many rows.
    pub limit: Option<u64>,
    /// Leaving out so many of the first.
    pub offset: u64,
}
