//! Every line of the table of transitions, and what holds whatever happens.

use proptest::prelude::*;

use super::*;
use crate::testing::FixedClock;

struct Bench {
    clock: Arc<FixedClock>,
    breaker: Arc<Breaker>,
}

impl Bench {
    fn new() -> Self {
        Self::with(BreakerConfig::default())
    }

    fn with(config: BreakerConfig) -> Self {
        let clock = Arc::new(FixedClock::default());
        let breaker = Breaker::new("duckdb", config, Arc::clone(&clock) as _);
        Self { clock, breaker }
    }

    fn wait(&self, seconds: i64) {
        self.clock.advance(TimeDelta::seconds(seconds));
    }

    fn fail(&self, times: u32) {
        (0..times).for_each(|_| self.breaker.admit().unwrap().failed());
    }

    fn succeed(&self, times: u32) {
        (0..times).for_each(|_| self.breaker.admit().unwrap().answered());
    }

    fn state(&self) -> BreakerState {
        self.breaker.status().state
    }

    fn retry_after(&self) -> u64 {
        self.breaker.admit().unwrap_err().retry_after.as_secs()
    }
}

#[test]
fn five_counted_failures_open_it() {
    let bench = Bench::new();
    bench.fail(4);
    assert_eq!(bench.state(), BreakerState::Closed);
    bench.fail(1);
    let status = bench.breaker.status();
    assert_eq!((status.state, status.failure_count, status.recent_failures), (BreakerState::Open, 5, 5));
    assert_eq!(status.next_attempt, Some(bench.clock.now() + TimeDelta::seconds(30)));
    assert_eq!(status.retry_after, Some(Duration::from_secs(30)));
    assert_eq!(bench.retry_after(), 30);
}

#[test]
fn each_success_lowers_the_count_by_one() {
    // With no window, the count alone decides.
    let bench = Bench::with(BreakerConfig { window: 0, ..BreakerConfig::default() });
    for _ in 0..20 {
        bench.fail(1);
        bench.succeed(1);
    }
    assert_eq!(bench.breaker.status().failure_count, 0);
    bench.fail(4);
    bench.succeed(1);
    bench.fail(1);
    assert_eq!((bench.state(), bench.breaker.status().failure_count), (BreakerState::Closed, 4));
    bench.fail(1);
    assert_eq!(bench.state(), BreakerState::Open);
}

#[test]
fn five_failures_among_the_last_ten_calls_open_it() {
    let bench = Bench::new();
    for _ in 0..4 {
        bench.fail(1);
        bench.succeed(1);
    }
    assert_eq!((bench.state(), bench.breaker.status().failure_count), (BreakerState::Closed, 0));
    bench.fail(1);
    assert_eq!((bench.state(), bench.breaker.status().recent_failures), (BreakerState::Open, 5));
}

#[test]
fn calls_leave_the_window_when_others_come_and_when_they_are_old() {
    let bench = Bench::new();
    for _ in 0..4 {
        bench.fail(1);
        bench.succeed(1);
    }
    bench.succeed(3);
    assert_eq!(bench.breaker.status().recent_failures, 3);
    bench.fail(1);
    assert_eq!((bench.state(), bench.breaker.status().recent_failures), (BreakerState::Closed, 4));

    let bench = Bench::new();
    for _ in 0..4 {
        bench.fail(1);
        bench.succeed(1);
    }
    bench.wait(300);
    assert_eq!(bench.breaker.status().recent_failures, 4);
    bench.wait(1);
    assert_eq!(bench.breaker.status().recent_failures, 0);
    bench.fail(1);
    assert_eq!(bench.state(), BreakerState::Closed);
}

#[test]
fn open_it_refuses_until_the_wait_is_over() {
    let bench = Bench::new();
    bench.fail(5);
    bench.wait(29);
    assert_eq!(bench.retry_after(), 1);
    assert_eq!(bench.state(), BreakerState::Open);
    bench.wait(1);
    // It is the first call that changes it, not the time.
    assert_eq!(bench.state(), BreakerState::Open);
    let permit = bench.breaker.admit().unwrap();
    assert_eq!(bench.state(), BreakerState::HalfOpen);
    assert!(bench.breaker.status().next_attempt.is_none());
    drop(permit);
    assert_eq!(bench.breaker.status().tally.refused, 1);
}

#[test]
fn the_wait_doubles_up_to_its_limit() {
    let bench = Bench::new();
    bench.fail(5);
    for wait in [30, 60, 120, 240, 300, 300, 300] {
        assert_eq!(bench.retry_after(), wait);
        bench.wait(i64::try_from(wait).unwrap());
        bench.fail(1);
        assert_eq!(bench.state(), BreakerState::Open);
    }
    assert_eq!(bench.breaker.status().tally.opened, 8);
}

#[test]
fn three_successes_close_it_and_clear_count_and_wait() {
    let bench = Bench::new();
    bench.fail(5);
    bench.wait(30);
    bench.fail(1);
    bench.wait(60);
    bench.succeed(2);
    assert_eq!((bench.state(), bench.breaker.status().success_count), (BreakerState::HalfOpen, 2));
    bench.succeed(1);
    let status = bench.breaker.status();
    assert_eq!((status.state, status.failure_count, status.recent_failures), (BreakerState::Closed, 0, 0));
    bench.fail(5);
    assert_eq!(bench.retry_after(), 30);
}

#[test]
fn any_failure_opens_it_again_when_it_is_half_open() {
    let bench = Bench::new();
    bench.fail(5);
    bench.wait(30);
    bench.succeed(2);
    bench.fail(1);
    assert_eq!(bench.state(), BreakerState::Open);
    assert_eq!(bench.retry_after(), 60);
    bench.wait(60);
    bench.succeed(2);
    assert_eq!(bench.state(), BreakerState::HalfOpen);
}

#[test]
fn half_open_it_lets_one_through_at_a_time() {
    let bench = Bench::new();
    bench.fail(5);
    bench.wait(30);
    let mut first = bench.breaker.admit().unwrap();
    assert_eq!(bench.retry_after(), 1);
    // Who went away said nothing, but makes room.
    drop(first);
    first = bench.breaker.admit().unwrap();
    first.begun();
    let second = bench.breaker.admit().unwrap();
    // The first has given its place up and can't give up the second's.
    drop(first);
    assert_eq!(bench.retry_after(), 1);
    second.answered();
    assert_eq!((bench.state(), bench.breaker.status().success_count), (BreakerState::HalfOpen, 1));
}

#[test]
fn calls_of_before_say_nothing_about_now() {
    let bench = Bench::new();
    let old: Vec<_> = (0..6).map(|_| bench.breaker.admit().unwrap()).collect();
    bench.fail(5);
    bench.wait(30);
    let probe = bench.breaker.admit().unwrap();
    for (index, permit) in old.into_iter().enumerate() {
        if index % 2 == 0 { permit.failed() } else { permit.answered() }
    }
    assert_eq!((bench.state(), bench.breaker.status().success_count), (BreakerState::HalfOpen, 0));
    assert_eq!(bench.retry_after(), 1, "the probe keeps its place");
    probe.answered();
    assert_eq!(bench.breaker.status().tally.total(), 12);
}

#[test]
fn a_reset_closes_it_and_clears_counters_and_wait() {
    let bench = Bench::new();
    bench.fail(5);
    bench.wait(30);
    bench.fail(1);
    let before = bench.breaker.status().tally;
    bench.breaker.reset();
    let status = bench.breaker.status();
    assert_eq!((status.state, status.failure_count, status.recent_failures), (BreakerState::Closed, 0, 0));
    assert_eq!(status.tally, before, "what was counted since the start stays");
    bench.fail(5);
    assert_eq!(bench.retry_after(), 30);
}

#[test]
fn a_clock_that_is_set_back_does_not_keep_it_open() {
    let bench = Bench::new();
    bench.fail(5);
    bench.wait(-3_600);
    assert_eq!(bench.retry_after(), 30);
    bench.wait(30);
    assert!(bench.breaker.admit().is_ok());
}

#[test]
fn time_and_rates_are_of_answered_and_failed_calls() {
    let bench = Bench::new();
    assert!((bench.breaker.status().tally.success_rate() - 100.0).abs() < 1e-9);
    for (seconds, answered) in [(1, true), (2, true), (6, false), (60, true)] {
        let permit = bench.breaker.admit().unwrap();
        bench.wait(seconds);
        match (seconds, answered) {
            (60, _) => drop(permit),
            (_, true) => permit.answered(),
            (_, false) => permit.failed(),
        }
    }
    let tally = bench.breaker.status().tally;
    assert_eq!((tally.successful, tally.failed, tally.total()), (2, 1, 3));
    assert!((tally.success_rate() - 200.0 / 3.0).abs() < 1e-9);
    assert!((tally.average_seconds() - 3.0).abs() < 1e-9);
    assert_eq!(tally.last_failure, Some(bench.clock.now() - TimeDelta::seconds(60)));
}

#[derive(Debug, Clone)]
enum Step {
    Admit,
    Begin(usize),
    Answer(usize),
    Fail(usize),
    Drop(usize),
    Wait(i64),
    Reset,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => Just(Step::Admit),
        1 => (0..8_usize).prop_map(Step::Begin),
        3 => (0..8_usize).prop_map(Step::Answer),
        4 => (0..8_usize).prop_map(Step::Fail),
        1 => (0..8_usize).prop_map(Step::Drop),
        3 => (-40..400_i64).prop_map(Step::Wait),
        1 => Just(Step::Reset),
    ]
}

/// Takes a step.
fn take(bench: &Bench, permits: &mut Vec<Permit>, step: &Step) {
    let mut pick = |index: usize| (!permits.is_empty()).then(|| permits.swap_remove(index % permits.len()));
    match step {
        Step::Admit => permits.extend(bench.breaker.admit()),
        Step::Begin(index) => {
            if let Some(mut permit) = pick(*index) {
                permit.begun();
                permits.push(permit);
            }
        }
        Step::Answer(index) => pick(*index).into_iter().for_each(Permit::answered),
        Step::Fail(index) => pick(*index).into_iter().for_each(Permit::failed),
        Step::Drop(index) => drop(pick(*index)),
        Step::Wait(seconds) => bench.wait(*seconds),
        Step::Reset => bench.breaker.reset(),
    }
}

proptest! {
    #[test]
    fn whatever_happens_it_keeps_to_its_rules(steps in prop::collection::vec(step(), 1..200)) {
        let bench = Bench::new();
        let mut permits = Vec::new();
        for step in steps {
            let before = bench.breaker.status();
            take(&bench, &mut permits, &step);
            let status = bench.breaker.status();
            let epoch = bench.breaker.lock().epoch;
            let config = status.config;

            prop_assert!((0.0..=100.0).contains(&status.tally.success_rate()));
            prop_assert!(bench.breaker.lock().window.len() <= config.window);
            prop_assert!(status.recent_failures as usize <= config.window);
            prop_assert!(status.retry_after.is_none_or(|wait| wait <= config.max_timeout));
            prop_assert_eq!(status.retry_after.is_some(), status.state == BreakerState::Open);
            let probing = permits.iter().filter(|permit| permit.probes && permit.epoch == epoch).count();
            match status.state {
                BreakerState::Closed => {
                    prop_assert!(status.failure_count < config.failure_threshold);
                    prop_assert!(status.recent_failures < config.failure_threshold);
                    prop_assert_eq!(probing, 0);
                }
                BreakerState::Open => prop_assert_eq!(probing, 0),
                BreakerState::HalfOpen => {
                    prop_assert!(status.success_count < config.success_threshold);
                    prop_assert!(probing <= 1);
                }
            }
            let legal = match (before.state, status.state) {
                (BreakerState::Closed, BreakerState::HalfOpen) => false,
                (BreakerState::Open, BreakerState::HalfOpen) => before.retry_after == Some(Duration::ZERO),
                (BreakerState::Open, BreakerState::Closed) => matches!(step, Step::Reset),
                (BreakerState::HalfOpen, BreakerState::Open) => matches!(step, Step::Fail(_)),
                _ => true,
            };
            prop_assert!(legal, "{:?} to {:?} by {:?}", before.state, status.state, step);
        }
        // Whatever it knows, it lets somebody find out in the end.
        drop(permits);
        bench.wait(3_600);
        prop_assert!(bench.breaker.admit().is_ok());
    }
}
