//! Files in and out in bulk, by the engine itself.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use thiserror::Error;

use super::lake::{EngineFile, LakeError};
use crate::history::ReadAt;
use crate::ids::{LakeId, SnapshotId};
use crate::operation::Progress;
use crate::query::{Query, QueryError, ReadScope};
use crate::rows::{RowsError, StagedFile};
use crate::schema::Column;
use crate::selection::Selection;
use crate::table::TableRef;
use crate::transfer::FileFormat;

/// Why files weren't read or written. Nothing of it is left.
#[derive(Debug, Error)]
pub enum TransferError {
    /// The files can't be read.
    #[error(transparent)]
    Rows(#[from] RowsError),
    /// What should be exported can't be read.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// The engine or its storage failed.
    #[error(transparent)]
    Lake(#[from] LakeError),
}

/// Is told how far a transfer is, now and then.
pub type Watcher = Arc<dyn Fn(Progress) + Send + Sync>;

/// What is exported.
#[derive(Debug, Clone)]
pub enum ExportSource {
    /// A part of a table.
    Table {
        /// The project's lake.
        lake: LakeId,
        /// Which table.
        table: TableRef,
        /// Which part of it.
        selection: Selection,
        /// Which version.
        at: ReadAt,
    },
    /// A statement's result.
    Query {
        /// What its author may read.
        scope: ReadScope,
        /// The statement.
        query: Query,
    },
}

/// A file that was written.
#[derive(Debug, Clone)]
pub struct Exported {
    /// The file, in the staging area.
    pub file: Arc<StagedFile>,
    /// Its rows.
    pub rows: u64,
    /// Its size.
    pub bytes: u64,
    /// The snapshot that it shows.
    pub snapshot: SnapshotId,
    /// The tables that its statement read through links, by the names that they have there.
    pub linked: Vec<TableRef>,
    /// The tables that its statement read, by the names that its author has for them.
    pub reads: BTreeSet<TableRef>,
    /// Its columns and their types, as the engine calls them.
    pub columns: Vec<(String, String)>,
}

/// Files that were read.
#[derive(Debug, Clone)]
pub struct ReadIn {
    /// Their rows in one Parquet file in the staging area: text where the files hold text, unchecked.
    pub file: Arc<StagedFile>,
    /// How many rows.
    pub rows: u64,
}

/// Reads and writes whole files. Dropping a future stops the engine's work and leaves nothing.
#[async_trait]
pub trait BulkTransfer: Send + Sync {
    /// The columns that would hold what is in the files of a project, given by its lake.
    async fn infer(
        &self,
        lake: LakeId,
        files: &[EngineFile],
        format: &FileFormat,
        limit: Duration,
    ) -> Result<Vec<Column>, TransferError>;

    /// Reads files of a project, in their order, for a table with these columns. Columns are matched by name; files of
    /// CSV without a header by position.
    async fn read(
        &self,
        lake: LakeId,
        files: &[EngineFile],
        format: &FileFormat,
        columns: &[Column],
        watcher: Watcher,
        limit: Duration,
    ) -> Result<ReadIn, TransferError>;

    /// Writes a file.
    async fn export(
        &self,
        source: ExportSource,
        format: &FileFormat,
        watcher: Watcher,
        limit: Duration,
    ) -> Result<Exported, TransferError>;
}
