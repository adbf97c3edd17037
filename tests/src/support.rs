//! A server in this process, and a client that says little.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use gadwall::config::Secret;
use gadwall::{Config, Server};
use gadwall_domain::access::{ApiKey, KeyDigest, Scope};
use gadwall_domain::audit::{AuditEntry, AuditFilter};
use gadwall_domain::ids::ApiKeyId;
use gadwall_domain::names::{BucketName, ProjectId};
use gadwall_domain::ports::metadata::{MetadataStore, ProjectFilter};
use gadwall_metastore::{SqliteConfig, SqliteMetadata};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use crate::cloud::CloudPlace;

/// The admin key of servers under test.
pub const ADMIN_KEY: &str = "admin-key-of-the-tests";

/// What takes longer never comes.
const PATIENCE: Duration = Duration::from_mins(1);

/// Waits until a count has gone up by so many, however slow the machine.
pub async fn count_up(count: &AtomicU64, more: u64) -> Result<()> {
    let (begun, enough) = (Instant::now(), count.load(Ordering::Relaxed) + more);
    while count.load(Ordering::Relaxed) < enough {
        ensure!(begun.elapsed() < PATIENCE, "{more} more did not come within {PATIENCE:?}");
        sleep(Duration::from_millis(5)).await;
    }
    Ok(())
}

/// The operations of an OpenAPI document: path, method in small letters, and what is said of it.
pub fn operations(document: &Value) -> impl Iterator<Item = (&str, &str, &Value)> {
    let paths = document["paths"].as_object().into_iter().flatten();
    paths.flat_map(|(path, operations)| {
        let operations = operations.as_object().into_iter().flatten();
        operations.map(move |(method, operation)| (path.as_str(), method.as_str(), operation))
    })
}

/// A server on a free port with a data directory of its own.
#[derive(Debug)]
pub struct TestServer {
    server: Server,
    config: Box<Config>,
    client: reqwest::Client,
    dir: TempDir,
}

/// An answer, read to its end.
#[derive(Debug, Clone)]
pub struct Reply {
    /// Status code.
    pub status: u16,
    /// Headers.
    pub headers: reqwest::header::HeaderMap,
    /// The body as text.
    pub text: String,
}

impl Reply {
    /// The body as JSON; null when it isn't.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_default()
    }

    /// The problem's code; empty when it isn't a problem.
    pub fn code(&self) -> String {
        self.json()["code"].as_str().unwrap_or_default().to_owned()
    }

    /// A header's value; empty when it isn't there.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

/// Sends a request and reads its answer.
pub async fn send(request: RequestBuilder) -> Result<Reply> {
    let response = request.send().await.context("no answer")?;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let text = response.text().await.context("the answer broke off")?;
    Ok(Reply { status, headers, text })
}

impl TestServer {
    /// Starts a server with the settings that tests share.
    pub async fn start() -> Result<Self> {
        Self::start_with(|_| {}).await
    }

    /// Starts a server with other settings.
    pub async fn start_with(change: impl FnOnce(&mut Config)) -> Result<Self> {
        Self::start_in(tempfile::tempdir()?, change).await
    }

    /// Starts a server on a data directory that may hold data already.
    pub async fn start_in(dir: TempDir, change: impl FnOnce(&mut Config)) -> Result<Self> {
        // Clients are built with TLS, which needs a provider, though none of these speaks it. A second one is the same.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut config = config(dir.path());
        if let Some(place) = CloudPlace::of(dir.path()).await? {
            place.configure(&mut config);
        }
        change(&mut config);
        let server = Server::start(&config).await?;
        let client = crate::client::builder().timeout(Duration::from_mins(1)).build()?;
        Ok(Self { server, config: Box::new(config), client, dir })
    }

    /// Stops the server and answers its data directory.
    pub async fn stop(self) -> Result<TempDir> {
        self.server.stop().await?;
        Ok(self.dir)
    }

    /// Has the server read its settings again: those that it was started with, changed.
    pub fn reload(&self, change: impl FnOnce(&mut Config)) {
        let mut config = (*self.config).clone();
        change(&mut config);
        self.server.reload(Ok(config));
    }

    /// Where it keeps its data.
    pub fn data_dir(&self) -> &Path {
        self.dir.path()
    }

    /// The server's address as a URL, with a path.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.server.address())
    }

    /// A request without a key.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, self.url(path))
    }

    /// A client that acts as an admin.
    pub fn admin(&self) -> Client<'_> {
        Client { server: self, key: ADMIN_KEY.to_owned() }
    }

    /// A client with any key.
    pub fn with_key(&self, key: &str) -> Client<'_> {
        Client { server: self, key: key.to_owned() }
    }

    /// Makes a project and answers a client with its key.
    pub async fn project(&self, id: &str) -> Result<Client<'_>> {
        let made = self.admin().post("/projects", &json!({ "id": id })).await?;
        let body = made.json();
        let key = body["api_key"].as_str().with_context(|| format!("no key in {}", made.text))?;
        Ok(self.with_key(key))
    }
}

/// The settings that tests share.
fn config(data_dir: &Path) -> Config {
    let mut config = Config::default();
    data_dir.clone_into(&mut config.data_dir);
    config.server.port = 0;
    config.auth.admin_keys = vec![Secret::new(ADMIN_KEY)];
    config
}

/// The metadata store of a data directory, beside a server that may use it.
pub async fn metadata(data_dir: &Path) -> Result<Box<dyn MetadataStore>> {
    if let Some(place) = CloudPlace::of(data_dir).await? {
        return place.metadata().await;
    }
    let config = SqliteConfig {
        path: data_dir.join("metadata.sqlite"),
        max_readers: 1,
        acquire_timeout: Duration::from_secs(5),
        busy_timeout: Duration::from_secs(5),
    };
    Ok(Box::new(SqliteMetadata::open(config).await?))
}

/// Gives a project one more key, which may only read.
pub async fn add_reader(data_dir: &Path, project: &str, key: &str) -> Result<()> {
    add_key(data_dir, project, key, &[Scope::Read], None).await
}

/// Gives a project one more key, perhaps limited to a bucket.
pub async fn add_key(
    data_dir: &Path,
    project: &str,
    key: &str,
    scopes: &[Scope],
    bucket: Option<BucketName>,
) -> Result<()> {
    let scopes: BTreeSet<_> = scopes.iter().copied().collect();
    add_key_with(data_dir, project, key, |key| *key = ApiKey { scopes, bucket, ..key.clone() }).await
}

/// Gives a project one more key, which may do everything there unless it is changed.
pub async fn add_key_with(
    data_dir: &Path,
    project: &str,
    key: &str,
    change: impl FnOnce(&mut ApiKey) + Send,
) -> Result<()> {
    let store = metadata(data_dir).await?;
    let mut tx = store.write().await?;
    let project = tx.projects().find(&ProjectId::parse(project)?).await?.context("no such project")?;
    let digest: [u8; 32] = Sha256::digest(key.as_bytes()).into();
    let mut id = [0; 16];
    id.copy_from_slice(&digest[..16]);
    let id = ApiKeyId::new(uuid::Uuid::from_bytes(id));
    let mut key = ApiKey::of_whole_project(id, project.id, "of a test", KeyDigest(digest), project.created_at);
    change(&mut key);
    tx.keys().insert(&key).await?;
    Ok(tx.commit().await?)
}

/// A project's newest audit entries, newest first: who, what, to what.
pub async fn audited(data_dir: &Path, project: &str) -> Result<Vec<[String; 3]>> {
    let store = metadata(data_dir).await?;
    let filter = AuditFilter { project: Some(ProjectId::parse(project)?), limit: 100, ..AuditFilter::default() };
    let found = store.read().await?.audit().list(&filter).await?;
    let told = |AuditEntry { principal, operation, resource, .. }: AuditEntry| [principal, operation, resource];
    Ok(found.into_iter().map(|logged| told(logged.entry)).collect())
}

/// Empties the metadata store's index of the lakes, as if it had never been told of their commits.
pub async fn forget_lake_index(data_dir: &Path) -> Result<()> {
    let store = metadata(data_dir).await?;
    let mut tx = store.write().await?;
    let filter = ProjectFilter { status: None, limit: 1_000, offset: 0 };
    let (projects, _) = tx.projects().list(filter).await?;
    for project in projects {
        tx.lake_index().clear(&project.id).await?;
    }
    Ok(tx.commit().await?)
}

/// Sends requests with one key.
#[derive(Debug, Clone)]
pub struct Client<'a> {
    server: &'a TestServer,
    key: String,
}

impl Client<'_> {
    /// The key.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// A request with the key.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.server.request(method, path).bearer_auth(&self.key)
    }

    /// `GET`
    pub async fn get(&self, path: &str) -> Result<Reply> {
        send(self.request(Method::GET, path)).await
    }

    /// `DELETE`
    pub async fn delete(&self, path: &str) -> Result<Reply> {
        send(self.request(Method::DELETE, path)).await
    }

    /// `POST` of a document.
    pub async fn post(&self, path: &str, body: &Value) -> Result<Reply> {
        send(self.request(Method::POST, path).json(body)).await
    }

    /// `PUT` of a document.
    pub async fn put(&self, path: &str, body: &Value) -> Result<Reply> {
        send(self.request(Method::PUT, path).json(body)).await
    }

    /// `POST` of bytes of a media type.
    pub async fn send_as(&self, path: &str, media_type: &str, body: impl Into<reqwest::Body>) -> Result<Reply> {
        send(self.request(Method::POST, path).header("Content-Type", media_type).body(body)).await
    }
}
