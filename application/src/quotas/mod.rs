//! What projects may hold and do: looked at before the work, at no cost but for a sum in memory.
//!
//! What a project holds is measured now and then; what this server brings in between is added to it. Writes on their way
//! count, too, so that of two that fit only one by one, one is refused. What other servers bring is seen with the next
//! measurement.

mod account;
mod reservation;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::TimeDelta;
use gadwall_domain::names::ProjectId;
use gadwall_domain::ports::system::Clock;
use gadwall_domain::project::Project;
use gadwall_domain::quota::{Quota, QuotaExceeded, QuotaKind};

use crate::failures::Window;
use account::{Account, Mark};

pub(crate) use reservation::Reservation;

/// How long a measurement holds.
const HOLDS: TimeDelta = TimeDelta::seconds(30);
/// Who is refused isn't measured again within this time, unless something changed.
const AT_ONCE: TimeDelta = TimeDelta::seconds(1);
/// Accounts and windows that are kept; with more, those that nobody uses are forgotten.
const MAX_KEPT: usize = 10_000;
/// When who runs too many queries at once may ask again.
const SOON: Duration = Duration::from_secs(1);

/// The limits, and what counts against them on this server.
pub struct Quotas {
    defaults: Quota,
    clock: Arc<dyn Clock>,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    accounts: BTreeMap<(ProjectId, QuotaKind), Account>,
    /// Measurements that began.
    turns: u64,
    /// Queries of the minute.
    windows: BTreeMap<ProjectId, Window>,
}

/// What came of asking for room.
pub(crate) enum Asked {
    /// There is some.
    Reserved(Reservation),
    /// What is known is too old to say so, or says that there is none: measure, tell, and ask again.
    Measure,
}

impl fmt::Debug for Quotas {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Quotas")
    }
}

impl Quotas {
    /// These, for projects of which nothing else is said.
    pub fn new(defaults: Quota, clock: Arc<dyn Clock>) -> Arc<Self> {
        Arc::new(Self { defaults, clock, kept: Mutex::default() })
    }

    /// No limits but those of projects.
    pub fn none(clock: Arc<dyn Clock>) -> Arc<Self> {
        Self::new(Quota::default(), clock)
    }

    /// A project's limit, if it has one.
    pub fn limit(&self, project: &Project, kind: QuotaKind) -> Option<u64> {
        project.quota.limit(kind, &self.defaults)
    }

    /// Asks for room for `amount` more.
    pub(crate) fn ask(self: &Arc<Self>, project: &Project, kind: QuotaKind, amount: u64) -> Asked {
        let Some(limit) = self.limit(project, kind) else { return Asked::Reserved(Reservation::unlimited()) };
        let now = self.clock.now();
        let mut kept = self.lock();
        match kept.account(&project.id, kind) {
            account if account.is_known(now, HOLDS) && account.has_room(amount, limit) => account.take(amount),
            _ => return Asked::Measure,
        }
        drop(kept);
        Asked::Reserved(Reservation::new(self, (project.id.clone(), kind), limit, amount))
    }

    /// Whether it was measured just now that there is no room, and nothing has changed since.
    pub(crate) fn is_refused(&self, project: &Project, kind: QuotaKind, amount: u64) -> Option<QuotaExceeded> {
        let limit = self.limit(project, kind)?;
        let now = self.clock.now();
        let mut kept = self.lock();
        let account = kept.account(&project.id, kind);
        let settled = account.is_known(now, AT_ONCE) && account.is_settled() && !account.has_room(amount, limit);
        settled.then(|| exceeded(kind, limit, account.used()))
    }

    /// Takes room for `amount` more, by what is known.
    pub(crate) fn reserve(
        self: &Arc<Self>,
        project: &Project,
        kind: QuotaKind,
        amount: u64,
    ) -> Result<Reservation, QuotaExceeded> {
        let Some(limit) = self.limit(project, kind) else { return Ok(Reservation::unlimited()) };
        let key = (project.id.clone(), kind);
        self.take(&key, limit, amount)?;
        Ok(Reservation::new(self, key, limit, amount))
    }

    fn take(&self, (project, kind): &(ProjectId, QuotaKind), limit: u64, amount: u64) -> Result<(), QuotaExceeded> {
        let mut kept = self.lock();
        let account = kept.account(project, *kind);
        if !account.has_room(amount, limit) {
            return Err(exceeded(*kind, limit, account.used()));
        }
        account.take(amount);
        Ok(())
    }

    /// To be told back with a measurement that begins now: what was brought by then is in it.
    pub(crate) fn mark(&self, project: &ProjectId, kind: QuotaKind) -> Mark {
        let mut kept = self.lock();
        kept.turns += 1;
        let turn = kept.turns;
        kept.account(project, kind).mark(turn)
    }

    /// Takes in a measurement.
    pub(crate) fn learn(&self, project: &ProjectId, kind: QuotaKind, mark: Mark, measured: u64) {
        let now = self.clock.now();
        self.lock().account(project, kind).learn(mark, measured, now);
    }

    /// Has something measured again before it counts.
    pub(crate) fn forget(&self, project: &ProjectId, kind: QuotaKind) {
        self.lock().account(project, kind).forget();
    }

    /// How many queries a project may have at once; 0 for any number.
    pub(crate) fn at_once(&self, project: &Project) -> u64 {
        self.limit(project, QuotaKind::ConcurrentQueries).unwrap_or_default()
    }

    /// Counts a query that begins.
    pub(crate) fn count_query(&self, project: &Project) -> Result<(), QuotaExceeded> {
        let kind = QuotaKind::QueriesPerMinute;
        let Some(limit) = self.limit(project, kind) else { return Ok(()) };
        let now = self.clock.now();
        let mut kept = self.lock();
        if kept.windows.len() >= MAX_KEPT {
            kept.windows.retain(|_, window| window.left(now).is_some());
        }
        let window = kept.windows.entry(project.id.clone()).or_insert_with(|| Window::begin(now));
        *window = window.at(now);
        if u64::from(window.count) >= limit {
            return Err(QuotaExceeded { kind, limit, used: window.count.into(), retry_after: window.left(now) });
        }
        window.count = window.count.saturating_add(1);
        Ok(())
    }

    /// What counts in this minute.
    pub(crate) fn queries_of_minute(&self, project: &ProjectId) -> u64 {
        let now = self.clock.now();
        let kept = self.lock();
        kept.windows.get(project).map_or(0, |window| window.at(now).count.into())
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn account(&mut self, project: &ProjectId, kind: QuotaKind) -> &mut Account {
        if self.accounts.len() >= MAX_KEPT {
            // What is on its way is needed; the rest is measured again.
            self.accounts.retain(|_, account| account.is_in_use());
        }
        self.accounts.entry((project.clone(), kind)).or_default()
    }
}

/// What is told to who would run too many queries at once.
pub(crate) fn too_many_at_once(limit: u64, used: u64) -> QuotaExceeded {
    QuotaExceeded { kind: QuotaKind::ConcurrentQueries, limit, used, retry_after: Some(SOON) }
}

fn exceeded(kind: QuotaKind, limit: u64, used: u64) -> QuotaExceeded {
    QuotaExceeded { kind, limit, used, retry_after: None }
}
