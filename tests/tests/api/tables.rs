//! Tables: columns, types, keys.

use anyhow::Result;
use gadwall_tests::support::{Client, Reply, TestServer};
use serde_json::{Value, json};

async fn create(owner: &Client<'_>, body: Value) -> Result<Reply> {
    owner.post("/projects/p/buckets/main/tables", &body).await
}

#[tokio::test]
async fn a_table_is_described_in_the_engines_spelling() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = server.project("p").await?;
    let made = create(
        &owner,
        json!({
            "name": "orders",
            "columns": [
                {"name": "id", "type": "int"},
                {"name": "amount", "type": "numeric(10, 2)", "nullable": false, "default": "0"},
                {"name": "currency", "type": "char(3)", "default": "'EUR'"},
                {"name": "place", "type": "STRUCT(a INT, b VARCHAR[])"},
            ],
            "primary_key": ["id"]
        }),
    )
    .await?;
    assert_eq!(made.status, 201, "{}", made.text);
    let mut body = made.json();
    assert!(body["created_at"].is_string());
    body["created_at"] = Value::Null;
    let expected = json!({
        "name": "orders", "bucket": "main", "row_count": 0, "size_bytes": 0,
        "primary_key": ["id"], "partition_by": [], "sort_by": [], "version": "1.1", "created_at": null, "source": "main",
        "columns": [
            {"name": "id", "type": "INTEGER", "nullable": false, "ordinal_position": 1},
            {"name": "amount", "type": "DECIMAL(10,2)", "nullable": false, "default": "0", "ordinal_position": 2},
            {"name": "currency", "type": "CHAR(3)", "nullable": true, "default": "'EUR'", "ordinal_position": 3},
            {"name": "place", "type": "STRUCT(a INTEGER, b VARCHAR[])", "nullable": true, "ordinal_position": 4},
        ]
    });
    assert_eq!(body, expected);
    let mut listed = owner.get("/projects/p/buckets/main/tables").await?.json();
    listed["tables"][0]["created_at"] = Value::Null;
    assert_eq!(listed, json!({ "tables": [expected], "total": 1 }));
    Ok(())
}

#[tokio::test]
async fn every_type_that_can_be_stored_is_taken_and_read_back() -> Result<()> {
    let types = [
        "BOOLEAN",
        "TINYINT",
        "SMALLINT",
        "INTEGER",
        "BIGINT",
        "UTINYINT",
        "USMALLINT",
        "UINTEGER",
        "UBIGINT",
        "FLOAT",
        "DOUBLE",
        "DECIMAL(38,10)",
        "VARCHAR",
        "VARCHAR(10)",
        "CHAR(3)",
        "BLOB",
        "DATE",
        "TIME",
        "TIMESTAMP",
        "TIMESTAMP_S",
        "TIMESTAMP_MS",
        "TIMESTAMP_NS",
        "TIMESTAMP WITH TIME ZONE",
        "INTERVAL",
        "UUID",
        "JSON",
        "GEOMETRY",
        "VARIANT",
        "INTEGER[][]",
        "STRUCT(a INTEGER, \"b c\" STRUCT(d VARCHAR[]))",
        "MAP(VARCHAR, DECIMAL(5,2)[])",
    ];
    let server = TestServer::start().await?;
    let owner = server.project("p").await?;
    let columns: Vec<Value> =
        types.iter().enumerate().map(|(i, t)| json!({ "name": format!("c{i}"), "type": t })).collect();
    let made = create(&owner, json!({ "name": "t", "columns": columns })).await?;
    assert_eq!(made.status, 201, "{}", made.text);
    let body = owner.get("/projects/p/buckets/main/tables/t").await?.json();
    let read: Vec<_> = body["columns"].as_array().unwrap().iter().map(|c| c["type"].as_str().unwrap()).collect();
    assert_eq!(read, types);
    let row = owner.post("/projects/p/buckets/main/tables/t/rows", &json!([{}])).await?;
    assert_eq!(row.status, 200, "{}", row.text);
    Ok(())
}

#[tokio::test]
async fn what_makes_no_table_is_refused_with_its_own_code() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = server.project("p").await?;
    let int = json!({"name": "i", "type": "INT"});
    let cases = [
        (json!({ "name": "t", "columns": [] }), 422, "invalid_columns"),
        (json!({ "name": "t" }), 422, "validation_failed"),
        (json!({ "name": "t", "columns": [int, {"name": "I", "type": "INT"}] }), 400, "duplicate_column"),
        (json!({ "name": "t", "columns": [{"name": "id INTEGER, x", "type": "INT"}] }), 400, "invalid_name"),
        (json!({ "name": "t", "columns": [{"name": "i", "type": "NUMBERS"}] }), 400, "invalid_type"),
        (json!({ "name": "t", "columns": [{"name": "i", "type": "INT); DROP TABLE x"}] }), 400, "invalid_type"),
        (json!({ "name": "t", "columns": [{"name": "i", "type": "ENUM('a')"}] }), 400, "invalid_type"),
        (json!({ "name": "t", "columns": [{"name": "i", "type": "INTEGER[3]"}] }), 400, "invalid_type"),
        (json!({ "name": "t", "columns": [{"name": "i", "type": "INT", "default": "now()"}] }), 400, "invalid_default"),
        (json!({ "name": "t", "columns": [int], "primary_key": ["x"] }), 400, "invalid_primary_key"),
        (json!({ "name": "t", "columns": [int], "primary_key": ["a\"b"] }), 400, "invalid_primary_key"),
        (
            json!({ "name": "t", "columns": [{"name": "i", "type": "INT", "nullable": true}], "primary_key": ["i"] }),
            400,
            "invalid_primary_key",
        ),
    ];
    for (body, status, code) in cases {
        let reply = create(&owner, body.clone()).await?;
        assert_eq!((reply.status, reply.code().as_str()), (status, code), "{body}: {}", reply.text);
    }
    let refused = create(&owner, json!({ "name": "t", "columns": [int], "primary_key": ["x"] })).await?;
    assert_eq!(refused.json()["details"], json!({ "primary_key": ["x"], "columns": ["i"] }));
    assert_eq!(owner.get("/projects/p/buckets/main/tables").await?.json()["total"], 0, "nothing is left behind");
    Ok(())
}

#[tokio::test]
async fn names_are_taken_once_and_free_again_after_deletion() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = server.project("p").await?;
    let table = json!({ "name": "t", "columns": [{"name": "i", "type": "INT"}], "primary_key": ["i"] });
    assert_eq!(create(&owner, table.clone()).await?.status, 201);
    let again = create(&owner, json!({ "name": "T", "columns": [{"name": "i", "type": "INT"}] })).await?;
    assert_eq!((again.status, again.code().as_str()), (409, "table_exists"));
    assert_eq!(owner.delete("/projects/p/buckets/main/tables/t").await?.status, 204);
    for reply in [
        owner.delete("/projects/p/buckets/main/tables/t").await?,
        owner.get("/projects/p/buckets/main/tables/t").await?,
        owner.get("/projects/p/buckets/main/tables/t/preview").await?,
    ] {
        assert_eq!((reply.status, reply.code().as_str()), (404, "table_not_found"));
    }
    // A table of the same name has its own key, not the old one's.
    create(&owner, json!({ "name": "t", "columns": [{"name": "i", "type": "INT"}] })).await?;
    assert_eq!(owner.get("/projects/p/buckets/main/tables/t").await?.json()["primary_key"], json!([]));
    let nowhere = owner.post("/projects/p/buckets/no/tables", &table).await?;
    assert_eq!((nowhere.status, nowhere.code().as_str()), (404, "bucket_not_found"));
    Ok(())
}

#[tokio::test]
async fn reserved_words_of_sql_are_ordinary_names() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = server.project("p").await?;
    assert_eq!(owner.post("/projects/p/buckets", &json!({ "name": "select" })).await?.status, 201);
    let table = json!({ "name": "order", "columns": [{"name": "group", "type": "INT"}, {"name": "from", "type": "TEXT"}], "primary_key": ["group"] });
    assert_eq!(owner.post("/projects/p/buckets/select/tables", &table).await?.status, 201);
    let rows = owner.post("/projects/p/buckets/select/tables/order/rows", &json!([{"group": 1, "from": "x"}])).await?;
    assert_eq!(rows.status, 200, "{}", rows.text);
    let query = json!({ "query": "SELECT \"from\" FROM \"select\".\"order\" WHERE \"group\" = 1" });
    assert_eq!(owner.post("/projects/p/query", &query).await?.json()["rows"], json!([["x"]]));
    Ok(())
}

#[tokio::test]
async fn variants_are_previewed_as_json_and_queries_say_what_to_do() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = server.project("p").await?;
    create(&owner, json!({ "name": "t", "columns": [{"name": "c", "type": "VARIANT"}, {"name": "i", "type": "INT"}] }))
        .await?;
    let rows = json!([{"c": {"x": [1, null]}, "i": 1}, {"c": null, "i": 2}]);
    let appended = owner.post("/projects/p/buckets/main/tables/t/rows", &rows).await?;
    assert_eq!(appended.status, 200, "{}", appended.text);
    let shown = owner.get("/projects/p/buckets/main/tables/t/preview").await?;
    assert_eq!((shown.status, &shown.json()["rows"]), (200, &rows), "{}", shown.text);
    let refused = owner.post("/projects/p/query", &json!({ "query": "SELECT c FROM t" })).await?;
    assert_eq!((refused.status, refused.code().as_str()), (422, "statement_unsupported"), "{}", refused.text);
    let cast = owner.post("/projects/p/query", &json!({ "query": "SELECT c::JSON FROM t ORDER BY i" })).await?;
    assert_eq!(cast.json()["rows"], json!([[{"x": [1, null]}], [null]]), "{}", cast.text);
    Ok(())
}

#[tokio::test]
async fn a_table_that_comes_and_goes_is_there_or_not_there() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = server.project("p").await?;
    let table = json!({ "name": "t", "columns": [{"name": "i", "type": "INT"}] });
    let changes = async {
        for _ in 0..15 {
            create(&owner, table.clone()).await?;
            owner.delete("/projects/p/buckets/main/tables/t").await?;
        }
        anyhow::Ok(())
    };
    let looks = async {
        loop {
            let look = owner.get("/projects/p/buckets/main/tables/t").await?;
            anyhow::ensure!(matches!(look.status, 200 | 404), "{}", look.text);
        }
    };
    tokio::select! { done = changes => done, looked = looks => looked }
}
