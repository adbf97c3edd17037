//! One encoder for all formats.

use std::fmt;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use bytes::Bytes;

use super::EncodeError;
use super::arrow_ipc::{ArrowOptions, Ipc};
use super::csv::{Csv, CsvStyle};
use super::json::{JsonOptions, Rows};
use super::parquet::{ParquetFile, ParquetOptions};
use crate::output::OutputFormat;

/// What a result is to be written as.
#[derive(Debug)]
pub enum Output {
    /// A JSON document around the rows.
    Json(Document),
    /// A row a line.
    NdJson(JsonOptions),
    /// Comma-separated values.
    Csv(CsvStyle),
    /// An Arrow IPC stream.
    ArrowStream(ArrowOptions),
    /// An Arrow IPC file.
    ArrowFile(ArrowOptions),
    /// A Parquet file.
    Parquet(ParquetOptions),
}

/// A JSON document whose rows stand in an array somewhere within.
pub struct Document {
    /// How rows are written.
    pub rows: JsonOptions,
    /// What stands before the first row.
    pub head: String,
    /// What stands after the last row, given their number.
    pub tail: Box<dyn FnOnce(u64) -> String + Send>,
}

impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Document").field("rows", &self.rows).field("head", &self.head).finish_non_exhaustive()
    }
}

impl Output {
    /// The format.
    pub fn format(&self) -> OutputFormat {
        match self {
            Self::Json(_) => OutputFormat::Json,
            Self::NdJson(_) => OutputFormat::NdJson,
            Self::Csv(_) => OutputFormat::Csv,
            Self::ArrowStream(_) => OutputFormat::ArrowStream,
            Self::ArrowFile(_) => OutputFormat::ArrowFile,
            Self::Parquet(_) => OutputFormat::Parquet,
        }
    }
}

/// Writes one result: begin, push each batch, finish. Each step appends what is ready to a buffer of the
/// caller's, who may send it on and empty it between steps. After an error nothing more may be pushed, and
/// what was written must not pass for a whole result.
pub struct Encoder {
    writer: Box<dyn Write>,
    rows: u64,
}

impl fmt::Debug for Encoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Encoder").field("rows", &self.rows).finish_non_exhaustive()
    }
}

/// A format's writer.
pub(super) trait Write: Send {
    fn push(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<(), EncodeError>;

    /// Like `push`, but hands on what needn't be copied: `pieces` come first, then `out`.
    fn push_shared(
        &mut self,
        batch: &RecordBatch,
        out: &mut Vec<u8>,
        _pieces: &mut Vec<Bytes>,
    ) -> Result<(), EncodeError> {
        self.push(batch, out)
    }

    /// Whether a large batch costs hardly more than a small one, as it is only handed on.
    fn hands_on(&self) -> bool {
        false
    }

    /// `rows` is the number of rows pushed.
    fn finish(self: Box<Self>, rows: u64, out: &mut Vec<u8>) -> Result<(), EncodeError>;
}

impl Encoder {
    /// Begins a result with these columns.
    ///
    /// # Errors
    /// If the format can't hold a column's type.
    pub fn begin(schema: &SchemaRef, output: Output, out: &mut Vec<u8>) -> Result<Self, EncodeError> {
        let writer: Box<dyn Write> = match output {
            Output::Json(document) => {
                let rows = Rows::new(schema, document.rows)?;
                out.extend_from_slice(document.head.as_bytes());
                Box::new(JsonDocument { rows, tail: document.tail, empty: true })
            }
            Output::NdJson(options) => Box::new(Lines(Rows::new(schema, options)?)),
            Output::Csv(style) => {
                let csv = Csv::new(schema, style)?;
                csv.write_header(out);
                Box::new(csv)
            }
            Output::ArrowStream(options) => Box::new(Ipc::stream(schema, options)?),
            Output::ArrowFile(options) => Box::new(Ipc::file(schema, options)?),
            Output::Parquet(options) => Box::new(ParquetFile::new(schema, options)?),
        };
        Ok(Self { writer, rows: 0 })
    }

    /// Takes the next rows.
    ///
    /// # Errors
    /// If a value doesn't fit the format, or the columns aren't those of the schema.
    pub fn push(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        self.rows += u64::try_from(batch.num_rows()).unwrap_or_default();
        self.writer.push(batch, out)
    }

    /// Takes the next rows without copying what may be sent as it is. What was in `out` before and what comes of these
    /// rows are the bytes appended to `pieces`, then what is in `out`.
    ///
    /// # Errors
    /// As of [`Encoder::push`].
    pub fn push_shared(
        &mut self,
        batch: &RecordBatch,
        out: &mut Vec<u8>,
        pieces: &mut Vec<Bytes>,
    ) -> Result<(), EncodeError> {
        self.rows += u64::try_from(batch.num_rows()).unwrap_or_default();
        self.writer.push_shared(batch, out, pieces)
    }

    /// Whether a large batch costs hardly more than a small one with [`Encoder::push_shared`].
    pub fn hands_on(&self) -> bool {
        self.writer.hands_on()
    }

    /// Ends the result and tells how many rows it has.
    ///
    /// # Errors
    /// If the format's writer fails.
    pub fn finish(self, out: &mut Vec<u8>) -> Result<u64, EncodeError> {
        self.writer.finish(self.rows, out)?;
        Ok(self.rows)
    }
}

struct JsonDocument {
    rows: Rows,
    tail: Box<dyn FnOnce(u64) -> String + Send>,
    empty: bool,
}

impl Write for JsonDocument {
    fn push(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        let ready = self.rows.batch(batch)?;
        for row in 0..ready.len() {
            if !std::mem::take(&mut self.empty) {
                out.push(b',');
            }
            ready.write(row, out);
        }
        Ok(())
    }

    fn finish(self: Box<Self>, rows: u64, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        out.extend_from_slice((self.tail)(rows).as_bytes());
        Ok(())
    }
}

struct Lines(Rows);

impl Write for Lines {
    fn push(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        self.0.batch(batch)?.write_lines(out);
        Ok(())
    }

    fn finish(self: Box<Self>, _: u64, _: &mut Vec<u8>) -> Result<(), EncodeError> {
        Ok(())
    }
}

impl Write for Csv {
    fn push(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        self.write_batch(batch, out)
    }

    fn finish(self: Box<Self>, _: u64, _: &mut Vec<u8>) -> Result<(), EncodeError> {
        Ok(())
    }
}

#[cfg(test)]
#[path = "encoder_tests.rs"]
mod tests;
