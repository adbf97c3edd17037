//! Room that is asked for, taken, kept and given back.

use super::*;
use crate::testing::FixedClock;
use crate::testing::builders::{noon, project, seconds_past_noon};

const KIND: QuotaKind = QuotaKind::TableBytes;

fn with_limit(kind: QuotaKind, limit: i128) -> (Arc<FixedClock>, Arc<Quotas>, Project) {
    let clock = Arc::new(FixedClock::at(noon()));
    let quota = Quota::default().with(kind, limit).unwrap();
    let quotas = Quotas::none(Arc::clone(&clock) as _);
    (clock, quotas, Project { quota, ..project("p") })
}

fn measured(quotas: &Arc<Quotas>, project: &Project, bytes: u64) {
    let mark = quotas.mark(&project.id, KIND);
    quotas.learn(&project.id, KIND, mark, bytes);
}

#[test]
fn what_is_on_its_way_counts_and_is_given_back() {
    let (_, quotas, project) = with_limit(KIND, 100);
    measured(&quotas, &project, 40);
    let first = quotas.reserve(&project, KIND, 60).unwrap();
    let refused = quotas.reserve(&project, KIND, 1).err();
    assert_eq!(refused, Some(exceeded(KIND, 100, 100)));
    drop(first);
    let mut again = quotas.reserve(&project, KIND, 1).unwrap();
    assert!(again.reach(61).is_err(), "one more than there is room for");
    again.reach(60).unwrap();
    again.reach(10).unwrap();
    again.keep_with(0);
    assert!(quotas.reserve(&project, KIND, 1).is_err(), "what was kept counts until it is measured");
    measured(&quotas, &project, 50);
    assert!(quotas.reserve(&project, KIND, 50).is_ok());
}

#[test]
fn a_measurement_has_only_what_was_there_when_it_began() {
    let (_, quotas, project) = with_limit(KIND, 100);
    let mark = quotas.mark(&project.id, KIND);
    quotas.learn(&project.id, KIND, mark, 0);
    quotas.reserve(&project, KIND, 70).unwrap().keep_with(0);
    quotas.learn(&project.id, KIND, mark, 0);
    assert!(quotas.reserve(&project, KIND, 31).is_err(), "it began before the write was done");
    let later = quotas.mark(&project.id, KIND);
    quotas.learn(&project.id, KIND, later, 10);
    quotas.learn(&project.id, KIND, mark, 0);
    assert!(quotas.reserve(&project, KIND, 90).is_ok(), "and an older one doesn't undo a newer one");
}

#[test]
fn a_measurement_that_ends_late_says_nothing_of_what_came_meanwhile() {
    let (_, quotas, project) = with_limit(KIND, 3);
    let late = quotas.mark(&project.id, KIND);
    // Two are made, each measured once it is there and then given back.
    for there in 1..=2 {
        let room = quotas.reserve(&project, KIND, 1).unwrap();
        measured(&quotas, &project, there);
        drop(room);
    }
    quotas.learn(&project.id, KIND, late, 0);
    let _third = quotas.reserve(&project, KIND, 1).unwrap();
    assert!(quotas.reserve(&project, KIND, 1).is_err(), "three are there");
}

#[test]
fn what_was_measured_long_ago_is_measured_again() {
    let (clock, quotas, project) = with_limit(KIND, 100);
    assert!(matches!(quotas.ask(&project, KIND, 1), Asked::Measure), "never measured");
    measured(&quotas, &project, 10);
    assert!(matches!(quotas.ask(&project, KIND, 1), Asked::Reserved(_)));
    assert!(matches!(quotas.ask(&project, KIND, 91), Asked::Measure), "somebody may have deleted something");
    assert!(quotas.is_refused(&project, KIND, 91).is_some(), "but not a moment ago");
    clock.set(seconds_past_noon(2));
    assert!(quotas.is_refused(&project, KIND, 91).is_none());
    quotas.forget(&project.id, KIND);
    assert!(matches!(quotas.ask(&project, KIND, 1), Asked::Measure));
    measured(&quotas, &project, 10);
    clock.set(seconds_past_noon(40));
    assert!(matches!(quotas.ask(&project, KIND, 1), Asked::Measure));
}

#[test]
fn projects_and_kinds_are_apart_and_huge_amounts_are_refused() {
    let (_, quotas, one) = with_limit(KIND, 100);
    let other = Project { quota: one.quota.clone(), ..project("q") };
    let _all = quotas.reserve(&one, KIND, 100).unwrap();
    assert!(quotas.reserve(&other, KIND, 100).is_ok());
    assert!(quotas.reserve(&one, QuotaKind::DatasetBytes, u64::MAX).is_ok(), "that has no limit");
    assert!(quotas.reserve(&one, KIND, u64::MAX).is_err());
    assert!(quotas.reserve(&other, KIND, u64::MAX).is_err());
}

#[test]
fn queries_of_a_minute_are_counted_per_project() {
    let (clock, quotas, one) = with_limit(QuotaKind::QueriesPerMinute, 2);
    let other = Project { quota: one.quota.clone(), ..project("q") };
    quotas.count_query(&one).unwrap();
    clock.set(seconds_past_noon(10));
    quotas.count_query(&one).unwrap();
    let refused = quotas.count_query(&one).unwrap_err();
    assert_eq!((refused.used, refused.retry_after), (2, Some(Duration::from_secs(50))));
    assert!(quotas.count_query(&other).is_ok());
    assert_eq!(quotas.queries_of_minute(&one.id), 2);
    clock.set(seconds_past_noon(60));
    assert!(quotas.count_query(&one).is_ok());
    assert_eq!(quotas.queries_of_minute(&one.id), 1);
    let free = Project { quota: Quota::default(), ..one };
    assert!((0..100).all(|_| quotas.count_query(&free).is_ok()));
}

#[test]
fn what_is_kept_has_an_end() {
    let (_, quotas, one) = with_limit(KIND, 100);
    let _held = quotas.reserve(&one, KIND, 100).unwrap();
    for number in 0..=MAX_KEPT {
        quotas.mark(&project(&format!("p{number}")).id, KIND);
    }
    assert!(quotas.lock().accounts.len() <= MAX_KEPT);
    assert!(quotas.reserve(&one, KIND, 1).is_err(), "what is on its way is not forgotten");
}
