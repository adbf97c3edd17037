//! Input that means harm, or is just broken.

use anyhow::Result;
use futures_util::StreamExt as _;
use gadwall_tests::support::{TestServer, send};
use reqwest::Method;
use serde_json::{Value, json};

const ROWS: &str = "/projects/p/buckets/main/tables/t/rows";

async fn with_table(server: &TestServer) -> Result<gadwall_tests::support::Client<'_>> {
    let owner = server.project("p").await?;
    let columns = json!([{"name": "i", "type": "INT"}, {"name": "s", "type": "TEXT"}, {"name": "j", "type": "JSON"}, {"name": "l", "type": "INT[]"}]);
    owner.post("/projects/p/buckets/main/tables", &json!({ "name": "t", "columns": columns })).await?;
    Ok(owner)
}

#[tokio::test]
async fn names_that_mean_harm_are_refused_everywhere() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = server.project("p").await?;
    let long = "x".repeat(10_000);
    for name in ["", "../evil", "a/b", "a.b", "a'b", "a\"b", "a;b", "a\0b", "🦆", " ", "a b", "%2e%2e", &long] {
        let project = server.admin().post("/projects", &json!({ "id": name })).await?;
        let bucket = owner.post("/projects/p/buckets", &json!({ "name": name })).await?;
        let table = json!({ "name": name, "columns": [{"name": "i", "type": "INT"}] });
        let table = owner.post("/projects/p/buckets/main/tables", &table).await?;
        for reply in [project, bucket, table] {
            assert_eq!((reply.status, reply.code().as_str()), (400, "invalid_name"), "{name:?}: {}", reply.text);
            assert!(reply.text.len() < 2_000, "the answer doesn't repeat 10,000 characters");
        }
    }
    for name in ["information_schema", "pg_catalog", "temp", "ducklake_x", "__x"] {
        let reply = owner.post("/projects/p/buckets", &json!({ "name": name })).await?;
        assert_eq!((reply.status, reply.code().as_str()), (400, "invalid_name"), "{name}");
    }
    for path in [
        "/projects/p/buckets/..%2f..%2fevil",
        "/projects/p/buckets/main/tables/a%00b",
        "/projects/p/buckets/main/tables/%22",
    ] {
        let reply = owner.get(path).await?;
        assert_eq!((reply.status, reply.code().as_str()), (400, "invalid_name"), "{path}: {}", reply.text);
    }
    assert_eq!(owner.get("/projects/p/buckets").await?.json()["total"], 0);
    Ok(())
}

#[tokio::test]
async fn broken_bodies_are_named_and_leave_nothing() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = with_table(&server).await?;
    let deep = format!("[{{\"j\": {}1{}}}]", "[".repeat(100_000), "]".repeat(100_000));
    let long_number = format!("[{{\"i\": {}}}]", "9".repeat(1_000_000));
    let cases: Vec<(&str, Vec<u8>, &[u16])> = vec![
        ("application/json", b"[{\"i\": 1}".to_vec(), &[400]),
        ("application/json", b"{\"i\": 1}]".to_vec(), &[400]),
        ("application/json", b"[{\"i\": NaN}]".to_vec(), &[400]),
        ("application/json", b"[{\"i\": Infinity}]".to_vec(), &[400]),
        ("application/json", b"[1, 2]".to_vec(), &[400, 422]),
        ("application/json", b"[{\"i\": 1,}]".to_vec(), &[400]),
        ("application/json", b"".to_vec(), &[400]),
        ("application/json", b"[{\"s\": \"\xff\xfe\"}]".to_vec(), &[400]),
        ("application/json", deep.into_bytes(), &[400, 422]),
        ("application/json", long_number.into_bytes(), &[400, 422]),
        ("application/json", b"[{\"i\": 1, \"other\": 2}]".to_vec(), &[400]),
        ("application/json", b"[{\"i\": 1, \"i\": 2}]".to_vec(), &[400, 422]),
        ("application/x-ndjson", b"{\"i\": 1}\n{\"i\": \n".to_vec(), &[400]),
        ("text/csv", b"i,s\n1,\"open\n".to_vec(), &[400]),
        ("text/csv", b"i,s\n1,\"a\"b\n".to_vec(), &[400]),
        ("text/csv", b"i,s\n1\n".to_vec(), &[400]),
        ("text/csv", b"i,i\n1,2\n".to_vec(), &[400]),
        ("text/csv", b"i,nope\n1,2\n".to_vec(), &[400]),
        ("application/vnd.apache.parquet", b"PAR1 not really PAR1".to_vec(), &[400]),
        ("application/vnd.apache.parquet", b"".to_vec(), &[400]),
        ("application/vnd.apache.arrow.stream", b"\xff\xff\xff\xff\xff\xff\xff\x7f".to_vec(), &[400]),
        ("application/vnd.apache.arrow.file", b"ARROW1\0\0garbage".to_vec(), &[400]),
        ("image/png", b"\x89PNG".to_vec(), &[415]),
    ];
    for (media_type, body, statuses) in cases {
        let shown = String::from_utf8_lossy(&body[..body.len().min(60)]).into_owned();
        let reply = owner.send_as(ROWS, media_type, body).await?;
        assert!(statuses.contains(&reply.status), "{media_type} {shown}: {} {}", reply.status, reply.text);
        assert_eq!(reply.header("content-type"), "application/problem+json");
        assert!(!reply.text.contains("/tmp") && !reply.text.contains("staging"), "no paths: {}", reply.text);
        assert!(reply.text.len() < 8_000);
    }
    assert_eq!(owner.get("/projects/p/buckets/main/tables/t").await?.json()["row_count"], 0);
    Ok(())
}

#[tokio::test]
async fn a_truncated_parquet_file_is_refused() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = with_table(&server).await?;
    let dir = tempfile::tempdir()?;
    let path = dir.path().join("x.parquet");
    let engine = duckdb::Connection::open_in_memory()?;
    engine.execute_batch(&format!("COPY (SELECT range::INT AS i FROM range(10000)) TO '{}'", path.display()))?;
    let whole = std::fs::read(path)?;
    for end in [whole.len() / 2, whole.len() - 1, 4, 12] {
        let reply = owner.send_as(ROWS, "application/vnd.apache.parquet", whole[..end].to_vec()).await?;
        assert_eq!((reply.status, reply.code().as_str()), (400, "malformed_body"), "{end}: {}", reply.text);
    }
    assert_eq!(owner.send_as(ROWS, "application/vnd.apache.parquet", whole).await?.status, 200);
    Ok(())
}

#[tokio::test]
async fn a_body_over_the_limit_is_413_whether_it_says_so_or_not() -> Result<()> {
    let server = TestServer::start_with(|config| config.server.max_body_bytes = 1_000_000).await?;
    let owner = with_table(&server).await?;
    // Declared: refused before a byte is read.
    let declared = owner.send_as(ROWS, "text/csv", vec![b'x'; 1_000_001]).await;
    if let Ok(reply) = declared {
        assert_eq!((reply.status, reply.code().as_str()), (413, "body_too_large"), "{}", reply.text);
    }
    // Not declared: cut off where it goes over.
    let row = "{\"i\": 1, \"s\": \"".to_owned() + &"y".repeat(900) + "\"}\n";
    let endless = futures_util::stream::repeat(row).take(5_000).map(Ok::<_, std::io::Error>);
    let body = reqwest::Body::wrap_stream(endless);
    let chunked = owner.request(Method::POST, ROWS).header("Content-Type", "application/x-ndjson").body(body);
    if let Ok(reply) = send(chunked).await {
        assert_eq!((reply.status, reply.code().as_str()), (413, "body_too_large"), "{}", reply.text);
    }
    // Documents have a smaller limit than rows.
    let large = json!({ "id": "x", "name": "n".repeat(1_100_000) });
    if let Ok(reply) = server.admin().post("/projects", &large).await {
        assert_eq!(reply.status, 413, "{}", reply.text);
    }
    assert_eq!(owner.get("/projects/p/buckets/main/tables/t").await?.json()["row_count"], 0);
    assert_eq!(owner.post(ROWS, &json!([{"i": 1}])).await?.status, 200, "the server goes on");
    Ok(())
}

#[tokio::test]
async fn a_client_that_stops_sending_is_let_go() -> Result<()> {
    let server = TestServer::start_with(|config| {
        config.server.body_idle_timeout = std::time::Duration::from_millis(300);
    })
    .await?;
    let owner = with_table(&server).await?;
    let first = futures_util::stream::iter([Ok::<_, std::io::Error>("{\"i\": 1}\n".to_owned())]);
    let body = reqwest::Body::wrap_stream(first.chain(futures_util::stream::pending()));
    let slow = owner.request(Method::POST, ROWS).header("Content-Type", "application/x-ndjson").body(body);
    let reply = tokio::time::timeout(std::time::Duration::from_secs(10), send(slow)).await?;
    if let Ok(reply) = reply {
        assert!((400..500).contains(&reply.status), "{} {}", reply.status, reply.text);
    }
    assert_eq!(owner.get("/projects/p/buckets/main/tables/t").await?.json()["row_count"], 0);
    Ok(())
}

#[tokio::test]
async fn text_of_any_kind_is_data_and_nothing_else() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = with_table(&server).await?;
    let texts = ["'; DROP TABLE t; --", "\"", "\\", "🦆", "\u{202e}", "a\tb\nc", "NULL", "", "$1", "{}"];
    let rows: Vec<Value> = texts.iter().map(|text| json!({ "s": text })).collect();
    assert_eq!(owner.post(ROWS, &Value::Array(rows)).await?.status, 200);
    let read = owner.get("/projects/p/buckets/main/tables/t/preview").await?.json();
    let read: Vec<_> = read["rows"].as_array().unwrap().iter().map(|row| row["s"].as_str().unwrap()).collect();
    assert_eq!(read, texts);
    let found = owner
        .post(
            "/projects/p/query",
            &json!({ "query": "SELECT count(*) FROM t WHERE s = $s", "params": { "s": texts[0] } }),
        )
        .await?;
    assert_eq!(found.json()["rows"], json!([[1]]));
    Ok(())
}

#[tokio::test]
async fn a_connection_without_a_request_is_closed() -> Result<()> {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    let within = std::time::Duration::from_millis(300);
    let server = TestServer::start_with(|config| config.server.header_read_timeout = within).await?;
    let address = server.url("").trim_start_matches("http://").to_owned();
    // Nothing at all, and what could still become HTTP/2.
    for said in ["", "PRI * HT"] {
        let mut connection = tokio::net::TcpStream::connect(&address).await?;
        connection.write_all(said.as_bytes()).await?;
        let end = tokio::time::timeout(std::time::Duration::from_secs(10), connection.read_u8()).await;
        assert!(end.is_ok_and(|read| read.is_err()), "{said:?}: still open");
    }
    let keeps = server.request(Method::GET, "/livez");
    assert_eq!(send(keeps).await?.status, 200);
    Ok(())
}
