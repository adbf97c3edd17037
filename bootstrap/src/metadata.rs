//! Which metadata store is opened: the one at `metadata.url`, or a file in the data directory.

use std::sync::Arc;

use anyhow::Context as _;
use gadwall_domain::ports::backup::MetadataArchive;
use gadwall_domain::ports::metadata::MetadataStore;
use gadwall_domain::ports::operating::PoolMonitor;
use gadwall_domain::ports::peers::Peers;
use gadwall_domain::ports::system::HealthProbe;
use gadwall_domain::ports::turns::Turns;
use gadwall_metastore::{PostgresConfig, PostgresMetadata, PostgresPeers, PostgresTurns, SqliteConfig, SqliteMetadata};

use crate::config::{CatalogKind, Config};
use crate::folders::LocalFolders;

/// The store, and how it and its connections fare.
pub(crate) struct OpenMetadata {
    pub(crate) store: Arc<dyn MetadataStore>,
    /// Copies projects' metadata for backups.
    pub(crate) archive: Arc<dyn MetadataArchive>,
    pub(crate) probe: Arc<dyn HealthProbe>,
    pub(crate) pools: Arc<dyn PoolMonitor>,
}

impl OpenMetadata {
    fn of<T: MetadataStore + MetadataArchive + HealthProbe + PoolMonitor + 'static>(store: T) -> Self {
        let store = Arc::new(store);
        Self {
            store: Arc::clone(&store) as _,
            archive: Arc::clone(&store) as _,
            probe: Arc::clone(&store) as _,
            pools: store,
        }
    }
}

/// Opens the store and brings it up to date.
pub(crate) async fn open(config: &Config, folders: &LocalFolders) -> anyhow::Result<OpenMetadata> {
    if let Some(url) = address(config) {
        if folders.metadata().exists() {
            tracing::warn!("metadata is kept in PostgreSQL: the metadata that is in the data directory is not used");
        }
        return Ok(OpenMetadata::of(PostgresMetadata::open(&postgres_config(config, url)).await?));
    }
    Ok(OpenMetadata::of(open_file(config, folders).await?))
}

/// Whether the store is on another machine.
pub(crate) fn is_remote(config: &Config) -> bool {
    address(config).is_some()
}

/// The turns of all servers with the same metadata; none where there is only one.
pub(crate) fn turns(config: &Config) -> anyhow::Result<Option<Arc<dyn Turns>>> {
    let turns = address(config).map(|url| PostgresTurns::new(&postgres_config(config, url))).transpose()?;
    Ok(turns.map(|turns| Arc::new(turns) as _))
}

/// The servers with the same metadata; none where there is only one.
pub(crate) fn peers(config: &Config) -> anyhow::Result<Option<Arc<dyn Peers>>> {
    let peers = address(config).map(|url| PostgresPeers::new(&postgres_config(config, url))).transpose()?;
    Ok(peers.map(|peers| Arc::new(peers) as _))
}

/// The store in the data directory.
pub(crate) async fn open_file(config: &Config, folders: &LocalFolders) -> anyhow::Result<SqliteMetadata> {
    Ok(SqliteMetadata::open(sqlite_config(config, folders)).await?)
}

/// The store in PostgreSQL.
pub(crate) async fn open_postgres(config: &Config) -> anyhow::Result<PostgresMetadata> {
    let url = address(config).context("no database is configured for metadata")?;
    Ok(PostgresMetadata::open(&postgres_config(config, url)).await?)
}

/// The database: the one that is named, or else that of the lakes' catalogs. Several servers with the same lakes need
/// the same metadata.
fn address(config: &Config) -> Option<String> {
    if let Some(url) = &config.metadata.url {
        return Some(url.expose().to_owned());
    }
    let postgres = &config.postgres;
    let password = postgres.password.as_ref().map(|password| format!(":{}", escaped(password.expose())));
    (config.ducklake.catalog == CatalogKind::Postgres).then(|| {
        format!(
            "postgres://{}{}@{}:{}/{}?sslmode={}",
            escaped(&postgres.user),
            password.unwrap_or_default(),
            escaped(&postgres.host),
            postgres.port,
            escaped(&postgres.database),
            postgres.ssl_mode.as_str()
        )
    })
}

/// Text as a part of an address.
fn escaped(text: &str) -> String {
    let escape = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' | b'_' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(escape).collect()
}

fn postgres_config(config: &Config, url: String) -> PostgresConfig {
    let metadata = &config.metadata;
    PostgresConfig {
        url,
        max_connections: metadata.max_connections,
        acquire_timeout: metadata.acquire_timeout,
        statement_timeout: metadata.statement_timeout,
        idle_timeout: metadata.idle_timeout,
        max_lifetime: metadata.max_lifetime,
    }
}

fn sqlite_config(config: &Config, folders: &LocalFolders) -> SqliteConfig {
    SqliteConfig {
        path: folders.metadata(),
        max_readers: config.metadata.max_readers,
        acquire_timeout: config.metadata.acquire_timeout,
        busy_timeout: config.metadata.acquire_timeout,
    }
}
