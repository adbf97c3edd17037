//! What belongs to a request and not to its handler: its id, its trace, its place in the log.

use std::net::IpAddr;

use chrono::{DateTime, Utc};
use gadwall_application::caller::{Caller, Identity};
use gadwall_domain::idempotency::IdempotentRequest;
use gadwall_domain::ids::RequestId;
use gadwall_telemetry::TraceParent;
use poem::Request;

tokio::task_local! {
    /// The request that is being served: its id and path.
    static CURRENT: (RequestId, String);
}

/// The id and path of the request being served, for problems.
pub(crate) fn current() -> (String, String) {
    CURRENT.try_with(|(id, path)| (id.to_string(), path.clone())).unwrap_or_default()
}

/// The request being served, for work that goes on elsewhere.
pub(crate) fn current_request() -> (RequestId, String) {
    CURRENT.with(Clone::clone)
}

/// Runs a request's handling with its id and path at hand.
pub(crate) async fn scope<F: Future>(id: RequestId, path: String, work: F) -> F::Output {
    CURRENT.scope((id, path), work).await
}

/// What the context layer puts into each request.
#[derive(Debug, Clone)]
pub(crate) struct RequestContext {
    pub(crate) id: RequestId,
    /// Where it stands in a trace: here, or where it came from if no traces are made here.
    pub(crate) trace: Option<TraceParent>,
    /// When it came.
    pub(crate) began_at: DateTime<Utc>,
}

/// Longest run id that is kept.
const MAX_TOKEN: usize = 255;

/// The caller of a request, once its credentials are known.
pub(crate) fn caller(request: &Request, identity: Identity, address: Option<IpAddr>) -> Option<Caller> {
    let context = request.extensions().get::<RequestContext>()?;
    let token = |name: &str| {
        let value = request.header(name)?;
        let fits = (1..=MAX_TOKEN).contains(&value.len()) && value.bytes().all(|b| b.is_ascii_graphic());
        fits.then(|| value.to_owned())
    };
    Some(Caller {
        identity,
        request_id: context.id.clone(),
        address,
        traceparent: context.trace.map(|place| place.to_string()),
        run_id: token("X-Run-Id"),
        idempotency: request.extensions().get::<IdempotentRequest>().cloned(),
        began_at: Some(context.began_at),
        seen: None,
    })
}
