//! The ontology that governs tables.

use async_trait::async_trait;
use serde_json::Value;
use thiserror::Error;

use crate::names::ProjectId;
use crate::ontology::{GovernedTable, KnownVersion, SchemaId, SchemaVersion};
use crate::ports::metadata::StoreError;
use crate::table::TableRef;

/// Largest document of a schema, in bytes.
pub const MAX_DOCUMENT: usize = 4 * 1024 * 1024;

/// A server of schemas.
#[async_trait]
pub trait SchemaRegistry: Send + Sync {
    /// The document of a schema, unless it is still the one of that tag.
    async fn fetch(&self, id: &SchemaId, known: Option<&str>) -> Result<Fetched, RegistryError>;

    /// Whether the server says that it is well.
    async fn health(&self) -> Result<(), RegistryError>;
}

/// What a server answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fetched {
    /// The document that the caller knows is still the one.
    Unchanged,
    /// A document.
    Document {
        /// What it says; nothing of it is checked.
        body: Value,
        /// Its tag (an HTTP `ETag`), to ask again with.
        tag: Option<String>,
    },
}

/// Why there is no document.
#[derive(Debug, Error)]
pub enum RegistryError {
    /// The server has no schema of that id.
    #[error("the ontology server has no schema of that id")]
    NotFound,
    /// It can't be reached, is too slow, or fails.
    #[error("the ontology server is unavailable")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// What it answers can't be a schema: not JSON, or larger than [`MAX_DOCUMENT`].
    #[error("the ontology server's answer can't be used: {0}")]
    Unusable(String),
}

/// What is kept of schemas, for when no server answers.
#[async_trait]
pub trait SchemaRepository: Send {
    /// Keeps a version that a server has: a new one, or one that was there before, which is then the last seen again, with
    /// this tag. Of that schema only the `keep` last seen ones stay.
    async fn record(&mut self, version: &SchemaVersion, keep: u32) -> Result<(), StoreError>;
    /// The last seen version of a schema.
    async fn latest(&mut self, id: &SchemaId) -> Result<Option<SchemaVersion>, StoreError>;
    /// The last seen version of a schema that has that version or digest.
    async fn find(&mut self, id: &SchemaId, name: &str) -> Result<Option<SchemaVersion>, StoreError>;
    /// The versions of a schema, the last seen first.
    async fn versions(&mut self, id: &SchemaId) -> Result<Vec<KnownVersion>, StoreError>;
    /// The last seen version of each schema, by id.
    async fn list(&mut self, limit: u32) -> Result<Vec<KnownVersion>, StoreError>;
    /// Notes that a table follows a schema, in the place of what was noted of it.
    async fn govern(&mut self, table: &GovernedTable) -> Result<(), StoreError>;
    /// What was noted of a table.
    async fn governed(&mut self, project: &ProjectId, table: &TableRef) -> Result<Option<GovernedTable>, StoreError>;
    /// Forgets what was noted of a project's tables: of one, or of all.
    async fn release(&mut self, project: &ProjectId, table: Option<&TableRef>) -> Result<(), StoreError>;
}
