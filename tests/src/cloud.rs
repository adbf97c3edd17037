//! Where a server under test keeps its data when that isn't on this machine.
//!
//! With `GADWALL_TEST_STORAGE=cloud` the tests of the API run against servers with PostgreSQL and S3.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};
use gadwall::Config;
use gadwall::config::{CatalogKind, Secret};
use gadwall_domain::ports::metadata::MetadataStore;
use gadwall_metastore::{PostgresConfig, PostgresMetadata};
use gadwall_test_services::{Postgres, S3};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

/// What this place is remembered by in the data directory, so that a server that is started again finds it.
const FILE: &str = "cloud-place.json";

static SERVERS: OnceCell<(Postgres, S3)> = OnceCell::const_new();

/// Whether tests run against servers with PostgreSQL and S3.
#[expect(clippy::disallowed_methods, reason = "tests are told so by the environment")]
pub fn is_on() -> bool {
    std::env::var("GADWALL_TEST_STORAGE").is_ok_and(|storage| storage == "cloud")
}

/// Says why a test makes no sense where data isn't on this machine; whether that is so.
pub fn passes_over(reason: &str) -> bool {
    if is_on() {
        eprintln!("not run with PostgreSQL and S3: {reason}");
    }
    is_on()
}

/// A database and an area of a bucket.
#[derive(Debug)]
pub struct CloudPlace {
    url: String,
    endpoint: String,
    bucket: String,
    prefix: String,
    access_key: String,
    secret_key: String,
}

impl CloudPlace {
    /// The place that belongs to a data directory, made if there is none; nothing where data is on this machine.
    pub(crate) async fn of(data_dir: &Path) -> Result<Option<Self>> {
        if !is_on() {
            return Ok(None);
        }
        let file = data_dir.join(FILE);
        if let Ok(text) = std::fs::read_to_string(&file) {
            return Self::read(&serde_json::from_str(&text)?).map(Some);
        }
        let (postgres, s3) = SERVERS.get_or_try_init(start).await?;
        let place = Self {
            url: postgres.new_database().await?,
            endpoint: s3.endpoint.clone(),
            bucket: s3.bucket.clone(),
            prefix: s3.fresh_prefix(),
            access_key: s3.access_key.clone(),
            secret_key: s3.secret_key.clone(),
        };
        std::fs::write(file, place.text())?;
        Ok(Some(place))
    }

    fn text(&self) -> String {
        let Self { url, endpoint, bucket, prefix, access_key, secret_key } = self;
        json!([url, endpoint, bucket, prefix, access_key, secret_key]).to_string()
    }

    fn read(kept: &Value) -> Result<Self> {
        let part = |number: usize| kept[number].as_str().map(str::to_owned).context("not a place");
        Ok(Self {
            url: part(0)?,
            endpoint: part(1)?,
            bucket: part(2)?,
            prefix: part(3)?,
            access_key: part(4)?,
            secret_key: part(5)?,
        })
    }

    /// Has a server keep its data there.
    pub(crate) fn configure(&self, config: &mut Config) {
        let (user, host) = self.url.trim_start_matches("postgres://").split_once('@').unwrap_or_default();
        let (user, password) = user.split_once(':').unwrap_or((user, ""));
        let (host, database) = host.split_once('/').unwrap_or((host, ""));
        let (host, port) = host.split_once(':').unwrap_or((host, "5432"));
        config.ducklake.catalog = CatalogKind::Postgres;
        config.ducklake.secret_key = Some(Secret::new("the secret of servers under test"));
        let postgres = &mut config.postgres;
        (postgres.host, postgres.user) = (host.to_owned(), user.to_owned());
        database.split('?').next().unwrap_or_default().clone_into(&mut postgres.database);
        postgres.port = port.parse().unwrap_or(5432);
        postgres.password = Some(Secret::new(password));
        postgres.max_connections = 6;
        let storage = &mut config.storage;
        storage.enabled = true;
        (storage.endpoint, storage.default_bucket) = (self.endpoint.clone(), self.bucket.clone());
        storage.prefix.clone_from(&self.prefix);
        storage.access_key = Some(Secret::new(&self.access_key));
        storage.secret_key = Some(Secret::new(&self.secret_key));
    }

    /// The metadata store, beside a server that may use it.
    pub(crate) async fn metadata(&self) -> Result<Box<dyn MetadataStore>> {
        let config = PostgresConfig {
            url: self.url.clone(),
            max_connections: 2,
            acquire_timeout: Duration::from_secs(5),
            statement_timeout: Duration::from_secs(5),
            idle_timeout: Duration::from_mins(1),
            max_lifetime: Duration::from_mins(1),
        };
        Ok(Box::new(PostgresMetadata::open(&config).await?))
    }
}

async fn start() -> Result<(Postgres, S3)> {
    let (postgres, s3) = tokio::join!(Postgres::start(), S3::start());
    Ok((postgres?, s3?))
}
