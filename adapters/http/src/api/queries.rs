//! `/projects/{id}/query`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use gadwall_application::queries::Queries;
use gadwall_domain::query::{Parameters, Query};
use gadwall_formats::encode::{Document, describe_type};
use poem_openapi::param::{Path, Query as Parameter};
use poem_openapi::payload::Json;
use poem_openapi::types::Any;
use poem_openapi::{Object, OpenApi};
use serde_json::{Value, json};

use super::{Area, number, project_id};
use crate::auth::Auth;
use crate::negotiate::{Accepts, AnyFormat, Offers as _, negotiate};
use crate::output::{ARRAYS, Streamed, respond, usual};
use crate::problem::{ApiError, ApiResult};

pub(crate) struct QueriesApi {
    pub(crate) queries: Arc<Queries>,
    pub(crate) limits: QueryLimits,
}

/// How long queries may run.
#[derive(Debug, Clone, Copy)]
pub struct QueryLimits {
    /// Unless the request says otherwise.
    pub default_timeout: Duration,
    /// The longest that a request may ask for.
    pub max_timeout: Duration,
}

/// A query.
#[derive(Debug, Object)]
pub(crate) struct QueryRequest {
    /// One read-only statement. Tables are named `bucket.table`, or `table` for those in `main`.
    query: String,
    /// Values for `?` and `$1` as an array, for `$name` as an object.
    params: Option<Any<Value>>,
    /// Seconds after which it is stopped.
    timeout_seconds: Option<i64>,
}

/// A query's result.
#[derive(Debug, Object)]
pub(crate) struct QueryResult {
    /// The result's columns.
    columns: Vec<ResultColumn>,
    /// Rows as arrays, in the order of the columns.
    rows: Vec<Any<Vec<Value>>>,
    /// How many rows there are.
    row_count: u64,
    /// The snapshot that was read.
    snapshot_id: u64,
    /// Seconds from the request's arrival to the last row.
    execution_time: f64,
    /// The request.
    request_id: String,
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

#[OpenApi(tag = "Area::Queries")]
impl QueriesApi {
    /// Run a query
    ///
    /// One `SELECT` over the project's tables, answered as a JSON document with the columns and the rows as arrays,
    /// or, as `Accept` or `format` says, as the rows alone: NDJSON, CSV, Parquet, or an Arrow IPC stream or file.
    #[oai(path = "/projects/:project/query", method = "post", operation_id = "run_query")]
    async fn run(
        &self,
        auth: Auth,
        accepts: Accepts,
        project: Path<String>,
        /// `json`, `ndjson`, `csv`, `parquet`, `arrow` or `arrow_file`. It wins over `Accept`.
        format: Parameter<Option<String>>,
        body: Json<QueryRequest>,
    ) -> ApiResult<Streamed<QueryResult>> {
        let started = Instant::now();
        let project = project_id(&project.0)?;
        // Decided before anything runs.
        let wanted = negotiate(&accepts, format.0.as_deref(), AnyFormat::OFFERS)?;
        let query = Query {
            timeout: self.limits.timeout(body.0.timeout_seconds)?,
            parameters: parameters(body.0.params)?,
            sql: body.0.query,
            default_bucket: None,
        };
        let output = self.queries.run(auth.caller(), &project, query).await?;
        let columns: Vec<Value> = output
            .rows
            .schema
            .fields()
            .iter()
            .map(|field| json!({ "name": field.name(), "type": describe_type(field) }))
            .collect();
        let head = format!("{{\"columns\":{},\"rows\":[", Value::Array(columns));
        let snapshot = output.snapshot.get();
        let request_id = Value::from(auth.caller().request_id.as_str());
        let tail = move |rows: u64| {
            let seconds = started.elapsed().as_secs_f64();
            format!(
                "],\"row_count\":{rows},\"snapshot_id\":{snapshot},\"execution_time\":{seconds:.6},\"request_id\":{request_id}}}"
            )
        };
        let document = Document { rows: ARRAYS, head, tail: Box::new(tail) };
        let rows = respond(output.rows, wanted, usual(wanted.format, document), "query_result").await?;
        Ok(rows.with_query(output.query_id))
    }
}

impl QueryLimits {
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
