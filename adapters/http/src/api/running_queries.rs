//! `/projects/{id}/queries`: those that run, and those that ended.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use gadwall_application::queries::BackgroundQueries;
use gadwall_domain::ports::system::Clock;
use gadwall_domain::query_record::{QueryRecord, QueryState};
use poem_openapi::param::Path;
use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};

use super::{Area, project_id};
use crate::auth::Auth;
use crate::problem::{ApiError, ApiResult};

pub(crate) struct RunningQueriesApi {
    pub(crate) background: Arc<BackgroundQueries>,
    pub(crate) clock: Arc<dyn Clock>,
}

/// A query that runs, or ended.
#[derive(Debug, Object)]
#[oai(rename = "QueryStatus")]
pub(crate) struct QueryStatus {
    /// Its id, as in the header `X-Query-Id` of its answer.
    id: String,
    /// The statement; its first 10,000 characters.
    query: String,
    /// `queued`, `running`, `done`, `failed` or `cancelled`.
    state: String,
    /// When it came in.
    started_at: DateTime<Utc>,
    /// When it ended, if it has.
    finished_at: Option<DateTime<Utc>>,
    /// Milliseconds from when it came in to its end, or until now.
    duration_ms: u64,
    /// What it is at, while it has not ended: `waiting` for its turn, `running` without rows yet, or `streaming` its rows.
    /// How much is left isn't known, so no share is told.
    phase: Option<String>,
    /// Rows read of its result so far.
    rows: u64,
    /// Bytes of these rows before they are written in a format, while it has not ended.
    bytes_sent: Option<u64>,
    /// Rows that the scans of tables and files handed on, if that was measured and all rows were read.
    rows_scanned: Option<u64>,
    /// Bytes of these rows in the columns that were needed, as the engine holds them.
    bytes_scanned: Option<u64>,
    /// The most memory that the engine held while the query ran, others that ran at that time included.
    peak_memory_bytes: Option<u64>,
    /// The most that the engine had put aside on disk meanwhile, for others, too.
    peak_spill_bytes: Option<u64>,
    /// The code of its failure, if it failed.
    error_code: Option<String>,
    /// Who asked: `admin` or `key:<id>`.
    principal: String,
    /// The request it came with.
    request_id: String,
}

/// A page of queries.
#[derive(Debug, Object)]
pub(crate) struct QueryStatusList {
    /// Those that have not ended, then those that have; each newest first.
    pub(crate) queries: Vec<QueryStatus>,
    /// Send it as `cursor` for the next page; null on the last one.
    pub(crate) next_cursor: Option<String>,
}

#[OpenApi(tag = "Area::Queries")]
impl RunningQueriesApi {
    /// Look at a query
    #[oai(path = "/projects/:project/queries/:query", method = "get", operation_id = "get_query")]
    async fn get(&self, auth: Auth, project: Path<String>, query: Path<String>) -> ApiResult<Json<QueryStatus>> {
        let project = project_id(&project.0)?;
        Ok(Json(self.status(self.background.get(auth.caller(), &project, &query.0).await?)))
    }

    /// Cancel a query, or delete its result
    ///
    /// It stops at once, whether it waits, runs or is being read; who reads it gets the problem `query_cancelled`, or a
    /// connection that breaks off where rows were sent already. What writes stops as well, and nothing of it stands; but one
    /// that commits already goes on, which is answered 409 `query_not_running`. Of one that ran in the background and has ended, the
    /// result is deleted.
    #[oai(path = "/projects/:project/queries/:query", method = "delete", operation_id = "cancel_query")]
    async fn cancel(&self, auth: Auth, project: Path<String>, query: Path<String>) -> ApiResult<Json<QueryStatus>> {
        let project = project_id(&project.0)?;
        Ok(Json(self.status(self.background.cancel(auth.caller(), &project, &query.0).await?)))
    }
}

impl RunningQueriesApi {
    fn status(&self, query: QueryRecord) -> QueryStatus {
        QueryStatus::of(query, self.clock.as_ref())
    }
}

impl QueryStatus {
    pub(crate) fn of(query: QueryRecord, clock: &dyn Clock) -> Self {
        let until = query.finished_at.unwrap_or_else(|| clock.now());
        Self {
            id: query.id.to_string(),
            query: query.sql,
            state: query.state.as_str().to_owned(),
            started_at: query.started_at,
            finished_at: query.finished_at,
            // A clock that was set back must not make it negative.
            duration_ms: u64::try_from((until - query.started_at).num_milliseconds()).unwrap_or(0),
            phase: query.progress.map(|progress| progress.phase.as_str().to_owned()),
            rows: query.rows,
            bytes_sent: query.progress.map(|progress| progress.bytes),
            rows_scanned: query.profile.map(|profile| profile.rows_scanned),
            bytes_scanned: query.profile.map(|profile| profile.bytes_scanned),
            peak_memory_bytes: query.profile.map(|profile| profile.peak_memory),
            peak_spill_bytes: query.profile.map(|profile| profile.peak_spill),
            error_code: query.error_code,
            principal: query.principal,
            request_id: query.request_id.to_string(),
        }
    }
}

pub(crate) fn query_state(word: &str) -> ApiResult<QueryState> {
    let words = QueryState::ALL.map(QueryState::as_str);
    QueryState::parse(word).ok_or_else(|| ApiError::out_of_range(format!("state is one of {}", words.join(", "))))
}
