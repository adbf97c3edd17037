//! A table's rows, changes and profile.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::StreamExt as _;
use gadwall_application::data::Data;
use gadwall_domain::filter::Filter;
use gadwall_domain::layout::SortKey;
use gadwall_domain::names::ColumnName;
use gadwall_domain::ports::lake::{ColumnProfile, TableProfile};
use gadwall_domain::rows::RowStream;
use gadwall_domain::schema::TableSchema;
use gadwall_domain::selection::Selection;
use gadwall_formats::encode::{Document, describe_type};
use poem::Request;
use poem::http::Uri;
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::types::Any;
use poem_openapi::{Object, OpenApi};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::models::JsonObject;
use super::queries::{QueryLimits, ResultColumn};
use super::{Area, number, project_id, snapshot_id, table_ref, version};
use crate::auth::Auth;
use crate::negotiate::{Accepts, AnyFormat, Offers as _, negotiate};
use crate::output::{OBJECTS, Streamed, respond, usual};
use crate::problem::{ApiError, ApiResult};

/// Most rows of a page; a whole table is read without pages.
pub(super) const MAX_PAGE: u32 = 10_000;

pub(crate) struct DataApi {
    pub(crate) data: Arc<Data>,
    pub(crate) limits: QueryLimits,
}

/// Rows of a table.
#[derive(Debug, Object)]
pub(crate) struct TableData {
    /// The columns that were read.
    columns: Vec<ResultColumn>,
    /// Rows as objects.
    rows: Vec<JsonObject>,
    /// How many rows these are.
    row_count: u64,
    /// The snapshot that was read. All pages are of the same one.
    snapshot_id: u64,
    /// Send it as `cursor` for the next page; null on the last.
    next_cursor: Option<String>,
}

/// What happened to a table's rows.
#[derive(Debug, Object)]
pub(crate) struct TableChanges {
    /// The changes' columns: `snapshot_id`, `rowid`, `change_type`, then the table's.
    columns: Vec<Any<Value>>,
    /// Changes, oldest first.
    rows: Vec<JsonObject>,
    /// How many.
    row_count: u64,
    /// The first snapshot that was looked at.
    from: u64,
    /// The last one; continue with `from` one higher.
    to: u64,
}

/// What a table's columns hold.
#[derive(Debug, Object)]
#[oai(rename = "TableProfile")]
pub(crate) struct ProfileBody {
    /// The snapshot that was read.
    snapshot_id: u64,
    /// Rows.
    row_count: u64,
    /// Columns, in order.
    columns: Vec<ColumnProfileBody>,
}

/// What a column holds.
#[derive(Debug, Object)]
#[oai(rename = "ColumnProfile")]
pub(crate) struct ColumnProfileBody {
    /// Its name.
    name: String,
    /// Its type, as DuckDB spells it.
    #[oai(rename = "type")]
    data_type: String,
    /// Values that are there.
    count: u64,
    /// Rows where it is NULL.
    nulls: u64,
    /// Different values, approximately.
    distinct: Option<u64>,
    /// Smallest value.
    min: Option<Any<Value>>,
    /// Largest value.
    max: Option<Any<Value>>,
    /// Mean, for numbers.
    mean: Option<f64>,
    /// Standard deviation, for numbers.
    std_dev: Option<f64>,
    /// The values a quarter, a half and three quarters up, approximately.
    quantiles: Option<Vec<Any<Value>>>,
    /// The most frequent values, approximately: at most ten.
    top: Vec<TopValue>,
}

/// A frequent value.
#[derive(Debug, Object)]
pub(crate) struct TopValue {
    /// The value.
    value: Any<Value>,
    /// How often it occurs.
    count: u64,
}

/// Where a page begins.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Cursor {
    /// The snapshot that all pages are of.
    pub(super) snapshot: u64,
    /// Rows before it.
    pub(super) offset: u64,
    /// Tells the question that it belongs to.
    pub(super) question: u64,
}

impl Cursor {
    pub(super) fn encode(&self) -> String {
        URL_SAFE_NO_PAD.encode(serde_json::to_vec(self).unwrap_or_default())
    }

    pub(super) fn decode(text: &str, question: u64) -> ApiResult<Self> {
        let decoded = URL_SAFE_NO_PAD.decode(text).ok().and_then(|bytes| serde_json::from_slice::<Self>(&bytes).ok());
        let cursor = decoded.ok_or_else(|| ApiError::out_of_range("cursor is not one that was given out"))?;
        if cursor.question != question {
            return Err(ApiError::out_of_range("cursor belongs to other columns, filter or order_by; leave it out"));
        }
        Ok(cursor)
    }
}

#[OpenApi(tag = "Area::Tables")]
impl DataApi {
    /// Read a table
    ///
    /// The whole table, streamed in the format that `Accept` or `format` says; or with `limit` a page of it, whose
    /// successor `next_cursor` and the header `Link` name. All pages show the same snapshot.
    #[oai(path = "/projects/:project/buckets/:bucket/tables/:table/data", method = "get", operation_id = "read_table")]
    #[expect(clippy::too_many_arguments, reason = "each is a parameter of the route")]
    async fn rows(
        &self,
        request: &Request,
        auth: Auth,
        accepts: Accepts,
        project: Path<String>,
        bucket: Path<String>,
        table: Path<String>,
        /// Only these columns, with commas between.
        columns: Query<Option<String>>,
        /// Only rows that fit this condition: JSON such as `{"column":"id","op":"gt","value":3}`.
        filter: Query<Option<String>>,
        /// In this order: columns with commas between, each with `desc` and `nulls first` as wanted.
        order_by: Query<Option<String>>,
        /// At most so many rows: 1 to 10000. All without.
        limit: Query<Option<i64>>,
        /// `next_cursor` of the page before.
        cursor: Query<Option<String>>,
        /// Read as of a snapshot's number.
        snapshot: Query<Option<String>>,
        /// Read as of a time (RFC 3339).
        as_of: Query<Option<String>>,
        /// Read as of a tag.
        tag: Query<Option<String>>,
        /// `json`, `ndjson`, `csv`, `parquet`, `arrow` or `arrow_file`. It wins over `Accept`.
        format: Query<Option<String>>,
    ) -> ApiResult<Streamed<TableData>> {
        let (project, name) = (project_id(&project.0)?, table_ref(&bucket.0, &table.0)?);
        let wanted = negotiate(&accepts, format.0.as_deref(), AnyFormat::OFFERS)?;
        let question = hash(&(&columns.0, &filter.0, &order_by.0));
        let cursor = cursor.0.map(|text| Cursor::decode(&text, question)).transpose()?;
        let pinned = cursor.as_ref().map(|cursor| cursor.snapshot.to_string());
        let version = match &pinned {
            Some(snapshot) => version(Some(snapshot), None, None)?,
            None => version(snapshot.0.as_deref(), as_of.0.as_deref(), tag.0.as_deref())?,
        };
        let page = limit.0.map(|limit| number("limit", Some(limit), 1..=MAX_PAGE, 1)).transpose()?;
        let opened = self.data.open(auth.caller(), &project, &name, &version).await?;
        let schema = &opened.table().schema;
        let offset = cursor.map_or(0, |cursor| cursor.offset);
        let selection = Selection {
            columns: columns.0.as_deref().map(column_names).transpose()?,
            filter: filter.0.as_deref().map(|text| condition(text, schema)).transpose()?,
            order_by: order_by.0.as_deref().map_or_else(|| Ok(Vec::new()), order)?,
            // One more than asked for tells whether there is another page.
            limit: page.map(|page| u64::from(page) + 1),
            offset,
        };
        let (rows, snapshot) = self.data.rows(&opened, selection, self.limits.max_timeout).await?;
        let (rows, next) = match page {
            Some(page) => cut(rows, page as usize).await?,
            None => (rows, false),
        };
        let next_cursor = next.then(|| {
            let offset = offset + u64::from(page.unwrap_or_default());
            Cursor { snapshot: snapshot.get(), offset, question }.encode()
        });
        let described: Vec<Value> = rows.schema.fields().iter().map(|field| described(field)).collect();
        let head = format!("{{\"columns\":{},\"rows\":[", Value::Array(described));
        let tail_cursor = json!(next_cursor);
        let tail = move |count: u64| {
            format!("],\"row_count\":{count},\"snapshot_id\":{snapshot},\"next_cursor\":{tail_cursor}}}")
        };
        let document = Document { rows: OBJECTS, head, tail: Box::new(tail) };
        let file = name.table.to_string();
        let streamed = respond(rows, wanted, usual(wanted.format, document), &file).await?;
        let next = next_cursor.map(|cursor| (cursor.clone(), page_link(request.uri(), &cursor)));
        Ok(streamed.with_snapshot(snapshot).with_next(next))
    }

    /// List what happened to a table's rows
    ///
    /// Each inserted and deleted row, and each updated row before and after, in the snapshots `from` to `to`.
    #[oai(
        path = "/projects/:project/buckets/:bucket/tables/:table/changes",
        method = "get",
        operation_id = "list_changes"
    )]
    #[expect(clippy::too_many_arguments, reason = "each is a parameter of the route")]
    async fn changes(
        &self,
        auth: Auth,
        accepts: Accepts,
        project: Path<String>,
        bucket: Path<String>,
        table: Path<String>,
        /// The first snapshot to look at.
        from: Query<String>,
        /// The last snapshot to look at; the newest unless told.
        to: Query<Option<String>>,
        /// At most so many changes: 1 to 10000. All without.
        limit: Query<Option<i64>>,
        /// `json`, `ndjson`, `csv`, `parquet`, `arrow` or `arrow_file`. It wins over `Accept`.
        format: Query<Option<String>>,
    ) -> ApiResult<Streamed<TableChanges>> {
        let (project, table) = (project_id(&project.0)?, table_ref(&bucket.0, &table.0)?);
        let wanted = negotiate(&accepts, format.0.as_deref(), AnyFormat::OFFERS)?;
        let from = snapshot_id("from", &from.0)?;
        let to = to.0.map(|to| snapshot_id("to", &to)).transpose()?;
        let limit = limit.0.map(|limit| number("limit", Some(limit), 1..=MAX_PAGE, 1)).transpose()?.map(u64::from);
        let timeout = self.limits.max_timeout;
        let found = self.data.changes(auth.caller(), &project, &table, (from, to), limit, timeout);
        let (rows, to) = found.await?;
        let described: Vec<Value> = rows.schema.fields().iter().map(|field| described(field)).collect();
        let head = format!("{{\"columns\":{},\"rows\":[", Value::Array(described));
        let tail = move |count: u64| format!("],\"row_count\":{count},\"from\":{from},\"to\":{to}}}");
        let document = Document { rows: OBJECTS, head, tail: Box::new(tail) };
        let file = format!("{}_changes", table.table);
        Ok(respond(rows, wanted, usual(wanted.format, document), &file).await?.with_snapshot(to))
    }

    /// Profile a table
    ///
    /// For each column: nulls, distinct values (approximately), smallest, largest, mean, quantiles and the most
    /// frequent values. Kept until the table changes.
    #[oai(
        path = "/projects/:project/buckets/:bucket/tables/:table/profile",
        method = "get",
        operation_id = "profile_table"
    )]
    #[expect(clippy::too_many_arguments, reason = "each is a parameter of the route")]
    async fn profile(
        &self,
        auth: Auth,
        project: Path<String>,
        bucket: Path<String>,
        table: Path<String>,
        /// Read as of a snapshot's number.
        snapshot: Query<Option<String>>,
        /// Read as of a time (RFC 3339).
        as_of: Query<Option<String>>,
        /// Read as of a tag.
        tag: Query<Option<String>>,
    ) -> ApiResult<Json<ProfileBody>> {
        let (project, table) = (project_id(&project.0)?, table_ref(&bucket.0, &table.0)?);
        let version = version(snapshot.0.as_deref(), as_of.0.as_deref(), tag.0.as_deref())?;
        let opened = self.data.open(auth.caller(), &project, &table, &version).await?;
        Ok(Json(self.data.profile(&opened, self.limits.max_timeout).await?.into()))
    }
}

pub(super) fn hash(question: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    question.hash(&mut hasher);
    hasher.finish()
}

fn described(field: &arrow_schema::Field) -> Value {
    json!({ "name": field.name(), "type": describe_type(field) })
}

fn column_names(text: &str) -> ApiResult<Vec<ColumnName>> {
    let names = text.split(',').map(|name| Ok(ColumnName::parse(name.trim())?));
    names.collect()
}

pub(super) fn order(text: &str) -> ApiResult<Vec<SortKey>> {
    text.split(',').map(|part| Ok(SortKey::parse(part)?)).collect()
}

pub(super) fn condition(text: &str, schema: &TableSchema) -> ApiResult<Filter> {
    Ok(Filter::parse(text, schema.columns())?)
}

/// The same question from another row on.
pub(super) fn page_link(uri: &Uri, cursor: &str) -> String {
    let asked = uri.query().unwrap_or_default().split('&');
    let kept = asked.filter(|part| !part.is_empty() && !part.starts_with("cursor="));
    let query: Vec<&str> = kept.collect();
    let joint = if query.is_empty() { "" } else { "&" };
    format!("{}?{}{joint}cursor={cursor}", uri.path(), query.join("&"))
}

/// Reads a page and tells whether there is more. A page is small, so it may wait in memory.
pub(super) async fn cut(rows: RowStream, page: usize) -> ApiResult<(RowStream, bool)> {
    let RowStream { schema, mut batches } = rows;
    let (mut kept, mut count, mut more) = (Vec::new(), 0, false);
    while let Some(batch) = batches.next().await.transpose()? {
        let room = page - count;
        more |= batch.num_rows() > room;
        let batch = batch.slice(0, batch.num_rows().min(room));
        count += batch.num_rows();
        kept.push(Ok(batch));
    }
    Ok((RowStream { schema, batches: Box::pin(futures_util::stream::iter(kept)) }, more))
}

impl From<TableProfile> for ProfileBody {
    fn from(profile: TableProfile) -> Self {
        Self {
            snapshot_id: profile.snapshot.get(),
            row_count: profile.rows,
            columns: profile.columns.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<ColumnProfile> for ColumnProfileBody {
    fn from(column: ColumnProfile) -> Self {
        Self {
            name: column.column.to_string(),
            data_type: column.data_type,
            count: column.count,
            nulls: column.nulls,
            distinct: column.distinct,
            min: column.min.map(Any),
            max: column.max.map(Any),
            mean: column.mean,
            std_dev: column.std_dev,
            quantiles: column.quantiles.map(|values| values.into_iter().map(Any).collect()),
            top: column.top.into_iter().map(|(value, count)| TopValue { value: Any(value), count }).collect(),
        }
    }
}
