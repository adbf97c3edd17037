//! What the command line may say.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use gadwall::backups::command;
use gadwall::config::parse_span;
use gadwall::keys;

/// What follows the list of commands.
const AFTER: &str = "\
Settings come from `gadwall.toml`, `.env` and the environment (GADWALL__SECTION__KEY); `gadwall config` prints what holds and where it came from.

Commands that ask a server ask the one that the configuration starts, with the first of `auth.admin_keys` (ADMIN_API_KEY), unless \
--server and --key say otherwise. Results are on standard output, all else on standard error.

Exits with 0 when it is done, 1 when it failed, and 2 when the command line is wrong. `doctor` and `migrate` have more to say: see their help.";

/// A self-hosted data-product server: projects, tables and SQL over HTTP, on DuckDB and DuckLake.
#[derive(Debug, Parser)]
#[command(version, about, after_help = AFTER, max_term_width = 110)]
pub(crate) struct Cli {
    /// Configuration file; `gadwall.toml` in the working directory unless told.
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

#[derive(Debug, Clone, Subcommand)]
pub(crate) enum Command {
    /// Serve, until SIGTERM or Ctrl-C (the default).
    ///
    /// SIGHUP has the configuration read again. Requests that run get `server.shutdown_grace` to end when it stops.
    Serve,
    /// Print the effective configuration, secrets masked.
    ///
    /// As a `gadwall.toml` with the origin of each value. Fails if the configuration can't be used, so that it can be tried before a restart.
    Config {
        /// As JSON, without origins.
        #[arg(long)]
        json: bool,
    },
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
        #[command(flatten)]
        server: Server,
    },
    /// Make, list, rotate and revoke keys of a project, at a server that runs.
    ///
    /// A new secret is alone on standard output, and shown only once: KEY=$(gadwall keys create --project shop --name etl --scope write)
    Keys {
        #[command(subcommand)]
        what: KeysTask,
    },
    /// Write a sample dataset (a small shop, as Parquet) into a folder, or load it into a bucket at a server.
    ///
    /// The same rows each time. Loaded, it takes the place of what the tables `customers`, `products` and `orders` of that bucket have;
    /// project, bucket and tables are made if they aren't there.
    BenchData {
        /// Orders; there is a customer for twenty of them, and 1,000 products.
        #[arg(long, default_value_t = 1_000_000, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(..=1_000_000_000))]
        rows: u64,
        /// The folder to write files into.
        #[arg(long = "to", value_name = "DIR", conflicts_with = "project", required_unless_present = "project")]
        folder: Option<PathBuf>,
        /// The project to load it into.
        #[arg(long, value_name = "PROJECT")]
        project: Option<String>,
        /// The bucket to load it into.
        #[arg(long, value_name = "BUCKET", default_value = "sample")]
        bucket: String,
        /// Tell what was made as JSON.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        server: Server,
    },
    /// Print this program's version, and that of its engine.
    Version {
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Print a script that completes commands in a shell.
    ///
    /// bash: gadwall completions bash > /etc/bash_completion.d/gadwall. zsh: a file `_gadwall` in a folder of $fpath. fish:
    /// ~/.config/fish/completions/gadwall.fish.
    Completions {
        /// The shell.
        #[arg(value_enum)]
        shell: Shell,
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
    /// With `--from` and `--to` all that is in the data directory is copied; no server may run on either.
    /// What is there is only read. Run again, it goes on: what was copied and is the same isn't copied again. At the end
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
        /// Tell what there is and what was copied as JSON, on standard output, once it is done.
        #[arg(long)]
        json: bool,
    },
}

/// Whom to ask.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Server {
    /// The server to ask; the one that the configuration starts, if it answers, unless told.
    #[arg(long, value_name = "URL")]
    server: Option<String>,
    /// A key of an administrator of that server; the configuration's unless told. Others on this machine may see it: prefer ADMIN_API_KEY.
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
}

impl From<&Server> for command::Whom {
    fn from(server: &Server) -> Self {
        Self { server: server.server.clone(), key: server.key.clone(), target: None }
    }
}

/// What is done with keys.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum KeysTask {
    /// List keys, newest first, also those that ended: id, scopes, end, last use, name. Never a secret.
    List {
        #[command(flatten)]
        of: OfProject,
    },
    /// Make a key. Its secret is shown only this once.
    Create {
        /// What to call it.
        #[arg(long, value_name = "NAME")]
        name: String,
        /// What it allows; several with commas. `write` doesn't allow to read.
        #[arg(long = "scope", value_enum, required = true, value_delimiter = ',')]
        scopes: Vec<KeyScope>,
        /// The one bucket that it is limited to.
        #[arg(long, value_name = "BUCKET")]
        bucket: Option<String>,
        /// When it ends, such as 30d or 12h; never unless told.
        #[arg(long, value_name = "TIME", value_parser = seconds)]
        expires_in: Option<u64>,
        #[command(flatten)]
        of: OfProject,
    },
    /// Give a key another secret, which is shown only this once.
    Rotate {
        /// The key's id, as `gadwall keys list` tells it.
        #[arg(value_name = "ID")]
        id: String,
        /// How long the replaced secret goes on working, such as 1h, or 0s after a leak; as the server is configured unless told.
        #[arg(long, value_name = "TIME", value_parser = seconds)]
        overlap: Option<u64>,
        #[command(flatten)]
        of: OfProject,
    },
    /// End a key. It stops working at once.
    Revoke {
        /// The key's id, as `gadwall keys list` tells it.
        #[arg(value_name = "ID")]
        id: String,
        #[command(flatten)]
        of: OfProject,
    },
}

/// Whose keys.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct OfProject {
    /// The project.
    #[arg(long, value_name = "PROJECT")]
    pub(crate) project: String,
    /// Tell it as JSON.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) server: Server,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum KeyScope {
    /// See tables and query them.
    Read,
    /// Change rows.
    Write,
    /// Create, change and delete buckets and tables; manage the project and its keys.
    Manage,
}

impl KeysTask {
    /// What is to be done, and whose keys are meant.
    pub(crate) fn parts(&self) -> (keys::Task, &OfProject) {
        match self {
            Self::List { of } => (keys::Task::List, of),
            Self::Create { name, scopes, bucket, expires_in, of } => {
                let word = |scope: &KeyScope| match scope {
                    KeyScope::Read => "read".to_owned(),
                    KeyScope::Write => "write".to_owned(),
                    KeyScope::Manage => "manage".to_owned(),
                };
                let scopes = scopes.iter().map(word).collect();
                let (name, bucket) = (name.clone(), bucket.clone());
                (keys::Task::Create { name, scopes, bucket, expires_in: *expires_in }, of)
            }
            Self::Rotate { id, overlap, of } => (keys::Task::Rotate { key: id.clone(), overlap: *overlap }, of),
            Self::Revoke { id, of } => (keys::Task::Revoke { key: id.clone() }, of),
        }
    }
}

/// A time as settings have it, in seconds.
fn seconds(text: &str) -> Result<u64, String> {
    let span = parse_span(text).ok_or_else(|| "a time such as 12h or 30d, or a number of seconds".to_owned())?;
    Ok(span.as_secs())
}

/// Who does it, and where backups are kept.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Whom {
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
pub(crate) enum Backup {
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
pub(crate) enum Ontology {
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
pub(crate) enum Origin {
    Embedded,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Destination {
    Cloud,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_contradicts_itself_nowhere() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_and_argument_is_explained() {
        fn look(command: &clap::Command) {
            assert!(command.get_about().is_some(), "{}", command.get_name());
            for argument in command.get_arguments() {
                assert!(argument.get_help().is_some(), "{} {}", command.get_name(), argument.get_id());
            }
            command.get_subcommands().for_each(look);
        }
        look(&Cli::command());
    }

    #[test]
    fn bench_data_goes_to_one_place() {
        let parsed = |words: &[&str]| Cli::try_parse_from(["gadwall", "bench-data"].iter().chain(words)).is_ok();
        assert!(parsed(&["--to", "x"]) && parsed(&["--project", "p"]));
        assert!(!parsed(&[]) && !parsed(&["--to", "x", "--project", "p"]));
    }

    #[test]
    fn times_are_as_in_settings() {
        assert_eq!(seconds("2d"), Ok(172_800));
        assert_eq!(seconds("90"), Ok(90));
        assert!(seconds("soon").is_err());
    }
}
