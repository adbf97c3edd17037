//! Queries that have ended as a map by id, which is by age.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use gadwall_domain::ids::QueryId;
use gadwall_domain::names::ProjectId;
use gadwall_domain::ports::metadata::{QueryLog, StoreError};
use gadwall_domain::query_record::{QueryFilter, QueryRecord};

use super::{MemoryTx, fault};

#[async_trait]
impl QueryLog for MemoryTx {
    async fn insert(&mut self, query: &QueryRecord) -> Result<(), StoreError> {
        if !query.state.is_final() || query.finished_at.is_none() {
            return Err(fault("only queries that have ended are kept"));
        }
        let state = self.change()?;
        let project = state.project(&query.project)?.id.clone();
        if state.queries.contains_key(&query.id) {
            return Err(StoreError::AlreadyExists);
        }
        state.queries.insert(query.id, QueryRecord { project, ..query.clone() });
        Ok(())
    }

    async fn find(&mut self, project: &ProjectId, id: QueryId) -> Result<Option<QueryRecord>, StoreError> {
        Ok(self.state.queries.get(&id).filter(|query| query.project == *project).cloned())
    }

    async fn list(&mut self, project: &ProjectId, filter: &QueryFilter) -> Result<Vec<QueryRecord>, StoreError> {
        let newest_first = self.state.queries.values().rev();
        let wanted = newest_first.filter(|query| query.project == *project && filter.takes(query));
        Ok(wanted.take(filter.limit as usize).cloned().collect())
    }

    async fn keep_newest(&mut self, project: &ProjectId, keep: u32) -> Result<u64, StoreError> {
        let queries = &mut self.change()?.queries;
        let of_project = queries.values().rev().filter(|query| query.project == *project);
        let old: Vec<QueryId> = of_project.skip(keep as usize).map(|query| query.id).collect();
        queries.retain(|id, _| !old.contains(id));
        Ok(old.len() as u64)
    }

    async fn forget_before(&mut self, before: DateTime<Utc>) -> Result<u64, StoreError> {
        let queries = &mut self.change()?.queries;
        let known = queries.len();
        queries.retain(|_, query| query.finished_at.is_none_or(|end| end >= before));
        Ok((known - queries.len()) as u64)
    }
}
