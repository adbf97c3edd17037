//! Result batches into bytes of any format.
//!
//! [`Encoder`] is the one way in: begun with a schema, fed batches, finished; it hands out bytes as they come
//! and holds no more than a row group of Parquet, or a batch of anything else. All formats know the types that
//! DuckDB puts into Arrow's extension metadata (`arrow_lossless_conversion`), so nothing is rounded on the way
//! out: text formats read them value by value ([`json`], [`csv`]), Arrow and Parquet get them in types that
//! any reader has (`columnar`). What a format can't hold is refused by name, before the first byte.

mod arrow_ipc;
mod bind;
mod calendar;
mod coalesce;
mod columnar;
pub mod csv;
mod describe;
mod encoder;
pub mod json;
mod message;
mod opaque;
mod parquet;
mod scalar;
#[cfg(test)]
mod testing;
mod values;
mod wkt;

use thiserror::Error;

pub use arrow_ipc::{ArrowCompression, ArrowOptions};
pub(crate) use csv::write_text;
pub use describe::describe_type;
pub(crate) use describe::extension;
pub use encoder::{Document, Encoder, Output};
pub(crate) use json::write_json;
pub use parquet::{ParquetCompression, ParquetOptions};
pub(crate) use scalar::write_uuid;
pub(crate) use values::Values;
pub(crate) use wkt::write_wkt;

/// A result can't be written.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum EncodeError {
    /// A column's type has no place in the format. Known before the first byte.
    #[error("column {column:?} has the type {data_type}, which {format} can't hold; cast it to {instead}")]
    Type {
        /// The column, or the path to the field within it.
        column: String,
        /// Its type, as DuckDB spells it.
        data_type: String,
        /// The format.
        format: &'static str,
        /// A type that fits.
        instead: &'static str,
    },
    /// A value doesn't fit the type that the format has for its column.
    #[error("column {column:?} has a value that doesn't fit {data_type}, its type in {format}; cast it to VARCHAR")]
    Value {
        /// The column, or the path to the field within it.
        column: String,
        /// The type that it has in the format.
        data_type: &'static str,
        /// The format.
        format: &'static str,
    },
    /// A batch of another shape: a fault on our side.
    #[error("a batch has {found} columns instead of {expected}")]
    Columns {
        /// What it has.
        found: usize,
        /// What the schema has.
        expected: usize,
    },
    /// The format's writer failed.
    #[error("the rows could not be written as {format}: {reason}")]
    Writer {
        /// The format.
        format: &'static str,
        /// Why.
        reason: String,
    },
}

impl EncodeError {
    fn writer(format: &'static str, error: &impl ToString) -> Self {
        Self::Writer { format, reason: crate::decode::shorten(&error.to_string()) }
    }
}
