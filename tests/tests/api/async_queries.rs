//! Queries that are answered before they are done, and their results.

use std::io::Cursor;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::ipc::reader::{FileReader, StreamReader};
use gadwall_tests::cloud::passes_over;
use gadwall_tests::support::{Client, Reply, TestServer, add_reader, send};
use reqwest::Method;
use serde_json::{Value, json};

/// It counts for minutes unless it is stopped.
const LONG: &str = "SELECT count(*) FROM range(100000000) a, range(100000000) b WHERE a.range + b.range = 7";
/// Types that have no place in Arrow of their own, NULLs, nested values, and several batches.
const MIXED: &str = "SELECT i, i::HUGEINT * 10000000000000000000 AS h, (i / 4)::DECIMAL(18, 3) AS d, \
     CASE WHEN i % 3 = 0 THEN NULL ELSE 'w' || i END AS t, [i, NULL] AS l, {'a': i, 'b': 'x'} AS s, \
     (CASE WHEN i % 2 = 0 THEN 'even' ELSE 'odd' END)::ENUM('even', 'odd') AS e, \
     TIMESTAMP '2026-01-01' + to_seconds(i) AS ts, '{\"k\": 1}'::JSON AS j \
     FROM range(7000) r(i) ORDER BY i";

async fn start(owner: &Client<'_>, sql: &str) -> Result<String> {
    let accepted = owner.post("/projects/p/queries", &json!({ "query": sql })).await?;
    assert_eq!(accepted.status, 202, "{}", accepted.text);
    let id = accepted.json()["id"].as_str().unwrap().to_owned();
    assert_eq!(accepted.header("location"), format!("/projects/p/queries/{id}"));
    assert_eq!((accepted.header("x-query-id"), accepted.header("retry-after")), (id.as_str(), "1"));
    assert_eq!(accepted.header("preference-applied"), "");
    Ok(id)
}

/// The query, once it is in this state.
async fn wait(owner: &Client<'_>, id: &str, state: &str) -> Result<Value> {
    let begun = Instant::now();
    loop {
        let seen = owner.get(&format!("/projects/p/queries/{id}")).await?;
        if seen.json()["state"] == state {
            return Ok(seen.json());
        }
        if begun.elapsed() > Duration::from_secs(20) {
            bail!("it is not {state}: {}", seen.text);
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn result(owner: &Client<'_>, id: &str) -> Result<Reply> {
    owner.get(&format!("/projects/p/queries/{id}/result")).await
}

async fn bytes(owner: &Client<'_>, method: Method, path: &str) -> Result<Vec<u8>> {
    let answer = owner.request(method, path).json(&json!({ "query": MIXED })).send().await?;
    assert_eq!(answer.status(), 200, "{path}");
    Ok(answer.bytes().await?.to_vec())
}

/// What an Arrow stream or file says: its bytes also tell in which order a map of metadata happened to be walked.
fn arrow(bytes: &[u8]) -> (SchemaRef, Vec<RecordBatch>) {
    if bytes.starts_with(b"ARROW1") {
        let reader = FileReader::try_new(Cursor::new(bytes), None).unwrap();
        return (reader.schema(), reader.map(Result::unwrap).collect());
    }
    let reader = StreamReader::try_new(bytes, None).unwrap();
    (reader.schema(), reader.map(Result::unwrap).collect())
}

/// The files of all results.
fn files(server: &TestServer) -> Vec<PathBuf> {
    let inside = |dir: PathBuf| std::fs::read_dir(dir).into_iter().flatten().map(|entry| entry.unwrap().path());
    inside(server.data_dir().join("results")).flat_map(inside).collect()
}

/// A JSON answer without what the query took.
fn untimed(body: &[u8]) -> Result<Value> {
    let mut body: Value = serde_json::from_slice(body)?;
    anyhow::ensure!(body.as_object_mut().and_then(|body| body.remove("statistics")).is_some());
    Ok(body)
}

#[tokio::test]
async fn a_result_is_fetched_later_in_any_format_and_equals_the_direct_answer() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = server.project("p").await?;
    let id = start(&owner, MIXED).await?;
    let done = wait(&owner, &id, "done").await?;
    assert_eq!((&done["rows"], &done["error_code"]), (&json!(7000), &Value::Null), "{done}");
    for format in ["json", "ndjson", "csv", "parquet", "arrow", "arrow_file", "json&precise=true"] {
        let direct = bytes(&owner, Method::POST, &format!("/projects/p/query?format={format}")).await?;
        for _ in 0..2 {
            let kept = bytes(&owner, Method::GET, &format!("/projects/p/queries/{id}/result?format={format}")).await?;
            let same = match format {
                "arrow" | "arrow_file" => arrow(&kept) == arrow(&direct),
                "json" | "json&precise=true" => untimed(&kept)? == untimed(&direct)?,
                _ => kept == direct,
            };
            assert!(same, "{format}: {} and {} bytes", kept.len(), direct.len());
        }
    }
    let csv = owner.request(Method::GET, &format!("/projects/p/queries/{id}/result")).header("accept", "text/csv");
    let csv = send(csv).await?;
    assert_eq!((csv.status, csv.text.lines().count()), (200, 7001));
    assert_eq!(csv.header("content-type"), "text/csv");
    let odd = owner.get(&format!("/projects/p/queries/{id}/result?format=xml")).await?;
    assert_eq!((odd.status, odd.code().as_str()), (406, "not_acceptable"));

    let path = format!("/projects/p/queries/{id}");
    assert_eq!(owner.delete(&path).await?.status, 200);
    let gone = result(&owner, &id).await?;
    assert_eq!((gone.status, gone.code().as_str()), (404, "result_not_found"), "{}", gone.text);
    assert!(files(&server).is_empty(), "{:?}", files(&server));
    let again = owner.delete(&path).await?;
    assert_eq!((again.status, again.code().as_str()), (409, "query_not_running"), "{}", again.text);
    Ok(())
}

#[tokio::test]
async fn a_query_goes_into_the_background_where_that_is_preferred() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = server.project("p").await?;
    let ask = |body: Value, prefer: &'static str| {
        send(owner.request(Method::POST, "/projects/p/query").header("prefer", prefer).json(&body))
    };
    let body = json!({ "query": "SELECT $1 + 1 AS n", "params": [41], "timeout_seconds": 3600 });
    let accepted = ask(body, "respond-async, wait=5").await?;
    assert_eq!(accepted.status, 202, "{}", accepted.text);
    assert_eq!(accepted.header("preference-applied"), "respond-async");
    let id = accepted.header("x-query-id").to_owned();
    assert_eq!(accepted.header("location"), format!("/projects/p/queries/{id}"));
    wait(&owner, &id, "done").await?;
    assert_eq!(result(&owner, &id).await?.json()["rows"], json!([[42]]));

    let table = json!({ "name": "t", "columns": [{"name": "i", "type": "INT"}] });
    owner.post("/projects/p/buckets/main/tables", &table).await?;
    let write = json!({ "query": "INSERT INTO t VALUES (1)" });
    let written = ask(write.clone(), "respond-async").await?;
    assert_eq!((written.status, written.header("preference-applied")), (200, ""), "{}", written.text);
    let refused = owner.post("/projects/p/queries", &write).await?;
    assert_eq!((refused.status, refused.code().as_str()), (422, "statement_unsupported"), "{}", refused.text);
    let count = json!({ "query": "SELECT count(*) FROM t" });
    assert_eq!(owner.post("/projects/p/query", &count).await?.json()["rows"], json!([[1]]));
    let late = json!({ "query": "SELECT 1", "timeout_seconds": 3601 });
    assert_eq!(owner.post("/projects/p/queries", &late).await?.status, 422);
    Ok(())
}

#[tokio::test]
async fn a_query_in_the_background_is_seen_and_cancelled() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = server.project("p").await?;
    let id = start(&owner, LONG).await?;
    wait(&owner, &id, "running").await?;
    let early = result(&owner, &id).await?;
    assert_eq!((early.status, early.code().as_str()), (409, "query_not_finished"), "{}", early.text);
    let begun = Instant::now();
    let cancelled = owner.delete(&format!("/projects/p/queries/{id}")).await?;
    assert_eq!((cancelled.status, &cancelled.json()["state"]), (200, &json!("cancelled")), "{}", cancelled.text);
    let told = result(&owner, &id).await?;
    assert_eq!(told.code(), "query_cancelled", "{}", told.text);
    assert_eq!(wait(&owner, &id, "cancelled").await?["error_code"], Value::Null);
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    assert!(files(&server).iter().all(|file| file.extension().is_some_and(|of| of != "arrow")));
    Ok(())
}

#[tokio::test]
async fn a_failure_is_told_where_its_result_would_be() -> Result<()> {
    let server = TestServer::start_with(|config| config.query.max_async_timeout = Duration::from_secs(1)).await?;
    let owner = server.project("p").await?;
    for (sql, status, code) in [
        ("SELECT nothing FROM nowhere", 400, "sql_error"),
        ("SELEC", 400, "sql_error"),
        ("SELECT CAST(range::VARCHAR || 'x' AS INTEGER) FROM range(10)", 400, "sql_error"),
        (LONG, 504, "query_timeout"),
    ] {
        let id = start(&owner, sql).await?;
        assert_eq!(wait(&owner, &id, "failed").await?["error_code"], code);
        let told = result(&owner, &id).await?;
        assert_eq!((told.status, told.code().as_str()), (status, code), "{sql}: {}", told.text);
        if sql.contains("nowhere") {
            let direct = owner.post("/projects/p/query", &json!({ "query": sql })).await?;
            assert_eq!(told.json()["detail"], direct.json()["detail"]);
            assert_eq!(told.json()["details"], direct.json()["details"]);
        }
    }
    Ok(())
}

#[tokio::test]
async fn results_are_for_who_asked_and_who_manages() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = server.project("p").await?;
    let other = server.project("q").await?;
    add_reader(server.data_dir(), "p", "ann's key").await?;
    add_reader(server.data_dir(), "p", "bob's key").await?;
    let (ann, bob) = (server.with_key("ann's key"), server.with_key("bob's key"));
    let id = start(&ann, "SELECT 'secret' AS s").await?;
    wait(&ann, &id, "done").await?;
    for may in [&ann, &owner, &server.admin()] {
        assert_eq!(result(may, &id).await?.json()["rows"], json!([["secret"]]));
    }
    let refused = result(&bob, &id).await?;
    assert_eq!((refused.status, refused.code().as_str()), (404, "query_not_found"), "{}", refused.text);
    assert_eq!(bob.delete(&format!("/projects/p/queries/{id}")).await?.status, 404);
    assert_eq!(result(&other, &id).await?.status, 403);
    let elsewhere = other.get(&format!("/projects/q/queries/{id}/result")).await?;
    assert_eq!((elsewhere.status, elsewhere.code().as_str()), (404, "query_not_found"), "{}", elsewhere.text);
    let direct = ann.post("/projects/p/query", &json!({ "query": "SELECT 1" })).await?;
    let none = result(&ann, direct.header("x-query-id")).await?;
    assert_eq!((none.status, none.code().as_str()), (404, "result_not_found"), "{}", none.text);
    assert_eq!(result(&ann, &id).await?.status, 200);
    Ok(())
}

#[tokio::test]
async fn results_are_deleted_after_a_while_and_with_their_project() -> Result<()> {
    if passes_over("it looks for results in the data directory") {
        return Ok(());
    }
    let server = TestServer::start_with(|config| config.query.result_retention = Duration::from_secs(1)).await?;
    let owner = server.project("p").await?;
    let id = start(&owner, "SELECT 1").await?;
    wait(&owner, &id, "done").await?;
    assert_eq!(result(&owner, &id).await?.status, 200);
    let begun = Instant::now();
    while !files(&server).is_empty() {
        assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", files(&server));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let gone = result(&owner, &id).await?;
    assert_eq!((gone.status, gone.code().as_str()), (404, "result_not_found"), "{}", gone.text);

    let server = TestServer::start().await?;
    let owner = server.project("p").await?;
    let id = start(&owner, "SELECT 1").await?;
    wait(&owner, &id, "done").await?;
    assert_eq!(files(&server).len(), 2);
    assert_eq!(server.admin().delete("/projects/p?purge=true").await?.status, 204);
    assert!(files(&server).is_empty(), "{:?}", files(&server));
    Ok(())
}

#[tokio::test]
async fn results_survive_a_restart_and_what_ran_is_interrupted() -> Result<()> {
    // The history holds none: the results' notes alone tell of their queries.
    let server = TestServer::start_with(|config| config.query.history_limit = 0).await?;
    let owner = server.project("p").await?;
    let key = owner.key().to_owned();
    let done = start(&owner, MIXED).await?;
    wait(&owner, &done, "done").await?;
    let failed = start(&owner, "SELECT nothing").await?;
    wait(&owner, &failed, "failed").await?;
    let before = [result(&owner, &done).await?, result(&owner, &failed).await?];
    let running = start(&owner, LONG).await?;
    wait(&owner, &running, "running").await?;

    let server = TestServer::start_in(server.stop().await?, |_| {}).await?;
    let owner = server.with_key(&key);
    let after = [result(&owner, &done).await?, result(&owner, &failed).await?];
    assert_eq!(after[0].text, before[0].text);
    assert_eq!((after[1].status, &after[1].json()["detail"]), (400, &before[1].json()["detail"]));
    let seen = wait(&owner, &running, "failed").await?;
    assert_eq!(seen["error_code"], "interrupted");
    let told = result(&owner, &running).await?;
    assert_eq!((told.status, told.code().as_str()), (503, "interrupted"), "{}", told.text);
    let listed = owner.get("/projects/p/queries?state=failed").await?.json();
    assert!(listed["queries"].as_array().unwrap().iter().any(|query| query["id"] == running), "{listed}");
    Ok(())
}

#[tokio::test]
async fn results_of_a_project_have_their_room() -> Result<()> {
    if passes_over("it looks for results in the data directory") {
        return Ok(());
    }
    let server = TestServer::start_with(|config| config.query.result_limit = 1_000_000).await?;
    let owner = server.project("p").await?;
    let some = "SELECT hash(range) AS h FROM range(90000)";
    let first = start(&owner, some).await?;
    wait(&owner, &first, "done").await?;
    let second = start(&owner, some).await?;
    assert_eq!(wait(&owner, &second, "failed").await?["error_code"], "result_limit_reached");
    let told = result(&owner, &second).await?;
    assert_eq!((told.status, told.code().as_str()), (422, "result_limit_reached"), "{}", told.text);
    assert_eq!(told.json()["details"]["limit_bytes"], 1_000_000);
    let rows = files(&server).into_iter().filter(|file| file.extension().is_some_and(|of| of == "arrow"));
    assert_eq!(rows.count(), 1, "nothing is left of the second");
    assert_eq!(owner.delete(&format!("/projects/p/queries/{first}")).await?.status, 200);
    let third = start(&owner, some).await?;
    wait(&owner, &third, "done").await?;
    assert_eq!(result(&owner, &third).await?.json()["row_count"], 90_000);
    Ok(())
}
