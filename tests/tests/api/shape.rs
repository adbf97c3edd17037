//! Tables that change their shape.

use anyhow::Result;
use gadwall_tests::support::{Client, Reply, TestServer, send};
use reqwest::Method;
use serde_json::{Value, json};

const TABLE: &str = "/projects/p/buckets/main/tables/t";

/// A table of `id INTEGER` (the key), `v VARCHAR(10)` with two rows.
async fn filled(server: &TestServer) -> Result<Client<'_>> {
    let owner = server.project("p").await?;
    let table = json!({ "name": "t", "primary_key": ["id"],
        "columns": [{"name": "id", "type": "INTEGER"}, {"name": "v", "type": "VARCHAR(10)"}] });
    assert_eq!(owner.post("/projects/p/buckets/main/tables", &table).await?.status, 201);
    let rows = json!([{"id": 1, "v": "a"}, {"id": 2}]);
    assert_eq!(owner.post(&format!("{TABLE}/rows"), &rows).await?.status, 200);
    Ok(owner)
}

async fn change(owner: &Client<'_>, method: Method, what: &str, body: &Value) -> Result<Reply> {
    let request = owner.request(method, &format!("{TABLE}{what}"));
    send(if body.is_null() { request } else { request.json(body) }).await
}

fn names(reply: &Reply) -> Vec<String> {
    let body = reply.json();
    let columns = body["columns"].as_array().cloned().unwrap_or_default();
    columns.iter().map(|column| column["name"].as_str().unwrap_or_default().to_owned()).collect()
}

#[tokio::test]
async fn columns_come_change_and_go() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = filled(&server).await?;
    let added = json!({"name": "Größe (m²)", "type": "DECIMAL(5,2)", "default": "1.5"});
    let made = change(&owner, Method::POST, "/columns", &added).await?;
    assert_eq!((made.status, names(&made).len()), (201, 3), "{}", made.text);
    assert_eq!(made.json()["compatibility"], json!({"kind": "compatible"}));
    assert!(made.json()["snapshot_id"].is_u64() && made.json()["dry_run"] == false);
    assert_eq!(made.header("etag"), owner.get(TABLE).await?.header("etag"));
    let column = "/columns/Gr%C3%B6%C3%9Fe%20(m%C2%B2)";
    for (body, breaking) in [
        (json!({"new_type": "DECIMAL(7,2)"}), false),
        (json!({"default": "2"}), false),
        (json!({"set_default": null}), false),
        (json!({"comment": "How large 'it' is; --"}), false),
        (json!({"new_type": "DECIMAL(4,1)"}), true),
        (json!({"new_type": "DECIMAL(7,2)"}), false),
        (json!({"nullable": false}), true),
        (json!({"set_not_null": false}), false),
        (json!({"new_name": "size"}), true),
    ] {
        let allowed = if breaking { "?allow_breaking=true" } else { "" };
        if breaking {
            let refused = change(&owner, Method::PUT, column, &body).await?;
            assert_eq!((refused.status, refused.code().as_str()), (409, "breaking_change"), "{body}: {}", refused.text);
        }
        let done = change(&owner, Method::PATCH, &format!("{column}{allowed}"), &body).await?;
        assert_eq!(done.status, 200, "{body}: {}", done.text);
        let kind = if breaking { "breaking" } else { "compatible" };
        assert_eq!(done.json()["compatibility"]["kind"], kind, "{body}");
        assert_eq!(done.json()["compatibility"]["why"].is_string(), breaking, "{body}");
    }
    let shown = owner.get(TABLE).await?.json()["columns"][2].clone();
    let expected = json!({"name": "size", "type": "DECIMAL(7,2)", "nullable": true,
        "comment": "How large 'it' is; --", "ordinal_position": 3});
    assert_eq!(shown, expected);
    let rows = owner.post("/projects/p/query", &json!({ "query": "SELECT size FROM t ORDER BY id" })).await?;
    assert!(rows.text.contains("[[1.50],[1.50]]"), "{}", rows.text);
    let dropped = change(&owner, Method::DELETE, "/columns/size?allow_breaking=true", &Value::Null).await?;
    assert_eq!((dropped.status, names(&dropped)), (200, vec!["id".to_owned(), "v".to_owned()]), "{}", dropped.text);
    Ok(())
}

#[tokio::test]
async fn what_a_shape_can_not_be_is_refused_with_its_own_code() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = filled(&server).await?;
    let before = owner.get(TABLE).await?.text;
    let int = |name: &str| json!({"name": name, "type": "INT"});
    let (post, put, delete, patch) = (Method::POST, Method::PUT, Method::DELETE, Method::PATCH);
    let cases = [
        (&post, "/columns", int("V"), 409, "column_exists"),
        (&post, "/columns", int("x\"; DROP TABLE t; --"), 400, "invalid_name"),
        (&post, "/columns", int("a\u{0}"), 400, "invalid_name"),
        (&post, "/columns", json!({"name": "x", "type": "INT); DROP TABLE t; --"}), 400, "invalid_type"),
        (&post, "/columns", json!({"name": "x", "type": "INT", "default": "now()"}), 400, "invalid_default"),
        (&post, "/columns", json!({"name": "x", "type": "INT", "default": "'y'"}), 400, "invalid_default"),
        (&post, "/columns", json!({"name": "x", "type": "INT", "comment": "c"}), 422, "multiple_changes"),
        (&post, "/columns", json!({"name": "x", "type": "INT", "nullable": false}), 409, "default_required"),
        (&put, "/columns/v", json!({}), 400, "no_changes_specified"),
        (&put, "/columns/v", json!({"new_name": "x", "new_type": "VARCHAR"}), 422, "multiple_changes"),
        (&put, "/columns/v", json!({"nullable": true, "set_not_null": true}), 422, "multiple_changes"),
        (&put, "/columns/v", json!({"new_name": "ID"}), 409, "column_exists"),
        (&put, "/columns/v", json!({"new_type": "VARCHAR(0)"}), 400, "invalid_type"),
        (&put, "/columns/v", json!({"new_type": "INTEGER"}), 409, "values_would_be_lost"),
        (&put, "/columns/v", json!({"new_type": "INTEGER[]"}), 409, "values_would_be_lost"),
        (&put, "/columns/id", json!({"new_type": "INTEGER[]"}), 409, "values_would_be_lost"),
        (&put, "/columns/v", json!({"nullable": false}), 409, "column_has_nulls"),
        (&put, "/columns/id", json!({"default": "'x'"}), 400, "invalid_default"),
        (&put, "/columns/v", json!({"comment": "a\u{0}"}), 422, "validation_failed"),
        (&put, "/columns/nope", json!({"nullable": true}), 404, "column_not_found"),
        (&put, "/columns/%22%3B", json!({"nullable": true}), 400, "invalid_name"),
        (&put, "/columns/a%00", json!({"nullable": true}), 400, "invalid_name"),
        (&put, "/columns/id", json!({"nullable": true}), 400, "column_in_primary_key"),
        (&delete, "/columns/id", Value::Null, 400, "column_in_primary_key"),
        (&delete, "/columns/nope", Value::Null, 404, "column_not_found"),
        (&post, "/primary-key", json!({"columns": ["v"]}), 409, "primary_key_exists"),
        (&post, "/primary-key", json!({"columns": []}), 422, "validation_failed"),
        (&patch, "", json!({}), 400, "no_changes_specified"),
        (&patch, "", json!({"name": "x", "comment": "y"}), 422, "multiple_changes"),
        (&patch, "", json!({"name": "x.y"}), 400, "invalid_name"),
        (&patch, "", json!({"name": "t"}), 409, "table_exists"),
        (&patch, "", json!({"partition_by": ["nope"]}), 400, "invalid_layout"),
        (&patch, "", json!({"partition_by": ["year(id)"]}), 400, "invalid_layout"),
        (&patch, "", json!({"partition_by": ["bucket(0, id)"]}), 400, "invalid_layout"),
        (&patch, "", json!({"sort_by": ["id); DROP TABLE t; --"]}), 400, "invalid_layout"),
        (&patch, "", json!({"sort_by": ["id", "id desc"]}), 400, "invalid_layout"),
    ];
    for (method, what, body, status, code) in cases {
        let meant = format!("{what}?allow_breaking=true");
        let refused = change(&owner, method.clone(), &meant, &body).await?;
        assert_eq!((refused.status, refused.code().as_str()), (status, code), "{what} {body}: {}", refused.text);
        let dry = change(&owner, method.clone(), &format!("{what}?dry_run=true"), &body).await?;
        assert_eq!((dry.status, dry.code().as_str()), (status, code), "dry: {what} {body}: {}", dry.text);
    }
    assert_eq!(owner.get(TABLE).await?.text, before);
    Ok(())
}

#[tokio::test]
async fn keys_come_and_go_and_must_fit_the_rows() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = filled(&server).await?;
    let dropped = change(&owner, Method::DELETE, "/primary-key?allow_breaking=true", &Value::Null).await?;
    assert_eq!((dropped.status, &dropped.json()["primary_key"]), (200, &json!([])), "{}", dropped.text);
    let again = change(&owner, Method::DELETE, "/primary-key?allow_breaking=true", &Value::Null).await?;
    assert_eq!((again.status, again.code().as_str()), (400, "no_primary_key"), "{}", again.text);
    owner.post(&format!("{TABLE}/rows"), &json!([{"id": 1, "v": "b"}])).await?;
    let key = |columns: Value| json!({ "columns": columns });
    let refused = change(&owner, Method::POST, "/primary-key?allow_breaking=true", &key(json!(["id"]))).await?;
    assert_eq!((refused.status, refused.code().as_str()), (409, "duplicate_key"), "{}", refused.text);
    let refused = change(&owner, Method::POST, "/primary-key?allow_breaking=true", &key(json!(["id", "v"]))).await?;
    assert_eq!((refused.status, refused.code().as_str()), (409, "column_has_nulls"), "{}", refused.text);
    let gone = json!({ "filter": {"column": "v", "op": "eq", "value": "b"} });
    owner.post(&format!("{TABLE}/rows/delete"), &gone).await?;
    let told = change(&owner, Method::POST, "/primary-key?dry_run=true", &key(json!(["ID"]))).await?;
    assert_eq!((told.status, &told.json()["dry_run"], &told.json()["primary_key"]), (200, &json!(true), &json!([])));
    let made = change(&owner, Method::POST, "/primary-key?allow_breaking=true", &key(json!(["id"]))).await?;
    assert_eq!((made.status, &made.json()["primary_key"]), (201, &json!(["id"])), "{}", made.text);
    let twice = owner.post(&format!("{TABLE}/rows"), &json!([{"id": 1}])).await?;
    assert_eq!((twice.status, twice.code().as_str()), (409, "duplicate_key"), "{}", twice.text);
    Ok(())
}

#[tokio::test]
async fn a_table_is_made_and_changed_with_layout_and_comments() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = server.project("p").await?;
    let table = json!({ "name": "t", "comment": "What we sold", "partition_by": ["year(at)", "bucket(4, id)"],
        "sort_by": ["\"US Gross\" desc nulls first", "\"a desc\""], "columns": [
            {"name": "id", "type": "INTEGER"}, {"name": "at", "type": "TIMESTAMP", "comment": "in UTC"},
            {"name": "US Gross", "type": "BIGINT"}, {"name": "a desc", "type": "INTEGER"}] });
    let made = owner.post("/projects/p/buckets/main/tables", &table).await?;
    assert_eq!(made.status, 201, "{}", made.text);
    let body = made.json();
    assert_eq!(body["partition_by"], json!(["year(at)", "bucket(4, id)"]));
    assert_eq!(body["sort_by"], json!(["US Gross desc nulls first", "\"a desc\""]));
    assert_eq!((&body["comment"], &body["columns"][1]["comment"]), (&json!("What we sold"), &json!("in UTC")));
    let rows = json!([{"id": 1, "at": "2026-01-02T03:04:05", "US Gross": 5}, {"id": 2, "at": "2025-01-02T03:04:05"}]);
    assert_eq!(owner.post(&format!("{TABLE}/rows"), &rows).await?.status, 200);
    let in_use = change(&owner, Method::DELETE, "/columns/at?allow_breaking=true", &Value::Null).await?;
    assert_eq!((in_use.status, in_use.code().as_str()), (400, "column_in_layout"), "{}", in_use.text);
    for (body, member, expected) in [
        (json!({"partition_by": []}), "partition_by", json!([])),
        (json!({"partition_by": ["id"]}), "partition_by", json!(["id"])),
        (json!({"sort_by": ["id desc"]}), "sort_by", json!(["id desc"])),
        (json!({"comment": null}), "comment", Value::Null),
        (json!({"comment": "it's"}), "comment", json!("it's")),
    ] {
        let done = change(&owner, Method::PATCH, "", &body).await?;
        assert_eq!((done.status, &done.json()[member]), (200, &expected), "{body}: {}", done.text);
    }
    assert_eq!(owner.get(TABLE).await?.json()["row_count"], 2);
    Ok(())
}

#[tokio::test]
async fn a_renamed_table_keeps_its_rows_and_its_key() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = filled(&server).await?;
    let rename = json!({ "name": "u" });
    let refused = change(&owner, Method::PATCH, "", &rename).await?;
    assert_eq!((refused.status, refused.code().as_str()), (409, "breaking_change"));
    let done = change(&owner, Method::PATCH, "?allow_breaking=true", &rename).await?;
    assert_eq!((done.status, &done.json()["name"], &done.json()["row_count"]), (200, &json!("u"), &json!(2)));
    assert_eq!(done.json()["primary_key"], json!(["id"]));
    assert_eq!(owner.get(TABLE).await?.code(), "table_not_found");
    Ok(())
}

#[tokio::test]
async fn a_repeated_change_is_made_once() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = filled(&server).await?;
    let rename = || {
        let request = owner.request(Method::PATCH, &format!("{TABLE}?allow_breaking=true"));
        send(request.header("Idempotency-Key", "rename-1").json(&json!({ "name": "u" })))
    };
    let first = rename().await?;
    assert_eq!(first.status, 200, "{}", first.text);
    let again = rename().await?;
    assert_eq!((again.status, &again.text, again.header("etag")), (200, &first.text, first.header("etag")));
    Ok(())
}
