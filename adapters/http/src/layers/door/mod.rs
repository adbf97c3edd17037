//! What every request passes before anything looks at what it wants: the size of its head, the host it asks, the page
//! it comes from, and how often its address has asked; and what every answer tells of that.

mod cors;
mod head;
mod hosts;
mod rates;
mod shield;

use std::sync::{Arc, PoisonError, RwLock};

use poem::http::uri::Scheme;
use poem::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use poem::{IntoResponse as _, Request, Response};

use cors::Cors;
pub use cors::{CorsConfig, Origins};
pub use head::HeadLimits;
pub use hosts::Hosts;
pub(crate) use rates::charge;
use rates::{Account, Rates};
pub use rates::{RateLimits, RatePolicy};
use shield::Shield;

use crate::HttpConfig;
use crate::peer::{self, Proxies};
use crate::problem::ApiResult;

/// Routes for those who watch over the server. They ask by address instead of name, often, and must get an answer.
const PROBES: [&str; 4] = ["/livez", "/readyz", "/startupz", "/health"];

/// Whom the server lets in. It may change while it serves.
#[derive(Debug, Clone)]
pub struct DoorConfig {
    /// The names that it may be asked under.
    pub trusted_hosts: Hosts,
    /// Whose pages may read answers.
    pub cors: CorsConfig,
    /// How often addresses and keys may ask.
    pub rates: RateLimits,
}

/// The checks, with what they go by.
pub(crate) struct Door {
    heads: HeadLimits,
    shield: Shield,
    proxies: Proxies,
    /// Without authentication there are no keys to be told apart.
    keys: bool,
    rules: RwLock<Arc<Rules>>,
}

/// What may change.
struct Rules {
    hosts: Hosts,
    cors: Cors,
    rates: Arc<Rates>,
}

/// A request at the door: what its answer needs.
pub(crate) struct Visit {
    /// Those that held when it came.
    rules: Arc<Rules>,
    account: Arc<Account>,
    /// The page's origin, if it may read the answer.
    origin: Option<HeaderValue>,
    encrypted: bool,
    is_documentation: bool,
    is_safe: bool,
}

impl Door {
    pub(crate) fn new(config: &HttpConfig) -> Self {
        let door = Self {
            heads: config.heads,
            shield: Shield::new(config.hsts),
            proxies: config.proxies.clone(),
            keys: config.auth_enabled,
            rules: RwLock::new(Arc::new(Rules {
                hosts: Hosts::default(),
                cors: Cors::new(&CorsConfig::default()),
                rates: Arc::new(Rates::new(RateLimits::default())),
            })),
        };
        door.set(&config.door);
        door
    }

    fn rules(&self) -> Arc<Rules> {
        Arc::clone(&self.rules.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Lets others in from the next request on. What was used of limits that stay stays used.
    pub(crate) fn set(&self, config: &DoorConfig) {
        let of_keys = |policy: Option<RatePolicy>| policy.filter(|_| self.keys);
        let DoorConfig { trusted_hosts, cors, rates } = config;
        let limits = RateLimits { address: rates.address, key: of_keys(rates.key), queries: of_keys(rates.queries) };
        let known = Arc::clone(&self.rules().rates);
        let rates = if known.are(limits) { known } else { Arc::new(Rates::new(limits)) };
        let rules = Rules { hosts: trusted_hosts.clone(), cors: Cors::new(cors), rates };
        *self.rules.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(rules);
    }

    /// Takes note of a request.
    pub(crate) fn visit(&self, request: &mut Request) -> Visit {
        let path = request.uri().path();
        let rules = self.rules();
        let account = Arc::new(Account::new(Arc::clone(&rules.rates), asks_the_engine(path)));
        let visit = Visit {
            account: Arc::clone(&account),
            origin: rules.cors.origin(request.headers()),
            encrypted: *request.scheme() == Scheme::HTTPS,
            is_documentation: path == "/docs" || path.starts_with("/docs/"),
            is_safe: request.method().is_safe(),
            rules,
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
        visit.rules.hosts.check(request)?;
        if let Some(address) = peer::client(request, &self.proxies) {
            visit.account.charge_address(address)?;
        }
        if *request.method() == Method::OPTIONS {
            return visit.rules.cors.preflight(request.headers());
        }
        Ok(None)
    }

    /// Puts what every answer has into one.
    pub(crate) fn mark(&self, visit: &Visit, response: &mut Response) {
        let status = response.status();
        let headers = response.headers_mut();
        visit.account.tell(headers);
        visit.rules.cors.tell(visit.origin.as_ref(), headers);
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
