//! A server of schemas in memory.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use gadwall_domain::ontology::SchemaId;
use gadwall_domain::ports::ontology::{Fetched, RegistryError, SchemaRegistry};
use serde_json::Value;

use super::contract::registry::Feed;

#[derive(Debug, Default)]
struct State {
    schemas: BTreeMap<String, (Value, String)>,
    fails: bool,
    published: u32,
    asked: usize,
}

/// Schemas in memory.
#[derive(Debug, Default)]
pub struct MemoryRegistry(Mutex<State>);

impl MemoryRegistry {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Serves a document under an id; none ends it.
    pub fn serve(&self, id: &str, document: Option<Value>) {
        let mut state = self.lock();
        state.published += 1;
        let tag = format!("\"{}\"", state.published);
        match document {
            Some(document) => state.schemas.insert(id.to_owned(), (document, tag)),
            None => state.schemas.remove(id),
        };
    }

    /// Fails, or works again.
    pub fn set_failing(&self, fails: bool) {
        self.lock().fails = fails;
    }

    /// How often it was asked for a schema.
    pub fn asked(&self) -> usize {
        self.lock().asked
    }
}

#[async_trait]
impl Feed for MemoryRegistry {
    async fn publish(&self, id: &str, document: Option<Value>) {
        self.serve(id, document);
    }

    async fn fail(&self, fails: bool) {
        self.set_failing(fails);
    }
}

#[async_trait]
impl SchemaRegistry for MemoryRegistry {
    async fn fetch(&self, id: &SchemaId, known: Option<&str>) -> Result<Fetched, RegistryError> {
        let mut state = self.lock();
        state.asked += 1;
        if state.fails {
            return Err(RegistryError::Unavailable("it fails".into()));
        }
        let (body, tag) = state.schemas.get(id.as_str()).ok_or(RegistryError::NotFound)?;
        if known == Some(tag.as_str()) {
            return Ok(Fetched::Unchanged);
        }
        Ok(Fetched::Document { body: body.clone(), tag: Some(tag.clone()) })
    }

    async fn health(&self) -> Result<(), RegistryError> {
        if self.lock().fails { Err(RegistryError::Unavailable("it fails".into())) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::testing::contract::registry::Fed;

    fn fresh() -> (Fed, ()) {
        let registry = Arc::new(MemoryRegistry::default());
        ((Arc::clone(&registry) as _, registry), ())
    }

    crate::registry_contract!(fresh());
}
