//! What is kept of the maintenance of projects.

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::metadata::StoreError;
use crate::ids::SnapshotId;
use crate::maintenance::PolicyChanges;
use crate::names::ProjectId;

/// What is kept of a project's maintenance.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct KeptMaintenance {
    /// What the project wants otherwise than the defaults.
    pub changes: PolicyChanges,
    /// Whether nothing is done until it is taken back.
    pub is_paused: bool,
    /// When it is maintained next without being asked; none before the first time.
    pub next_at: Option<DateTime<Utc>>,
    /// Snapshots that are about to end: nobody may begin to hold them.
    pub ending: Vec<SnapshotId>,
}

/// What projects want, and when they are maintained next. A project of which nothing is kept has the default of all.
#[async_trait]
pub trait MaintenanceRepository: Send {
    /// What is kept of a project.
    async fn find(&mut self, project: &ProjectId) -> Result<KeptMaintenance, StoreError>;
    /// Keeps it.
    async fn put(&mut self, project: &ProjectId, kept: &KeptMaintenance) -> Result<(), StoreError>;
    /// Projects in use that are not paused and whose time has come, or that have none yet; those that wait longest first.
    async fn due(&mut self, now: DateTime<Utc>, limit: u32) -> Result<Vec<ProjectId>, StoreError>;
    /// Forgets all of a project.
    async fn clear(&mut self, project: &ProjectId) -> Result<(), StoreError>;
}
