//! Rows replaced, changed, deleted and purged.

use anyhow::Result;
use gadwall_tests::support::{Client, Reply, TestServer, send};
use reqwest::Method;
use serde_json::{Value, json};

const TABLE: &str = "/projects/p/buckets/main/tables/t";

/// A table of `id INTEGER` (the key), `name VARCHAR(10)`, `price DECIMAL(38,2)`, `j JSON` with three rows.
async fn filled(server: &TestServer) -> Result<Client<'_>> {
    let owner = server.project("p").await?;
    let table = json!({ "name": "t", "primary_key": ["id"], "columns": [
        {"name": "id", "type": "INTEGER"}, {"name": "name", "type": "VARCHAR(10)"},
        {"name": "price", "type": "DECIMAL(38,2)"}, {"name": "j", "type": "JSON"}] });
    assert_eq!(owner.post("/projects/p/buckets/main/tables", &table).await?.status, 201);
    let rows = json!([
        {"id": 1, "name": "ann", "price": "1.50"}, {"id": 2, "name": "bob"},
        {"id": 3, "name": "o'neil", "price": "12345678901234567890.12"}]);
    let made = owner.post(&format!("{TABLE}/rows"), &rows).await?;
    assert_eq!(made.status, 200, "{}", made.text);
    Ok(owner)
}

async fn at(owner: &Client<'_>, what: &str, body: &Value) -> Result<Reply> {
    owner.post(&format!("{TABLE}/{what}"), body).await
}

async fn rows(owner: &Client<'_>, sql: &str) -> Result<Value> {
    Ok(owner.post("/projects/p/query", &json!({ "query": sql })).await?.json()["rows"].clone())
}

#[tokio::test]
async fn rows_are_put_in_three_modes() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = filled(&server).await?;
    let some = json!([{"id": 2, "name": "ben"}, {"id": 4, "name": "dan"}]);
    let refused = at(&owner, "rows", &some).await?;
    assert_eq!((refused.status, refused.code().as_str()), (409, "duplicate_key"), "{}", refused.text);
    assert_eq!(refused.json()["errors"], json!([{"key": {"id": 2}}]));
    let done = at(&owner, "rows?mode=upsert", &some).await?;
    assert_eq!((done.status, &done.json()["inserted"], &done.json()["updated"]), (200, &json!(1), &json!(1)));
    assert_eq!(rows(&owner, "SELECT name FROM t WHERE id IN (2, 4) ORDER BY id").await?, json!([["ben"], ["dan"]]));
    let done = at(&owner, "rows?mode=replace", &some).await?.json();
    assert_eq!((&done["inserted"], &done["deleted"], &done["dry_run"]), (&json!(2), &json!(4), &json!(false)));
    assert!(done["snapshot_id"].is_u64() && done["request_id"].is_string());
    assert_eq!(rows(&owner, "SELECT id FROM t ORDER BY id").await?, json!([[2], [4]]));
    let wrong = at(&owner, "rows?mode=merge", &some).await?;
    assert_eq!((wrong.status, wrong.code().as_str()), (422, "validation_failed"));
    let keyless = json!({ "name": "k", "columns": [{"name": "id", "type": "INTEGER"}] });
    owner.post("/projects/p/buckets/main/tables", &keyless).await?;
    let keyless = owner.post("/projects/p/buckets/main/tables/k/rows?mode=upsert", &json!([{"id": 1}])).await?;
    assert_eq!((keyless.status, keyless.code().as_str()), (422, "no_primary_key"), "{}", keyless.text);
    Ok(())
}

#[tokio::test]
async fn rows_are_changed_and_deleted_by_conditions() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = filled(&server).await?;
    let exact = r#"{"filter": {"column": "price", "op": "eq", "value": 12345678901234567890.12},
                    "set": {"price": 98765432109876543210.98, "j": {"n": 12345678901234567890.12}}}"#;
    let done = owner.send_as(&format!("{TABLE}/rows/update"), "application/json", exact).await?;
    assert_eq!((done.status, &done.json()["updated"]), (200, &json!(1)), "no digit is lost: {}", done.text);
    let shown = rows(&owner, "SELECT price::VARCHAR, j::VARCHAR FROM t WHERE id = 3").await?;
    assert_eq!(shown, json!([["98765432109876543210.98", "{\"n\": 12345678901234567890.12}"]]));
    let set = json!({ "filter": {"column": "name", "op": "like", "value": "%b"}, "set": {"name": null} });
    let patched = send(owner.request(Method::PATCH, &format!("{TABLE}/rows")).json(&set)).await?;
    assert_eq!((patched.status, &patched.json()["updated"]), (200, &json!(1)), "{}", patched.text);
    let none = json!({ "filter": {"column": "name", "op": "is_null"} });
    let done = at(&owner, "rows/delete?dry_run=true", &none).await?.json();
    assert_eq!((&done["deleted"], &done["dry_run"], &done["snapshot_id"]), (&json!(1), &json!(true), &Value::Null));
    let done = send(owner.request(Method::DELETE, &format!("{TABLE}/rows")).json(&none)).await?;
    assert_eq!((done.status, &done.json()["deleted"]), (200, &json!(1)), "{}", done.text);
    assert_eq!(rows(&owner, "SELECT id FROM t ORDER BY id").await?, json!([[1], [3]]));
    let done = owner.request(Method::POST, &format!("{TABLE}/truncate"));
    assert_eq!(send(done).await?.json()["deleted"], 2);
    assert_eq!(owner.get(TABLE).await?.json()["row_count"], 0);
    Ok(())
}

#[tokio::test]
async fn a_dry_run_is_refused_as_the_write_would_be() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = filled(&server).await?;
    let before = owner.get(TABLE).await?;
    let told = at(&owner, "rows?dry_run=true", &json!([{"id": 9}, {"id": 10}])).await?.json();
    assert_eq!((&told["rows"], &told["dry_run"], &told["snapshot_id"]), (&json!(2), &json!(true), &Value::Null));
    let long = json!([{"id": 9, "name": "much too long for it"}]);
    let (dry, wet) = (at(&owner, "rows?dry_run=true", &long).await?, at(&owner, "rows", &long).await?);
    assert_eq!((dry.status, dry.code(), &dry.json()["errors"]), (wet.status, wet.code(), &wet.json()["errors"]));
    assert_eq!((wet.status, wet.code().as_str()), (422, "rows_invalid"));
    let clash = json!({ "filter": {"column": "id", "op": "in", "value": [1, 2]}, "set": {"id": 3} });
    for how in ["rows/update?dry_run=true", "rows/update"] {
        let refused = at(&owner, how, &clash).await?;
        assert_eq!((refused.status, refused.code().as_str()), (409, "duplicate_key"), "{how}: {}", refused.text);
    }
    let after = owner.get(TABLE).await?;
    assert_eq!((after.text.as_str(), after.header("etag")), (before.text.as_str(), before.header("etag")));
    Ok(())
}

#[tokio::test]
async fn what_is_no_condition_is_refused_and_nothing_is_touched() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = filled(&server).await?;
    let deep = format!("{}{}{}", "{\"not\":".repeat(5_000), r#"{"column":"id","op":"is_null"}"#, "}".repeat(5_000));
    let wide = vec![r#"{"column":"id","op":"eq","value":1}"#; 5_000].join(",");
    let many = (0..50_000).map(|n| n.to_string()).collect::<Vec<_>>().join(",");
    let filters = [
        r#"{"column": "nope", "op": "eq", "value": 1}"#.to_owned(),
        r#"{"column": "id; DROP TABLE t", "op": "eq", "value": 1}"#.to_owned(),
        r#"{"column": "id\" = 1 OR \"id", "op": "eq", "value": 1}"#.to_owned(),
        r#"{"column": "id", "op": "= 1 OR 1", "value": 1}"#.to_owned(),
        r#"{"column": "id", "op": "eq", "value": "1 OR 1=1"}"#.to_owned(),
        r#"{"column": "id", "op": "eq", "value": "1.5"}"#.to_owned(),
        r#"{"column": "name", "op": "eq", "value": "a\u0000"}"#.to_owned(),
        r#"{"column": "id", "op": "eq", "value": null}"#.to_owned(),
        r#"{"and": []}"#.to_owned(),
        "[]".to_owned(),
        r#""id = 1""#.to_owned(),
        deep,
        format!("{{\"or\": [{wide}]}}"),
        format!("{{\"column\": \"id\", \"op\": \"in\", \"value\": [{many}]}}"),
    ];
    for filter in filters {
        let body = format!("{{\"filter\": {filter}}}");
        for what in ["delete", "purge"] {
            let path = format!("{TABLE}/rows/{what}");
            let refused = owner.send_as(&path, "application/json", body.clone()).await?;
            let shown: String = filter.chars().take(80).collect();
            assert_eq!((refused.status, refused.code().as_str()), (422, "invalid_filter"), "{shown}: {}", refused.text);
            assert!(refused.text.len() < 2_000);
        }
    }
    for (what, body) in [
        ("delete", json!({})),
        ("delete", json!({ "filter": null })),
        ("delete", json!({ "where_clause": "1=1" })),
        ("purge", json!({})),
        ("update", json!({ "filter": {"column": "id", "op": "eq", "value": 1} })),
        ("update", json!({ "set": {"name": "x"} })),
    ] {
        let refused = at(&owner, &format!("rows/{what}"), &body).await?;
        assert_eq!(
            (refused.status, refused.code().as_str()),
            (422, "validation_failed"),
            "{what} {body}: {}",
            refused.text
        );
    }
    assert_eq!(owner.delete(&format!("{TABLE}/rows")).await?.status, 422, "no body, no filter");
    let one = json!({"column": "id", "op": "eq", "value": 1});
    for set in [
        json!({}),
        json!({"nope": 1}),
        json!({"id": null}),
        json!({"id": "x'); DROP TABLE t; --"}),
        json!({"name": "much too long for it"}),
        json!({"name": "a\u{0}"}),
        json!({"price": "1.234"}),
        json!({"id": 1, "ID": 2}),
    ] {
        let refused = at(&owner, "rows/update", &json!({ "filter": one, "set": set })).await?;
        assert_eq!((refused.status, refused.code().as_str()), (422, "invalid_filter"), "{set}: {}", refused.text);
    }
    assert_eq!(owner.get(TABLE).await?.json()["row_count"], 3);
    Ok(())
}

#[tokio::test]
async fn values_are_values_whatever_they_say() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = filled(&server).await?;
    for text in ["'; --", "\" OR 1", "%' OR '1", "$1 ?", "\\'; x", "{}", "é🦆"] {
        let set = json!({ "filter": {"column": "id", "op": "eq", "value": 1}, "set": {"name": text} });
        let done = at(&owner, "rows/update", &set).await?;
        assert_eq!((done.status, &done.json()["updated"]), (200, &json!(1)), "{text}: {}", done.text);
        let same = json!({ "filter": {"column": "name", "op": "eq", "value": text} });
        let told = at(&owner, "rows/delete?dry_run=true", &same).await?;
        assert_eq!((told.status, &told.json()["deleted"]), (200, &json!(1)), "{text}: {}", told.text);
    }
    Ok(())
}

#[tokio::test]
async fn purged_rows_are_gone_from_the_past_unless_a_tag_holds_them() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = filled(&server).await?;
    let held = owner.get(TABLE).await?.json()["version"].as_str().unwrap().split_once('.').unwrap().1.to_owned();
    let tag = json!({ "snapshot_id": held.parse::<u64>()? });
    let tagged = owner.put("/projects/p/tags/audit", &tag).await?;
    assert!(matches!(tagged.status, 200 | 201), "{}", tagged.text);
    let ann = json!({ "filter": {"column": "name", "op": "eq", "value": "ann"} });
    let refused = at(&owner, "rows/purge", &ann).await?;
    assert_eq!((refused.status, refused.code().as_str()), (409, "snapshot_held"), "{}", refused.text);
    assert!(refused.text.contains("audit"));
    assert_eq!(owner.delete("/projects/p/tags/audit").await?.status, 204);
    let told = at(&owner, "rows/purge?dry_run=true", &ann).await?.json();
    assert_eq!((&told["rows"], &told["dry_run"], &told["snapshot_id"]), (&json!(1), &json!(true), &Value::Null));
    let stale = owner.request(Method::POST, &format!("{TABLE}/rows/purge")).header("If-Match", "\"1.1\"").json(&ann);
    assert_eq!(send(stale).await?.status, 412);
    let done = at(&owner, "rows/purge", &ann).await?;
    assert_eq!((done.status, &done.json()["rows"]), (200, &json!(1)), "{}", done.text);
    assert!(done.json()["expired_snapshot_ids"].as_array().unwrap().contains(&json!(held.parse::<u64>()?)));
    assert_eq!(owner.get(&format!("{TABLE}?snapshot={held}")).await?.status, 404);
    assert_eq!(owner.get(TABLE).await?.json()["row_count"], 2);
    Ok(())
}
