//! Results that are fetched after their query has ended.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use thiserror::Error;
use uuid::Uuid;

use crate::error::{Classify, ErrorKind};
use crate::ids::{LakeId, QueryId, SnapshotId};
use crate::query::QueryError;
use crate::query_record::QueryRecord;
use crate::rows::RowStream;

/// What is kept of a query beside its result. There is one from before it runs until its result is forgotten, so that
/// none is lost where the service stops in between.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResultNote {
    /// Under which its project's data lies.
    pub lake: LakeId,
    /// The query. In a state that isn't final, its end is not known.
    pub query: QueryRecord,
    /// The snapshot that was read, once that is known.
    pub snapshot: Option<SnapshotId>,
    /// Its failure, as it was told then; none unless it failed.
    pub failure: Option<Value>,
    /// The life of the server that runs it, or did. That of notes that don't say is over.
    #[serde(default)]
    pub instance: Uuid,
}

/// Why a result can't be kept or read.
#[derive(Debug, Error)]
pub enum ResultError {
    /// The query itself failed.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// The project's results would take more room than they may.
    #[error("the results kept for this project would take more than {limit} bytes; delete some, or select less")]
    LimitReached {
        /// The limit, in bytes.
        limit: u64,
    },
    /// The storage is full.
    #[error("the storage is full")]
    StorageFull,
    /// The storage can't be reached, or refuses us; later it may not.
    #[error("the storage of results is not available; try again later")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A fault on our side.
    #[error("a result could not be kept or read")]
    Fault(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl Classify for ResultError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Query(error) => error.kind(),
            Self::LimitReached { .. } => ErrorKind::Unprocessable,
            Self::StorageFull | Self::Unavailable(_) => ErrorKind::Unavailable,
            Self::Fault(_) => ErrorKind::Internal,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Query(error) => error.code(),
            Self::LimitReached { .. } => "result_limit_reached",
            Self::StorageFull => "storage_full",
            Self::Unavailable(_) => "storage_unavailable",
            Self::Fault(_) => "internal_error",
        }
    }

    fn details(&self) -> Option<Value> {
        match self {
            Self::Query(error) => error.details(),
            Self::LimitReached { limit } => Some(serde_json::json!({ "limit_bytes": limit })),
            Self::StorageFull | Self::Unavailable(_) | Self::Fault(_) => None,
        }
    }
}

/// Keeps results, each with a note.
#[async_trait]
pub trait ResultStore: Send + Sync {
    /// Keeps a note, in place of the one that there was.
    async fn keep_note(&self, note: &ResultNote) -> Result<(), ResultError>;

    /// A query's note.
    async fn note(&self, lake: LakeId, query: QueryId) -> Result<Option<ResultNote>, ResultError>;

    /// Keeps a result whole, or nothing of it. All results of a lake together take at most `limit` bytes.
    async fn put(&self, lake: LakeId, query: QueryId, rows: RowStream, limit: u64) -> Result<(), ResultError>;

    /// A result's rows. Who reads them may read on when it is deleted.
    async fn open(&self, lake: LakeId, query: QueryId) -> Result<Option<RowStream>, ResultError>;

    /// Deletes a result and its note; `false` when there was no note.
    async fn delete(&self, lake: LakeId, query: QueryId) -> Result<bool, ResultError>;

    /// Bytes of a lake's results, where that is known.
    async fn size(&self, lake: LakeId) -> Result<Option<u64>, ResultError>;

    /// Deletes all of a lake; answers how many bytes there were.
    async fn remove_all(&self, lake: LakeId) -> Result<u64, ResultError>;

    /// The notes of queries whose end is not known.
    async fn unfinished(&self) -> Result<Vec<ResultNote>, ResultError>;

    /// Deletes the results of queries that ended before; answers how many.
    async fn sweep(&self, before: DateTime<Utc>) -> Result<u64, ResultError>;
}
