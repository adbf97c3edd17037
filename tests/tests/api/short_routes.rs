//! `/tables`: the shorter names for one's own project.

use anyhow::Result;
use gadwall_tests::support::{TestServer, send};
use reqwest::Method;
use reqwest::multipart::{Form, Part};
use serde_json::json;

#[tokio::test]
async fn a_table_lives_its_life_under_short_names() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = server.project("p").await?;
    let made = owner
        .post("/tables", &json!({ "name": "m", "schema": {"id": "INT", "name": "TEXT", "at": "TIMESTAMP"} }))
        .await?;
    assert_eq!(
        (made.status, made.json()["message"].as_str()),
        (200, Some("Table m created successfully")),
        "{}",
        made.text
    );
    let again = owner.post("/tables", &json!({ "name": "m", "schema": {"id": "INT"} })).await?;
    assert_eq!((again.status, again.code().as_str()), (409, "table_exists"));
    let bad = owner.post("/tables", &json!({ "name": "n", "schema": {"id": "NUMBERS"} })).await?;
    assert_eq!(bad.status, 400, "{}", bad.text);

    assert_eq!(owner.get("/tables").await?.json(), json!({ "tables": ["m"], "type": "ducklake" }));
    let seen = owner.get("/tables/m").await?;
    assert_eq!(
        seen.text,
        r#"{"name":"m","schema":{"id":"INTEGER","name":"VARCHAR","at":"TIMESTAMP"},"type":"ducklake"}"#
    );
    let added = owner.put("/tables/m", &json!({ "rows": [{"id": 1, "name": "a"}, {"name": null, "id": 2}] })).await?;
    assert_eq!((added.status, added.json()["rows"].as_u64()), (200, Some(2)), "{}", added.text);
    assert_eq!(added.json()["message"], "Data appended successfully");

    let query = json!({ "query": "SELECT id, name FROM m ORDER BY id" });
    let rows = owner.post("/tables/m/query", &query).await?;
    assert_eq!(rows.json(), json!({ "result": [{"id": 1, "name": "a"}, {"id": 2, "name": null}] }), "{}", rows.text);
    let image = send(owner.request(Method::POST, "/tables/m/query").header("Accept", "image/png").json(&query)).await?;
    assert_eq!((image.status, image.code().as_str()), (406, "not_acceptable"));
    let drop = owner.post("/tables/m/query", &json!({ "query": "DROP TABLE m" })).await?;
    assert_eq!((drop.status, drop.code().as_str()), (422, "statement_unsupported"));

    assert_eq!(owner.delete("/tables/m").await?.status, 200);
    for reply in [
        owner.get("/tables/m").await?,
        owner.delete("/tables/m").await?,
        owner.put("/tables/m", &json!({ "rows": [] })).await?,
        owner.post("/tables/m/query", &json!({ "query": "SELECT 1" })).await?,
    ] {
        assert_eq!((reply.status, reply.code().as_str()), (404, "table_not_found"), "{}", reply.text);
    }
    Ok(())
}

#[tokio::test]
async fn files_come_in_a_form_or_as_the_body() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = server.project("p").await?;
    owner.post("/tables", &json!({ "name": "m", "schema": {"id": "INT"} })).await?;
    let dir = tempfile::tempdir()?;
    let path = dir.path().join("x.parquet");
    duckdb::Connection::open_in_memory()?.execute_batch(&format!("COPY (SELECT 7 AS id) TO '{}'", path.display()))?;
    let part = Part::bytes(std::fs::read(&path)?).file_name("rows.parquet");
    let form =
        send(owner.request(Method::PUT, "/tables/m").multipart(Form::new().text("note", "x").part("file", part)))
            .await?;
    assert_eq!(form.json()["rows"], 1, "{}", form.text);
    let csv = owner.request(Method::PUT, "/api/v1/tables/m").header("Content-Type", "text/csv").body("id\n8\n9\n");
    assert_eq!(send(csv).await?.json()["rows"], 2);
    let part = Part::bytes(b"x".to_vec()).file_name("rows.exe");
    let odd = send(owner.request(Method::PUT, "/tables/m").multipart(Form::new().part("file", part))).await?;
    assert_eq!(odd.status, 415, "{}", odd.text);
    let empty = send(owner.request(Method::PUT, "/tables/m").multipart(Form::new().text("note", "x"))).await?;
    assert_eq!(empty.status, 400, "{}", empty.text);
    let sum = owner.post("/tables/m/query", &json!({ "query": "SELECT sum(id)::INT AS s FROM m" })).await?;
    assert_eq!(sum.json()["result"][0]["s"], 24);
    Ok(())
}

#[tokio::test]
async fn an_admin_acts_on_the_default_project_or_the_one_named() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = server.project("p").await?;
    owner.post("/tables", &json!({ "name": "theirs", "schema": {"id": "INT"} })).await?;
    let admin = server.admin();
    admin.post("/tables", &json!({ "name": "mine", "schema": {"id": "INT"} })).await?;
    assert_eq!(admin.get("/tables").await?.json()["tables"], json!(["mine"]));
    assert_eq!(admin.get("/projects/default/buckets/main/tables").await?.json()["total"], 1);
    let named = send(admin.request(Method::GET, "/tables").header("X-Project", "p")).await?;
    assert_eq!(named.json()["tables"], json!(["theirs"]));
    owner.post("/projects/p/buckets", &json!({ "name": "b" })).await?;
    owner.post("/tables", &json!({ "name": "b.t", "schema": {"id": "INT"} })).await?;
    assert_eq!(owner.get("/tables").await?.json()["tables"], json!(["b.t", "theirs"]));
    assert_eq!(
        owner.post("/tables/b.t/query", &json!({ "query": "SELECT count(*) AS n FROM t" })).await?.json()["result"][0]
            ["n"],
        0
    );
    Ok(())
}
