//! The program `gadwall`: reads its configuration, starts the server, and stops it when told to.

mod cli;

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{CommandFactory as _, Parser as _};
use gadwall::backups::command::{self, Task};
use gadwall::config::{Loaded, Sources};
use gadwall::{Config, Server, bench_data, keys, migrate, ontology, ready, version};

use cli::{Backup, Cli, Command, Destination, Ontology, Origin, Whom};

/// Requests are made of many small pieces, which threads allocate and others free: glibc's allocator took more than half of
/// the time that reading JSON takes.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// How the allocator is set, which it looks for under this name when the process starts; `MALLOC_CONF` goes over it.
///
/// Queries run on many threads, most of which rest at any time. With an arena for each processor they share what was
/// freed, and what each keeps for itself is small.
#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "the allocator's own way of being told")]
// SAFETY: nothing else has this name, and it is what the allocator declares: a pointer to text that ends in NUL.
#[unsafe(export_name = "malloc_conf")]
pub static MALLOC_CONF: &u8 = &c"percpu_arena:percpu,lg_tcache_max:13".to_bytes_with_nul()[0];

/// Statements may be nested deeply, and the engine parses and plans them on our threads. Only what is used is paid for.
const THREAD_STACK: usize = 16 << 20;

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
        Command::Config { json: false } => print(&loaded()?.render_effective()),
        Command::Config { json: true } => print(&format!("{}\n", serde_json::to_string_pretty(&loaded()?.config)?)),
        Command::Version { json } => print(&version::told(*json)?),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut Cli::command(), "gadwall", &mut script);
            print(&String::from_utf8(script)?)
        }
        Command::Keys { what } => {
            let (task, of) = what.parts();
            let server = (&of.server).into();
            runtime()?.block_on(keys::run(&loaded()?.config, &server, &of.project, &task, of.json))
        }
        Command::BenchData { rows, folder: Some(folder), json, .. } => {
            runtime()?.block_on(bench_data::write(folder, *rows, *json))
        }
        Command::BenchData { rows, project, bucket, json, server, .. } => {
            let place = (project.as_deref().unwrap_or("default"), bucket.as_str());
            runtime()?.block_on(bench_data::load(&loaded()?.config, &server.into(), place, *rows, *json))
        }
        Command::Openapi => runtime()?.block_on(openapi()),
        Command::Health { url: Some(url) } => ready::require_ready(url),
        Command::Health { url: None } => ready::require_ready(&ready::address(&loaded()?.config)),
        Command::Migrate { from: Some(Origin::Embedded), to: Some(Destination::Cloud), dry_run, json } => {
            runtime()?.block_on(migrate::run(&loaded()?.config, *dry_run, *json))
        }
        Command::Migrate { json, .. } => runtime()?.block_on(migrate::bring_up(&loaded()?.config, *json)),
        Command::Ontology { what: Ontology::Serve { folder, listen } } => {
            let config = loaded()?.config;
            gadwall::telemetry::start(&config.logging);
            runtime()?.block_on(ontology::serve(&config, folder, *listen))
        }
        Command::Backup { what, projects, whom } => {
            runtime()?.block_on(backup(&loaded()?.config, what.as_ref(), projects, whom))
        }
        Command::Doctor { projects, repair, json, server } => {
            let whom = server.into();
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
