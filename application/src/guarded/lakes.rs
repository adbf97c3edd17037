//! Lakes whose catalogs are on another machine, behind a breaker.
//!
//! Faults are counted where the catalog alone is read. Those of calls that read or write data, too, may be the data's,
//! and say nothing; but the breaker keeps all of them from waiting.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use gadwall_domain::commit::{Commit, RowCounts, WriteOrigin};
use gadwall_domain::history::ReadAt;
use gadwall_domain::ids::{LakeId, SnapshotId};
use gadwall_domain::names::{BucketName, TableName};
use gadwall_domain::ports::lake::{
    Committed, DroppedTable, Lake, LakeError, LakeHistory, LakeLink, LakeStore, LakeWrite, Measured, Measuring, Purge,
    PurgeError, PurgeReport, QueryEngine, ScriptEngine, SnapshotFilter, StoredBucket, StoredTable, TableProfile,
    TableReader, ViewEngine, WriteError,
};
use gadwall_domain::query::{Query, QueryError, QueryOutput, ReadScope};
use gadwall_domain::rows::RowStream;
use gadwall_domain::script::{Copy, Examined, KnownTable, Script, ScriptError, ScriptOutput, StopSignal};
use gadwall_domain::selection::Selection;
use gadwall_domain::table::TableRef;
use gadwall_domain::view::{View, ViewDefinition};

use super::outside::{LeftAlone, ask, ask_both};
use crate::breaker::Breaker;

/// The ports of lakes, of one adapter.
#[derive(Clone)]
pub struct LakePorts {
    /// Tables and their past.
    pub lakes: Arc<dyn Lake>,
    /// Queries.
    pub queries: Arc<dyn QueryEngine>,
    /// SQL that writes.
    pub scripts: Arc<dyn ScriptEngine>,
    /// Views.
    pub views: Arc<dyn ViewEngine>,
}

impl fmt::Debug for LakePorts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LakePorts")
    }
}

impl LakePorts {
    /// The same behind a breaker.
    #[must_use]
    pub fn guarded(self, breaker: Arc<Breaker>) -> Self {
        let guarded = Arc::new(GuardedLakes { ports: self, breaker });
        Self {
            lakes: Arc::clone(&guarded) as _,
            queries: Arc::clone(&guarded) as _,
            scripts: Arc::clone(&guarded) as _,
            views: guarded,
        }
    }
}

struct GuardedLakes {
    ports: LakePorts,
    breaker: Arc<Breaker>,
}

impl GuardedLakes {
    /// Asks for what needs data, too.
    async fn ask_both<T, E: LeftAlone>(&self, call: impl Future<Output = Result<T, E>>) -> Result<T, E> {
        ask_both(&self.breaker, call).await
    }
}

#[async_trait]
impl LakeStore for GuardedLakes {
    async fn create(&self, lake: LakeId) -> Result<(), LakeError> {
        self.ask_both(self.ports.lakes.create(lake)).await
    }

    async fn remove(&self, lake: LakeId) -> Result<u64, LakeError> {
        self.ask_both(self.ports.lakes.remove(lake)).await
    }

    async fn head(&self, lake: LakeId) -> Result<SnapshotId, LakeError> {
        ask(&self.breaker, self.ports.lakes.head(lake)).await
    }

    fn is_shared(&self) -> bool {
        self.ports.lakes.is_shared()
    }

    fn known_head(&self, lake: LakeId) -> Option<SnapshotId> {
        self.ports.lakes.known_head(lake)
    }

    async fn quick_head(&self, lake: LakeId) -> Option<SnapshotId> {
        let permit = self.breaker.admit().ok()?;
        let head = self.ports.lakes.quick_head(lake).await;
        if head.is_some() {
            permit.answered();
        }
        head
    }

    async fn end_link(&self, link: &LakeLink) -> Result<(), LakeError> {
        ask(&self.breaker, self.ports.lakes.end_link(link)).await
    }

    async fn held_links(&self) -> Result<Vec<LakeLink>, LakeError> {
        ask(&self.breaker, self.ports.lakes.held_links()).await
    }

    async fn commits_after(&self, lake: LakeId, after: SnapshotId, limit: u32) -> Result<Vec<Commit>, LakeError> {
        ask(&self.breaker, self.ports.lakes.commits_after(lake, after, limit)).await
    }

    async fn buckets(&self, lake: LakeId, at: ReadAt) -> Result<Vec<StoredBucket>, LakeError> {
        ask(&self.breaker, self.ports.lakes.buckets(lake, at)).await
    }

    async fn kept_bytes(&self, lake: LakeId) -> Result<Option<u64>, LakeError> {
        ask(&self.breaker, self.ports.lakes.kept_bytes(lake)).await
    }

    async fn tables(
        &self,
        lake: LakeId,
        bucket: &BucketName,
        at: ReadAt,
    ) -> Result<Option<Vec<StoredTable>>, LakeError> {
        ask(&self.breaker, self.ports.lakes.tables(lake, bucket, at)).await
    }

    async fn table(
        &self,
        lake: LakeId,
        bucket: &BucketName,
        table: &TableName,
        at: ReadAt,
    ) -> Result<Option<StoredTable>, LakeError> {
        ask(&self.breaker, self.ports.lakes.table(lake, bucket, table, at)).await
    }

    async fn views(
        &self,
        lake: LakeId,
        bucket: &BucketName,
        view: Option<&TableName>,
        at: ReadAt,
    ) -> Result<Vec<View>, LakeError> {
        ask(&self.breaker, self.ports.lakes.views(lake, bucket, view, at)).await
    }

    async fn write(&self, lake: LakeId, write: LakeWrite, origin: WriteOrigin) -> Result<Committed, WriteError> {
        self.ask_both(self.ports.lakes.write(lake, write, origin)).await
    }

    async fn dry_run(&self, lake: LakeId, write: LakeWrite) -> Result<RowCounts, WriteError> {
        self.ask_both(self.ports.lakes.dry_run(lake, write)).await
    }

    async fn purge(
        &self,
        lake: LakeId,
        purge: Purge,
        held: Vec<SnapshotId>,
        origin: WriteOrigin,
    ) -> Result<PurgeReport, PurgeError> {
        self.ask_both(self.ports.lakes.purge(lake, purge, held, origin)).await
    }
}

#[async_trait]
impl LakeHistory for GuardedLakes {
    async fn snapshot(&self, lake: LakeId, snapshot: SnapshotId) -> Result<Option<Commit>, LakeError> {
        ask(&self.breaker, self.ports.lakes.snapshot(lake, snapshot)).await
    }

    async fn snapshot_at(&self, lake: LakeId, time: DateTime<Utc>) -> Result<Option<SnapshotId>, LakeError> {
        ask(&self.breaker, self.ports.lakes.snapshot_at(lake, time)).await
    }

    async fn snapshots(&self, lake: LakeId, filter: SnapshotFilter) -> Result<Vec<Commit>, LakeError> {
        ask(&self.breaker, self.ports.lakes.snapshots(lake, filter)).await
    }

    async fn dropped(&self, lake: LakeId, bucket: Option<BucketName>) -> Result<Vec<DroppedTable>, LakeError> {
        ask(&self.breaker, self.ports.lakes.dropped(lake, bucket)).await
    }
}

#[async_trait]
impl TableReader for GuardedLakes {
    async fn rows(
        &self,
        lake: LakeId,
        table: &TableRef,
        selection: Selection,
        at: ReadAt,
        timeout: Duration,
    ) -> Result<(RowStream, SnapshotId), QueryError> {
        self.ask_both(self.ports.lakes.rows(lake, table, selection, at, timeout)).await
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
        self.ask_both(self.ports.lakes.changes(lake, table, from, to, limit, timeout)).await
    }

    async fn measure(&self, lake: LakeId, measuring: Measuring, timeout: Duration) -> Result<Measured, QueryError> {
        self.ask_both(self.ports.lakes.measure(lake, measuring, timeout)).await
    }

    async fn profile(
        &self,
        lake: LakeId,
        table: &TableRef,
        at: ReadAt,
        timeout: Duration,
    ) -> Result<TableProfile, QueryError> {
        self.ask_both(self.ports.lakes.profile(lake, table, at, timeout)).await
    }
}

#[async_trait]
impl QueryEngine for GuardedLakes {
    async fn query(&self, scope: ReadScope, query: Query) -> Result<QueryOutput, QueryError> {
        self.ask_both(self.ports.queries.query(scope, query)).await
    }
}

#[async_trait]
impl ScriptEngine for GuardedLakes {
    fn examine(&self, sql: &str, default_bucket: Option<&BucketName>) -> Result<Examined, QueryError> {
        self.ports.scripts.examine(sql, default_bucket)
    }

    fn file_paths(&self, sql: &str) -> Vec<String> {
        self.ports.scripts.file_paths(sql)
    }

    fn copy(&self, sql: &str) -> Result<Copy, QueryError> {
        self.ports.scripts.copy(sql)
    }

    async fn execute(
        &self,
        scope: ReadScope,
        script: Script,
        tables: Vec<KnownTable>,
        origin: WriteOrigin,
        stop: StopSignal,
    ) -> Result<ScriptOutput, ScriptError> {
        self.ask_both(self.ports.scripts.execute(scope, script, tables, origin, stop)).await
    }
}

#[async_trait]
impl ViewEngine for GuardedLakes {
    async fn define_view(
        &self,
        scope: ReadScope,
        definition: ViewDefinition,
        timeout: Duration,
        origin: WriteOrigin,
    ) -> Result<SnapshotId, ScriptError> {
        self.ask_both(self.ports.views.define_view(scope, definition, timeout, origin)).await
    }

    async fn drop_view(
        &self,
        scope: ReadScope,
        view: TableRef,
        timeout: Duration,
        origin: WriteOrigin,
    ) -> Result<SnapshotId, ScriptError> {
        self.ask_both(self.ports.views.drop_view(scope, view, timeout, origin)).await
    }
}
