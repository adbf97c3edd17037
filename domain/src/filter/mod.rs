//! Which rows are meant: a structured condition on a table's columns, never SQL text.

mod json;
mod parse;
#[cfg(test)]
mod parse_tests;

use serde::{Deserialize, Serialize};

use crate::names::ColumnName;

pub(crate) use json::{Json, Members};
pub use parse::FilterError;

/// A condition on rows. As in SQL, a row is meant when it is true: not when it is false or unknown (NULL).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Filter {
    /// All of these hold. Never empty.
    All(Vec<Filter>),
    /// At least one of these holds. Never empty.
    Any(Vec<Filter>),
    /// It doesn't hold.
    Not(Box<Filter>),
    /// A column compared with a value, in the order of its type; text by its bytes.
    Compare {
        /// Which column.
        column: ColumnName,
        /// How.
        operator: Comparison,
        /// With what.
        value: Literal,
    },
    /// A column's value is one of these. Never empty.
    In {
        /// Which column.
        column: ColumnName,
        /// The values.
        values: Vec<Literal>,
    },
    /// A text column matches a pattern with `%` and `_`, case and all; `\` takes the meaning from the character after
    /// it. A pattern doesn't end in a `\` that stands before nothing.
    Like {
        /// Which column.
        column: ColumnName,
        /// The pattern.
        pattern: String,
    },
    /// A column is NULL.
    IsNull {
        /// Which column.
        column: ColumnName,
    },
}

/// How a column is compared with a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// Equal.
    Eq,
    /// Not equal.
    Ne,
    /// Less.
    Lt,
    /// Less or equal.
    Le,
    /// Greater.
    Gt,
    /// Greater or equal.
    Ge,
}

/// A value as text, to be read as the type of the column it meets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Literal(String);

impl Literal {
    /// A value by its text: `3`, `true`, `2026-01-31`, `some words`.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A new value for a column; `None` is NULL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment {
    /// Which column.
    pub column: ColumnName,
    /// The value; for nested types and `JSON` its JSON text.
    pub value: Option<Literal>,
}
