//! Which snapshots somebody needs, and how nobody begins to need one that is about to end.

use std::sync::Arc;

use gadwall_domain::ids::SnapshotId;
use gadwall_domain::maintenance::{Holds, MaintenancePolicy, expirable};
use gadwall_domain::names::ProjectId;
use gadwall_domain::operation::{Operation, OperationKind};
use gadwall_domain::ports::events::SnapshotHolds;
use gadwall_domain::ports::lake::KeptSnapshot;
use gadwall_domain::ports::maintenance::KeptMaintenance;
use gadwall_domain::ports::metadata::{MetadataStore, MetadataTx, StoreError};
use gadwall_domain::ports::system::Clock;

use crate::backups::is_backup;

/// Snapshots that end in one slice.
const AT_ONCE: usize = 200;

/// What is asked of who needs snapshots.
pub(super) struct Needs {
    pub(super) store: Arc<dyn MetadataStore>,
    pub(super) followers: Arc<dyn SnapshotHolds>,
    pub(super) clock: Arc<dyn Clock>,
}

impl Needs {
    /// Which snapshots of a project are needed now.
    pub(super) async fn holds(&self, project: &ProjectId) -> Result<Holds, StoreError> {
        let from = self.followers.oldest_needed(project).await?;
        let mut tx = self.store.read().await?;
        named(&mut *tx, project, from).await
    }

    /// Snapshots that may end now, the oldest so many. From now on nobody can begin to need them, until
    /// [`Needs::ended`] is told.
    ///
    /// Writing units of work take turns: whoever begins to hold a snapshot either is seen here, or sees this.
    pub(super) async fn doom(
        &self,
        project: &ProjectId,
        kept: &[KeptSnapshot],
        policy: &MaintenancePolicy,
    ) -> Result<Vec<SnapshotId>, StoreError> {
        let mut tx = self.store.write().await?;
        // Asked for within the turn, though by a look of its own: nobody writes in between.
        let from = self.followers.oldest_needed(project).await?;
        let holds = named(&mut *tx, project, from).await?;
        let mut ending = expirable(kept, policy, &holds, self.clock.now());
        ending.truncate(AT_ONCE);
        let known = tx.maintenance().find(project).await?;
        tx.maintenance().put(project, &KeptMaintenance { ending: ending.clone(), ..known }).await?;
        tx.commit().await?;
        Ok(ending)
    }

    /// What was about to end has ended, or will not.
    pub(super) async fn ended(&self, project: &ProjectId) -> Result<(), StoreError> {
        let mut tx = self.store.write().await?;
        let known = tx.maintenance().find(project).await?;
        if !known.ending.is_empty() {
            tx.maintenance().put(project, &KeptMaintenance { ending: Vec::new(), ..known }).await?;
        }
        tx.commit().await
    }
}

async fn named(tx: &mut dyn MetadataTx, project: &ProjectId, from: Option<SnapshotId>) -> Result<Holds, StoreError> {
    let tags = tx.tags().list(project).await?;
    let links = tx.sharing().links_to(None).await?;
    let pinned = links.iter().filter(|known| known.link.source.project == *project);
    let pinned = pinned.filter_map(|known| known.link.snapshot);
    let these = tags.iter().map(|tag| tag.snapshot).chain(pinned).collect();
    // What an import or an export still has to read is known to itself alone.
    let unfinished = tx.operations().unfinished().await?;
    let reads = |other: &Operation| other.project == *project && other.kind != OperationKind::Maintenance;
    let all = unfinished.iter().any(|other| reads(other) || is_backup(other));
    Ok(Holds { these, from, all })
}

/// Whether a snapshot, or one after it, is about to end.
pub(crate) async fn ends(
    tx: &mut dyn MetadataTx,
    project: &ProjectId,
    snapshot: SnapshotId,
    and_later: bool,
) -> Result<bool, StoreError> {
    let ending = tx.maintenance().find(project).await?.ending;
    Ok(ending.into_iter().any(|end| end == snapshot || and_later && end > snapshot))
}
