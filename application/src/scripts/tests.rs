//! Scripts over an engine that does what the test says.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow_array::{Int64Array, RecordBatch};
use async_trait::async_trait;
use chrono::TimeDelta;
use gadwall_domain::commit::WriteOrigin;
use gadwall_domain::ports::lake::{LakeError, QueryEngine};
use gadwall_domain::query::{Parameters, Query, QueryOutput};
use gadwall_domain::query_record::{QueryRecord, QueryState};
use gadwall_domain::script::{Copy, Growth, ScriptOutput, StopSignal, Touched, WriteFault};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::*;
use crate::breaker::{Breaker, BreakerConfig, BreakerState};
use crate::guarded::{GuardedEngine, GuardedScripts};
use crate::queries::{KnownQueryError, Queries, QuerySettings, QueryWish};
use crate::testing::SeqIds;
use crate::testing::builders::project_id;
use crate::versions::Versions;
use crate::world::World;

/// What a script does in the engine.
enum Act {
    /// It answers.
    Answer,
    Fail(ScriptFault),
    /// It runs until it is told to stop.
    Run,
    /// It commits when the test says so, and doesn't stop.
    Commit(oneshot::Receiver<()>),
}

#[derive(Default)]
struct Engine {
    acts: Mutex<VecDeque<Act>>,
    begun: AtomicUsize,
    gone: Arc<AtomicUsize>,
}

/// Counts scripts that were dropped or have ended.
struct Gone(Arc<AtomicUsize>);

impl Drop for Gone {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

fn fault(fault: impl Into<ScriptFault>) -> ScriptError {
    ScriptError { statement: Some(0), fault: fault.into() }
}

#[async_trait]
impl ScriptEngine for Engine {
    fn examine(&self, sql: &str, _default_bucket: Option<&BucketName>) -> Result<Examined, QueryError> {
        let kind = if sql.starts_with("select") { StatementKind::Read } else { StatementKind::Rows };
        Ok(Examined { kind, verb: "VERB", table: None, growth: Growth::None })
    }

    fn file_paths(&self, _sql: &str) -> Vec<String> {
        Vec::new()
    }

    fn copy(&self, _sql: &str) -> Result<Copy, QueryError> {
        Err(QueryError::Sql("no copy".to_owned()))
    }

    async fn execute(
        &self,
        _scope: ReadScope,
        _script: Script,
        _tables: Vec<KnownTable>,
        _origin: WriteOrigin,
        stop: StopSignal,
    ) -> Result<ScriptOutput, ScriptError> {
        let act = self.acts.lock().unwrap().pop_front().unwrap_or(Act::Answer);
        self.begun.fetch_add(1, Ordering::SeqCst);
        let _gone = Gone(Arc::clone(&self.gone));
        match act {
            Act::Answer => {}
            Act::Fail(error) => return Err(fault(error)),
            Act::Run => {
                stop.await;
                return Err(fault(QueryError::Cancelled));
            }
            Act::Commit(done) => drop(done.await),
        }
        let column: arrow_array::ArrayRef = Arc::new(Int64Array::from(vec![1, 2]));
        let batch = RecordBatch::try_from_iter([("i", column)]).unwrap();
        let result = StatementResult {
            schema: batch.schema(),
            batches: vec![batch],
            elapsed: Duration::ZERO,
            touched: Touched::default(),
        };
        Ok(ScriptOutput { results: vec![result], snapshot: SnapshotId::ZERO, changed: false })
    }
}

#[async_trait]
impl QueryEngine for Engine {
    async fn query(&self, _scope: ReadScope, _query: Query) -> Result<QueryOutput, QueryError> {
        Err(QueryError::Sql("no query".to_owned()))
    }
}

struct Fixture {
    world: World,
    engine: Arc<Engine>,
    guard: Arc<GuardedEngine>,
    scripts: Arc<Scripts>,
    queries: Queries,
    owner: Caller,
}

const SETTINGS: QuerySettings = QuerySettings {
    max_concurrent: 2,
    max_concurrent_per_project: 0,
    max_queued: 9,
    queue_timeout: Duration::from_secs(10),
    history_limit: 100,
    history_retention: TimeDelta::days(7),
};

async fn fixture(settings: QuerySettings) -> Fixture {
    let world = World::new();
    let (_, owner) = world.project("p").await;
    let engine = Arc::new(Engine::default());
    let clock: Arc<dyn gadwall_domain::ports::system::Clock> = Arc::clone(&world.clock) as _;
    let store = || Arc::clone(&world.store) as Arc<dyn gadwall_domain::ports::metadata::MetadataStore>;
    // Its writer goes: nothing of this is about what is written down.
    let (running, _) = RunningQueries::new(settings, store(), Arc::clone(&clock), Arc::new(SeqIds::default()));
    let breaker = Breaker::new("duckdb", BreakerConfig::default(), Arc::clone(&clock));
    let guard = Arc::new(GuardedEngine::new(Arc::clone(&engine) as _, breaker, Arc::clone(&clock)));
    let (access, lakes) = (Arc::clone(&world.access), Arc::clone(&world.lakes));
    let (projection, projects) = (Arc::clone(&world.projection), Arc::clone(&world.projects));
    let tables =
        Tables::new(store(), Arc::clone(&lakes), Arc::clone(&access), Arc::clone(&projection), Arc::clone(&projects));
    let scripts = Scripts::new(Parts {
        engine: Arc::new(GuardedScripts::new(Arc::clone(&engine) as _, Arc::clone(&guard))),
        lakes: Arc::clone(&lakes) as _,
        access: Arc::clone(&access),
        tables: Arc::new(tables),
        projection: Arc::clone(&projection),
        projects,
        writes: Arc::new(Writes::new(store(), Arc::clone(&lakes) as _, projection)),
        files: Arc::new(SqlFiles::new(Arc::clone(&engine) as _, Arc::clone(&world.objects))),
        running: Arc::clone(&running),
    });
    let versions = Arc::new(Versions::new(store(), Arc::clone(&lakes) as _));
    let queries = Queries::new(Arc::clone(&guard) as _, lakes as _, access, versions, running);
    Fixture { world, engine, guard, scripts: Arc::new(scripts), queries, owner }
}

fn script(statements: &[&str]) -> Script {
    let statement = |sql: &&str| ScriptStatement { sql: (*sql).to_owned(), parameters: Parameters::None };
    Script {
        statements: statements.iter().map(statement).collect(),
        default_bucket: None,
        timeout: Duration::from_secs(30),
        dry_run: false,
        at: ReadAt::Head,
        max_rows: 100,
    }
}

impl Fixture {
    fn acts(&self, acts: impl IntoIterator<Item = Act>) {
        self.engine.acts.lock().unwrap().extend(acts);
    }

    async fn run(&self, statements: &[&str]) -> Result<ScriptOutcome, UseCaseError> {
        self.scripts.together(&self.owner, &project_id("p"), script(statements)).await
    }

    fn spawn(&self, statements: &[&str], together: bool) -> JoinHandle<Result<ScriptOutcome, UseCaseError>> {
        let (scripts, owner, script) = (Arc::clone(&self.scripts), self.owner.clone(), script(statements));
        tokio::spawn(async move {
            let project = project_id("p");
            if together {
                scripts.together(&owner, &project, script).await
            } else {
                scripts.one_by_one(&owner, &project, script).await
            }
        })
    }

    async fn listed(&self) -> Vec<QueryRecord> {
        let wish = QueryWish { state: None, since: None, limit: 100, cursor: None };
        self.queries.list(&self.owner, &project_id("p"), wish).await.unwrap().queries
    }

    async fn cancel(&self, caller: &Caller, id: QueryId) -> Result<QueryRecord, UseCaseError> {
        self.queries.cancel(caller, &project_id("p"), &id.to_string()).await
    }

    /// Waits until so many scripts were begun in the engine.
    async fn begun(&self, many: usize) {
        let waited = tokio::time::timeout(Duration::from_secs(10), async {
            while self.engine.begun.load(Ordering::SeqCst) < many {
                tokio::task::yield_now().await;
            }
        });
        waited.await.unwrap();
    }

    /// Waits until a query is in this state.
    async fn one_in(&self, state: QueryState) -> QueryRecord {
        let waited = tokio::time::timeout(Duration::from_secs(10), async {
            loop {
                if let Some(found) = self.listed().await.into_iter().find(|query| query.state == state) {
                    return found;
                }
                tokio::task::yield_now().await;
            }
        });
        waited.await.unwrap()
    }
}

fn is_cancelled<T>(done: &Result<T, UseCaseError>) -> bool {
    matches!(done, Err(UseCaseError::Query(QueryError::Cancelled)))
}

#[tokio::test]
async fn a_script_is_seen_under_the_id_that_it_answers() {
    let fixture = fixture(SETTINGS).await;
    let (commit, committed) = oneshot::channel();
    fixture.acts([Act::Commit(committed)]);
    let running = fixture.spawn(&["insert 1", "insert 2"], true);
    fixture.begun(1).await;
    let [seen] = <[QueryRecord; 1]>::try_from(fixture.listed().await).unwrap();
    assert_eq!((seen.sql.as_str(), seen.state), ("insert 1;\ninsert 2", QueryState::Running));
    commit.send(()).unwrap();
    assert_eq!(running.await.unwrap().unwrap().query_id, Some(seen.id));
}

#[tokio::test]
async fn a_running_script_is_told_to_stop() {
    let fixture = fixture(SETTINGS).await;
    fixture.acts([Act::Run]);
    let running = fixture.spawn(&["insert 1"], true);
    fixture.begun(1).await;
    let id = fixture.listed().await[0].id;
    assert_eq!(fixture.cancel(&fixture.owner, id).await.unwrap().state, QueryState::Cancelled);
    assert!(is_cancelled(&running.await.unwrap()));
    // Its place is free again, and its like runs.
    fixture.run(&["insert 1"]).await.unwrap();
}

#[tokio::test]
async fn a_script_that_commits_is_not_stopped_and_says_so() {
    let fixture = fixture(SETTINGS).await;
    let (commit, committed) = oneshot::channel();
    fixture.acts([Act::Commit(committed)]);
    let running = fixture.spawn(&["insert 1"], true);
    fixture.begun(1).await;
    let id = fixture.listed().await[0].id;
    let (told, done) = tokio::join!(fixture.cancel(&fixture.owner, id), async {
        tokio::task::yield_now().await;
        commit.send(()).unwrap();
        running.await.unwrap()
    });
    let state = QueryState::Done;
    assert!(
        matches!(&told, Err(UseCaseError::KnownQuery(KnownQueryError::NotRunning { state: found, .. })) if *found == state),
        "{told:?}"
    );
    assert_eq!(done.unwrap().results.len(), 1);
}

#[tokio::test]
async fn a_script_that_waits_is_cancelled_and_never_begun() {
    let fixture = fixture(SETTINGS).await;
    fixture.acts([Act::Run]);
    let running = fixture.spawn(&["insert 1"], true);
    fixture.begun(1).await;
    let waiting = fixture.spawn(&["insert 2"], true);
    let queued = fixture.one_in(QueryState::Queued).await;
    assert_eq!(queued.sql, "insert 2");
    assert_eq!(fixture.cancel(&fixture.owner, queued.id).await.unwrap().state, QueryState::Cancelled);
    assert!(is_cancelled(&waiting.await.unwrap()));
    assert_eq!(fixture.engine.begun.load(Ordering::SeqCst), 1);
    running.abort();
}

#[tokio::test]
async fn statements_one_by_one_stop_together() {
    let fixture = fixture(SETTINGS).await;
    fixture.acts([Act::Answer, Act::Run]);
    let running = fixture.spawn(&["insert 1", "insert 2", "insert 3"], false);
    fixture.begun(2).await;
    let [seen] = <[QueryRecord; 1]>::try_from(fixture.listed().await).unwrap();
    assert_eq!((seen.sql.as_str(), seen.rows), ("insert 1;\ninsert 2;\ninsert 3", 2));
    assert_eq!(fixture.cancel(&fixture.owner, seen.id).await.unwrap().state, QueryState::Cancelled);
    let outcome = running.await.unwrap().unwrap();
    assert_eq!((outcome.results.len(), outcome.query_id), (1, Some(seen.id)));
    assert!(matches!(outcome.failure, Some(UseCaseError::Statement { number: 2, .. })), "{:?}", outcome.failure);
    assert_eq!(fixture.engine.begun.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn what_waits_for_the_writer_leaves_places_to_readers() {
    let fixture = fixture(SETTINGS).await;
    fixture.acts([Act::Run]);
    let first = fixture.spawn(&["insert 1"], true);
    fixture.begun(1).await;
    let waiting: Vec<_> = (0..4).map(|_| fixture.spawn(&["insert 2"], true)).collect();
    fixture.one_in(QueryState::Queued).await;
    fixture.run(&["select 1"]).await.unwrap();
    // The reader of the first goes away; the others follow, one after the other.
    first.abort();
    for done in waiting {
        done.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn who_waits_too_long_is_turned_away() {
    let fixture = fixture(QuerySettings { queue_timeout: Duration::from_millis(20), ..SETTINGS }).await;
    fixture.acts([Act::Run]);
    let running = fixture.spawn(&["insert 1"], true);
    fixture.begun(1).await;
    for together in [true, false] {
        let refused = fixture.spawn(&["insert 2", "select 1"], together).await.unwrap();
        assert!(matches!(refused, Err(UseCaseError::Query(QueryError::Busy))), "{refused:?}");
    }
    running.abort();
}

#[tokio::test]
async fn a_client_that_goes_away_ends_its_script() {
    let fixture = fixture(SETTINGS).await;
    fixture.acts([Act::Run]);
    let running = fixture.spawn(&["insert 1"], true);
    fixture.begun(1).await;
    running.abort();
    assert!(running.await.unwrap_err().is_cancelled());
    assert_eq!(fixture.engine.gone.load(Ordering::SeqCst), 1);
    fixture.run(&["insert 2"]).await.unwrap();
}

#[tokio::test]
async fn only_faults_of_the_engine_open_the_breaker() {
    let text = || "x".to_owned();
    let write =
        |source: WriteError| ScriptFault::Write(Box::new(WriteFault { about: "t".to_owned(), table: None, source }));
    let harmless: [fn() -> ScriptFault; 5] = [
        || QueryError::Sql("x".to_owned()).into(),
        || QueryError::Timeout(Duration::from_secs(1)).into(),
        || QueryError::Busy.into(),
        || QueryError::LakeUnavailable("x".to_owned()).into(),
        || QueryError::Cancelled.into(),
    ];
    let fixture = fixture(SETTINGS).await;
    for make in harmless {
        for _ in 0..6 {
            fixture.acts([Act::Fail(make())]);
            fixture.run(&["insert 1"]).await.unwrap_err();
        }
    }
    for _ in 0..6 {
        fixture.acts([Act::Fail(write(WriteError::NoKey)), Act::Fail(write(LakeError::Busy.into()))]);
        fixture.run(&["insert 1"]).await.unwrap_err();
        fixture.run(&["insert 1"]).await.unwrap_err();
    }
    let status = fixture.guard.breaker().status();
    assert_eq!((status.state, status.tally.failed), (BreakerState::Closed, 0));

    for _ in 0..5 {
        fixture.acts([Act::Fail(QueryError::Engine(text()).into())]);
        fixture.run(&["insert 1"]).await.unwrap_err();
    }
    let refused = fixture.run(&["insert 1"]).await;
    assert!(matches!(refused, Err(UseCaseError::Query(QueryError::CircuitOpen { .. }))), "{refused:?}");
    let query =
        Query { sql: "q".to_owned(), parameters: Parameters::None, default_bucket: None, timeout: Duration::ZERO };
    let refused = fixture.queries.run(&fixture.owner, &project_id("p"), query).await;
    assert!(matches!(refused, Err(UseCaseError::Query(QueryError::CircuitOpen { .. }))), "one breaker for both");
}

#[tokio::test]
async fn that_somebody_elses_was_cancelled_is_audited() {
    let fixture = fixture(SETTINGS).await;
    let audited =
        async || fixture.world.audited("p").await.into_iter().find(|entry| entry.operation == "query.cancelled");
    for (caller, is_audited) in [(fixture.owner.clone(), false), (fixture.world.admin(), true)] {
        fixture.acts([Act::Run]);
        let begun = fixture.engine.begun.load(Ordering::SeqCst);
        let running = fixture.spawn(&["insert 1"], true);
        fixture.begun(begun + 1).await;
        let id = fixture.one_in(QueryState::Running).await.id;
        fixture.cancel(&caller, id).await.unwrap();
        assert!(is_cancelled(&running.await.unwrap()));
        let found = audited().await.map(|entry| (entry.principal, entry.resource));
        assert_eq!(found, is_audited.then(|| ("admin".to_owned(), format!("query:{id}"))));
    }
}
