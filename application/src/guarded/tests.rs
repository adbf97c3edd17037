//! An engine that does what it is told, behind a breaker.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::Duration;

use arrow_schema::Schema;
use chrono::TimeDelta;
use futures_util::{StreamExt as _, stream};
use gadwall_domain::history::ReadAt;
use gadwall_domain::ids::SnapshotId;
use gadwall_domain::query::Parameters;
use gadwall_domain::query_figures::FiguresLater;

use super::*;
use crate::breaker::{BreakerConfig, BreakerState};
use crate::testing::FixedClock;
use crate::testing::builders::lake;

/// What an engine does next.
enum Act {
    Refuse(QueryError),
    /// Hands a batch over, and then this.
    Break(QueryError),
    /// Lets its reader wait, and then this.
    Stall(QueryError),
    Answer,
}

#[derive(Default)]
struct Script(Mutex<VecDeque<Act>>);

#[async_trait]
impl QueryEngine for Script {
    async fn query(&self, _scope: ReadScope, _query: Query) -> Result<QueryOutput, QueryError> {
        let act = self.0.lock().unwrap().pop_front().unwrap_or(Act::Answer);
        let schema = Arc::new(Schema::empty());
        let batch = Ok(RecordBatch::new_empty(Arc::clone(&schema)));
        let batches: ResultBatches = match act {
            Act::Refuse(error) => return Err(error),
            Act::Break(error) => Box::pin(stream::iter([batch, Err(error)])),
            Act::Stall(error) => Box::pin(stream::once(async {
                tokio::task::yield_now().await;
                Err(error)
            })),
            Act::Answer => Box::pin(stream::iter([batch])),
        };
        Ok(QueryOutput {
            rows: RowStream { schema, batches },
            snapshot: SnapshotId::ZERO,
            deterministic: true,
            linked: Vec::new(),
            figures: FiguresLater::default(),
        })
    }
}

struct Bench {
    clock: Arc<FixedClock>,
    script: Arc<Script>,
    guarded: GuardedEngine,
}

impl Bench {
    fn new() -> Self {
        let clock = Arc::new(FixedClock::default());
        let script = Arc::new(Script::default());
        let breaker = Breaker::new("duckdb", BreakerConfig::default(), Arc::clone(&clock) as _);
        let guarded = GuardedEngine::new(Arc::clone(&script) as _, breaker, Arc::clone(&clock) as _);
        Self { clock, script, guarded }
    }

    async fn start(&self) -> Result<QueryOutput, QueryError> {
        let (parameters, timeout) = (Parameters::None, Duration::from_secs(1));
        let query = Query { sql: "values (1)".to_owned(), parameters, default_bucket: None, timeout };
        self.guarded.query(ReadScope::of(lake(1), ReadAt::Head), query).await
    }

    /// Reads an answer to its end.
    async fn run(&self, act: Act) -> Result<(), QueryError> {
        self.script.0.lock().unwrap().push_back(act);
        let mut output = self.start().await?;
        while let Some(batch) = output.rows.batches.next().await {
            batch?;
        }
        Ok(())
    }

    fn state(&self) -> BreakerState {
        self.guarded.breaker().status().state
    }
}

fn fault() -> QueryError {
    QueryError::Engine("IO Error: …".to_owned())
}

#[tokio::test]
async fn what_is_wrong_with_a_question_never_opens_it() {
    let harmless = || {
        let text = || "x".to_owned();
        [
            QueryError::Sql(text()),
            QueryError::Forbidden { what: text(), hint: text() },
            QueryError::Unsupported { what: text(), hint: text() },
            QueryError::UnknownTable { name: text(), candidates: Vec::new() },
            QueryError::NoSnapshot(SnapshotId::ZERO),
            QueryError::TooLarge(text()),
            QueryError::Timeout(Duration::from_secs(1)),
            QueryError::OutOfMemory,
            QueryError::Busy,
            QueryError::Cancelled,
        ]
    };
    for error in harmless() {
        let bench = Bench::new();
        for _ in 0..10 {
            assert_eq!(bench.run(Act::Refuse(error.clone())).await, Err(error.clone()));
            assert_eq!(bench.run(Act::Break(error.clone())).await, Err(error.clone()));
            assert_eq!(bench.run(Act::Stall(error.clone())).await, Err(error.clone()));
        }
        let status = bench.guarded.breaker().status();
        assert_eq!((status.state, status.tally.failed), (BreakerState::Closed, 0), "{error:?}");
        assert_eq!(bench.guarded.numbers().active, 0);
    }
}

#[tokio::test]
async fn faults_open_it_wherever_they_come() {
    let bench = Bench::new();
    for _ in 0..3 {
        assert_eq!(bench.run(Act::Refuse(fault())).await, Err(fault()));
    }
    for _ in 0..2 {
        assert_eq!(bench.run(Act::Stall(fault())).await, Err(fault()));
    }
    let retry_after = Duration::from_secs(30);
    assert_eq!(bench.run(Act::Answer).await, Err(QueryError::CircuitOpen { retry_after }));
    let numbers = bench.guarded.numbers();
    assert_eq!((numbers.total, numbers.failed, numbers.started), (5, 5, 5), "a refused query is none");
    assert_eq!(bench.guarded.breaker().status().tally.refused, 1);
}

#[tokio::test]
async fn it_closes_again_once_the_engine_answers() {
    let bench = Bench::new();
    for _ in 0..5 {
        let _ = bench.run(Act::Break(fault())).await;
    }
    assert_eq!(bench.state(), BreakerState::Open);
    bench.clock.advance(TimeDelta::seconds(30));
    for _ in 0..3 {
        assert_eq!(bench.run(Act::Answer).await, Ok(()));
    }
    assert_eq!(bench.state(), BreakerState::Closed);
}

#[tokio::test]
async fn slow_readers_don_t_keep_others_from_finding_out() {
    let bench = Bench::new();
    for _ in 0..5 {
        let _ = bench.run(Act::Refuse(fault())).await;
    }
    bench.clock.advance(TimeDelta::seconds(30));
    let slow = bench.start().await.unwrap();
    assert_eq!(bench.state(), BreakerState::HalfOpen);
    assert_eq!(bench.run(Act::Answer).await, Ok(()));
    assert_eq!(bench.guarded.numbers().active, 1);
    drop(slow);
    let numbers = bench.guarded.numbers();
    assert_eq!((numbers.active, numbers.cancelled, numbers.successful), (0, 1, 1));
    assert_eq!(bench.guarded.breaker().status().success_count, 1);
}

#[tokio::test]
async fn queries_are_counted_with_the_time_to_their_last_row() {
    let bench = Bench::new();
    let output = bench.start().await.unwrap();
    assert_eq!((bench.guarded.numbers().active, bench.guarded.numbers().total), (1, 0));
    bench.clock.advance(TimeDelta::seconds(2));
    assert_eq!(output.rows.batches.count().await, 1);
    assert!(bench.run(Act::Refuse(QueryError::Sql("x".to_owned()))).await.is_err());
    let numbers = bench.guarded.numbers();
    assert_eq!((numbers.active, numbers.total, numbers.successful, numbers.failed), (0, 2, 1, 1));
    assert!((numbers.success_rate - 50.0).abs() < 1e-9 && (numbers.average - 1.0).abs() < 1e-9);
    assert_eq!(numbers.last, Some(bench.clock.now()));
    assert_eq!(numbers.operations["values"], 2);
}
