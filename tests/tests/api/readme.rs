//! The README's quick start, word for word.

use anyhow::{Context as _, Result};
use gadwall::config::Secret;
use gadwall_tests::support::TestServer;
use std::process::Command;

#[tokio::test]
async fn the_quick_start_works_as_written() -> Result<()> {
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md"))?;
    let (_, rest) = readme.split_once("<!-- quick start").context("the README has a quick start")?;
    let (_, rest) = rest.split_once("```sh\n").context("it is a shell block")?;
    let (script, _) = rest.split_once("```").context("the block ends")?;
    let server = TestServer::start_with(|config| config.auth.admin_keys = vec![Secret::new("admin-secret")]).await?;
    let host = server.url("").replace("http://", "");
    let script = format!("set -eu\n{}", script.replace("localhost:8000", &host));
    let output = tokio::task::spawn_blocking(move || Command::new("bash").arg("-c").arg(script).output()).await??;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(!text.contains("\"code\""), "no problem on the way: {text}");
    let answer = r#""rows":[["ann",10.75],["bob",20.00]],"row_count":2"#;
    assert!(text.contains(answer), "{text}");
    assert!(readme.contains(r#""rows":[["ann",10.75],["bob",20.00]],"row_count":2"#), "and the README says so");
    Ok(())
}
