//! Projects: create, list, look at, change, delete.

mod deletion;
mod error;
mod quota;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use chrono::TimeDelta;
use gadwall_domain::access::{ApiKey, Scope};
use gadwall_domain::events::{LoggedEvent, ProjectFact};
use gadwall_domain::history::ReadAt;
use gadwall_domain::ids::{ApiKeyId, LakeId};
use gadwall_domain::names::ProjectId;
use gadwall_domain::ports::lake::LakeStore;
use gadwall_domain::ports::metadata::{MetadataStore, MetadataTx, ProjectFilter, StoreError};
use gadwall_domain::ports::objects::ObjectStorage;
use gadwall_domain::ports::results::ResultStore;
use gadwall_domain::ports::system::{Clock, IdGenerator};
use gadwall_domain::project::{MAX_DISPLAY_NAME, Project, ProjectSize, ProjectStatus};
use gadwall_domain::quota::Quota;
use serde_json::{Map, Value};

use crate::access::{Access, digest};
use crate::caller::Caller;
use crate::error::UseCaseError;
use crate::projection::Projection;
use crate::queries::RunningQueries;
use crate::quotas::Quotas;
use crate::record::{MARK, mark, record};

pub use deletion::{DeletedNow, PurgeRound};
pub use error::DeletionError;
pub use quota::Limit;

/// Largest `settings`, as JSON text.
const MAX_SETTINGS: usize = 64 * 1024;

/// What a new project should be.
#[derive(Debug, Clone, PartialEq)]
pub struct NewProject {
    /// Its id.
    pub id: ProjectId,
    /// Display name.
    pub name: Option<String>,
    /// Settings to keep.
    pub settings: Option<Map<String, Value>>,
    /// Whether it can't be deleted until this is taken back.
    pub deletion_protection: bool,
}

impl NewProject {
    /// One of that id and nothing else.
    pub fn of(id: ProjectId) -> Self {
        Self { id, name: None, settings: None, deletion_protection: false }
    }
}

/// What to change of a project; what is `None` stays.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ProjectChange {
    /// Display name.
    pub name: Option<String>,
    /// Settings to keep.
    pub settings: Option<Map<String, Value>>,
    /// Whether it can't be deleted until this is taken back.
    pub deletion_protection: Option<bool>,
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
    /// How long a deleted project can be brought back.
    undelete_for: TimeDelta,
    running: Option<Arc<RunningQueries>>,
    quotas: Arc<Quotas>,
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
        let undelete_for = TimeDelta::zero();
        let quotas = Quotas::none(Arc::clone(&clock));
        Self { store, lakes, files, access, projection, clock, ids, undelete_for, running: None, quotas }
    }

    /// The same, with deleted projects that can be brought back for so long.
    #[must_use]
    pub fn with_undelete_for(self, undelete_for: TimeDelta) -> Self {
        Self { undelete_for, ..self }
    }

    /// The same, with queries that a deletion stops.
    #[must_use]
    pub fn with_running(self, running: Arc<RunningQueries>) -> Self {
        Self { running: Some(running), ..self }
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
        let new = NewProject { name: Some("Default".to_owned()), ..NewProject::of(ProjectId::default_project()) };
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
            deletion_protection: new.deletion_protection,
            deletion: None,
            created_at: now,
            updated_at: now,
            size: ProjectSize::default(),
            quota: Quota::default(),
        })
    }

    fn first_key(&self, project: &Project) -> (ApiKey, String) {
        let text = format!("proj_{}_admin_{}", project.id, hex::encode(self.ids.secret()));
        let id = ApiKeyId::new(self.ids.next_id());
        let key = ApiKey::of_whole_project(id, project.id.clone(), "admin", digest(&text), project.created_at);
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
        let project = self.access.open_any(caller, id, Scope::Manage).await?;
        caller.require_whole_project()?;
        if change == ProjectChange::default() && project.status == ProjectStatus::Active {
            return Ok(project);
        }
        let mut tx = self.store.write().await?;
        // As it is now: others may have changed or deleted it since.
        let mut project = find_active(&mut *tx, id).await?;
        project.name = change.name.or(project.name);
        project.settings = change.settings.or(project.settings);
        project.deletion_protection = change.deletion_protection.unwrap_or(project.deletion_protection);
        project.updated_at = self.clock.now();
        tx.projects().update(&project).await?;
        record(&mut *tx, caller, &project.id, self.clock.now(), &[ProjectFact::Updated]).await?;
        tx.commit().await?;
        Ok(project)
    }

    /// Counts what a project holds, now, and keeps the counters.
    pub async fn stats(&self, caller: &Caller, id: &ProjectId) -> Result<(Project, ProjectSize), UseCaseError> {
        let project = match self.access.open(caller, id, Scope::Read).await {
            Err(UseCaseError::NoProjectAround(id)) => return Err(UseCaseError::NoProject(id)),
            project => project?,
        };
        let size = self.counted(&project).await?;
        Ok((project, size))
    }

    /// Takes the counters again after tables or buckets came or went.
    pub(crate) async fn refresh_size(&self, project: &Project) -> Result<(), UseCaseError> {
        self.counted(project).await.map(drop)
    }

    /// Counts what a project holds, and keeps the counters.
    pub(crate) async fn counted(&self, project: &Project) -> Result<ProjectSize, UseCaseError> {
        let size = self.measured(project).await?;
        self.keep_size(&project.id, size).await?;
        Ok(size)
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

/// The project that is always there: operations are of it that are of no other.
pub(crate) async fn default_project(store: &dyn MetadataStore) -> Result<Project, UseCaseError> {
    let own = ProjectId::default_project();
    let found = store.read().await?.projects().find(&own).await?;
    found.ok_or(UseCaseError::NoProject(own))
}

/// Projects by their names, or all that are in use, by name.
pub(crate) async fn in_use(store: &dyn MetadataStore, names: Vec<ProjectId>) -> Result<Vec<Project>, UseCaseError> {
    const PAGE: u32 = 500;
    let mut tx = store.read().await?;
    let mut all: Vec<Project> = Vec::new();
    if names.is_empty() {
        loop {
            let offset = all.len() as u64;
            let filter = ProjectFilter { status: Some(ProjectStatus::Active), limit: PAGE, offset };
            let (page, _) = tx.projects().list(filter).await?;
            if page.is_empty() {
                all.sort_by(|a, b| a.id.cmp(&b.id));
                return Ok(all);
            }
            all.extend(page);
        }
    }
    for name in names {
        let found = find_active(&mut *tx, &name).await?;
        if !all.iter().any(|other| other.id == found.id) {
            all.push(found);
        }
    }
    Ok(all)
}

/// A project that is in use.
async fn find_active(tx: &mut dyn MetadataTx, id: &ProjectId) -> Result<Project, UseCaseError> {
    let found = tx.projects().find(id).await?.filter(|project| project.status == ProjectStatus::Active);
    found.ok_or_else(|| UseCaseError::NoProject(id.clone()))
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
