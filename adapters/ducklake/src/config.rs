//! What the engines need to know.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use object_store::ObjectStore;

/// Settings of the lakes.
#[derive(Debug, Clone)]
pub struct LakeConfig {
    /// Folder of the lakes, one sub-folder each. Created if missing.
    pub lakes_dir: PathBuf,
    /// Where the lakes' data files lie.
    pub data: DataPlace,
    /// Location of the projects' datasets, whose files the engine may read: a folder, or an `s3://` URL below which each
    /// project has a folder of its own. None if they lie elsewhere.
    pub files_dir: Option<PathBuf>,
    /// Folder for files on their way in. Emptied at start.
    pub staging_dir: PathBuf,
    /// Folder for what doesn't fit in memory. Emptied at start.
    pub spill_dir: PathBuf,
    /// Folder of DuckDB's extensions, as `<dir>/v1.5.5/<platform>/<name>.duckdb_extension`.
    pub extension_dir: PathBuf,
    /// Most memory the engine may use, in bytes.
    pub memory_limit: u64,
    /// Most bytes it may spill.
    pub spill_limit: u64,
    /// Threads the engine works with.
    pub threads: usize,
    /// Queries that run at once.
    pub max_queries: usize,
    /// Queries that may wait for one of those places.
    pub max_waiting: usize,
    /// Longest wait for a place.
    pub queue_timeout: Duration,
    /// Lakes attached at once; the least recently used one makes room.
    pub max_attached: usize,
    /// Writes that may wait in a project's queue.
    pub writer_queue: usize,
    /// Rows up to which an insert is kept in the catalog instead of a file; 0 turns it off.
    pub inlining_row_limit: u32,
    /// Whether new lakes encrypt their data files.
    pub encrypted: bool,
    /// Whether what users' queries take is measured.
    pub profiling: bool,
}

/// Where data files lie.
#[derive(Debug, Clone)]
#[expect(clippy::large_enum_variant, reason = "there are few of them")]
pub enum DataPlace {
    /// Beside the catalogs, in the lakes' folder.
    Local,
    /// In a bucket of an S3 server.
    S3(S3Place),
}

/// A place in a bucket of an S3 server.
#[derive(Clone)]
pub struct S3Place {
    /// The bucket, to list, copy and remove files in it.
    pub store: Arc<dyn ObjectStore>,
    /// The bucket's name.
    pub bucket: String,
    /// What the names of all objects begin with, without a slash at either end. May be empty.
    pub prefix: String,
    /// Host and port of the server; none for Amazon's own.
    pub endpoint: Option<String>,
    /// Its region.
    pub region: String,
    /// The id of the access key.
    pub access_key: String,
    /// Its secret.
    pub secret_key: String,
    /// The KMS key that the server encrypts what is written with; as the bucket says where there is none.
    pub kms_key_id: Option<String>,
    /// Whether the bucket is part of the path instead of the host's name.
    pub path_style: bool,
    /// Whether to talk TLS.
    pub tls: bool,
    /// Longest wait for an answer.
    pub timeout: Duration,
    /// How often a request is tried again.
    pub retries: u32,
}

impl fmt::Debug for S3Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3Place").field("bucket", &self.bucket).field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

impl S3Place {
    /// The location of the prefix, as the engine names it.
    pub fn root(&self) -> PathBuf {
        self.url("")
    }

    /// The location of a folder below the prefix, as the engine names it.
    pub(crate) fn url(&self, folder: &str) -> PathBuf {
        let prefix = if self.prefix.is_empty() { String::new() } else { format!("{}/", self.prefix) };
        PathBuf::from(format!("s3://{}/{prefix}{folder}", self.bucket))
    }
}

/// A database of a PostgreSQL server, which holds the lakes' catalogs.
#[derive(Clone)]
pub struct PostgresPlace {
    /// Host name, address, or the folder of its socket.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The database.
    pub database: String,
    /// A role that may create roles and schemas.
    pub user: String,
    /// Its password, if it needs one.
    pub password: Option<String>,
    /// How TLS is used, as libpq spells it: `disable`, `prefer`, `require`, `verify-full`, …
    pub ssl_mode: String,
    /// The projects' own passwords are derived from it.
    pub secret_key: String,
    /// Longest wait for a connection.
    pub connect_timeout: Duration,
    /// Longest time for one statement over the catalog.
    pub statement_timeout: Duration,
    /// Connections for what concerns all lakes: making and removing them, their newest snapshots, writers' turns.
    pub max_connections: u32,
    /// Connections of one open lake.
    pub max_connections_per_lake: u32,
    /// Longest wait of a lake's writer for those of other processes.
    pub turn_timeout: Duration,
}

impl fmt::Debug for PostgresPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresPlace").field("database", &self.database).finish_non_exhaustive()
    }
}
