//! What is kept of projects' maintenance, as a map.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use gadwall_domain::names::ProjectId;
use gadwall_domain::ports::maintenance::{KeptMaintenance, MaintenanceRepository};
use gadwall_domain::ports::metadata::StoreError;
use gadwall_domain::project::ProjectStatus;

use super::MemoryTx;

#[async_trait]
impl MaintenanceRepository for MemoryTx {
    async fn find(&mut self, project: &ProjectId) -> Result<KeptMaintenance, StoreError> {
        Ok(self.state.maintenance.get(project).cloned().unwrap_or_default())
    }

    async fn put(&mut self, project: &ProjectId, kept: &KeptMaintenance) -> Result<(), StoreError> {
        let state = self.change()?;
        let project = state.project(project)?.id.clone();
        state.maintenance.insert(project, kept.clone());
        Ok(())
    }

    async fn due(&mut self, now: DateTime<Utc>, limit: u32) -> Result<Vec<ProjectId>, StoreError> {
        let mut due = Vec::new();
        for project in self.state.projects.values().filter(|project| project.status == ProjectStatus::Active) {
            let kept = self.state.maintenance.get(&project.id).cloned().unwrap_or_default();
            if !kept.is_paused && kept.next_at.is_none_or(|at| at <= now) {
                due.push((kept.next_at, project.id.clone()));
            }
        }
        due.sort();
        Ok(due.into_iter().take(limit as usize).map(|(_, id)| id).collect())
    }

    async fn clear(&mut self, project: &ProjectId) -> Result<(), StoreError> {
        self.change()?.maintenance.remove(project);
        Ok(())
    }
}
