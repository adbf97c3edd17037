//! `/projects` and `/projects/{id}`.

use std::sync::Arc;

use gadwall_application::projects::{NewProject, ProjectChange, Projects};
use gadwall_domain::ports::metadata::ProjectFilter;
use gadwall_domain::project::ProjectStatus;
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::{ApiResponse, OpenApi};

use super::models::{CreateProject, CreatedProjectBody, ProjectBody, ProjectList, StatsBody, UpdateProject};
use super::{Area, number, project_id};
use crate::auth::Auth;
use crate::problem::{ApiError, ApiResult};

pub(crate) struct ProjectsApi {
    pub(crate) projects: Arc<Projects>,
}

#[derive(ApiResponse)]
pub(crate) enum ProjectCreated {
    /// The project is there.
    #[oai(status = 201)]
    Created(Json<CreatedProjectBody>),
}

#[derive(ApiResponse)]
pub(crate) enum Gone {
    /// It is gone.
    #[oai(status = 204)]
    NoContent,
}

#[OpenApi(tag = "Area::Projects")]
impl ProjectsApi {
    /// Create a project
    ///
    /// Answers its first API key, which is shown only this once. Admin only.
    #[oai(path = "/projects", method = "post", operation_id = "create_project")]
    async fn create(&self, auth: Auth, body: Json<CreateProject>) -> ApiResult<ProjectCreated> {
        auth.caller().require_admin()?;
        let CreateProject { id, name, settings, deletion_protection } = body.0;
        let new = NewProject {
            id: project_id(&id)?,
            name,
            settings: settings.map(|any| any.0),
            deletion_protection: deletion_protection.unwrap_or_default(),
        };
        let created = self.projects.create(auth.caller(), new).await?;
        Ok(ProjectCreated::Created(Json(CreatedProjectBody::new(created.project, created.api_key))))
    }

    /// List projects
    ///
    /// Newest first. Admin only.
    #[oai(path = "/projects", method = "get", operation_id = "list_projects")]
    async fn list(
        &self,
        auth: Auth,
        /// Only `active` or `deleted` ones.
        status: Query<Option<String>>,
        /// Only deleted ones, or only those in use; `status` in another word.
        deleted: Query<Option<bool>>,
        /// At most so many: 1 to 1000, 100 unless told.
        limit: Query<Option<i64>>,
        /// Leaving out so many of the first.
        offset: Query<Option<i64>>,
    ) -> ApiResult<Json<ProjectList>> {
        auth.caller().require_admin()?;
        let parse = |word: &str| {
            ProjectStatus::parse(word).ok_or_else(|| ApiError::out_of_range("status is active or deleted"))
        };
        let of_deleted = |deleted| if deleted { ProjectStatus::Deleted } else { ProjectStatus::Active };
        let status = match (status.0.as_deref().map(parse).transpose()?, deleted.0.map(of_deleted)) {
            (Some(one), Some(other)) if one != other => {
                return Err(ApiError::out_of_range("status and deleted contradict each other; leave one out"));
            }
            (one, other) => one.or(other),
        };
        let filter = ProjectFilter {
            status,
            limit: number("limit", limit.0, 1..=1000, 100)?,
            offset: u64::from(number("offset", offset.0, 0..=u32::MAX, 0)?),
        };
        let (projects, total) = self.projects.list(auth.caller(), filter).await?;
        Ok(Json(ProjectList { projects: projects.into_iter().map(Into::into).collect(), total }))
    }

    /// Look at a project
    ///
    /// An admin sees deleted ones too.
    #[oai(path = "/projects/:project", method = "get", operation_id = "get_project")]
    async fn get(&self, auth: Auth, project: Path<String>) -> ApiResult<Json<ProjectBody>> {
        let project = self.projects.get(auth.caller(), &project_id(&project.0)?).await?;
        Ok(Json(project.into()))
    }

    /// Change a project's name, settings or protection
    #[oai(path = "/projects/:project", method = "put", operation_id = "update_project")]
    async fn update(
        &self,
        auth: Auth,
        project: Path<String>,
        body: Json<UpdateProject>,
    ) -> ApiResult<Json<ProjectBody>> {
        let UpdateProject { name, settings, deletion_protection } = body.0;
        let change = ProjectChange { name, settings: settings.map(|any| any.0), deletion_protection };
        let project = self.projects.update(auth.caller(), &project_id(&project.0)?, change).await?;
        Ok(Json(project.into()))
    }

    /// Delete a project
    ///
    /// Its keys stop working at once. An admin can bring it back for a while (`projects.undelete_for`), then its data
    /// is removed. Its id stays taken for ever. One with `deletion_protection` is not deleted.
    #[oai(path = "/projects/:project", method = "delete", operation_id = "delete_project")]
    async fn delete(
        &self,
        auth: Auth,
        project: Path<String>,
        /// Remove its data at once, so that nothing can be brought back. Admin only.
        purge: Query<Option<bool>>,
    ) -> ApiResult<Gone> {
        let project = project_id(&project.0)?;
        let purge = purge.0.unwrap_or_default();
        if purge {
            auth.caller().require_admin()?;
        }
        self.projects.delete(auth.caller(), &project).await?;
        if purge {
            self.projects.purge(auth.caller(), &project).await?;
        }
        Ok(Gone::NoContent)
    }

    /// Bring a deleted project back
    ///
    /// With all it had; its keys work again. Until `purge_after`, as long as nobody purged it. Admin only.
    #[oai(path = "/projects/:project/undelete", method = "post", operation_id = "undelete_project")]
    async fn undelete(&self, auth: Auth, project: Path<String>) -> ApiResult<Json<ProjectBody>> {
        let project = self.projects.undelete(auth.caller(), &project_id(&project.0)?).await?;
        Ok(Json(project.into()))
    }

    /// Remove a deleted project's data
    ///
    /// At once, without waiting for `purge_after`: tables, datasets, results, keys, shares and links. `freed_bytes` tells
    /// how much its files were. What can't be removed now is tried again later. Admin only.
    #[oai(path = "/projects/:project/purge", method = "post", operation_id = "purge_project")]
    async fn purge(&self, auth: Auth, project: Path<String>) -> ApiResult<Json<ProjectBody>> {
        let project = self.projects.purge(auth.caller(), &project_id(&project.0)?).await?;
        Ok(Json(project.into()))
    }

    /// Count what a project holds
    #[oai(path = "/projects/:project/stats", method = "get", operation_id = "get_project_stats")]
    async fn stats(&self, auth: Auth, project: Path<String>) -> ApiResult<Json<StatsBody>> {
        let (project, size) = self.projects.stats(auth.caller(), &project_id(&project.0)?).await?;
        Ok(Json(StatsBody::new(project.id.to_string(), size)))
    }
}
