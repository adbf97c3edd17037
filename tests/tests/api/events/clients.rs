//! Those who watch, looked after over HTTP.

use std::time::Duration;

use anyhow::{Context as _, Result};
use gadwall_tests::support::TestServer;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::{make_table, open};

#[tokio::test]
async fn a_tenant_sees_and_manages_its_own_clients() -> Result<()> {
    let server = TestServer::start().await?;
    let (owner, other) = (server.project("p").await?, server.project("q").await?);
    let mut stream = open(&owner, "/events/stream?client_id=mine&events=job_status").await?;
    stream.next_of("connected").await?;
    assert_eq!(stream.header("x-client-id"), "mine");
    let stats = owner.get("/events/stats").await?.json();
    assert_eq!(
        (&stats["connected_clients"], &stats["healthy_clients"], &stats["zombie_clients"]),
        (&json!(1), &json!(1), &json!(0))
    );
    let client = &stats["clients"][0];
    assert_eq!((&client["client_id"], &client["subscriptions"]), (&json!("mine"), &json!(["job_status"])));
    for key in ["queue_size", "connected_duration", "ping_count", "missed_pings", "queue_full_count", "write_errors"] {
        assert!(client[key].is_number(), "{key}");
    }
    assert_eq!(other.get("/events/stats").await?.json()["connected_clients"], 0);
    assert_eq!(server.admin().get("/events/stats").await?.json()["connected_clients"], 1);
    let twice = owner.get("/events/stream?client_id=mine").await?;
    assert_eq!((twice.status, twice.code().as_str()), (409, "client_exists"));
    let pong = json!({ "client_id": "mine", "ping_id": "1" });
    assert_eq!(other.post("/events/pong", &pong).await?.status, 404);
    assert_eq!(other.delete("/events/clients/mine").await?.status, 404);
    assert_eq!(owner.post("/events/pong", &pong).await?.json()["message"], "Pong received successfully");
    assert_eq!(owner.post("/events/pong?client_id=mine&ping_id=2", &Value::Null).await?.status, 200);
    assert_eq!(owner.post("/events/pong", &json!({ "client_id": "mine" })).await?.status, 422);
    assert!(owner.get("/events/stats").await?.json()["clients"][0]["last_pong"].is_number());
    assert_eq!(owner.delete("/events/clients/mine").await?.status, 200);
    assert_eq!(stream.next_of("error").await?.data["data"]["error_type"], "disconnected");
    assert!(stream.next().await?.is_none(), "the stream is closed");
    assert_eq!(owner.delete("/events/clients/mine").await?.status, 404);
    Ok(())
}

#[tokio::test]
async fn a_broadcast_reaches_those_of_the_project_who_want_it() -> Result<()> {
    let server = TestServer::start().await?;
    let (owner, other) = (server.project("p").await?, server.project("q").await?);
    let mut jobs = open(&owner, "/events/jobs?client_id=jobs").await?;
    let mut theirs = open(&other, "/events/jobs").await?;
    let mut lineage = open(&owner, "/events/lineage?client_id=lineage").await?;
    let body = json!({ "event_type": "job_status", "data": { "job_name": "nightly", "progress": 10 } });
    let said = owner.post("/events/broadcast", &body).await?.json();
    assert_eq!(said["message"], "Event broadcasted successfully");
    assert!(said["event_id"].is_string());
    let heard = jobs.next_of("job_status").await?;
    assert_eq!((heard.id.as_str(), &heard.data["data"]), ("", &body["data"]));
    let to = json!({ "data": { "x": 1 }, "target_clients": ["lineage"] });
    assert_eq!(owner.post("/events/broadcast?event_type=lineage_event", &to).await?.status, 200);
    assert_eq!(lineage.next_of("lineage_event").await?.data["data"], json!({ "x": 1 }));
    other.post("/events/broadcast", &json!({ "event_type": "job_status", "data": { "of": "q" } })).await?;
    assert_eq!(theirs.next_of("job_status").await?.data["data"], json!({ "of": "q" }), "the first that they hear");
    for (body, status) in [
        (json!({ "event_type": "nonsense", "data": {} }), 400),
        (json!({ "data": {} }), 422),
        (json!({ "event_type": "job_status" }), 422),
        (json!({ "event_type": "job_status", "data": 1 }), 422),
    ] {
        assert_eq!(owner.post("/events/broadcast", &body).await?.status, status, "{body}");
    }
    Ok(())
}

#[tokio::test]
async fn so_many_streams_are_open_at_once() -> Result<()> {
    let server = TestServer::start_with(|config| {
        config.events.max_clients = 2;
        config.events.max_clients_per_project = 1;
    })
    .await?;
    let (owner, other) = (server.project("p").await?, server.project("q").await?);
    let first = open(&owner, "/events/stream").await?;
    let refused = owner.get("/events/jobs").await?;
    assert_eq!((refused.status, refused.code().as_str()), (503, "too_many_streams"));
    assert!(!refused.header("retry-after").is_empty());
    let second = open(&other, "/events/stream").await?;
    assert_eq!(server.admin().get("/events/stream").await?.status, 503);
    drop(first);
    // The server sees a while later that somebody went.
    let mut again = Err(anyhow::anyhow!("not tried"));
    for _ in 0..200 {
        again = open(&owner, "/events/stream").await;
        if again.is_ok() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    again?;
    drop(second);
    Ok(())
}

#[tokio::test]
async fn who_reads_nothing_is_found_dead_and_cut_and_delays_nobody() -> Result<()> {
    let server = TestServer::start_with(|config| {
        config.events.queue_size = 5;
        config.events.check_interval = Duration::from_secs(1);
        config.events.zombie_grace = Duration::from_secs(1);
        config.server.write_stall_timeout = Duration::from_mins(1);
    })
    .await?;
    let owner = server.project("p").await?;
    make_table(&owner, "p", "t").await?;
    // It asks and never reads: its buffers fill, then its queue.
    let address = server.url("").replace("http://", "");
    let socket = tokio::net::TcpSocket::new_v4()?;
    socket.set_recv_buffer_size(4_096)?;
    let mut stuck: TcpStream = socket.connect(address.parse()?).await?;
    let head = format!(
        "GET /events/stream?client_id=stuck HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n\r\n",
        owner.key()
    );
    stuck.write_all(head.as_bytes()).await?;
    let mut quick = open(&owner, "/events/stream?events=job_status&client_id=quick").await?;
    quick.next_of("connected").await?;
    let everything = open(&owner, "/events/jobs").await?;
    drop(everything);
    let big = json!({ "event_type": "job_status", "data": { "text": "x".repeat(200_000) } });
    let mut zombies = Value::Null;
    for _ in 0..200 {
        for _ in 0..10 {
            owner.post("/events/broadcast", &big).await?;
            quick.next_of("job_status").await?;
        }
        zombies = owner.get("/events/zombies").await?.json();
        if zombies["total_detected"] == 1 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(zombies["detection_reasons"], json!({ "queue_consistently_full": 1 }));
    if zombies["current_zombies"] == 1 {
        assert_eq!(zombies["zombie_details"][0]["client_id"], "stuck");
    }
    let mut cut = false;
    for _ in 0..200 {
        let stats = owner.get("/events/stats").await?.json();
        let clients = stats["clients"].as_array().context("no clients")?;
        cut = clients.len() == 1 && clients[0]["client_id"] == "quick";
        if cut {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(cut, "{}", owner.get("/events/stats").await?.text);
    let mut rest = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(20), async {
        let mut part = vec![0; 65_536];
        loop {
            let count = stuck.read(&mut part).await?;
            rest.extend_from_slice(&part[..count]);
            if count == 0 || rest.ends_with(b"0\r\n\r\n") {
                return anyhow::Ok(());
            }
        }
    });
    read.await??;
    assert!(String::from_utf8_lossy(&rest).contains("too_slow"), "it is told once it reads");
    let cleaned = owner.post("/events/zombies/cleanup", &Value::Null).await?.json();
    assert_eq!((&cleaned["zombies_before"], &cleaned["zombies_removed"]), (&json!(0), &json!(0)));
    assert!(owner.get("/events/zombies").await?.json()["last_cleanup"].is_number());
    Ok(())
}
