//! `make bench`, second half: requests per second, latencies, memory and start-up of a server of its own.
#![expect(clippy::print_stdout, reason = "a program for people at a terminal")]

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use clap::{Parser, ValueEnum};
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
    /// Rows of the large loads; none without.
    #[arg(long, default_value_t = 5_000_000)]
    bulk: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    Preview,
    Query,
    Cached,
    Append,
}

impl Kind {
    fn work(self) -> Work {
        match self {
            Self::Preview => Work::Preview,
            Self::Query => Work::Query,
            Self::Cached => Work::Cached,
            Self::Append => Work::Append,
        }
    }
}

// One thread is plenty for this client; the cores belong to the server.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    if cfg!(debug_assertions) {
        println!("this is a debug build: build with --release for figures that mean something");
    }
    let options = Options {
        length: Duration::from_secs(arguments.seconds),
        clients: arguments.clients,
        works: if arguments.only.is_empty() {
            Work::ALL.to_vec()
        } else {
            arguments.only.into_iter().map(Kind::work).collect()
        },
        progress: Arc::new(|line| println!("{line}")),
    };
    let report = load::run(&options).await?;
    print!("\n{report}");
    if arguments.bulk > 0 {
        print!("\n{}", load::bulk::run(&options, arguments.bulk).await?);
    }
    Ok(())
}
