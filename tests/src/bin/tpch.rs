//! TPC-H over HTTP beside DuckLake in process: `cargo run --release --bin tpch -- --scale 1`.
#![expect(clippy::print_stdout, reason = "a program for people at a terminal")]

use anyhow::Result;
use clap::Parser;
use gadwall_tests::tpch::run;

/// Measures the 22 queries of TPC-H and its largest table as a stream, ratios in one run.
#[derive(Debug, Parser)]
struct Arguments {
    /// How much: 1 is about a gigabyte of text.
    #[arg(long, default_value_t = 1.0)]
    scale: f64,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    if cfg!(debug_assertions) {
        println!("this is a debug build: build with --release for figures that mean something");
    }
    print!("\n{}", run::run(arguments.scale, &|line| println!("{line}")).await?);
    Ok(())
}
