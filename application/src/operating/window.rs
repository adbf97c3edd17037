//! What happened of late, in slots of time: bounded, however much happens.

use std::time::Duration;

use chrono::{DateTime, Utc};

/// What happened in some time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// How often.
    pub count: u64,
    /// How often it failed.
    pub errors: u64,
    /// How long it took altogether.
    pub sum: Duration,
    /// The shortest.
    pub min: Duration,
    /// The longest.
    pub max: Duration,
}

impl Tally {
    fn add(&mut self, took: Duration, failed: bool) {
        self.merge(&Self { count: 1, errors: failed.into(), sum: took, min: took, max: took });
    }

    /// Both together.
    pub(super) fn merge(&mut self, other: &Self) {
        if other.count == 0 {
            return;
        }
        self.min = if self.count == 0 { other.min } else { self.min.min(other.min) };
        self.max = self.max.max(other.max);
        self.count += other.count;
        self.errors += other.errors;
        self.sum = self.sum.saturating_add(other.sum);
    }

    /// Seconds it took on average; 0 if it never happened.
    pub fn average(&self) -> f64 {
        if self.count == 0 { 0.0 } else { self.sum.as_secs_f64() / number(self.count) }
    }

    /// The share that failed, from 0 to 1.
    pub fn error_rate(&self) -> f64 {
        if self.count == 0 { 0.0 } else { number(self.errors) / number(self.count) }
    }

    /// How often a second, on average over some seconds.
    pub fn per_second(&self, seconds: f64) -> f64 {
        if seconds > 0.0 { number(self.count) / seconds } else { 0.0 }
    }
}

#[expect(clippy::cast_precision_loss, reason = "shown as an average")]
fn number(count: u64) -> f64 {
    count as f64
}

/// Tallies of slots of time, the oldest of which are written over.
#[derive(Debug)]
pub(super) struct Window {
    /// Seconds in a slot.
    span: i64,
    /// The slot's number since 1970, and what happened in it.
    slots: Vec<(i64, Tally)>,
}

impl Window {
    pub(super) fn new(span: u16, slots: usize) -> Self {
        Self { span: i64::from(span.max(1)), slots: vec![(i64::MIN, Tally::default()); slots.max(1)] }
    }

    pub(super) fn add(&mut self, now: DateTime<Utc>, took: Duration, failed: bool) {
        let number = now.timestamp().div_euclid(self.span);
        let place = place(number, self.slots.len());
        let slot = &mut self.slots[place];
        if slot.0 != number {
            *slot = (number, Tally::default());
        }
        slot.1.add(took, failed);
    }

    /// What happened in the last seconds, by whole slots.
    pub(super) fn last(&self, now: DateTime<Utc>, seconds: i64) -> Tally {
        let newest = now.timestamp().div_euclid(self.span);
        let oldest = newest - seconds / self.span;
        let mut all = Tally::default();
        let fresh = self.slots.iter().filter(|(number, _)| (oldest + 1..=newest).contains(number));
        fresh.for_each(|(_, tally)| all.merge(tally));
        all
    }
}

fn place(number: i64, slots: usize) -> usize {
    let slots = i64::try_from(slots).unwrap_or(i64::MAX);
    usize::try_from(number.rem_euclid(slots)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;
    use crate::testing::builders::noon;

    #[test]
    fn what_is_old_does_not_count_any_more() {
        let mut window = Window::new(1, 300);
        let at = |seconds: i64| noon() + TimeDelta::seconds(seconds);
        assert_eq!(window.last(noon(), 300), Tally::default());
        window.add(at(0), Duration::from_millis(10), false);
        window.add(at(0), Duration::from_millis(30), true);
        window.add(at(250), Duration::from_millis(50), false);
        let all = window.last(at(250), 300);
        assert_eq!((all.count, all.errors), (3, 1));
        assert_eq!((all.min, all.max), (Duration::from_millis(10), Duration::from_millis(50)));
        assert!((all.average() - 0.03).abs() < 1e-9 && (all.error_rate() - 1.0 / 3.0).abs() < 1e-9);
        assert!((all.per_second(300.0) - 0.01).abs() < 1e-9);
        assert_eq!(window.last(at(250), 60).count, 1);
        assert_eq!(window.last(at(300), 300).count, 1);
        // The slot of the first ones is taken over.
        window.add(at(300), Duration::from_millis(1), false);
        assert_eq!(window.last(at(300), 300).count, 2);
        assert_eq!(window.slots.len(), 300);
    }
}
