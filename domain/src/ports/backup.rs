//! Where backups are kept, and what is copied into them and out of them.

use async_trait::async_trait;
use thiserror::Error;

use super::lake::LakeError;
use super::metadata::StoreError;
use super::objects::{Content, ContentError};
use crate::audit::AuditEntry;
use crate::backup::{BackupPath, TableRows};
use crate::events::Event;
use crate::ids::{LakeId, SnapshotId};
use crate::names::ProjectId;

/// Why a target didn't do it.
#[derive(Debug, Error)]
pub enum TargetError {
    /// There is no such file.
    #[error("the backup target has no {0}")]
    Missing(BackupPath),
    /// What was to be written stopped coming.
    #[error(transparent)]
    Content(#[from] ContentError),
    /// There is no room.
    #[error("the backup target is full")]
    Full(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// It can't be reached, or refuses; later it may not.
    #[error("the backup target can't be used; try again later")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Anything else; the text is for the log.
    #[error("the backup target failed")]
    Fault(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// A file in a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetFile {
    /// Where it lies.
    pub path: BackupPath,
    /// Its size.
    pub bytes: u64,
}

/// Where backups are kept: a folder, or a place in a bucket.
#[async_trait]
pub trait BackupTarget: Send + Sync {
    /// Keeps a file. It is there whole and to stay once this returns; before, and when it fails, it isn't.
    async fn put(&self, path: &BackupPath, content: Content) -> Result<(), TargetError>;
    /// A file's bytes.
    async fn open(&self, path: &BackupPath) -> Result<Content, TargetError>;
    /// All files below a folder, in no order; none if it isn't there.
    async fn list(&self, folder: &BackupPath) -> Result<Vec<TargetFile>, TargetError>;
    /// Removes a file. One that isn't there is fine.
    async fn remove(&self, path: &BackupPath) -> Result<(), TargetError>;
}

/// Why a lake wasn't copied.
#[derive(Debug, Error)]
pub enum ArchiveError {
    /// The lake.
    #[error(transparent)]
    Lake(#[from] LakeError),
    /// What was to be written stopped coming.
    #[error(transparent)]
    Content(#[from] ContentError),
    /// Rows are in the catalog itself.
    #[error("the lake keeps rows in its catalog (ducklake.data_inlining_row_limit); such a lake can't be backed up")]
    Inlined,
    /// Files of the lake are elsewhere.
    #[error("the lake has files outside of its own folder")]
    Elsewhere,
    /// Files that the catalog names aren't there, or not as it says.
    #[error(
        "{missing} data files that the catalog names are missing, {different} have another size, among them {example}"
    )]
    Files {
        /// How many aren't there.
        missing: usize,
        /// How many have another size.
        different: usize,
        /// One of them.
        example: String,
    },
    /// A catalog that can't be read.
    #[error("the catalog in the backup can't be read")]
    Unreadable(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// A data file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LakeFile {
    /// Where it lies below the lake's data.
    pub path: BackupPath,
    /// Its size.
    pub bytes: u64,
}

/// What a catalog says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CatalogContents {
    /// Its newest snapshot.
    pub head: SnapshotId,
    /// Its snapshots.
    pub snapshots: u64,
    /// Tables of the newest version, with the rows it counts.
    pub tables: Vec<TableRows>,
    /// Names and sizes of all files that any snapshot shows. No two files have one name.
    pub files: Vec<(String, u64)>,
}

/// A catalog that was copied.
pub struct CatalogCopy {
    /// What it says.
    pub contents: CatalogContents,
    /// The files that any of its snapshots shows.
    pub files: Vec<LakeFile>,
    /// The catalog: a DuckLake in a DuckDB file.
    pub content: Content,
}

impl std::fmt::Debug for CatalogCopy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CatalogCopy").field("contents", &self.contents).finish_non_exhaustive()
    }
}

/// Copies lakes out and in.
#[async_trait]
pub trait LakeArchive: Send + Sync {
    /// Copies a lake's catalog with all its snapshots, as of one moment. Fails if a file that it names isn't there.
    async fn export(&self, lake: LakeId) -> Result<CatalogCopy, ArchiveError>;
    /// A data file's bytes.
    async fn open_file(&self, lake: LakeId, path: &BackupPath) -> Result<Content, ArchiveError>;
    /// Puts a data file where nobody looks for it yet.
    async fn put_file(&self, lake: LakeId, path: &BackupPath, content: Content) -> Result<(), ArchiveError>;
    /// Puts a catalog in the place of an empty lake's; its files are there by then.
    async fn import(&self, lake: LakeId, catalog: Content) -> Result<(), ArchiveError>;
    /// Counts the rows of each table of the newest version, read from the files.
    async fn count(&self, lake: LakeId) -> Result<Vec<TableRows>, ArchiveError>;
}

/// Looks into catalogs of backups.
#[async_trait]
pub trait CatalogReader: Send + Sync {
    /// What a catalog says.
    async fn inspect(&self, catalog: Content) -> Result<CatalogContents, ArchiveError>;
}

/// Rows of one of the metadata's tables.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct ArchivedRows {
    /// The table.
    pub table: String,
    /// Its columns.
    pub columns: Vec<String>,
    /// Values in the order of the columns: texts, numbers, nulls, and bytes as `{"hex": "…"}`.
    pub rows: Vec<Vec<serde_json::Value>>,
}

/// Metadata of a project on its way out, as of one moment.
#[async_trait]
pub trait ArchiveReader: Send {
    /// The next rows; none at the end.
    async fn next(&mut self) -> Result<Option<ArchivedRows>, StoreError>;
}

/// How a project arrives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrival {
    /// The project it was.
    pub from: ProjectId,
    /// The project it becomes.
    pub name: ProjectId,
    /// Its lake.
    pub lake: LakeId,
    /// The lake of the project of that name that it takes the place of, if it does.
    pub replaces: Option<LakeId>,
}

/// What is told of an arrival in the same unit of work.
#[derive(Debug, Clone, PartialEq)]
pub struct Told {
    /// Its event.
    pub event: Event,
    /// Its audit entry.
    pub entry: AuditEntry,
}

/// Copies what is kept of projects beside their rows.
#[async_trait]
pub trait MetadataArchive: Send + Sync {
    /// The version of the tables.
    fn version(&self) -> i64;
    /// All rows of a project that it needs to live on.
    async fn export(&self, project: &ProjectId) -> Result<Box<dyn ArchiveReader>, StoreError>;
    /// Makes a project of these rows, in one unit of work. `AlreadyExists` when the name is in use, or its data isn't gone. Under
    /// another name, keys, webhooks and the past of the project that it was stay behind. What ties it to other projects waits
    /// for [`Self::relate`].
    async fn import(&self, arrival: &Arrival, rows: &[ArchivedRows], told: &Told) -> Result<(), StoreError>;
    /// Ties a project that arrived to those that are there: shares, grants, links.
    async fn relate(&self, arrival: &Arrival, rows: &[ArchivedRows]) -> Result<(), StoreError>;
}
