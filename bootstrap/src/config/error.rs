//! What is wrong with a configuration, and where it stands. Never shows a secret.

use std::fmt;
use std::path::{Path, PathBuf};

/// Where a setting came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Nobody set it.
    Default,
    /// A line of the configuration file.
    File {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
    /// A line of `.env`.
    DotEnv {
        /// The variable's name.
        name: String,
        /// The line, from 1.
        line: usize,
    },
    /// An environment variable.
    Environment {
        /// The variable's name.
        name: String,
    },
}

impl Origin {
    pub(super) fn file(path: &Path, line: usize) -> Self {
        Self::File { path: path.to_owned(), line }
    }

    /// The variable's name, if it was one.
    pub(super) fn variable(&self) -> Option<&str> {
        match self {
            Self::DotEnv { name, .. } | Self::Environment { name } => Some(name),
            Self::Default | Self::File { .. } => None,
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::DotEnv { name, line } => write!(f, ".env:{line}, {name}"),
            Self::Environment { name } => write!(f, "environment variable {name}"),
        }
    }
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The key or the name at fault, if it is one.
    pub key: Option<String>,
    /// Where it stands; `None` where it isn't about one place.
    pub origin: Option<Origin>,
    /// What is wrong and what would be right.
    pub message: String,
}

impl Problem {
    pub(super) fn at(key: impl Into<String>, origin: Origin, message: impl Into<String>) -> Self {
        Self { key: Some(key.into()), origin: Some(origin), message: message.into() }
    }

    pub(super) fn of(key: impl Into<String>, message: impl Into<String>) -> Self {
        Self { key: Some(key.into()), origin: None, message: message.into() }
    }

    pub(super) fn in_source(message: impl Into<String>) -> Self {
        Self { key: None, origin: None, message: message.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.origin {
            None | Some(Origin::Default) => f.write_str(&self.message),
            Some(origin) => write!(f, "{origin}: {}", self.message),
        }
    }
}

/// Everything that is wrong with a configuration, all at once.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct ConfigError {
    problems: Vec<Problem>,
}

impl ConfigError {
    /// `Ok` when there are no problems.
    pub(super) fn check(problems: Vec<Problem>) -> Result<(), Self> {
        if problems.is_empty() { Ok(()) } else { Err(Self { problems }) }
    }

    pub(super) fn one(problem: Problem) -> Self {
        Self { problems: vec![problem] }
    }

    /// The problems, in the order of the layers.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the configuration is not valid:")?;
        for problem in &self.problems {
            write!(f, "\n  - {problem}")?;
        }
        Ok(())
    }
}
