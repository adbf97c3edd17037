//! Which of a table's rows and columns are read, and in which order.

use std::collections::HashSet;

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

impl Selection {
    /// Whether a column is wanted more than once.
    pub fn repeats_columns(&self) -> bool {
        let mut seen = HashSet::new();
        self.columns.iter().flatten().any(|column| !seen.insert(column))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_may_be_wanted_twice() {
        let of = |names: &[&str]| Selection {
            columns: Some(names.iter().map(|name| ColumnName::parse(name).unwrap()).collect()),
            ..Selection::default()
        };
        assert!(of(&["a", "b", "a"]).repeats_columns());
        assert!(!of(&["a", "b"]).repeats_columns() && !Selection::default().repeats_columns());
    }
}
