//! What PostgreSQL says, told as the ports' errors. Neither the address nor names in it are ever told.

use gadwall_domain::ports::metadata::StoreError;
use sqlx::error::DatabaseError;
use sqlx::migrate::MigrateError;
use thiserror::Error;

/// Why the metadata store can't be used.
#[derive(Debug, Error)]
pub enum ConnectError {
    /// Not an address.
    #[error("the address of the metadata database is not of the form postgres://user:password@host:port/database")]
    Address,
    /// The server doesn't let us in.
    #[error("the server of the metadata database refuses the user or the password of its address")]
    Denied,
    /// The server doesn't have it.
    #[error("the server of the metadata database has no database of that name; create it first")]
    Missing,
    /// Nothing answers.
    #[error("the server of the metadata database does not answer in time")]
    Silent,
    /// The database is newer than this program.
    #[error(
        "the metadata database was written by a newer version of Gadwall (it has migration {0}); \
         start that version, or put back a backup made before the upgrade"
    )]
    Newer(i64),
    /// A migration that was applied is not the one that this program has under that number.
    #[error("the metadata database was not made by this program (migration {0} differs)")]
    Foreign(i64),
    /// It can't be reached, read or brought up to date.
    #[error("the metadata database can't be used")]
    Failed(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl ConnectError {
    pub(super) fn connect(error: sqlx::Error) -> Self {
        match error.as_database_error().and_then(DatabaseError::code).as_deref() {
            Some(code) if code.starts_with(DENIED) => Self::Denied,
            Some(NO_DATABASE) => Self::Missing,
            _ if matches!(error, sqlx::Error::PoolTimedOut) => Self::Silent,
            _ => Self::Failed(Box::new(error)),
        }
    }

    pub(super) fn migrate(error: MigrateError) -> Self {
        match error {
            MigrateError::VersionMissing(migration) => Self::Newer(migration),
            MigrateError::VersionMismatch(migration) => Self::Foreign(migration),
            other => Self::Failed(Box::new(other)),
        }
    }
}

/// The only place where PostgreSQL's errors get their meaning.
pub(crate) fn store_error(error: sqlx::Error) -> StoreError {
    match &error {
        sqlx::Error::Database(database) if database.is_unique_violation() => StoreError::AlreadyExists,
        sqlx::Error::Database(database) => match database.code().as_deref() {
            Some(DISK_FULL) => StoreError::StorageFull(Box::new(error)),
            Some(code) if may_pass(code) => StoreError::Unavailable(Box::new(error)),
            _ => StoreError::Fault(Box::new(error)),
        },
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::Protocol(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed => StoreError::Unavailable(Box::new(error)),
        _ => StoreError::Fault(Box::new(error)),
    }
}

const DISK_FULL: &str = "53100";
const NO_DATABASE: &str = "3D000";
const DENIED: &str = "28";

/// Whether trying again may work: what was lost to another, what took too long, and what the server is not up to now.
fn may_pass(code: &str) -> bool {
    /// Connections, authentication, lost to another transaction, resources, an operator's intervention.
    const CLASSES: [&str; 5] = ["08", DENIED, "40", "53", "57"];
    /// No such database (any more), a lock not had in time, a transaction that stood still, a server that is a replica.
    const CODES: [&str; 4] = [NO_DATABASE, "55P03", "25P03", "25006"];
    CLASSES.iter().any(|class| code.starts_with(class)) || CODES.contains(&code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_pass_is_told_from_what_will_not() {
        for code in ["08006", "28P01", "40001", "40P01", "53300", "55P03", "57014", "57P01", "57P03", "25P03"] {
            assert!(may_pass(code), "{code}");
        }
        for code in ["23503", "23505", "22P02", "42P01", "42501", "XX000", ""] {
            assert!(!may_pass(code), "{code}");
        }
    }

    #[test]
    fn a_lost_connection_may_be_tried_again_and_a_lost_column_may_not() {
        let lost = sqlx::Error::Io(std::io::ErrorKind::ConnectionReset.into());
        assert!(matches!(store_error(lost), StoreError::Unavailable(_)));
        let lost = sqlx::Error::ColumnNotFound("x".to_owned());
        assert!(matches!(store_error(lost), StoreError::Fault(_)));
    }
}
