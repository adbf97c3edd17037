//! Rows put into tables, changed and deleted.

use std::sync::Arc;

use gadwall_application::caller::Caller;
use gadwall_application::tables::{TableChange, Tables};
use gadwall_domain::access::Scope;
use gadwall_domain::filter::{Assignment, Filter};
use gadwall_domain::ports::lake::LoadMode;
use poem_openapi::param::{Header, Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::types::Any;
use poem_openapi::{Object, OpenApi};
use serde_json::Value;

use super::conditions::if_match_rows;
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
pub(crate) struct RowFilter {
    /// A condition such as `{"column": "id", "op": "gt", "value": 3}`, or `and`, `or`, `not` of such.
    filter: Option<Any<Value>>,
}

/// Which rows change, and how.
#[derive(Debug, Object)]
pub(crate) struct RowUpdate {
    /// A condition such as `{"column": "id", "op": "gt", "value": 3}`, or `and`, `or`, `not` of such.
    filter: Option<Any<Value>>,
    /// New values by column; null empties it.
    set: JsonObject,
}

/// What a purge did.
#[derive(Debug, Object)]
pub(crate) struct Purged {
    /// Rows that were deleted from the newest version.
    rows: u64,
    /// The newest snapshot after it.
    snapshot_id: u64,
    /// Snapshots that showed the rows and are gone, for all tables of the project.
    expired_snapshot_ids: Vec<u64>,
    /// Data files that held the rows and were deleted.
    files_deleted: u64,
    /// Data files that were written anew without the rows.
    files_rewritten: u64,
    /// Bytes of the deleted files.
    bytes_deleted: u64,
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
        let how = Putting { mode, expected, dry_run: dry_run.0.unwrap_or(false) };
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
        body: Json<RowFilter>,
    ) -> ApiResult<Json<Changed>> {
        let target = (project.0.as_str(), bucket.0.as_str(), table.0.as_str());
        let how = (dry_run.0, if_match.0.as_deref());
        let filter = body.0.filter.ok_or_else(|| missing_filter("delete", "POST …/truncate deletes all rows"))?;
        self.edit(auth.caller(), target, how, |schema| {
            Ok(TableChange::Delete { filter: Some(Filter::parse(&filter.0, schema.columns())?) })
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
        body: Json<RowFilter>,
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
        body: Json<RowUpdate>,
    ) -> ApiResult<Json<Changed>> {
        let target = (project.0.as_str(), bucket.0.as_str(), table.0.as_str());
        let how = (dry_run.0, if_match.0.as_deref());
        let RowUpdate { filter, set } = body.0;
        let filter = filter.ok_or_else(|| missing_filter("update", "{\"and\": []} is not one either"))?;
        self.edit(auth.caller(), target, how, |schema| {
            Ok(TableChange::Update {
                filter: Some(Filter::parse(&filter.0, schema.columns())?),
                set: Assignment::parse_all(&set.0, schema.columns())?,
            })
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
        self.edit(auth.caller(), target, how, |_| Ok(TableChange::Delete { filter: None })).await
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
    async fn purge(
        &self,
        auth: Auth,
        project: Path<String>,
        bucket: Path<String>,
        table: Path<String>,
        body: Json<RowFilter>,
    ) -> ApiResult<Json<Purged>> {
        let (project, table) = (project_id(&project.0)?, table_ref(&bucket.0, &table.0)?);
        let filter = body.0.filter.ok_or_else(|| missing_filter("purge", "name the rows"))?;
        let open = self.tables.open(auth.caller(), &project, &table, Scope::Manage).await?;
        let filter = Filter::parse(&filter.0, open.schema().columns())?;
        let report = self.tables.purge(auth.caller(), open, Some(filter)).await?;
        Ok(Json(Purged {
            rows: report.rows,
            snapshot_id: report.snapshot.get(),
            expired_snapshot_ids: report.expired.into_iter().map(gadwall_domain::ids::SnapshotId::get).collect(),
            files_deleted: report.files_deleted,
            files_rewritten: report.files_rewritten,
            bytes_deleted: report.bytes_deleted,
            request_id: auth.caller().request_id.to_string(),
        }))
    }
}

impl EditsApi {
    async fn edit(
        &self,
        caller: &Caller,
        (project, bucket, table): (&str, &str, &str),
        (dry_run, if_match): (Option<bool>, Option<&str>),
        change: impl FnOnce(&gadwall_domain::schema::TableSchema) -> ApiResult<TableChange> + Send,
    ) -> ApiResult<Json<Changed>> {
        let (project, table) = (project_id(project)?, table_ref(bucket, table)?);
        let expected = if_match_rows(if_match)?;
        let open = self.tables.open(caller, &project, &table, Scope::Write).await?;
        let change = change(&open.schema())?;
        let done = self.tables.change(caller, open, change, expected, dry_run.unwrap_or(false)).await?;
        Ok(Json(Changed::new(done, caller)))
    }
}

fn missing_filter(what: &str, instead: &str) -> ApiError {
    ApiError::out_of_range(format!("filter is missing: say which rows to {what}; {instead}"))
}
