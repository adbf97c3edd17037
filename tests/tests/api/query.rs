//! Queries over HTTP.

use anyhow::Result;
use gadwall_tests::support::{Client, Reply, TestServer, send};
use reqwest::Method;
use serde_json::{Value, json};

async fn filled(server: &TestServer) -> Result<Client<'_>> {
    let owner = server.project("p").await?;
    owner.post("/projects/p/buckets", &json!({ "name": "sales" })).await?;
    let columns = json!([{"name": "id", "type": "INT"}, {"name": "customer", "type": "TEXT"}, {"name": "amount", "type": "DECIMAL(10,2)"}]);
    owner.post("/projects/p/buckets/sales/tables", &json!({ "name": "orders", "columns": columns })).await?;
    let rows = json!([{"id": 1, "customer": "ann", "amount": "10.50"}, {"id": 2, "customer": "bob", "amount": 20}, {"id": 3, "customer": "ann", "amount": 0.25}]);
    owner.post("/projects/p/buckets/sales/tables/orders/rows", &rows).await?;
    Ok(owner)
}

async fn run(owner: &Client<'_>, body: Value) -> Result<Reply> {
    owner.post("/projects/p/query", &body).await
}

#[tokio::test]
async fn a_query_answers_columns_rows_and_the_snapshot_it_read() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = filled(&server).await?;
    let reply = run(&owner, json!({ "query": "SELECT customer, sum(amount) AS total, count(*) AS n FROM sales.orders GROUP BY ALL ORDER BY 1" })).await?;
    assert_eq!(reply.status, 200, "{}", reply.text);
    let body = reply.json();
    let columns = json!([{"name": "customer", "type": "VARCHAR"}, {"name": "total", "type": "DECIMAL(38,2)"}, {"name": "n", "type": "BIGINT"}]);
    assert_eq!(body["columns"], columns);
    assert_eq!(body["rows"], json!([["ann", 10.75, 2], ["bob", 20.00, 1]]));
    assert_eq!((&body["row_count"], &body["snapshot_id"]), (&json!(2), &json!(3)));
    let names: Vec<&String> = body.as_object().into_iter().flat_map(serde_json::Map::keys).collect();
    assert_eq!(names, ["columns", "rows", "row_count", "snapshot_id", "statistics"]);
    Ok(())
}

#[tokio::test]
async fn parameters_are_bound_by_position_and_by_name() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = filled(&server).await?;
    for (sql, params, expected) in [
        ("SELECT id FROM sales.orders WHERE customer = ? AND id > ?", json!(["ann", 1]), json!([[3]])),
        ("SELECT id FROM sales.orders WHERE customer = $2 AND id > $1", json!([1, "ann"]), json!([[3]])),
        ("SELECT $n AS v", json!({"n": 3, "unused": 1}), json!([[3]])),
        ("SELECT ? AS v", json!({"1": "x"}), json!([["x"]])),
        (
            "SELECT ?::BIGINT, ?, ?",
            json!([9_007_199_254_740_993_u64, null, true]),
            json!([[9_007_199_254_740_993_u64, null, true]]),
        ),
    ] {
        let reply = run(&owner, json!({ "query": sql, "params": params })).await?;
        assert_eq!((reply.status, &reply.json()["rows"]), (200, &expected), "{sql}: {}", reply.text);
    }
    for params in [json!([]), json!(["a", "b"]), json!({"m": 1})] {
        let reply = run(&owner, json!({ "query": "SELECT $n AS v", "params": params })).await?;
        assert_eq!((reply.status, reply.code().as_str()), (400, "sql_error"), "{params}: {}", reply.text);
    }
    assert_eq!(run(&owner, json!({ "query": "SELECT 1", "params": 3 })).await?.status, 422);
    Ok(())
}

#[tokio::test]
async fn lists_and_objects_are_parameters() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = filled(&server).await?;
    for (sql, params, expected) in [
        ("SELECT ? AS v", json!([[1, 2.5, null]]), json!([[[1.0, 2.5, null]]])),
        (
            "SELECT $v AS v, $n + 1",
            json!({"v": {"a": [1, 2], "b c": {"D": "x"}}, "n": 1}),
            json!([[{"a": [1, 2], "b c": {"D": "x"}}, 2]]),
        ),
        (
            "SELECT id FROM sales.orders WHERE id IN (SELECT unnest(?)) AND id < ? ORDER BY id",
            json!([[1, 3, 7], 3]),
            json!([[1]]),
        ),
        (
            "SELECT id FROM sales.orders WHERE list_contains($1, id) AND id < $2 ORDER BY id",
            json!([[1, 3], 9]),
            json!([[1], [3]]),
        ),
        ("SELECT count(*) FROM sales.orders WHERE id = ANY(?)", json!([[]]), json!([[0]])),
        (
            "SELECT count(*) FROM sales.orders WHERE customer IN ?",
            json!([["ann", "'); DROP TABLE x --"]]),
            json!([[2]]),
        ),
        (
            "SELECT typeof(?), typeof(?)",
            json!([[1, 5_000_000_000_u64], {"k": [true]}]),
            json!([["BIGINT[]", "STRUCT(k BOOLEAN[])"]]),
        ),
        (
            "SELECT s.a, s['b'] FROM (SELECT unnest($rows) AS s)",
            json!({"rows": [{"a": 1, "b": "x"}, {"a": 2, "b": null}]}),
            json!([[1, "x"], [2, null]]),
        ),
        ("SELECT $x[1], $X[2], $gw0_0", json!({"x": ["a", "b"], "gw0_0": "own"}), json!([["a", "b", "own"]])),
    ] {
        let reply = run(&owner, json!({ "query": sql, "params": params })).await?;
        assert_eq!((reply.status, &reply.json()["rows"]), (200, &expected), "{sql}: {}", reply.text);
    }
    let answer = run(&owner, json!({ "query": "SELECT $v, $n + 1", "params": {"v": [1], "n": 2} })).await?;
    let names: Vec<Value> =
        answer.json()["columns"].as_array().unwrap().iter().map(|column| column["name"].clone()).collect();
    assert_eq!(names, ["$v", "($n + 1)"]);
    let numbered = run(&owner, json!({ "query": "SELECT ?, ?", "params": [[1], 2] })).await?;
    assert_eq!(numbered.json()["columns"][1]["name"], "$2");
    Ok(())
}

#[tokio::test]
async fn parameters_have_bounds() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = filled(&server).await?;
    let many: Vec<u32> = (0..10_000).collect();
    let reply = run(&owner, json!({ "query": "SELECT list_sum(?)::BIGINT", "params": [many] })).await?;
    assert_eq!((reply.status, &reply.json()["rows"]), (200, &json!([[49_995_000]])), "{}", reply.text);
    let mut deep = json!(1);
    for _ in 0..17 {
        deep = json!([deep]);
    }
    let more: Vec<u32> = (0..10_001).collect();
    for (sql, params) in [
        ("SELECT ?", json!([more])),
        ("SELECT $1, $1", json!([many])),
        ("SELECT ?", json!([deep])),
        ("SELECT ?", json!([{}])),
        ("SELECT ?", json!([{"": 1}])),
    ] {
        let reply = run(&owner, json!({ "query": sql, "params": params })).await?;
        assert_eq!((reply.status, reply.code().as_str()), (422, "statement_unsupported"), "{sql}: {}", reply.text);
    }
    Ok(())
}

#[tokio::test]
async fn a_kept_result_is_that_of_its_list() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = filled(&server).await?;
    for list in [json!([1]), json!([1, 2]), json!([[1], [2]]), json!({"a": 1}), json!([1])] {
        let reply = run(&owner, json!({ "query": "SELECT ? AS v", "params": [list] })).await?;
        assert_eq!(reply.json()["rows"], json!([[list]]), "{}", reply.text);
    }
    Ok(())
}

#[tokio::test]
async fn wrong_statements_say_what_is_wrong() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = filled(&server).await?;
    for (sql, status, code) in [
        ("SELEC 1", 400, "sql_error"),
        ("SELECT nope FROM sales.orders", 400, "sql_error"),
        ("SELECT 'x'::INT", 400, "sql_error"),
        ("SELECT * FROM sales.order", 400, "sql_error"),
        ("", 400, "sql_error"),
        ("SELECT 1; SELECT 2", 422, "statement_unsupported"),
        ("INSERT INTO sales.orders VALUES (1, 'x', 1) RETURNING *", 422, "statement_unsupported"),
        ("CREATE SEQUENCE s", 422, "statement_unsupported"),
        ("SET threads = 1", 403, "statement_forbidden"),
        ("ATTACH 'x.db'", 403, "statement_forbidden"),
        ("SELECT * FROM read_csv('/etc/passwd')", 403, "statement_forbidden"),
    ] {
        let reply = run(&owner, json!({ "query": sql })).await?;
        assert_eq!((reply.status, reply.code().as_str()), (status, code), "{sql}: {}", reply.text);
        assert!(!reply.text.contains("p_"), "no internal names: {}", reply.text);
    }
    let near = run(&owner, json!({ "query": "SELECT * FROM sales.order" })).await?;
    assert!(near.json()["detail"].as_str().unwrap().contains("sales.orders"), "{}", near.text);
    assert_eq!(owner.get("/projects/p/buckets/sales/tables/orders").await?.json()["row_count"], 3);
    Ok(())
}

#[tokio::test]
async fn a_query_is_stopped_at_its_deadline() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = filled(&server).await?;
    let started = std::time::Instant::now();
    let endless = "SELECT count(*) FROM range(100000000) a, range(100000000) b WHERE a.range + b.range = 7";
    let reply = run(&owner, json!({ "query": endless, "timeout_seconds": 1 })).await?;
    assert_eq!((reply.status, reply.code().as_str()), (504, "query_timeout"), "{}", reply.text);
    assert!(started.elapsed().as_secs() < 10);
    for seconds in [0, 301, -1] {
        let reply = run(&owner, json!({ "query": "SELECT 1", "timeout_seconds": seconds })).await?;
        assert_eq!(reply.status, 422, "{seconds}");
    }
    Ok(())
}

#[tokio::test]
async fn a_failure_in_the_middle_looks_like_a_failure() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = filled(&server).await?;
    let late = "SELECT CASE WHEN range = 900000 THEN error('late')::INT ELSE 1 END FROM range(1000000)";
    let body = json!({ "query": late });
    let answer = send(owner.request(Method::POST, "/projects/p/query").json(&body)).await;
    match answer {
        Ok(reply) => assert_eq!(
            reply.status,
            400,
            "only a whole answer may arrive whole: {}",
            &reply.text[..200.min(reply.text.len())]
        ),
        Err(error) => assert!(error.to_string().contains("broke off"), "{error}"),
    }
    Ok(())
}

#[tokio::test]
async fn large_results_arrive_whole() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = filled(&server).await?;
    let reply = run(&owner, json!({ "query": "SELECT range AS i, repeat('x', 20) AS s FROM range(300000)" })).await?;
    let body = reply.json();
    assert_eq!((reply.status, &body["row_count"]), (200, &json!(300_000)));
    assert_eq!(body["rows"].as_array().unwrap().len(), 300_000);
    assert_eq!(body["rows"][299_999][0], 299_999);
    Ok(())
}

#[tokio::test]
async fn who_does_not_take_rows_gets_none() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = filled(&server).await?;
    let ask = |accept: &'static str| {
        let body = json!({ "query": "SELECT 1" });
        send(owner.request(Method::POST, "/projects/p/query").header("Accept", accept).json(&body))
    };
    assert_eq!(ask("image/png").await?.code(), "not_acceptable");
    for accept in ["*/*", "application/json", "text/csv;q=0.4, application/json;q=0.5", "application/*"] {
        assert_eq!(ask(accept).await?.json()["rows"], json!([[1]]), "{accept}");
    }
    Ok(())
}

#[tokio::test]
async fn readers_that_stop_reading_give_their_places_back_and_get_half_an_answer() -> Result<()> {
    let server = TestServer::start_with(|config| {
        config.engine.max_queries = 2;
        config.engine.queue_timeout = std::time::Duration::from_secs(20);
    })
    .await?;
    let owner = filled(&server).await?;
    let endless = json!({ "query": "SELECT repeat('x', 1000) FROM range(100000000)", "timeout_seconds": 1 });
    let mut stalled = Vec::new();
    for _ in 0..2 {
        stalled.push(owner.request(Method::POST, "/projects/p/query").json(&endless).send().await?);
    }
    let reply = run(&owner, json!({ "query": "SELECT 1" })).await?;
    assert_eq!(reply.status, 200, "{}", reply.text);
    for answer in stalled {
        assert!(answer.bytes().await.is_err(), "only a whole answer may arrive whole");
    }
    Ok(())
}
