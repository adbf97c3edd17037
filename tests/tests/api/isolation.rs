//! What one project's key can't do to another project.

use anyhow::Result;
use gadwall_tests::support::TestServer;
use reqwest::Method;
use serde_json::json;

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
        for (method, path) in routes {
            let mut request = stranger.request(method.clone(), &path);
            if method != Method::GET && method != Method::DELETE {
                request = request.json(&body);
            }
            let reply = gadwall_tests::support::send(request).await?;
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
        "SELECT * FROM duckdb_databases()",
        "SELECT * FROM duckdb_tables()",
        "SELECT * FROM information_schema.tables",
        "SELECT * FROM pg_catalog.pg_tables",
        "SELECT * FROM glob('*')",
        "SELECT * FROM read_text('/etc/passwd')",
        "SELECT * FROM '/etc/passwd'",
        "SELECT current_setting('temp_directory')",
        "ATTACH 'x.db'",
        "PRAGMA database_list",
        "SHOW DATABASES",
    ] {
        let reply = stranger.post("/projects/theirs/query", &json!({ "query": sql })).await?;
        assert!([400, 403, 422].contains(&reply.status), "{sql}: {} {}", reply.status, reply.text);
        assert!(!reply.text.contains("lakes") && !reply.text.contains("catalog.ducklake"), "{}", reply.text);
    }
    Ok(())
}

#[tokio::test]
async fn short_routes_act_on_ones_own_project_only() -> Result<()> {
    let server = TestServer::start().await?;
    server.project("ours").await?;
    let stranger = server.project("theirs").await?;
    let reply =
        gadwall_tests::support::send(stranger.request(Method::GET, "/tables").header("X-Project", "ours")).await?;
    assert_eq!((reply.status, reply.code().as_str()), (403, "forbidden"));
    let reply =
        gadwall_tests::support::send(stranger.request(Method::GET, "/tables").header("X-Project", "theirs")).await?;
    assert_eq!(reply.status, 200);
    Ok(())
}
