//! How often callers may ask.

use std::time::Duration;

use anyhow::Result;
use gadwall_tests::support::{Reply, TestServer, send};
use reqwest::Method;

use super::answers;

#[tokio::test]
async fn a_key_hears_what_is_left_and_when_to_come_again() -> Result<()> {
    let server = TestServer::start_with(|config| {
        config.rate_limit.key_requests = 3;
        config.rate_limit.key_window = Duration::from_secs(3);
        config.rate_limit.address_requests = 0;
    })
    .await?;
    let (one, two) = (server.project("one").await?, server.project("two").await?);
    let reply = one.get("/projects/one").await?;
    assert_eq!((reply.status, reply.header("ratelimit-policy")), (200, "\"default\";q=3;w=3"));
    assert_eq!(reply.header("ratelimit"), "\"default\";r=2;t=1");
    let refused = loop {
        let reply = one.get("/projects/one").await?;
        if reply.status != 200 {
            break reply;
        }
    };
    assert_eq!((refused.status, refused.code().as_str()), (429, "rate_limited"), "{}", refused.text);
    assert_eq!(refused.header("retry-after"), "1");
    assert!(refused.header("ratelimit").starts_with("\"default\";r=0;"), "{}", refused.header("ratelimit"));
    assert_eq!(refused.json()["retryable"], true);
    assert_eq!(two.get("/projects/two").await?.status, 200, "another key has its own");
    let health = send(server.request(Method::GET, "/health")).await?;
    assert_eq!((health.status, health.header("ratelimit")), (200, ""));
    // It comes back by itself, and soon.
    while one.get("/projects/one").await?.status != 200 {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

#[tokio::test]
async fn a_repeated_request_counts_too_and_once() -> Result<()> {
    let server = TestServer::start_with(|config| {
        config.rate_limit.key_requests = 100;
        config.rate_limit.key_window = Duration::from_hours(1);
    })
    .await?;
    let left = |reply: &Reply| -> u32 {
        let state = reply.header("ratelimit").to_owned();
        state.split("r=").nth(1).and_then(|rest| rest.split(';').next()).and_then(|r| r.parse().ok()).unwrap_or(999)
    };
    let ask = || {
        let request = server.admin().request(Method::POST, "/projects").header("Idempotency-Key", "a");
        send(request.json(&serde_json::json!({ "id": "p" })))
    };
    let (first, second) = (ask().await?, ask().await?);
    assert_eq!((first.status, second.status), (201, 201), "{}", first.text);
    assert_eq!(left(&first), left(&second) + 1);
    Ok(())
}

#[tokio::test]
async fn only_queries_have_the_limit_of_queries() -> Result<()> {
    let server = TestServer::start_with(|config| {
        config.rate_limit.query_requests = 1;
        config.rate_limit.query_window = Duration::from_hours(1);
    })
    .await?;
    let owner = server.project("p").await?;
    let query = serde_json::json!({ "query": "SELECT 1 AS one" });
    let first = owner.post("/projects/p/query", &query).await?;
    assert_eq!(first.status, 200, "{}", first.text);
    assert!(first.header("ratelimit-policy").contains("\"queries\";q=1;w=3600"), "{:?}", first.headers);
    assert_eq!(owner.post("/projects/p/query", &query).await?.code(), "rate_limited");
    assert_eq!(owner.get("/projects/p").await?.status, 200);
    answers(&server).await
}

#[tokio::test]
async fn an_address_is_who_a_trusted_proxy_says_and_nobody_else() -> Result<()> {
    let start = |proxies: &[&str]| {
        let proxies = proxies.iter().map(|proxy| (*proxy).to_owned()).collect();
        TestServer::start_with(|config| {
            config.rate_limit.address_requests = 2;
            config.rate_limit.address_window = Duration::from_hours(1);
            config.server.trusted_proxies = proxies;
        })
    };
    let ask = async |server: &TestServer, forwarded: &str| {
        // No good key: the address counts before keys are looked at.
        let request = server.request(Method::GET, "/projects").header("X-Forwarded-For", forwarded);
        Ok::<_, anyhow::Error>(send(request).await?.status)
    };
    let server = start(&[]).await?;
    for (forged, expected) in [("192.0.2.1", 401), ("192.0.2.2", 401), ("192.0.2.3", 429)] {
        assert_eq!(ask(&server, forged).await?, expected, "{forged}");
    }
    assert_eq!(send(server.request(Method::GET, "/health")).await?.status, 200, "probes don't count");
    let server = start(&["127.0.0.1"]).await?;
    for (client, expected) in [
        ("192.0.2.1", 401),
        ("192.0.2.1", 401),
        ("192.0.2.1", 429),
        ("198.51.100.9, 192.0.2.1", 429),
        ("192.0.2.2", 401),
    ] {
        assert_eq!(ask(&server, client).await?, expected, "{client}");
    }
    Ok(())
}
