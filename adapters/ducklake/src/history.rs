//! A lake's past.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use gadwall_domain::commit::Commit;
use gadwall_domain::ids::{LakeId, SnapshotId};
use gadwall_domain::names::BucketName;
use gadwall_domain::ports::lake::{DroppedTable, LakeError, LakeHistory, SnapshotFilter};

use crate::store::EmbeddedLakes;
use crate::structure;

#[async_trait]
impl LakeHistory for EmbeddedLakes {
    async fn snapshot(&self, lake: LakeId, snapshot: SnapshotId) -> Result<Option<Commit>, LakeError> {
        self.read(lake, move |connection| structure::one(connection, lake, snapshot)).await
    }

    async fn snapshot_at(&self, lake: LakeId, time: DateTime<Utc>) -> Result<Option<SnapshotId>, LakeError> {
        self.read(lake, move |connection| structure::snapshot_at(connection, lake, time)).await
    }

    async fn snapshots(&self, lake: LakeId, filter: SnapshotFilter) -> Result<Vec<Commit>, LakeError> {
        self.read(lake, move |connection| structure::of_table(connection, lake, &filter)).await
    }

    async fn dropped(&self, lake: LakeId, bucket: Option<BucketName>) -> Result<Vec<DroppedTable>, LakeError> {
        self.read(lake, move |connection| structure::dropped(connection, lake, bucket.as_ref())).await
    }
}
