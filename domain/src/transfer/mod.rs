//! Files in and out in bulk: their formats, and how they are named.

mod format;
mod pattern;

pub use format::{Codec, CsvOptions, FileFormat, FormatError, ParquetOptions};
pub use pattern::{FilePattern, ObjectPath, PatternError};
