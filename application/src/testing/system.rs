//! Time that stands still and chance that can be foreseen.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};
use gadwall_domain::ports::system::{Clock, IdGenerator};
use uuid::{Builder, Uuid};

use super::builders::noon;

/// A clock that shows what it was set to.
#[derive(Debug)]
pub struct FixedClock(Mutex<DateTime<Utc>>);

impl FixedClock {
    /// A clock that shows this time.
    pub fn at(time: DateTime<Utc>) -> Self {
        Self(Mutex::new(time))
    }

    /// Sets it.
    pub fn set(&self, time: DateTime<Utc>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = time;
    }

    /// Moves it on.
    pub fn advance(&self, by: TimeDelta) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) += by;
    }
}

impl Default for FixedClock {
    fn default() -> Self {
        Self::at(noon())
    }
}

impl Clock for FixedClock {
    fn now(&self) -> DateTime<Utc> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Counts instead of drawing lots: the same ids and secrets in every run, none twice.
#[derive(Debug, Default)]
pub struct SeqIds(AtomicU64);

impl SeqIds {
    fn next(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed) + 1
    }
}

impl IdGenerator for SeqIds {
    fn next_id(&self) -> Uuid {
        Builder::from_unix_timestamp_millis(self.next(), &[0; 10]).into_uuid()
    }

    fn secret(&self) -> [u8; 16] {
        u128::from(self.next()).to_be_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_sort_by_when_they_were_made() {
        let ids = SeqIds::default();
        let (first, second) = (ids.next_id(), ids.next_id());
        assert!(first < second);
        assert_eq!(first.get_version_num(), 7);
        assert_ne!(ids.secret(), ids.secret());
    }

    #[test]
    fn the_clock_moves_only_when_told_to() {
        let clock = FixedClock::default();
        let before = clock.now();
        assert_eq!(clock.now(), before);
        clock.advance(TimeDelta::seconds(5));
        assert_eq!(clock.now() - before, TimeDelta::seconds(5));
    }
}
