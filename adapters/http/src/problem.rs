//! How failures look to a client: RFC 9457 problems. The only file that names failing statuses.

use std::time::Duration;

use gadwall_application::error::UseCaseError;
use gadwall_domain::error::{Classify, ErrorKind};
use poem::error::{MethodNotAllowedError, NotFoundError, ReadBodyError};
use poem::http::{HeaderValue, StatusCode, header};
use poem::{IntoResponse, Response};
use poem_openapi::error::{
    AuthorizationError, ContentTypeError, ParseParamError, ParsePathError, ParseRequestPayloadError,
};
use poem_openapi::payload::Payload;
use poem_openapi::registry::{MetaSchemaRef, Registry};
use poem_openapi::types::{Any, Type as _};
use poem_openapi::{ApiResponse, Object};
use serde_json::Value;

use crate::api::models::etag_of;
use crate::context;
use crate::layers::body::BodyError;

/// Where a problem's type is explained.
const TYPES: &str = "https://gadwall.dev/problems/";
/// Seconds after which a client may try again what failed for want of room.
const RETRY_AFTER: u64 = 1;

/// A failure, as RFC 9457 has it, with a stable `code`. `error` and `message` repeat `code` and `detail` for
/// clients of older services.
#[derive(Debug, Clone, Object)]
pub(crate) struct Problem {
    /// Explains this kind of failure.
    #[oai(rename = "type")]
    type_uri: String,
    /// The kind of failure in words.
    title: String,
    /// HTTP status.
    status: u16,
    /// What was wrong and what to do.
    detail: String,
    /// The path asked for.
    instance: String,
    /// Stable, machine-readable code.
    code: String,
    /// The request, as in the header `X-Request-ID`.
    request_id: String,
    /// Whether the same request may succeed later.
    retryable: bool,
    /// What it was about.
    #[oai(skip_serializing_if_is_none)]
    details: Option<Any<Value>>,
    /// Single findings, where there are several.
    #[oai(skip_serializing_if_is_empty, default)]
    errors: Vec<Any<Value>>,
    /// As `code`.
    error: String,
    /// As `detail`.
    message: String,
    /// Seconds after which to try again, where that is known; told in the header.
    #[oai(skip)]
    retry_after: Option<u64>,
}

impl Problem {
    fn new(status: StatusCode, code: &str, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        let (request_id, instance) = context::current();
        Self {
            type_uri: format!("{TYPES}{code}"),
            title: title(code),
            status: status.as_u16(),
            instance,
            code: code.to_owned(),
            request_id,
            retryable: matches!(status.as_u16(), 408 | 429 | 503 | 507),
            details: None,
            errors: Vec::new(),
            error: code.to_owned(),
            message: detail.clone(),
            detail,
            retry_after: None,
        }
    }

    /// A failure that was kept, told as it would have been when it happened.
    pub(crate) fn kept(kept: &Value, request_id: &str) -> Self {
        let text = |name: &str| kept[name].as_str().unwrap_or_default();
        let kind = ErrorKind::parse(text("kind")).unwrap_or(ErrorKind::Internal);
        let mut problem = Self::new(status_of(kind), text("code"), text("detail"));
        problem.details = Some(&kept["details"]).filter(|details| !details.is_null()).cloned().map(Any);
        problem.errors = kept["errors"].as_array().into_iter().flatten().cloned().map(Any).collect();
        request_id.clone_into(&mut problem.request_id);
        problem
    }

    fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }
}

/// `bucket_exists` → `Bucket exists`.
fn title(code: &str) -> String {
    let words = code.replace('_', " ");
    let mut letters = words.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// How a client may make itself known, after RFC 6750.
fn challenge(code: &str) -> HeaderValue {
    let is_token = code.starts_with("token_");
    HeaderValue::from_static(if is_token { "Bearer error=\"invalid_token\"" } else { "Bearer" })
}

/// Tells the outermost layer a problem's code; it goes no further. (The framework drops what else an answer carries.)
static PROBLEM_CODE: header::HeaderName = header::HeaderName::from_static("x-problem-code");

/// The code of an answer that refuses a request for who sent it.
pub(crate) fn take_refusal(response: &mut Response) -> Option<String> {
    let code = response.headers_mut().remove(&PROBLEM_CODE)?;
    let refuses =
        matches!(response.status(), StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::TOO_MANY_REQUESTS);
    code.to_str().ok().filter(|_| refuses).map(str::to_owned)
}

/// A problem as a body.
#[derive(Debug, Clone)]
pub(crate) struct ProblemJson(Box<Problem>);

impl Payload for ProblemJson {
    const CONTENT_TYPE: &'static str = "application/problem+json";

    fn schema_ref() -> MetaSchemaRef {
        Problem::schema_ref()
    }

    fn register(registry: &mut Registry) {
        Problem::register(registry);
    }
}

impl IntoResponse for ProblemJson {
    fn into_response(self) -> Response {
        use poem_openapi::types::ToJSON as _;
        let status = self.0.status();
        let body = self.0.to_json_string();
        let mut response = Response::builder().status(status).content_type(Self::CONTENT_TYPE).body(body);
        let headers = response.headers_mut();
        if let Ok(code) = HeaderValue::from_str(&self.0.code) {
            headers.insert(&PROBLEM_CODE, code);
        }
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, challenge(&self.0.code));
        }
        if matches!(status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS) {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(self.0.retry_after.unwrap_or(RETRY_AFTER)));
        }
        response
    }
}

/// The failures of the API.
#[derive(Debug, ApiResponse)]
pub(crate) enum ApiError {
    /// The request names something illegal.
    #[oai(status = 400)]
    BadRequest(ProblemJson),
    /// No valid key or token; or a project's where an admin's is needed.
    #[oai(status = 401)]
    Unauthorized(ProblemJson),
    /// The key doesn't allow it, or it isn't there.
    #[oai(status = 403)]
    Forbidden(ProblemJson),
    /// It isn't there.
    #[oai(status = 404)]
    NotFound(ProblemJson),
    /// No format that the client accepts.
    #[oai(status = 406)]
    NotAcceptable(ProblemJson),
    /// The body didn't come.
    #[oai(status = 408)]
    RequestTimeout(ProblemJson),
    /// It clashes with what is there.
    #[oai(status = 409)]
    Conflict(ProblemJson),
    /// It isn't of the version that the request names.
    #[oai(status = 412)]
    PreconditionFailed(
        ProblemJson,
        /// What a table is now.
        #[oai(header = "ETag")]
        Option<String>,
    ),
    /// The body is too large.
    #[oai(status = 413)]
    PayloadTooLarge(ProblemJson),
    /// The path with its query is too long.
    #[oai(status = 414)]
    UriTooLong(ProblemJson),
    /// The body's media type isn't taken here.
    #[oai(status = 415)]
    UnsupportedMediaType(ProblemJson),
    /// No byte of it is in the range asked for.
    #[oai(status = 416)]
    RangeNotSatisfiable(ProblemJson, #[oai(header = "Content-Range")] String),
    /// The server isn't asked under that name.
    #[oai(status = 421)]
    Misdirected(ProblemJson),
    /// Well-formed, but out of range or against the table's rules.
    #[oai(status = 422)]
    Unprocessable(ProblemJson),
    /// Too many requests of this key or address, too many queries of the project, or too many refused keys and tokens; see `Retry-After`.
    #[oai(status = 429)]
    TooManyRequests(ProblemJson),
    /// Too many headers, or too large ones.
    #[oai(status = 431)]
    HeadersTooLarge(ProblemJson),
    /// A fault of the service.
    #[oai(status = 500)]
    Internal(ProblemJson),
    /// Too busy, or a part is away; see `Retry-After`.
    #[oai(status = 503)]
    Unavailable(ProblemJson),
    /// It took too long.
    #[oai(status = 504)]
    Timeout(ProblemJson),
    /// There is no room to store it, or the project may have no more.
    #[oai(status = 507)]
    StorageFull(ProblemJson),
}

/// Endpoints answer this.
pub(crate) type ApiResult<T> = Result<T, ApiError>;

impl ApiError {
    fn of(problem: Problem) -> Self {
        let body = ProblemJson(Box::new(problem));
        match body.0.status {
            400 => Self::BadRequest(body),
            401 => Self::Unauthorized(body),
            403 => Self::Forbidden(body),
            404 => Self::NotFound(body),
            406 => Self::NotAcceptable(body),
            408 => Self::RequestTimeout(body),
            409 => Self::Conflict(body),
            412 => Self::PreconditionFailed(body, None),
            413 => Self::PayloadTooLarge(body),
            414 => Self::UriTooLong(body),
            415 => Self::UnsupportedMediaType(body),
            421 => Self::Misdirected(body),
            422 => Self::Unprocessable(body),
            429 => Self::TooManyRequests(body),
            431 => Self::HeadersTooLarge(body),
            503 => Self::Unavailable(body),
            504 => Self::Timeout(body),
            507 => Self::StorageFull(body),
            _ => Self::Internal(body),
        }
    }

    /// A parameter or field that is out of range.
    pub(crate) fn out_of_range(detail: impl Into<String>) -> Self {
        Self::of(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "validation_failed", detail))
    }

    /// Something that a setting switches off.
    pub(crate) fn switched_off(what: &str, setting: &str) -> Self {
        let detail = format!("{what} are switched off; see {setting}");
        Self::of(Problem::new(StatusCode::NOT_FOUND, "switched_off", detail))
    }

    /// A path that is too long.
    pub(crate) fn uri_too_long(limit: usize) -> Self {
        let detail = format!("the path with its query is longer than {limit} bytes; send long queries in a body");
        Self::of(Problem::new(StatusCode::URI_TOO_LONG, "uri_too_long", detail))
    }

    /// Headers that are too many or too large.
    pub(crate) fn headers_too_large(detail: &str) -> Self {
        Self::of(Problem::new(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "headers_too_large", detail))
    }

    /// A host that isn't this one.
    pub(crate) fn wrong_host() -> Self {
        let detail = "the server isn't asked under that name; see server.trusted_hosts";
        Self::of(Problem::new(StatusCode::MISDIRECTED_REQUEST, "wrong_host", detail))
    }

    /// A page that may not ask.
    pub(crate) fn origin_not_allowed() -> Self {
        let detail = "pages of that origin may not ask; see cors.allow_origins";
        Self::of(Problem::new(StatusCode::FORBIDDEN, "origin_not_allowed", detail))
    }

    /// Too many requests.
    pub(crate) fn rate_limited(detail: &str, wait: Duration) -> Self {
        let mut problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, "rate_limited", detail);
        problem.retry_after = Some(whole_seconds(wait));
        Self::of(problem)
    }

    /// No format that the client accepts.
    pub(crate) fn not_acceptable(wish: &str, offered: &str) -> Self {
        let shown: String = wish.chars().take(100).collect();
        let detail = format!("nothing that `{shown}` allows can be sent; supported: {offered}");
        Self::of(Problem::new(StatusCode::NOT_ACCEPTABLE, "not_acceptable", detail))
    }

    /// An object that isn't the version that the request speaks of.
    pub(crate) fn precondition_failed(detail: &str) -> Self {
        Self::of(Problem::new(StatusCode::PRECONDITION_FAILED, "precondition_failed", detail))
    }

    /// A failure that was kept, told as it would have been when it happened.
    pub(crate) fn kept(kept: &Value) -> Self {
        let (request_id, _) = context::current();
        Self::of(Problem::kept(kept, &request_id))
    }

    /// A range beyond the end of what is `size` bytes long.
    pub(crate) fn range_not_satisfiable(size: u64) -> Self {
        let detail = format!("the range has no byte of the {size} that there are");
        let problem = Problem::new(StatusCode::RANGE_NOT_SATISFIABLE, "range_not_satisfiable", detail);
        Self::RangeNotSatisfiable(ProblemJson(Box::new(problem)), format!("bytes */{size}"))
    }

    /// A body of a media type that isn't taken.
    pub(crate) fn unsupported_media_type(given: &str, taken: &str) -> Self {
        let shown: String = given.chars().take(100).collect();
        let detail = format!("the Content-Type {shown:?} is not taken here; send one of {taken}");
        Self::of(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", detail))
    }

    /// A header that can't be read.
    pub(crate) fn malformed_header(detail: &str) -> Self {
        Self::of(Problem::new(StatusCode::BAD_REQUEST, "malformed_header", detail))
    }

    /// A change that changes nothing.
    pub(crate) fn no_changes(could: &str) -> Self {
        let detail = format!("the body asks for no change; name one of {could}");
        Self::of(Problem::new(StatusCode::BAD_REQUEST, "no_changes_specified", detail))
    }

    /// Changes that can't be made at once.
    pub(crate) fn multiple_changes(could: &str) -> Self {
        let detail = format!("each request makes one change, so that each has its snapshot; name one of {could}");
        Self::of(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "multiple_changes", detail))
    }

    /// An idempotency key that can't be one.
    pub(crate) fn bad_key(longest: usize) -> Self {
        let detail = format!("an Idempotency-Key has 1 to {longest} printable ASCII characters and no spaces");
        Self::of(Problem::new(StatusCode::BAD_REQUEST, "invalid_idempotency_key", detail))
    }

    /// A failure of the service as a whole.
    pub(crate) fn unavailable(code: &str, detail: &str, details: Value) -> Self {
        let mut problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, code, detail);
        problem.details = Some(Any(details));
        Self::of(problem)
    }

    /// Storage folders that can't be made.
    pub(crate) fn init_failed(errors: &[Value]) -> Self {
        let detail = "some storage folders can't be made or written";
        let mut problem = Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "init_failed", detail);
        problem.details = Some(Any(serde_json::json!({ "errors": errors })));
        Self::of(problem)
    }
}

fn status_of(kind: ErrorKind) -> StatusCode {
    match kind {
        ErrorKind::Invalid => StatusCode::BAD_REQUEST,
        ErrorKind::Unauthenticated => StatusCode::UNAUTHORIZED,
        ErrorKind::Forbidden => StatusCode::FORBIDDEN,
        ErrorKind::NotFound => StatusCode::NOT_FOUND,
        ErrorKind::Conflict => StatusCode::CONFLICT,
        ErrorKind::PreconditionFailed => StatusCode::PRECONDITION_FAILED,
        ErrorKind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        ErrorKind::Unprocessable => StatusCode::UNPROCESSABLE_ENTITY,
        ErrorKind::Timeout => StatusCode::GATEWAY_TIMEOUT,
        ErrorKind::TooMany => StatusCode::TOO_MANY_REQUESTS,
        ErrorKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        ErrorKind::StorageFull => StatusCode::INSUFFICIENT_STORAGE,
        ErrorKind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

impl<E: Classify + Into<UseCaseError>> From<E> for ApiError {
    fn from(error: E) -> Self {
        let error: UseCaseError = error.into();
        let kind = error.kind();
        if kind == ErrorKind::Internal {
            tracing::error!(error = chain(&error), "request failed");
            return Self::of(internal());
        }
        let beyond_quota = error.code() == "quota_exceeded";
        if matches!(kind, ErrorKind::Unavailable | ErrorKind::StorageFull) && !beyond_quota {
            tracing::warn!(error = chain(&error), "request not served");
        }
        let mut problem = Problem::new(status_of(kind), error.code(), error.to_string());
        problem.details = error.details().map(Any);
        // Waiting alone makes no room.
        problem.retryable &= !(beyond_quota && kind == ErrorKind::StorageFull);
        problem.retry_after = error.retry_after().map(whole_seconds);
        problem.errors = error.findings().into_iter().map(Any).collect();
        match (Self::of(problem), error) {
            (Self::PreconditionFailed(body, _), UseCaseError::NotExpected { found: Some(found), .. }) => {
                Self::PreconditionFailed(body, Some(etag_of(&found)))
            }
            (error, _) => error,
        }
    }
}

/// Rounded up: who comes a moment early is refused again.
fn whole_seconds(wait: Duration) -> u64 {
    (wait.as_secs() + u64::from(wait.subsec_nanos() > 0)).max(1)
}

/// An error with its causes, for the log.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}

fn internal() -> Problem {
    let detail = "something went wrong on our side; the log has it under this request id";
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal_error", detail)
}

/// The answer to a panic.
pub(crate) fn panicked() -> Response {
    ProblemJson(Box::new(internal())).into_response()
}

fn slow_body() -> Problem {
    Problem::new(StatusCode::REQUEST_TIMEOUT, "body_timeout", "the body stopped coming, or came too slowly")
}

/// The answer to a body that didn't come in time.
pub(crate) fn body_timeout() -> Response {
    ProblemJson(Box::new(slow_body())).into_response()
}

/// The answer to a connection for which there is no place.
pub(crate) fn too_many_connections() -> Response {
    let detail = "too many connections are open, or too many of this address";
    let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, "too_many_connections", detail);
    ProblemJson(Box::new(problem)).into_response()
}

/// What is wrong with a body that broke off.
pub(crate) fn unread_body(error: &std::io::Error) -> ApiError {
    ApiError::of(body_problem(error))
}

/// The answer to a body in a coding that isn't taken.
pub(crate) fn unsupported_coding() -> Response {
    let detail = "bodies are taken as they are; send it without a Content-Encoding";
    let problem = Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_content_encoding", detail);
    let mut response = ProblemJson(Box::new(problem)).into_response();
    response.headers_mut().insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    response
}

/// The answer to a body that doesn't come any further.
pub(crate) fn body_too_large(limit: u64) -> Response {
    let detail = format!("the body is larger than the limit of {limit} bytes");
    ProblemJson(Box::new(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", detail))).into_response()
}

/// Tells the framework's own errors as problems. `allowed` finds the methods that the path takes.
pub(crate) fn render(error: poem::Error, allowed: impl FnOnce() -> Option<String>) -> Response {
    if error.is_from_response() {
        return error.into_response();
    }
    let mut response = ProblemJson(Box::new(framework_problem(&error))).into_response();
    if response.status() == StatusCode::METHOD_NOT_ALLOWED
        && let Some(methods) = allowed().and_then(|methods| HeaderValue::from_str(&methods).ok())
    {
        response.headers_mut().insert(header::ALLOW, methods);
    }
    response
}

fn framework_problem(error: &poem::Error) -> Problem {
    let unprocessable = |detail: &str| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "validation_failed", detail);
    if error.is::<NotFoundError>() {
        return Problem::new(StatusCode::NOT_FOUND, "route_not_found", "there is no such route; see /docs");
    }
    if error.is::<MethodNotAllowedError>() {
        let detail = "this route doesn't take that method; see /docs";
        return Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", detail);
    }
    if error.is::<AuthorizationError>() {
        let detail = UseCaseError::Unauthenticated.to_string();
        return Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", detail);
    }
    if let Some(error) = error.downcast_ref::<ParseParamError>() {
        return unprocessable(&format!("parameter {}: {}", error.name, shorten(&error.reason)));
    }
    if let Some(error) = error.downcast_ref::<ParsePathError>() {
        return unprocessable(&format!("path: {}", shorten(&error.reason)));
    }
    if let Some(error) = error.downcast_ref::<ParseRequestPayloadError>() {
        return unprocessable(&format!("body: {}", shorten(&error.reason)));
    }
    if let Some(error) = error.downcast_ref::<ContentTypeError>() {
        return Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", shorten(&error.to_string()));
    }
    if let Some(ReadBodyError::Io(error)) = error.downcast_ref::<ReadBodyError>() {
        return body_problem(error);
    }
    let status = error.status();
    if status.is_server_error() {
        tracing::error!(error = %error, "request failed");
        return internal();
    }
    Problem::new(status, "bad_request", shorten(&error.to_string()))
}

fn body_problem(error: &std::io::Error) -> Problem {
    if let Some(broken) = BodyError::behind(error) {
        return match broken {
            BodyError::TooLarge { limit } => {
                let detail = format!("the body is larger than the limit of {limit} bytes");
                Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", detail)
            }
            BodyError::Slow => slow_body(),
            BodyError::Ended => Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", broken.to_string()),
        };
    }
    Problem::new(StatusCode::BAD_REQUEST, "body_incomplete", "the body ended early")
}

/// Messages may quote a hostile body.
fn shorten(text: &str) -> String {
    let mut short: String = text.chars().take(300).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}
