//! Runs that nobody asks for.

use chrono::{DateTime, TimeDelta, Utc};
use gadwall_domain::ids::RequestId;
use gadwall_domain::maintenance::{MaintenancePolicy, MaintenanceStep};
use gadwall_domain::names::ProjectId;
use gadwall_domain::ports::maintenance::KeptMaintenance;
use gadwall_domain::project::{Project, ProjectStatus};

use super::{Maintenance, MaintenanceError};
use crate::caller::Caller;
use crate::error::UseCaseError;

/// Projects that are looked at in one round; others wait for the next.
const AT_ONCE: u32 = 20;

impl Maintenance {
    /// Begins the runs of projects whose time has come; answers how many. One that has no time yet gets one. A project is one
    /// server's in each round: units of work that write take turns.
    pub async fn tick(&self) -> Result<usize, UseCaseError> {
        let now = self.parts.clock.now();
        let mut due = Vec::new();
        if !self.parts.store.read().await?.maintenance().due(now, AT_ONCE).await?.is_empty() {
            let mut tx = self.parts.store.write().await?;
            for id in tx.maintenance().due(now, AT_ONCE).await? {
                let kept = tx.maintenance().find(&id).await?;
                let policy = self.parts.policy(&kept.changes);
                if policy.enabled && kept.next_at.is_some() {
                    due.extend(tx.projects().find(&id).await?.filter(|found| found.status == ProjectStatus::Active));
                }
                let next_at = Some(self.next(&policy, now));
                tx.maintenance().put(&id, &KeptMaintenance { next_at, ..kept }).await?;
            }
            tx.commit().await?;
        }
        let mut begun = 0;
        for project in due {
            let id = project.id.clone();
            match self.begin_by_itself(project).await {
                Ok(()) => begun += 1,
                // It is at it: somebody asked for it.
                Err(UseCaseError::Maintenance(MaintenanceError::AlreadyRunning { .. })) => {}
                Err(error) => self.put_off(&id, &error).await?,
            }
        }
        Ok(begun)
    }

    async fn begin_by_itself(&self, project: Project) -> Result<(), UseCaseError> {
        let caller = Caller::of_gadwall(RequestId::minted(self.parts.ids.next_id()));
        self.begin(&caller, project, MaintenanceStep::ALL.into()).await.map(drop)
    }

    /// What couldn't begin is tried again soon.
    async fn put_off(&self, project: &ProjectId, error: &UseCaseError) -> Result<(), UseCaseError> {
        tracing::warn!(error = %error, project.id = %project, "maintenance could not begin; it is tried again");
        let mut tx = self.parts.store.write().await?;
        let kept = tx.maintenance().find(project).await?;
        let next_at = Some(self.parts.clock.now() + TimeDelta::minutes(1));
        tx.maintenance().put(project, &KeptMaintenance { next_at, ..kept }).await?;
        Ok(tx.commit().await?)
    }

    /// When a project is maintained next: not all of them at the same moment.
    fn next(&self, policy: &MaintenancePolicy, now: DateTime<Utc>) -> DateTime<Utc> {
        let jitter = u64::try_from(self.parts.settings.jitter.as_millis()).unwrap_or(u64::MAX);
        let chance = u64::try_from(self.parts.ids.next_id().as_u128() & u128::from(u32::MAX)).unwrap_or(0);
        let later = if jitter == 0 { 0 } else { chance % jitter };
        let wait = policy.every() + std::time::Duration::from_millis(later);
        now + TimeDelta::from_std(wait).unwrap_or(TimeDelta::days(1))
    }
}
