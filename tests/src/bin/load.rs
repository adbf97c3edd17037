//! `make bench`, second half: requests per second, latencies, memory and start-up of a server of its own.
#![expect(clippy::print_stdout, reason = "a program for people at a terminal")]

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use clap::{Parser, ValueEnum};
use gadwall_tests::load::compaction::Compaction;
use gadwall_tests::load::crowd::Crowd;
use gadwall_tests::load::soak::{self, Rule, Soak};
use gadwall_tests::load::streams::Watch;
use gadwall_tests::load::{self, Options, Work};

/// Measures a server of its own over loopback, beside DuckDB in process.
#[derive(Debug, Parser)]
struct Arguments {
    /// Seconds of each measurement.
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// Clients at once.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 16, 64])]
    clients: Vec<usize>,
    /// What to measure; all without.
    #[arg(long, value_delimiter = ',')]
    only: Vec<Kind>,
    /// Rows of the large loads; none if 0.
    #[arg(long, default_value_t = 5_000_000)]
    bulk: u64,
    /// Edges of the graph that lineage is asked in; none if 0.
    #[arg(long, default_value_t = 200_000)]
    edges: u64,
    /// The PostgreSQL that keeps metadata while lineage is measured and in the soak; SQLite without.
    #[arg(long)]
    metadata: Option<String>,
    /// Clients that watch events, a tenth of which never read; none if 0.
    #[arg(long, default_value_t = 2_000)]
    streams: usize,
    /// Seconds that they watch.
    #[arg(long, default_value_t = 60)]
    streams_seconds: u64,
    /// Events a second that they are told.
    #[arg(long, default_value_t = 200)]
    streams_events: u64,
    /// Rows that change before the changes of a table are read; none if 0.
    #[arg(long, default_value_t = 1_000_000)]
    changes: u64,
    /// Governed records that are sent in one request; none if 0.
    #[arg(long, default_value_t = 100_000)]
    governed: u64,
    /// Seconds that a crowd of 100 clients takes, at a server with little memory; none if 0.
    #[arg(long, default_value_t = 60)]
    crowd: u64,
    /// What that server may hold, in MiB.
    #[arg(long, default_value_t = 1024)]
    crowd_memory: u64,
    /// How much that crowd reads from: TPC-H at this scale.
    #[arg(long, default_value_t = 1.0)]
    crowd_scale: f64,
    /// Rounds in which servers are asked that are watched and that aren't; none if 0.
    #[arg(long, default_value_t = 15)]
    watched_rounds: usize,
    /// Small files that are merged beside readers and writers; none if 0.
    #[arg(long, default_value_t = 5_000)]
    merged_files: u64,
    /// Minutes of the soak, which is done only if it is asked for.
    #[arg(long, default_value_t = 30)]
    minutes: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    Preview,
    Query,
    Cached,
    Append,
    Bulk,
    Lineage,
    Streams,
    Changes,
    Governed,
    Crowd,
    Watched,
    Compaction,
    Soak,
}

impl Kind {
    fn work(self) -> Option<Work> {
        Some(match self {
            Self::Preview => Work::Preview,
            Self::Query => Work::Query,
            Self::Cached => Work::Cached,
            Self::Append => Work::Append,
            _ => return None,
        })
    }
}

/// Lines of a server's log that are shown.
const ERRORS_SHOWN: usize = 20;

/// Fails if something grows. Below ten minutes there is no minute 5 to compare with that would tell anything.
async fn soak(minutes: u64, metadata: Option<String>, say: &dyn Fn(&str)) -> Result<()> {
    let length = Duration::from_secs(minutes * 60);
    let rule = if minutes < 10 { Rule::short(length) } else { Rule::long() };
    let report = soak::run(Soak { length, rule, metadata }, say).await?;
    print!("\n{report}");
    for line in report.log().lines().filter(|line| line.contains(" ERROR ")).take(ERRORS_SHOWN) {
        println!("{line}");
    }
    ensure!(report.held(), "the server did not come to rest, or requests failed");
    Ok(())
}

// One thread is plenty for this client; the cores belong to the server.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    if cfg!(debug_assertions) {
        println!("this is a debug build: build with --release for figures that mean something");
    }
    let only = &arguments.only;
    let wanted = |kind| only.is_empty() || only.contains(&kind);
    let options = Options {
        length: Duration::from_secs(arguments.seconds),
        clients: arguments.clients,
        works: if only.is_empty() { Work::ALL.to_vec() } else { only.iter().filter_map(|kind| kind.work()).collect() },
        progress: Arc::new(|line| println!("{line}")),
    };
    if !options.works.is_empty() {
        print!("\n{}", load::run(&options).await?);
    }
    if arguments.bulk > 0 && wanted(Kind::Bulk) {
        print!("\n{}", load::bulk::run(&options, arguments.bulk).await?);
    }
    if arguments.edges > 0 && wanted(Kind::Lineage) {
        print!("\n{}", load::lineage::run(&options, arguments.edges, arguments.metadata.as_deref()).await?);
    }
    if arguments.streams > 0 && wanted(Kind::Streams) {
        let watch = Watch {
            clients: arguments.streams,
            events: arguments.streams_events,
            length: Duration::from_secs(arguments.streams_seconds),
        };
        print!("\n{}", load::streams::run(&options, watch).await?);
    }
    if arguments.changes > 0 && wanted(Kind::Changes) {
        print!("\n{}", load::changes::run(&options, arguments.changes).await?);
    }
    if arguments.governed > 0 && wanted(Kind::Governed) {
        print!("\n{}", load::governed::run(&options, arguments.governed).await?);
    }
    if arguments.crowd > 0 && wanted(Kind::Crowd) {
        let crowd = Crowd {
            clients: 100,
            length: Duration::from_secs(arguments.crowd),
            memory: arguments.crowd_memory << 20,
            scale: arguments.crowd_scale,
        };
        print!("\n{}", load::crowd::run(crowd, options.progress.as_ref()).await?);
    }
    if arguments.watched_rounds > 0 && wanted(Kind::Watched) {
        print!("\n{}", load::telemetry::run(&options, arguments.watched_rounds).await?);
    }
    if arguments.merged_files > 0 && wanted(Kind::Compaction) {
        let (files, memory) = (arguments.merged_files, arguments.crowd_memory << 20);
        let compaction = Compaction { files, before: Duration::from_secs(20), memory };
        print!("\n{}", load::compaction::run(&options, compaction).await?);
    }
    if only.contains(&Kind::Soak) {
        soak(arguments.minutes, arguments.metadata, options.progress.as_ref()).await?;
    }
    Ok(())
}
