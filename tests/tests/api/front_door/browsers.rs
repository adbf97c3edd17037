//! What pages in browsers may do, and under which names the server is asked.

use anyhow::Result;
use gadwall_tests::support::{Reply, TestServer, send};
use reqwest::Method;

use super::raw;

const PAGE: &str = "https://app.example.org";

async fn preflight(server: &TestServer, origin: &str) -> Result<Reply> {
    let request = server.request(Method::OPTIONS, "/projects").header("Origin", origin);
    send(request.header("Access-Control-Request-Method", "POST")).await
}

#[tokio::test]
async fn only_pages_of_named_origins_read_answers() -> Result<()> {
    let server = TestServer::start_with(|config| config.cors.allow_origins = vec![PAGE.to_owned()]).await?;
    let allowed = preflight(&server, PAGE).await?;
    assert_eq!((allowed.status, allowed.header("access-control-allow-origin")), (204, PAGE));
    assert!(allowed.header("access-control-allow-methods").contains("PATCH"));
    assert!(allowed.header("access-control-allow-headers").contains("Authorization"));
    assert_eq!(allowed.header("access-control-max-age"), "600");
    let denied = preflight(&server, "https://evil.example").await?;
    assert_eq!((denied.status, denied.code().as_str()), (403, "origin_not_allowed"));
    assert_eq!(denied.header("access-control-allow-origin"), "");
    // Failures are read as well, and a cache keeps apart what origins hear.
    let answer = send(server.request(Method::GET, "/projects").header("Origin", PAGE)).await?;
    assert_eq!((answer.status, answer.header("access-control-allow-origin")), (401, PAGE));
    assert!(answer.header("access-control-expose-headers").contains("ETag"));
    assert!(answer.headers.get_all("vary").iter().any(|on| on == "Origin"));
    let other = send(server.request(Method::GET, "/projects").header("Origin", "null")).await?;
    assert_eq!(other.header("access-control-allow-origin"), "");
    Ok(())
}

#[tokio::test]
async fn all_pages_or_none_by_default() -> Result<()> {
    let server = TestServer::start().await?;
    assert_eq!(preflight(&server, PAGE).await?.header("access-control-allow-origin"), "");
    let server = TestServer::start_with(|config| config.cors.allow_origins = vec!["*".to_owned()]).await?;
    assert_eq!(preflight(&server, PAGE).await?.header("access-control-allow-origin"), "*");
    Ok(())
}

#[tokio::test]
async fn answers_come_with_what_protects_them() -> Result<()> {
    let server = TestServer::start().await?;
    let data = server.admin().get("/projects").await?;
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("x-frame-options", "DENY"),
        ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
        ("cache-control", "private, no-cache"),
        ("strict-transport-security", ""),
    ] {
        assert_eq!(data.header(name), value, "{name}");
    }
    let made = server.admin().post("/projects", &serde_json::json!({ "id": "p" })).await?;
    assert_eq!(made.header("cache-control"), "no-store", "it has a key in it");
    let page = send(server.request(Method::GET, "/docs")).await?;
    assert!(page.header("content-security-policy").contains("script-src 'unsafe-inline'"));
    assert!(page.header("content-security-policy").contains("frame-ancestors 'none'"));
    Ok(())
}

#[tokio::test]
async fn other_names_are_misdirected_and_probes_come_by_address() -> Result<()> {
    let trusted = vec!["api.example.org".to_owned(), "*.internal.example".to_owned()];
    let server = TestServer::start_with(|config| config.server.trusted_hosts = trusted).await?;
    for (path, host, expected) in [
        ("/version", "api.example.org", 200),
        ("/version", "API.example.org:8000", 200),
        ("/version", "a.internal.example", 200),
        ("/version", "evil.example", 421),
        ("/version", "api.example.org.evil.example", 421),
        ("/livez", "10.1.2.3", 200),
    ] {
        let reply = send(server.request(Method::GET, path).header("Host", host)).await?;
        assert_eq!(reply.status, expected, "{path} {host}: {}", reply.text);
        assert!(expected == 200 || reply.code() == "wrong_host");
    }
    for head in
        ["GET /version HTTP/1.1\r\n", "GET /version HTTP/1.1\r\nHost: api.example.org\r\nHost: evil.example\r\n"]
    {
        let answer = raw(&server, format!("{head}Connection: close\r\n\r\n").as_bytes()).await?;
        assert!(answer.starts_with("HTTP/1.1 421") || answer.starts_with("HTTP/1.1 400"), "{answer}");
    }
    Ok(())
}
