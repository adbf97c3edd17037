//! Rows put into tables, changed and deleted.

use std::sync::Arc;

use gadwall_application::caller::Caller;
use gadwall_application::error::UseCaseError;
use gadwall_application::tables::{Edit, Meant, Purged, Tables};
use gadwall_domain::filter::{Assignment, Filter};
use gadwall_domain::ids::SnapshotId;
use gadwall_domain::ports::lake::LoadMode;
use gadwall_domain::schema::TableSchema;
use poem_openapi::param::{Header, Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::types::{Any, Example};
use poem_openapi::{Object, OpenApi};
use serde::Deserialize;
use serde_json::{Value, json};

use super::conditions::if_match_rows;
use super::exact::{Described, Exact, Part};
use super::models::{Changed, JsonObject};
use super::rows::{Putting, RowsBody, Spool, put_rows};
use super::{Area, project_id, table_ref};
use crate::auth::Auth;
use crate::problem::{ApiError, ApiResult};

pub(crate) struct EditsApi {
    pub(crate) tables: Arc<Tables>,
    pub(crate) spool: Spool,
}

/// Which rows are meant.
#[derive(Debug, Object)]
#[oai(example)]
pub(crate) struct RowFilter {
    /// A condition: `{"column": "id", "op": "gt", "value": 3}`, or `{"and": […]}`, `{"or": […]}`, `{"not": {…}}` of such. `op`
    /// is one of `eq`, `ne`, `lt`, `le`, `gt`, `ge`, `in`, `not_in`, `between` (with a list), `like`, `not_like` (`%` and `_`),
    /// `is_null`, `is_not_null` (without a value). Values may be given as text for columns of any type.
    filter: Any<Value>,
}

/// Which rows change, and how.
#[derive(Debug, Object)]
#[oai(example)]
pub(crate) struct RowUpdate {
    /// A condition, as for deleting rows.
    filter: Any<Value>,
    /// New values by column; null empties it.
    set: JsonObject,
}

impl Example for RowFilter {
    fn example() -> Self {
        let old = json!({ "column": "at", "op": "lt", "value": "2020-01-01" });
        let free = json!({ "column": "amount", "op": "in", "value": [0, "0.01"] });
        Self { filter: Any(json!({ "and": [old, free] })) }
    }
}

impl Example for RowUpdate {
    fn example() -> Self {
        let set = [("amount".to_owned(), json!(9.99)), ("note".to_owned(), Value::Null)];
        Self { filter: Any(json!({ "column": "id", "op": "eq", "value": 3 })), set: Any(set.into_iter().collect()) }
    }
}

/// A [`RowFilter`] as it is read.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FilterText {
    #[serde(default)]
    filter: Part,
}

/// A [`RowUpdate`] as it is read.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct UpdateText {
    #[serde(default)]
    filter: Part,
    #[serde(default)]
    set: Part,
}

impl Described for FilterText {
    type Document = RowFilter;
}

impl Described for UpdateText {
    type Document = RowUpdate;
}

/// What a purge did.
#[derive(Debug, Object)]
#[oai(rename = "PurgeReport")]
pub(crate) struct PurgedBody {
    /// Rows that were deleted from the newest version.
    rows: u64,
    /// The newest snapshot after it; none on a dry run.
    #[oai(skip_serializing_if_is_none)]
    snapshot_id: Option<u64>,
    /// Snapshots that showed the rows and are gone, for all tables of the project.
    #[oai(skip_serializing_if_is_none)]
    expired_snapshot_ids: Option<Vec<u64>>,
    /// Data files that held the rows and were deleted.
    #[oai(skip_serializing_if_is_none)]
    files_deleted: Option<u64>,
    /// Data files that were written anew without the rows.
    #[oai(skip_serializing_if_is_none)]
    files_rewritten: Option<u64>,
    /// Bytes of the deleted files.
    #[oai(skip_serializing_if_is_none)]
    bytes_deleted: Option<u64>,
    /// Whether nothing was done.
    dry_run: bool,
    /// The request.
    request_id: String,
}

#[OpenApi(tag = "Area::Rows")]
impl EditsApi {
    /// Put rows into a table
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
    #[expect(clippy::too_many_arguments, reason = "each is a parameter of the route")]
    async fn put(
        &self,
        auth: Auth,
        project: Path<String>,
        bucket: Path<String>,
        table: Path<String>,
        /// `append` (default): a row whose key is there already is a conflict. `upsert`: it takes that row's place, the
        /// last one of the request wins. `replace`: the rows take the place of all that are there.
        mode: Query<Option<String>>,
        /// Only say what would happen.
        dry_run: Query<Option<bool>>,
        /// The version of the table that this is meant for.
        #[oai(name = "If-Match")]
        if_match: Header<Option<String>>,
        body: RowsBody,
    ) -> ApiResult<Json<Changed>> {
        let (project, table) = (project_id(&project.0)?, table_ref(&bucket.0, &table.0)?);
        let mode = mode.0.as_deref().map_or(Some(LoadMode::Append), LoadMode::parse);
        let mode = mode.ok_or_else(|| ApiError::out_of_range("mode is append, upsert or replace"))?;
        let expected = if_match_rows(if_match.0.as_deref())?;
        let how = Putting { mode, meant: Meant { expected, dry_run: dry_run.0.unwrap_or(false) } };
        let done = put_rows(&self.tables, &self.spool, auth.caller(), (&project, &table), body, how).await?;
        Ok(Json(Changed::new(done, auth.caller())))
    }

    /// Delete rows
    ///
    /// Those that the condition means; to delete all of them, truncate the table.
    #[oai(
        path = "/projects/:project/buckets/:bucket/tables/:table/rows/delete",
        method = "post",
        operation_id = "delete_rows"
    )]
    #[expect(clippy::too_many_arguments, reason = "each is a parameter of the route")]
    async fn delete(
        &self,
        auth: Auth,
        project: Path<String>,
        bucket: Path<String>,
        table: Path<String>,
        /// Only say what would happen.
        dry_run: Query<Option<bool>>,
        /// The version of the table that this is meant for.
        #[oai(name = "If-Match")]
        if_match: Header<Option<String>>,
        body: Exact<FilterText>,
    ) -> ApiResult<Json<Changed>> {
        let target = (project.0.as_str(), bucket.0.as_str(), table.0.as_str());
        let how = (dry_run.0, if_match.0.as_deref());
        let filter = body.0.filter.ok_or_else(|| missing_filter("delete", "POST …/truncate deletes all of them"))?;
        self.edit(auth.caller(), target, how, move |schema| {
            Ok(Edit::Delete { filter: Some(Filter::parse(filter.get(), schema.columns())?) })
        })
        .await
    }

    /// Delete rows (with a body)
    ///
    /// As `POST …/rows/delete`, for clients that send a body with DELETE.
    #[oai(
        path = "/projects/:project/buckets/:bucket/tables/:table/rows",
        method = "delete",
        operation_id = "delete_rows_by_body"
    )]
    #[expect(clippy::too_many_arguments, reason = "each is a parameter of the route")]
    async fn delete_by_body(
        &self,
        auth: Auth,
        project: Path<String>,
        bucket: Path<String>,
        table: Path<String>,
        /// Only say what would happen.
        dry_run: Query<Option<bool>>,
        /// The version of the table that this is meant for.
        #[oai(name = "If-Match")]
        if_match: Header<Option<String>>,
        body: Exact<FilterText>,
    ) -> ApiResult<Json<Changed>> {
        self.delete(auth, project, bucket, table, dry_run, if_match, body).await
    }

    /// Change rows
    ///
    /// Sets columns of those rows that the condition means. The table's rules hold for the new values, too.
    #[oai(
        path = "/projects/:project/buckets/:bucket/tables/:table/rows/update",
        method = "post",
        operation_id = "update_rows"
    )]
    #[expect(clippy::too_many_arguments, reason = "each is a parameter of the route")]
    async fn update(
        &self,
        auth: Auth,
        project: Path<String>,
        bucket: Path<String>,
        table: Path<String>,
        /// Only say what would happen.
        dry_run: Query<Option<bool>>,
        /// The version of the table that this is meant for.
        #[oai(name = "If-Match")]
        if_match: Header<Option<String>>,
        body: Exact<UpdateText>,
    ) -> ApiResult<Json<Changed>> {
        let target = (project.0.as_str(), bucket.0.as_str(), table.0.as_str());
        let how = (dry_run.0, if_match.0.as_deref());
        let UpdateText { filter, set } = body.0;
        let all = "for all of them, {\"not\": {…}} of something that never holds will do";
        let filter = filter.ok_or_else(|| missing_filter("change", all))?;
        let set = set.ok_or_else(|| ApiError::out_of_range("set is missing: an object of columns and new values"))?;
        self.edit(auth.caller(), target, how, move |schema| {
            let filter = Filter::parse(filter.get(), schema.columns())?;
            Ok(Edit::Update { filter, set: Assignment::parse_all(set.get(), schema.columns())? })
        })
        .await
    }

    /// Delete all rows
    ///
    /// The table stays, with its columns and its rules.
    #[oai(
        path = "/projects/:project/buckets/:bucket/tables/:table/truncate",
        method = "post",
        operation_id = "truncate_table"
    )]
    async fn truncate(
        &self,
        auth: Auth,
        project: Path<String>,
        bucket: Path<String>,
        table: Path<String>,
        /// Only say what would happen.
        dry_run: Query<Option<bool>>,
        /// The version of the table that this is meant for.
        #[oai(name = "If-Match")]
        if_match: Header<Option<String>>,
    ) -> ApiResult<Json<Changed>> {
        let target = (project.0.as_str(), bucket.0.as_str(), table.0.as_str());
        let how = (dry_run.0, if_match.0.as_deref());
        self.edit(auth.caller(), target, how, |_| Ok(Edit::Delete { filter: None })).await
    }

    /// Delete rows for good
    ///
    /// From the newest version, from history and from storage: snapshots that show them are removed, for all tables of
    /// the project. Refused while a tag holds one of those.
    #[oai(
        path = "/projects/:project/buckets/:bucket/tables/:table/rows/purge",
        method = "post",
        operation_id = "purge_rows"
    )]
    #[expect(clippy::too_many_arguments, reason = "each is a parameter of the route")]
    async fn purge(
        &self,
        auth: Auth,
        project: Path<String>,
        bucket: Path<String>,
        table: Path<String>,
        /// Only say how many rows of the newest version it would delete.
        dry_run: Query<Option<bool>>,
        /// The version of the table that this is meant for, looked at before the purge begins.
        #[oai(name = "If-Match")]
        if_match: Header<Option<String>>,
        body: Exact<FilterText>,
    ) -> ApiResult<Json<PurgedBody>> {
        let (project, table) = (project_id(&project.0)?, table_ref(&bucket.0, &table.0)?);
        let filter = body.0.filter.ok_or_else(|| missing_filter("purge", "a purge can't be undone"))?;
        let meant = Meant { expected: if_match_rows(if_match.0.as_deref())?, dry_run: dry_run.0.unwrap_or(false) };
        let read = |schema: &TableSchema| Ok(Filter::parse(filter.get(), schema.columns())?);
        let done = self.tables.purge(auth.caller(), &project, &table, read, meant).await?;
        Ok(Json(PurgedBody::new(done, auth.caller())))
    }
}

impl PurgedBody {
    fn new(purged: Purged, caller: &Caller) -> Self {
        let request_id = caller.request_id.to_string();
        match purged {
            Purged::Done(report) => Self {
                rows: report.rows,
                snapshot_id: Some(report.snapshot.get()),
                expired_snapshot_ids: Some(report.expired.into_iter().map(SnapshotId::get).collect()),
                files_deleted: Some(report.files_deleted),
                files_rewritten: Some(report.files_rewritten),
                bytes_deleted: Some(report.bytes_deleted),
                dry_run: false,
                request_id,
            },
            Purged::WouldDelete(rows) => Self {
                rows,
                snapshot_id: None,
                expired_snapshot_ids: None,
                files_deleted: None,
                files_rewritten: None,
                bytes_deleted: None,
                dry_run: true,
                request_id,
            },
        }
    }
}

impl EditsApi {
    async fn edit(
        &self,
        caller: &Caller,
        (project, bucket, table): (&str, &str, &str),
        (dry_run, if_match): (Option<bool>, Option<&str>),
        read: impl FnOnce(&TableSchema) -> Result<Edit, UseCaseError> + Send,
    ) -> ApiResult<Json<Changed>> {
        let (project, table) = (project_id(project)?, table_ref(bucket, table)?);
        let meant = Meant { expected: if_match_rows(if_match)?, dry_run: dry_run.unwrap_or(false) };
        let done = self.tables.edit(caller, &project, &table, read, meant).await?;
        Ok(Json(Changed::new(done, caller)))
    }
}

fn missing_filter(what: &str, instead: &str) -> ApiError {
    ApiError::out_of_range(format!("filter is missing: say which rows to {what}; {instead}"))
}
