//! Imports, exports, and the operations they run as.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use gadwall_tests::support::{Client, Reply, TestServer, send};
use reqwest::Method;
use serde_json::{Value, json};

const T: &str = "/projects/p/buckets/main/tables";
const SOON: Duration = Duration::from_secs(30);

async fn owner(server: &TestServer) -> Result<Client<'_>> {
    let owner = server.project("p").await?;
    owner.post("/projects/p/datasets", &json!({ "name": "d" })).await?;
    Ok(owner)
}

async fn put(client: &Client<'_>, name: &str, body: impl Into<reqwest::Body>) -> Result<Reply> {
    send(client.request(Method::PUT, &format!("/projects/p/datasets/d/{name}")).body(body)).await
}

async fn objects(client: &Client<'_>) -> Result<Vec<String>> {
    let list = client.get("/projects/p/datasets/d").await?.json();
    let objects = list["objects"].as_array().context("objects")?;
    Ok(objects.iter().filter_map(|object| object["name"].as_str().map(str::to_owned)).collect())
}

/// Asks until the operation has ended.
async fn end_of(client: &Client<'_>, location: &str) -> Result<Value> {
    let begun = Instant::now();
    loop {
        let now = client.get(location).await?.json();
        if !matches!(now["state"].as_str(), Some("pending" | "running")) {
            return Ok(now);
        }
        ensure!(begun.elapsed() < SOON, "it doesn't end: {now}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Starts an operation and waits for its end.
async fn run(client: &Client<'_>, path: &str, body: &Value) -> Result<Value> {
    let reply = client.post(path, body).await?;
    ensure!(reply.status == 202, "{} {}", reply.status, reply.text);
    ensure!(reply.header("retry-after") == "1");
    let location = reply.header("location").to_owned();
    ensure!(location == format!("/projects/p/operations/{}", reply.json()["id"].as_str().unwrap_or_default()));
    end_of(client, &location).await
}

async fn rows_of(client: &Client<'_>, sql: &str) -> Result<Value> {
    let reply = client.post("/projects/p/query", &json!({ "query": sql })).await?;
    ensure!(reply.status == 200, "{}", reply.text);
    Ok(reply.json()["rows"].clone())
}

async fn make(client: &Client<'_>, name: &str) -> Result<()> {
    let table = json!({ "name": name, "primary_key": ["id"], "columns": [
        {"name": "id", "type": "BIGINT"}, {"name": "name", "type": "VARCHAR(20)"}, {"name": "tags", "type": "VARCHAR[]"}] });
    let made = client.post(T, &table).await?;
    ensure!(made.status == 201, "{}", made.text);
    Ok(())
}

#[tokio::test]
async fn each_format_goes_out_and_comes_back_equal() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = owner(&server).await?;
    make(&owner, "t").await?;
    let rows = json!([{"id": 1, "name": "a, \"b\"\n'c'", "tags": ["x", "y"]}, {"id": 2, "name": ""}, {"id": 3}]);
    owner.post(&format!("{T}/t/rows"), &rows).await?;
    let all = |table: &str| format!("SELECT id, name, tags FROM {table} ORDER BY id");
    let original = rows_of(&owner, &all("t")).await?;
    for (index, (file, options)) in [
        ("x.parquet", json!({"compression": "zstd", "row_group_size": 4096})),
        ("x.csv", json!({})),
        ("x.tsv", json!({"null_string": "NULL", "quote": "'"})),
        ("x.ndjson", json!({})),
    ]
    .into_iter()
    .enumerate()
    {
        let path = format!("/d/out/{index}/{file}");
        let done = run(&owner, &format!("{T}/t/export"), &json!({"to": path, "options": options})).await?;
        assert_eq!(
            (&done["state"], &done["kind"], &done["percent"]),
            (&json!("succeeded"), &json!("export"), &json!(100.0)),
            "{done}"
        );
        let result = &done["result"];
        let head = send(owner.request(Method::HEAD, &format!("/projects/p/datasets{path}"))).await?;
        assert_eq!((&result["rows"], &result["files"][0]["path"]), (&json!(3), &json!(path)));
        assert_eq!(result["files"][0]["size"].to_string(), head.header("content-length"));

        make(&owner, &format!("c{index}")).await?;
        let mut import = json!({"files": path});
        if file == "x.tsv" {
            import["options"] = options;
        }
        let done = run(&owner, &format!("{T}/c{index}/import"), &import).await?;
        assert_eq!(
            (&done["state"], &done["result"]["rows"], &done["rows"]),
            (&json!("succeeded"), &json!(3), &json!(3)),
            "{done}"
        );
        assert_eq!(rows_of(&owner, &all(&format!("c{index}"))).await?, original, "{file}");
    }
    let listed = owner.get("/projects/p/operations?limit=3").await?.json();
    assert_eq!(listed["operations"].as_array().map(Vec::len), Some(3));
    let next = listed["next_cursor"].as_str().context("a cursor")?;
    let rest = owner.get(&format!("/projects/p/operations?after={next}")).await?.json();
    assert_eq!((rest["operations"].as_array().map(Vec::len), &rest["next_cursor"]), (Some(5), &json!(null)));
    Ok(())
}

#[tokio::test]
async fn patterns_create_and_modes() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = owner(&server).await?;
    for (name, text) in [
        ("in/a.csv", "id,name\n1,one\n2,two\n"),
        ("in/deep/b.csv", "name,id\nthree,3\n"),
        ("in/c.txt", "not this"),
        ("more.csv", "id,name\n3,3rd\n4,four\n"),
    ] {
        assert_eq!(put(&owner, name, text).await?.status, 201);
    }
    let made = run(&owner, &format!("{T}/n/import"), &json!({"files": "/d/in/**/*.csv", "create": true})).await?;
    assert_eq!((&made["result"]["table_created"], &made["result"]["file_count"]), (&json!(true), &json!(2)), "{made}");
    let columns = owner.get(&format!("{T}/n")).await?.json()["columns"].clone();
    assert_eq!((&columns[0]["type"], &columns[1]["type"]), (&json!("BIGINT"), &json!("VARCHAR")));
    assert_eq!(
        rows_of(&owner, "SELECT id, name FROM n ORDER BY id").await?,
        json!([[1, "one"], [2, "two"], [3, "three"]])
    );

    // What doesn't fit leaves neither rows nor a table.
    put(&owner, "bad.csv", "id,id2\n1\n").await?;
    let failed = run(&owner, &format!("{T}/none/import"), &json!({"files": ["/d/bad.csv"], "create": true})).await?;
    assert_eq!(
        (&failed["state"], &failed["problem"]["code"]),
        (&json!("failed"), &json!("malformed_body")),
        "{failed}"
    );
    assert_eq!(owner.get(&format!("{T}/none")).await?.status, 404);
    make(&owner, "t").await?;
    run(&owner, &format!("{T}/t/import"), &json!({"files": "/d/in/**/?.csv"})).await?;
    let twice = run(&owner, &format!("{T}/t/import"), &json!({"files": "/d/more.csv"})).await?;
    assert_eq!(
        (&twice["problem"]["code"], &twice["problem"]["status"]),
        (&json!("duplicate_key"), &json!(409)),
        "{twice}"
    );
    assert!(!twice.to_string().contains(&*server.data_dir().to_string_lossy()), "{twice}");
    assert_eq!(rows_of(&owner, "SELECT count(*) FROM t").await?, json!([[3]]));
    for (mode, rows) in [("upsert", json!([[4, "3rd"]])), ("replace", json!([[2, "3rd"]]))] {
        let done = run(&owner, &format!("{T}/t/import"), &json!({"files": "/d/more.csv", "mode": mode})).await?;
        assert_eq!(done["state"], "succeeded", "{done}");
        let seen = rows_of(&owner, "SELECT count(*), max(name) FILTER (id = 3) FROM t").await?;
        assert_eq!(seen, rows, "{mode}");
    }
    Ok(())
}

#[tokio::test]
async fn a_part_of_a_table_and_a_query_go_out() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = owner(&server).await?;
    make(&owner, "t").await?;
    let first = owner.post(&format!("{T}/t/rows"), &json!([{"id": 1, "name": "x"}, {"id": 2}])).await?.json();
    owner.post(&format!("{T}/t/rows"), &json!([{"id": 3, "name": "z"}])).await?;
    let part = json!({"to": "/d/part.csv", "columns": ["name", "id"], "filter": {"column": "id", "op": "gt", "value": 1}, "options": {"header": false}});
    let done = run(&owner, &format!("{T}/t/export"), &part).await?;
    assert_eq!(done["state"], "succeeded", "{done}");
    assert_eq!(owner.get("/projects/p/datasets/d/part.csv").await?.text, ",2\nz,3\n");
    let old = json!({"to": "/d/old.csv", "columns": ["id"], "snapshot": first["snapshot_id"]});
    let done = run(&owner, &format!("{T}/t/export"), &old).await?;
    assert_eq!(done["result"]["snapshot_id"], first["snapshot_id"], "{done}");
    assert_eq!(owner.get("/projects/p/datasets/d/old.csv").await?.text, "id\n1\n2\n");
    let query = json!({"to": "/d/q.ndjson", "query": "SELECT sum(id) AS s FROM t"});
    run(&owner, "/projects/p/export", &query).await?;
    assert_eq!(owner.get("/projects/p/datasets/d/q.ndjson").await?.text, "{\"s\":6}\n");
    for (sql, code) in [
        ("DROP TABLE t", "statement_unsupported"),
        ("SELECT * FROM '/etc/passwd'", "sql_error"),
        ("SELECT nope FROM t", "sql_error"),
    ] {
        let failed = run(&owner, "/projects/p/export", &json!({"to": "/d/no.csv", "query": sql})).await?;
        assert_eq!((&failed["state"], &failed["problem"]["code"]), (&json!("failed"), &json!(code)), "{failed}");
    }
    assert_eq!(objects(&owner).await?, ["old.csv", "part.csv", "q.ndjson"]);
    Ok(())
}

#[tokio::test]
async fn what_cannot_be_is_refused_before_it_begins() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = owner(&server).await?;
    make(&owner, "t").await?;
    put(&owner, "a.csv", "id\n1\n").await?;
    let other = server.project("q").await?;
    other.post("/projects/q/datasets", &json!({ "name": "secret" })).await?;
    let (import, export) = (format!("{T}/t/import"), format!("{T}/t/export"));
    for (path, body, status, code) in [
        (&import, json!({"files": "/d/../secret/x.csv"}), 400, "invalid_name"),
        (&import, json!({"files": "/d/..%2f..%2fx.csv"}), 404, "object_not_found"),
        (&import, json!({"files": "/../../etc/passwd"}), 400, "invalid_name"),
        (&import, json!({"files": "/secret/*.csv"}), 404, "dataset_not_found"),
        (&import, json!({"files": "/*/a.csv"}), 400, "invalid_name"),
        (&import, json!({"files": "/d/none.csv"}), 404, "object_not_found"),
        (&import, json!({"files": "/d/none*.csv"}), 404, "files_not_found"),
        (&import, json!({"files": "s3://d/a.csv"}), 400, "invalid_path"),
        (&import, json!({"files": []}), 422, "validation_failed"),
        (&import, json!({"files": [1]}), 422, "validation_failed"),
        (&import, json!({"files": "/d/a.csv", "format": "xlsx"}), 422, "unsupported_format"),
        (&import, json!({"files": "/d/a.csv", "format": "arrow"}), 422, "unsupported_format"),
        (&import, json!({"files": "/d/a.csv", "mode": "merge"}), 422, "validation_failed"),
        (&import, json!({"files": "/d/a.csv", "options": {"delimiter": "\n"}}), 422, "invalid_option"),
        (&import, json!({"files": "/d/a.csv", "options": {"row_group_size": 5000}}), 422, "validation_failed"),
        (&import, json!({"files": "/d/a.csv", "options": {"nope": 1}}), 422, "validation_failed"),
        (&export, json!({"to": "/d/x.xlsx"}), 422, "unsupported_format"),
        (&export, json!({"to": "/none/x.csv"}), 404, "dataset_not_found"),
        (&export, json!({"to": "/d/../../x.csv"}), 400, "invalid_name"),
        (&export, json!({"to": "/d/x.csv", "columns": ["zz"]}), 422, "invalid_filter"),
        (&export, json!({"to": "/d/x.csv", "columns": []}), 422, "invalid_filter"),
        (&export, json!({"to": "/d/x.csv", "filter": {"column": "zz", "op": "eq", "value": 1}}), 422, "invalid_filter"),
        (&export, json!({"to": "/d/x.csv", "snapshot": 999_999}), 404, "snapshot_not_found"),
    ] {
        let reply = owner.post(path, &body).await?;
        assert_eq!((reply.status, reply.code().as_str()), (status, code), "{body}: {}", reply.text);
    }
    let missing = owner.post(&format!("{T}/none/import"), &json!({"files": "/d/a.csv"})).await?;
    assert_eq!((missing.status, missing.code().as_str()), (404, "table_not_found"));
    for path in [&import, &export, &"/projects/p/export".to_owned()] {
        let foreign = other.post(path, &json!({"files": "/d/a.csv", "to": "/d/x.csv", "query": "SELECT 1"})).await?;
        assert!(foreign.status == 403 || foreign.status == 422, "{}", foreign.text);
    }
    assert_eq!(owner.get("/projects/p/operations").await?.json()["operations"], json!([]));
    assert_eq!(objects(&owner).await?, ["a.csv"]);
    Ok(())
}

#[tokio::test]
async fn a_name_full_of_stars_means_itself() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = owner(&server).await?;
    make(&owner, "t").await?;
    put(&owner, "%5B1%5D%2A.csv", "id\n1\n").await?;
    put(&owner, "1x.csv", "id\n2\n").await?;
    let done = run(&owner, &format!("{T}/t/import"), &json!({"files": "/d/[1]*.csv"})).await?;
    assert_eq!(done["result"]["files"][0]["path"], "/d/[1]*.csv", "{done}");
    assert_eq!(rows_of(&owner, "SELECT id FROM t").await?, json!([[1]]));
    Ok(())
}

const ENDLESS: &str = "SELECT a.range + b.range AS x FROM range(1000000) a, range(1000000) b";

#[tokio::test]
async fn a_cancelled_export_leaves_nothing() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = owner(&server).await?;
    let other = server.project("q").await?;
    let mut started = Vec::new();
    // More than run at once, so that one is cancelled while it waits.
    for index in 0..6 {
        let reply =
            owner.post("/projects/p/export", &json!({"to": format!("/d/{index}.csv"), "query": ENDLESS})).await?;
        assert_eq!(reply.status, 202, "{}", reply.text);
        started.push(reply.header("location").to_owned());
    }
    let begun = Instant::now();
    while owner.get(&started[0]).await?.json()["bytes"].as_u64() < Some(1) {
        ensure!(begun.elapsed() < SOON, "no progress");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(other.get(&started[0]).await?.status, 403);
    assert_eq!(other.delete(&started[0]).await?.status, 403);
    assert_eq!(other.get(&started[0].replace("/p/", "/q/")).await?.code(), "operation_not_found");
    assert_eq!(owner.get("/projects/p/operations/x").await?.code(), "operation_not_found");
    for location in started.iter().rev() {
        assert_eq!(owner.delete(location).await?.status, 200);
    }
    for location in &started {
        let ended = end_of(&owner, location).await?;
        assert_eq!((&ended["state"], ended["finished_at"].is_string()), (&json!("cancelled"), true), "{ended}");
    }
    assert_eq!(owner.delete(&started[0]).await?.json()["state"], "cancelled");
    assert_eq!(objects(&owner).await?, Vec::<String>::new());
    while std::fs::read_dir(server.data_dir().join("staging"))?.next().is_some() {
        ensure!(begun.elapsed() < SOON, "something is left in the staging folder");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

#[tokio::test]
async fn a_project_cannot_fill_the_queue_and_a_restart_interrupts() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = owner(&server).await?;
    let key = owner.key().to_owned();
    let body = json!({"to": "/d/x.csv", "query": ENDLESS});
    let mut last = owner.post("/projects/p/export", &body).await?;
    let location = last.header("location").to_owned();
    for _ in 0..20 {
        last = owner.post("/projects/p/export", &body).await?;
    }
    assert_eq!((last.status, last.code().as_str()), (503, "too_many_operations"), "{}", last.text);

    let server = TestServer::start_in(server.stop().await?, |_| {}).await?;
    let owner = server.with_key(&key);
    let ended = owner.get(&location).await?.json();
    assert_eq!((&ended["state"], &ended["problem"]["code"]), (&json!("failed"), &json!("interrupted")), "{ended}");
    assert_eq!(objects(&owner).await?, Vec::<String>::new());
    Ok(())
}

#[tokio::test]
async fn files_become_part_of_a_table_where_they_lie() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = owner(&server).await?;
    let table = json!({ "name": "r", "columns": [{"name": "id", "type": "BIGINT"}] });
    owner.post(T, &table).await?;
    run(&owner, "/projects/p/export", &json!({"to": "/d/a/1.parquet", "query": "SELECT range AS id FROM range(5)"}))
        .await?;
    let done = owner.post(&format!("{T}/r/files"), &json!({"files": "/d/a/*.parquet"})).await?;
    assert_eq!(
        (done.status, &done.json()["files"], &done.json()["rows"]),
        (200, &json!(1), &json!(5)),
        "{}",
        done.text
    );
    assert_eq!(rows_of(&owner, "SELECT count(*) FROM r").await?, json!([[5]]));
    put(&owner, "bad.parquet", "nothing of the kind").await?;
    let bad = owner.post(&format!("{T}/r/files"), &json!({"files": "/d/bad.parquet"})).await?;
    assert!((400..500).contains(&bad.status), "{}", bad.text);
    assert!(!bad.text.contains(&*server.data_dir().to_string_lossy()), "{}", bad.text);
    Ok(())
}

#[tokio::test]
async fn lineage_knows_the_files_that_are_read_and_written() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = owner(&server).await?;
    make(&owner, "t").await?;
    put(&owner, "in/a.ndjson", "{\"id\": 1, \"name\": \"x\"}\n").await?;
    let done = run(&owner, &format!("{T}/t/import"), &json!({ "files": ["/d/in/a.ndjson"] })).await?;
    assert_eq!(done["state"], "succeeded", "{done}");
    let done = run(&owner, &format!("{T}/t/export"), &json!({ "to": "/d/out/b.csv", "columns": ["id"] })).await?;
    assert_eq!(done["state"], "succeeded", "{done}");
    let begun = Instant::now();
    let graph = loop {
        let waiting = owner.get("/api/v1/lineage/queue").await?.json()["waiting"].clone();
        let reply = owner.get("/api/v1/lineage?nodeId=dataset:dataset%3A%2F%2Fd:out%2Fb.csv&depth=10").await?;
        if reply.status == 200 && waiting == 0 {
            break reply.json();
        }
        ensure!(begun.elapsed() < SOON, "lineage isn't told: {}", reply.text);
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    let nodes = graph["graph"].as_array().context("no graph")?;
    let ids: Vec<&str> = nodes.iter().filter_map(|node| node["id"].as_str()).collect();
    for wanted in [
        "dataset:dataset://d:in/a.ndjson",
        "job:gadwall:rows.appended t",
        "dataset:ducklake:t",
        "job:gadwall:export /d/out/b.csv",
        "dataset:dataset://d:out/b.csv",
    ] {
        assert!(ids.contains(&wanted), "{wanted}: {ids:?}");
    }
    let columns =
        owner.get("/api/v1/column-lineage?nodeId=dataset:dataset%3A%2F%2Fd:out%2Fb.csv&depth=1").await?.json();
    let of_file = columns["graph"].as_array().into_iter().flatten().find(|node| node["data"]["dataset"] == "out/b.csv");
    let of_file = of_file.context("no columns")?;
    assert_eq!((&of_file["data"]["field"], &of_file["data"]["inputFields"][0]["dataset"]), (&json!("id"), &json!("t")));
    let runs = owner.get("/api/v1/namespaces/gadwall/jobs/export%20%2Fd%2Fout%2Fb.csv/runs").await?;
    assert!(runs.json()["runs"][0]["startedAt"].is_string(), "{}", runs.text);
    Ok(())
}

#[tokio::test]
async fn an_export_that_fails_is_a_run_that_failed() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = owner(&server).await?;
    make(&owner, "t").await?;
    let sql = "SELECT nope FROM t";
    let failed = run(&owner, "/projects/p/export", &json!({ "to": "/d/no.csv", "query": sql })).await?;
    let begun = Instant::now();
    let told = loop {
        let runs = owner.get("/api/v1/namespaces/gadwall/jobs/export%20%2Fd%2Fno.csv/runs").await?;
        if runs.status == 200 && !runs.json()["runs"][0].is_null() {
            break runs.json()["runs"][0].clone();
        }
        ensure!(begun.elapsed() < SOON, "lineage isn't told: {}", runs.text);
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert_eq!((&failed["state"], &told["state"]), (&json!("failed"), &json!("FAILED")), "{told}");
    let facets = &told["facets"];
    assert_eq!(facets["errorMessage"]["message"], failed["problem"]["detail"], "{facets}");
    assert_eq!((&facets["gadwall"]["change"], &facets["gadwall"]["code"]), (&json!("export"), &json!("sql_error")));
    let job = owner.get("/api/v1/namespaces/gadwall/jobs/export%20%2Fd%2Fno.csv").await?.json();
    assert_eq!(job["facets"]["sql"]["query"], sql, "{job}");
    Ok(())
}
