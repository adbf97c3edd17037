//! Gadwall as a process of its own: started, watched, stopped.
//!
//! The process sees a small environment and an empty folder to work in, so nothing that lies about on the machine
//! (a `.env`, a variable) changes what is measured or tested.

use std::collections::hash_map::RandomState;
use std::ffi::OsString;
use std::fs::{self, File};
use std::hash::{BuildHasher, Hasher};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// Variables the server needs to be found, linked and understood.
const KEPT: [&str; 7] =
    ["PATH", "HOME", "TMPDIR", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "RUST_LOG", "RUST_BACKTRACE"];
/// How often a start is tried: another process may take the free port first.
const START_TRIES: u32 = 3;
/// How often the server is asked whether it is ready.
const POLL: Duration = Duration::from_millis(2);
/// How long one such question may take.
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a stop may take before it counts as failed.
const STOP_WITHIN: Duration = Duration::from_secs(30);
/// How much of the log an error shows.
const LOG_LINES: usize = 20;

/// A setting of a server, as a variable of its environment.
pub fn setting(name: &str, value: impl Into<String>) -> (String, String) {
    (format!("GADWALL__{name}"), value.into())
}

/// How to start a server.
#[derive(Debug, Clone)]
pub struct StartOptions {
    /// The program; by default `gadwall` beside this program.
    pub binary: Option<PathBuf>,
    /// Where it keeps its data; by default a new folder that goes away with the process.
    pub data_dir: Option<PathBuf>,
    /// The port; by default a free one.
    pub port: Option<u16>,
    /// The administrator's key.
    pub admin_key: String,
    /// More settings, as environment variables. They win over all others.
    pub env: Vec<(String, String)>,
    /// How long it may take until `GET /health` answers 200.
    pub ready_within: Duration,
}

impl Default for StartOptions {
    fn default() -> Self {
        Self {
            binary: None,
            data_dir: None,
            port: None,
            admin_key: random_key(),
            env: Vec::new(),
            ready_within: Duration::from_mins(1),
        }
    }
}

/// A running server. It is killed when this is dropped.
#[derive(Debug)]
pub struct ServerProcess {
    child: Child,
    url: String,
    admin_key: String,
    data_dir: PathBuf,
    log: PathBuf,
    first_answer: Duration,
    ready: Duration,
    own: TempDir,
}

impl ServerProcess {
    /// Starts a server and waits until it is ready.
    pub async fn start(options: &StartOptions) -> Result<Self> {
        let binary = match &options.binary {
            Some(binary) => binary.clone(),
            None => profile_dir()?.join(format!("gadwall{}", std::env::consts::EXE_SUFFIX)),
        };
        if !binary.is_file() {
            bail!(
                "{} is missing; build it first: cargo build --bin gadwall (with --release for a release)",
                binary.display()
            );
        }
        let mut tried = 0;
        loop {
            tried += 1;
            let port = options.port.map_or_else(free_port, Ok)?;
            let mut server = Self::spawn(&binary, port, options)?;
            match server.wait_until_ready(options.ready_within).await {
                Ok(()) => return Ok(server),
                Err(_) if options.port.is_none() && tried < START_TRIES && server.log().contains("in use") => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn spawn(binary: &Path, port: u16, options: &StartOptions) -> Result<Self> {
        let own = tempfile::Builder::new().prefix("gadwall-").tempdir().context("no folder for the server's files")?;
        let data_dir = options.data_dir.clone().unwrap_or_else(|| own.path().join("data"));
        let cwd = own.path().join("cwd");
        fs::create_dir_all(&data_dir).with_context(|| format!("cannot make {}", data_dir.display()))?;
        fs::create_dir_all(&cwd)?;
        let log = own.path().join("server.log");
        let stdout = File::create(&log).context("cannot make the server's log file")?;
        let stderr = stdout.try_clone()?;
        let child = Command::new(binary)
            .current_dir(cwd)
            .env_clear()
            .envs(kept_variables())
            .env("HOST", "127.0.0.1")
            .env("PORT", port.to_string())
            .env("DATA_DIR", &data_dir)
            .env("ADMIN_API_KEY", &options.admin_key)
            .envs(options.env.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(stdout)
            .stderr(stderr)
            .spawn()
            .with_context(|| format!("cannot start {}", binary.display()))?;
        Ok(Self {
            child,
            url: format!("http://127.0.0.1:{port}"),
            admin_key: options.admin_key.clone(),
            data_dir,
            log,
            first_answer: Duration::ZERO,
            ready: Duration::ZERO,
            own,
        })
    }

    async fn wait_until_ready(&mut self, within: Duration) -> Result<()> {
        let begun = Instant::now();
        let client = crate::client::builder().pool_max_idle_per_host(0).timeout(PROBE_TIMEOUT).build()?;
        let health = format!("{}/health", self.url);
        let mut answered = None;
        loop {
            if let Some(status) = self.child.try_wait()? {
                bail!("the server ended at once ({status}):\n{}", self.last_words());
            }
            if let Ok(answer) = client.get(&health).send().await {
                answered.get_or_insert_with(|| begun.elapsed());
                if answer.status().as_u16() == 200 {
                    self.ready = begun.elapsed();
                    self.first_answer = answered.unwrap_or(self.ready);
                    return Ok(());
                }
            }
            if begun.elapsed() > within {
                bail!("the server was not ready within {} s:\n{}", within.as_secs(), self.last_words());
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Where it listens, e.g. `http://127.0.0.1:40001`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The administrator's key.
    pub fn admin_key(&self) -> &str {
        &self.admin_key
    }

    /// The process's id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Where it keeps its data.
    pub fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// From the start to the first answer to `GET /health`, whatever it was.
    pub fn first_answer(&self) -> Duration {
        self.first_answer
    }

    /// From the start to the first `GET /health` that said 200.
    pub fn ready(&self) -> Duration {
        self.ready
    }

    /// What it has written to its output.
    pub fn log(&self) -> String {
        fs::read(&self.log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }

    fn last_words(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(LOG_LINES)..].join("\n")
    }

    /// The memory it holds, in MB; none where there is no `/proc`.
    pub fn resident_mb(&self) -> Option<f64> {
        self.memory("VmRSS:")
    }

    /// The most memory that the process has held so far, in MB, where the system tells.
    pub fn peak_mb(&self) -> Option<f64> {
        self.memory("VmHWM:")
    }

    fn memory(&self, of: &str) -> Option<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix(of))?;
        let kib: u32 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
        Some(f64::from(kib) / 1024.0)
    }

    /// Begins to measure anew which memory is the most, where the system lets us.
    pub fn forget_peak(&self) {
        let _ = fs::write(format!("/proc/{}/clear_refs", self.pid()), "5");
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Asks it to end (SIGTERM) and waits until it has.
    pub async fn stop(&mut self) -> Result<ExitStatus> {
        if let Some(status) = self.child.try_wait()? {
            return Ok(status);
        }
        kill_process(Pid::from_child(&self.child), Signal::TERM).context("the server could not be asked to end")?;
        let begun = Instant::now();
        while begun.elapsed() < STOP_WITHIN {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            tokio::time::sleep(POLL).await;
        }
        let words = self.last_words();
        self.kill_9()?;
        bail!("the server did not end within {} s of SIGTERM:\n{words}", STOP_WITHIN.as_secs())
    }

    /// Has it read its settings again (SIGHUP).
    pub fn hang_up(&self) -> Result<()> {
        kill_process(Pid::from_child(&self.child), Signal::HUP).context("the server could not be told")
    }

    /// The folder it was started in, where it looks for `gadwall.toml`.
    pub fn working_dir(&self) -> PathBuf {
        self.own.path().join("cwd")
    }

    /// Ends it as a power cut would (SIGKILL).
    pub fn kill_9(&mut self) -> Result<ExitStatus> {
        self.child.kill().context("the server could not be killed")?;
        Ok(self.child.wait()?)
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        // Nothing can be done about a failure here, and a process that ended already is fine.
        let _ = self.kill_9();
    }
}

/// The folder this build's programs lie in, e.g. `target/release`.
pub fn profile_dir() -> Result<PathBuf> {
    let program = std::env::current_exe().context("this program cannot find itself")?;
    let mut dir = program.parent().context("this program lies nowhere")?;
    if dir.ends_with("deps") || dir.ends_with("examples") {
        dir = dir.parent().unwrap_or(dir);
    }
    Ok(dir.to_owned())
}

/// A port of the loopback interface that nothing listens on right now.
pub fn free_port() -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free port")?;
    Ok(listener.local_addr()?.port())
}

/// A key nobody can guess: the standard library's hashers start from random state.
fn random_key() -> String {
    let part = || RandomState::new().build_hasher().finish();
    format!("{:016x}{:016x}{:016x}", part(), part(), part())
}

#[expect(clippy::disallowed_methods, reason = "hands what the server needs of this program's environment on to it")]
fn kept_variables() -> impl Iterator<Item = (&'static str, OsString)> {
    KEPT.into_iter().filter_map(|name| Some((name, std::env::var_os(name)?)))
}
