//! Projects over in-memory adapters.

use std::sync::Mutex;

use std::time::Duration;

use chrono::{DateTime, Utc};
use gadwall_domain::commit::{Commit, RowCounts, WriteOrigin};
use gadwall_domain::history::Tag;
use gadwall_domain::ids::SnapshotId;
use gadwall_domain::names::{BucketName, TableName, TagName};
use gadwall_domain::ports::lake::{
    Committed, DroppedTable, LakeError, LakeHistory, LakeWrite, Measured, Measuring, Purge, PurgeError, PurgeReport,
    SnapshotFilter, StoredBucket, StoredTable, TableProfile, TableReader, WriteError,
};
use gadwall_domain::query::QueryError;
use gadwall_domain::rows::RowStream;
use gadwall_domain::selection::Selection;
use gadwall_domain::table::TableRef;

use super::*;
use crate::caller::Identity;
use crate::testing::builders::{bucket, dataset, noon, project, project_id};
use crate::testing::{FixedClock, MemoryMetadata, MemoryResults, SeqIds};
use crate::world::{World, caller};

fn new(id: &str) -> NewProject {
    NewProject::of(project_id(id))
}

#[tokio::test]
async fn a_project_comes_with_its_events_and_a_key_of_which_only_the_digest_stays() {
    let world = World::new();
    let (key, _) = world.project("p").await;
    assert!(key.starts_with("proj_p_admin_") && key.len() == "proj_p_admin_".len() + 32, "{key}");
    assert_eq!(world.events("p").await, ["project.created", "key.created"]);
    assert!(!format!("{:?}", digest(&key)).contains(&key[13..]));
}

#[tokio::test]
async fn only_an_admin_creates_and_lists() {
    let world = World::new();
    let (_, owner) = world.project("p").await;
    let filter = ProjectFilter { status: None, limit: 10, offset: 0 };
    for caller in [owner, caller(Identity::Unknown)] {
        let refused = world.projects.create(&caller, new("q")).await;
        assert!(matches!(refused, Err(UseCaseError::Unauthenticated)));
        assert!(matches!(world.projects.list(&caller, filter).await, Err(UseCaseError::Unauthenticated)));
    }
}

#[tokio::test]
async fn a_taken_id_leaves_no_lake_behind() {
    let world = World::new();
    world.project("p").await;
    let taken = world.projects.create(&world.admin(), new("P")).await;
    assert!(matches!(taken, Err(UseCaseError::ProjectExists { .. })));
    assert_eq!(world.events("p").await.len(), 2);
}

mockall::mock! {
    Lakes {}

    #[async_trait::async_trait]
    impl LakeStore for Lakes {
        async fn create(&self, lake: LakeId) -> Result<(), LakeError>;
        async fn remove(&self, lake: LakeId) -> Result<u64, LakeError>;
        async fn head(&self, lake: LakeId) -> Result<SnapshotId, LakeError>;
        async fn commits_after(&self, lake: LakeId, after: SnapshotId, limit: u32) -> Result<Vec<Commit>, LakeError>;
        async fn kept_bytes(&self, lake: LakeId) -> Result<Option<u64>, LakeError>;
        async fn buckets(&self, lake: LakeId, at: ReadAt) -> Result<Vec<StoredBucket>, LakeError>;
        async fn tables(&self, lake: LakeId, bucket: &BucketName, at: ReadAt) -> Result<Option<Vec<StoredTable>>, LakeError>;
        async fn table(
            &self,
            lake: LakeId,
            bucket: &BucketName,
            table: &TableName,
            at: ReadAt,
        ) -> Result<Option<StoredTable>, LakeError>;
        async fn write(&self, lake: LakeId, write: LakeWrite, origin: WriteOrigin) -> Result<Committed, WriteError>;
        async fn dry_run(&self, lake: LakeId, write: LakeWrite) -> Result<RowCounts, WriteError>;
        async fn purge(
            &self,
            lake: LakeId,
            purge: Purge,
            held: Vec<SnapshotId>,
            origin: WriteOrigin,
        ) -> Result<PurgeReport, PurgeError>;
    }

    #[async_trait::async_trait]
    impl LakeHistory for Lakes {
        async fn snapshot(&self, lake: LakeId, snapshot: SnapshotId) -> Result<Option<Commit>, LakeError>;
        async fn snapshot_at(&self, lake: LakeId, time: DateTime<Utc>) -> Result<Option<SnapshotId>, LakeError>;
        async fn snapshots(&self, lake: LakeId, filter: SnapshotFilter) -> Result<Vec<Commit>, LakeError>;
        async fn dropped(&self, lake: LakeId, bucket: Option<BucketName>) -> Result<Vec<DroppedTable>, LakeError>;
    }

    #[async_trait::async_trait]
    impl TableReader for Lakes {
        async fn rows(
            &self,
            lake: LakeId,
            table: &TableRef,
            selection: Selection,
            at: ReadAt,
            timeout: Duration,
        ) -> Result<(RowStream, SnapshotId), QueryError>;
        async fn changes(
            &self,
            lake: LakeId,
            table: &TableRef,
            from: SnapshotId,
            to: SnapshotId,
            limit: Option<u64>,
            timeout: Duration,
        ) -> Result<RowStream, QueryError>;
        async fn measure(&self, lake: LakeId, measuring: Measuring, timeout: Duration) -> Result<Measured, QueryError>;
        async fn profile(
            &self,
            lake: LakeId,
            table: &TableRef,
            at: ReadAt,
            timeout: Duration,
        ) -> Result<TableProfile, QueryError>;
    }
}

/// Takes an id, as another replica would, at a moment when nobody expects it.
fn take(store: &Arc<MemoryMetadata>, id: &str) {
    let (store, taken) = (Arc::clone(store), project(id));
    let insert = async move {
        let mut tx = store.write().await.unwrap();
        tx.projects().insert(&taken).await.unwrap();
        tx.commit().await.unwrap();
    };
    let elsewhere = || tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(insert);
    std::thread::scope(|scope| scope.spawn(elsewhere).join()).unwrap();
}

#[tokio::test]
async fn whoever_loses_a_race_for_an_id_removes_its_own_lake() {
    let store: Arc<MemoryMetadata> = Arc::default();
    let made: Arc<Mutex<Option<LakeId>>> = Arc::default();
    let mut lakes = MockLakes::new();
    let (rival, lake_made) = (Arc::clone(&store), Arc::clone(&made));
    lakes.expect_create().times(1).returning(move |lake| {
        *lake_made.lock().unwrap() = Some(lake);
        take(&rival, "P");
        Ok(())
    });
    let is_its_own = move |lake: &LakeId| *made.lock().unwrap() == Some(*lake);
    lakes.expect_remove().times(1).withf(is_its_own).returning(|_| Ok(0));
    let world = World::over(Arc::new(FixedClock::at(noon())), Arc::new(lakes), store);
    let lost = world.projects.create(&world.admin(), new("p")).await;
    assert!(matches!(lost, Err(UseCaseError::ProjectExists { .. })));
}

async fn tag_first_snapshot(world: &World, project: &str) {
    let tag = Tag {
        project: project_id(project),
        name: TagName::parse("first").unwrap(),
        snapshot: SnapshotId::new(1).unwrap(),
        description: None,
        created_at: noon(),
        created_by: "admin".to_owned(),
    };
    let mut tx = world.store.write().await.unwrap();
    tx.tags().insert(&tag).await.unwrap();
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn deletion_takes_the_lake_the_keys_the_index_and_the_tags_but_not_the_id() {
    let world = World::new();
    let (key, owner) = world.project("p").await;
    world.buckets.create(&owner, &project_id("p"), bucket("b"), None).await.unwrap();
    let lake = world.projects.get(&owner, &project_id("p")).await.unwrap().lake;
    tag_first_snapshot(&world, "p").await;
    world.projects.delete(&owner, &project_id("p")).await.unwrap();
    assert!(matches!(world.lakes.head(lake).await, Err(LakeError::NoLake)));
    let mut tx = world.store.read().await.unwrap();
    assert!(tx.tags().list(&project_id("p")).await.unwrap().is_empty());
    assert!(tx.lake_index().buckets(&project_id("p"), ReadAt::Head).await.unwrap().is_empty());
    assert_eq!(world.access.authenticate(Some(&key)).await.unwrap(), Identity::Unknown);
    let seen = world.projects.get(&world.admin(), &project_id("p")).await.unwrap();
    assert_eq!((seen.status, seen.size), (ProjectStatus::Deleted, ProjectSize::default()));
    world.projects.delete(&world.admin(), &project_id("p")).await.unwrap();
    assert_eq!(world.events("p").await.iter().filter(|kind| *kind == "project.deleted").count(), 1);
    let taken = world.projects.create(&world.admin(), new("p")).await;
    assert!(matches!(taken, Err(UseCaseError::ProjectExists { status: ProjectStatus::Deleted, .. })));
}

/// Projects that can be brought back for an hour, over the world's stores.
fn lasting(world: &World) -> Projects {
    Projects::new(
        Arc::clone(&world.store) as _,
        Arc::clone(&world.lakes) as _,
        Files { objects: Arc::clone(&world.objects), results: Arc::new(MemoryResults::default()) },
        Arc::clone(&world.access),
        Arc::clone(&world.projection),
        Arc::clone(&world.clock) as _,
        Arc::new(SeqIds::default()),
    )
    .with_undelete_for(TimeDelta::hours(1))
}

#[tokio::test]
async fn a_deleted_project_is_closed_and_can_be_brought_back_whole() {
    let world = World::new();
    let projects = lasting(&world);
    let (key, owner) = world.project("p").await;
    let id = project_id("p");
    world.buckets.create(&owner, &id, bucket("b"), None).await.unwrap();
    assert!(projects.delete(&owner, &id).await.unwrap().was_active);
    assert_eq!(world.access.authenticate(Some(&key)).await.unwrap(), Identity::Unknown);
    assert!(!projects.delete(&world.admin(), &id).await.unwrap().was_active);
    for caller in [&owner, &caller(Identity::Unknown)] {
        assert!(matches!(projects.undelete(caller, &id).await, Err(UseCaseError::Unauthenticated)));
    }
    world.clock.advance(TimeDelta::minutes(59));
    assert_eq!(projects.purge_due().await.unwrap(), PurgeRound::default());
    let back = projects.undelete(&world.admin(), &id).await.unwrap();
    assert_eq!((back.status, back.deletion), (ProjectStatus::Active, None));
    assert!(matches!(world.access.authenticate(Some(&key)).await.unwrap(), Identity::Known(_)));
    assert_eq!(world.buckets.list(&owner, &id).await.unwrap().len(), 1);
    projects.undelete(&world.admin(), &id).await.unwrap();
    assert_eq!(world.events("p").await[3..], ["project.deleted", "project.undeleted"]);
}

/// The project `p` with its lake, deleted for a while.
async fn deleted(world: &World) -> (Projects, ProjectId, LakeId) {
    let projects = lasting(world);
    let (_, owner) = world.project("p").await;
    let id = project_id("p");
    let lake = projects.get(&owner, &id).await.unwrap().lake;
    projects.delete(&owner, &id).await.unwrap();
    (projects, id, lake)
}

#[tokio::test]
async fn after_its_time_a_deleted_project_is_purged_and_its_id_stays_taken() {
    let world = World::new();
    let (projects, id, lake) = deleted(&world).await;
    world.clock.advance(TimeDelta::hours(1));
    let undeleted = projects.undelete(&world.admin(), &id).await;
    assert!(matches!(undeleted, Err(UseCaseError::Deletion(DeletionError::Purged(_)))), "{undeleted:?}");
    assert_eq!(projects.purge_due().await.unwrap().purged, 1);
    assert!(matches!(world.lakes.head(lake).await, Err(LakeError::NoLake)));
    assert_eq!(projects.purge_due().await.unwrap().purged, 0);
    let seen = projects.get(&world.admin(), &id).await.unwrap();
    assert_eq!(seen.deletion.unwrap().purged_at, Some(world.clock.now()));
    let taken = projects.create(&world.admin(), new("P")).await;
    assert!(matches!(taken, Err(UseCaseError::ProjectExists { status: ProjectStatus::Deleted, .. })));
    let audited = world.audited("p").await;
    assert_eq!((audited[0].principal.as_str(), audited[0].operation.as_str()), ("gadwall", "project.purged"));
}

#[tokio::test]
async fn an_admin_purges_at_once_what_is_deleted() {
    let world = World::new();
    let projects = lasting(&world);
    let (_, owner) = world.project("p").await;
    let id = project_id("p");
    let early = projects.purge(&world.admin(), &id).await;
    assert!(matches!(early, Err(UseCaseError::Deletion(DeletionError::InUse(_)))), "{early:?}");
    projects.delete(&owner, &id).await.unwrap();
    assert!(matches!(projects.purge(&owner, &id).await, Err(UseCaseError::Unauthenticated)));
    for _ in 0..2 {
        let purged = projects.purge(&world.admin(), &id).await.unwrap();
        assert!(purged.deletion.unwrap().purged_at.is_some());
    }
    assert_eq!(world.events("p").await.iter().filter(|kind| *kind == "project.purged").count(), 1);
}

#[tokio::test]
async fn a_purge_that_was_cut_short_is_begun_again_when_nobody_is_at_it() {
    let world = World::new();
    let (projects, id, lake) = deleted(&world).await;
    // A server claimed it, and died.
    world.clock.advance(TimeDelta::hours(1));
    let mut project = projects.get(&world.admin(), &id).await.unwrap();
    project.deletion.as_mut().unwrap().claimed_until = Some(world.clock.now() + TimeDelta::minutes(5));
    let mut tx = world.store.write().await.unwrap();
    tx.projects().update(&project).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(projects.purge_due().await.unwrap(), PurgeRound::default());
    assert!(world.lakes.head(lake).await.is_ok());
    world.clock.advance(TimeDelta::minutes(5));
    assert_eq!(projects.purge_due().await.unwrap().purged, 1);
    assert!(matches!(world.lakes.head(lake).await, Err(LakeError::NoLake)));
}

#[tokio::test]
async fn what_comes_late_into_a_purged_project_goes_too() {
    let world = World::new();
    let (projects, id, lake) = deleted(&world).await;
    projects.purge(&world.admin(), &id).await.unwrap();
    world.objects.create_dataset(lake, &dataset("late")).await.unwrap();
    projects.purge_due().await.unwrap();
    assert!(world.objects.datasets(lake).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_commit_of_a_project_that_was_deleted_meanwhile_is_not_answered() {
    let world = World::new();
    let projects = lasting(&world);
    let (_, owner) = world.project("p").await;
    let id = project_id("p");
    let open = projects.get(&owner, &id).await.unwrap();
    let before = world.events("p").await.len();
    projects.delete(&owner, &id).await.unwrap();
    let write = LakeWrite::CreateBucket { bucket: bucket("b"), description: None };
    let committed = world.lakes.write(open.lake, write, owner.origin()).await.unwrap();
    let told = world.projection.catch_up(&open, Some(committed.snapshot)).await;
    assert!(matches!(told, Err(UseCaseError::NoProjectAround(_))), "{told:?}");
    assert_eq!(world.events("p").await[before..], ["project.deleted"]);
}

#[tokio::test]
async fn a_protected_project_is_not_deleted() {
    let world = World::new();
    let (_, owner) = world.project("p").await;
    let id = project_id("p");
    let protect = |on| ProjectChange { deletion_protection: Some(on), ..ProjectChange::default() };
    world.projects.update(&owner, &id, protect(true)).await.unwrap();
    for caller in [&owner, &world.admin()] {
        let kept = world.projects.delete(caller, &id).await;
        assert!(matches!(kept, Err(UseCaseError::Deletion(DeletionError::Protected(_)))), "{kept:?}");
    }
    world.projects.update(&owner, &id, protect(false)).await.unwrap();
    assert!(world.projects.delete(&owner, &id).await.unwrap().was_active);
}

#[tokio::test]
async fn the_default_project_is_made_once() {
    let world = World::new();
    for _ in 0..2 {
        world.projects.ensure_default(&world.admin()).await.unwrap();
    }
    assert_eq!(world.events("default").await, ["project.created"]);
}

#[tokio::test]
async fn what_is_too_long_is_refused() {
    let world = World::new();
    let (_, owner) = world.project("p").await;
    let long = ProjectChange { name: Some("x".repeat(MAX_DISPLAY_NAME + 1)), ..ProjectChange::default() };
    let mut settings = Map::new();
    settings.insert("k".to_owned(), Value::from("x".repeat(MAX_SETTINGS)));
    let large = ProjectChange { settings: Some(settings), ..ProjectChange::default() };
    for change in [long, large] {
        let refused = world.projects.update(&owner, &project_id("p"), change).await;
        assert!(matches!(refused, Err(UseCaseError::Invalid(_))));
    }
}
