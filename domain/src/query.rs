//! Queries: what is asked, and how it can fail.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use thiserror::Error;

use crate::error::{Classify, ErrorKind};
use crate::history::ReadAt;
use crate::ids::{LakeId, SnapshotId};
use crate::names::BucketName;
use crate::ports::lake::EngineFile;
use crate::query_figures::FiguresLater;
use crate::quota::QuotaExceeded;
use crate::rows::RowStream;
use crate::table::TableRef;

/// What a caller may read, settled by authorisation before the query is parsed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadScope {
    /// The project's lake.
    pub lake: LakeId,
    /// The one bucket it is limited to, if any.
    pub only_bucket: Option<BucketName>,
    /// The version that is read.
    pub at: ReadAt,
    /// The files that the statements' paths mean.
    pub files: NamedFiles,
    /// Other projects' buckets, under the names that they have here. Such a name hides a bucket of the project's own.
    pub links: Vec<Linked>,
}

/// Another project's bucket, as far as it may be read now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Linked {
    /// Its name here.
    pub name: BucketName,
    /// What is read; none where nothing may be read any more. Then the name alone is taken.
    pub source: Option<LinkedSource>,
}

/// What a link shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkedSource {
    /// The lake of the project that owns it.
    pub lake: LakeId,
    /// Its name there.
    pub bucket: BucketName,
    /// The version that is read. Settled before the query runs, so that it is known what an answer depends on.
    pub at: SnapshotId,
    /// Whether the link shows this version alone.
    pub pinned: bool,
}

impl ReadScope {
    /// All of a lake in a version, without files and links.
    pub fn of(lake: LakeId, at: ReadAt) -> Self {
        Self { lake, only_bucket: None, at, files: NamedFiles::default(), links: Vec::new() }
    }

    /// Whether it is about the lake alone: no files, and nothing of other projects.
    pub fn is_of_lake_alone(&self) -> bool {
        self.links.is_empty() && self.files.0.is_empty()
    }

    /// The link of that name.
    pub fn link(&self, bucket: &BucketName) -> Option<&Linked> {
        self.links.iter().find(|link| link.name == *bucket)
    }
}

/// Paths of files as a statement writes them, and the files of the caller's datasets that they mean. No other file
/// can be read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NamedFiles(Arc<BTreeMap<String, Vec<EngineFile>>>);

impl NamedFiles {
    /// These paths mean these files.
    pub fn new(files: BTreeMap<String, Vec<EngineFile>>) -> Self {
        Self(Arc::new(files))
    }

    /// What a path means.
    pub fn get(&self, path: &str) -> Option<&[EngineFile]> {
        self.0.get(path).map(Vec::as_slice)
    }

    /// All files.
    pub fn all(&self) -> impl Iterator<Item = &EngineFile> {
        self.0.values().flatten()
    }
}

/// Values for a query's placeholders.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Parameters {
    /// None given.
    #[default]
    None,
    /// For `?` and `$1`, `$2`, …, in order.
    Positional(Vec<Value>),
    /// For `$name`. Names that the query doesn't use are ignored.
    Named(Vec<(String, Value)>),
}

/// A query to run.
#[derive(Debug, Clone, PartialEq)]
pub struct Query {
    /// One read-only statement.
    pub sql: String,
    /// Its parameters.
    pub parameters: Parameters,
    /// A table whose name may be used without its bucket (short routes).
    pub default_bucket: Option<BucketName>,
    /// When to give up.
    pub timeout: Duration,
}

/// A running query's result.
#[derive(Debug)]
pub struct QueryOutput {
    /// The rows.
    pub rows: RowStream,
    /// The snapshot they are from.
    pub snapshot: SnapshotId,
    /// Whether the same query gives the same rows as long as nothing is committed: no clock, no chance.
    pub deterministic: bool,
    /// The tables that it reads through links, by the names that they have there.
    pub linked: Vec<TableRef>,
    /// What it took, once the last row was read.
    pub figures: FiguresLater,
}

/// Why a query was not answered.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum QueryError {
    /// Syntax, unknown column, failed conversion: the statement is wrong.
    #[error("{0}")]
    Sql(String),
    /// The statement asks for something that no caller, or not this one, may do.
    #[error("{what} is not allowed; {hint}")]
    Forbidden {
        /// What was refused.
        what: String,
        /// What to do instead.
        hint: String,
    },
    /// The statement may be harmless, but Gadwall doesn't take it here.
    #[error("{what} is not supported here; {hint}")]
    Unsupported {
        /// What was refused.
        what: String,
        /// What to do instead.
        hint: String,
    },
    /// A name that the caller can't see.
    #[error("no table {name}{}", suggest(.candidates))]
    UnknownTable {
        /// As it was written.
        name: String,
        /// Names like it that the caller can see.
        candidates: Vec<String>,
    },
    /// The version asked for isn't there, or is no longer kept.
    #[error("there is no snapshot {0}, or it is no longer kept")]
    NoSnapshot(SnapshotId),
    /// The statement is too long or nested too deeply.
    #[error("the statement is too large: {0}")]
    TooLarge(String),
    /// The deadline passed.
    #[error("the query ran longer than its limit of {} ms and was stopped", .0.as_millis())]
    Timeout(Duration),
    /// It was cancelled.
    #[error("the query was cancelled")]
    Cancelled,
    /// It needs more memory than it may have.
    #[error("the query needs more memory than it may use; select less at a time")]
    OutOfMemory,
    /// Too many queries wait already.
    #[error("too many queries are waiting; try again shortly")]
    Busy,
    /// The project may not run more.
    #[error(transparent)]
    Quota(#[from] QuotaExceeded),
    /// The engine failed too often and is left alone for now.
    #[error("queries are temporarily unavailable, because the engine failed too often; try again later")]
    CircuitOpen {
        /// When to try again.
        retry_after: Duration,
    },
    /// The lakes' catalogs could not be reached too often and are left alone for now.
    #[error("the project's lake could not be reached too often; try again later")]
    CatalogLeftAlone {
        /// When to try again.
        retry_after: Duration,
    },
    /// The lake can't be had; the text is for the log.
    #[error("the project's lake can't be opened")]
    LakeUnavailable(String),
    /// The lake's catalog or its data can't be reached; the text is for the log.
    #[error("the project's lake can't be reached; try again shortly")]
    LakeAway(String),
    /// There is no room for what doesn't fit in memory; the text is for the log.
    #[error("storage is full")]
    StorageFull(String),
    /// The engine or its storage failed; the text is for the log.
    #[error("the query engine failed")]
    Engine(String),
}

fn suggest(candidates: &[String]) -> String {
    if candidates.is_empty() { String::new() } else { format!("; did you mean {}?", candidates.join(", ")) }
}

impl Classify for QueryError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Sql(_) | Self::UnknownTable { .. } => ErrorKind::Invalid,
            Self::Forbidden { .. } => ErrorKind::Forbidden,
            Self::NoSnapshot(_) => ErrorKind::NotFound,
            Self::Unsupported { .. } => ErrorKind::Unprocessable,
            Self::TooLarge(_) => ErrorKind::TooLarge,
            Self::Timeout(_) => ErrorKind::Timeout,
            Self::Cancelled
            | Self::OutOfMemory
            | Self::Busy
            | Self::CircuitOpen { .. }
            | Self::CatalogLeftAlone { .. }
            | Self::LakeUnavailable(_)
            | Self::LakeAway(_) => ErrorKind::Unavailable,
            Self::StorageFull(_) => ErrorKind::StorageFull,
            Self::Quota(error) => error.kind(),
            Self::Engine(_) => ErrorKind::Internal,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Sql(_) | Self::UnknownTable { .. } => "sql_error",
            Self::Forbidden { .. } => "statement_forbidden",
            Self::NoSnapshot(_) => "snapshot_not_found",
            Self::Unsupported { .. } => "statement_unsupported",
            Self::TooLarge(_) => "statement_too_large",
            Self::LakeUnavailable(_) | Self::LakeAway(_) | Self::CatalogLeftAlone { .. } => "lake_unavailable",
            Self::StorageFull(_) => "storage_full",
            Self::Timeout(_) => "query_timeout",
            Self::Cancelled => "query_cancelled",
            Self::OutOfMemory => "out_of_memory",
            Self::Busy => "too_many_queries",
            Self::CircuitOpen { .. } => "circuit_open",
            Self::Quota(error) => error.code(),
            Self::Engine(_) => "internal_error",
        }
    }

    fn details(&self) -> Option<Value> {
        match self {
            Self::UnknownTable { name, candidates } => Some(json!({ "table": name, "candidates": candidates })),
            Self::Quota(error) => error.details(),
            _ => None,
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::CircuitOpen { retry_after } | Self::CatalogLeftAlone { retry_after } => Some(*retry_after),
            Self::Quota(error) => error.retry_after(),
            _ => None,
        }
    }
}
