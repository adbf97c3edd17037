//! Which metadata store is opened: the one at `metadata.url`, or a file in the data directory.

use std::sync::Arc;

use gadwall_domain::ports::metadata::MetadataStore;
use gadwall_domain::ports::system::HealthProbe;
use gadwall_metastore::{PostgresConfig, PostgresMetadata, SqliteConfig, SqliteMetadata};

use crate::config::{Config, Secret};
use crate::folders::LocalFolders;

/// The store, and how it fares.
pub(crate) type OpenMetadata = (Arc<dyn MetadataStore>, Arc<dyn HealthProbe>);

/// Opens the store and brings it up to date.
pub(crate) async fn open(config: &Config, folders: &LocalFolders) -> anyhow::Result<OpenMetadata> {
    if let Some(url) = &config.metadata.url {
        if folders.metadata().exists() {
            tracing::warn!("metadata.url is set, so the metadata in the data directory is not used");
        }
        let store = Arc::new(PostgresMetadata::open(&postgres_config(config, url)).await?);
        return Ok((Arc::clone(&store) as _, store));
    }
    let store = Arc::new(SqliteMetadata::open(sqlite_config(config, folders)).await?);
    Ok((Arc::clone(&store) as _, store))
}

fn postgres_config(config: &Config, url: &Secret) -> PostgresConfig {
    let metadata = &config.metadata;
    PostgresConfig {
        url: url.expose().to_owned(),
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
