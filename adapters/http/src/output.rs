//! Results written while they are read, in the format that was settled on: memory doesn't grow with the result.

use std::marker::PhantomData;
use std::time::Duration;

use arrow_array::RecordBatch;
use bytes::Bytes;
use futures_util::StreamExt as _;
use gadwall_application::queries::Timing;
use gadwall_domain::ids::{QueryId, SnapshotId};
use gadwall_domain::query::QueryError;
use gadwall_domain::rows::{ResultBatches, RowStream};
use gadwall_formats::encode::json::{Decimals, JsonColumns, JsonOptions, Shape, WideIntegers};
use gadwall_formats::encode::{Document, EncodeError};
use gadwall_formats::{Encoder, Output, OutputFormat};
use poem::http::{StatusCode, header};
use poem::{Body, IntoResponse, Response};
use poem_openapi::ApiResponse;
use poem_openapi::registry::{MetaMediaType, MetaResponse, MetaResponses, MetaSchema, MetaSchemaRef, Registry};
use poem_openapi::types::Type;

use crate::negotiate::{AnyFormat, Offers, Wanted};
use crate::problem::{ApiError, ApiResult};
use crate::statistics::Statistics;

/// Rows as objects; exact values as text.
pub(crate) const PREVIEW: JsonOptions = JsonOptions {
    decimals: Decimals::AsString,
    wide: WideIntegers::AsNumber,
    json: JsonColumns::Embed,
    shape: Shape::Object,
};
/// Rows as objects; numbers as numbers.
pub(crate) const OBJECTS: JsonOptions = JsonOptions { decimals: Decimals::AsNumber, ..PREVIEW };
/// Rows as arrays; numbers as numbers.
pub(crate) const ARRAYS: JsonOptions = JsonOptions { shape: Shape::Array, ..OBJECTS };

/// The same rows with every number that a double can't hold exactly as text.
pub(crate) fn precise(options: JsonOptions) -> JsonOptions {
    JsonOptions { decimals: Decimals::AsString, wide: WideIntegers::AsString, ..options }
}

/// Bytes gathered before a chunk is sent.
const CHUNK: usize = 64 * 1024;
/// Bytes of rows encoded at a time, so that one batch of wide rows isn't held twice over.
const PIECE: usize = 1 << 20;
/// Up to so many bytes of rows are encoded at once where the request is served; it takes less than a millisecond.
const QUICK: usize = 64 * 1024;

/// Marks an answer for which nothing was changed.
#[derive(Clone, Copy)]
pub(crate) struct OnlyRead;

/// Rows in a format, sent as they are encoded; as JSON, a document of the form `T`.
pub(crate) struct Streamed<T, O = AnyFormat> {
    body: Body,
    content_type: &'static str,
    disposition: Option<String>,
    snapshot: Option<SnapshotId>,
    etag: Option<String>,
    cached: Option<&'static str>,
    unchanged: bool,
    reads: bool,
    query: Option<QueryId>,
    timing: Option<String>,
    statistics: Option<Statistics>,
    next: Option<(String, String)>,
    form: PhantomData<fn() -> (T, O)>,
}

impl<T: Type, O: Offers> IntoResponse for Streamed<T, O> {
    fn into_response(self) -> Response {
        let mut response =
            Response::builder().content_type(self.content_type).header(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
        if O::OFFERS.len() > 1 {
            response = response.header(header::VARY, "Accept");
        }
        if let Some(disposition) = self.disposition {
            response = response.header(header::CONTENT_DISPOSITION, disposition);
        }
        if let Some(snapshot) = self.snapshot {
            response = response.header("X-Snapshot-Id", snapshot.get());
        }
        if let Some(etag) = self.etag {
            response = response.header(header::ETAG, etag).header(header::CACHE_CONTROL, "private, no-cache");
        }
        if let Some(how) = self.cached {
            response = response.header("X-Cache", how);
        }
        if let Some(query) = self.query {
            response = response.header("X-Query-Id", query.to_string());
        }
        if let Some(timing) = self.timing {
            response = response.header("Server-Timing", timing);
        }
        if self.reads {
            response = response.extension(OnlyRead);
        }
        if self.unchanged {
            return response.status(StatusCode::NOT_MODIFIED).body(Body::empty());
        }
        if let Some((cursor, link)) = self.next {
            response = response.header("X-Next-Cursor", cursor).header(header::LINK, format!("<{link}>; rel=\"next\""));
        }
        let mut response = response.body(self.body);
        if let Some(statistics) = self.statistics {
            statistics.announce(&mut response);
        }
        response
    }
}

impl<T, O> Streamed<T, O> {
    /// Tells the snapshot that the rows are of, for formats whose documents can't.
    pub(crate) fn with_snapshot(self, snapshot: SnapshotId) -> Self {
        Self { snapshot: Some(snapshot), ..self }
    }

    /// Tells under which id the query is known, if it is.
    pub(crate) fn with_query(self, query: Option<QueryId>) -> Self {
        Self { query, ..self }
    }

    /// Tells in headers and trailers how it was answered.
    pub(crate) fn with_statistics(self, statistics: Statistics) -> Self {
        Self { statistics: Some(statistics), ..self }
    }

    /// Tells how long it took to its first rows.
    pub(crate) fn with_timing(self, timing: Timing) -> Self {
        let milliseconds = |duration: Duration| duration.as_secs_f64() * 1e3;
        let (queued, begun) = (milliseconds(timing.queued), milliseconds(timing.begun));
        Self { timing: Some(format!("queue;dur={queued:.3}, engine;dur={begun:.3}")), ..self }
    }

    /// Says that nothing was changed for it: there is nothing to be done once only.
    pub(crate) fn only_read(self) -> Self {
        Self { reads: true, ..self }
    }

    /// Tells the result's strong validator.
    pub(crate) fn with_etag(self, etag: Option<String>) -> Self {
        Self { etag, ..self }
    }

    /// Tells whether it is one of those that are kept (`hit`) or not (`miss`).
    pub(crate) fn with_cached(self, how: Option<&'static str>) -> Self {
        Self { cached: how, ..self }
    }

    /// Passes the body through something.
    pub(crate) fn map_body(self, map: impl FnOnce(Body) -> Body) -> Self {
        Self { body: map(self.body), ..self }
    }

    /// Tells where the next page begins, and how to ask for it.
    pub(crate) fn with_next(self, next: Option<(String, String)>) -> Self {
        Self { next, ..self }
    }
}

impl<T, O> Streamed<T, O> {
    /// A result that was written before.
    pub(crate) fn again(body: impl Into<Body>, wanted: Wanted, name: &str) -> Self {
        Self {
            body: body.into(),
            content_type: wanted.content_type,
            disposition: disposition(wanted.format, name),
            snapshot: None,
            query: None,
            timing: None,
            statistics: None,
            etag: None,
            cached: None,
            unchanged: false,
            reads: false,
            next: None,
            form: PhantomData,
        }
    }

    /// The client has the result already.
    pub(crate) fn unchanged(wanted: Wanted, etag: String) -> Self {
        Self { unchanged: true, disposition: None, ..Self::again(Body::empty(), wanted, "") }.with_etag(Some(etag))
    }
}

impl<T: Type, O: Offers> ApiResponse for Streamed<T, O> {
    fn meta() -> MetaResponses {
        let binary = || MetaSchemaRef::Inline(Box::new(MetaSchema::new_with_format("string", "binary")));
        let text = || MetaSchemaRef::Inline(Box::new(MetaSchema::new("string")));
        let media_type = |format: &OutputFormat| MetaMediaType {
            content_type: format.content_type(),
            schema: match format {
                OutputFormat::Json => T::schema_ref(),
                OutputFormat::NdJson | OutputFormat::Csv => text(),
                OutputFormat::ArrowStream | OutputFormat::ArrowFile | OutputFormat::Parquet => binary(),
            },
        };
        let mut content: Vec<_> = O::OFFERS.iter().map(media_type).collect();
        if O::OFFERS.contains(&OutputFormat::Parquet) {
            content.push(MetaMediaType { content_type: "application/octet-stream", schema: binary() });
        }
        MetaResponses {
            responses: vec![MetaResponse {
                description: "The rows.",
                status: Some(200),
                status_range: None,
                content,
                headers: vec![],
            }],
        }
    }

    fn register(registry: &mut Registry) {
        T::register(registry);
    }
}

/// The usual way to write a format: rows as objects, CSV with a header, Parquet with snappy.
pub(crate) fn usual(format: OutputFormat, document: Document) -> Output {
    match format {
        OutputFormat::Json => Output::Json(document),
        OutputFormat::NdJson => Output::NdJson(OBJECTS),
        OutputFormat::Csv => Output::Csv(gadwall_formats::encode::csv::CsvStyle::default()),
        OutputFormat::ArrowStream => Output::ArrowStream(gadwall_formats::encode::ArrowOptions::default()),
        OutputFormat::ArrowFile => Output::ArrowFile(gadwall_formats::encode::ArrowOptions::default()),
        OutputFormat::Parquet => Output::Parquet(gadwall_formats::encode::ParquetOptions::default()),
    }
}

/// Sends rows as `output`, which is of the format of `wanted`; files are offered as `name` with an extension.
///
/// A failure up to the first rows is an answer of its own; one after them breaks the connection, so that half a
/// result looks like half.
pub(crate) async fn respond<T, O>(
    rows: RowStream,
    wanted: Wanted,
    output: Output,
    name: &str,
) -> ApiResult<Streamed<T, O>> {
    let mut buffer = Vec::new();
    let format = output.format();
    let encoder = Encoder::begin(&rows.schema, output, &mut buffer).map_err(|error| unencodable(&error))?;
    let mut running =
        Running { encoder, batches: rows.batches, rest: None, pieces: Vec::new().into_iter(), buffer, format };
    if let Some(batch) = running.batches.next().await.transpose()? {
        running = running.push(batch).await.map_err(|broken| match broken {
            Broken::Rows(error) => unencodable(&error),
            Broken::Engine(error) => error.into(),
            Broken::Worker => QueryError::Engine("an encoder stopped".to_owned()).into(),
        })?;
    }
    let chunks = futures_util::stream::unfold(Some(running), |running| async move {
        let (chunk, running) = match running?.chunk().await {
            Ok((chunk, running)) => (Ok(chunk), running),
            Err(broken) => {
                tracing::warn!(error = %broken, "a result broke off");
                (Err(std::io::Error::other(broken)), None)
            }
        };
        Some((chunk, running))
    });
    Ok(Streamed::again(Body::from_bytes_stream(chunks), wanted, name))
}

/// Why a result broke off.
#[derive(Debug, thiserror::Error)]
enum Broken {
    #[error(transparent)]
    Engine(#[from] QueryError),
    #[error(transparent)]
    Rows(#[from] EncodeError),
    #[error("an encoder stopped")]
    Worker,
}

/// A result on its way out.
struct Running {
    encoder: Encoder,
    batches: ResultBatches,
    /// What isn't encoded yet of the batch in work.
    rest: Option<RecordBatch>,
    /// What comes before `buffer`.
    pieces: std::vec::IntoIter<Bytes>,
    buffer: Vec<u8>,
    format: OutputFormat,
}

impl Running {
    /// The next bytes, and the rest if there is any.
    async fn chunk(mut self) -> Result<(Bytes, Option<Self>), Broken> {
        loop {
            if let Some(piece) = self.pieces.next() {
                return Ok((piece, Some(self)));
            }
            if self.buffer.len() >= CHUNK {
                break;
            }
            let batch = match self.rest.take() {
                Some(rest) => rest,
                None => match self.batches.next().await.transpose()? {
                    Some(batch) => batch,
                    None => return Ok((self.finish().await?, None)),
                },
            };
            self = self.push(batch).await?;
        }
        let chunk = std::mem::take(&mut self.buffer);
        Ok((chunk.into(), Some(self)))
    }

    /// Encodes the first rows of a batch; the others wait in `rest`.
    async fn push(mut self, batch: RecordBatch) -> Result<Self, Broken> {
        if self.encoder.hands_on() {
            let mut pieces = Vec::new();
            self.encoder.push_shared(&batch, &mut self.buffer, &mut pieces)?;
            self.pieces = pieces.into_iter();
            return Ok(self);
        }
        let (size, rows) = (batch.get_array_memory_size().max(1), batch.num_rows());
        let most = (rows.saturating_mul(PIECE) / size).max(1);
        let piece = if rows > most {
            self.rest = Some(batch.slice(most, rows - most));
            batch.slice(0, most)
        } else {
            batch
        };
        let text = matches!(self.format, OutputFormat::Json | OutputFormat::NdJson | OutputFormat::Csv);
        if size <= QUICK && (text || rows < QUICK_ROWS) {
            self.encoder.push(&piece, &mut self.buffer)?;
            return Ok(self);
        }
        let Self { mut encoder, batches, rest, pieces, mut buffer, format } = self;
        let work = move || {
            let pushed = encoder.push(&piece, &mut buffer);
            (encoder, buffer, pushed)
        };
        let (encoder, buffer, pushed) = aside(work).await?;
        pushed?;
        Ok(Self { encoder, batches, rest, pieces, buffer, format })
    }

    async fn finish(self) -> Result<Bytes, Broken> {
        let Self { encoder, mut buffer, format, .. } = self;
        let work = move || encoder.finish(&mut buffer).map(|_| Bytes::from(buffer));
        // A Parquet file ends with its last row group.
        Ok(if format == OutputFormat::Parquet { aside(work).await?? } else { work()? })
    }
}

/// A batch of so many rows may complete a row group or a message, which takes longer.
const QUICK_ROWS: usize = 256;

/// Runs work beside the threads that serve requests. A result has at most one such piece of work at a time, and
/// the engine bounds the results.
async fn aside<R: Send + 'static>(work: impl FnOnce() -> R + Send + 'static) -> Result<R, Broken> {
    tokio::task::spawn_blocking(work).await.map_err(|_| Broken::Worker)
}

pub(crate) fn unencodable(error: &EncodeError) -> ApiError {
    match error {
        EncodeError::Type { .. } | EncodeError::Value { .. } => QueryError::Unsupported {
            what: "a result column in the format asked for".to_owned(),
            hint: error.to_string(),
        },
        EncodeError::Columns { .. } | EncodeError::Writer { .. } => QueryError::Engine(error.to_string()),
    }
    .into()
}

/// Formats that are read by opening a file are offered as one.
fn disposition(format: OutputFormat, name: &str) -> Option<String> {
    if !matches!(format, OutputFormat::Csv | OutputFormat::Parquet) {
        return None;
    }
    let extension = format.extension();
    let plain = |sign: char| sign.is_ascii_alphanumeric() || matches!(sign, '.' | '_' | '-');
    let ascii: String = name.chars().map(|sign| if plain(sign) { sign } else { '_' }).collect();
    let value = format!("attachment; filename={ascii}.{extension}");
    if ascii == name {
        return Some(value);
    }
    let escaped =
        |byte: u8| if plain(char::from(byte)) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    let exact: String = name.bytes().map(escaped).collect();
    Some(format!("{value}; filename*=UTF-8''{exact}.{extension}"))
}

#[cfg(test)]
#[path = "output_tests.rs"]
mod tests;
