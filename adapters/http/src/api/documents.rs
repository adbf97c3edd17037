//! Documents of standards, in JSON or YAML as their clients like.

use gadwall_application::error::UseCaseError;
use gadwall_domain::ontology::DocumentError;
use gadwall_formats::{from_yaml, to_yaml};
use poem::http::header;
use poem::{Body, IntoResponse, Request, RequestBody, Response, Result};
use poem_openapi::registry::{
    MetaHeader, MetaMediaType, MetaRequest, MetaResponse, MetaResponses, MetaSchema, MetaSchemaRef, Registry,
};
use poem_openapi::types::Type as _;
use poem_openapi::{ApiExtractor, ApiExtractorType, ApiResponse, ExtractParamOptions};
use serde_json::Value;

use crate::negotiate::{Accepts, media_type};
use crate::problem::{ApiError, ApiResult};

const JSON: &str = "application/json";
const YAML: &str = "application/yaml";

/// Names under which each is known, beside those of a standard.
const JSON_NAMES: [&str; 3] = [JSON, "application/odcs+json", "application/odps+json"];
const YAML_NAMES: [&str; 6] =
    [YAML, "application/odcs+yaml", "application/odps+yaml", "application/x-yaml", "text/yaml", "text/x-yaml"];

/// A document that came.
#[derive(Debug)]
pub(crate) struct DocumentBody {
    content_type: Option<String>,
    bytes: Vec<u8>,
}

impl DocumentBody {
    /// Reads it; what isn't one is told as a contract's fault.
    pub(crate) fn read(self) -> ApiResult<Value> {
        let given = self.content_type.unwrap_or_default();
        let essence = given.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let refuse = |problem: String| UseCaseError::BadContract(DocumentError { path: String::new(), problem });
        let text = String::from_utf8(self.bytes).map_err(|_| refuse("the document is not UTF-8".to_owned()))?;
        if JSON_NAMES.contains(&essence.as_str()) {
            let read = serde_json::from_str(&text);
            return Ok(read.map_err(|error| refuse(format!("the JSON can't be read: {error}")))?);
        }
        if YAML_NAMES.contains(&essence.as_str()) {
            return Ok(from_yaml(&text).map_err(|error| refuse(format!("the YAML can't be read: {error}")))?);
        }
        Err(ApiError::unsupported_media_type(&given, &[JSON, YAML, "application/odcs+yaml"].join(", ")))
    }
}

fn any(content_type: &'static str) -> MetaMediaType {
    MetaMediaType { content_type, schema: MetaSchemaRef::Inline(Box::new(MetaSchema::ANY)) }
}

impl<'a> ApiExtractor<'a> for DocumentBody {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::RequestObject];

    type ParamType = ();
    type ParamRawType = ();

    fn register(_: &mut Registry) {}

    fn request_meta() -> Option<MetaRequest> {
        let content = [JSON, YAML, "application/odcs+yaml"].into_iter().map(any).collect();
        Some(MetaRequest { description: None, content, required: true })
    }

    async fn from_request(
        request: &'a Request,
        body: &mut RequestBody,
        _: ExtractParamOptions<Self::ParamType>,
    ) -> Result<Self> {
        let content_type = request.content_type().map(str::to_owned);
        // Bounded as any document.
        let body = <Body as poem::FromRequest>::from_request(request, body).await?;
        Ok(Self { content_type, bytes: body.into_vec().await? })
    }
}

/// A document that is sent.
#[derive(Debug)]
pub(crate) struct DocumentShown {
    body: String,
    content_type: &'static str,
    status: u16,
    etag: Option<String>,
}

/// The forms that a document is offered in: the first one to those who take anything.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Forms(&'static [&'static str]);

/// Contracts.
pub(crate) const ODCS: Forms =
    Forms(&[JSON, YAML, "application/odcs+yaml", "application/odcs+json", "application/x-yaml", "text/yaml"]);
/// Data products.
pub(crate) const ODPS: Forms =
    Forms(&[JSON, YAML, "application/odps+yaml", "application/odps+json", "application/x-yaml", "text/yaml"]);

impl DocumentShown {
    /// In the form that the client likes best.
    pub(crate) fn new(document: &Value, accepts: &Accepts, forms: Forms) -> ApiResult<Self> {
        let named = media_type(accepts, forms.0)?;
        let content_type = match named {
            "application/odcs+yaml" => "application/odcs+yaml;version=3.1.0",
            "application/odcs+json" => "application/odcs+json;version=3.1.0",
            "application/odps+yaml" => "application/odps+yaml;version=1.0.0",
            "application/odps+json" => "application/odps+json;version=1.0.0",
            plain => plain,
        };
        let body = if YAML_NAMES.contains(&named) {
            to_yaml(document)
                .map_err(|problem| UseCaseError::BadContract(DocumentError { path: String::new(), problem }))?
        } else {
            document.to_string()
        };
        Ok(Self { body, content_type, status: 200, etag: None })
    }

    /// Its form, in one word.
    pub(crate) fn form(&self) -> &'static str {
        if self.content_type.contains("yaml") { "yaml" } else { "json" }
    }

    pub(crate) fn with_etag(self, etag: String) -> Self {
        Self { etag: Some(etag), ..self }
    }

    /// The client has it already.
    pub(crate) fn unchanged(etag: String) -> Self {
        Self { body: String::new(), content_type: JSON, status: 304, etag: Some(etag) }
    }
}

impl IntoResponse for DocumentShown {
    fn into_response(self) -> Response {
        let status = poem::http::StatusCode::from_u16(self.status).unwrap_or_default();
        let mut response = Response::builder().status(status).header(header::VARY, "Accept");
        if let Some(etag) = self.etag {
            response = response.header(header::ETAG, etag).header(header::CACHE_CONTROL, "private, no-cache");
        }
        if self.status == 304 {
            return response.body(Body::empty());
        }
        response.content_type(self.content_type).header(header::X_CONTENT_TYPE_OPTIONS, "nosniff").body(self.body)
    }
}

impl ApiResponse for DocumentShown {
    fn meta() -> MetaResponses {
        let content = [JSON, YAML].into_iter().map(any).collect();
        let etag = MetaHeader {
            name: "ETag".to_owned(),
            description: Some("Changes with the document.".to_owned()),
            required: false,
            deprecated: false,
            schema: String::schema_ref(),
        };
        let shown = MetaResponse {
            description: "The document.",
            status: Some(200),
            status_range: None,
            content,
            headers: vec![etag],
        };
        MetaResponses { responses: vec![shown] }
    }

    fn register(_: &mut Registry) {}
}
