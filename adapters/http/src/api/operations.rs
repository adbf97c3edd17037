//! `/projects/{id}/operations`.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use gadwall_application::operations::{MAX_LISTED, Operations};
use gadwall_domain::ids::OperationId;
use gadwall_domain::operation::{Operation, OperationState};
use gadwall_domain::ports::metadata::OperationFilter;
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::types::Any;
use poem_openapi::{ApiResponse, Object, OpenApi};
use serde_json::Value;

use super::paging::{next_cursor, read_cursor};
use super::{Area, number, project_id};
use crate::auth::Auth;
use crate::problem::{ApiResult, Problem};

/// Seconds after which a client may ask again how far an operation is.
const ASK_AGAIN: u32 = 1;

pub(crate) struct OperationsApi {
    pub(crate) operations: Arc<Operations>,
}

/// A piece of long work.
#[derive(Debug, Object)]
#[oai(rename = "Operation")]
pub(crate) struct OperationBody {
    /// Its id.
    id: String,
    /// `import`, `export`, `maintenance`, `backup`, `restore` or `doctor`.
    kind: String,
    /// What it works on: `bucket.table`, or `query`; of maintenance its steps; of backups `create`, `verify`,
    /// `prune` or `restore`; of the doctor `examine` or `repair`.
    subject: String,
    /// `pending`, `running`, `succeeded`, `failed` or `cancelled`.
    state: String,
    /// From 0 to 100; null while it can't be told.
    percent: Option<f64>,
    /// Rows so far.
    rows: u64,
    /// Bytes so far.
    bytes: u64,
    /// Who started it.
    started_by: String,
    /// The request that started it.
    request_id: String,
    /// When it was accepted.
    created_at: DateTime<Utc>,
    /// When it ended, if it has.
    finished_at: Option<DateTime<Utc>>,
    /// What came of it: `rows`, `bytes`, `snapshot_id`, `file_count`, and the first 100 `files` with path and size.
    #[oai(skip_serializing_if_is_none)]
    result: Option<Any<Value>>,
    /// Why it failed; nothing of it is left.
    #[oai(skip_serializing_if_is_none)]
    problem: Option<Problem>,
}

/// A page of operations.
#[derive(Debug, Object)]
pub(crate) struct OperationList {
    /// The operations, newest first.
    pub(super) operations: Vec<OperationBody>,
    /// Send it as `after` for the next page; null on the last one.
    pub(super) next_cursor: Option<String>,
}

#[derive(ApiResponse)]
pub(crate) enum Accepted {
    /// It will be done; `Location` tells how far it is.
    #[oai(status = 202)]
    Accepted(Json<OperationBody>, #[oai(header = "Location")] String, #[oai(header = "Retry-After")] u32),
}

/// The answer to an operation that was accepted.
pub(crate) fn accepted(operation: Operation) -> Accepted {
    let location = format!("/projects/{}/operations/{}", operation.project, operation.id);
    Accepted::Accepted(Json(operation.into()), location, ASK_AGAIN)
}

impl From<Operation> for OperationBody {
    fn from(operation: Operation) -> Self {
        let request_id = operation.request_id.to_string();
        let state = operation.state.as_str().to_owned();
        let (result, problem) = match operation.state {
            OperationState::Succeeded(result) => (Some(Any(result)), None),
            OperationState::Failed(kept) => (None, Some(Problem::kept(&kept, &request_id))),
            _ => (None, None),
        };
        Self {
            id: operation.id.to_string(),
            kind: operation.kind.as_str().to_owned(),
            subject: operation.subject,
            state,
            percent: operation.progress.percent,
            rows: operation.progress.rows,
            bytes: operation.progress.bytes,
            started_by: operation.started_by,
            request_id,
            created_at: operation.created_at,
            finished_at: operation.finished_at,
            result,
            problem,
        }
    }
}

impl OperationList {
    /// A page of at most so many.
    pub(super) fn page(found: Vec<Operation>, limit: u32) -> Self {
        let next_cursor = next_cursor(&found, limit, |last| last.id.to_string());
        Self { operations: found.into_iter().map(Into::into).collect(), next_cursor }
    }
}

#[OpenApi(tag = "Area::Operations")]
impl OperationsApi {
    /// List operations
    ///
    /// Newest first. Those that ended are forgotten after 7 days.
    #[oai(path = "/projects/:project/operations", method = "get", operation_id = "list_operations")]
    async fn list(
        &self,
        auth: Auth,
        project: Path<String>,
        /// At most so many: 1 to 1000, 100 unless told.
        limit: Query<Option<i64>>,
        /// The `next_cursor` of the page before.
        after: Query<Option<String>>,
    ) -> ApiResult<Json<OperationList>> {
        let project = project_id(&project.0)?;
        let limit = number("limit", limit.0, 1..=MAX_LISTED, 100)?;
        let after = read_cursor(after.0.as_deref(), OperationId::parse)?;
        let found = self.operations.list(auth.caller(), &project, OperationFilter { after, kind: None, limit }).await?;
        Ok(Json(OperationList::page(found, limit)))
    }

    /// Look at an operation
    #[oai(path = "/projects/:project/operations/:operation", method = "get", operation_id = "get_operation")]
    async fn get(&self, auth: Auth, project: Path<String>, operation: Path<String>) -> ApiResult<Json<OperationBody>> {
        let project = project_id(&project.0)?;
        Ok(Json(self.operations.get(auth.caller(), &project, &operation.0).await?.into()))
    }

    /// Cancel an operation
    ///
    /// Its work is stopped and nothing of it is left; the state is `cancelled` soon after. One that takes effect
    /// already goes on to its end, and one that ended stays as it is: look at the state.
    #[oai(path = "/projects/:project/operations/:operation", method = "delete", operation_id = "cancel_operation")]
    async fn cancel(
        &self,
        auth: Auth,
        project: Path<String>,
        operation: Path<String>,
    ) -> ApiResult<Json<OperationBody>> {
        let project = project_id(&project.0)?;
        Ok(Json(self.operations.cancel(auth.caller(), &project, &operation.0).await?.into()))
    }
}
