//! Where datasets lie, and results of queries in the background: in the data directory, or in a bucket.

use std::sync::Arc;

use anyhow::Context as _;
use gadwall_domain::ports::objects::ObjectStorage;
use gadwall_domain::ports::results::ResultStore;
use gadwall_domain::ports::system::HealthProbe;
use gadwall_ducklake::S3Place;
use gadwall_objects::s3::{S3Config, S3Objects, S3Probe, S3Results, S3Store};
use gadwall_objects::{LocalObjects, LocalResults};

use crate::config::{Config, Secret, Storage};
use crate::folders::LocalFolders;
use crate::metadata;
use crate::system::{SystemClock, SystemIds};

/// Datasets and results.
pub(crate) struct FileStores {
    pub(crate) objects: Arc<dyn ObjectStorage>,
    pub(crate) results: Arc<dyn ResultStore>,
    /// The bucket that they lie in, for the lakes' data to lie there, too.
    pub(crate) bucket: Option<S3Place>,
    /// How the bucket fares.
    pub(crate) probe: Option<Arc<dyn HealthProbe>>,
}

impl FileStores {
    /// Opens what the configuration says.
    pub(crate) async fn open(config: &Config, folders: &LocalFolders) -> anyhow::Result<Self> {
        if config.storage.enabled { Self::bucket(config).await } else { Self::local(folders).await }
    }

    /// What lies in the data directory.
    pub(crate) async fn local(folders: &LocalFolders) -> anyhow::Result<Self> {
        let (files, results) = (folders.files(), folders.results());
        let open = move || {
            let objects = LocalObjects::open(&files, Arc::new(SystemClock), Arc::new(SystemIds))?;
            let results = LocalResults::open(&results)?;
            anyhow::Ok(Self { objects: Arc::new(objects), results: Arc::new(results), bucket: None, probe: None })
        };
        tokio::task::spawn_blocking(open).await?
    }

    async fn bucket(settings: &Config) -> anyhow::Result<Self> {
        let config = s3_config(&settings.storage);
        let store = S3Store::open(&config, &SystemIds).await.context("storage.enabled is true")?;
        let turns = metadata::turns(settings)?;
        let objects = S3Objects::shared(&store, Arc::new(SystemClock), Arc::new(SystemIds), turns);
        let results = S3Results::open(&store).await?;
        let bucket = Some(place_of(&config, &store));
        Ok(Self {
            objects: Arc::new(objects),
            results: Arc::new(results),
            bucket,
            probe: Some(Arc::new(S3Probe::new(&store))),
        })
    }
}

/// The bucket as the engine reaches it.
fn place_of(config: &S3Config, store: &S3Store) -> S3Place {
    /// How often the engine tries a request again.
    const RETRIES: u32 = 3;
    let endpoint =
        config.endpoint.as_deref().map(|address| address.split_once("://").map_or(address, |(_, host)| host));
    S3Place {
        store: store.client(),
        bucket: config.bucket.clone(),
        prefix: config.prefix.trim_matches('/').to_owned(),
        endpoint: endpoint.map(|host| host.trim_end_matches('/').to_owned()),
        region: config.region.clone(),
        access_key: config.access_key.clone(),
        secret_key: config.secret_key.clone(),
        kms_key_id: config.kms_key_id.clone(),
        path_style: config.path_style,
        tls: !config.allow_http,
        timeout: config.request_timeout,
        retries: RETRIES,
    }
}

pub(crate) fn s3_config(storage: &Storage) -> S3Config {
    let text = |secret: &Option<Secret>| secret.as_ref().map(|secret| secret.expose().to_owned()).unwrap_or_default();
    let endpoint = address(&storage.endpoint, storage.secure);
    S3Config {
        allow_http: endpoint.starts_with("http://"),
        endpoint: Some(endpoint),
        region: storage.region.clone(),
        bucket: storage.default_bucket.clone(),
        prefix: storage.prefix.clone(),
        access_key: text(&storage.access_key),
        secret_key: text(&storage.secret_key),
        kms_key_id: storage.kms_key_id.clone(),
        path_style: storage.path_style,
        connect_timeout: storage.connect_timeout,
        request_timeout: storage.request_timeout,
    }
}

/// The address with its scheme.
fn address(endpoint: &str, secure: bool) -> String {
    match endpoint.contains("://") {
        true => endpoint.to_owned(),
        false if secure => format!("https://{endpoint}"),
        false => format!("http://{endpoint}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_without_a_scheme_gets_the_one_that_is_set() {
        assert_eq!(address("localhost:9000", false), "http://localhost:9000");
        assert_eq!(address("s3.example.org", true), "https://s3.example.org");
        assert_eq!(address("http://localhost:9000", true), "http://localhost:9000");
    }
}
