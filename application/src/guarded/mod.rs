//! The query engine behind a circuit breaker, with its queries counted.

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

use crate::breaker::{Breaker, Permit, elapsed};
use crate::query_statistics::{End, QueryNumbers, QueryStatistics, operation};

/// Runs queries on another engine, unless that failed too often.
pub struct GuardedEngine {
    engine: Arc<dyn QueryEngine>,
    breaker: Arc<Breaker>,
    statistics: Arc<QueryStatistics>,
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
        Self { engine, breaker, statistics: Arc::default(), clock }
    }

    /// The breaker.
    pub fn breaker(&self) -> &Breaker {
        &self.breaker
    }

    /// What queries did since the start. Those that the breaker refused are not among them.
    pub fn numbers(&self) -> QueryNumbers {
        self.statistics.numbers()
    }
}

#[async_trait]
impl QueryEngine for GuardedEngine {
    async fn query(&self, scope: ReadScope, query: Query) -> Result<QueryOutput, QueryError> {
        let permit =
            self.breaker.admit().map_err(|refused| QueryError::CircuitOpen { retry_after: refused.retry_after })?;
        let mut running = Running::begin(self, permit, &query.sql);
        match self.engine.query(scope, query).await {
            Ok(QueryOutput { rows, snapshot, deterministic }) => {
                running.begun();
                let batches = Watched { batches: rows.batches, running: Some(running), awaited: false };
                let rows = RowStream { schema: rows.schema, batches: Box::pin(batches) };
                Ok(QueryOutput { rows, snapshot, deterministic })
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
    /// It doesn't work, or not in time.
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
            QueryError::Engine(_) | QueryError::OutOfMemory | QueryError::Timeout(_) => Self::Fails,
            QueryError::Busy | QueryError::Cancelled | QueryError::CircuitOpen { .. } => Self::Nothing,
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
}

impl Running {
    fn begin(guarded: &GuardedEngine, permit: Permit, sql: &str) -> Self {
        guarded.statistics.begin(operation(sql));
        Self {
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

    fn broke(mut self, error: &QueryError, meaning: Meaning) {
        self.end = if *error == QueryError::Cancelled { End::Cancelled } else { End::Failed };
        let Some(permit) = self.permit.take() else { return };
        match meaning {
            Meaning::Works => permit.answered(),
            Meaning::Fails => permit.failed(),
            Meaning::Nothing => {}
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let now = self.clock.now();
        self.statistics.end(self.end, elapsed(self.since, now), now);
    }
}

/// A query's rows, watched to their end.
struct Watched {
    batches: ResultBatches,
    running: Option<Running>,
    /// Whether the reader waits for the engine, and not the engine for the reader.
    awaited: bool,
}

impl Stream for Watched {
    type Item = Result<RecordBatch, QueryError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Poll::Ready(next) = self.batches.as_mut().poll_next(context) else {
            self.awaited = true;
            return Poll::Pending;
        };
        let awaited = std::mem::take(&mut self.awaited);
        match &next {
            Some(Ok(_)) => {}
            None => self.running.take().into_iter().for_each(Running::finished),
            Some(Err(error)) => {
                let meaning = match error {
                    // A reader that didn't take its rows in time is no fault of the engine.
                    QueryError::Timeout(_) if !awaited => Meaning::Nothing,
                    _ => Meaning::of(error),
                };
                self.running.take().into_iter().for_each(|running| running.broke(error, meaning));
            }
        }
        Poll::Ready(next)
    }
}

#[cfg(test)]
mod tests;
