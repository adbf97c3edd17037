//! `/projects/{id}/queries`: queries that are answered before they are done, and their results.

use std::time::Duration;

use gadwall_application::queries::{KeptResult, MAX_LISTED, QueryCursor, QueryWish};
use gadwall_domain::ports::system::Clock;
use gadwall_domain::query::QueryError;
use gadwall_domain::query_figures::Figures;
use gadwall_domain::query_record::QueryRecord;
use poem::{FromRequest, IntoResponse, Request, RequestBody, Response};
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::registry::{MetaResponses, Registry};
use poem_openapi::{ApiResponse, OpenApi};

use super::queries::{NAME, QueriesApi, QueryRequest, QueryResult, closed, written};
use super::running_queries::{QueryStatus, QueryStatusList, query_state};
use super::{Area, number, project_id, since, time, version};
use crate::auth::Auth;
use crate::negotiate::{Accepts, AnyFormat, Offers as _, negotiate};
use crate::output::{Streamed, respond};
use crate::problem::{ApiError, ApiResult};
use crate::statistics::Statistics;

/// Seconds after which a client may ask again how far a query is.
const ASK_AGAIN: u32 = 1;
/// The preference (RFC 7240, 4.1) to be answered before it is done.
const LATER: &str = "respond-async";

pub(crate) struct ResultsApi {
    pub(crate) asked: QueriesApi,
}

/// What a request prefers (RFC 7240). Preferences that aren't known are ignored, as it demands.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Prefers {
    /// To be answered before it is done.
    pub(crate) later: bool,
}

impl<'a> FromRequest<'a> for Prefers {
    async fn from_request(request: &'a Request, _: &mut RequestBody) -> poem::Result<Self> {
        let values = request.headers().get_all("prefer").iter().filter_map(|value| value.to_str().ok());
        Ok(Self { later: values.flat_map(|value| value.split(',')).any(is_later) })
    }
}

/// Whether one preference is that one, whatever its parameters.
fn is_later(preference: &str) -> bool {
    preference.split(';').next().is_some_and(|name| name.trim().eq_ignore_ascii_case(LATER))
}

#[derive(ApiResponse)]
pub(crate) enum AcceptedQuery {
    /// It runs in the background; `Location` tells how far it is, and `…/result` below that what came of it.
    #[oai(status = 202)]
    Accepted(
        Json<QueryStatus>,
        #[oai(header = "Location")] String,
        #[oai(header = "Retry-After")] u32,
        #[oai(header = "X-Query-Id")] String,
        #[oai(header = "Preference-Applied")] Option<String>,
    ),
}

impl AcceptedQuery {
    pub(crate) fn new(query: QueryRecord, clock: &dyn Clock) -> Self {
        let (id, location) = (query.id.to_string(), format!("/projects/{}/queries/{}", query.project, query.id));
        Self::Accepted(Json(QueryStatus::of(query, clock)), location, ASK_AGAIN, id, None)
    }

    /// Tells that it is so because the request preferred it.
    pub(crate) fn because_preferred(self) -> Self {
        let Self::Accepted(status, location, ask_again, id, _) = self;
        Self::Accepted(status, location, ask_again, id, Some(LATER.to_owned()))
    }
}

/// A query's answer: its rows, or that it runs in the background.
pub(crate) enum Answered {
    Rows(Streamed<QueryResult>),
    Later(AcceptedQuery),
}

impl IntoResponse for Answered {
    fn into_response(self) -> Response {
        match self {
            Self::Rows(rows) => rows.into_response(),
            Self::Later(accepted) => accepted.into_response(),
        }
    }
}

impl ApiResponse for Answered {
    fn meta() -> MetaResponses {
        let mut both = <Streamed<QueryResult> as ApiResponse>::meta();
        both.responses.extend(AcceptedQuery::meta().responses);
        both
    }

    fn register(registry: &mut Registry) {
        <Streamed<QueryResult> as ApiResponse>::register(registry);
        AcceptedQuery::register(registry);
    }
}

#[OpenApi(tag = "Area::Queries")]
impl ResultsApi {
    /// List queries
    ///
    /// Those that wait or run, then those that ended; each newest first. SQL that writes is among them, a batch as one,
    /// with its statements one below the other. Keys with the scope `manage` see all queries
    /// of the project, others their own. Of those that ended, the newest 1,000 of the last 7 days are kept, unless the
    /// server is set otherwise.
    #[oai(path = "/projects/:project/queries", method = "get", operation_id = "list_queries")]
    async fn list(
        &self,
        auth: Auth,
        project: Path<String>,
        /// Only those that are `queued`, `running`, `done`, `failed` or `cancelled`.
        state: Query<Option<String>>,
        /// Only those that came in at this time or later (RFC 3339).
        since: Query<Option<String>>,
        /// At most so many: 1 to 1000, 100 unless told.
        limit: Query<Option<i64>>,
        /// The `next_cursor` of the page before.
        cursor: Query<Option<String>>,
    ) -> ApiResult<Json<QueryStatusList>> {
        let project = project_id(&project.0)?;
        let wish = QueryWish {
            state: state.0.as_deref().map(query_state).transpose()?,
            since: since.0.as_deref().map(|text| time("since", text)).transpose()?,
            limit: number("limit", limit.0, 1..=MAX_LISTED, 100)?,
            cursor: cursor.0.as_deref().map(QueryCursor::parse).transpose()?,
        };
        let page = self.asked.queries.list(auth.caller(), &project, wish).await?;
        let next_cursor = page.next.map(|next| next.to_string());
        let queries = page.queries.into_iter().map(|query| QueryStatus::of(query, self.asked.clock.as_ref())).collect();
        Ok(Json(QueryStatusList { queries, next_cursor }))
    }

    /// Run a query in the background
    ///
    /// It is answered at once, with where to ask how far it is. Its result is kept for an hour after its end, unless
    /// the server is set otherwise, and may be fetched as often as wanted by who asked, and by keys with the scope
    /// `manage`. `timeout_seconds` may be up to an hour. Only reads.
    #[oai(path = "/projects/:project/queries", method = "post", operation_id = "start_query")]
    #[expect(clippy::too_many_arguments, reason = "one for each parameter of the request")]
    async fn start(
        &self,
        auth: Auth,
        project: Path<String>,
        /// Read the tables as of this snapshot.
        snapshot: Query<Option<String>>,
        /// Read the tables as of this time (RFC 3339).
        as_of: Query<Option<String>>,
        /// Read the tables as of this tag.
        tag: Query<Option<String>>,
        /// Wait until the newest snapshot is this one or a later one, at most as long as a query may run unless told.
        min_snapshot: Query<Option<String>>,
        body: Json<QueryRequest>,
    ) -> ApiResult<AcceptedQuery> {
        let project = project_id(&project.0)?;
        let version = version(snapshot.0.as_deref(), as_of.0.as_deref(), tag.0.as_deref())?;
        let version = since(version, min_snapshot.0.as_deref(), self.asked.limits.default_timeout)?;
        let QueryRequest { query, params, timeout_seconds } = body.0;
        let query = self.asked.query_for_later(query, params, timeout_seconds)?;
        self.only_reads(&query.sql)?;
        self.asked.start(&auth, &project, &version, query).await
    }

    /// Fetch the result of a query that ran in the background
    ///
    /// In any format, and as often as wanted, until it is deleted. 409 while the query runs; if it failed, its problem.
    #[oai(path = "/projects/:project/queries/:query/result", method = "get", operation_id = "get_query_result")]
    async fn result(
        &self,
        auth: Auth,
        accepts: Accepts,
        project: Path<String>,
        query: Path<String>,
        /// `json`, `ndjson`, `csv`, `parquet`, `arrow` or `arrow_file`. It wins over `Accept`.
        format: Query<Option<String>>,
        /// JSON numbers that a double can't hold (`DECIMAL`, 64 bits and more) come as strings.
        #[oai(default)]
        precise: Query<bool>,
    ) -> ApiResult<Streamed<QueryResult>> {
        let project = project_id(&project.0)?;
        let wanted = negotiate(&accepts, format.0.as_deref(), AnyFormat::OFFERS)?;
        match self.asked.background.result(auth.caller(), &project, &query.0).await? {
            KeptResult::Failure(failure) => Err(ApiError::kept(&failure)),
            KeptResult::Rows { rows, snapshot, query } => {
                let output = written(&rows, snapshot, wanted.format, precise.0);
                let answer = respond(rows, wanted, output, NAME).await?.with_snapshot(snapshot);
                Ok(closed(answer, wanted, statistics(&query)))
            }
        }
    }
}

/// What was measured of a query that ran in the background.
fn statistics(query: &QueryRecord) -> Statistics {
    let figures = Figures { rows: query.rows, execution: Duration::ZERO, profile: query.profile };
    Statistics::kept(query.id, Some(figures))
}

impl ResultsApi {
    fn only_reads(&self, sql: &str) -> ApiResult<()> {
        // What can't be told before it runs (a wrong statement) is told by the result.
        if self.asked.reads(sql).unwrap_or(true) {
            return Ok(());
        }
        let hint = "send it to …/query, which answers when it is done".to_owned();
        Err(QueryError::Unsupported { what: "a statement that writes".to_owned(), hint }.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_preference_is_found_among_others() {
        let prefers = |values: &'static [&'static str]| async move {
            let mut request = Request::builder();
            for value in values {
                request = request.header("Prefer", *value);
            }
            Prefers::from_request(&request.finish(), &mut RequestBody::default()).await.unwrap().later
        };
        assert!(prefers(&["respond-async"]).await);
        assert!(prefers(&["wait=10, Respond-Async; x=1"]).await);
        assert!(prefers(&["return=minimal", "respond-async"]).await);
        assert!(!prefers(&["wait=10", "respond-asynchronously"]).await);
        assert!(!prefers(&[]).await);
    }
}
