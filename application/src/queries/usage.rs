//! What queries did, counted by project and day until it is written down.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Days, NaiveDate, Utc};
use gadwall_domain::names::ProjectId;
use gadwall_domain::query_record::{QueryRecord, QueryState};
use gadwall_domain::quota::{DayUsage, QueryUsage};

/// Projects and days that are counted between two times of writing; of more nothing is counted.
const MAX_COUNTED: usize = 10_000;
/// Days that are kept.
const KEPT: Days = Days::new(100);

/// Most bytes that one query counts, so that no sum of a day is more than databases hold.
const MOST: u64 = 1 << 50;

/// The oldest day that is kept.
pub(crate) fn oldest_day(now: DateTime<Utc>) -> NaiveDate {
    let today = now.date_naive();
    today.checked_sub_days(KEPT).unwrap_or(today)
}

/// Counts that are not written down yet. A crash loses them: those of the last moments.
#[derive(Default)]
pub(super) struct UsageCounts(Mutex<BTreeMap<(ProjectId, NaiveDate), QueryUsage>>);

impl UsageCounts {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<(ProjectId, NaiveDate), QueryUsage>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a query that ended, on the day of its end.
    pub(super) fn count(&self, query: &QueryRecord, bytes_sent: u64) {
        let Some(finished_at) = query.finished_at else { return };
        let usage = QueryUsage {
            count: 1,
            failed: u64::from(query.state == QueryState::Failed),
            bytes_scanned: query.profile.map_or(0, |profile| profile.bytes_scanned).min(MOST),
            bytes_sent: bytes_sent.min(MOST),
            millis: (finished_at - query.started_at).num_milliseconds().try_into().unwrap_or_default(),
        };
        self.add((query.project.clone(), finished_at.date_naive()), usage);
    }

    fn add(&self, key: (ProjectId, NaiveDate), usage: QueryUsage) {
        let mut counts = self.lock();
        if counts.len() < MAX_COUNTED || counts.contains_key(&key) {
            let sum = counts.entry(key).or_default();
            *sum = sum.and(usage);
        }
    }

    /// All that is counted, which is to be written down or put back.
    pub(super) fn take(&self) -> Vec<DayUsage> {
        let counts = std::mem::take(&mut *self.lock());
        counts.into_iter().map(|((project, day), queries)| DayUsage { project, day, queries }).collect()
    }

    /// Counts again what could not be written down.
    pub(super) fn put_back(&self, usage: Vec<DayUsage>) {
        for DayUsage { project, day, queries } in usage {
            self.add((project, day), queries);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::builders::{noon, project_id};

    #[test]
    fn what_is_put_back_is_added_to_what_came_meanwhile() {
        let counts = UsageCounts::default();
        let (key, one) =
            ((project_id("p"), noon().date_naive()), QueryUsage { count: 1, millis: 5, ..Default::default() });
        counts.add(key.clone(), one);
        let taken = counts.take();
        assert!(counts.take().is_empty());
        counts.add(key, one);
        counts.put_back(taken);
        assert_eq!(counts.take()[0].queries, one.and(one));
    }

    #[test]
    fn there_is_room_for_so_many_projects() {
        let counts = UsageCounts::default();
        for number in 0..=MAX_COUNTED {
            counts.add((project_id(&format!("p{number}")), noon().date_naive()), QueryUsage::default());
        }
        assert_eq!(counts.take().len(), MAX_COUNTED);
    }
}
