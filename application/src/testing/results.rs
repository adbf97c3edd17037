//! Results in memory.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use futures_util::TryStreamExt as _;
use gadwall_domain::ids::{LakeId, QueryId};
use gadwall_domain::ports::results::{ResultError, ResultNote, ResultStore};
use gadwall_domain::rows::RowStream;

type Key = (LakeId, QueryId);

#[derive(Default)]
struct State {
    notes: BTreeMap<Key, ResultNote>,
    rows: BTreeMap<Key, (SchemaRef, Vec<RecordBatch>)>,
}

/// Results in memory.
#[derive(Default)]
pub struct MemoryResults {
    state: Mutex<State>,
}

impl fmt::Debug for MemoryResults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MemoryResults")
    }
}

impl MemoryResults {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn size(batches: &[RecordBatch]) -> u64 {
    batches.iter().map(|batch| batch.get_array_memory_size() as u64).sum()
}

#[async_trait]
impl ResultStore for MemoryResults {
    async fn keep_note(&self, note: &ResultNote) -> Result<(), ResultError> {
        self.lock().notes.insert((note.lake, note.query.id), note.clone());
        Ok(())
    }

    async fn note(&self, lake: LakeId, query: QueryId) -> Result<Option<ResultNote>, ResultError> {
        Ok(self.lock().notes.get(&(lake, query)).cloned())
    }

    async fn put(&self, lake: LakeId, query: QueryId, rows: RowStream, limit: u64) -> Result<(), ResultError> {
        let batches: Vec<_> = rows.batches.try_collect().await?;
        let mut state = self.lock();
        let others: u64 = state.rows.iter().filter(|(key, _)| key.0 == lake).map(|(_, rows)| size(&rows.1)).sum();
        if others + size(&batches) > limit {
            return Err(ResultError::LimitReached { limit });
        }
        state.rows.insert((lake, query), (rows.schema, batches));
        Ok(())
    }

    async fn open(&self, lake: LakeId, query: QueryId) -> Result<Option<RowStream>, ResultError> {
        let found = self.lock().rows.get(&(lake, query)).cloned();
        Ok(found.map(|(schema, batches)| {
            let batches = Box::pin(futures_util::stream::iter(batches.into_iter().map(Ok)));
            RowStream { schema, batches }
        }))
    }

    async fn size(&self, _lake: LakeId) -> Result<Option<u64>, ResultError> {
        Ok(None)
    }

    async fn delete(&self, lake: LakeId, query: QueryId) -> Result<bool, ResultError> {
        let mut state = self.lock();
        state.rows.remove(&(lake, query));
        Ok(state.notes.remove(&(lake, query)).is_some())
    }

    async fn remove_all(&self, lake: LakeId) -> Result<u64, ResultError> {
        let mut state = self.lock();
        state.rows.retain(|key, _| key.0 != lake);
        state.notes.retain(|key, _| key.0 != lake);
        Ok(0)
    }

    async fn unfinished(&self) -> Result<Vec<ResultNote>, ResultError> {
        Ok(self.lock().notes.values().filter(|note| !note.query.state.is_final()).cloned().collect())
    }

    async fn sweep(&self, before: DateTime<Utc>) -> Result<u64, ResultError> {
        let mut state = self.lock();
        let ended = |note: &ResultNote| note.query.finished_at.is_some_and(|at| at < before);
        let old: Vec<Key> = state.notes.iter().filter(|(_, note)| ended(note)).map(|(key, _)| *key).collect();
        for key in &old {
            state.rows.remove(key);
            state.notes.remove(key);
        }
        Ok(old.len() as u64)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn fresh() -> (Arc<dyn ResultStore>, ()) {
        (Arc::new(MemoryResults::default()), ())
    }

    crate::results_contract!(fresh());
}
