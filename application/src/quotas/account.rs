//! How much of one thing a project has, as far as this server knows.

use chrono::{DateTime, TimeDelta, Utc};

/// When a measurement began.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mark {
    /// Its place among all measurements.
    turn: u64,
    /// What was brought by then, and is in it.
    brought: u64,
}

/// A measurement, and what came after it.
#[derive(Debug, Default)]
pub(super) struct Account {
    measured: u64,
    measured_at: Option<DateTime<Utc>>,
    /// Its place among all measurements.
    turn: u64,
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

    /// The beginning of a measurement.
    pub(super) fn mark(&self, turn: u64) -> Mark {
        Mark { turn, brought: self.brought }
    }

    pub(super) fn take(&mut self, amount: u64) {
        self.on_its_way = self.on_its_way.saturating_add(amount);
    }

    /// What was on its way has arrived, and is so much; 0 if it came to nothing.
    pub(super) fn settle(&mut self, amount: u64, arrived: u64) {
        self.on_its_way = self.on_its_way.saturating_sub(amount);
        self.brought = self.brought.saturating_add(arrived);
    }

    /// Takes in a measurement that has what was brought up to `mark`, unless one is known that began later. What is given
    /// back without a word, as it is in the measurement that followed it, would be missing in the older one.
    pub(super) fn learn(&mut self, mark: Mark, measured: u64, now: DateTime<Utc>) {
        if self.measured_at.is_some() && mark.turn < self.turn {
            return;
        }
        self.turn = mark.turn;
        // An account that was forgotten meanwhile begins again: then what was brought is in no measurement twice.
        self.in_measured = mark.brought.min(self.brought);
        self.measured = measured;
        self.measured_at = Some(now);
    }

    pub(super) fn forget(&mut self) {
        self.measured_at = None;
    }
}
