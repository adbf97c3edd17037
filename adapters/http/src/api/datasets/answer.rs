//! How an object is sent.
//!
//! Anyone with write scope decides what a browser of anyone with read scope gets to see, from this service's own
//! origin. So a browser is told to save it, to believe the type it is told, and to run nothing of it.

use futures_util::StreamExt as _;
use gadwall_domain::dataset::ObjectInfo;
use gadwall_domain::ports::objects::OpenObject;
use poem::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use poem::{Body, IntoResponse, Request, RequestBody, Response};
use poem_openapi::registry::{
    MetaHeader, MetaMediaType, MetaResponse, MetaResponses, MetaSchema, MetaSchemaRef, Registry,
};
use poem_openapi::{ApiExtractor, ApiExtractorType, ApiResponse, ExtractParamOptions};

use super::conditions::{Conditions, Verdict, http_time, quoted};
use super::range::{Wanted, wanted};
use crate::api::paging::percent_encoded;
use crate::problem::{ApiError, ApiResult};

/// An object, a part of it, or that the client has it already.
pub(crate) struct ObjectAnswer(Response);

impl IntoResponse for ObjectAnswer {
    fn into_response(self) -> Response {
        self.0
    }
}

/// The conditions of a request.
pub(crate) struct Conditional(pub(super) Conditions);

impl<'a> ApiExtractor<'a> for Conditional {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::PoemExtractor];

    type ParamType = ();
    type ParamRawType = ();

    async fn from_request(
        request: &'a Request,
        _: &mut RequestBody,
        _: ExtractParamOptions<Self::ParamType>,
    ) -> poem::Result<Self> {
        Ok(Self(Conditions::of(request)))
    }
}

/// Answers a read.
pub(super) async fn answer(opened: Box<dyn OpenObject>, conditions: &Conditions) -> ApiResult<ObjectAnswer> {
    let info = opened.info().clone();
    let size = info.size;
    match conditions.judge(&info) {
        Verdict::Failed => return Err(failed()),
        Verdict::NotModified => return Ok(respond(StatusCode::NOT_MODIFIED, &info, None, Body::empty())),
        Verdict::Go => {}
    }
    let (status, range) = match wanted(conditions.range(&info), size) {
        Wanted::All => (StatusCode::OK, 0..size),
        Wanted::Part(range) => (StatusCode::PARTIAL_CONTENT, range),
        Wanted::Nothing => return Err(ApiError::range_not_satisfiable(size)),
    };
    let length = range.end - range.start;
    let content_range = format!("bytes {}-{}/{size}", range.start, range.end.saturating_sub(1));
    let content = opened.read(range).await.map_err(gadwall_application::datasets::DatasetError::from)?;
    let body = Body::from_bytes_stream(content.map(|chunk| {
        chunk.map_err(|error| {
            tracing::warn!(error = %error, "an object broke off");
            std::io::Error::other(error)
        })
    }));
    let mut answer = respond(status, &info, Some(length), body);
    if status == StatusCode::PARTIAL_CONTENT {
        set(answer.0.headers_mut(), header::CONTENT_RANGE, &content_range);
    }
    Ok(answer)
}

/// Answers a look.
pub(super) fn answer_head(info: &ObjectInfo, conditions: &Conditions) -> ApiResult<ObjectAnswer> {
    match conditions.judge(info) {
        Verdict::Failed => Err(failed()),
        Verdict::NotModified => Ok(respond(StatusCode::NOT_MODIFIED, info, None, Body::empty())),
        Verdict::Go => Ok(respond(StatusCode::OK, info, Some(info.size), Body::empty())),
    }
}

fn failed() -> ApiError {
    ApiError::precondition_failed("the object is not as the request's precondition says; look at it again")
}

fn respond(status: StatusCode, info: &ObjectInfo, length: Option<u64>, body: Body) -> ObjectAnswer {
    let mut response = Response::builder().status(status).body(body);
    let headers = response.headers_mut();
    set(headers, header::ETAG, &quoted(&info.etag));
    set(headers, header::LAST_MODIFIED, &http_time(info.last_modified));
    set(headers, header::CACHE_CONTROL, "private, no-cache");
    if let Some(length) = length {
        set(headers, header::CONTENT_TYPE, info.content_type.as_str());
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
        set(headers, header::ACCEPT_RANGES, "bytes");
        set(headers, header::X_CONTENT_TYPE_OPTIONS, "nosniff");
        set(headers, header::CONTENT_SECURITY_POLICY, "sandbox; default-src 'none'");
        let (_, file) = info.name.split();
        set(headers, header::CONTENT_DISPOSITION, &format!("attachment; filename*=UTF-8''{}", percent_encoded(file)));
    }
    ObjectAnswer(response)
}

fn set(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

impl ApiResponse for ObjectAnswer {
    fn meta() -> MetaResponses {
        let text = || MetaSchemaRef::Inline(Box::new(MetaSchema::new("string")));
        let header = |(name, description): (&str, &str)| MetaHeader {
            name: name.to_owned(),
            description: Some(description.to_owned()),
            required: true,
            deprecated: false,
            schema: text(),
        };
        let versions = [("ETag", "This version of the object."), ("Last-Modified", "When it was put.")];
        let bytes = |content_type| MetaMediaType {
            content_type,
            schema: MetaSchemaRef::Inline(Box::new(MetaSchema::new_with_format("string", "binary"))),
        };
        // Objects come under any type; what comes without one is octets.
        let bytes = || vec![bytes("application/octet-stream"), bytes("*/*")];
        let response = |status, description, content: Vec<MetaMediaType>, more: &[(&str, &str)]| MetaResponse {
            description,
            status: Some(status),
            status_range: None,
            content,
            headers: versions.iter().chain(more).copied().map(header).collect(),
        };
        let range = [("Content-Range", "Which bytes, of how many.")];
        MetaResponses {
            responses: vec![
                response(200, "The object, under the content type it was put with.", bytes(), &[]),
                response(206, "The part of it asked for by `Range`.", bytes(), &range),
                response(304, "The client has this version.", vec![], &[]),
            ],
        }
    }

    fn register(_: &mut Registry) {}
}
