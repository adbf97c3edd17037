//! Memory of the last hour, and whether it only grows.

use std::collections::VecDeque;

use chrono::{DateTime, TimeDelta, Utc};

/// How often memory is looked at.
pub const SAMPLED_EVERY: std::time::Duration = std::time::Duration::from_secs(5);
/// How long samples are kept.
const KEPT: TimeDelta = TimeDelta::hours(1);
/// The most of them: one each five seconds.
const MOST: usize = 720;
/// Samples across which growth is looked at.
const ACROSS: usize = 10;
/// Growth across them that looks like a leak, in bytes.
const LEAK: u64 = 100 << 20;

/// Memory of the last hour, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct MemoryStats {
    /// The least.
    pub min: u64,
    /// The most.
    pub max: u64,
    /// On average.
    pub average: f64,
    /// Bytes a second between the first and the last look.
    pub growth: f64,
}

#[derive(Debug, Default)]
pub(super) struct MemoryHistory {
    samples: VecDeque<(DateTime<Utc>, u64)>,
    /// Samples since growth was last told of.
    since_alert: usize,
    pub(super) alerts: u64,
}

impl MemoryHistory {
    /// Takes a sample; answers how much memory grew if that looks like a leak.
    pub(super) fn add(&mut self, now: DateTime<Utc>, resident: u64) -> Option<u64> {
        while self.samples.len() >= MOST || self.samples.front().is_some_and(|(at, _)| now - *at >= KEPT) {
            self.samples.pop_front();
        }
        self.samples.push_back((now, resident));
        self.since_alert += 1;
        if self.since_alert < ACROSS {
            return None;
        }
        let (_, before) = *self.samples.get(self.samples.len().checked_sub(ACROSS)?)?;
        let grown = resident.saturating_sub(before);
        if grown <= LEAK {
            return None;
        }
        // Told once for each such stretch.
        self.since_alert = 0;
        self.alerts += 1;
        Some(grown)
    }

    /// The samples of the last hour; none before the first.
    pub(super) fn stats(&self, now: DateTime<Utc>) -> Option<MemoryStats> {
        let fresh = || self.samples.iter().filter(|(at, _)| now - *at < KEPT);
        let ((first_at, first), (last_at, last)) = (*fresh().next()?, *fresh().next_back()?);
        let bytes = || fresh().map(|(_, bytes)| *bytes);
        let seconds = (last_at - first_at).as_seconds_f64();
        Some(MemoryStats {
            min: bytes().min()?,
            max: bytes().max()?,
            average: bytes().map(float).sum::<f64>() / float(bytes().count() as u64),
            growth: if seconds > 0.0 { (float(last) - float(first)) / seconds } else { 0.0 },
        })
    }
}

#[expect(clippy::cast_precision_loss, reason = "shown with two digits")]
fn float(bytes: u64) -> f64 {
    bytes as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::builders::noon;

    const MB: u64 = 1 << 20;

    fn at(number: i64) -> DateTime<Utc> {
        noon() + TimeDelta::seconds(5 * number)
    }

    #[test]
    fn an_hour_is_kept_and_no_more() {
        let mut history = MemoryHistory::default();
        assert_eq!(history.stats(noon()), None);
        for number in 0..2_000 {
            history.add(at(number), if number == 0 { 9_000 * MB } else { 100 * MB });
        }
        assert_eq!(history.samples.len(), MOST);
        let stats = history.stats(at(1_999)).unwrap();
        assert_eq!((stats.min, stats.max), (100 * MB, 100 * MB), "the first one is forgotten");
        assert!(stats.growth.abs() < 1e-9);
        assert_eq!(history.stats(at(1_999) + TimeDelta::hours(2)), None);
    }

    #[test]
    fn steady_growth_is_told_once_a_stretch() {
        let mut history = MemoryHistory::default();
        let told: Vec<_> =
            (0..30).filter_map(|number: u32| history.add(at(number.into()), u64::from(number) * 12 * MB)).collect();
        assert_eq!(told, [108 * MB; 3]);
        assert_eq!(history.alerts, 3);
        let stats = history.stats(at(29)).unwrap();
        assert!((stats.growth - 12.0 * 1_048_576.0 / 5.0).abs() < 1.0, "{stats:?}");
    }

    #[test]
    fn growth_up_to_the_bound_is_no_leak() {
        let mut history = MemoryHistory::default();
        assert!((0..50_u32).all(|number| history.add(at(number.into()), u64::from(number) * 11 * MB).is_none()));
    }
}
