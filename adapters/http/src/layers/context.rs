//! The outermost layer: gives each request an id, serves it, and writes one line about it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use gadwall_application::caller::Caller;
use gadwall_application::idempotency::Idempotency;
use gadwall_application::operating::{Measured, RequestLabels};
use gadwall_domain::ids::RequestId;
use gadwall_domain::ports::system::{Clock, IdGenerator};
use gadwall_telemetry::{Sampled, Sampling, TraceParent};
use poem::http::{HeaderName, HeaderValue, Method};
use poem::{Endpoint, IntoResponse, Request, Response};
use tracing::{Instrument as _, Span};

use super::allow::Allowed;
use super::door::{self, Door};
use super::recheck::{self, Recheck};
use super::{alias, body, compress, deprecation, idempotency, object_path};
use crate::auth::{AccessData, Asked};
use crate::context::{self, RequestContext, scope};
use crate::problem::{self, ApiResult};
use crate::{safe, statistics};

static REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Bounds and shared parts of the layer.
pub(crate) struct Front {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) ids: Arc<dyn IdGenerator>,
    pub(crate) access: Arc<AccessData>,
    pub(crate) measured: Arc<Measured>,
    /// Whether answers are compressed.
    pub(crate) compression: bool,
    /// Of which requests traces are made.
    pub(crate) traces: Option<Sampling>,
    pub(crate) door: Arc<Door>,
    pub(crate) bodies: Bodies,
    /// Answers to requests that may be repeated.
    pub(crate) idempotency: Arc<Idempotency>,
    /// With authentication switched off, requests without a key get this one.
    pub(crate) stand_in_key: Option<HeaderValue>,
}

/// Bounds of bodies.
pub(crate) struct Bodies {
    /// Of rows.
    pub(crate) rows: body::Bounds,
    /// Of files.
    pub(crate) files: body::Bounds,
    /// Of SQL with its parameters.
    pub(crate) sql: body::Bounds,
    /// Of all others, which are documents.
    pub(crate) documents: body::Bounds,
}

impl Bodies {
    /// The bounds of a request's body, and whether it may be long in coming: rows and files are.
    fn bounds(&self, request: &Request) -> (body::Bounds, bool) {
        if carries_rows(request) {
            (self.rows, true)
        } else if carries_an_object(request) {
            (self.files, true)
        } else if door::carries_sql(request) {
            (self.sql, false)
        } else {
            (self.documents, false)
        }
    }
}

/// Serves a request through the routes, whatever happens there.
pub(crate) struct FrontEndpoint<E> {
    front: Front,
    active: Arc<AtomicU64>,
    inner: Arc<Inner<E>>,
}

/// What is behind the layer.
struct Inner<E> {
    routes: E,
    allowed: Allowed,
}

impl<E: Endpoint> Inner<E> {
    async fn call(&self, request: Request) -> Response {
        let (path, came) = (request.uri().path().to_owned(), request.original_uri().clone());
        match self.routes.call(request).await {
            Ok(response) => response.into_response(),
            Err(error) => problem::render(error, || {
                let posted = alias::rewrite(&Method::POST, &came).unwrap_or(came);
                self.allowed.methods(&path, posted.path())
            }),
        }
    }
}

impl<E: Endpoint + 'static> FrontEndpoint<E> {
    pub(crate) fn new(front: Front, allowed: Allowed, routes: E) -> Self {
        let active = front.measured.active();
        Self { front, active, inner: Arc::new(Inner { routes, allowed }) }
    }

    /// Serves a request; `route` is told which one it is.
    async fn serve(&self, mut request: Request, route: &mut Option<Arc<str>>) -> Response {
        if let Some(uri) = alias::rewrite(request.method(), request.uri()) {
            *request.uri_mut() = uri;
        }
        if let Some((method, uri)) = alias::rewrite_patch(request.method(), request.uri()) {
            request.set_method(method);
            *request.uri_mut() = uri;
        }
        *route = self.inner.allowed.route(request.uri().path());
        safe::accept(&mut request);
        body::allow_none(&mut request);
        if let Some(key) = &self.front.stand_in_key
            && !request.headers().contains_key("authorization")
        {
            request.headers_mut().insert("authorization", key.clone());
        }
        if request.header("Content-Encoding").is_some_and(|coding| !coding.eq_ignore_ascii_case("identity")) {
            return problem::unsupported_coding();
        }
        let (bounds, is_long) = self.front.bodies.bounds(&request);
        if body::declared_too_large(&request, bounds) {
            return problem::body_too_large(bounds.limit);
        }
        let looks_again = if is_long { Recheck::of(&request, &self.front.access) } else { None };
        let too_slow = body::bound(&mut request, bounds, looks_again.clone());
        request.extensions_mut().insert(Arc::clone(&self.front.access));
        let project = recheck::project_of(request.uri().path());
        let response = match self.repeatable(&request).await {
            Ok(None) => self.inner.call(request).await,
            Ok(Some((caller, key))) => self.serve_once(caller, key, request).await,
            Err(error) => error.into_response(),
        };
        let response = recheck::or_deleted(&self.front.access.access, project, response).await;
        if too_slow.is() && response.status().is_client_error() {
            return problem::body_timeout();
        }
        match looks_again {
            Some(looks_again) => looks_again.answer(response),
            None => response,
        }
    }

    /// Who asks and under which key, if the request may be repeated.
    async fn repeatable(&self, request: &Request) -> ApiResult<Option<(Caller, String)>> {
        let Some(key) = idempotency::key_of(request)? else { return Ok(None) };
        let caller = idempotency::caller(request, &self.front.access).await?;
        Ok(caller.map(|caller| (caller, key)))
    }

    /// Serves a request under its key on a task of its own: it must come to its end, whoever waits for it.
    async fn serve_once(&self, caller: Caller, key: String, request: Request) -> Response {
        let (kept, inner) = (Arc::clone(&self.front.idempotency), Arc::clone(&self.inner));
        let (id, path) = context::current_request();
        let serving = async move {
            let served = idempotency::serve(kept, caller, key, request, |request| inner.call(request)).await;
            served.unwrap_or_else(IntoResponse::into_response)
        };
        let task = tokio::spawn(scope(id, path, serving).in_current_span());
        task.await.unwrap_or_else(|_| problem::panicked())
    }
}

impl<E: Endpoint + 'static> Endpoint for FrontEndpoint<E> {
    type Output = Response;

    async fn call(&self, mut request: Request) -> poem::Result<Response> {
        let started = Instant::now();
        let given = request.headers().get(&REQUEST_ID).and_then(|value| value.to_str().ok());
        let id = given.and_then(RequestId::parse).unwrap_or_else(|| RequestId::minted(self.front.ids.next_id()));
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let came_in = request.header("traceparent").and_then(TraceParent::parse);
        let sampled = self.front.traces.as_ref().map(|traces| traces.decide(came_in));
        let is_kept = sampled == Some(Sampled::Kept);
        let dropped = match sampled {
            Some(Sampled::Dropped(place)) => Some(place),
            _ => None,
        };
        let span = span_of(&id, &method, &path, dropped.or(came_in), is_kept);
        if let Some(place) = dropped {
            gadwall_telemetry::drop_spans(&span, place);
        }
        let trace = if is_kept { traced(&span, came_in, &request) } else { dropped.or(came_in) };
        request.extensions_mut().insert(RequestContext { id: id.clone(), trace, began_at: self.front.clock.now() });

        let _active = Active::new(&self.active);
        let visit = self.front.door.visit(&mut request);
        let coding = compress::settle(&mut request).filter(|_| self.front.compression);
        let mut route = None;
        let asked = Asked::of(&mut request, &self.front.access);
        let serving = async {
            match self.front.door.admit(&request, &visit) {
                None => self.serve(request, &mut route).await,
                Some(answer) => answer,
            }
        };
        let mut response = scope(id.clone(), path.clone(), serving).instrument(span.clone()).await;
        if let Some(code) = problem::take_refusal(&mut response) {
            asked.refused(&self.front.access, &code);
        }
        let mut response = compress::encode(coding, response);
        self.front.door.mark(&visit, &mut response);

        if let Ok(value) = HeaderValue::from_str(id.as_str()) {
            response.headers_mut().insert(REQUEST_ID.clone(), value);
        }
        statistics::trail(&mut response);
        let took = started.elapsed();
        let duration_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        let status = response.status().as_u16();
        // Who is turned away at the door asked for a route, too.
        let route = route.or_else(|| self.inner.allowed.route(&path)).unwrap_or_else(|| "".into());
        deprecation::mark(&route, &mut response);
        if is_kept {
            gadwall_telemetry::served(&span, known(&method), &path, &route, status);
        }
        let labels = RequestLabels { method: known(&method), route, status };
        self.front.measured.request(labels, took);
        span.in_scope(|| tracing::info!(status, duration_ms, "served"));
        Ok(response)
    }
}

/// A request's span. That it says its kind is what puts it into a trace, with all that happens in it.
fn span_of(id: &RequestId, method: &Method, path: &str, place: Option<TraceParent>, is_kept: bool) -> Span {
    let trace_id = place.map(|place| place.trace_id());
    if is_kept {
        tracing::info_span!("request", request_id = %id, method = %method, path = %path, trace_id, otel.kind = "server")
    } else {
        tracing::info_span!("request", request_id = %id, method = %method, path = %path, trace_id)
    }
}

/// Where a request's span stands: in the trace that the request came in, or at the beginning of one.
fn traced(span: &Span, came_in: Option<TraceParent>, request: &Request) -> Option<TraceParent> {
    if let Some(parent) = came_in {
        gadwall_telemetry::adopt(span, parent, request.header("tracestate"));
    }
    let place = gadwall_telemetry::traceparent(span);
    if let Some(begun) = place.filter(|_| came_in.is_none()) {
        span.record("trace_id", begun.trace_id());
    }
    place
}

/// A method by its name, if the API has it: clients may make up any.
fn known(method: &Method) -> &'static str {
    const KNOWN: [&str; 8] = ["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "QUERY"];
    KNOWN.into_iter().find(|name| *name == method.as_str()).unwrap_or("_OTHER")
}

/// Routes whose bodies are rows, not documents.
fn carries_rows(request: &Request) -> bool {
    let path = request.uri().path();
    let is_rows = path.ends_with("/rows") && *request.method() == Method::POST;
    let is_short_append = path.starts_with("/tables/") && *request.method() == Method::PUT;
    let are_records = path.starts_with("/ops/") && path.ends_with("/bulk") && *request.method() == Method::POST;
    is_rows || is_short_append || are_records
}

/// Routes whose bodies are files.
fn carries_an_object(request: &Request) -> bool {
    *request.method() == Method::PUT && object_path::names_an_object(request.uri().path())
}

/// Counts a request for as long as it is served, also when its client goes away.
struct Active<'a>(&'a AtomicU64);

impl<'a> Active<'a> {
    fn new(count: &'a AtomicU64) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Active<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
