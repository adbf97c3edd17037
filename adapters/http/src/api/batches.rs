//! Batches of SQL, and the routes of the older analytics service, which are the same use cases in its own words.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use gadwall_application::access::Access;
use gadwall_application::error::UseCaseError;
use gadwall_application::scripts::ScriptOutcome;
use gadwall_domain::error::{Classify as _, ErrorKind};
use gadwall_domain::history::ReadAt;
use gadwall_domain::names::ProjectId;
use gadwall_domain::ports::system::ProcessMonitor;
use gadwall_domain::query::{Parameters, Query};
use gadwall_domain::rows::RowStream;
use gadwall_domain::script::{Script, ScriptStatement, StatementKind, StatementResult};
use gadwall_formats::encode::Document;
use gadwall_formats::{Encoder, Output, OutputFormat};
use poem_openapi::param::Path;
use poem_openapi::payload::Json;
use poem_openapi::types::Any;
use poem_openapi::{ApiResponse, Enum, Object, OpenApi};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::queries::{QueriesApi, kind_of, names, parameters};
use super::{Area, number, project_id};
use crate::auth::Auth;
use crate::negotiate::Wanted;
use crate::output::{ARRAYS, Streamed, respond};
use crate::problem::{ApiError, ApiResult};

/// Most statements of a batch.
const MAX_STATEMENTS: usize = 100;
/// Rows that `fetch_mode: many` answers.
const MANY: u64 = 1000;

pub(crate) struct BatchesApi {
    pub(crate) access: Arc<Access>,
    pub(crate) queries: QueriesApi,
    pub(crate) process: Arc<dyn ProcessMonitor>,
}

/// Statements that are carried out together.
#[derive(Debug, Object)]
pub(crate) struct BatchRequest {
    /// Statements in their order: each as text, or as `{"query", "params"}`.
    queries: Vec<Any<Value>>,
    /// All or nothing, as one snapshot, with temporary tables that live as long as the batch; otherwise each stands by
    /// itself, up to the first that fails.
    #[oai(default = "yes")]
    use_transaction: bool,
    /// Seconds after which the whole batch is stopped.
    timeout_seconds: Option<i64>,
    /// Only say what would happen, and which tables would be read and written.
    #[oai(default)]
    dry_run: bool,
}

fn yes() -> bool {
    true
}

/// What a batch gave.
#[derive(Debug, Object)]
pub(crate) struct BatchResult {
    /// One for each statement that was carried out.
    results: Vec<StatementBody>,
    /// Statements that were sent.
    total_queries: u64,
    /// Seconds.
    total_execution_time: f64,
    /// Statements that were carried out.
    success_count: u64,
    /// The snapshot that the batch made, or the newest if it changed nothing.
    snapshot_id: u64,
    /// Why the statement after the last of the results failed, where each stands by itself.
    #[oai(skip_serializing_if_is_none)]
    error: Option<Any<Map<String, Value>>>,
    /// An earlier attempt of this request was carried out, and its results are gone.
    #[oai(skip_serializing_if = "std::ops::Not::not")]
    replayed: bool,
}

/// A batch's answer.
#[derive(ApiResponse)]
pub(crate) enum BatchAnswer {
    /// What it gave.
    #[oai(status = 200)]
    Done(
        Json<BatchResult>,
        /// Under which id the batch is known among the queries, if it was run.
        #[oai(header = "X-Query-Id")]
        Option<String>,
    ),
}

/// What one statement gave.
#[derive(Debug, Object)]
pub(crate) struct StatementBody {
    /// Rows as arrays.
    data: Any<Value>,
    /// The columns' names.
    columns: Vec<String>,
    /// How many rows.
    row_count: u64,
    /// Seconds.
    execution_time: f64,
    /// Megabytes; not measured for one statement of a batch.
    memory_usage: f64,
    /// The same for the same text.
    query_hash: String,
    /// The tables and views that it reads, where it was only tried.
    #[oai(skip_serializing_if_is_none)]
    tables_read: Option<Vec<String>>,
    /// The tables and views that it would change, make or drop.
    #[oai(skip_serializing_if_is_none)]
    tables_written: Option<Vec<String>>,
}

/// How much of a result is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
pub(crate) enum FetchMode {
    /// All rows.
    All,
    /// The first row, alone; null if there is none.
    One,
    /// The first 1000 rows.
    Many,
    /// No rows: the statement is only carried out.
    None,
}

/// A statement, in the words of the older analytics service.
#[derive(Debug, Object)]
pub(crate) struct AnalyticsRequest {
    /// One statement.
    #[oai(validator(min_length = 1))]
    query: String,
    /// Values for `$name`, or, named `1`, `2`, …, for `?`; or an array.
    params: Option<Any<Value>>,
    /// How much of the result is answered.
    #[oai(default = "all")]
    fetch_mode: FetchMode,
    /// Seconds after which it is stopped.
    #[oai(default = "half_a_minute")]
    timeout_seconds: i64,
}

fn all() -> FetchMode {
    FetchMode::All
}

fn half_a_minute() -> i64 {
    30
}

/// A result, in the words of the older analytics service.
#[derive(Debug, Object)]
pub(crate) struct AnalyticsResult {
    /// Rows as arrays; one row or null with `one`, null with `none`.
    data: Any<Value>,
    /// The columns' names.
    columns: Vec<String>,
    /// How many rows are answered; null with `none`.
    row_count: Option<u64>,
    /// Seconds.
    execution_time: f64,
    /// Megabytes by which the process grew meanwhile.
    memory_usage: f64,
    /// The same for the same text.
    query_hash: String,
    /// The snapshot that was read, or made.
    snapshot_id: u64,
}

#[OpenApi(tag = "Area::Queries")]
impl BatchesApi {
    /// Run statements together
    ///
    /// All of them, or none, as one snapshot. A statement sees what those before it did; temporary tables live as long as
    /// the batch. What the statements read is answered in full, up to a limit of rows each.
    #[oai(path = "/projects/:project/batch", method = "post", operation_id = "run_batch")]
    async fn batch(&self, auth: Auth, project: Path<String>, body: Json<BatchRequest>) -> ApiResult<BatchAnswer> {
        self.run(&auth, &project_id(&project.0)?, body.0).await
    }

    /// Run statements together in one's own project
    #[oai(path = "/api/v1/duckdb/batch", method = "post", operation_id = "run_analytics_batch")]
    async fn analytics_batch(&self, auth: Auth, body: Json<BatchRequest>) -> ApiResult<BatchAnswer> {
        let project = auth.own_project(&self.access)?;
        self.run(&auth, &project, body.0).await
    }

    /// Run a statement in one's own project
    ///
    /// `data` holds rows as arrays. `INSERT`, `UPDATE` and `DELETE` answer a column `Count` with one row.
    #[oai(path = "/api/v1/duckdb/query", method = "post", operation_id = "run_analytics_query")]
    async fn analytics_query(
        &self,
        auth: Auth,
        body: Json<AnalyticsRequest>,
    ) -> ApiResult<Streamed<AnalyticsResult, crate::negotiate::JsonOnly>> {
        let project = auth.own_project(&self.access)?;
        self.analytics(&auth, &project, body.0).await
    }
}

impl BatchesApi {
    async fn run(&self, auth: &Auth, project: &ProjectId, body: BatchRequest) -> ApiResult<BatchAnswer> {
        let (started, scripts) = (Instant::now(), &self.queries.scripts);
        let total = body.queries.len();
        if total == 0 || total > MAX_STATEMENTS {
            return Err(ApiError::out_of_range(format!("queries holds 1 to {MAX_STATEMENTS} statements")));
        }
        let statements: Vec<ScriptStatement> =
            body.queries.into_iter().map(|given| statement(given.0)).collect::<ApiResult<_>>()?;
        let texts: Vec<String> = statements.iter().map(|statement| statement.sql.clone()).collect();
        let tried = body.dry_run;
        let script = Script {
            statements,
            default_bucket: None,
            timeout: self.queries.limits.timeout(body.timeout_seconds)?,
            dry_run: body.dry_run,
            at: ReadAt::Head,
            max_rows: self.queries.limits.max_batch_rows,
        };
        let outcome = if body.use_transaction {
            scripts.together(auth.caller(), project, script).await?
        } else {
            scripts.one_by_one(auth.caller(), project, script).await?
        };
        let ScriptOutcome { results, snapshot, failure, replayed, query_id } = outcome;
        let done = if replayed { total } else { results.len() };
        let results = results.iter().zip(&texts).map(|(result, sql)| body_of(result, sql, tried));
        let results = results.collect::<ApiResult<_>>()?;
        let result = BatchResult {
            results,
            total_queries: total as u64,
            total_execution_time: started.elapsed().as_secs_f64(),
            success_count: done as u64,
            snapshot_id: snapshot.get(),
            error: failure.as_ref().map(failed),
            replayed,
        };
        Ok(BatchAnswer::Done(Json(result), query_id.map(|id| id.to_string())))
    }

    async fn analytics(
        &self,
        auth: &Auth,
        project: &ProjectId,
        body: AnalyticsRequest,
    ) -> ApiResult<Streamed<AnalyticsResult, crate::negotiate::JsonOnly>> {
        let (started, before) = (Instant::now(), self.process.memory().resident);
        let seconds = number("timeout_seconds", Some(body.timeout_seconds), 1..=300, 30)?;
        // The server's own limit may be shorter.
        let timeout = Duration::from_secs(u64::from(seconds)).min(self.queries.limits.max_timeout);
        let (sql, parameters) = (body.query, numbered(parameters(body.params)?));
        let hash = hash(&sql);
        let kind = kind_of(&self.queries.scripts, &sql)?;
        let (rows, snapshot, id) = if kind == StatementKind::Read {
            let query = Query { sql, parameters, default_bucket: None, timeout };
            let output = self.queries.queries.run(auth.caller(), project, query).await?;
            (output.rows, output.snapshot, Some(output.query_id))
        } else if kind == StatementKind::File {
            let query = Query { sql, parameters, default_bucket: None, timeout };
            let (rows, snapshot, id) = self.queries.copy(auth, project, &query).await?;
            (rows, snapshot, Some(id))
        } else {
            let script = Script {
                statements: vec![ScriptStatement { sql, parameters }],
                default_bucket: None,
                timeout,
                dry_run: false,
                at: ReadAt::Head,
                max_rows: self.queries.limits.max_batch_rows,
            };
            let outcome = self.queries.scripts.together(auth.caller(), project, script).await?;
            let (snapshot, id) = (outcome.snapshot, outcome.query_id);
            (super::queries::rows_of(outcome)?, snapshot, id)
        };
        let names: Vec<&str> = rows.schema.fields().iter().map(|field| field.name().as_str()).collect();
        let columns = json!(names);
        let (mode, process) = (body.fetch_mode, Arc::clone(&self.process));
        let tail = move |rows: u64| {
            let grown = process.memory().resident.saturating_sub(before);
            #[expect(clippy::cast_precision_loss, reason = "megabytes for people")]
            let megabytes = grown as f64 / 1_048_576.0;
            let (close, count) = match mode {
                FetchMode::All | FetchMode::Many => ("]", rows.to_string()),
                FetchMode::One if rows == 0 => ("null", rows.to_string()),
                FetchMode::One => ("", rows.to_string()),
                FetchMode::None => ("null", "null".to_owned()),
            };
            let seconds = started.elapsed().as_secs_f64();
            format!(
                "{close},\"columns\":{columns},\"row_count\":{count},\"execution_time\":{seconds:.6},\"memory_usage\":{megabytes:.3},\"query_hash\":\"{hash}\",\"snapshot_id\":{snapshot}}}"
            )
        };
        let open = if matches!(mode, FetchMode::All | FetchMode::Many) { "[" } else { "" };
        let document = Document { rows: ARRAYS, head: format!("{{\"data\":{open}"), tail: Box::new(tail) };
        let rows = match mode {
            FetchMode::All => rows,
            FetchMode::Many => first(rows, MANY),
            FetchMode::One => first(rows, 1),
            FetchMode::None => drained(rows).await?,
        };
        let answer = respond(rows, Wanted::plain(OutputFormat::Json), Output::Json(document), "query_result").await?;
        let answer = answer.with_query(id);
        Ok(if kind == StatementKind::Read { answer.only_read() } else { answer })
    }
}

/// Why a statement failed, as a problem would tell it.
fn failed(error: &UseCaseError) -> Any<Map<String, Value>> {
    let internal = error.kind() == ErrorKind::Internal;
    let detail = if internal { "the server failed; its log tells why".to_owned() } else { error.to_string() };
    let mut members = Map::new();
    members.insert("code".to_owned(), json!(error.code()));
    members.insert("detail".to_owned(), json!(detail));
    if let Some(details) = error.details() {
        members.insert("details".to_owned(), details);
    }
    Any(members)
}

/// Up to so many rows; the statement is stopped then.
fn first(rows: RowStream, most: u64) -> RowStream {
    let RowStream { schema, batches } = rows;
    let begun = Some((batches, most));
    let limited = futures_util::stream::unfold(begun, |state| async move {
        let (mut batches, left) = state.filter(|(_, left)| *left > 0)?;
        match batches.next().await? {
            Err(error) => Some((Err(error), None)),
            Ok(batch) => {
                let take = batch.num_rows().min(usize::try_from(left).unwrap_or(usize::MAX));
                Some((Ok(batch.slice(0, take)), Some((batches, left - take as u64))))
            }
        }
    });
    RowStream { schema, batches: Box::pin(limited.fuse()) }
}

/// No rows, once the statement has ended.
async fn drained(rows: RowStream) -> ApiResult<RowStream> {
    let RowStream { schema, mut batches } = rows;
    while let Some(batch) = batches.next().await {
        batch?;
    }
    Ok(RowStream { schema, batches: Box::pin(futures_util::stream::empty()) })
}

/// The older service takes values for `?` under the names `1`, `2`, ….
fn numbered(parameters: Parameters) -> Parameters {
    let Parameters::Named(mut named) = parameters else { return parameters };
    let place = |name: &str| name.parse::<usize>().ok().filter(|place| *place > 0);
    if named.is_empty() || !named.iter().all(|(name, _)| place(name).is_some()) {
        return Parameters::Named(named);
    }
    named.sort_by_key(|(name, _)| place(name));
    let whole = (1..).zip(&named).all(|(wanted, (name, _))| place(name) == Some(wanted));
    if whole {
        Parameters::Positional(named.into_iter().map(|(_, value)| value).collect())
    } else {
        Parameters::Named(named)
    }
}

fn statement(given: Value) -> ApiResult<ScriptStatement> {
    let wrong = || ApiError::out_of_range("a statement of queries is a text, or {\"query\", \"params\"}");
    match given {
        Value::String(sql) => Ok(ScriptStatement { sql, parameters: Parameters::None }),
        Value::Object(mut members) => {
            let Some(Value::String(sql)) = members.remove("query") else { return Err(wrong()) };
            Ok(ScriptStatement { sql, parameters: parameters(members.remove("params").map(Any))? })
        }
        _ => Err(wrong()),
    }
}

fn body_of(result: &StatementResult, sql: &str, tried: bool) -> ApiResult<StatementBody> {
    let document = Document { rows: ARRAYS, head: "[".to_owned(), tail: Box::new(|_| "]".to_owned()) };
    let mut text = Vec::new();
    let write = || {
        let mut encoder = Encoder::begin(&result.schema, Output::Json(document), &mut text)?;
        for batch in &result.batches {
            encoder.push(batch, &mut text)?;
        }
        encoder.finish(&mut text)
    };
    write().map_err(|error| crate::output::unencodable(&error))?;
    let data = serde_json::from_slice(&text).unwrap_or(Value::Null);
    Ok(StatementBody {
        data: Any(data),
        columns: result.schema.fields().iter().map(|field| field.name().clone()).collect(),
        row_count: result.batches.iter().map(|batch| batch.num_rows() as u64).sum(),
        execution_time: result.elapsed.as_secs_f64(),
        memory_usage: 0.0,
        query_hash: hash(sql),
        tables_read: tried.then(|| names(&result.touched.reads)),
        tables_written: tried.then(|| names(&result.touched.writes)),
    })
}

fn hash(sql: &str) -> String {
    hex::encode(&Sha256::digest(sql.trim().as_bytes())[..8])
}
