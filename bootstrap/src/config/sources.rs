//! What a configuration is made from. The only view of the outside that loading has.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The folder, the file and the environment to read.
#[derive(Clone, Default)]
pub struct Sources {
    pub(super) working_dir: PathBuf,
    pub(super) file: Option<PathBuf>,
    pub(super) environment: Vec<(String, String)>,
    /// Names of variables whose value is no text.
    pub(super) unreadable: Vec<String>,
}

impl Sources {
    /// `gadwall.toml` and `.env` of this folder, if they are there, and no environment.
    pub fn in_dir(working_dir: impl Into<PathBuf>) -> Self {
        Self { working_dir: working_dir.into(), ..Self::default() }
    }

    /// This file instead of `gadwall.toml`. It must exist. A relative path begins at the folder.
    #[must_use]
    pub fn with_file(mut self, file: impl Into<PathBuf>) -> Self {
        self.file = Some(file.into());
        self
    }

    /// These environment variables.
    #[must_use]
    pub fn with_environment<N, V>(mut self, variables: impl IntoIterator<Item = (N, V)>) -> Self
    where
        N: Into<OsString>,
        V: Into<OsString>,
    {
        for (name, value) in variables {
            // A name that isn't text can't be one of ours.
            let Ok(name) = name.into().into_string() else { continue };
            match value.into().into_string() {
                Ok(value) => self.environment.push((name, value)),
                Err(_) => self.unreadable.push(name),
            }
        }
        self
    }

    /// The configuration file, and whether it has to be there.
    pub(super) fn configuration_file(&self) -> (PathBuf, bool) {
        match &self.file {
            Some(file) => (self.working_dir.join(file), true),
            None => (self.working_dir.join("gadwall.toml"), false),
        }
    }

    /// How a file is called in messages.
    pub(super) fn shown<'a>(&self, path: &'a Path) -> &'a Path {
        path.strip_prefix(&self.working_dir).unwrap_or(path)
    }
}

/// Environments hold secrets, so only their names are shown.
impl std::fmt::Debug for Sources {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<&str> = self.environment.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("Sources")
            .field("working_dir", &self.working_dir)
            .field("file", &self.file)
            .field("environment", &names)
            .finish_non_exhaustive()
    }
}
