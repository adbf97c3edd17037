//! `/ops`: records of governed tables of one's own project.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt as _;
use gadwall_application::access::Access;
use gadwall_application::records::{Inserted, Records, newest_first, record_of, unless_found};
use gadwall_application::schemas::Resolved;
use gadwall_domain::ids::SnapshotId;
use gadwall_domain::names::{ProjectId, TableName};
use gadwall_domain::ontology::Reading;
use gadwall_domain::rows::{RowSource, RowStream};
use gadwall_domain::selection::Selection;
use gadwall_formats::encode::Document;
use gadwall_formats::{DecodeOptions, InputFormat, OutputFormat, decode};
use poem::Request;
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::types::{Any, Example};
use poem_openapi::{ApiResponse, Object, OpenApi};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::data::{Cursor, MAX_PAGE, condition, cut, hash, order, page_link};
use super::exact::{Described, Exact};
use super::models::JsonObject;
use super::queries::QueryLimits;
use super::rows::RecordsBody;
use super::{Area, number};
use crate::auth::Auth;
use crate::negotiate::{Accepts, AnyFormat, JsonOnly, Offers as _, Wanted, negotiate};
use crate::output::{OBJECTS, Streamed, respond, usual};
use crate::problem::{ApiError, ApiResult};

/// Parameters that are no fields.
const RESERVED: [&str; 5] = ["filter", "order_by", "limit", "cursor", "format"];
/// Most conditions on single fields.
const MAX_EQUAL: usize = 50;
/// The entity that older clients know.
const PROJECTS: &str = "projects";

pub(crate) struct RecordsApi {
    pub(crate) access: Arc<Access>,
    pub(crate) records: Arc<Records>,
    pub(crate) limits: QueryLimits,
}

/// A financed project.
#[derive(Debug, Object)]
#[oai(example)]
pub(crate) struct NewFinancedProject {
    /// Its name.
    project_name: String,
    /// Amount financed, in the currency.
    total_amount: f64,
    /// Years until the last repayment.
    maturity_years: i64,
    /// Expected internal rate of return, percent.
    expected_tri: f64,
    /// Debt service coverage ratio.
    dscr: f64,
    /// What it is about.
    description: Option<String>,
    /// `PROPOSED` (unless told), `ACTIVE` or `COMPLETED`.
    status: Option<String>,
    /// ISO 4217; `USD` unless told.
    currency_code: Option<String>,
}

impl Example for NewFinancedProject {
    fn example() -> Self {
        Self {
            project_name: "Wind farm".to_owned(),
            total_amount: 12_500_000.0,
            maturity_years: 15,
            expected_tri: 7.25,
            dscr: 1.35,
            description: None,
            status: Some("PROPOSED".to_owned()),
            currency_code: Some("EUR".to_owned()),
        }
    }
}

/// A record as its text.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub(crate) struct FinancedProjectText(Box<RawValue>);

/// Any record as its text.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub(crate) struct RecordText(Box<RawValue>);

impl Described for FinancedProjectText {
    type Document = NewFinancedProject;
}

impl Described for RecordText {
    type Document = JsonObject;
}

/// What was done.
#[derive(Debug, Object)]
pub(crate) struct OpsDone {
    /// In words.
    message: String,
}

/// A financed project that was made.
#[derive(Debug, Object)]
pub(crate) struct FinancedProjectMade {
    /// In words.
    message: String,
    /// Its id.
    project_id: String,
}

/// Records that were kept.
#[derive(Debug, Object)]
pub(crate) struct RecordsKept {
    /// In words.
    message: String,
    /// How many.
    count: u64,
    /// The first one's id, where its key is one column.
    #[oai(skip_serializing_if_is_none)]
    id: Option<Any<Value>>,
    /// The key of each; of more than 10,000, those of the first.
    keys: Vec<JsonObject>,
    /// The snapshot they stand in.
    snapshot_id: Option<u64>,
}

/// An answer, and the schema that it goes by.
#[derive(ApiResponse)]
pub(crate) enum BySchema<T: poem_openapi::types::ToJSON> {
    /// It was done.
    #[oai(status = 200)]
    Done(
        Json<T>,
        /// Where the schema comes from: `server`, `cache`, `stale` or `builtin`.
        #[oai(header = "X-Schema-Source")]
        String,
        /// Its version.
        #[oai(header = "X-Schema-Version")]
        String,
    ),
}

impl<T: poem_openapi::types::ToJSON> BySchema<T> {
    pub(super) fn new(body: T, schema: &Resolved) -> Self {
        // A version may be any text; a header may not.
        let legal = |letter: char| if letter.is_ascii_graphic() { letter } else { '?' };
        let version = schema.version.chars().map(legal).collect();
        Self::Done(Json(body), schema.source.as_str().to_owned(), version)
    }
}

#[OpenApi(tag = "Area::Governed")]
impl RecordsApi {
    /// Make the table of financed projects
    ///
    /// From its schema, as the ontology server has it now. A table that is there gets what it lacks, as long as that breaks
    /// nobody.
    #[oai(path = "/ops/initialize", method = "post", operation_id = "initialize_ops")]
    async fn initialize(&self, auth: Auth) -> ApiResult<BySchema<OpsDone>> {
        let project = auth.own_project(&self.access)?;
        let (_, schema) = self.records.initialize(auth.caller(), &project, None).await?;
        let message = "Database initialized successfully".to_owned();
        Ok(BySchema::new(OpsDone { message }, &schema))
    }

    /// Add a financed project
    ///
    /// Fields that the schema has may be given beside those named here. The server fills in `project_id`, `creation_date`
    /// and `last_updated`. Amounts are rounded to their two digits.
    #[oai(path = "/ops/projects", method = "post", operation_id = "create_financed_project")]
    async fn create_project(
        &self,
        auth: Auth,
        body: Exact<FinancedProjectText>,
    ) -> ApiResult<BySchema<FinancedProjectMade>> {
        let made = self.insert(&auth, PROJECTS, &[body.0.0.get()], Reading::Lenient).await?;
        let id = made.keys.first().and_then(|key| key.values().next()).map(text).unwrap_or_default();
        let message = "Project created successfully".to_owned();
        Ok(BySchema::new(FinancedProjectMade { message, project_id: id }, &made.schema))
    }

    /// List financed projects
    ///
    /// As `GET /ops/{entity}`; the newest first.
    #[oai(path = "/ops/projects", method = "get", operation_id = "list_financed_projects")]
    #[expect(clippy::too_many_arguments, reason = "each is a parameter of the route")]
    async fn list_projects(
        &self,
        request: &Request,
        auth: Auth,
        accepts: Accepts,
        /// Only records that fit this condition.
        filter: Query<Option<String>>,
        /// In this order.
        order_by: Query<Option<String>>,
        /// At most so many records.
        limit: Query<Option<i64>>,
        /// `X-Next-Cursor` of the page before.
        cursor: Query<Option<String>>,
        /// The format.
        format: Query<Option<String>>,
    ) -> ApiResult<Streamed<Vec<JsonObject>>> {
        let asked =
            Asked { filter: filter.0, order_by: order_by.0, limit: limit.0, cursor: cursor.0, format: format.0 };
        self.page(request, &auth, &accepts, PROJECTS, asked).await
    }

    /// Look at a financed project
    #[oai(path = "/ops/projects/:project_id", method = "get", operation_id = "get_financed_project")]
    async fn get_project(&self, auth: Auth, project_id: Path<String>) -> ApiResult<Streamed<JsonObject, JsonOnly>> {
        self.one(&auth, PROJECTS, &project_id.0).await
    }

    /// Change a financed project
    #[oai(path = "/ops/projects/:project_id", method = "patch", operation_id = "change_financed_project")]
    async fn change_project(
        &self,
        auth: Auth,
        project_id: Path<String>,
        body: Exact<RecordText>,
    ) -> ApiResult<BySchema<OpsDone>> {
        self.change(&auth, PROJECTS, &project_id.0, body.0.0.get()).await
    }

    /// Delete a financed project
    #[oai(path = "/ops/projects/:project_id", method = "delete", operation_id = "delete_financed_project")]
    async fn delete_project(&self, auth: Auth, project_id: Path<String>) -> ApiResult<Json<OpsDone>> {
        self.delete(&auth, PROJECTS, &project_id.0).await
    }

    /// Add financed projects
    ///
    /// All or none, in one snapshot: an array of objects, or one a line (NDJSON), as many as fit into a body of rows. `errors`
    /// names the first records that don't fit, by their numbers.
    #[oai(path = "/ops/projects/bulk", method = "post", operation_id = "create_financed_projects")]
    async fn create_projects(&self, auth: Auth, body: RecordsBody) -> ApiResult<BySchema<RecordsKept>> {
        self.keep_all(&auth, PROJECTS, body).await
    }

    /// Add a record
    ///
    /// An object with the fields of the entity's schema. What the schema has Gadwall fill in may be left out. `errors` names
    /// each field that doesn't fit.
    #[oai(path = "/ops/:entity", method = "post", operation_id = "create_record")]
    async fn create(
        &self,
        auth: Auth,
        entity: Path<String>,
        body: Exact<RecordText>,
    ) -> ApiResult<BySchema<RecordsKept>> {
        self.keep(&auth, &entity.0, &body.0.0).await
    }

    /// Add records
    ///
    /// All or none, in one snapshot: an array of objects, or one a line (NDJSON), as many as fit into a body of rows. `errors`
    /// names the first records that don't fit, by their numbers.
    #[oai(path = "/ops/:entity/bulk", method = "post", operation_id = "create_records")]
    async fn create_many(
        &self,
        auth: Auth,
        entity: Path<String>,
        body: RecordsBody,
    ) -> ApiResult<BySchema<RecordsKept>> {
        self.keep_all(&auth, &entity.0, body).await
    }

    /// List records
    ///
    /// An array of objects; empty before the table is made. Fields may be named as parameters, too: `?status=ACTIVE` means
    /// records where it is that. With `limit` it is a page; the headers `Link` and `X-Next-Cursor` name the next, and all pages
    /// show the same snapshot.
    #[oai(path = "/ops/:entity", method = "get", operation_id = "list_records")]
    #[expect(clippy::too_many_arguments, reason = "each is a parameter of the route")]
    async fn list(
        &self,
        request: &Request,
        auth: Auth,
        accepts: Accepts,
        entity: Path<String>,
        /// Only records that fit this condition: JSON such as `{"column":"dscr","op":"gt","value":1}`.
        filter: Query<Option<String>>,
        /// In this order: fields with commas between, each with `desc` and `nulls first` as wanted. Unless told the newest come
        /// first, where the schema tells when they were made.
        order_by: Query<Option<String>>,
        /// At most so many records: 1 to 10000. All without.
        limit: Query<Option<i64>>,
        /// `X-Next-Cursor` of the page before.
        cursor: Query<Option<String>>,
        /// `json`, `ndjson`, `csv`, `parquet`, `arrow` or `arrow_file`. It wins over `Accept`.
        format: Query<Option<String>>,
    ) -> ApiResult<Streamed<Vec<JsonObject>>> {
        let asked =
            Asked { filter: filter.0, order_by: order_by.0, limit: limit.0, cursor: cursor.0, format: format.0 };
        self.page(request, &auth, &accepts, &entity.0, asked).await
    }

    /// Look at a record
    ///
    /// By its key, where that is one column.
    #[oai(path = "/ops/:entity/:id", method = "get", operation_id = "get_record")]
    async fn get(
        &self,
        auth: Auth,
        entity: Path<String>,
        id: Path<String>,
    ) -> ApiResult<Streamed<JsonObject, JsonOnly>> {
        self.one(&auth, &entity.0, &id.0).await
    }

    /// Change a record
    ///
    /// The fields that are named; the key and what the server fills in stay.
    #[oai(path = "/ops/:entity/:id", method = "patch", operation_id = "change_record")]
    async fn patch(
        &self,
        auth: Auth,
        entity: Path<String>,
        id: Path<String>,
        body: Exact<RecordText>,
    ) -> ApiResult<BySchema<OpsDone>> {
        self.change(&auth, &entity.0, &id.0, body.0.0.get()).await
    }

    /// Delete a record
    #[oai(path = "/ops/:entity/:id", method = "delete", operation_id = "delete_record")]
    async fn remove(&self, auth: Auth, entity: Path<String>, id: Path<String>) -> ApiResult<Json<OpsDone>> {
        self.delete(&auth, &entity.0, &id.0).await
    }
}

fn kept(inserted: Inserted, count: u64) -> BySchema<RecordsKept> {
    let Inserted { keys, schema, snapshot } = inserted;
    let single = |key: &Map<String, Value>| key.values().next().filter(|_| key.len() == 1).cloned();
    let kept = RecordsKept {
        message: if count == 1 { "Record created successfully" } else { "Records created successfully" }.to_owned(),
        count,
        id: keys.first().and_then(single).map(Any),
        keys: keys.into_iter().map(Any).collect(),
        snapshot_id: snapshot.map(SnapshotId::get),
    };
    BySchema::new(kept, &schema)
}

/// What a list is asked for.
struct Asked {
    filter: Option<String>,
    order_by: Option<String>,
    limit: Option<i64>,
    cursor: Option<String>,
    format: Option<String>,
}

impl RecordsApi {
    fn target(&self, auth: &Auth, entity: &str) -> ApiResult<(ProjectId, TableName)> {
        Ok((auth.own_project(&self.access)?, TableName::parse(entity)?))
    }

    async fn insert(&self, auth: &Auth, entity: &str, texts: &[&str], reading: Reading) -> ApiResult<Inserted> {
        let (project, entity) = self.target(auth, entity)?;
        let mut new = self.records.prepare(auth.caller(), &project, &entity, texts, reading).await?;
        let json = Bytes::from(std::mem::take(&mut new.json));
        let body = futures_util::stream::once(async { Ok(json) });
        let rows = RowSource::Batches(decode(InputFormat::Json, body, new.columns(), &DecodeOptions::default()));
        Ok(self.records.insert(auth.caller(), new, rows).await?)
    }

    async fn keep(&self, auth: &Auth, entity: &str, text: &RawValue) -> ApiResult<BySchema<RecordsKept>> {
        Ok(kept(self.insert(auth, entity, &[text.get()], Reading::Exact).await?, 1))
    }

    /// Keeps records as they come: the body is never held as a whole.
    async fn keep_all(&self, auth: &Auth, entity: &str, body: RecordsBody) -> ApiResult<BySchema<RecordsKept>> {
        let (project, entity) = self.target(auth, entity)?;
        let intake = self.records.take_in(auth.caller(), &project, &entity).await?;
        let document = intake.complete(body.texts()?);
        let rows = decode(InputFormat::Json, document, intake.columns(), &DecodeOptions::default());
        let (inserted, count) = self.records.keep(auth.caller(), intake, rows).await?;
        Ok(kept(inserted, count))
    }

    async fn change(&self, auth: &Auth, entity: &str, id: &str, text: &str) -> ApiResult<BySchema<OpsDone>> {
        let (project, entity) = self.target(auth, entity)?;
        let (_, schema) = self.records.change(auth.caller(), &project, &entity, id, text).await?;
        Ok(BySchema::new(OpsDone { message: "Record updated successfully".to_owned() }, &schema))
    }

    async fn delete(&self, auth: &Auth, entity: &str, id: &str) -> ApiResult<Json<OpsDone>> {
        let (project, entity) = self.target(auth, entity)?;
        self.records.delete(auth.caller(), &project, &entity, id).await?;
        Ok(Json(OpsDone { message: "Record deleted successfully".to_owned() }))
    }

    async fn one(&self, auth: &Auth, entity: &str, id: &str) -> ApiResult<Streamed<JsonObject, JsonOnly>> {
        let (project, entity) = self.target(auth, entity)?;
        let opened = self.records.open(auth.caller(), &project, &entity, None).await?;
        let opened = opened.ok_or_else(|| unless_found(&entity, None))?;
        let selection = record_of(opened.table(), id)?;
        let read = self.records.read(&opened, selection, self.limits.max_timeout).await;
        let (rows, snapshot) = read.map_err(|error| unless_found(&entity, Some(error)))?;
        let (rows, _) = cut(rows, 1).await?;
        let rows = some(rows).await?.ok_or_else(|| unless_found(&entity, None))?;
        let document = Document { rows: OBJECTS, head: String::new(), tail: Box::new(|_| String::new()) };
        let wanted = Wanted::plain(OutputFormat::Json);
        Ok(respond(rows, wanted, usual(OutputFormat::Json, document), entity.as_str()).await?.with_snapshot(snapshot))
    }

    async fn page(
        &self,
        request: &Request,
        auth: &Auth,
        accepts: &Accepts,
        entity: &str,
        asked: Asked,
    ) -> ApiResult<Streamed<Vec<JsonObject>>> {
        let (project, entity) = self.target(auth, entity)?;
        let wanted = negotiate(accepts, asked.format.as_deref(), AnyFormat::OFFERS)?;
        let equal = equal(request)?;
        let question = hash(&(&asked.filter, &asked.order_by, &equal));
        let cursor = asked.cursor.map(|text| Cursor::decode(&text, question)).transpose()?;
        let page = asked.limit.map(|limit| number("limit", Some(limit), 1..=MAX_PAGE, 1)).transpose()?;
        let at =
            cursor.as_ref().map(|cursor| super::snapshot_id("cursor", &cursor.snapshot.to_string())).transpose()?;
        let list = Document { rows: OBJECTS, head: "[".to_owned(), tail: Box::new(|_| "]".to_owned()) };
        let Some(opened) = self.records.open(auth.caller(), &project, &entity, at).await? else {
            return Ok(Streamed::again("[]", Wanted::plain(OutputFormat::Json), entity.as_str()));
        };
        let schema = &opened.table().schema;
        let order_by = asked.order_by.as_deref().map_or_else(|| Ok(newest_first(schema)), order)?;
        let offset = cursor.map_or(0, |cursor| cursor.offset);
        let filter = condition_of(asked.filter.as_deref(), &equal);
        let selection = Selection {
            columns: None,
            filter: filter.map(|text| condition(&text, schema)).transpose()?,
            order_by,
            // One more than asked for tells whether there is another page.
            limit: page.map(|page| u64::from(page) + 1),
            offset,
        };
        let (rows, snapshot) = self.records.read(&opened, selection, self.limits.max_timeout).await?;
        let (rows, next) = match page {
            Some(page) => cut(rows, page as usize).await?,
            None => (rows, false),
        };
        let next = next.then(|| {
            let offset = offset + u64::from(page.unwrap_or_default());
            let cursor = Cursor { snapshot: snapshot.get(), offset, question }.encode();
            (cursor.clone(), page_link(request.uri(), &cursor))
        });
        let streamed = respond(rows, wanted, usual(wanted.format, list), entity.as_str()).await?;
        Ok(streamed.with_snapshot(snapshot).with_next(next))
    }
}

/// Fields that are named as parameters, and their values.
fn equal(request: &Request) -> ApiResult<Vec<(String, String)>> {
    let all = request.params::<Vec<(String, String)>>();
    let all = all.map_err(|_| ApiError::out_of_range("the query string can't be read"))?;
    let fields: Vec<_> = all.into_iter().filter(|(name, _)| !RESERVED.contains(&name.as_str())).collect();
    if fields.len() > MAX_EQUAL {
        return Err(ApiError::out_of_range(format!("at most {MAX_EQUAL} fields can be named as parameters")));
    }
    Ok(fields)
}

/// Both conditions in one, as JSON text.
fn condition_of(filter: Option<&str>, equal: &[(String, String)]) -> Option<String> {
    let same = |(name, value): &(String, String)| json!({ "column": name, "op": "eq", "value": value }).to_string();
    let all: Vec<String> = filter.map(str::to_owned).into_iter().chain(equal.iter().map(same)).collect();
    match all.as_slice() {
        [] => None,
        [one] => Some(one.clone()),
        all => Some(format!("{{\"and\":[{}]}}", all.join(","))),
    }
}

/// Rows that were read already, if there is one.
async fn some(rows: RowStream) -> ApiResult<Option<RowStream>> {
    let RowStream { schema, mut batches } = rows;
    let mut kept = Vec::new();
    while let Some(batch) = batches.next().await.transpose()? {
        if batch.num_rows() > 0 {
            kept.push(Ok(batch));
        }
    }
    let found = !kept.is_empty();
    Ok(found.then(|| RowStream { schema, batches: Box::pin(futures_util::stream::iter(kept)) }))
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
