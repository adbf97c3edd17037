//! A circuit breaker: after too many faults in a row nobody is kept waiting for what doesn't work.
//!
//! Closed, it lets everybody through and counts faults. Open, it refuses, for longer each time. After the wait it is half
//! open: one caller at a time finds out whether it works again. It knows nothing of what it guards; whoever asks it says
//! what was a fault of the guarded part. No lock is held while a caller is at work.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use gadwall_domain::ports::system::Clock;
use thiserror::Error;

/// What a caller is told who comes while somebody else finds out whether it works again.
const PROBED: Duration = Duration::from_secs(1);

/// When it opens and closes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BreakerConfig {
    /// Faults that open it: counted, where each success takes one off again, or among the last calls.
    pub failure_threshold: u32,
    /// Successes that close it when it is half open.
    pub success_threshold: u32,
    /// How long it stays open the first time. Each further time it is twice as long.
    pub timeout: Duration,
    /// The longest that it stays open.
    pub max_timeout: Duration,
    /// How many of the last calls are looked at.
    pub window: usize,
    /// How long they are.
    pub window_age: Duration,
}

impl Default for BreakerConfig {
    fn default() -> Self {
        Self {
            failure_threshold: 5,
            success_threshold: 3,
            timeout: Duration::from_secs(30),
            max_timeout: Duration::from_mins(5),
            window: 10,
            window_age: Duration::from_mins(5),
        }
    }
}

/// What it does with callers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BreakerState {
    /// Lets them through.
    Closed,
    /// Refuses them.
    Open,
    /// Lets one at a time through.
    HalfOpen,
}

impl BreakerState {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half_open",
        }
    }
}

/// A caller that isn't let through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{name} failed too often and is left alone for now")]
pub struct Refused {
    /// What is guarded.
    pub name: &'static str,
    /// When to come again.
    pub retry_after: Duration,
}

/// How a breaker stands.
#[derive(Debug, Clone, PartialEq)]
pub struct BreakerStatus {
    /// What is guarded.
    pub name: &'static str,
    /// What it does with callers.
    pub state: BreakerState,
    /// Faults, less successes since.
    pub failure_count: u32,
    /// Successes since it is half open.
    pub success_count: u32,
    /// Faults among the last calls.
    pub recent_failures: u32,
    /// When the next caller is let through, if it is open.
    pub next_attempt: Option<DateTime<Utc>>,
    /// How long that is from now.
    pub retry_after: Option<Duration>,
    /// When it opens and closes.
    pub config: BreakerConfig,
    /// What was counted since the start.
    pub tally: Tally,
}

/// What a breaker counted since the start.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Tally {
    /// Calls that the guarded part answered.
    pub successful: u64,
    /// Calls that were its faults.
    pub failed: u64,
    /// Callers that were not let through.
    pub refused: u64,
    /// How often it opened.
    pub opened: u64,
    /// How long the answered and the failed calls took together.
    pub time: Duration,
    /// The last fault.
    pub last_failure: Option<DateTime<Utc>>,
    /// The last answer.
    pub last_success: Option<DateTime<Utc>>,
}

impl Tally {
    /// Calls that were answered or failed.
    pub fn total(&self) -> u64 {
        self.successful + self.failed
    }

    /// The share of answered calls in percent; 100 before the first.
    pub fn success_rate(&self) -> f64 {
        percent(self.successful, self.total())
    }

    /// Seconds that a call took on average.
    pub fn average_seconds(&self) -> f64 {
        average(self.time, self.total())
    }
}

/// The share in percent; 100 where there is nothing to share in.
#[expect(clippy::cast_precision_loss, reason = "a rate to be shown")]
pub(crate) fn percent(part: u64, whole: u64) -> f64 {
    if whole == 0 { 100.0 } else { 100.0 * part as f64 / whole as f64 }
}

/// Seconds for each; 0 where there is none.
#[expect(clippy::cast_precision_loss, reason = "a mean to be shown")]
pub(crate) fn average(time: Duration, count: u64) -> f64 {
    if count == 0 { 0.0 } else { time.as_secs_f64() / count as f64 }
}

/// Time from one moment to another; none if the clock was set back in between.
pub(crate) fn elapsed(from: DateTime<Utc>, to: DateTime<Utc>) -> Duration {
    (to - from).to_std().unwrap_or_default()
}

fn delta(duration: Duration) -> TimeDelta {
    TimeDelta::from_std(duration).unwrap_or(TimeDelta::MAX)
}

#[derive(Debug, Clone, Copy)]
enum State {
    Closed,
    Open {
        since: DateTime<Utc>,
        wait: Duration,
    },
    HalfOpen {
        /// Whether somebody is finding out right now.
        taken: bool,
        successes: u32,
    },
}

#[derive(Debug)]
struct Inner {
    state: State,
    /// Changes with the state: a call that began in another one says nothing about this one.
    epoch: u64,
    failures: u32,
    /// How often it opened since it was closed last.
    opened: u32,
    /// The last calls: when they ended, and whether they were answered.
    window: VecDeque<(DateTime<Utc>, bool)>,
    tally: Tally,
}

/// Guards one part that may fail.
pub struct Breaker {
    name: &'static str,
    config: BreakerConfig,
    clock: Arc<dyn Clock>,
    inner: Mutex<Inner>,
}

impl fmt::Debug for Breaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Breaker").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Breaker {
    /// A closed one.
    pub fn new(name: &'static str, config: BreakerConfig, clock: Arc<dyn Clock>) -> Arc<Self> {
        let config = BreakerConfig {
            failure_threshold: config.failure_threshold.max(1),
            success_threshold: config.success_threshold.max(1),
            ..config
        };
        let inner = Inner {
            state: State::Closed,
            epoch: 0,
            failures: 0,
            opened: 0,
            window: VecDeque::new(),
            tally: Tally::default(),
        };
        Arc::new(Self { name, config, clock, inner: Mutex::new(inner) })
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Nothing between lock and unlock panics half way, so a poisoned lock is still good.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What it guards.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Asks to be let through.
    pub fn admit(self: &Arc<Self>) -> Result<Permit, Refused> {
        let now = self.clock.now();
        let mut inner = self.lock();
        if let Some(remaining) = inner.remaining(now)
            && remaining.is_zero()
        {
            inner.enter(State::HalfOpen { taken: false, successes: 0 });
        }
        let retry_after = match &mut inner.state {
            State::Closed => None,
            State::Open { .. } => inner.remaining(now),
            State::HalfOpen { taken: true, .. } => Some(PROBED),
            State::HalfOpen { taken, .. } => {
                *taken = true;
                None
            }
        };
        if let Some(retry_after) = retry_after {
            inner.tally.refused += 1;
            return Err(Refused { name: self.name, retry_after });
        }
        let probes = matches!(inner.state, State::HalfOpen { .. });
        Ok(Permit { breaker: Arc::clone(self), epoch: inner.epoch, probes, since: now })
    }

    /// Closes it, whatever it knew. What was counted since the start stays.
    pub fn reset(&self) {
        self.lock().close();
    }

    /// How it stands.
    pub fn status(&self) -> BreakerStatus {
        let now = self.clock.now();
        let mut inner = self.lock();
        inner.forget(&self.config, now);
        let retry_after = inner.remaining(now);
        let (state, success_count, next_attempt) = match inner.state {
            State::Closed => (BreakerState::Closed, 0, None),
            State::Open { since, wait } => (BreakerState::Open, 0, since.checked_add_signed(delta(wait))),
            State::HalfOpen { successes, .. } => (BreakerState::HalfOpen, successes, None),
        };
        BreakerStatus {
            name: self.name,
            state,
            failure_count: inner.failures,
            success_count,
            recent_failures: inner.recent_failures(),
            next_attempt,
            retry_after,
            config: self.config,
            tally: inner.tally,
        }
    }

    fn finish(&self, permit: &Permit, answered: bool) {
        let now = self.clock.now();
        let mut inner = self.lock();
        inner.tally.time = inner.tally.time.saturating_add(elapsed(permit.since, now));
        if answered {
            inner.tally.successful += 1;
            inner.tally.last_success = Some(now);
        } else {
            inner.tally.failed += 1;
            inner.tally.last_failure = Some(now);
        }
        if inner.epoch == permit.epoch {
            inner.learn(&self.config, now, answered);
        }
        if inner.epoch != permit.epoch {
            tracing::warn!(breaker = self.name, state = ?inner.state, "the circuit breaker changed");
        }
    }

    /// Lets the next one find out.
    fn vacate(&self, epoch: u64) {
        let mut inner = self.lock();
        if inner.epoch == epoch
            && let State::HalfOpen { taken, .. } = &mut inner.state
        {
            *taken = false;
        }
    }
}

impl Inner {
    fn enter(&mut self, state: State) {
        self.state = state;
        self.epoch += 1;
    }

    fn close(&mut self) {
        self.failures = 0;
        self.opened = 0;
        self.window.clear();
        self.enter(State::Closed);
    }

    fn open(&mut self, config: &BreakerConfig, now: DateTime<Utc>) {
        let factor = 2_u32.checked_pow(self.opened).unwrap_or(u32::MAX);
        let wait = config.timeout.saturating_mul(factor).min(config.max_timeout);
        self.opened = self.opened.saturating_add(1);
        self.tally.opened += 1;
        self.enter(State::Open { since: now, wait });
    }

    /// How long it stays open, if it is.
    fn remaining(&mut self, now: DateTime<Utc>) -> Option<Duration> {
        let State::Open { since, wait } = &mut self.state else { return None };
        // A clock that was set back must not keep it open for that much longer.
        *since = (*since).min(now);
        Some(wait.saturating_sub(elapsed(*since, now)))
    }

    fn learn(&mut self, config: &BreakerConfig, now: DateTime<Utc>, answered: bool) {
        self.failures = if answered { self.failures.saturating_sub(1) } else { self.failures.saturating_add(1) };
        self.window.push_back((now, answered));
        self.forget(config, now);
        match &mut self.state {
            State::Closed if answered => {}
            State::Closed => {
                let recent = self.recent_failures();
                if self.failures >= config.failure_threshold || recent >= config.failure_threshold {
                    self.open(config, now);
                }
            }
            State::HalfOpen { successes, .. } if answered => {
                *successes += 1;
                if *successes >= config.success_threshold {
                    self.close();
                }
            }
            State::HalfOpen { .. } => self.open(config, now),
            // Nobody is let through while it is open.
            State::Open { .. } => {}
        }
    }

    /// Drops calls that are too many or too long ago.
    fn forget(&mut self, config: &BreakerConfig, now: DateTime<Utc>) {
        while self.window.len() > config.window {
            self.window.pop_front();
        }
        self.window.retain(|(ended, _)| elapsed(*ended, now) <= config.window_age);
    }

    fn recent_failures(&self) -> u32 {
        let failed = self.window.iter().filter(|(_, answered)| !answered).count();
        u32::try_from(failed).unwrap_or(u32::MAX)
    }
}

/// Somebody who was let through. Dropped without a word, it says nothing of the guarded part.
#[derive(Debug)]
pub struct Permit {
    breaker: Arc<Breaker>,
    epoch: u64,
    /// Whether it holds the place of the one that finds out.
    probes: bool,
    since: DateTime<Utc>,
}

impl Permit {
    /// The guarded part began to answer: the next may ask, however long this answer takes to be read.
    pub fn begun(&mut self) {
        if std::mem::take(&mut self.probes) {
            self.breaker.vacate(self.epoch);
        }
    }

    /// The guarded part did what it should; that may have been to refuse what was wrong.
    pub fn answered(self) {
        self.breaker.finish(&self, true);
    }

    /// The guarded part failed.
    pub fn failed(self) {
        self.breaker.finish(&self, false);
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.begun();
    }
}

#[cfg(test)]
mod tests;
