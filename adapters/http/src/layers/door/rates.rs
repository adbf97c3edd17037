//! How often an address and a key may ask: a bucket of requests for each, which fills again evenly.
//!
//! The address counts before anything is looked at, the key once it is known to be good. Refused keys are counted by
//! the use case that checks keys, against the address as well, and sooner.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use gadwall_application::caller::{Identity, network_of};
use governor::clock::{Clock, MonotonicClock};
use governor::middleware::StateInformationMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use poem::Request;
use poem::http::{HeaderMap, HeaderName, HeaderValue};
use quick_cache::sync::Cache;

use crate::problem::{ApiError, ApiResult};

/// Addresses or keys that each policy remembers; those that haven't asked for long are forgotten first.
const REMEMBERED: usize = 50_000;
static POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
static LIMIT: HeaderName = HeaderName::from_static("ratelimit");

/// So many requests in so much time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RatePolicy {
    /// Requests.
    pub requests: NonZeroU32,
    /// The time, in whole seconds.
    pub window: Duration,
}

/// What limits requests; none doesn't.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RateLimits {
    /// Requests of an address, of whatever kind.
    pub address: Option<RatePolicy>,
    /// Requests with a key, of whatever kind.
    pub key: Option<RatePolicy>,
    /// Requests with a key that run SQL.
    pub queries: Option<RatePolicy>,
}

/// The limits with what is used of them.
pub(crate) struct Rates {
    limits: RateLimits,
    address: Option<Limiter>,
    key: Option<Limiter>,
    queries: Option<Limiter>,
}

impl Rates {
    pub(crate) fn new(limits: RateLimits) -> Self {
        let limiter = |name, policy: Option<RatePolicy>| policy.and_then(|policy| Limiter::new(name, policy));
        Self {
            limits,
            address: limiter("address", limits.address),
            key: limiter("default", limits.key),
            queries: limiter("queries", limits.queries),
        }
    }
}

impl Rates {
    /// Whether these are the limits.
    pub(super) fn are(&self, limits: RateLimits) -> bool {
        self.limits == limits
    }
}

type Bucket<C> = RateLimiter<NotKeyed, InMemoryState, C, StateInformationMiddleware>;

/// One policy and the buckets of those whom it limits.
struct Limiter<C: Clock = MonotonicClock> {
    name: &'static str,
    policy: RatePolicy,
    quota: Quota,
    clock: C,
    buckets: Cache<String, Arc<Bucket<C>>>,
}

/// What is left of a policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Spent {
    name: &'static str,
    policy: RatePolicy,
    remaining: u32,
    /// Until the bucket is full again.
    reset: Duration,
    /// Until the next request, if this one was one too many.
    wait: Option<Duration>,
}

impl Limiter {
    fn new(name: &'static str, policy: RatePolicy) -> Option<Self> {
        Self::with_clock(name, policy, MonotonicClock)
    }
}

impl<C: Clock + Clone> Limiter<C> {
    fn with_clock(name: &'static str, policy: RatePolicy, clock: C) -> Option<Self> {
        let each = (policy.window / policy.requests.get()).max(Duration::from_nanos(1));
        let quota = Quota::with_period(each)?.allow_burst(policy.requests);
        Some(Self { name, policy, quota, clock, buckets: Cache::new(REMEMBERED) })
    }

    fn spend(&self, whose: &str) -> Spent {
        let bucket = self.buckets.get(whose).unwrap_or_else(|| {
            let new = || Ok::<_, std::convert::Infallible>(Arc::new(self.bucket()));
            self.buckets.get_or_insert_with(whose, new).unwrap_or_else(|never| match never {})
        });
        let each = self.quota.replenish_interval();
        let (remaining, wait) = match bucket.check() {
            Ok(state) => (state.remaining_burst_capacity(), None),
            Err(refused) => (0, Some(refused.wait_time_from(self.clock.now()))),
        };
        let reset = each * (self.policy.requests.get() - remaining.min(self.policy.requests.get()));
        Spent { name: self.name, policy: self.policy, remaining, reset, wait }
    }

    fn bucket(&self) -> Bucket<C> {
        RateLimiter::direct_with_clock(self.quota, self.clock.clone()).with_middleware()
    }
}

impl Spent {
    fn require(&self) -> ApiResult<()> {
        let Some(wait) = self.wait else { return Ok(()) };
        let (requests, window) = (self.policy.requests, self.policy.window.as_secs());
        let whose = if self.name == "address" { "this address" } else { "this key" };
        let what = if self.name == "queries" { "queries" } else { "requests" };
        Err(ApiError::rate_limited(&format!("{whose} may send {requests} {what} in {window} s"), wait))
    }

    fn policy(&self) -> String {
        format!("\"{}\";q={};w={}", self.name, self.policy.requests, self.policy.window.as_secs())
    }

    fn state(&self) -> String {
        format!("\"{}\";r={};t={}", self.name, self.remaining, self.reset.as_millis().div_ceil(1_000))
    }
}

/// What a request has cost.
pub(crate) struct Account {
    rates: Arc<Rates>,
    is_query: bool,
    address: OnceLock<Spent>,
    /// Of the key, once: a key may be looked at more than once for one request.
    key: OnceLock<Vec<Spent>>,
}

impl Account {
    pub(super) fn new(rates: Arc<Rates>, is_query: bool) -> Self {
        Self { rates, is_query, address: OnceLock::new(), key: OnceLock::new() }
    }

    /// Counts the request against its address.
    pub(super) fn charge_address(&self, address: IpAddr) -> ApiResult<()> {
        let Some(limiter) = &self.rates.address else { return Ok(()) };
        self.address.get_or_init(|| limiter.spend(&network_of(address).to_string())).require()
    }

    fn charge_key(&self, key: &str) -> ApiResult<()> {
        let spent = self.key.get_or_init(|| {
            let queries = self.rates.queries.as_ref().filter(|_| self.is_query);
            self.rates.key.iter().chain(queries).map(|limiter| limiter.spend(key)).collect()
        });
        spent.iter().try_for_each(Spent::require)
    }

    /// Tells what is left (draft-ietf-httpapi-ratelimit-headers).
    pub(super) fn tell(&self, headers: &mut HeaderMap) {
        let spent: Vec<&Spent> = self.key.get().into_iter().flatten().chain(self.address.get()).collect();
        if spent.is_empty() {
            return;
        }
        let list = |text: fn(&Spent) -> String| {
            HeaderValue::try_from(spent.iter().map(|spent| text(spent)).collect::<Vec<_>>().join(", "))
        };
        if let (Ok(policy), Ok(state)) = (list(Spent::policy), list(Spent::state)) {
            headers.insert(POLICY.clone(), policy);
            headers.insert(LIMIT.clone(), state);
        }
    }
}

/// Counts a request against the key that it came with, if that is a good one.
pub(crate) fn charge(request: &Request, identity: &Identity) -> ApiResult<()> {
    match (identity, request.extensions().get::<Arc<Account>>()) {
        (Identity::Known(principal), Some(account)) => account.charge_key(&principal.label()),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use governor::clock::FakeRelativeClock;

    use super::*;

    fn limiter(requests: u32, seconds: u64) -> (Limiter<FakeRelativeClock>, FakeRelativeClock) {
        let clock = FakeRelativeClock::default();
        let policy = RatePolicy { requests: NonZeroU32::new(requests).unwrap(), window: Duration::from_secs(seconds) };
        (Limiter::with_clock("default", policy, clock.clone()).unwrap(), clock)
    }

    #[test]
    fn a_bucket_is_emptied_at_once_and_fills_evenly() {
        let (limiter, clock) = limiter(4, 60);
        let left: Vec<u32> = (0..4).map(|_| limiter.spend("a").remaining).collect();
        assert_eq!(left, [3, 2, 1, 0]);
        let refused = limiter.spend("a");
        assert_eq!(refused.wait, Some(Duration::from_secs(15)));
        assert_eq!((refused.policy(), refused.state()), ("\"default\";q=4;w=60".into(), "\"default\";r=0;t=60".into()));
        assert_eq!(limiter.spend("b").remaining, 3, "others have their own");
        clock.advance(Duration::from_secs(14));
        assert!(limiter.spend("a").wait.is_some());
        clock.advance(Duration::from_secs(1));
        assert!(limiter.spend("a").wait.is_none() && limiter.spend("a").wait.is_some());
        clock.advance(Duration::from_mins(1));
        assert_eq!(limiter.spend("a").state(), "\"default\";r=3;t=15");
    }

    #[test]
    fn whoever_comes_with_ever_new_addresses_fills_no_memory() {
        let (limiter, _) = limiter(4, 60);
        for number in 0..2 * REMEMBERED {
            limiter.spend(&number.to_string());
        }
        assert!(limiter.buckets.len() <= REMEMBERED);
    }

    #[test]
    fn a_key_pays_once_for_a_request() {
        let policy = RatePolicy { requests: NonZeroU32::MIN, window: Duration::from_mins(1) };
        let rates = Arc::new(Rates::new(RateLimits { key: Some(policy), ..RateLimits::default() }));
        let account = Account::new(Arc::clone(&rates), false);
        assert!(account.charge_key("k").is_ok() && account.charge_key("k").is_ok());
        assert!(Account::new(rates, false).charge_key("k").is_err());
    }
}
