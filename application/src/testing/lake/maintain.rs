//! Maintenance of a lake without files: only snapshots can end.

use async_trait::async_trait;
use gadwall_domain::commit::WriteOrigin;
use gadwall_domain::history::ReadAt;
use gadwall_domain::ids::LakeId;
use gadwall_domain::maintenance::MaintenancePolicy;
use gadwall_domain::ports::lake::{
    FileFloors, KeptSnapshot, LakeCondition, LakeError, LakeMaintenance, Slice, SliceReport, TableCondition, WriteError,
};

use super::MemoryLake;
use super::past::Lake;

#[async_trait]
impl LakeMaintenance for MemoryLake {
    async fn condition(&self, lake: LakeId, _: MaintenancePolicy, _: FileFloors) -> Result<LakeCondition, LakeError> {
        self.look(lake, |lake| LakeCondition {
            tables: tables(lake),
            snapshots: lake
                .versions
                .values()
                .map(|version| KeptSnapshot { id: version.commit.snapshot, committed_at: version.commit.committed_at })
                .collect(),
            ..LakeCondition::default()
        })
    }

    async fn maintain(&self, lake: LakeId, slice: Slice, _: WriteOrigin) -> Result<SliceReport, WriteError> {
        let mut lakes = self.lock();
        let lake = lakes.get_mut(&lake).ok_or(LakeError::NoLake)?;
        match slice {
            Slice::Merge { table, .. } | Slice::Rewrite { table, .. } => {
                let (_, head) = lake.at(ReadAt::Head).ok_or(LakeError::NoLake)?;
                head.find(&table).map(|_| SliceReport::default()).ok_or(WriteError::NoTable)
            }
            Slice::Expire(snapshots) => {
                let (head, before) = (lake.head(), lake.versions.len());
                lake.versions.retain(|snapshot, _| *snapshot == head || !snapshots.contains(snapshot));
                let expired = (before - lake.versions.len()) as u64;
                Ok(SliceReport { expired, ..SliceReport::default() })
            }
            Slice::DeleteUnused(_) | Slice::DeleteUnknown(_) => Ok(SliceReport::default()),
        }
    }
}

fn tables(lake: &Lake) -> Vec<TableCondition> {
    let Some((_, head)) = lake.at(ReadAt::Head) else { return Vec::new() };
    let table = |(table, stored): (_, &std::sync::Arc<super::state::Stored>)| TableCondition {
        table,
        files: 0,
        bytes: 0,
        rows: stored.rows.len() as u64,
        deleted_rows: 0,
        small_files: 0,
        mergeable_files: 0,
        mergeable_bytes: 0,
        rewritable_files: 0,
        rewritable_bytes: 0,
    };
    head.all().map(table).collect()
}
