//! Time, chance and health.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use uuid::Uuid;

/// Tells the time.
pub trait Clock: Send + Sync {
    /// Now.
    fn now(&self) -> DateTime<Utc>;
}

/// Mints identifiers and secrets.
pub trait IdGenerator: Send + Sync {
    /// A new UUID that sorts by time (version 7).
    fn next_id(&self) -> Uuid;

    /// 16 bytes from the system's secure random source.
    fn secret(&self) -> [u8; 16];
}

/// How one part of the service is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// The part's name.
    pub name: &'static str,
    /// Whether it works.
    pub ok: bool,
    /// What is wrong, fit for an operator and free of secrets and paths.
    pub detail: Option<String>,
}

/// Checks one part of the service by really using it.
#[async_trait]
pub trait HealthProbe: Send + Sync {
    /// Looks now. Never fails: a fault is an answer.
    async fn check(&self) -> Health;
}

/// A folder that the service keeps data in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folder {
    /// What it is: `data_dir`, `duckdb_dir`, `files_dir` or `snapshots_dir`.
    pub name: &'static str,
    /// Where it is. For admins only.
    pub path: String,
    /// Whether it is there and can be written.
    pub usable: bool,
}

/// The folders that the service keeps data in.
#[async_trait]
pub trait StorageFolders: Send + Sync {
    /// Looks at each by writing into it.
    async fn check(&self) -> Vec<Folder>;
    /// Makes those that are missing; answers their names.
    async fn create_missing(&self) -> Vec<&'static str>;
}

/// Memory of this process and of the machine, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MemoryUse {
    /// Resident memory of the process.
    pub resident: u64,
    /// Memory that it could use: the machine's, or its cgroup's limit.
    pub total: u64,
}

/// Watches this process.
pub trait ProcessMonitor: Send + Sync {
    /// Memory now; zeros where the system doesn't tell.
    fn memory(&self) -> MemoryUse;
}

/// How busy process and machine are, in percent. Zero where the system doesn't tell.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct SystemLoad {
    /// Processor time of this process since the last look; 100 is one core.
    pub process_cpu: f64,
    /// Processor time of the whole machine since the last look; 100 is all cores.
    pub system_cpu: f64,
    /// Memory of the machine that is in use.
    pub system_memory: f64,
    /// Share of the disk that holds the data which is in use.
    pub disk: f64,
}

/// The files of all lakes together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LakeFiles {
    /// Bytes in them.
    pub bytes: u64,
    /// When their folder was made, where the system tells.
    pub created: Option<DateTime<Utc>>,
    /// When a file was last written.
    pub modified: Option<DateTime<Utc>>,
}

/// Looks at the machine and at the storage.
#[async_trait]
pub trait SystemStatistics: Send + Sync {
    /// How busy it is.
    async fn load(&self) -> SystemLoad;
    /// The lakes' files, counted not long ago; none if their folder is missing.
    async fn lake_files(&self) -> Option<LakeFiles>;
}
