//! Folders that can't be written.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use gadwall_tests::server::ServerProcess;
use serde_json::json;

use crate::{Host, options, works};

/// Root writes where it pleases unless it gives that up.
const NO_OVERRIDE: &str = "setpriv --bounding-set -dac_override,-dac_read_search";

/// A script that starts a server which is bound by modes.
fn bound() -> Option<String> {
    if rustix::process::geteuid().is_root() {
        if !works(&format!("{NO_OVERRIDE} true")) {
            eprintln!("not run: root can't give up that modes don't bind it (setpriv)");
            return None;
        }
        return Some(format!(r#"exec {NO_OVERRIDE} "$GADWALL""#));
    }
    Some(r#"exec "$GADWALL""#.to_owned())
}

/// Sets the modes of a folder and of all below it.
fn set_modes(folder: &Path, mode: u32) -> Result<()> {
    fs::set_permissions(folder, fs::Permissions::from_mode(mode))?;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            set_modes(&entry.path(), mode)?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn folders_that_become_read_only_refuse_writes_and_serve_reads() -> Result<()> {
    let Some(script) = bound() else { return Ok(()) };
    let host = Host::start(&script).await?;
    host.furnish().await?;
    ensure!(host.append(10).await?.status == 200 && host.put("before").await?.status == 201);
    set_modes(&host.data, 0o555)?;
    let refused = [
        host.append(3).await,
        host.append_many().await,
        host.put("new").await,
        host.post("/projects", &json!({ "id": "new" })).await,
    ];
    let reads = host.check_reads(10).await;
    let health = host.get("/health").await;
    set_modes(&host.data, 0o755)?;
    for reply in refused {
        host.refused(&reply?, 503, "storage_unavailable")?;
    }
    reads?;
    let health = health?;
    host.refused(&health, 503, "storage_unavailable")?;
    ensure!(health.json()["details"]["problems"]["duckdb_dir"] == "read_only", "{}", health.text);
    host.check_writes("after").await?;
    host.check_reads(10 + 3 + 120_000).await
}

#[tokio::test]
async fn a_server_does_not_start_where_it_can_not_write_and_says_what_to_do() -> Result<()> {
    let Some(script) = bound() else { return Ok(()) };
    let own = tempfile::tempdir()?;
    let data = own.path().join("data");
    let options = options(own.path(), &data, &script)?;
    fs::create_dir(&data)?;
    for closed in [data.clone(), data.join("lakes")] {
        fs::create_dir_all(&closed)?;
        fs::set_permissions(&closed, fs::Permissions::from_mode(0o555))?;
        let started = ServerProcess::start(&options).await;
        fs::set_permissions(&closed, fs::Permissions::from_mode(0o755))?;
        let said = started.err().context("it started")?.to_string();
        for word in ["can't be written", "data_dir", "DATA_DIR", "Permission denied"] {
            ensure!(said.contains(word), "{word} is missing: {said}");
        }
    }
    ServerProcess::start(&options).await?.stop().await?;
    Ok(())
}
