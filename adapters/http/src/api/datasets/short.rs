//! `/datasets`: the datasets of one's own project under shorter names. The same use cases, no logic of their own.

use std::sync::Arc;

use gadwall_application::access::Access;
use gadwall_application::datasets::Datasets;
use gadwall_domain::names::ProjectId;
use poem_openapi::param::Path;
use poem_openapi::payload::Json;
use poem_openapi::{ApiResponse, Object, OpenApi};

use super::answer::{Conditional, ObjectAnswer, answer, answer_head};
use super::conditions::quoted;
use super::listing::{AllNames, names};
use super::presign::{PresignBody, Presigned, presign};
use super::upload::{FileBody, put};
use super::{dataset_name, object_name};
use crate::api::Area;
use crate::api::short_tables::{Done, done};
use crate::auth::Auth;
use crate::problem::ApiResult;

pub(crate) struct ShortDatasetsApi {
    pub(crate) access: Arc<Access>,
    pub(crate) datasets: Arc<Datasets>,
}

/// Names of datasets.
#[derive(Debug, Object)]
pub(crate) struct DatasetNames {
    /// The names, in order.
    datasets: Vec<String>,
}

#[derive(ApiResponse)]
pub(crate) enum ShortStored {
    /// It is there.
    #[oai(status = 200)]
    Stored(Json<Done>, #[oai(header = "ETag")] String),
}

#[OpenApi(tag = "Area::Short")]
impl ShortDatasetsApi {
    /// List the datasets of one's own project
    #[oai(path = "/datasets", method = "get", operation_id = "list_short_datasets")]
    async fn list(&self, auth: Auth) -> ApiResult<Json<DatasetNames>> {
        let found = self.datasets.list(auth.caller(), &self.project(&auth)?).await?;
        Ok(Json(DatasetNames { datasets: found.iter().map(ToString::to_string).collect() }))
    }

    /// Create a dataset in one's own project
    #[oai(path = "/datasets/:bucket", method = "post", operation_id = "create_short_dataset")]
    async fn create(&self, auth: Auth, bucket: Path<String>) -> ApiResult<Json<Done>> {
        let (project, dataset) = (self.project(&auth)?, dataset_name(&bucket.0)?);
        self.datasets.create(auth.caller(), &project, &dataset).await?;
        Ok(done(&auth, format!("Bucket {dataset} created successfully")))
    }

    /// List the objects of a dataset of one's own project
    ///
    /// All of them, however many there are.
    #[oai(path = "/datasets/:bucket", method = "get", operation_id = "list_short_objects")]
    async fn objects(&self, auth: Auth, bucket: Path<String>) -> ApiResult<AllNames> {
        let (project, dataset) = (self.project(&auth)?, dataset_name(&bucket.0)?);
        names(Arc::clone(&self.datasets), auth.caller().clone(), project, dataset).await
    }

    /// Delete a dataset of one's own project
    ///
    /// Only one without objects.
    #[oai(path = "/datasets/:bucket", method = "delete", operation_id = "delete_short_dataset")]
    async fn delete(&self, auth: Auth, bucket: Path<String>) -> ApiResult<Json<Done>> {
        let (project, dataset) = (self.project(&auth)?, dataset_name(&bucket.0)?);
        self.datasets.delete(auth.caller(), &project, &dataset).await?;
        Ok(done(&auth, format!("Bucket {dataset} deleted successfully")))
    }

    /// Put an object into a dataset of one's own project
    ///
    /// As the long route takes it.
    #[oai(path = "/datasets/:bucket/:object", method = "put", operation_id = "put_short_object")]
    async fn put(
        &self,
        auth: Auth,
        bucket: Path<String>,
        /// Its name: up to 1024 bytes, slashes allowed.
        object: Path<String>,
        body: FileBody,
    ) -> ApiResult<ShortStored> {
        let project = self.project(&auth)?;
        let (dataset, object) = (dataset_name(&bucket.0)?, object_name(&object.0)?);
        let stored = put(&self.datasets, auth.caller(), &project, &dataset, &object, body).await?;
        let message = format!("Object {object} uploaded successfully");
        Ok(ShortStored::Stored(done(&auth, message), quoted(&stored.info.etag)))
    }

    /// Get an object of one's own project
    ///
    /// As the long route sends it.
    #[oai(path = "/datasets/:bucket/:object", method = "get", operation_id = "get_short_object")]
    async fn get(
        &self,
        auth: Auth,
        bucket: Path<String>,
        /// Its name: up to 1024 bytes, slashes allowed.
        object: Path<String>,
        conditional: Conditional,
    ) -> ApiResult<ObjectAnswer> {
        let project = self.project(&auth)?;
        let (dataset, object) = (dataset_name(&bucket.0)?, object_name(&object.0)?);
        let opened = self.datasets.get(auth.caller(), &project, &dataset, &object).await?;
        answer(opened, &conditional.0).await
    }

    /// Make an address of an object of one's own project that needs no key
    ///
    /// As the long route does.
    #[oai(path = "/datasets/:bucket/:object/presign", method = "post", operation_id = "presign_short_object")]
    async fn presign(
        &self,
        auth: Auth,
        bucket: Path<String>,
        /// Its name: up to 1024 bytes, slashes allowed.
        object: Path<String>,
        body: Json<PresignBody>,
    ) -> ApiResult<Presigned> {
        let project = self.project(&auth)?;
        let (dataset, object) = (dataset_name(&bucket.0)?, object_name(&object.0)?);
        presign(&self.datasets, &auth, &project, (&dataset, &object), body.0).await
    }

    /// Look at an object of one's own project
    #[oai(path = "/datasets/:bucket/:object", method = "head", operation_id = "head_short_object")]
    async fn head(
        &self,
        auth: Auth,
        bucket: Path<String>,
        /// Its name: up to 1024 bytes, slashes allowed.
        object: Path<String>,
        conditional: Conditional,
    ) -> ApiResult<ObjectAnswer> {
        let project = self.project(&auth)?;
        let (dataset, object) = (dataset_name(&bucket.0)?, object_name(&object.0)?);
        let info = self.datasets.head(auth.caller(), &project, &dataset, &object).await?;
        answer_head(&info, &conditional.0)
    }

    /// Delete an object of one's own project
    ///
    /// Answers alike whether it was there or not. With `If-Match` only that version.
    #[oai(path = "/datasets/:bucket/:object", method = "delete", operation_id = "delete_short_object")]
    async fn delete_object(
        &self,
        auth: Auth,
        bucket: Path<String>,
        /// Its name: up to 1024 bytes, slashes allowed.
        object: Path<String>,
        conditional: Conditional,
    ) -> ApiResult<Json<Done>> {
        let project = self.project(&auth)?;
        let (dataset, object) = (dataset_name(&bucket.0)?, object_name(&object.0)?);
        let precondition = conditional.0.precondition();
        self.datasets.delete_object(auth.caller(), &project, &dataset, &object, &precondition).await?;
        Ok(done(&auth, format!("Object {object} deleted successfully")))
    }

    fn project(&self, auth: &Auth) -> ApiResult<ProjectId> {
        auth.own_project(&self.access)
    }
}
