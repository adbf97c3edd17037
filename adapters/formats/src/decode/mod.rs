//! Request bodies into batches of rows.
//!
//! A decoder is fed pieces of the body and gives batches as soon as it can; it never sees, and never
//! holds, the whole. What is wrong with a *value* becomes a violation beside the batch and decoding
//! goes on; what is wrong with the *bytes* ends the stream with an error. A stream with violations may
//! end early (after [`MAX_COUNTED`] of them): its rows must not be kept anyway.

mod arrow;
mod columns;
mod csv;
mod json;
mod splitter;
#[cfg(test)]
pub(crate) mod testing;
mod texts;

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use futures_core::Stream;
use futures_util::stream::{self, StreamExt};
use gadwall_domain::rows::{RowBatch, RowBatchStream, RowsError};
use gadwall_domain::schema::TableSchema;

use crate::input::InputFormat;

pub use texts::{RowTexts, row_texts};

/// Violations after which decoding stops: nobody needs a longer count.
pub const MAX_COUNTED: u64 = 100_000;

/// How much of a body is decoded before the batches are handed on.
const PIECE: usize = 64 * 1024;

/// How to read a body, and how much of it may be held at a time.
#[derive(Debug, Clone)]
pub struct DecodeOptions {
    /// How CSV is written.
    pub csv: CsvOptions,
    /// Longest row of JSON, NDJSON or CSV, in bytes.
    pub max_row_bytes: usize,
    /// Longest message (record batch, dictionary) of Arrow IPC, in bytes, compressed or not.
    pub max_message_bytes: usize,
}

impl Default for DecodeOptions {
    fn default() -> Self {
        Self { csv: CsvOptions::default(), max_row_bytes: 16 << 20, max_message_bytes: 256 << 20 }
    }
}

/// How CSV is written. The first record is always the header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CsvOptions {
    /// Between fields; an ASCII character.
    pub delimiter: u8,
    /// Around fields that hold a delimiter, a quote or a line break; doubled to mean itself.
    pub quote: u8,
    /// An unquoted field of this text is NULL. The empty text always is.
    pub null_text: Option<String>,
}

impl Default for CsvOptions {
    fn default() -> Self {
        Self { delimiter: b',', quote: b'"', null_text: None }
    }
}

/// Decodes a body of `format` into rows of a table with `schema`.
///
/// Text formats give text columns (`BLOB`: binary) that the engine casts; what it would round, cut or
/// drop on the way without a word is refused here. JSON gives every column of the table, CSV those of
/// its header, Arrow those of its schema. All batches of one body have the same columns.
///
/// [`InputFormat::Parquet`] isn't decoded here: the stream fails.
pub fn decode<B>(format: InputFormat, body: B, schema: Arc<TableSchema>, options: &DecodeOptions) -> RowBatchStream
where
    B: Stream<Item = Result<Bytes, RowsError>> + Send + 'static,
{
    let decoder: Box<dyn Decoder> = match format {
        InputFormat::Json => Box::new(json::JsonDecoder::document(schema, options)),
        InputFormat::NdJson => Box::new(json::JsonDecoder::lines(schema, options)),
        InputFormat::Csv => Box::new(csv::CsvDecoder::new(schema, options)),
        InputFormat::ArrowStream | InputFormat::ArrowFile => Box::new(arrow::ArrowDecoder::new(schema, options)),
        InputFormat::Parquet => {
            let reason = "Parquet is loaded from a file, not decoded".to_owned();
            return stream::iter([Err(RowsError::Malformed { format: "Parquet", reason })]).boxed();
        }
    };
    drive(body, decoder)
}

/// A format's decoder: bytes in, batches out.
trait Decoder: Send {
    /// Takes a piece of the body.
    fn push(&mut self, piece: &[u8]) -> Result<(), RowsError>;

    /// Told once, after the last piece.
    fn finish(&mut self) -> Result<(), RowsError>;

    /// The next batch that is ready. Called after each push, and after the finish, until there is none.
    fn next_batch(&mut self) -> Result<Option<RowBatch>, RowsError>;
}

type Body = Pin<Box<dyn Stream<Item = Result<Bytes, RowsError>> + Send>>;

struct Driver {
    body: Body,
    decoder: Box<dyn Decoder>,
    /// The rest of the chunk that is being decoded.
    chunk: Bytes,
    state: State,
    violations: u64,
}

#[derive(PartialEq)]
enum State {
    Reading,
    Draining,
    Done,
}

fn drive<B>(body: B, decoder: Box<dyn Decoder>) -> RowBatchStream
where
    B: Stream<Item = Result<Bytes, RowsError>> + Send + 'static,
{
    let driver = Driver { body: Box::pin(body), decoder, chunk: Bytes::new(), state: State::Reading, violations: 0 };
    stream::unfold(driver, |mut driver| async move {
        let item = driver.next().await.transpose()?;
        if item.is_err() {
            driver.state = State::Done;
        }
        Some((item, driver))
    })
    .boxed()
}

impl Driver {
    async fn next(&mut self) -> Result<Option<RowBatch>, RowsError> {
        while self.state != State::Done {
            if let Some(batch) = self.decoder.next_batch()? {
                self.violations += batch.violations.count();
                if self.violations >= MAX_COUNTED {
                    self.state = State::Done;
                }
                return Ok(Some(batch));
            }
            if self.state == State::Draining {
                self.state = State::Done;
            } else if !self.chunk.is_empty() {
                // A body may arrive as one chunk; its batches must not all wait at once.
                let piece = self.chunk.split_to(self.chunk.len().min(PIECE));
                self.decoder.push(&piece)?;
            } else if let Some(chunk) = self.body.next().await {
                self.chunk = chunk?;
            } else {
                self.decoder.finish()?;
                self.state = State::Draining;
            }
        }
        Ok(None)
    }
}

impl fmt::Debug for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Driver(…)")
    }
}

/// A text of unknown length, for a message.
pub(crate) fn shorten(text: &str) -> String {
    let mut shown: String = text.chars().take(60).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    shown
}
