//! What may fail, behind circuit breakers: the query engine, with its queries counted; and each port to another machine.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use arrow_array::RecordBatch;
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use futures_util::Stream;
use gadwall_domain::ports::lake::QueryEngine;
use gadwall_domain::ports::system::Clock;
use gadwall_domain::query::{Query, QueryError, QueryOutput, ReadScope};
use gadwall_domain::rows::{ResultBatches, RowStream};

use crate::breaker::{Breaker, Permit, Refused, elapsed};
use crate::operating::{Measured, Operation};
use crate::query_statistics::{End, QueryNumbers, QueryStatistics, operation};

mod lakes;
mod metadata;
mod objects;
mod outside;
mod scripts;

pub use lakes::LakePorts;
pub use metadata::GuardedMetadata;
pub use objects::{GuardedObjects, GuardedResults};
pub use outside::{CATALOG, METADATA, OBJECT_STORE};
pub use scripts::GuardedScripts;

/// Runs queries on another engine, unless that failed too often.
pub struct GuardedEngine {
    engine: Arc<dyn QueryEngine>,
    breaker: Arc<Breaker>,
    statistics: Arc<QueryStatistics>,
    measured: Option<Arc<Measured>>,
    clock: Arc<dyn Clock>,
}

impl fmt::Debug for GuardedEngine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GuardedEngine")
    }
}

impl GuardedEngine {
    /// Guards an engine.
    pub fn new(engine: Arc<dyn QueryEngine>, breaker: Arc<Breaker>, clock: Arc<dyn Clock>) -> Self {
        Self { engine, breaker, statistics: Arc::default(), measured: None, clock }
    }

    /// Tells how long queries take here, too.
    #[must_use]
    pub fn measured_by(self, measured: Arc<Measured>) -> Self {
        Self { measured: Some(measured), ..self }
    }

    /// The breaker.
    pub fn breaker(&self) -> &Breaker {
        &self.breaker
    }

    fn begin(&self, sql: &str) -> Result<Running, QueryError> {
        let refused = |refused: Refused| QueryError::CircuitOpen { retry_after: refused.retry_after };
        let permit = self.breaker.admit().map_err(refused)?;
        Ok(Running::begin(self, permit, sql))
    }

    /// What queries did since the start. Those that the breaker refused are not among them.
    pub fn numbers(&self) -> QueryNumbers {
        self.statistics.numbers()
    }
}

#[async_trait]
impl QueryEngine for GuardedEngine {
    async fn query(&self, scope: ReadScope, query: Query) -> Result<QueryOutput, QueryError> {
        let mut running = self.begin(&query.sql)?;
        match self.engine.query(scope, query).await {
            Ok(output) => {
                running.begun();
                let batches = Watched { batches: output.rows.batches, running: Some(running) };
                let rows = RowStream { schema: output.rows.schema, batches: Box::pin(batches) };
                Ok(QueryOutput { rows, ..output })
            }
            Err(error) => {
                running.broke(&error, Meaning::of(&error));
                Err(error)
            }
        }
    }
}

/// What an error says of the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meaning {
    /// It works: it said what is wrong with the question.
    Works,
    /// It doesn't work.
    Fails,
    /// Nothing: it was not asked, or not to the end.
    Nothing,
}

impl Meaning {
    fn of(error: &QueryError) -> Self {
        match error {
            QueryError::Sql(_)
            | QueryError::Forbidden { .. }
            | QueryError::Unsupported { .. }
            | QueryError::UnknownTable { .. }
            | QueryError::NoSnapshot(_)
            | QueryError::TooLarge(_) => Self::Works,
            QueryError::Engine(_) => Self::Fails,
            // One project's heavy queries must not close it to all others, nor may its damaged lake or a full disk: they
            // say nothing of the engine, and waiting doesn't mend them.
            QueryError::Timeout(_)
            | QueryError::OutOfMemory
            | QueryError::LakeUnavailable(_)
            | QueryError::LakeAway(_)
            | QueryError::StorageFull(_)
            | QueryError::Busy
            | QueryError::Quota(_)
            | QueryError::Cancelled
            | QueryError::CircuitOpen { .. }
            | QueryError::CatalogLeftAlone { .. } => Self::Nothing,
        }
    }
}

/// A query on its way. Dropped without a word, it was cancelled.
struct Running {
    permit: Option<Permit>,
    statistics: Arc<QueryStatistics>,
    clock: Arc<dyn Clock>,
    since: DateTime<Utc>,
    end: End,
    measured: Option<Operation>,
}

impl Running {
    fn begin(guarded: &GuardedEngine, permit: Permit, sql: &str) -> Self {
        let operation = operation(sql);
        guarded.statistics.begin(operation);
        Self {
            measured: guarded.measured.as_ref().map(|measured| Operation::begin(measured, operation)),
            permit: Some(permit),
            statistics: Arc::clone(&guarded.statistics),
            clock: Arc::clone(&guarded.clock),
            since: guarded.clock.now(),
            end: End::Cancelled,
        }
    }

    /// It answers; its reader may take as long as it likes.
    fn begun(&mut self) {
        self.permit.iter_mut().for_each(Permit::begun);
    }

    fn finished(mut self) {
        self.end = End::Successful;
        self.permit.take().into_iter().for_each(Permit::answered);
    }

    fn broke(self, error: &QueryError, meaning: Meaning) {
        self.failed(if *error == QueryError::Cancelled { End::Cancelled } else { End::Failed }, meaning);
    }

    fn failed(mut self, end: End, meaning: Meaning) {
        self.end = end;
        let Some(permit) = self.permit.take() else { return };
        meaning.tell(permit);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let now = self.clock.now();
        self.statistics.end(self.end, elapsed(self.since, now), now);
        // Whoever goes away says nothing of the engine.
        if self.end != End::Failed {
            self.measured.take().into_iter().for_each(Operation::succeeded);
        }
    }
}

/// A query's rows, watched to their end.
struct Watched {
    batches: ResultBatches,
    running: Option<Running>,
}

impl Stream for Watched {
    type Item = Result<RecordBatch, QueryError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let next = std::task::ready!(self.batches.as_mut().poll_next(context));
        match &next {
            Some(Ok(_)) => {}
            None => self.running.take().into_iter().for_each(Running::finished),
            Some(Err(error)) => {
                let meaning = Meaning::of(error);
                self.running.take().into_iter().for_each(|running| running.broke(error, meaning));
            }
        }
        Poll::Ready(next)
    }
}

#[cfg(test)]
mod tests;

#[cfg(test)]
mod outside_tests;
