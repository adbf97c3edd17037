//! Queries over a project's tables: run, seen, stopped, and remembered for a while.

mod admission;
mod background;
mod error;
mod live;
mod running;
mod script;
#[cfg(test)]
mod tests;
mod usage;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use futures_util::future::{AbortRegistration, Abortable};
use gadwall_domain::access::{Principal, Scope};
use gadwall_domain::history::ReadAt;
use gadwall_domain::ids::{QueryId, SnapshotId};
use gadwall_domain::names::ProjectId;
use gadwall_domain::ports::lake::{LakeStore, QueryEngine};
use gadwall_domain::project::Project;
use gadwall_domain::query::{NamedFiles, Query, QueryError, QueryOutput, ReadScope};
use gadwall_domain::query_figures::FiguresLater;
use gadwall_domain::query_record::{QueryFilter, QueryRecord, QueryState};
use gadwall_domain::rows::RowStream;
use gadwall_domain::sharing::SourceBucket;
use gadwall_domain::table::TableRef;
use tracing::Instrument as _;

use crate::access::Access;
use crate::caller::Caller;
use crate::elsewhere::{Elsewhere, Work};
use crate::error::UseCaseError;
use crate::sharing::{Reading, is_open, note_linked, reading};
use crate::transfers::SqlFiles;
use crate::versions::{Version, Versions};

pub use background::{BackgroundQueries, KeptResult, ResultSettings};
pub use error::KnownQueryError;
pub use running::{QueryLogWriter, QuerySettings, RunningQueries};
pub(crate) use script::ScriptTurn;

use admission::{Place, Use};
use live::{End, Entry};
pub(crate) use usage::oldest_day;

/// The most queries that a list answers.
pub const MAX_LISTED: u32 = 1_000;

/// What the audit log calls it that somebody stopped somebody else's query.
const CANCELLED: &str = "query.cancelled";

/// The use cases of queries.
pub struct Queries {
    engine: Arc<dyn QueryEngine>,
    lakes: Arc<dyn LakeStore>,
    access: Arc<Access>,
    versions: Arc<Versions>,
    running: Arc<RunningQueries>,
    files: Option<Arc<SqlFiles>>,
    elsewhere: Option<Arc<Elsewhere>>,
}

/// A running query's result.
#[derive(Debug)]
pub struct Answer {
    /// The query.
    pub query_id: QueryId,
    /// The rows. Dropping them ends the query.
    pub rows: RowStream,
    /// The snapshot they are from.
    pub snapshot: SnapshotId,
    /// Whether the same query gives the same rows as long as nothing is committed.
    pub deterministic: bool,
    /// The tables that it reads through links, by the names that they have there.
    pub linked: Vec<TableRef>,
    /// How long it took up to here.
    pub timing: Timing,
    /// What it took in all, once the last row was read.
    pub figures: FiguresLater,
}

/// How long a query took to its first rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// It waited for its turn.
    pub queued: Duration,
    /// The engine took to begin its answer.
    pub begun: Duration,
}

/// A project that a caller may query, in a version.
#[derive(Debug, Clone)]
pub struct Opened {
    project: Project,
    scope: ReadScope,
    /// The oldest snapshot that the caller takes for the newest.
    at_least: SnapshotId,
    /// Other projects' buckets that are read.
    sources: Vec<SourceBucket>,
}

impl Opened {
    /// What the caller may read.
    pub fn scope(&self) -> &ReadScope {
        &self.scope
    }
}

/// Which queries to list.
#[derive(Debug, Clone, Copy)]
pub struct QueryWish {
    /// Only those in this state.
    pub state: Option<QueryState>,
    /// Only those that came in at this time or later.
    pub since: Option<DateTime<Utc>>,
    /// At most so many.
    pub limit: u32,
    /// Only those after where a page ended.
    pub cursor: Option<QueryCursor>,
}

/// A page of queries.
#[derive(Debug)]
pub struct QueryPage {
    /// Those that have not ended, then the others; each newest first.
    pub queries: Vec<QueryRecord>,
    /// Where the next page begins; none on the last one.
    pub next: Option<QueryCursor>,
}

/// Where a page of queries ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueryCursor {
    /// Whether it is among those that have not ended.
    running: bool,
    last: QueryId,
}

impl QueryCursor {
    const RUNNING: &str = "running.";

    /// The cursor that a client sent back.
    pub fn parse(text: &str) -> Result<Self, KnownQueryError> {
        let (running, id) = text.strip_prefix(Self::RUNNING).map_or((false, text), |id| (true, id));
        QueryId::parse(id).map(|last| Self { running, last }).ok_or(KnownQueryError::BadCursor)
    }
}

impl fmt::Display for QueryCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", if self.running { Self::RUNNING } else { "" }, self.last)
    }
}

impl fmt::Debug for Queries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Queries")
    }
}

impl Queries {
    /// Runs queries on this engine.
    pub fn new(
        engine: Arc<dyn QueryEngine>,
        lakes: Arc<dyn LakeStore>,
        access: Arc<Access>,
        versions: Arc<Versions>,
        running: Arc<RunningQueries>,
    ) -> Self {
        Self { engine, lakes, access, versions, running, files: None, elsewhere: None }
    }

    /// Stops queries of other servers, too.
    #[must_use]
    pub fn with_elsewhere(self, elsewhere: Option<Arc<Elsewhere>>) -> Self {
        Self { elsewhere, ..self }
    }

    /// Lets statements read files of datasets.
    #[must_use]
    pub fn with_files(self, files: Arc<SqlFiles>) -> Self {
        Self { files: Some(files), ..self }
    }

    /// Opens a project in a version for a caller's query: settled before anything of it is run. Of the query itself only
    /// counts which links it may mean.
    pub async fn open(
        &self,
        caller: &Caller,
        project: &ProjectId,
        version: &Version,
        query: &Query,
    ) -> Result<Opened, UseCaseError> {
        let project = self.access.open(caller, project, Scope::Read).await?;
        let (text, default_bucket) = ([query.sql.as_str()], query.default_bucket.as_ref());
        let Reading { links, sources } =
            reading(&self.access, &*self.lakes, caller, &project, text, default_bucket).await?;
        // The one place where a row filter or a column mask per grant can be added to a read.
        let scope = ReadScope {
            lake: project.lake,
            only_bucket: caller.principal().and_then(Principal::only_bucket).cloned(),
            at: self.versions.resolve(&project, version).await?,
            files: NamedFiles::default(),
            links,
        };
        let at_least = match version {
            Version::AtLeast { snapshot, .. } => *snapshot,
            _ => SnapshotId::ZERO,
        };
        Ok(Opened { project, scope, at_least, sources })
    }

    /// The snapshot that would be read now, where that is told at little cost.
    pub async fn known_snapshot(&self, opened: &Opened) -> Option<SnapshotId> {
        match opened.scope.at {
            ReadAt::Head => {
                let known = self.lakes.quick_head(opened.scope.lake).await;
                // A commit is seen by those who wait for it a little before it is known.
                known.filter(|known| *known >= opened.at_least)
            }
            ReadAt::Snapshot(snapshot) => Some(snapshot),
        }
    }

    /// Notes that an answer was given again that reads these tables through links.
    pub fn read_again(&self, opened: &Opened, linked: &[TableRef]) {
        note_linked(&self.access, &opened.project.id, &opened.scope.links, &opened.sources, linked);
    }

    /// Runs one read-only statement over what the caller may read.
    pub async fn run(&self, caller: &Caller, project: &ProjectId, query: Query) -> Result<Answer, UseCaseError> {
        let opened = self.open(caller, project, &Version::Head, &query).await?;
        self.run_in(caller, opened, query).await
    }

    /// Runs one read-only statement in an opened project.
    #[tracing::instrument(skip_all, fields(project.id = %opened.project.id, query.id = tracing::field::Empty))]
    pub async fn run_in(&self, caller: &Caller, opened: Opened, query: Query) -> Result<Answer, UseCaseError> {
        // Who is turned away at the door leaves nothing behind: a flood must not wash the history away.
        let asked = self.running.ask(&opened.project, Use::Read)?;
        let (entry, registration) = self.running.enter(caller, &opened.project.id, &query.sql);
        tracing::Span::current().record("query.id", tracing::field::display(entry.live.id()));
        let longest = self.running.settings.queue_timeout.min(query.timeout);
        self.carry_out(asked.wait(longest), (entry, registration), caller, opened, query).await
    }

    /// Runs a query that is entered, once it has its place.
    async fn carry_out(
        &self,
        place: impl Future<Output = Result<Place, QueryError>>,
        (entry, registration): (Entry, AbortRegistration),
        caller: &Caller,
        opened: Opened,
        query: Query,
    ) -> Result<Answer, UseCaseError> {
        let Opened { project, mut scope, sources, .. } = opened;
        let links = scope.links.clone();
        let (query_id, asked) = (entry.live.id(), Instant::now());
        let work = async {
            let place = place.instrument(tracing::info_span!("query.queue")).await?;
            let queued = asked.elapsed();
            entry.begin();
            // Entered first: whoever ends a share from now on finds it.
            entry.live.read_from(sources.clone());
            if !is_open(&self.access, &project.id, &sources).await? {
                return Err(QueryError::Cancelled.into());
            }
            if let Some(files) = &self.files {
                scope.files = files.resolve(caller, &project, [query.sql.as_str()], query.timeout).await?;
            }
            let engine = tracing::info_span!("query.engine", db.system.name = "other_sql");
            Ok((place, queued, self.engine.query(scope, query).instrument(engine).await.map_err(UseCaseError::from)?))
        };
        match Abortable::new(work, registration).await {
            Ok(Ok((place, queued, output))) => {
                let rows = entry.watch(output.rows, output.figures.clone(), place)?;
                let timing = Timing { queued, begun: asked.elapsed().saturating_sub(queued) };
                let QueryOutput { snapshot, deterministic, linked, figures, .. } = output;
                note_linked(&self.access, &project.id, &links, &sources, &linked);
                Ok(Answer { query_id, rows, snapshot, deterministic, linked, timing, figures })
            }
            // What another server ended fails in some way or other.
            Ok(Err(_)) if !is_open(&self.access, &project.id, &sources).await.unwrap_or(true) => {
                entry.end(End::Cancelled);
                Err(QueryError::Cancelled.into())
            }
            Ok(Err(error)) => {
                entry.end(End::of_use_case(&error));
                Err(error)
            }
            Err(_) => Err(QueryError::Cancelled.into()),
        }
    }

    /// A project's queries that the caller may see: those that have not ended, then those that have.
    pub async fn list(&self, caller: &Caller, project: &ProjectId, wish: QueryWish) -> Result<QueryPage, UseCaseError> {
        let project = self.access.open(caller, project, Scope::Read).await?;
        let limit = wish.limit.min(MAX_LISTED);
        let mut filter = QueryFilter {
            state: wish.state,
            since: wish.since,
            principal: only_own(caller, &project),
            before: wish.cursor.filter(|cursor| cursor.running).map(|cursor| cursor.last),
            limit,
        };
        // Looked at before the history: what moves there in between is not overlooked.
        let known = self.running.of_project(&project.id);
        let mut queries = Vec::new();
        if wish.cursor.is_none_or(|cursor| cursor.running) {
            let wanted = known.iter().filter(|query| !query.state.is_final() && filter.takes(query));
            queries.extend(wanted.take(limit as usize).cloned());
        }
        let rest = limit as usize - queries.len();
        if rest > 0 && wish.state.is_none_or(QueryState::is_final) {
            filter.before = wish.cursor.filter(|cursor| !cursor.running).map(|cursor| cursor.last);
            let stored = self.running.store.read().await?.queries().list(&project.id, &filter).await?;
            let unwritten = known.into_iter().filter(|query| query.state.is_final() && filter.takes(query));
            let more = stored.into_iter().chain(unwritten);
            let more = more.filter(|query| queries.iter().all(|listed: &QueryRecord| listed.id != query.id));
            let ended: BTreeMap<QueryId, QueryRecord> = more.map(|query| (query.id, query)).collect();
            queries.extend(ended.into_values().rev().take(rest));
        }
        let full = queries.len() >= limit as usize;
        let next = queries.last().filter(|_| full);
        let next = next.map(|last| QueryCursor { running: !last.state.is_final(), last: last.id });
        Ok(QueryPage { queries, next })
    }

    /// A query that the caller may see.
    pub async fn get(&self, caller: &Caller, project: &ProjectId, id: &str) -> Result<QueryRecord, UseCaseError> {
        let project = self.access.open(caller, project, Scope::Read).await?;
        let missing = || KnownQueryError::NoQuery { project: project.id.clone(), query: id.chars().take(64).collect() };
        let id = QueryId::parse(id).ok_or_else(missing)?;
        let found = match self.running.find(id) {
            Some(live) => Some(live.record()),
            None => self.running.store.read().await?.queries().find(&project.id, id).await?,
        };
        let own = only_own(caller, &project);
        let seen = found.filter(|query| query.project == project.id && own.is_none_or(|own| query.principal == own));
        Ok(seen.ok_or_else(missing)?)
    }

    /// Stops a query that the caller may see. A script that commits already isn't stopped, and says so by its state. That
    /// somebody else's was stopped is written into the audit log.
    #[tracing::instrument(skip_all, fields(project.id = %project))]
    pub async fn cancel(&self, caller: &Caller, project: &ProjectId, id: &str) -> Result<QueryRecord, UseCaseError> {
        let (stopped, now) = match self.get(caller, project, id).await {
            Ok(found) => match self.running.find(found.id) {
                Some(live) => (self.running.stop(&live).await, live.record()),
                None => (false, found),
            },
            Err(UseCaseError::KnownQuery(missing @ KnownQueryError::NoQuery { .. })) => {
                self.stop_elsewhere(caller, project, id).await?.ok_or(missing)?
            }
            Err(error) => return Err(error),
        };
        if !stopped {
            return Err(KnownQueryError::NotRunning { query: now.id, state: now.state }.into());
        }
        tracing::info!(query.id = %now.id, query.principal = now.principal, by = caller.label(), "a query was cancelled");
        if now.principal != caller.label() {
            self.audit_cancelled(caller, &now).await?;
        }
        Ok(now)
    }

    /// Stops a query of another server: whether it was stopped, and how it is now. `None` where no server is at it.
    async fn stop_elsewhere(
        &self,
        caller: &Caller,
        project: &ProjectId,
        id: &str,
    ) -> Result<Option<(bool, QueryRecord)>, UseCaseError> {
        let (Some(elsewhere), Some(id)) = (&self.elsewhere, QueryId::parse(id)) else { return Ok(None) };
        let project = self.access.open(caller, project, Scope::Read).await?;
        let own = only_own(caller, &project);
        let done = elsewhere.stop(Work::Query { project: project.id, id, own }).await?;
        Ok(done.and_then(|done| Some((done.stopped, done.query?))))
    }

    async fn audit_cancelled(&self, caller: &Caller, query: &QueryRecord) -> Result<(), UseCaseError> {
        let now = self.running.clock.now();
        let entry = caller.entry(now, CANCELLED, &query.project, format!("query:{}", query.id));
        let mut tx = self.running.store.write().await?;
        tx.audit().append(&[entry]).await?;
        Ok(tx.commit().await?)
    }

    /// Forgets queries that ended long ago, and what was counted of such; answers how many queries.
    pub async fn clean_up(&self) -> Result<u64, UseCaseError> {
        let before = self.running.clock.now() - self.running.settings.history_retention;
        let mut tx = self.running.store.write().await?;
        let forgotten = tx.queries().forget_before(before).await?;
        tx.usage().forget_before(oldest_day(self.running.clock.now())).await?;
        tx.commit().await?;
        Ok(forgotten)
    }
}

/// The principal whose queries alone the caller may see; none if it may see all of the project. What a statement says
/// of other buckets is not for a key of one bucket.
fn only_own(caller: &Caller, project: &Project) -> Option<String> {
    let manages =
        |principal: &Principal| principal.may(&project.id, Scope::Manage) && principal.only_bucket().is_none();
    (!caller.principal().is_some_and(manages)).then(|| caller.label())
}
