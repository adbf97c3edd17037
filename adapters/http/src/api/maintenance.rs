//! Maintenance of projects' lakes.

use std::collections::BTreeSet;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use gadwall_application::maintenance::{Maintenance, Upkeep};
use gadwall_application::operations::MAX_LISTED;
use gadwall_domain::ids::OperationId;
use gadwall_domain::maintenance::{MaintenancePolicy, MaintenanceStep, Planned, PolicyChanges};
use gadwall_domain::ports::lake::{Files, TableCondition};
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::{ApiResponse, Object, OpenApi};

use super::operations::{OperationBody, OperationList};
use super::paging::read_cursor;
use super::{Area, number, project_id};
use crate::auth::Auth;
use crate::problem::{ApiError, ApiResult};

/// Snapshots of a plan that are listed; the rest are only counted.
const MAX_SNAPSHOTS: usize = 1_000;
/// Seconds after which a client may ask again how far a run is.
const ASK_AGAIN: u32 = 1;

pub(crate) struct MaintenanceApi {
    pub(crate) maintenance: Arc<Maintenance>,
}

/// Files.
#[derive(Debug, Object)]
pub(crate) struct FileCount {
    /// How many.
    files: u64,
    /// Their bytes.
    bytes: u64,
}

/// How a table lies in files.
#[derive(Debug, Object)]
pub(crate) struct TableUpkeep {
    /// The bucket.
    bucket: String,
    /// The table.
    table: String,
    /// Files of the newest version.
    files: u64,
    /// Their bytes.
    bytes: u64,
    /// Files that are small.
    small_files: u64,
    /// The share of rows in them that are deleted.
    deleted_ratio: f64,
}

/// What holds for a project's maintenance.
#[derive(Debug, Object)]
pub(crate) struct PolicyBody {
    /// Whether it is maintained without being asked.
    enabled: bool,
    /// How often.
    interval_seconds: u64,
    /// How long each snapshot is kept.
    keep_snapshots_for_seconds: u64,
    /// How many of the newest snapshots are kept, however old they are.
    keep_snapshots: u64,
    /// How large merged files become.
    target_file_bytes: u64,
    /// Files below it are small.
    small_file_bytes: u64,
    /// So many small files that could be one are merged.
    min_small_files: u64,
    /// The share of deleted rows from which on a file is written anew.
    delete_ratio: f64,
}

/// What a project wants otherwise than the service's defaults. What is left out is as they say.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields)]
pub(crate) struct PolicyRequest {
    /// Whether it is maintained without being asked.
    #[oai(skip_serializing_if_is_none)]
    enabled: Option<bool>,
    /// How often: from 60.
    #[oai(skip_serializing_if_is_none)]
    interval_seconds: Option<u64>,
    /// How long each snapshot is kept.
    #[oai(skip_serializing_if_is_none)]
    keep_snapshots_for_seconds: Option<u64>,
    /// How many of the newest snapshots are kept, however old they are: from 1.
    #[oai(skip_serializing_if_is_none)]
    keep_snapshots: Option<u64>,
    /// How large merged files become: from 1024.
    #[oai(skip_serializing_if_is_none)]
    target_file_bytes: Option<u64>,
    /// Files below it are small. Less than `target_file_bytes`.
    #[oai(skip_serializing_if_is_none)]
    small_file_bytes: Option<u64>,
    /// So many small files that could be one are merged: from 2.
    #[oai(skip_serializing_if_is_none)]
    min_small_files: Option<u64>,
    /// The share of deleted rows from which on a file is written anew: above 0, up to 1.
    #[oai(skip_serializing_if_is_none)]
    delete_ratio: Option<f64>,
}

/// What a project wants, and what holds for it.
#[derive(Debug, Object)]
pub(crate) struct PolicyAnswer {
    /// What it wants otherwise than the defaults.
    wanted: PolicyRequest,
    /// What holds.
    policy: PolicyBody,
}

/// How a project's lake is, and how it is maintained.
#[derive(Debug, Object)]
pub(crate) struct UpkeepBody {
    /// Files of the tables' newest versions.
    files: u64,
    /// Their bytes.
    bytes: u64,
    /// Files that are small.
    small_files: u64,
    /// The share of rows in them that are deleted.
    deleted_ratio: f64,
    /// Snapshots that are kept.
    snapshots: u64,
    /// The oldest one that is kept.
    oldest_snapshot_id: Option<u64>,
    /// When it was committed.
    oldest_snapshot_at: Option<DateTime<Utc>>,
    /// Files that no snapshot shows any more and that wait for their deletion.
    waiting: FileCount,
    /// Files that interrupted writes left.
    orphans: FileCount,
    /// Tables with the most small files, at most 100.
    tables: Vec<TableUpkeep>,
    /// What holds for the project.
    policy: PolicyBody,
    /// Whether maintenance is paused.
    paused: bool,
    /// The last run; it may be under way.
    last_run: Option<OperationBody>,
    /// When the next one begins by itself, at the earliest; null if none does or it isn't known yet.
    next_run_at: Option<DateTime<Utc>>,
}

/// Something to do.
#[derive(Debug, Object)]
pub(crate) struct PlannedBody {
    /// `rewrite_files`, `merge_files`, `expire_snapshots`, `delete_files` or `delete_orphans`.
    step: String,
    /// The table's bucket, where it is about a table.
    bucket: Option<String>,
    /// The table.
    table: Option<String>,
    /// Files that are written anew, or deleted.
    files: u64,
    /// Their bytes.
    bytes: u64,
    /// How many snapshots end.
    snapshot_count: u64,
    /// Which, oldest first; the first 1000.
    snapshot_ids: Vec<u64>,
    /// Why.
    why: String,
}

/// What there is to do.
#[derive(Debug, Object)]
pub(crate) struct PlanBody {
    /// In the order in which it is done. A step makes work for the next, which isn't told yet.
    actions: Vec<PlannedBody>,
}

/// A run to begin.
#[derive(Debug, Default, Object)]
#[oai(deny_unknown_fields)]
pub(crate) struct RunRequest {
    /// Some of `rewrite_files`, `merge_files`, `expire_snapshots`, `delete_files` and `delete_orphans`; all without.
    steps: Option<Vec<String>>,
}

#[derive(ApiResponse)]
#[expect(clippy::large_enum_variant, reason = "an answer is made once, and sent")]
pub(crate) enum RunBegun {
    /// What would be done.
    #[oai(status = 200)]
    Planned(Json<PlanBody>),
    /// It is being done; `Location` tells how far it is.
    #[oai(status = 202)]
    Accepted(Json<OperationBody>, #[oai(header = "Location")] String, #[oai(header = "Retry-After")] u32),
}

#[derive(ApiResponse)]
pub(crate) enum Noted {
    /// It is so from now on.
    #[oai(status = 204)]
    NoContent,
}

impl From<Files> for FileCount {
    fn from(Files { files, bytes }: Files) -> Self {
        Self { files, bytes }
    }
}

impl From<MaintenancePolicy> for PolicyBody {
    fn from(policy: MaintenancePolicy) -> Self {
        Self {
            enabled: policy.enabled,
            interval_seconds: policy.interval.get(),
            keep_snapshots_for_seconds: policy.keep_for.get(),
            keep_snapshots: policy.keep_snapshots.get(),
            target_file_bytes: policy.target_file_size.get(),
            small_file_bytes: policy.small_file_size.get(),
            min_small_files: policy.min_small_files.get(),
            delete_ratio: policy.delete_ratio.get(),
        }
    }
}

impl From<PolicyRequest> for PolicyChanges {
    fn from(wanted: PolicyRequest) -> Self {
        Self {
            enabled: wanted.enabled,
            interval_seconds: wanted.interval_seconds,
            keep_snapshots_for_seconds: wanted.keep_snapshots_for_seconds,
            keep_snapshots: wanted.keep_snapshots,
            target_file_bytes: wanted.target_file_bytes,
            small_file_bytes: wanted.small_file_bytes,
            min_small_files: wanted.min_small_files,
            delete_ratio: wanted.delete_ratio,
        }
    }
}

impl From<PolicyChanges> for PolicyRequest {
    fn from(changes: PolicyChanges) -> Self {
        Self {
            enabled: changes.enabled,
            interval_seconds: changes.interval_seconds,
            keep_snapshots_for_seconds: changes.keep_snapshots_for_seconds,
            keep_snapshots: changes.keep_snapshots,
            target_file_bytes: changes.target_file_bytes,
            small_file_bytes: changes.small_file_bytes,
            min_small_files: changes.min_small_files,
            delete_ratio: changes.delete_ratio,
        }
    }
}

impl From<Planned> for PlannedBody {
    fn from(planned: Planned) -> Self {
        let (bucket, table) = planned.table.map(|table| (table.bucket.to_string(), table.table.to_string())).unzip();
        Self {
            step: planned.step.as_str().to_owned(),
            bucket,
            table,
            files: planned.files,
            bytes: planned.bytes,
            snapshot_count: planned.snapshots.len() as u64,
            snapshot_ids: planned.snapshots.iter().take(MAX_SNAPSHOTS).map(|id| id.get()).collect(),
            why: planned.why,
        }
    }
}

impl From<Vec<Planned>> for PlanBody {
    fn from(planned: Vec<Planned>) -> Self {
        Self { actions: planned.into_iter().map(Into::into).collect() }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a share")]
fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

impl From<TableCondition> for TableUpkeep {
    fn from(table: TableCondition) -> Self {
        Self {
            bucket: table.table.bucket.to_string(),
            table: table.table.table.to_string(),
            files: table.files,
            bytes: table.bytes,
            small_files: table.small_files,
            deleted_ratio: ratio(table.deleted_rows, table.rows),
        }
    }
}

impl From<Upkeep> for UpkeepBody {
    fn from(upkeep: Upkeep) -> Self {
        let mut tables = upkeep.condition.tables;
        let sum = |of: fn(&TableCondition) -> u64| tables.iter().map(of).sum::<u64>();
        let (rows, deleted) = (sum(|table| table.rows), sum(|table| table.deleted_rows));
        let (files, bytes, small) =
            (sum(|table| table.files), sum(|table| table.bytes), sum(|table| table.small_files));
        tables.sort_by_key(|table| std::cmp::Reverse(table.small_files));
        tables.truncate(100);
        let oldest = upkeep.condition.snapshots.first().copied();
        Self {
            files,
            bytes,
            small_files: small,
            deleted_ratio: ratio(deleted, rows),
            snapshots: upkeep.condition.snapshots.len() as u64,
            oldest_snapshot_id: oldest.map(|oldest| oldest.id.get()),
            oldest_snapshot_at: oldest.map(|oldest| oldest.committed_at),
            waiting: upkeep.condition.waiting.into(),
            orphans: upkeep.condition.orphans.into(),
            tables: tables.into_iter().map(Into::into).collect(),
            policy: upkeep.policy.into(),
            paused: upkeep.is_paused,
            last_run: upkeep.last.map(Into::into),
            next_run_at: upkeep.next_at,
        }
    }
}

#[OpenApi(tag = "Area::Maintenance")]
impl MaintenanceApi {
    /// Look at a project's files and snapshots
    #[oai(path = "/projects/:project/maintenance", method = "get", operation_id = "get_maintenance")]
    async fn look(&self, auth: Auth, project: Path<String>) -> ApiResult<Json<UpkeepBody>> {
        let project = project_id(&project.0)?;
        Ok(Json(self.maintenance.look(auth.caller(), &project).await?.into()))
    }

    /// Tell what there is to do
    ///
    /// What, how many bytes, and why. Snapshots that a tag, a pinned link or a consumer of changes holds don't end, nor do the
    /// newest; none do while imports or exports run.
    #[oai(path = "/projects/:project/maintenance/plan", method = "get", operation_id = "plan_maintenance")]
    async fn plan(&self, auth: Auth, project: Path<String>) -> ApiResult<Json<PlanBody>> {
        let project = project_id(&project.0)?;
        Ok(Json(self.maintenance.plan(auth.caller(), &project).await?.into()))
    }

    /// Look at the policy
    #[oai(path = "/projects/:project/maintenance/policy", method = "get", operation_id = "get_maintenance_policy")]
    async fn policy(&self, auth: Auth, project: Path<String>) -> ApiResult<Json<PolicyAnswer>> {
        let project = project_id(&project.0)?;
        let (wanted, policy) = self.maintenance.policy(auth.caller(), &project).await?;
        Ok(Json(PolicyAnswer { wanted: wanted.into(), policy: policy.into() }))
    }

    /// Set the policy
    ///
    /// What is left out is as the service's defaults say, whatever was set before.
    #[oai(path = "/projects/:project/maintenance/policy", method = "put", operation_id = "set_maintenance_policy")]
    async fn set_policy(
        &self,
        auth: Auth,
        project: Path<String>,
        body: Json<PolicyRequest>,
    ) -> ApiResult<Json<PolicyAnswer>> {
        let project = project_id(&project.0)?;
        let changes = PolicyChanges::from(body.0);
        let policy = self.maintenance.set_policy(auth.caller(), &project, changes.clone()).await?;
        Ok(Json(PolicyAnswer { wanted: changes.into(), policy: policy.into() }))
    }

    /// Maintain a project now
    ///
    /// It goes on in small steps, between which others write, and is told as an operation. Cancelled, it ends after its step;
    /// what was done stays. One at a time: while one is under way this is 409, and so it is while maintenance is paused.
    #[oai(path = "/projects/:project/maintenance/runs", method = "post", operation_id = "run_maintenance")]
    async fn run(
        &self,
        auth: Auth,
        project: Path<String>,
        /// Only tell what would be done.
        #[oai(default)]
        dry_run: Query<bool>,
        body: Json<Option<RunRequest>>,
    ) -> ApiResult<RunBegun> {
        let project = project_id(&project.0)?;
        let steps = body.0.and_then(|body| body.steps).map(|words| steps(&words)).transpose()?;
        if dry_run.0 {
            let mut planned = self.maintenance.plan_run(auth.caller(), &project).await?;
            planned.retain(|planned| steps.as_ref().is_none_or(|steps| steps.contains(&planned.step)));
            return Ok(RunBegun::Planned(Json(planned.into())));
        }
        let begun = self.maintenance.run(auth.caller(), &project, steps).await?;
        let location = format!("/projects/{}/maintenance/runs/{}", begun.project, begun.id);
        Ok(RunBegun::Accepted(Json(begun.into()), location, ASK_AGAIN))
    }

    /// List runs
    ///
    /// Newest first. Those that ended are forgotten after 7 days.
    #[oai(path = "/projects/:project/maintenance/runs", method = "get", operation_id = "list_maintenance_runs")]
    async fn runs(
        &self,
        auth: Auth,
        project: Path<String>,
        /// At most so many: 1 to 1000, 100 unless told.
        limit: Query<Option<i64>>,
        /// The `next_cursor` of the page before.
        after: Query<Option<String>>,
    ) -> ApiResult<Json<OperationList>> {
        let project = project_id(&project.0)?;
        let limit = number("limit", limit.0, 1..=MAX_LISTED, 100)?;
        let after = read_cursor(after.0.as_deref(), OperationId::parse)?;
        let found = self.maintenance.runs(auth.caller(), &project, after, limit).await?;
        Ok(Json(OperationList::page(found, limit)))
    }

    /// Look at a run
    ///
    /// Its `result` has `steps` with what each did, and `bytes_reclaimed`.
    #[oai(path = "/projects/:project/maintenance/runs/:run", method = "get", operation_id = "get_maintenance_run")]
    async fn find(&self, auth: Auth, project: Path<String>, run: Path<String>) -> ApiResult<Json<OperationBody>> {
        let project = project_id(&project.0)?;
        Ok(Json(self.maintenance.find(auth.caller(), &project, &run.0).await?.into()))
    }

    /// Pause maintenance
    ///
    /// Nothing more is done until it is resumed. A run that is at it ends after its step.
    #[oai(path = "/projects/:project/maintenance/pause", method = "post", operation_id = "pause_maintenance")]
    async fn pause(&self, auth: Auth, project: Path<String>) -> ApiResult<Noted> {
        let project = project_id(&project.0)?;
        self.maintenance.pause(auth.caller(), &project).await?;
        Ok(Noted::NoContent)
    }

    /// Resume maintenance
    #[oai(path = "/projects/:project/maintenance/resume", method = "post", operation_id = "resume_maintenance")]
    async fn resume(&self, auth: Auth, project: Path<String>) -> ApiResult<Noted> {
        let project = project_id(&project.0)?;
        self.maintenance.resume(auth.caller(), &project).await?;
        Ok(Noted::NoContent)
    }
}

fn steps(words: &[String]) -> ApiResult<BTreeSet<MaintenanceStep>> {
    let known = || MaintenanceStep::ALL.map(MaintenanceStep::as_str).join(", ");
    let refused = || ApiError::out_of_range(format!("steps are some of {}", known()));
    let steps = words.iter().map(|word| MaintenanceStep::parse(word).ok_or_else(refused)).collect::<ApiResult<_>>()?;
    if words.is_empty() { Err(refused()) } else { Ok(steps) }
}
