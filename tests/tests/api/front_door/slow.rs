//! Clients that take their time.

use std::time::Duration;

use anyhow::{Context as _, Result};
use gadwall_tests::support::TestServer;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{PATIENCE, answers, connect, rest};

const SOON: Duration = Duration::from_millis(300);

#[tokio::test]
async fn a_head_that_drips_is_cut_off_also_after_a_good_request() -> Result<()> {
    let server = TestServer::start_with(|config| config.server.header_read_timeout = SOON).await?;
    for before in ["", "GET /livez HTTP/1.1\r\nHost: a\r\n\r\n"] {
        let (mut reading, mut writing) = connect(&server).await?.into_split();
        writing.write_all(before.as_bytes()).await?;
        if !before.is_empty() {
            reading.read_u8().await?;
        }
        let dripping = tokio::spawn(async move {
            writing.write_all(b"GET /livez HTTP/1.1\r\nHost: a\r\n").await?;
            loop {
                writing.write_all(b"X-Drip: y\r\n").await?;
                tokio::time::sleep(SOON / 10).await;
            }
            #[expect(unreachable_code, reason = "names the error's type")]
            Ok::<(), std::io::Error>(())
        });
        let answer = rest(&mut reading).await?;
        // The first letter was taken already.
        assert_eq!(answer.matches("TTP/1.1 ").count(), usize::from(!before.is_empty()), "{answer}");
        dripping.abort();
    }
    answers(&server).await
}

#[tokio::test]
async fn an_idle_connection_is_closed_after_its_time_and_not_after_that_of_a_head() -> Result<()> {
    let server = TestServer::start_with(|config| {
        config.server.header_read_timeout = SOON;
        config.server.keep_alive_timeout = SOON * 5;
    })
    .await?;
    let mut connection = connect(&server).await?;
    connection.write_all(b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n").await?;
    connection.read_u8().await?;
    let begun = tokio::time::Instant::now();
    rest(&mut connection).await?;
    assert!(begun.elapsed() > SOON * 3, "{:?}", begun.elapsed());
    answers(&server).await
}

#[tokio::test]
async fn a_body_that_stops_or_drips_is_408() -> Result<()> {
    for min_body_rate in [0, 1_000] {
        let server = TestServer::start_with(|config| {
            config.server.body_idle_timeout = SOON;
            config.server.min_body_rate = min_body_rate;
        })
        .await?;
        let owner = server.project("p").await?;
        let columns = serde_json::json!([{"name": "s", "type": "TEXT"}]);
        owner.post("/projects/p/buckets/main/tables", &serde_json::json!({ "name": "t", "columns": columns })).await?;
        owner.post("/datasets/d", &serde_json::json!({})).await?;
        let put = ("PUT", "/datasets/d/x", "text/plain");
        let append = ("POST", "/projects/p/buckets/main/tables/t/rows", "text/csv");
        let document = ("POST", "/projects/p/buckets", "application/json");
        for (method, path, kind) in [document, append, put] {
            let (mut reading, mut writing) = connect(&server).await?.into_split();
            let head = format!(
                "{method} {path} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {}\r\nContent-Type: {kind}\r\n\
                 Content-Length: 10000\r\n\r\ns\n",
                owner.key()
            );
            writing.write_all(head.as_bytes()).await?;
            let dripping = tokio::spawn(async move {
                while min_body_rate > 0 && writing.write_all(b"x").await.is_ok() {
                    tokio::time::sleep(SOON / 10).await;
                }
                // Closing would end the body.
                std::future::pending::<()>().await;
                drop(writing);
            });
            let answer = rest(&mut reading).await?;
            assert!(answer.starts_with("HTTP/1.1 408") && answer.contains("body_timeout"), "{path}: {answer}");
            dripping.abort();
        }
        answers(&server).await?;
    }
    Ok(())
}

/// A query whose result fills any buffer between here and there.
const ENDLESS: &str = r#"{"query": "SELECT repeat('x', 1000) AS s FROM range(20000000)", "timeout_seconds": 60}"#;

#[tokio::test]
async fn a_client_that_never_reads_keeps_neither_its_connection_nor_its_query() -> Result<()> {
    let server = TestServer::start_with(|config| {
        config.server.write_stall_timeout = SOON;
        config.query.max_concurrent = 1;
    })
    .await?;
    let owner = server.project("p").await?;
    let mut connection = connect(&server).await?;
    let head = format!(
        "POST /projects/p/query HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{ENDLESS}",
        owner.key(),
        ENDLESS.len()
    );
    connection.write_all(head.as_bytes()).await?;
    connection.read_u8().await.context("the answer begins")?;
    // There is one place for queries. It is free again only once the first is given up.
    let other = serde_json::json!({ "query": "SELECT 1 AS one" });
    let reply = tokio::time::timeout(PATIENCE, owner.post("/projects/p/query", &other)).await??;
    assert_eq!(reply.status, 200, "{}", reply.text);
    let answer = rest(&mut connection).await?;
    assert!(!answer.ends_with("0\r\n\r\n"), "half of the data doesn't look whole");
    answers(&server).await
}
