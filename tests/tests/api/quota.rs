//! Quotas of projects, and what they use.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use futures_util::future::join_all;
use futures_util::stream;
use gadwall_tests::support::{Client, Reply, TestServer, send};
use reqwest::multipart::{Form, Part};
use reqwest::{Body, Method};
use serde_json::{Value, json};

const ROWS: &str = "/projects/p/buckets/main/tables/t/rows";
const LONG: &str = "SELECT count(*) FROM range(100000000) a, range(100000000) b WHERE a.range + b.range = 7";

async fn set(server: &TestServer, project: &str, quota: Value) -> Result<Value> {
    let answer = server.admin().put(&format!("/projects/{project}/quota"), &quota).await?;
    assert_eq!(answer.status, 200, "{}", answer.text);
    Ok(answer.json())
}

async fn make_table(owner: &Client<'_>, project: &str, name: &str) -> Result<Reply> {
    let columns = json!([{"name": "i", "type": "BIGINT"}, {"name": "t", "type": "VARCHAR"}]);
    let body = json!({ "name": name, "columns": columns });
    owner.post(&format!("/projects/{project}/buckets/main/tables"), &body).await
}

async fn sql(owner: &Client<'_>, project: &str, text: &str) -> Result<Reply> {
    owner.post(&format!("/projects/{project}/query"), &json!({ "query": text })).await
}

/// Refused for a quota, which the answer names.
fn assert_beyond(reply: &Reply, status: u16, quota: &str) {
    assert_eq!((reply.status, reply.code().as_str()), (status, "quota_exceeded"), "{}", reply.text);
    let details = &reply.json()["details"];
    assert_eq!(details["quota"], quota, "{}", reply.text);
    assert!(details["limit"].is_u64() && details["used"].is_u64(), "{}", reply.text);
    assert_eq!(!reply.header("retry-after").is_empty(), status == 429, "{}", reply.text);
    assert_eq!(reply.json()["retryable"], json!(status == 429), "{}", reply.text);
}

fn text(bytes: usize) -> String {
    // Nothing that compresses well, so that what is stored is about what was sent.
    let mut seed: u64 = 7;
    let letter = |_| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        char::from(b'a' + u8::try_from((seed >> 33) % 26).unwrap())
    };
    (0..bytes).map(letter).collect()
}

async fn usage(client: &Client<'_>, project: &str) -> Result<Value> {
    let told = client.get(&format!("/projects/{project}/usage")).await?;
    assert_eq!(told.status, 200, "{}", told.text);
    Ok(told.json())
}

fn share(usage: &Value, quota: &str) -> Value {
    let all = usage["quota"].as_array().unwrap();
    all.iter().find(|share| share["quota"] == quota).unwrap().clone()
}

#[tokio::test]
async fn a_quota_is_set_by_the_admin_read_by_keys_and_audited() -> Result<()> {
    let server = TestServer::start_with(|config| {
        config.quota.tables = 5;
        config.quota.buckets = 9;
    })
    .await?;
    let owner = server.project("p").await?;
    let limit = |told: &Value, quota: &str| {
        let all = told["limits"].as_array().unwrap();
        let found = all.iter().find(|limit| limit["quota"] == quota).unwrap();
        (found["limit"].clone(), found["own"].clone())
    };
    let told = owner.get("/projects/p/quota").await?.json();
    assert_eq!(limit(&told, "tables"), (json!(5), json!(false)));
    assert_eq!(limit(&told, "table_bytes"), (Value::Null, json!(false)));
    assert_eq!(owner.put("/projects/p/quota", &json!({ "tables": 0 })).await?.status, 401);
    set(&server, "p", json!({ "tables": 0, "rows_per_append": 7 })).await?;
    let told = owner.get("/projects/P/quota").await?.json();
    assert_eq!(limit(&told, "tables"), (Value::Null, json!(true)), "0 is none");
    assert_eq!(limit(&told, "rows_per_append"), (json!(7), json!(true)));
    assert_eq!(limit(&told, "buckets"), (json!(9), json!(false)), "the default holds");
    set(&server, "p", json!({})).await?;
    let told = owner.get("/projects/p/quota").await?.json();
    assert_eq!(limit(&told, "rows_per_append"), (Value::Null, json!(false)), "what is left out is the default again");
    let audited = server.admin().get("/projects/p/audit?action=project.quota_changed").await?.json();
    assert_eq!(audited["entries"].as_array().map(Vec::len), Some(2), "{audited}");
    let stranger = server.project("q").await?;
    assert_eq!(stranger.get("/projects/p/quota").await?.status, 403);
    assert_eq!(stranger.get("/projects/p/usage").await?.status, 403);
    assert_eq!(stranger.get("/usage").await?.status, 401);
    Ok(())
}

#[tokio::test]
async fn hostile_quotas_are_refused() -> Result<()> {
    let server = TestServer::start().await?;
    server.project("p").await?;
    let admin = server.admin();
    for bad in [
        json!({ "tables": -1 }),
        json!({ "table_bytes": i64::MIN }),
        json!({ "tables": 1.5 }),
        json!({ "tables": "5" }),
        json!({ "table_bytes": u64::MAX }),
        json!({ "tables": 1e300 }),
        json!({ "tabels": 1 }),
        json!([1]),
    ] {
        let refused = admin.put("/projects/p/quota", &bad).await?;
        assert_eq!(refused.status, 422, "{bad}: {}", refused.text);
    }
    assert_eq!(admin.put("/projects/nowhere/quota", &json!({})).await?.status, 404);
    let most = json!({ "table_bytes": i64::MAX, "dataset_bytes": i64::MAX, "tables": i64::MAX, "buckets": i64::MAX,
        "queries_per_minute": i64::MAX, "concurrent_queries": i64::MAX, "rows_per_append": i64::MAX });
    set(&server, "p", most).await?;
    assert_eq!(make_table(&admin, "p", "t").await?.status, 201);
    assert_eq!(admin.post(ROWS, &json!([{ "i": 1 }])).await?.status, 200);
    assert_eq!(sql(&admin, "p", "SELECT 1").await?.status, 200);
    assert_eq!(usage(&admin, "p").await?["tables"], 1);
    for bad in ["days=0", "days=91", "days=-1", "days=99999999999999999999", "days=x"] {
        assert_eq!(admin.get(&format!("/projects/p/usage?{bad}")).await?.status, 422, "{bad}");
    }
    for bad in ["after=-1", "after=x", "limit=0", "limit=1001"] {
        assert_eq!(admin.get(&format!("/usage?{bad}")).await?.status, 422, "{bad}");
    }
    Ok(())
}

#[tokio::test]
async fn tables_and_buckets_end_at_their_quota_on_every_way() -> Result<()> {
    let server = TestServer::start().await?;
    let (owner, other) = (server.project("p").await?, server.project("q").await?);
    set(&server, "p", json!({ "tables": 2, "buckets": 2 })).await?;
    assert_eq!(make_table(&owner, "p", "a").await?.status, 201);
    assert_eq!(sql(&owner, "p", "CREATE TABLE b AS SELECT 1 AS i").await?.status, 200);
    assert_beyond(&make_table(&owner, "p", "c").await?, 507, "tables");
    for refused in ["CREATE TABLE c (i INT)", "CREATE TABLE c AS SELECT 1 AS i"] {
        assert_beyond(&sql(&owner, "p", refused).await?, 507, "tables");
    }
    let batch = json!({ "queries": ["INSERT INTO b VALUES (2)", "CREATE TABLE c (i INT)"], "use_transaction": true });
    assert_beyond(&owner.post("/projects/p/batch", &batch).await?, 507, "tables");
    // What is there already is no more of it.
    assert_eq!(sql(&owner, "p", "CREATE OR REPLACE TABLE b AS SELECT 3 AS i").await?.status, 200);
    assert_eq!(sql(&owner, "p", "CREATE TABLE IF NOT EXISTS a (i INT)").await?.status, 200);
    // `main` is one once it holds a table.
    assert_eq!(owner.post("/projects/p/buckets", &json!({ "name": "more" })).await?.status, 201);
    assert_beyond(&owner.post("/projects/p/buckets", &json!({ "name": "most" })).await?, 507, "buckets");
    assert_beyond(&sql(&owner, "p", "CREATE SCHEMA most").await?, 507, "buckets");
    assert_eq!(sql(&owner, "p", "CREATE SCHEMA IF NOT EXISTS more").await?.status, 200);
    assert_eq!(owner.post("/projects/p/buckets", &json!({ "name": "MORE" })).await?.code(), "bucket_exists");
    // Another project has room, and deleting makes some.
    for name in ["a", "b", "c"] {
        assert_eq!(make_table(&other, "q", name).await?.status, 201);
    }
    assert_eq!(owner.delete("/projects/p/buckets/more").await?.status, 204);
    assert_eq!(sql(&owner, "p", "DROP TABLE a").await?.status, 200);
    assert_eq!(make_table(&owner, "p", "c").await?.status, 201);
    let undelete = owner.post("/projects/p/buckets/main/tables/a/undelete", &json!({})).await?;
    assert_beyond(&undelete, 507, "tables");
    Ok(())
}

#[tokio::test]
async fn a_quota_below_the_usage_stops_growth_and_nothing_else() -> Result<()> {
    let server = TestServer::start().await?;
    let (owner, other) = (server.project("p").await?, server.project("q").await?);
    for (client, project) in [(&owner, "p"), (&other, "q")] {
        assert_eq!(make_table(client, project, "t").await?.status, 201);
        let rows = json!([{ "i": 1, "t": text(100_000) }, { "i": 2, "t": text(10) }]);
        let path = format!("/projects/{project}/buckets/main/tables/t/rows");
        assert_eq!(client.post(&path, &rows).await?.status, 200);
    }
    assert_eq!(sql(&owner, "p", "INSERT INTO t SELECT i, md5(i::VARCHAR) FROM range(20000) r(i)").await?.status, 200);
    set(&server, "p", json!({ "table_bytes": 1_000 })).await?;
    let more = json!([{ "i": 3, "t": "x" }]);
    assert_beyond(&owner.post(ROWS, &more).await?, 507, "table_bytes");
    for refused in [
        "INSERT INTO t VALUES (3, 'x')",
        "UPDATE t SET t = 'x' WHERE i = 1",
        "CREATE TABLE u AS SELECT 1 AS i",
        "INSERT INTO t SELECT * FROM t",
    ] {
        assert_beyond(&sql(&owner, "p", refused).await?, 507, "table_bytes");
    }
    let told = usage(&owner, "p").await?;
    assert!(share(&told, "table_bytes")["percent"].as_f64() > Some(100.0), "{told}");
    assert_eq!(other.post("/projects/q/buckets/main/tables/t/rows", &more).await?.status, 200, "others go on");
    // Reading and deleting always works, and then there is room.
    assert_eq!(sql(&owner, "p", "SELECT count(*) FROM t").await?.status, 200);
    assert_eq!(sql(&owner, "p", "DELETE FROM t WHERE i = 1").await?.status, 200);
    assert_eq!(sql(&owner, "p", "TRUNCATE t").await?.status, 200);
    assert_eq!(owner.post(ROWS, &more).await?.status, 200);
    Ok(())
}

#[tokio::test]
async fn of_appends_at_the_limit_at_most_one_is_over() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = server.project("p").await?;
    assert_eq!(make_table(&owner, "p", "t").await?.status, 201);
    set(&server, "p", json!({ "table_bytes": 250_000 })).await?;
    let body = json!([{ "i": 1, "t": text(100_000) }]);
    let appends = (0..8).map(|_| owner.post(ROWS, &body));
    let mut stored = 0;
    for reply in join_all(appends).await {
        let reply = reply?;
        match reply.status {
            200 => stored += 1,
            _ => assert_beyond(&reply, 507, "table_bytes"),
        }
    }
    assert!(stored <= 3, "{stored} of 100,000 bytes were stored, where there is room for two");
    // One by one, what is left is filled.
    while owner.post(ROWS, &body).await?.status == 200 {
        stored += 1;
        assert!(stored <= 3, "there is no end");
    }
    assert!(stored >= 2, "{stored}");
    Ok(())
}

#[tokio::test]
async fn many_small_appends_end_at_the_quota_too() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = server.project("p").await?;
    assert_eq!(make_table(&owner, "p", "t").await?.status, 201);
    set(&server, "p", json!({ "table_bytes": 5_000 })).await?;
    let mut stored = 0;
    loop {
        let reply = owner.post(ROWS, &json!([{ "i": stored, "t": "x" }])).await?;
        if reply.status != 200 {
            assert_beyond(&reply, 507, "table_bytes");
            break;
        }
        stored += 1;
        assert!(stored < 500, "there is no end");
    }
    let used = usage(&owner, "p").await?["bytes"]["tables"].as_u64().context("bytes of tables")?;
    assert!((4_000..7_000).contains(&used), "at most one file over: {used} bytes of {stored} appends");
    Ok(())
}

#[tokio::test]
async fn of_tables_made_at_once_none_is_over() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = server.project("p").await?;
    set(&server, "p", json!({ "tables": 3 })).await?;
    let names: Vec<String> = (0..8).map(|number| format!("t{number}")).collect();
    for reply in join_all(names.iter().map(|name| make_table(&owner, "p", name))).await {
        let reply = reply?;
        assert!(reply.status == 201 || reply.code() == "quota_exceeded", "{}", reply.text);
    }
    let made = usage(&owner, "p").await?["tables"].as_u64();
    assert!(made >= Some(1) && made <= Some(3), "{made:?}");
    for name in names.iter().map(|name| format!("more_{name}")) {
        make_table(&owner, "p", &name).await?;
    }
    assert_eq!(usage(&owner, "p").await?["tables"], 3, "one by one, what is left is filled");
    Ok(())
}

#[tokio::test]
async fn imports_and_what_is_brought_back_need_room() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = server.project("p").await?;
    assert_eq!(make_table(&owner, "p", "t").await?.status, 201);
    let first = owner.post(ROWS, &json!([{ "i": 1, "t": text(50_000) }])).await?.json();
    assert_eq!(owner.post("/projects/p/datasets", &json!({ "name": "d" })).await?.status, 201);
    let file = format!("i,t\n2,{}\n", text(30_000));
    let put =
        |name: &str| send(owner.request(Method::PUT, &format!("/projects/p/datasets/d/{name}")).body(file.clone()));
    assert_eq!(put("x.csv").await?.status, 201);
    let import = async |table: &str| -> Result<Value> {
        let path = format!("/projects/p/buckets/main/tables/{table}/import");
        let started = owner.post(&path, &json!({ "files": "/d/x.csv", "create": true })).await?;
        if started.status != 202 {
            return Ok(started.json());
        }
        let location = started.header("location").to_owned();
        let ended =
            async || Ok(!matches!(owner.get(&location).await?.json()["state"].as_str(), Some("pending" | "running")));
        until("it has ended", ended).await?;
        Ok(owner.get(&location).await?.json())
    };
    // There is some room, but not for the file; nor for a table of its own.
    let used = usage(&owner, "p").await?["bytes"]["tables"].as_u64().context("bytes of tables")?;
    set(&server, "p", json!({ "table_bytes": used + 10_000 })).await?;
    let failed = import("t").await?;
    assert_eq!(
        (&failed["state"], &failed["problem"]["code"]),
        (&json!("failed"), &json!("quota_exceeded")),
        "{failed}"
    );
    set(&server, "p", json!({ "tables": 1 })).await?;
    let failed = import("u").await?;
    assert_eq!(failed["problem"]["details"]["quota"], "tables", "{failed}");
    // There is none.
    set(&server, "p", json!({ "table_bytes": 100 })).await?;
    let refused = import("t").await?;
    assert_eq!(refused["code"], "quota_exceeded", "{refused}");
    let restore = format!("/projects/p/buckets/main/tables/t/restore?snapshot={}", first["snapshot_id"]);
    assert_beyond(&owner.post(&restore, &json!({})).await?, 507, "table_bytes");
    assert_eq!(sql(&owner, "p", "DROP TABLE t").await?.status, 200);
    let back = "/projects/p/buckets/main/tables/t/undelete";
    assert_beyond(&owner.post(back, &json!({})).await?, 507, "table_bytes");
    set(&server, "p", json!({})).await?;
    assert_eq!(owner.post(back, &json!({})).await?.status, 200);
    assert_eq!(import("t").await?["state"], "succeeded");
    Ok(())
}

#[tokio::test]
async fn rows_per_append_are_bounded() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = server.project("p").await?;
    assert_eq!(make_table(&owner, "p", "t").await?.status, 201);
    set(&server, "p", json!({ "rows_per_append": 3 })).await?;
    let rows = |count: u64| (0..count).map(|i| json!({ "i": i })).collect::<Value>();
    assert_eq!(owner.post(ROWS, &rows(3)).await?.status, 200);
    for mode in ["append", "replace"] {
        let refused = owner.post(&format!("{ROWS}?mode={mode}"), &rows(4)).await?;
        assert_beyond(&refused, 422, "rows_per_append");
    }
    let csv: String = std::iter::once("i\n".to_owned()).chain((0..5_000).map(|i| format!("{i}\n"))).collect();
    assert_beyond(&owner.send_as(ROWS, "text/csv", csv).await?, 422, "rows_per_append");
    for (limit, status) in [(3, 200), (4, 422)] {
        let query = json!({ "query": format!("SELECT range AS i FROM range({limit})") });
        let asked = owner.request(Method::POST, "/projects/p/query").json(&query);
        let file = asked.header("Accept", "application/vnd.apache.parquet").send().await?.bytes().await?;
        let sent = owner.send_as(ROWS, "application/vnd.apache.parquet", file).await?;
        assert_eq!(sent.status, status, "{}", sent.text);
    }
    assert_eq!(sql(&owner, "p", "SELECT count(*), max(i) FROM t").await?.json()["rows"], json!([[6, 2]]));
    Ok(())
}

/// A file that comes in chunks, without saying how long it is.
fn chunks(count: usize) -> Body {
    let chunk = Bytes::from(text(10_000));
    Body::wrap_stream(stream::iter((0..count).map(move |_| Ok::<_, std::io::Error>(chunk.clone()))))
}

#[tokio::test]
async fn an_upload_beyond_the_quota_breaks_off_and_leaves_nothing() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = server.project("p").await?;
    assert_eq!(owner.post("/projects/p/datasets", &json!({ "name": "d" })).await?.status, 201);
    set(&server, "p", json!({ "dataset_bytes": 100_000 })).await?;
    let put =
        |name: &str, body: Body| send(owner.request(Method::PUT, &format!("/projects/p/datasets/d/{name}")).body(body));
    assert_eq!(put("a.txt", chunks(6)).await?.status / 100, 2);
    assert_beyond(&put("b.txt", chunks(50)).await?, 507, "dataset_bytes");
    assert_eq!(owner.get("/projects/p/datasets/d/b.txt").await?.status, 404);
    assert_eq!(usage(&owner, "p").await?["bytes"]["datasets"], 60_000);
    let left = walk(server.data_dir(), &|path| path.contains(".incoming"));
    assert_eq!(left, Vec::<String>::new(), "nothing is left behind");
    assert_eq!(put("c.txt", chunks(4)).await?.status / 100, 2, "to the last byte");
    assert_beyond(&put("e.txt", Body::from("x")).await?, 507, "dataset_bytes");
    let form = Form::new().part("file", Part::bytes(vec![b'x'; 20_000]));
    let in_a_form = send(owner.request(Method::PUT, "/datasets/d/form").multipart(form)).await?;
    assert_beyond(&in_a_form, 507, "dataset_bytes");
    assert_eq!(owner.get("/datasets/d/form").await?.status, 404);
    let copied = sql(&owner, "p", "COPY (SELECT 1 AS i) TO '/d/copy.csv'").await?;
    assert_beyond(&copied, 507, "dataset_bytes");
    assert_eq!(owner.delete("/projects/p/datasets/d/a.txt").await?.status, 204);
    assert_eq!(put("e.txt", chunks(6)).await?.status / 100, 2, "what was deleted is room at once");
    assert_eq!(usage(&owner, "p").await?["bytes"]["datasets"], 100_000);
    Ok(())
}

fn walk(folder: &std::path::Path, wanted: &dyn Fn(&str) -> bool) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(walk(&path, wanted));
        } else if wanted(&path.to_string_lossy()) {
            found.push(path.to_string_lossy().into_owned());
        }
    }
    found
}

#[tokio::test]
async fn queries_of_a_minute_are_bounded() -> Result<()> {
    let server = TestServer::start().await?;
    let (owner, other) = (server.project("p").await?, server.project("q").await?);
    set(&server, "p", json!({ "queries_per_minute": 3 })).await?;
    for number in 0..2 {
        assert_eq!(sql(&owner, "p", &format!("SELECT {number}")).await?.status, 200);
    }
    assert_eq!(owner.post("/projects/p/queries", &json!({ "query": "SELECT 2" })).await?.status, 202);
    for (path, body) in [
        ("/projects/p/query", json!({ "query": "SELECT 3" })),
        ("/projects/p/query", json!({ "query": "CREATE TABLE n (i INT)" })),
        ("/projects/p/queries", json!({ "query": "SELECT 4" })),
    ] {
        let refused = owner.post(path, &body).await?;
        assert_beyond(&refused, 429, "queries_per_minute");
        let wait: u64 = refused.header("retry-after").parse()?;
        assert!((1..=60).contains(&wait), "{wait}");
    }
    assert_eq!(share(&usage(&owner, "p").await?, "queries_per_minute")["used"], 3);
    for number in 0..5 {
        assert_eq!(sql(&other, "q", &format!("SELECT {number}")).await?.status, 200, "others go on");
    }
    Ok(())
}

#[tokio::test]
async fn queries_at_once_are_bounded() -> Result<()> {
    let server = TestServer::start().await?;
    let (owner, other) = (server.project("p").await?, server.project("q").await?);
    set(&server, "p", json!({ "concurrent_queries": 1 })).await?;
    let started = owner.post("/projects/p/queries", &json!({ "query": LONG })).await?.json();
    let running = format!("/projects/p/queries/{}", started["id"].as_str().context("no id")?);
    until("it runs", async || Ok(owner.get(&running).await?.json()["state"] == "running")).await?;
    assert_beyond(&sql(&owner, "p", "SELECT 1").await?, 429, "concurrent_queries");
    let refused = owner.post("/projects/p/queries", &json!({ "query": "SELECT 1" })).await?;
    assert_beyond(&refused, 429, "concurrent_queries");
    assert_eq!(sql(&other, "q", "SELECT 1").await?.status, 200);
    assert_eq!(owner.delete(&running).await?.status, 200);
    until("there is a place again", async || Ok(sql(&owner, "p", "SELECT 1").await?.status == 200)).await
}

async fn until(what: &str, holds: impl AsyncFn() -> Result<bool>) -> Result<()> {
    let begun = Instant::now();
    while !holds().await? {
        if begun.elapsed() > Duration::from_secs(20) {
            bail!("not within 20 s: {what}");
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Ok(())
}

#[tokio::test]
async fn usage_is_counted_per_project_and_outlives_a_restart() -> Result<()> {
    let server = TestServer::start().await?;
    let (owner, other) = (server.project("p").await?, server.project("q").await?);
    assert_eq!(make_table(&owner, "p", "t").await?.status, 201);
    assert_eq!(owner.post(ROWS, &json!([{ "i": 1 }, { "i": 2 }])).await?.status, 200);
    for good in ["SELECT count(*) FROM t", "SELECT 1"] {
        assert_eq!(sql(&owner, "p", good).await?.status, 200);
    }
    assert_eq!(sql(&owner, "p", "SELECT nothing").await?.status, 400);
    assert_eq!(sql(&other, "q", "SELECT 1").await?.status, 200);
    until("all three are counted", async || Ok(usage(&owner, "p").await?["queries_today"]["count"] == 3)).await?;
    let told = usage(&owner, "p").await?;
    assert_eq!((&told["tables"], &told["buckets"], &told["rows"]), (&json!(1), &json!(1), &json!(2)), "{told}");
    assert!(told["snapshots"].as_u64() >= Some(2), "{told}");
    assert_eq!((&told["queries_today"]["failed"], &told["queries_last_30_days"]["count"]), (&json!(1), &json!(3)));
    assert!(told["queries_today"]["bytes_sent"].as_u64() > Some(0), "{told}");
    assert!(told["bytes"]["tables_with_history"].is_u64() && told["bytes"]["results"].is_u64(), "{told}");
    let days = told["days"].as_array().unwrap();
    assert_eq!((days.len(), &days[29]["queries"]["count"], &days[0]["queries"]["count"]), (30, &json!(3), &json!(0)));
    let one = owner.get("/projects/p/usage?days=1").await?.json();
    assert_eq!(one["days"].as_array().map(Vec::len), Some(1));
    assert_eq!(usage(&other, "q").await?["queries_today"]["count"], 1, "projects are apart");

    let key = owner.key().to_owned();
    let dir = server.stop().await?;
    let server = TestServer::start_in(dir, |_| ()).await?;
    let owner = server.with_key(&key);
    assert_eq!(usage(&owner, "p").await?["queries_today"]["count"], 3);
    assert_eq!(sql(&owner, "p", "SELECT 5").await?.status, 200);
    until("it goes on counting", async || Ok(usage(&owner, "p").await?["queries_today"]["count"] == 4)).await
}

#[tokio::test]
async fn the_admin_lists_the_usage_of_all_projects_in_pages() -> Result<()> {
    let server = TestServer::start().await?;
    for project in ["a", "b", "c"] {
        let owner = server.project(project).await?;
        assert_eq!(make_table(&owner, project, "t").await?.status, 201);
    }
    let (mut seen, mut path) = (Vec::new(), "/usage?limit=2".to_owned());
    loop {
        let page = server.admin().get(&path).await?.json();
        assert_eq!(page["total"], 4, "with the project default: {page}");
        seen.extend(page["projects"].as_array().unwrap().clone());
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        path = format!("/usage?limit=2&after={cursor}");
    }
    let names: Vec<_> = seen.iter().map(|usage| usage["project_id"].as_str().unwrap()).collect();
    assert_eq!(names.len(), 4);
    assert!(["a", "b", "c", "default"].iter().all(|name| names.contains(name)), "{names:?}");
    let a = seen.iter().find(|usage| usage["project_id"] == "a").unwrap();
    assert_eq!(a["tables"], 1);
    Ok(())
}

#[tokio::test]
async fn a_key_of_one_bucket_sees_limits_and_no_usage() -> Result<()> {
    let server = TestServer::start().await?;
    server.project("p").await?;
    let made = json!({ "name": "k", "scopes": ["read"], "bucket": "b" });
    let key = server.admin().post("/projects/p/keys", &made).await?.json();
    let limited = server.with_key(key["api_key"].as_str().context("no key")?);
    assert_eq!(limited.get("/projects/p/quota").await?.status, 200);
    assert_eq!(limited.get("/projects/p/usage").await?.status, 403);
    Ok(())
}
