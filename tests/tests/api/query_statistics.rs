//! What queries took, told with their answers, and what dry runs tell.

use anyhow::{Context as _, Result};
use gadwall_tests::support::{Client, TestServer, send};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const QUERY: &str = "/projects/p/query";
const SQL: &str = "SELECT id FROM t WHERE v = 1 ORDER BY id";

/// A table of ten rows, with 1 in `v` of five.
async fn filled(server: &TestServer) -> Result<Client<'_>> {
    let owner = server.project("p").await?;
    let columns = json!([{"name": "id", "type": "BIGINT"}, {"name": "v", "type": "INTEGER"}]);
    owner.post("/projects/p/buckets/main/tables", &json!({ "name": "t", "columns": columns })).await?;
    let rows: Vec<Value> = (0..10).map(|id| json!({ "id": id, "v": id % 2 })).collect();
    let reply = owner.post("/projects/p/buckets/main/tables/t/rows", &json!(rows)).await?;
    assert_eq!(reply.status, 200, "{}", reply.text);
    Ok(owner)
}

#[tokio::test]
async fn an_answer_and_the_history_tell_what_a_query_took() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = filled(&server).await?;
    let first = owner.post(QUERY, &json!({ "query": SQL })).await?;
    let told = first.json()["statistics"].clone();
    assert_eq!((&told["cached"], &told["query_id"]), (&json!(false), &json!(first.header("x-query-id"))), "{told}");
    // The scan itself leaves out the rows that don't fit.
    assert_eq!(told["rows_scanned"], 5, "{told}");
    assert!(told["bytes_scanned"].as_u64().is_some_and(|bytes| bytes >= 5 * 8), "{told}");
    assert!(told["execution_ms"].as_f64().is_some_and(|took| took > 0.0), "{told}");
    assert!(told["peak_memory_bytes"].is_u64() && told["peak_spill_bytes"].is_u64(), "{told}");

    let again = owner.post(QUERY, &json!({ "query": SQL })).await?;
    let kept = again.json()["statistics"].clone();
    assert_eq!(kept, json!({ "query_id": told["query_id"], "cached": true }));
    assert_eq!((again.header("x-row-count"), again.header("x-query-id")), ("5", first.header("x-query-id")));

    let status = owner.get(&format!("/projects/p/queries/{}", first.header("x-query-id"))).await?.json();
    assert_eq!((&status["rows"], &status["rows_scanned"]), (&json!(5), &json!(5)), "{status}");
    assert_eq!((&status["phase"], &status["bytes_sent"]), (&Value::Null, &Value::Null), "{status}");
    Ok(())
}

#[tokio::test]
async fn rows_alone_are_followed_by_trailers() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = filled(&server).await?;
    let address = server.url("").replace("http://", "").trim_end_matches('/').to_owned();
    let mut stream = TcpStream::connect(&address).await?;
    let request = format!(
        "POST {QUERY} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {}\r\nAccept: text/csv\r\nTE: trailers\r\n\
         Content-Type: application/sql\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{SQL}",
        owner.key(),
        SQL.len()
    );
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    let (head, body) = answer.split_once("\r\n\r\n").context("no head")?;
    assert!(head.to_ascii_lowercase().contains("trailer: server-timing"), "{head}");
    let (rows, trailers) = body.split_once("0\r\n").context("no end")?;
    assert!(rows.contains("id\r\n1\r\n3\r\n"), "{body}");
    let trailers = trailers.to_ascii_lowercase();
    for expected in
        ["server-timing: execution;dur=", "x-row-count: 5\r\n", "x-rows-scanned: 5\r\n", "x-bytes-scanned: "]
    {
        assert!(trailers.contains(expected), "{expected}: {answer}");
    }
    Ok(())
}

#[tokio::test]
async fn what_is_not_measured_is_not_told() -> Result<()> {
    let server = TestServer::start_with(|config| config.query.profiling = false).await?;
    let owner = filled(&server).await?;
    let told = owner.post(QUERY, &json!({ "query": SQL })).await?.json()["statistics"].clone();
    assert!(told["execution_ms"].is_f64() && told.get("rows_scanned").is_none(), "{told}");
    Ok(())
}

#[tokio::test]
async fn a_query_is_tried_at_its_version_and_told_of_in_a_document() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = filled(&server).await?;
    let dropped = owner.delete("/projects/p/buckets/main/tables/t").await?;
    assert!(dropped.status < 300, "{}", dropped.text);
    let tried = |more: &str| {
        let request = owner.request(Method::POST, &format!("{QUERY}?dry_run=true{more}"));
        send(request.header("Accept", "text/csv").json(&json!({ "query": SQL })))
    };
    let then = tried("&snapshot=2").await?;
    assert_eq!(then.status, 200, "{}", then.text);
    assert_eq!((&then.json()["tables_read"], &then.json()["snapshot_id"]), (&json!(["main.t"]), &json!(2)));
    assert_eq!(tried("").await?.code(), "sql_error");
    assert_eq!(tried("&snapshot=99").await?.status, 404);
    Ok(())
}

#[tokio::test]
async fn views_and_copies_are_seen_among_the_queries() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = filled(&server).await?;
    let made = owner.put("/projects/p/buckets/main/views/w", &json!({ "query": "SELECT id FROM t" })).await?;
    assert!(made.status < 300, "{}", made.text);
    owner.post("/projects/p/datasets", &json!({ "name": "d" })).await?;
    let copied = owner.post(QUERY, &json!({ "query": "COPY (SELECT id FROM t) TO '/d/x.csv'" })).await?;
    assert_eq!((copied.status, &copied.json()["rows"]), (200, &json!([[10]])), "{}", copied.text);
    let id = copied.header("x-query-id").to_owned();
    let copy = owner.get(&format!("/projects/p/queries/{id}")).await?.json();
    assert_eq!((&copy["state"], &copy["phase"]), (&json!("done"), &Value::Null), "{copy}");
    let listed = owner.get("/projects/p/queries").await?.json();
    let texts: Vec<&str> =
        listed["queries"].as_array().into_iter().flatten().filter_map(|q| q["query"].as_str()).collect();
    assert!(texts.iter().any(|text| text.starts_with("CREATE OR REPLACE VIEW main.w")), "{texts:?}");
    Ok(())
}
