//! `/projects/{id}/buckets/{bucket}/tables`.

use std::sync::Arc;
use std::time::Duration;

use gadwall_application::data::Data;
use gadwall_application::tables::Tables;
use gadwall_domain::selection::Selection;
use gadwall_formats::encode::Document;
use gadwall_formats::{Output, OutputFormat};
use poem_openapi::param::{Header, Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::types::ToJSON as _;
use poem_openapi::{ApiResponse, Object, OpenApi};

use super::conditions::{if_match_rows, is_known};
use super::models::{ColumnBody, CreateTable, JsonObject, TableBody, TableList, columns, etag_of};
use super::projects::Gone;
use super::shape::{ChangeTable, Said, ShapeChanged, reshape};
use super::{Area, bucket_name, number, project_id, since, table_ref, version};
use crate::auth::Auth;
use crate::negotiate::{JsonOnly, Wanted};
use crate::output::{PREVIEW, Streamed, respond};
use crate::problem::ApiResult;

pub(crate) struct TablesApi {
    pub(crate) tables: Arc<Tables>,
    pub(crate) data: Arc<Data>,
}

#[derive(ApiResponse)]
pub(crate) enum TableCreated {
    /// The table is there.
    #[oai(status = 201)]
    Created(Json<TableBody>, #[oai(header = "ETag")] String),
}

/// A preview reads a bounded number of rows; if that takes longer than this, something is wrong.
const PREVIEW_TIMEOUT: Duration = Duration::from_secs(30);

#[derive(ApiResponse)]
#[expect(clippy::large_enum_variant, reason = "made once for each answer")]
pub(crate) enum TableShown {
    /// The table.
    #[oai(status = 200)]
    Table(Json<TableBody>, #[oai(header = "ETag")] String),
    /// The client has it already.
    #[oai(status = 304)]
    Known(#[oai(header = "ETag")] String),
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
    async fn list(
        &self,
        auth: Auth,
        project: Path<String>,
        bucket: Path<String>,
        /// As of a snapshot's number.
        snapshot: Query<Option<String>>,
        /// As of a time (RFC 3339).
        as_of: Query<Option<String>>,
        /// As of a tag.
        tag: Query<Option<String>>,
    ) -> ApiResult<Json<TableList>> {
        let (project, bucket) = (project_id(&project.0)?, bucket_name(&bucket.0)?);
        let version = version(snapshot.0.as_deref(), as_of.0.as_deref(), tag.0.as_deref())?;
        let tables = self.data.list(auth.caller(), &project, &bucket, &version).await?;
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
        let table = self.tables.create(auth.caller(), &project, table, body.0.table()?).await?;
        let etag = etag_of(&table);
        Ok(TableCreated::Created(Json(table.into()), etag))
    }

    /// Look at a table
    ///
    /// The `ETag` changes with its shape (the part before the first dot), its rows (the part after it) and the size of its
    /// files: send it as `If-Match` with a change that must not be made on top of others' changes.
    #[oai(path = "/projects/:project/buckets/:bucket/tables/:table", method = "get", operation_id = "get_table")]
    #[expect(clippy::too_many_arguments, reason = "each is a parameter of the route")]
    async fn get(
        &self,
        auth: Auth,
        project: Path<String>,
        bucket: Path<String>,
        table: Path<String>,
        /// As of a snapshot's number.
        snapshot: Query<Option<String>>,
        /// As of a time (RFC 3339).
        as_of: Query<Option<String>>,
        /// As of a tag.
        tag: Query<Option<String>>,
        /// Versions that the client has already.
        #[oai(name = "If-None-Match")]
        if_none_match: Header<Option<String>>,
    ) -> ApiResult<TableShown> {
        let (project, table) = (project_id(&project.0)?, table_ref(&bucket.0, &table.0)?);
        let version = version(snapshot.0.as_deref(), as_of.0.as_deref(), tag.0.as_deref())?;
        let opened = self.data.open(auth.caller(), &project, &table, &version).await?;
        let linked_at = opened.linked_at();
        let table = opened.into_table();
        let mut etag = etag_of(&table);
        if let Some(linked_at) = linked_at {
            etag = format!("{}.{}\"", etag.trim_end_matches('"'), linked_at.timestamp_micros());
        }
        if is_known(if_none_match.0.as_deref(), &etag) {
            return Ok(TableShown::Known(etag));
        }
        Ok(TableShown::Table(Json(table.into()), etag))
    }

    /// Delete a table
    ///
    /// It can be brought back while its last snapshot is kept.
    #[oai(path = "/projects/:project/buckets/:bucket/tables/:table", method = "delete", operation_id = "delete_table")]
    async fn delete(
        &self,
        auth: Auth,
        project: Path<String>,
        bucket: Path<String>,
        table: Path<String>,
        /// The version that is meant to be deleted.
        #[oai(name = "If-Match")]
        if_match: Header<Option<String>>,
    ) -> ApiResult<Gone> {
        let (project, table) = (project_id(&project.0)?, table_ref(&bucket.0, &table.0)?);
        let expected = if_match_rows(if_match.0.as_deref())?;
        self.tables.delete(auth.caller(), &project, &table, expected).await?;
        Ok(Gone::NoContent)
    }

    /// Show a table's first rows
    #[oai(
        path = "/projects/:project/buckets/:bucket/tables/:table/preview",
        method = "get",
        operation_id = "preview_table"
    )]
    #[expect(clippy::too_many_arguments, reason = "each is a parameter of the route")]
    async fn preview(
        &self,
        auth: Auth,
        project: Path<String>,
        bucket: Path<String>,
        table: Path<String>,
        /// At most so many rows: 1 to 10000, 1000 unless told.
        limit: Query<Option<i64>>,
        /// As of a snapshot's number.
        snapshot: Query<Option<String>>,
        /// As of a time (RFC 3339).
        as_of: Query<Option<String>>,
        /// As of a tag.
        tag: Query<Option<String>>,
        /// Wait until the newest snapshot is this one or a later one.
        min_snapshot: Query<Option<String>>,
    ) -> ApiResult<Streamed<Preview, JsonOnly>> {
        let (project, table) = (project_id(&project.0)?, table_ref(&bucket.0, &table.0)?);
        let limit = number("limit", limit.0, 1..=10_000, 1_000)?;
        let version = version(snapshot.0.as_deref(), as_of.0.as_deref(), tag.0.as_deref())?;
        let version = since(version, min_snapshot.0.as_deref(), PREVIEW_TIMEOUT)?;
        let opened = self.data.open(auth.caller(), &project, &table, &version).await?;
        let selection = Selection { limit: Some(limit.into()), ..Selection::default() };
        let (rows, snapshot) = self.data.rows(&opened, selection, PREVIEW_TIMEOUT).await?;
        let table = opened.into_table();
        let head = format!("{{\"columns\":{},\"rows\":[", columns(&table.schema, &table.comments).to_json_string());
        let total = table.size.row_count;
        let tail =
            move |shown: u64| format!("],\"total_row_count\":{},\"preview_row_count\":{shown}}}", total.max(shown));
        let document = Output::Json(Document { rows: PREVIEW, head, tail: Box::new(tail) });
        Ok(respond(rows, Wanted::plain(OutputFormat::Json), document, "preview").await?.with_snapshot(snapshot))
    }

    /// Change a table
    ///
    /// One thing at a time: its name, its comment, its partitioning, or its order.
    #[oai(path = "/projects/:project/buckets/:bucket/tables/:table", method = "patch", operation_id = "change_table")]
    #[expect(clippy::too_many_arguments, reason = "each is a parameter of the route")]
    async fn change_table(
        &self,
        auth: Auth,
        project: Path<String>,
        bucket: Path<String>,
        table: Path<String>,
        /// Also if others can't go on as before.
        allow_breaking: Query<Option<bool>>,
        /// Only say what would happen.
        dry_run: Query<Option<bool>>,
        /// The version of the table that this is meant for; rows that came in between don't count.
        #[oai(name = "If-Match")]
        if_match: Header<Option<String>>,
        body: Json<ChangeTable>,
    ) -> ApiResult<ShapeChanged> {
        let said = Said::new((&project, &bucket, &table), &allow_breaking, &dry_run, &if_match);
        reshape(&self.tables, auth.caller(), &said, body.0.change()?).await.map(ShapeChanged::from)
    }
}
