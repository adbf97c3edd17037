//! SQL that writes, by those who mean no good and those who write it unusually.

use std::time::{Duration, Instant};

use anyhow::Result;
use gadwall_domain::access::Scope;
use gadwall_tests::support::{Client, Reply, TestServer, send};
use reqwest::Method;
use serde_json::{Value, json};

use crate::isolation::limited_key;

async fn filled(server: &TestServer) -> Result<Client<'_>> {
    let owner = server.project("p").await?;
    for sql in [
        "CREATE SCHEMA sales",
        "CREATE TABLE sales.t (id INT PRIMARY KEY, name VARCHAR(5) DEFAULT 'new', v DECIMAL(10,2))",
        "INSERT INTO sales.t VALUES (1, 'ann', 1), (2, 'bob', 2), (3, 'cy', 3)",
        "CREATE TABLE sales.free (i INT, s VARCHAR DEFAULT 'it''s', n INT DEFAULT -1)",
        "CREATE TABLE main.m (i INT)",
    ] {
        let made = run(&owner, sql).await?;
        assert_eq!(made.status, 200, "{sql}: {}", made.text);
    }
    Ok(owner)
}

async fn run(client: &Client<'_>, sql: &str) -> Result<Reply> {
    client.post("/projects/p/query", &json!({ "query": sql })).await
}

async fn rows(client: &Client<'_>, sql: &str) -> Result<Value> {
    let reply = run(client, sql).await?;
    assert_eq!(reply.status, 200, "{sql}: {}", reply.text);
    Ok(reply.json()["rows"].clone())
}

async fn batch(client: &Client<'_>, queries: &[&str]) -> Result<Reply> {
    client.post("/projects/p/batch", &json!({ "queries": queries })).await
}

/// The rows of the last statement, or why there are none.
async fn last(client: &Client<'_>, queries: &[&str]) -> Result<Value> {
    let reply = batch(client, queries).await?;
    let results = reply.json()["results"].as_array().cloned();
    Ok(results.and_then(|results| Some(results.last()?["data"].clone())).unwrap_or_else(|| json!(reply.text)))
}

fn differing(found: Vec<(String, Value, Value)>) {
    let wrong: Vec<_> = found.into_iter().filter(|(_, found, wanted)| found != wanted).collect();
    let told: Vec<_> = wrong.iter().map(|(what, found, wanted)| format!("{what}\n  {found}\n  {wanted}")).collect();
    assert!(wrong.is_empty(), "what, found, wanted:\n{}", told.join("\n"));
}

#[tokio::test]
async fn rows_of_the_same_script_keep_their_identity() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = filled(&server).await?;
    let many = "INSERT INTO w SELECT i, 0 FROM range(1000, 9000) r(i)";
    let mut found = Vec::new();
    for (steps, select, wanted) in [
        (
            &[
                "INSERT INTO w VALUES (1, 0), (2, 0)",
                "INSERT INTO w VALUES (3, 0), (4, 0)",
                "DELETE FROM w WHERE id = 1",
            ][..],
            "SELECT list(id ORDER BY id) FROM w",
            json!([[[2, 3, 4]]]),
        ),
        (
            &[
                "INSERT INTO w VALUES (1, 0), (2, 0)",
                "INSERT INTO w VALUES (3, 0)",
                "UPDATE w SET v = id WHERE id <> 2",
                "UPDATE w SET v = v + 10 WHERE id = 1",
                "DELETE FROM w WHERE id = 3",
            ][..],
            "SELECT id, v FROM w ORDER BY id",
            json!([[1, 11], [2, 0]]),
        ),
        (
            &[
                many,
                "INSERT INTO w VALUES (1, 0)",
                "UPDATE w SET v = 1 WHERE id < 1001",
                "DELETE FROM w WHERE id = 1001",
                many,
                "DELETE FROM w WHERE id = 1 OR id = 1002",
            ][..],
            "SELECT count(*), sum(v)::INT, min(id) FROM w",
            json!([[15997, 1, 1000]]),
        ),
    ] {
        for before in [
            &[][..],
            &["INSERT INTO w VALUES (50, 0), (51, 0), (52, 0)"],
            &["INSERT INTO w SELECT i, 0 FROM range(20000, 25000) r(i)"],
        ] {
            rows(&owner, "CREATE OR REPLACE TABLE w (id INT, v INT)").await?;
            for sql in before {
                rows(&owner, sql).await?;
            }
            let select = format!(
                "SELECT * FROM ({}) WHERE true",
                select.replace("FROM w", "FROM (FROM w WHERE id < 20000 AND id NOT BETWEEN 50 AND 52)")
            );
            let within: Vec<&str> = steps.iter().copied().chain([&*select]).collect();
            found.push((format!("within {before:?} {steps:?}"), last(&owner, &within).await?, wanted.clone()));
            found.push((format!("after {before:?} {steps:?}"), rows(&owner, &select).await?, wanted.clone()));
            let total = [0, 3, 5000][before.first().map_or(0, |sql| if sql.contains("range") { 2 } else { 1 })];
            let kept = rows(&owner, "SELECT count(*) FROM w WHERE id >= 20000 OR id BETWEEN 50 AND 52").await?;
            found.push((format!("kept {before:?} {steps:?}"), kept, json!([[total]])));
        }
    }
    differing(found);
    Ok(())
}

#[tokio::test]
async fn what_is_not_understood_is_refused() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = filled(&server).await?;
    let before = rows(&owner, "FROM sales.t ORDER BY id").await?;
    let mut found = Vec::new();
    for (script, status) in [
        (&["INSERT INTO sales.t (id, id) VALUES (50, 51)"][..], 400),
        (&["INSERT INTO sales.t (id, nope) VALUES (50, 51)"], 400),
        (&["UPDATE sales.t SET v = 1, V = 2"], 400),
        (&["UPDATE sales.t SET id = NULL"], 400),
        (&["INSERT INTO sales.t VALUES (NULL, 'x', 1)"], 400),
        (&["INSERT OR REPLACE INTO sales.t VALUES (NULL, 'x', 1)"], 400),
        (&["INSERT INTO sales.t VALUES (5, 'x', 1), (5, 'y', 1) ON CONFLICT DO UPDATE SET v = 0"], 409),
        (&["INSERT INTO sales.t VALUES (1, 'toolong', 1) ON CONFLICT DO NOTHING"], 422),
        (&["INSERT INTO sales.t VALUES (1, 'x', 1) ON CONFLICT DO UPDATE SET name = 'toolong'"], 422),
        (&["INSERT INTO sales.t VALUES (1, 'x', 1) ON CONFLICT DO UPDATE SET id = 2"], 409),
        (&["INSERT INTO sales.t VALUES (1, 'x', 1) ON CONFLICT (name) DO UPDATE SET v = 2"], 400),
        (
            &[
                "MERGE INTO sales.t USING (VALUES (9), (9)) s(id) ON t.id = s.id WHEN NOT MATCHED THEN INSERT (id) VALUES (s.id)",
            ],
            409,
        ),
        (
            &[
                "MERGE INTO sales.t USING (VALUES (9)) s(id) ON t.id = s.id WHEN NOT MATCHED THEN INSERT (id, name) VALUES (s.id, 'toolong')",
            ],
            422,
        ),
        (
            &[
                "MERGE INTO sales.t USING (VALUES (1)) s(id) ON t.id = s.id WHEN MATCHED THEN UPDATE SET name = 'toolong'",
            ],
            422,
        ),
        (&["MERGE INTO sales.t USING (VALUES (1)) s(id) ON t.id = s.id WHEN MATCHED THEN UPDATE SET id = 2"], 409),
        (
            &[
                "MERGE INTO sales.t USING (VALUES (9)) s(id) ON t.id = s.id WHEN NOT MATCHED THEN INSERT (id) VALUES (NULL)",
            ],
            400,
        ),
        (&["MERGE INTO sales.t USING (VALUES (1), (1)) s(id) ON t.id = s.id WHEN MATCHED THEN DELETE"], 400),
        (&["UPDATE sales.t SET id = id + 1 WHERE id = 1"], 409),
        (&["CREATE TEMP TABLE k (id INT PRIMARY KEY)", "INSERT INTO k VALUES (1), (1)"], 422),
        (&["CREATE TEMP TABLE k (id INT)", "INSERT OR IGNORE INTO k VALUES (1), (1)"], 422),
        (&["SELECT * FROM temp.main.__gadwall_script_0"], 403),
        (&["CREATE TEMP TABLE k AS SELECT 1 AS a", "SELECT * FROM __gadwall_script_0"], 400),
        (&["CREATE TEMP TABLE k AS SELECT 1 AS a", "SELECT * FROM temp.main.k"], 403),
        (&["DELETE FROM sales.t WHERE id IN (SELECT id FROM excluded)"], 400),
        (&["UPDATE __ducklake_metadata_lake.ducklake_table SET table_name = 'x'"], 400),
        (&["SELECT * FROM range(100001)"], 413),
        (&["COMMIT"], 403),
        (&["ROLLBACK"], 403),
        (&["ATTACH ':memory:' AS z"], 403),
        (&["SET threads = 1"], 403),
        (&["INSERT INTO sales.t SELECT 7, 'x', 1; DELETE FROM sales.t"], 422),
        (&["CREATE TABLE sales.g (a INT, b INT GENERATED ALWAYS AS (a + 1))"], 422),
        (&["INSERT INTO sales.t SELECT 7, content, 1 FROM read_text('/etc/passwd')"], 403),
        (&["UPDATE sales.t SET name = (SELECT content FROM read_text('/etc/passwd'))"], 403),
        (&["UPDATE sales.t SET v = 1) , id = (9"], 400),
    ] {
        let reply = batch(&owner, script).await?;
        found.push((format!("{script:?} {}", reply.text), json!(reply.status), json!(status)));
        found.push((format!("{script:?}: the rows"), rows(&owner, "FROM sales.t ORDER BY id").await?, before.clone()));
    }
    differing(found);
    Ok(())
}

#[tokio::test]
async fn a_key_reaches_no_further_by_sql() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = filled(&server).await?;
    let (read, write, manage) = (Scope::Read, Scope::Write, Scope::Manage);
    let all = limited_key(&server, owner.key(), &[read, write, manage], Some("sales")).await?;
    let all = server.with_key(&all);
    let writer = limited_key(&server, owner.key(), &[read, write], None).await?;
    let writer = server.with_key(&writer);
    let reader = limited_key(&server, owner.key(), &[read], None).await?;
    let reader = server.with_key(&reader);
    let head = || async { Ok::<_, anyhow::Error>(run(&owner, "SELECT 1").await?.json()["snapshot_id"].clone()) };
    let before = head().await?;
    let mut found = Vec::new();
    for sql in [
        "INSERT INTO main.m VALUES (1)",
        "INSERT INTO m VALUES (1)",
        "INSERT INTO lake.main.m VALUES (1)",
        "INSERT INTO \"MAIN\".\"M\" VALUES (1)",
        "INSERT INTO sales.free (i) SELECT i FROM main.m",
        "INSERT INTO sales.free (i) SELECT (SELECT count(*) FROM m)",
        "UPDATE main.m SET i = 1",
        "UPDATE sales.t SET v = (SELECT count(*) FROM main.m)",
        "UPDATE sales.t SET v = 1 FROM main.m AS sales",
        "DELETE FROM main.m",
        "WITH m AS (SELECT 1 AS i) DELETE FROM main.m",
        "WITH s AS (FROM main.m) UPDATE sales.t SET v = 1 FROM s",
        "DELETE FROM sales.t USING main.m",
        "TRUNCATE main.m",
        "TRUNCATE m",
        "MERGE INTO main.m USING sales.t ON m.i = t.id WHEN MATCHED THEN DELETE",
        "MERGE INTO sales.t USING main.m ON m.i = t.id WHEN MATCHED THEN DELETE",
        "CREATE TABLE main.n (i INT)",
        "CREATE TABLE n (i INT)",
        "CREATE TABLE sales.n AS FROM main.m",
        "CREATE OR REPLACE TABLE main.m (j INT)",
        "CREATE TABLE IF NOT EXISTS main.m (j INT)",
        "DROP TABLE main.m",
        "DROP TABLE IF EXISTS main.m",
        "ALTER TABLE main.m ADD COLUMN x INT",
        "ALTER TABLE IF EXISTS main.m RENAME TO n",
        "COMMENT ON TABLE main.m IS 'x'",
        "COMMENT ON COLUMN main.m.i IS 'x'",
        "CREATE SCHEMA other",
        "DROP SCHEMA main CASCADE",
        "DROP SCHEMA IF EXISTS main CASCADE",
        "CREATE SCHEMA IF NOT EXISTS main",
        "CREATE TEMP TABLE q AS FROM main.m",
    ] {
        for path in ["query", "query?dry_run=true"] {
            let reply = all.post(&format!("/projects/p/{path}"), &json!({ "query": sql })).await?;
            found.push((
                format!("{path} {sql} {}", reply.text),
                json!(reply.status == 400 || reply.status == 403),
                json!(true),
            ));
        }
        let reply = batch(&all, &["CREATE TEMP TABLE excluded AS SELECT 1 AS i", sql]).await?;
        found.push((format!("{sql} {}", reply.text), json!(reply.status == 400 || reply.status == 403), json!(true)));
    }
    for (client, sql) in [
        (&reader, "INSERT INTO sales.t VALUES (9, 'x', 1)"),
        (&reader, "WITH x AS (SELECT 1) DELETE FROM sales.t"),
        (&reader, "/* SELECT */ DELETE FROM sales.t"),
        (&reader, "CREATE TABLE sales.n (i INT)"),
        (&reader, "EXPLAIN ANALYZE DELETE FROM sales.t"),
        (&writer, "CREATE TABLE sales.n (i INT)"),
        (&writer, "DROP TABLE sales.t"),
        (&writer, "CREATE OR REPLACE TABLE sales.t AS SELECT 1 AS x"),
        (&writer, "ALTER TABLE sales.t DROP COLUMN v"),
        (&reader, "COPY sales.t TO 'x.csv'"),
        (&writer, "COMMENT ON TABLE sales.t IS 'x'"),
    ] {
        for path in ["query", "query?dry_run=true"] {
            let reply = client.post(&format!("/projects/p/{path}"), &json!({ "query": sql })).await?;
            found.push((format!("{path} {sql} {}", reply.text), json!(matches!(reply.status, 403 | 422)), json!(true)));
        }
        for whole in [true, false] {
            let body = json!({ "queries": ["CREATE TEMP TABLE x AS SELECT 1 AS i", sql], "use_transaction": whole });
            let reply = client.post("/projects/p/batch", &body).await?;
            found.push((format!("{sql} {}", reply.text), json!(matches!(reply.status, 403 | 422)), json!(true)));
        }
    }
    found.push(("nothing was written".to_owned(), head().await?, before));
    differing(found);
    Ok(())
}

#[tokio::test]
async fn a_repeated_batch_is_carried_out_whole() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = filled(&server).await?;
    let queries = json!([
        "INSERT INTO sales.free (i) VALUES (1)",
        "INSERT INTO sales.free (i) VALUES (2)",
        "UPDATE sales.free SET n = n - 1"
    ]);
    let body = json!({ "queries": queries, "use_transaction": false });
    let once = || owner.request(Method::POST, "/projects/p/batch").header("Idempotency-Key", "k1").json(&body);
    let (first, second) = (send(once()).await?, send(once()).await?);
    assert_eq!((first.status, &first.text), (200, &second.text), "{}", first.text);
    assert_eq!(rows(&owner, "SELECT i, n FROM sales.free ORDER BY i").await?, json!([[1, -2], [2, -2]]));
    Ok(())
}

const ENDLESS: &str = "INSERT INTO sales.free (i) SELECT count(*) FROM range(1000000000) a, range(1000000000) b";

#[tokio::test]
async fn an_endless_script_holds_nobody_up() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = filled(&server).await?;
    let endless = |seconds: u64, queries: Value, whole: bool| {
        let body = json!({ "queries": queries, "timeout_seconds": seconds, "use_transaction": whole });
        owner.request(Method::POST, "/projects/p/batch").json(&body)
    };
    let started = Instant::now();
    let long = send(endless(3, json!(["INSERT INTO sales.free (i) VALUES (1)", ENDLESS]), true));
    let queued = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        let reply = send(endless(1, json!(["INSERT INTO sales.free (i) VALUES (2)"]), true)).await?;
        Ok::<_, anyhow::Error>((reply, started.elapsed()))
    };
    let gone = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        let request = endless(60, json!(["INSERT INTO sales.free (i) VALUES (3)"]), true);
        let _ = tokio::time::timeout(Duration::from_millis(500), send(request)).await;
    };
    let (long, queued, ()) = tokio::join!(long, queued, gone);
    let ((queued, after), long) = (queued?, long?);
    assert_eq!((long.status, long.code().as_str()), (504, "query_timeout"), "{}", long.text);
    // It waited for its turn as long as it might have run, and nothing of it was begun.
    assert_eq!((queued.status, queued.code().as_str()), (503, "too_many_queries"), "{}", queued.text);
    assert_eq!(queued.header("retry-after"), "1");
    assert!(after < Duration::from_millis(2500), "told at its own deadline: {after:?}");
    let next = run(&owner, "INSERT INTO sales.free (i) VALUES (4)").await?;
    assert!(next.status == 200 && started.elapsed() < Duration::from_secs(6), "{:?}", started.elapsed());
    assert_eq!(rows(&owner, "SELECT i FROM sales.free").await?, json!([[4]]));
    // Its time is for the whole batch, where each stands by itself too.
    let started = Instant::now();
    let slow = "INSERT INTO sales.free (i) SELECT count(*) % 2 FROM range(100000000000) WHERE range % 7 = 9";
    let reply = send(endless(1, json!(["INSERT INTO sales.free (i) VALUES (5)", slow, "SELECT 1"]), false)).await?;
    assert_eq!(reply.json()["error"]["code"], json!("query_timeout"), "{}", reply.text);
    assert!(started.elapsed() < Duration::from_millis(2500), "{:?}", started.elapsed());
    // Who goes away frees the writer.
    let _ = tokio::time::timeout(Duration::from_millis(400), send(endless(60, json!([ENDLESS]), true))).await;
    let started = Instant::now();
    assert_eq!(run(&owner, "INSERT INTO sales.free (i) VALUES (6)").await?.status, 200);
    assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
    Ok(())
}

#[tokio::test]
async fn a_hundred_statements_are_one_snapshot() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = filled(&server).await?;
    let texts: Vec<String> = (0..100).map(|i| format!("INSERT INTO sales.t (id) VALUES ({})", 100 + i)).collect();
    let before = run(&owner, "SELECT 1").await?.json()["snapshot_id"].as_u64().unwrap();
    let done = owner.post("/projects/p/batch", &json!({ "queries": texts })).await?;
    assert_eq!((done.status, done.json()["snapshot_id"].as_u64()), (200, Some(before + 1)), "{}", done.text);
    assert_eq!(rows(&owner, "SELECT count(*), count(DISTINCT id) FROM sales.t").await?, json!([[103, 103]]));
    let more: Vec<String> = texts.iter().cloned().chain(["SELECT 1".to_owned()]).collect();
    assert_eq!(owner.post("/projects/p/batch", &json!({ "queries": more })).await?.status, 422);
    Ok(())
}

#[tokio::test]
async fn a_merge_computes_values_for_the_branch_that_a_row_takes() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = filled(&server).await?;
    let merge = "MERGE INTO sales.t USING (VALUES (1, 'n', '7'), (2, 's', 'up')) AS s(id, kind, txt) ON t.id = s.id
        WHEN MATCHED AND s.kind = 'n' THEN UPDATE SET v = CAST(s.txt AS INT)
        WHEN MATCHED THEN UPDATE SET name = s.txt";
    assert_eq!(rows(&owner, merge).await?, json!([[2]]));
    let left = rows(&owner, "SELECT id, name, v::DOUBLE FROM sales.t ORDER BY id").await?;
    assert_eq!(left, json!([[1, "ann", 7.0], [2, "up", 2.0], [3, "cy", 3.0]]));
    Ok(())
}
