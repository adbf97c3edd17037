//! Bodies that carry rows: which formats are taken, and how they get to the table.

use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use futures_core::Stream;
use futures_util::StreamExt as _;
use gadwall_application::caller::Caller;
use gadwall_application::tables::{Meant, Outcome, Tables};
use gadwall_domain::access::Scope;
use gadwall_domain::names::ProjectId;
use gadwall_domain::ports::lake::LoadMode;
use gadwall_domain::ports::system::IdGenerator;
use gadwall_domain::rows::{RowSource, RowsError, StagedFile};
use gadwall_domain::table::TableRef;
use gadwall_formats::{DecodeOptions, InputFormat, RowTexts, decode, row_texts};
use poem::{Body, Request, RequestBody, Result};
use poem_openapi::registry::{MetaMediaType, MetaRequest, MetaSchema, MetaSchemaRef, Registry};
use poem_openapi::types::Type;
use poem_openapi::{ApiExtractor, ApiExtractorType, ExtractParamOptions};
use tokio::io::AsyncWriteExt as _;

use super::models::JsonObject;
use crate::layers::body::BodyError;
use crate::problem::{ApiError, ApiResult};

/// Media types that rows may come in.
const TAKEN: [&str; 6] = [
    "application/json",
    "application/x-ndjson",
    "text/csv",
    "application/vnd.apache.parquet",
    "application/vnd.apache.arrow.stream",
    "application/vnd.apache.arrow.file",
];

/// A body with rows and what it says it is.
#[derive(Debug)]
pub(crate) struct RowsBody {
    content_type: Option<String>,
    body: Body,
}

/// As [`RowsBody`], and multipart forms.
#[derive(Debug)]
pub(crate) struct ShortRowsBody(pub(crate) RowsBody);

/// A body with records: an array of objects, or one a line.
#[derive(Debug)]
pub(crate) struct RecordsBody(RowsBody);

/// Media types that records may come in.
const RECORDS: [&str; 2] = ["application/json", "application/x-ndjson"];

impl RecordsBody {
    /// The records' texts, as they come.
    pub(crate) fn texts(self) -> ApiResult<RowTexts> {
        let given = self.0.content_type.unwrap_or_default();
        let is_lines = match InputFormat::from_content_type(&given) {
            Some(InputFormat::Json) => false,
            Some(InputFormat::NdJson) => true,
            _ => return Err(ApiError::unsupported_media_type(&given, &RECORDS.join(", "))),
        };
        Ok(row_texts(is_lines, chunks(self.0.body), &DecodeOptions::default()))
    }
}

impl RowsBody {
    async fn take(request: &Request, body: &mut RequestBody) -> Result<Self> {
        let content_type = request.content_type().map(str::to_owned);
        Ok(Self { content_type, body: <Body as poem::FromRequest>::from_request(request, body).await? })
    }
}

fn request_meta(media_types: &[&'static str]) -> MetaRequest {
    let media_type = |content_type: &&'static str| MetaMediaType {
        content_type,
        schema: MetaSchemaRef::Inline(Box::new(if content_type.ends_with("json") {
            MetaSchema::ANY
        } else {
            MetaSchema::new_with_format("string", "binary")
        })),
    };
    MetaRequest { description: None, content: media_types.iter().map(media_type).collect(), required: true }
}

impl<'a> ApiExtractor<'a> for RowsBody {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::RequestObject];

    type ParamType = ();
    type ParamRawType = ();

    fn register(_: &mut Registry) {}

    fn request_meta() -> Option<MetaRequest> {
        Some(request_meta(&TAKEN))
    }

    async fn from_request(
        request: &'a Request,
        body: &mut RequestBody,
        _: ExtractParamOptions<Self::ParamType>,
    ) -> Result<Self> {
        Self::take(request, body).await
    }
}

impl<'a> ApiExtractor<'a> for RecordsBody {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::RequestObject];

    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        Vec::<JsonObject>::register(registry);
    }

    fn request_meta() -> Option<MetaRequest> {
        let [json, lines] = RECORDS;
        let lines = MetaMediaType { content_type: lines, schema: MetaSchemaRef::Inline(Box::new(MetaSchema::ANY)) };
        let json = MetaMediaType { content_type: json, schema: Vec::<JsonObject>::schema_ref() };
        Some(MetaRequest { description: None, content: vec![json, lines], required: true })
    }

    async fn from_request(
        request: &'a Request,
        body: &mut RequestBody,
        _: ExtractParamOptions<Self::ParamType>,
    ) -> Result<Self> {
        Ok(Self(RowsBody::take(request, body).await?))
    }
}

impl<'a> ApiExtractor<'a> for ShortRowsBody {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::RequestObject];

    type ParamType = ();
    type ParamRawType = ();

    fn register(_: &mut Registry) {}

    fn request_meta() -> Option<MetaRequest> {
        let media_types: Vec<&'static str> = TAKEN.into_iter().chain(["multipart/form-data"]).collect();
        Some(request_meta(&media_types))
    }

    async fn from_request(
        request: &'a Request,
        body: &mut RequestBody,
        _: ExtractParamOptions<Self::ParamType>,
    ) -> Result<Self> {
        let mut rows = RowsBody::take(request, body).await?;
        if let Some(boundary) = rows.content_type.as_deref().and_then(|text| multer::parse_boundary(text).ok()) {
            rows = file_of_form(rows.body, boundary).await?;
        }
        Ok(Self(rows))
    }
}

/// The first file of a multipart form, as a body of its own. The form is read while the file is.
async fn file_of_form(body: Body, boundary: String) -> Result<RowsBody, ApiError> {
    let mut form = multer::Multipart::new(body.into_bytes_stream(), boundary);
    let malformed = |error: multer::Error| RowsError::Malformed { format: "multipart form", reason: error.to_string() };
    while let Some(field) = form.next_field().await.map_err(malformed)? {
        let Some(name) = field.file_name().map(str::to_owned) else { continue };
        let by_name = InputFormat::from_file_name(&name).map(|format| format.content_type().to_owned());
        let content_type = by_name.or_else(|| field.content_type().map(ToString::to_string));
        // The form must outlive its field.
        let chunks = futures_util::stream::unfold((field, form), |(mut field, form)| async move {
            let chunk = field.chunk().await.map_err(io::Error::other).transpose()?;
            Some((chunk, (field, form)))
        });
        return Ok(RowsBody { content_type, body: Body::from_bytes_stream(chunks) });
    }
    Err(RowsError::Malformed { format: "multipart form", reason: "it has no file".to_owned() }.into())
}

/// Where bodies that must be whole before they can be read wait.
#[derive(Clone)]
pub(crate) struct Spool {
    pub(crate) folder: PathBuf,
    pub(crate) ids: Arc<dyn IdGenerator>,
}

type Chunks = Pin<Box<dyn Stream<Item = Result<Bytes, RowsError>> + Send>>;

/// How rows are put into a table.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Putting {
    pub(crate) mode: LoadMode,
    pub(crate) meant: Meant,
}

/// Puts a body's rows into a table. Nothing of the body is read before the caller is known to be allowed.
pub(crate) async fn put_rows(
    tables: &Tables,
    spool: &Spool,
    caller: &Caller,
    (project, table): (&ProjectId, &TableRef),
    body: RowsBody,
    how: Putting,
) -> ApiResult<Outcome> {
    let open = tables.open(caller, project, table, Scope::Write).await?;
    let given = body.content_type.unwrap_or_default();
    let format = InputFormat::from_content_type(&given)
        .ok_or_else(|| ApiError::unsupported_media_type(&given, &TAKEN.join(", ")))?;
    let chunks = chunks(body.body);
    let rows = if format == InputFormat::Parquet {
        RowSource::Parquet(Arc::new(spool.write(chunks).await?))
    } else {
        RowSource::Batches(decode(format, chunks, open.schema(), &DecodeOptions::default()))
    };
    Ok(tables.load(caller, open, how.mode, rows, how.meant).await?)
}

fn chunks(body: Body) -> Chunks {
    Box::pin(body.into_bytes_stream().map(|chunk| chunk.map_err(|error| rows_error(&error))))
}

fn rows_error(error: &io::Error) -> RowsError {
    match BodyError::behind(error) {
        Some(BodyError::TooLarge { limit }) => RowsError::TooLarge { limit },
        Some(BodyError::Slow | BodyError::Ended) | None => RowsError::Interrupted,
    }
}

impl Spool {
    async fn write(&self, mut chunks: Chunks) -> Result<StagedFile, RowsError> {
        let path = self.folder.join(format!("{}.parquet", self.ids.next_id()));
        let internal = |error: io::Error| match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
                RowsError::StorageFull(Box::new(error))
            }
            _ => RowsError::Internal(Box::new(error)),
        };
        // From here on the file goes with this handle, however this ends.
        let staged = StagedFile::new(path.clone(), Box::new(RemoveFile(path.clone())));
        let mut file = tokio::fs::File::create(&path).await.map_err(internal)?;
        let mut size: u64 = 0;
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk?;
            size += chunk.len() as u64;
            file.write_all(&chunk).await.map_err(internal)?;
        }
        file.flush().await.map_err(internal)?;
        Ok(staged.with_size(size))
    }
}

struct RemoveFile(PathBuf);

impl Drop for RemoveFile {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.0)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(error = %error, "a spooled body was not removed");
        }
    }
}
