//! A project's end: deleted, brought back for a while, and purged after it.
//!
//! Deletion only closes the project: nobody opens it any more, and no commit is answered that isn't in the index by then.
//! A purge removes what there is, in steps that may all be repeated: one that a crash cut short is begun again.

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::future::join_all;
use gadwall_domain::access::Scope;
use gadwall_domain::events::ProjectFact;
use gadwall_domain::ids::{LakeId, RequestId};
use gadwall_domain::names::ProjectId;
use gadwall_domain::ports::metadata::{MetadataTx, StoreError};
use gadwall_domain::project::{Deletion, Project, ProjectSize, ProjectStatus};

use super::{DeletionError, Projects, find_active};
use crate::caller::Caller;
use crate::datasets::DatasetError;
use crate::error::UseCaseError;
use crate::record::record;

/// Projects that one round purges; others wait for the next.
const AT_ONCE: u32 = 50;
/// How long a server has a purge to itself; if it isn't done by then, another may join in.
const CLAIM: TimeDelta = TimeDelta::minutes(5);
/// For how long after a purge it is looked for what a request that was late has left.
const LATE: TimeDelta = TimeDelta::hours(1);

/// What a deletion did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeletedNow {
    /// Whether the project was in use until now.
    pub was_active: bool,
}

/// What a round of purges did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PurgeRound {
    /// Projects that are gone.
    pub purged: u64,
    /// Bytes of their files.
    pub freed_bytes: u64,
    /// Projects that could not be removed; they are tried again.
    pub failed: u64,
}

impl Projects {
    /// Deletes a project: nobody opens it from now on. It can be brought back for a while, then its data goes. Its id
    /// stays taken.
    #[tracing::instrument(skip_all, fields(project.id = %id))]
    pub async fn delete(&self, caller: &Caller, id: &ProjectId) -> Result<DeletedNow, UseCaseError> {
        if *id == ProjectId::default_project() {
            caller.require_admin()?;
            return Err(UseCaseError::DefaultProject);
        }
        let project = self.access.open_any(caller, id, Scope::Manage).await?;
        caller.require_whole_project()?;
        if project.status == ProjectStatus::Deleted {
            return Ok(DeletedNow { was_active: false });
        }
        let mut tx = self.store.write().await?;
        let mut project = match find_active(&mut *tx, id).await {
            // Someone else was faster.
            Err(UseCaseError::NoProject(_)) => return Ok(DeletedNow { was_active: false }),
            project => project?,
        };
        if project.deletion_protection {
            return Err(DeletionError::Protected(project.id).into());
        }
        let now = self.clock.now();
        project.status = ProjectStatus::Deleted;
        project.updated_at = now;
        let purge_after = now + self.undelete_for;
        project.deletion =
            Some(Deletion { at: now, purge_after, claimed_until: None, purged_at: None, freed_bytes: 0 });
        tx.projects().update(&project).await?;
        record(&mut *tx, caller, &project.id, now, &[ProjectFact::Deleted]).await?;
        tx.commit().await?;
        self.projection.forget(project.lake);
        self.stop_queries(&project.id).await;
        if self.undelete_for <= TimeDelta::zero()
            // The project is gone for everyone by now; data that can't be removed yet is removed later.
            && let Err(error) = self.purge_now(caller, project.clone()).await
        {
            tracing::warn!(error = %error, lake = %project.lake, "a deleted project's data stays for now");
        }
        Ok(DeletedNow { was_active: true })
    }

    /// Brings a deleted project back, with all it had. One that is in use stays as it is.
    #[tracing::instrument(skip_all, fields(project.id = %id))]
    pub async fn undelete(&self, caller: &Caller, id: &ProjectId) -> Result<Project, UseCaseError> {
        caller.require_admin()?;
        let mut tx = self.store.write().await?;
        let found = tx.projects().find(id).await?;
        let mut project = found.ok_or_else(|| UseCaseError::NoProject(id.clone()))?;
        let now = self.clock.now();
        match &project.deletion {
            None => return Ok(project),
            Some(deletion) if deletion.can_be_undone(now) => {}
            Some(_) => return Err(DeletionError::Purged(project.id).into()),
        }
        project.status = ProjectStatus::Active;
        project.deletion = None;
        project.updated_at = now;
        tx.projects().update(&project).await?;
        record(&mut *tx, caller, &project.id, now, &[ProjectFact::Undeleted]).await?;
        tx.commit().await?;
        Ok(project)
    }

    /// Removes a deleted project's data now; answers the project, which says what that freed.
    #[tracing::instrument(skip_all, fields(project.id = %id))]
    pub async fn purge(&self, caller: &Caller, id: &ProjectId) -> Result<Project, UseCaseError> {
        caller.require_admin()?;
        let found = self.store.read().await?.projects().find(id).await?;
        let project = found.ok_or_else(|| UseCaseError::NoProject(id.clone()))?;
        match &project.deletion {
            None => Err(DeletionError::InUse(project.id).into()),
            Some(deletion) if deletion.purged_at.is_some() => Ok(project),
            Some(_) => self.purge_now(caller, project).await,
        }
    }

    /// Purges the projects whose time is over, unless another server is at it, and looks after what is left of those that
    /// were purged lately.
    pub async fn purge_due(&self) -> Result<PurgeRound, UseCaseError> {
        let now = self.clock.now();
        let mut tx = self.store.read().await?;
        let due = tx.projects().to_purge(now, AT_ONCE).await?;
        let purged = tx.projects().purged_since(now - LATE, AT_ONCE).await?;
        drop(tx);
        let mut round = PurgeRound::default();
        let own = Caller::of_gadwall(RequestId::minted(self.ids.next_id()));
        for project in due {
            let lake = project.lake;
            match self.purge_now(&own, project).await {
                Ok(project) => {
                    round.purged += 1;
                    round.freed_bytes += project.deletion.map_or(0, |deletion| deletion.freed_bytes);
                }
                Err(error) => {
                    round.failed += 1;
                    tracing::warn!(error = %error, lake = %lake, "a deleted project's data stays for now");
                }
            }
        }
        for project in purged {
            match self.remove_data(project.lake).await {
                Ok(0) => {}
                Ok(bytes) => {
                    tracing::info!(bytes, lake = %project.lake, "what a late request left of a purged project is gone");
                }
                Err(error) => {
                    tracing::warn!(error = %error, lake = %project.lake, "a purged project was not looked after");
                }
            }
        }
        Ok(round)
    }

    async fn purge_now(&self, caller: &Caller, project: Project) -> Result<Project, UseCaseError> {
        let Some(claimed) = self.claim(&project.id).await? else { return Ok(project) };
        self.projection.forget(claimed.lake);
        self.stop_queries(&claimed.id).await;
        let removed = self.remove_data(claimed.lake).await;
        let mut tx = self.store.write().await?;
        let Some(mut project) = tx.projects().find(&claimed.id).await? else { return Ok(claimed) };
        let Some(deletion) = project.deletion.as_mut().filter(|deletion| deletion.purged_at.is_none()) else {
            // Another server was at it, too, and faster.
            return Ok(project);
        };
        let now = self.clock.now();
        if let Ok(bytes) = &removed {
            deletion.freed_bytes += bytes;
            deletion.purged_at = Some(now);
            tx.projects().update(&project).await?;
            record(&mut *tx, caller, &project.id, now, &[ProjectFact::Purged]).await?;
        } else {
            // Whoever tries again need not wait.
            deletion.claimed_until = Some(now);
            tx.projects().update(&project).await?;
        }
        tx.commit().await?;
        removed.map(|_| project)
    }

    /// From now on the project can't be brought back: what the metadata store knows of it goes, and other servers keep
    /// off for a while. None if nothing is left to be done.
    async fn claim(&self, id: &ProjectId) -> Result<Option<Project>, UseCaseError> {
        let mut tx = self.store.write().await?;
        let Some(mut project) = tx.projects().find(id).await? else { return Ok(None) };
        let now = self.clock.now();
        let Some(deletion) = project.deletion.as_mut().filter(|deletion| deletion.purged_at.is_none()) else {
            return Ok(None);
        };
        deletion.claimed_until = Some(now + CLAIM);
        tx.projects().update(&project).await?;
        forget(&mut *tx, id, now).await?;
        tx.commit().await?;
        Ok(Some(project))
    }

    /// Stops the queries of a project, and those of others that read its buckets.
    async fn stop_queries(&self, id: &ProjectId) {
        let Some(running) = &self.running else { return };
        join_all(running.that_need(id).iter().map(|live| running.stop(live))).await;
    }

    /// Removes tables and files, each even where another can't be; answers how many bytes there were.
    async fn remove_data(&self, lake: LakeId) -> Result<u64, UseCaseError> {
        let tables = self.lakes.remove(lake).await;
        let results = self.files.results.remove_all(lake).await;
        let objects = self.files.objects.remove_all(lake).await.map_err(DatasetError::from)?;
        Ok(tables? + results? + objects)
    }
}

/// Forgets all that the metadata store keeps of a project, but for its name and its past.
async fn forget(tx: &mut dyn MetadataTx, id: &ProjectId, now: DateTime<Utc>) -> Result<(), StoreError> {
    tx.projects().record_size(id, ProjectSize::default()).await?;
    tx.keys().revoke_all(id, now).await?;
    tx.lake_index().clear(id).await?;
    tx.tags().clear(id).await?;
    tx.lineage().clear(id).await?;
    tx.consumers().clear(id).await?;
    tx.webhooks().clear(id).await?;
    tx.maintenance().clear(id).await?;
    tx.usage().clear(id).await?;
    tx.schemas().release(id, None).await?;
    tx.sharing().forget_project(id).await?;
    tx.queries().keep_newest(id, 0).await.map(drop)
}
