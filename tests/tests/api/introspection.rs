//! What SQL tells of tables and columns, and to whom.

use anyhow::Result;
use gadwall_domain::access::Scope;
use gadwall_tests::support::{Client, Reply, TestServer, send};
use reqwest::Method;
use serde_json::{Value, json};

use crate::isolation::limited_key;

/// A project with a table in `main` and two in `sales`, beside a project that nobody here may know of.
async fn filled(server: &TestServer) -> Result<Client<'_>> {
    let stranger = server.project("theirs").await?;
    stranger.post("/projects/theirs/buckets", &json!({ "name": "vault" })).await?;
    let payroll = json!({ "name": "payroll", "columns": [{"name": "salary", "type": "INT"}] });
    for bucket in ["vault", "main"] {
        let made = stranger.post(&format!("/projects/theirs/buckets/{bucket}/tables"), &payroll).await?;
        assert_eq!(made.status, 201, "{}", made.text);
    }
    let owner = server.project("ours").await?;
    owner.post("/projects/ours/buckets", &json!({ "name": "sales" })).await?;
    let t = json!([
        {"name": "id", "type": "INT", "nullable": false},
        {"name": "name", "type": "VARCHAR(20)"},
        {"name": "price", "type": "DECIMAL(10,2)", "default": "0"},
        {"name": "tags", "type": "VARCHAR[]"},
    ]);
    let small = json!([{"name": "i", "type": "INT"}]);
    for (bucket, name, columns) in [("main", "t", &t), ("sales", "orders", &t), ("sales", "People", &small)] {
        let body = json!({ "name": name, "columns": columns });
        let made = owner.post(&format!("/projects/ours/buckets/{bucket}/tables"), &body).await?;
        assert_eq!(made.status, 201, "{}", made.text);
    }
    let rows = json!([{"id": 1, "name": "a", "price": 1.5, "tags": ["x"]}, {"id": 2, "name": "b", "price": 2}]);
    owner.post("/projects/ours/buckets/main/tables/t/rows", &rows).await?;
    owner.post("/projects/ours/buckets/sales/tables/orders/rows", &rows).await?;
    Ok(owner)
}

async fn ask(client: &Client<'_>, sql: &str) -> Result<Reply> {
    let reply = client.post("/projects/ours/query", &json!({ "query": sql })).await?;
    for hidden in ["payroll", "salary", "vault", "theirs", "ducklake_", "p_", ".parquet", "/tmp"] {
        assert!(!reply.text.contains(hidden) || sql.contains(hidden), "{hidden} shows: {sql}\n{}", reply.text);
    }
    Ok(reply)
}

async fn rows(client: &Client<'_>, sql: &str) -> Result<Value> {
    let reply = ask(client, sql).await?;
    assert_eq!(reply.status, 200, "{sql}: {}", reply.text);
    Ok(reply.json()["rows"].clone())
}

#[tokio::test]
async fn clients_find_their_tables_and_columns() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = filled(&server).await?;
    let tables = json!([["main", "t"], ["sales", "orders"], ["sales", "People"]]);
    for (sql, expected) in [
        (
            "SELECT table_schema, table_name FROM information_schema.tables WHERE table_type = 'BASE TABLE'",
            tables.clone(),
        ),
        ("SELECT schema, name FROM (SHOW ALL TABLES)", tables.clone()),
        ("SELECT schema_name, table_name FROM duckdb_tables() WHERE NOT internal", tables.clone()),
        ("SELECT schemaname, tablename FROM pg_catalog.pg_tables", tables),
        (
            "SELECT column_name, data_type, is_nullable, column_default FROM information_schema.columns
             WHERE table_name = 't' ORDER BY ordinal_position",
            json!([
                ["id", "INTEGER", "NO", null],
                ["name", "VARCHAR", "YES", null],
                ["price", "DECIMAL(10,2)", "YES", "0"],
                ["tags", "VARCHAR[]", "YES", null]
            ]),
        ),
        (
            "SELECT table_name, numeric_precision, numeric_scale FROM information_schema.columns WHERE column_name = 'price'",
            json!([["t", 10, 2], ["orders", 10, 2]]),
        ),
        ("SELECT estimated_size, column_count FROM duckdb_tables() WHERE table_name = 't'", json!([[2, 4]])),
        (
            "SELECT catalog_name, schema_name FROM information_schema.schemata",
            json!([["lake", "main"], ["lake", "sales"]]),
        ),
        ("SELECT database_name, path FROM duckdb_databases()", json!([["lake", null]])),
        ("SHOW DATABASES", json!([["lake"]])),
        ("SHOW SCHEMAS", json!([["lake", "main", true], ["lake", "sales", false]])),
        ("SHOW TABLES", json!([["t"]])),
        ("SHOW TABLES FROM sales", json!([["orders"], ["People"]])),
        ("SELECT name FROM sqlite_master ORDER BY 1", json!([["People"], ["orders"], ["t"]])),
        (
            "SELECT column_name, column_type FROM (DESCRIBE main.t) LIMIT 2",
            json!([["id", "INTEGER"], ["name", "VARCHAR"]]),
        ),
        ("SELECT column_name, \"max\", count FROM (SUMMARIZE t) LIMIT 1", json!([["id", "2", 2]])),
        ("SELECT lake.main.t.id FROM lake.main.t ORDER BY 1", json!([[1], [2]])),
        ("SELECT count(*) FROM LAKE.sales.orders", json!([[2]])),
    ] {
        assert_eq!(rows(&owner, sql).await?, expected, "{sql}");
    }
    for sql in
        ["SELECT * FROM duckdb_tables()", "DESCRIBE main.t", "SUMMARIZE t", "SUMMARIZE SELECT id FROM sales.orders"]
    {
        assert!(!rows(&owner, sql).await?.as_array().unwrap().is_empty(), "{sql}");
    }
    Ok(())
}

#[tokio::test]
async fn a_comment_is_shown_as_it_was_written() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = filled(&server).await?;
    let comment = "it's {columns} and {lake}; \"quoted\" \\ --\nnext";
    let change = json!({ "comment": comment, "column_comments": {"id": "{tables}'"} });
    let request = owner.request(Method::PATCH, "/projects/ours/buckets/main/tables/t").json(&change);
    let changed = send(request).await?;
    assert_eq!(changed.status, 200, "{}", changed.text);
    let tables = "SELECT \"TABLE_COMMENT\" FROM information_schema.tables WHERE table_name = 't'";
    assert_eq!(rows(&owner, tables).await?, json!([[comment]]));
    let both = "SELECT description FROM pg_catalog.pg_description ORDER BY objsubid";
    assert_eq!(rows(&owner, both).await?[0], json!([comment]));
    Ok(())
}

#[tokio::test]
async fn a_key_limited_to_a_bucket_sees_that_bucket() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = filled(&server).await?;
    let key = limited_key(&server, owner.key(), &[Scope::Read], Some("sales")).await?;
    let limited = server.with_key(&key);
    for (sql, expected) in [
        (
            "SELECT table_schema, table_name FROM information_schema.tables",
            json!([["sales", "orders"], ["sales", "People"]]),
        ),
        ("SELECT DISTINCT schema_name FROM duckdb_columns()", json!([["sales"]])),
        ("SELECT schema_name FROM information_schema.schemata", json!([["sales"]])),
        ("SELECT nspname FROM pg_namespace", json!([["sales"]])),
        ("SELECT relname FROM pg_class ORDER BY 1", json!([["People"], ["orders"]])),
        ("SHOW SCHEMAS", json!([["lake", "sales", false]])),
        ("SHOW TABLES", json!([])),
        ("SELECT name FROM (SHOW ALL TABLES)", json!([["orders"], ["People"]])),
        ("SELECT tbl_name FROM sqlite_master", json!([["orders"], ["People"]])),
    ] {
        assert_eq!(rows(&limited, sql).await?, expected, "{sql}");
    }
    for sql in ["SHOW TABLES FROM main", "DESCRIBE main.t", "EXPLAIN SELECT * FROM main.t", "SUMMARIZE t"] {
        let reply = ask(&limited, sql).await?;
        assert_eq!((reply.status, reply.code().as_str()), (400, "sql_error"), "{sql}: {}", reply.text);
    }
    Ok(())
}

#[tokio::test]
async fn nothing_else_is_told() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = filled(&server).await?;
    for (sql, status) in [
        ("SELECT * FROM system.information_schema.schemata", 200),
        ("SELECT * FROM memory.information_schema.tables", 403),
        ("SELECT * FROM main.information_schema.tables", 403),
        ("SELECT * FROM duckdb_settings()", 403),
        ("SELECT * FROM duckdb_secrets()", 403),
        ("SELECT * FROM duckdb_functions()", 403),
        ("SELECT * FROM pg_catalog.pg_settings", 403),
        ("SELECT * FROM information_schema.key_column_usage", 403),
        ("SHOW TABLES FROM vault", 400),
        ("SHOW TABLES FROM theirs.vault", 400),
        ("SHOW VARIABLES", 422),
        ("EXPLAIN SELECT * FROM vault.payroll", 400),
        ("EXPLAIN ANALYZE SELECT * FROM read_csv('/etc/passwd')", 403),
        ("EXPLAIN ATTACH 'x'", 403),
        ("EXPLAIN INSERT INTO t VALUES (1)", 422),
        ("EXPLAIN EXPLAIN SELECT 1", 422),
        ("EXPLAIN SELECT 1; SELECT 2", 422),
        ("EXPLAIN", 422),
    ] {
        let reply = ask(&owner, sql).await?;
        assert_eq!(reply.status, status, "{sql}: {}", reply.text);
    }
    Ok(())
}

#[tokio::test]
async fn a_plan_shows_no_files_and_no_internal_names() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = filled(&server).await?;
    // Enough rows for a file.
    let many: Vec<Value> = (0..5_000).map(|i| json!({ "i": i })).collect();
    let sent = owner.post("/projects/ours/buckets/sales/tables/People/rows", &json!(many)).await?;
    assert_eq!(sent.status, 200, "{}", sent.text);
    let query = "SELECT sales.people.i FROM sales.people WHERE i > 3 ORDER BY sales.people.i LIMIT 3";
    for (head, key) in [("EXPLAIN", "physical_plan"), ("-- why\nexplain ANALYZE", "analyzed_plan")] {
        let reply = ask(&owner, &format!("{head} {query}")).await?;
        assert_eq!(reply.status, 200, "{}", reply.text);
        let found = reply.json();
        assert_eq!(found["columns"][0]["name"], "explain_key");
        assert_eq!(found["columns"][1]["name"], "explain_value");
        assert_eq!(found["rows"][0][0], key);
        let plan = found["rows"][0][1].as_str().unwrap();
        for shown in ["TOP_N", "DUCKLAKE_SCAN", "Table: People", "Filters: i>3", "Order By: sales.People.i ASC"] {
            assert!(plan.contains(shown), "{shown} is missing:\n{plan}");
        }
        assert_eq!(plan.contains("(3 rows, "), key == "analyzed_plan", "{plan}");
    }
    let body = json!({ "query": "EXPLAIN SELECT * FROM sales.people WHERE i = ?", "params": [7] });
    let bound = owner.post("/projects/ours/query", &body).await?;
    assert!(bound.text.contains("i=7"), "{}", bound.text);
    for sql in ["EXPLAIN SUMMARIZE t", "EXPLAIN SELECT * FROM information_schema.tables", "EXPLAIN DESCRIBE t"] {
        assert_eq!(ask(&owner, sql).await?.status, 200, "{sql}");
    }
    Ok(())
}

#[tokio::test]
async fn lists_follow_the_version_and_are_kept_like_any_result() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = filled(&server).await?;
    let list = json!({ "query": "SELECT table_name FROM information_schema.tables" });
    let first = owner.post("/projects/ours/query", &list).await?;
    let again = owner.post("/projects/ours/query", &list).await?;
    assert_eq!((first.header("x-cache"), again.header("x-cache")), ("miss", "hit"), "{}", again.text);
    let before = first.header("x-snapshot-id").to_owned();
    let key = limited_key(&server, owner.key(), &[Scope::Read], Some("sales")).await?;
    let limited = server.with_key(&key).post("/projects/ours/query", &list).await?;
    assert_eq!((limited.header("x-cache"), &limited.json()["rows"]), ("miss", &json!([["orders"], ["People"]])));

    let more = json!({ "name": "more", "columns": [{"name": "i", "type": "INT"}] });
    assert_eq!(owner.post("/projects/ours/buckets/main/tables", &more).await?.status, 201);
    assert_eq!(rows(&owner, "SHOW TABLES").await?, json!([["more"], ["t"]]));
    for (sql, expected) in [
        ("SHOW TABLES", json!([["t"]])),
        ("SELECT table_name FROM information_schema.tables", json!([["t"], ["orders"], ["People"]])),
    ] {
        let request = owner.request(Method::GET, "/projects/ours/query");
        let past = send(request.query(&[("query", sql), ("snapshot", &before)])).await?;
        assert_eq!((past.status, &past.json()["rows"]), (200, &expected), "{sql}: {}", past.text);
    }
    let plan = ask(&owner, "EXPLAIN SELECT * FROM t").await?;
    assert_eq!(plan.header("etag"), "", "a plan may change while the rows stay");
    Ok(())
}
