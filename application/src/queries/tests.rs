//! Queries over an engine whose rows come when the test says so.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use arrow_array::{ArrayRef, Int32Array, RecordBatch};
use async_trait::async_trait;
use chrono::TimeDelta;
use futures_util::StreamExt as _;
use gadwall_domain::ids::RequestId;
use gadwall_domain::ports::metadata::MetadataStore as _;
use gadwall_domain::query::{Parameters, QueryOutput};
use tokio::sync::{mpsc, oneshot};

use super::*;
use crate::caller::Identity;
use crate::testing::SeqIds;
use crate::testing::builders::project_id;
use crate::versions::Versions;
use crate::world::World;

type Rows = mpsc::Sender<Result<RecordBatch, QueryError>>;

/// Starts a query when it is given where its rows come from; until then the query waits for its first row.
#[derive(Default)]
struct Engine {
    prepared: Mutex<Vec<mpsc::Receiver<Result<RecordBatch, QueryError>>>>,
    fails: Mutex<Option<QueryError>>,
    stopped: Arc<AtomicBool>,
    figures: FiguresLater,
}

/// Tells that the engine was told to stop.
struct Stopped(Arc<AtomicBool>);

impl Drop for Stopped {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

impl Engine {
    fn prepare(&self) -> Rows {
        let (rows, taken) = mpsc::channel(8);
        self.prepared.lock().unwrap().push(taken);
        rows
    }
}

#[async_trait]
impl QueryEngine for Engine {
    async fn query(&self, _scope: ReadScope, _query: Query) -> Result<QueryOutput, QueryError> {
        let stopped = Stopped(Arc::clone(&self.stopped));
        if let Some(error) = self.fails.lock().unwrap_or_else(PoisonError::into_inner).take() {
            return Err(error);
        }
        let prepared = self.prepared.lock().unwrap().pop();
        let Some(taken) = prepared else { return std::future::pending().await };
        let rows = futures_util::stream::unfold((taken, stopped), |(mut taken, stopped)| async move {
            taken.recv().await.map(|rows| (rows, (taken, stopped)))
        });
        let rows = RowStream { schema: batch(0).schema(), batches: Box::pin(rows) };
        Ok(QueryOutput {
            rows,
            snapshot: SnapshotId::new(7).unwrap(),
            deterministic: true,
            linked: Vec::new(),
            figures: self.figures.clone(),
        })
    }
}

fn batch(rows: i32) -> RecordBatch {
    let column: ArrayRef = Arc::new((0..rows).collect::<Int32Array>());
    RecordBatch::try_from_iter([("i", column)]).unwrap()
}

fn query(sql: &str) -> Query {
    let timeout = Duration::from_secs(30);
    Query { sql: sql.to_owned(), parameters: Parameters::None, default_bucket: None, timeout }
}

struct Fixture {
    world: World,
    engine: Arc<Engine>,
    queries: Arc<Queries>,
    writer: Option<QueryLogWriter>,
    owner: Caller,
}

const SETTINGS: QuerySettings = QuerySettings {
    max_concurrent: 2,
    max_concurrent_per_project: 0,
    max_queued: 2,
    queue_timeout: Duration::from_secs(10),
    history_limit: 3,
    history_retention: TimeDelta::days(7),
};

async fn fixture(settings: QuerySettings) -> Fixture {
    let world = World::new();
    let (_, owner) = world.project("p").await;
    let engine = Arc::new(Engine::default());
    let (running, writer) = RunningQueries::new(
        settings,
        Arc::clone(&world.store) as _,
        Arc::clone(&world.clock) as _,
        Arc::new(SeqIds::default()),
    );
    let queries = Arc::new(Queries::new(
        Arc::clone(&engine) as _,
        Arc::clone(&world.lakes) as _,
        Arc::clone(&world.access),
        Arc::new(Versions::new(Arc::clone(&world.store) as _, Arc::clone(&world.lakes) as _)),
        running,
    ));
    Fixture { world, engine, queries, writer: Some(writer), owner }
}

impl Fixture {
    async fn run(&self, sql: &str) -> Result<Answer, UseCaseError> {
        self.queries.run(&self.owner, &project_id("p"), query(sql)).await
    }

    fn spawn(&self, sql: &str) -> tokio::task::JoinHandle<Result<Answer, UseCaseError>> {
        let (queries, owner, query) = (Arc::clone(&self.queries), self.owner.clone(), query(sql));
        tokio::spawn(async move { queries.run(&owner, &project_id("p"), query).await })
    }

    async fn list(&self, wish: QueryWish) -> QueryPage {
        self.queries.list(&self.owner, &project_id("p"), wish).await.unwrap()
    }

    async fn all(&self) -> Vec<QueryRecord> {
        self.list(wish(100)).await.queries
    }

    /// The only query that is known.
    async fn only(&self) -> QueryRecord {
        let [query] = <[QueryRecord; 1]>::try_from(self.all().await).unwrap();
        query
    }

    /// Writes the history as when the server stops.
    async fn write(&mut self) {
        self.writer.take().unwrap().run(std::future::ready(())).await;
    }

    async fn stored(&self) -> Vec<String> {
        let filter = QueryFilter { state: None, since: None, principal: None, before: None, limit: 100 };
        let mut tx = self.world.store.read().await.unwrap();
        let found = tx.queries().list(&project_id("p"), &filter).await.unwrap();
        found.into_iter().map(|query| query.sql).collect()
    }
}

fn wish(limit: u32) -> QueryWish {
    QueryWish { state: None, since: None, limit, cursor: None }
}

async fn until<F: Future<Output = bool>>(what: impl Fn() -> F) {
    let waited = tokio::time::timeout(Duration::from_secs(10), async {
        while !what().await {
            tokio::task::yield_now().await;
        }
    });
    waited.await.unwrap();
}

#[tokio::test]
async fn a_query_is_known_from_its_start_to_its_end_and_after() {
    let mut fixture = fixture(SETTINGS).await;
    let rows = fixture.engine.prepare();
    let mut answer = fixture.run("select 1").await.unwrap();
    rows.send(Ok(batch(3))).await.unwrap();
    assert_eq!(answer.rows.batches.next().await.unwrap().unwrap().num_rows(), 3);
    let seen = fixture.only().await;
    assert_eq!((seen.id, seen.state, seen.rows), (answer.query_id, QueryState::Running, 3));
    assert_eq!((seen.sql.as_str(), seen.finished_at), ("select 1", None));
    fixture.world.clock.advance(TimeDelta::seconds(2));
    drop(rows);
    assert!(answer.rows.batches.next().await.is_none());
    assert!(answer.rows.batches.next().await.is_none());
    drop(answer);
    let ended = fixture.only().await;
    assert_eq!((ended.state, ended.error_code.as_deref()), (QueryState::Done, None));
    assert_eq!(ended.finished_at, Some(seen.started_at + TimeDelta::seconds(2)));
    assert!(fixture.stored().await.is_empty(), "seen before it is written down");
    fixture.write().await;
    assert_eq!(fixture.only().await, ended);
    assert_eq!(fixture.stored().await, ["select 1"]);
}

#[tokio::test]
async fn a_reader_that_goes_away_cancels_and_makes_room() {
    let fixture = fixture(SETTINGS).await;
    let _rows = fixture.engine.prepare();
    let answer = fixture.run("select 1").await.unwrap();
    drop(answer);
    assert_eq!(fixture.only().await.state, QueryState::Cancelled);
    assert!(fixture.engine.stopped.load(Ordering::SeqCst));
    let waiting = fixture.spawn("select 2");
    until(async || fixture.all().await.len() == 2).await;
    waiting.abort();
    until(async || fixture.all().await.iter().all(|query| query.state == QueryState::Cancelled)).await;
    assert_eq!(fixture.queries.running.admission.free_and_waiting(), (2, 0));
}

#[tokio::test]
async fn a_query_is_cancelled_before_its_first_row() {
    let fixture = fixture(SETTINGS).await;
    let asked = fixture.spawn("select 1");
    until(async || fixture.all().await.iter().any(|query| query.state == QueryState::Running)).await;
    let id = fixture.only().await.id.to_string();
    let cancelled = fixture.queries.cancel(&fixture.owner, &project_id("p"), &id).await.unwrap();
    assert_eq!(cancelled.state, QueryState::Cancelled);
    let answer = asked.await.unwrap();
    assert!(matches!(answer, Err(UseCaseError::Query(QueryError::Cancelled))), "{answer:?}");
    assert!(fixture.engine.stopped.load(Ordering::SeqCst));
    let again = fixture.queries.cancel(&fixture.owner, &project_id("p"), &id).await;
    let state = QueryState::Cancelled;
    assert!(
        matches!(again, Err(UseCaseError::KnownQuery(KnownQueryError::NotRunning { state: found, .. })) if found == state)
    );
}

#[tokio::test]
async fn a_query_is_cancelled_whether_its_rows_are_read_or_not() {
    let fixture = fixture(SETTINGS).await;
    let rows = fixture.engine.prepare();
    let mut answer = fixture.run("select 1").await.unwrap();
    let id = answer.query_id.to_string();
    let (reading, started) = oneshot::channel();
    let reader = tokio::spawn(async move {
        reading.send(()).unwrap();
        let told = answer.rows.batches.next().await;
        (told, answer.rows.batches.next().await.is_none())
    });
    started.await.unwrap();
    fixture.queries.cancel(&fixture.owner, &project_id("p"), &id).await.unwrap();
    assert!(rows.is_closed(), "the engine is told at once");
    assert_eq!(fixture.queries.running.admission.free_and_waiting(), (2, 0));
    let (told, ended) = reader.await.unwrap();
    assert!(matches!(told, Some(Err(QueryError::Cancelled))) && ended);
}

#[tokio::test]
async fn a_failure_is_told_by_its_code() {
    let fixture = fixture(SETTINGS).await;
    *fixture.engine.fails.lock().unwrap() = Some(QueryError::Sql("no".to_owned()));
    fixture.run("SELEC").await.unwrap_err();
    let failed = fixture.only().await;
    assert_eq!((failed.state, failed.error_code.as_deref()), (QueryState::Failed, Some("sql_error")));
    let rows = fixture.engine.prepare();
    let mut answer = fixture.run("select 1").await.unwrap();
    rows.send(Err(QueryError::OutOfMemory)).await.unwrap();
    assert!(matches!(answer.rows.batches.next().await, Some(Err(QueryError::OutOfMemory))));
    assert!(answer.rows.batches.next().await.is_none());
    assert_eq!(fixture.all().await[0].error_code.as_deref(), Some("out_of_memory"));
    assert_eq!(fixture.queries.running.admission.free_and_waiting(), (2, 0));
}

#[tokio::test]
async fn who_is_turned_away_at_the_door_leaves_nothing_and_who_waited_in_vain_does() {
    let settings =
        QuerySettings { max_concurrent: 1, max_queued: 1, queue_timeout: Duration::from_millis(50), ..SETTINGS };
    let fixture = fixture(settings).await;
    let _rows = fixture.engine.prepare();
    let _answer = fixture.run("select 1").await.unwrap();
    let waiting = fixture.spawn("select 2");
    until(async || fixture.all().await.len() == 2).await;
    assert_eq!(fixture.all().await[0].state, QueryState::Queued);
    let refused = fixture.run("select 3").await;
    assert!(matches!(refused, Err(UseCaseError::Query(QueryError::Busy))), "{refused:?}");
    let refused = waiting.await.unwrap();
    assert!(matches!(refused, Err(UseCaseError::Query(QueryError::Busy))), "{refused:?}");
    let known: Vec<_> = fixture.all().await.into_iter().map(|query| (query.sql, query.error_code)).collect();
    let busy = Some("too_many_queries".to_owned());
    assert_eq!(known, [("select 1".to_owned(), None), ("select 2".to_owned(), busy)]);
}

#[tokio::test]
async fn the_history_is_bounded_and_ages() {
    let mut fixture = fixture(SETTINGS).await;
    for number in 1..=5 {
        *fixture.engine.fails.lock().unwrap() = Some(QueryError::OutOfMemory);
        fixture.run(&format!("select {number}")).await.unwrap_err();
    }
    fixture.write().await;
    assert_eq!(fixture.stored().await, ["select 5", "select 4", "select 3"]);
    fixture.world.clock.advance(TimeDelta::days(7));
    assert_eq!(fixture.queries.clean_up().await.unwrap(), 0);
    fixture.world.clock.advance(TimeDelta::seconds(1));
    assert_eq!(fixture.queries.clean_up().await.unwrap(), 3);
    assert!(fixture.all().await.is_empty());
}

#[tokio::test]
async fn what_the_history_cannot_take_is_counted_and_never_waited_for() {
    let fixture = fixture(SETTINGS).await;
    for number in 0..1_010 {
        *fixture.engine.fails.lock().unwrap() = Some(QueryError::OutOfMemory);
        fixture.run(&format!("select {number}")).await.unwrap_err();
    }
    assert_eq!(fixture.queries.running.lost(), 10);
    assert_eq!(fixture.all().await.len(), 100);
}

#[tokio::test]
async fn pages_show_running_ones_first_and_each_query_once() {
    let mut fixture = fixture(SETTINGS).await;
    for number in 1..=2 {
        *fixture.engine.fails.lock().unwrap() = Some(QueryError::OutOfMemory);
        fixture.run(&format!("select {number}")).await.unwrap_err();
    }
    let _rows = [fixture.engine.prepare(), fixture.engine.prepare()];
    let _answers = [fixture.run("select 3").await.unwrap(), fixture.run("select 4").await.unwrap()];
    fixture.write().await;
    let (mut seen, mut cursor) = (Vec::new(), None);
    loop {
        let page = fixture.list(QueryWish { cursor, ..wish(1) }).await;
        seen.extend(page.queries.into_iter().map(|query| query.sql));
        let Some(next) = page.next else { break };
        assert_eq!(QueryCursor::parse(&next.to_string()).unwrap(), next);
        cursor = Some(next);
    }
    assert_eq!(seen, ["select 4", "select 3", "select 2", "select 1"]);
    let failed = fixture.list(QueryWish { state: Some(QueryState::Failed), ..wish(9) }).await.queries;
    assert_eq!(failed.len(), 2);
    let running = fixture.list(QueryWish { state: Some(QueryState::Running), ..wish(9) }).await.queries;
    assert_eq!(running.len(), 2);
}

#[tokio::test]
async fn who_does_not_manage_sees_only_its_own() {
    let fixture = fixture(SETTINGS).await;
    let _rows = fixture.engine.prepare();
    let answer = fixture.run("select 'secret'").await.unwrap();
    let Identity::Known(Principal::Key { id, project, scopes, .. }) = fixture.owner.identity.clone() else {
        panic!("a key")
    };
    let with = |id, scopes, bucket| {
        let principal = Principal::Key { id, project: project.clone(), scopes, bucket };
        Caller::new(principal, RequestId::parse("r2").unwrap())
    };
    let other = gadwall_domain::ids::ApiKeyId::new(uuid::Uuid::from_u128(9));
    let bucket = Some(crate::testing::builders::bucket("b"));
    let strangers = [with(other, [Scope::Read, Scope::Write].into(), None), with(other, scopes.clone(), bucket)];
    for stranger in strangers {
        let listed = fixture.queries.list(&stranger, &project, wish(9)).await.unwrap();
        assert!(listed.queries.is_empty());
        let stopped = fixture.queries.cancel(&stranger, &project, &answer.query_id.to_string()).await;
        assert!(matches!(stopped, Err(UseCaseError::KnownQuery(KnownQueryError::NoQuery { .. }))), "{stopped:?}");
    }
    for insider in [with(other, scopes, None), with(id, [Scope::Read].into(), None), fixture.world.admin()] {
        assert_eq!(fixture.queries.list(&insider, &project, wish(9)).await.unwrap().queries.len(), 1);
    }
}
