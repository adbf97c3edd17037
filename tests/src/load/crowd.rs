//! A crowd under little memory: many clients ask for all sorts of things at once, for a while. Some may be turned away,
//! but nothing breaks, and the service can be asked for its health all the time.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow};
use serde_json::json;

use super::wire::Wire;
use super::{JSON, head, post};
use crate::server::{ServerProcess, StartOptions, profile_dir, setting};
use crate::tpch;

/// A client that was turned away waits this long; less than it is told, so that the crowd stays one.
const AFTER_REFUSAL: Duration = Duration::from_millis(200);
/// How often the service is asked for its health.
const PROBE_EVERY: Duration = Duration::from_millis(50);
/// The longest that an answer about it may take.
const HEALTHY_WITHIN: Duration = Duration::from_millis(100);

/// How large the crowd is.
#[derive(Debug, Clone, Copy)]
pub struct Crowd {
    /// Clients at once.
    pub clients: usize,
    /// For how long.
    pub length: Duration,
    /// What the server may hold, in bytes.
    pub memory: u64,
    /// How much there is to read: the tables of TPC-H at this scale.
    pub scale: f64,
}

/// What the crowd saw.
#[derive(Debug)]
pub struct Report {
    crowd: Crowd,
    /// Whether the system holds the server to its memory.
    enforced: bool,
    /// How many answers came of each status; 0 where the connection broke.
    answers: BTreeMap<u16, u64>,
    /// Refusals that didn't say when to come again.
    untold: u64,
    /// How long each look at the health took, in order.
    health: Vec<Duration>,
    /// Looks at the health without a good answer.
    unhealthy: u64,
    peak_mb: Option<f64>,
    survived: bool,
}

impl Report {
    /// Whether nothing was seen that must not be.
    pub fn held(&self) -> bool {
        let allowed = |status: &u16| matches!(status, 200 | 503 | 507);
        self.survived
            && self.untold == 0
            && self.unhealthy == 0
            && self.answers.keys().all(allowed)
            && self.health.last().is_some_and(|longest| *longest < HEALTHY_WITHIN)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Crowd { clients, length, memory, scale } = self.crowd;
        let how = if self.enforced { "held to" } else { "told to keep to" };
        writeln!(f, "{clients} clients, {} s, TPC-H at scale {scale}, {how} {} MB", length.as_secs(), memory >> 20)?;
        for (status, count) in &self.answers {
            writeln!(f, "  answers {status:>3}           {count:>8}")?;
        }
        writeln!(f, "  refused without a time {:>5}", self.untold)?;
        let at = |percent: usize| {
            let rank = (self.health.len() * percent).div_ceil(100).saturating_sub(1);
            self.health.get(rank).map_or(f64::NAN, |time| time.as_secs_f64() * 1e3)
        };
        writeln!(
            f,
            "  health, p50, p99, most  {:.1}, {:.1}, {:.1} ms; {} bad",
            at(50),
            at(99),
            at(100),
            self.unhealthy
        )?;
        writeln!(f, "  most memory             {:.0} MB", self.peak_mb.unwrap_or(f64::NAN))?;
        writeln!(f, "  it {}", if self.held() { "held" } else { "did NOT hold" })
    }
}

/// Sends the crowd at a server of its own.
pub async fn run(crowd: Crowd, say: &dyn Fn(&str)) -> Result<Report> {
    let folder = tempfile::Builder::new().prefix("gadwall-crowd-").tempdir()?;
    say("making the rows");
    tpch::generate(folder.path(), crowd.scale)?;
    let group = Group::make(crowd.memory).ok();
    let mut start = StartOptions { env: vec![setting("SERVER__MAX_BODY_BYTES", "8GB")], ..StartOptions::default() };
    match &group {
        Some(group) => start.binary = Some(group.entrance(folder.path())?),
        None => start.env.push(setting("ENGINE__MEMORY_LIMIT", format!("{}B", crowd.memory / 10 * 6))),
    }
    let mut server = ServerProcess::start(&start).await?;
    say("loading them over HTTP");
    tpch::run::load(&server, folder.path()).await?;

    say(&format!("{} clients for {} s", crowd.clients, crowd.length.as_secs()));
    let host = server.url().trim_start_matches("http://").to_owned();
    let over = Arc::new(AtomicBool::new(false));
    let prober = {
        let (host, over) = (host.clone(), Arc::clone(&over));
        thread::spawn(move || probe(&host, &over))
    };
    let end = Instant::now() + crowd.length;
    let (numbers, key) = (Arc::new(AtomicU64::new(0)), server.admin_key().to_owned());
    let one = || client(host.clone(), key.clone(), Arc::clone(&numbers), end);
    let tasks: Vec<_> = (0..crowd.clients).map(|_| tokio::spawn(one())).collect();
    let mut report = Report {
        crowd,
        enforced: group.is_some(),
        answers: BTreeMap::new(),
        untold: 0,
        health: Vec::new(),
        unhealthy: 0,
        peak_mb: None,
        survived: false,
    };
    for task in tasks {
        let seen = task.await.context("a client failed")?;
        report.untold += seen.untold;
        for (status, count) in seen.answers {
            *report.answers.entry(status).or_default() += count;
        }
    }
    over.store(true, Ordering::Relaxed);
    (report.health, report.unhealthy) = prober.join().map_err(|_| anyhow!("the prober panicked"))??;
    report.health.sort_unstable();
    report.peak_mb = server.peak_mb();
    report.survived = server.is_running();
    if report.survived {
        server.stop().await?;
    }
    Ok(report)
}

#[derive(Default)]
struct Seen {
    answers: BTreeMap<u16, u64>,
    untold: u64,
}

async fn client(host: String, key: String, numbers: Arc<AtomicU64>, end: Instant) -> Seen {
    let mut seen = Seen::default();
    let mut wire = None;
    while Instant::now() < end {
        let request = request(numbers.fetch_add(1, Ordering::Relaxed), &host, &key);
        let answer = async {
            if wire.is_none() {
                wire = Some(Wire::connect(&host).await?);
            }
            let open = wire.as_mut().context("it is connected")?;
            open.exchange(&request).await
        };
        if let Ok(answer) = answer.await {
            *seen.answers.entry(answer.status).or_default() += 1;
            if answer.status != 200 {
                seen.untold += u64::from(matches!(answer.status, 503 | 507) && !answer.retry_after);
                tokio::time::sleep(AFTER_REFUSAL).await;
            }
        } else {
            wire = None;
            *seen.answers.entry(0).or_default() += 1;
            tokio::time::sleep(AFTER_REFUSAL).await;
        }
    }
    seen
}

/// One of all sorts of questions: small and large ones, in several formats; hardly one comes twice.
fn request(number: u64, host: &str, key: &str) -> Vec<u8> {
    let head = |accept: &str| head(host, key, accept);
    let order = number.wrapping_mul(7919) % 100_000 * 32 + 1;
    let tpch = tpch::queries();
    let query = |index: usize| format!("{} -- {number}", tpch[index]);
    let (sql, accept) = match number % 16 {
        0 => {
            let path = "/projects/default/buckets/main/tables/orders/preview?limit=100";
            return format!("GET {path} HTTP/1.1\r\n{}\r\n", head(JSON)).into_bytes();
        }
        1 | 2 => (format!("SELECT * FROM orders WHERE o_orderkey = {order}"), JSON),
        3 | 4 => (format!("SELECT count(*), max(l_tax) FROM lineitem WHERE l_orderkey >= {order}"), JSON),
        5 => ("SELECT count(*) FROM customer".to_owned(), JSON),
        6 => (query(0), JSON),
        7 => (query(2), JSON),
        8 => (query(8), JSON),
        9 => (query(17), JSON),
        10 => (query(usize::try_from(number / 16 % tpch.len() as u64).unwrap_or_default()), JSON),
        11 => (format!("SELECT * FROM orders LIMIT 50000 -- {number}"), "application/vnd.apache.arrow.stream"),
        12 => (format!("SELECT * FROM customer LIMIT 20000 -- {number}"), "text/csv"),
        13 => (format!("SELECT l_comment, count(*) FROM lineitem GROUP BY ALL ORDER BY 2 DESC, 1 LIMIT {order}"), JSON),
        14 => (format!("SELECT * FROM lineitem ORDER BY l_comment, l_orderkey LIMIT 100 -- {number}"), JSON),
        _ => (format!("SELECT * FROM part LIMIT 20000 -- {number}"), "application/x-ndjson"),
    };
    post("/projects/default/query", &head(accept), &json!({ "query": sql }).to_string())
}

/// Looks at the service's health until it is over: on a thread of its own, so that no other client holds it up.
fn probe(host: &str, over: &AtomicBool) -> Result<(Vec<Duration>, u64)> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let request = format!("GET /health HTTP/1.1\r\nhost: {host}\r\n\r\n").into_bytes();
    let (mut times, mut bad) = (Vec::new(), 0);
    runtime.block_on(async {
        let mut wire = Wire::connect(host).await?;
        while !over.load(Ordering::Relaxed) {
            let begun = Instant::now();
            if let Ok(answer) = wire.exchange(&request).await {
                bad += u64::from(answer.status != 200);
            } else {
                bad += 1;
                wire = Wire::connect(host).await?;
            }
            times.push(begun.elapsed());
            tokio::time::sleep(PROBE_EVERY).await;
        }
        Ok((times, bad))
    })
}

/// A control group below this process's own, in which a server may hold so much memory.
pub(super) struct Group(PathBuf);

impl Group {
    pub(super) fn make(limit: u64) -> Result<Self> {
        let groups = fs::read_to_string("/proc/self/cgroup")?;
        let first = groups.lines().find_map(|line| Some(("memory", line.split_once(":memory:/")?.1)));
        let second = groups.lines().find_map(|line| Some(("", line.strip_prefix("0::/")?)));
        let (controller, own) = first.or(second).context("no control groups")?;
        let own = Path::new("/sys/fs/cgroup").join(controller).join(own);
        let group = Self(own.join(format!("gadwall-crowd-{}", std::process::id())));
        fs::create_dir(&group.0)?;
        let file = if controller.is_empty() { "memory.max" } else { "memory.limit_in_bytes" };
        fs::write(group.0.join(file), limit.to_string())?;
        Ok(group)
    }

    /// A program that goes into the group and becomes the server.
    pub(super) fn entrance(&self, folder: &Path) -> Result<PathBuf> {
        let server = profile_dir()?.join("gadwall");
        let (entrance, procs) = (folder.join("gadwall"), self.0.join("cgroup.procs"));
        let text =
            format!("#!/bin/sh\necho $$ > '{}' || exit 1\nexec '{}' \"$@\"\n", procs.display(), server.display());
        fs::write(&entrance, text)?;
        fs::set_permissions(&entrance, fs::Permissions::from_mode(0o755))?;
        Ok(entrance)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // It stays if a process is left in it; then nothing can be done about it here.
        let _ = fs::remove_dir(&self.0);
    }
}
