//! Queries that are answered before they are done, and whose results are fetched later.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::TimeDelta;
use futures_util::future::AbortRegistration;
use gadwall_domain::access::Scope;
use gadwall_domain::error::{Classify as _, ErrorKind};
use gadwall_domain::ids::{LakeId, QueryId, SnapshotId};
use gadwall_domain::names::ProjectId;
use gadwall_domain::ports::background::Background;
use gadwall_domain::ports::results::{ResultError, ResultNote, ResultStore};
use gadwall_domain::query::{Query, QueryError};
use gadwall_domain::query_record::{QueryRecord, QueryState};
use gadwall_domain::rows::RowStream;
use serde_json::Value;

use super::admission::Use;
use super::error::KnownQueryError;
use super::live::{End, Entry};
use super::{Opened, Queries, only_own};
use crate::caller::Caller;
use crate::error::UseCaseError;
use crate::instances::Instances;
use crate::operations::{interrupted, kept};

/// Queries of one project that run or wait in the background: a project can't fill the queue of all.
const MAX_OF_PROJECT: usize = 20;

/// How long results are kept, and how much of them.
#[derive(Debug, Clone, Copy)]
pub struct ResultSettings {
    /// How long after the query's end.
    pub retention: TimeDelta,
    /// Most bytes of each project.
    pub limit: u64,
}

/// The use cases of queries in the background.
pub struct BackgroundQueries {
    queries: Arc<Queries>,
    results: Arc<dyn ResultStore>,
    background: Arc<dyn Background>,
    instances: Arc<Instances>,
    settings: ResultSettings,
    /// Those that run or wait. Bounded by what the background takes.
    started: Mutex<HashMap<QueryId, ProjectId>>,
}

/// What came of a query in the background.
#[derive(Debug)]
pub enum KeptResult {
    /// Its rows.
    Rows {
        /// They themselves.
        rows: RowStream,
        /// The snapshot that they are from.
        snapshot: SnapshotId,
        /// The query.
        query: Box<QueryRecord>,
    },
    /// It failed: its failure, as it was kept.
    Failure(Value),
}

impl fmt::Debug for BackgroundQueries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BackgroundQueries")
    }
}

/// A query in the background. However its task ends, the query doesn't look as if it ran on.
struct Started {
    of: Arc<BackgroundQueries>,
    entry: Entry,
    lake: LakeId,
}

impl Drop for Started {
    fn drop(&mut self) {
        self.of.lock().remove(&self.entry.live.id());
        self.entry.running.end(&self.entry.live, End::Failed(INTERRUPTED));
    }
}

/// The code of what ran when the service stopped.
const INTERRUPTED: &str = "interrupted";

impl BackgroundQueries {
    /// Keeps results in this store and runs queries in this background.
    pub fn new(
        queries: Arc<Queries>,
        results: Arc<dyn ResultStore>,
        background: Arc<dyn Background>,
        instances: Arc<Instances>,
        settings: ResultSettings,
    ) -> Arc<Self> {
        Arc::new(Self { queries, results, background, instances, settings, started: Mutex::default() })
    }

    /// Accepts a query in an opened project. That it was accepted is kept before it is answered.
    #[tracing::instrument(skip_all, fields(project.id = %opened.project.id))]
    pub async fn start(
        self: &Arc<Self>,
        caller: &Caller,
        opened: Opened,
        query: Query,
    ) -> Result<QueryRecord, UseCaseError> {
        self.queries.running.admit(&opened.project)?;
        let place = self.background.reserve().map_err(|_| QueryError::Busy)?;
        let (entry, registration) = {
            let mut started = self.lock();
            if started.values().filter(|project| **project == opened.project.id).count() >= MAX_OF_PROJECT {
                return Err(QueryError::Busy.into());
            }
            let (entry, registration) = self.queries.running.enter(caller, &opened.project.id, &query.sql);
            started.insert(entry.live.id(), opened.project.id.clone());
            (entry.kept(), registration)
        };
        let lake = opened.scope.lake;
        let started = Started { of: Arc::clone(self), entry, lake };
        let record = started.entry.live.record();
        let instance = self.instances.id();
        let note = ResultNote { lake, query: record.clone(), snapshot: None, failure: None, instance };
        self.results.keep_note(&note).await?;
        place.start("query", Box::pin(started.carry_out(registration, caller.clone(), opened, query)));
        Ok(record)
    }

    /// A query that the caller may see, also when the history has forgotten it while its result is kept.
    pub async fn get(&self, caller: &Caller, project: &ProjectId, id: &str) -> Result<QueryRecord, UseCaseError> {
        match self.queries.get(caller, project, id).await {
            Err(UseCaseError::KnownQuery(missing @ KnownQueryError::NoQuery { .. })) => {
                Ok(self.note(caller, project, id).await?.ok_or(missing)?.query)
            }
            found => found,
        }
    }

    /// What came of a query in the background.
    pub async fn result(&self, caller: &Caller, project: &ProjectId, id: &str) -> Result<KeptResult, UseCaseError> {
        let query = self.get(caller, project, id).await?;
        let no_result = || KnownQueryError::NoResult { query: query.id };
        let note = self.note(caller, project, id).await?.ok_or_else(no_result)?;
        match query.state {
            QueryState::Queued | QueryState::Running => {
                Err(KnownQueryError::NotFinished { query: query.id, state: query.state }.into())
            }
            QueryState::Cancelled => Ok(KeptResult::Failure(kept(&QueryError::Cancelled.into()))),
            QueryState::Failed => Ok(KeptResult::Failure(note.failure.unwrap_or_else(interrupted))),
            QueryState::Done => {
                let rows = self.results.open(note.lake, query.id).await?.ok_or_else(no_result)?;
                let snapshot = note.snapshot.ok_or_else(no_result)?;
                Ok(KeptResult::Rows { rows, snapshot, query: Box::new(note.query) })
            }
        }
    }

    /// Stops a query; deletes the result of one that has ended.
    pub async fn cancel(&self, caller: &Caller, project: &ProjectId, id: &str) -> Result<QueryRecord, UseCaseError> {
        match self.queries.cancel(caller, project, id).await {
            Err(UseCaseError::KnownQuery(
                ended @ (KnownQueryError::NotRunning { .. } | KnownQueryError::NoQuery { .. }),
            )) => {
                let note = self.note(caller, project, id).await?.ok_or(ended)?;
                if !note.query.state.is_final() && note.instance != self.instances.id() {
                    // Another server runs it, and only that one can stop it; what it will put must find its note.
                    return Err(KnownQueryError::NotFinished { query: note.query.id, state: note.query.state }.into());
                }
                self.results.delete(note.lake, note.query.id).await?;
                tracing::info!(query.id = %note.query.id, by = caller.label(), "a result was deleted");
                Ok(note.query)
            }
            stopped => stopped,
        }
    }

    /// Tells the end of queries that servers left unfinished that live no more: an earlier life of this one, or others.
    pub async fn mark_interrupted(&self) -> Result<(), UseCaseError> {
        let running = &self.queries.running;
        let unfinished = self.results.unfinished().await?;
        let alive = self.instances.alive(&mut *running.store.read().await?).await?;
        for note in unfinished.into_iter().filter(|note| !alive.contains(&note.instance)) {
            // Its server may have told its end at the last moment, or another server may.
            let Some(mut note) = self.results.note(note.lake, note.query.id).await? else { continue };
            if note.query.state.is_final() {
                continue;
            }
            note.query.state = QueryState::Failed;
            note.query.error_code = Some(INTERRUPTED.to_owned());
            note.query.finished_at = Some(running.clock.now());
            note.failure = Some(interrupted());
            let mut tx = running.store.write().await?;
            if tx.queries().find(&note.query.project, note.query.id).await?.is_none() {
                tx.queries().insert(&note.query).await?;
                tx.commit().await?;
            }
            self.results.keep_note(&note).await?;
        }
        Ok(())
    }

    /// Deletes results that were kept long enough; answers how many.
    pub async fn clean_up(&self) -> Result<u64, UseCaseError> {
        Ok(self.results.sweep(self.queries.running.clock.now() - self.settings.retention).await?)
    }

    /// The note of a query that the caller may see; none when there never was one, or its time is over.
    async fn note(&self, caller: &Caller, project: &ProjectId, id: &str) -> Result<Option<ResultNote>, UseCaseError> {
        let project = self.queries.access.open(caller, project, Scope::Read).await?;
        let Some(id) = QueryId::parse(id) else { return Ok(None) };
        let oldest = self.queries.running.clock.now() - self.settings.retention;
        let own = only_own(caller, &project);
        let note = self.results.note(project.lake, id).await?;
        Ok(note.filter(|note| {
            note.query.finished_at.is_none_or(|ended| ended >= oldest)
                && own.as_ref().is_none_or(|own| note.query.principal == *own)
        }))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<QueryId, ProjectId>> {
        self.started.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Started {
    #[tracing::instrument(name = "background_query", skip_all, fields(query.id = %self.entry.live.id()))]
    async fn carry_out(self, registration: AbortRegistration, caller: Caller, opened: Opened, query: Query) {
        let done = self.put(registration, &caller, opened, query).await;
        // It looks as if it ran until what came of it is kept: who is told of its end can fetch it.
        let end = match &done {
            Ok(_) => End::Done,
            Err(UseCaseError::Query(QueryError::Cancelled)) => End::Cancelled,
            Err(error) => End::Failed(error.code()),
        };
        let mut note = ResultNote {
            lake: self.lake,
            query: self.entry.live.ended(end, self.entry.running.clock.now()),
            snapshot: done.as_ref().ok().copied(),
            failure: done.as_ref().err().map(kept),
            instance: self.of.instances.id(),
        };
        if let Err(error) = &done
            && error.kind() == ErrorKind::Internal
        {
            tracing::error!(error = ?error, "a query in the background failed");
        }
        self.keep(&note).await;
        let (live, results) = (&self.entry.live, &self.of.results);
        if !self.entry.running.end(live, end) && !matches!(end, End::Cancelled) {
            // Somebody stopped it at the last moment.
            if let Err(error) = results.delete(self.lake, live.id()).await {
                tracing::warn!(error = ?error, "the result of a cancelled query was not deleted");
            }
            note = ResultNote { query: live.record(), snapshot: None, failure: None, ..note };
            self.keep(&note).await;
        }
    }

    async fn keep(&self, note: &ResultNote) {
        if let Err(error) = self.of.results.keep_note(note).await {
            tracing::error!(error = ?error, query.id = %note.query.id, "what came of a query was not kept");
        }
    }

    async fn put(
        &self,
        registration: AbortRegistration,
        caller: &Caller,
        opened: Opened,
        query: Query,
    ) -> Result<SnapshotId, UseCaseError> {
        let (queries, longest, project) = (&self.of.queries, query.timeout, opened.project.id.clone());
        let asked = async { queries.running.admission.ask(&project, Use::Read)?.wait(longest).await };
        let answer = queries.carry_out(asked, (self.entry.again(), registration), caller, opened, query).await?;
        let put = self.of.results.put(self.lake, answer.query_id, answer.rows, self.of.settings.limit).await;
        put.map_err(|error| match error {
            ResultError::Query(error) => error.into(),
            error => UseCaseError::from(error),
        })?;
        Ok(answer.snapshot)
    }
}
