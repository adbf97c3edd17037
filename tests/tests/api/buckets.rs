//! Buckets.

use anyhow::Result;
use gadwall_tests::support::TestServer;
use serde_json::json;

#[tokio::test]
async fn buckets_are_listed_by_name_with_their_description() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = server.project("p").await?;
    assert_eq!(owner.get("/projects/p/buckets").await?.json(), json!({ "buckets": [], "total": 0 }));
    let made = owner.post("/projects/p/buckets", &json!({ "name": "Sales", "description": "it's \"ours\"" })).await?;
    assert_eq!(made.status, 201, "{}", made.text);
    let bucket = json!({
        "name": "Sales", "table_count": 0, "description": "it's \"ours\"",
        "is_linked": false, "source_project_id": null, "source_bucket_name": null
    });
    assert_eq!(made.json(), bucket);
    owner.post("/projects/p/buckets", &json!({ "name": "alpha" })).await?;
    let listed = owner.get("/projects/p/buckets").await?.json();
    assert_eq!((listed["total"].as_u64(), &listed["buckets"][0]["name"]), (Some(2), &json!("alpha")));
    assert_eq!(listed["buckets"][1], bucket);
    assert_eq!(owner.get("/projects/p/buckets/sales").await?.json(), bucket, "found in any case");
    Ok(())
}

#[tokio::test]
async fn a_taken_name_is_409_and_an_unknown_one_404() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = server.project("p").await?;
    owner.post("/projects/p/buckets", &json!({ "name": "b" })).await?;
    let again = owner.post("/projects/p/buckets", &json!({ "name": "B" })).await?;
    assert_eq!((again.status, again.code().as_str()), (409, "bucket_exists"));
    let main = owner.post("/projects/p/buckets", &json!({ "name": "main" })).await?;
    assert_eq!((main.status, main.code().as_str()), (409, "bucket_exists"));
    for reply in [owner.get("/projects/p/buckets/no").await?, owner.delete("/projects/p/buckets/no").await?] {
        assert_eq!((reply.status, reply.code().as_str()), (404, "bucket_not_found"));
    }
    Ok(())
}

#[tokio::test]
async fn deleting_takes_the_tables_along_only_if_it_may() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = server.project("p").await?;
    owner.post("/projects/p/buckets", &json!({ "name": "b" })).await?;
    owner
        .post("/projects/p/buckets/b/tables", &json!({ "name": "t", "columns": [{"name": "i", "type": "INT"}] }))
        .await?;
    let kept = owner.delete("/projects/p/buckets/b?cascade=false").await?;
    assert_eq!((kept.status, kept.code().as_str()), (409, "bucket_not_empty"));
    assert_eq!(owner.delete("/projects/p/buckets/b").await?.status, 204);
    assert_eq!(owner.get("/projects/p/buckets/b/tables").await?.code(), "bucket_not_found");
    // The name is free again, and nothing of the old bucket shows.
    owner.post("/projects/p/buckets", &json!({ "name": "b" })).await?;
    assert_eq!(owner.get("/projects/p/buckets/b/tables").await?.json(), json!({ "tables": [], "total": 0 }));
    Ok(())
}

#[tokio::test]
async fn main_shows_once_it_holds_a_table() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = server.project("p").await?;
    assert_eq!(owner.get("/projects/p/buckets/main").await?.status, 200);
    let table = json!({ "name": "t", "columns": [{"name": "i", "type": "INT"}] });
    assert_eq!(owner.post("/projects/p/buckets/main/tables", &table).await?.status, 201);
    assert_eq!(owner.get("/projects/p/buckets").await?.json()["buckets"][0]["name"], "main");
    assert_eq!(owner.delete("/projects/p/buckets/main").await?.status, 204);
    assert_eq!(owner.get("/projects/p/buckets").await?.json()["total"], 0);
    Ok(())
}

#[tokio::test]
async fn older_clients_find_everything_under_the_default_branch() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = server.project("p").await?;
    let made = owner.post("/projects/p/branches/default/buckets", &json!({ "name": "b" })).await?;
    assert_eq!(made.status, 201, "{}", made.text);
    let table = json!({ "name": "t", "columns": [{"name": "i", "type": "INT"}] });
    assert_eq!(owner.post("/projects/p/branches/default/buckets/b/tables", &table).await?.status, 201);
    let preview = owner.get("/projects/p/branches/default/buckets/b/tables/t/preview?limit=5").await?;
    assert_eq!(preview.status, 200, "{}", preview.text);
    Ok(())
}
