//! What every request passes before anything looks at what it wants: the size of its head, the host it asks, the page
//! it comes from, and how often its address has asked; and what every answer tells of that.

mod cors;
mod head;
mod hosts;
mod rates;
mod shield;

use std::sync::Arc;

use poem::http::uri::Scheme;
use poem::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use poem::{IntoResponse as _, Request, Response};

pub(crate) use cors::Cors;
pub use cors::{CorsConfig, Origins};
pub use head::HeadLimits;
pub use hosts::Hosts;
pub(crate) use rates::{Account, Rates, charge};
pub use rates::{RateLimits, RatePolicy};
pub(crate) use shield::Shield;

use crate::peer::{self, Proxies};
use crate::problem::ApiResult;

/// Routes for those who watch over the server. They ask by address instead of name, often, and must get an answer.
const PROBES: [&str; 4] = ["/livez", "/readyz", "/startupz", "/health"];

/// The checks, with what they go by.
pub(crate) struct Door {
    pub(crate) heads: HeadLimits,
    pub(crate) hosts: Hosts,
    pub(crate) cors: Cors,
    pub(crate) rates: Arc<Rates>,
    pub(crate) shield: Shield,
    pub(crate) proxies: Proxies,
}

/// A request at the door: what its answer needs.
pub(crate) struct Visit {
    account: Arc<Account>,
    /// The page's origin, if it may read the answer.
    origin: Option<HeaderValue>,
    encrypted: bool,
    is_documentation: bool,
    is_safe: bool,
}

impl Door {
    /// Takes note of a request.
    pub(crate) fn visit(&self, request: &mut Request) -> Visit {
        let path = request.uri().path();
        let account = Arc::new(Account::new(Arc::clone(&self.rates), asks_the_engine(path)));
        let visit = Visit {
            account: Arc::clone(&account),
            origin: self.cors.origin(request.headers()),
            encrypted: *request.scheme() == Scheme::HTTPS,
            is_documentation: path == "/docs" || path.starts_with("/docs/"),
            is_safe: request.method().is_safe(),
        };
        request.extensions_mut().insert(account);
        visit
    }

    /// Lets a request in, or answers it.
    pub(crate) fn admit(&self, request: &Request, visit: &Visit) -> Option<Response> {
        match self.check(request, visit) {
            Ok(answer) => answer,
            Err(error) => Some(error.into_response()),
        }
    }

    fn check(&self, request: &Request, visit: &Visit) -> ApiResult<Option<Response>> {
        self.heads.check(request)?;
        if PROBES.contains(&request.uri().path()) {
            return Ok(None);
        }
        self.hosts.check(request)?;
        if let Some(address) = peer::client(request, &self.proxies) {
            visit.account.charge_address(address)?;
        }
        if *request.method() == Method::OPTIONS {
            return self.cors.preflight(request.headers());
        }
        Ok(None)
    }

    /// Puts what every answer has into one.
    pub(crate) fn mark(&self, visit: &Visit, response: &mut Response) {
        let status = response.status();
        let headers = response.headers_mut();
        visit.account.tell(headers);
        self.cors.tell(visit.origin.as_ref(), headers);
        self.shield.tell(visit, status, headers);
    }
}

/// Routes that run SQL.
fn asks_the_engine(path: &str) -> bool {
    ["/query", "/batch", "/queries", "/export"].iter().any(|end| path.ends_with(end))
}

/// Whether a request's body is SQL with its parameters.
pub(crate) fn carries_sql(request: &Request) -> bool {
    !request.method().is_safe() && asks_the_engine(request.uri().path())
}

/// Sets a header, unless the handler knew better.
fn unless_set(headers: &mut HeaderMap, name: HeaderName, value: &'static str) {
    headers.entry(name).or_insert(HeaderValue::from_static(value));
}

/// Adds what an answer depends on.
fn vary(headers: &mut HeaderMap, on: &'static str) {
    headers.append(header::VARY, HeaderValue::from_static(on));
}
