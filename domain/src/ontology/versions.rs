//! What is kept of schemas: the versions that a server had, and which tables follow which.

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::SchemaId;
use crate::ids::SnapshotId;
use crate::names::ProjectId;
use crate::table::TableRef;

/// A version of a schema that a server had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaVersion {
    /// Which schema.
    pub id: SchemaId,
    /// Its version: the one that the document states, else the start of its digest.
    pub version: String,
    /// The digest of the document, which tells versions apart.
    pub digest: String,
    /// The document.
    pub document: Value,
    /// Its tag, to ask the server with.
    pub tag: Option<String>,
    /// When the server had it first.
    pub first_seen: DateTime<Utc>,
    /// When the server had it last.
    pub last_seen: DateTime<Utc>,
}

/// A version of a schema without its document, which may be large.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownVersion {
    /// Which schema.
    pub id: SchemaId,
    /// Its version.
    pub version: String,
    /// The digest of its document.
    pub digest: String,
    /// When the server had it first.
    pub first_seen: DateTime<Utc>,
    /// When the server had it last.
    pub last_seen: DateTime<Utc>,
}

impl From<SchemaVersion> for KnownVersion {
    fn from(version: SchemaVersion) -> Self {
        let SchemaVersion { id, version, digest, first_seen, last_seen, .. } = version;
        Self { id, version, digest, first_seen, last_seen }
    }
}

/// A table that follows a schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GovernedTable {
    /// Whose table.
    pub project: ProjectId,
    /// Which.
    pub table: TableRef,
    /// Which schema.
    pub schema: SchemaId,
    /// The version that it was made or changed to.
    pub version: String,
    /// The snapshot in which that was done.
    pub snapshot: SnapshotId,
    /// When.
    pub applied_at: DateTime<Utc>,
}
