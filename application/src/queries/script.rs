//! Scripts among the queries: SQL that writes, and batches, wait for their turn and are seen and stopped as queries are.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::{Abortable, Shared};
use gadwall_domain::ids::QueryId;
use gadwall_domain::project::Project;
use gadwall_domain::query::QueryError;
use gadwall_domain::script::{StatementResult, StopSignal};
use gadwall_domain::sharing::SourceBucket;
use tokio::sync::oneshot;

use super::admission::{Place, Use};
use super::live::{End, Entry};
use super::running::RunningQueries;
use crate::caller::Caller;
use crate::error::UseCaseError;

/// A script that has its turn. Dropped before its end is told, it was cancelled.
pub(crate) struct ScriptTurn {
    entry: Entry,
    _place: Place,
    stop: Shared<oneshot::Receiver<()>>,
}

impl fmt::Debug for ScriptTurn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ScriptTurn")
    }
}

impl RunningQueries {
    /// Waits for a script's turn. Until then it is cancelled as a query is; from then on it is told to stop, as only the
    /// engine knows whether it commits already.
    pub(crate) async fn admit_script(
        self: &Arc<Self>,
        caller: &Caller,
        project: &Project,
        sql: &str,
        writes: bool,
        timeout: Duration,
    ) -> Result<ScriptTurn, QueryError> {
        let wanted = if writes { Use::Write } else { Use::Read };
        let asked = self.ask(project, wanted)?;
        let (entry, registration) = self.enter(caller, &project.id, sql);
        tracing::Span::current().record("query.id", tracing::field::display(entry.live.id()));
        let longest = self.settings.queue_timeout.min(timeout);
        let place = match Abortable::new(asked.wait(longest), registration).await {
            Ok(Ok(place)) => place,
            Ok(Err(error)) => {
                entry.end(End::of(&error));
                return Err(error);
            }
            Err(_) => return Err(QueryError::Cancelled),
        };
        let stop = entry.live.begin_script()?.shared();
        Ok(ScriptTurn { entry, _place: place, stop })
    }
}

impl ScriptTurn {
    pub(crate) fn id(&self) -> QueryId {
        self.entry.live.id()
    }

    /// Says what of others it is about to read.
    pub(crate) fn read_from(&self, sources: Vec<SourceBucket>) {
        self.entry.live.read_from(sources);
    }

    /// Whether it was told to stop.
    pub(crate) fn is_stopped(&self) -> bool {
        matches!(self.stop.clone().now_or_never(), Some(Ok(())))
    }

    /// What tells the engine to stop.
    pub(crate) fn stop_signal(&self) -> StopSignal {
        let stop = self.stop.clone();
        Box::pin(async move {
            if stop.await.is_err() {
                // Nobody can tell it any more.
                std::future::pending::<()>().await;
            }
        })
    }

    /// Counts the rows of statements that were carried out.
    pub(crate) fn count(&self, results: &[StatementResult]) {
        let rows = results.iter().flat_map(|result| &result.batches).map(|batch| batch.num_rows() as u64).sum();
        self.entry.live.add_rows(rows);
    }

    /// Tells its end, and gives its place back.
    pub(crate) fn end(self, failure: Option<&UseCaseError>) {
        self.entry.end(failure.map_or(End::Done, End::of_use_case));
    }
}
