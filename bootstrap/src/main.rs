//! The program `gadwall`: reads its configuration, starts the server, and stops it when told to.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Parser, Subcommand, ValueEnum};
use gadwall::config::{Loaded, Sources};
use gadwall::{Config, Server, migrate, ontology, ready};

/// Statements may be nested deeply, and the engine parses and plans them on our threads. Only what is used is paid for.
const THREAD_STACK: usize = 16 << 20;

/// A self-hosted data-product server.
#[derive(Debug, Parser)]
#[command(version, about)]
struct Cli {
    /// Configuration file; `gadwall.toml` in the working directory unless told.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Clone, Subcommand)]
enum Command {
    /// Serve (the default).
    Serve,
    /// Print the effective configuration, secrets masked.
    Config,
    /// Print the API's OpenAPI document.
    Openapi,
    /// Ask a server whether it is ready; fails unless it is.
    Health {
        /// Where it listens; where the configuration says unless told.
        #[arg(long, value_name = "URL")]
        url: Option<String>,
    },
    /// A small ontology server, to begin with and for tests.
    Ontology {
        #[command(subcommand)]
        what: Ontology,
    },
    /// Copy everything to where the configuration says, out of the data directory. No server may run on either.
    ///
    /// What is there is only read. Run again, it goes on: what was copied and is the same isn't copied again. At the end
    /// all is compared. Results of queries in the background stay behind. Exits with 0 when all is there and the same, 1 when
    /// something failed (run it again), 3 when it was refused and nothing was copied, 4 when a copy differs.
    Migrate {
        /// What the data directory has: catalogs in files, metadata in SQLite, data and datasets in folders.
        #[arg(long, value_enum)]
        from: Origin,
        /// What the configuration describes: catalogs and metadata in PostgreSQL, data and datasets in S3.
        #[arg(long, value_enum)]
        to: Destination,
        /// Only look whether it could be done, and at how much there is. Makes metadata's tables, but copies nothing.
        #[arg(long)]
        dry_run: bool,
    },
}

#[derive(Debug, Clone, Subcommand)]
enum Ontology {
    /// Serve the schemas in a folder: `ID.json`, or the highest of `ID@VERSION.json`, as `/schemas/ID`.
    ///
    /// Files may change while it runs. Set ONTO_SERVER_URL to where it listens, and USE_MOCK_ONTO_SERVER to false.
    Serve {
        /// The folder.
        #[arg(value_name = "DIR")]
        folder: PathBuf,
        /// Where to listen.
        #[arg(long, default_value = "127.0.0.1:8001", value_name = "ADDRESS:PORT")]
        listen: SocketAddr,
    },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Origin {
    Embedded,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Destination {
    Cloud,
}

fn main() -> ExitCode {
    match run(&Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "error: {error:#}");
            error.downcast_ref::<migrate::Stopped>().map_or(ExitCode::FAILURE, |stopped| stopped.exit_code().into())
        }
    }
}

fn run(cli: &Cli) -> anyhow::Result<()> {
    let loaded = || load(cli.config.as_deref());
    match cli.command.as_ref().unwrap_or(&Command::Serve) {
        Command::Config => print(&loaded()?.render_effective()),
        Command::Openapi => runtime()?.block_on(openapi()),
        Command::Health { url: Some(url) } => ready::require_ready(url),
        Command::Health { url: None } => ready::require_ready(&ready::address(&loaded()?.config)),
        Command::Migrate { from: Origin::Embedded, to: Destination::Cloud, dry_run } => {
            runtime()?.block_on(migrate::run(&loaded()?.config, *dry_run))
        }
        Command::Ontology { what: Ontology::Serve { folder, listen } } => {
            let config = loaded()?.config;
            gadwall::telemetry::start(&config.logging);
            runtime()?.block_on(ontology::serve(&config, folder, *listen))
        }
        Command::Serve => runtime()?.block_on(serve(&loaded()?, cli.config.as_deref())),
    }
}

/// The one place that reads the process's environment.
fn load(file: Option<&Path>) -> anyhow::Result<Loaded> {
    let directory = std::env::current_dir().context("the working directory is gone")?;
    let environment = std::env::vars_os();
    let mut sources = Sources::in_dir(directory).with_environment(environment);
    if let Some(file) = file {
        sources = sources.with_file(file);
    }
    Ok(Config::load(&sources)?)
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_stack_size(THREAD_STACK)
        .build()
        .context("the runtime did not start")
}

fn print(text: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    Ok(out.flush()?)
}

/// The document doesn't depend on any data, so it is made over an empty server in a folder that goes away.
async fn openapi() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let mut config = Config::default();
    folder.path().clone_into(&mut config.data_dir);
    let mut document = gadwall::openapi(&config).await?;
    document.push('\n');
    print(&document)
}

async fn serve(loaded: &Loaded, file: Option<&Path>) -> anyhow::Result<()> {
    let telemetry = gadwall::telemetry::start_all(&loaded.config)?;
    for notice in loaded.config.notices() {
        tracing::warn!("{notice}");
    }
    let server = Server::start(&loaded.config).await?;
    if let Some(key) = server.generated_admin_key() {
        let text =
            format!("No admin key is configured. For this run it is:\n\n    {key}\n\nSet ADMIN_API_KEY to keep one.\n");
        print(&text)?;
    }
    stop_asked(&server, file).await?;
    tracing::info!("stopping");
    let stopped = server.stop().await;
    telemetry.finish().await;
    stopped
}

/// Waits for SIGTERM or an interrupt from the keyboard. Meanwhile SIGHUP has the configuration read again.
async fn stop_asked(server: &Server, file: Option<&Path>) -> anyhow::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    loop {
        tokio::select! {
            interrupted = tokio::signal::ctrl_c() => return interrupted.context("can't listen for interrupts"),
            _ = terminate.recv() => return Ok(()),
            _ = hang_up.recv() => {
                let file = file.map(Path::to_owned);
                let read = tokio::task::spawn_blocking(move || load(file.as_deref())).await?;
                server.reload(read.map(|loaded| loaded.config));
            }
        }
    }
}
