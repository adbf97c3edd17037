//! Operations over fakes: a background that runs nothing until it is told to.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use gadwall_domain::access::Principal;
use gadwall_domain::ports::background::{BackgroundFull, Place, Work};
use serde_json::json;

use super::*;
use crate::caller::Identity;
use crate::instances::Over;
use crate::testing::SeqIds;
use crate::testing::builders::{api_key, bucket, project_id};
use crate::world::{World, caller};

/// Holds work back; takes as much as it has places.
struct Held {
    places: AtomicUsize,
    work: Arc<Mutex<Vec<Work>>>,
}

struct HeldPlace(Arc<Mutex<Vec<Work>>>);

impl Background for Held {
    fn reserve(&self) -> Result<Box<dyn Place>, BackgroundFull> {
        let taken = self.places.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        taken.map_err(|_| BackgroundFull)?;
        Ok(Box::new(HeldPlace(Arc::clone(&self.work))))
    }
}

impl Place for HeldPlace {
    fn start(self: Box<Self>, _: &'static str, work: Work) {
        self.0.lock().unwrap().push(work);
    }
}

struct Scene {
    world: World,
    owner: Caller,
    project: Project,
    operations: Arc<Operations>,
    work: Arc<Mutex<Vec<Work>>>,
}

impl Scene {
    async fn with_places(places: usize) -> Self {
        let world = World::new();
        let (_, owner) = world.project("p").await;
        let project = world.access.open(&owner, &project_id("p"), Scope::Read).await.unwrap();
        let work: Arc<Mutex<Vec<Work>>> = Arc::default();
        let background = Held { places: AtomicUsize::new(places), work: Arc::clone(&work) };
        let operations = Self::operations(&world, background, 1);
        Self { world, owner, project, operations, work }
    }

    /// The operations of one life of a server.
    fn operations(world: &World, background: Held, life: u128) -> Arc<Operations> {
        let (store, clock) = (Arc::clone(&world.store) as _, Arc::clone(&world.clock) as _);
        let ids = Arc::new(SeqIds::default());
        let instances = world.instance(life);
        Arc::new(Operations::new(store, Arc::clone(&world.access), clock, ids, Arc::new(background), instances))
    }

    async fn start<W>(&self, work: impl FnOnce(Running) -> W + Send + 'static) -> Result<Operation, UseCaseError>
    where
        W: Future<Output = Result<Value, UseCaseError>> + Send + 'static,
    {
        let started =
            self.operations.start(&self.owner, &self.project, OperationKind::Export, "main.t".to_owned(), work);
        started.await.map(|started| started.operation)
    }

    async fn run_all(&self) {
        let work: Vec<Work> = self.work.lock().unwrap().drain(..).collect();
        for work in work {
            work.await;
        }
    }

    async fn get(&self, id: OperationId) -> Operation {
        self.operations.get(&self.owner, &self.project.id, &id.to_string()).await.unwrap()
    }
}

async fn quick(running: Running) -> Result<Value, UseCaseError> {
    running.progress(Progress { percent: Some(50.0), rows: 3, bytes: 9 });
    running.seal()?;
    Ok(json!({ "rows": 3 }))
}

#[tokio::test]
async fn an_operation_is_kept_from_its_start_to_its_end() {
    let scene = Scene::with_places(9).await;
    let started = scene.start(quick).await.unwrap();
    assert_eq!(scene.get(started.id).await, started);
    assert_eq!((started.state.clone(), started.request_id.as_str()), (OperationState::Pending, "r1"));
    scene.run_all().await;
    let ended = scene.get(started.id).await;
    assert_eq!(ended.state, OperationState::Succeeded(json!({ "rows": 3 })));
    assert_eq!(ended.progress, Progress { percent: Some(100.0), rows: 3, bytes: 9 });
    assert!(ended.finished_at.is_some() && scene.operations.lock().is_empty());
}

#[tokio::test]
async fn an_end_is_kept_before_it_is_told() {
    let scene = Scene::with_places(9).await;
    let (at_it, is_at_it) = oneshot::channel();
    let (go_on, may_go_on) = oneshot::channel();
    let work = async move |_| {
        at_it.send(()).unwrap();
        may_go_on.await.unwrap();
        Ok(json!({ "rows": 3 }))
    };
    let started = scene.start(work).await.unwrap();
    let work = tokio::spawn(scene.work.lock().unwrap().pop().unwrap());
    is_at_it.await.unwrap();
    // The store takes nothing for a while.
    let turn = scene.world.store.write().await.unwrap();
    go_on.send(()).unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    let (told, unfinished) = (scene.get(started.id).await, scene.operations.unfinished().await.unwrap());
    assert_eq!((told.state, unfinished.len()), (OperationState::Running, 1));
    let id = started.id.to_string();
    let late = scene.operations.cancel(&scene.owner, &scene.project.id, &id).await.unwrap();
    assert_eq!(late.state, OperationState::Running, "nothing is left to be stopped");
    drop(turn);
    work.await.unwrap();
    assert_eq!(scene.get(started.id).await.state, OperationState::Succeeded(json!({ "rows": 3 })));
    assert!(scene.operations.unfinished().await.unwrap().is_empty());
}

#[tokio::test]
async fn an_end_that_could_not_be_kept_stands_in_nobodys_way_and_is_kept_later() {
    let scene = Scene::with_places(99).await;
    for _ in 0..MAX_OF_PROJECT {
        let world = Arc::clone(&scene.world.store);
        let started = scene.start(async move |_| {
            world.refuse_writes(true);
            Ok(json!(null))
        });
        let id = started.await.unwrap().id;
        scene.run_all().await;
        scene.world.store.refuse_writes(false);
        assert!(scene.get(id).await.state.is_final());
    }
    let kept = scene.world.store.read().await.unwrap().operations().unfinished().await.unwrap();
    assert_eq!((kept.len(), scene.operations.unfinished().await.unwrap().len()), (MAX_OF_PROJECT, 0));
    scene.start(quick).await.unwrap();
    scene.run_all().await;
    scene.operations.clean_up().await.unwrap();
    let kept = scene.world.store.read().await.unwrap().operations().unfinished().await.unwrap();
    assert!(kept.is_empty() && scene.operations.lock().is_empty(), "{kept:?}");
}

#[tokio::test]
async fn a_failure_is_kept_as_its_client_would_have_got_it() {
    let scene = Scene::with_places(9).await;
    let started = scene.start(async |_| Err(UseCaseError::BadFilter("no such column".to_owned()))).await.unwrap();
    let secret = scene.start(async |_| Err(UseCaseError::Store(StoreError::AlreadyExists))).await.unwrap();
    scene.run_all().await;
    let OperationState::Failed(kept) = scene.get(started.id).await.state else { panic!("it fails") };
    assert_eq!((&kept["code"], &kept["kind"]), (&json!("invalid_filter"), &json!("unprocessable")));
    assert_eq!(kept["detail"], "no such column");
    let OperationState::Failed(kept) = scene.get(secret.id).await.state else { panic!("it fails") };
    assert!(kept["detail"].as_str().unwrap().contains("on our side"), "{kept}");
}

#[tokio::test]
async fn one_that_waits_is_cancelled_at_once_and_never_begins() {
    let scene = Scene::with_places(9).await;
    let began = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&began);
    let work = async move |_| {
        told.store(true, Ordering::Relaxed);
        Ok(json!(null))
    };
    let started = scene.start(work).await.unwrap();
    let id = started.id.to_string();
    let cancelled = scene.operations.cancel(&scene.owner, &scene.project.id, &id).await.unwrap();
    assert_eq!(cancelled.state, OperationState::Cancelled);
    scene.run_all().await;
    assert!(!began.load(Ordering::Relaxed));
    assert_eq!(scene.get(started.id).await.state, OperationState::Cancelled);
}

#[tokio::test]
async fn one_that_is_cancelled_by_who_goes_away_ends_all_the_same() {
    let scene = Scene::with_places(9).await;
    let started = scene.start(quick).await.unwrap();
    let turn = scene.world.store.write().await.unwrap();
    let id = started.id.to_string();
    let cancel = scene.operations.cancel(&scene.owner, &scene.project.id, &id);
    assert!(tokio::time::timeout(Duration::from_millis(20), cancel).await.is_err(), "the store is busy");
    drop(turn);
    scene.run_all().await;
    assert_eq!(scene.get(started.id).await.state, OperationState::Cancelled);
    assert!(scene.operations.unfinished().await.unwrap().is_empty() && scene.operations.lock().is_empty());
}

#[tokio::test]
async fn one_that_runs_is_dropped_where_it_stands_unless_it_takes_effect_already() {
    let scene = Scene::with_places(9).await;
    let endless = scene.start(async |_| std::future::pending().await).await.unwrap();
    let sealed = scene
        .start(async |running: Running| {
            running.seal()?;
            for _ in 0..9 {
                tokio::task::yield_now().await;
            }
            Ok(json!("done"))
        })
        .await
        .unwrap();
    let work: Vec<Work> = scene.work.lock().unwrap().drain(..).collect();
    let cancel = async {
        tokio::task::yield_now().await;
        for id in [endless.id, sealed.id] {
            scene.operations.cancel(&scene.owner, &scene.project.id, &id.to_string()).await.unwrap();
        }
    };
    futures_util::future::join(futures_util::future::join_all(work), cancel).await;
    assert_eq!(scene.get(endless.id).await.state, OperationState::Cancelled);
    assert_eq!(scene.get(sealed.id).await.state, OperationState::Succeeded(json!("done")));
}

#[tokio::test]
async fn a_full_queue_and_a_greedy_project_are_refused() {
    let scene = Scene::with_places(1).await;
    scene.start(quick).await.unwrap();
    let refused = scene.start(quick).await.unwrap_err();
    assert_eq!((refused.code(), refused.kind()), ("too_many_operations", ErrorKind::Unavailable));

    let scene = Scene::with_places(1_000).await;
    for _ in 0..MAX_OF_PROJECT {
        scene.start(quick).await.unwrap();
    }
    assert_eq!(scene.start(quick).await.unwrap_err().code(), "too_many_operations");
    scene.run_all().await;
    scene.start(quick).await.unwrap();
}

#[tokio::test]
async fn a_new_life_marks_what_the_old_one_left_and_forgets_after_a_week() {
    let scene = Scene::with_places(9).await;
    let left = scene.start(quick).await.unwrap();
    let next = Scene::operations(&scene.world, Held { places: AtomicUsize::new(0), work: Arc::default() }, 2);
    next.mark_interrupted().await.unwrap();
    let found = next.get(&scene.owner, &scene.project.id, &left.id.to_string()).await.unwrap();
    let OperationState::Failed(kept) = &found.state else { panic!("it is marked") };
    assert_eq!((&kept["code"], found.finished_at.is_some()), (&json!("interrupted"), true));
    scene.world.clock.advance(TimeDelta::days(6));
    assert_eq!(next.clean_up().await.unwrap(), 0);
    scene.world.clock.advance(TimeDelta::days(2));
    assert_eq!(next.clean_up().await.unwrap(), 1);
    let gone = next.get(&scene.owner, &scene.project.id, &left.id.to_string()).await.unwrap_err();
    assert_eq!(gone.code(), "operation_not_found");
}

#[tokio::test]
async fn what_another_server_is_at_is_not_interrupted_while_that_lives() {
    let scene = Scene::with_places(9).await;
    let one = scene.world.instance(1);
    one.begin(Over::None).await.unwrap();
    let theirs = scene.start(quick).await.unwrap();
    let next = Scene::operations(&scene.world, Held { places: AtomicUsize::new(0), work: Arc::default() }, 2);
    let get = async || next.get(&scene.owner, &scene.project.id, &theirs.id.to_string()).await.unwrap();
    next.mark_interrupted().await.unwrap();
    assert_eq!(get().await, theirs);
    one.end().await.unwrap();
    next.mark_interrupted().await.unwrap();
    let ended = get().await;
    assert_eq!(ended.state.as_str(), "failed");
    // However often it is said.
    next.mark_interrupted().await.unwrap();
    assert_eq!(get().await, ended);
}

#[tokio::test]
async fn strangers_and_keys_of_one_bucket_see_nothing() {
    let scene = Scene::with_places(9).await;
    let started = scene.start(quick).await.unwrap();
    let (_, stranger) = scene.world.project("q").await;
    let limited = caller(Identity::Known(Principal::Key {
        id: api_key("p", "x").id,
        project: project_id("p"),
        scopes: [Scope::Read, Scope::Write].into(),
        bucket: Some(bucket("main")),
    }));
    let id = started.id.to_string();
    for other in [&stranger, &limited] {
        assert!(matches!(scene.operations.get(other, &scene.project.id, &id).await, Err(UseCaseError::Forbidden)));
        assert!(matches!(scene.operations.cancel(other, &scene.project.id, &id).await, Err(UseCaseError::Forbidden)));
    }
    let own = scene.operations.get(&stranger, &project_id("q"), &id).await.unwrap_err();
    assert_eq!(own.code(), "operation_not_found");
}
