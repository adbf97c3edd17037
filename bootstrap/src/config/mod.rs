//! The configuration: defaults < `gadwall.toml` < `.env` < environment. Typed, checked, and told apart by origin.
//!
//! It refuses what it doesn't know: a misspelt key is an error that names the closest one. It reads the environment
//! only through [`Sources`]; whoever makes those decides what the environment is. Nothing here starts or opens
//! anything.
//!
//! A new setting is one entry in `sections/`, and a line in docs/configuration.md, which a test compares.

mod changes;
mod choices;
mod dotenv;
mod environment;
mod error;
mod file;
mod human;
mod issuers;
mod key;
mod kind;
mod legacy;
mod load;
mod memory;
mod notices;
mod raw;
mod reference;
mod render;
mod secret;
mod sections;
mod sources;
mod span;
mod suggest;
mod validate;

#[cfg(test)]
mod tests;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub(crate) use changes::changed;
pub use choices::{
    CatalogKind, ClientCertificates, Environment, ForwardedHeader, LogFormat, LogLevel, OtlpProtocol, SslMode,
};
pub use error::{ConfigError, Origin, Problem};
pub use human::parse_span;
pub use issuers::Issuer;
pub use load::Loaded;
pub use memory::total_memory;
pub use reference::reference;
pub use secret::{MASK, Secret};
pub use sections::{
    Audit, Auth, Backup, Breaker, Cors, Ducklake, Engine, Events, Features, Lineage, LineageForward, Logging,
    Maintenance, Metadata, Metrics, Ontology, Postgres, Projects, Query, Quota, RateLimit, Server, Storage, Tls,
    Traces,
};
pub use sources::Sources;

use key::{Key, Section};
use kind::Kind;
use sections::planned;

/// All settings.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// What the server runs for.
    pub environment: Environment,
    /// Whether errors may tell clients what went wrong inside. Production refuses it.
    pub debug: bool,
    /// Where everything lies.
    pub data_dir: PathBuf,
    /// The HTTP server.
    pub server: Server,
    /// TLS.
    pub tls: Tls,
    /// Scripts of web pages.
    pub cors: Cors,
    /// How often callers may ask.
    pub rate_limit: RateLimit,
    /// Who may do what.
    pub auth: Auth,
    /// The log of who did what.
    pub audit: Audit,
    /// What happens, as it happens.
    pub events: Events,
    /// Jobs, and what comes from what.
    pub lineage: Lineage,
    /// Projects.
    pub projects: Projects,
    /// What a project may hold and do.
    pub quota: Quota,
    /// What is written to standard error.
    pub logging: Logging,
    /// Traces of what the server does.
    pub traces: Traces,
    /// Figures for Prometheus.
    pub metrics: Metrics,
    /// DuckDB.
    pub engine: Engine,
    /// The circuit breakers.
    pub breaker: Breaker,
    /// Queries.
    pub query: Query,
    /// The lakes.
    pub ducklake: Ducklake,
    /// What keeps the lakes in order.
    pub maintenance: Maintenance,
    /// Where backups are kept.
    pub backup: Backup,
    /// The store of projects, keys and shares.
    pub metadata: Metadata,
    /// PostgreSQL.
    pub postgres: Postgres,
    /// An S3 server.
    pub storage: Storage,
    /// The service that knows schemas.
    pub ontology: Ontology,
    /// Flags of older deployments.
    pub features: Features,
    #[serde(skip)]
    notices: Vec<String>,
}

impl Config {
    const SECTION: Section = Section {
        name: "",
        doc: &["Above all tables."],
        keys: &[
            Key {
                path: "environment",
                kind: Kind::Choice(Environment::WORDS),
                doc: &["What the server runs for."],
                otherwise: None,
                planned: None,
            },
            Key {
                path: "debug",
                kind: Kind::Switch,
                doc: &["Whether errors may tell clients what went wrong inside. Production refuses it."],
                otherwise: None,
                planned: Some(planned::DETAILS),
            },
            Key {
                path: "data_dir",
                kind: Kind::Path,
                doc: &["Where everything lies. Relative paths begin at the folder the server was started in."],
                otherwise: None,
                planned: None,
            },
        ],
    };

    /// The defaults for an environment.
    pub fn defaults(environment: Environment) -> Self {
        let format = match environment {
            Environment::Production => LogFormat::Json,
            Environment::Development | Environment::Staging => LogFormat::Human,
        };
        Self {
            environment,
            debug: false,
            data_dir: PathBuf::from("./data"),
            server: Server::default(),
            tls: Tls::default(),
            cors: Cors::default(),
            rate_limit: RateLimit::default(),
            auth: Auth::default(),
            audit: Audit::default(),
            events: Events::default(),
            lineage: Lineage::default(),
            projects: Projects::default(),
            quota: Quota::default(),
            logging: Logging { format, ..Logging::default() },
            traces: Traces::default(),
            metrics: Metrics::default(),
            engine: Engine::default(),
            breaker: Breaker::default(),
            query: Query::default(),
            ducklake: Ducklake::default(),
            maintenance: Maintenance::default(),
            backup: Backup::default(),
            metadata: Metadata::default(),
            postgres: Postgres::default(),
            storage: Storage::default(),
            ontology: Ontology::default(),
            features: Features::default(),
            notices: Vec::new(),
        }
    }

    /// What whoever starts the server should know: settings without effect, and settings that open doors.
    pub fn notices(&self) -> &[String] {
        &self.notices
    }

    /// Memory the engine may use, in bytes, where `total` is what there is (0: unknown).
    pub fn effective_memory_limit(&self, total: u64) -> u64 {
        if total == 0 {
            return self.engine.memory_limit;
        }
        let share = u128::from(total) * u128::from(self.engine.max_memory_percentage) / 100;
        u64::try_from(share).map_or(self.engine.memory_limit, |share| share.min(self.engine.memory_limit))
    }
}

impl Default for Config {
    fn default() -> Self {
        Self::defaults(Environment::default())
    }
}
