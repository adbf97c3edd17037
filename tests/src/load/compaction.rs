//! Many small files become few while others read and write.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};

use super::crowd::Group;
use super::wire::Wire;
use super::{JSON, Options, PROJECT, ROWS, head, parameter, post, tables_of_points, unlimited, write_rows};
use crate::demo::Client;
use crate::server::{ServerProcess, StartOptions, setting};

/// Clients that read the table that is merged; the others read one beside it.
const OF_THE_MERGED: usize = 4;
/// Clients that read.
const READERS: usize = 16;
/// Clients that write.
const WRITERS: usize = 4;
/// Rows of a small file.
const ROWS_OF_A_FILE: u64 = 100;
/// How much slower than without it a read may be while files are merged.
const SLOWER: f64 = 1.5;
/// What passes before anything counts.
const WARM_UP: Duration = Duration::from_secs(3);
/// How long a run may take.
const PATIENCE: Duration = Duration::from_mins(10);

/// What is merged, and what the server may hold.
#[derive(Debug, Clone, Copy)]
pub struct Compaction {
    /// Small files.
    pub files: u64,
    /// How long reads are looked at without it.
    pub before: Duration,
    /// What the server may hold, in bytes.
    pub memory: u64,
}

/// What a client does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Beside,
    Merged,
    Append,
}

/// What took how long, and when it began.
#[derive(Debug, Default)]
struct Seen {
    all: Vec<(Kind, Instant, Duration)>,
    failed: u64,
}

/// Times of a kind, in milliseconds.
#[derive(Debug, Clone, Copy)]
struct Times {
    count: usize,
    p50: f64,
    p99: f64,
    most: f64,
}

/// What was measured.
#[derive(Debug)]
pub struct Report {
    compaction: Compaction,
    enforced: bool,
    took: Duration,
    merged: Value,
    left: u64,
    /// Of each kind, without it and with it.
    times: [(Kind, Times, Times); 3],
    failed: u64,
    peaks: [f64; 2],
}

impl Report {
    /// Whether nothing failed, nothing was too slow, and little memory was enough.
    pub fn held(&self) -> bool {
        let limit = self.compaction.memory >> 20;
        let reads = self.times.iter().filter(|(kind, ..)| *kind != Kind::Append);
        #[expect(clippy::cast_precision_loss, reason = "some thousands")]
        let fits = self.peaks[1] <= limit as f64;
        let quick = reads.into_iter().all(|(_, without, with)| with.p99 <= without.p99 * SLOWER);
        self.failed == 0 && fits && quick && self.left < self.compaction.files / 10
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Compaction { files, memory, .. } = self.compaction;
        let how = if self.enforced { "held to" } else { "told to keep to" };
        writeln!(
            f,
            "{files} small files are merged beside {READERS} readers and {WRITERS} writers, {how} {} MB",
            memory >> 20
        )?;
        writeln!(f, "  the run took {:.1} s; {} files are left; {}", self.took.as_secs_f64(), self.left, self.merged)?;
        for (kind, without, with) in &self.times {
            let label = match kind {
                Kind::Beside => "reads of another table",
                Kind::Merged => "reads of the table",
                Kind::Append => "appends",
            };
            for (when, Times { count, p50, p99, most }) in [("without it", without), ("with it", with)] {
                writeln!(
                    f,
                    "  {label:<23} {when:<10} {count:>6}, p50 {p50:>7.1}, p99 {p99:>7.1}, most {most:>7.1} ms"
                )?;
            }
        }
        let [without, with] = self.peaks;
        writeln!(f, "  most memory: {without:.0} MB without it, {with:.0} MB with it")?;
        writeln!(f, "  {} failed; it {}", self.failed, if self.held() { "held" } else { "did NOT hold" })
    }
}

/// Measures it at a server of its own.
pub async fn run(options: &Options, compaction: Compaction) -> Result<Report> {
    let say = options.progress.as_ref();
    let folder = tempfile::Builder::new().prefix("gadwall-merged-").tempdir().context("no folder for the files")?;
    let group = Group::make(compaction.memory).ok();
    let mut start = StartOptions { env: unlimited(), ..StartOptions::default() };
    match &group {
        Some(group) => start.binary = Some(group.entrance(folder.path())?),
        None => start.env.push(setting("ENGINE__MEMORY_LIMIT", format!("{}B", compaction.memory / 10 * 6))),
    }
    let mut server = ServerProcess::start(&start).await?;
    let client = tables_of_points(&server, &["points", "small", "arrivals"]).await?;
    say(&format!("making {} files", compaction.files));
    fill(&server, &client, folder.path(), compaction.files).await?;

    let host = server.url().trim_start_matches("http://").to_owned();
    let over = Arc::new(AtomicBool::new(false));
    let numbers = Arc::new(AtomicU64::new(0));
    let kinds = (0..READERS + WRITERS).map(|number| match number {
        0..OF_THE_MERGED => Kind::Merged,
        OF_THE_MERGED..READERS => Kind::Beside,
        _ => Kind::Append,
    });
    let one = |kind| work(kind, host.clone(), client.key().to_owned(), Arc::clone(&numbers), Arc::clone(&over));
    let tasks: Vec<_> = kinds.map(|kind| tokio::spawn(one(kind))).collect();
    tokio::time::sleep(WARM_UP).await;
    say(&format!("all at once for {} s, nothing is merged", compaction.before.as_secs()));
    server.forget_peak();
    let without = Instant::now();
    tokio::time::sleep(compaction.before).await;
    let without = (without, Instant::now());
    let peak = server.peak_mb().unwrap_or(f64::NAN);
    server.forget_peak();
    say("and now they are merged");
    let begun = Instant::now();
    let merged = merge(&client).await;
    let with = (begun, Instant::now());
    let peaks = [peak, server.peak_mb().unwrap_or(f64::NAN)];
    over.store(true, Ordering::Relaxed);
    let mut seen = Seen::default();
    for task in tasks {
        let one = task.await.context("a client failed")?;
        seen.failed += one.failed;
        seen.all.extend(one.all);
    }
    let merged = merged?;
    let left = files_left(&client).await?;
    server.stop().await?;
    let times =
        [Kind::Beside, Kind::Merged, Kind::Append].map(|kind| (kind, seen.of(kind, without), seen.of(kind, with)));
    let took = with.1 - with.0;
    let enforced = group.is_some();
    Ok(Report { compaction, enforced, took, merged, left, times, failed: seen.failed, peaks })
}

impl Seen {
    /// What was under way at some time between the two.
    fn of(&self, kind: Kind, (from, until): (Instant, Instant)) -> Times {
        let within = self.all.iter().filter(|(of, begun, took)| *of == kind && *begun < until && *begun + *took > from);
        let mut times: Vec<f64> = within.map(|(_, _, took)| took.as_secs_f64() * 1e3).collect();
        times.sort_by(f64::total_cmp);
        let at = |percent: usize| {
            let rank = (times.len() * percent).div_ceil(100).saturating_sub(1);
            times.get(rank).copied().unwrap_or(f64::NAN)
        };
        Times { count: times.len(), p50: at(50), p99: at(99), most: at(100) }
    }
}

/// Puts so many small files into a dataset and has one table read them all; another table gets its rows in one.
async fn fill(server: &ServerProcess, client: &Client, folder: &std::path::Path, files: u64) -> Result<()> {
    let tables = format!("/projects/{PROJECT}/buckets/bench/tables");
    let (large, small) = (folder.join("points.parquet"), folder.join("small.parquet"));
    write_rows(&large, ROWS)?;
    write_rows(&small, ROWS_OF_A_FILE)?;
    let rows = tokio::fs::read(&large).await?;
    client.post_body(&format!("{tables}/points/rows"), "application/vnd.apache.parquet", rows, 200).await?;
    let file = tokio::fs::read(&small).await?;
    client.post(&format!("/projects/{PROJECT}/datasets"), &json!({ "name": "small" }), 201).await?;
    let host = server.url().trim_start_matches("http://");
    let mut wire = Wire::connect(host).await?;
    for number in 0..files {
        let head = format!(
            "PUT /projects/{PROJECT}/datasets/small/{number}.parquet HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {}\r\n\
             content-type: application/vnd.apache.parquet\r\ncontent-length: {}\r\n\r\n",
            client.key(),
            file.len()
        );
        let answer = wire.exchange(&[head.as_bytes(), &file].concat()).await?;
        if answer.status != 201 {
            bail!("a file was answered with {}", answer.status);
        }
    }
    client.post(&format!("{tables}/small/files"), &json!({ "files": "/small/*.parquet" }), 200).await?;
    Ok(())
}

/// A run that merges files, to its end; answers what came of it.
async fn merge(client: &Client) -> Result<Value> {
    let runs = format!("/projects/{PROJECT}/maintenance/runs");
    let begun = client.post(&runs, &json!({ "steps": ["merge_files"] }), 202).await?;
    let id = begun["id"].as_str().context("a run without an id")?;
    let until = Instant::now() + PATIENCE;
    while Instant::now() < until {
        let told = client.get(&format!("{runs}/{id}"), 200).await?;
        match told["state"].as_str() {
            Some("pending" | "running") => tokio::time::sleep(Duration::from_millis(20)).await,
            Some("succeeded") => return Ok(told["result"]["steps"]["merge_files"].clone()),
            _ => bail!("{told}"),
        }
    }
    bail!("the run never ended")
}

/// How many files the project's tables have.
async fn files_left(client: &Client) -> Result<u64> {
    let health = client.get(&format!("/projects/{PROJECT}/maintenance"), 200).await?;
    health["files"].as_u64().context("the number of files isn't told")
}

/// Does one thing again and again.
async fn work(kind: Kind, host: String, key: String, numbers: Arc<AtomicU64>, over: Arc<AtomicBool>) -> Seen {
    let mut seen = Seen::default();
    let mut wire = None;
    let head = head(&host, &key, JSON);
    while !over.load(Ordering::Relaxed) {
        let number = numbers.fetch_add(1, Ordering::Relaxed);
        let request = request(kind, number, &head);
        let begun = Instant::now();
        let answer = async {
            if wire.is_none() {
                wire = Some(Wire::connect(&host).await?);
            }
            wire.as_mut().context("it is connected")?.exchange(&request).await
        };
        match answer.await {
            Ok(answer) if (200..=299).contains(&answer.status) => seen.all.push((kind, begun, begun.elapsed())),
            answered => {
                seen.failed += 1;
                if answered.is_err() {
                    wire = None;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        if kind == Kind::Append {
            // Writers are no flood: what is asked is what merging does, not how fast rows come.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    seen
}

fn request(kind: Kind, number: u64, head: &str) -> Vec<u8> {
    let query = |table: &str, most: u64| {
        let sql = format!("SELECT count(*), max(x) FROM bench.{table} WHERE id >= ?");
        let body = json!({ "query": sql, "params": [parameter(number) % most] }).to_string();
        post(&format!("/projects/{PROJECT}/query"), head, &body)
    };
    match kind {
        Kind::Beside => query("points", ROWS),
        Kind::Merged => query("small", ROWS_OF_A_FILE),
        Kind::Append => {
            let row = json!([{ "id": number, "at": "2024-01-01T00:00:00", "place": "here", "x": 0.5 }]);
            post(&format!("/projects/{PROJECT}/buckets/bench/tables/arrivals/rows"), head, &row.to_string())
        }
    }
}
