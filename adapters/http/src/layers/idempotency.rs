//! `Idempotency-Key`: a request that changes something may be repeated, and is carried out once.
//!
//! A request with a key runs on a task of its own, so that it comes to an end, and its answer is kept, also when its
//! client goes away in between. Only good answers are kept: what failed changed nothing and may be tried again.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{self, Poll, ready};

use bytes::Bytes;
use futures_core::Stream;
use futures_util::StreamExt as _;
use gadwall_application::caller::{Caller, Identity};
use gadwall_application::error::UseCaseError;
use gadwall_application::idempotency::{Idempotency, Turn};
use gadwall_domain::error::{Classify as _, ErrorKind};
use gadwall_domain::idempotency::{Fingerprint, IdempotentRequest, StoredAnswer};
use poem::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version, header};
use poem::{Body, Request, Response};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tokio::sync::oneshot;

use crate::api::models::{KEY_WAS_SHOWN, SECRET_WAS_SHOWN};
use crate::auth::{AccessData, Asked};
use crate::context;
use crate::layers::door;
use crate::output::OnlyRead;
use crate::problem::{self, ApiError};

/// The header of the draft standard, and the one of the older storage service.
const KEY_HEADERS: [&str; 2] = ["Idempotency-Key", "X-Idempotency-Key"];
/// Tells that an answer was given before.
static REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
/// Longest key.
const MAX_KEY: usize = 255;
/// Longest answer that is kept. Answers to changes are small documents.
const MAX_ANSWER: usize = 1024 * 1024;
/// Headers that belong to an answer rather than to its transport.
const KEPT_HEADERS: [HeaderName; 5] =
    [header::CONTENT_TYPE, header::ETAG, header::LOCATION, header::RETRY_AFTER, header::LINK];

/// The key of a request that changes something; `None` when it has none, or only reads.
pub(crate) fn key_of(request: &Request) -> Result<Option<String>, ApiError> {
    let changes = matches!(*request.method(), Method::POST | Method::PUT | Method::PATCH | Method::DELETE);
    if !changes || only_reads(request.uri().path()) {
        return Ok(None);
    }
    let Some(given) = KEY_HEADERS.into_iter().find_map(|name| request.headers().get(name)) else { return Ok(None) };
    // The draft has the key as a quoted string; most clients send it bare.
    let key = given.to_str().unwrap_or_default().trim();
    let key = key.strip_prefix('"').and_then(|key| key.strip_suffix('"')).unwrap_or(key);
    if key.is_empty() || key.len() > MAX_KEY || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(ApiError::bad_key(MAX_KEY));
    }
    Ok(Some(key.to_owned()))
}

/// Queries of tables are sent by POST and change nothing; answers to pings and tokens of the moment change nothing that
/// lasts, and a token must not be kept.
fn only_reads(path: &str) -> bool {
    (path.starts_with("/tables/") && path.ends_with("/query")) || ["/events/token", "/events/pong"].contains(&path)
}

/// Who asks, if their key is good; others are refused, and counted, by the routes.
pub(crate) async fn caller(request: &Request, access: &AccessData) -> Result<Option<Caller>, ApiError> {
    let presented = request.header("Authorization").and_then(|text| text.split_once(' '));
    let Some((_, token)) = presented.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")) else {
        return Ok(None);
    };
    let Some(origin) = access.origin(request) else { return Ok(None) };
    Asked::was_looked_at(request, None);
    access.access.admit(&origin)?;
    match access.access.authenticate(Some(token.trim())).await {
        Ok(known @ Identity::Known(_)) => {
            door::charge(request, &known)?;
            Ok(context::caller(request, known, origin.address))
        }
        Ok(Identity::Unknown | Identity::Gadwall) => Ok(None),
        Err(error) if error.kind() == ErrorKind::Unauthenticated => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Serves a request that has a key: carries it out, or answers as before.
pub(crate) async fn serve<F>(
    idempotency: Arc<Idempotency>,
    caller: Caller,
    key: String,
    mut request: Request,
    carry_out: impl FnOnce(Request) -> F,
) -> Result<Response, ApiError>
where
    F: Future<Output = Response>,
{
    let head = digest_of_head(&request);
    match idempotency.begin(&caller, &key).await? {
        Turn::Replay { fingerprint, answer } => {
            let same = fingerprint == read_fingerprint(head, request.take_body()).await?;
            if same { Ok(replay(answer)) } else { Err(UseCaseError::KeyReused.into()) }
        }
        Turn::CarryOut => {
            let fingerprint = Fingerprint::pending();
            let no_body = has_no_body(&request);
            let (body, rest) = fingerprinted(head, request.take_body(), no_body, &fingerprint);
            request.set_body(body);
            let named = IdempotentRequest { key: key.clone(), fingerprint: fingerprint.clone() };
            request.extensions_mut().insert(named);
            let response = carry_out(request).await;
            if response.status().is_success() {
                rest.settle(&fingerprint).await;
            }
            Ok(settle(&idempotency, &caller, &key, &fingerprint, response).await)
        }
    }
}

/// Keeps a good answer, and frees the key of any other.
async fn settle(
    idempotency: &Idempotency,
    caller: &Caller,
    key: &str,
    fingerprint: &Fingerprint,
    response: Response,
) -> Response {
    let kept = response.status().is_success().then(|| fingerprint.get()).flatten().map(str::to_owned);
    let Some(fingerprint) = kept else {
        free(idempotency, caller, key).await;
        return response;
    };
    if response.extensions().get::<OnlyRead>().is_some() {
        free(idempotency, caller, key).await;
        return response;
    }
    let (parts, body) = response.into_parts();
    let body = match body.into_bytes_limit(MAX_ANSWER).await {
        Ok(body) => body,
        Err(error) => {
            tracing::error!(error = %error, "the answer of a repeatable request can't be kept");
            free(idempotency, caller, key).await;
            return problem::panicked();
        }
    };
    let answer = StoredAnswer {
        status: parts.status.as_u16(),
        headers: kept_headers(&parts.headers),
        body: without_secrets(&body).unwrap_or_else(|| body.to_vec()),
    };
    if let Err(error) = idempotency.answered(caller, key, &fingerprint, &answer).await {
        // The change stands and its commit carries the key; a repetition finds it there.
        tracing::error!(error = %error, "an answer was not kept");
    }
    Response::from_parts(parts, Body::from(body))
}

async fn free(idempotency: &Idempotency, caller: &Caller, key: &str) {
    if let Err(error) = idempotency.failed(caller, key).await {
        tracing::error!(error = %error, "an idempotency key was not freed");
    }
}

fn kept_headers(headers: &HeaderMap) -> Vec<(String, String)> {
    let of_name = |name: &HeaderName| Some((name.to_string(), headers.get(name)?.to_str().ok()?.to_owned()));
    KEPT_HEADERS.iter().filter_map(of_name).collect()
}

/// A secret is shown once; what is kept of the answer says so instead.
fn without_secrets(body: &Bytes) -> Option<Vec<u8>> {
    let mut document: Value = serde_json::from_slice(body).ok()?;
    let members = document.as_object_mut()?;
    if members.shift_remove("api_key").is_some() {
        members.insert("api_key_note".to_owned(), KEY_WAS_SHOWN.into());
    } else {
        members.shift_remove("secret")?;
        members.insert("secret_note".to_owned(), SECRET_WAS_SHOWN.into());
    }
    serde_json::to_vec(&document).ok()
}

fn replay(answer: StoredAnswer) -> Response {
    let mut response = Response::builder()
        .status(StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK))
        .body(Body::from(answer.body));
    for (name, value) in answer.headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            response.headers_mut().insert(name, value);
        }
    }
    response.headers_mut().insert(REPLAYED.clone(), HeaderValue::from_static("true"));
    response
}

/// What a request is, apart from its body. Lengths keep the parts apart.
fn digest_of_head(request: &Request) -> Sha256 {
    let target = request.uri().path_and_query().map_or("/", |target| target.as_str());
    let mut digest = Sha256::new();
    for part in [
        request.method().as_str(),
        target,
        request.header("Content-Type").unwrap_or_default(),
        request.header("X-Project").unwrap_or_default(),
        request.header("If-Match").unwrap_or_default(),
        request.header("If-None-Match").unwrap_or_default(),
    ] {
        digest.update((part.len() as u64).to_be_bytes());
        digest.update(part.as_bytes());
    }
    digest
}

/// Reads a body to its end; only its digest is kept.
async fn read_fingerprint(mut digest: Sha256, body: Body) -> Result<String, ApiError> {
    let mut chunks = Box::pin(body.into_bytes_stream());
    while let Some(chunk) = chunks.next().await {
        digest.update(&chunk.map_err(|error| problem::unread_body(&error))?);
    }
    Ok(hex::encode(digest.finalize()))
}

type Chunks = Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send>>;

/// A body that is being read, and the digest of what was read.
struct Unread {
    chunks: Chunks,
    digest: Sha256,
}

/// Digests a body on its way to the handler; its fingerprint is there once it has been read to its end.
struct Reading {
    unread: Option<Unread>,
    fingerprint: Fingerprint,
    /// Takes what the handler leaves.
    rest: Option<oneshot::Sender<Unread>>,
}

impl Stream for Reading {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut task::Context<'_>) -> Poll<Option<Self::Item>> {
        let Some(unread) = self.unread.as_mut() else { return Poll::Ready(None) };
        let next = ready!(unread.chunks.as_mut().poll_next(context));
        if let Some(Ok(chunk)) = &next {
            unread.digest.update(chunk);
        } else if let Some(unread) = self.unread.take()
            && next.is_none()
        {
            self.fingerprint.settle(hex::encode(unread.digest.finalize()));
        }
        Poll::Ready(next)
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        if let (Some(unread), Some(rest)) = (self.unread.take(), self.rest.take()) {
            // Nobody takes it when the request is over already.
            let _ = rest.send(unread);
        }
    }
}

/// What a handler left of a body.
struct Rest(oneshot::Receiver<Unread>);

/// The body for the handler, and what it will leave of it.
fn fingerprinted(digest: Sha256, body: Body, no_body: bool, fingerprint: &Fingerprint) -> (Body, Rest) {
    let (rest, left) = oneshot::channel();
    if no_body {
        fingerprint.settle(hex::encode(digest.finalize()));
        return (body, Rest(left));
    }
    let unread = Unread { chunks: Box::pin(body.into_bytes_stream()), digest };
    let reading = Reading { unread: Some(unread), fingerprint: fingerprint.clone(), rest: Some(rest) };
    (Body::from_bytes_stream(reading), Rest(left))
}

impl Rest {
    /// Reads what is left to its end, so that the whole request has a fingerprint.
    async fn settle(mut self, fingerprint: &Fingerprint) {
        let Ok(Unread { mut chunks, mut digest }) = self.0.try_recv() else { return };
        while let Some(chunk) = chunks.next().await {
            let Ok(chunk) = chunk else { return };
            digest.update(&chunk);
        }
        fingerprint.settle(hex::encode(digest.finalize()));
    }
}

/// Whether a request says that no body follows.
fn has_no_body(request: &Request) -> bool {
    match request.header(header::CONTENT_LENGTH) {
        Some(length) => length == "0",
        None => request.version() < Version::HTTP_2 && request.header(header::TRANSFER_ENCODING).is_none(),
    }
}
