//! Clients made by others, as their users run them.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;
use gadwall_tests::support::TestServer;

/// Where `make setup-test` puts the clients.
fn packages() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../.services/python")
}

async fn run(script: &'static str, arguments: Vec<String>) -> Result<()> {
    let done = tokio::task::spawn_blocking(move || {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("clients").join(script);
        Command::new("python3").arg(script).args(arguments).env("PYTHONPATH", packages()).output()
    });
    let output = done.await??;
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "run make setup-test, should a module be missing: {told}");
    Ok(())
}

#[tokio::test]
async fn openlineage_sends_and_marquez_reads() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = server.project("p").await?;
    run("lineage.py", vec![server.url("").trim_end_matches('/').to_owned(), owner.key().to_owned()]).await
}
