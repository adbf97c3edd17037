//! A query of this process: how far it is, and what it holds while it runs.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use arrow_array::RecordBatch;
use chrono::{DateTime, Utc};
use futures_util::Stream;
use futures_util::future::AbortHandle;
use gadwall_domain::error::Classify as _;
use gadwall_domain::ids::QueryId;
use gadwall_domain::names::ProjectId;
use gadwall_domain::query::QueryError;
use gadwall_domain::query_figures::FiguresLater;
use gadwall_domain::query_record::{QueryPhase, QueryProgress, QueryRecord, QueryState};
use gadwall_domain::rows::{ResultBatches, RowStream};
use gadwall_domain::sharing::SourceBucket;
use tokio::sync::futures::Notified;
use tokio::sync::{Notify, oneshot};

use super::admission::Place;
use super::running::RunningQueries;
use crate::error::UseCaseError;

/// A query that this process knows: it has not ended, or its end isn't written down yet.
pub(crate) struct Live {
    id: QueryId,
    now: Mutex<Now>,
    /// Stops it before its first row.
    abort: AbortHandle,
    /// Tells those who wait for its end.
    ended: Notify,
}

struct Now {
    record: QueryRecord,
    /// Of the rows that were handed over.
    bytes: u64,
    held: Option<Held>,
    /// Other projects' buckets that it reads.
    sources: Vec<SourceBucket>,
    /// Whoever waits for rows.
    reader: Option<Waker>,
    /// Whether the reader still has to hear that it was cancelled.
    untold: bool,
    /// Set once it is a script that was begun.
    script: Option<Stop>,
}

/// How a script is told to stop; none once it was.
type Stop = Option<oneshot::Sender<()>>;

/// What a running query holds. The rows come before the place, so that it ends before the next one begins.
struct Held {
    batches: ResultBatches,
    /// Told when the rows are read.
    figures: FiguresLater,
    _place: Place,
}

/// How a query ended.
#[derive(Debug, Clone, Copy)]
pub(super) enum End {
    Done,
    Failed(&'static str),
    Cancelled,
}

impl End {
    pub(super) fn of(error: &QueryError) -> Self {
        match error {
            QueryError::Cancelled => Self::Cancelled,
            error => Self::Failed(error.code()),
        }
    }

    pub(super) fn of_use_case(error: &UseCaseError) -> Self {
        match error {
            UseCaseError::Query(error) => Self::of(error),
            UseCaseError::Statement { source, .. } => Self::of_use_case(source),
            error => Self::Failed(error.code()),
        }
    }

    fn write(self, record: &mut QueryRecord, at: DateTime<Utc>) {
        record.finished_at = Some(at);
        record.state = match self {
            Self::Done => QueryState::Done,
            Self::Failed(_) => QueryState::Failed,
            Self::Cancelled => QueryState::Cancelled,
        };
        record.error_code = match self {
            Self::Failed(code) => Some(code.to_owned()),
            Self::Done | Self::Cancelled => None,
        };
    }
}

impl Live {
    pub(super) fn new(record: QueryRecord, abort: AbortHandle) -> Self {
        let id = record.id;
        let now = Now { record, bytes: 0, held: None, sources: Vec::new(), reader: None, untold: false, script: None };
        Self { id, now: Mutex::new(now), abort, ended: Notify::new() }
    }

    /// Says what of others it is about to read.
    pub(super) fn read_from(&self, sources: Vec<SourceBucket>) {
        self.lock().sources = sources;
    }

    /// Whether it reads a bucket of another project, and has not ended.
    pub(super) fn reads(&self, source: &SourceBucket) -> bool {
        let now = self.lock();
        !now.record.state.is_final() && now.sources.contains(source)
    }

    /// The buckets of other projects that it reads, unless it has ended.
    pub(super) fn linked_reads(&self) -> Vec<(ProjectId, SourceBucket)> {
        let now = self.lock();
        if now.record.state.is_final() {
            return Vec::new();
        }
        now.sources.iter().map(|source| (now.record.project.clone(), source.clone())).collect()
    }

    /// Whether it is of a project, or reads one's buckets, and has not ended.
    pub(super) fn needs(&self, project: &ProjectId) -> bool {
        let now = self.lock();
        let reads = now.record.project == *project || now.sources.iter().any(|source| source.project == *project);
        !now.record.state.is_final() && reads
    }

    pub(super) fn id(&self) -> QueryId {
        self.id
    }

    pub(crate) fn record(&self) -> QueryRecord {
        let now = self.lock();
        let phase = match now.record.state {
            QueryState::Queued => Some(QueryPhase::Waiting),
            QueryState::Running if now.held.is_some() => Some(QueryPhase::Streaming),
            QueryState::Running => Some(QueryPhase::Running),
            QueryState::Done | QueryState::Failed | QueryState::Cancelled => None,
        };
        let progress = phase.map(|phase| QueryProgress { phase, bytes: now.bytes });
        QueryRecord { progress, ..now.record.clone() }
    }

    /// As it will be once it has ended so, unless it has ended already.
    pub(super) fn ended(&self, end: End, at: DateTime<Utc>) -> QueryRecord {
        let mut record = self.record();
        if !record.state.is_final() {
            end.write(&mut record, at);
            record.progress = None;
        }
        record
    }

    /// Gives back what it holds once its rows are read, while it still counts as running.
    fn release(&self) {
        let held = self.lock().held.take();
        drop(held);
    }

    fn begin(&self) {
        let mut now = self.lock();
        if now.record.state == QueryState::Queued {
            now.record.state = QueryState::Running;
        }
    }

    /// Begins a script, unless it was cancelled meanwhile; answers what tells it to stop.
    pub(super) fn begin_script(&self) -> Result<oneshot::Receiver<()>, QueryError> {
        let mut now = self.lock();
        if now.record.state.is_final() {
            return Err(QueryError::Cancelled);
        }
        let (stop, told) = oneshot::channel();
        now.record.state = QueryState::Running;
        now.script = Some(Some(stop));
        Ok(told)
    }

    /// Tells a script that was begun to stop: whether it does, it says by its end. `false` if it is none.
    pub(super) fn ask_to_stop(&self) -> bool {
        let mut now = self.lock();
        if now.record.state.is_final() {
            return false;
        }
        let Some(stop) = &mut now.script else { return false };
        if let Some(stop) = stop.take() {
            // One that listens no more is about to end.
            let _ = stop.send(());
        }
        true
    }

    /// Resolves when it ends after this call.
    pub(super) fn end_of(&self) -> Notified<'_> {
        self.ended.notified()
    }

    /// Bytes of the rows that were handed over.
    pub(super) fn bytes(&self) -> u64 {
        self.lock().bytes
    }

    pub(super) fn add_rows(&self, rows: u64) {
        self.lock().record.rows += rows;
    }

    /// Takes its rows in, unless it was cancelled meanwhile.
    fn hold(&self, batches: ResultBatches, figures: FiguresLater, place: Place) -> Result<(), QueryError> {
        let held = Held { batches, figures, _place: place };
        let mut now = self.lock();
        if now.record.state.is_final() {
            drop(now);
            drop(held);
            return Err(QueryError::Cancelled);
        }
        now.held = Some(held);
        Ok(())
    }

    /// Ends it, whether anybody reads its rows or not: what it holds is given back at once. `false` when it had ended.
    pub(super) fn end(&self, end: End, at: DateTime<Utc>) -> bool {
        let (held, reader) = {
            let mut now = self.lock();
            if now.record.state.is_final() {
                return false;
            }
            end.write(&mut now.record, at);
            now.untold = matches!(end, End::Cancelled);
            (now.held.take(), now.reader.take())
        };
        drop(held);
        self.abort.abort();
        self.ended.notify_waiters();
        if let Some(reader) = reader {
            reader.wake();
        }
        true
    }

    /// The next rows, and how it ended if it did.
    fn poll(&self, context: &mut Context<'_>) -> (Poll<Option<Result<RecordBatch, QueryError>>>, Option<End>) {
        let mut now = self.lock();
        let Some(held) = &mut now.held else {
            let untold = std::mem::take(&mut now.untold);
            return (Poll::Ready(untold.then_some(Err(QueryError::Cancelled))), None);
        };
        match held.batches.as_mut().poll_next(context) {
            Poll::Pending => {
                now.reader = Some(context.waker().clone());
                (Poll::Pending, None)
            }
            Poll::Ready(None) => {
                let figures = held.figures.get();
                now.record.profile = figures.and_then(|figures| figures.profile);
                (Poll::Ready(None), Some(End::Done))
            }
            Poll::Ready(Some(Err(error))) => {
                let end = End::of(&error);
                (Poll::Ready(Some(Err(error))), Some(end))
            }
            Poll::Ready(Some(Ok(batch))) => {
                now.record.rows += batch.num_rows() as u64;
                now.bytes += batch.get_array_memory_size() as u64;
                (Poll::Ready(Some(Ok(batch))), None)
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Now> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A query's entry among those that run. Dropped before the query has ended, it ends it: its reader went away.
pub(super) struct Entry {
    pub(super) live: Arc<Live>,
    pub(super) running: Arc<RunningQueries>,
    /// Whether its end is told by who keeps its result, and not by who reads its rows.
    pub(super) is_kept: bool,
}

impl Entry {
    pub(super) fn begin(&self) {
        self.live.begin();
    }

    /// The same query, whose result is kept: its end is told elsewhere.
    pub(super) fn kept(mut self) -> Self {
        self.is_kept = true;
        self
    }

    /// Another handle of a query whose result is kept.
    pub(super) fn again(&self) -> Self {
        Self { live: Arc::clone(&self.live), running: Arc::clone(&self.running), is_kept: true }
    }

    pub(super) fn end(&self, end: End) {
        if self.is_kept {
            self.live.release();
        } else {
            self.running.end(&self.live, end);
        }
    }

    /// The rows, watched.
    pub(super) fn watch(self, rows: RowStream, figures: FiguresLater, place: Place) -> Result<RowStream, QueryError> {
        self.live.hold(rows.batches, figures, place)?;
        Ok(RowStream { schema: rows.schema, batches: Box::pin(Watched(self)) })
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.end(End::Cancelled);
    }
}

/// A query's rows: counted, and their end noticed.
struct Watched(Entry);

impl Stream for Watched {
    type Item = Result<RecordBatch, QueryError>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let (next, end) = self.0.live.poll(context);
        if let Some(end) = end {
            self.0.end(end);
            // Who reads on after a failure is told nothing twice.
            self.0.live.lock().untold = false;
        }
        next
    }
}
