//! Long-running operations as a map by id, which is by age.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use gadwall_domain::ids::OperationId;
use gadwall_domain::names::ProjectId;
use gadwall_domain::operation::Operation;
use gadwall_domain::ports::metadata::{OperationFilter, OperationRepository, StoreError};

use super::{MemoryTx, fault};

#[async_trait]
impl OperationRepository for MemoryTx {
    async fn insert(&mut self, operation: &Operation) -> Result<(), StoreError> {
        check_end(operation)?;
        let state = self.change()?;
        let project = state.project(&operation.project)?.id.clone();
        if state.operations.contains_key(&operation.id) {
            return Err(StoreError::AlreadyExists);
        }
        state.operations.insert(operation.id, Operation { project, ..operation.clone() });
        Ok(())
    }

    async fn update(&mut self, operation: &Operation) -> Result<bool, StoreError> {
        check_end(operation)?;
        let known = self.change()?.operations.get_mut(&operation.id);
        let Some(known) = known.filter(|known| known.project == operation.project && !known.state.is_final()) else {
            return Ok(false);
        };
        known.state = operation.state.clone();
        known.progress = operation.progress;
        known.finished_at = operation.finished_at;
        Ok(true)
    }

    async fn find(&mut self, project: &ProjectId, id: OperationId) -> Result<Option<Operation>, StoreError> {
        Ok(self.state.operations.get(&id).filter(|operation| operation.project == *project).cloned())
    }

    async fn list(&mut self, project: &ProjectId, filter: OperationFilter) -> Result<Vec<Operation>, StoreError> {
        let newest_first = self.state.operations.values().rev();
        let wanted = newest_first
            .filter(|operation| operation.project == *project && filter.after.is_none_or(|after| operation.id < after))
            .filter(|operation| filter.kind.is_none_or(|kind| operation.kind == kind));
        Ok(wanted.take(filter.limit as usize).cloned().collect())
    }

    async fn unfinished(&mut self) -> Result<Vec<Operation>, StoreError> {
        let all = self.state.operations.values();
        Ok(all.filter(|operation| !operation.state.is_final()).cloned().collect())
    }

    async fn forget_before(&mut self, before: DateTime<Utc>) -> Result<u64, StoreError> {
        let operations = &mut self.change()?.operations;
        let known = operations.len();
        operations.retain(|_, operation| operation.finished_at.is_none_or(|end| end >= before));
        Ok((known - operations.len()) as u64)
    }
}

fn check_end(operation: &Operation) -> Result<(), StoreError> {
    if operation.state.is_final() == operation.finished_at.is_some() {
        return Ok(());
    }
    Err(fault("an operation that has ended has a time of end, and no other has"))
}
