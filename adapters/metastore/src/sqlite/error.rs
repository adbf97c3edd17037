//! What SQLite says, told as the ports' errors.

use std::path::{Path, PathBuf};

use gadwall_domain::ports::metadata::StoreError;
use sqlx::migrate::MigrateError;
use thiserror::Error;

/// Why the metadata store can't be opened.
#[derive(Debug, Error)]
pub enum OpenError {
    /// The database is newer than this program.
    #[error(
        "the metadata database {} was written by a newer version of Gadwall (it has migration {migration}); \
         start that version, or put back a backup made before the upgrade",
        .path.display()
    )]
    Newer {
        /// The database file.
        path: PathBuf,
        /// A migration that this program doesn't know.
        migration: i64,
    },
    /// A migration that was applied is not the one that this program has under that number.
    #[error("the metadata database {} was not made by this program (migration {migration} differs)", .path.display())]
    Foreign {
        /// The database file.
        path: PathBuf,
        /// The migration that differs.
        migration: i64,
    },
    /// It can't be opened, read or brought up to date.
    #[error("the metadata database {} can't be opened", .path.display())]
    Failed {
        /// The database file.
        path: PathBuf,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl OpenError {
    pub(crate) fn open(path: &Path, error: sqlx::Error) -> Self {
        Self::Failed { path: path.to_owned(), source: Box::new(error) }
    }

    pub(crate) fn migrate(path: &Path, error: MigrateError) -> Self {
        let path = path.to_owned();
        match error {
            MigrateError::VersionMissing(migration) => Self::Newer { path, migration },
            MigrateError::VersionMismatch(migration) => Self::Foreign { path, migration },
            other => Self::Failed { path, source: Box::new(other) },
        }
    }
}

/// The only place where SQLite's errors get their meaning.
pub(crate) fn store_error(error: sqlx::Error) -> StoreError {
    match &error {
        sqlx::Error::Database(database) if database.is_unique_violation() => StoreError::AlreadyExists,
        sqlx::Error::Database(database) => match primary(database.code().as_deref()) {
            Some(FULL) => StoreError::StorageFull(Box::new(error)),
            Some(BUSY | LOCKED | READ_ONLY | IO | CANT_OPEN) => StoreError::Unavailable(Box::new(error)),
            _ => StoreError::Fault(Box::new(error)),
        },
        sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed => StoreError::Unavailable(Box::new(error)),
        _ => StoreError::Fault(Box::new(error)),
    }
}

const BUSY: i32 = 5;
const LOCKED: i32 = 6;
const READ_ONLY: i32 = 8;
const IO: i32 = 10;
const FULL: i32 = 13;
const CANT_OPEN: i32 = 14;

/// SQLite's code without its extension.
fn primary(code: Option<&str>) -> Option<i32> {
    code.and_then(|code| code.parse::<i32>().ok()).map(|code| code & 0xff)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_told_without_their_extensions() {
        for (code, expected) in [("5", BUSY), ("517", BUSY), ("262", LOCKED), ("778", IO), ("13", FULL), ("1288", 8)] {
            assert_eq!(primary(Some(code)), Some(expected), "{code}");
        }
        assert_eq!((primary(Some("x")), primary(None)), (None, None));
    }

    #[test]
    fn a_full_queue_may_be_tried_again_and_a_lost_column_may_not() {
        assert!(matches!(store_error(sqlx::Error::PoolTimedOut), StoreError::Unavailable(_)));
        let lost = sqlx::Error::ColumnNotFound("x".to_owned());
        assert!(matches!(store_error(lost), StoreError::Fault(_)));
    }
}
