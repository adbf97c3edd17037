//! Buckets that other projects read: shared, linked, and not copied.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use gadwall_tests::support::{Client, Reply, TestServer, metadata, send};
use reqwest::Method;
use serde_json::{Value, json};

/// Projects `a`, with rows in `sales.t` and in `secret.t`, and `b`, with a table of its own.
async fn two(server: &TestServer) -> Result<(Client<'_>, Client<'_>)> {
    let (owner, reader) = (server.project("a").await?, server.project("b").await?);
    for sql in [
        "CREATE SCHEMA sales",
        "CREATE TABLE sales.t (id INTEGER PRIMARY KEY, name VARCHAR(10))",
        "INSERT INTO sales.t VALUES (1, 'ann'), (2, 'bob')",
        "CREATE SCHEMA secret",
        "CREATE TABLE secret.hidden AS SELECT 42 AS answer",
    ] {
        rows(&owner, "a", sql).await?;
    }
    rows(&reader, "b", "CREATE TABLE mine AS SELECT 2 AS id, 'own' AS note").await?;
    Ok((owner, reader))
}

async fn run(client: &Client<'_>, project: &str, sql: &str) -> Result<Reply> {
    client.post(&format!("/projects/{project}/query"), &json!({ "query": sql })).await
}

async fn rows(client: &Client<'_>, project: &str, sql: &str) -> Result<Value> {
    let reply = run(client, project, sql).await?;
    assert_eq!(reply.status, 200, "{sql}: {}", reply.text);
    Ok(reply.json()["rows"].clone())
}

async fn share(owner: &Client<'_>, target: &str) -> Result<Reply> {
    owner.post("/projects/a/buckets/sales/share", &json!({ "target_project_id": target })).await
}

async fn link(reader: &Client<'_>, name: &str, bucket: &str) -> Result<Reply> {
    let source = json!({ "source_project_id": "a", "source_bucket_name": bucket });
    reader.post(&format!("/projects/b/buckets/{name}/link"), &source).await
}

async fn linked(server: &TestServer) -> Result<(Client<'_>, Client<'_>)> {
    let (owner, reader) = two(server).await?;
    assert_eq!(share(&owner, "b").await?.status, 200);
    assert_eq!(link(&reader, "ext", "sales").await?.status, 201);
    Ok((owner, reader))
}

async fn unshare(owner: &Client<'_>) -> Result<()> {
    let ended = owner.delete("/projects/a/buckets/sales/share?target_project_id=b").await?;
    assert_eq!(ended.status, 204, "{}", ended.text);
    Ok(())
}

fn told(reply: &Reply) -> (u16, String) {
    (reply.status, reply.code())
}

#[tokio::test]
async fn a_bucket_is_shared_linked_unlinked_and_unshared() -> Result<()> {
    let server = TestServer::start().await?;
    let (owner, reader) = two(&server).await?;
    assert_eq!(told(&link(&reader, "ext", "sales").await?), (403, "forbidden".to_owned()));
    let shared = share(&owner, "b").await?;
    let none = Value::Null;
    let expected = json!({ "shared_with": ["b"], "is_linked": false, "source_project_id": none,
        "source_bucket_name": none });
    assert_eq!((shared.status, shared.json()), (200, expected), "{}", shared.text);
    assert_eq!(told(&share(&owner, "b").await?), (409, "already_shared".to_owned()));
    let offers = reader.get("/projects/b/offers").await?.json();
    assert_eq!(offers["offers"], json!([{ "source_project_id": "a", "source_bucket_name": "sales", "by": "share" }]));

    let made = link(&reader, "ext", "SALES").await?;
    let bucket = json!({ "name": "ext", "table_count": 1, "description": "Linked from a.sales", "is_linked": true,
        "source_project_id": "a", "source_bucket_name": "sales" });
    assert_eq!((made.status, made.json()), (201, bucket.clone()), "{}", made.text);
    assert_eq!(reader.get("/projects/b/offers").await?.json()["total"], 0);
    assert_eq!(told(&link(&reader, "Ext", "sales").await?), (409, "bucket_already_linked".to_owned()));
    assert_eq!(link(&reader, "again", "sales").await?.status, 201);
    let listed = reader.get("/projects/b/buckets").await?.json();
    let names: Vec<_> = listed["buckets"].as_array().unwrap().iter().map(|bucket| bucket["name"].clone()).collect();
    assert_eq!(json!(names), json!(["again", "ext", "main"]));
    assert_eq!(listed["buckets"][1], bucket);
    let given = owner.get("/projects/a/shares").await?.json();
    assert_eq!((&given["total"], &given["shares"][0]["target_project_id"]), (&json!(1), &json!("b")));
    let links = reader.get("/projects/b/links").await?.json();
    assert_eq!((&links["total"], &links["links"][1]["is_active"]), (&json!(2), &json!(true)), "{links}");

    assert_eq!(reader.delete("/projects/b/buckets/ext/link").await?.status, 204);
    assert_eq!(told(&reader.delete("/projects/b/buckets/ext/link").await?), (404, "link_not_found".to_owned()));
    // To delete what is linked is to end the link.
    assert_eq!(reader.delete("/projects/b/buckets/again").await?.status, 204);
    assert_eq!(reader.get("/projects/b/links").await?.json()["total"], 0);
    assert_eq!(rows(&owner, "a", "SELECT count(*) FROM sales.t").await?, json!([[2]]));
    unshare(&owner).await?;
    unshare(&owner).await
}

#[tokio::test]
async fn what_is_not_there_or_taken_is_told_before_what_is_not_allowed() -> Result<()> {
    let server = TestServer::start().await?;
    let (owner, reader) = two(&server).await?;
    let source = |project: &str, bucket: &str| json!({ "source_project_id": project, "source_bucket_name": bucket });
    for (name, body, status, code) in [
        ("ext", source("nobody", "sales"), 404, "project_not_found"),
        ("ext", source("a", "nothing"), 404, "bucket_not_found"),
        ("main", source("a", "sales"), 409, "bucket_exists"),
        ("ext", source("a", "sales"), 403, "forbidden"),
        ("ext", source("b", "main"), 400, "shared_with_itself"),
    ] {
        let reply = reader.post(&format!("/projects/b/buckets/{name}/link"), &body).await?;
        assert_eq!(told(&reply), (status, code.to_owned()), "{body}");
    }
    for (bucket, target, status, code) in [
        ("sales", "nobody", 404, "project_not_found"),
        ("nothing", "b", 404, "bucket_not_found"),
        ("sales", "a", 400, "shared_with_itself"),
    ] {
        let path = format!("/projects/a/buckets/{bucket}/share");
        let reply = owner.post(&path, &json!({ "target_project_id": target })).await?;
        assert_eq!(told(&reply), (status, code.to_owned()), "{bucket} {target}");
    }
    assert_eq!(owner.delete("/projects/a/buckets/sales/share").await?.status, 422);
    // An admin needs no share.
    assert_eq!(link(&server.admin(), "ext", "sales").await?.status, 201);
    assert_eq!(rows(&reader, "b", "SELECT count(*) FROM ext.t").await?, json!([[2]]));
    // What is linked isn't handed on.
    server.project("c").await?;
    let on = reader.post("/projects/b/buckets/ext/share", &json!({ "target_project_id": "c" })).await?;
    assert_eq!(told(&on), (422, "link_of_link".to_owned()));
    let on = server.admin().post("/projects/c/buckets/x/link", &source("b", "ext")).await?;
    assert_eq!(told(&on), (422, "link_of_link".to_owned()));
    assert_eq!(told(&reader.post("/projects/b/buckets", &json!({ "name": "EXT" })).await?).1, "bucket_exists");
    unshare(&owner).await?;
    assert_eq!(told(&reader.get("/projects/b/buckets/ext/tables").await?), (403, "share_ended".to_owned()));
    Ok(())
}

#[tokio::test]
async fn a_grant_opens_a_bucket_to_all() -> Result<()> {
    let server = TestServer::start().await?;
    let (owner, reader) = two(&server).await?;
    let granted = send(owner.request(Method::POST, "/projects/a/buckets/sales/grant-readonly")).await?;
    assert_eq!((granted.status, &granted.json()["status"]), (200, &json!("success")), "{}", granted.text);
    assert_eq!(reader.get("/projects/b/offers").await?.json()["offers"][0]["by"], "grant");
    assert_eq!(link(&reader, "ext", "sales").await?.status, 201);
    assert_eq!(rows(&reader, "b", "SELECT count(*) FROM ext.t").await?, json!([[2]]));
    let missing = send(owner.request(Method::POST, "/projects/a/buckets/nothing/grant-readonly")).await?;
    assert_eq!(told(&missing), (404, "bucket_not_found".to_owned()));
    assert_eq!(owner.delete("/projects/a/buckets/nothing/grant-readonly").await?.status, 404);
    assert_eq!(owner.delete("/projects/a/buckets/sales/grant-readonly").await?.status, 204);
    assert_eq!(told(&run(&reader, "b", "SELECT count(*) FROM ext.t").await?).0, 400);
    assert_eq!(share(&owner, "b").await?.status, 200);
    assert_eq!(rows(&reader, "b", "SELECT count(*) FROM ext.t").await?, json!([[2]]));
    Ok(())
}

#[tokio::test]
async fn a_link_shows_what_its_owner_has_now() -> Result<()> {
    let server = TestServer::start().await?;
    let (owner, reader) = linked(&server).await?;
    let tables = "/projects/b/buckets/ext/tables";
    let table = reader.get(&format!("{tables}/t")).await?;
    assert_eq!((&table.json()["bucket"], &table.json()["row_count"]), (&json!("ext"), &json!(2)), "{}", table.text);
    assert_eq!(table.json()["primary_key"], json!(["id"]));
    let preview = reader.get(&format!("{tables}/t/preview")).await?.json();
    assert_eq!(preview["rows"], json!([{"id": 1, "name": "ann"}, {"id": 2, "name": "bob"}]), "{preview}");
    let data = reader.get(&format!("{tables}/T/data?limit=1&order_by=id%20desc")).await?.json();
    assert_eq!(data["rows"], json!([{"id": 2, "name": "bob"}]), "{data}");
    let profile = reader.get(&format!("{tables}/t/profile")).await?.json();
    assert_eq!(profile["row_count"], 2, "{profile}");

    for sql in [
        "INSERT INTO sales.t VALUES (3, 'cy')",
        "CREATE TABLE sales.late AS SELECT 7 AS n",
        "ALTER TABLE sales.t ADD COLUMN age INTEGER",
    ] {
        rows(&owner, "a", sql).await?;
    }
    assert_eq!(reader.get("/projects/b/buckets/ext").await?.json()["table_count"], 2);
    let listed = reader.get(tables).await?.json();
    assert_eq!((&listed["total"], &listed["tables"][0]["name"]), (&json!(2), &json!("late")), "{listed}");
    assert_eq!(listed["tables"][1]["columns"].as_array().unwrap().len(), 3);
    assert_eq!(rows(&reader, "b", "SELECT id, age FROM ext.t ORDER BY id DESC LIMIT 1").await?, json!([[3, null]]));
    rows(&owner, "a", "DROP TABLE sales.late").await?;
    assert_eq!(told(&reader.get(&format!("{tables}/late")).await?), (404, "table_not_found".to_owned()));
    assert_eq!(run(&reader, "b", "FROM ext.late").await?.status, 400);
    Ok(())
}

#[tokio::test]
async fn sql_reads_links_beside_own_tables() -> Result<()> {
    let server = TestServer::start().await?;
    let (owner, reader) = linked(&server).await?;
    let joined = "SELECT ext.t.name, m.note FROM ext.t JOIN mine m USING (id)";
    assert_eq!(rows(&reader, "b", joined).await?, json!([["bob", "own"]]));
    assert_eq!(rows(&reader, "b", "SELECT count(*) FROM lake.EXT.T").await?, json!([[2]]));
    for sql in [
        "CREATE TABLE copied AS SELECT * FROM ext.t",
        "INSERT INTO copied SELECT id + 10, name FROM ext.t WHERE id = 1",
    ] {
        rows(&reader, "b", sql).await?;
    }
    assert_eq!(rows(&reader, "b", "SELECT sum(id) FROM copied").await?, json!([["14"]]));

    // Versions are the owner's.
    let before = owner.post("/projects/a/query", &json!({ "query": "SELECT 1" })).await?.json()["snapshot_id"].clone();
    rows(&owner, "a", "INSERT INTO sales.t VALUES (3, 'cy')").await?;
    let then = format!("SELECT count(*) FROM ext.t AT (VERSION => {before})");
    assert_eq!(rows(&reader, "b", &then).await?, json!([[2]]));
    let then = format!("/projects/b/buckets/ext/tables/t/preview?snapshot={before}");
    assert_eq!(reader.get(&then).await?.json()["total_row_count"], 2);
    // A link may show one version for ever.
    let pinned = json!({ "source_project_id": "a", "source_bucket_name": "sales", "snapshot_id": before });
    assert_eq!(reader.post("/projects/b/buckets/old/link", &pinned).await?.status, 201);
    let both = "SELECT (SELECT count(*) FROM old.t), (SELECT count(*) FROM ext.t)";
    assert_eq!(rows(&reader, "b", both).await?, json!([[2, 3]]));
    assert_eq!(reader.get("/projects/b/buckets/old/tables/t").await?.json()["row_count"], 2);
    assert_eq!(run(&reader, "b", "FROM old.t AT (VERSION => 1)").await?.code(), "statement_unsupported");
    assert_eq!(reader.get("/projects/b/buckets/old/tables/t?snapshot=1").await?.status, 422);

    let lists = "SELECT table_schema, table_name FROM information_schema.tables ORDER BY 1, 2";
    let expected = json!([["ext", "t"], ["main", "copied"], ["main", "mine"], ["old", "t"]]);
    assert_eq!(rows(&reader, "b", lists).await?, expected);
    assert_eq!(rows(&reader, "b", "SHOW TABLES FROM ext").await?, json!([["t"]]));
    let described = rows(&reader, "b", "DESCRIBE ext.t").await?;
    assert_eq!(described.as_array().unwrap().len(), 2, "{described}");
    let ids = "SELECT count(*) - count(DISTINCT table_oid) FROM duckdb_tables()";
    assert_eq!(rows(&reader, "b", ids).await?, json!([[0]]));
    let view = run(&reader, "b", "CREATE VIEW v AS SELECT * FROM ext.t").await?;
    assert_eq!(told(&view), (422, "statement_unsupported".to_owned()), "{}", view.text);
    Ok(())
}

#[tokio::test]
async fn a_link_is_only_read() -> Result<()> {
    let server = TestServer::start().await?;
    let (owner, reader) = linked(&server).await?;
    let table = "/projects/b/buckets/ext/tables/t";
    let new = json!({ "name": "u", "columns": [{"name": "id", "type": "INT"}] });
    let replies = [
        reader.post("/projects/b/buckets/ext/tables", &new).await?,
        reader.post(&format!("{table}/rows"), &json!([{"id": 9}])).await?,
        reader.post(&format!("{table}/truncate"), &json!({})).await?,
        reader.delete(table).await?,
        reader.put("/projects/b/buckets/ext/views/v", &json!({ "query": "SELECT 1" })).await?,
        run(&reader, "b", "INSERT INTO ext.t VALUES (9, 'x')").await?,
        run(&reader, "b", "DELETE FROM ext.t").await?,
        run(&reader, "b", "UPDATE Ext.t SET name = 'x'").await?,
        run(&reader, "b", "CREATE TABLE ext.u AS SELECT 1 AS i").await?,
        run(&reader, "b", "DROP TABLE ext.t").await?,
        run(&reader, "b", "ALTER TABLE ext.t ADD COLUMN c INT").await?,
    ];
    for reply in replies {
        assert_eq!(told(&reply), (403, "read_only".to_owned()), "{}", reply.text);
    }
    for sql in ["DROP SCHEMA ext CASCADE", "CREATE SCHEMA ext", "CREATE SCHEMA IF NOT EXISTS EXT"] {
        assert_eq!(run(&reader, "b", sql).await?.status, 403, "{sql}");
    }
    assert_eq!(rows(&owner, "a", "SELECT count(*) FROM sales.t").await?, json!([[2]]));
    Ok(())
}

#[tokio::test]
async fn nothing_else_of_the_owner_shows() -> Result<()> {
    let server = TestServer::start().await?;
    let (owner, reader) = linked(&server).await?;
    rows(&owner, "a", "CREATE VIEW sales.v AS SELECT answer FROM secret.hidden").await?;
    let replies = [
        reader.get("/projects/a").await?,
        reader.get("/projects/a/buckets").await?,
        reader.get("/projects/a/buckets/sales/tables/t/preview").await?,
        reader.get("/projects/a/snapshots").await?,
        run(&reader, "a", "FROM sales.t").await?,
    ];
    for reply in replies {
        assert_eq!(told(&reply), (403, "forbidden".to_owned()));
    }
    for sql in [
        "FROM secret.hidden",
        "FROM sales.t",
        "FROM ext.hidden",
        "FROM a.sales.t",
        "SELECT nothing FROM ext.t",
        "SELECT ext.t.nothing FROM ext.t",
        "SELECT CAST(name AS INTEGER) FROM ext.t",
        "FROM ext.t AT (VERSION => 999999)",
        "EXPLAIN SELECT * FROM ext.v",
        "SELECT * FROM information_schema.tables, ext.nothing",
    ] {
        let reply = run(&reader, "b", sql).await?;
        assert!(matches!(reply.status, 400 | 422), "{sql}: {}", reply.text);
        for private in ["secret", "answer", "p_0", "lakes", "/tmp"] {
            let said = reply.text.replace(sql, "");
            assert!(!said.contains(private) || sql.contains(private), "{sql}: {}", reply.text);
        }
    }
    // A view shows what its owner put into it, and not how it is made.
    assert_eq!(rows(&reader, "b", "FROM ext.v").await?, json!([[42]]));
    for list in [
        "FROM duckdb_views()",
        "FROM duckdb_tables()",
        "FROM information_schema.columns",
        "FROM information_schema.schemata",
        "FROM duckdb_schemas()",
        "SHOW ALL TABLES",
        "SHOW DATABASES",
    ] {
        let listed = run(&reader, "b", list).await?;
        assert_eq!(listed.status, 200, "{list}: {}", listed.text);
        assert!(!listed.text.contains("secret") && !listed.text.contains("sales"), "{list}: {}", listed.text);
    }
    let views = reader.get("/projects/b/buckets/ext/views").await?;
    assert!(views.json()["total"] == 1 && !views.text.contains("secret"), "{}", views.text);
    let snapshots = reader.get("/projects/b/snapshots").await?;
    assert!(!snapshots.text.contains("sales"), "{}", snapshots.text);
    let plan = run(&reader, "b", "EXPLAIN SELECT * FROM ext.t").await?;
    assert!(plan.status == 200 && !plan.text.contains("lakes") && !plan.text.contains("p_"), "{}", plan.text);
    Ok(())
}

#[tokio::test]
async fn an_unshared_bucket_is_read_no_more_not_even_out_of_a_cache() -> Result<()> {
    let server = TestServer::start().await?;
    let (owner, reader) = linked(&server).await?;
    let sql = "SELECT count(*) AS n FROM ext.t";
    let query = "/projects/b/query?query=SELECT%20count(*)%20AS%20n%20FROM%20ext.t";
    let first = reader.get(query).await?;
    let again = reader.get(query).await?;
    assert_eq!((again.header("x-cache"), &again.json()["rows"]), ("hit", &first.json()["rows"]));
    let etag = first.header("etag").to_owned();
    let known =
        async |path: &str, etag: &str| send(reader.request(Method::GET, path).header("If-None-Match", etag)).await;
    assert_eq!(known(query, &etag).await?.status, 304);
    let table = "/projects/b/buckets/ext/tables/t";
    let shown = reader.get(table).await?.header("etag").to_owned();
    assert_eq!(known(table, &shown).await?.status, 304);

    // What the owner commits is seen at once.
    rows(&owner, "a", "INSERT INTO sales.t VALUES (3, 'cy')").await?;
    let newer = known(query, &etag).await?;
    assert_eq!((newer.status, &newer.json()["rows"]), (200, &json!([[3]])));
    let etag = newer.header("etag").to_owned();

    unshare(&owner).await?;
    assert_eq!(known(query, &etag).await?.status, 400);
    assert_eq!(run(&reader, "b", sql).await?.status, 400);
    let ended = [
        known(table, "*").await?,
        reader.get("/projects/b/buckets/ext/tables").await?,
        reader.get(&format!("{table}/preview")).await?,
        reader.get(&format!("{table}/data")).await?,
        reader.get(&format!("{table}/profile")).await?,
        reader.get(&format!("{table}/changes?from=1")).await?,
    ];
    for reply in ended {
        assert_eq!(told(&reply), (403, "share_ended".to_owned()), "{}", reply.text);
    }
    assert_eq!(run(&reader, "b", "CREATE TABLE stolen AS FROM ext.t").await?.status, 400);
    let lists = "SELECT count(*) FROM information_schema.tables WHERE table_schema = 'ext'";
    assert_eq!(rows(&reader, "b", lists).await?, json!([[0]]));
    let bucket = reader.get("/projects/b/buckets/ext").await?.json();
    assert_eq!((&bucket["is_linked"], &bucket["table_count"]), (&json!(true), &json!(0)));
    assert_eq!(reader.delete("/projects/b/buckets/ext/link").await?.status, 204);

    // Another bucket under the same name is another one.
    for sql in ["CREATE SCHEMA other", "CREATE TABLE other.t (id INTEGER PRIMARY KEY, name VARCHAR(10))"] {
        rows(&owner, "a", sql).await?;
    }
    owner.post("/projects/a/buckets/other/share", &json!({ "target_project_id": "b" })).await?;
    assert_eq!(link(&reader, "ext", "other").await?.status, 201);
    assert_eq!(known(query, &etag).await?.json()["rows"], json!([[0]]));
    assert_eq!(known(table, &shown).await?.status, 200);
    Ok(())
}

#[tokio::test]
async fn what_is_gone_takes_its_links_along() -> Result<()> {
    let server = TestServer::start().await?;
    let (owner, reader) = linked(&server).await?;
    // By SQL, too.
    rows(&owner, "a", "DROP SCHEMA sales CASCADE").await?;
    assert_eq!(told(&reader.get("/projects/b/buckets/ext").await?), (404, "bucket_not_found".to_owned()));
    assert_eq!(owner.get("/projects/a/shares").await?.json()["total"], 0);
    rows(&owner, "a", "CREATE SCHEMA sales").await?;
    assert_eq!(link(&reader, "ext", "sales").await?.status, 403);
    assert_eq!(share(&owner, "b").await?.status, 200);
    assert_eq!(link(&reader, "ext", "sales").await?.json()["table_count"], 0);
    assert_eq!(owner.delete("/projects/a").await?.status, 204);
    assert_eq!(told(&reader.get("/projects/b/buckets/ext/tables").await?), (403, "share_ended".to_owned()));
    assert_eq!(server.admin().post("/projects/a/undelete", &json!({})).await?.status, 200);
    assert_eq!(reader.get("/projects/b/buckets/ext/tables").await?.status, 200);
    assert_eq!(server.admin().delete("/projects/a?purge=true").await?.status, 204);
    assert_eq!(reader.get("/projects/b/links").await?.json()["total"], 0);
    assert_eq!(told(&reader.get("/projects/b/buckets/ext/tables").await?).0, 404);
    Ok(())
}

#[tokio::test]
async fn a_query_that_reads_a_bucket_is_stopped_when_its_share_ends() -> Result<()> {
    let server = TestServer::start().await?;
    let (owner, reader) = linked(&server).await?;
    let long = "SELECT count(*) FROM ext.t, range(100000000) a, range(100000000) b WHERE a.range + b.range = 7";
    let body = json!({ "query": long, "timeout_seconds": 60 });
    let asked = tokio::spawn(send(reader.request(Method::POST, "/projects/b/query").json(&body)));
    let begun = Instant::now();
    while reader.get("/projects/b/queries?state=running").await?.json()["queries"] == json!([]) {
        if begun.elapsed() > Duration::from_secs(10) {
            bail!("the query doesn't run");
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    unshare(&owner).await?;
    assert_eq!(asked.await??.code(), "query_cancelled");
    Ok(())
}

/// Waits until something is in a state that fits; answers that.
async fn until(client: &Client<'_>, path: &str, fits: impl Fn(&str) -> bool) -> Result<String> {
    let begun = Instant::now();
    loop {
        let seen = client.get(path).await?;
        if let Some(state) = seen.json()["state"].as_str().filter(|state| fits(state)) {
            return Ok(state.to_owned());
        }
        if begun.elapsed() > Duration::from_secs(30) {
            bail!("{path}: {}", seen.text);
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn exports_and_queries_in_the_background_are_stopped_when_a_share_ends() -> Result<()> {
    let server = TestServer::start().await?;
    let (owner, reader) = linked(&server).await?;
    let long = "SELECT count(*) AS n FROM ext.t, range(100000000) a, range(100000000) b WHERE a.range + b.range = 7";
    assert_eq!(reader.post("/projects/b/datasets", &json!({ "name": "d" })).await?.status, 201);
    let export = reader.post("/projects/b/export", &json!({ "to": "/d/n.csv", "query": long })).await?;
    assert_eq!(export.status, 202, "{}", export.text);
    let export = export.header("location").to_owned();
    let query = reader.post("/projects/b/queries", &json!({ "query": long, "timeout_seconds": 600 })).await?;
    assert_eq!(query.status, 202, "{}", query.text);
    let query = query.header("location").to_owned();
    for path in [&export, &query] {
        until(&reader, path, |state| state == "running").await?;
    }
    unshare(&owner).await?;
    let ended = until(&reader, &export, |state| !matches!(state, "pending" | "running")).await?;
    assert!(matches!(ended.as_str(), "failed" | "cancelled"), "{ended}");
    assert_eq!(until(&reader, &query, |state| !matches!(state, "queued" | "running")).await?, "cancelled");
    Ok(())
}

#[tokio::test]
async fn shares_and_links_are_events() -> Result<()> {
    let server = TestServer::start().await?;
    let (owner, reader) = linked(&server).await?;
    unshare(&owner).await?;
    reader.delete("/projects/b/buckets/ext/link").await?;
    let types = async |project: &str| -> Result<Vec<String>> {
        let store = metadata(server.data_dir()).await?;
        let project = gadwall_domain::names::ProjectId::parse(project)?;
        let events = store.read().await?.events().read_after(&project, 0, 100).await?;
        let types = events.into_iter().map(|event| event.event_type);
        Ok(types.filter(|kind| kind.contains("shared") || kind.contains("linked")).collect())
    };
    assert_eq!(types("a").await?, ["bucket.shared", "bucket.unshared"]);
    assert_eq!(types("b").await?, ["bucket.shared", "bucket.linked", "bucket.unshared", "bucket.unlinked"]);
    Ok(())
}

/// Who reads what of `a`: bucket, table, project and how often.
async fn readers(owner: &Client<'_>, filter: &str) -> Result<Value> {
    let reply = owner.get(&format!("/projects/a/readers{filter}")).await?;
    assert_eq!(reply.status, 200, "{}", reply.text);
    let readers = reply.json()["readers"].as_array().cloned().unwrap_or_default();
    let told = |reader: &Value| {
        assert!(reader["last_read_at"].is_string(), "{reader}");
        json!([reader["bucket_name"], reader["table_name"], reader["project_id"], reader["reads"]])
    };
    Ok(readers.iter().map(told).collect())
}

#[tokio::test]
async fn an_owner_sees_who_reads_what_and_how_often() -> Result<()> {
    let server = TestServer::start().await?;
    let (owner, reader) = linked(&server).await?;
    rows(&owner, "a", "CREATE VIEW sales.v AS SELECT id FROM sales.t").await?;
    // Names in texts and lists are no reads, nor is what is refused or only tried.
    for sql in ["SELECT 'ext.t'", "SHOW TABLES", "SELECT table_name FROM information_schema.tables"] {
        rows(&reader, "b", sql).await?;
    }
    assert_eq!(run(&reader, "b", "SELECT nothing FROM ext.t").await?.status, 400);
    let tried = json!({ "query": "SELECT * FROM ext.t" });
    assert_eq!(reader.post("/projects/b/query?dry_run=true", &tried).await?.status, 200);
    assert_eq!(readers(&owner, "").await?, json!([]));

    // The second one may be kept; it counts.
    for _ in 0..2 {
        rows(&reader, "b", "SELECT count(*) FROM ext.t").await?;
    }
    // In SQL a view is what it reads.
    rows(&reader, "b", "SELECT * FROM ext.v JOIN mine USING (id)").await?;
    assert_eq!(reader.get("/projects/b/buckets/ext/tables/t/preview").await?.status, 200);
    assert_eq!(readers(&owner, "").await?, json!([["sales", "t", "b", 4]]));
    rows(&reader, "b", "CREATE TABLE copied AS SELECT * FROM ext.t").await?;
    let batch = json!({ "queries": [{ "query": "SELECT 1" }, { "query": "SELECT * FROM ext.t" }] });
    assert_eq!(reader.post("/projects/b/batch", &batch).await?.status, 200);
    assert_eq!(readers(&owner, "?bucket=SALES").await?, json!([["sales", "t", "b", 6]]));
    assert_eq!(readers(&owner, "?bucket=secret").await?, json!([]));
    // The owner's own reads are nobody else's business, and stay so when the share ends.
    rows(&owner, "a", "SELECT * FROM sales.t").await?;
    unshare(&owner).await?;
    assert_eq!(run(&reader, "b", "SELECT * FROM ext.t").await?.status, 400);
    assert_eq!(readers(&owner, "").await?, json!([["sales", "t", "b", 6]]));
    assert_eq!(told(&reader.get("/projects/a/readers").await?), (403, "forbidden".to_owned()));
    // They go with the bucket.
    assert_eq!(owner.delete("/projects/a/buckets/sales").await?.status, 204);
    assert_eq!(readers(&owner, "").await?, json!([]));
    Ok(())
}
