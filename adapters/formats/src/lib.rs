//! Gadwall's wire formats: rows in and out as JSON, NDJSON, CSV and Arrow IPC.
//!
//! [`decode()`] turns a request body into batches for a table and says which values don't fit it;
//! [`mod@encode`] writes result batches. Both stream: neither holds a whole body. What a value must look
//! like is decided in one place (`cell`), for every format alike. No HTTP and no engine here.

mod cell;
pub mod decode;
pub mod encode;
mod input;

pub use decode::{CsvOptions, DecodeOptions, decode};
pub use input::InputFormat;
