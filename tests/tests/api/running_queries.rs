//! Queries that are seen, stopped and remembered.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use gadwall_tests::support::{Client, Reply, TestServer, add_reader, send};
use reqwest::Method;
use serde_json::{Value, json};

/// It counts for minutes unless it is stopped.
const LONG: &str = "SELECT count(*) FROM range(100000000) a, range(100000000) b WHERE a.range + b.range = 7";
/// How soon a stopped query has ended.
const SOON: Duration = Duration::from_millis(300);

fn ask(owner: &Client<'_>, sql: &str) -> tokio::task::JoinHandle<Result<Reply>> {
    let body = json!({ "query": sql, "timeout_seconds": 60 });
    tokio::spawn(send(owner.request(Method::POST, "/projects/p/query").json(&body)))
}

/// The one query in this state, once there is one.
async fn one_in(owner: &Client<'_>, state: &str) -> Result<Value> {
    let begun = Instant::now();
    loop {
        let listed = owner.get(&format!("/projects/p/queries?state={state}")).await?;
        if let [query] = listed.json()["queries"].as_array().unwrap().as_slice() {
            return Ok(query.clone());
        }
        if begun.elapsed() > Duration::from_secs(10) {
            bail!("no query is {state}: {}", listed.text);
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn ids(reply: &Reply) -> Vec<String> {
    let queries = reply.json()["queries"].as_array().cloned().unwrap_or_default();
    queries.iter().map(|query| query["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_running_query_is_seen_and_cancelled() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = server.project("p").await?;
    let asked = ask(&owner, LONG);
    let query = one_in(&owner, "running").await?;
    assert_eq!((&query["query"], &query["rows"], &query["finished_at"]), (&json!(LONG), &json!(0), &Value::Null));
    assert!(query["principal"].as_str().unwrap().starts_with("key:"), "{query}");
    let path = format!("/projects/p/queries/{}", query["id"].as_str().unwrap());
    assert_eq!(owner.get(&path).await?.json()["state"], "running");

    let begun = Instant::now();
    let cancelled = owner.delete(&path).await?;
    assert_eq!((cancelled.status, &cancelled.json()["state"]), (200, &json!("cancelled")), "{}", cancelled.text);
    let answer = asked.await??;
    assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
    assert_eq!(answer.code(), "query_cancelled", "{}", answer.text);
    assert_eq!(answer.header("x-request-id"), query["request_id"].as_str().unwrap());

    let again = owner.delete(&path).await?;
    assert_eq!((again.status, again.code().as_str()), (409, "query_not_running"), "{}", again.text);
    assert_eq!(owner.get(&path).await?.json()["state"], "cancelled");
    Ok(())
}

#[tokio::test]
async fn a_query_whose_rows_are_being_read_is_cancelled() -> Result<()> {
    let server = TestServer::start_with(|config| config.query.max_concurrent = 1).await?;
    let owner = server.project("p").await?;
    let body = json!({ "query": "SELECT repeat('x', 1000) FROM range(100000000)", "timeout_seconds": 60 });
    let answer = owner.request(Method::POST, "/projects/p/query").json(&body).send().await?;
    assert_eq!(answer.status(), 200);
    let id = answer.headers()["x-query-id"].to_str()?.to_owned();
    let seen = owner.get(&format!("/projects/p/queries/{id}")).await?.json();
    assert_eq!(seen["state"], "running");
    assert!(seen["rows"].as_u64() > Some(0), "{seen}");
    // Its reader doesn't read, and yet it gives its place back.
    let begun = Instant::now();
    assert_eq!(owner.delete(&format!("/projects/p/queries/{id}")).await?.status, 200);
    let next = owner.post("/projects/p/query", &json!({ "query": "SELECT 1" })).await?;
    assert_eq!(next.status, 200, "{}", next.text);
    assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
    assert!(answer.bytes().await.is_err(), "only a whole answer may arrive whole");
    Ok(())
}

#[tokio::test]
async fn a_query_that_waits_is_seen_and_cancelled() -> Result<()> {
    let server = TestServer::start_with(|config| config.query.max_concurrent = 1).await?;
    let owner = server.project("p").await?;
    let (running, waiting) = (ask(&owner, LONG), {
        one_in(&owner, "running").await?;
        ask(&owner, "SELECT 2")
    });
    let queued = one_in(&owner, "queued").await?;
    assert_eq!(queued["query"], "SELECT 2");
    let all = ids(&owner.get("/projects/p/queries").await?);
    assert_eq!(all.len(), 2);
    assert_eq!(owner.delete(&format!("/projects/p/queries/{}", all[0])).await?.status, 200);
    assert_eq!(waiting.await??.code(), "query_cancelled");
    assert_eq!(owner.delete(&format!("/projects/p/queries/{}", all[1])).await?.status, 200);
    assert_eq!(running.await??.code(), "query_cancelled");
    Ok(())
}

#[tokio::test]
async fn too_many_queries_are_turned_away() -> Result<()> {
    let server = TestServer::start_with(|config| {
        config.query.max_concurrent = 1;
        config.query.max_queued = 1;
        config.query.queue_timeout = Duration::from_millis(200);
    })
    .await?;
    let owner = server.project("p").await?;
    let running = ask(&owner, LONG);
    let query = one_in(&owner, "running").await?;
    let waiting = ask(&owner, "SELECT 2");
    one_in(&owner, "queued").await?;
    let refused = ask(&owner, "SELECT 3").await??;
    for busy in [refused, waiting.await??] {
        assert_eq!((busy.status, busy.code().as_str()), (503, "too_many_queries"), "{}", busy.text);
        assert_eq!(busy.header("retry-after"), "1");
    }
    let failed = one_in(&owner, "failed").await?;
    assert_eq!((&failed["query"], &failed["error_code"]), (&json!("SELECT 2"), &json!("too_many_queries")));
    owner.delete(&format!("/projects/p/queries/{}", query["id"].as_str().unwrap())).await?;
    running.await??;
    Ok(())
}

#[tokio::test]
async fn a_client_that_goes_away_ends_its_query() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = server.project("p").await?;
    let asked = ask(&owner, LONG);
    let query = one_in(&owner, "running").await?;
    let begun = Instant::now();
    asked.abort();
    let cancelled = one_in(&owner, "cancelled").await?;
    assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
    assert_eq!(cancelled["id"], query["id"]);

    let body = json!({ "query": "SELECT repeat('x', 1000) FROM range(100000000)" });
    let answer = owner.request(Method::POST, "/projects/p/query").json(&body).send().await?;
    let id = answer.headers()["x-query-id"].to_str()?.to_owned();
    let begun = Instant::now();
    drop(answer);
    while owner.get(&format!("/projects/p/queries/{id}")).await?.json()["state"] != "cancelled" {
        assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
    }
    Ok(())
}

#[tokio::test]
async fn sql_that_writes_is_seen_and_cancelled() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = server.project("p").await?;
    for sql in ["CREATE TABLE t (n BIGINT)", "INSERT INTO t VALUES (1)"] {
        let done = ask(&owner, sql).await??;
        assert_eq!(done.status, 200, "{}", done.text);
        let seen = owner.get(&format!("/projects/p/queries/{}", done.header("x-query-id"))).await?.json();
        assert_eq!((&seen["query"], &seen["state"]), (&json!(sql), &json!("done")));
    }
    let writing = ask(&owner, &format!("INSERT INTO t {LONG}"));
    let running = one_in(&owner, "running").await?;
    // What writes to the same project waits behind it, in the list; what reads doesn't.
    let body = json!({ "queries": ["INSERT INTO t VALUES (2)", "SELECT * FROM t"], "timeout_seconds": 60 });
    let batch = tokio::spawn(send(owner.request(Method::POST, "/projects/p/batch").json(&body)));
    let queued = one_in(&owner, "queued").await?;
    assert_eq!(queued["query"], "INSERT INTO t VALUES (2);\nSELECT * FROM t");
    let alone = json!({ "queries": ["SELECT count(*) FROM t"] });
    assert_eq!(owner.post("/projects/p/batch", &alone).await?.json()["results"][0]["data"], json!([[1]]));

    let begun = Instant::now();
    let path = |query: &Value| format!("/projects/p/queries/{}", query["id"].as_str().unwrap());
    let cancelled = owner.delete(&path(&running)).await?;
    assert_eq!((cancelled.status, &cancelled.json()["state"]), (200, &json!("cancelled")), "{}", cancelled.text);
    let answer = writing.await??;
    assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
    assert_eq!(answer.code(), "query_cancelled", "{}", answer.text);

    let done = batch.await??;
    assert_eq!((done.status, done.header("x-query-id")), (200, queued["id"].as_str().unwrap()), "{}", done.text);
    assert_eq!(done.json()["results"][1]["data"], json!([[1], [2]]), "nothing stands of what was cancelled");
    let late = owner.delete(&path(&queued)).await?;
    assert_eq!((late.status, late.code().as_str()), (409, "query_not_running"), "{}", late.text);
    assert_eq!(late.json()["details"]["state"], "done");
    Ok(())
}

#[tokio::test]
async fn a_project_may_have_a_limit_of_its_own() -> Result<()> {
    let server = TestServer::start_with(|config| {
        config.query.max_concurrent = 4;
        config.query.max_concurrent_per_project = 1;
    })
    .await?;
    let (owner, other) = (server.project("p").await?, server.project("q").await?);
    let running = ask(&owner, LONG);
    let query = one_in(&owner, "running").await?;
    let waiting = ask(&owner, "SELECT 2");
    one_in(&owner, "queued").await?;
    assert_eq!(other.post("/projects/q/query", &json!({ "query": "SELECT 1" })).await?.status, 200);
    assert_eq!(owner.delete(&format!("/projects/p/queries/{}", query["id"].as_str().unwrap())).await?.status, 200);
    assert_eq!(waiting.await??.status, 200);
    assert_eq!(running.await??.code(), "query_cancelled");
    Ok(())
}

#[tokio::test]
async fn queries_of_another_project_are_not_there() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = server.project("p").await?;
    let other = server.project("q").await?;
    let asked = ask(&owner, LONG);
    let id = one_in(&owner, "running").await?["id"].as_str().unwrap().to_owned();
    assert_eq!(other.get("/projects/p/queries").await?.status, 403);
    assert!(ids(&other.get("/projects/q/queries").await?).is_empty());
    for reply in [
        other.get(&format!("/projects/q/queries/{id}")).await?,
        other.delete(&format!("/projects/q/queries/{id}")).await?,
        server.admin().delete(&format!("/projects/q/queries/{id}")).await?,
        owner.get("/projects/p/queries/none").await?,
    ] {
        assert_eq!((reply.status, reply.code().as_str()), (404, "query_not_found"), "{}", reply.text);
    }
    assert_eq!(server.admin().delete(&format!("/projects/p/queries/{id}")).await?.status, 200);
    assert_eq!(asked.await??.code(), "query_cancelled");
    Ok(())
}

#[tokio::test]
async fn who_only_reads_sees_its_own_queries() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = server.project("p").await?;
    add_reader(server.data_dir(), "p", "ann's key").await?;
    add_reader(server.data_dir(), "p", "bob's key").await?;
    let (ann, bob) = (server.with_key("ann's key"), server.with_key("bob's key"));
    let asked = ask(&ann, LONG);
    let id = one_in(&ann, "running").await?["id"].as_str().unwrap().to_owned();
    let path = format!("/projects/p/queries/{id}");
    assert!(ids(&bob.get("/projects/p/queries").await?).is_empty());
    for reply in [bob.get(&path).await?, bob.delete(&path).await?] {
        assert_eq!((reply.status, reply.code().as_str()), (404, "query_not_found"), "{}", reply.text);
    }
    assert_eq!(ids(&owner.get("/projects/p/queries").await?), [id]);
    assert_eq!(ann.delete(&path).await?.status, 200);
    assert_eq!(asked.await??.code(), "query_cancelled");
    assert_eq!(owner.get(&path).await?.json()["state"], "cancelled");
    assert_eq!(bob.get(&path).await?.status, 404, "also once it has ended");
    Ok(())
}

#[tokio::test]
async fn the_history_survives_a_restart_and_comes_in_pages() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = server.project("p").await?;
    let key = owner.key().to_owned();
    let done = owner.post("/projects/p/query", &json!({ "query": "SELECT * FROM range(5000)" })).await?;
    owner.post("/projects/p/query", &json!({ "query": "SELEC" })).await?;
    owner.post("/projects/p/query", &json!({ "query": "x".repeat(20_000) })).await?;
    let before = owner.get("/projects/p/queries").await?;

    let server = TestServer::start_in(server.stop().await?, |_| {}).await?;
    let owner = server.with_key(&key);
    let after = owner.get("/projects/p/queries").await?;
    assert_eq!(after.json(), before.json());
    let queries = after.json()["queries"].clone();
    assert_eq!(queries.as_array().unwrap().len(), 3);
    assert_eq!(queries[0]["query"].as_str().unwrap().len(), 10_000);
    assert_eq!((&queries[1]["state"], &queries[1]["error_code"]), (&json!("failed"), &json!("sql_error")));
    let oldest = &queries[2];
    assert_eq!(
        (&oldest["state"], &oldest["rows"], &oldest["error_code"]),
        (&json!("done"), &json!(5000), &Value::Null)
    );
    assert_eq!(oldest["request_id"].as_str(), Some(done.header("x-request-id")));
    assert_eq!(oldest["id"].as_str(), Some(done.header("x-query-id")));

    let first = owner.get("/projects/p/queries?limit=2").await?;
    let cursor = first.json()["next_cursor"].as_str().unwrap().to_owned();
    let second = owner.get(&format!("/projects/p/queries?limit=2&cursor={cursor}")).await?;
    assert_eq!([ids(&first), ids(&second)].concat(), ids(&after));
    assert_eq!(second.json()["next_cursor"], Value::Null);
    let since = queries[1]["started_at"].as_str().unwrap();
    assert_eq!(ids(&owner.get(&format!("/projects/p/queries?since={since}")).await?).len(), 2);
    for wrong in ["state=lost", "since=noon", "cursor=x", "limit=0"] {
        let reply = owner.get(&format!("/projects/p/queries?{wrong}")).await?;
        assert_eq!((reply.status, reply.code().as_str()), (422, "validation_failed"), "{wrong}: {}", reply.text);
    }
    Ok(())
}
