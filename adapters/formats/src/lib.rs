//! Gadwall's wire formats: rows in as JSON, NDJSON, CSV and Arrow IPC, and out as these and Parquet.
//!
//! [`decode()`] turns a request body into batches for a table and says which values don't fit it;
//! [`mod@encode`] writes result batches. Both stream: neither holds a whole body. What a value must look
//! like is decided in one place (`cell`), for every format alike. No HTTP and no engine here.

mod cell;
pub mod decode;
pub mod encode;
mod input;
mod output;
pub mod spool;
mod yaml;

pub use decode::{CsvOptions, DecodeOptions, RowTexts, decode, row_texts};
pub use encode::{Encoder, Output};
pub use input::InputFormat;
pub use output::OutputFormat;
pub use yaml::{from_yaml, to_yaml};
