//! Schemas of a server that changes, fails and comes back.

use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use gadwall_domain::ports::background::{BackgroundFull, Place, Work};
use gadwall_domain::ports::ontology::{Fetched, RegistryError};
use serde_json::json;
use tokio::sync::Semaphore;

use super::*;
use crate::breaker::BreakerConfig;
use crate::testing::MemoryRegistry;
use crate::world::World;

/// Work beside requests, which runs when the test says so.
#[derive(Default)]
struct Later(Arc<Mutex<Vec<Work>>>);

impl Later {
    async fn run(&self) -> usize {
        let work = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        let count = work.len();
        for work in work {
            work.await;
        }
        count
    }
}

struct Queue(Arc<Mutex<Vec<Work>>>);

impl Place for Queue {
    fn start(self: Box<Self>, _: &'static str, work: Work) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(work);
    }
}

impl Background for Later {
    fn reserve(&self) -> Result<Box<dyn Place>, BackgroundFull> {
        Ok(Box::new(Queue(Arc::clone(&self.0))))
    }
}

struct Bench {
    world: World,
    server: Arc<MemoryRegistry>,
    later: Arc<Later>,
    schemas: Schemas,
}

fn times() -> SchemaTimes {
    SchemaTimes { fresh_for: TimeDelta::minutes(5), stale_for: TimeDelta::days(7) }
}

fn document(version: &str) -> Value {
    json!({ "name": "projects", "version": version, "columns": [{ "name": "project_id", "type": "UUID" }] })
}

impl Bench {
    fn new() -> Self {
        Self::over(World::new(), Arc::default())
    }

    fn over(world: World, server: Arc<MemoryRegistry>) -> Self {
        let later = Arc::new(Later::default());
        let schemas = over(&world, Arc::clone(&server) as _, Arc::clone(&later) as _);
        Self { world, server, later, schemas }
    }

    fn wait(&self, by: TimeDelta) {
        self.world.clock.advance(by);
    }

    /// A schema's source and version.
    async fn current(&self, id: &str) -> (&'static str, String) {
        told(self.schemas.current(&schema_id(id)).await)
    }

    async fn fresh(&self, id: &str) -> (&'static str, String) {
        told(self.schemas.fresh(&schema_id(id)).await)
    }
}

fn over(world: &World, registry: Arc<dyn SchemaRegistry>, background: Arc<dyn Background>) -> Schemas {
    let clock = Arc::clone(&world.clock) as Arc<dyn Clock>;
    let breaker = Breaker::new("ontology", BreakerConfig::default(), Arc::clone(&clock));
    let server = SchemaServer { registry, breaker, background, times: times() };
    Schemas::new(Arc::clone(&world.store) as _, Arc::clone(&world.access), clock, Some(server))
}

fn schema_id(text: &str) -> SchemaId {
    SchemaId::parse(text).unwrap()
}

fn told(found: Result<Resolved, UseCaseError>) -> (&'static str, String) {
    match found {
        Ok(found) => (found.source.as_str(), found.version),
        Err(error) => ("none", gadwall_domain::error::Classify::code(&error).to_owned()),
    }
}

fn is(source: &'static str, version: &str) -> (&'static str, String) {
    (source, version.to_owned())
}

const PROJECTS: &str = "project_schema";

#[tokio::test]
async fn without_a_server_the_builtin_schema_holds() {
    let world = World::new();
    let schemas =
        Schemas::new(Arc::clone(&world.store) as _, Arc::clone(&world.access), Arc::clone(&world.clock) as _, None);
    assert_eq!(told(schemas.current(&schema_id(PROJECTS)).await), is("builtin", "builtin-1"));
    assert_eq!(told(schemas.fresh(&schema_id("other")).await), is("none", "schema_not_found"));
    assert!(schemas.server_is_well().await);
    assert_eq!(schemas.list(&world.admin()).await.unwrap().len(), 1);
}

#[tokio::test]
async fn what_was_fetched_holds_for_a_while_and_then_beside_a_new_question() {
    let bench = Bench::new();
    bench.server.serve(PROJECTS, Some(document("1")));
    assert_eq!(bench.current(PROJECTS).await, is("server", "1"));
    bench.server.serve(PROJECTS, Some(document("2")));
    bench.wait(TimeDelta::minutes(4));
    assert_eq!(bench.current(PROJECTS).await, is("cache", "1"));
    assert_eq!((bench.server.asked(), bench.later.run().await), (1, 0));
    bench.wait(TimeDelta::minutes(1));
    for _ in 0..3 {
        assert_eq!(bench.current(PROJECTS).await, is("stale", "1"), "nobody waits");
    }
    assert_eq!((bench.later.run().await, bench.server.asked()), (1, 2));
    assert_eq!(bench.current(PROJECTS).await, is("cache", "2"));
    assert_eq!(bench.fresh(PROJECTS).await, is("server", "2"), "whoever needs the newest asks");
    assert_eq!(bench.server.asked(), 3);
}

#[tokio::test]
async fn what_did_not_change_is_as_good_as_new() {
    let bench = Bench::new();
    bench.server.serve(PROJECTS, Some(document("1")));
    bench.current(PROJECTS).await;
    bench.wait(TimeDelta::days(6));
    assert_eq!(bench.fresh(PROJECTS).await, is("server", "1"));
    let versions = bench.schemas.versions(&bench.world.admin(), &schema_id(PROJECTS)).await.unwrap();
    assert_eq!(versions.len(), 2, "one of the server, one built in");
    assert_eq!(versions[0].last_seen - versions[0].first_seen, TimeDelta::days(6));
}

#[tokio::test]
async fn a_fallback_is_never_taken_for_the_server() {
    let bench = Bench::new();
    bench.server.set_failing(true);
    assert_eq!(bench.current(PROJECTS).await, is("builtin", "builtin-1"));
    assert_eq!(bench.current("orders").await, is("none", "schema_unavailable"));
    let asked = bench.server.asked();
    assert_eq!(bench.current(PROJECTS).await, is("builtin", "builtin-1"));
    assert_eq!(bench.server.asked(), asked, "who just failed isn't waited for");
    bench.server.set_failing(false);
    bench.server.serve(PROJECTS, Some(document("1")));
    bench.wait(TimeDelta::seconds(10));
    assert_eq!(bench.current(PROJECTS).await, is("server", "1"), "that it is back is noticed");
}

#[tokio::test]
async fn a_schema_that_is_not_one_leaves_the_last_one_in_place() {
    let bench = Bench::new();
    bench.server.serve(PROJECTS, Some(document("1")));
    bench.current(PROJECTS).await;
    bench.server.serve(PROJECTS, Some(json!({ "columns": [] })));
    assert_eq!(bench.fresh(PROJECTS).await, is("stale", "1"));
    let found = bench.schemas.fresh(&schema_id(PROJECTS)).await.unwrap();
    assert!(found.problem.unwrap().contains("at least one column"));
    bench.server.serve(PROJECTS, None);
    assert_eq!(bench.fresh(PROJECTS).await, is("stale", "1"));
    bench.wait(TimeDelta::days(8));
    assert_eq!(bench.fresh(PROJECTS).await, is("builtin", "builtin-1"), "after some time it isn't relied on");
}

#[tokio::test]
async fn the_last_schema_outlives_the_process() {
    let bench = Bench::new();
    bench.server.serve("orders", Some(json!({ "columns": [{ "name": "a", "type": "INT" }] })));
    let (_, version) = bench.current("orders").await;
    bench.server.set_failing(true);
    let after = Bench::over(bench.world, Arc::clone(&bench.server));
    assert_eq!(after.current("orders").await, is("cache", &version));
    after.wait(TimeDelta::hours(1));
    assert_eq!(after.current("orders").await, is("stale", &version));
    let names: Vec<String> =
        after.schemas.list(&after.world.admin()).await.unwrap().into_iter().map(|v| v.id.to_string()).collect();
    assert_eq!(names, ["orders", PROJECTS]);
}

#[tokio::test]
async fn a_server_that_keeps_failing_is_left_alone_and_found_again() {
    let bench = Bench::new();
    bench.server.set_failing(true);
    for _ in 0..5 {
        bench.fresh(PROJECTS).await;
    }
    assert_eq!(bench.server.asked(), 5);
    let found = bench.schemas.fresh(&schema_id(PROJECTS)).await.unwrap();
    assert_eq!((bench.server.asked(), found.source), (5, Source::Builtin));
    assert!(found.problem.unwrap().contains("left alone"));
    bench.server.set_failing(false);
    bench.server.serve(PROJECTS, Some(document("1")));
    bench.wait(TimeDelta::seconds(30));
    assert_eq!(bench.fresh(PROJECTS).await, is("server", "1"));
}

#[tokio::test]
async fn how_the_server_is_is_asked_once_for_a_moment() {
    let bench = Bench::new();
    assert!(bench.schemas.server_is_well().await);
    bench.server.set_failing(true);
    assert!(bench.schemas.server_is_well().await, "believed for a moment");
    bench.wait(TimeDelta::seconds(5));
    assert!(!bench.schemas.server_is_well().await);
}

#[tokio::test]
async fn versions_are_found_by_name() {
    let bench = Bench::new();
    for version in ["1", "2"] {
        bench.server.serve(PROJECTS, Some(document(version)));
        bench.fresh(PROJECTS).await;
        bench.wait(TimeDelta::seconds(1));
    }
    let admin = bench.world.admin();
    let id = schema_id(PROJECTS);
    assert_eq!(bench.schemas.version(&admin, &id, "1").await.unwrap().fields().len(), 1);
    assert_eq!(bench.schemas.version(&admin, &id, "builtin-1").await.unwrap().fields().len(), 11);
    let missing = bench.schemas.version(&admin, &id, "9").await;
    assert!(matches!(missing, Err(UseCaseError::NoSchemaVersion { .. })), "{missing:?}");
}

/// A server that answers when it is let.
struct Held {
    server: MemoryRegistry,
    gate: Semaphore,
}

#[async_trait]
impl SchemaRegistry for Held {
    async fn fetch(&self, id: &SchemaId, known: Option<&str>) -> Result<Fetched, RegistryError> {
        self.gate.acquire().await.unwrap().forget();
        self.server.fetch(id, known).await
    }

    async fn health(&self) -> Result<(), RegistryError> {
        self.server.health().await
    }
}

#[tokio::test]
async fn those_who_ask_together_share_one_question() {
    let held = Arc::new(Held { server: MemoryRegistry::default(), gate: Semaphore::new(0) });
    held.server.serve(PROJECTS, Some(document("1")));
    let world = World::new();
    let schemas = Arc::new(over(&world, Arc::clone(&held) as _, Arc::new(Later::default())));
    let id = schema_id(PROJECTS);
    // Whoever asks first may go away again.
    let gone = tokio::time::timeout(Duration::ZERO, schemas.current(&id)).await;
    assert!(gone.is_err());
    let asks = (0..50).map(|_| {
        let (schemas, id) = (Arc::clone(&schemas), id.clone());
        tokio::spawn(async move { told(schemas.current(&id).await) })
    });
    let asks: Vec<_> = asks.collect();
    tokio::task::yield_now().await;
    held.gate.add_permits(1);
    for ask in asks {
        let answer = ask.await.unwrap();
        assert!(answer == is("server", "1") || answer == is("cache", "1"), "{answer:?}");
    }
    assert_eq!(held.server.asked(), 1);
}
