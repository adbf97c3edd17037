//! What is written to a lake, and how that can fail.

use std::sync::Arc;

use thiserror::Error;

use super::LakeError;
use crate::alteration::{Alteration, AlterationError};
use crate::commit::RowCounts;
use crate::contract::{Breach, HeldContract};
use crate::filter::{Assignment, Filter};
use crate::history::{Expected, TableVersion};
use crate::ids::SnapshotId;
use crate::layout::Layout;
use crate::names::{BucketName, TableName};
use crate::rows::{RowSource, RowsError, Violations};
use crate::schema::TableSchema;
use crate::table::TableRef;

/// Why a write wasn't committed. Nothing of it is visible.
#[derive(Debug, Error)]
pub enum WriteError {
    /// The bucket is there already.
    #[error("the bucket exists")]
    BucketExists,
    /// No such bucket. Only said of what happens in a bucket as a whole: dropping it, making a table in it, bringing
    /// one back. Any other write to a table says [`WriteError::NoTable`].
    #[error("no such bucket")]
    NoBucket,
    /// The bucket holds tables and the write said not to drop them.
    #[error("the bucket is not empty")]
    BucketNotEmpty,
    /// The table is there already.
    #[error("the table exists")]
    TableExists,
    /// A view has that name.
    #[error("a view has that name")]
    ViewExists,
    /// No such view.
    #[error("no such view")]
    NoView,
    /// No such table; or none in the snapshot that it is to be taken from.
    #[error("no such table")]
    NoTable,
    /// The table's columns are not those that the write was made for.
    #[error("the table changed in between")]
    TableChanged,
    /// The table isn't of the version that the caller expects.
    #[error("the table is of another version")]
    NotExpected {
        /// The version it is of.
        found: TableVersion,
    },
    /// The write needs a primary key and the table has none.
    #[error("the table has no primary key")]
    NoKey,
    /// A condition or a new value doesn't fit its column: there is none of that name, the text isn't a value of its
    /// type without loss (`1.5` is no `INTEGER`), it is too long, or NULL where that may not be.
    #[error("{0}")]
    BadFilter(String),
    /// The table can't be changed so.
    #[error(transparent)]
    Alteration(#[from] AlterationError),
    /// No such snapshot, or it is no longer kept.
    #[error("no such snapshot")]
    NoSnapshot,
    /// A file that should become part of the table can't.
    #[error("file {file} {reason}")]
    BadFile {
        /// Which file, by the name its owner knows.
        file: String,
        /// What is wrong with it.
        reason: String,
    },
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
    /// The table would not be what its contract promises.
    #[error("the table's contract is broken")]
    Contract(Vec<Breach>),
    /// The lake itself failed.
    #[error(transparent)]
    Lake(#[from] LakeError),
}

/// What happens to the rows that are there, and to those that share a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LoadMode {
    /// Rows are added; a key that is there already refuses them all.
    #[default]
    Append,
    /// A row takes the place of the one with its key, as a whole: columns that aren't mentioned get their defaults.
    /// Within the request the last one wins, but all must fit the table.
    Upsert,
    /// The rows take the place of all that are there. Keys must be unique within the request.
    Replace,
}

impl LoadMode {
    /// The word used in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Append => "append",
            Self::Upsert => "upsert",
            Self::Replace => "replace",
        }
    }

    /// The mode of that word.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Append, Self::Upsert, Self::Replace].into_iter().find(|mode| mode.as_str() == word)
    }
}

/// A change to commit.
///
/// Loads, deletes and updates that touch no row make no snapshot: they are answered with the newest one and no
/// counts. Any other write makes one, even if nothing is different afterwards.
///
/// A write fails with the first of these that holds: its rows can't be read or don't fit the schema it brings (with
/// keys that come twice in it), there is no such table or name to be had, it isn't [`Expected`], its columns aren't those
/// of the schema (`TableChanged`: names, types without lengths, nullability), the change itself is refused. The key is the
/// caller's to know: [`Expected::schema`] makes sure that it is still the table's.
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
        /// How its files are laid out.
        layout: Layout,
    },
    /// Drop a table.
    DropTable {
        /// Which.
        table: TableRef,
        /// What the caller expects it to be.
        expected: Expected,
    },
    /// Put rows in, all or none.
    Load {
        /// Into which table.
        table: TableRef,
        /// The table's columns and key as the caller knows them.
        schema: TableSchema,
        /// What happens to the rows that are there.
        mode: LoadMode,
        /// The rows.
        rows: RowSource,
        /// What the caller expects the table to be.
        expected: Expected,
    },
    /// Delete rows. Recorded as truncated without a filter.
    Delete {
        /// From which table.
        table: TableRef,
        /// The table's columns and key as the caller knows them.
        schema: TableSchema,
        /// Which rows; all without (the table is truncated).
        filter: Option<Filter>,
        /// What the caller expects the table to be.
        expected: Expected,
    },
    /// Change rows. The table's rules hold for the new values, too: those of the values make it `BadFilter` (whether or
    /// not a row is meant), those of the key `DuplicateKeys`. Every row that is meant counts, different or not.
    Update {
        /// In which table.
        table: TableRef,
        /// The table's columns and key as the caller knows them.
        schema: TableSchema,
        /// Which rows; all without.
        filter: Option<Filter>,
        /// The new values. Never empty.
        set: Vec<Assignment>,
        /// What the caller expects the table to be.
        expected: Expected,
    },
    /// Change the table's shape. What the rows hold decides as well: `HasNulls`, `NeedsDefault`, `DuplicateKeys`. A
    /// default that isn't a value of its column is `SchemaError::Default`, a layout that can't be had
    /// `AlterationError::Layout`.
    Alter {
        /// Which table.
        table: TableRef,
        /// The table's columns and key as the caller knows them.
        schema: TableSchema,
        /// How.
        alteration: Alteration,
        /// What the caller expects the table to be.
        expected: Expected,
    },
    /// Give a table another name in its bucket: one that isn't taken, not even by itself in another case.
    RenameTable {
        /// Which table.
        table: TableRef,
        /// Its new name.
        to: TableName,
        /// What the caller expects the table to be.
        expected: Expected,
    },
    /// Make a table what it was: its columns, key, rows, layout and comments. It is the same table if it had another
    /// name then; if it wasn't there yet, the one that had its name. All rows count, those before as deleted and those
    /// since as inserted.
    Restore {
        /// Which table.
        table: TableRef,
        /// As it was in this snapshot.
        from: SnapshotId,
        /// Its columns and key then.
        schema: TableSchema,
        /// What the caller expects the table to be now.
        expected: Expected,
    },
    /// Bring back a table that was dropped, into a bucket that is there.
    Undelete {
        /// Which table; nothing may have its name now.
        table: TableRef,
        /// As it was in this snapshot.
        from: SnapshotId,
        /// Its columns and key then.
        schema: TableSchema,
    },
    /// Make Parquet files that lie in the project's dataset area part of a table, where they are.
    RegisterFiles {
        /// Of which table.
        table: TableRef,
        /// The table's columns and key as the caller knows them.
        schema: TableSchema,
        /// The files.
        files: Vec<EngineFile>,
        /// What the caller expects the table to be.
        expected: Expected,
    },
}

impl LakeWrite {
    /// What it does, in a word for figures.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::CreateBucket { .. } => "create_bucket",
            Self::DropBucket { .. } => "drop_bucket",
            Self::CreateTable { .. } => "create_table",
            Self::DropTable { .. } => "drop_table",
            Self::Load { mode: LoadMode::Append, .. } => "append",
            Self::Load { mode: LoadMode::Upsert, .. } => "upsert",
            Self::Load { mode: LoadMode::Replace, .. } => "replace",
            Self::Delete { .. } => "delete",
            Self::Update { .. } => "update",
            Self::Alter { .. } => "alter_table",
            Self::RenameTable { .. } => "rename_table",
            Self::Restore { .. } => "restore_table",
            Self::Undelete { .. } => "undelete_table",
            Self::RegisterFiles { .. } => "register_files",
        }
    }

    /// The word that events have for what it changes.
    pub fn event_type(&self) -> &'static str {
        match self {
            Self::CreateBucket { .. } => "bucket.created",
            Self::DropBucket { .. } => "bucket.deleted",
            Self::CreateTable { .. } => "table.created",
            Self::DropTable { .. } => "table.deleted",
            Self::Load { mode, .. } => Self::load_event(*mode),
            Self::Delete { .. } => "rows.deleted",
            Self::Update { .. } => "rows.updated",
            Self::Alter { .. } => "table.altered",
            Self::RenameTable { .. } => "table.renamed",
            Self::Restore { .. } => "table.restored",
            Self::Undelete { .. } => "table.undeleted",
            Self::RegisterFiles { .. } => "files.registered",
        }
    }

    /// The same of rows that come in one of these ways.
    pub fn load_event(mode: LoadMode) -> &'static str {
        match mode {
            LoadMode::Append => "rows.appended",
            LoadMode::Upsert => "rows.upserted",
            LoadMode::Replace => "rows.replaced",
        }
    }

    /// Makes a table whose files lie as they come.
    pub fn create_table(table: TableRef, schema: TableSchema) -> Self {
        Self::CreateTable { table, schema, layout: Layout::default() }
    }

    /// Drops a table, whatever version it is of.
    pub fn drop_table(table: TableRef) -> Self {
        Self::DropTable { table, expected: Expected::ANY }
    }

    /// Adds rows to a table, whatever version its rows are of.
    pub fn append(table: TableRef, schema: TableSchema, rows: RowSource) -> Self {
        Self::Load { table, schema, mode: LoadMode::Append, rows, expected: Expected::ANY }
    }

    /// The table whose contract it is held to, and that contract as the caller knows it; none where it brings no rows.
    pub fn held(&self) -> Option<(&TableRef, Option<&Arc<HeldContract>>)> {
        match self {
            Self::Load { table, schema, .. }
            | Self::Delete { table, schema, .. }
            | Self::Update { table, schema, .. }
            | Self::Restore { table, schema, .. }
            | Self::RegisterFiles { table, schema, .. }
            | Self::Alter { table, schema, .. } => Some((table, schema.contract())),
            _ => None,
        }
    }

    /// The table it is about, if it is about one.
    pub fn table(&self) -> Option<&TableRef> {
        match self {
            Self::CreateBucket { .. } | Self::DropBucket { .. } => None,
            Self::CreateTable { table, .. }
            | Self::DropTable { table, .. }
            | Self::Load { table, .. }
            | Self::Delete { table, .. }
            | Self::Update { table, .. }
            | Self::Alter { table, .. }
            | Self::RenameTable { table, .. }
            | Self::Restore { table, .. }
            | Self::Undelete { table, .. }
            | Self::RegisterFiles { table, .. } => Some(table),
        }
    }
}

/// A file that the engine can read by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineFile {
    /// Where the engine finds it. Never shown to users.
    pub location: String,
    /// The name its owner knows.
    pub name: String,
}

/// A write that is durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Committed {
    /// The snapshot it stands in.
    pub snapshot: SnapshotId,
    /// The rows it touched.
    pub rows: RowCounts,
}

/// Rows to be deleted for good: those that the filter means, in the newest version or any older one, with all
/// that they ever were.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Purge {
    /// From which table.
    pub table: TableRef,
    /// The table's columns and key as the caller knows them.
    pub schema: TableSchema,
    /// Which rows; all without.
    pub filter: Option<Filter>,
}

/// What a purge did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PurgeReport {
    /// Rows that were deleted from the newest version.
    pub rows: u64,
    /// The newest snapshot after it.
    pub snapshot: SnapshotId,
    /// Snapshots that showed the rows (or whose files held them) and are gone, oldest first.
    pub expired: Vec<SnapshotId>,
    /// Data files that held the rows and were deleted from storage.
    pub files_deleted: u64,
    /// Data files written anew without the rows.
    pub files_rewritten: u64,
    /// Bytes of the deleted files.
    pub bytes_deleted: u64,
}

/// Why a purge wasn't done, or not to its end.
#[derive(Debug, Error)]
pub enum PurgeError {
    /// A snapshot that shows the rows is held by a tag.
    #[error("snapshot {0} shows the rows and is held")]
    Held(SnapshotId),
    /// The write failed.
    #[error(transparent)]
    Write(#[from] WriteError),
}
