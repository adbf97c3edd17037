//! Schemas of the ontology: which one holds now, and where it comes from.
//!
//! What was fetched holds for a while; after that it still does, while the server is asked beside the request. A server
//! that fails is left alone for some time. What stands in for its answer is never taken for it: the server is asked again as
//! soon as it may be.

mod known;
mod remote;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use gadwall_domain::access::Scope;
use gadwall_domain::names::ProjectId;
use gadwall_domain::ontology::{
    DocumentError, KnownVersion, OntologySchema, SchemaId, SchemaVersion, builtin, builtin_document,
};
use gadwall_domain::ports::background::Background;
use gadwall_domain::ports::metadata::MetadataStore;
use gadwall_domain::ports::ontology::SchemaRegistry;
use gadwall_domain::ports::system::Clock;
use serde_json::Value;
use thiserror::Error;

use crate::access::Access;
use crate::breaker::Breaker;
use crate::caller::Caller;
use crate::error::UseCaseError;
use known::Known;
use remote::Remote;

/// Most schemas that are listed.
const MAX_LISTED: u32 = 1_000;

/// Where a schema comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The ontology server, asked just now.
    Server,
    /// The ontology server, asked not long ago.
    Cache,
    /// The ontology server, asked long ago: it doesn't answer, or not yet.
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
    /// When the server was seen to have it; never for a built-in one.
    pub seen_at: Option<DateTime<Utc>>,
    /// Why it isn't the server's of now, if the server was asked.
    pub problem: Option<String>,
}

/// Why the server gave no schema.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Failure {
    /// It has none of that id.
    #[error("the ontology server has no schema of that id")]
    NotFound,
    /// It can't be asked, or doesn't answer.
    #[error("the ontology server is unavailable: {0}")]
    Away(String),
    /// It failed too often and is left alone.
    #[error("the ontology server failed too often and is left alone for {}s", .0.as_secs().max(1))]
    LeftAlone(Duration),
    /// What it answers can't be used.
    #[error("the ontology server's answer can't be used: {0}")]
    Unusable(String),
    /// What it answers is no schema.
    #[error("the ontology server's document is not a schema: {0}")]
    Invalid(DocumentError),
}

/// How long what was fetched is good for.
#[derive(Debug, Clone, Copy)]
pub struct SchemaTimes {
    /// So long it holds without the server being asked.
    pub fresh_for: TimeDelta,
    /// So long it stands in for a server that doesn't answer.
    pub stale_for: TimeDelta,
}

/// A server, and what is needed to get along with it.
pub struct SchemaServer {
    /// The server.
    pub registry: Arc<dyn SchemaRegistry>,
    /// Says when to leave it alone.
    pub breaker: Arc<Breaker>,
    /// Asks it beside requests.
    pub background: Arc<dyn Background>,
    /// How long its answers are good for.
    pub times: SchemaTimes,
}

impl fmt::Debug for SchemaServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SchemaServer").field("times", &self.times).finish_non_exhaustive()
    }
}

/// The use cases of schemas.
pub struct Schemas {
    builtin: Resolved,
    /// None where built-in schemas stand in for the server.
    remote: Option<Arc<Remote>>,
    store: Arc<dyn MetadataStore>,
    access: Arc<Access>,
    clock: Arc<dyn Clock>,
}

impl fmt::Debug for Schemas {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Schemas")
    }
}

impl Schemas {
    /// Those of a server; without one, the built-in ones alone.
    pub fn new(
        store: Arc<dyn MetadataStore>,
        access: Arc<Access>,
        clock: Arc<dyn Clock>,
        server: Option<SchemaServer>,
    ) -> Self {
        let (id, schema) = builtin();
        let version = schema.version.clone().unwrap_or_default();
        let schema = Arc::new(schema);
        let builtin = Resolved { id, schema, version, source: Source::Builtin, seen_at: None, problem: None };
        let remote = server.map(|server| Remote::new(server, Arc::clone(&store), Arc::clone(&clock)));
        Self { builtin, remote, store, access, clock }
    }

    /// The id of the schema that is there without a server.
    pub fn builtin_id(&self) -> &SchemaId {
        &self.builtin.id
    }

    /// The schema that is there without a server.
    pub fn builtin(&self) -> &OntologySchema {
        &self.builtin.schema
    }

    /// The schema that holds now. Only one of which nothing is known waits for the server.
    pub async fn current(&self, id: &SchemaId) -> Result<Resolved, UseCaseError> {
        let Some(remote) = &self.remote else { return self.without_server(id) };
        let now = self.clock.now();
        match remote.known(id).await {
            Some(known) if remote.is_fresh(&known, now) => Ok(resolved(id, &known, Source::Cache, None)),
            Some(known) if remote.may_stand_in(&known, now) => {
                let problem = remote.failed_lately(id, now);
                if problem.is_none() {
                    remote.refresh_beside(id);
                }
                Ok(resolved(id, &known, Source::Stale, problem))
            }
            _ => match remote.failed_lately(id, now) {
                // Who failed a moment ago isn't waited for again.
                Some(failure) => self.instead(id, None, failure),
                None => self.fresh(id).await,
            },
        }
    }

    /// The schema that the server has now, or what stands in for it.
    pub async fn fresh(&self, id: &SchemaId) -> Result<Resolved, UseCaseError> {
        let Some(remote) = &self.remote else { return self.without_server(id) };
        match remote.refresh(id).await {
            Ok(known) => Ok(resolved(id, &known, Source::Server, None)),
            Err(failure) => {
                let known = remote.known(id).await.filter(|known| remote.may_stand_in(known, self.clock.now()));
                self.instead(id, known.as_deref(), failure)
            }
        }
    }

    /// Begins to fetch the schema that most will ask for.
    pub fn warm_up(&self) {
        if let Some(remote) = &self.remote {
            remote.refresh_beside(&self.builtin.id);
        }
    }

    /// Whether the server is well; where built-in schemas stand in for it, there is nothing to be ill.
    pub async fn server_is_well(&self) -> bool {
        match &self.remote {
            None => true,
            Some(remote) => remote.is_well().await,
        }
    }

    /// Any valid key may know schemas: they are the same for all projects.
    pub fn require_known(&self, caller: &Caller) -> Result<(), UseCaseError> {
        caller.principal().map(|_| ()).ok_or(UseCaseError::Unauthenticated)
    }

    /// All schemas that are known here, by id, each in its last version.
    pub async fn list(&self, caller: &Caller) -> Result<Vec<KnownVersion>, UseCaseError> {
        self.require_known(caller)?;
        let mut kept = match self.remote {
            Some(_) => self.store.read().await?.schemas().list(MAX_LISTED).await?,
            None => Vec::new(),
        };
        if kept.iter().all(|version| version.id != self.builtin.id) {
            kept.push(self.builtin_version().into());
            kept.sort_by(|one, other| one.id.cmp(&other.id));
        }
        Ok(kept)
    }

    /// A schema with its document.
    pub async fn get(&self, caller: &Caller, id: &SchemaId) -> Result<(Resolved, Value), UseCaseError> {
        self.require_known(caller)?;
        let found = self.current(id).await?;
        self.with_document(found).await
    }

    /// Asks the server now.
    pub async fn refresh(
        &self,
        caller: &Caller,
        project: &ProjectId,
        id: &SchemaId,
    ) -> Result<(Resolved, Value), UseCaseError> {
        self.access.open(caller, project, Scope::Manage).await?;
        let found = self.fresh(id).await?;
        self.with_document(found).await
    }

    /// The versions of a schema that the server had, the last seen first.
    pub async fn versions(&self, caller: &Caller, id: &SchemaId) -> Result<Vec<KnownVersion>, UseCaseError> {
        self.require_known(caller)?;
        let mut versions = match self.remote {
            Some(_) => self.store.read().await?.schemas().versions(id).await?,
            None => Vec::new(),
        };
        if *id == self.builtin.id {
            versions.push(self.builtin_version().into());
        }
        if versions.is_empty() { Err(UseCaseError::NoSchema(id.clone())) } else { Ok(versions) }
    }

    /// A version of a schema: the last seen of that name.
    pub async fn version(&self, caller: &Caller, id: &SchemaId, name: &str) -> Result<OntologySchema, UseCaseError> {
        self.require_known(caller)?;
        let kept = match self.remote {
            Some(_) => self.store.read().await?.schemas().find(id, name).await?,
            None => None,
        };
        let is_builtin =
            |version: &SchemaVersion| version.id == *id && (version.version == name || version.digest == name);
        let found = kept.or_else(|| Some(self.builtin_version()).filter(is_builtin));
        let found = found.ok_or_else(|| UseCaseError::NoSchemaVersion { id: id.clone(), version: name.to_owned() })?;
        OntologySchema::parse(id, &found.document).map_err(|_| UseCaseError::NoSchema(id.clone()))
    }

    async fn with_document(&self, found: Resolved) -> Result<(Resolved, Value), UseCaseError> {
        if found.source == Source::Builtin {
            return Ok((found, builtin_document()));
        }
        let kept = self.store.read().await?.schemas().latest(&found.id).await?;
        let document = kept.map(|kept| kept.document).unwrap_or_default();
        Ok((found, document))
    }

    fn builtin_version(&self) -> SchemaVersion {
        let document = builtin_document();
        SchemaVersion {
            id: self.builtin.id.clone(),
            version: self.builtin.version.clone(),
            digest: known::digest(&document),
            document,
            tag: None,
            first_seen: DateTime::UNIX_EPOCH,
            last_seen: DateTime::UNIX_EPOCH,
        }
    }

    fn without_server(&self, id: &SchemaId) -> Result<Resolved, UseCaseError> {
        if *id == self.builtin.id { Ok(self.builtin.clone()) } else { Err(UseCaseError::NoSchema(id.clone())) }
    }

    /// What stands in for an answer: what the server had, else what is built in.
    fn instead(&self, id: &SchemaId, known: Option<&Known>, failure: Failure) -> Result<Resolved, UseCaseError> {
        match known {
            Some(known) => Ok(resolved(id, known, Source::Stale, Some(failure))),
            None if *id == self.builtin.id => {
                Ok(Resolved { problem: Some(failure.to_string()), ..self.builtin.clone() })
            }
            None if failure == Failure::NotFound => Err(UseCaseError::NoSchema(id.clone())),
            None => Err(UseCaseError::SchemaAway { id: id.clone(), failure }),
        }
    }
}

fn resolved(id: &SchemaId, known: &Known, source: Source, problem: Option<Failure>) -> Resolved {
    Resolved {
        id: id.clone(),
        schema: Arc::clone(&known.schema),
        version: known.version.clone(),
        source,
        seen_at: Some(known.seen_at),
        problem: problem.map(|failure| failure.to_string()),
    }
}
