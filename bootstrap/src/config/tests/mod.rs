//! Loading as a whole: layers, older names, errors, masks.

mod errors;
mod issuers;
mod layers;
mod masks;
mod random;

use std::fs;

use tempfile::TempDir;

use super::{Config, ConfigError, Loaded, Sources};

/// Keys of which the default alone is taken: the older name, what it might be set to, the key, and what is told to do instead.
const REFUSED: [(&str, &str, &str, &str); 3] = [
    ("DB_DUCKLAKE_READ_ONLY", "true", "ducklake.read_only", "keys with the scope read"),
    ("DB_DUCKLAKE_SNAPSHOT_VERSION", "7", "ducklake.snapshot_version", "?snapshot="),
    ("DB_DUCKLAKE_SNAPSHOT_TIME", "2026-01-01T00:00:00Z", "ducklake.snapshot_time", "?as_of="),
];

fn is_refused(key: &str) -> bool {
    REFUSED.iter().any(|(_, _, refused, _)| *refused == key)
}

/// A folder with these files, and this environment.
struct Given {
    dir: TempDir,
    environment: Vec<(String, String)>,
    file: Option<&'static str>,
}

impl Given {
    fn nothing() -> Self {
        Self { dir: tempfile::tempdir().unwrap(), environment: Vec::new(), file: None }
    }

    fn file(self, text: &str) -> Self {
        self.written("gadwall.toml", text)
    }

    fn dotenv(self, text: &str) -> Self {
        self.written(".env", text)
    }

    fn written(self, name: &str, text: &str) -> Self {
        fs::write(self.dir.path().join(name), text).unwrap();
        self
    }

    fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    fn load(&self) -> Result<Loaded, ConfigError> {
        let sources = Sources::in_dir(self.dir.path()).with_environment(self.environment.clone());
        Config::load(&match self.file {
            Some(file) => sources.with_file(file),
            None => sources,
        })
    }

    fn loaded(&self) -> Loaded {
        self.load().unwrap_or_else(|error| panic!("{error}"))
    }

    /// What is wrong, a line each.
    fn problems(&self) -> Vec<String> {
        let error = self.load().unwrap_err();
        error.problems().iter().map(ToString::to_string).collect()
    }

    fn shown(&self, path: &str) -> String {
        let rendered = self.loaded().render_effective();
        let document: toml::Value = rendered.parse::<toml::Table>().unwrap().into();
        let value = path.split('.').try_fold(&document, |value, name| value.get(name));
        value.map_or_else(|| "not set".to_owned(), ToString::to_string)
    }
}
