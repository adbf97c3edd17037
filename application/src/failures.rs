//! Guessing keys is slow: addresses whose keys are refused too often have to wait.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use crate::caller::network_of;

/// Failures are counted over this time, from the first one on.
const WINDOW: TimeDelta = TimeDelta::minutes(1);
/// Addresses that are remembered; with more, the one that failed longest ago is forgotten.
const MAX_ADDRESSES: usize = 10_000;

/// Who failed how often. An IPv6 address stands for its network of 64 bits: whoever has one of these has all of them.
pub(crate) struct Failures {
    /// Failures in a window that an address may have; 0 for any number.
    limit: u32,
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    by_address: HashMap<IpAddr, Entry>,
    /// Addresses by their last failure: the first is forgotten first.
    by_age: BTreeMap<u64, IpAddr>,
    failures: u64,
}

/// So many since then.
#[derive(Clone, Copy)]
pub(crate) struct Window {
    pub(crate) since: DateTime<Utc>,
    pub(crate) count: u32,
}

struct Entry {
    window: Window,
    age: u64,
}

impl Window {
    pub(crate) fn begin(now: DateTime<Utc>) -> Self {
        Self { since: now, count: 0 }
    }

    /// This one while it lasts, else the one that begins now.
    pub(crate) fn at(self, now: DateTime<Utc>) -> Self {
        if self.left(now).is_some() { self } else { Self::begin(now) }
    }

    /// How long it still lasts. A clock that was put back ends it.
    pub(crate) fn left(self, now: DateTime<Utc>) -> Option<Duration> {
        if now < self.since {
            return None;
        }
        (self.since + WINDOW - now).to_std().ok().filter(|left| !left.is_zero())
    }
}

impl Failures {
    /// Lets each address fail so often in a minute; 0 for as often as it likes.
    pub(crate) fn new(limit: u32) -> Self {
        Self { limit, table: Mutex::default() }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How long an address has to wait, if it has to.
    pub(crate) fn wait(&self, address: IpAddr, now: DateTime<Utc>) -> Option<Duration> {
        let table = self.table();
        let window = table.by_address.get(&network_of(address))?.window;
        window.left(now).filter(|_| self.limit > 0 && window.count >= self.limit)
    }

    /// Counts a failure.
    pub(crate) fn note(&self, address: IpAddr, now: DateTime<Utc>) {
        let address = network_of(address);
        let mut table = self.table();
        table.failures += 1;
        let age = table.failures;
        let known = table.by_address.remove(&address);
        if let Some(known) = &known {
            table.by_age.remove(&known.age);
        } else if table.by_address.len() >= MAX_ADDRESSES
            && let Some((_, oldest)) = table.by_age.pop_first()
        {
            table.by_address.remove(&oldest);
        }
        let mut window = known.map_or_else(|| Window::begin(now), |known| known.window.at(now));
        window.count = window.count.saturating_add(1);
        table.by_address.insert(address, Entry { window, age });
        table.by_age.insert(age, address);
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::testing::builders::{noon, seconds_past_noon};

    fn address(number: u32) -> IpAddr {
        Ipv4Addr::from_bits(number).into()
    }

    #[test]
    fn who_failed_too_often_waits_for_the_end_of_the_minute() {
        let failures = Failures::new(3);
        for second in 0..3 {
            assert_eq!(failures.wait(address(1), seconds_past_noon(second)), None);
            failures.note(address(1), seconds_past_noon(second));
        }
        assert_eq!(failures.wait(address(1), seconds_past_noon(10)), Some(Duration::from_secs(50)));
        assert_eq!(failures.wait(address(2), seconds_past_noon(10)), None, "others don't");
        assert_eq!(failures.wait(address(1), seconds_past_noon(60)), None);
        failures.note(address(1), seconds_past_noon(60));
        assert_eq!(failures.wait(address(1), seconds_past_noon(61)), None, "counted anew");
    }

    #[test]
    fn a_clock_that_was_put_back_locks_nobody_out() {
        let failures = Failures::new(1);
        failures.note(address(1), seconds_past_noon(3_600));
        assert_eq!(failures.wait(address(1), noon()), None);
    }

    #[test]
    fn a_network_of_64_bits_is_one_address_and_a_mapped_one_is_itself() {
        let failures = Failures::new(1);
        failures.note("2001:db8::1".parse().unwrap(), noon());
        failures.note("::ffff:192.0.2.1".parse().unwrap(), noon());
        for (address, waits) in
            [("2001:db8::2", true), ("2001:db8:0:1::1", false), ("192.0.2.1", true), ("192.0.2.2", false)]
        {
            assert_eq!(failures.wait(address.parse().unwrap(), noon()).is_some(), waits, "{address}");
        }
    }

    #[test]
    fn the_table_has_an_end_and_forgets_who_failed_longest_ago() {
        let failures = Failures::new(1);
        let last = u32::try_from(MAX_ADDRESSES).unwrap();
        for number in 0..last {
            failures.note(address(number), noon());
        }
        failures.note(address(0), noon());
        failures.note(address(last), noon());
        let table = failures.table();
        assert_eq!((table.by_address.len(), table.by_age.len()), (MAX_ADDRESSES, MAX_ADDRESSES));
        drop(table);
        let waits = |number: u32| failures.wait(address(number), noon()).is_some();
        assert!(waits(0) && !waits(1) && waits(last));
    }

    #[test]
    fn without_a_limit_nobody_waits() {
        let failures = Failures::new(0);
        (0..100).for_each(|_| failures.note(address(1), noon()));
        assert_eq!(failures.wait(address(1), noon()), None);
    }
}
