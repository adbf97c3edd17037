//! How imports and exports fail before they begin.

use gadwall_domain::error::{Classify, ErrorKind};
use gadwall_domain::ports::transfer::TransferError;
use gadwall_domain::transfer::{FormatError, PatternError};
use serde_json::{Value, json};
use thiserror::Error;

use crate::error::UseCaseError;

use super::files::{MAX_FILES, MAX_LOOKED_AT};

/// The failures of naming files and formats.
#[derive(Debug, Error)]
pub enum FilesError {
    /// A pattern that finds nothing.
    #[error("{pattern} finds no file")]
    NoFiles {
        /// The pattern.
        pattern: String,
    },
    /// More files than one operation takes.
    #[error("the patterns find more than {MAX_FILES} files; take them in several operations")]
    TooMany,
    /// More objects than are looked through.
    #[error("more than {MAX_LOOKED_AT} objects would have to be looked through; begin the pattern with a longer path")]
    TooBroad,
    /// The path or pattern is not legal.
    #[error(transparent)]
    Pattern(PatternError),
    /// The format or its options are not legal.
    #[error(transparent)]
    Format(FormatError),
}

impl From<PatternError> for UseCaseError {
    fn from(error: PatternError) -> Self {
        FilesError::Pattern(error).into()
    }
}

impl From<FormatError> for UseCaseError {
    fn from(error: FormatError) -> Self {
        FilesError::Format(error).into()
    }
}

impl From<TransferError> for UseCaseError {
    fn from(error: TransferError) -> Self {
        match error {
            TransferError::Rows(error) => Self::Rows(error),
            TransferError::Query(error) => Self::Query(error),
            TransferError::Lake(error) => Self::Lake(error),
        }
    }
}

impl Classify for FilesError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::NoFiles { .. } => ErrorKind::NotFound,
            Self::TooMany | Self::TooBroad => ErrorKind::Unprocessable,
            Self::Pattern(error) => error.kind(),
            Self::Format(error) => error.kind(),
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::NoFiles { .. } => "files_not_found",
            Self::TooMany | Self::TooBroad => "too_many_files",
            Self::Pattern(error) => error.code(),
            Self::Format(error) => error.code(),
        }
    }

    fn details(&self) -> Option<Value> {
        match self {
            Self::NoFiles { pattern } => Some(json!({ "files": pattern })),
            _ => None,
        }
    }
}
