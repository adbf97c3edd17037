//! Keys over HTTP: made, shown once, listed, rotated, revoked.

use anyhow::{Context as _, Result};
use gadwall_tests::support::{ADMIN_KEY, Client, TestServer, audited, send};
use reqwest::Method;
use serde_json::{Value, json};

/// Makes a key; answers its id and its secret.
async fn make(client: &Client<'_>, body: &Value) -> Result<(String, String)> {
    let made = client.post("/projects/p/keys", body).await?;
    assert_eq!(made.status, 201, "{}", made.text);
    let text = |name: &str| made.json()[name].as_str().unwrap_or_default().to_owned();
    Ok((text("id"), text("api_key")))
}

#[tokio::test]
async fn a_key_lives_its_life() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = server.project("p").await?;
    let body = json!({ "name": "reports", "scopes": ["read", "read"], "bucket": "b", "expires_in": 3600 });
    let made = owner.post("/projects/p/keys", &body).await?;
    assert_eq!(made.status, 201, "{}", made.text);
    let key = made.json();
    let (id, secret) = (key["id"].as_str().unwrap(), key["api_key"].as_str().unwrap());
    assert!(secret.starts_with(&format!("gadwall_{}_", id.replace('-', ""))), "{secret}");
    assert_eq!((&key["scopes"], &key["bucket"]), (&json!(["read"]), &json!("b")));
    assert!(key["created_by"].as_str().unwrap().starts_with("key:") && key["expires_at"].is_string(), "{key}");

    let reader = server.with_key(secret);
    assert_eq!(reader.get("/projects/p").await?.status, 200);
    assert_eq!(reader.get("/projects/p/keys").await?.code(), "forbidden");
    let path = format!("/projects/p/keys/{id}");
    let seen = owner.get(&path).await?;
    assert!(seen.json()["last_used_at"].is_string() && !seen.text.contains(secret), "{}", seen.text);
    let list = owner.get("/projects/p/keys").await?;
    assert_eq!(list.json()["keys"].as_array().map(Vec::len), Some(2));
    assert!(list.json()["next_cursor"].is_null() && !list.text.contains("api_key"), "{}", list.text);
    let page = owner.get("/projects/p/keys?limit=1").await?.json();
    assert_eq!((&page["keys"][0]["id"], &page["next_cursor"]), (&json!(id), &json!(id)));
    let page = owner.get(&format!("/projects/p/keys?limit=1&after={id}")).await?.json();
    assert_eq!(page["keys"][0]["name"], "admin");

    let rotated = owner.request(Method::POST, &format!("{path}/rotate?overlap=600"));
    let rotated = send(rotated).await?.json();
    let second = rotated["api_key"].as_str().unwrap();
    assert!(second != secret && rotated["replaced_until"].is_string(), "{rotated}");
    for works in [secret, second] {
        assert_eq!(server.with_key(works).get("/projects/p").await?.status, 200);
    }
    assert_eq!(owner.delete(&path).await?.status, 204);
    assert_eq!(owner.delete(&path).await?.status, 204);
    for ended in [secret, second] {
        let refused = server.with_key(ended).get("/projects/p").await?;
        assert_eq!((refused.status, refused.code().as_str()), (401, "key_revoked"));
        assert_eq!(refused.header("WWW-Authenticate"), "Bearer");
    }
    let ended = send(owner.request(Method::POST, &format!("{path}/rotate"))).await?;
    assert_eq!((ended.status, ended.code().as_str()), (409, "key_ended"));

    let entries = audited(server.data_dir(), "p").await?;
    let of_key: Vec<&str> =
        entries.iter().filter(|[_, _, resource]| resource == id).map(|[_, what, _]| what.as_str()).collect();
    assert_eq!(of_key, ["key.revoked", "key.rotated", "key.created"]);
    assert!(!format!("{entries:?}").contains(&secret[41..]));
    Ok(())
}

#[tokio::test]
async fn no_key_makes_a_stronger_one() -> Result<()> {
    let server = TestServer::start().await?;
    server.project("p").await?;
    let admin = server.admin();
    let (_, manager) = make(&admin, &json!({ "name": "m", "scopes": ["manage"], "expires_in": 60 })).await?;
    let manager = server.with_key(&manager);
    for (body, status, code) in [
        (json!({ "name": "x", "scopes": ["read"] }), 403, "exceeds_own_key"),
        (json!({ "name": "x", "scopes": ["manage"], "expires_in": 3600 }), 403, "exceeds_own_key"),
        (json!({ "name": "x", "scopes": [] }), 422, "validation_failed"),
        (json!({ "name": "x", "scopes": ["all"] }), 422, "validation_failed"),
        (json!({ "name": "", "scopes": ["manage"] }), 422, "validation_failed"),
        (json!({ "name": "x", "scopes": ["manage"], "expires_in": -1 }), 422, "validation_failed"),
        (json!({ "name": "x", "scopes": ["manage"], "expires_at": "2001-01-01T00:00:00Z" }), 422, "validation_failed"),
        (
            json!({ "name": "x", "scopes": ["manage"], "expires_at": "2101-01-01T00:00:00Z", "expires_in": 5 }),
            422,
            "validation_failed",
        ),
    ] {
        let refused = manager.post("/projects/p/keys", &body).await?;
        assert_eq!((refused.status, refused.code().as_str()), (status, code), "{body}: {}", refused.text);
    }
    let (_, within) = make(&admin, &json!({ "name": "w", "scopes": ["manage"], "bucket": "b" })).await?;
    let within = server.with_key(&within);
    for refused in [
        within.post("/projects/p/keys", &json!({ "name": "x", "scopes": ["manage"] })).await?,
        within.put("/projects/p", &json!({ "name": "Mine" })).await?,
        within.delete("/projects/p").await?,
    ] {
        assert_eq!((refused.status, refused.code().as_str()), (403, "forbidden"), "{}", refused.text);
    }
    assert_eq!(admin.get("/projects/p/keys/nonsense").await?.code(), "key_not_found");
    Ok(())
}

#[tokio::test]
async fn a_repeated_request_never_shows_the_secret_again() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = server.project("p").await?;
    let (id, _) = make(&owner, &json!({ "name": "k", "scopes": ["read"] })).await?;
    let body = json!({ "name": "once", "scopes": ["read"] });
    let create = || owner.request(Method::POST, "/projects/p/keys").json(&body).header("Idempotency-Key", "c");
    let rotate =
        || owner.request(Method::POST, &format!("/projects/p/keys/{id}/rotate")).header("Idempotency-Key", "r");
    for (first, again, status) in [(create(), create(), 201), (rotate(), rotate(), 200)] {
        let (first, again) = (send(first).await?, send(again).await?);
        assert_eq!((first.status, again.status), (status, status), "{} {}", first.text, again.text);
        assert_eq!(again.header("Idempotency-Replayed"), "true");
        let (first, again) = (first.json(), again.json());
        assert!(first["api_key"].is_string() && again["api_key"].is_null(), "{again}");
        assert!(again["api_key_note"].as_str().unwrap().contains("shown once"), "{again}");
        assert_eq!(first["id"], again["id"]);
    }
    let named = owner.get("/projects/p/keys").await?.text.matches("\"once\"").count();
    assert_eq!(named, 1);
    Ok(())
}

#[tokio::test]
async fn guessing_is_slowed_down_and_audited() -> Result<()> {
    let server = TestServer::start_with(|config| {
        config.auth.max_failures_per_minute = 3;
        config.server.trusted_proxies = vec!["127.0.0.1".to_owned()];
    })
    .await?;
    let owner = server.project("p").await?;
    let from = |key: &str, address: &str| {
        server.request(Method::GET, "/projects/p").bearer_auth(key).header("X-Forwarded-For", address.to_owned())
    };
    for guess in 0..3 {
        assert_eq!(send(from(&format!("a guess {guess}"), "192.0.2.7")).await?.status, 403);
    }
    for key in ["a guess", owner.key(), ADMIN_KEY] {
        let waits = send(from(key, "192.0.2.7")).await?;
        assert_eq!((waits.status, waits.code().as_str()), (429, "too_many_failures"), "{}", waits.text);
        let seconds: u64 = waits.header("Retry-After").parse()?;
        assert!((1..=60).contains(&seconds) && waits.json()["retryable"] == true, "{}", waits.text);
    }
    let keyed = server
        .request(Method::POST, "/projects/p/buckets")
        .bearer_auth(owner.key())
        .header("X-Forwarded-For", "192.0.2.7")
        .header("Idempotency-Key", "i")
        .json(&json!({ "name": "b" }));
    assert_eq!(send(keyed).await?.status, 429);
    // Others are let in, whatever they write at the head of the list.
    assert_eq!(send(from(owner.key(), "192.0.2.7, 192.0.2.8")).await?.status, 200);
    assert_eq!(owner.get("/projects/p").await?.status, 200);
    let health = server.request(Method::GET, "/livez").header("X-Forwarded-For", "192.0.2.7");
    assert_eq!(send(health).await?.status, 200);
    let dir = server.stop().await?;
    let server = TestServer::start_in(dir, |_| {}).await?;
    let told = server.admin().get("/audit?actor=unknown").await?.json();
    let told = told["entries"].as_array().context("no entries")?;
    for code in ["unauthorized", "too_many_failures"] {
        assert!(told.iter().any(|entry| entry["address"] == "192.0.2.7" && entry["code"] == code), "{code}: {told:?}");
    }
    Ok(())
}

#[tokio::test]
async fn uses_are_written_down_when_the_server_stops() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = server.project("p").await?;
    let (id, secret) = make(&owner, &json!({ "name": "k", "scopes": ["read"] })).await?;
    assert_eq!(server.with_key(&secret).get("/projects/p").await?.status, 200);
    let path = format!("/projects/p/keys/{id}");
    let seen = owner.get(&path).await?.json();
    let server = TestServer::start_in(server.stop().await?, |_| {}).await?;
    let again = server.admin().get(&path).await?.json();
    assert!(seen["last_used_at"].is_string());
    assert_eq!(again["last_used_at"], seen["last_used_at"]);
    Ok(())
}
