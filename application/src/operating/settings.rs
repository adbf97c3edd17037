//! What a server is set to, as its operators are told: no secret is among it.

use std::collections::BTreeMap;
use std::time::Duration;

/// Settings that may be shown.
#[derive(Debug, Clone, Default)]
pub struct ServiceSettings {
    /// What the server runs for.
    pub environment: String,
    /// Whether errors tell more.
    pub debug: bool,
    /// Where it listens.
    pub host: String,
    /// The port.
    pub port: u16,
    /// The database of metadata.
    pub database: DatabaseSettings,
    /// The lakes.
    pub lakes: LakeSettings,
    /// Where files are.
    pub storage: StorageSettings,
    /// Flags that older deployments set, as they hold here.
    pub features: BTreeMap<&'static str, bool>,
    /// Whether anything is measured.
    pub monitoring: bool,
    /// What is wrong with the settings.
    pub problems: Vec<String>,
}

/// The database of metadata.
#[derive(Debug, Clone, Default)]
pub struct DatabaseSettings {
    /// `sqlite` or `postgresql`.
    pub kind: &'static str,
    /// Its host, if it is on another machine.
    pub host: Option<String>,
    /// Its port.
    pub port: Option<u16>,
    /// Its name.
    pub name: Option<String>,
    /// The fewest and the most connections.
    pub connections: (u32, u32),
}

/// The lakes.
#[derive(Debug, Clone, Default)]
pub struct LakeSettings {
    /// `files` or `postgres`.
    pub catalog: &'static str,
    /// The schema of a catalog's tables, where it has a name of its own.
    pub metadata_schema: String,
    /// The name that a catalog is attached under.
    pub metadata_catalog: String,
    /// Whether data files are encrypted.
    pub encrypted: bool,
    /// Rows up to which an insert is kept in the catalog.
    pub data_inlining_row_limit: u32,
    /// The snapshot that is read.
    pub snapshot_version: Option<u64>,
    /// The time as of which lakes are read.
    pub snapshot_time: Option<String>,
    /// Whether lakes are only read.
    pub read_only: bool,
    /// Attempts to reach the catalogs' database.
    pub connection_retries: u32,
    /// The pause between them.
    pub connection_retry_delay: Duration,
    /// The longest wait for a connection.
    pub connection_timeout: Duration,
}

/// Where files are.
#[derive(Debug, Clone, Default)]
pub struct StorageSettings {
    /// The address of the S3 server; none where files are in the data directory.
    pub endpoint: Option<String>,
    /// Whether it is spoken to by TLS.
    pub secure: bool,
    /// The bucket.
    pub default_bucket: Option<String>,
    /// Its region.
    pub region: Option<String>,
}

impl ServiceSettings {
    /// How many of the flags are on.
    pub fn features_enabled(&self) -> usize {
        self.features.values().filter(|on| **on).count()
    }
}
