//! `/projects/{id}/buckets/{bucket}/views`.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use gadwall_application::views::Views;
use gadwall_domain::view::{View, ViewDefinition};
use poem_openapi::param::Path;
use poem_openapi::payload::Json;
use poem_openapi::{ApiResponse, Object, OpenApi};

use super::projects::Gone;
use super::{Area, bucket_name, project_id, table_ref};
use crate::auth::Auth;
use crate::problem::ApiResult;

pub(crate) struct ViewsApi {
    pub(crate) views: Arc<Views>,
}

/// What a view should be.
#[derive(Debug, Clone, Object)]
pub(crate) struct PutView {
    /// One SELECT without parameters. Tables are named `bucket.table`, or `table` for those in the view's bucket. It may
    /// read what the key may read.
    query: String,
    /// What it is for.
    comment: Option<String>,
}

/// A column of a view.
#[derive(Debug, Clone, Object)]
#[oai(rename = "ViewColumn")]
pub(crate) struct ViewColumnBody {
    /// Its name.
    name: String,
    /// Its type, as DuckDB spells it.
    #[oai(rename = "type")]
    data_type: String,
}

/// A view: a query that is read like a table.
#[derive(Debug, Clone, Object)]
#[oai(rename = "View")]
pub(crate) struct ViewBody {
    /// Its name.
    name: String,
    /// The bucket it is in.
    bucket: String,
    /// Its query, as its author wrote it.
    query: String,
    /// What it is for.
    comment: Option<String>,
    /// Its columns, as they were when it was made.
    columns: Vec<ViewColumnBody>,
    /// The snapshot that made it as it is.
    snapshot_id: u64,
    /// When that was; null once that snapshot is no longer kept.
    updated_at: Option<DateTime<Utc>>,
}

impl From<View> for ViewBody {
    fn from(view: View) -> Self {
        let columns = view.columns.into_iter();
        Self {
            name: view.name.table.to_string(),
            bucket: view.name.bucket.to_string(),
            query: view.query,
            comment: view.comment,
            columns: columns.map(|column| ViewColumnBody { name: column.name, data_type: column.data_type }).collect(),
            snapshot_id: view.snapshot.get(),
            updated_at: view.changed_at,
        }
    }
}

/// A bucket's views.
#[derive(Debug, Clone, Object)]
pub(crate) struct ViewList {
    /// The views, by name.
    views: Vec<ViewBody>,
    /// How many there are.
    total: u64,
}

#[derive(ApiResponse)]
pub(crate) enum ViewPut {
    /// The view was there and is made anew.
    #[oai(status = 200)]
    Replaced(Json<ViewBody>),
    /// The view is new.
    #[oai(status = 201)]
    Created(Json<ViewBody>),
}

#[OpenApi(tag = "Area::Tables")]
impl ViewsApi {
    /// List a bucket's views
    #[oai(path = "/projects/:project/buckets/:bucket/views", method = "get", operation_id = "list_views")]
    async fn list(&self, auth: Auth, project: Path<String>, bucket: Path<String>) -> ApiResult<Json<ViewList>> {
        let (project, bucket) = (project_id(&project.0)?, bucket_name(&bucket.0)?);
        let views = self.views.list(auth.caller(), &project, &bucket).await?;
        let total = views.len() as u64;
        Ok(Json(ViewList { views: views.into_iter().map(Into::into).collect(), total }))
    }

    /// Create or replace a view
    ///
    /// A view is a query with a name: queries read it like a table, nothing can be written to it. Whoever may read its
    /// bucket reads it with its author's right: what the query may read is checked when it is made.
    #[oai(path = "/projects/:project/buckets/:bucket/views/:view", method = "put", operation_id = "put_view")]
    async fn put(
        &self,
        auth: Auth,
        project: Path<String>,
        bucket: Path<String>,
        view: Path<String>,
        body: Json<PutView>,
    ) -> ApiResult<ViewPut> {
        let (project, name) = (project_id(&project.0)?, table_ref(&bucket.0, &view.0)?);
        let PutView { query, comment } = body.0;
        let definition = ViewDefinition { name, query, comment };
        let (view, created) = self.views.put(auth.caller(), &project, definition).await?;
        let body = Json(view.into());
        Ok(if created { ViewPut::Created(body) } else { ViewPut::Replaced(body) })
    }

    /// Look at a view
    #[oai(path = "/projects/:project/buckets/:bucket/views/:view", method = "get", operation_id = "get_view")]
    async fn get(
        &self,
        auth: Auth,
        project: Path<String>,
        bucket: Path<String>,
        view: Path<String>,
    ) -> ApiResult<Json<ViewBody>> {
        let (project, view) = (project_id(&project.0)?, table_ref(&bucket.0, &view.0)?);
        Ok(Json(self.views.get(auth.caller(), &project, &view).await?.into()))
    }

    /// Delete a view
    #[oai(path = "/projects/:project/buckets/:bucket/views/:view", method = "delete", operation_id = "delete_view")]
    async fn delete(
        &self,
        auth: Auth,
        project: Path<String>,
        bucket: Path<String>,
        view: Path<String>,
    ) -> ApiResult<Gone> {
        let (project, view) = (project_id(&project.0)?, table_ref(&bucket.0, &view.0)?);
        self.views.delete(auth.caller(), &project, &view).await?;
        Ok(Gone::NoContent)
    }
}
