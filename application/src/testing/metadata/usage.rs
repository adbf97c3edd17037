//! What projects' queries did, as a map by project and day.

use async_trait::async_trait;
use chrono::NaiveDate;
use gadwall_domain::names::ProjectId;
use gadwall_domain::ports::metadata::StoreError;
use gadwall_domain::ports::usage::UsageRepository;
use gadwall_domain::quota::DayUsage;

use super::MemoryTx;

#[async_trait]
impl UsageRepository for MemoryTx {
    async fn add(&mut self, usage: &[DayUsage]) -> Result<(), StoreError> {
        let known = &mut self.change()?.usage;
        for DayUsage { project, day, queries } in usage {
            let sum = known.entry((project.clone(), *day)).or_default();
            *sum = sum.and(*queries);
        }
        Ok(())
    }

    async fn since(&mut self, project: &ProjectId, day: NaiveDate) -> Result<Vec<DayUsage>, StoreError> {
        let of_project = self.state.usage.iter().filter(|((of, then), _)| of == project && *then >= day);
        let told =
            of_project.map(|((_, day), queries)| DayUsage { project: project.clone(), day: *day, queries: *queries });
        Ok(told.collect())
    }

    async fn forget_before(&mut self, day: NaiveDate) -> Result<u64, StoreError> {
        let known = &mut self.change()?.usage;
        let before = known.len();
        known.retain(|(_, then), _| *then >= day);
        Ok((before - known.len()) as u64)
    }

    async fn clear(&mut self, project: &ProjectId) -> Result<(), StoreError> {
        self.change()?.usage.retain(|(of, _), _| of != project);
        Ok(())
    }
}
