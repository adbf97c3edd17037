//! Why the gate turns a statement away, in words for its author.
//!
//! A message names what was written and says what to do instead; it never names an engine's catalog, a role or a file
//! of the server.

use std::fmt;

use gadwall_domain::query::QueryError;

/// A statement that doesn't run.
///
/// For a client it becomes a [`QueryError`]: forbidden is 403 `statement_forbidden`, unsupported 422
/// `statement_unsupported`, what is wrong with the SQL 400 `sql_error`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum GateError {
    /// The text is not SQL.
    #[error("{message}")]
    Syntax {
        /// The parser's words.
        message: String,
        /// Where in the text, in bytes from 0, if the parser said.
        position: Option<usize>,
    },
    /// Nobody may run this through a query.
    #[error("{what} is not allowed: {hint}")]
    Forbidden {
        /// What was written.
        what: String,
        /// What to do instead.
        hint: String,
    },
    /// Honest SQL which this door doesn't take.
    #[error("{what} is not supported here: {hint}")]
    Unsupported {
        /// What was written.
        what: String,
        /// What to do instead.
        hint: String,
    },
    /// The caller knows no table of this name.
    #[error("unknown table {name}{}", Candidates(.candidates))]
    UnknownTable {
        /// The name as written.
        name: String,
        /// Names that may have been meant.
        candidates: Vec<String>,
    },
    /// The caller knows no bucket of this name.
    #[error("there is no bucket {name}")]
    UnknownBucket {
        /// The name as written.
        name: String,
    },
    /// No function of this name is known here.
    #[error("unknown function {name}{}", Candidates(.candidates))]
    UnknownFunction {
        /// The name as written.
        name: String,
        /// Names that may have been meant.
        candidates: Vec<String>,
    },
    /// More text, or a larger tree, than is read.
    #[error("the statement is too large: {actual} bytes, at most {limit} are read; load the data into a table instead")]
    TooLarge {
        /// Its size.
        actual: usize,
        /// The most that is read.
        limit: usize,
    },
    /// Nested deeper than is read.
    #[error("the statement is nested too deeply: {what}")]
    TooDeep {
        /// What to flatten.
        what: String,
    },
    /// More than one statement in one text.
    #[error("one statement at a time: send each statement in a request of its own")]
    MultipleStatements,
    /// Names cannot be looked up now; the text is for the log.
    #[error("the tables cannot be looked up")]
    Unavailable(String),
}

impl GateError {
    /// A refusal whatever the caller may do.
    pub(crate) fn forbidden(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Forbidden { what: what.into(), hint: hint.into() }
    }

    /// A refusal of something honest.
    pub(crate) fn unsupported(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Unsupported { what: what.into(), hint: hint.into() }
    }

    /// Whether this is 403 `statement_forbidden`.
    pub(crate) fn is_forbidden(&self) -> bool {
        matches!(self, Self::Forbidden { .. })
    }
}

impl From<GateError> for QueryError {
    fn from(error: GateError) -> Self {
        let message = error.to_string();
        match error {
            GateError::Forbidden { what, hint } => Self::Forbidden { what, hint },
            GateError::Unsupported { what, hint } => Self::Unsupported { what, hint },
            GateError::MultipleStatements => Self::Unsupported {
                what: "more than one statement".into(),
                hint: "send each statement in a request of its own".into(),
            },
            GateError::UnknownTable { name, candidates } => Self::UnknownTable { name, candidates },
            GateError::TooLarge { .. } | GateError::TooDeep { .. } => Self::TooLarge(message),
            GateError::Syntax { .. } | GateError::UnknownFunction { .. } | GateError::UnknownBucket { .. } => {
                Self::Sql(message)
            }
            GateError::Unavailable(cause) => Self::Engine(cause),
        }
    }
}

/// Shows candidates as a question, or nothing.
struct Candidates<'a>(&'a [String]);

impl fmt::Display for Candidates<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            [] => Ok(()),
            names => write!(out, " (did you mean {}?)", names.join(", ")),
        }
    }
}
