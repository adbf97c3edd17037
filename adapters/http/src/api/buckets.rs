//! `/projects/{id}/buckets`.

use std::sync::Arc;

use gadwall_application::buckets::Buckets;
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::{ApiResponse, OpenApi};

use super::models::{BucketBody, BucketList, CreateBucket};
use super::projects::Gone;
use super::{Area, bucket_name, project_id};
use crate::auth::Auth;
use crate::problem::ApiResult;

pub(crate) struct BucketsApi {
    pub(crate) buckets: Arc<Buckets>,
}

#[derive(ApiResponse)]
pub(crate) enum BucketCreated {
    /// The bucket is there.
    #[oai(status = 201)]
    Created(Json<BucketBody>),
}

#[OpenApi(tag = "Area::Buckets")]
impl BucketsApi {
    /// List a project's buckets
    #[oai(path = "/projects/:project/buckets", method = "get", operation_id = "list_buckets")]
    async fn list(&self, auth: Auth, project: Path<String>) -> ApiResult<Json<BucketList>> {
        let buckets = self.buckets.list(auth.caller(), &project_id(&project.0)?).await?;
        let total = buckets.len() as u64;
        Ok(Json(BucketList { buckets: buckets.into_iter().map(Into::into).collect(), total }))
    }

    /// Create a bucket
    #[oai(path = "/projects/:project/buckets", method = "post", operation_id = "create_bucket")]
    async fn create(&self, auth: Auth, project: Path<String>, body: Json<CreateBucket>) -> ApiResult<BucketCreated> {
        let CreateBucket { name, description } = body.0;
        let (project, name) = (project_id(&project.0)?, bucket_name(&name)?);
        let bucket = self.buckets.create(auth.caller(), &project, name, description).await?;
        Ok(BucketCreated::Created(Json(bucket.into())))
    }

    /// Look at a bucket
    #[oai(path = "/projects/:project/buckets/:bucket", method = "get", operation_id = "get_bucket")]
    async fn get(&self, auth: Auth, project: Path<String>, bucket: Path<String>) -> ApiResult<Json<BucketBody>> {
        let (project, bucket) = (project_id(&project.0)?, bucket_name(&bucket.0)?);
        Ok(Json(self.buckets.get(auth.caller(), &project, &bucket).await?.into()))
    }

    /// Delete a bucket
    #[oai(path = "/projects/:project/buckets/:bucket", method = "delete", operation_id = "delete_bucket")]
    async fn delete(
        &self,
        auth: Auth,
        project: Path<String>,
        bucket: Path<String>,
        /// Whether its tables go with it: yes unless told. Otherwise a bucket with tables is a conflict.
        cascade: Query<Option<bool>>,
    ) -> ApiResult<Gone> {
        let (project, bucket) = (project_id(&project.0)?, bucket_name(&bucket.0)?);
        self.buckets.delete(auth.caller(), &project, &bucket, cascade.0.unwrap_or(true)).await?;
        Ok(Gone::NoContent)
    }
}
