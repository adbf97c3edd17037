//! DuckDB in this process, doing the same work: what there is to compare with.

use std::fmt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use duckdb::{Connection, Statement, params};

use super::measure::{Figures, Seen, Span};
use super::{Work, parameter};

/// A DuckDB without a server around it. Its tables have the names they have in Gadwall.
pub struct Local {
    connection: Mutex<Connection>,
}

impl fmt::Debug for Local {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Local")
    }
}

impl Local {
    /// Tables of DuckDB's own, in a file.
    pub fn duckdb(folder: &Path, rows: &Path) -> Result<Self> {
        let attach = format!("ATTACH '{}' AS store", folder.join("store.duckdb").display());
        Self::open(&[attach], rows)
    }

    /// Tables of a DuckLake like the one Gadwall keeps.
    pub fn ducklake(folder: &Path, extensions: &Path, rows: &Path) -> Result<Self> {
        let statements = [
            format!("SET extension_directory = '{}'", extensions.display()),
            "SET autoinstall_known_extensions = false".to_owned(),
            "LOAD ducklake".to_owned(),
            format!(
                "ATTACH 'ducklake:{}' AS store (DATA_PATH '{}', DATA_INLINING_ROW_LIMIT 0)",
                folder.join("lake.ducklake").display(),
                folder.join("lake").display()
            ),
        ];
        Self::open(&statements, rows)
    }

    fn open(statements: &[String], rows: &Path) -> Result<Self> {
        let connection = Connection::open_in_memory().context("DuckDB cannot be opened")?;
        for statement in statements {
            connection.execute_batch(statement).with_context(|| format!("DuckDB: {statement}"))?;
        }
        connection.execute_batch(&format!(
            "CREATE SCHEMA store.bench;
             CREATE TABLE store.bench.points AS SELECT * FROM read_parquet('{}');
             CREATE TABLE store.bench.arrivals AS SELECT * FROM store.bench.points LIMIT 0;",
            rows.display()
        ))?;
        Ok(Self { connection: Mutex::new(connection) })
    }

    /// One more connection.
    pub fn connect(&self) -> Result<Connection> {
        Ok(self.connection.lock().unwrap_or_else(PoisonError::into_inner).try_clone()?)
    }

    /// Does the work from so many threads at once.
    pub(super) fn hammer(&self, work: Work, clients: usize, length: Duration) -> Result<Figures> {
        let connections = (0..clients).map(|_| self.connect()).collect::<Result<Vec<_>>>()?;
        let numbers = AtomicU64::new(0);
        let span = Span::of(length);
        let seen = thread::scope(|scope| {
            let numbers = &numbers;
            let start = |connection: Connection| scope.spawn(move || client(&connection, work, span, numbers));
            let threads: Vec<_> = connections.into_iter().map(start).collect();
            let join = |thread: thread::ScopedJoinHandle<'_, Result<Seen>>| {
                thread.join().map_err(|_| anyhow!("a thread of the load test panicked"))?
            };
            threads.into_iter().map(join).collect::<Result<Vec<_>>>()
        })?;
        Ok(Figures::of(span, seen))
    }
}

fn client(connection: &Connection, work: Work, span: Span, numbers: &AtomicU64) -> Result<Seen> {
    let mut statement = connection.prepare(statement_of(work))?;
    let mut seen = Seen::default();
    while !span.is_over() {
        let number = parameter(numbers.fetch_add(1, Ordering::Relaxed));
        let begun = Instant::now();
        let succeeded = once(&mut statement, work, number).is_ok();
        seen.take(span, begun, succeeded);
    }
    Ok(seen)
}

/// The statement that does the work.
pub fn statement_of(work: Work) -> &'static str {
    match work {
        Work::Preview => "SELECT * FROM store.bench.points LIMIT 100",
        Work::Query | Work::Cached => "SELECT count(*), max(x) FROM store.bench.points WHERE id >= ?",
        Work::Append => "INSERT INTO store.bench.arrivals VALUES (?, TIMESTAMP '2024-01-01', 'here', 0.5)",
    }
}

/// Does the work once.
pub fn once(statement: &mut Statement<'_>, work: Work, number: u64) -> Result<(), duckdb::Error> {
    match work {
        Work::Preview => statement.query_arrow([])?.for_each(drop),
        Work::Query | Work::Cached => statement.query_arrow(params![number])?.for_each(drop),
        Work::Append => {
            statement.execute(params![number])?;
        }
    }
    Ok(())
}
