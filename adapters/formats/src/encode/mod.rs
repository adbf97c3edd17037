//! Result batches into text.
//!
//! Encoders write into a buffer of the caller's, row by row, straight from the Arrow arrays; sending the
//! buffer on, and in what envelope, is the caller's. They know the types that DuckDB puts into Arrow's
//! extension metadata (`arrow_lossless_conversion`), so nothing is rounded on the way out.
//! Parquet and Arrow IPC need no encoder of ours: the engine and `arrow` write them.

mod bind;
mod calendar;
pub mod csv;
mod describe;
pub mod json;
mod opaque;
mod scalar;
mod values;
mod wkt;

use thiserror::Error;

pub(crate) use csv::write_text;
pub use describe::describe_type;
pub(crate) use describe::extension;
pub(crate) use json::write_json;
pub(crate) use scalar::write_uuid;
pub(crate) use values::Values;
pub(crate) use wkt::write_wkt;

/// A result can't be written as text.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("column {column:?} has the type {arrow_type}, which can't be written here; cast it to VARCHAR")]
pub struct EncodeError {
    /// The column, or the field within it.
    pub column: String,
    /// Its Arrow type, shortened.
    pub arrow_type: String,
}
