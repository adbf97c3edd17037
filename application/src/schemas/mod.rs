//! Schemas of the ontology: which one holds now, and where it comes from.

use std::fmt;
use std::sync::Arc;

use gadwall_domain::ontology::{OntologySchema, SchemaId, builtin};

use crate::error::UseCaseError;

/// Where a schema comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The ontology server, asked just now.
    Server,
    /// The ontology server, asked not long ago.
    Cache,
    /// The ontology server, asked long ago: it doesn't answer.
    Stale,
    /// Gadwall itself.
    Builtin,
}

impl Source {
    /// The word used in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Cache => "cache",
            Self::Stale => "stale",
            Self::Builtin => "builtin",
        }
    }
}

/// A schema that holds now.
#[derive(Debug, Clone)]
pub struct Resolved {
    /// Its id.
    pub id: SchemaId,
    /// The schema.
    pub schema: Arc<OntologySchema>,
    /// Its version: the one that it states, else the start of its digest.
    pub version: String,
    /// Where it comes from.
    pub source: Source,
}

/// The use cases of schemas.
pub struct Schemas {
    builtin: Resolved,
}

impl fmt::Debug for Schemas {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Schemas")
    }
}

impl Default for Schemas {
    fn default() -> Self {
        let (id, schema) = builtin();
        let version = schema.version.clone().unwrap_or_default();
        Self { builtin: Resolved { id, schema: Arc::new(schema), version, source: Source::Builtin } }
    }
}

impl Schemas {
    /// The schema that holds now.
    #[expect(clippy::unused_async, reason = "a server is asked")]
    pub async fn current(&self, id: &SchemaId) -> Result<Resolved, UseCaseError> {
        if *id == self.builtin.id { Ok(self.builtin.clone()) } else { Err(UseCaseError::NoSchema(id.clone())) }
    }
}
