//! The lake: a project's tables, their snapshots, and queries over them.

mod maintain;
mod read;
mod script;
mod views;
mod write;

use async_trait::async_trait;
use thiserror::Error;

use crate::commit::{Commit, RowCounts, WriteOrigin};
use crate::history::{ReadAt, TableVersion};
use crate::ids::{LakeId, SnapshotId};
use crate::layout::Layout;
use crate::names::{BucketName, TableName};
use crate::query::{Query, QueryError, QueryOutput, ReadScope};
use crate::schema::Column;
use crate::table::{Comments, TableRef, TableSize};
use crate::view::View;

pub use maintain::*;
pub use read::*;
pub use script::*;
pub use views::*;
pub use write::*;

/// Why the lake didn't do it.
#[derive(Debug, Error)]
pub enum LakeError {
    /// The lake isn't there.
    #[error("the project's lake is missing")]
    NoLake,
    /// The writer's queue is full, or the engine is; trying again shortly may work.
    #[error("the project's writer is busy; try again shortly")]
    Busy,
    /// Another process wrote to the lake at the same moment; trying again shortly may work.
    #[error("another write came first; try again shortly")]
    Contended,
    /// The lake's catalog or its data can't be reached.
    #[error("the project's lake can't be reached; try again shortly")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Storage is full.
    #[error("storage is full; nothing was written")]
    StorageFull(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Storage can be read, but not written.
    #[error("storage can't be written; nothing was written")]
    ReadOnly(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The lake is there, but damaged: its catalog can't be opened or read.
    #[error("the project's lake can't be opened")]
    Damaged(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Anything else; the text is for the log.
    #[error("the lake failed")]
    Fault(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// A table as the lake stores it: types without lengths, no key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredTable {
    /// Its name.
    pub name: TableRef,
    /// Its columns.
    pub columns: Vec<Column>,
    /// How much it holds.
    pub size: TableSize,
    /// How its files are laid out.
    pub layout: Layout,
    /// What it and its columns are for.
    pub comments: Comments,
    /// When it last changed.
    pub version: TableVersion,
}

/// A bucket as the lake stores it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredBucket {
    /// Its name.
    pub name: BucketName,
    /// Tables in it.
    pub table_count: u64,
    /// Bytes of its tables' data files.
    pub size_bytes: u64,
}

/// That one lake reads a bucket of another.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct LakeLink {
    /// The lake that reads.
    pub reader: LakeId,
    /// The lake that is read.
    pub owner: LakeId,
    /// The bucket's name there.
    pub bucket: BucketName,
}

/// A project's tables and the writes to them.
#[async_trait]
pub trait LakeStore: Send + Sync {
    /// Makes an empty lake. One that is there already is left as it is.
    async fn create(&self, lake: LakeId) -> Result<(), LakeError>;

    /// Removes a lake and all its data; answers how many bytes its files had. One that isn't there is fine.
    async fn remove(&self, lake: LakeId) -> Result<u64, LakeError>;

    /// The newest snapshot.
    async fn head(&self, lake: LakeId) -> Result<SnapshotId, LakeError>;

    /// Whether other processes may write to the lakes, too.
    fn is_shared(&self) -> bool {
        false
    }

    /// The newest snapshot where that is known without asking: every write that was answered is in it. Only a lake
    /// that nobody else writes to can know.
    fn known_head(&self, lake: LakeId) -> Option<SnapshotId> {
        let _ = lake;
        None
    }

    /// The newest snapshot where it can be told at little cost: every write that was answered, by whomever, is in it.
    async fn quick_head(&self, lake: LakeId) -> Option<SnapshotId> {
        self.known_head(lake)
    }

    /// Ends what one lake's engine may read of another, where something beside the statements' checks holds that. What never
    /// began is fine.
    async fn end_link(&self, link: &LakeLink) -> Result<(), LakeError> {
        let _ = link;
        Ok(())
    }

    /// What lakes' engines may read of others, where something beside the statements' checks holds that.
    async fn held_links(&self) -> Result<Vec<LakeLink>, LakeError> {
        Ok(Vec::new())
    }

    /// Commits after a snapshot, oldest first, at most `limit`.
    async fn commits_after(&self, lake: LakeId, after: SnapshotId, limit: u32) -> Result<Vec<Commit>, LakeError>;

    /// All buckets by name. `main` is listed once it holds a table.
    ///
    /// Like those of tables, answers of a snapshot that isn't there (or is no longer kept) are empty;
    /// [`LakeHistory::snapshot`] tells.
    async fn buckets(&self, lake: LakeId, at: ReadAt) -> Result<Vec<StoredBucket>, LakeError>;

    /// Bytes of all data files that are kept, those of older versions among them, where the catalog tells.
    async fn kept_bytes(&self, lake: LakeId) -> Result<Option<u64>, LakeError>;

    /// A bucket's tables by name. `None` when there is no such bucket; `main` always is.
    async fn tables(
        &self,
        lake: LakeId,
        bucket: &BucketName,
        at: ReadAt,
    ) -> Result<Option<Vec<StoredTable>>, LakeError>;

    /// One table.
    async fn table(
        &self,
        lake: LakeId,
        bucket: &BucketName,
        table: &TableName,
        at: ReadAt,
    ) -> Result<Option<StoredTable>, LakeError>;

    /// A bucket's views by name, or the one of that name. A lake that keeps none has none.
    async fn views(
        &self,
        lake: LakeId,
        bucket: &BucketName,
        view: Option<&TableName>,
        at: ReadAt,
    ) -> Result<Vec<View>, LakeError> {
        let _ = (lake, bucket, view, at);
        Ok(Vec::new())
    }

    /// Commits a write: answered once it is durable, as one snapshot that says where it came from.
    async fn write(&self, lake: LakeId, write: LakeWrite, origin: WriteOrigin) -> Result<Committed, WriteError>;

    /// Says what a write would touch, or why it would be refused, and writes nothing. What is no row counts as none.
    async fn dry_run(&self, lake: LakeId, write: LakeWrite) -> Result<RowCounts, WriteError>;

    /// Deletes rows so that nothing of them is left: not in the newest version, not in older ones, not in files. The
    /// snapshots that show them are gone afterwards, for all tables; those in `held` refuse the purge, which then does
    /// nothing.
    async fn purge(
        &self,
        lake: LakeId,
        purge: Purge,
        held: Vec<SnapshotId>,
        origin: WriteOrigin,
    ) -> Result<PurgeReport, PurgeError>;
}

/// All that a lake offers.
pub trait Lake: LakeStore + LakeHistory + TableReader {}

impl<T: LakeStore + LakeHistory + TableReader> Lake for T {}

/// Runs SQL that users wrote.
#[async_trait]
pub trait QueryEngine: Send + Sync {
    /// Checks the statement against what the caller may read, then runs it. Dropping the rows cancels it.
    async fn query(&self, scope: ReadScope, query: Query) -> Result<QueryOutput, QueryError>;
}
