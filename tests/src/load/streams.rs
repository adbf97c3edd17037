//! Live events: thousands of clients watch one server, some of which never read what they are sent.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Result, bail};
use futures_util::{StreamExt as _, stream};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, timeout};
use uuid::Uuid;

use super::wire::Wire;
use super::{Options, PROJECT, head, post, unlimited};
use crate::demo::Client;
use crate::server::{ServerProcess, StartOptions, setting};

/// One of so many never reads.
const ONE_SILENT_IN: usize = 10;
/// Events that a word of the publisher is told as.
const EVENTS_OF_A_WORD: u64 = 3;
/// Clients that connect at the same time.
const AT_ONCE: usize = 32;
/// What a silent client's system keeps for it, in bytes: little, so that the server soon notices.
const SILENT_BUFFER: u32 = 4_096;
/// How long the readers get for what is still on its way.
const LAST_WORDS: Duration = Duration::from_secs(3);
/// Longest time that is told apart, in milliseconds.
const SLOWEST: usize = 10_000;

/// How many watch, and what.
#[derive(Debug, Clone, Copy)]
pub struct Watch {
    /// Clients, a tenth of which never read.
    pub clients: usize,
    /// Events a second, each for every client.
    pub events: u64,
    /// For how long.
    pub length: Duration,
}

/// What was seen.
#[derive(Debug)]
pub struct Report {
    watch: Watch,
    silent: usize,
    /// Events that were told, and in how many seconds.
    told: u64,
    seconds: f64,
    delivered: u64,
    /// Readers that got less than all, and that were cut.
    starved: usize,
    cut: usize,
    /// Silent ones that were cut.
    silent_cut: usize,
    p50: usize,
    p99: usize,
    most: usize,
    peak_mb: Option<f64>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Report { watch, silent, told, seconds, delivered, starved, cut, silent_cut, p50, p99, most, peak_mb } =
            self;
        #[expect(clippy::cast_precision_loss, reason = "a rate for people to read")]
        let rate = |count: u64| count as f64 / seconds;
        writeln!(f, "streams: {} clients, {silent} of which never read, for {seconds:.0} s", watch.clients)?;
        writeln!(f, "  events told      {:>9.0}/s of {} wanted, {told} in all", rate(*told), watch.events)?;
        writeln!(f, "  delivered        {:>9.0}/s", rate(*delivered))?;
        writeln!(f, "  from event to client, p50, p99, most: {p50}, {p99}, {most} ms")?;
        writeln!(f, "  readers starved, cut: {starved}, {cut}; silent ones cut: {silent_cut} of {silent}")?;
        writeln!(f, "  most memory      {:>9.0} MB", peak_mb.unwrap_or(f64::NAN))
    }
}

/// What all readers saw.
#[derive(Debug)]
struct Seen {
    /// How many events took so many milliseconds.
    millis: Vec<AtomicU64>,
}

impl Seen {
    fn take(&self, millis: usize) {
        self.millis[millis.min(SLOWEST)].fetch_add(1, Ordering::Relaxed);
    }

    fn all(&self) -> u64 {
        self.millis.iter().map(|count| count.load(Ordering::Relaxed)).sum()
    }

    fn at(&self, percent: u64) -> usize {
        let wanted = (self.all() * percent).div_ceil(100);
        let mut passed = 0;
        let reached = self.millis.iter().position(|count| {
            passed += count.load(Ordering::Relaxed);
            passed >= wanted
        });
        reached.unwrap_or(SLOWEST)
    }
}

/// Lets clients watch a server of its own.
pub async fn run(options: &Options, watch: Watch) -> Result<Report> {
    let say = options.progress.as_ref();
    // A socket for each client, here and there; the server inherits the limit.
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    let number = (watch.clients + 100).to_string();
    let many = |name: &str| setting(name, number.as_str());
    let mut env = unlimited();
    env.extend(["EVENTS__MAX_CLIENTS", "EVENTS__MAX_CLIENTS_PER_PROJECT"].map(many));
    env.extend(["SERVER__MAX_CONNECTIONS", "SERVER__MAX_CONNECTIONS_PER_ADDRESS"].map(many));
    let server = ServerProcess::start(&StartOptions { env, ..StartOptions::default() }).await?;
    let client = Client::new(server.url(), server.admin_key())?.project(PROJECT, json!({})).await?;
    let key = client.key();
    let host = server.url().trim_start_matches("http://").to_owned();

    say(&format!("{} clients come", watch.clients));
    let (readers, silent) = connect(&host, key, watch.clients).await?;
    say(&format!("{} events a second for {} s", watch.events, watch.length.as_secs()));
    server.forget_peak();
    let seen = Arc::new(Seen { millis: (0..=SLOWEST).map(|_| AtomicU64::new(0)).collect() });
    let readers: Vec<JoinHandle<_>> =
        readers.into_iter().map(|stream| tokio::spawn(read(stream, Arc::clone(&seen)))).collect();
    let begun = tokio::time::Instant::now();
    let told = publish(&host, key, watch).await?;
    let seconds = begun.elapsed().as_secs_f64();
    let peak_mb = server.peak_mb();
    tokio::time::sleep(LAST_WORDS).await;
    let mut report = Report {
        watch,
        silent: silent.len(),
        told,
        seconds,
        delivered: seen.all(),
        starved: 0,
        cut: 0,
        silent_cut: 0,
        p50: seen.at(50),
        p99: seen.at(99),
        most: seen.at(100),
        peak_mb,
    };
    say("whoever didn't read looks whether it is cut");
    for stream in silent {
        report.silent_cut += usize::from(is_over(stream).await);
    }
    // Those who are still there are told that the server stops.
    let mut server = server;
    for reader in &readers {
        report.cut += usize::from(reader.is_finished());
    }
    server.stop().await?;
    for reader in readers {
        report.starved += usize::from(reader.await? < told);
    }
    Ok(report)
}

/// Opens a stream for each client; the ones that read, and the ones that won't.
async fn connect(host: &str, key: &str, clients: usize) -> Result<(Vec<TcpStream>, Vec<TcpStream>)> {
    let one = |number: usize| async move {
        let is_silent = number.is_multiple_of(ONE_SILENT_IN);
        let socket = TcpSocket::new_v4()?;
        if is_silent {
            socket.set_recv_buffer_size(SILENT_BUFFER)?;
        }
        let mut stream = socket.connect(host.parse()?).await?;
        let head = head(host, key, "text/event-stream");
        stream.write_all(format!("GET /events/stream?replay=0 HTTP/1.1\r\n{head}\r\n").as_bytes()).await?;
        let mut first = [0; 12];
        stream.read_exact(&mut first).await?;
        if !first.ends_with(b"200") {
            bail!("a stream was refused: {}", String::from_utf8_lossy(&first));
        }
        Ok((is_silent, stream))
    };
    let all: Vec<Result<(bool, TcpStream)>> =
        stream::iter(0..clients).map(one).buffer_unordered(AT_ONCE).collect().await;
    let (mut readers, mut silent) = (Vec::new(), Vec::new());
    for client in all {
        let (is_silent, stream) = client?;
        if is_silent { silent.push(stream) } else { readers.push(stream) }
    }
    Ok((readers, silent))
}

/// Tells so many events a second; answers how many. Each word is a commit of its own.
async fn publish(host: &str, key: &str, watch: Watch) -> Result<u64> {
    let mut wire = Wire::connect(host).await?;
    let head = format!("host: {host}\r\nauthorization: Bearer {key}\r\n");
    let mut ticks = interval(Duration::from_micros(1_000_000 * EVENTS_OF_A_WORD / watch.events.max(1)));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let (begun, mut told) = (tokio::time::Instant::now(), 0);
    while begun.elapsed() < watch.length {
        ticks.tick().await;
        let event = json!({
            "eventType": "START", "eventTime": "2026-01-01T00:00:00Z", "producer": "https://example.org/bench",
            "run": { "runId": Uuid::from_u128(u128::from(told) + 1) }, "job": { "namespace": "bench", "name": "word" },
        });
        let answer = wire.exchange(&post("/api/v1/lineage", &head, &event.to_string())).await?;
        if answer.status != 200 {
            bail!("an event was answered with {}", answer.status);
        }
        told += EVENTS_OF_A_WORD;
    }
    Ok(told)
}

/// Reads a stream to its end; answers how many events of the log came.
async fn read(mut stream: TcpStream, seen: Arc<Seen>) -> u64 {
    let mut buffer = vec![0; 16 * 1024];
    let (mut filled, mut lines) = (0, Lines { is_told: false, count: 0 });
    loop {
        let read = stream.read(&mut buffer[filled..]).await.unwrap_or(0);
        if read == 0 {
            return lines.count;
        }
        filled += read;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        let whole = buffer[..filled].iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        lines.take(&buffer[..whole], now, &seen);
        buffer.copy_within(whole..filled, 0);
        filled -= whole;
        if filled == buffer.len() {
            return lines.count;
        }
    }
}

/// What a reader knows between two lines.
struct Lines {
    /// Whether the next data is of an event that was told.
    is_told: bool,
    count: u64,
}

impl Lines {
    fn take(&mut self, text: &[u8], now: f64, seen: &Seen) {
        const TIME: &[u8] = b"data: {\"timestamp\":";
        for line in text.split(|byte| *byte == b'\n') {
            if let Some(kind) = line.strip_prefix(b"event: ") {
                self.is_told = kind == b"lineage_event" || kind == b"job_status";
            } else if self.is_told
                && let Some(rest) = line.strip_prefix(TIME)
            {
                self.count += 1;
                let digits = rest.split(|byte| *byte == b',').next().unwrap_or_default();
                let at: Option<f64> = std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok());
                seen.take(at.map_or(SLOWEST, |at| millis(now - at)));
            }
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clocks of one machine differ by less than ages"
)]
fn millis(seconds: f64) -> usize {
    (seconds.max(0.0) * 1e3) as usize
}

/// Whether the server has given a client up: it reads what is left, and then nothing more comes.
async fn is_over(mut stream: TcpStream) -> bool {
    let mut buffer = vec![0; 64 * 1024];
    let end = async { while stream.read(&mut buffer).await.is_ok_and(|read| read > 0) {} };
    timeout(Duration::from_millis(200), end).await.is_ok()
}
