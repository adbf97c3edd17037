//! SQL that writes, alone and in batches.

use anyhow::Result;
use gadwall_tests::support::{Client, Reply, TestServer, send};
use reqwest::Method;
use serde_json::{Value, json};

async fn filled(server: &TestServer) -> Result<Client<'_>> {
    let owner = server.project("p").await?;
    owner.post("/projects/p/buckets", &json!({ "name": "sales" })).await?;
    let columns = json!([{"name": "id", "type": "INT"}, {"name": "name", "type": "VARCHAR(5)"}, {"name": "v", "type": "DECIMAL(10,2)"}]);
    let table = json!({ "name": "t", "columns": columns, "primary_key": ["id"] });
    let made = owner.post("/projects/p/buckets/sales/tables", &table).await?;
    assert_eq!(made.status, 201, "{}", made.text);
    let rows =
        json!([{"id": 1, "name": "ann", "v": 1}, {"id": 2, "name": "bob", "v": 2}, {"id": 3, "name": "cy", "v": 3}]);
    owner.post("/projects/p/buckets/sales/tables/t/rows", &rows).await?;
    Ok(owner)
}

async fn run(owner: &Client<'_>, sql: &str) -> Result<Reply> {
    owner.post("/projects/p/query", &json!({ "query": sql })).await
}

async fn rows(owner: &Client<'_>, sql: &str) -> Result<Value> {
    let reply = run(owner, sql).await?;
    assert_eq!(reply.status, 200, "{sql}: {}", reply.text);
    Ok(reply.json()["rows"].clone())
}

async fn batch(owner: &Client<'_>, queries: Value) -> Result<Reply> {
    owner.post("/projects/p/batch", &json!({ "queries": queries })).await
}

async fn all(owner: &Client<'_>) -> Result<Value> {
    rows(owner, "SELECT id, name, v::DOUBLE FROM sales.t ORDER BY id").await
}

#[tokio::test]
async fn rows_are_written_by_every_verb() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = filled(&server).await?;
    let steps = [
        ("INSERT INTO sales.t VALUES (4, 'dan', 4), (5, 'eve', 5)", 2),
        ("INSERT INTO sales.t (v, id) SELECT v * 10, id + 10 FROM sales.t WHERE id <= 2", 2),
        ("insert into sales.t by name select 'f' as name, 6 as id", 1),
        ("UPDATE sales.t SET v = v + 1, name = upper(name) WHERE id = 1", 1),
        ("UPDATE sales.t AS x SET v = y.v FROM (SELECT 2 AS id, 20.5 AS v) AS y WHERE x.id = y.id", 1),
        ("DELETE FROM sales.t WHERE id > 10", 2),
        ("DELETE FROM sales.t USING (VALUES (3), (4)) AS gone(id) WHERE t.id = gone.id", 2),
        ("INSERT OR IGNORE INTO sales.t VALUES (1, 'no', 0), (7, 'g', 7)", 1),
        ("INSERT OR REPLACE INTO sales.t VALUES (7, 'G', 70)", 1),
        (
            "INSERT INTO sales.t VALUES (7, 'x', 1), (8, 'h', 8)
             ON CONFLICT (id) DO UPDATE SET v = t.v + excluded.v",
            2,
        ),
        (
            "MERGE INTO sales.t AS t USING (VALUES (1, 'up'), (9, 'new')) AS s(id, name) ON t.id = s.id
             WHEN MATCHED THEN UPDATE SET name = s.name
             WHEN NOT MATCHED THEN INSERT (id, name) VALUES (s.id, s.name)",
            2,
        ),
        ("WITH big AS (SELECT id FROM sales.t WHERE v > 60) DELETE FROM sales.t WHERE id IN (SELECT id FROM big)", 1),
    ];
    for (number, (sql, count)) in (0..).zip(steps) {
        let reply = run(&owner, sql).await?;
        assert_eq!(reply.status, 200, "{sql}: {}", reply.text);
        let body = reply.json();
        assert_eq!((&body["columns"][0]["name"], &body["rows"]), (&json!("Count"), &json!([[count]])), "{sql}");
        assert_eq!(body["snapshot_id"], json!(4 + number), "{sql}");
    }
    let left =
        json!([[1, "up", 2.0], [2, "bob", 20.5], [5, "eve", 5.0], [6, "f", null], [8, "h", 8.0], [9, "new", null]]);
    assert_eq!(all(&owner).await?, left);
    assert_eq!(rows(&owner, "TRUNCATE sales.t").await?, json!([[6]]));
    assert_eq!(all(&owner).await?, json!([]));
    Ok(())
}

#[tokio::test]
async fn values_go_to_every_part_of_a_write() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = filled(&server).await?;
    let made =
        run(&owner, "CREATE TABLE sales.n (id INT PRIMARY KEY, l INT[], s STRUCT(a INT, b VARCHAR), v INT)").await?;
    assert_eq!(made.status, 200, "{}", made.text);
    for (sql, params, count) in [
        ("INSERT INTO sales.n VALUES (?, ?, ?, ?)", json!([1, [1, 2], {"a": 1, "b": "x"}, 10]), 1),
        ("INSERT INTO sales.n (id, v) VALUES (?, ?), (?, 0)", json!([2, 20, 3]), 2),
        (
            "INSERT INTO sales.n (id, v) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET v = ?, l = ? WHERE v < ?",
            json!([1, 0, 11, [7], 100]),
            1,
        ),
        (
            "INSERT INTO sales.n (id, v) VALUES ($2, $1) ON CONFLICT DO UPDATE SET v = v + excluded.v + $3",
            json!([5, 2, 100]),
            1,
        ),
        (
            "UPDATE sales.n SET s = $s, v = v + $by WHERE id = ANY($ids)",
            json!({"s": {"a": 2, "b": null}, "by": 1, "ids": [2, 3], "unused": []}),
            2,
        ),
        ("DELETE FROM sales.n WHERE id IN (SELECT unnest(?)) AND v < ?", json!([[3, 1], 11]), 1),
        (
            "MERGE INTO sales.n AS t USING (SELECT unnest(?) AS id) AS s ON t.id = s.id
             WHEN MATCHED THEN UPDATE SET v = ? WHEN NOT MATCHED THEN INSERT (id, v, l) VALUES (s.id, ?, ?)",
            json!([[1, 9], 12, 90, [9, 9]]),
            2,
        ),
    ] {
        let reply = owner.post("/projects/p/query", &json!({ "query": sql, "params": params })).await?;
        assert_eq!((reply.status, &reply.json()["rows"]), (200, &json!([[count]])), "{sql}: {}", reply.text);
    }
    let left = json!([[1, [7], {"a": 1, "b": "x"}, 12], [2, null, {"a": 2, "b": null}, 126], [9, [9, 9], null, 90]]);
    assert_eq!(rows(&owner, "FROM sales.n ORDER BY id").await?, left);
    let made = batch(&owner, json!([
        {"query": "CREATE TEMP TABLE x AS SELECT unnest($list) AS i", "params": {"list": [1, 2, 3]}},
        {"query": "CREATE TABLE sales.m AS SELECT i, $name AS name FROM x WHERE i <> $not", "params": {"name": "m", "not": 2}},
        {"query": "SELECT list(i ORDER BY i) AS v, ? AS w FROM sales.m", "params": [{"k": [1]}]},
    ])).await?;
    assert_eq!(
        (made.status, &made.json()["results"][2]["data"]),
        (200, &json!([[[1, 3], {"k": [1]}]])),
        "{}",
        made.text
    );
    Ok(())
}

#[tokio::test]
async fn writes_say_which_values_are_missing_or_too_many() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = filled(&server).await?;
    for (sql, params, names) in [
        ("UPDATE sales.t SET v = ? WHERE id = ?", json!([1]), "$2"),
        ("UPDATE sales.t SET v = ? WHERE id = ?", json!([1, 2, 3]), "2 parameters, but 3"),
        ("UPDATE sales.t SET v = $1 WHERE id = $2", json!([1, 2, 3]), "2 parameters, but 3"),
        ("UPDATE sales.t SET v = $v WHERE id = $id", json!({"v": 1}), "$id"),
        ("UPDATE sales.t SET v = $v WHERE id = $id", json!([1, 2]), "$v has a name"),
        ("DELETE FROM sales.t WHERE id = ?", Value::Null, "$1"),
        ("TRUNCATE sales.t", json!([1]), "0 parameters, but 1"),
        ("INSERT INTO sales.t (id, v) VALUES (?, 1) ON CONFLICT DO UPDATE SET v = ?", json!([1]), "$2"),
        ("CREATE TABLE sales.c AS SELECT ? AS a", json!([1, 2]), "1 parameters, but 2"),
    ] {
        let reply = owner.post("/projects/p/query", &json!({ "query": sql, "params": params })).await?;
        assert_eq!((reply.status, reply.code().as_str()), (400, "sql_error"), "{sql}: {}", reply.text);
        assert!(reply.text.contains(names), "{sql}: {}", reply.text);
    }
    Ok(())
}

#[tokio::test]
async fn keys_lengths_and_nulls_hold_in_sql_too() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = filled(&server).await?;
    let before = all(&owner).await?;
    for (sql, status, code) in [
        ("INSERT INTO sales.t VALUES (1, 'x', 0)", 409, "duplicate_key"),
        ("INSERT INTO sales.t VALUES (8, 'x', 0), (8, 'y', 0)", 409, "duplicate_key"),
        ("INSERT INTO sales.t VALUES (8, 'too long', 0)", 422, "rows_invalid"),
        ("INSERT INTO sales.t (name) VALUES ('x')", 400, "sql_error"),
        ("UPDATE sales.t SET id = 1", 409, "duplicate_key"),
        ("UPDATE sales.t SET name = 'too long'", 422, "rows_invalid"),
        ("UPDATE sales.t SET id = NULL WHERE id = 1", 400, "sql_error"),
        ("UPDATE sales.t SET nope = 1", 400, "sql_error"),
        ("INSERT INTO sales.t VALUES (8)", 400, "sql_error"),
        ("INSERT INTO sales.t SELECT 'a', 'b', 'c'", 400, "sql_error"),
        ("INSERT INTO sales.nope VALUES (1)", 400, "sql_error"),
        ("INSERT INTO sales.t VALUES (8, 'x', 0) RETURNING id", 422, "statement_unsupported"),
        ("CREATE TABLE sales.t (a INT)", 409, "table_exists"),
        ("CREATE TABLE nope.t (a INT)", 404, "bucket_not_found"),
        ("DROP TABLE sales.nope", 400, "sql_error"),
        ("ALTER TABLE sales.t ALTER name TYPE SMALLINT", 409, "values_would_be_lost"),
    ] {
        let reply = run(&owner, sql).await?;
        assert_eq!((reply.status, reply.code().as_str()), (status, code), "{sql}: {}", reply.text);
    }
    assert_eq!(all(&owner).await?, before);
    Ok(())
}

#[tokio::test]
async fn tables_and_buckets_are_made_and_changed() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = filled(&server).await?;
    for sql in [
        "CREATE SCHEMA lab",
        "CREATE SCHEMA IF NOT EXISTS lab",
        "CREATE TABLE lab.a (id INTEGER PRIMARY KEY, note VARCHAR(3) DEFAULT 'x', made TIMESTAMP NOT NULL)",
        "CREATE TABLE IF NOT EXISTS lab.a (other INT)",
        "CREATE OR REPLACE TABLE lab.b AS SELECT id, v FROM sales.t WHERE id < 3",
        "CREATE OR REPLACE TABLE lab.b AS SELECT id, v * 2 AS v FROM lab.b",
        "ALTER TABLE lab.b ADD COLUMN more VARCHAR DEFAULT 'm'",
        "ALTER TABLE lab.b RENAME COLUMN v TO w",
        "COMMENT ON TABLE lab.b IS 'it''s b'",
        "ALTER TABLE lab.b RENAME TO c",
        "DROP TABLE IF EXISTS lab.nope",
    ] {
        let reply = run(&owner, sql).await?;
        assert_eq!(reply.status, 200, "{sql}: {}", reply.text);
    }
    assert_eq!(
        rows(&owner, "SELECT id, w::DOUBLE, more FROM lab.c ORDER BY 1").await?,
        json!([[1, 2.0, "m"], [2, 4.0, "m"]])
    );
    let made = owner.get("/projects/p/buckets/lab/tables/a").await?.json();
    assert_eq!(made["primary_key"], json!(["id"]));
    let types: Vec<_> = made["columns"].as_array().unwrap().iter().map(|column| column["type"].clone()).collect();
    assert_eq!(types, ["INTEGER", "VARCHAR(3)", "TIMESTAMP"]);
    let duplicate = "INSERT INTO lab.a VALUES (1, 'a', '2026-01-01'), (1, 'b', '2026-01-01')";
    assert_eq!(run(&owner, duplicate).await?.code(), "duplicate_key");
    assert_eq!(owner.get("/projects/p/buckets/lab/tables/c").await?.json()["comment"], json!("it's b"));
    assert_eq!(run(&owner, "DROP SCHEMA lab").await?.code(), "bucket_not_empty");
    assert_eq!(run(&owner, "DROP SCHEMA lab CASCADE").await?.status, 200);
    assert_eq!(owner.get("/projects/p/buckets/lab").await?.status, 404);
    Ok(())
}

#[tokio::test]
async fn a_batch_is_one_snapshot_or_nothing() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = filled(&server).await?;
    let done = batch(
        &owner,
        json!([
            "CREATE TEMP TABLE big AS SELECT * FROM sales.t WHERE id >= 2",
            {"query": "INSERT INTO sales.t SELECT id + $plus, name, v FROM big", "params": {"plus": 100}},
            "CREATE TABLE copies AS SELECT * FROM big",
            "UPDATE copies SET v = 0",
            "SELECT count(*) AS n, (SELECT count(*) FROM copies WHERE v = 0) AS zeros FROM sales.t",
        ]),
    )
    .await?;
    assert_eq!(done.status, 200, "{}", done.text);
    let body = done.json();
    assert_eq!(
        (&body["snapshot_id"], &body["success_count"], &body["total_queries"]),
        (&json!(4), &json!(5), &json!(5))
    );
    let data: Vec<_> = body["results"].as_array().unwrap().iter().map(|result| result["data"].clone()).collect();
    assert_eq!(data, [json!([[2]]), json!([[2]]), json!([[2]]), json!([[2]]), json!([[5, 2]])]);
    // Nothing of a failed one stands, and the temporary table is gone.
    let failed =
        batch(&owner, json!(["CREATE TABLE x (a INT)", "INSERT INTO x VALUES (1)", "SELECT * FROM big"])).await?;
    assert_eq!((failed.status, failed.code().as_str()), (400, "sql_error"), "{}", failed.text);
    assert!(failed.json()["detail"].as_str().unwrap().starts_with("batch query 3 failed"), "{}", failed.text);
    assert_eq!(failed.json()["details"]["statement"], json!(3));
    assert_eq!(owner.get("/projects/p/buckets/main/tables/x").await?.status, 404);
    let twice =
        batch(&owner, json!(["ALTER TABLE copies ADD COLUMN q INT", "ALTER TABLE copies DROP COLUMN q"])).await?;
    assert_eq!((twice.status, twice.code().as_str()), (422, "multiple_ddl"), "{}", twice.text);
    let reads = batch(&owner, json!(["SELECT 1", "SELECT count(*) FROM copies"])).await?.json();
    assert_eq!((&reads["snapshot_id"], &reads["results"][1]["data"]), (&json!(4), &json!([[2]])));
    Ok(())
}

#[tokio::test]
async fn buckets_are_what_the_script_made_of_them() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = filled(&server).await?;
    let fails = |steps: Value, code: &'static str| {
        let owner = &owner;
        async move {
            let reply = batch(owner, steps.clone()).await?;
            assert_eq!(reply.code(), code, "{steps}: {}", reply.text);
            anyhow::Ok(())
        }
    };
    for steps in [
        json!(["CREATE SCHEMA y", "CREATE TABLE y.t AS SELECT 1 AS a", "DROP TABLE y.t", "DROP SCHEMA y"]),
        json!(["CREATE SCHEMA y", "CREATE TABLE y.t (a INT)", "CREATE VIEW y.v AS FROM y.t", "DROP SCHEMA y CASCADE"]),
        json!([
            "CREATE SCHEMA y",
            "CREATE TABLE y.t (a INT)",
            "DROP SCHEMA y CASCADE",
            "CREATE SCHEMA y",
            "CREATE TABLE y.u (b INT)"
        ]),
        json!(["DROP SCHEMA y CASCADE", "CREATE SCHEMA y", "CREATE TABLE y.u AS SELECT 7 AS c"]),
        json!([
            "DROP TABLE y.u",
            "DROP SCHEMA y",
            "DROP SCHEMA IF EXISTS y",
            "CREATE SCHEMA y",
            "CREATE SCHEMA IF NOT EXISTS y"
        ]),
    ] {
        let reply = batch(&owner, steps.clone()).await?;
        assert_eq!(reply.status, 200, "{steps}: {}", reply.text);
        if steps.as_array().unwrap().len() == 3 {
            assert_eq!(rows(&owner, "SELECT c FROM y.u").await?, json!([[7]]));
        }
    }
    assert_eq!(owner.get("/projects/p/buckets/y/tables/u").await?.status, 404);
    fails(json!(["CREATE SCHEMA z", "CREATE TABLE z.t (a INT)", "DROP SCHEMA z"]), "bucket_not_empty").await?;
    fails(json!(["DROP SCHEMA y", "DROP SCHEMA y"]), "bucket_not_found").await?;
    fails(json!(["DROP SCHEMA sales CASCADE", "CREATE SCHEMA sales", "SELECT * FROM sales.t"]), "sql_error").await?;
    fails(json!(["DROP SCHEMA sales CASCADE", "CREATE SCHEMA sales", "DROP TABLE sales.t"]), "sql_error").await?;
    assert_eq!(owner.get("/projects/p/buckets/z").await?.status, 404);
    assert_eq!(all(&owner).await?.as_array().map(Vec::len), Some(3));
    Ok(())
}

#[tokio::test]
async fn a_temporary_table_takes_the_names_of_its_columns() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = filled(&server).await?;
    let made = batch(
        &owner,
        json!([
            "CREATE TEMP TABLE x (a, \"b c\") AS SELECT id, name FROM sales.t",
            "SELECT max(a), max(\"b c\") FROM x"
        ]),
    );
    assert_eq!(made.await?.json()["results"][1]["data"], json!([[3, "cy"]]));
    let fewer = batch(&owner, json!(["CREATE TEMP TABLE x (a) AS SELECT id, name FROM sales.t"])).await?;
    assert_eq!(fewer.code(), "sql_error", "{}", fewer.text);
    Ok(())
}

#[tokio::test]
async fn without_a_transaction_what_came_before_a_failure_stands() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = filled(&server).await?;
    let queries =
        json!(["INSERT INTO sales.t VALUES (4, 'd', 4)", "INSERT INTO sales.t VALUES (4, 'd', 4)", "TRUNCATE sales.t"]);
    let reply = owner.post("/projects/p/batch", &json!({ "queries": queries, "use_transaction": false })).await?;
    assert_eq!(reply.status, 200, "{}", reply.text);
    let body = reply.json();
    assert_eq!((&body["success_count"], &body["total_queries"]), (&json!(1), &json!(3)));
    assert_eq!((&body["error"]["code"], &body["error"]["details"]["statement"]), (&json!("duplicate_key"), &json!(2)));
    assert_eq!(rows(&owner, "SELECT count(*) FROM sales.t").await?, json!([[4]]));
    Ok(())
}

#[tokio::test]
async fn a_dry_run_changes_nothing() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = filled(&server).await?;
    let before = all(&owner).await?;
    let tried = owner.post("/projects/p/query?dry_run=true", &json!({ "query": "DELETE FROM sales.t" })).await?;
    assert_eq!((tried.status, &tried.json()["rows"]), (200, &json!([[3]])), "{}", tried.text);
    let described = owner.post("/projects/p/query?dry_run=true", &json!({ "query": "SELECT id FROM sales.t" })).await?;
    assert_eq!(described.json()["rows"], json!([]), "{}", described.text);
    assert_eq!(described.json()["columns"], json!([{"name": "id", "type": "INTEGER"}]));
    assert_eq!(all(&owner).await?, before);
    Ok(())
}

#[tokio::test]
async fn a_dry_run_tells_what_is_read_and_written() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = filled(&server).await?;
    run(&owner, "CREATE VIEW sales.w AS SELECT id FROM sales.t").await?;
    for (sql, reads, writes) in [
        ("SELECT t.id FROM sales.t JOIN sales.w USING (id)", json!(["sales.t", "sales.w"]), json!([])),
        ("SELECT 1", json!([]), json!([])),
        ("INSERT INTO sales.t (id) SELECT id + 10 FROM sales.w", json!(["sales.w"]), json!(["sales.t"])),
        ("DELETE FROM sales.t WHERE id > 100", json!(["sales.t"]), json!(["sales.t"])),
        ("TRUNCATE sales.t", json!([]), json!(["sales.t"])),
        ("CREATE TABLE sales.u AS FROM sales.w", json!(["sales.w"]), json!(["sales.u"])),
        ("DROP VIEW sales.w", json!([]), json!(["sales.w"])),
    ] {
        let reply = owner.post("/projects/p/query?dry_run=true", &json!({ "query": sql })).await?;
        let body = reply.json();
        assert_eq!((&body["tables_read"], &body["tables_written"]), (&reads, &writes), "{sql}: {}", reply.text);
    }
    let twice = json!({ "query": "INSERT INTO sales.t VALUES (1, 'x', 0)" });
    assert_eq!(owner.post("/projects/p/query?dry_run=true", &twice).await?.code(), "duplicate_key");
    let steps =
        json!(["CREATE TEMP TABLE x AS SELECT id FROM sales.t", "UPDATE sales.t SET v = 0 WHERE id IN (FROM x)"]);
    let tried = owner.post("/projects/p/batch", &json!({ "queries": steps, "dry_run": true })).await?.json();
    let told = |number: usize| {
        (tried["results"][number]["tables_read"].clone(), tried["results"][number]["tables_written"].clone())
    };
    assert_eq!((told(0), told(1)), ((json!(["sales.t"]), json!([])), (json!(["sales.t"]), json!(["sales.t"]))));
    assert!(run(&owner, "SELECT 1").await?.json().get("tables_read").is_none());
    Ok(())
}

#[tokio::test]
async fn writes_are_not_asked_safely() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = filled(&server).await?;
    let write = "DELETE FROM sales.t";
    let get = send(owner.request(Method::GET, "/projects/p/query").query(&[("query", write)])).await?;
    let query = owner.request(Method::from_bytes(b"QUERY")?, "/projects/p/query").json(&json!({ "query": write }));
    let past = owner.post("/projects/p/query?snapshot=3", &json!({ "query": write })).await?;
    for refused in [get, send(query).await?, past] {
        assert_eq!((refused.status, refused.code().as_str()), (422, "statement_unsupported"), "{}", refused.text);
    }
    let table = owner.post("/tables/sales.t/query", &json!({ "query": write })).await?;
    assert_eq!((table.status, table.code().as_str()), (422, "statement_unsupported"), "{}", table.text);
    assert_eq!(rows(&owner, "SELECT count(*) FROM sales.t").await?, json!([[3]]));
    Ok(())
}

#[tokio::test]
async fn a_repeated_write_is_carried_out_once() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = filled(&server).await?;
    let body = json!({ "query": "UPDATE sales.t SET v = v + 1" });
    let once = || owner.request(Method::POST, "/projects/p/query").header("Idempotency-Key", "k1").json(&body);
    let (first, second) = (send(once()).await?, send(once()).await?);
    assert_eq!((first.status, &first.text), (200, &second.text), "{}", first.text);
    assert_eq!(rows(&owner, "SELECT sum(v)::DOUBLE FROM sales.t").await?, json!([[9.0]]));
    Ok(())
}

#[tokio::test]
async fn the_older_service_is_spoken_too() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = filled(&server).await?;
    let path = "/api/v1/duckdb/query";
    let run = async |body: Value| owner.post(path, &body).await;
    let all = run(json!({ "query": "SELECT id, name FROM sales.t WHERE id > $id ORDER BY id", "params": {"id": 1, "limit": 100} })).await?;
    assert_eq!(all.status, 200, "{}", all.text);
    let body = all.json();
    assert_eq!((&body["data"], &body["row_count"]), (&json!([[2, "bob"], [3, "cy"]]), &json!(2)));
    assert!(
        body["execution_time"].is_f64() && body["memory_usage"].is_f64() && body["columns"] == json!(["id", "name"])
    );
    let sql = "SELECT id FROM sales.t ORDER BY id";
    for (mode, data, count) in
        [("one", json!([1]), json!(1)), ("many", json!([[1], [2], [3]]), json!(3)), ("none", Value::Null, Value::Null)]
    {
        let body = run(json!({ "query": sql, "fetch_mode": mode })).await?.json();
        assert_eq!((&body["data"], &body["row_count"]), (&data, &count), "{mode}");
        assert_eq!(body["query_hash"], run(json!({ "query": sql })).await?.json()["query_hash"]);
    }
    let none = run(json!({ "query": "SELECT id FROM sales.t WHERE id = 99", "fetch_mode": "one" })).await?.json();
    assert_eq!((&none["data"], &none["row_count"]), (&Value::Null, &json!(0)));
    let placed = run(json!({ "query": "SELECT ?", "params": {"1": "x"} })).await?.json();
    assert_eq!(placed["data"], json!([["x"]]));
    let changed = run(json!({ "query": "DELETE FROM sales.t WHERE id = 1" })).await?.json();
    assert_eq!((&changed["columns"], &changed["data"]), (&json!(["Count"]), &json!([[1]])));
    for (body, status) in [
        (json!({ "query": "SELECT nope" }), 400),
        (json!({ "query": "" }), 422),
        (json!({ "query": sql, "fetch_mode": "some" }), 422),
        (json!({ "query": sql, "timeout_seconds": 0 }), 422),
        (json!({ "query": sql, "timeout_seconds": 301 }), 422),
    ] {
        assert_eq!(run(body.clone()).await?.status, status, "{body}");
    }
    let batch = owner.post("/api/v1/duckdb/batch", &json!({ "queries": ["SELECT 1", "SELECT 2"] })).await?;
    assert_eq!((batch.status, &batch.json()["results"][1]["data"]), (200, &json!([[2]])), "{}", batch.text);
    assert_eq!(owner.post("/api/v1/duckdb/batch", &json!({ "queries": [] })).await?.status, 422);
    Ok(())
}
