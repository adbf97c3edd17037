//! A lake's past.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use gadwall_domain::commit::Commit;
use gadwall_domain::ids::{LakeId, SnapshotId};
use gadwall_domain::names::BucketName;
use gadwall_domain::ports::lake::{DroppedTable, LakeError, LakeHistory, SnapshotFilter};

use crate::error::fault;
use crate::store::EmbeddedLakes;

#[async_trait]
impl LakeHistory for EmbeddedLakes {
    async fn snapshot(&self, _: LakeId, _: SnapshotId) -> Result<Option<Commit>, LakeError> {
        Err(fault("not supported yet"))
    }

    async fn snapshot_at(&self, _: LakeId, _: DateTime<Utc>) -> Result<Option<SnapshotId>, LakeError> {
        Err(fault("not supported yet"))
    }

    async fn snapshots(&self, _: LakeId, _: SnapshotFilter) -> Result<Vec<Commit>, LakeError> {
        Err(fault("not supported yet"))
    }

    async fn dropped(&self, _: LakeId, _: Option<BucketName>) -> Result<Vec<DroppedTable>, LakeError> {
        Err(fault("not supported yet"))
    }
}
