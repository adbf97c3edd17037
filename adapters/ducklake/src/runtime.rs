//! Where the engine's extensions lie.

use std::path::{Path, PathBuf};

use thiserror::Error;

/// The engine's version, as its extension folders spell it.
pub(crate) const VERSION: &str = "v1.5.5";

/// The extension every lake needs.
pub(crate) const DUCKLAKE: &str = "ducklake";
/// The extension for catalogs in PostgreSQL.
pub(crate) const POSTGRES: &str = "postgres_scanner";
/// The extension for data in S3, which encrypted lakes need even on local files.
pub(crate) const HTTPFS: &str = "httpfs";

/// An extension is missing.
#[derive(Debug, Error)]
#[error(
    "DuckDB's extension {name:?} ({VERSION}) was not found; run `make setup`, or set engine.extension_dir to the folder \
     that holds {VERSION}/<platform>/{name}.duckdb_extension"
)]
pub struct MissingExtension {
    name: &'static str,
}

/// The folder of a platform's extensions, relative to the extension folder.
fn platform() -> &'static str {
    match (std::env::consts::OS, std::env::consts::ARCH) {
        ("macos", "aarch64") => "osx_arm64",
        ("macos", _) => "osx_amd64",
        (_, "aarch64") => "linux_arm64",
        _ => "linux_amd64",
    }
}

/// The extension folder: the configured one, or the first that lies where a release or a build keeps it,
/// relative to the program.
pub fn find_extension_dir(configured: Option<&Path>) -> Result<PathBuf, MissingExtension> {
    let missing = || MissingExtension { name: DUCKLAKE };
    if let Some(dir) = configured {
        return if holds(dir, DUCKLAKE) { Ok(dir.to_owned()) } else { Err(missing()) };
    }
    let program = std::env::current_exe().ok().and_then(|path| path.canonicalize().ok()).ok_or_else(missing)?;
    let beside = program.parent().ok_or_else(missing)?;
    let places = ["lib/extensions", "../lib/extensions", "../../.duckdb/extensions", "../../../.duckdb/extensions"];
    let compiled_in = option_env!("CARGO_MANIFEST_DIR").map(|dir| Path::new(dir).join("../../.duckdb/extensions"));
    let mut candidates =
        places.iter().map(|place| beside.join(place)).chain(compiled_in.filter(|_| cfg!(debug_assertions)));
    candidates.find(|dir| holds(dir, DUCKLAKE)).ok_or_else(missing)
}

fn holds(dir: &Path, extension: &str) -> bool {
    file_of(dir, extension).is_file()
}

fn file_of(dir: &Path, extension: &str) -> PathBuf {
    dir.join(VERSION).join(platform()).join(format!("{extension}.duckdb_extension"))
}

/// The file of an extension.
pub(crate) fn extension_file(dir: &Path, name: &'static str) -> Result<PathBuf, MissingExtension> {
    let file = file_of(dir, name);
    if file.is_file() { Ok(file) } else { Err(MissingExtension { name }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_extension_says_what_to_do() {
        let empty = tempfile::tempdir().unwrap();
        let error = find_extension_dir(Some(empty.path())).unwrap_err().to_string();
        assert!(error.contains("make setup"), "{error}");
        assert!(!error.contains(&*empty.path().to_string_lossy()));
    }
}
