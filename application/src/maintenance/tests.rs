//! Maintenance over fakes: who is kept, and whose turn it is.

use std::sync::Mutex;

use chrono::TimeDelta;
use gadwall_domain::history::Tag;
use gadwall_domain::ids::SnapshotId;
use gadwall_domain::names::TagName;
use gadwall_domain::operation::OperationState;
use gadwall_domain::ports::background::{Background, BackgroundFull, Place, Work};
use gadwall_domain::ports::lake::{LakeStore as _, LakeWrite};
use gadwall_domain::ports::metadata::StoreError;

use super::*;
use crate::testing::builders::{bucket, noon, origin, project_id};
use crate::testing::{FixedClock, MemoryLake, SeqIds};
use crate::world::World;

/// Holds work back until it is asked for.
#[derive(Default)]
struct Held(Arc<Mutex<Vec<Work>>>);

impl Background for Held {
    fn reserve(&self) -> Result<Box<dyn Place>, BackgroundFull> {
        Ok(Box::new(Self(Arc::clone(&self.0))))
    }
}

impl Place for Held {
    fn start(self: Box<Self>, _: &'static str, work: Work) {
        self.0.lock().unwrap().push(work);
    }
}

/// Nobody follows a table, or somebody does.
struct Followers(Option<SnapshotId>);

#[async_trait::async_trait]
impl SnapshotHolds for Followers {
    async fn oldest_needed(&self, _: &ProjectId) -> Result<Option<SnapshotId>, StoreError> {
        Ok(self.0)
    }
}

struct Scene {
    world: World,
    owner: Caller,
    lake: Arc<MemoryLake>,
    project: Project,
    maintenance: Maintenance,
    work: Arc<Mutex<Vec<Work>>>,
}

impl Scene {
    /// A project with ten snapshots after the first, one an hour.
    async fn new(followed: Option<u64>) -> Self {
        let clock = Arc::new(FixedClock::at(noon()));
        let lake = Arc::new(MemoryLake::new(Arc::clone(&clock) as _));
        let world = World::over(clock, Arc::clone(&lake) as _, Arc::default());
        let (_, owner) = world.project("p").await;
        let project = world.access.open(&owner, &project_id("p"), Scope::Read).await.unwrap();
        for number in 0..10 {
            world.clock.advance(TimeDelta::hours(1));
            let write = LakeWrite::CreateBucket { bucket: bucket(&format!("b{number}")), description: None };
            lake.write(project.lake, write, origin("r")).await.unwrap();
        }
        let background = Held::default();
        let work = Arc::clone(&background.0);
        let operations = Operations::new(
            Arc::clone(&world.store) as _,
            Arc::clone(&world.access),
            Arc::clone(&world.clock) as _,
            Arc::new(SeqIds::default()),
            Arc::new(background),
            world.instance(1),
        );
        let maintenance = Maintenance::new(Parts {
            store: Arc::clone(&world.store) as _,
            maintenance: Arc::clone(&lake) as _,
            access: Arc::clone(&world.access),
            projection: Arc::clone(&world.projection),
            projects: Arc::clone(&world.projects),
            operations: Arc::new(operations),
            followers: Arc::new(Followers(followed.map(|number| SnapshotId::new(number.cast_signed()).unwrap()))),
            clock: Arc::clone(&world.clock) as _,
            ids: Arc::new(SeqIds::default()),
            measured: Arc::new(Measured::new(Arc::clone(&world.clock) as _, false)),
            settings: MaintenanceSettings {
                defaults: MaintenancePolicy::default()
                    .with(&PolicyChanges {
                        keep_snapshots: Some(2),
                        keep_snapshots_for_seconds: Some(3 * 3_600),
                        ..PolicyChanges::default()
                    })
                    .unwrap(),
                jitter: Duration::ZERO,
                keep_files_for: Duration::from_hours(24),
            },
        });
        Self { world, owner, lake, project, maintenance, work }
    }

    async fn work(&self) {
        let all = std::mem::take(&mut *self.work.lock().unwrap());
        for work in all {
            work.await;
        }
    }

    async fn run(&self) -> Operation {
        let begun = self.maintenance.run(&self.owner, &self.project.id, None).await.unwrap();
        self.work().await;
        self.maintenance.find(&self.owner, &self.project.id, &begun.id.to_string()).await.unwrap()
    }

    async fn kept(&self) -> Vec<u64> {
        let settings = self.maintenance.parts.settings;
        let told = self.lake.condition(self.project.lake, settings.defaults, settings.floors()).await.unwrap();
        told.snapshots.into_iter().map(|kept| kept.id.get()).collect()
    }

    async fn tag(&self, number: i64) {
        let tag = Tag {
            project: self.project.id.clone(),
            name: TagName::parse(&format!("t{number}")).unwrap(),
            snapshot: SnapshotId::new(number).unwrap(),
            description: None,
            created_at: noon(),
            created_by: "admin".to_owned(),
        };
        let mut tx = self.world.store.write().await.unwrap();
        tx.tags().insert(&tag).await.unwrap();
        tx.commit().await.unwrap();
    }
}

#[tokio::test]
async fn only_what_nobody_needs_ends_and_the_index_knows_it_all() {
    let scene = Scene::new(None).await;
    scene.tag(3).await;
    let done = scene.run().await;
    let OperationState::Succeeded(report) = done.state else { panic!("{done:?}") };
    assert_eq!(scene.kept().await, [3, 8, 9, 10]);
    assert_eq!(report["steps"]["expire_snapshots"]["snapshots_expired"], 7, "{report}");
    let mut tx = scene.world.store.read().await.unwrap();
    assert_eq!(tx.lake_index().applied(&scene.project.id).await.unwrap().get(), 10);
    assert_eq!(scene.world.events("p").await.last().map(String::as_str), Some("maintenance.completed"));
    let figures = scene.maintenance.parts.measured.maintenance();
    assert_eq!((figures.runs, figures.failures), (1, 0));
}

#[tokio::test]
async fn while_a_backup_is_made_nothing_ends_and_no_file_goes() {
    let scene = Scene::new(None).await;
    scene.world.project("other").await;
    let mut backup = Operation {
        id: OperationId::new(uuid::Uuid::from_u128(1)),
        project: project_id("other"),
        kind: OperationKind::Backup,
        subject: "create".to_owned(),
        started_by: "admin".to_owned(),
        request_id: scene.owner.request_id.clone(),
        created_at: noon(),
        finished_at: None,
        state: OperationState::Running,
        progress: gadwall_domain::operation::Progress::default(),
        instance: uuid::Uuid::nil(),
    };
    let mut tx = scene.world.store.write().await.unwrap();
    tx.operations().insert(&backup).await.unwrap();
    tx.commit().await.unwrap();
    let OperationState::Succeeded(report) = scene.run().await.state else { panic!("a run") };
    assert_eq!(scene.kept().await.len(), 11);
    for step in ["delete_files", "delete_orphans"] {
        assert_eq!(report["steps"][step]["slices"], 0, "{report}");
    }

    backup.state = OperationState::Cancelled;
    backup.finished_at = Some(noon());
    let mut tx = scene.world.store.write().await.unwrap();
    tx.operations().update(&backup).await.unwrap();
    tx.commit().await.unwrap();
    let OperationState::Succeeded(report) = scene.run().await.state else { panic!("a run") };
    assert!(scene.kept().await.len() < 11);
    assert_eq!(report["steps"]["delete_files"]["slices"], 1, "{report}");
}

#[tokio::test]
async fn whoever_follows_a_table_keeps_all_after_it() {
    let scene = Scene::new(Some(2)).await;
    scene.run().await;
    assert_eq!(scene.kept().await, [2, 3, 4, 5, 6, 7, 8, 9, 10]);
}

#[tokio::test]
async fn nobody_begins_to_hold_what_is_about_to_end() {
    let scene = Scene::new(None).await;
    let needs = scene.maintenance.parts.needs();
    let settings = scene.maintenance.parts.settings;
    let kept = scene.lake.condition(scene.project.lake, settings.defaults, settings.floors()).await.unwrap().snapshots;
    let ending = needs.doom(&scene.project.id, &kept, &settings.defaults).await.unwrap();
    assert_eq!(ending.len(), 8);
    let mut tx = scene.world.store.write().await.unwrap();
    for (number, later, expected) in [(3, false, true), (9, false, false), (9, true, false), (0, true, true)] {
        let told = ends(&mut *tx, &scene.project.id, SnapshotId::new(number).unwrap(), later).await.unwrap();
        assert_eq!(told, expected, "{number} {later}");
    }
    drop(tx);
    needs.ended(&scene.project.id).await.unwrap();
    let mut tx = scene.world.store.write().await.unwrap();
    assert!(!ends(&mut *tx, &scene.project.id, SnapshotId::new(3).unwrap(), false).await.unwrap());
}

#[tokio::test]
async fn one_run_at_a_time_and_none_while_paused() {
    let scene = Scene::new(None).await;
    let id = &scene.project.id;
    scene.maintenance.run(&scene.owner, id, None).await.unwrap();
    let again = scene.maintenance.run(&scene.owner, id, None).await;
    assert!(matches!(again, Err(UseCaseError::Maintenance(MaintenanceError::AlreadyRunning { .. }))), "{again:?}");
    scene.maintenance.pause(&scene.owner, id).await.unwrap();
    scene.work().await;
    assert_eq!(scene.kept().await.len(), 11, "what was begun ends at once");
    let paused = scene.maintenance.run(&scene.owner, id, None).await;
    assert!(matches!(paused, Err(UseCaseError::Maintenance(MaintenanceError::Paused(_)))), "{paused:?}");
    scene.maintenance.resume(&scene.owner, id).await.unwrap();
    scene.run().await;
}

#[tokio::test]
async fn a_project_is_maintained_by_itself_once_its_time_has_come() {
    let scene = Scene::new(None).await;
    assert_eq!(scene.maintenance.tick().await.unwrap(), 0, "it gets its time first");
    let next = scene.maintenance.look(&scene.owner, &scene.project.id).await.unwrap().next_at.unwrap();
    assert_eq!(next, scene.world.clock.now() + TimeDelta::hours(6));
    assert_eq!(scene.maintenance.tick().await.unwrap(), 0);
    scene.world.clock.set(next);
    assert_eq!(scene.maintenance.tick().await.unwrap(), 1);
    assert_eq!(scene.maintenance.tick().await.unwrap(), 0, "once");
    scene.work().await;
    let runs = scene.maintenance.runs(&scene.owner, &scene.project.id, None, 10).await.unwrap();
    assert_eq!((runs.len(), runs[0].started_by.as_str()), (1, "gadwall"));
    let off = PolicyChanges { enabled: Some(false), ..PolicyChanges::default() };
    scene.maintenance.set_policy(&scene.owner, &scene.project.id, off).await.unwrap();
    scene.world.clock.advance(TimeDelta::days(9));
    for _ in 0..3 {
        assert_eq!(scene.maintenance.tick().await.unwrap(), 0);
        scene.world.clock.advance(TimeDelta::days(9));
    }
}
