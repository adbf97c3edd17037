//! Keeps the metadata store's index in step with the lakes' commits.
//!
//! The commit is the truth. Its facts, events and audit entries are copied into the metadata store after
//! each write and, for what a crash left behind, when a project is first used after a start.

use std::collections::HashSet;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use gadwall_domain::audit::AuditEntry;
use gadwall_domain::commit::Commit;
use gadwall_domain::events::Event;
use gadwall_domain::ids::LakeId;
use gadwall_domain::names::ProjectId;
use gadwall_domain::ports::lake::LakeStore;
use gadwall_domain::ports::metadata::{MetadataStore, StoreError};
use gadwall_domain::project::Project;

use crate::error::UseCaseError;

/// Commits copied in one metadata transaction.
const AT_ONCE: u32 = 200;

/// Copies commits into the index.
pub struct Projection {
    store: Arc<dyn MetadataStore>,
    lakes: Arc<dyn LakeStore>,
    /// Lakes that have been caught up since the start. One entry for each lake in use.
    current: Mutex<HashSet<LakeId>>,
}

impl fmt::Debug for Projection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Projection")
    }
}

impl Projection {
    /// Copies from these lakes into this store.
    pub fn new(store: Arc<dyn MetadataStore>, lakes: Arc<dyn LakeStore>) -> Self {
        Self { store, lakes, current: Mutex::default() }
    }

    /// Makes sure that nothing of an earlier life of the process is missing. Cheap after the first time.
    pub(crate) async fn ensure(&self, project: &Project) -> Result<(), UseCaseError> {
        if self.current().contains(&project.lake) {
            return Ok(());
        }
        self.catch_up(project).await?;
        self.current().insert(project.lake);
        Ok(())
    }

    /// Copies every commit that isn't in the index yet.
    pub async fn catch_up(&self, project: &Project) -> Result<(), UseCaseError> {
        loop {
            let applied = self.store.read().await?.lake_index().applied(&project.id).await?;
            let commits = self.lakes.commits_after(project.lake, applied, AT_ONCE).await?;
            if commits.is_empty() {
                return Ok(());
            }
            self.apply(&project.id, &commits).await?;
        }
    }

    /// Forgets a lake that is gone.
    pub(crate) fn forget(&self, lake: LakeId) {
        self.current().remove(&lake);
    }

    async fn apply(&self, project: &ProjectId, commits: &[Commit]) -> Result<(), StoreError> {
        let mut tx = self.store.write().await?;
        for commit in commits {
            // Someone else may have copied it since it was read.
            if !tx.lake_index().apply(project, commit).await? {
                continue;
            }
            let (at, snapshot) = (commit.committed_at, commit.snapshot);
            let writes = commit.writes.iter();
            let events: Vec<Event> =
                writes.clone().map(|write| Event::of_write(project.clone(), write, at, snapshot)).collect();
            let entries: Vec<AuditEntry> =
                writes.map(|write| AuditEntry::of_write(project.clone(), write, at, snapshot)).collect();
            tx.events().append(&events).await?;
            tx.audit().append(&entries).await?;
        }
        tx.commit().await
    }

    fn current(&self) -> std::sync::MutexGuard<'_, HashSet<LakeId>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
