//! Views: queries with a name.

use anyhow::Result;
use gadwall_domain::access::Scope;
use gadwall_domain::names::BucketName;
use gadwall_tests::support::{Client, Reply, TestServer, add_key};
use serde_json::{Value, json};

async fn filled(server: &TestServer) -> Result<Client<'_>> {
    let owner = server.project("p").await?;
    for bucket in ["sales", "lab"] {
        owner.post("/projects/p/buckets", &json!({ "name": bucket })).await?;
    }
    let columns = json!([{"name": "id", "type": "INT"}, {"name": "name", "type": "VARCHAR"}]);
    for bucket in ["sales", "lab"] {
        let table = json!({ "name": "t", "columns": columns });
        let made = owner.post(&format!("/projects/p/buckets/{bucket}/tables"), &table).await?;
        assert_eq!(made.status, 201, "{}", made.text);
    }
    let rows = json!([{"id": 1, "name": "ann"}, {"id": 2, "name": "bob"}, {"id": 3, "name": "cy"}]);
    owner.post("/projects/p/buckets/sales/tables/t/rows", &rows).await?;
    owner.post("/projects/p/buckets/lab/tables/t/rows", &json!([{"id": 2, "name": "lab"}])).await?;
    Ok(owner)
}

async fn put(client: &Client<'_>, name: &str, query: &str) -> Result<Reply> {
    let (bucket, view) = name.split_once('.').unwrap_or(("main", name));
    client.put(&format!("/projects/p/buckets/{bucket}/views/{view}"), &json!({ "query": query })).await
}

async fn made(client: &Client<'_>, name: &str, query: &str) -> Result<()> {
    let reply = put(client, name, query).await?;
    assert!(matches!(reply.status, 200 | 201), "{name}: {query}: {}", reply.text);
    Ok(())
}

async fn run(client: &Client<'_>, sql: &str) -> Result<Reply> {
    client.post("/projects/p/query", &json!({ "query": sql })).await
}

async fn rows(client: &Client<'_>, sql: &str) -> Result<Value> {
    let reply = run(client, sql).await?;
    assert_eq!(reply.status, 200, "{sql}: {}", reply.text);
    Ok(reply.json()["rows"].clone())
}

async fn fails(client: &Client<'_>, sql: &str, status: u16, code: &str) -> Result<()> {
    let reply = run(client, sql).await?;
    assert_eq!((reply.status, reply.code().as_str()), (status, code), "{sql}: {}", reply.text);
    assert!(!reply.text.contains("p_"), "{sql}: {}", reply.text);
    Ok(())
}

#[tokio::test]
async fn views_are_made_read_listed_made_anew_and_dropped() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = filled(&server).await?;
    let path = "/projects/p/buckets/sales/views/Big";
    let query = "SELECT id, upper(name) AS name FROM t WHERE id > 1 -- ours";
    let reply = owner.put(path, &json!({ "query": query, "comment": "it's big" })).await?;
    assert_eq!(reply.status, 201, "{}", reply.text);
    let body = reply.json();
    let columns = json!([{"name": "id", "type": "INTEGER"}, {"name": "name", "type": "VARCHAR"}]);
    assert_eq!((&body["name"], &body["bucket"]), (&json!("Big"), &json!("sales")));
    assert_eq!((&body["query"], &body["comment"]), (&json!(query), &json!("it's big")));
    assert_eq!(body["columns"], columns);
    assert!(body["updated_at"].is_string(), "{body}");
    assert_eq!(owner.get(path).await?.json(), body);
    let listed = owner.get("/projects/p/buckets/sales/views").await?.json();
    assert_eq!(listed, json!({ "views": [body], "total": 1 }));
    assert_eq!(owner.get("/projects/p/buckets/lab/views").await?.json(), json!({ "views": [], "total": 0 }));

    assert_eq!(rows(&owner, "SELECT * FROM sales.big ORDER BY id").await?, json!([[2, "BOB"], [3, "CY"]]));
    let join = "SELECT b.id, b.name, t.name FROM sales.Big b JOIN lab.t t USING (id)";
    assert_eq!(rows(&owner, join).await?, json!([[2, "BOB", "lab"]]));
    assert_eq!(rows(&owner, "SELECT sales.big.id FROM sales.big WHERE big.id = 3").await?, json!([[3]]));
    // What is written later shows, in results that were asked for before.
    owner.post("/projects/p/buckets/sales/tables/t/rows", &json!([{"id": 4, "name": "dan"}])).await?;
    assert_eq!(rows(&owner, "SELECT count(*) FROM sales.big").await?, json!([[3]]));

    let reply = owner.put(path, &json!({ "query": "SELECT 7 AS seven" })).await?;
    assert_eq!((reply.status, &reply.json()["comment"]), (200, &Value::Null), "{}", reply.text);
    assert_eq!(rows(&owner, "FROM sales.big").await?, json!([[7]]));
    assert_eq!(owner.delete(path).await?.status, 204);
    for reply in [owner.get(path).await?, owner.delete(path).await?] {
        assert_eq!((reply.status, reply.code().as_str()), (404, "view_not_found"), "{}", reply.text);
    }
    fails(&owner, "FROM sales.big", 400, "sql_error").await?;
    assert_eq!(owner.get("/projects/p/buckets/nope/views").await?.code(), "bucket_not_found");
    assert_eq!(put(&owner, "nope.v", "SELECT 1").await?.code(), "bucket_not_found");
    Ok(())
}

#[tokio::test]
async fn views_are_made_in_sql_too() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = filled(&server).await?;
    for sql in [
        "CREATE VIEW sales.v AS SELECT id FROM sales.t",
        "CREATE VIEW IF NOT EXISTS sales.v AS SELECT 'other' AS x",
        "CREATE OR REPLACE VIEW sales.w (number) AS SELECT id * 10 FROM sales.v",
    ] {
        rows(&owner, sql).await?;
    }
    assert_eq!(rows(&owner, "SELECT max(number) FROM sales.w").await?, json!([[30]]));
    fails(&owner, "CREATE VIEW sales.v AS SELECT 1", 409, "view_exists").await?;
    fails(&owner, "DROP VIEW sales.t", 422, "statement_unsupported").await?;
    fails(&owner, "DROP TABLE sales.v", 422, "statement_unsupported").await?;
    fails(&owner, "DROP VIEW sales.nope", 404, "view_not_found").await?;
    rows(&owner, "DROP VIEW IF EXISTS sales.nope").await?;

    // A script sees what it made, and leaves nothing when it fails.
    let batch = json!({ "use_transaction": true, "queries": [
        "CREATE TEMP TABLE mine AS SELECT 1 AS x",
        "CREATE VIEW sales.fresh AS SELECT id + 1 AS id FROM sales.v",
        "SELECT max(id) FROM sales.fresh",
        "DROP VIEW sales.v",
        "CREATE VIEW sales.v AS SELECT 5 AS id",
        "SELECT max(id) FROM sales.fresh",
    ]});
    let reply = owner.post("/projects/p/batch", &batch).await?;
    assert_eq!(reply.status, 200, "{}", reply.text);
    assert_eq!(rows(&owner, "SELECT id FROM sales.fresh").await?, json!([[6]]));
    let lost = json!({ "use_transaction": true, "queries": [
        "CREATE TEMP TABLE mine AS SELECT 1 AS x", "CREATE VIEW sales.lost AS SELECT * FROM mine",
    ]});
    let reply = owner.post("/projects/p/batch", &lost).await?;
    assert_eq!((reply.status, reply.code().as_str()), (400, "sql_error"), "{}", reply.text);
    rows(&owner, "DROP VIEW sales.fresh").await?;
    fails(&owner, "FROM sales.fresh", 400, "sql_error").await
}

#[tokio::test]
async fn nothing_is_written_to_a_view_and_names_are_taken_once() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = filled(&server).await?;
    made(&owner, "sales.v", "SELECT * FROM t").await?;
    for sql in [
        "INSERT INTO sales.v VALUES (9, 'x')",
        "UPDATE sales.v SET id = 1",
        "DELETE FROM sales.v",
        "TRUNCATE sales.v",
        "ALTER TABLE sales.v ADD COLUMN x INT",
        "ALTER TABLE sales.v RENAME TO w",
        "COMMENT ON TABLE sales.v IS 'x'",
    ] {
        fails(&owner, sql, 422, "statement_unsupported").await?;
    }
    let reply = owner.post("/projects/p/buckets/sales/tables/v/rows", &json!([{"id": 9}])).await?;
    assert_eq!((reply.status, reply.code().as_str()), (409, "table_is_view"), "{}", reply.text);

    let columns = json!([{"name": "id", "type": "INT"}]);
    let reply = owner.post("/projects/p/buckets/sales/tables", &json!({"name": "V", "columns": columns})).await?;
    assert_eq!((reply.status, reply.code().as_str()), (409, "view_exists"), "{}", reply.text);
    for sql in
        ["CREATE TABLE sales.v (a INT)", "CREATE OR REPLACE TABLE sales.v (a INT)", "ALTER TABLE sales.t RENAME TO v"]
    {
        fails(&owner, sql, 409, "view_exists").await?;
    }
    let reply = put(&owner, "sales.T", "SELECT 1").await?;
    assert_eq!((reply.status, reply.code().as_str()), (409, "table_exists"), "{}", reply.text);
    assert_eq!(rows(&owner, "SELECT count(*) FROM sales.v").await?, json!([[3]]));
    Ok(())
}

#[tokio::test]
async fn a_view_reads_with_its_owners_right_and_no_more() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = filled(&server).await?;
    let lab = Some(BucketName::parse("lab")?);
    add_key(server.data_dir(), "p", "limited-key", &[Scope::Read, Scope::Write, Scope::Manage], lab).await?;
    let limited = server.with_key("limited-key");
    made(&owner, "lab.open", "SELECT name FROM sales.t WHERE id = 1").await?;
    assert_eq!(rows(&limited, "SELECT * FROM lab.open").await?, json!([["ann"]]));
    fails(&limited, "SELECT * FROM sales.t", 400, "sql_error").await?;
    // A plan would tell of tables that aren't the reader's.
    fails(&limited, "EXPLAIN SELECT * FROM lab.open", 422, "statement_unsupported").await?;
    assert!(!rows(&owner, "EXPLAIN SELECT * FROM lab.open").await?.to_string().contains("p_"));
    for query in ["SELECT * FROM sales.t", "SELECT * FROM lab.t, sales.t", "SELECT (SELECT max(id) FROM sales.t)"] {
        let reply = put(&limited, "lab.mine", query).await?;
        assert_eq!((reply.status, reply.code().as_str()), (400, "sql_error"), "{query}: {}", reply.text);
        let reply = run(&limited, &format!("CREATE VIEW lab.mine AS {query}")).await?;
        assert_eq!(reply.status, 400, "{query}: {}", reply.text);
    }
    assert_eq!(put(&limited, "sales.mine", "SELECT 1").await?.status, 403);
    assert_eq!(limited.get("/projects/p/buckets/sales/views").await?.status, 403);
    made(&limited, "lab.mine", "SELECT o.name, t.id FROM open o, t").await?;
    assert_eq!(rows(&owner, "SELECT * FROM lab.mine").await?, json!([["ann", 2]]));
    // Whoever may not read the view's bucket doesn't read the view.
    made(&owner, "sales.shut", "SELECT 1 AS x").await?;
    fails(&limited, "SELECT * FROM sales.shut", 400, "sql_error").await?;

    add_key(server.data_dir(), "p", "reader-key", &[Scope::Read], None).await?;
    let reader = server.with_key("reader-key");
    assert_eq!(put(&reader, "lab.r", "SELECT 1").await?.status, 403);
    assert_eq!(reader.delete("/projects/p/buckets/lab/views/mine").await?.status, 403);
    assert_eq!(run(&reader, "DROP VIEW lab.mine").await?.status, 403);
    assert_eq!(rows(&reader, "SELECT count(*) FROM lab.mine").await?, json!([[1]]));
    Ok(())
}

#[tokio::test]
async fn hostile_views_are_refused() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = filled(&server).await?;
    server.project("other").await?;
    for query in [
        "",
        ";",
        "SELECT 1; DROP TABLE sales.t",
        "SELECT 1; SELECT 2",
        "DROP TABLE sales.t",
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM duckdb_settings()",
        "SELECT * FROM other.main.t",
        "SELECT * FROM __ducklake_metadata_p.main.ducklake_table",
        "SELECT $1",
        "SELECT ?::INT",
        "SELECT * FROM sales.t AT (VERSION => 1), nope",
        "INSERT INTO sales.t VALUES (1, 'x')",
        "SELECT 1) AS x; DROP TABLE sales.t; --",
        "SELECT * FROM sales.v",
        "SELECT * FROM information_schema.tables",
        "SELECT getenv('HOME')",
    ] {
        let reply = put(&owner, "sales.v", query).await?;
        assert!((400..500).contains(&reply.status), "{query}: {} {}", reply.status, reply.text);
        let place = server.data_dir().to_string_lossy().into_owned();
        assert!(!reply.text.contains("p_0") && !reply.text.contains(&place), "{query}: {}", reply.text);
    }
    for name in ["a.b", "x%20y%22", "%27%3B--", "", "..", "v%00"] {
        let path = format!("/projects/p/buckets/sales/views/{name}");
        let reply = owner.put(&path, &json!({ "query": "SELECT 1" })).await?;
        assert!((400..500).contains(&reply.status), "{name}: {} {}", reply.status, reply.text);
    }
    assert_eq!(owner.get("/projects/p/buckets/sales/views").await?.json()["total"], 0);
    assert_eq!(rows(&owner, "SELECT count(*) FROM sales.t").await?, json!([[3]]));

    // Aliases and texts that would be others if they were printed carelessly.
    made(&owner, "sales.odd", "SELECT id AS \"a\"\"; DROP TABLE sales.t; --\", 'it''s; --' AS \"x y\" FROM t").await?;
    assert_eq!(rows(&owner, "SELECT * FROM sales.odd WHERE \"x y\" = 'it''s; --' LIMIT 1").await?[0][1], "it's; --");
    Ok(())
}

#[tokio::test]
async fn views_in_views_are_bounded() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = filled(&server).await?;
    made(&owner, "sales.v0", "SELECT * FROM t").await?;
    made(&owner, "sales.v1", "SELECT * FROM v0").await?;
    made(&owner, "sales.v2", "SELECT a.id FROM v1 a JOIN v0 b USING (id)").await?;
    assert_eq!(rows(&owner, "SELECT count(*) FROM sales.v2").await?, json!([[3]]));
    for query in ["SELECT * FROM v0", "SELECT * FROM v1", "SELECT id FROM v2"] {
        let reply = put(&owner, "sales.v0", query).await?;
        assert_eq!((reply.status, reply.code().as_str()), (422, "statement_unsupported"), "{query}: {}", reply.text);
    }
    // Doubled again and again, each from the last.
    let mut refused = None;
    for number in 1..30 {
        let before = number - 1;
        let query = format!("SELECT * FROM d{before} UNION ALL SELECT * FROM d{before}");
        let reply =
            put(&owner, &format!("sales.d{number}"), if number == 1 { "SELECT * FROM t" } else { &query }).await?;
        if reply.status != 201 {
            refused = Some((number, reply.status));
            break;
        }
    }
    assert!(refused.is_some_and(|(number, status)| (4..=16).contains(&number) && status == 422), "{refused:?}");
    // Built from the top down: each is cheap when it is made.
    for number in 0..30 {
        made(&owner, &format!("sales.e{number}"), "SELECT 1 AS id").await?;
    }
    for number in (1..30).rev() {
        made(
            &owner,
            &format!("sales.e{number}"),
            &format!("SELECT id FROM e{0} UNION ALL SELECT id FROM e{0}", number - 1),
        )
        .await?;
    }
    fails(&owner, "SELECT count(*) FROM sales.e29", 422, "statement_unsupported").await?;
    assert_eq!(rows(&owner, "SELECT count(*) FROM sales.e1").await?, json!([[2]]));
    Ok(())
}

#[tokio::test]
async fn views_outlive_restarts_and_not_their_tables() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = filled(&server).await?;
    let key = owner.key().to_owned();
    made(&owner, "sales.v", "SELECT id FROM t").await?;
    made(&owner, "lab.over", "SELECT id FROM sales.v").await?;
    made(&owner, "clock", "SELECT now() AS now, random() AS random").await?;
    let before = owner.get("/projects/p/buckets/sales/views/v").await?.json();
    let server = TestServer::start_in(server.stop().await?, |_| {}).await?;
    let owner = server.with_key(&key);
    assert_eq!(owner.get("/projects/p/buckets/sales/views/v").await?.json(), before);
    assert_eq!(rows(&owner, "SELECT count(*) FROM lab.over").await?, json!([[3]]));
    let random = rows(&owner, "SELECT random FROM clock").await?;
    assert_ne!(rows(&owner, "SELECT random FROM clock").await?, random, "it isn't cached");

    assert_eq!(owner.delete("/projects/p/buckets/sales/tables/t").await?.status, 204);
    fails(&owner, "SELECT * FROM sales.v", 400, "sql_error").await?;
    fails(&owner, "SELECT * FROM lab.over", 400, "sql_error").await?;
    let reply = owner.delete("/projects/p/buckets/sales?cascade=false").await?;
    assert_eq!((reply.status, reply.code().as_str()), (409, "bucket_not_empty"), "{}", reply.text);
    assert_eq!(owner.delete("/projects/p/buckets/sales").await?.status, 204);
    fails(&owner, "SELECT * FROM sales.v", 400, "sql_error").await?;
    owner.post("/projects/p/buckets", &json!({ "name": "sales" })).await?;
    assert_eq!(owner.get("/projects/p/buckets/sales/views").await?.json()["total"], 0);
    Ok(())
}

async fn newest(client: &Client<'_>, view: &str) -> Result<u64> {
    let (bucket, view) = view.split_once('.').unwrap_or(("main", view));
    let body = client.get(&format!("/projects/p/buckets/{bucket}/views/{view}")).await?.json();
    Ok(body["snapshot_id"].as_u64().unwrap_or_default())
}

#[tokio::test]
async fn a_view_is_read_as_of_a_version() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = filled(&server).await?;
    made(&owner, "sales.v", "WITH x AS (SELECT id, name FROM sales.t) SELECT x.id, x.name FROM x WHERE id > 1").await?;
    rows(&owner, "CREATE VIEW lab.over (number, label) AS SELECT sales.v.id, lab.t.name FROM sales.v, lab.t").await?;
    let then = newest(&owner, "lab.over").await?;
    owner.post("/projects/p/buckets/sales/tables/t/rows", &json!([{"id": 9, "name": "new"}])).await?;
    rows(&owner, "DELETE FROM lab.t").await?;

    assert_eq!(rows(&owner, "SELECT count(*) FROM sales.v").await?, json!([[3]]));
    assert_eq!(rows(&owner, "SELECT count(*) FROM lab.over").await?, json!([[0]]));
    for (sql, expected) in [
        ("SELECT id, name FROM sales.v AT (VERSION => #) ORDER BY id", json!([[2, "bob"], [3, "cy"]])),
        ("SELECT sales.V.id FROM lake.sales.V AT (VERSION => #) WHERE V.name = 'cy'", json!([[3]])),
        ("SELECT o.number, o.label FROM lab.over AS o AT (VERSION => #) ORDER BY 1", json!([[2, "lab"], [3, "lab"]])),
        ("SELECT count(*) FROM sales.v AS new, sales.v AS old AT (VERSION => #)", json!([[6]])),
        (
            "WITH x AS (SELECT 7 AS id) SELECT x.id, v.id FROM x, sales.v AT (VERSION => #) ORDER BY ALL",
            json!([[7, 2], [7, 3]]),
        ),
        ("SELECT (SELECT max(number) FROM lab.over AT (VERSION => #))", json!([[3]])),
    ] {
        assert_eq!(rows(&owner, &sql.replace('#', &then.to_string())).await?, expected, "{sql}");
    }
    let path = format!("/projects/p/query?snapshot={then}");
    let past = owner.post(&path, &json!({ "query": "SELECT number FROM lab.over ORDER BY 1" })).await?;
    assert_eq!(past.json()["rows"], json!([[2], [3]]), "{}", past.text);
    // The view wasn't there yet.
    let early = owner.post("/projects/p/query?snapshot=1", &json!({ "query": "FROM sales.v" })).await?;
    assert_eq!((early.status, early.code().as_str()), (400, "sql_error"), "{}", early.text);
    for sql in [
        "FROM sales.v AT (VERSION => (SELECT max(id) FROM sales.t))",
        "FROM sales.v AT (VERSION => 1 + 1)",
        "FROM sales.v AT (TIMESTAMP => now())",
    ] {
        fails(&owner, sql, 422, "statement_unsupported").await?;
    }
    fails(&owner, "FROM sales.v AT (VERSION => 0)", 400, "sql_error").await?;
    Ok(())
}

#[tokio::test]
async fn views_are_listed_to_those_who_may_read_them() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = filled(&server).await?;
    made(&owner, "sales.Big", "SELECT id, name, ['x'] AS tags FROM t -- ours").await?;
    made(&owner, "lab.open", "SELECT name FROM sales.t").await?;
    let lists = [
        "SELECT table_schema, table_name FROM information_schema.tables WHERE table_type = 'VIEW' ORDER BY ALL",
        "SELECT table_schema, table_name FROM information_schema.views ORDER BY ALL",
        "SELECT schema_name, view_name FROM duckdb_views() ORDER BY ALL",
        "SELECT schemaname, viewname FROM pg_catalog.pg_views ORDER BY ALL",
        "SELECT schema, name FROM (SHOW ALL TABLES) WHERE name <> 't' ORDER BY ALL",
        "SELECT DISTINCT table_schema, table_name FROM information_schema.columns WHERE table_name <> 't' ORDER BY ALL",
        "SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE relkind = 'v' ORDER BY ALL",
    ];
    for sql in lists {
        assert_eq!(rows(&owner, sql).await?, json!([["lab", "open"], ["sales", "Big"]]), "{sql}");
    }
    assert_eq!(rows(&owner, "SHOW TABLES FROM sales").await?, json!([["Big"], ["t"]]));
    assert_eq!(rows(&owner, "SELECT table_name FROM duckdb_tables()").await?, json!([["t"], ["t"]]));
    let columns =
        "SELECT column_name, data_type, ordinal_position FROM information_schema.columns WHERE table_name = 'Big'";
    let expected = json!([["id", "INTEGER", 1], ["name", "VARCHAR", 2], ["tags", "VARCHAR[]", 3]]);
    assert_eq!(rows(&owner, columns).await?, expected);
    let described = rows(&owner, "SELECT column_name, column_type FROM (DESCRIBE sales.big)").await?;
    assert_eq!(described, json!([["id", "INTEGER"], ["name", "VARCHAR"], ["tags", "VARCHAR[]"]]));
    let text = "SELECT sql FROM duckdb_views() WHERE view_name = 'Big'";
    let ddl = "CREATE VIEW \"sales\".\"Big\" AS SELECT id, name, ['x'] AS tags FROM t -- ours\n;";
    assert_eq!(rows(&owner, text).await?, json!([[ddl]]));

    let lab = Some(BucketName::parse("lab")?);
    add_key(server.data_dir(), "p", "limited-key", &[Scope::Read], lab).await?;
    let limited = server.with_key("limited-key");
    for sql in lists {
        assert_eq!(rows(&limited, sql).await?, json!([["lab", "open"]]), "{sql}");
    }

    // Views alone make `main` a bucket.
    let names = |list: Value| list["buckets"].as_array().map(|all| all.iter().map(|one| one["name"].clone()).collect());
    let listed: Option<Vec<Value>> = names(owner.get("/projects/p/buckets").await?.json());
    assert_eq!(listed, Some(vec![json!("lab"), json!("sales")]));
    made(&owner, "one", "SELECT 1 AS one").await?;
    let listed: Option<Vec<Value>> = names(owner.get("/projects/p/buckets").await?.json());
    assert_eq!(listed, Some(vec![json!("lab"), json!("main"), json!("sales")]));
    assert_eq!(rows(&owner, "SHOW TABLES").await?, json!([["one"]]));
    Ok(())
}

#[tokio::test]
async fn no_condition_gets_under_a_view_that_conceals_rows() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = filled(&server).await?;
    let lab = Some(BucketName::parse("lab")?);
    add_key(server.data_dir(), "p", "limited-key", &[Scope::Read, Scope::Write, Scope::Manage], lab).await?;
    let limited = server.with_key("limited-key");
    rows(&owner, "CREATE TABLE sales.allowed AS SELECT id FROM sales.t WHERE id <> 2").await?;
    made(&owner, "lab.open", "SELECT t.* FROM sales.t t SEMI JOIN sales.allowed a USING (id)").await?;
    // An error that only a concealed row can cause: the engine takes it for one that can't happen.
    let probe = "('[1' || CASE WHEN name = 'bob' THEN '' ELSE ']' END)::INT[] IS NOT NULL";
    for sql in [
        format!("SELECT count(*) FROM lab.open WHERE {probe}"),
        format!("SELECT count(*) FROM lab.Open AS o WHERE {probe}"),
        format!("SELECT count(*) FROM lab.open WHERE {}", probe.replace("name", "lab.open.name")),
        format!("WITH x AS (FROM lab.open) SELECT count(*) FROM x WHERE {probe}"),
        format!("SELECT count(*) FROM lab.open o JOIN lab.open p USING (id) WHERE {}", probe.replace("name", "o.name")),
    ] {
        let reply = run(&limited, &sql).await?;
        assert_eq!((reply.status, &reply.json()["rows"]), (200, &json!([[2]])), "{sql}: {}", reply.text);
    }
    let version = newest(&owner, "lab.open").await?;
    let past = format!("SELECT count(*) FROM lab.open AT (VERSION => {version}) WHERE {probe}");
    assert_eq!(rows(&limited, &past).await?, json!([[2]]));
    // Nor from a view or a script of theirs.
    made(&limited, "lab.mine", &format!("SELECT * FROM open WHERE {probe}")).await?;
    assert_eq!(rows(&limited, "SELECT count(*) FROM lab.mine").await?, json!([[2]]));
    rows(&limited, &format!("CREATE TABLE lab.copy AS SELECT * FROM lab.open WHERE {probe}")).await?;
    assert_eq!(rows(&limited, "SELECT count(*) FROM lab.copy").await?, json!([[2]]));
    assert_eq!(rows(&owner, "SELECT count(*) FROM lab.mine").await?, json!([[2]]));
    // A view of theirs that began to conceal something after it was read by another.
    made(&owner, "lab.later", "SELECT id, name FROM lab.t").await?;
    made(&limited, "lab.early", &format!("SELECT * FROM later WHERE {probe}")).await?;
    made(&owner, "lab.later", "SELECT id, name FROM lab.open").await?;
    assert_eq!(rows(&limited, "SELECT count(*) FROM lab.early").await?, json!([[2]]));
    assert_eq!(rows(&limited, &format!("SELECT count(*) FROM lab.later WHERE {probe}")).await?, json!([[2]]));
    // Who may read all of it gets the plan without the barrier.
    assert!(rows(&owner, "EXPLAIN SELECT * FROM lab.open").await?.to_string().contains("SEMI"));
    assert!(!rows(&owner, "EXPLAIN SELECT * FROM lab.open").await?.to_string().contains("LIMIT"));
    Ok(())
}

#[tokio::test]
async fn a_bucket_key_reads_views_over_views_of_other_buckets() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = filled(&server).await?;
    made(&owner, "sales.v", "SELECT id, name FROM t WHERE id < 3").await?;
    made(&owner, "lab.outer", "SELECT v.id, t.name FROM sales.v JOIN lab.t USING (id)").await?;
    let lab = Some(BucketName::parse("lab")?);
    add_key(server.data_dir(), "p", "limited-key", &[Scope::Read], lab).await?;
    let limited = server.with_key("limited-key");
    assert_eq!(rows(&limited, "FROM lab.outer").await?, json!([[2, "lab"]]));
    let then = newest(&owner, "lab.outer").await?;
    assert_eq!(rows(&limited, &format!("FROM lab.outer AT (VERSION => {then})")).await?, json!([[2, "lab"]]));
    fails(&limited, "FROM sales.v", 400, "sql_error").await?;
    fails(&limited, &format!("FROM sales.v AT (VERSION => {then})"), 400, "sql_error").await?;
    // The inner one is gone: the outer one says so, and nothing of how the server calls it.
    assert_eq!(owner.delete("/projects/p/buckets/sales/views/v").await?.status, 204);
    fails(&limited, "FROM lab.outer", 400, "sql_error").await?;
    assert!(put(&owner, "lab.text", "SELECT '{DUCKLAKE_CATALOG}.x' AS a").await?.status == 422);
    Ok(())
}
