//! Projects: create, list, look at, change, delete.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use gadwall_domain::access::{ApiKey, Scope};
use gadwall_domain::events::{LoggedEvent, ProjectFact};
use gadwall_domain::history::ReadAt;
use gadwall_domain::ids::{ApiKeyId, LakeId};
use gadwall_domain::names::ProjectId;
use gadwall_domain::ports::lake::LakeStore;
use gadwall_domain::ports::metadata::{MetadataStore, ProjectFilter, StoreError};
use gadwall_domain::ports::objects::ObjectStorage;
use gadwall_domain::ports::results::ResultStore;
use gadwall_domain::ports::system::{Clock, IdGenerator};
use gadwall_domain::project::{MAX_DISPLAY_NAME, Project, ProjectSize, ProjectStatus};
use serde_json::{Map, Value};

use crate::access::{Access, digest};
use crate::caller::Caller;
use crate::datasets::DatasetError;
use crate::error::UseCaseError;
use crate::projection::Projection;
use crate::record::{MARK, mark, record};

/// Largest `settings`, as JSON text.
const MAX_SETTINGS: usize = 64 * 1024;
/// Deleted projects looked at in one go when unfinished deletions are finished.
const DELETED_AT_ONCE: u32 = 500;

/// What a new project should be.
#[derive(Debug, Clone, PartialEq)]
pub struct NewProject {
    /// Its id.
    pub id: ProjectId,
    /// Display name.
    pub name: Option<String>,
    /// Settings to keep.
    pub settings: Option<Map<String, Value>>,
}

/// What to change of a project; what is `None` stays.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ProjectChange {
    /// Display name.
    pub name: Option<String>,
    /// Settings to keep.
    pub settings: Option<Map<String, Value>>,
}

/// A new project and its first key, which is shown only now.
pub struct CreatedProject {
    /// The project.
    pub project: Project,
    /// The key's text; none when an earlier answer, which may have been lost, has shown it.
    pub api_key: Option<String>,
}

impl fmt::Debug for CreatedProject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CreatedProject").field("project", &self.project).finish_non_exhaustive()
    }
}

/// Where a project's files lie.
#[derive(Clone)]
pub struct Files {
    /// Its datasets.
    pub objects: Arc<dyn ObjectStorage>,
    /// Results of its queries.
    pub results: Arc<dyn ResultStore>,
}

impl fmt::Debug for Files {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Files")
    }
}

/// The use cases of projects.
pub struct Projects {
    store: Arc<dyn MetadataStore>,
    lakes: Arc<dyn LakeStore>,
    files: Files,
    access: Arc<Access>,
    projection: Arc<Projection>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn IdGenerator>,
}

impl fmt::Debug for Projects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Projects")
    }
}

impl Projects {
    /// Works on these stores.
    pub fn new(
        store: Arc<dyn MetadataStore>,
        lakes: Arc<dyn LakeStore>,
        files: Files,
        access: Arc<Access>,
        projection: Arc<Projection>,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn IdGenerator>,
    ) -> Self {
        Self { store, lakes, files, access, projection, clock, ids }
    }

    /// Creates a project with its lake and its first key.
    #[tracing::instrument(skip_all, fields(project.id = %new.id))]
    pub async fn create(&self, caller: &Caller, new: NewProject) -> Result<CreatedProject, UseCaseError> {
        caller.require_admin()?;
        let id = new.id.clone();
        let created = async {
            let project = self.lay_out(new).await?;
            let (key, text) = self.first_key(&project);
            let facts = [ProjectFact::Created, ProjectFact::KeyCreated(key.id)];
            self.insert(caller, &project, Some(&key), &facts).await?;
            Ok(CreatedProject { project, api_key: Some(text) })
        };
        match created.await {
            Err(taken @ UseCaseError::ProjectExists { .. }) => {
                let project = self.created_before(caller, &id).await?.ok_or(taken)?;
                Ok(CreatedProject { project, api_key: None })
            }
            done => done,
        }
    }

    /// The project, if this very request created it and its answer was lost.
    async fn created_before(&self, caller: &Caller, id: &ProjectId) -> Result<Option<Project>, UseCaseError> {
        let Some(mark) = mark(caller) else { return Ok(None) };
        let mut tx = self.store.read().await?;
        let events = tx.events().read_after(id, 0, 1).await?;
        let same = |event: &LoggedEvent| event.data.get(MARK).and_then(Value::as_str) == Some(&mark);
        if !events.first().is_some_and(same) {
            return Ok(None);
        }
        Ok(tx.projects().find(id).await?.filter(|project| project.status == ProjectStatus::Active))
    }

    /// Creates the project `default` unless it is there. It has no key of its own: it is the admin's.
    pub async fn ensure_default(&self, caller: &Caller) -> Result<(), UseCaseError> {
        caller.require_admin()?;
        let new = NewProject { id: ProjectId::default_project(), name: Some("Default".to_owned()), settings: None };
        let project = match self.lay_out(new).await {
            Err(UseCaseError::ProjectExists { .. }) => return Ok(()),
            project => project?,
        };
        match self.insert(caller, &project, None, &[ProjectFact::Created]).await {
            // Another replica was faster.
            Err(UseCaseError::ProjectExists { .. }) => Ok(()),
            done => done,
        }
    }

    /// Checks what the project should be and makes its lake.
    async fn lay_out(&self, new: NewProject) -> Result<Project, UseCaseError> {
        check_name(new.name.as_deref())?;
        check_settings(new.settings.as_ref())?;
        if let Some(taken) = self.store.read().await?.projects().find(&new.id).await? {
            return Err(UseCaseError::ProjectExists { id: taken.id, status: taken.status });
        }
        let now = self.clock.now();
        let lake = LakeId::new(self.ids.next_id());
        self.lakes.create(lake).await?;
        Ok(Project {
            id: new.id,
            lake,
            name: new.name,
            settings: new.settings,
            status: ProjectStatus::Active,
            created_at: now,
            updated_at: now,
            size: ProjectSize::default(),
        })
    }

    fn first_key(&self, project: &Project) -> (ApiKey, String) {
        let text = format!("proj_{}_admin_{}", project.id, hex::encode(self.ids.secret()));
        let key = ApiKey {
            id: ApiKeyId::new(self.ids.next_id()),
            project: project.id.clone(),
            name: "admin".to_owned(),
            scopes: BTreeSet::from([Scope::Read, Scope::Write, Scope::Manage]),
            bucket: None,
            digest: digest(&text),
            created_at: project.created_at,
            expires_at: None,
            revoked_at: None,
            created_by: "admin".to_owned(),
            last_used_at: None,
            replaced: None,
            request_digest: None,
        };
        (key, text)
    }

    /// Stores the project; if that fails, its lake goes again.
    async fn insert(
        &self,
        caller: &Caller,
        project: &Project,
        key: Option<&ApiKey>,
        facts: &[ProjectFact],
    ) -> Result<(), UseCaseError> {
        let stored = async {
            let mut tx = self.store.write().await?;
            tx.projects().insert(project).await?;
            if let Some(key) = key {
                tx.keys().insert(key).await?;
            }
            record(&mut *tx, caller, &project.id, self.clock.now(), facts).await?;
            tx.commit().await
        };
        let Err(error) = stored.await else { return Ok(()) };
        if let Err(leftover) = self.lakes.remove(project.lake).await {
            tracing::warn!(error = %leftover, lake = %project.lake, "the lake of a project that was not created stays behind");
        }
        Err(match error {
            StoreError::AlreadyExists => {
                UseCaseError::ProjectExists { id: project.id.clone(), status: ProjectStatus::Active }
            }
            other => other.into(),
        })
    }

    /// A page of projects, newest first, and how many match.
    pub async fn list(&self, caller: &Caller, filter: ProjectFilter) -> Result<(Vec<Project>, u64), UseCaseError> {
        caller.require_admin()?;
        Ok(self.store.read().await?.projects().list(filter).await?)
    }

    /// A project; for an admin also a deleted one.
    pub async fn get(&self, caller: &Caller, id: &ProjectId) -> Result<Project, UseCaseError> {
        let mut project = self.access.open_any(caller, id, Scope::Read).await?;
        if project.status == ProjectStatus::Active {
            project.size = self.measure(&project).await?;
        }
        Ok(project)
    }

    /// Changes a project's name and settings.
    #[tracing::instrument(skip_all, fields(project.id = %id))]
    pub async fn update(
        &self,
        caller: &Caller,
        id: &ProjectId,
        change: ProjectChange,
    ) -> Result<Project, UseCaseError> {
        check_name(change.name.as_deref())?;
        check_settings(change.settings.as_ref())?;
        let mut project = self.access.open_any(caller, id, Scope::Manage).await?;
        caller.require_whole_project()?;
        if project.status == ProjectStatus::Deleted {
            return Err(UseCaseError::NoProject(id.clone()));
        }
        if change == ProjectChange::default() {
            return Ok(project);
        }
        project.name = change.name.or(project.name);
        project.settings = change.settings.or(project.settings);
        project.updated_at = self.clock.now();
        let mut tx = self.store.write().await?;
        tx.projects().update(&project).await?;
        record(&mut *tx, caller, &project.id, self.clock.now(), &[ProjectFact::Updated]).await?;
        tx.commit().await?;
        Ok(project)
    }

    /// Deletes a project: its keys stop working at once, then its data goes. Its id stays taken.
    #[tracing::instrument(skip_all, fields(project.id = %id))]
    pub async fn delete(&self, caller: &Caller, id: &ProjectId) -> Result<(), UseCaseError> {
        if *id == ProjectId::default_project() {
            caller.require_admin()?;
            return Err(UseCaseError::DefaultProject);
        }
        let mut project = self.access.open_any(caller, id, Scope::Manage).await?;
        caller.require_whole_project()?;
        if project.status == ProjectStatus::Deleted {
            return Ok(());
        }
        let now = self.clock.now();
        project.status = ProjectStatus::Deleted;
        project.updated_at = now;
        let mut tx = self.store.write().await?;
        tx.projects().update(&project).await?;
        tx.projects().record_size(&project.id, ProjectSize::default()).await?;
        tx.keys().revoke_all(&project.id, now).await?;
        tx.lake_index().clear(&project.id).await?;
        tx.tags().clear(&project.id).await?;
        tx.sharing().forget_project(&project.id).await?;
        tx.queries().keep_newest(&project.id, 0).await?;
        record(&mut *tx, caller, &project.id, self.clock.now(), &[ProjectFact::Deleted]).await?;
        tx.commit().await?;
        self.projection.forget(project.lake);
        // The project is gone for everyone by now; data that can't be removed yet is removed at the next start.
        if let Err(error) = self.remove_data(project.lake).await {
            tracing::warn!(error = %error, lake = %project.lake, "a deleted project's data stays until the next start");
        }
        Ok(())
    }

    /// Removes the data of deleted projects that an earlier life of the process left behind.
    pub async fn finish_deletions(&self) -> Result<(), UseCaseError> {
        let mut offset = 0;
        loop {
            let filter = ProjectFilter { status: Some(ProjectStatus::Deleted), limit: DELETED_AT_ONCE, offset };
            let (deleted, _) = self.store.read().await?.projects().list(filter).await?;
            if deleted.is_empty() {
                return Ok(());
            }
            offset += deleted.len() as u64;
            for project in deleted {
                self.remove_data(project.lake).await?;
            }
        }
    }

    /// Removes tables and files; one even where the other can't be.
    async fn remove_data(&self, lake: LakeId) -> Result<(), UseCaseError> {
        let tables = self.lakes.remove(lake).await;
        let results = self.files.results.remove_all(lake).await;
        self.files.objects.remove_all(lake).await.map_err(DatasetError::from)?;
        results?;
        Ok(tables?)
    }

    /// Counts what a project holds, now, and keeps the counters.
    pub async fn stats(&self, caller: &Caller, id: &ProjectId) -> Result<(Project, ProjectSize), UseCaseError> {
        let project = match self.access.open(caller, id, Scope::Read).await {
            Err(UseCaseError::NoProjectAround(id)) => return Err(UseCaseError::NoProject(id)),
            project => project?,
        };
        let size = self.measure(&project).await?;
        self.keep_size(&project.id, size).await?;
        Ok((project, size))
    }

    /// Takes the counters again after tables or buckets came or went.
    pub(crate) async fn refresh_size(&self, project: &Project) -> Result<(), UseCaseError> {
        let size = self.measure(project).await?;
        Ok(self.keep_size(&project.id, size).await?)
    }

    async fn keep_size(&self, id: &ProjectId, size: ProjectSize) -> Result<(), StoreError> {
        let mut tx = self.store.write().await?;
        tx.projects().record_size(id, size).await?;
        tx.commit().await
    }

    async fn measure(&self, project: &Project) -> Result<ProjectSize, UseCaseError> {
        let buckets = self.lakes.buckets(project.lake, ReadAt::Head).await?;
        Ok(ProjectSize {
            size_bytes: buckets.iter().map(|bucket| bucket.size_bytes).sum(),
            table_count: buckets.iter().map(|bucket| bucket.table_count).sum(),
            bucket_count: buckets.len() as u64,
        })
    }
}

fn check_name(name: Option<&str>) -> Result<(), UseCaseError> {
    match name {
        Some(name) if name.chars().count() > MAX_DISPLAY_NAME || name.contains('\0') => {
            Err(UseCaseError::Invalid(format!("name has at most {MAX_DISPLAY_NAME} characters, and no NUL")))
        }
        _ => Ok(()),
    }
}

fn check_settings(settings: Option<&Map<String, Value>>) -> Result<(), UseCaseError> {
    let size = settings.map_or(0, |settings| serde_json::to_string(settings).map_or(usize::MAX, |text| text.len()));
    if size > MAX_SETTINGS {
        return Err(UseCaseError::Invalid(format!("settings is at most {MAX_SETTINGS} bytes as JSON")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use std::time::Duration;

    use chrono::{DateTime, Utc};
    use gadwall_domain::commit::{Commit, RowCounts, WriteOrigin};
    use gadwall_domain::history::Tag;
    use gadwall_domain::ids::SnapshotId;
    use gadwall_domain::names::{BucketName, TableName, TagName};
    use gadwall_domain::ports::lake::{
        Committed, DroppedTable, LakeError, LakeHistory, LakeWrite, Purge, PurgeError, PurgeReport, SnapshotFilter,
        StoredBucket, StoredTable, TableProfile, TableReader, WriteError,
    };
    use gadwall_domain::query::QueryError;
    use gadwall_domain::rows::RowStream;
    use gadwall_domain::selection::Selection;
    use gadwall_domain::table::TableRef;

    use super::*;
    use crate::caller::Identity;
    use crate::testing::builders::{bucket, noon, project, project_id};
    use crate::testing::{FixedClock, MemoryMetadata};
    use crate::world::{World, caller};

    fn new(id: &str) -> NewProject {
        NewProject { id: project_id(id), name: None, settings: None }
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
            async fn remove(&self, lake: LakeId) -> Result<(), LakeError>;
            async fn head(&self, lake: LakeId) -> Result<SnapshotId, LakeError>;
            async fn commits_after(&self, lake: LakeId, after: SnapshotId, limit: u32) -> Result<Vec<Commit>, LakeError>;
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
        lakes.expect_remove().times(1).withf(is_its_own).returning(|_| Ok(()));
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

    #[tokio::test]
    async fn a_deletion_that_was_cut_short_is_finished_at_the_next_start() {
        let world = World::new();
        let (_, owner) = world.project("p").await;
        let mut project = world.projects.get(&owner, &project_id("p")).await.unwrap();
        project.status = ProjectStatus::Deleted;
        let mut tx = world.store.write().await.unwrap();
        tx.projects().update(&project).await.unwrap();
        tx.commit().await.unwrap();
        assert!(world.lakes.head(project.lake).await.is_ok());
        world.projects.finish_deletions().await.unwrap();
        assert!(matches!(world.lakes.head(project.lake).await, Err(LakeError::NoLake)));
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
        let long = ProjectChange { name: Some("x".repeat(MAX_DISPLAY_NAME + 1)), settings: None };
        let mut settings = Map::new();
        settings.insert("k".to_owned(), Value::from("x".repeat(MAX_SETTINGS)));
        let large = ProjectChange { name: None, settings: Some(settings) };
        for change in [long, large] {
            let refused = world.projects.update(&owner, &project_id("p"), change).await;
            assert!(matches!(refused, Err(UseCaseError::Invalid(_))));
        }
    }
}
