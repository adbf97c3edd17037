//! What projects' queries did, day by day.

use async_trait::async_trait;
use chrono::NaiveDate;

use super::metadata::StoreError;
use crate::names::ProjectId;
use crate::quota::DayUsage;

/// Counters by project and day.
#[async_trait]
pub trait UsageRepository: Send {
    /// Adds to the counters of those days; what several servers add comes together.
    async fn add(&mut self, usage: &[DayUsage]) -> Result<(), StoreError>;
    /// A project's days from that one on, oldest first; those on which nothing was counted are missing.
    async fn since(&mut self, project: &ProjectId, day: NaiveDate) -> Result<Vec<DayUsage>, StoreError>;
    /// Forgets the days before that one, of all projects; answers how many.
    async fn forget_before(&mut self, day: NaiveDate) -> Result<u64, StoreError>;
    /// Forgets all of a project.
    async fn clear(&mut self, project: &ProjectId) -> Result<(), StoreError>;
}
