//! The lake's ports: each call goes to the engine of its project.

use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use gadwall_domain::commit::{Commit, RowCounts, WriteOrigin};
use gadwall_domain::history::ReadAt;
use gadwall_domain::ids::{LakeId, SnapshotId};
use gadwall_domain::names::{BucketName, TableName};
use gadwall_domain::ports::lake::{
    Committed, DroppedTable, LakeError, LakeHistory, LakeLink, LakeStore, LakeWrite, Measured, Measuring, Purge,
    PurgeError, PurgeReport, QueryEngine, ScriptEngine, SnapshotFilter, StoredBucket, StoredTable, TableProfile,
    TableReader, ViewEngine, WriteError,
};
use gadwall_domain::ports::system::{BrokenLakes, Health, HealthProbe, LakeProbe};
use gadwall_domain::query::{Query, QueryError, QueryOutput, ReadScope};
use gadwall_domain::rows::RowStream;
use gadwall_domain::script::{Copy, Examined, KnownTable, Script, ScriptError, ScriptOutput, StopSignal};
use gadwall_domain::selection::Selection;
use gadwall_domain::table::TableRef;
use gadwall_domain::view::{View, ViewDefinition};

use super::CloudLakes;
use crate::error::io_error;
use crate::query::lake_failed;
use crate::script;

/// A health check must answer quickly or not at all.
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);

#[async_trait]
impl LakeStore for CloudLakes {
    async fn create(&self, lake: LakeId) -> Result<(), LakeError> {
        self.server.provide(lake).await?;
        let area = std::sync::Arc::clone(&self.area);
        let made = tokio::task::spawn_blocking(move || area.make(lake)).await;
        made.map_err(|panic| crate::error::fault(panic.to_string()))?.map_err(io_error)?;
        // Opening it for the first time fills its catalog.
        self.of(lake).await?;
        self.server.keep_rows_in_files(lake).await?;
        self.server.index(lake).await
    }

    async fn remove(&self, lake: LakeId) -> Result<u64, LakeError> {
        self.open.forget(lake);
        self.server.remove(lake).await?;
        let area = std::sync::Arc::clone(&self.area);
        let removed = tokio::task::spawn_blocking(move || area.remove_all(lake)).await;
        removed.map_err(|panic| crate::error::fault(panic.to_string()))?.map_err(io_error)
    }

    async fn head(&self, lake: LakeId) -> Result<SnapshotId, LakeError> {
        self.server.head(lake).await
    }

    async fn quick_head(&self, lake: LakeId) -> Option<SnapshotId> {
        self.server.head(lake).await.ok()
    }

    fn is_shared(&self) -> bool {
        true
    }

    async fn end_link(&self, link: &LakeLink) -> Result<(), LakeError> {
        self.server.end_share(link).await?;
        // Another engine, which reaches it no more, is opened for the next request.
        self.open.forget(link.reader);
        Ok(())
    }

    async fn held_links(&self) -> Result<Vec<LakeLink>, LakeError> {
        self.server.all_shares().await
    }

    async fn commits_after(&self, lake: LakeId, after: SnapshotId, limit: u32) -> Result<Vec<Commit>, LakeError> {
        self.of(lake).await?.commits_after(lake, after, limit).await
    }

    async fn buckets(&self, lake: LakeId, at: ReadAt) -> Result<Vec<StoredBucket>, LakeError> {
        self.of(lake).await?.buckets(lake, at).await
    }

    async fn kept_bytes(&self, lake: LakeId) -> Result<Option<u64>, LakeError> {
        self.of(lake).await?.kept_bytes(lake).await
    }

    async fn tables(
        &self,
        lake: LakeId,
        bucket: &BucketName,
        at: ReadAt,
    ) -> Result<Option<Vec<StoredTable>>, LakeError> {
        self.of(lake).await?.tables(lake, bucket, at).await
    }

    async fn table(
        &self,
        lake: LakeId,
        bucket: &BucketName,
        table: &TableName,
        at: ReadAt,
    ) -> Result<Option<StoredTable>, LakeError> {
        self.of(lake).await?.table(lake, bucket, table, at).await
    }

    async fn views(
        &self,
        lake: LakeId,
        bucket: &BucketName,
        view: Option<&TableName>,
        at: ReadAt,
    ) -> Result<Vec<View>, LakeError> {
        self.of(lake).await?.views(lake, bucket, view, at).await
    }

    async fn write(&self, lake: LakeId, write: LakeWrite, origin: WriteOrigin) -> Result<Committed, WriteError> {
        self.of(lake).await?.write(lake, write, origin).await
    }

    async fn dry_run(&self, lake: LakeId, write: LakeWrite) -> Result<RowCounts, WriteError> {
        self.of(lake).await?.dry_run(lake, write).await
    }

    async fn purge(
        &self,
        lake: LakeId,
        purge: Purge,
        held: Vec<SnapshotId>,
        origin: WriteOrigin,
    ) -> Result<PurgeReport, PurgeError> {
        let lakes = self.of(lake).await.map_err(WriteError::from)?;
        lakes.purge(lake, purge, held, origin).await
    }
}

#[async_trait]
impl LakeHistory for CloudLakes {
    async fn snapshot(&self, lake: LakeId, snapshot: SnapshotId) -> Result<Option<Commit>, LakeError> {
        self.of(lake).await?.snapshot(lake, snapshot).await
    }

    async fn snapshot_at(&self, lake: LakeId, time: DateTime<Utc>) -> Result<Option<SnapshotId>, LakeError> {
        self.of(lake).await?.snapshot_at(lake, time).await
    }

    async fn snapshots(&self, lake: LakeId, filter: SnapshotFilter) -> Result<Vec<Commit>, LakeError> {
        self.of(lake).await?.snapshots(lake, filter).await
    }

    async fn dropped(&self, lake: LakeId, bucket: Option<BucketName>) -> Result<Vec<DroppedTable>, LakeError> {
        self.of(lake).await?.dropped(lake, bucket).await
    }
}

#[async_trait]
impl TableReader for CloudLakes {
    async fn rows(
        &self,
        lake: LakeId,
        table: &TableRef,
        selection: Selection,
        at: ReadAt,
        timeout: Duration,
    ) -> Result<(RowStream, SnapshotId), QueryError> {
        self.of(lake).await.map_err(lake_failed)?.rows(lake, table, selection, at, timeout).await
    }

    async fn changes(
        &self,
        lake: LakeId,
        table: &TableRef,
        from: SnapshotId,
        to: SnapshotId,
        limit: Option<u64>,
        timeout: Duration,
    ) -> Result<RowStream, QueryError> {
        self.of(lake).await.map_err(lake_failed)?.changes(lake, table, from, to, limit, timeout).await
    }

    async fn measure(&self, lake: LakeId, measuring: Measuring, timeout: Duration) -> Result<Measured, QueryError> {
        self.of(lake).await.map_err(lake_failed)?.measure(lake, measuring, timeout).await
    }

    async fn profile(
        &self,
        lake: LakeId,
        table: &TableRef,
        at: ReadAt,
        timeout: Duration,
    ) -> Result<TableProfile, QueryError> {
        self.of(lake).await.map_err(lake_failed)?.profile(lake, table, at, timeout).await
    }
}

#[async_trait]
impl QueryEngine for CloudLakes {
    async fn query(&self, scope: ReadScope, query: Query) -> Result<QueryOutput, QueryError> {
        self.within(&scope).await.map_err(lake_failed)?.query(scope, query).await
    }
}

#[async_trait]
impl ScriptEngine for CloudLakes {
    fn examine(&self, sql: &str, default_bucket: Option<&BucketName>) -> Result<Examined, QueryError> {
        script::examine(sql, default_bucket)
    }

    fn file_paths(&self, sql: &str) -> Vec<String> {
        script::file_paths(sql)
    }

    fn copy(&self, sql: &str) -> Result<Copy, QueryError> {
        script::copy(sql)
    }

    async fn execute(
        &self,
        scope: ReadScope,
        script: Script,
        tables: Vec<KnownTable>,
        origin: WriteOrigin,
        stop: StopSignal,
    ) -> Result<ScriptOutput, ScriptError> {
        let lakes = self.within(&scope).await.map_err(|error| script::failed(lake_failed(error)))?;
        lakes.execute(scope, script, tables, origin, stop).await
    }
}

#[async_trait]
impl ViewEngine for CloudLakes {
    async fn define_view(
        &self,
        scope: ReadScope,
        definition: ViewDefinition,
        timeout: Duration,
        origin: WriteOrigin,
    ) -> Result<SnapshotId, ScriptError> {
        let lakes = self.within(&scope).await.map_err(|error| script::failed(lake_failed(error)))?;
        lakes.define_view(scope, definition, timeout, origin).await
    }

    async fn drop_view(
        &self,
        scope: ReadScope,
        view: TableRef,
        timeout: Duration,
        origin: WriteOrigin,
    ) -> Result<SnapshotId, ScriptError> {
        let lakes = self.within(&scope).await.map_err(|error| script::failed(lake_failed(error)))?;
        lakes.drop_view(scope, view, timeout, origin).await
    }
}

#[async_trait]
impl HealthProbe for CloudLakes {
    async fn check(&self) -> Health {
        let detail = match tokio::time::timeout(PROBE_TIMEOUT, self.server.ping()).await {
            Ok(Ok(())) => None,
            Ok(Err(LakeError::Busy)) => Some("the catalogs' database has no connection left".to_owned()),
            Ok(Err(_)) => Some("the catalogs' database can't be reached".to_owned()),
            Err(_) => Some("the catalogs' database did not answer in time".to_owned()),
        };
        Health { name: "engine", ok: detail.is_none(), detail }
    }
}

#[async_trait]
impl LakeProbe for CloudLakes {
    async fn broken(&self, _limit: usize) -> BrokenLakes {
        // What is wrong with the catalogs' server is wrong for all of them, and its own probe tells.
        BrokenLakes::default()
    }
}
