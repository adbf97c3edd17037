//! How much of one thing a project has, as far as this server knows.

use chrono::{DateTime, TimeDelta, Utc};

/// A measurement, and what came after it.
#[derive(Debug, Default)]
pub(super) struct Account {
    measured: u64,
    measured_at: Option<DateTime<Utc>>,
    /// What was brought by the time of the measurement, and is in it.
    in_measured: u64,
    /// All that was ever brought.
    brought: u64,
    /// What is on its way.
    on_its_way: u64,
}

impl Account {
    pub(super) fn used(&self) -> u64 {
        self.measured.saturating_add(self.brought - self.in_measured).saturating_add(self.on_its_way)
    }

    pub(super) fn has_room(&self, amount: u64, limit: u64) -> bool {
        self.used().saturating_add(amount) <= limit
    }

    /// Whether it was measured within that time. A clock that was put back makes it too old.
    pub(super) fn is_known(&self, now: DateTime<Utc>, within: TimeDelta) -> bool {
        self.measured_at.is_some_and(|at| at <= now && now - at < within)
    }

    /// Whether nothing came or is on its way since it was measured.
    pub(super) fn is_settled(&self) -> bool {
        self.brought == self.in_measured && self.on_its_way == 0
    }

    pub(super) fn is_in_use(&self) -> bool {
        self.on_its_way > 0
    }

    pub(super) fn brought(&self) -> u64 {
        self.brought
    }

    pub(super) fn take(&mut self, amount: u64) {
        self.on_its_way = self.on_its_way.saturating_add(amount);
    }

    /// What was on its way has arrived, and is so much; 0 if it came to nothing.
    pub(super) fn settle(&mut self, amount: u64, arrived: u64) {
        self.on_its_way = self.on_its_way.saturating_sub(amount);
        self.brought = self.brought.saturating_add(arrived);
    }

    /// Takes in a measurement that has what was brought up to `mark`, unless a later one is known.
    pub(super) fn learn(&mut self, mark: u64, measured: u64, now: DateTime<Utc>) {
        // An account that was forgotten meanwhile begins again: then what was brought is in no measurement twice.
        let mark = mark.min(self.brought);
        if self.measured_at.is_none() || mark >= self.in_measured {
            self.in_measured = mark;
            self.measured = measured;
            self.measured_at = Some(now);
        }
    }

    pub(super) fn forget(&mut self) {
        self.measured_at = None;
    }
}
