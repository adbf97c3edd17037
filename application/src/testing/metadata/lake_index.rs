//! The index of the lakes' commits: all that held after each of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use gadwall_domain::commit::{Change, Commit};
use gadwall_domain::history::ReadAt;
use gadwall_domain::ids::{CallerId, SnapshotId};
use gadwall_domain::names::{BucketName, ColumnName, ProjectId};
use gadwall_domain::ports::metadata::{BucketFacts, KeyedWrite, LakeIndex, StoreError, TableFacts};
use gadwall_domain::project::ProjectStatus;
use gadwall_domain::schema::Column;
use gadwall_domain::table::TableRef;

use super::MemoryTx;

/// What is known of a project's lake.
#[derive(Debug, Clone, Default)]
pub(super) struct LakeFacts {
    versions: BTreeMap<SnapshotId, Arc<Version>>,
    /// In the order they were committed, each with the time of its commit.
    keyed: Vec<(DateTime<Utc>, KeyedWrite)>,
}

/// What holds in a version.
#[derive(Debug, Clone, Default)]
struct Version {
    buckets: BTreeMap<BucketName, BucketFacts>,
    tables: BTreeMap<TableRef, TableFacts>,
}

impl LakeFacts {
    fn applied(&self) -> SnapshotId {
        self.versions.last_key_value().map_or(SnapshotId::ZERO, |(snapshot, _)| *snapshot)
    }

    fn at(&self, at: ReadAt) -> Option<&Arc<Version>> {
        match at {
            ReadAt::Head => self.versions.values().next_back(),
            ReadAt::Snapshot(snapshot) => self.versions.range(..=snapshot).map(|(_, version)| version).next_back(),
        }
    }

    fn apply(&mut self, commit: &Commit) {
        let mut version = self.at(ReadAt::Head).map(|version| Version::clone(version)).unwrap_or_default();
        for write in &commit.writes {
            self.apply_change(&mut version, &write.change, commit.committed_at);
            if write.origin.idempotency_key.is_some() {
                self.keyed.push((commit.committed_at, KeyedWrite { snapshot: commit.snapshot, write: write.clone() }));
            }
        }
        self.versions.insert(commit.snapshot, Arc::new(version));
    }

    fn apply_change(&self, version: &mut Version, change: &Change, time: DateTime<Utc>) {
        match change {
            Change::BucketCreated { bucket, description } => {
                version.drop_bucket(bucket);
                let facts = BucketFacts { bucket: bucket.clone(), description: description.clone() };
                version.buckets.insert(bucket.clone(), facts);
            }
            Change::BucketDropped { bucket } => version.drop_bucket(bucket),
            Change::TableCreated { table, columns, primary_key, .. } => {
                version.put(facts(table, columns, primary_key, time));
            }
            Change::TableDropped { table } => drop(version.tables.remove(table)),
            Change::TableAltered { table, columns, primary_key, .. }
            | Change::TableRestored { table, columns, primary_key, .. } => match version.tables.get_mut(table) {
                Some(known) => {
                    known.columns.clone_from(columns);
                    known.primary_key.clone_from(primary_key);
                }
                None => version.put(facts(table, columns, primary_key, time)),
            },
            Change::TableRenamed { table, to } => {
                let known = version.tables.remove(table);
                version.tables.remove(to);
                if let Some(known) = known {
                    version.put(TableFacts { table: to.clone(), ..known });
                }
            }
            Change::TableUndeleted { table, from, columns, primary_key, .. } => {
                let known = self.at(ReadAt::Snapshot(*from)).and_then(|version| version.tables.get(table));
                let since = known.map_or(time, |known| known.created_at);
                version.put(facts(table, columns, primary_key, since));
            }
            Change::RowsAppended { .. }
            | Change::RowsUpserted { .. }
            | Change::RowsReplaced { .. }
            | Change::RowsUpdated { .. }
            | Change::RowsDeleted { .. }
            | Change::TableTruncated { .. }
            | Change::RowsPurged { .. }
            | Change::FilesRegistered { .. }
            | Change::FilesCompacted { .. }
            | Change::ViewCreated { .. }
            | Change::ViewDropped { .. } => {}
        }
    }
}

impl Version {
    fn put(&mut self, facts: TableFacts) {
        // Taken out first: a map keeps the spelling of the key that it has.
        self.tables.remove(&facts.table);
        self.tables.insert(facts.table.clone(), facts);
    }

    fn drop_bucket(&mut self, bucket: &BucketName) {
        self.buckets.remove(bucket);
        self.tables.retain(|table, _| table.bucket != *bucket);
    }
}

fn facts(table: &TableRef, columns: &[Column], primary_key: &[ColumnName], created_at: DateTime<Utc>) -> TableFacts {
    TableFacts { table: table.clone(), columns: columns.to_vec(), primary_key: primary_key.to_vec(), created_at }
}

impl MemoryTx {
    fn version(&self, project: &ProjectId, at: ReadAt) -> Arc<Version> {
        self.state.lakes.get(project).and_then(|facts| facts.at(at)).map(Arc::clone).unwrap_or_default()
    }
}

#[async_trait]
impl LakeIndex for MemoryTx {
    async fn applied(&mut self, project: &ProjectId) -> Result<SnapshotId, StoreError> {
        Ok(self.state.lakes.get(project).map_or(SnapshotId::ZERO, LakeFacts::applied))
    }

    async fn is_in_use(&mut self, project: &ProjectId) -> Result<bool, StoreError> {
        Ok(self.state.projects.get(project).is_some_and(|project| project.status == ProjectStatus::Active))
    }

    async fn apply(&mut self, project: &ProjectId, commit: &Commit) -> Result<bool, StoreError> {
        let state = self.change()?;
        let project = state.project(project)?.id.clone();
        let facts = state.lakes.entry(project.clone()).or_default();
        if commit.snapshot <= facts.applied() {
            return Ok(false);
        }
        facts.apply(commit);
        let contracts = state.contracts.entry(project).or_default();
        commit.writes.iter().for_each(|write| contracts.follow(commit, write));
        Ok(true)
    }

    async fn tables(
        &mut self,
        project: &ProjectId,
        bucket: Option<&BucketName>,
        at: ReadAt,
    ) -> Result<Vec<TableFacts>, StoreError> {
        let version = self.version(project, at);
        let wanted = |facts: &&TableFacts| bucket.is_none_or(|bucket| facts.table.bucket == *bucket);
        Ok(version.tables.values().filter(wanted).cloned().collect())
    }

    async fn table(
        &mut self,
        project: &ProjectId,
        table: &TableRef,
        at: ReadAt,
    ) -> Result<Option<TableFacts>, StoreError> {
        Ok(self.version(project, at).tables.get(table).cloned())
    }

    async fn buckets(&mut self, project: &ProjectId, at: ReadAt) -> Result<Vec<BucketFacts>, StoreError> {
        Ok(self.version(project, at).buckets.values().cloned().collect())
    }

    async fn write_of_key(
        &mut self,
        project: &ProjectId,
        key_id: Option<&CallerId>,
        key: &str,
    ) -> Result<Option<KeyedWrite>, StoreError> {
        let Some(facts) = self.state.lakes.get(project) else { return Ok(None) };
        let is_it = |keyed: &&KeyedWrite| {
            let origin = &keyed.write.origin;
            origin.key_id.as_ref() == key_id && origin.idempotency_key.as_deref() == Some(key)
        };
        Ok(facts.keyed.iter().map(|(_, keyed)| keyed).find(is_it).cloned())
    }

    async fn forget_keys(&mut self, before: DateTime<Utc>) -> Result<u64, StoreError> {
        let mut forgotten = 0;
        for facts in self.change()?.lakes.values_mut() {
            let known = facts.keyed.len();
            facts.keyed.retain(|(time, _)| *time >= before);
            forgotten += known - facts.keyed.len();
        }
        Ok(forgotten as u64)
    }

    async fn clear(&mut self, project: &ProjectId) -> Result<(), StoreError> {
        let state = self.change()?;
        state.lakes.remove(project);
        state.contracts.remove(project);
        Ok(())
    }
}
