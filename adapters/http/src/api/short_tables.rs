//! `/tables`: the tables of one's own project under shorter names. The same use cases, no logic of their own.

use std::sync::Arc;

use gadwall_application::access::Access;
use gadwall_application::queries::Queries;
use gadwall_application::tables::Tables;
use gadwall_domain::history::Expected;
use gadwall_domain::ids::SnapshotId;
use gadwall_domain::names::{ColumnName, ProjectId};
use gadwall_domain::query::{Parameters, Query};
use gadwall_domain::schema::{Column, TableSchema};
use gadwall_domain::table::TableRef;
use gadwall_domain::types::DataType;
use gadwall_formats::encode::Document;
use poem_openapi::param::{Path, Query as Parameter};
use poem_openapi::payload::Json;
use poem_openapi::types::Any;
use poem_openapi::{Object, OpenApi};
use serde_json::{Map, Value};

use super::Area;
use super::models::JsonObject;
use super::queries::QueryLimits;
use super::rows::{Putting, ShortRowsBody, Spool, put_rows};
use crate::auth::Auth;
use crate::negotiate::{Accepts, AnyFormat, Offers as _, negotiate};
use crate::output::{OBJECTS, Streamed, respond, usual};
use crate::problem::{ApiError, ApiResult};

pub(crate) struct ShortTablesApi {
    pub(crate) access: Arc<Access>,
    pub(crate) tables: Arc<Tables>,
    pub(crate) queries: Arc<Queries>,
    pub(crate) spool: Spool,
    pub(crate) limits: QueryLimits,
}

/// What a new table should be.
#[derive(Debug, Object)]
pub(crate) struct CreateShortTable {
    /// Its name: `table` (in the bucket `main`) or `bucket.table`.
    name: String,
    /// Columns in order: name to DuckDB type.
    schema: JsonObject,
}

/// What was done.
#[derive(Debug, Object)]
pub(crate) struct Done {
    /// In words.
    message: String,
    /// The request.
    request_id: String,
}

/// What was appended.
#[derive(Debug, Object)]
pub(crate) struct ShortAppended {
    /// In words.
    message: String,
    /// How many rows.
    rows: u64,
    /// The snapshot they stand in.
    snapshot_id: u64,
    /// The request.
    request_id: String,
}

/// Names of tables.
#[derive(Debug, Object)]
pub(crate) struct TableNames {
    /// `table` for those in `main`, else `bucket.table`.
    tables: Vec<String>,
    /// `ducklake`
    #[oai(rename = "type")]
    kind: String,
}

/// A table's columns.
#[derive(Debug, Object)]
pub(crate) struct ShortTable {
    /// Its name, as asked for.
    name: String,
    /// Columns in order: name to DuckDB type.
    schema: JsonObject,
    /// `ducklake`
    #[oai(rename = "type")]
    kind: String,
}

/// A query over a table.
#[derive(Debug, Object)]
pub(crate) struct ShortQuery {
    /// One read-only statement; the table's own name needs no bucket.
    query: String,
    /// Accepted for older clients; results are always streamed.
    stream: Option<bool>,
}

/// A query's rows.
#[derive(Debug, Object)]
pub(crate) struct ShortResult {
    /// Rows as objects.
    result: Vec<JsonObject>,
}

#[OpenApi(tag = "Area::Short")]
impl ShortTablesApi {
    /// Create a table in one's own project
    #[oai(path = "/tables", method = "post", operation_id = "create_short_table")]
    async fn create(&self, auth: Auth, body: Json<CreateShortTable>) -> ApiResult<Json<Done>> {
        let project = self.project(&auth)?;
        let table = TableRef::parse(&body.0.name)?;
        let columns = body.0.schema.0.iter().map(|(name, value)| column(name, value)).collect::<ApiResult<_>>()?;
        let schema = TableSchema::new(columns, Vec::new())?;
        let created = self.tables.create(auth.caller(), &project, table, schema.into()).await?;
        Ok(done(&auth, format!("Table {} created successfully", created.name.short())))
    }

    /// List the tables of one's own project
    #[oai(path = "/tables", method = "get", operation_id = "list_short_tables")]
    async fn list(&self, auth: Auth) -> ApiResult<Json<TableNames>> {
        let project = self.project(&auth)?;
        let names = self.tables.names(auth.caller(), &project).await?;
        Ok(Json(TableNames { tables: names.iter().map(TableRef::short).collect(), kind: KIND.to_owned() }))
    }

    /// Look at a table of one's own project
    #[oai(path = "/tables/:table", method = "get", operation_id = "get_short_table")]
    async fn get(&self, auth: Auth, table: Path<String>) -> ApiResult<Json<ShortTable>> {
        let project = self.project(&auth)?;
        let found = self.tables.get(auth.caller(), &project, &TableRef::parse(&table.0)?).await?;
        let columns = found.schema.columns().iter();
        let schema: Map<String, Value> =
            columns.map(|column| (column.name.to_string(), Value::from(column.data_type.spelling()))).collect();
        Ok(Json(ShortTable { name: found.name.short(), schema: Any(schema), kind: KIND.to_owned() }))
    }

    /// Append rows to a table of one's own project
    ///
    /// `{"rows": [{…}]}`, a multipart form with a file named `*.arrow`, `*.parquet` or `*.csv`, or any body that
    /// the long route takes.
    #[oai(path = "/tables/:table", method = "put", operation_id = "append_short_table")]
    async fn append(&self, auth: Auth, table: Path<String>, body: ShortRowsBody) -> ApiResult<Json<ShortAppended>> {
        let project = self.project(&auth)?;
        let table = TableRef::parse(&table.0)?;
        let target = (&project, &table);
        let done = put_rows(&self.tables, &self.spool, auth.caller(), target, body.0, Putting::default()).await?;
        Ok(Json(ShortAppended {
            message: "Data appended successfully".to_owned(),
            rows: done.rows.inserted,
            snapshot_id: done.snapshot.map(SnapshotId::get).unwrap_or_default(),
            request_id: auth.caller().request_id.to_string(),
        }))
    }

    /// Delete a table of one's own project
    #[oai(path = "/tables/:table", method = "delete", operation_id = "delete_short_table")]
    async fn delete(&self, auth: Auth, table: Path<String>) -> ApiResult<Json<Done>> {
        let project = self.project(&auth)?;
        let table = TableRef::parse(&table.0)?;
        self.tables.delete(auth.caller(), &project, &table, Expected::ANY).await?;
        Ok(done(&auth, format!("Table {} deleted successfully", table.short())))
    }

    /// Query a table of one's own project
    ///
    /// Answered as `Accept` or `format` says: JSON, NDJSON, CSV, Parquet, or an Arrow IPC stream or file.
    #[oai(path = "/tables/:table/query", method = "post", operation_id = "query_short_table")]
    async fn query(
        &self,
        auth: Auth,
        accepts: Accepts,
        table: Path<String>,
        /// `json`, `ndjson`, `csv`, `parquet`, `arrow` or `arrow_file`. It wins over `Accept`.
        format: Parameter<Option<String>>,
        body: Json<ShortQuery>,
    ) -> ApiResult<Streamed<ShortResult>> {
        let project = self.project(&auth)?;
        let table = TableRef::parse(&table.0)?;
        // Decided before anything runs.
        let wanted = negotiate(&accepts, format.0.as_deref(), AnyFormat::OFFERS)?;
        self.tables.get(auth.caller(), &project, &table).await?;
        let query = Query {
            sql: body.0.query,
            parameters: Parameters::None,
            default_bucket: Some(table.bucket),
            timeout: self.limits.timeout(None)?,
        };
        let output = self.queries.run(auth.caller(), &project, query).await?;
        let document =
            Document { rows: OBJECTS, head: "{\"result\":[".to_owned(), tail: Box::new(|_| "]}".to_owned()) };
        let rows = respond(output.rows, wanted, usual(wanted.format, document), "query_result").await?;
        Ok(rows.with_query(Some(output.query_id)))
    }

    fn project(&self, auth: &Auth) -> ApiResult<ProjectId> {
        auth.own_project(&self.access)
    }
}

const KIND: &str = "ducklake";

pub(super) fn done(auth: &Auth, message: String) -> Json<Done> {
    Json(Done { message, request_id: auth.caller().request_id.to_string() })
}

fn column(name: &str, value: &Value) -> ApiResult<Column> {
    let text = value.as_str().ok_or_else(|| ApiError::out_of_range(format!("schema.{name} is a type as text")))?;
    Ok(Column::new(ColumnName::parse(name)?, DataType::parse(text)?))
}
