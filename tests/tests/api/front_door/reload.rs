//! Settings that are read again while the server runs.

use anyhow::{Context as _, Result, ensure};
use gadwall::config::{LogLevel, Secret};
use gadwall_tests::server::{ServerProcess, StartOptions};
use gadwall_tests::support::{TestServer, send};
use reqwest::Method;
use serde_json::json;

use super::PATIENCE;

const PAGE: &str = "https://app.example.org";
const OTHER: &str = "another-key-of-an-admin";

#[tokio::test]
async fn keys_origins_names_limits_and_the_log_change_without_a_restart() -> Result<()> {
    let server = TestServer::start().await?;
    server.reload(|config| {
        config.auth.admin_keys = vec![Secret::new(OTHER)];
        config.cors.allow_origins = vec![PAGE.to_owned()];
        config.server.trusted_hosts = vec!["127.0.0.1".to_owned()];
        config.rate_limit.address_requests = 50;
        config.logging.level = LogLevel::Warn;
    });
    let refused = server.admin().get("/projects").await?;
    assert_eq!((refused.status, refused.code().as_str()), (401, "unauthorized"), "the old key is none any more");
    let admin = server.with_key(OTHER);
    assert_eq!(admin.get("/admin/logging/level").await?.json()["current_level"], "WARNING");
    let page = send(server.request(Method::GET, "/version").header("origin", PAGE)).await?;
    assert_eq!((page.status, page.header("access-control-allow-origin")), (200, PAGE));
    assert!(page.header("ratelimit-policy").contains("q=50;"), "{:?}", page.headers);
    let misdirected = send(server.request(Method::GET, "/version").header("host", "evil.example")).await?;
    assert_eq!(misdirected.status, 421);
    // What was used of a limit that stays the same stays used.
    for _ in 0..15 {
        assert_eq!(admin.get("/projects").await?.status, 200);
    }
    server.reload(|config| {
        config.auth.admin_keys = vec![Secret::new(OTHER)];
        config.rate_limit.address_requests = 50;
    });
    let told = admin.get("/projects").await?.header("ratelimit").to_string();
    let left =
        told.split("\"address\";r=").nth(1).and_then(|rest| rest.split(';').next()).context("how many are left")?;
    assert!(left.parse::<u32>()? < 45, "it is full again: {told}");
    let free = send(server.request(Method::GET, "/version").header("host", "evil.example")).await?;
    assert_eq!(free.status, 200, "names are not looked at any more");
    Ok(())
}

#[tokio::test]
async fn what_can_not_be_used_changes_nothing() -> Result<()> {
    let server = TestServer::start().await?;
    server.reload(|config| {
        config.cors.allow_origins = vec!["not an origin".to_owned()];
        config.auth.admin_keys = vec![Secret::new(OTHER)];
    });
    assert_eq!(server.admin().get("/projects").await?.status, 200);
    server.reload(|config| config.auth.admin_keys.clear());
    assert_eq!(server.admin().get("/projects").await?.status, 200, "nobody would know a key that is made up");
    assert_eq!(server.with_key(OTHER).get("/projects").await?.status, 401);
    Ok(())
}

#[tokio::test]
async fn a_signal_has_the_file_read_again() -> Result<()> {
    let server = ServerProcess::start(&StartOptions::default()).await?;
    let file = server.working_dir().join("gadwall.toml");
    let client = reqwest::Client::new();
    let allowed = async || -> Result<Option<String>> {
        let request = client.get(format!("{}/version", server.url())).header("origin", PAGE);
        let answer = request.send().await?;
        let named = answer.headers().get("access-control-allow-origin");
        Ok(named.map(|value| value.to_str().map(ToOwned::to_owned)).transpose()?)
    };
    let log_has = async |words: &str| -> Result<()> {
        let begun = std::time::Instant::now();
        while !server.log().contains(words) {
            ensure!(begun.elapsed() < PATIENCE, "{words:?} is not in the log:\n{}", server.log());
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        Ok(())
    };
    ensure!(allowed().await?.is_none());
    std::fs::write(&file, format!("[cors]\nallow_origins = [{}]\n[server]\nmax_headers = 77\n", json!(PAGE)))?;
    server.hang_up()?;
    log_has("the configuration was read again and holds").await?;
    ensure!(allowed().await?.as_deref() == Some(PAGE));
    log_has("hold from the next start on").await?;
    ensure!(server.log().contains("server.max_headers"), "{}", server.log());
    std::fs::write(&file, "[cors]\nallow_origins = 7\n")?;
    server.hang_up()?;
    log_has("the configuration that was read again is not used").await?;
    ensure!(allowed().await?.as_deref() == Some(PAGE), "what held goes on");
    Ok(())
}
