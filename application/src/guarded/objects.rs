//! Datasets and results in a bucket, behind one breaker: it is one server.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use gadwall_domain::dataset::{ContentType, DatasetName, ObjectInfo, ObjectName, Precondition};
use gadwall_domain::ids::{LakeId, QueryId};
use gadwall_domain::ports::objects::{
    Content, ObjectError, ObjectQuery, ObjectStorage, OpenObject, PutOptions, Stored,
};
use gadwall_domain::ports::results::{ResultError, ResultNote, ResultStore};
use gadwall_domain::rows::RowStream;

use super::outside::{ask, ask_at_length};
use crate::breaker::Breaker;

/// Asks another storage, unless that failed too often.
pub struct GuardedObjects {
    objects: Arc<dyn ObjectStorage>,
    breaker: Arc<Breaker>,
}

impl fmt::Debug for GuardedObjects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GuardedObjects")
    }
}

impl GuardedObjects {
    /// Guards a storage.
    pub fn new(objects: Arc<dyn ObjectStorage>, breaker: Arc<Breaker>) -> Self {
        Self { objects, breaker }
    }
}

#[async_trait]
impl ObjectStorage for GuardedObjects {
    async fn create_dataset(&self, lake: LakeId, dataset: &DatasetName) -> Result<(), ObjectError> {
        ask(&self.breaker, self.objects.create_dataset(lake, dataset)).await
    }

    async fn datasets(&self, lake: LakeId) -> Result<Vec<DatasetName>, ObjectError> {
        ask(&self.breaker, self.objects.datasets(lake)).await
    }

    async fn delete_dataset(&self, lake: LakeId, dataset: &DatasetName) -> Result<(), ObjectError> {
        ask(&self.breaker, self.objects.delete_dataset(lake, dataset)).await
    }

    async fn list(
        &self,
        lake: LakeId,
        dataset: &DatasetName,
        query: &ObjectQuery,
    ) -> Result<Vec<ObjectInfo>, ObjectError> {
        ask(&self.breaker, self.objects.list(lake, dataset, query)).await
    }

    async fn put(
        &self,
        lake: LakeId,
        dataset: &DatasetName,
        object: &ObjectName,
        content: Content,
        options: PutOptions,
    ) -> Result<Stored, ObjectError> {
        ask_at_length(&self.breaker, self.objects.put(lake, dataset, object, content, options)).await
    }

    async fn head(&self, lake: LakeId, dataset: &DatasetName, object: &ObjectName) -> Result<ObjectInfo, ObjectError> {
        ask(&self.breaker, self.objects.head(lake, dataset, object)).await
    }

    async fn get(
        &self,
        lake: LakeId,
        dataset: &DatasetName,
        object: &ObjectName,
    ) -> Result<Box<dyn OpenObject>, ObjectError> {
        ask(&self.breaker, self.objects.get(lake, dataset, object)).await
    }

    async fn delete(
        &self,
        lake: LakeId,
        dataset: &DatasetName,
        object: &ObjectName,
        precondition: &Precondition,
    ) -> Result<(), ObjectError> {
        ask(&self.breaker, self.objects.delete(lake, dataset, object, precondition)).await
    }

    async fn remove_all(&self, lake: LakeId) -> Result<u64, ObjectError> {
        ask_at_length(&self.breaker, self.objects.remove_all(lake)).await
    }

    async fn engine_location(&self, lake: LakeId, dataset: &DatasetName) -> Result<String, ObjectError> {
        ask(&self.breaker, self.objects.engine_location(lake, dataset)).await
    }

    async fn read_url(
        &self,
        lake: LakeId,
        dataset: &DatasetName,
        object: &ObjectName,
        valid: Duration,
    ) -> Result<Option<String>, ObjectError> {
        ask(&self.breaker, self.objects.read_url(lake, dataset, object, valid)).await
    }

    async fn adopt(
        &self,
        lake: LakeId,
        dataset: &DatasetName,
        object: &ObjectName,
        file: PathBuf,
        content_type: ContentType,
    ) -> Result<Stored, ObjectError> {
        ask_at_length(&self.breaker, self.objects.adopt(lake, dataset, object, file, content_type)).await
    }
}

/// Asks another store of results, unless that failed too often.
pub struct GuardedResults {
    results: Arc<dyn ResultStore>,
    breaker: Arc<Breaker>,
}

impl fmt::Debug for GuardedResults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GuardedResults")
    }
}

impl GuardedResults {
    /// Guards a store.
    pub fn new(results: Arc<dyn ResultStore>, breaker: Arc<Breaker>) -> Self {
        Self { results, breaker }
    }
}

#[async_trait]
impl ResultStore for GuardedResults {
    async fn keep_note(&self, note: &ResultNote) -> Result<(), ResultError> {
        ask(&self.breaker, self.results.keep_note(note)).await
    }

    async fn note(&self, lake: LakeId, query: QueryId) -> Result<Option<ResultNote>, ResultError> {
        ask(&self.breaker, self.results.note(lake, query)).await
    }

    async fn put(&self, lake: LakeId, query: QueryId, rows: RowStream, limit: u64) -> Result<(), ResultError> {
        ask_at_length(&self.breaker, self.results.put(lake, query, rows, limit)).await
    }

    async fn open(&self, lake: LakeId, query: QueryId) -> Result<Option<RowStream>, ResultError> {
        ask(&self.breaker, self.results.open(lake, query)).await
    }

    async fn delete(&self, lake: LakeId, query: QueryId) -> Result<bool, ResultError> {
        ask(&self.breaker, self.results.delete(lake, query)).await
    }

    async fn size(&self, lake: LakeId) -> Result<Option<u64>, ResultError> {
        ask(&self.breaker, self.results.size(lake)).await
    }

    async fn remove_all(&self, lake: LakeId) -> Result<u64, ResultError> {
        ask_at_length(&self.breaker, self.results.remove_all(lake)).await
    }

    async fn unfinished(&self) -> Result<Vec<ResultNote>, ResultError> {
        ask_at_length(&self.breaker, self.results.unfinished()).await
    }

    async fn sweep(&self, before: DateTime<Utc>) -> Result<u64, ResultError> {
        ask_at_length(&self.breaker, self.results.sweep(before)).await
    }
}
