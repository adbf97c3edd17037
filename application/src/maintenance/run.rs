//! A run: step by step, slice by slice. What a slice did stays, however the run ends.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use gadwall_domain::commit::WriteOrigin;
use gadwall_domain::maintenance::{MaintenancePolicy, MaintenanceStep};
use gadwall_domain::names::ProjectId;
use gadwall_domain::operation::Progress;
use gadwall_domain::ports::lake::{LakeError, Slice, SliceReport, WriteError};
use gadwall_domain::project::Project;
use serde::Serialize;
use tokio::time::sleep;

use super::Parts;
use crate::backups::is_backup;
use crate::error::{UseCaseError, about_table};
use crate::operations::Running;

/// Slices of one kind in one run; what is left is for the next.
const MAX_SLICES: u32 = 2_000;
/// How often a slice is tried when the lake is busy, and how long it waits in between.
const TRIES: u32 = 10;
const PAUSE: Duration = Duration::from_millis(250);

/// What a step did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct StepReport {
    /// Turns of the lake's writer that it took.
    pub slices: u64,
    /// Files that are no longer part of the newest version, or were deleted from storage.
    pub files_removed: u64,
    /// Their bytes.
    pub bytes_removed: u64,
    /// Files that took their place.
    pub files_made: u64,
    /// Their bytes.
    pub bytes_made: u64,
    /// Snapshots that ended.
    pub snapshots_expired: u64,
    /// Files that should have been deleted but weren't.
    pub files_spared: u64,
}

/// What a run did.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct RunReport {
    /// What each step did, by its word.
    pub steps: BTreeMap<&'static str, StepReport>,
    /// Bytes that were deleted from storage.
    pub bytes_reclaimed: u64,
    /// Whether it ended early, as maintenance was paused.
    pub paused: bool,
}

/// One run.
pub(super) struct Run {
    pub(super) parts: Arc<Parts>,
    pub(super) project: Project,
    pub(super) policy: MaintenancePolicy,
    pub(super) origin: WriteOrigin,
    pub(super) running: Running,
    pub(super) report: RunReport,
}

impl Run {
    /// Does the steps.
    pub(super) async fn carry_out(mut self, steps: &BTreeSet<MaintenanceStep>) -> Result<RunReport, UseCaseError> {
        for step in MaintenanceStep::ALL.into_iter().filter(|step| steps.contains(step)) {
            if self.is_paused().await? {
                break;
            }
            self.report.steps.entry(step.as_str()).or_default();
            match step {
                // A backup may be about to copy them. They wait for the next run.
                MaintenanceStep::DeleteFiles | MaintenanceStep::DeleteOrphans if self.is_backed_up().await? => {}
                MaintenanceStep::RewriteFiles | MaintenanceStep::MergeFiles => self.compact(step).await?,
                MaintenanceStep::ExpireSnapshots => self.expire().await?,
                MaintenanceStep::DeleteFiles => {
                    let floor = self.parts.settings.keep_files_for;
                    self.repeat(step, &Slice::DeleteUnused(floor)).await?;
                }
                MaintenanceStep::DeleteOrphans => {
                    let floor = self.parts.settings.floors().unknown;
                    self.slice(step, Slice::DeleteUnknown(floor)).await?;
                }
            }
        }
        self.parts.projects.refresh_size(&self.project).await?;
        Ok(self.report)
    }

    /// Writes files of all tables anew for which it is worth it.
    async fn compact(&mut self, step: MaintenanceStep) -> Result<(), UseCaseError> {
        let (lake, policy) = (self.project.lake, self.policy);
        let condition = self.parts.maintenance.condition(lake, policy, self.parts.settings.floors()).await?;
        for table in condition.tables {
            let (files, slice) = match step {
                MaintenanceStep::MergeFiles => {
                    (table.mergeable_files, Slice::Merge { table: table.table.clone(), policy })
                }
                _ => (table.rewritable_files, Slice::Rewrite { table: table.table.clone(), policy }),
            };
            if files > 0 {
                self.repeat(step, &slice).await?;
            }
        }
        Ok(())
    }

    async fn expire(&mut self) -> Result<(), UseCaseError> {
        // What a commit says of itself must be in the index before it is gone.
        self.parts.projection.catch_up(&self.project, None).await?;
        let (lake, step) = (self.project.lake, MaintenanceStep::ExpireSnapshots);
        let kept = self.parts.maintenance.condition(lake, self.policy, self.parts.settings.floors()).await?.snapshots;
        let mut kept = kept.as_slice();
        for _ in 0..MAX_SLICES {
            let needs = self.parts.needs();
            let ending = needs.doom(&self.project.id, kept, &self.policy).await?;
            let Some(last) = ending.last().copied() else { break };
            let done = self.slice(step, Slice::Expire(ending)).await;
            needs.ended(&self.project.id).await?;
            done?;
            kept = &kept[kept.partition_point(|snapshot| snapshot.id <= last)..];
            if self.is_paused().await? {
                break;
            }
        }
        Ok(())
    }

    /// Repeats a slice until there is nothing more of it to do.
    async fn repeat(&mut self, step: MaintenanceStep, slice: &Slice) -> Result<(), UseCaseError> {
        for _ in 0..MAX_SLICES {
            let report = self.slice(step, slice.clone()).await?;
            if !report.more || self.is_paused().await? {
                break;
            }
        }
        Ok(())
    }

    async fn is_backed_up(&self) -> Result<bool, UseCaseError> {
        Ok(self.parts.operations.unfinished().await?.iter().any(is_backup))
    }

    async fn is_paused(&mut self) -> Result<bool, UseCaseError> {
        let kept = self.parts.store.read().await?.maintenance().find(&self.project.id).await?;
        self.report.paused |= kept.is_paused;
        Ok(self.report.paused)
    }

    /// Does one slice, notes what it did, and copies its commit.
    async fn slice(&mut self, step: MaintenanceStep, slice: Slice) -> Result<SliceReport, UseCaseError> {
        let report = match self.insist(&slice).await {
            // Dropped since it was looked at.
            Err(WriteError::NoTable) => SliceReport::default(),
            done => done.map_err(|error| failed(&self.project.id, &slice, error))?,
        };
        let noted = self.report.steps.entry(step.as_str()).or_default();
        noted.slices += 1;
        noted.files_removed += report.removed.files;
        noted.bytes_removed += report.removed.bytes;
        noted.files_made += report.made.files;
        noted.bytes_made += report.made.bytes;
        noted.snapshots_expired += report.expired;
        noted.files_spared += report.spared;
        if matches!(step, MaintenanceStep::DeleteFiles | MaintenanceStep::DeleteOrphans) {
            self.report.bytes_reclaimed += report.removed.bytes;
        }
        let bytes = self.report.steps.values().map(|step| step.bytes_removed).sum();
        self.running.progress(Progress { percent: None, rows: 0, bytes });
        if let Some(snapshot) = report.snapshot {
            self.parts.projection.catch_up(&self.project, Some(snapshot)).await?;
        }
        Ok(report)
    }

    /// Others come first: a lake that is busy is left alone for a while.
    async fn insist(&self, slice: &Slice) -> Result<SliceReport, WriteError> {
        let mut tries = 1;
        loop {
            let done = self.parts.maintenance.maintain(self.project.lake, slice.clone(), self.origin.clone()).await;
            match done {
                Err(WriteError::Lake(LakeError::Busy | LakeError::Contended)) if tries < TRIES => {
                    sleep(PAUSE * tries).await;
                    tries += 1;
                }
                done => return done,
            }
        }
    }
}

/// A failure as those hear of it who asked for the run.
fn failed(project: &ProjectId, slice: &Slice, error: WriteError) -> UseCaseError {
    match (slice, error) {
        (_, WriteError::Lake(error)) => error.into(),
        (Slice::Merge { table, .. } | Slice::Rewrite { table, .. }, error) => about_table(project, table)(error),
        (_, error) => LakeError::Fault(Box::new(error)).into(),
    }
}
