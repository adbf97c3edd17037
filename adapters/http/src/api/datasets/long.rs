//! `/projects/{id}/datasets`.

use std::sync::Arc;

use gadwall_application::datasets::Datasets;
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::{ApiResponse, Object, OpenApi};

use super::answer::{Conditional, ObjectAnswer, answer, answer_head};
use super::conditions::quoted;
use super::listing::{ObjectBody, ObjectList, PageQuery, page};
use super::presign::{PresignBody, Presigned, presign};
use super::upload::{FileBody, put};
use super::{dataset_name, object_name};
use crate::api::projects::Gone;
use crate::api::{Area, project_id};
use crate::auth::Auth;
use crate::problem::ApiResult;

pub(crate) struct DatasetsApi {
    pub(crate) datasets: Arc<Datasets>,
}

/// What a new dataset should be.
#[derive(Debug, Object)]
pub(crate) struct CreateDataset {
    /// 1–64 characters of `A-Z a-z 0-9 _ -`, unique without regard to case.
    name: String,
}

/// An area for files.
#[derive(Debug, Object)]
#[oai(rename = "Dataset")]
pub(crate) struct DatasetBody {
    /// Its name.
    name: String,
}

/// A project's datasets.
#[derive(Debug, Object)]
pub(crate) struct DatasetList {
    /// The datasets, by name.
    datasets: Vec<DatasetBody>,
    /// How many there are.
    total: u64,
}

#[derive(ApiResponse)]
pub(crate) enum DatasetCreated {
    /// The dataset is there.
    #[oai(status = 201)]
    Created(Json<DatasetBody>),
}

#[derive(ApiResponse)]
pub(crate) enum ObjectPage {
    /// The page; `Link` has the address of the next one.
    #[oai(status = 200)]
    Page(Json<ObjectList>, #[oai(header = "Link")] Option<String>),
}

#[derive(ApiResponse)]
pub(crate) enum ObjectStored {
    /// It took the place of an older version.
    #[oai(status = 200)]
    Replaced(Json<ObjectBody>, #[oai(header = "ETag")] String),
    /// It is new.
    #[oai(status = 201)]
    Created(Json<ObjectBody>, #[oai(header = "ETag")] String),
}

#[OpenApi(tag = "Area::Datasets")]
impl DatasetsApi {
    /// List a project's datasets
    #[oai(path = "/projects/:project/datasets", method = "get", operation_id = "list_datasets")]
    async fn list(&self, auth: Auth, project: Path<String>) -> ApiResult<Json<DatasetList>> {
        let found = self.datasets.list(auth.caller(), &project_id(&project.0)?).await?;
        let datasets: Vec<_> = found.iter().map(|dataset| DatasetBody { name: dataset.to_string() }).collect();
        Ok(Json(DatasetList { total: datasets.len() as u64, datasets }))
    }

    /// Create a dataset
    #[oai(path = "/projects/:project/datasets", method = "post", operation_id = "create_dataset")]
    async fn create(&self, auth: Auth, project: Path<String>, body: Json<CreateDataset>) -> ApiResult<DatasetCreated> {
        let (project, dataset) = (project_id(&project.0)?, dataset_name(&body.0.name)?);
        self.datasets.create(auth.caller(), &project, &dataset).await?;
        Ok(DatasetCreated::Created(Json(DatasetBody { name: dataset.to_string() })))
    }

    /// List a dataset's objects
    #[oai(path = "/projects/:project/datasets/:dataset", method = "get", operation_id = "list_objects")]
    async fn objects(
        &self,
        auth: Auth,
        project: Path<String>,
        dataset: Path<String>,
        /// Only those whose name starts so.
        prefix: Query<Option<String>>,
        /// At most so many: 1 to 1000, 1000 unless told.
        limit: Query<Option<i64>>,
        /// The `next_cursor` of the page before.
        cursor: Query<Option<String>>,
    ) -> ApiResult<ObjectPage> {
        let (project, dataset) = (project_id(&project.0)?, dataset_name(&dataset.0)?);
        let asked = PageQuery { prefix: prefix.0, limit: limit.0, cursor: cursor.0 };
        let (list, link) = page(&self.datasets, auth.caller(), &project, &dataset, asked).await?;
        Ok(ObjectPage::Page(Json(list), link))
    }

    /// Delete a dataset
    ///
    /// Only one without objects.
    #[oai(path = "/projects/:project/datasets/:dataset", method = "delete", operation_id = "delete_dataset")]
    async fn delete(&self, auth: Auth, project: Path<String>, dataset: Path<String>) -> ApiResult<Gone> {
        let (project, dataset) = (project_id(&project.0)?, dataset_name(&dataset.0)?);
        self.datasets.delete(auth.caller(), &project, &dataset).await?;
        Ok(Gone::NoContent)
    }

    /// Put an object
    ///
    /// Whole or not at all, durable when answered. With `If-None-Match: *` only where there is none, with `If-Match`
    /// only over that version.
    #[oai(path = "/projects/:project/datasets/:dataset/:object", method = "put", operation_id = "put_object")]
    async fn put(
        &self,
        auth: Auth,
        project: Path<String>,
        dataset: Path<String>,
        /// Its name: up to 1024 bytes, slashes allowed.
        object: Path<String>,
        body: FileBody,
    ) -> ApiResult<ObjectStored> {
        let (project, dataset) = (project_id(&project.0)?, dataset_name(&dataset.0)?);
        let object = object_name(&object.0)?;
        let stored = put(&self.datasets, auth.caller(), &project, &dataset, &object, body).await?;
        let etag = quoted(&stored.info.etag);
        let body = Json(stored.info.into());
        Ok(if stored.replaced { ObjectStored::Replaced(body, etag) } else { ObjectStored::Created(body, etag) })
    }

    /// Get an object
    ///
    /// Takes `Range` (one range), `If-Range`, `If-None-Match`, `If-Modified-Since`, `If-Match`, `If-Unmodified-Since`.
    #[oai(path = "/projects/:project/datasets/:dataset/:object", method = "get", operation_id = "get_object")]
    async fn get(
        &self,
        auth: Auth,
        project: Path<String>,
        dataset: Path<String>,
        /// Its name: up to 1024 bytes, slashes allowed.
        object: Path<String>,
        conditional: Conditional,
    ) -> ApiResult<ObjectAnswer> {
        let (project, dataset) = (project_id(&project.0)?, dataset_name(&dataset.0)?);
        let opened = self.datasets.get(auth.caller(), &project, &dataset, &object_name(&object.0)?).await?;
        answer(opened, &conditional.0).await
    }

    /// Make an address of an object that needs no key
    ///
    /// At the object store, for a while: who has it reads the object past this service. Only where datasets lie in S3. Not
    /// for uploads: they would pass by the checks that hold for objects.
    #[oai(
        path = "/projects/:project/datasets/:dataset/:object/presign",
        method = "post",
        operation_id = "presign_object"
    )]
    async fn presign(
        &self,
        auth: Auth,
        project: Path<String>,
        dataset: Path<String>,
        /// Its name: up to 1024 bytes, slashes allowed.
        object: Path<String>,
        body: Json<PresignBody>,
    ) -> ApiResult<Presigned> {
        let (project, dataset) = (project_id(&project.0)?, dataset_name(&dataset.0)?);
        presign(&self.datasets, &auth, &project, (&dataset, &object_name(&object.0)?), body.0).await
    }

    /// Look at an object
    #[oai(path = "/projects/:project/datasets/:dataset/:object", method = "head", operation_id = "head_object")]
    async fn head(
        &self,
        auth: Auth,
        project: Path<String>,
        dataset: Path<String>,
        /// Its name: up to 1024 bytes, slashes allowed.
        object: Path<String>,
        conditional: Conditional,
    ) -> ApiResult<ObjectAnswer> {
        let (project, dataset) = (project_id(&project.0)?, dataset_name(&dataset.0)?);
        let info = self.datasets.head(auth.caller(), &project, &dataset, &object_name(&object.0)?).await?;
        answer_head(&info, &conditional.0)
    }

    /// Delete an object
    ///
    /// Answers alike whether it was there or not. With `If-Match` only that version.
    #[oai(path = "/projects/:project/datasets/:dataset/:object", method = "delete", operation_id = "delete_object")]
    async fn delete_object(
        &self,
        auth: Auth,
        project: Path<String>,
        dataset: Path<String>,
        /// Its name: up to 1024 bytes, slashes allowed.
        object: Path<String>,
        conditional: Conditional,
    ) -> ApiResult<Gone> {
        let (project, dataset) = (project_id(&project.0)?, dataset_name(&dataset.0)?);
        let (object, precondition) = (object_name(&object.0)?, conditional.0.precondition());
        self.datasets.delete_object(auth.caller(), &project, &dataset, &object, &precondition).await?;
        Ok(Gone::NoContent)
    }
}
