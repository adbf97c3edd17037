//! Datasets and their objects: create, list, store, read, delete.

mod error;
mod presign;
mod room;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use gadwall_domain::access::Scope;
use gadwall_domain::dataset::{DatasetName, ObjectInfo, ObjectName, Precondition};
use gadwall_domain::names::ProjectId;
use gadwall_domain::ports::objects::{Content, ObjectQuery, ObjectStorage, OpenObject, PutOptions, Stored};
use gadwall_domain::project::Project;
use gadwall_domain::quota::QuotaKind;

use crate::access::Access;
use crate::caller::Caller;
use crate::error::UseCaseError;
use crate::projects::Projects;

pub(crate) use error::{about_dataset, about_object};

pub use error::DatasetError;
pub use presign::PresignMethod;

/// The use cases of datasets.
pub struct Datasets {
    objects: Arc<dyn ObjectStorage>,
    access: Arc<Access>,
    projects: Option<Arc<Projects>>,
}

impl fmt::Debug for Datasets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Datasets")
    }
}

/// A name that takes an object: opened and authorised before the first byte of it is read.
#[derive(Debug)]
pub struct OpenForPut {
    caller: Caller,
    project: Project,
    dataset: DatasetName,
    object: ObjectName,
}

impl Datasets {
    /// Works on this storage.
    pub fn new(objects: Arc<dyn ObjectStorage>, access: Arc<Access>) -> Self {
        Self { objects, access, projects: None }
    }

    /// The same, within the limits of projects.
    #[must_use]
    pub fn with_projects(self, projects: Arc<Projects>) -> Self {
        Self { projects: Some(projects), ..self }
    }

    /// Creates a dataset.
    #[tracing::instrument(skip_all, fields(project.id = %project, dataset.name = %dataset))]
    pub async fn create(
        &self,
        caller: &Caller,
        project: &ProjectId,
        dataset: &DatasetName,
    ) -> Result<(), UseCaseError> {
        let project = self.open(caller, project, Scope::Manage).await?;
        let created = self.objects.create_dataset(project.lake, dataset).await;
        created.map_err(about_dataset(&project.id, dataset))?;
        self.access.record(caller, &project.id, "dataset.created", dataset.to_string()).await
    }

    /// The project's datasets by name.
    pub async fn list(&self, caller: &Caller, project: &ProjectId) -> Result<Vec<DatasetName>, UseCaseError> {
        let project = self.open(caller, project, Scope::Read).await?;
        Ok(self.objects.datasets(project.lake).await.map_err(DatasetError::from)?)
    }

    /// Deletes a dataset without objects.
    #[tracing::instrument(skip_all, fields(project.id = %project, dataset.name = %dataset))]
    pub async fn delete(
        &self,
        caller: &Caller,
        project: &ProjectId,
        dataset: &DatasetName,
    ) -> Result<(), UseCaseError> {
        let project = self.open(caller, project, Scope::Manage).await?;
        let deleted = self.objects.delete_dataset(project.lake, dataset).await;
        deleted.map_err(about_dataset(&project.id, dataset))?;
        self.access.record(caller, &project.id, "dataset.deleted", dataset.to_string()).await
    }

    /// A page of a dataset's objects, sorted by name.
    pub async fn objects(
        &self,
        caller: &Caller,
        project: &ProjectId,
        dataset: &DatasetName,
        query: &ObjectQuery,
    ) -> Result<Vec<ObjectInfo>, UseCaseError> {
        let project = self.open(caller, project, Scope::Read).await?;
        let found = self.objects.list(project.lake, dataset, query).await;
        Ok(found.map_err(about_dataset(&project.id, dataset))?)
    }

    /// Opens a name for an object.
    pub async fn open_for_put(
        &self,
        caller: &Caller,
        project: &ProjectId,
        dataset: &DatasetName,
        object: &ObjectName,
    ) -> Result<OpenForPut, UseCaseError> {
        let project = self.open(caller, project, Scope::Write).await?;
        // Told before the body is read; storage looks again when it stores.
        let there = self.objects.engine_location(project.lake, dataset).await;
        there.map_err(about_dataset(&project.id, dataset))?;
        if let Some(projects) = &self.projects {
            projects.require_room(&project, QuotaKind::DatasetBytes).await?;
        }
        Ok(OpenForPut { caller: caller.clone(), project, dataset: dataset.clone(), object: object.clone() })
    }

    /// Stores an object, whole or not at all; answered once it is durable.
    #[tracing::instrument(skip_all, fields(project.id = %open.project.id, dataset.name = %open.dataset))]
    pub async fn put(&self, open: OpenForPut, content: Content, options: PutOptions) -> Result<Stored, UseCaseError> {
        let OpenForPut { caller, project, dataset, object } = open;
        let (content, room) = self.bounded(&project, content).await?;
        let stored = self.objects.put(project.lake, &dataset, &object, content, options).await;
        let stored = stored.map_err(about_object(&project.id, &dataset, &object))?;
        room.keep(&project, &stored);
        self.access.record(&caller, &project.id, "object.stored", named(&dataset, &object)).await?;
        Ok(stored)
    }

    /// An object without its bytes.
    pub async fn head(
        &self,
        caller: &Caller,
        project: &ProjectId,
        dataset: &DatasetName,
        object: &ObjectName,
    ) -> Result<ObjectInfo, UseCaseError> {
        let project = self.open(caller, project, Scope::Read).await?;
        let found = self.objects.head(project.lake, dataset, object).await;
        Ok(found.map_err(about_object(&project.id, dataset, object))?)
    }

    /// Opens an object's current version for reading.
    pub async fn get(
        &self,
        caller: &Caller,
        project: &ProjectId,
        dataset: &DatasetName,
        object: &ObjectName,
    ) -> Result<Box<dyn OpenObject>, UseCaseError> {
        let project = self.open(caller, project, Scope::Read).await?;
        let found = self.objects.get(project.lake, dataset, object).await;
        Ok(found.map_err(about_object(&project.id, dataset, object))?)
    }

    /// Deletes an object. One that isn't there is fine, unless the precondition wants it.
    #[tracing::instrument(skip_all, fields(project.id = %project, dataset.name = %dataset))]
    pub async fn delete_object(
        &self,
        caller: &Caller,
        project: &ProjectId,
        dataset: &DatasetName,
        object: &ObjectName,
        precondition: &Precondition,
    ) -> Result<(), UseCaseError> {
        let project = self.open(caller, project, Scope::Write).await?;
        let deleted = self.objects.delete(project.lake, dataset, object, precondition).await;
        if let Some(projects) = &self.projects {
            projects.quotas().forget(&project.id, QuotaKind::DatasetBytes);
        }
        deleted.map_err(about_object(&project.id, dataset, object))?;
        self.access.record(caller, &project.id, "object.deleted", named(dataset, object)).await
    }

    /// Opens a project for its files. A key of one bucket of tables has no part in them.
    async fn open(&self, caller: &Caller, project: &ProjectId, scope: Scope) -> Result<Project, UseCaseError> {
        let project = self.access.open(caller, project, scope).await?;
        match caller.principal() {
            Some(principal) if principal.only_bucket().is_none() => Ok(project),
            _ => Err(UseCaseError::Forbidden),
        }
    }
}

/// An object's name in the audit log.
fn named(dataset: &DatasetName, object: &ObjectName) -> String {
    format!("/{dataset}/{object}")
}
