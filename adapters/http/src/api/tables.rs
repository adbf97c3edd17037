//! `/projects/{id}/buckets/{bucket}/tables`.

use std::sync::Arc;

use gadwall_application::tables::Tables;
use gadwall_formats::encode::Document;
use gadwall_formats::{Output, OutputFormat};
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::types::ToJSON as _;
use poem_openapi::{ApiResponse, Object, OpenApi};

use super::models::{Appended, ColumnBody, CreateTable, JsonObject, TableBody, TableList, columns};
use super::projects::Gone;
use super::rows::{RowsBody, Spool, append};
use super::{Area, bucket_name, number, project_id, table_ref};
use crate::auth::Auth;
use crate::negotiate::{JsonOnly, Wanted};
use crate::output::{PREVIEW, Streamed, respond};
use crate::problem::{ApiError, ApiResult};

pub(crate) struct TablesApi {
    pub(crate) tables: Arc<Tables>,
    pub(crate) spool: Spool,
}

#[derive(ApiResponse)]
pub(crate) enum TableCreated {
    /// The table is there.
    #[oai(status = 201)]
    Created(Json<TableBody>),
}

/// The first rows of a table.
#[derive(Debug, Object)]
#[expect(clippy::struct_field_names, reason = "the document's field is called so")]
pub(crate) struct Preview {
    /// The table's columns.
    columns: Vec<ColumnBody>,
    /// Rows as objects. Numbers and booleans as such, other values as text.
    rows: Vec<JsonObject>,
    /// Rows of the whole table.
    total_row_count: u64,
    /// Rows shown.
    preview_row_count: u64,
}

#[OpenApi(tag = "Area::Tables")]
impl TablesApi {
    /// List a bucket's tables
    #[oai(path = "/projects/:project/buckets/:bucket/tables", method = "get", operation_id = "list_tables")]
    async fn list(&self, auth: Auth, project: Path<String>, bucket: Path<String>) -> ApiResult<Json<TableList>> {
        let (project, bucket) = (project_id(&project.0)?, bucket_name(&bucket.0)?);
        let tables = self.tables.list(auth.caller(), &project, &bucket).await?;
        let total = tables.len() as u64;
        Ok(Json(TableList { tables: tables.into_iter().map(Into::into).collect(), total }))
    }

    /// Create a table
    #[oai(path = "/projects/:project/buckets/:bucket/tables", method = "post", operation_id = "create_table")]
    async fn create(
        &self,
        auth: Auth,
        project: Path<String>,
        bucket: Path<String>,
        body: Json<CreateTable>,
    ) -> ApiResult<TableCreated> {
        let (project, table) = (project_id(&project.0)?, table_ref(&bucket.0, &body.0.name)?);
        let table = self.tables.create(auth.caller(), &project, table, body.0.schema()?).await?;
        Ok(TableCreated::Created(Json(table.into())))
    }

    /// Look at a table
    #[oai(path = "/projects/:project/buckets/:bucket/tables/:table", method = "get", operation_id = "get_table")]
    async fn get(
        &self,
        auth: Auth,
        project: Path<String>,
        bucket: Path<String>,
        table: Path<String>,
    ) -> ApiResult<Json<TableBody>> {
        let (project, table) = (project_id(&project.0)?, table_ref(&bucket.0, &table.0)?);
        Ok(Json(self.tables.get(auth.caller(), &project, &table).await?.into()))
    }

    /// Delete a table
    #[oai(path = "/projects/:project/buckets/:bucket/tables/:table", method = "delete", operation_id = "delete_table")]
    async fn delete(
        &self,
        auth: Auth,
        project: Path<String>,
        bucket: Path<String>,
        table: Path<String>,
    ) -> ApiResult<Gone> {
        let (project, table) = (project_id(&project.0)?, table_ref(&bucket.0, &table.0)?);
        self.tables.delete(auth.caller(), &project, &table).await?;
        Ok(Gone::NoContent)
    }

    /// Show a table's first rows
    #[oai(
        path = "/projects/:project/buckets/:bucket/tables/:table/preview",
        method = "get",
        operation_id = "preview_table"
    )]
    async fn preview(
        &self,
        auth: Auth,
        project: Path<String>,
        bucket: Path<String>,
        table: Path<String>,
        /// At most so many rows: 1 to 10000, 1000 unless told.
        limit: Query<Option<i64>>,
    ) -> ApiResult<Streamed<Preview, JsonOnly>> {
        let (project, table) = (project_id(&project.0)?, table_ref(&bucket.0, &table.0)?);
        let limit = number("limit", limit.0, 1..=10_000, 1_000)?;
        let (table, rows) = self.tables.preview(auth.caller(), &project, &table, limit).await?;
        let head = format!("{{\"columns\":{},\"rows\":[", columns(&table.schema).to_json_string());
        let total = table.size.row_count;
        let tail =
            move |shown: u64| format!("],\"total_row_count\":{},\"preview_row_count\":{shown}}}", total.max(shown));
        let document = Output::Json(Document { rows: PREVIEW, head, tail: Box::new(tail) });
        respond(rows, Wanted::plain(OutputFormat::Json), document, "preview").await
    }

    /// Append rows
    ///
    /// All or none, durable when answered. Send an array of objects as `application/json`, one object a line as
    /// `application/x-ndjson`, or `text/csv` with a header, Parquet, or an Arrow IPC stream or file. Columns are
    /// matched by name; what is left out gets the column's default. Rows that don't fit are refused as a whole:
    /// `errors` names row, column and reason of the first 20.
    #[oai(
        path = "/projects/:project/buckets/:bucket/tables/:table/rows",
        method = "post",
        operation_id = "append_rows"
    )]
    async fn append_rows(
        &self,
        auth: Auth,
        project: Path<String>,
        bucket: Path<String>,
        table: Path<String>,
        /// `append`: a row whose key is there already is a conflict.
        mode: Query<Option<String>>,
        body: RowsBody,
    ) -> ApiResult<Json<Appended>> {
        let (project, table) = (project_id(&project.0)?, table_ref(&bucket.0, &table.0)?);
        if mode.0.is_some_and(|mode| mode != "append") {
            return Err(ApiError::not_yet("mode_unsupported", "rows can only be appended so far; leave out mode"));
        }
        append(&self.tables, &self.spool, auth.caller(), &project, &table, body).await.map(Json)
    }
}
