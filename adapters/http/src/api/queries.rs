//! `/projects/{id}/query`: one statement of SQL.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use arrow_schema::Schema;
use futures_util::stream;
use gadwall_application::error::UseCaseError;
use gadwall_application::queries::{BackgroundQueries, Opened, Queries};
use gadwall_application::scripts::{ScriptOutcome, Scripts};
use gadwall_application::transfers::Transfers;
use gadwall_application::versions::Version;
use gadwall_domain::history::ReadAt;
use gadwall_domain::ids::{QueryId, SnapshotId};
use gadwall_domain::names::ProjectId;
use gadwall_domain::ports::system::Clock;
use gadwall_domain::query::{Parameters, Query, QueryError};
use gadwall_domain::rows::RowStream;
use gadwall_domain::script::{Script, ScriptStatement, StatementKind, StatementResult, Touched, counted};
use gadwall_domain::table::TableRef;
use gadwall_formats::encode::json::JsonOptions;
use gadwall_formats::encode::{Document, describe_type};
use gadwall_formats::{Output, OutputFormat};
use poem_openapi::param::{Path, Query as Parameter};
use poem_openapi::payload::{Json, PlainText};
use poem_openapi::types::Any;
use poem_openapi::{ApiRequest, Object, OpenApi};
use serde_json::{Value, json};

use super::conditions::is_known;
use super::results::{AcceptedQuery, Answered, Prefers};
use super::{Area, number, project_id, since, version};
use crate::auth::Auth;
use crate::cache::{About, Key, ResultCache};
use crate::negotiate::{Accepts, AnyFormat, Offers as _, Wanted, negotiate};
use crate::output::{ARRAYS, OBJECTS, Streamed, precise, respond, usual};
use crate::problem::{ApiError, ApiResult};
use crate::safe::Safe;
use crate::statistics::{QueryStatistics, Statistics};

/// What files of results are called.
pub(super) const NAME: &str = "query_result";

#[derive(Clone)]
pub(crate) struct QueriesApi {
    pub(crate) queries: Arc<Queries>,
    pub(crate) background: Arc<BackgroundQueries>,
    pub(crate) scripts: Arc<Scripts>,
    pub(crate) transfers: Arc<Transfers>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) cache: Arc<ResultCache>,
    pub(crate) limits: QueryLimits,
}

/// How long queries may run, and how much statements that may write may answer.
#[derive(Debug, Clone, Copy)]
pub struct QueryLimits {
    /// Unless the request says otherwise.
    pub default_timeout: Duration,
    /// The longest that a request may ask for.
    pub max_timeout: Duration,
    /// The longest that a query in the background may run; so long it may if the request doesn't say.
    pub max_async_timeout: Duration,
    /// Most rows of each statement's result in a batch.
    pub max_batch_rows: u64,
}

/// A statement.
#[derive(Debug, Object)]
pub(crate) struct QueryRequest {
    /// One statement. Tables are named `bucket.table`, or `table` for those in `main`.
    pub(super) query: String,
    /// Values for `?` and `$1` as an array, for `$name` as an object. Names that the statement doesn't use are ignored.
    /// An array in it is a list, an object a struct, also within each other.
    pub(super) params: Option<Any<Value>>,
    /// Seconds after which it is stopped.
    pub(super) timeout_seconds: Option<i64>,
}

/// A statement, in a document or as it is.
#[derive(Debug, ApiRequest)]
pub(crate) enum QueryBody {
    /// With its parameters.
    Json(Json<QueryRequest>),
    /// Its text alone.
    #[oai(content_type = "application/sql")]
    Sql(PlainText<String>),
}

/// A query's result. What differs from one time to the next is in `statistics`, and for all formats in headers: `X-Query-Id`,
/// `X-Cache`, `Server-Timing` (milliseconds in the queue, and in the engine up to the first rows). Behind the last row come
/// the trailers `Server-Timing`, `X-Row-Count`, `X-Rows-Scanned`, `X-Bytes-Scanned`, `X-Peak-Memory-Bytes` and
/// `X-Peak-Spill-Bytes`, over HTTP/1.1 to who sends `TE: trailers`.
#[derive(Debug, Object)]
pub(crate) struct QueryResult {
    /// The result's columns.
    columns: Vec<ResultColumn>,
    /// Rows as arrays, in the order of the columns.
    rows: Vec<Any<Vec<Value>>>,
    /// How many rows there are.
    row_count: u64,
    /// The snapshot that was read, or made.
    snapshot_id: u64,
    /// The tables and views that a statement reads that was only tried.
    #[oai(skip_serializing_if_is_none)]
    tables_read: Option<Vec<String>>,
    /// The tables and views that it would change, make or drop.
    #[oai(skip_serializing_if_is_none)]
    tables_written: Option<Vec<String>>,
    /// How it was answered.
    statistics: QueryStatistics,
}

/// A column of a result.
#[derive(Debug, Object)]
pub(crate) struct ResultColumn {
    /// Its name.
    name: String,
    /// Its type, as DuckDB spells it.
    #[oai(rename = "type")]
    data_type: String,
}

/// A query and how its result is wanted.
struct Asked {
    query: Query,
    wanted: Wanted,
    precise: bool,
    safe: Safe,
    dry_run: bool,
    /// Whether a version was named.
    past: bool,
}

#[OpenApi(tag = "Area::Queries")]
impl QueriesApi {
    /// Run a statement of SQL
    ///
    /// A query over the project's tables is answered as a JSON document with the columns and the rows as arrays, or, as
    /// `Accept` or `format` says, as the rows alone: NDJSON, CSV, Parquet, or an Arrow IPC stream or file; all streamed.
    /// A statement that writes (`INSERT`, `UPDATE`, `DELETE`, `MERGE`, `CREATE TABLE`, `ALTER TABLE`, …) needs the
    /// scope that the change itself needs, stands in one snapshot, and answers how many rows it changed.
    /// The method QUERY on the same resource asks safely: it never writes, and may be answered 304.
    /// With `Prefer: respond-async` a query runs in the background and is answered 202, as by `POST …/queries`.
    #[oai(path = "/projects/:project/query", method = "post", operation_id = "run_query")]
    #[expect(clippy::too_many_arguments, reason = "one for each parameter of the request")]
    async fn run(
        &self,
        auth: Auth,
        accepts: Accepts,
        safe: Safe,
        prefers: Prefers,
        project: Path<String>,
        /// `json`, `ndjson`, `csv`, `parquet`, `arrow` or `arrow_file`. It wins over `Accept`.
        format: Parameter<Option<String>>,
        /// JSON numbers that a double can't hold (`DECIMAL`, 64 bits and more) come as strings.
        #[oai(default)]
        precise: Parameter<bool>,
        /// Only say what would happen: a query is checked and not run, a change is undone. The answer is a JSON document
        /// whatever the format; it names the tables that would be read and written. What would be refused is refused.
        #[oai(default)]
        dry_run: Parameter<bool>,
        /// Read the tables as of this snapshot.
        snapshot: Parameter<Option<String>>,
        /// Read the tables as of this time (RFC 3339).
        as_of: Parameter<Option<String>>,
        /// Read the tables as of this tag.
        tag: Parameter<Option<String>>,
        /// Wait until the newest snapshot is this one or a later one, at most as long as the query may run.
        min_snapshot: Parameter<Option<String>>,
        body: QueryBody,
    ) -> ApiResult<Answered> {
        let project = project_id(&project.0)?;
        let version = version(snapshot.0.as_deref(), as_of.0.as_deref(), tag.0.as_deref())?;
        let (sql, params, timeout) = match body {
            QueryBody::Json(Json(body)) => (body.query, body.params, body.timeout_seconds),
            QueryBody::Sql(PlainText(sql)) => (sql, None, None),
        };
        if prefers.later && !safe.is && !dry_run.0 && self.reads(&sql)? {
            let query = self.query_for_later(sql, params, timeout)?;
            let version = since(version, min_snapshot.0.as_deref(), self.limits.default_timeout)?;
            let accepted = self.start(&auth, &project, &version, query).await?;
            return Ok(Answered::Later(accepted.because_preferred()));
        }
        let query = self.query(sql, params, timeout)?;
        let version = since(version, min_snapshot.0.as_deref(), query.timeout)?;
        // Decided before anything runs.
        let wanted = negotiate(&accepts, format.0.as_deref(), AnyFormat::OFFERS)?;
        // What a statement would do is told of it, not in rows of it.
        let wanted = if dry_run.0 { Wanted::plain(OutputFormat::Json) } else { wanted };
        let past = version != Version::Head;
        let asked = Asked { query, wanted, precise: precise.0, safe, dry_run: dry_run.0, past };
        Ok(Answered::Rows(self.answer(&auth, &project, &version, asked).await?))
    }

    /// Run a query that is in the address
    ///
    /// For links, and for what caches by address. Only reads; `If-None-Match` with the `ETag` of an earlier answer is
    /// answered 304 as long as nothing was committed.
    #[oai(path = "/projects/:project/query", method = "get", operation_id = "run_query_by_get")]
    #[expect(clippy::too_many_arguments, reason = "one for each parameter of the request")]
    async fn get(
        &self,
        auth: Auth,
        accepts: Accepts,
        safe: Safe,
        project: Path<String>,
        /// One query.
        query: Parameter<String>,
        /// Values for placeholders, as a JSON array or object.
        params: Parameter<Option<String>>,
        /// Seconds after which it is stopped.
        timeout: Parameter<Option<i64>>,
        /// `json`, `ndjson`, `csv`, `parquet`, `arrow` or `arrow_file`. It wins over `Accept`.
        format: Parameter<Option<String>>,
        /// JSON numbers that a double can't hold (`DECIMAL`, 64 bits and more) come as strings.
        #[oai(default)]
        precise: Parameter<bool>,
        /// Read the tables as of this snapshot.
        snapshot: Parameter<Option<String>>,
        /// Read the tables as of this time (RFC 3339).
        as_of: Parameter<Option<String>>,
        /// Read the tables as of this tag.
        tag: Parameter<Option<String>>,
        /// Wait until the newest snapshot is this one or a later one, at most as long as the query may run.
        min_snapshot: Parameter<Option<String>>,
    ) -> ApiResult<Streamed<QueryResult>> {
        let project = project_id(&project.0)?;
        let version = version(snapshot.0.as_deref(), as_of.0.as_deref(), tag.0.as_deref())?;
        let given = params.0.as_deref().map(serde_json::from_str::<Value>).transpose();
        let given = given.map_err(|_| ApiError::out_of_range("params is a JSON array or object"))?;
        let query = self.query(query.0, given.map(Any), timeout.0)?;
        let version = since(version, min_snapshot.0.as_deref(), query.timeout)?;
        let wanted = negotiate(&accepts, format.0.as_deref(), AnyFormat::OFFERS)?;
        let past = version != Version::Head;
        let asked = Asked { query, wanted, precise: precise.0, safe, dry_run: false, past };
        self.answer(&auth, &project, &version, asked).await
    }
}

impl QueriesApi {
    fn query(&self, sql: String, params: Option<Any<Value>>, timeout: Option<i64>) -> ApiResult<Query> {
        let timeout = self.limits.timeout(timeout)?;
        Ok(Query { sql, parameters: parameters(params)?, default_bucket: None, timeout })
    }

    pub(super) fn query_for_later(
        &self,
        sql: String,
        params: Option<Any<Value>>,
        timeout: Option<i64>,
    ) -> ApiResult<Query> {
        let timeout = self.limits.async_timeout(timeout)?;
        Ok(Query { sql, parameters: parameters(params)?, default_bucket: None, timeout })
    }

    /// Whether a statement only reads.
    pub(super) fn reads(&self, sql: &str) -> ApiResult<bool> {
        Ok(self.scripts.examine(sql, None)?.kind == StatementKind::Read)
    }

    /// Starts a query in the background.
    pub(super) async fn start(
        &self,
        auth: &Auth,
        project: &ProjectId,
        version: &Version,
        query: Query,
    ) -> ApiResult<AcceptedQuery> {
        let opened = self.queries.open(auth.caller(), project, version, &query).await?;
        let record = self.background.start(auth.caller(), opened, query).await?;
        Ok(AcceptedQuery::new(record, self.clock.as_ref()))
    }

    async fn answer(
        &self,
        auth: &Auth,
        project: &ProjectId,
        version: &Version,
        asked: Asked,
    ) -> ApiResult<Streamed<QueryResult>> {
        let kind = kind_of(&self.scripts, &asked.query.sql)?;
        if kind == StatementKind::Read && !asked.dry_run {
            let opened = self.queries.open(auth.caller(), project, version, &asked.query).await?;
            return Ok(self.read(auth, opened, asked).await?.only_read());
        }
        if kind != StatementKind::Read && (asked.safe.is || asked.past) {
            let hint = "send it by POST, without naming a version".to_owned();
            return Err(QueryError::Unsupported { what: "a statement that writes".to_owned(), hint }.into());
        }
        if kind == StatementKind::File {
            if asked.dry_run {
                let hint = "send it without dry_run".to_owned();
                return Err(QueryError::Unsupported { what: "trying a COPY".to_owned(), hint }.into());
            }
            let (rows, snapshot, query) = self.copy(auth, project, &asked.query).await?;
            let output = written(&rows, snapshot, asked.wanted.format, asked.precise);
            let answer = respond(rows, asked.wanted, output, NAME).await?.with_snapshot(snapshot);
            return Ok(closed(answer, asked.wanted, Statistics::of(Some(query))));
        }
        // What writes names no version, and what reads is here only to be tried.
        let at = match kind {
            StatementKind::Read => self.queries.open(auth.caller(), project, version, &asked.query).await?.scope().at,
            _ => ReadAt::Head,
        };
        let script = Script {
            statements: vec![ScriptStatement { sql: asked.query.sql, parameters: asked.query.parameters }],
            default_bucket: asked.query.default_bucket,
            timeout: asked.query.timeout,
            dry_run: asked.dry_run,
            at,
            max_rows: self.limits.max_batch_rows,
        };
        let outcome = self.scripts.together(auth.caller(), project, script).await?;
        let (snapshot, query) = (outcome.snapshot, outcome.query_id);
        let tried = outcome.results.first().filter(|_| asked.dry_run).map(touched).unwrap_or_default();
        let rows = rows_of(outcome)?;
        let output = written_with(&rows, snapshot, asked.wanted.format, asked.precise, tried);
        let answer = respond(rows, asked.wanted, output, NAME).await?.with_snapshot(snapshot);
        Ok(closed(answer, asked.wanted, Statistics::of(query)))
    }

    /// Carries out a `COPY`, and answers as DuckDB does: how many rows.
    pub(crate) async fn copy(
        &self,
        auth: &Auth,
        project: &ProjectId,
        query: &Query,
    ) -> ApiResult<(RowStream, SnapshotId, QueryId)> {
        let none = match &query.parameters {
            Parameters::None => true,
            Parameters::Positional(values) => values.is_empty(),
            Parameters::Named(values) => values.is_empty(),
        };
        if !none {
            let hint = "write the values into it".to_owned();
            return Err(QueryError::Unsupported { what: "a COPY with parameters".to_owned(), hint }.into());
        }
        let copied = self.transfers.copy(auth.caller(), project, &query.sql, query.timeout).await?;
        Ok((count(copied.rows)?, copied.snapshot, copied.query_id))
    }

    /// Answers a query: out of what is kept, if it is there.
    async fn read(&self, auth: &Auth, opened: Opened, asked: Asked) -> ApiResult<Streamed<QueryResult>> {
        let Asked { query, wanted, precise, safe, .. } = asked;
        let form = format!("{}{}", wanted.content_type, if precise { ";precise" } else { "" });
        let key = |snapshot| Key::new(opened.scope(), snapshot, &query.sql, &query.parameters, "", &form);
        if let Some(snapshot) = self.queries.known_snapshot(&opened).await {
            let key = key(snapshot);
            let etag = key.etag();
            // Only what depends on nothing else was ever given this tag.
            if safe.known.is_some() && is_known(safe.known.as_deref(), &etag) {
                return Ok(Streamed::unchanged(wanted, tag(&key, wanted)));
            }
            if let Some(kept) = self.cache.get(&key) {
                self.queries.read_again(&opened, &kept.about.linked);
                let statistics = kept.about.statistics.again(opened.scope());
                let body = statistics.close_whole(wanted.format, kept.body);
                let again = Streamed::again(body, wanted, NAME).with_snapshot(kept.about.snapshot);
                let again = again.with_etag(Some(tag(&key, wanted))).with_cached(Some("hit"));
                return Ok(again.with_statistics(statistics));
            }
        }
        let output = self.queries.run_in(auth.caller(), opened.clone(), query.clone()).await?;
        let (snapshot, exact) = (output.snapshot, output.deterministic.then(|| key(output.snapshot)));
        let form = written(&output.rows, snapshot, wanted.format, precise);
        let answer = respond(output.rows, wanted, form, NAME).await?;
        let answer = answer.with_snapshot(snapshot).with_timing(output.timing);
        let statistics = Statistics::running(output.query_id, output.timing, opened.scope(), output.figures);
        let Some(key) = exact else { return Ok(closed(answer, wanted, statistics)) };
        let answer = answer.with_etag(Some(tag(&key, wanted))).with_cached(Some("miss"));
        let about = About { snapshot, linked: output.linked.into(), statistics: statistics.clone() };
        let answer = answer.map_body(|body| self.cache.keep(key, about, body));
        Ok(closed(answer, wanted, statistics))
    }
}

/// Ends an answer with how it came about.
pub(super) fn closed(answer: Streamed<QueryResult>, wanted: Wanted, statistics: Statistics) -> Streamed<QueryResult> {
    answer.map_body(|body| statistics.close(wanted.format, body)).with_statistics(statistics)
}

/// The validator of a result. Documents tell beside it how they came about, which isn't the same each time.
fn tag(key: &Key, wanted: Wanted) -> String {
    let strong = key.etag();
    if wanted.format == OutputFormat::Json { format!("W/{strong}") } else { strong }
}

/// What a statement does. One that can't be read at all is left to the engine, which knows best what is wrong with it.
pub(crate) fn kind_of(scripts: &Scripts, sql: &str) -> ApiResult<StatementKind> {
    match scripts.examine(sql, None) {
        Ok(examined) => Ok(examined.kind),
        Err(UseCaseError::Query(QueryError::Sql(_) | QueryError::Forbidden { .. })) => Ok(StatementKind::Read),
        Err(error) => Err(error.into()),
    }
}

/// What a change of rows answers.
fn count(rows: u64) -> ApiResult<RowStream> {
    let batch = counted(rows).map_err(|error| QueryError::Engine(error.to_string()))?;
    Ok(RowStream { schema: batch.schema(), batches: Box::pin(stream::iter([Ok(batch)])) })
}

/// How a result is written in a format. A document is left open for its [`Statistics`].
pub(super) fn written(rows: &RowStream, snapshot: SnapshotId, format: OutputFormat, exact: bool) -> Output {
    written_with(rows, snapshot, format, exact, String::new())
}

/// The same with more members in the document.
fn written_with(rows: &RowStream, snapshot: SnapshotId, format: OutputFormat, exact: bool, members: String) -> Output {
    let options = |options: JsonOptions| if exact { precise(options) } else { options };
    match format {
        OutputFormat::NdJson => Output::NdJson(options(OBJECTS)),
        OutputFormat::Json => Output::Json(document(rows, snapshot, options(ARRAYS), members)),
        other => usual(other, document(rows, snapshot, ARRAYS, members)),
    }
}

/// What a statement touches, as members of a document.
fn touched(result: &StatementResult) -> String {
    let Touched { reads, writes } = &result.touched;
    format!(",\"tables_read\":{},\"tables_written\":{}", json!(names(reads)), json!(names(writes)))
}

pub(super) fn names(tables: &BTreeSet<TableRef>) -> Vec<String> {
    tables.iter().map(ToString::to_string).collect()
}

fn document(rows: &RowStream, snapshot: SnapshotId, options: JsonOptions, members: String) -> Document {
    let fields = rows.schema.fields().iter();
    let columns: Vec<Value> =
        fields.map(|field| json!({ "name": field.name(), "type": describe_type(field) })).collect();
    let head = format!("{{\"columns\":{},\"rows\":[", Value::Array(columns));
    let tail = move |rows: u64| format!("],\"row_count\":{rows},\"snapshot_id\":{snapshot}{members}");
    Document { rows: options, head, tail: Box::new(tail) }
}

/// The one result of a script of one statement.
pub(crate) fn rows_of(outcome: ScriptOutcome) -> ApiResult<RowStream> {
    if let Some(failure) = outcome.failure {
        return Err(failure.into());
    }
    // The results of an earlier attempt are gone; that it was carried out, the snapshot tells.
    let (schema, batches) = match outcome.results.into_iter().next() {
        Some(result) => (result.schema, result.batches),
        None => (Arc::new(Schema::empty()), Vec::new()),
    };
    Ok(RowStream { schema, batches: Box::pin(stream::iter(batches.into_iter().map(Ok))) })
}

impl QueryLimits {
    /// The time a query in the background may take.
    pub(crate) fn async_timeout(&self, seconds: Option<i64>) -> ApiResult<Duration> {
        let most = u32::try_from(self.max_async_timeout.as_secs()).unwrap_or(u32::MAX).max(1);
        Ok(Duration::from_secs(u64::from(number("timeout_seconds", seconds, 1..=most, most)?)))
    }

    /// The time a query may take.
    pub(crate) fn timeout(&self, seconds: Option<i64>) -> ApiResult<Duration> {
        let most = u32::try_from(self.max_timeout.as_secs()).unwrap_or(u32::MAX).max(1);
        let default = u32::try_from(self.default_timeout.as_secs()).unwrap_or(most).clamp(1, most);
        Ok(Duration::from_secs(u64::from(number("timeout_seconds", seconds, 1..=most, default)?)))
    }
}

/// Values for placeholders, from an array or an object.
pub(crate) fn parameters(given: Option<Any<Value>>) -> ApiResult<Parameters> {
    match given.map(|any| any.0) {
        None | Some(Value::Null) => Ok(Parameters::None),
        Some(Value::Array(values)) => Ok(Parameters::Positional(values)),
        Some(Value::Object(values)) => Ok(Parameters::Named(values.into_iter().collect())),
        Some(_) => Err(ApiError::out_of_range("params is an array or an object")),
    }
}
