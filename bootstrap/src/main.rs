//! The program `gadwall`: reads its configuration, starts the server, and stops it when told to.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Parser, Subcommand, ValueEnum};
use gadwall::backups::command::{self, Task};
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
    /// Back projects up: to where `backup.target` says, a folder or s3://bucket/prefix.
    ///
    /// Without a sub-command it makes a backup. A server that runs is asked to do it, as it has the data: the one that the configuration
    /// starts, or `--server`. If none runs, this process does it. Files that an earlier backup has, also one that broke off, are not
    /// copied again. Exits with 0 when all is there, and 1 otherwise.
    #[command(args_conflicts_with_subcommands = true)]
    Backup {
        #[command(subcommand)]
        what: Option<Backup>,
        /// A project to back up, and another with each more; all without.
        #[arg(long = "project", value_name = "PROJECT")]
        projects: Vec<String>,
        #[command(flatten)]
        whom: Whom,
    },
    /// Make projects of a backup: all of them, or one, under its own name or another.
    ///
    /// A project that is there is never overwritten: delete and purge it first, or give another name. It is there once all of it is, and its
    /// rows were counted. Under another name it has no keys, webhooks, shares or links. A server that runs is asked to do it.
    Restore {
        /// The backup's id, as `gadwall backup list` tells it, or `latest`.
        #[arg(default_value = "latest", value_name = "BACKUP")]
        backup: String,
        /// The project of the backup; all without.
        #[arg(long, value_name = "PROJECT")]
        project: Option<String>,
        /// The name that it shall have.
        #[arg(long = "as", value_name = "NAME", requires = "project")]
        name: Option<String>,
        #[command(flatten)]
        whom: Whom,
    },
    /// Look for damage: in catalogs, between them and the files that are there, and between them and the index of the commits.
    ///
    /// Only reads, unless told to repair. A server that runs is asked to do it, as it has the data; if none runs, this process does it.
    /// Exits with 0 when all is healthy, 1 when there are findings, and 2 when it could not be looked.
    Doctor {
        /// A project to look at, and another with each more; all without.
        #[arg(long = "project", value_name = "PROJECT")]
        projects: Vec<String>,
        /// Mend what can be mended without inventing anything: next numbers, statistics, what should have ended. Back up first.
        #[arg(long)]
        repair: bool,
        /// Tell it as JSON.
        #[arg(long)]
        json: bool,
        /// The server to ask; the one that the configuration starts, if it answers, unless told.
        #[arg(long, value_name = "URL")]
        server: Option<String>,
        /// A key of an administrator of that server; the configuration's unless told.
        #[arg(long, value_name = "KEY")]
        key: Option<String>,
    },
    /// A small ontology server, to begin with and for tests.
    Ontology {
        #[command(subcommand)]
        what: Ontology,
    },
    /// Bring metadata to this version, or with `--from` and `--to` copy everything to where the configuration says.
    ///
    /// Alone it does what a server does at its start, for those who want that done before servers come.
    ///
    /// With `--from` and `--to` all that is in the data directory is copied; no server may run on either. What is there is only read. Run again, it goes on: what was copied and is the same isn't copied again. At the end
    /// all is compared. Results of queries in the background stay behind. Exits with 0 when all is there and the same, 1 when
    /// something failed (run it again), 3 when it was refused and nothing was copied, 4 when a copy differs.
    Migrate {
        /// What the data directory has: catalogs in files, metadata in SQLite, data and datasets in folders.
        #[arg(long, value_enum, requires = "to")]
        from: Option<Origin>,
        /// What the configuration describes: catalogs and metadata in PostgreSQL, data and datasets in S3.
        #[arg(long, value_enum, requires = "from")]
        to: Option<Destination>,
        /// Only look whether it could be done, and at how much there is. Makes metadata's tables, but copies nothing.
        #[arg(long, requires = "from")]
        dry_run: bool,
    },
}

/// Who does it, and where backups are kept.
#[derive(Debug, Clone, clap::Args)]
struct Whom {
    /// The server to ask; the one that the configuration starts, if it answers, unless told.
    #[arg(long, value_name = "URL")]
    server: Option<String>,
    /// A key of an administrator of that server; the configuration's unless told.
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// A folder or s3://bucket/prefix, in place of `backup.target`: then no server is asked, and none may run on the data.
    #[arg(long, value_name = "TARGET")]
    target: Option<String>,
}

impl From<&Whom> for command::Whom {
    fn from(whom: &Whom) -> Self {
        Self { server: whom.server.clone(), key: whom.key.clone(), target: whom.target.clone() }
    }
}

#[derive(Debug, Clone, Subcommand)]
enum Backup {
    /// List backups, oldest first: id, when it began, how large it is, and its projects with the snapshots they stand at.
    List {
        /// As JSON.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        whom: Whom,
    },
    /// Read all files of a backup, and compare sizes, checksums, and what the catalogs say of them. Needs no server.
    ///
    /// Exits with 0 when all is as it was written, and 1 otherwise.
    Verify {
        /// Where the backup is kept, in place of `backup.target`.
        #[arg(value_name = "PLACE")]
        place: Option<String>,
        /// The backup's id, or `latest`.
        #[arg(long, default_value = "latest", value_name = "BACKUP")]
        backup: String,
        #[command(flatten)]
        whom: Whom,
    },
    /// Keep the newest backups of each project, and remove the others with all files that none of those needs.
    Prune {
        /// So many of each project.
        #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..))]
        keep: u32,
        #[command(flatten)]
        whom: Whom,
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

/// Why the doctor told nothing.
#[derive(Debug)]
struct NotLooked;

impl std::fmt::Display for NotLooked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the doctor could not look")
    }
}

fn main() -> ExitCode {
    match run(&Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "error: {error:#}");
            if error.is::<NotLooked>() {
                return ExitCode::from(2);
            }
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
        Command::Migrate { from: Some(Origin::Embedded), to: Some(Destination::Cloud), dry_run } => {
            runtime()?.block_on(migrate::run(&loaded()?.config, *dry_run))
        }
        Command::Migrate { .. } => runtime()?.block_on(migrate::bring_up(&loaded()?.config)),
        Command::Ontology { what: Ontology::Serve { folder, listen } } => {
            let config = loaded()?.config;
            gadwall::telemetry::start(&config.logging);
            runtime()?.block_on(ontology::serve(&config, folder, *listen))
        }
        Command::Backup { what, projects, whom } => {
            runtime()?.block_on(backup(&loaded()?.config, what.as_ref(), projects, whom))
        }
        Command::Doctor { projects, repair, json, server, key } => {
            let whom = command::Whom { server: server.clone(), key: key.clone(), target: None };
            let looked =
                || runtime()?.block_on(command::doctor(&loaded()?.config, &whom, projects.clone(), *repair, *json));
            looked().map_err(|error| if error.is::<command::Findings>() { error } else { error.context(NotLooked) })
        }
        Command::Restore { backup, project, name, whom } => {
            let task = Task::Restore { backup: backup.clone(), project: project.clone(), name: name.clone() };
            runtime()?.block_on(command::run(&loaded()?.config, &whom.into(), &task))
        }
        Command::Serve => runtime()?.block_on(serve(&loaded()?, cli.config.as_deref())),
    }
}

async fn backup(config: &Config, what: Option<&Backup>, projects: &[String], whom: &Whom) -> anyhow::Result<()> {
    match what {
        None => command::run(config, &whom.into(), &Task::Create(projects.to_vec())).await,
        Some(Backup::Prune { keep, whom }) => command::run(config, &whom.into(), &Task::Prune(*keep)).await,
        Some(Backup::List { json, whom }) => command::list(config, &whom.into(), *json).await,
        Some(Backup::Verify { place, backup, whom }) => {
            let mut whom = command::Whom::from(whom);
            whom.target = place.clone().or(whom.target);
            command::verify(config, &whom, backup).await
        }
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
