//! The README's quick start, word for word.

use anyhow::{Context as _, Result};
use gadwall::config::Secret;
use gadwall_tests::support::TestServer;
use std::process::Command;

/// The shell block after a comment.
fn block<'a>(readme: &'a str, comment: &str) -> Result<&'a str> {
    let (_, rest) = readme.split_once(comment).with_context(|| format!("the README has {comment:?}"))?;
    let (_, rest) = rest.split_once("```sh\n").context("it is a shell block")?;
    Ok(rest.split_once("```").context("the block ends")?.0)
}

async fn run(script: String) -> Result<String> {
    let output = tokio::task::spawn_blocking(move || Command::new("bash").arg("-c").arg(script).output()).await??;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(!text.contains("\"code\""), "no problem on the way: {text}");
    Ok(text)
}

#[tokio::test]
async fn what_the_readme_says_works_as_written() -> Result<()> {
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md"))?;
    let server = TestServer::start_with(|config| config.auth.admin_keys = vec![Secret::new("admin-secret")]).await?;
    let host = server.url("").replace("http://", "");
    let start = block(&readme, "<!-- quick start")?.replace("localhost:8000", &host);
    let text = run(format!("set -eu\n{start}")).await?;
    let answer = r#""rows":[["ann",10.75],["bob",20.00]],"row_count":2"#;
    assert!(text.contains(answer), "{text}");
    assert!(readme.contains(answer), "and the README says so");

    let change = block(&readme, "<!-- changing tables")?.replace("localhost:8000", &host);
    let text = run(format!("set -eu\nKEY=admin-secret\n{change}")).await?;
    for told in
        [r#""inserted":1,"updated":1"#, r#""updated":1"#, r#""deleted":2,"dry_run":true"#, r#""kind":"breaking""#]
    {
        assert!(text.contains(told), "{told}: {text}");
    }
    let lineage = block(&readme, "<!-- jobs and lineage")?.replace("localhost:8000", &host);
    let text = run(format!("set -eu\nKEY=admin-secret\n{lineage}")).await?;
    for told in ["n2 --> n0", "n0 --> n1", "Run completed successfully", r#""totalCount""#] {
        assert!(text.contains(told), "{told}: {text}");
    }
    let table = server.with_key("admin-secret").get("/projects/acme/buckets/sales/tables/orders").await?.json();
    assert_eq!((&table["row_count"], &table["sort_by"]), (&0.into(), &serde_json::json!(["buyer", "id desc"])));

    let governed = block(&readme, "<!-- governed tables")?.replace("localhost:8000", &host);
    let text = run(format!("set -eu\nKEY=admin-secret\n{governed}")).await?;
    for told in ["Project created successfully", r#""expected_tri":7.26"#, r#""drift":false"#] {
        assert!(text.contains(told), "{told}: {text}");
    }
    Ok(())
}
