//! An issuer's keys, kept for a while.
//!
//! One task at a time fetches them; whoever needs them waits for it, and goes away without harm. After a try nobody
//! tries again for some seconds, whatever tokens come in.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use gadwall_application::breaker::{Breaker, Permit};
use gadwall_domain::ports::system::Clock;
use gadwall_domain::ports::tokens::TokenError;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::algorithm::Algorithm;
use crate::fetch::Fetcher;
use crate::jwk::{Key, KeySet};

/// Time between two tries.
pub(crate) const PAUSE: TimeDelta = TimeDelta::seconds(10);

pub(crate) struct IssuerKeys {
    fetcher: Fetcher,
    breaker: Arc<Breaker>,
    clock: Arc<dyn Clock>,
    ttl: TimeDelta,
    stale: TimeDelta,
    state: Mutex<State>,
    /// Counts the tries that ended.
    ended: watch::Sender<u64>,
}

#[derive(Default)]
struct State {
    known: Option<Known>,
    last_try: Option<DateTime<Utc>>,
    failed: bool,
    running: bool,
}

/// Keys, and when they were fetched.
#[derive(Clone)]
struct Known {
    keys: Arc<KeySet>,
    since: DateTime<Utc>,
}

impl Known {
    /// Whether they are at most that old. A clock that was put back makes them old.
    fn is_within(&self, age: TimeDelta, now: DateTime<Utc>) -> bool {
        (TimeDelta::zero()..age).contains(&(now - self.since))
    }
}

/// How the last try ended.
enum Tried {
    Fetched,
    Failed { retry_after: Duration },
}

/// What there is to do for whoever wants the keys to be fetched.
enum Turn {
    Over(Tried),
    Wait(watch::Receiver<u64>),
}

impl IssuerKeys {
    pub(crate) fn new(
        fetcher: Fetcher,
        breaker: Arc<Breaker>,
        clock: Arc<dyn Clock>,
        ttl: Duration,
        stale: Duration,
    ) -> Self {
        let delta = |span: Duration| TimeDelta::from_std(span).unwrap_or_default();
        let (ttl, stale) = (delta(ttl), delta(stale));
        let ended = watch::Sender::new(0);
        Self { fetcher, breaker, clock, ttl, stale, state: Mutex::default(), ended }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keys of at most that age.
    fn known(&self, age: TimeDelta) -> Option<Known> {
        let now = self.clock.now();
        self.state().known.clone().filter(|known| known.is_within(age, now))
    }

    /// Begins to fetch them.
    pub(crate) fn warm_up(self: &Arc<Self>) {
        self.begin();
    }

    /// The key that a token names.
    pub(crate) async fn find(self: &Arc<Self>, id: Option<&str>, algorithm: Algorithm) -> Result<Arc<Key>, TokenError> {
        if let Some(known) = self.known(self.ttl)
            && let Some(key) = known.keys.find(id, algorithm)
        {
            if !known.is_within(self.ttl * 3 / 4, self.clock.now()) {
                self.begin();
            }
            return Ok(key);
        }
        let tried = self.refresh().await;
        let found = self.known(self.ttl + self.stale).and_then(|known| known.keys.find(id, algorithm));
        match (found, tried) {
            (Some(key), _) => Ok(key),
            (None, Tried::Fetched) => Err(TokenError::Invalid("no key of its issuer has signed it")),
            (None, Tried::Failed { retry_after }) => Err(TokenError::IssuerAway { retry_after }),
        }
    }

    /// Fetches them, unless that was done just now.
    async fn refresh(self: &Arc<Self>) -> Tried {
        let mut ended = match self.begin() {
            Turn::Over(tried) => return tried,
            Turn::Wait(ended) => ended,
        };
        // The fetching has limits of its own; this one is for a task that never runs.
        let _ = timeout(self.fetcher.longest(), ended.changed()).await;
        self.last_try(self.clock.now())
    }

    fn last_try(&self, now: DateTime<Utc>) -> Tried {
        let state = self.state();
        let next = state.last_try.map_or(now, |last| last + PAUSE);
        if state.failed || state.running {
            Tried::Failed { retry_after: (next - now).to_std().unwrap_or_default() }
        } else {
            Tried::Fetched
        }
    }

    /// Begins to fetch them in a task of its own, if it is time.
    fn begin(self: &Arc<Self>) -> Turn {
        let now = self.clock.now();
        let mut state = self.state();
        if state.running {
            return Turn::Wait(self.ended.subscribe());
        }
        if state.last_try.is_some_and(|last| (TimeDelta::zero()..PAUSE).contains(&(now - last))) {
            drop(state);
            return Turn::Over(self.last_try(now));
        }
        match self.breaker.admit() {
            Err(refused) => Turn::Over(Tried::Failed { retry_after: refused.retry_after }),
            Ok(permit) => {
                (state.running, state.last_try) = (true, Some(now));
                let ended = self.ended.subscribe();
                tokio::spawn(Arc::clone(self).fetch(permit));
                Turn::Wait(ended)
            }
        }
    }

    async fn fetch(self: Arc<Self>, permit: Permit) {
        let running = Running(&self);
        match self.fetcher.keys().await {
            Ok(keys) => {
                permit.answered();
                let mut state = self.state();
                state.known = Some(Known { keys: Arc::new(keys), since: self.clock.now() });
                state.failed = false;
            }
            Err(error) => {
                permit.failed();
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                tracing::warn!(issuer = self.fetcher.issuer(), %error, cause, "the keys of an issuer were not fetched");
                self.state().failed = true;
            }
        }
        drop(running);
    }
}

/// Tells those who wait that the try is over, however it ended.
struct Running<'k>(&'k IssuerKeys);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.state().running = false;
        self.0.ended.send_modify(|ended| *ended += 1);
    }
}
