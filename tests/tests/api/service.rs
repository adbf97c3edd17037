//! The service itself.

use anyhow::{Context as _, Result};
use gadwall_tests::support::{TestServer, operations, send};
use reqwest::Method;
use serde_json::json;

#[tokio::test]
async fn what_needs_no_key_answers_without_one() -> Result<()> {
    let server = TestServer::start().await?;
    for path in ["/", "/livez", "/readyz", "/startupz", "/health", "/version", "/openapi.json", "/docs"] {
        let reply = send(server.request(Method::GET, path)).await?;
        assert_eq!(reply.status, 200, "{path}: {}", reply.text);
    }
    Ok(())
}

#[tokio::test]
async fn health_looks_at_every_part() -> Result<()> {
    let server = TestServer::start().await?;
    let body = send(server.request(Method::GET, "/health")).await?.json();
    assert_eq!(
        (&body["status"], &body["database"], &body["storage_available"]),
        (&json!("healthy"), &json!("ok"), &json!(true))
    );
    let all = json!({ "data_dir": true, "duckdb_dir": true, "files_dir": true, "snapshots_dir": true });
    assert_eq!(body["details"], all);
    assert_eq!(body["ducklake"]["live_test"], "passed");
    assert!(body["memory"]["rss_mb"].as_f64() > Some(1.0));
    assert!(body["performance"]["active_requests"].as_u64() >= Some(1));
    Ok(())
}

#[tokio::test]
async fn a_missing_folder_makes_it_unhealthy_until_it_is_made_again() -> Result<()> {
    let server = TestServer::start().await?;
    std::fs::remove_dir_all(server.data_dir().join("files"))?;
    let reply = send(server.request(Method::GET, "/health")).await?;
    assert_eq!((reply.status, reply.code().as_str()), (503, "storage_unavailable"), "{}", reply.text);
    assert_eq!(reply.json()["details"]["files_dir"], false);
    assert_eq!(reply.header("retry-after"), "1");
    let made = server.admin().post("/backend/init", &json!({})).await?;
    assert_eq!(made.status, 200, "{}", made.text);
    assert_eq!(made.json()["message"], "Backend initialized successfully (created: files_dir)");
    assert_eq!(made.json()["storage_paths"].as_object().unwrap().len(), 4);
    assert_eq!(send(server.request(Method::GET, "/health")).await?.status, 200);
    Ok(())
}

#[tokio::test]
async fn only_an_admin_touches_the_backend_and_nothing_is_removed() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = server.project("p").await?;
    for path in ["/backend/init", "/backend/remove"] {
        assert_eq!(owner.post(path, &json!({})).await?.status, 401, "{path}");
        assert_eq!(send(server.request(Method::POST, path)).await?.status, 401, "{path}");
    }
    let removed = server.admin().post("/backend/remove", &json!({})).await?.json();
    assert_eq!((&removed["success"], &removed["storage_paths"]), (&json!(true), &json!(null)));
    assert_eq!(owner.get("/projects/p").await?.status, 200);
    Ok(())
}

#[tokio::test]
async fn what_the_document_calls_deprecated_says_so_in_every_answer() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = server.project("p").await?;
    let document = send(server.request(Method::GET, "/openapi.json")).await?.json();
    let deprecated: Vec<_> =
        operations(&document).filter(|(_, _, operation)| operation["deprecated"] == true).collect();
    assert!(!deprecated.is_empty());
    for (path, method, _) in deprecated {
        let method = Method::from_bytes(method.to_uppercase().as_bytes())?;
        for key in [server.admin().key(), owner.key()] {
            let reply = send(server.request(method.clone(), path).bearer_auth(key)).await?;
            let since = reply.header("deprecation").strip_prefix('@').context("no time")?.parse::<i64>()?;
            assert!(since > 1_700_000_000, "{path}: {since}");
            assert!(reply.header("link").contains(r#"rel="deprecation""#), "{path}: {}", reply.header("link"));
        }
    }
    assert_eq!(owner.get("/projects/p").await?.header("deprecation"), "");
    Ok(())
}

#[tokio::test]
async fn without_authentication_everyone_is_an_admin() -> Result<()> {
    let server = TestServer::start_with(|config| config.auth.enabled = false).await?;
    let reply = send(server.request(Method::GET, "/projects")).await?;
    assert_eq!(reply.status, 200, "{}", reply.text);
    Ok(())
}

#[tokio::test]
async fn a_second_server_on_the_same_data_is_refused() -> Result<()> {
    let server = TestServer::start().await?;
    let second =
        TestServer::start_in(tempfile::tempdir()?, |config| server.data_dir().clone_into(&mut config.data_dir));
    let refused = second.await.unwrap_err().to_string();
    assert!(refused.contains("another server"), "{refused}");
    Ok(())
}
