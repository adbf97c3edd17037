//! How a client of a stream does: what it was sent, what it answered, and when it counts as dead.

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

/// When a client counts as dead, and how often it is looked.
#[derive(Debug, Clone, Copy)]
pub struct HealthRules {
    /// A word is sent to who got none for so long: a heartbeat or a ping, in turns.
    pub heartbeat: TimeDelta,
    /// How often it is looked who is dead.
    pub check: TimeDelta,
    /// How long who counts as dead is waited for.
    pub grace: TimeDelta,
    /// Longest time in which nothing is taken.
    pub silence: TimeDelta,
    /// Longest time from the first ping to the first answer, of those who answer at all.
    pub pong: TimeDelta,
    /// More pings than that in a row without an answer are too many.
    pub missed_pings: u32,
    /// So many events in a row that found the queue full are too many.
    pub queue_full: u32,
    /// More failed writes in a row than that are too many.
    pub write_errors: u32,
}

/// Why a client counts as dead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ailment {
    /// Writes to it fail.
    WriteErrors,
    /// It doesn't answer any more.
    MissedPings,
    /// It takes less than there is.
    QueueFull,
    /// It takes nothing.
    Timeout,
    /// It never answered.
    NoPong,
}

impl Ailment {
    /// The word used in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::WriteErrors => "write_errors",
            Self::MissedPings => "missed_pings",
            Self::QueueFull => "queue_consistently_full",
            Self::Timeout => "timeout",
            Self::NoPong => "no_pong_response",
        }
    }
}

/// What is known of a client.
#[derive(Debug, Clone)]
pub struct Vitals {
    /// Since when it is connected.
    pub connected_at: DateTime<Utc>,
    /// When it was last given something.
    pub given_at: DateTime<Utc>,
    /// When it last took something.
    pub taken_at: DateTime<Utc>,
    /// Whether it answers pings.
    pub takes_part: bool,
    /// When it was first pinged.
    pub first_ping: Option<DateTime<Utc>>,
    /// When it was last pinged.
    pub last_ping: Option<DateTime<Utc>>,
    /// When it last answered.
    pub last_pong: Option<DateTime<Utc>>,
    /// How often it was pinged.
    pub pings: u64,
    /// The ping that it didn't answer yet.
    pub open_ping: Option<Uuid>,
    /// Pings in a row that it didn't answer.
    pub missed_pings: u32,
    /// Events that found its queue full.
    pub queue_full: u64,
    /// Of them those since it last took one.
    pub queue_full_run: u32,
    /// Writes in a row that failed.
    pub write_errors: u32,
    /// Since when and why it counts as dead.
    pub dead: Option<(DateTime<Utc>, Ailment)>,
    /// Whether a ping is next, as a heartbeat was last.
    ping_next: bool,
}

/// What is to be sent to somebody who got nothing for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Word {
    Heartbeat,
    Ping(Uuid),
}

impl Vitals {
    pub(super) fn new(now: DateTime<Utc>, takes_part: bool) -> Self {
        Self {
            connected_at: now,
            given_at: now,
            taken_at: now,
            takes_part,
            first_ping: None,
            last_ping: None,
            last_pong: None,
            pings: 0,
            open_ping: None,
            missed_pings: 0,
            queue_full: 0,
            queue_full_run: 0,
            write_errors: 0,
            dead: None,
            ping_next: false,
        }
    }

    /// It took something.
    pub(super) fn taken(&mut self, now: DateTime<Utc>) {
        self.taken_at = now;
        self.queue_full_run = 0;
        self.write_errors = 0;
    }

    /// There was no room for something.
    pub(super) fn found_full(&mut self) {
        self.queue_full += 1;
        self.queue_full_run = self.queue_full_run.saturating_add(1);
    }

    /// The word that is due, if one is.
    pub(super) fn word(&mut self, now: DateTime<Utc>, rules: &HealthRules, id: impl FnOnce() -> Uuid) -> Option<Word> {
        if now - self.given_at < rules.heartbeat {
            return None;
        }
        self.given_at = now;
        self.ping_next = !self.ping_next;
        if self.ping_next {
            return Some(Word::Heartbeat);
        }
        if self.open_ping.is_some() {
            self.missed_pings = self.missed_pings.saturating_add(1);
        }
        let ping = id();
        self.open_ping = Some(ping);
        self.first_ping.get_or_insert(now);
        self.last_ping = Some(now);
        self.pings += 1;
        Some(Word::Ping(ping))
    }

    /// It answered a ping. Who answers once is expected to go on.
    pub(super) fn pong(&mut self, now: DateTime<Utc>) {
        self.takes_part = true;
        self.last_pong = Some(now);
        self.open_ping = None;
        self.missed_pings = 0;
        self.dead = self.dead.filter(|(_, why)| !matches!(why, Ailment::MissedPings | Ailment::NoPong));
    }

    /// What ails it.
    pub(super) fn ailment(&self, now: DateTime<Utc>, rules: &HealthRules) -> Option<Ailment> {
        let unanswered = self.first_ping.filter(|_| self.last_pong.is_none());
        if self.write_errors > rules.write_errors {
            Some(Ailment::WriteErrors)
        } else if self.takes_part && self.missed_pings > rules.missed_pings {
            Some(Ailment::MissedPings)
        } else if self.queue_full_run >= rules.queue_full {
            Some(Ailment::QueueFull)
        } else if now - self.taken_at >= rules.silence {
            Some(Ailment::Timeout)
        } else if self.takes_part && unanswered.is_some_and(|first| now - first >= rules.pong) {
            Some(Ailment::NoPong)
        } else {
            None
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::testing::builders::noon;

    pub(in crate::events) const RULES: HealthRules = HealthRules {
        heartbeat: TimeDelta::seconds(30),
        check: TimeDelta::seconds(60),
        grace: TimeDelta::seconds(60),
        silence: TimeDelta::seconds(120),
        pong: TimeDelta::seconds(90),
        missed_pings: 3,
        queue_full: 10,
        write_errors: 3,
    };

    fn at(second: i64) -> DateTime<Utc> {
        noon() + TimeDelta::seconds(second)
    }

    /// Lives for so many seconds, taking what it is given.
    fn live(vitals: &mut Vitals, seconds: std::ops::Range<i64>) -> Vec<(i64, bool)> {
        let mut words = Vec::new();
        for second in seconds {
            if let Some(word) = vitals.word(at(second), &RULES, Uuid::nil) {
                words.push((second, word != Word::Heartbeat));
                vitals.taken(at(second));
            }
        }
        words
    }

    #[test]
    fn heartbeats_and_pings_come_in_turns_after_silence() {
        let mut vitals = Vitals::new(at(0), false);
        assert_eq!(live(&mut vitals, 0..100), [(30, false), (60, true), (90, false)]);
        vitals.given_at = at(100);
        assert_eq!(live(&mut vitals, 100..135), [(130, true)]);
    }

    #[test]
    fn who_never_answers_a_ping_is_no_zombie_for_that() {
        let mut vitals = Vitals::new(at(0), false);
        live(&mut vitals, 0..3_600);
        assert!(vitals.missed_pings > 3 && vitals.ailment(at(3_600), &RULES).is_none());
    }

    #[test]
    fn who_takes_part_must_answer_within_90_seconds_of_the_first_ping() {
        let mut vitals = Vitals::new(at(0), true);
        live(&mut vitals, 0..149);
        assert_eq!(vitals.ailment(at(149), &RULES), None, "the first ping came at 60");
        assert_eq!(vitals.ailment(at(150), &RULES), Some(Ailment::NoPong));
        vitals.pong(at(150));
        assert_eq!(vitals.ailment(at(150), &RULES), None);
    }

    #[test]
    fn four_pings_in_a_row_without_an_answer_are_too_many() {
        let mut vitals = Vitals::new(at(0), false);
        live(&mut vitals, 0..61);
        vitals.pong(at(61));
        assert!(vitals.takes_part, "who answered once is expected to go on");
        // Pings at 120, 180, 240, 300; each shows that the one before was missed.
        live(&mut vitals, 61..301);
        assert_eq!((vitals.missed_pings, vitals.ailment(at(301), &RULES)), (3, None));
        live(&mut vitals, 301..361);
        assert_eq!(vitals.ailment(at(361), &RULES), Some(Ailment::MissedPings));
    }

    #[test]
    fn a_full_queue_counts_until_something_is_taken() {
        let mut vitals = Vitals::new(at(0), false);
        (0..9).for_each(|_| vitals.found_full());
        assert_eq!(vitals.ailment(at(1), &RULES), None);
        vitals.found_full();
        assert_eq!(vitals.ailment(at(1), &RULES), Some(Ailment::QueueFull));
        vitals.taken(at(2));
        assert_eq!((vitals.ailment(at(2), &RULES), vitals.queue_full), (None, 10));
    }

    #[test]
    fn who_takes_nothing_for_two_minutes_is_gone_and_so_is_who_cannot_be_written_to() {
        let mut vitals = Vitals::new(at(0), false);
        assert_eq!(vitals.ailment(at(119), &RULES), None);
        assert_eq!(vitals.ailment(at(120), &RULES), Some(Ailment::Timeout));
        vitals.write_errors = 3;
        assert_eq!(vitals.ailment(at(0), &RULES), None);
        vitals.write_errors = 4;
        assert_eq!(vitals.ailment(at(0), &RULES), Some(Ailment::WriteErrors));
    }
}
