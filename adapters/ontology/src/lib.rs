//! Schemas of an ontology server, over HTTP; and of a folder, for a small server of our own.
//!
//! Nothing that the server does takes longer than the timeout, is followed to another server, or takes more memory than a
//! document may have. What may have been a passing fault is tried again within that time.
#![deny(missing_docs)]

mod fetch;
mod folder;
#[cfg(test)]
mod tests;

use std::time::Duration;

use async_trait::async_trait;
use gadwall_domain::ontology::SchemaId;
use gadwall_domain::ports::ontology::{Fetched, RegistryError, SchemaRegistry};
use thiserror::Error;

use fetch::Fetcher;
pub use folder::FolderRegistry;

/// A server of schemas.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OntologyConfig {
    /// Its address; `/schemas/{id}` and `/health` come after it.
    pub url: String,
    /// Longest time for an answer, to the last byte, with all that is tried again.
    pub timeout: Duration,
}

/// Nobody can be asked.
#[derive(Debug, Error)]
#[error("the client for the ontology server can't be made")]
pub struct OntologyOpenError(#[source] reqwest::Error);

/// Asks one server.
#[derive(Debug)]
pub struct HttpRegistry(Fetcher);

impl HttpRegistry {
    /// Gets ready. Asks nothing yet.
    pub fn new(config: &OntologyConfig) -> Result<Self, OntologyOpenError> {
        Fetcher::new(config).map(Self).map_err(OntologyOpenError)
    }
}

#[async_trait]
impl SchemaRegistry for HttpRegistry {
    async fn fetch(&self, id: &SchemaId, known: Option<&str>) -> Result<Fetched, RegistryError> {
        self.0.document(id, known).await
    }

    async fn health(&self) -> Result<(), RegistryError> {
        self.0.health().await
    }
}
