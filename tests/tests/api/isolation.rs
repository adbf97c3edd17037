//! What one project's key can't do to another project.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result};
use gadwall_domain::access::{KeyDigest, Scope};
use gadwall_domain::ids::ApiKeyId;
use gadwall_domain::names::BucketName;
use gadwall_tests::support::{TestServer, metadata, send};
use reqwest::Method;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// What changes a table, with the scope it needs and a body that would do.
fn changes() -> Vec<(Scope, Method, &'static str, Value)> {
    let one = json!({ "filter": {"column": "i", "op": "eq", "value": 1} });
    let set = json!({ "filter": {"column": "i", "op": "eq", "value": 1}, "set": {"i": 2} });
    let (write, manage) = (Scope::Write, Scope::Manage);
    vec![
        (write, Method::POST, "/rows", json!([{"i": 1}])),
        (write, Method::POST, "/rows?mode=upsert", json!([{"i": 1}])),
        (write, Method::POST, "/rows?mode=replace", json!([{"i": 1}])),
        (write, Method::POST, "/rows?dry_run=true", json!([{"i": 1}])),
        (write, Method::DELETE, "/rows", one.clone()),
        (write, Method::POST, "/rows/delete", one.clone()),
        (write, Method::POST, "/rows/update", set.clone()),
        (write, Method::PATCH, "/rows", set),
        (write, Method::POST, "/truncate", json!({})),
        (manage, Method::POST, "/rows/purge", one.clone()),
        (manage, Method::POST, "/rows/purge?dry_run=true", one),
        (manage, Method::POST, "/columns", json!({"name": "x", "type": "INT"})),
        (manage, Method::PUT, "/columns/i", json!({"nullable": true})),
        (manage, Method::PATCH, "/columns/i?dry_run=true", json!({"nullable": true})),
        (manage, Method::DELETE, "/columns/i?allow_breaking=true", Value::Null),
        (manage, Method::POST, "/primary-key?allow_breaking=true", json!({"columns": ["i"]})),
        (manage, Method::DELETE, "/primary-key?allow_breaking=true", Value::Null),
        (manage, Method::PATCH, "", json!({"comment": "x"})),
        (manage, Method::PATCH, "?allow_breaking=true", json!({"name": "x"})),
        (manage, Method::DELETE, "", Value::Null),
    ]
}

/// Gives the owner's project another key, with these scopes and limited to a bucket.
pub(crate) async fn limited_key(
    server: &TestServer,
    owner: &str,
    scopes: &[Scope],
    bucket: Option<&str>,
) -> Result<String> {
    let store = metadata(server.data_dir()).await?;
    let digest = |key: &str| KeyDigest(Sha256::digest(key.as_bytes()).into());
    let mut tx = store.write().await?;
    let mut key = tx.keys().find_by_digest(&digest(owner)).await?.context("the owner has a key")?;
    let secret = format!("{scopes:?} {bucket:?}");
    key.id = ApiKeyId::new(uuid::Uuid::from_u128(u128::from(u64::from_be_bytes(
        Sha256::digest(secret.as_bytes())[..8].try_into()?,
    ))));
    key.scopes = scopes.iter().copied().collect::<BTreeSet<_>>();
    key.bucket = bucket.map(BucketName::parse).transpose()?;
    key.digest = digest(&secret);
    tx.keys().insert(&key).await?;
    tx.commit().await?;
    Ok(secret)
}

#[tokio::test]
async fn a_table_is_changed_within_ones_scopes_and_bucket() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = server.project("ours").await?;
    let stranger = server.project("theirs").await?;
    owner.post("/projects/ours/buckets", &json!({ "name": "b" })).await?;
    let table = json!({ "name": "t", "columns": [{"name": "i", "type": "INT"}, {"name": "v", "type": "INT"}] });
    owner.post("/projects/ours/buckets/b/tables", &table).await?;
    owner.post("/projects/ours/buckets/b/tables/t/rows", &json!([{"i": 1}])).await?;
    let before = owner.get("/projects/ours/buckets/b/tables/t").await?.text;
    let (read, write, manage) = (Scope::Read, Scope::Write, Scope::Manage);
    let reader = limited_key(&server, owner.key(), &[read], None).await?;
    let writer = limited_key(&server, owner.key(), &[read, write], None).await?;
    let elsewhere = limited_key(&server, owner.key(), &[read, write, manage], Some("main")).await?;
    let within = limited_key(&server, owner.key(), &[read, write, manage], Some("B")).await?;
    for (scope, method, what, body) in changes() {
        let path = format!("/projects/ours/buckets/b/tables/t{what}");
        let mut refused = vec![stranger.clone(), server.with_key(&reader), server.with_key(&elsewhere)];
        if scope == manage {
            refused.push(server.with_key(&writer));
        }
        for client in refused {
            let request = client.request(method.clone(), &path);
            let reply = send(if body.is_null() { request } else { request.json(&body) }).await?;
            assert_eq!((reply.status, reply.code().as_str()), (403, "forbidden"), "{method} {what}: {}", reply.text);
        }
    }
    assert_eq!(owner.get("/projects/ours/buckets/b/tables/t").await?.text, before, "nothing was touched");
    for key in [&writer, &within] {
        let update = json!({ "filter": {"column": "i", "op": "eq", "value": 1}, "set": {"v": 2} });
        let done = server.with_key(key).post("/projects/ours/buckets/b/tables/t/rows/update", &update).await?;
        assert_eq!(done.status, 200, "{}", done.text);
    }
    let added = json!({"name": "x", "type": "INT"});
    let done = server.with_key(&within).post("/projects/ours/buckets/b/tables/t/columns", &added).await?;
    assert_eq!(done.status, 201, "{}", done.text);
    Ok(())
}

#[tokio::test]
async fn every_route_of_another_project_is_forbidden() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = server.project("ours").await?;
    let stranger = server.project("theirs").await?;
    owner.post("/projects/ours/buckets", &json!({ "name": "b" })).await?;
    let table = json!({ "name": "t", "columns": [{"name": "i", "type": "INT"}] });
    owner.post("/projects/ours/buckets/b/tables", &table).await?;
    let body = json!({ "name": "x", "id": "x", "query": "SELECT 1", "columns": [{"name": "i", "type": "INT"}] });
    for project in ["ours", "nobody"] {
        let routes = [
            (Method::GET, format!("/projects/{project}")),
            (Method::PUT, format!("/projects/{project}")),
            (Method::DELETE, format!("/projects/{project}")),
            (Method::GET, format!("/projects/{project}/stats")),
            (Method::GET, format!("/projects/{project}/buckets")),
            (Method::POST, format!("/projects/{project}/buckets")),
            (Method::GET, format!("/projects/{project}/buckets/b")),
            (Method::DELETE, format!("/projects/{project}/buckets/b")),
            (Method::GET, format!("/projects/{project}/buckets/b/tables")),
            (Method::POST, format!("/projects/{project}/buckets/b/tables")),
            (Method::GET, format!("/projects/{project}/buckets/b/tables/t")),
            (Method::DELETE, format!("/projects/{project}/buckets/b/tables/t")),
            (Method::GET, format!("/projects/{project}/buckets/b/tables/t/preview")),
            (Method::POST, format!("/projects/{project}/buckets/b/tables/t/rows")),
            (Method::POST, format!("/projects/{project}/query")),
        ];
        let routes = routes.into_iter().map(|(method, path)| {
            let has_body = method != Method::GET && method != Method::DELETE;
            (method, path, if has_body { body.clone() } else { Value::Null })
        });
        let changes = changes()
            .into_iter()
            .map(|(_, method, what, body)| (method, format!("/projects/{project}/buckets/b/tables/t{what}"), body));
        for (method, path, body) in routes.chain(changes) {
            let request = stranger.request(method.clone(), &path);
            let reply = send(if body.is_null() { request } else { request.json(&body) }).await?;
            // One answer for what is there and what isn't, so that ids can't be probed.
            assert_eq!((reply.status, reply.code().as_str()), (403, "forbidden"), "{method} {path}: {}", reply.text);
            let text = reply.text.replace(project, "X");
            assert!(!text.contains("exist"), "{text}");
        }
    }
    assert_eq!(owner.get("/projects/ours/buckets/b/tables/t").await?.status, 200);
    Ok(())
}

#[tokio::test]
async fn a_query_sees_its_own_project_whatever_it_calls_another() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = server.project("ours").await?;
    let stranger = server.project("theirs").await?;
    owner.post("/projects/ours/buckets", &json!({ "name": "b" })).await?;
    let table = json!({ "name": "secret", "columns": [{"name": "i", "type": "INT"}] });
    owner.post("/projects/ours/buckets/b/tables", &table).await?;
    for from in
        ["b.secret", "ours.b.secret", "\"ours\".\"b\".\"secret\"", "p_1.b.secret", "secret", "project_ours.b.secret"]
    {
        let reply =
            stranger.post("/projects/theirs/query", &json!({ "query": format!("SELECT * FROM {from}") })).await?;
        assert!([400, 403].contains(&reply.status), "{from}: {} {}", reply.status, reply.text);
        assert!(!reply.text.contains("\"i\""));
    }
    for sql in [
        "SELECT * FROM duckdb_settings()",
        "SELECT * FROM memory.information_schema.tables",
        "SELECT * FROM pg_catalog.pg_settings",
        "SHOW TABLES FROM b",
        "SHOW TABLES FROM ours.b",
        "SELECT * FROM glob('*')",
        "SELECT * FROM read_text('/etc/passwd')",
        "SELECT * FROM '/etc/passwd'",
        "SELECT current_setting('temp_directory')",
        "ATTACH 'x.db'",
        "PRAGMA database_list",
    ] {
        let reply = stranger.post("/projects/theirs/query", &json!({ "query": sql })).await?;
        assert!([400, 403, 422].contains(&reply.status), "{sql}: {} {}", reply.status, reply.text);
        assert!(!reply.text.contains("lakes") && !reply.text.contains("catalog.ducklake"), "{}", reply.text);
    }
    for sql in [
        "SELECT * FROM duckdb_databases()",
        "SELECT * FROM duckdb_tables()",
        "SELECT * FROM information_schema.columns",
        "SELECT * FROM pg_catalog.pg_tables",
        "SELECT * FROM sqlite_master",
        "SHOW ALL TABLES",
        "SHOW DATABASES",
    ] {
        let reply = stranger.post("/projects/theirs/query", &json!({ "query": sql })).await?;
        assert_eq!(reply.status, 200, "{sql}: {}", reply.text);
        // What the query took is told beside the rows.
        let rows = reply.json()["rows"].to_string();
        for other in ["secret", "ours", "\"b\"", "p_", "lakes", "memory"] {
            assert!(!rows.contains(other), "{sql} tells of {other}: {rows}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn short_routes_act_on_ones_own_project_only() -> Result<()> {
    let server = TestServer::start().await?;
    server.project("ours").await?;
    let stranger = server.project("theirs").await?;
    let reply = send(stranger.request(Method::GET, "/tables").header("X-Project", "ours")).await?;
    assert_eq!((reply.status, reply.code().as_str()), (403, "forbidden"));
    let reply = send(stranger.request(Method::GET, "/tables").header("X-Project", "theirs")).await?;
    assert_eq!(reply.status, 200);
    Ok(())
}
