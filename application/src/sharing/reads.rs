//! What reads linked buckets beside the queries: rows of tables, exports.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use arrow_array::RecordBatch;
use futures_util::Stream;
use futures_util::future::{AbortHandle, AbortRegistration, Abortable, Aborted};
use futures_util::stream;
use gadwall_domain::names::ProjectId;
use gadwall_domain::query::QueryError;
use gadwall_domain::rows::{ResultBatches, RowStream};
use gadwall_domain::sharing::SourceBucket;

/// Who is reading. Bounded by the requests and operations that are at work.
#[derive(Default)]
pub(crate) struct LinkReads(Mutex<Live>);

#[derive(Default)]
struct Live {
    last: u64,
    reads: BTreeMap<u64, Entry>,
}

struct Entry {
    project: ProjectId,
    sources: Vec<SourceBucket>,
    abort: AbortHandle,
}

/// A read that is known while this lives.
pub(crate) struct LinkRead {
    entered: Entered,
    registration: AbortRegistration,
}

impl LinkReads {
    fn lock(&self) -> MutexGuard<'_, Live> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Enters a read. To be done before it is looked whether it may read: whoever ends a share afterwards finds it.
    pub(crate) fn begin(self: &Arc<Self>, project: &ProjectId, sources: Vec<SourceBucket>) -> LinkRead {
        let (abort, registration) = AbortHandle::new_pair();
        let mut live = self.lock();
        live.last += 1;
        let number = live.last;
        live.reads.insert(number, Entry { project: project.clone(), sources, abort });
        LinkRead { entered: Entered { of: Arc::clone(self), number }, registration }
    }

    /// All that is being read, and by whom.
    pub(crate) fn all(&self) -> BTreeSet<(ProjectId, SourceBucket)> {
        let live = self.lock();
        let of = |read: &Entry| {
            let project = read.project.clone();
            read.sources.clone().into_iter().map(move |source| (project.clone(), source))
        };
        live.reads.values().flat_map(of).collect()
    }

    /// Stops a project's reads of a bucket.
    pub(crate) fn stop(&self, project: &ProjectId, source: &SourceBucket) {
        for read in self.lock().reads.values() {
            if read.project == *project && read.sources.contains(source) {
                read.abort.abort();
            }
        }
    }
}

/// Takes a read out.
struct Entered {
    of: Arc<LinkReads>,
    number: u64,
}

impl Drop for Entered {
    fn drop(&mut self) {
        self.of.lock().reads.remove(&self.number);
    }
}

impl LinkRead {
    /// Does the work, unless it is stopped.
    pub(crate) async fn during<T, E: From<QueryError>>(self, work: impl Future<Output = Result<T, E>>) -> Result<T, E> {
        let Self { entered: _entered, registration } = self;
        match Abortable::new(work, registration).await {
            Ok(done) => done,
            Err(Aborted) => Err(QueryError::Cancelled.into()),
        }
    }

    /// The rows, up to where they are stopped: then they end with an error.
    pub(crate) fn rows(self, rows: RowStream) -> RowStream {
        let Self { entered, registration } = self;
        let stopped = Abortable::new(stream::pending(), registration);
        RowStream {
            schema: rows.schema,
            batches: Box::pin(Watched { batches: Some(rows.batches), stopped, _entered: entered }),
        }
    }
}

/// Rows that may be stopped. What they hold is given back when they are.
struct Watched {
    batches: Option<ResultBatches>,
    stopped: Abortable<stream::Pending<()>>,
    _entered: Entered,
}

impl Stream for Watched {
    type Item = Result<RecordBatch, QueryError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Self { batches, stopped, .. } = &mut *self;
        let Some(rows) = batches else { return Poll::Ready(None) };
        // Nothing comes of it but its end.
        if Pin::new(stopped).poll_next(context).is_ready() {
            *batches = None;
            return Poll::Ready(Some(Err(QueryError::Cancelled)));
        }
        rows.as_mut().poll_next(context)
    }
}
