//! Bodies that are files: as they are, or in a multipart form.

use std::io;

use futures_util::StreamExt as _;
use gadwall_application::caller::Caller;
use gadwall_application::datasets::{DatasetError, Datasets};
use gadwall_domain::dataset::{ContentType, DatasetName, ObjectName};
use gadwall_domain::names::ProjectId;
use gadwall_domain::ports::objects::{Content, ContentError, PutOptions, Stored};
use poem::{Body, Request, RequestBody, Result};
use poem_openapi::registry::{MetaMediaType, MetaRequest, MetaSchema, MetaSchemaRef, Registry};
use poem_openapi::{ApiExtractor, ApiExtractorType, ExtractParamOptions};

use super::conditions::Conditions;
use crate::layers::body::BodyError;
use crate::problem::ApiResult;

/// The field of a form that has the file.
const FIELD: &str = "file";

/// A body with a file, what it says it is, and what must hold for it to be stored.
pub(crate) struct FileBody {
    content_type: Option<String>,
    conditions: Conditions,
    body: Body,
}

impl<'a> ApiExtractor<'a> for FileBody {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::RequestObject];

    type ParamType = ();
    type ParamRawType = ();

    fn register(_: &mut Registry) {}

    fn request_meta() -> Option<MetaRequest> {
        let file = || MetaSchemaRef::Inline(Box::new(MetaSchema::new_with_format("string", "binary")));
        let form = MetaSchema { properties: vec![(FIELD, file())], required: vec![FIELD], ..MetaSchema::new("object") };
        Some(MetaRequest {
            description: Some("The file itself under any content type, which is kept; or a form."),
            content: vec![
                MetaMediaType { content_type: "application/octet-stream", schema: file() },
                MetaMediaType { content_type: "multipart/form-data", schema: MetaSchemaRef::Inline(Box::new(form)) },
            ],
            // An empty file comes without one.
            required: false,
        })
    }

    async fn from_request(
        request: &'a Request,
        body: &mut RequestBody,
        _: ExtractParamOptions<Self::ParamType>,
    ) -> Result<Self> {
        Ok(Self {
            content_type: request.content_type().map(str::to_owned),
            conditions: Conditions::of(request),
            body: <Body as poem::FromRequest>::from_request(request, body).await?,
        })
    }
}

/// Stores a body. Nothing of it is read before the caller is known to be allowed.
pub(super) async fn put(
    datasets: &Datasets,
    caller: &Caller,
    project: &ProjectId,
    dataset: &DatasetName,
    object: &ObjectName,
    body: FileBody,
) -> ApiResult<Stored> {
    let open = datasets.open_for_put(caller, project, dataset, object).await?;
    let FileBody { content_type, conditions, body } = body;
    let boundary = content_type.as_deref().and_then(|text| multer::parse_boundary(text).ok());
    let (content_type, content) = match boundary {
        Some(boundary) => file_of_form(body, boundary).await?,
        None => (content_type, whole(body)),
    };
    let content_type = content_type.as_deref().map(ContentType::parse).transpose().map_err(DatasetError::from)?;
    let options = PutOptions { content_type, precondition: conditions.precondition() };
    Ok(datasets.put(open, content, options).await?)
}

fn whole(body: Body) -> Content {
    Box::pin(body.into_bytes_stream().map(|chunk| chunk.map_err(|error| content_error(&error))))
}

/// The form's file, which is read while it is stored.
async fn file_of_form(body: Body, boundary: String) -> Result<(Option<String>, Content), DatasetError> {
    let mut form = multer::Multipart::new(body.into_bytes_stream(), boundary);
    while let Some(field) = form.next_field().await.map_err(form_error)? {
        if field.name() != Some(FIELD) {
            continue;
        }
        let content_type = field.content_type().map(ToString::to_string);
        // The form must outlive its field.
        let chunks = futures_util::stream::unfold(Some((field, form)), |state| async move {
            let (mut field, form) = state?;
            match field.chunk().await {
                Ok(chunk) => Some((Ok(chunk?), Some((field, form)))),
                Err(error) => Some((Err(form_error(error)), None)),
            }
        });
        return Ok((content_type, Box::pin(chunks)));
    }
    let reason = format!("it has no field {FIELD:?} with a file");
    Err(ContentError::Malformed { format: "multipart form", reason }.into())
}

fn form_error(error: multer::Error) -> ContentError {
    match error {
        multer::Error::StreamReadFailed(error) => content_error(&io::Error::other(error)),
        multer::Error::IncompleteStream | multer::Error::IncompleteFieldData { .. } => ContentError::Interrupted,
        other => ContentError::Malformed { format: "multipart form", reason: other.to_string() },
    }
}

fn content_error(error: &io::Error) -> ContentError {
    match BodyError::behind(error) {
        Some(BodyError::TooLarge { limit }) => ContentError::TooLarge { limit },
        Some(BodyError::Slow | BodyError::Ended) | None => ContentError::Interrupted,
    }
}
