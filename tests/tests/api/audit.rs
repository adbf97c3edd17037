//! Who did what, and what was refused.

use std::time::Duration;

use anyhow::{Context as _, Result};
use gadwall_tests::support::{Client, TestServer, send};
use reqwest::Method;
use serde_json::{Value, json};

/// Entries of a list.
async fn entries(client: &Client<'_>, path: &str) -> Result<Vec<Value>> {
    let listed = client.get(path).await?;
    anyhow::ensure!(listed.status == 200, "{path}: {}", listed.text);
    Ok(listed.json()["entries"].as_array().context("no entries")?.clone())
}

/// Asks until there is an entry: refusals are written a moment later.
async fn found(client: &Client<'_>, path: &str) -> Result<Vec<Value>> {
    for _ in 0..100 {
        let found = entries(client, path).await?;
        if !found.is_empty() {
            return Ok(found);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    anyhow::bail!("{path}: nothing within 10 s")
}

#[tokio::test]
async fn changes_are_told_with_who_what_and_from_where() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = server.project("p").await?;
    let columns = json!([{"name": "i", "type": "INT"}]);
    owner.post("/projects/p/buckets", &json!({ "name": "b" })).await?;
    owner.post("/projects/p/buckets/b/tables", &json!({ "name": "t", "columns": columns })).await?;
    let rows = owner.request(Method::POST, "/projects/p/buckets/b/tables/t/rows").header("X-Request-ID", "mine");
    assert_eq!(send(rows.json(&json!([{ "i": 4711 }]))).await?.status, 200);
    owner.post("/projects/p/datasets", &json!({ "name": "d" })).await?;
    send(owner.request(Method::PUT, "/projects/p/datasets/d/o.csv").body("i\n4711\n")).await?;
    owner.put("/projects/p/tags/x", &json!({})).await?;

    let all = entries(&owner, "/projects/p/audit?outcome=done").await?;
    let told: Vec<_> =
        all.iter().map(|entry| (entry["action"].as_str().unwrap(), entry["resource"].as_str().unwrap())).collect();
    assert_eq!(
        told.iter().map(|(action, _)| *action).collect::<Vec<_>>(),
        [
            "tag.created",
            "object.stored",
            "dataset.created",
            "rows.appended",
            "table.created",
            "bucket.created",
            "key.created",
            "project.created",
        ]
    );
    assert_eq!(
        told[..4],
        [("tag.created", "x"), ("object.stored", "/d/o.csv"), ("dataset.created", "d"), ("rows.appended", "b.t")]
    );
    let appended = &all[3];
    assert_eq!(appended["request_id"], "mine");
    assert_eq!(appended["address"], "127.0.0.1");
    assert!(appended["actor"].as_str().unwrap().starts_with("key:") && appended["snapshot_id"].is_u64(), "{appended}");
    assert_eq!(
        (all[7]["actor"].as_str(), &all[7]["address"]),
        (Some("admin"), &Value::Null),
        "not an owner's business"
    );
    assert!(!format!("{all:?}").contains("4711"), "no rows");
    let of_admin = entries(&server.admin(), "/audit?project=p&action=project.created").await?;
    assert_eq!((of_admin.len(), of_admin[0]["address"].as_str()), (1, Some("127.0.0.1")));
    Ok(())
}

#[tokio::test]
async fn refusals_are_told_and_those_of_strangers_put_together() -> Result<()> {
    let server = TestServer::start_with(|config| config.auth.max_failures_per_minute = 0).await?;
    let owner = server.project("p").await?;
    server.project("q").await?;
    let made = owner.post("/projects/p/keys", &json!({ "name": "r", "scopes": ["read"] })).await?.json();
    let (id, secret) = (made["id"].as_str().unwrap(), made["api_key"].as_str().unwrap());
    let reader = server.with_key(secret);
    assert_eq!(reader.delete("/projects/p?x=a-secret-parameter").await?.status, 403);
    assert_eq!(reader.get("/projects/q").await?.status, 403);
    assert_eq!(reader.get("/projects").await?.status, 401);
    let gated = reader.post("/projects/p/query", &json!({ "query": "SELECT * FROM read_csv('/etc/passwd')" })).await?;
    assert_eq!(gated.status, 403, "{}", gated.text);
    let admin = server.admin();
    let path = format!("/projects/p/audit?actor=key:{id}&outcome=refused");
    let mut told = Vec::new();
    while told.len() < 4 {
        told = found(&owner, &path).await?;
    }
    let mut resources: Vec<_> = told.iter().map(|entry| entry["resource"].as_str().unwrap().to_owned()).collect();
    resources.sort_unstable();
    assert_eq!(resources, ["DELETE /projects/p", "GET /projects", "GET /projects/q", "POST /projects/p/query"]);
    assert!(told.iter().all(|entry| entry["action"] == "access.refused" && entry["address"] == "127.0.0.1"));
    assert!(!format!("{told:?}").contains("passwd") && !format!("{told:?}").contains("a-secret"), "{told:?}");
    assert!(entries(&server.admin(), "/projects/q/audit?outcome=refused").await?.is_empty(), "it is not q's");

    for _ in 0..2 {
        assert_eq!(send(server.request(Method::GET, "/projects")).await?.status, 401);
    }
    for guess in 0..20 {
        server.with_key(&format!("a guess {guess}")).get("/projects/p").await?;
    }
    let strangers = found(&admin, "/audit?actor=unknown").await?;
    assert!(strangers.len() <= 6, "few entries, however many requests: {strangers:?}");
    assert!(strangers.iter().all(|entry| entry["action"] == "auth.refused" && entry["project_id"].is_null()));
    assert!(!format!("{strangers:?}").contains("guess"));
    let dir = server.stop().await?;
    // What was put together is written when the server stops.
    let server = TestServer::start_in(dir, |_| {}).await?;
    let strangers = entries(&server.admin(), "/audit?actor=unknown").await?;
    let times: u64 = strangers.iter().map(|entry| entry["count"].as_u64().unwrap()).sum();
    assert_eq!(times, 22, "{strangers:?}");
    Ok(())
}

#[tokio::test]
async fn the_log_comes_in_pages_and_is_filtered() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = server.project("p").await?;
    for number in 0..5 {
        owner.put("/projects/p", &json!({ "name": format!("n{number}") })).await?;
    }
    let admin = server.admin();
    let (mut path, mut ids) = ("/audit?action=project.updated&limit=2".to_owned(), Vec::new());
    loop {
        let page = admin.get(&path).await?;
        ids.extend(page.json()["entries"].as_array().unwrap().iter().map(|entry| entry["id"].as_u64().unwrap()));
        let Some(link) = page.header("Link").strip_prefix('<') else { break };
        assert!(page.json()["next_cursor"].is_string());
        link.split_once('>').unwrap().0.clone_into(&mut path);
    }
    assert!(ids.len() == 5 && ids.is_sorted_by(|a, b| a > b), "{ids:?}");
    assert!(entries(&admin, "/audit?since=2100-01-01T00:00:00Z").await?.is_empty());
    assert_eq!(entries(&admin, "/audit?until=2100-01-01T00:00:00Z&project=p&actor=admin").await?.len(), 2);
    for wrong in ["limit=0", "limit=1001", "outcome=odd", "since=yesterday", "after=-1", "after=x"] {
        let refused = admin.get(&format!("/audit?{wrong}")).await?;
        assert_eq!((refused.status, refused.code().as_str()), (422, "validation_failed"), "{wrong}");
    }
    Ok(())
}

#[tokio::test]
async fn old_entries_are_forgotten() -> Result<()> {
    let server = TestServer::start().await?;
    server.project("p").await?;
    let dir = server.stop().await?;
    let server = TestServer::start_in(dir, |config| config.audit.retention = Duration::ZERO).await?;
    for _ in 0..100 {
        if entries(&server.admin(), "/audit").await?.is_empty() {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    anyhow::bail!("nothing was forgotten within 10 s")
}
