//! Views: queries that have a name and are read like tables.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::ids::SnapshotId;
use crate::table::TableRef;

/// A column of a view.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ViewColumn {
    /// Its name.
    pub name: String,
    /// Its type, as the engine spells it.
    pub data_type: String,
}

/// A view that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    /// Its name: tables and views of a bucket share theirs.
    pub name: TableRef,
    /// The query, as its author wrote it.
    pub query: String,
    /// What it is for.
    pub comment: Option<String>,
    /// Its columns when it was made.
    pub columns: Vec<ViewColumn>,
    /// The snapshot that made it as it is.
    pub snapshot: SnapshotId,
    /// When that was; unknown once that snapshot is no longer kept.
    pub changed_at: Option<DateTime<Utc>>,
}

/// A view that is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ViewDefinition {
    /// Its name. Names without a bucket mean those of its bucket.
    pub name: TableRef,
    /// The query, as its author wrote it.
    pub query: String,
    /// What it is for.
    pub comment: Option<String>,
}
