//! The queries that run now, and how those that ended get into the history.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::TimeDelta;
use futures_util::future::{AbortHandle, AbortRegistration};
use gadwall_domain::ids::QueryId;
use gadwall_domain::names::ProjectId;
use gadwall_domain::ports::metadata::{MetadataStore, StoreError};
use gadwall_domain::ports::system::{Clock, IdGenerator};
use gadwall_domain::project::Project;
use gadwall_domain::query::QueryError;
use gadwall_domain::query_record::{QueryRecord, QueryState};
use gadwall_domain::quota::DayUsage;
use gadwall_domain::sharing::SourceBucket;
use tokio::sync::mpsc;

use super::admission::{Admission, Asked, Limits, Use};
use super::live::{End, Entry, Live};
use super::usage::UsageCounts;
use crate::caller::Caller;
use crate::quotas::{Quotas, too_many_at_once};

/// Signs of a statement that are kept.
const KEPT_TEXT: usize = 10_000;
/// Queries that ended and wait to be written down; of more than that the history says nothing.
const UNWRITTEN: usize = 1_000;
/// So many are written at once.
const TOGETHER: usize = 250;
/// How long whoever cancels a script waits for its end.
const STOPPING: Duration = Duration::from_secs(10);
/// How long the first one waits for others, so that many queries are one write.
const GATHER: Duration = Duration::from_millis(250);

/// How many queries may run and wait, and how much is kept of those that ended.
#[derive(Debug, Clone, Copy)]
pub struct QuerySettings {
    /// Queries that run at once.
    pub max_concurrent: usize,
    /// Queries of one project that run at once; no limit of its own if 0.
    pub max_concurrent_per_project: usize,
    /// Queries that wait for their turn; more are turned away.
    pub max_queued: usize,
    /// Longest wait for a turn.
    pub queue_timeout: Duration,
    /// Queries that the history of a project holds.
    pub history_limit: u32,
    /// How long it holds them.
    pub history_retention: TimeDelta,
}

/// The queries of this process. Bounded by how many may run, wait, and wait to be written down.
pub struct RunningQueries {
    pub(super) settings: QuerySettings,
    pub(super) admission: Arc<Admission>,
    pub(super) store: Arc<dyn MetadataStore>,
    pub(super) clock: Arc<dyn Clock>,
    ids: Arc<dyn IdGenerator>,
    live: Mutex<BTreeMap<QueryId, Arc<Live>>>,
    ended: mpsc::Sender<Arc<Live>>,
    lost: AtomicU64,
    quotas: Arc<Quotas>,
    usage: UsageCounts,
}

impl fmt::Debug for RunningQueries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RunningQueries")
    }
}

impl RunningQueries {
    /// None yet, and what writes down those that end.
    pub fn new(
        settings: QuerySettings,
        store: Arc<dyn MetadataStore>,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn IdGenerator>,
    ) -> (Arc<Self>, QueryLogWriter) {
        let quotas = Quotas::none(Arc::clone(&clock));
        Self::within(settings, store, clock, ids, quotas)
    }

    /// The same within the limits of projects.
    pub fn within(
        settings: QuerySettings,
        store: Arc<dyn MetadataStore>,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn IdGenerator>,
        quotas: Arc<Quotas>,
    ) -> (Arc<Self>, QueryLogWriter) {
        let (ended, unwritten) = mpsc::channel(UNWRITTEN);
        let admission = Admission::new(Limits {
            concurrent: settings.max_concurrent,
            of_project: settings.max_concurrent_per_project,
            queued: settings.max_queued,
        });
        let (live, lost, usage) = (Mutex::default(), AtomicU64::new(0), UsageCounts::default());
        let running = Arc::new(Self { settings, admission, store, clock, ids, live, ended, lost, quotas, usage });
        (Arc::clone(&running), QueryLogWriter { running, unwritten })
    }

    /// How many queries that ended are missing in the history, since the service started.
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// Asks for a place for a query of a project, within its limits.
    pub(super) fn ask(&self, project: &Project, wanted: Use) -> Result<Asked, QueryError> {
        let asked = self.admission.ask_within(&project.id, wanted, self.quotas.at_once(project))?;
        // Who may not ask so often gives the place back.
        self.quotas.count_query(project)?;
        Ok(asked)
    }

    /// Admits a query that asks for its place later, within the limits of its project.
    pub(super) fn admit(&self, project: &Project) -> Result<(), QueryError> {
        let most = self.quotas.at_once(project);
        if most > 0 {
            let present = self.unfinished(&project.id);
            if present >= most {
                return Err(too_many_at_once(most, present).into());
            }
        }
        Ok(self.quotas.count_query(project)?)
    }

    /// How many queries of a project have not ended.
    pub(crate) fn unfinished(&self, project: &ProjectId) -> u64 {
        self.of_project(project).iter().filter(|query| !query.state.is_final()).count() as u64
    }

    /// Enters a query, which may wait at first.
    pub(super) fn enter(
        self: &Arc<Self>,
        caller: &Caller,
        project: &ProjectId,
        sql: &str,
    ) -> (Entry, AbortRegistration) {
        let record = QueryRecord {
            id: QueryId::new(self.ids.next_id()),
            project: project.clone(),
            principal: caller.label(),
            sql: sql.chars().take(KEPT_TEXT).collect(),
            request_id: caller.request_id.clone(),
            started_at: self.clock.now(),
            finished_at: None,
            state: QueryState::Queued,
            rows: 0,
            error_code: None,
            profile: None,
            progress: None,
        };
        let (abort, registration) = AbortHandle::new_pair();
        let live = Arc::new(Live::new(record, abort));
        self.lock().insert(live.id(), Arc::clone(&live));
        (Entry { live, running: Arc::clone(self), is_kept: false }, registration)
    }

    /// Ends a query; `false` when it had ended.
    pub(super) fn end(&self, live: &Arc<Live>, end: End) -> bool {
        if !live.end(end, self.clock.now()) {
            return false;
        }
        self.usage.count(&live.record(), live.bytes());
        // Never waits: a query isn't held up by its history.
        if self.ended.try_send(Arc::clone(live)).is_err() {
            self.lock().remove(&live.id());
            self.count_lost(1);
        }
        true
    }

    /// Stops a query on somebody's behalf; `false` when it ended by itself. A script that commits goes on to its end,
    /// which is waited for, but not for ever.
    pub(crate) async fn stop(&self, live: &Arc<Live>) -> bool {
        let ended = live.end_of();
        if !live.ask_to_stop() {
            return self.end(live, End::Cancelled);
        }
        let _ = tokio::time::timeout(STOPPING, ended).await;
        let state = live.record().state;
        state == QueryState::Cancelled || !state.is_final()
    }

    /// Buckets of others that are being read, and by which projects.
    pub(crate) fn linked_reads(&self) -> BTreeSet<(ProjectId, SourceBucket)> {
        let all: Vec<_> = self.lock().values().cloned().collect();
        all.iter().flat_map(|live| live.linked_reads()).collect()
    }

    /// A project's queries that are reading a bucket of another.
    pub(crate) fn reading(&self, project: &ProjectId, source: &SourceBucket) -> Vec<Arc<Live>> {
        let all: Vec<_> = self.lock().values().cloned().collect();
        all.into_iter().filter(|live| live.reads(source) && live.record().project == *project).collect()
    }

    /// Queries that can't go on without a project: its own, and those of others that read its buckets.
    pub(crate) fn that_need(&self, project: &ProjectId) -> Vec<Arc<Live>> {
        let all: Vec<_> = self.lock().values().cloned().collect();
        all.into_iter().filter(|live| live.needs(project)).collect()
    }

    /// A query that has not ended; of this principal, if that is told.
    pub(crate) fn running_of(&self, project: &ProjectId, id: QueryId, own: Option<&str>) -> Option<Arc<Live>> {
        let live = self.find(id)?;
        let now = live.record();
        let meant = now.project == *project && own.is_none_or(|own| now.principal == own);
        (meant && !now.state.is_final()).then_some(live)
    }

    pub(super) fn find(&self, id: QueryId) -> Option<Arc<Live>> {
        self.lock().get(&id).cloned()
    }

    /// A project's queries, newest first, with those that ended and aren't written down yet.
    pub(super) fn of_project(&self, project: &ProjectId) -> Vec<QueryRecord> {
        let all: Vec<_> = self.lock().values().rev().cloned().collect();
        all.iter().map(|live| live.record()).filter(|query| query.project == *project).collect()
    }

    fn count_lost(&self, more: usize) {
        let more = more as u64;
        let lost = self.lost.fetch_add(more, Ordering::Relaxed) + more;
        // Said at 1, 2, 4, 8, …: where many are lost, the log must not be what drowns.
        if lost.ilog2() != (lost - more).checked_ilog2().unwrap_or(u32::MAX) {
            tracing::warn!(lost, "queries that ended are missing in the history");
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<QueryId, Arc<Live>>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes queries that ended into the history, beside everything else.
pub struct QueryLogWriter {
    running: Arc<RunningQueries>,
    unwritten: mpsc::Receiver<Arc<Live>>,
}

impl fmt::Debug for QueryLogWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("QueryLogWriter")
    }
}

impl QueryLogWriter {
    /// Writes until it is told to stop and what ended by then is written.
    pub async fn run(mut self, stop: impl Future<Output = ()>) {
        let mut stop = pin!(stop);
        let mut stopping = false;
        loop {
            let first = tokio::select! {
                first = self.unwritten.recv() => first,
                () = &mut stop, if !stopping => {
                    stopping = true;
                    self.unwritten.close();
                    continue;
                }
            };
            let Some(first) = first else { return };
            if !stopping {
                tokio::select! {
                    () = tokio::time::sleep(GATHER) => {}
                    () = &mut stop => {
                        stopping = true;
                        self.unwritten.close();
                    }
                }
            }
            let mut ended = vec![first];
            while ended.len() < TOGETHER
                && let Ok(next) = self.unwritten.try_recv()
            {
                ended.push(next);
            }
            self.write(&ended).await;
        }
    }

    async fn write(&self, ended: &[Arc<Live>]) {
        let records: Vec<QueryRecord> = ended.iter().map(|live| live.record()).collect();
        if let Err(error) = self.try_write(&records).await {
            tracing::warn!(error = %error, "queries that ended were not written down");
            self.running.count_lost(records.len());
        }
        let mut live = self.running.lock();
        for record in &records {
            live.remove(&record.id);
        }
    }

    async fn try_write(&self, records: &[QueryRecord]) -> Result<(), StoreError> {
        let usage = self.running.usage.take();
        let written = self.write_with(records, &usage).await;
        if written.is_err() {
            self.running.usage.put_back(usage);
        }
        written
    }

    async fn write_with(&self, records: &[QueryRecord], usage: &[DayUsage]) -> Result<(), StoreError> {
        let mut tx = self.running.store.write().await?;
        tx.usage().add(usage).await?;
        let mut projects: Vec<&ProjectId> = Vec::new();
        for record in records {
            tx.queries().insert(record).await?;
            if !projects.contains(&&record.project) {
                projects.push(&record.project);
            }
        }
        for project in projects {
            tx.queries().keep_newest(project, self.running.settings.history_limit).await?;
        }
        tx.commit().await
    }
}
