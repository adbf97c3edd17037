//! JSON documents written while their rows are read: memory doesn't grow with the result.

use std::marker::PhantomData;

use arrow_array::RecordBatch;
use bytes::Bytes;
use futures_util::StreamExt as _;
use gadwall_domain::query::QueryError;
use gadwall_domain::rows::{ResultBatches, RowStream};
use gadwall_formats::encode::EncodeError;
use gadwall_formats::encode::json::{Decimals, JsonColumns, JsonOptions, Rows, Shape};
use poem::web::Accept;
use poem::{Body, IntoResponse, Response};
use poem_openapi::ApiResponse;
use poem_openapi::payload::Payload;
use poem_openapi::registry::{MetaMediaType, MetaResponse, MetaResponses, MetaSchemaRef, Registry};
use poem_openapi::types::Type;

use crate::problem::{ApiError, ApiResult};

/// A document of the form `T`, sent as it is made.
pub(crate) struct JsonStream<T> {
    body: Body,
    form: PhantomData<fn() -> T>,
}

impl<T: Type> Payload for JsonStream<T> {
    const CONTENT_TYPE: &'static str = "application/json";

    fn schema_ref() -> MetaSchemaRef {
        T::schema_ref()
    }

    fn register(registry: &mut Registry) {
        T::register(registry);
    }
}

impl<T: Type> IntoResponse for JsonStream<T> {
    fn into_response(self) -> Response {
        Response::builder().content_type(Self::CONTENT_TYPE).body(self.body)
    }
}

impl<T: Type> ApiResponse for JsonStream<T> {
    fn meta() -> MetaResponses {
        let content = vec![MetaMediaType { content_type: Self::CONTENT_TYPE, schema: Self::schema_ref() }];
        MetaResponses {
            responses: vec![MetaResponse {
                description: "",
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

/// Rows as objects; exact values as text.
pub(crate) const PREVIEW: JsonOptions =
    JsonOptions { decimals: Decimals::AsString, json: JsonColumns::Embed, shape: Shape::Object };
/// Rows as objects; numbers as numbers.
pub(crate) const OBJECTS: JsonOptions = JsonOptions { decimals: Decimals::AsNumber, ..PREVIEW };
/// Rows as arrays; numbers as numbers.
pub(crate) const ARRAYS: JsonOptions = JsonOptions { shape: Shape::Array, ..OBJECTS };

/// Bytes gathered before a chunk is sent.
const CHUNK: usize = 64 * 1024;

/// Writes `head`, the rows with commas between, and `tail` of the number of rows. A failure before the first
/// rows is an answer of its own; one after them breaks the connection, so that half a result looks like half.
pub(crate) async fn stream<T>(
    rows: RowStream,
    options: JsonOptions,
    head: String,
    tail: impl FnOnce(u64) -> String + Send + 'static,
) -> ApiResult<JsonStream<T>> {
    let encoder = Rows::new(&rows.schema, options).map_err(|error| unencodable(&error))?;
    let mut batches = rows.batches;
    let first = batches.next().await.transpose()?;
    let state = Writing { encoder, batches, waiting: first, buffer: head.into_bytes(), rows: 0, tail: Some(tail) };
    let chunks = futures_util::stream::unfold(Some(state), |state| async move {
        let (chunk, state) = state?.next_chunk().await;
        if let Err(error) = &chunk {
            tracing::warn!(error = %error, "a result broke off");
        }
        Some((chunk, state))
    });
    Ok(JsonStream { body: Body::from_bytes_stream(chunks), form: PhantomData })
}

struct Writing<F> {
    encoder: Rows,
    batches: ResultBatches,
    waiting: Option<RecordBatch>,
    buffer: Vec<u8>,
    rows: u64,
    tail: Option<F>,
}

impl<F: FnOnce(u64) -> String> Writing<F> {
    async fn next_chunk(mut self) -> (Result<Bytes, std::io::Error>, Option<Self>) {
        loop {
            let batch = match self.waiting.take() {
                Some(batch) => Some(batch),
                None => match self.batches.next().await.transpose() {
                    Ok(batch) => batch,
                    Err(error) => return (Err(std::io::Error::other(error)), None),
                },
            };
            let Some(batch) = batch else {
                if let Some(tail) = self.tail.take() {
                    self.buffer.extend_from_slice(tail(self.rows).as_bytes());
                }
                return (Ok(self.buffer.into()), None);
            };
            if let Err(error) = self.write(&batch) {
                return (Err(std::io::Error::other(error)), None);
            }
            if self.buffer.len() >= CHUNK {
                let chunk = std::mem::take(&mut self.buffer);
                return (Ok(chunk.into()), Some(self));
            }
        }
    }
}

impl<F> Writing<F> {
    fn write(&mut self, batch: &RecordBatch) -> Result<(), EncodeError> {
        let rows = self.encoder.batch(batch)?;
        for row in 0..rows.len() {
            if self.rows > 0 {
                self.buffer.push(b',');
            }
            rows.write(row, &mut self.buffer);
            self.rows += 1;
        }
        Ok(())
    }
}

fn unencodable(error: &EncodeError) -> ApiError {
    QueryError::Unsupported {
        what: format!("a result column ({error})"),
        hint: "cast it to VARCHAR in the statement".to_owned(),
    }
    .into()
}

/// Refuses a client that doesn't take JSON.
pub(crate) fn require_json(accept: &Accept) -> ApiResult<()> {
    let wanted = &accept.0;
    let json = wanted.iter().any(|mime| {
        let essence = mime.essence_str();
        essence == "*/*" || essence == "application/*" || essence == "application/json"
    });
    if wanted.is_empty() || json {
        return Ok(());
    }
    let given: Vec<String> = wanted.iter().map(ToString::to_string).collect();
    Err(ApiError::not_acceptable(&given.join(", "), "application/json"))
}
