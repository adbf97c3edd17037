//! The index of the lakes' commits: only what holds now.

use std::collections::BTreeMap;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use gadwall_domain::commit::{Change, Commit};
use gadwall_domain::history::ReadAt;
use gadwall_domain::ids::{ApiKeyId, SnapshotId};
use gadwall_domain::names::{BucketName, ProjectId};
use gadwall_domain::ports::metadata::{BucketFacts, KeyedWrite, LakeIndex, StoreError, TableFacts};
use gadwall_domain::table::TableRef;

use super::MemoryTx;

/// What is known of a project's lake.
#[derive(Debug, Clone)]
pub(super) struct LakeFacts {
    applied: SnapshotId,
    buckets: BTreeMap<BucketName, BucketFacts>,
    tables: BTreeMap<TableRef, TableFacts>,
}

impl LakeFacts {
    fn new() -> Self {
        Self { applied: SnapshotId::ZERO, buckets: BTreeMap::new(), tables: BTreeMap::new() }
    }

    fn apply(&mut self, change: &Change, commit: &Commit) {
        match change {
            Change::BucketCreated { bucket, description } => {
                self.drop_bucket(bucket);
                let facts = BucketFacts { bucket: bucket.clone(), description: description.clone() };
                self.buckets.insert(bucket.clone(), facts);
            }
            Change::BucketDropped { bucket } => self.drop_bucket(bucket),
            Change::TableCreated { table, columns, primary_key, .. } => {
                // Taken out first: a map keeps the spelling of the key that it has.
                self.tables.remove(table);
                let facts = TableFacts {
                    table: table.clone(),
                    columns: columns.clone(),
                    primary_key: primary_key.clone(),
                    created_at: commit.committed_at,
                };
                self.tables.insert(table.clone(), facts);
            }
            Change::TableDropped { table } => drop(self.tables.remove(table)),
            _ => {}
        }
    }

    fn drop_bucket(&mut self, bucket: &BucketName) {
        self.buckets.remove(bucket);
        self.tables.retain(|table, _| table.bucket != *bucket);
    }
}

#[async_trait]
impl LakeIndex for MemoryTx {
    async fn applied(&mut self, project: &ProjectId) -> Result<SnapshotId, StoreError> {
        Ok(self.state.lakes.get(project).map_or(SnapshotId::ZERO, |facts| facts.applied))
    }

    async fn apply(&mut self, project: &ProjectId, commit: &Commit) -> Result<bool, StoreError> {
        let state = self.change()?;
        let project = state.project(project)?.id.clone();
        let facts = state.lakes.entry(project).or_insert_with(LakeFacts::new);
        if commit.snapshot <= facts.applied {
            return Ok(false);
        }
        facts.applied = commit.snapshot;
        for write in &commit.writes {
            facts.apply(&write.change, commit);
        }
        Ok(true)
    }

    async fn tables(
        &mut self,
        project: &ProjectId,
        bucket: Option<&BucketName>,
        _: ReadAt,
    ) -> Result<Vec<TableFacts>, StoreError> {
        let Some(facts) = self.state.lakes.get(project) else { return Ok(Vec::new()) };
        let wanted = facts.tables.values().filter(|facts| bucket.is_none_or(|bucket| facts.table.bucket == *bucket));
        Ok(wanted.cloned().collect())
    }

    async fn table(
        &mut self,
        project: &ProjectId,
        table: &TableRef,
        _: ReadAt,
    ) -> Result<Option<TableFacts>, StoreError> {
        Ok(self.state.lakes.get(project).and_then(|facts| facts.tables.get(table)).cloned())
    }

    async fn buckets(&mut self, project: &ProjectId, _: ReadAt) -> Result<Vec<BucketFacts>, StoreError> {
        let facts = self.state.lakes.get(project);
        Ok(facts.map(|facts| facts.buckets.values().cloned().collect()).unwrap_or_default())
    }

    async fn write_of_key(
        &mut self,
        _: &ProjectId,
        _: Option<ApiKeyId>,
        _: &str,
    ) -> Result<Option<KeyedWrite>, StoreError> {
        Ok(None)
    }

    async fn forget_keys(&mut self, _: DateTime<Utc>) -> Result<u64, StoreError> {
        Ok(0)
    }

    async fn clear(&mut self, project: &ProjectId) -> Result<(), StoreError> {
        self.change()?.lakes.remove(project);
        Ok(())
    }
}
