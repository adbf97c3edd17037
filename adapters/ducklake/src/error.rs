//! What DuckDB says, told as domain errors; and what it must not tell.

use std::path::PathBuf;
use std::time::Duration;

use gadwall_domain::ports::lake::LakeError;
use gadwall_domain::query::{NamedFiles, QueryError};
use thiserror::Error;

/// A fault of the engine, for the log.
#[derive(Debug, Error)]
#[error("{0}")]
pub(crate) struct EngineFault(pub(crate) String);

/// The kinds of failure DuckDB names in the first words of its messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The statement or its values are wrong.
    Statement,
    /// Stopped from outside.
    Interrupted,
    /// The memory limit was reached.
    OutOfMemory,
    /// The disk is full.
    StorageFull,
    /// The disk can be read, but not written.
    ReadOnly,
    /// A lake's catalog isn't what was written.
    Damaged,
    /// The catalog's server, or that of the data, can't be reached or refuses.
    Unavailable,
    /// Somebody else committed first.
    Contended,
    /// Anything else, among them a broken engine.
    Fault,
}

/// The message of an error, without the statement it quotes.
pub(crate) fn message(error: &duckdb::Error) -> String {
    let full = match error {
        duckdb::Error::DuckDBFailure(_, Some(message)) => message.clone(),
        other => other.to_string(),
    };
    let cut = full.find("\n\nLINE ").unwrap_or(full.len());
    full[..cut].trim_end().to_owned()
}

/// What kind of failure an error is.
pub(crate) fn classify(error: &duckdb::Error) -> Failure {
    const STATEMENT: [&str; 11] = [
        "Parser Error",
        "Syntax Error",
        "Binder Error",
        "Catalog Error",
        "Conversion Error",
        "Invalid Input Error",
        "Out of Range Error",
        "Invalid Type Error",
        "Mismatch Type Error",
        "Not implemented Error",
        "Constraint Error",
    ];
    if matches!(
        error,
        duckdb::Error::InvalidParameterCount(..)
            | duckdb::Error::InvalidParameterName(_)
            | duckdb::Error::ToSqlConversionFailure(_)
    ) {
        return Failure::Statement;
    }
    let message = message(error);
    if let Some(failure) = storage_failure(&message).or_else(|| remote_failure(&message)) {
        return failure;
    }
    // A failure while a data file is read is ours, whatever class DuckDB files it under.
    if message.contains("Error while reading file") {
        return Failure::Fault;
    }
    if message.starts_with("INTERRUPT Error") {
        return Failure::Interrupted;
    }
    if message.starts_with("Out of Memory Error") {
        // A length out of a damaged log asks for more memory than there can be.
        let is_of_log = message.contains("while replaying WAL file") && message.contains("Allocation failure");
        return if is_of_log { Failure::Damaged } else { Failure::OutOfMemory };
    }
    if STATEMENT.iter().any(|class| message.starts_with(class)) { Failure::Statement } else { Failure::Fault }
}

/// What DuckDB says of files that it can't write, or that aren't what it wrote. It repeats what the system said.
fn storage_failure(message: &str) -> Option<Failure> {
    // Too large is what a file becomes that meets the limit of a process or of its file system.
    const FULL: [&str; 3] = ["No space left on device", "Disk quota exceeded", "File too large"];
    const READ_ONLY: [&str; 2] = ["Read-only file system", "Permission denied"];
    const DAMAGED: [&str; 4] =
        ["Corrupt database file", "Corrupt WAL file", "not a valid DuckDB database", "Serialization Error"];
    // Errors of statements and values may quote anything.
    const INNER: &str = "Invalid Input Error: Attempting to fetch from an unsuccessful query result\nError: ";
    const CLASSES: [&str; 4] = ["IO Error", "TransactionContext Error", "Serialization Error", "FATAL Error"];
    let says = |words: &[&str]| words.iter().any(|word| message.contains(word));
    // What the engine asked itself while it planned a statement failed.
    let message = message.strip_prefix(INNER).unwrap_or(message);
    if !CLASSES.iter().any(|class| message.starts_with(class)) {
        return None;
    }
    if says(&FULL) {
        Some(Failure::StorageFull)
    } else if says(&READ_ONLY) {
        Some(Failure::ReadOnly)
    } else if says(&DAMAGED) || message.contains("Could not read enough bytes") && message.contains("catalog.ducklake")
    {
        Some(Failure::Damaged)
    } else {
        None
    }
}

/// What DuckDB says of a catalog or of data on other machines.
fn remote_failure(message: &str) -> Option<Failure> {
    const CONTENDED: [&str; 3] =
        ["Exceeded the maximum retry count", "Transaction conflict", "could not serialize access"];
    const AWAY: [&str; 16] = [
        "Unable to connect to Postgres",
        "connection to server",
        "server closed the connection",
        "terminating connection",
        "the database system is",
        "too many clients",
        "remaining connection slots",
        "no connection to the server",
        "Connection pool timeout",
        "could not receive data from server",
        "SSL SYSCALL error",
        "Could not connect to server",
        "Could not establish connection",
        "HTTP Error",
        "HTTP GET error",
        "HTTP HEAD error",
    ];
    // What an extension throws without a class of its own, as its pool of connections does, is "invalid".
    const CLASSES: [&str; 5] =
        ["IO Error", "TransactionContext Error", "HTTP Error", "Connection Error", "Invalid Error"];
    let says = |words: &[&str]| words.iter().any(|word| message.contains(word));
    if !CLASSES.iter().any(|class| message.starts_with(class)) {
        return None;
    }
    // Whatever else goes wrong on the way to a server names its address.
    let on_the_way = message.contains("://") && !message.contains("No files found");
    if says(&AWAY) || on_the_way {
        Some(Failure::Unavailable)
    } else if says(&CONTENDED) {
        Some(Failure::Contended)
    } else {
        None
    }
}

/// Keeps internal names out of messages that users see.
#[derive(Debug, Clone)]
pub(crate) struct Scrub {
    hidden_paths: Vec<PathBuf>,
}

impl Scrub {
    /// Hides these folders.
    pub(crate) fn new(hidden_paths: Vec<PathBuf>) -> Self {
        Self { hidden_paths }
    }

    /// The message without paths and catalog names.
    pub(crate) fn apply(&self, message: &str, catalog: &str) -> String {
        let mut clean = message.replace(&format!("\"{catalog}\"."), "").replace(&format!("{catalog}."), "");
        clean = clean.replace(catalog, "project");
        for path in &self.hidden_paths {
            clean = clean.replace(&*path.to_string_lossy(), "(storage)");
        }
        clean
    }
}

/// An error of a user's query.
pub(crate) fn query_error(
    error: &duckdb::Error,
    scrub: &Scrub,
    catalog: &str,
    timed_out: Option<Duration>,
) -> QueryError {
    // Said by the crate, before a row is read.
    if matches!(error, duckdb::Error::FromSqlConversionFailure(..)) && message(error).contains("Variant columns") {
        return QueryError::Unsupported {
            what: "a VARIANT in the result".to_owned(),
            hint: "cast it to JSON or VARCHAR in the statement".to_owned(),
        };
    }
    match (classify(error), timed_out) {
        (Failure::Interrupted, Some(limit)) => QueryError::Timeout(limit),
        (Failure::Interrupted, None) => QueryError::Cancelled,
        (Failure::OutOfMemory, _) => QueryError::OutOfMemory,
        (Failure::Statement, _) => QueryError::Sql(scrub.apply(&message(error), catalog)),
        (Failure::StorageFull, _) => QueryError::StorageFull(message(error)),
        (Failure::Damaged, _) => QueryError::LakeUnavailable(message(error)),
        (Failure::Unavailable, _) => QueryError::LakeAway(message(error)),
        (Failure::Contended, _) => QueryError::Busy,
        (Failure::ReadOnly | Failure::Fault, _) => QueryError::Engine(message(error)),
    }
}

/// The same of a statement that reads files. Those are the caller's: what the engine says of them is, too, but not where
/// they lie.
pub(crate) fn files_error(
    error: &duckdb::Error,
    scrub: &Scrub,
    catalog: &str,
    timed_out: Option<Duration>,
    files: &NamedFiles,
) -> QueryError {
    let mut told = message(error);
    let said = told.clone();
    for file in files.all() {
        for location in [&file.location, &crate::sql::file(&file.location)] {
            told = told.replace(location.as_str(), &file.name);
        }
    }
    let about_files = told != said && !said.starts_with("FATAL");
    match (classify(error), query_error(error, scrub, catalog, timed_out)) {
        (Failure::Statement, QueryError::Sql(_)) => QueryError::Sql(scrub.apply(&told, catalog)),
        (Failure::Fault, QueryError::Engine(_)) if about_files => QueryError::Sql(scrub.apply(&told, catalog)),
        (_, other) => other,
    }
}

/// An error of a statement that Gadwall wrote itself.
pub(crate) fn lake_error(error: &duckdb::Error) -> LakeError {
    let fault = Box::new(EngineFault(message(error)));
    match classify(error) {
        Failure::StorageFull => LakeError::StorageFull(fault),
        Failure::ReadOnly => LakeError::ReadOnly(fault),
        Failure::Damaged => LakeError::Damaged(fault),
        Failure::Unavailable => LakeError::Unavailable(fault),
        Failure::Contended => LakeError::Contended,
        _ => LakeError::Fault(fault),
    }
}

/// An I/O error beside the engine.
pub(crate) fn io_error(error: std::io::Error) -> LakeError {
    use std::io::ErrorKind;
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
            LakeError::StorageFull(Box::new(error))
        }
        ErrorKind::ReadOnlyFilesystem | ErrorKind::PermissionDenied => LakeError::ReadOnly(Box::new(error)),
        ErrorKind::HostUnreachable | ErrorKind::TimedOut => LakeError::Unavailable(Box::new(error)),
        _ => LakeError::Fault(Box::new(error)),
    }
}

/// The error, for another who waited for the same.
pub(crate) fn same_again(error: &LakeError) -> LakeError {
    let source = |source: &(dyn std::error::Error + Send + Sync)| Box::new(EngineFault(source.to_string()));
    match error {
        LakeError::NoLake => LakeError::NoLake,
        LakeError::Busy => LakeError::Busy,
        LakeError::Contended => LakeError::Contended,
        LakeError::Unavailable(inner) => LakeError::Unavailable(source(&**inner)),
        LakeError::StorageFull(inner) => LakeError::StorageFull(source(&**inner)),
        LakeError::ReadOnly(inner) => LakeError::ReadOnly(source(&**inner)),
        LakeError::Damaged(inner) => LakeError::Damaged(source(&**inner)),
        LakeError::Fault(inner) => LakeError::Fault(source(&**inner)),
    }
}

/// A fault that isn't DuckDB's.
pub(crate) fn fault(message: impl Into<String>) -> LakeError {
    LakeError::Fault(Box::new(EngineFault(message.into())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(message: &str) -> duckdb::Error {
        duckdb::Error::DuckDBFailure(duckdb::ffi::Error::new(1), Some(message.to_owned()))
    }

    #[test]
    fn messages_are_sorted_by_their_first_words() {
        let cases = [
            ("Binder Error: no such column", Failure::Statement),
            ("Conversion Error: Could not convert", Failure::Statement),
            ("Conversion Error: Error while reading file \"/x\"", Failure::Fault),
            ("INTERRUPT Error: Interrupted!", Failure::Interrupted),
            ("Invalid Error: Connection pool timeout: all 4 connections in use, waited 5000ms", Failure::Unavailable),
            (
                "Invalid Error: Failed to query most recent snapshot for DuckLake: Connection pool timeout: all 4 connections in use",
                Failure::Unavailable,
            ),
            ("Invalid Input Error: Connection pool timeout", Failure::Statement),
            ("Out of Memory Error: could not allocate", Failure::OutOfMemory),
            (
                "Out of Memory Error: Failed to attach \"x\"Failure while replaying WAL file \"/x.wal\": Allocation failure",
                Failure::Damaged,
            ),
            ("IO Error: Could not write: No space left on device", Failure::StorageFull),
            ("IO Error: Cannot open file \"/x\": Permission denied", Failure::ReadOnly),
            ("IO Error: Cannot open file \"/x\": Read-only file system", Failure::ReadOnly),
            ("IO Error: Corrupt database file: computed checksum 1 does not match", Failure::Damaged),
            ("IO Error: Could not read enough bytes from file \"/x/catalog.ducklake\": attempted", Failure::Damaged),
            ("IO Error: Could not read enough bytes from file \"/x/a.parquet\": attempted", Failure::Fault),
            (
                "Invalid Input Error: Attempting to fetch from an unsuccessful query result\nError: IO Error: Corrupt database file: x",
                Failure::Damaged,
            ),
            ("Constraint Error: duplicate key \"x: Permission denied\"", Failure::Statement),
            ("Binder Error: column \"No space left on device\" not found", Failure::Statement),
            ("FATAL Error: database has been invalidated", Failure::Fault),
        ];
        for (message, expected) in cases {
            assert_eq!(classify(&failure(message)), expected, "{message}");
        }
    }

    #[test]
    fn users_see_neither_paths_nor_catalogs_nor_rewritten_text() {
        let scrub = Scrub::new(vec![PathBuf::from("/srv/data")]);
        let error = failure(
            "Binder Error: Table p_1.sales.t in /srv/data/x has no column b\n\nLINE 1: SELECT b FROM p_1.sales.t",
        );
        let QueryError::Sql(text) = query_error(&error, &scrub, "p_1", None) else { panic!("a statement's error") };
        assert_eq!(text, "Binder Error: Table sales.t in (storage)/x has no column b");
    }
}
