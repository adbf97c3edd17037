//! Rows in every format, and rows that don't fit.

use std::sync::Arc;

use anyhow::Result;
use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow::ipc::writer::{FileWriter, StreamWriter};
use futures_util::StreamExt as _;
use gadwall_tests::support::{Client, Reply, TestServer, send};
use reqwest::Method;
use serde_json::{Value, json};

const ROWS: &str = "/projects/p/buckets/main/tables/t/rows";

async fn table<'a>(server: &'a TestServer, columns: Value, key: &[&str]) -> Result<Client<'a>> {
    let owner = server.project("p").await?;
    let made = owner
        .post("/projects/p/buckets/main/tables", &json!({ "name": "t", "columns": columns, "primary_key": key }))
        .await?;
    assert_eq!(made.status, 201, "{}", made.text);
    Ok(owner)
}

async fn preview(owner: &Client<'_>) -> Result<Value> {
    Ok(owner.get("/projects/p/buckets/main/tables/t/preview").await?.json()["rows"].clone())
}

fn refused(reply: &Reply, status: u16, code: &str) {
    assert_eq!((reply.status, reply.code().as_str()), (status, code), "{}", reply.text);
}

fn batch() -> RecordBatch {
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("id", Arc::new(Int64Array::from(vec![1, 2]))),
        ("name", Arc::new(StringArray::from(vec![Some("a"), None]))),
        ("score", Arc::new(Float64Array::from(vec![1.5, -2.0]))),
    ];
    RecordBatch::try_from_iter(columns).unwrap()
}

fn arrow_stream() -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer = StreamWriter::try_new(&mut bytes, &batch().schema()).unwrap();
    writer.write(&batch()).unwrap();
    writer.finish().unwrap();
    drop(writer);
    bytes
}

fn arrow_file() -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer = FileWriter::try_new(&mut bytes, &batch().schema()).unwrap();
    writer.write(&batch()).unwrap();
    writer.finish().unwrap();
    drop(writer);
    bytes
}

fn parquet(select: &str) -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("rows.parquet");
    let engine = duckdb::Connection::open_in_memory().unwrap();
    engine.execute_batch(&format!("COPY ({select}) TO '{}' (FORMAT parquet)", path.display())).unwrap();
    std::fs::read(path).unwrap()
}

#[tokio::test]
async fn the_same_rows_come_in_every_format() -> Result<()> {
    let bodies: Vec<(&str, Vec<u8>)> = vec![
        ("application/json", br#"[{"id":1,"name":"a","score":1.5},{"id":2,"name":null,"score":-2}]"#.to_vec()),
        ("application/json; charset=utf-8", br#"[{"id":1,"name":"a","score":1.5},{"score":-2,"id":2}]"#.to_vec()),
        ("application/x-ndjson", b"{\"id\":1,\"name\":\"a\",\"score\":1.5}\n{\"id\":2,\"score\":-2.0}\n".to_vec()),
        ("text/csv", b"score,ID,name\r\n1.5,1,a\r\n-2,2,\r\n".to_vec()),
        ("application/vnd.apache.arrow.stream", arrow_stream()),
        ("application/vnd.apache.arrow.file", arrow_file()),
        (
            "application/vnd.apache.parquet",
            parquet("SELECT 1 AS id, 'a' AS name, 1.5 AS score UNION ALL SELECT 2, NULL, -2 ORDER BY 1"),
        ),
    ];
    for (media_type, body) in bodies {
        let server = TestServer::start().await?;
        let columns = json!([{"name": "id", "type": "INT"}, {"name": "name", "type": "TEXT"}, {"name": "score", "type": "DOUBLE"}]);
        let owner = table(&server, columns, &["id"]).await?;
        let reply = owner.send_as(ROWS, media_type, body).await?;
        assert_eq!(reply.status, 200, "{media_type}: {}", reply.text);
        assert_eq!(reply.json()["rows"], 2, "{media_type}");
        assert!(reply.json()["snapshot_id"].as_u64() > Some(0));
        let expected = json!([{"id": 1, "name": "a", "score": 1.5}, {"id": 2, "name": null, "score": -2.0}]);
        assert_eq!(preview(&owner).await?, expected, "{media_type}");
        assert_eq!(owner.get("/projects/p/buckets/main/tables/t").await?.json()["row_count"], 2);
    }
    Ok(())
}

#[tokio::test]
async fn values_of_every_kind_come_back_as_they_went_in() -> Result<()> {
    let server = TestServer::start().await?;
    let columns = json!([
        {"name": "big", "type": "BIGINT"}, {"name": "ubig", "type": "UBIGINT"}, {"name": "exact", "type": "DECIMAL(38,2)"},
        {"name": "yes", "type": "BOOLEAN"}, {"name": "day", "type": "DATE"}, {"name": "at", "type": "TIMESTAMP"},
        {"name": "instant", "type": "TIMESTAMPTZ"}, {"name": "time", "type": "TIME"}, {"name": "id", "type": "UUID"},
        {"name": "doc", "type": "JSON"}, {"name": "list", "type": "INTEGER[]"}, {"name": "nested", "type": "STRUCT(a DECIMAL(30,2), b STRUCT(c VARCHAR)[])"},
        {"name": "map", "type": "MAP(VARCHAR, INTEGER)"}, {"name": "text", "type": "VARCHAR"}, {"name": "bytes", "type": "BLOB"},
    ]);
    let owner = table(&server, columns, &[]).await?;
    let row = r#"{
        "big": -9223372036854775808, "ubig": 18446744073709551615, "exact": 123456789012345678901234567890123456.78,
        "yes": true, "day": "2024-02-29", "at": "2024-02-29T12:30:00.123456", "instant": "2024-02-29T12:30:00+02:00",
        "time": "23:59:59", "id": "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "doc": {"k": [1, null, "x"]}, "list": [1, null, 3],
        "nested": {"a": 12345678901234567890.12, "b": [{"c": "it's"}]}, "map": {"x": 1}, "text": "quote \" é 🦆 \\ \n", "bytes": "AAH/"
    }"#;
    let reply = owner.send_as(ROWS, "application/json", format!("[{row}]")).await?;
    assert_eq!(reply.status, 200, "{}", reply.text);
    let read = preview(&owner).await?[0].clone();
    let same = json!({
        "big": i64::MIN, "ubig": u64::MAX, "exact": "123456789012345678901234567890123456.78", "yes": true, "day": "2024-02-29",
        "at": "2024-02-29T12:30:00.123456", "instant": "2024-02-29T10:30:00+00:00", "time": "23:59:59",
        "id": "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "doc": {"k": [1, null, "x"]}, "list": [1, null, 3],
        "nested": {"a": "12345678901234567890.12", "b": [{"c": "it's"}]}, "map": {"x": 1}, "text": "quote \" é 🦆 \\ \n", "bytes": "AAH/"
    });
    for (name, value) in same.as_object().unwrap() {
        assert_eq!(&read[name], value, "{name}");
    }
    Ok(())
}

#[tokio::test]
async fn rows_that_do_not_fit_are_refused_as_a_whole_and_named() -> Result<()> {
    let server = TestServer::start().await?;
    let columns = json!([{"name": "id", "type": "INT"}, {"name": "code", "type": "CHAR(3)"}, {"name": "day", "type": "DATE"}, {"name": "must", "type": "TEXT", "nullable": false, "default": "'x'"}]);
    let owner = table(&server, columns, &["id"]).await?;
    let rows = json!([
        {"id": 1, "code": "EUR", "day": "2024-01-01"},
        {"id": "x", "code": "EURO", "day": "2024-01-01"},
        {"id": 3, "day": "2024-02-30", "must": null},
        {"id": 4.5}, {"id": null}, {"id": 3_000_000_000_u64},
    ]);
    let reply = owner.post(ROWS, &rows).await?;
    refused(&reply, 422, "rows_invalid");
    let body = reply.json();
    assert_eq!(body["details"]["violation_count"], 7, "{}", reply.text);
    let named: Vec<(u64, String)> = body["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| (e["row"].as_u64().unwrap(), e["column"].as_str().unwrap().to_owned()))
        .collect();
    let expected = [(2, "id"), (2, "code"), (3, "day"), (3, "must"), (4, "id"), (5, "id"), (6, "id")];
    let mut sorted: Vec<_> = expected.iter().map(|(row, column)| (*row, (*column).to_owned())).collect();
    sorted.sort();
    let mut found = named;
    found.sort();
    assert_eq!(found, sorted, "{}", reply.text);
    assert_eq!(preview(&owner).await?, json!([]), "nothing was written");
    Ok(())
}

#[tokio::test]
async fn only_the_first_twenty_are_named_but_all_are_counted() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = table(&server, json!([{"name": "i", "type": "INT"}]), &[]).await?;
    let rows: Vec<Value> = (0..10_000).map(|_| json!({"i": "x"})).collect();
    let body = owner.post(ROWS, &Value::Array(rows)).await?.json();
    assert_eq!((body["errors"].as_array().unwrap().len(), &body["details"]["violation_count"]), (20, &json!(10_000)));
    Ok(())
}

#[tokio::test]
async fn values_the_engine_would_bend_are_refused() -> Result<()> {
    let server = TestServer::start().await?;
    let columns = json!([
        {"name": "int", "type": "INT"}, {"name": "dec", "type": "DECIMAL(5,2)"}, {"name": "real", "type": "FLOAT"},
        {"name": "at", "type": "TIMESTAMP"}, {"name": "day", "type": "DATE"}, {"name": "nested", "type": "STRUCT(a INT)"},
        {"name": "gap", "type": "INTERVAL"}, {"name": "tiny", "type": "UTINYINT"},
    ]);
    let owner = table(&server, columns, &[]).await?;
    for row in [
        r#"{"int": 1.5}"#,
        r#"{"int": "1.5"}"#,
        r#"{"int": 1e30}"#,
        r#"{"dec": 8888.5}"#,
        r#"{"dec": "NaN"}"#,
        r#"{"real": 1e39}"#,
        r#"{"at": "2024-01-01T00:00:00+02:00"}"#,
        r#"{"day": "2024-01-01T10:00:00"}"#,
        r#"{"nested": {"a": 1.5}}"#,
        r#"{"nested": {"a": 1, "b": 2}}"#,
        r#"{"nested": [1]}"#,
        r#"{"int": {"a": 1}}"#,
        r#"{"tiny": -1}"#,
        r#"{"tiny": 256}"#,
        r#"{"int": true}"#,
        r#"{"gap": "0.0000005 seconds"}"#,
        r#"{"gap": "-1 hour"}"#,
        r#"{"gap": "1 month -1 day"}"#,
    ] {
        let reply = owner.send_as(ROWS, "application/json", format!("[{row}]")).await?;
        assert_eq!((reply.status, reply.code().as_str()), (422, "rows_invalid"), "{row}: {}", reply.text);
    }
    // Rounding to a DECIMAL's scale is what its column asks for.
    let reply = owner.post(ROWS, &json!([{"dec": 8.567, "nested": {}, "int": "7", "real": "NaN"}])).await?;
    assert_eq!(reply.status, 200, "{}", reply.text);
    let row = preview(&owner).await?[0].clone();
    assert_eq!((&row["dec"], &row["nested"], &row["real"]), (&json!("8.57"), &json!({"a": null}), &json!("NaN")));
    Ok(())
}

#[tokio::test]
async fn typed_files_are_held_to_the_same_rules() -> Result<()> {
    let server = TestServer::start().await?;
    let columns = json!([{"name": "i", "type": "INT", "nullable": false}, {"name": "c", "type": "VARCHAR(2)"}]);
    let owner = table(&server, columns, &[]).await?;
    let cases = [
        ("SELECT 1.5::DOUBLE AS i", 1, "i"),
        ("SELECT 3000000000 AS i", 1, "i"),
        ("SELECT NULL::INT AS i UNION ALL SELECT 1", 1, "i"),
        ("SELECT 1 AS i, 'abc' AS c", 1, "c"),
        ("SELECT 'x' AS c", 1, "i"),
    ];
    for (select, count, column) in cases {
        let reply = owner.send_as(ROWS, "application/vnd.apache.parquet", parquet(select)).await?;
        refused(&reply, 422, "rows_invalid");
        let body = reply.json();
        assert_eq!(
            (&body["details"]["violation_count"], &body["errors"][0]["column"]),
            (&json!(count), &json!(column)),
            "{select}"
        );
    }
    for text in ["1.5", "0x10", "x", "1_0"] {
        let reply =
            owner.send_as(ROWS, "application/vnd.apache.parquet", parquet(&format!("SELECT '{text}' AS i"))).await?;
        refused(&reply, 422, "rows_invalid");
    }
    let unknown = owner.send_as(ROWS, "application/vnd.apache.parquet", parquet("SELECT 1 AS i, 2 AS other")).await?;
    refused(&unknown, 400, "unknown_column");
    let fits = owner.send_as(ROWS, "application/vnd.apache.parquet", parquet("SELECT ' 1e2' AS i, 'ab' AS c")).await?;
    assert_eq!(fits.status, 200, "{}", fits.text);
    Ok(())
}

#[tokio::test]
async fn a_primary_key_is_kept_against_the_table_and_within_the_request() -> Result<()> {
    let server = TestServer::start().await?;
    let columns = json!([{"name": "a", "type": "INT"}, {"name": "b", "type": "TEXT"}, {"name": "v", "type": "INT"}]);
    let owner = table(&server, columns, &["a", "b"]).await?;
    assert_eq!(owner.post(ROWS, &json!([{"a": 1, "b": "x", "v": 1}, {"a": 1, "b": "y"}])).await?.status, 200);
    let known = owner.post(ROWS, &json!([{"a": 2, "b": "x"}, {"a": 1, "b": "x", "v": 9}])).await?;
    refused(&known, 409, "duplicate_key");
    assert_eq!(known.json()["errors"], json!([{"key": {"a": 1, "b": "x"}}]));
    let twice = owner.post(ROWS, &json!([{"a": 3, "b": "z"}, {"a": 3, "b": "z"}])).await?;
    refused(&twice, 409, "duplicate_key");
    assert_eq!(owner.get("/projects/p/buckets/main/tables/t").await?.json()["row_count"], 2);
    Ok(())
}

#[tokio::test]
async fn defaults_fill_what_is_left_out_but_not_what_is_null() -> Result<()> {
    let server = TestServer::start().await?;
    let columns = json!([{"name": "id", "type": "INT"}, {"name": "state", "type": "TEXT", "default": "'it''s new'"}, {"name": "n", "type": "DECIMAL(5,2)", "default": "1.25"}]);
    let owner = table(&server, columns, &[]).await?;
    owner.post(ROWS, &json!([{"id": 1}, {"id": 2, "state": null, "n": null}])).await?;
    owner.send_as(ROWS, "text/csv", "id\n3\n").await?;
    owner.send_as(ROWS, "application/vnd.apache.parquet", parquet("SELECT 4 AS id")).await?;
    let new = json!({"state": "it's new", "n": "1.25"});
    for row in preview(&owner).await?.as_array().unwrap() {
        let expected = if row["id"] == 2 { json!({"state": null, "n": null}) } else { new.clone() };
        assert_eq!((&row["state"], &row["n"]), (&expected["state"], &expected["n"]), "{row}");
    }
    Ok(())
}

#[tokio::test]
async fn no_rows_is_no_commit() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = table(&server, json!([{"name": "i", "type": "INT"}]), &[]).await?;
    let before = owner.post(ROWS, &json!([{"i": 1}])).await?.json()["snapshot_id"].clone();
    for (media_type, body) in [("application/json", "[]"), ("application/x-ndjson", ""), ("text/csv", "i\n")] {
        let reply = owner.send_as(ROWS, media_type, body).await?;
        assert_eq!((reply.status, reply.json()["rows"].as_u64()), (200, Some(0)), "{media_type}: {}", reply.text);
        assert_eq!(reply.json()["snapshot_id"], before);
    }
    Ok(())
}

#[tokio::test]
async fn many_clients_append_at_once_and_nothing_is_lost() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = table(&server, json!([{"name": "i", "type": "INT"}]), &["i"]).await?;
    let appends = (0..40).map(|i| {
        let owner = owner.clone();
        async move { owner.post(ROWS, &json!([{"i": i}])).await }
    });
    let replies = futures_util::future::try_join_all(appends).await?;
    let mut snapshots: Vec<_> = replies.iter().map(|r| r.json()["snapshot_id"].as_u64().unwrap()).collect();
    snapshots.sort_unstable();
    assert!(replies.iter().all(|reply| reply.status == 200));
    assert_eq!(owner.get("/projects/p/buckets/main/tables/t").await?.json()["row_count"], 40);
    Ok(())
}

#[tokio::test]
async fn what_would_change_the_meaning_of_an_append_is_refused_not_ignored() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = table(&server, json!([{"name": "i", "type": "INT"}]), &["i"]).await?;
    let body = json!([{"i": 1}]);
    let coded = owner.request(Method::POST, ROWS).header("Content-Encoding", "gzip").json(&body);
    refused(&send(coded).await?, 415, "unsupported_content_encoding");
    assert_eq!(preview(&owner).await?, json!([]));
    assert_eq!(owner.post(&format!("{ROWS}?mode=append"), &body).await?.status, 200);
    Ok(())
}

#[tokio::test]
async fn clients_that_stall_do_not_keep_others_from_appending() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = table(&server, json!([{"name": "i", "type": "INT"}]), &[]).await?;
    let stalled: Vec<_> = (0..100)
        .map(|_| {
            let first = futures_util::stream::iter([Ok::<_, std::io::Error>("i\n1\n")]);
            let body = reqwest::Body::wrap_stream(first.chain(futures_util::stream::pending()));
            tokio::spawn(owner.request(Method::POST, ROWS).header("Content-Type", "text/csv").body(body).send())
        })
        .collect();
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    let started = std::time::Instant::now();
    assert_eq!(owner.post(ROWS, &json!([{"i": 2}])).await?.status, 200);
    assert!(started.elapsed().as_secs() < 5, "took {:?}", started.elapsed());
    stalled.iter().for_each(tokio::task::JoinHandle::abort);
    Ok(())
}
