//! What it costs to be watched: the same queries at a server that sends traces and metrics to a collector, and at one that doesn't.
//!
//! Both run all the time and take turns being asked, in short rounds: what else the machine does meets both, and each round is
//! compared with the one beside it.

use std::fmt;
use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::measure::hammer;
use super::{Options, Work, fill, unlimited, write_rows};
use crate::server::{ServerProcess, StartOptions, setting};

/// Rows of the table that is asked.
const ROWS: u64 = 20_000;
/// Clients at once.
const CLIENTS: usize = 16;
/// How long a server is asked at a time.
const ROUND: Duration = Duration::from_secs(2);
/// The share of requests a second that watching may cost.
const MOST: f64 = 0.03;

/// Ways of being watched.
const WAYS: usize = 6;

/// How a server is watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Watched {
    /// As it is by default: it counts, and whoever wants figures asks for them.
    Default,
    /// Traces, of which the default share is kept, and metrics are sent.
    Sent,
    /// Metrics alone are sent.
    Metrics,
    /// The same, with traces of which none is kept.
    NoTrace,
    /// All traces are kept.
    AllTraces,
    /// Nothing is sent, and what requests did of late isn't kept either.
    Untracked,
}

impl Watched {
    const ALL: [Self; WAYS] =
        [Self::Default, Self::Sent, Self::Metrics, Self::NoTrace, Self::AllTraces, Self::Untracked];

    fn label(self) -> &'static str {
        match self {
            Self::Default => "as it is by default",
            Self::Sent => "traces and metrics sent",
            Self::Metrics => "metrics alone sent",
            Self::NoTrace => "traces too, none kept",
            Self::AllTraces => "traces too, every one kept",
            Self::Untracked => "not even tracked",
        }
    }

    fn settings(self, collector: &str) -> Vec<(String, String)> {
        // Twelve times as often as by default: a round must have its share of them.
        let metrics = vec![setting("METRICS__ENDPOINT", collector), setting("METRICS__INTERVAL", "5s")];
        let traces = [metrics.clone(), vec![setting("TRACES__ENDPOINT", collector)]].concat();
        let kept = |percent| [traces.clone(), vec![setting("TRACES__SAMPLED_PERCENT", percent)]].concat();
        match self {
            Self::Default => Vec::new(),
            Self::Sent => traces,
            Self::Metrics => metrics,
            Self::NoTrace => kept("0"),
            Self::AllTraces => kept("100"),
            Self::Untracked => ["PERFORMANCE_TRACKING", "MEMORY_MONITORING"]
                .map(|feature| setting(&format!("FEATURES__ENABLE_{feature}"), "false"))
                .into(),
        }
    }
}

/// What was measured.
#[derive(Debug)]
pub struct Report {
    /// Requests a second of each way, round by round.
    rounds: Vec<[f64; WAYS]>,
    failed: u64,
}

impl Report {
    /// What a way of watching costs: the share of requests a second that is lost, in the middle of all rounds, and a quarter of
    /// them below and above.
    fn cost(&self, way: usize) -> [f64; 3] {
        let mut costs: Vec<f64> = self.rounds.iter().map(|round| 1.0 - round[way] / round[0]).collect();
        costs.sort_by(f64::total_cmp);
        [1, 2, 3].map(|quarter| costs.get(costs.len() * quarter / 4).copied().unwrap_or(f64::NAN))
    }

    /// Whether it costs no more than it may.
    pub fn held(&self) -> bool {
        self.failed == 0 && self.cost(1)[1] <= MOST
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = ROUND.as_secs();
        writeln!(f, "cached queries, {CLIENTS} clients, {} rounds of {seconds} s, in turns", self.rounds.len())?;
        for (number, way) in Watched::ALL.into_iter().enumerate() {
            let mut rates: Vec<f64> = self.rounds.iter().map(|round| round[number]).collect();
            rates.sort_by(f64::total_cmp);
            let median = rates.get(rates.len() / 2).copied().unwrap_or(f64::NAN);
            let [below, cost, above] = self.cost(number).map(|cost| cost * 100.0);
            writeln!(
                f,
                "  {:<27} {median:>7.0}/s, costs {cost:>5.1} % (half of the rounds: {below:.1} to {above:.1})",
                way.label()
            )?;
        }
        writeln!(f, "  {} failed; it {}", self.failed, if self.held() { "held" } else { "did NOT hold" })
    }
}

/// Measures so many rounds.
pub async fn run(options: &Options, rounds: usize) -> Result<Report> {
    let say = options.progress.as_ref();
    let folder = tempfile::Builder::new().prefix("gadwall-watched-").tempdir().context("no folder for the rows")?;
    let rows = folder.path().join("points.parquet");
    write_rows(&rows, ROWS)?;
    let collector = Sink::start().await?;
    let mut servers = Vec::new();
    for way in Watched::ALL {
        let mut env = unlimited();
        env.extend(way.settings(&collector.url));
        let server = ServerProcess::start(&StartOptions { env, ..StartOptions::default() }).await?;
        let key = fill(&server, &rows).await?;
        let host = server.url().trim_start_matches("http://").to_owned();
        // What is asked for the first time is slow.
        hammer(&host, CLIENTS, ROUND, Work::Cached.requests(&host, &key)).await?;
        servers.push((server, host, key));
    }
    let mut report = Report { rounds: Vec::new(), failed: 0 };
    for round in 0..rounds {
        let mut rates = [f64::NAN; WAYS];
        for turn in 0..servers.len() {
            // Whoever comes first in one round comes later in the next.
            let number = (turn + round) % servers.len();
            let (_, host, key) = &servers[number];
            let figures = hammer(host, CLIENTS, ROUND, Work::Cached.requests(host, key)).await?;
            rates[number] = figures.per_second;
            report.failed += figures.failed;
        }
        say(&format!("round {}: {rates:.0?}", round + 1));
        report.rounds.push(rates);
    }
    for (mut server, ..) in servers {
        server.stop().await?;
    }
    Ok(report)
}

/// A collector that reads and forgets, so that it takes little of the processors that are measured.
#[derive(Debug)]
struct Sink {
    url: String,
    _task: JoinSet<()>,
}

impl Sink {
    async fn start() -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("no port")?;
        let url = format!("http://{}", listener.local_addr()?);
        let mut task = JoinSet::new();
        task.spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(swallow(client));
            }
        });
        Ok(Self { url, _task: task })
    }
}

/// Says that all is well to whatever comes, until the client goes away.
async fn swallow(client: TcpStream) -> Option<()> {
    let mut client = BufReader::new(client);
    loop {
        let mut length = 0;
        loop {
            let mut line = String::new();
            if client.read_line(&mut line).await.ok()? == 0 {
                return None;
            }
            let line = line.trim_end().to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            if let Some(told) = line.strip_prefix("content-length:") {
                length = told.trim().parse().ok()?;
            }
        }
        tokio::io::copy(&mut (&mut client).take(length), &mut tokio::io::sink()).await.ok()?;
        let answer = "HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n";
        client.write_all(answer.as_bytes()).await.ok()?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_round_is_compared_with_itself() {
        // A machine that gets slower makes nothing dearer.
        let rounds = (1..=8)
            .map(|slower| [100.0, 99.0, 100.0, 99.0, 90.0, 101.0].map(|rate| rate / f64::from(slower)))
            .collect();
        let report = Report { rounds, failed: 0 };
        assert!((report.cost(1)[1] - 0.01).abs() < 1e-9 && (report.cost(4)[0] - 0.10).abs() < 1e-9);
        assert!(report.held());
        assert!(!Report { rounds: vec![[100.0, 96.0, 100.0, 98.0, 96.0, 100.0]], failed: 0 }.held());
    }
}
