//! Events of lineage are handed on to another server, whatever it does.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Result, bail};
use gadwall::config::Secret;
use gadwall_tests::support::{Client, TestServer};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

const RUN: &str = "01926f4e-7a3c-7d5e-8f00-0123456789ab";

const FAILS: u8 = 0;
const IS_SLOW: u8 = 1;
const TAKES: u8 = 2;

/// Another server of lineage.
#[derive(Default)]
struct Other {
    mode: AtomicU8,
    took: Mutex<Vec<(String, Value)>>,
}

impl Other {
    async fn start() -> Result<(Arc<Self>, String)> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}/api/v1/lineage", listener.local_addr()?);
        let other = Arc::new(Self::default());
        let of_task = Arc::clone(&other);
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let other = Arc::clone(&of_task);
                // Who goes away in the middle is another one's test.
                tokio::spawn(async move { other.answer(socket).await.ok() });
            }
        });
        Ok((other, url))
    }

    async fn answer(&self, mut socket: TcpStream) -> Result<()> {
        let (mut text, mut part) = (Vec::new(), [0; 8_192]);
        loop {
            let count = socket.read(&mut part).await?;
            if count == 0 {
                bail!("it went away");
            }
            text.extend_from_slice(&part[..count]);
            let whole = String::from_utf8_lossy(&text);
            let Some((head, body)) = whole.split_once("\r\n\r\n") else { continue };
            let head = head.to_ascii_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
            if body.len() < length.unwrap_or(0) {
                continue;
            }
            let status = match self.mode.load(Ordering::SeqCst) {
                IS_SLOW => std::future::pending().await,
                FAILS => 503,
                _ => {
                    self.took.lock().unwrap().push((head.clone(), serde_json::from_str(body)?));
                    201
                }
            };
            let answer = format!("HTTP/1.1 {status} x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            return Ok(socket.write_all(answer.as_bytes()).await?);
        }
    }
}

/// Waits until the handing on is as it should be.
async fn until(client: &Client<'_>, wanted: impl Fn(&Value) -> bool) -> Result<Value> {
    for _ in 0..600 {
        let queue = client.get("/api/v1/lineage/queue").await?.json();
        if wanted(&queue["forwarding"]) {
            return Ok(queue["forwarding"].clone());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    bail!("it isn't so within 30 s")
}

fn told(kind: &str) -> Value {
    json!({
        "eventType": kind, "eventTime": "2026-01-01T00:00:00Z", "producer": "https://example.org",
        "schemaURL": "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent",
        "run": { "runId": RUN }, "job": { "namespace": "etl", "name": "load" },
    })
}

#[tokio::test]
async fn a_server_that_fails_is_slow_and_comes_back_gets_all() -> Result<()> {
    let (other, url) = Other::start().await?;
    let server = TestServer::start_with(|config| {
        config.lineage.forward.url = Some(url);
        config.lineage.forward.api_key = Some(Secret::new("swordfish"));
        config.lineage.forward.timeout = Duration::from_secs(1);
    })
    .await?;
    let owner = server.project("p").await?;
    let query = async |sql: &str| owner.post("/projects/p/query", &json!({ "query": sql })).await;
    assert_eq!(query("CREATE TABLE raw AS SELECT 1 AS i").await?.status, 200);
    assert_eq!(query("INSERT INTO raw SELECT 'no number'").await?.status, 400);
    for kind in ["START", "RUNNING", "COMPLETE"] {
        assert_eq!(owner.post("/api/v1/lineage", &told(kind)).await?.status, 200);
    }
    let failing = until(&owner, |forwarding| forwarding["attempts"].as_u64() >= Some(1)).await?;
    assert_eq!(failing["error"], "the address answered with status 503");
    assert!(failing["waiting"].as_u64() >= Some(5) && failing["next_attempt_at"].is_string(), "{failing}");
    other.mode.store(IS_SLOW, Ordering::SeqCst);
    until(&owner, |forwarding| forwarding["error"] == "the address didn't answer in time").await?;
    other.mode.store(TAKES, Ordering::SeqCst);
    let done = until(&owner, |forwarding| forwarding["waiting"] == 0).await?;
    assert_eq!((&done["attempts"], &done["error"]), (&json!(0), &Value::Null));

    let took = other.took.lock().unwrap().clone();
    assert!(took.iter().all(|(head, _)| head.contains("authorization: bearer swordfish")));
    let of_run: Vec<&Value> =
        took.iter().filter(|(_, event)| event["run"]["runId"] == RUN).map(|(_, event)| &event["eventType"]).collect();
    assert_eq!(of_run, ["START", "RUNNING", "COMPLETE"]);
    // Own runs are told of when they have ended: of their beginning first, and of no end before it.
    let made: Vec<&Value> =
        took.iter().map(|(_, event)| event).filter(|event| event["job"]["name"] == "table.created raw").collect();
    let words: Vec<&Value> = made.iter().map(|event| &event["eventType"]).collect();
    assert_eq!(words, ["START", "COMPLETE"]);
    assert!(made[0]["eventTime"].as_str() < made[1]["eventTime"].as_str(), "{made:?}");
    let failed = took.iter().map(|(_, event)| event).find(|event| event["eventType"] == "FAIL");
    let failed = failed.ok_or_else(|| anyhow::anyhow!("the failure isn't told"))?;
    assert_eq!(failed["job"]["name"], "sql raw");
    assert_eq!(failed["job"]["facets"]["sql"]["query"], "INSERT INTO raw SELECT 'no number'");
    let message = failed["run"]["facets"]["errorMessage"]["message"].as_str().unwrap_or_default();
    assert!(message.contains("no number"), "{message}");
    let runs = owner.get("/api/v1/lineage?nodeId=job:gadwall:sql%20raw").await?;
    assert_eq!(runs.status, 200, "{}", runs.text);
    Ok(())
}
