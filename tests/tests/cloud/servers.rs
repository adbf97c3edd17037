//! Servers of a test's own, and a client of them.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use duckdb::Connection;
use gadwall_ducklake::find_extension_dir;
use gadwall_test_services::{Database, Postgres, S3};
use gadwall_tests::server::{ServerProcess, StartOptions};
use gadwall_tests::support::{Reply, send};
use reqwest::{Method, RequestBuilder, Url};
use serde_json::Value;

/// The administrator's key.
pub(crate) const KEY: &str = "the-key-of-these-tests";

/// A database, and an area of a bucket.
pub(crate) struct Place {
    pub(crate) database: Database,
    pub(crate) s3: S3,
    prefix: String,
}

impl Place {
    pub(crate) async fn new() -> Result<Self> {
        let (database, s3) = tokio::try_join!(Postgres::database(), S3::start())?;
        let prefix = s3.fresh_prefix();
        Ok(Self { database, s3, prefix })
    }

    fn url(&self) -> Url {
        self.database.url().parse().unwrap()
    }

    /// The settings of a server that keeps everything there.
    pub(crate) fn env(&self) -> Vec<(String, String)> {
        let (url, s3) = (self.url(), &self.s3);
        let port = url.port().unwrap_or(5432).to_string();
        [
            ("GADWALL__DUCKLAKE__CATALOG", "postgres"),
            ("GADWALL__DUCKLAKE__SECRET_KEY", "a secret of these tests"),
            ("GADWALL__POSTGRES__HOST", url.host_str().unwrap()),
            ("GADWALL__POSTGRES__PORT", &port),
            ("GADWALL__POSTGRES__DATABASE", url.path().trim_start_matches('/')),
            ("GADWALL__POSTGRES__USER", url.username()),
            ("GADWALL__POSTGRES__PASSWORD", url.password().unwrap_or_default()),
            ("GADWALL__STORAGE__ENABLED", "true"),
            ("GADWALL__STORAGE__ENDPOINT", &s3.endpoint),
            ("GADWALL__STORAGE__DEFAULT_BUCKET", &s3.bucket),
            ("GADWALL__STORAGE__PREFIX", &self.prefix),
            ("GADWALL__STORAGE__ACCESS_KEY", &s3.access_key),
            ("GADWALL__STORAGE__SECRET_KEY", &s3.secret_key),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec()
    }

    /// Plain DuckDB with the database attached as `pg`, and the bucket in reach.
    pub(crate) fn duckdb(&self) -> Result<Connection> {
        let url = self.url();
        let folder = find_extension_dir(None)?;
        let config = duckdb::Config::default().with("extension_directory", folder.to_str().context("a path")?)?;
        let duckdb = Connection::open_in_memory_with_flags(config)?;
        duckdb.execute_batch(&format!(
            "LOAD ducklake; LOAD postgres_scanner; LOAD httpfs;
             CREATE SECRET (TYPE s3, KEY_ID '{}', SECRET '{}', ENDPOINT '{}', URL_STYLE path, USE_SSL false);
             CREATE SECRET pg (TYPE postgres, HOST '{}', PORT {}, DATABASE '{}', USER '{}', PASSWORD '{}');
             ATTACH '' AS pg (TYPE postgres, SECRET pg);",
            self.s3.access_key,
            self.s3.secret_key,
            self.s3.endpoint.trim_start_matches("http://"),
            url.host_str().unwrap(),
            url.port().unwrap_or(5432),
            url.path().trim_start_matches('/'),
            url.username(),
            url.password().unwrap_or_default(),
        ))?;
        Ok(duckdb)
    }
}

/// A server, and its administrator.
pub(crate) struct Api {
    pub(crate) server: ServerProcess,
    client: reqwest::Client,
}

impl Api {
    /// Starts a server with its own folder there.
    pub(crate) async fn start(data_dir: &Path, env: Vec<(String, String)>) -> Result<Self> {
        let options = StartOptions {
            data_dir: Some(data_dir.to_owned()),
            admin_key: KEY.to_owned(),
            env,
            ..StartOptions::default()
        };
        let server = ServerProcess::start(&options).await?;
        Ok(Self { server, client: reqwest::Client::builder().no_proxy().build()? })
    }

    /// A request of the administrator.
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.as_key(method, path, KEY)
    }

    /// A request of whoever has the key.
    pub(crate) fn as_key(&self, method: Method, path: &str, key: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.server.url())).bearer_auth(key)
    }

    /// What is there.
    pub(crate) async fn get(&self, path: &str) -> Result<Reply> {
        self.accepted(path, send(self.request(Method::GET, path)).await?)
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Result<Reply> {
        self.accepted(path, send(self.request(Method::POST, path).json(body)).await?)
    }

    fn accepted(&self, path: &str, reply: Reply) -> Result<Reply> {
        ensure!(reply.status < 300, "{path}: {} {}\n{}", reply.status, reply.text, self.server.log());
        Ok(reply)
    }
}
