//! What the engine needs to know.

use std::path::PathBuf;
use std::time::Duration;

/// Settings of the embedded lake.
#[derive(Debug, Clone)]
pub struct LakeConfig {
    /// Folder of the lakes, one sub-folder each. Created if missing.
    pub lakes_dir: PathBuf,
    /// Folder of the projects' datasets, whose files the engine may read; none if they lie elsewhere.
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
}
