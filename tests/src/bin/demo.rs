//! `make demo`: real data in, real questions, every answer checked against DuckDB.
#![expect(clippy::print_stdout, reason = "a program for people at a terminal")]

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Result;
use clap::Parser;
use gadwall_tests::demo::{self, Options, Server};
use gadwall_tests::server::{ServerProcess, StartOptions};

/// Loads real data in several formats over HTTP, asks questions, and checks every answer against DuckDB.
#[derive(Debug, Parser)]
struct Arguments {
    /// Use the server at this address, instead of starting one.
    #[arg(long, requires = "key")]
    url: Option<String>,
    /// That server's admin key.
    #[arg(long, requires = "url")]
    key: Option<String>,
    /// Take only so many of the 3 million flights.
    #[arg(long)]
    flights: Option<u64>,
    /// Leave the server it started running until Ctrl-C, to look around.
    #[arg(long)]
    keep: bool,
}

#[tokio::main]
async fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    let mut own = None;
    let server = if let (Some(url), Some(admin_key)) = (arguments.url, arguments.key) {
        Server { url, admin_key }
    } else {
        println!("starting a server of its own");
        let process = ServerProcess::start(&StartOptions::default()).await?;
        let server = Server { url: process.url().to_owned(), admin_key: process.admin_key().to_owned() };
        own = Some(process);
        server
    };
    let options =
        Options { flights: arguments.flights, progress: Arc::new(|line| println!("{line}")), ..Options::default() };
    let report = demo::run(&server, &options).await?;
    print!("\n{report}");
    if own.is_none() || arguments.keep {
        println!("the data stays in project {}; its key is {}", report.project, report.api_key);
    }
    if let Some(mut process) = own {
        if arguments.keep {
            println!("the server runs at {} until Ctrl-C", process.url());
            tokio::signal::ctrl_c().await?;
        }
        process.stop().await?;
    }
    Ok(if report.all_same() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
