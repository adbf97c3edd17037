//! `gadwall version`.

use gadwall_ducklake::engine_version;
use serde_json::json;

/// This program's version and its engine's, in words or as JSON.
///
/// # Errors
/// When the engine's library can't be used.
pub fn told(as_json: bool) -> anyhow::Result<String> {
    let (version, engine) = (env!("CARGO_PKG_VERSION"), engine_version()?);
    let (system, processor) = (std::env::consts::OS, std::env::consts::ARCH);
    if as_json {
        let told =
            json!({ "service": "gadwall", "version": version, "duckdb": engine, "os": system, "arch": processor });
        return Ok(format!("{}\n", serde_json::to_string_pretty(&told)?));
    }
    Ok(format!("gadwall {version} (DuckDB {engine}, {system} {processor})\n"))
}
