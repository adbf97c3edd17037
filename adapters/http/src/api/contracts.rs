//! `/projects/{id}/buckets/{bucket}/tables/{table}/contract` and `/projects/{id}/product`.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use gadwall_application::contracts::{Checked, Contracts, MAX_LISTED};
use gadwall_domain::contract::{Breach, LevelReport, LoggedResult, Measure, StoredContract};
use poem::Request;
use poem_openapi::param::{Header, Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::types::Any;
use poem_openapi::{ApiResponse, Object, OpenApi};
use serde_json::Value;

use super::conditions::{if_match_shape, is_known};
use super::documents::{DocumentBody, DocumentShown, ODCS, ODPS};
use super::paging::{next_cursor, next_link, read_cursor};
use super::projects::Gone;
use super::queries::QueryLimits;
use super::{Area, number, project_id, snapshot_id, table_ref};
use crate::auth::Auth;
use crate::negotiate::Accepts;
use crate::problem::ApiResult;

pub(crate) struct ContractsApi {
    pub(crate) contracts: Arc<Contracts>,
    pub(crate) limits: QueryLimits,
}

/// What a rule found.
#[derive(Debug, Clone, Object)]
#[oai(rename = "RuleResult")]
struct RuleBody {
    /// The rule: its id, its name, or its place in the document.
    rule: String,
    /// What was measured: `nullValues`, `rowCount`, `sql`, …
    metric: String,
    /// The columns it looks at.
    columns: Vec<String>,
    /// The quality it is about.
    #[oai(skip_serializing_if_is_none)]
    dimension: Option<String>,
    /// `error` or `warning`.
    severity: String,
    /// What was measured; null if that was no number.
    measured: Option<f64>,
    /// `rows` or `percent`.
    unit: String,
    /// What it must be, as the contract has it.
    expected: Any<Value>,
    /// Whether it is so.
    met: bool,
    /// Why it could not be measured.
    #[oai(skip_serializing_if_is_none)]
    problem: Option<String>,
    /// Some of the rows that break it, of a check that was just made.
    #[oai(skip_serializing_if_is_empty, default)]
    samples: Vec<Any<Value>>,
}

impl RuleBody {
    fn new(measure: &Measure, samples: &[Value]) -> Self {
        let word = |value: Value| value.as_str().unwrap_or_default().to_owned();
        Self {
            rule: measure.rule.clone(),
            metric: measure.metric.clone(),
            columns: measure.columns.iter().map(ToString::to_string).collect(),
            dimension: measure.dimension.clone(),
            severity: measure.severity.as_str().to_owned(),
            measured: measure.measured,
            unit: word(serde_json::to_value(measure.unit).unwrap_or_default()),
            expected: Any(measure.expected.clone()),
            met: measure.met,
            problem: measure.problem.clone(),
            samples: samples.iter().cloned().map(Any).collect(),
        }
    }
}

impl From<&Breach> for RuleBody {
    fn from(breach: &Breach) -> Self {
        Self::new(&breach.measure, &breach.samples)
    }
}

/// What came of a promise about the service.
#[derive(Debug, Clone, Object)]
#[oai(rename = "ServiceLevelResult")]
struct LevelBody {
    /// The promise.
    property: String,
    /// Its value.
    value: Any<Value>,
    /// Its unit.
    unit: Option<String>,
    /// The column that it is measured by.
    element: Option<String>,
    /// What was measured: seconds, or a time.
    measured: Option<Any<Value>>,
    /// Whether it is kept; null where nothing in the table tells.
    met: Option<bool>,
    /// In words.
    detail: String,
}

impl From<LevelReport> for LevelBody {
    fn from(report: LevelReport) -> Self {
        Self {
            property: report.property,
            value: Any(report.value),
            unit: report.unit,
            element: report.element,
            measured: report.measured.map(Any),
            met: report.met,
            detail: report.detail,
        }
    }
}

/// What a look at a table's contract found.
#[derive(Debug, Clone, Object)]
#[oai(rename = "ContractResult")]
struct ResultBody {
    /// When.
    at: DateTime<Utc>,
    /// `check`, `written` (a write went through in spite of warnings) or `refused` (a write was).
    occasion: String,
    /// The version of the contract: the snapshot that put it in force.
    contract_version: u64,
    /// The snapshot that was looked at, or made; null of a refused write.
    snapshot_id: Option<u64>,
    /// The request behind it.
    request_id: String,
    /// Whether nothing but warnings was found.
    passed: bool,
    /// The rules: all of a check, the broken ones of a write.
    rules: Vec<RuleBody>,
    /// The service levels; of a check only.
    service_levels: Vec<LevelBody>,
}

impl ResultBody {
    fn new(found: gadwall_domain::contract::ContractResult, rules: Vec<RuleBody>) -> Self {
        Self {
            at: found.at,
            occasion: found.occasion.as_str().to_owned(),
            contract_version: found.contract.get(),
            snapshot_id: found.snapshot.map(gadwall_domain::ids::SnapshotId::get),
            request_id: found.request_id.to_string(),
            passed: found.passed(),
            rules,
            service_levels: found.service_levels.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<Checked> for ResultBody {
    fn from(checked: Checked) -> Self {
        let rules = checked.rules.iter().map(Into::into).collect();
        Self::new(checked.result, rules)
    }
}

impl From<LoggedResult> for ResultBody {
    fn from(logged: LoggedResult) -> Self {
        let rules = logged.result.measures.iter().map(|measure| RuleBody::new(measure, &[])).collect();
        Self::new(logged.result, rules)
    }
}

/// Results of a table.
#[derive(Debug, Clone, Object)]
struct ContractResults {
    /// Newest first.
    results: Vec<ResultBody>,
    /// Send it as `after` for the next page; null on the last.
    next_cursor: Option<String>,
}

#[derive(ApiResponse)]
enum ResultsPage {
    /// A page of results.
    #[oai(status = 200)]
    Page(
        Json<ContractResults>,
        /// The next page (RFC 8288).
        #[oai(header = "Link")]
        Option<String>,
    ),
}

/// A version of a table's contract.
#[derive(Debug, Clone, Object)]
#[oai(rename = "ContractVersion")]
struct VersionBody {
    /// The snapshot that put it in force: it names the version.
    contract_version: u64,
    /// The version that the document states.
    version: String,
    /// The document's id.
    id: String,
    /// Where the document says that it stands.
    status: String,
    /// When it was put.
    put_at: DateTime<Utc>,
    /// Whose key or token it was; null for an admin's key.
    put_by: Option<String>,
    /// The snapshot that ended it; null while it is in force.
    ended_in: Option<u64>,
}

impl From<&StoredContract> for VersionBody {
    fn from(stored: &StoredContract) -> Self {
        let text = |name: &str| stored.document[name].as_str().unwrap_or_default().to_owned();
        Self {
            contract_version: stored.since.get(),
            version: text("version"),
            id: text("id"),
            status: text("status"),
            put_at: stored.put_at,
            put_by: stored.put_by.clone(),
            ended_in: stored.until.map(gadwall_domain::ids::SnapshotId::get),
        }
    }
}

/// All versions that are kept.
#[derive(Debug, Clone, Object)]
struct ContractVersions {
    /// Newest first.
    versions: Vec<VersionBody>,
    /// How many there are.
    total: u64,
}

/// A contract that is in force.
#[derive(Debug, Clone, Object)]
struct ContractPut {
    /// The contract.
    contract: VersionBody,
    /// What its rules find in the rows that are there. Those stay; what comes is refused.
    rules: Vec<RuleBody>,
}

#[derive(ApiResponse)]
enum PutAnswer {
    /// The table had a contract; this one takes its place.
    #[oai(status = 200)]
    Replaced(Json<ContractPut>),
    /// The table had none.
    #[oai(status = 201)]
    Created(Json<ContractPut>),
}

#[OpenApi(tag = "Area::Contracts")]
impl ContractsApi {
    /// Put a table under a contract
    ///
    /// An Open Data Contract (ODCS 3.1.0) in JSON or YAML. From then on every write is held to it before it is committed:
    /// to its columns, to `required`, `unique` and `logicalTypeOptions`, and to its rules of quality. What breaks a rule is
    /// refused, or let through and written down if the rule's severity is `warning`.
    #[oai(
        path = "/projects/:project/buckets/:bucket/tables/:table/contract",
        method = "put",
        operation_id = "put_contract"
    )]
    async fn put(
        &self,
        auth: Auth,
        project: Path<String>,
        bucket: Path<String>,
        table: Path<String>,
        /// The version of the table that this is meant for; rows that came in between don't count.
        #[oai(name = "If-Match")]
        if_match: Header<Option<String>>,
        body: DocumentBody,
    ) -> ApiResult<PutAnswer> {
        let (project, table) = (project_id(&project.0)?, table_ref(&bucket.0, &table.0)?);
        let expected = if_match_shape(if_match.0.as_deref())?;
        let document = body.read()?;
        let timeout = self.limits.default_timeout;
        let put = self.contracts.put(auth.caller(), &project, &table, document, expected, timeout).await?;
        let rules = put.rules.iter().map(Into::into).collect();
        let body = Json(ContractPut { contract: (&put.contract).into(), rules });
        Ok(if put.is_new { PutAnswer::Created(body) } else { PutAnswer::Replaced(body) })
    }

    /// Read a table's contract
    ///
    /// The document as it was put, in JSON or YAML. Also of a table that is read through a link.
    #[oai(
        path = "/projects/:project/buckets/:bucket/tables/:table/contract",
        method = "get",
        operation_id = "get_contract"
    )]
    #[expect(clippy::too_many_arguments, reason = "each is a parameter of the route")]
    async fn get(
        &self,
        auth: Auth,
        accepts: Accepts,
        project: Path<String>,
        bucket: Path<String>,
        table: Path<String>,
        /// One of its versions; the one in force without.
        version: Query<Option<String>>,
        /// Answers 304 if that is still the one.
        #[oai(name = "If-None-Match")]
        if_none_match: Header<Option<String>>,
    ) -> ApiResult<DocumentShown> {
        let (project, table) = (project_id(&project.0)?, table_ref(&bucket.0, &table.0)?);
        let since = version.0.as_deref().map(|text| snapshot_id("version", text)).transpose()?;
        let found = self.contracts.get(auth.caller(), &project, &table, since).await?;
        let shown = DocumentShown::new(&found.document, &accepts, ODCS)?;
        let etag = format!("\"c{}.{}\"", found.since, shown.form());
        if is_known(if_none_match.0.as_deref(), &etag) {
            return Ok(DocumentShown::unchanged(etag));
        }
        Ok(shown.with_etag(etag))
    }

    /// End a table's contract
    ///
    /// Its versions and results stay as long as the table.
    #[oai(
        path = "/projects/:project/buckets/:bucket/tables/:table/contract",
        method = "delete",
        operation_id = "delete_contract"
    )]
    async fn delete(
        &self,
        auth: Auth,
        project: Path<String>,
        bucket: Path<String>,
        table: Path<String>,
        /// The version of the table that this is meant for; rows that came in between don't count.
        #[oai(name = "If-Match")]
        if_match: Header<Option<String>>,
    ) -> ApiResult<Gone> {
        let (project, table) = (project_id(&project.0)?, table_ref(&bucket.0, &table.0)?);
        let expected = if_match_shape(if_match.0.as_deref())?;
        self.contracts.remove(auth.caller(), &project, &table, expected).await?;
        Ok(Gone::NoContent)
    }

    /// List a contract's versions
    #[oai(
        path = "/projects/:project/buckets/:bucket/tables/:table/contract/versions",
        method = "get",
        operation_id = "list_contract_versions"
    )]
    async fn versions(
        &self,
        auth: Auth,
        project: Path<String>,
        bucket: Path<String>,
        table: Path<String>,
    ) -> ApiResult<Json<ContractVersions>> {
        let (project, table) = (project_id(&project.0)?, table_ref(&bucket.0, &table.0)?);
        let all = self.contracts.versions(auth.caller(), &project, &table).await?;
        Ok(Json(ContractVersions { versions: all.iter().map(Into::into).collect(), total: all.len() as u64 }))
    }

    /// Check a table against its contract
    ///
    /// Measures all rules on the rows that are there, and the service levels. What is found is kept.
    #[oai(
        path = "/projects/:project/buckets/:bucket/tables/:table/contract/check",
        method = "post",
        operation_id = "check_contract"
    )]
    async fn check(
        &self,
        auth: Auth,
        project: Path<String>,
        bucket: Path<String>,
        table: Path<String>,
    ) -> ApiResult<Json<ResultBody>> {
        let (project, table) = (project_id(&project.0)?, table_ref(&bucket.0, &table.0)?);
        let timeout = self.limits.default_timeout;
        Ok(Json(self.contracts.check(auth.caller(), &project, &table, timeout).await?.into()))
    }

    /// Propose a contract
    ///
    /// One that the table keeps as it is now, made from its columns, key, checks and profile. Nothing is put in force.
    #[oai(
        path = "/projects/:project/buckets/:bucket/tables/:table/contract/derive",
        method = "post",
        operation_id = "derive_contract"
    )]
    async fn derive(
        &self,
        auth: Auth,
        accepts: Accepts,
        project: Path<String>,
        bucket: Path<String>,
        table: Path<String>,
    ) -> ApiResult<DocumentShown> {
        let (project, table) = (project_id(&project.0)?, table_ref(&bucket.0, &table.0)?);
        let timeout = self.limits.default_timeout;
        let document = self.contracts.derive(auth.caller(), &project, &table, timeout).await?;
        DocumentShown::new(&document, &accepts, ODCS)
    }

    /// Read what checks and writes found
    ///
    /// Newest first: checks, writes that went through in spite of warnings, and writes that were refused. The last 1,000
    /// of a table are kept.
    #[oai(
        path = "/projects/:project/buckets/:bucket/tables/:table/contract/results",
        method = "get",
        operation_id = "list_contract_results"
    )]
    async fn results(
        &self,
        auth: Auth,
        project: Path<String>,
        bucket: Path<String>,
        table: Path<String>,
        /// At most so many: 1 to 200, 50 unless told.
        limit: Query<Option<i64>>,
        /// The `next_cursor` of the page before.
        after: Query<Option<String>>,
    ) -> ApiResult<ResultsPage> {
        let (project, table) = (project_id(&project.0)?, table_ref(&bucket.0, &table.0)?);
        let limit = number("limit", limit.0, 1..=MAX_LISTED, 50)?;
        let before = read_cursor(after.0.as_deref(), |text| text.parse::<u64>().ok())?;
        let found = self.contracts.results(auth.caller(), &project, &table, before, limit).await?;
        let next_cursor = next_cursor(&found, limit, |last| last.number.to_string());
        let path = format!("/projects/{project}/buckets/{}/tables/{}/contract/results", table.bucket, table.table);
        let link = next_link(&path, &[], limit, next_cursor.as_deref());
        let results = found.into_iter().map(Into::into).collect();
        Ok(ResultsPage::Page(Json(ContractResults { results, next_cursor }), link))
    }

    /// Describe a project as a data product
    ///
    /// An Open Data Product descriptor (Bitol ODPS 1.0.0) in JSON or YAML, made from what is there: shared tables are its
    /// output ports, linked ones under a contract its input ports.
    #[oai(path = "/projects/:project/product", method = "get", operation_id = "get_product")]
    async fn product(
        &self,
        request: &Request,
        auth: Auth,
        accepts: Accepts,
        project: Path<String>,
    ) -> ApiResult<DocumentShown> {
        let project = project_id(&project.0)?;
        let host = request.header("host").unwrap_or("localhost");
        let base = format!("{}://{host}", request.scheme());
        let document = self.contracts.product(auth.caller(), &project, &base).await?;
        DocumentShown::new(&document, &accepts, ODPS)
    }
}
