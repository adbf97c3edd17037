//! The lake: a project's tables, their snapshots, and queries over them.

use async_trait::async_trait;
use thiserror::Error;

use crate::commit::{Commit, WriteOrigin};
use crate::ids::{LakeId, SnapshotId};
use crate::names::{BucketName, TableName};
use crate::query::{Query, QueryError, QueryOutput, ReadScope};
use crate::rows::{RowSource, RowStream, RowsError, Violations};
use crate::schema::{Column, TableSchema};
use crate::table::{TableRef, TableSize};

/// Why the lake didn't do it.
#[derive(Debug, Error)]
pub enum LakeError {
    /// The lake isn't there.
    #[error("the project's lake is missing")]
    NoLake,
    /// The writer's queue is full, or the engine is; trying again shortly may work.
    #[error("the project's writer is busy; try again shortly")]
    Busy,
    /// Storage is full.
    #[error("storage is full")]
    StorageFull(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Anything else; the text is for the log.
    #[error("the lake failed")]
    Fault(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Why a write wasn't committed. Nothing of it is visible.
#[derive(Debug, Error)]
pub enum WriteError {
    /// The bucket is there already.
    #[error("the bucket exists")]
    BucketExists,
    /// No such bucket.
    #[error("no such bucket")]
    NoBucket,
    /// The bucket holds tables and the write said not to drop them.
    #[error("the bucket is not empty")]
    BucketNotEmpty,
    /// The table is there already.
    #[error("the table exists")]
    TableExists,
    /// No such table.
    #[error("no such table")]
    NoTable,
    /// The table's columns are not those that the write was made for.
    #[error("the table changed in between")]
    TableChanged,
    /// The rows couldn't be read.
    #[error(transparent)]
    Rows(#[from] RowsError),
    /// Rows that don't fit the table.
    #[error("rows don't fit the table")]
    Violations(Violations),
    /// Rows whose key is in the table already, or twice in the request.
    #[error("duplicate primary keys")]
    DuplicateKeys {
        /// The first of them, as JSON objects `{column: value}`.
        first: Vec<serde_json::Value>,
        /// How many.
        count: u64,
    },
    /// The lake itself failed.
    #[error(transparent)]
    Lake(#[from] LakeError),
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

/// A change to commit.
#[derive(Debug)]
pub enum LakeWrite {
    /// Make a bucket.
    CreateBucket {
        /// Its name.
        bucket: BucketName,
        /// What it is for.
        description: Option<String>,
    },
    /// Drop a bucket.
    DropBucket {
        /// Which.
        bucket: BucketName,
        /// Whether its tables go with it.
        cascade: bool,
    },
    /// Make a table.
    CreateTable {
        /// Its name.
        table: TableRef,
        /// Its columns and key.
        schema: TableSchema,
    },
    /// Drop a table.
    DropTable {
        /// Which.
        table: TableRef,
    },
    /// Add rows, all or none.
    Append {
        /// To which table.
        table: TableRef,
        /// The table's columns and key as the caller knows them.
        schema: TableSchema,
        /// The rows.
        rows: RowSource,
    },
}

/// A write that is durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    /// The snapshot it stands in.
    pub snapshot: SnapshotId,
    /// Rows added.
    pub rows: u64,
}

/// A project's tables and their snapshots. All reads see the newest committed snapshot.
#[async_trait]
pub trait LakeStore: Send + Sync {
    /// Makes an empty lake. One that is there already is left as it is.
    async fn create(&self, lake: LakeId) -> Result<(), LakeError>;

    /// Removes a lake and all its data. One that isn't there is fine.
    async fn remove(&self, lake: LakeId) -> Result<(), LakeError>;

    /// The newest snapshot.
    async fn head(&self, lake: LakeId) -> Result<SnapshotId, LakeError>;

    /// Commits after a snapshot, oldest first, at most `limit`.
    async fn commits_after(&self, lake: LakeId, after: SnapshotId, limit: u32) -> Result<Vec<Commit>, LakeError>;

    /// All buckets by name. `main` is listed once it holds a table.
    async fn buckets(&self, lake: LakeId) -> Result<Vec<StoredBucket>, LakeError>;

    /// A bucket's tables by name. `None` when there is no such bucket; `main` always is.
    async fn tables(&self, lake: LakeId, bucket: &BucketName) -> Result<Option<Vec<StoredTable>>, LakeError>;

    /// One table.
    async fn table(
        &self,
        lake: LakeId,
        bucket: &BucketName,
        table: &TableName,
    ) -> Result<Option<StoredTable>, LakeError>;

    /// The first rows of a table.
    async fn preview(&self, lake: LakeId, table: &TableRef, limit: u32) -> Result<RowStream, QueryError>;

    /// Commits a write: answered once it is durable, as one snapshot that says where it came from.
    async fn write(&self, lake: LakeId, write: LakeWrite, origin: WriteOrigin) -> Result<Committed, WriteError>;
}

/// Runs SQL that users wrote.
#[async_trait]
pub trait QueryEngine: Send + Sync {
    /// Checks the statement against what the caller may read, then runs it. Dropping the rows cancels it.
    async fn query(&self, scope: ReadScope, query: Query) -> Result<QueryOutput, QueryError>;
}
