//! Maintenance: how a lake's files and snapshots are, and slices of work in the writer's turn.
//!
//! The engine's settings are locked, so no memory or threads are set aside for it. What bounds a slice is how much it
//! reads: so many files to be merged, so many bytes to be written anew, so many snapshots and files to be removed.

mod condition;
mod unused;

pub(crate) use condition::LIVE_FILES;

use std::sync::Arc;

use async_trait::async_trait;
use duckdb::Connection;
use gadwall_domain::commit::{RowCounts, WriteOrigin};
use gadwall_domain::ids::{LakeId, SnapshotId};
use gadwall_domain::maintenance::MaintenancePolicy;
use gadwall_domain::ports::lake::{
    Committed, FileFloors, LakeCondition, LakeError, LakeMaintenance, Slice, SliceReport, WriteError,
};

use crate::commit::Commit;
use crate::error::fault;
use crate::store::EmbeddedLakes;
use crate::writer::Ready;
use crate::{cloud, orphans};

#[async_trait]
impl LakeMaintenance for EmbeddedLakes {
    async fn condition(
        &self,
        lake: LakeId,
        policy: MaintenancePolicy,
        floors: FileFloors,
    ) -> Result<LakeCondition, LakeError> {
        let area = Arc::clone(&self.shared.area);
        self.read(lake, move |connection: &Connection| {
            // First the files, then who is known: a file that is committed in between is known.
            let files = unused::files(&*area, lake)?;
            Ok(LakeCondition {
                tables: condition::tables(connection, lake, &policy)?,
                snapshots: condition::snapshots(connection, lake)?,
                ..unused::count(connection, lake, &*area, &files, floors)?
            })
        })
        .await
    }

    async fn maintain(&self, lake: LakeId, slice: Slice, origin: WriteOrigin) -> Result<SliceReport, WriteError> {
        let (tell, told) = tokio::sync::oneshot::channel();
        let area = Arc::clone(&self.shared.area);
        let work = move |commit: &Commit<'_>| {
            let report = match &slice {
                Slice::Merge { table, policy } => {
                    area.require_room()?;
                    commit.merge_files(table, policy, &origin)
                }
                Slice::Rewrite { table, policy } => {
                    area.require_room()?;
                    commit.rewrite_deleted(table, policy, &origin)
                }
                Slice::Expire(snapshots) => commit.expire(snapshots),
                Slice::DeleteUnused(age) => Ok(unused::delete(commit.connection(), lake, &*area, *age)?),
                Slice::DeleteUnknown(age) => {
                    let swept = orphans::sweep(commit.connection(), lake, &*area, *age)?;
                    Ok(SliceReport { removed: swept.files(), ..SliceReport::default() })
                }
            }?;
            let snapshot = report.snapshot.unwrap_or(SnapshotId::ZERO);
            let _ = tell.send(report);
            Ok(Committed { snapshot, rows: RowCounts::default() })
        };
        self.submit(lake, Ready::Alone(Box::new(work))).await?;
        told.await.map_err(|_| fault("the maintenance ended before it answered").into())
    }
}

#[async_trait]
impl LakeMaintenance for cloud::CloudLakes {
    async fn condition(
        &self,
        lake: LakeId,
        policy: MaintenancePolicy,
        floors: FileFloors,
    ) -> Result<LakeCondition, LakeError> {
        self.of(lake).await?.condition(lake, policy, floors).await
    }

    async fn maintain(&self, lake: LakeId, slice: Slice, origin: WriteOrigin) -> Result<SliceReport, WriteError> {
        self.of(lake).await?.maintain(lake, slice, origin).await
    }
}
