//! Columns with checks: shown as they were given, held by rows and SQL alike, changed by `PATCH`.

use anyhow::Result;
use gadwall_tests::support::TestServer;
use serde_json::{Value, json};

const TABLES: &str = "/projects/p/buckets/main/tables";

fn columns() -> Value {
    json!([
        { "name": "id", "type": "INT" },
        { "name": "state", "type": "VARCHAR", "default": "'open'", "checks": { "one_of": ["open", "shut"] } },
        { "name": "rate", "type": "DECIMAL(5,2)", "checks": { "minimum": 0, "exclusive_maximum": 100 } },
        { "name": "code", "type": "VARCHAR(4)", "checks": { "pattern": "^[A-Z]+$", "min_length": 2 } },
    ])
}

#[tokio::test]
async fn rows_and_sql_are_held_to_a_columns_checks() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = server.project("p").await?;
    let body = json!({ "name": "t", "primary_key": ["id"], "columns": columns() });
    let made = owner.post(TABLES, &body).await?;
    assert_eq!(made.status, 201, "{}", made.text);
    let shown = json!({ "minimum": "0", "exclusive_maximum": "100" });
    assert_eq!(made.json()["columns"][2]["checks"], shown, "{}", made.text);

    let rows = format!("{TABLES}/t/rows");
    let good = owner.post(&rows, &json!([{ "id": 1, "rate": 99.99, "code": "AB" }, { "id": 2 }])).await?;
    assert_eq!(good.status, 200, "{}", good.text);
    let bad = owner.post(&rows, &json!([{ "id": 3, "state": "ajar", "rate": 100, "code": "a" }])).await?;
    assert_eq!((bad.status, bad.code().as_str()), (422, "rows_invalid"), "{}", bad.text);
    assert_eq!(bad.json()["details"]["violation_count"], json!(4), "{}", bad.text);
    assert!(bad.text.contains("is not one of open, shut"), "{}", bad.text);

    for sql in [
        "INSERT INTO t (id, state) VALUES (3, 'ajar')",
        "INSERT INTO t (id, state) VALUES (1, 'ajar') ON CONFLICT DO UPDATE SET state = excluded.state",
        "UPDATE t SET rate = rate + 1 WHERE id = 1",
        "UPDATE t SET code = lower(code)",
        "MERGE INTO t USING (SELECT 1 AS id) s ON t.id = s.id WHEN MATCHED THEN UPDATE SET code = 'x'",
        "MERGE INTO t USING (SELECT 9 AS id) s ON t.id = s.id WHEN NOT MATCHED THEN INSERT (id, rate) VALUES (9, -1)",
    ] {
        let refused = owner.post("/projects/p/query", &json!({ "query": sql })).await?;
        assert_eq!((refused.status, refused.code().as_str()), (422, "rows_invalid"), "{sql}: {}", refused.text);
    }
    let fine = owner.post("/projects/p/query", &json!({ "query": "UPDATE t SET rate = 0, code = 'ZZ'" })).await?;
    assert_eq!(fine.status, 200, "{}", fine.text);
    Ok(())
}

#[tokio::test]
async fn checks_are_changed_and_ended_and_refused_where_they_do_not_fit() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = server.project("p").await?;
    owner.post(TABLES, &json!({ "name": "t", "columns": columns() })).await?;
    owner.post(&format!("{TABLES}/t/rows"), &json!([{ "id": 1, "state": "shut" }])).await?;
    let state = format!("{TABLES}/t/columns/state?allow_breaking=true");
    let narrow = json!({ "checks": { "one_of": ["open"] } });
    let kept = owner.put(&state, &narrow).await?;
    assert_eq!((kept.status, kept.code().as_str()), (409, "rows_break_checks"), "{}", kept.text);
    let meant = owner.put(&format!("{TABLES}/t/columns/state"), &narrow).await?;
    assert_eq!((meant.status, meant.code().as_str()), (409, "breaking_change"), "{}", meant.text);
    let ended = owner.put(&state, &json!({ "checks": null })).await?;
    assert_eq!(ended.status, 200, "{}", ended.text);
    assert!(ended.json()["columns"][1].get("checks").is_none(), "{}", ended.text);
    for checks in [
        json!({ "minimum": "many" }),
        json!({ "pattern": "x" }),
        json!({ "one_of": [[]] }),
        json!({ "minimum": 1, "exclusive_minimum": 0 }),
    ] {
        let refused =
            owner.put(&format!("{TABLES}/t/columns/id?allow_breaking=true"), &json!({ "checks": checks })).await?;
        assert!(matches!(refused.status, 400 | 422), "{checks}: {} {}", refused.status, refused.text);
    }
    Ok(())
}
