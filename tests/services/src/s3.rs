//! An S3 server: one whose address is in the environment, or else a SeaweedFS of the test's own.

use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use object_store::aws::{AmazonS3Builder, AwsAuthorizer, AwsCredential};
use object_store::client::HttpRequestBody;
use object_store::path::Path as Key;
use object_store::{ClientOptions, ObjectStoreExt as _, RetryConfig};
use rand::Rng as _;
use tempfile::TempDir;

use crate::folder;
use crate::supervisor::Supervised;

/// Where the server is in a folder of its package.
const PROGRAM: &str = "scripts/weed";
/// Names the server to use; with `_ACCESS_KEY`, `_SECRET_KEY` and `_BUCKET` in place of the last part, the rest.
const ADDRESS: &str = "GADWALL_TEST_S3_ENDPOINT";
const REGION: &str = "us-east-1";
const BUCKET: &str = "gadwall";
/// What a server takes to begin on a busy machine, and then some.
const PATIENCE: Duration = Duration::from_mins(1);
/// How often a start is tried: another process may take a port meanwhile.
const STARTS: usize = 5;

/// A key and its secret.
#[derive(Debug, Clone)]
pub struct Keys {
    /// The key's name.
    pub access_key: String,
    /// The key.
    pub secret_key: String,
}

/// An S3 server. What it is of a test's own is gone when this is dropped, or when the test's process dies.
pub struct S3 {
    /// Its address, as `http://host:port`.
    pub endpoint: String,
    /// Who may do everything.
    pub access_key: String,
    /// The key to that.
    pub secret_key: String,
    /// A bucket that is there.
    pub bucket: String,
    own: Option<Weed>,
    #[cfg(feature = "containers")]
    _container: Option<crate::container::MinioContainer>,
}

impl std::fmt::Debug for S3 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("S3").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

impl S3 {
    /// The server that `GADWALL_TEST_S3_ENDPOINT` (with `_ACCESS_KEY`, `_SECRET_KEY` and `_BUCKET`) names, or a new one.
    ///
    /// # Errors
    /// When there is none, and none can be started.
    pub async fn start() -> anyhow::Result<Self> {
        // Where another crate has chosen already, this choice is not needed.
        let _ = rustls::crypto::ring::default_provider().install_default();
        if let Some(endpoint) = folder::variable(ADDRESS) {
            let needed = |name: &str| {
                let name = ADDRESS.replace("ENDPOINT", name);
                folder::variable(&name).with_context(|| format!("{name} is not set"))
            };
            let keys = Keys { access_key: needed("ACCESS_KEY")?, secret_key: needed("SECRET_KEY")? };
            let given = Self::at(endpoint, keys, needed("BUCKET")?);
            given.ready(Instant::now() + PATIENCE).await?;
            return Ok(given);
        }
        #[cfg(feature = "containers")]
        if let Some(container) = crate::container::MinioContainer::start(BUCKET).await? {
            let server = Self::at(container.endpoint.clone(), container.keys.clone(), BUCKET.to_owned());
            let server = Self { _container: Some(container), ..server };
            server.ready(Instant::now() + PATIENCE).await?;
            return Ok(server);
        }
        let mut last = None;
        for _ in 0..STARTS {
            match Self::own().await {
                Ok(server) => return Ok(server),
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(|| anyhow::anyhow!("no start was tried")))
    }

    async fn own() -> anyhow::Result<Self> {
        let weed = Weed::new()?;
        let endpoint = format!("http://127.0.0.1:{}", weed.port);
        let mut server = Self::at(endpoint, weed.keys.clone(), BUCKET.to_owned());
        server.own = Some(weed);
        server.start_again().await?;
        Ok(server)
    }

    fn at(endpoint: String, keys: Keys, bucket: String) -> Self {
        let Keys { access_key, secret_key } = keys;
        Self {
            endpoint,
            access_key,
            secret_key,
            bucket,
            own: None,
            #[cfg(feature = "containers")]
            _container: None,
        }
    }

    /// A name that no other test has, to put everything of one test under.
    pub fn fresh_prefix(&self) -> String {
        format!("t{:016x}", rand::rng().random::<u64>())
    }

    /// Who may only read. There is one where the server is a test's own.
    pub fn reader(&self) -> Option<Keys> {
        self.own.as_ref().map(|weed| weed.reader.clone())
    }

    /// Ends the server in good order. `false` where it isn't a test's own.
    pub fn stop(&mut self) -> bool {
        self.end("TERM")
    }

    /// Ends the server at once. `false` where it isn't a test's own.
    pub fn kill(&mut self) -> bool {
        self.end("KILL")
    }

    fn end(&mut self, signal: &str) -> bool {
        let running = self.own.as_mut().and_then(|weed| weed.running.take());
        running.is_some_and(|running| running.end(signal).is_ok())
    }

    /// Starts the server again, with what it had, and waits until it stores objects.
    ///
    /// # Errors
    /// When it doesn't.
    pub async fn start_again(&mut self) -> anyhow::Result<()> {
        let deadline = Instant::now() + PATIENCE;
        if let Some(weed) = &mut self.own {
            weed.start()?;
        }
        let ready = self.ready(deadline).await;
        let log = || self.own.as_ref().and_then(|weed| std::fs::read_to_string(weed.folder.path().join("log")).ok());
        ready.with_context(|| log().unwrap_or_default())
    }

    /// A client's settings for this server.
    pub fn client(&self) -> AmazonS3Builder {
        AmazonS3Builder::new()
            .with_endpoint(&self.endpoint)
            .with_allow_http(true)
            .with_region(REGION)
            .with_bucket_name(&self.bucket)
            .with_access_key_id(&self.access_key)
            .with_secret_access_key(&self.secret_key)
    }

    /// A server listens before it can store anything, so an object is stored.
    async fn ready(&self, deadline: Instant) -> anyhow::Result<()> {
        let options = ClientOptions::new().with_allow_http(true).with_timeout(Duration::from_secs(5));
        let retry = RetryConfig { max_retries: 0, ..RetryConfig::default() };
        let store = self.client().with_client_options(options).with_retry(retry).build()?;
        let key = Key::from(format!("{}/ready", self.fresh_prefix()));
        loop {
            let Err(error) = store.put(&key, "ready".into()).await else { break };
            if Instant::now() > deadline {
                return Err(error).context("the S3 server stores no objects");
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(store.delete(&key).await?)
    }

    /// The uploads in parts that were begun below this prefix, and neither finished nor given up: the server's answer.
    ///
    /// # Errors
    /// When the server doesn't tell.
    pub async fn open_uploads(&self, prefix: &str) -> anyhow::Result<usize> {
        let url = format!("{}/{}?uploads=&prefix={prefix}", self.endpoint, self.bucket);
        let credential =
            AwsCredential { key_id: self.access_key.clone(), secret_key: self.secret_key.clone(), token: None };
        let mut signed = object_store::client::HttpRequest::new(HttpRequestBody::empty());
        *signed.uri_mut() = url.parse()?;
        AwsAuthorizer::new(&credential, "s3", REGION).try_authorize(&mut signed, None)?;
        let answer = reqwest::Client::new().get(url).headers(signed.headers().clone()).send().await?;
        let answer = answer.error_for_status()?.text().await?;
        if !answer.contains("ListMultipartUploadsResult") {
            bail!("the server doesn't list uploads: {answer}");
        }
        Ok(answer.matches("<UploadId>").count())
    }
}

/// A SeaweedFS of a test's own.
struct Weed {
    running: Option<Supervised>,
    args: Vec<String>,
    port: u16,
    /// Ports by which its sockets are known, which it makes elsewhere and leaves behind.
    sockets: [u16; 5],
    keys: Keys,
    reader: Keys,
    // Removed after the process is gone: fields are dropped in this order.
    folder: TempDir,
}

impl Weed {
    fn new() -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("gadwall-test-").tempdir()?;
        let keys = |name: &str| Keys {
            access_key: name.to_owned(),
            secret_key: format!("{:032x}", rand::rng().random::<u128>()),
        };
        let (keys, reader) = (keys("writer"), keys("reader"));
        let config = folder.path().join("identities.json");
        std::fs::write(&config, identities(&keys, &reader))?;
        let [master, volume, filer, port, admin] = ports()?;
        let at = folder.path().display();
        let args = [
            // Slower with much data, but several of them fit beside each other.
            "GOMEMLIMIT=256MiB".to_owned(),
            "GOGC=50".to_owned(),
            program()?.display().to_string(),
            format!("-logdir={at}"),
            "mini".to_owned(),
            format!("-dir={at}/data"),
            "-ip=127.0.0.1".to_owned(),
            "-ip.bind=127.0.0.1".to_owned(),
            format!("-master.port={master}"),
            format!("-volume.port={volume}"),
            format!("-filer.port={filer}"),
            format!("-s3.port={port}"),
            // It listens there also without its pages, and servers would collide.
            format!("-admin.port={admin}"),
            format!("-filer.localSocket={at}/filer.sock"),
            format!("-s3.localSocket={at}/s3.sock"),
            format!("-s3.config={}", config.display()),
            "-admin.ui=false".to_owned(),
            "-webdav=false".to_owned(),
            "-s3.port.iceberg=0".to_owned(),
            "-s3.port.lance=0".to_owned(),
            "-s3.iam=false".to_owned(),
            "-s3.autoCreateBucket=false".to_owned(),
            "-s3.allowDeleteBucketNotEmpty=false".to_owned(),
            "-master.telemetry=false".to_owned(),
            // By itself it makes as many as the disk has room for, and buckets beyond them fail.
            "-volume.max=1000".to_owned(),
            "-master.volumeSizeLimitMB=1024".to_owned(),
            format!("-bucket={BUCKET}"),
        ];
        let sockets = [master, volume, filer, port, admin].map(|port| port + 10_000);
        Ok(Self { running: None, args: args.to_vec(), port, sockets, keys, reader, folder })
    }

    fn start(&mut self) -> anyhow::Result<()> {
        std::fs::create_dir_all(self.folder.path().join("data"))?;
        let args: Vec<&str> = self.args.iter().map(String::as_str).collect();
        self.running = Some(Supervised::start(self.folder.path(), None, Path::new("env"), &args)?);
        Ok(())
    }
}

impl Drop for Weed {
    fn drop(&mut self) {
        self.running = None;
        for entry in std::fs::read_dir("/tmp").into_iter().flatten().flatten() {
            let name = entry.file_name().into_string().unwrap_or_default();
            let port = name.strip_prefix("seaweedfs-").and_then(|rest| rest.strip_suffix(".sock")?.rsplit_once('-'));
            if port.is_some_and(|(_, port)| port.parse().is_ok_and(|port| self.sockets.contains(&port))) {
                let _ = std::fs::remove_file(entry.path());
            }
        }
    }
}

fn identities(writer: &Keys, reader: &Keys) -> String {
    let identity = |keys: &Keys, actions: &str| {
        let Keys { access_key, secret_key } = keys;
        format!(
            r#"{{"name":"{access_key}","actions":[{actions}],"credentials":[{{"accessKey":"{access_key}","secretKey":"{secret_key}"}}]}}"#
        )
    };
    let writer = identity(writer, r#""Admin","Read","List","Tagging","Write""#);
    let reader = identity(reader, r#""Read","List""#);
    format!(r#"{{"identities":[{writer},{reader}]}}"#)
}

fn program() -> anyhow::Result<PathBuf> {
    let folders = std::fs::read_dir(folder::service("seaweedfs")?)?.flatten();
    let found = folders.map(|folder| folder.path().join(PROGRAM)).find(|program| program.is_file());
    found.context("the package of the S3 server has no server")
}

/// Ports that are free, and with them those 10,000 above, which the server takes by itself.
fn ports() -> anyhow::Result<[u16; 5]> {
    let mut held = Vec::new();
    let mut found = [0; 5];
    for found in &mut found {
        *found = (0..1_000)
            .find_map(|_| {
                let port = rand::rng().random_range(20_000..32_000);
                let listen = |port| TcpListener::bind((Ipv4Addr::LOCALHOST, port));
                held.push((listen(port).ok()?, listen(port + 10_000).ok()?));
                Some(port)
            })
            .context("no ports are free")?;
    }
    Ok(found)
}
