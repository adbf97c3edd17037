//! Settings of the engine, of the lakes and of the metadata store.

use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use super::planned;
use crate::config::choices::CatalogKind;
use crate::config::kind::{GB, GIB, Kind, MB, seconds};
use crate::config::secret::Secret;

section! {
    /// DuckDB. One engine serves all projects.
    pub struct Engine = "engine" {
        /// Threads the engine works with.
        threads: usize = cores(), Kind::integer(1, 1_024), otherwise "number of processor cores";
        /// Most memory the engine may use.
        memory_limit: u64 = 4 * GB, Kind::bytes(128 * MB, u64::MAX);
        /// Most memory the engine may use, in percent of what the machine or the container has. The smaller of the
        /// two limits holds.
        max_memory_percentage: u8 = 60, Kind::integer(1, 100);
        /// Most bytes the engine may write to disk for queries that don't fit in memory.
        spill_limit: u64 = 10 * GIB, Kind::bytes(0, u64::MAX);
        /// Folder of DuckDB's extensions, as `<dir>/v1.5.5/<platform>/<name>.duckdb_extension`.
        extension_dir: Option<PathBuf> = None, Kind::Path, otherwise "found beside the program or in `.duckdb`";
        /// Statements that read at once: queries, which `query.max_concurrent` limits, and previews, exports and
        /// profiles of tables.
        max_queries: usize = 2 * concurrent_queries(), Kind::integer(1, 1_024), otherwise "four times the processor cores, at least 8";
        /// Statements that may wait for one of those places; more are turned away.
        max_waiting_queries: usize = 100, Kind::integer(0, 1_000_000);
        /// Longest wait for a place.
        queue_timeout: Duration = seconds(10), Kind::span(0, 3_600);
        /// How long a query may run unless its request says otherwise.
        query_timeout: Duration = seconds(30), Kind::span(1, 86_400);
        /// The longest that a request may ask for.
        max_query_timeout: Duration = seconds(300), Kind::span(1, 86_400);
        /// Most rows of each statement's result in a batch: they are held in memory until the batch ends.
        max_batch_rows: u64 = 10_000, Kind::integer(1, 1_000_000);
        /// Memory for results of queries that may be asked for again; 0 turns it off.
        result_cache: u64 = 64 * MB, Kind::bytes(0, u64::MAX);
        /// Lakes attached at once; the least recently used one makes room.
        max_attached_lakes: usize = 32, Kind::integer(1, 10_000);
        /// Writes that may wait in a project's queue.
        writer_queue: usize = 64, Kind::integer(1, 100_000);
    }
}

section! {
    /// The circuit breakers: before the engine's queries and SQL that writes, and, where they are on other machines, before
    /// the object store, metadata and the lakes' catalogs, each by itself. Only faults of what is asked count: no mistakes in
    /// a query or a request, nothing that isn't there, none that took too long or too much memory, none that were turned
    /// away or cancelled.
    pub struct Breaker = "breaker" {
        /// Faults that open it: counted, where each success takes one off again, or among the last calls.
        failure_threshold: u32 = 5, Kind::integer(1, 1_000_000);
        /// Successes that close it again.
        success_threshold: u32 = 3, Kind::integer(1, 1_000);
        /// How long it stays open the first time. Each further time it is twice as long.
        timeout: Duration = seconds(30), Kind::span(1, 86_400);
        /// How long one before another machine stays open, each time: such a machine is soon back, and asking it is cheap.
        outside_timeout: Duration = seconds(2), Kind::span(1, 86_400);
        /// The longest that it stays open.
        max_timeout: Duration = seconds(300), Kind::span(1, 86_400);
        /// How many of the last calls are looked at; 0 looks at none.
        window: usize = 10, Kind::integer(0, 100_000);
        /// How long they are.
        window_age: Duration = seconds(300), Kind::span(1, 86_400);
    }
}

/// TOML's largest number.
const MAX_NUMBER: u64 = i64::MAX.cast_unsigned();

/// A server must have at least one thread, even where the system can't tell how many it has.
fn cores() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

/// Queries that run at once unless told.
fn concurrent_queries() -> usize {
    (2 * cores()).max(4)
}

section! {
    /// Queries: how many at once, and what is kept of those that ended.
    pub struct Query = "query" {
        /// Queries that run at once. Projects with waiting queries take turns.
        max_concurrent: usize = concurrent_queries(), Kind::integer(1, 1_024), otherwise "twice the processor cores, at least 4";
        /// Of them, those of one project; 0 sets it no limit of its own. Of those that write to a project, one runs at once.
        max_concurrent_per_project: usize = 0, Kind::integer(0, 1_024);
        /// Queries that may wait for their turn; more are turned away, first those of the project with the most.
        max_queued: usize = 200, Kind::integer(0, 100_000);
        /// Longest wait for a turn.
        queue_timeout: Duration = seconds(10), Kind::span(0, 3_600);
        /// How long queries that ended are listed.
        history_retention: Duration = seconds(7 * 86_400), Kind::span(1, 31_536_000);
        /// Queries that ended and are listed, in each project.
        history_limit: u32 = 1_000, Kind::integer(0, 100_000);
        /// Longest time that a query in the background may take; they take no more than half of `query.max_concurrent`.
        max_async_timeout: Duration = seconds(3_600), Kind::span(1, 604_800);
        /// How long results of queries in the background are kept.
        result_retention: Duration = seconds(3_600), Kind::span(1, 31_536_000);
        /// Most that the kept results of a project take on disk.
        result_limit: u64 = GB, Kind::bytes(1, u64::MAX);
        /// Whether the rows and bytes that queries scan and the memory meanwhile are measured. It takes about 0.2 ms of
        /// each query.
        profiling: bool = true, Kind::Switch;
    }
}

section! {
    /// The lakes.
    pub struct Ducklake = "ducklake" {
        /// What keeps the lakes' catalogs. Several servers can share lakes only with their catalogs in PostgreSQL
        /// (see `postgres`) and their data in S3 (see `storage`).
        catalog: CatalogKind = CatalogKind::Files, Kind::Choice(CatalogKind::WORDS);
        /// The projects' passwords in PostgreSQL are derived from it. All servers have the same; it must not be lost.
        secret_key: Option<Secret> = None, Kind::Secret, otherwise "none";
        /// Projects whose lakes are open at once, if catalogs are in PostgreSQL: each has an engine of its own.
        max_open: usize = 16, Kind::integer(1, 1_000);
        /// An engine that nobody used for so long is closed.
        idle_timeout: Duration = seconds(300), Kind::span(1, 86_400);
        /// Connections of each open lake to its catalog.
        max_connections: u32 = 4, Kind::integer(2, 64);
        /// Rows up to which an insert is kept in the catalog instead of a file; 0 turns it off.
        data_inlining_row_limit: u32 = 0, Kind::integer(0, 10_000);
        /// Whether new lakes encrypt their data files.
        encrypted: bool = false, Kind::Switch;
        /// Schema of the catalog's tables in PostgreSQL.
        metadata_schema: String = "main".to_owned(), Kind::Identifier, planned planned::CATALOG_NAMES;
        /// Name under which the catalog is attached.
        metadata_catalog: String = "ducklake_metadata".to_owned(), Kind::Identifier, planned planned::CATALOG_NAMES;
        /// Attempts to reach the catalogs' database at start.
        connection_retries: u32 = 3, Kind::integer(1, 10);
        /// Longest wait for a connection to the catalogs' database.
        connection_timeout: Duration = seconds(30), Kind::span(1, 300);
        /// Pause between two attempts.
        connection_retry_delay: Duration = seconds(2), Kind::span(0, 300);
        /// Whether lakes are only read. `true` is refused: who may only read has a key with the scope `read`.
        read_only: bool = false, Kind::Switch;
        /// The snapshot at which lakes are read. A number is refused: each project has its own, and a request says
        /// `?snapshot=`.
        snapshot_version: Option<u64> = None, Kind::integer(0, MAX_NUMBER), otherwise "the newest";
        /// The time as of which lakes are read. A time is refused: a request says `?as_of=`.
        snapshot_time: Option<String> = None, Kind::Text, otherwise "now";
    }
}

section! {
    /// The store of projects, keys and shares: PostgreSQL where `metadata.url` is set, else a file of SQLite in the
    /// data directory.
    pub struct Metadata = "metadata" {
        /// Address of a PostgreSQL database (14 or newer) as `postgres://user:password@host:port/database`, which must be
        /// there. `?sslmode=verify-full` insists on TLS and checks the server's certificate, against `&sslrootcert=FILE`
        /// or the system's roots; without it TLS is used if the server offers it.
        url: Option<Secret> = None, Kind::Secret, otherwise "the database of the lakes' catalogs, if they are in PostgreSQL; else SQLite";
        /// Connections to PostgreSQL: one writes, the others read.
        max_connections: u32 = 10, Kind::integer(2, 1_000);
        /// Connections to SQLite that read at once. There is always exactly one that writes.
        max_readers: u32 = 4, Kind::integer(1, 64);
        /// Longest wait for a connection; in PostgreSQL also for the turn to write.
        acquire_timeout: Duration = seconds(5), Kind::span(1, 300);
        /// Longest time that PostgreSQL may take for a statement, or a transaction stand still.
        statement_timeout: Duration = seconds(30), Kind::span(1, 3_600);
        /// How long a connection to PostgreSQL stays open without work.
        idle_timeout: Duration = seconds(600), Kind::span(1, 86_400);
        /// How long a connection to PostgreSQL is used before another takes its place.
        max_lifetime: Duration = seconds(1_800), Kind::span(1, 86_400);
        /// How often a server tells the others on the same PostgreSQL database that it is alive.
        instance_renewal: Duration = seconds(5), Kind::span(1, 300);
        /// A server that was not heard of for so long is dead: the others end its operations and take over its
        /// unanswered requests. At least three times `metadata.instance_renewal`. The servers' clocks must agree better
        /// than that. A restart in the same data directory doesn't wait for it.
        instance_timeout: Duration = seconds(30), Kind::span(3, 3_600);
        /// How long the answer to a request with an `Idempotency-Key` is kept.
        idempotency_retention: Duration = seconds(86_400), Kind::span(1, 2_592_000);
    }
}
