//! What queries did since the start, in numbers.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::breaker::{average, percent};

/// How many queries' durations are kept.
const KEPT: usize = 1_000;
/// How many of them are shown one by one.
const SHOWN: usize = 10;

/// Words that a statement begins with and that are counted each; all others are counted together.
const OPERATIONS: [&str; 10] =
    ["select", "with", "from", "values", "table", "show", "describe", "summarize", "explain", "pivot"];

/// The word that a statement begins with, in small letters, if it is one that is counted.
pub(crate) fn operation(sql: &str) -> &'static str {
    let text = sql.trim_start_matches(|letter: char| letter.is_whitespace() || letter == '(');
    let end = text.find(|letter: char| !letter.is_ascii_alphabetic()).unwrap_or(text.len());
    let known = OPERATIONS.into_iter().find(|word| word.eq_ignore_ascii_case(&text[..end]));
    known.unwrap_or("other")
}

/// How a query ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// All its rows were handed over.
    Successful,
    /// With an error, whoever's fault it was.
    Failed,
    /// Its reader went away.
    Cancelled,
}

/// Counts queries.
#[derive(Debug, Default)]
pub(crate) struct QueryStatistics(Mutex<Counts>);

#[derive(Debug, Default)]
struct Counts {
    active: u64,
    started: u64,
    successful: u64,
    failed: u64,
    cancelled: u64,
    time: Duration,
    last: Option<DateTime<Utc>>,
    durations: VecDeque<Duration>,
    operations: BTreeMap<&'static str, u64>,
}

/// What was counted.
#[derive(Debug, Clone, PartialEq)]
pub struct QueryNumbers {
    /// Queries that run or wait now.
    pub active: u64,
    /// Queries that were begun.
    pub started: u64,
    /// Queries that ended.
    pub total: u64,
    /// Those whose rows were all handed over.
    pub successful: u64,
    /// Those that ended with an error.
    pub failed: u64,
    /// Those whose reader went away.
    pub cancelled: u64,
    /// The share of the successful among the successful and the failed, in percent; 100 before the first.
    pub success_rate: f64,
    /// Seconds that a query took on average, from its arrival to its last row.
    pub average: f64,
    /// When the last one ended.
    pub last: Option<DateTime<Utc>>,
    /// Seconds that the last ten took, newest last.
    pub recent: Vec<f64>,
    /// A closer look at the last thousand; none before the first query.
    pub analysis: Option<QueryAnalysis>,
    /// Queries by the word they begin with.
    pub operations: BTreeMap<&'static str, u64>,
}

/// The last thousand queries, in seconds.
#[derive(Debug, Clone, PartialEq)]
pub struct QueryAnalysis {
    /// How many there are.
    pub queries: usize,
    /// The shortest.
    pub min: f64,
    /// The longest.
    pub max: f64,
    /// As many took longer as took less.
    pub median: f64,
    /// How many took longer than a second.
    pub over_1s: usize,
    /// How many took longer than five.
    pub over_5s: usize,
}

impl QueryStatistics {
    fn lock(&self) -> MutexGuard<'_, Counts> {
        // Counting can't panic half way, so a poisoned lock is still good.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn begin(&self, operation: &'static str) {
        let mut counts = self.lock();
        counts.active += 1;
        counts.started += 1;
        *counts.operations.entry(operation).or_default() += 1;
    }

    pub(crate) fn end(&self, end: End, took: Duration, now: DateTime<Utc>) {
        let mut counts = self.lock();
        counts.active = counts.active.saturating_sub(1);
        match end {
            End::Successful => counts.successful += 1,
            End::Failed => counts.failed += 1,
            End::Cancelled => counts.cancelled += 1,
        }
        counts.time = counts.time.saturating_add(took);
        counts.last = Some(now);
        if counts.durations.len() == KEPT {
            counts.durations.pop_front();
        }
        counts.durations.push_back(took);
    }

    pub(crate) fn numbers(&self) -> QueryNumbers {
        let counts = self.lock();
        let total = counts.successful + counts.failed + counts.cancelled;
        let seconds: Vec<f64> = counts.durations.iter().map(Duration::as_secs_f64).collect();
        QueryNumbers {
            active: counts.active,
            started: counts.started,
            total,
            successful: counts.successful,
            failed: counts.failed,
            cancelled: counts.cancelled,
            success_rate: percent(counts.successful, counts.successful + counts.failed),
            average: average(counts.time, total),
            last: counts.last,
            recent: seconds[seconds.len().saturating_sub(SHOWN)..].to_vec(),
            analysis: analysis(seconds),
            operations: counts.operations.clone(),
        }
    }
}

fn analysis(mut seconds: Vec<f64>) -> Option<QueryAnalysis> {
    seconds.sort_by(f64::total_cmp);
    let (min, max) = (*seconds.first()?, *seconds.last()?);
    let middle = seconds.len() / 2;
    let median = if seconds.len().is_multiple_of(2) {
        f64::midpoint(seconds[middle - 1], seconds[middle])
    } else {
        seconds[middle]
    };
    let over = |limit: f64| seconds.iter().filter(|took| **took > limit).count();
    Some(QueryAnalysis { queries: seconds.len(), min, max, median, over_1s: over(1.0), over_5s: over(5.0) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::builders::noon;

    #[test]
    fn statements_are_told_apart_by_their_first_word() {
        let cases = [
            ("SELECT 1", "select"),
            ("  \n(select 1)", "select"),
            ("WITH x AS (SELECT 1) SELECT * FROM x", "with"),
            ("Explain SELECT 1", "explain"),
            ("selector", "other"),
            ("DROP TABLE t", "other"),
            ("", "other"),
            ("ßelect", "other"),
        ];
        for (sql, expected) in cases {
            assert_eq!(operation(sql), expected, "{sql}");
        }
    }

    #[test]
    fn a_thousand_durations_are_kept_and_all_are_counted() {
        let statistics = QueryStatistics::default();
        assert_eq!(statistics.numbers().analysis, None);
        for number in 0..1_500_u64 {
            statistics.begin("select");
            let end = if number % 3 == 0 { End::Failed } else { End::Successful };
            statistics.end(end, Duration::from_millis(number * 10), noon());
        }
        statistics.begin("with");
        let numbers = statistics.numbers();
        assert_eq!((numbers.total, numbers.successful, numbers.failed, numbers.active), (1_500, 1_000, 500, 1));
        assert!((numbers.success_rate - 200.0 / 3.0).abs() < 1e-9);
        assert!((numbers.average - 7.495).abs() < 1e-9);
        assert_eq!((numbers.recent.len(), numbers.recent[9]), (10, 14.99));
        let analysis = numbers.analysis.unwrap();
        assert_eq!((analysis.queries, analysis.min, analysis.max), (1_000, 5.0, 14.99));
        assert!((analysis.median - 9.995).abs() < 1e-9);
        assert_eq!((analysis.over_1s, analysis.over_5s), (1_000, 999));
        assert_eq!(numbers.operations, BTreeMap::from([("select", 1_500), ("with", 1)]));
    }

    #[test]
    fn who_goes_away_changes_no_rate() {
        let statistics = QueryStatistics::default();
        for end in [End::Successful, End::Cancelled, End::Cancelled] {
            statistics.begin("select");
            statistics.end(end, Duration::from_secs(1), noon());
        }
        let numbers = statistics.numbers();
        assert_eq!((numbers.total, numbers.cancelled, numbers.active), (3, 2, 0));
        assert!((numbers.success_rate - 100.0).abs() < 1e-9);
    }
}
