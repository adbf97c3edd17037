//! What requests and databases did: since the start for those who gather figures, and of late for those who look.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use chrono::{DateTime, Utc};
use gadwall_domain::ports::system::Clock;

use super::histogram::{DATABASE_BOUNDS, Histogram, HistogramFigures, REQUEST_BOUNDS};
use super::window::{Tally, Window};

/// How far back requests are looked at, in seconds.
const REQUESTS: i64 = 300;
/// How far back the database is looked at, in seconds.
const DATABASE: i64 = 3_600;
/// The time over which throughput is an average, in seconds.
const THROUGHPUT: i64 = 60;
/// How often throughput is worked out.
pub const THROUGHPUT_EVERY: Duration = Duration::from_secs(10);

/// What a request's figures go by. There are only so many: routes, not paths.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestLabels {
    /// The method; `_OTHER` for one that no route has.
    pub method: &'static str,
    /// The route, as in the API's document; empty if there is none.
    pub route: Arc<str>,
    /// The status of the answer.
    pub status: u16,
}

impl RequestLabels {
    fn failed(&self) -> bool {
        self.status >= 400
    }
}

/// What a database's figures go by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DatabaseLabels {
    /// What was done: the word that a statement begins with, or the kind of a write.
    pub operation: &'static str,
    /// Whether it failed.
    pub failed: bool,
}

/// Counts requests and what databases do.
pub struct Measured {
    clock: Arc<dyn Clock>,
    started: DateTime<Utc>,
    /// Whether what happened of late is kept.
    tracking: bool,
    active: Arc<AtomicU64>,
    active_operations: AtomicU64,
    requests: RwLock<HashMap<RequestLabels, Arc<Histogram>>>,
    operations: RwLock<HashMap<DatabaseLabels, Arc<Histogram>>>,
    late: Mutex<Late>,
    maintenance: [AtomicU64; 4],
}

/// What runs of maintenance came to since the start.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct MaintenanceFigures {
    /// Runs that ended.
    pub runs: u64,
    /// Those of them that failed.
    pub failures: u64,
    /// Seconds that they took.
    pub seconds: f64,
    /// Bytes that they deleted from storage.
    pub bytes_reclaimed: u64,
}

struct Late {
    requests: Window,
    operations: BTreeMap<&'static str, Window>,
    throughput: Option<Throughput>,
}

/// How much was done of late.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Throughput {
    /// When this was worked out.
    pub at: DateTime<Utc>,
    /// Requests a second.
    pub requests_per_second: f64,
    /// Seconds a request took on average.
    pub average: f64,
    /// The share of requests that failed.
    pub error_rate: f64,
    /// Requests that were being served.
    pub active: u64,
}

/// What happened of late.
#[derive(Debug, Clone, PartialEq)]
pub struct Performance {
    /// Requests of the last five minutes; none if there was none.
    pub requests: Option<Tally>,
    /// How many there were a second.
    pub requests_per_second: f64,
    /// What the database did in the last hour.
    pub database: Tally,
    /// How often it did what.
    pub operations: BTreeMap<&'static str, u64>,
    /// What it does now.
    pub active_operations: u64,
    /// Requests that are being served.
    pub active_requests: u64,
    /// The last throughput that was worked out.
    pub throughput: Throughput,
}

impl fmt::Debug for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Measured")
    }
}

impl Measured {
    /// Counts from now on. Without `tracking`, what happened of late is not kept.
    pub fn new(clock: Arc<dyn Clock>, tracking: bool) -> Self {
        let started = clock.now();
        let late = Late {
            requests: Window::new(1, usize::try_from(REQUESTS).unwrap_or(1)),
            operations: BTreeMap::new(),
            throughput: None,
        };
        Self {
            clock,
            started,
            tracking,
            active: Arc::default(),
            active_operations: AtomicU64::new(0),
            requests: RwLock::default(),
            operations: RwLock::default(),
            late: Mutex::new(late),
            maintenance: Default::default(),
        }
    }

    /// Counts a run of maintenance that ended, and the bytes that it deleted; none if it failed.
    pub(crate) fn maintained(&self, took: Duration, reclaimed: Option<u64>) {
        let [runs, failures, micros, bytes] = &self.maintenance;
        runs.fetch_add(1, Ordering::Relaxed);
        failures.fetch_add(u64::from(reclaimed.is_none()), Ordering::Relaxed);
        micros.fetch_add(u64::try_from(took.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
        bytes.fetch_add(reclaimed.unwrap_or_default(), Ordering::Relaxed);
    }

    /// What maintenance came to since the start.
    pub fn maintenance(&self) -> MaintenanceFigures {
        let [runs, failures, micros, bytes] = self.maintenance.each_ref().map(|one| one.load(Ordering::Relaxed));
        let seconds = Duration::from_micros(micros).as_secs_f64();
        MaintenanceFigures { runs, failures, seconds, bytes_reclaimed: bytes }
    }

    /// Requests that are being served: whoever serves them counts.
    pub fn active(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.active)
    }

    /// Counts a request that was answered.
    pub fn request(&self, labels: RequestLabels, took: Duration) {
        if self.tracking {
            let now = self.clock.now();
            self.late().requests.add(now, took, labels.failed());
        }
        observe(&self.requests, labels, REQUEST_BOUNDS, took);
    }

    /// Counts something that the database begins.
    pub(crate) fn begin(&self) {
        self.active_operations.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts something that the database ended.
    pub(crate) fn end(&self, labels: DatabaseLabels, took: Duration) {
        self.active_operations.fetch_sub(1, Ordering::Relaxed);
        if self.tracking {
            let now = self.clock.now();
            let mut late = self.late();
            // A slot is a minute.
            let window = late.operations.entry(labels.operation).or_insert_with(|| Window::new(60, 60));
            window.add(now, took, labels.failed);
        }
        observe(&self.operations, labels, DATABASE_BOUNDS, took);
    }

    /// Works throughput out anew.
    pub fn work_out(&self) {
        let now = self.clock.now();
        let mut late = self.late();
        late.throughput = Some(self.throughput(&late, now));
    }

    fn throughput(&self, late: &Late, now: DateTime<Utc>) -> Throughput {
        let tally = late.requests.last(now, THROUGHPUT);
        Throughput {
            at: now,
            requests_per_second: tally.per_second(self.seconds(now, THROUGHPUT)),
            average: tally.average(),
            error_rate: tally.error_rate(),
            active: self.active.load(Ordering::Relaxed),
        }
    }

    /// The last so many seconds, or those since the start.
    fn seconds(&self, now: DateTime<Utc>, most: i64) -> f64 {
        let most = chrono::TimeDelta::seconds(most);
        (now - self.started).clamp(chrono::TimeDelta::seconds(1), most).as_seconds_f64()
    }

    /// What happened of late.
    pub fn performance(&self) -> Performance {
        let now = self.clock.now();
        let late = self.late();
        let requests = late.requests.last(now, REQUESTS);
        let mut database = Tally::default();
        let mut operations = BTreeMap::new();
        for (name, window) in &late.operations {
            let tally = window.last(now, DATABASE);
            database.merge(&tally);
            if tally.count > 0 {
                operations.insert(*name, tally.count);
            }
        }
        Performance {
            requests: (requests.count > 0).then_some(requests),
            requests_per_second: requests.per_second(self.seconds(now, REQUESTS)),
            database,
            operations,
            active_operations: self.active_operations.load(Ordering::Relaxed),
            active_requests: self.active.load(Ordering::Relaxed),
            throughput: late.throughput.unwrap_or_else(|| self.throughput(&late, now)),
        }
    }

    /// Requests since the start.
    pub fn requests(&self) -> Vec<(RequestLabels, HistogramFigures)> {
        figures(&self.requests)
    }

    /// What the database did since the start.
    pub fn operations(&self) -> Vec<(DatabaseLabels, HistogramFigures)> {
        figures(&self.operations)
    }

    fn late(&self) -> MutexGuard<'_, Late> {
        // Counting can't panic half way, so a poisoned lock is still good.
        self.late.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

type Series<L> = RwLock<HashMap<L, Arc<Histogram>>>;

fn observe<L: std::hash::Hash + Eq>(series: &Series<L>, labels: L, bounds: &'static [f64], took: Duration) {
    let known = series.read().unwrap_or_else(PoisonError::into_inner).get(&labels).map(|known| {
        known.observe(took);
    });
    if known.is_none() {
        let mut all = series.write().unwrap_or_else(PoisonError::into_inner);
        all.entry(labels).or_insert_with(|| Arc::new(Histogram::new(bounds))).observe(took);
    }
}

fn figures<L: Ord + Clone>(series: &Series<L>) -> Vec<(L, HistogramFigures)> {
    let all = series.read().unwrap_or_else(PoisonError::into_inner);
    let mut figures: Vec<_> = all.iter().map(|(labels, one)| (labels.clone(), one.figures())).collect();
    drop(all);
    figures.sort_by(|one, other| one.0.cmp(&other.0));
    figures
}

/// Something that the database does. Dropped without a word, it failed.
pub(crate) struct Operation {
    measured: Arc<Measured>,
    kind: &'static str,
    since: DateTime<Utc>,
    failed: bool,
}

impl Operation {
    pub(crate) fn begin(measured: &Arc<Measured>, kind: &'static str) -> Self {
        measured.begin();
        Self { measured: Arc::clone(measured), kind, since: measured.clock.now(), failed: true }
    }

    pub(crate) fn succeeded(mut self) {
        self.failed = false;
    }
}

impl Drop for Operation {
    fn drop(&mut self) {
        let took = crate::breaker::elapsed(self.since, self.measured.clock.now());
        self.measured.end(DatabaseLabels { operation: self.kind, failed: self.failed }, took);
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;
    use crate::testing::FixedClock;

    fn labels(route: &str, status: u16) -> RequestLabels {
        RequestLabels { method: "GET", route: route.into(), status }
    }

    #[test]
    fn requests_count_for_five_minutes_and_in_all() {
        let clock = Arc::new(FixedClock::default());
        let measured = Measured::new(Arc::clone(&clock) as _, true);
        assert_eq!(measured.performance().requests, None);
        for status in [200, 200, 404, 500] {
            measured.request(labels("/projects/{project}", status), Duration::from_millis(100));
        }
        clock.advance(TimeDelta::seconds(10));
        measured.work_out();
        let now = measured.performance();
        let requests = now.requests.unwrap();
        assert_eq!((requests.count, requests.errors), (4, 2));
        assert!((now.requests_per_second - 0.4).abs() < 1e-9, "ten seconds since the start");
        assert!((now.throughput.error_rate - 0.5).abs() < 1e-9 && (now.throughput.average - 0.1).abs() < 1e-9);

        clock.advance(TimeDelta::seconds(300));
        assert_eq!(measured.performance().requests, None);
        assert!(measured.performance().throughput.requests_per_second > 0.0, "as it was worked out last");
        measured.work_out();
        assert!(measured.performance().throughput.requests_per_second.abs() < 1e-9);
        let all = measured.requests();
        assert_eq!(
            all.iter().map(|(labels, one)| (labels.status, one.count)).collect::<Vec<_>>(),
            [(200, 2), (404, 1), (500, 1)]
        );
    }

    #[test]
    fn the_database_counts_for_an_hour() {
        let clock = Arc::new(FixedClock::default());
        let measured = Arc::new(Measured::new(Arc::clone(&clock) as _, true));
        let running = Operation::begin(&measured, "select");
        assert_eq!(measured.performance().active_operations, 1);
        clock.advance(TimeDelta::seconds(2));
        running.succeeded();
        drop(Operation::begin(&measured, "rows.appended"));
        let now = measured.performance();
        assert_eq!((now.database.count, now.database.errors, now.active_operations), (2, 1, 0));
        assert_eq!(now.database.max, Duration::from_secs(2));
        assert_eq!(now.operations, BTreeMap::from([("rows.appended", 1), ("select", 1)]));
        clock.advance(TimeDelta::seconds(3_600));
        assert_eq!(measured.performance().database.count, 0);
        assert_eq!(measured.operations().len(), 2);
    }

    #[test]
    fn without_tracking_only_the_figures_since_the_start_are_kept() {
        let measured = Measured::new(Arc::new(FixedClock::default()), false);
        measured.request(labels("/", 200), Duration::from_millis(1));
        assert_eq!(measured.performance().requests, None);
        assert_eq!(measured.requests().len(), 1);
    }
}
