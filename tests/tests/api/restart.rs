//! What is there after a stop and a start.

use anyhow::Result;
use gadwall_tests::support::TestServer;
use serde_json::json;

#[tokio::test]
async fn everything_is_there_after_a_restart() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = server.project("p").await?;
    let key = owner.key().to_owned();
    owner.post("/projects/p/buckets", &json!({ "name": "b", "description": "kept" })).await?;
    let table = json!({ "name": "t", "columns": [{"name": "id", "type": "INT"}, {"name": "c", "type": "CHAR(3)"}], "primary_key": ["id"] });
    let made = owner.post("/projects/p/buckets/b/tables", &table).await?.json();
    owner.post("/projects/p/buckets/b/tables/t/rows", &json!([{"id": 1, "c": "abc"}])).await?;

    let server = TestServer::start_in(server.stop().await?, |_| {}).await?;
    let owner = server.with_key(&key);
    assert_eq!(owner.get("/projects/p/buckets/b").await?.json()["description"], "kept");
    let mut seen = owner.get("/projects/p/buckets/b/tables/t").await?.json();
    assert_eq!(seen["row_count"], 1);
    seen["row_count"] = json!(0);
    seen["size_bytes"] = json!(0);
    seen["version"] = made["version"].clone();
    assert_eq!(seen, made);
    let twice = owner.post("/projects/p/buckets/b/tables/t/rows", &json!([{"id": 1}])).await?;
    assert_eq!(twice.status, 409, "the key holds: {}", twice.text);
    Ok(())
}

#[tokio::test]
async fn the_index_is_rebuilt_from_the_commits() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = server.project("p").await?;
    let key = owner.key().to_owned();
    let table = json!({ "name": "t", "columns": [{"name": "id", "type": "INT"}, {"name": "c", "type": "CHAR(3)"}], "primary_key": ["id"] });
    owner.post("/projects/p/buckets/main/tables", &table).await?;
    owner.post("/projects/p/buckets/main/tables/t/rows", &json!([{"id": 1, "c": "abc"}])).await?;
    let dir = server.stop().await?;
    // As after a crash between a commit and its copy: the metadata store knows nothing of the lake.
    gadwall_tests::support::forget_lake_index(dir.path()).await?;

    let server = TestServer::start_in(dir, |_| {}).await?;
    let owner = server.with_key(&key);
    let seen = owner.get("/projects/p/buckets/main/tables/t").await?.json();
    assert_eq!((&seen["primary_key"], &seen["columns"][1]["type"]), (&json!(["id"]), &json!("CHAR(3)")));
    assert_eq!(owner.post("/projects/p/buckets/main/tables/t/rows", &json!([{"id": 1}])).await?.status, 409);
    Ok(())
}
