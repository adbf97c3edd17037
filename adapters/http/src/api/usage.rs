//! `/usage`, `/projects/{id}/usage` and `/projects/{id}/quota`.

use std::sync::Arc;

use gadwall_application::projects::{Limit, Projects};
use gadwall_application::usage::{Details, MAX_DAYS, ProjectUsage, Share, Usage};
use gadwall_domain::ids::SnapshotId;
use gadwall_domain::quota::{DayUsage, QueryUsage, Quota, QuotaKind};
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::{ApiResponse, Object, OpenApi};

use super::paging::{next_link, read_cursor};
use super::{Area, number, project_id};
use crate::auth::Auth;
use crate::problem::{ApiError, ApiResult};

pub(crate) struct UsageApi {
    pub(crate) projects: Arc<Projects>,
    pub(crate) usage: Arc<Usage>,
}

/// Limits of a project: 0 is no limit; of those that are left out the configuration's defaults (`quota.*`) hold.
#[derive(Debug, Object)]
#[oai(rename = "SetQuota", deny_unknown_fields)]
struct SetQuota {
    /// Bytes of tables in their newest version.
    table_bytes: Option<i64>,
    /// Bytes of datasets.
    dataset_bytes: Option<i64>,
    /// Tables in all buckets.
    tables: Option<i64>,
    /// Buckets.
    buckets: Option<i64>,
    /// Queries that begin in a minute, at each server.
    queries_per_minute: Option<i64>,
    /// Queries that run or wait at once, at each server.
    concurrent_queries: Option<i64>,
    /// Rows that one request puts into a table.
    rows_per_append: Option<i64>,
}

impl SetQuota {
    fn quota(&self) -> ApiResult<Quota> {
        let given = [
            (QuotaKind::TableBytes, self.table_bytes),
            (QuotaKind::DatasetBytes, self.dataset_bytes),
            (QuotaKind::Tables, self.tables),
            (QuotaKind::Buckets, self.buckets),
            (QuotaKind::QueriesPerMinute, self.queries_per_minute),
            (QuotaKind::ConcurrentQueries, self.concurrent_queries),
            (QuotaKind::RowsPerAppend, self.rows_per_append),
        ];
        let mut quota = Quota::default();
        for (kind, limit) in given {
            if let Some(limit) = limit {
                quota = quota.with(kind, limit.into()).map_err(|error| ApiError::out_of_range(error.to_string()))?;
            }
        }
        Ok(quota)
    }
}

/// A limit of a project.
#[derive(Debug, Object)]
#[oai(rename = "QuotaLimit")]
struct LimitBody {
    /// Of what, as in `PUT`.
    quota: String,
    /// The limit; null if there is none.
    limit: Option<u64>,
    /// Whether it is said of this project, and not the configuration's default.
    own: bool,
}

impl From<Limit> for LimitBody {
    fn from(Limit { kind, limit, own }: Limit) -> Self {
        Self { quota: kind.as_str().to_owned(), limit, own }
    }
}

/// The limits that hold for a project.
#[derive(Debug, Object)]
#[oai(rename = "Quota")]
struct QuotaBody {
    /// The project.
    project_id: String,
    /// Its limits.
    limits: Vec<LimitBody>,
}

/// A limit of a project, and how much of it is used.
#[derive(Debug, Object)]
#[oai(rename = "QuotaShare")]
struct ShareBody {
    /// Of what.
    quota: String,
    /// The limit; null if there is none.
    limit: Option<u64>,
    /// How much is used; null where that isn't counted.
    used: Option<u64>,
    /// So many percent of the limit; more than 100 where it was lowered.
    percent: Option<f64>,
}

impl From<Share> for ShareBody {
    #[expect(clippy::cast_precision_loss, reason = "a share is told to a tenth of a percent")]
    fn from(Share { limit, used }: Share) -> Self {
        let percent = |(used, limit): (u64, u64)| (used as f64 / limit as f64 * 1_000.0).round() / 10.0;
        Self {
            quota: limit.kind.as_str().to_owned(),
            limit: limit.limit,
            used,
            percent: used.zip(limit.limit).map(percent),
        }
    }
}

/// What queries did.
#[derive(Debug, Object)]
#[oai(rename = "QueryUsage")]
struct QueriesBody {
    /// Queries that ended.
    count: u64,
    /// Of them, those that failed.
    failed: u64,
    /// Bytes that they scanned, where that was measured (`query.profiling`).
    bytes_scanned: u64,
    /// Bytes of their rows that were handed over, before they are written in a format.
    bytes_sent: u64,
    /// Seconds from their coming in to their end.
    seconds: f64,
}

impl From<QueryUsage> for QueriesBody {
    #[expect(clippy::cast_precision_loss, reason = "so many milliseconds no counter reaches")]
    fn from(usage: QueryUsage) -> Self {
        let QueryUsage { count, failed, bytes_scanned, bytes_sent, millis } = usage;
        Self { count, failed, bytes_scanned, bytes_sent, seconds: millis as f64 / 1_000.0 }
    }
}

/// What queries did on one day.
#[derive(Debug, Object)]
#[oai(rename = "UsageDay")]
struct DayBody {
    /// The day (UTC): `2026-01-31`.
    day: String,
    /// What they did.
    queries: QueriesBody,
}

impl From<DayUsage> for DayBody {
    fn from(usage: DayUsage) -> Self {
        Self { day: usage.day.to_string(), queries: usage.queries.into() }
    }
}

/// Bytes by what they are of.
#[derive(Debug, Object)]
#[oai(rename = "UsageBytes")]
struct BytesBody {
    /// Tables in their newest version.
    tables: u64,
    /// All files of tables that are kept, those of older versions among them; null where that isn't known.
    #[oai(skip_serializing_if_is_none)]
    tables_with_history: Option<u64>,
    /// Datasets.
    #[oai(skip_serializing_if_is_none)]
    datasets: Option<u64>,
    /// Results of queries that are fetched later; null where that isn't known.
    #[oai(skip_serializing_if_is_none)]
    results: Option<u64>,
}

/// What a project uses.
#[derive(Debug, Object)]
#[oai(rename = "Usage")]
struct UsageBody {
    /// The project.
    project_id: String,
    /// Bytes that it stores.
    bytes: BytesBody,
    /// Tables in all buckets.
    tables: u64,
    /// Buckets.
    buckets: u64,
    /// Rows of all tables.
    #[oai(skip_serializing_if_is_none)]
    rows: Option<u64>,
    /// Snapshots that were made.
    #[oai(skip_serializing_if_is_none)]
    snapshots: Option<u64>,
    /// Queries that ended today (UTC).
    queries_today: QueriesBody,
    /// Queries that ended in the last 30 days, with today.
    queries_last_30_days: QueriesBody,
    /// The limits, and how much of them is used.
    quota: Vec<ShareBody>,
    /// The days asked for, oldest first.
    #[oai(skip_serializing_if_is_empty, default)]
    days: Vec<DayBody>,
}

impl From<ProjectUsage> for UsageBody {
    fn from(usage: ProjectUsage) -> Self {
        let ProjectUsage { project, size, details, today, lately, shares } = usage;
        let of = details.as_ref();
        Self {
            project_id: project.to_string(),
            bytes: BytesBody {
                tables: size.size_bytes,
                tables_with_history: of.and_then(|details| details.kept_bytes),
                datasets: of.map(|details| details.dataset_bytes),
                results: of.and_then(|details| details.result_bytes),
            },
            tables: size.table_count,
            buckets: size.bucket_count,
            rows: of.map(|details| details.rows),
            snapshots: of.map(|details| SnapshotId::get(details.newest)),
            queries_today: today.into(),
            queries_last_30_days: lately.into(),
            quota: shares.into_iter().map(Into::into).collect(),
            days: details.into_iter().flat_map(|Details { days, .. }| days).map(Into::into).collect(),
        }
    }
}

/// A page of what projects use.
#[derive(Debug, Object)]
struct UsageList {
    /// The projects, newest first.
    projects: Vec<UsageBody>,
    /// How many there are.
    total: u64,
    /// Send it as `after` for the next page; null on the last one.
    next_cursor: Option<String>,
}

#[derive(ApiResponse)]
enum UsagePage {
    /// The page; `Link` has the address of the next one.
    #[oai(status = 200)]
    Page(Json<UsageList>, #[oai(header = "Link")] Option<String>),
}

#[OpenApi(tag = "Area::Projects")]
impl UsageApi {
    /// Look at a project's limits
    #[oai(path = "/projects/:project/quota", method = "get", operation_id = "get_project_quota")]
    async fn quota(&self, auth: Auth, project: Path<String>) -> ApiResult<Json<QuotaBody>> {
        let project = project_id(&project.0)?;
        let limits = self.projects.quota(auth.caller(), &project).await?;
        Ok(Json(QuotaBody { project_id: project.to_string(), limits: limits.into_iter().map(Into::into).collect() }))
    }

    /// Set a project's limits
    ///
    /// All of them: what the body leaves out has the configuration's default again. What a project has beyond a new
    /// limit stays, and can be deleted; more is refused with `quota_exceeded`. Admin only.
    #[oai(path = "/projects/:project/quota", method = "put", operation_id = "set_project_quota")]
    async fn set_quota(&self, auth: Auth, project: Path<String>, body: Json<SetQuota>) -> ApiResult<Json<QuotaBody>> {
        auth.caller().require_admin()?;
        let project = project_id(&project.0)?;
        let limits = self.projects.set_quota(auth.caller(), &project, body.0.quota()?).await?;
        Ok(Json(QuotaBody { project_id: project.to_string(), limits: limits.into_iter().map(Into::into).collect() }))
    }

    /// Look at what a project uses
    ///
    /// What it stores is counted now. Queries are counted when they end, and written down a moment later: a crash may
    /// lose those of the last moments. Not for keys that are limited to a bucket.
    #[oai(path = "/projects/:project/usage", method = "get", operation_id = "get_project_usage")]
    async fn usage(
        &self,
        auth: Auth,
        project: Path<String>,
        /// How many days to tell one by one, today (UTC) among them: 1 to 90, 30 unless told.
        days: Query<Option<i64>>,
    ) -> ApiResult<Json<UsageBody>> {
        let days = number("days", days.0, 1..=MAX_DAYS, 30)?;
        let usage = self.usage.of_project(auth.caller(), &project_id(&project.0)?, days).await?;
        Ok(Json(usage.into()))
    }

    /// List what projects use
    ///
    /// Projects in use, newest first. What they store is told as it was counted last. Admin only.
    #[oai(path = "/usage", method = "get", operation_id = "list_usage")]
    async fn list(
        &self,
        auth: Auth,
        /// At most so many: 1 to 1000, 100 unless told.
        limit: Query<Option<i64>>,
        /// The `next_cursor` of the page before.
        after: Query<Option<String>>,
    ) -> ApiResult<UsagePage> {
        auth.caller().require_admin()?;
        let limit = number("limit", limit.0, 1..=1000, 100)?;
        let skipped = read_cursor(after.0.as_deref(), |text| text.parse::<u32>().ok().map(u64::from))?;
        let skipped = skipped.unwrap_or_default();
        let (found, total) = self.usage.list(auth.caller(), limit, skipped).await?;
        let told = skipped + found.len() as u64;
        let next_cursor = (told < total && !found.is_empty()).then(|| told.to_string());
        let link = next_link("/usage", &[], limit, next_cursor.as_deref());
        let projects = found.into_iter().map(Into::into).collect();
        Ok(UsagePage::Page(Json(UsageList { projects, total, next_cursor }), link))
    }
}
