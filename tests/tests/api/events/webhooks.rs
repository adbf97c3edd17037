//! Webhooks over HTTP, told over HTTP.

use anyhow::{Context as _, Result};
use gadwall_tests::support::{TestServer, send};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::make_table;

/// A request as it came: its head and its body.
struct Received {
    head: String,
    body: Value,
}

/// Takes one request, and answers it with a status.
async fn receive(listener: &TcpListener, status: u16) -> Result<Received> {
    let patience = std::time::Duration::from_secs(20);
    let (mut socket, _) = tokio::time::timeout(patience, listener.accept()).await.context("nobody came")??;
    let mut text = Vec::new();
    loop {
        let mut part = [0; 4_096];
        let count = socket.read(&mut part).await?;
        text.extend_from_slice(&part[..count]);
        let whole = String::from_utf8_lossy(&text);
        let Some((head, body)) = whole.split_once("\r\n\r\n") else { continue };
        let length =
            head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
        if body.len() >= length.unwrap_or(0) {
            let answer = format!("HTTP/1.1 {status} x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            socket.write_all(answer.as_bytes()).await?;
            return Ok(Received { head: head.to_ascii_lowercase(), body: serde_json::from_str(body)? });
        }
    }
}

#[tokio::test]
async fn a_webhook_is_told_until_it_takes_it() -> Result<()> {
    let server = TestServer::start_with(|config| config.events.webhook_private_addresses = true).await?;
    let owner = server.project("p").await?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/hook?a=b", listener.local_addr()?);
    let made = owner.post("/projects/p/webhooks", &json!({ "url": url, "types": "table.*" })).await?;
    assert_eq!(made.status, 201, "{}", made.text);
    let made = made.json();
    assert!(made["secret"].as_str().is_some_and(|secret| secret.starts_with("whsec_")));
    let path = format!("/projects/p/webhooks/{}", made["id"].as_str().context("no id")?);
    make_table(&owner, "p", "t").await?;
    owner.post("/projects/p/buckets/main/tables/t/rows", &json!([{ "i": 1 }])).await?;
    make_table(&owner, "p", "u").await?;
    let refused = receive(&listener, 500).await?;
    let again = receive(&listener, 204).await?;
    let id = |received: &Received| {
        received.head.lines().find_map(|line| line.strip_prefix("webhook-id: ").map(str::to_owned))
    };
    assert!(id(&again).is_some() && id(&refused) == id(&again), "it is the same delivery");
    for part in [
        "post /hook?a=b http/1.1",
        "webhook-timestamp: ",
        "webhook-signature: v1,",
        "content-type: application/cloudevents+json",
    ] {
        assert!(again.head.contains(part), "{part}: {}", again.head);
    }
    assert_eq!((&again.body, &again.body["subject"]), (&refused.body, &json!("main.t")));
    let next = receive(&listener, 200).await?;
    assert_eq!((&next.body["type"], &next.body["subject"]), (&json!("dev.gadwall.table.created"), &json!("main.u")));
    let known = owner.get(&path).await?.json();
    assert_eq!((&known["secret"], &known["url"], &known["types"]), (&Value::Null, &json!(url), &json!("table.*")));
    assert_eq!(owner.get("/projects/p/webhooks").await?.json()["total"], 1);
    assert_eq!(owner.get(&format!("{path}/dead-letters")).await?.json(), json!({ "dead_letters": [], "total": 0 }));
    let other = server.project("q").await?;
    assert_eq!(other.get(&path.replace("/p/", "/q/")).await?.code(), "webhook_not_found");
    assert_eq!(owner.delete(&path).await?.status, 204);
    assert_eq!(owner.get(&path).await?.status, 404);
    Ok(())
}

#[tokio::test]
async fn a_secret_is_shown_once_and_kept_by_no_answer() -> Result<()> {
    let server = TestServer::start_with(|config| config.events.webhook_private_addresses = true).await?;
    let owner = server.project("p").await?;
    let make = async || {
        let request = owner.request(Method::POST, "/projects/p/webhooks").header("Idempotency-Key", "k1");
        send(request.json(&json!({ "url": "http://127.0.0.1:9/" }))).await
    };
    let (first, again) = (make().await?.json(), make().await?.json());
    assert!(first["secret"].is_string() && again["secret"].is_null() && again["secret_note"].is_string());
    assert_eq!(first["id"], again["id"]);
    let token = async || {
        let request = owner.request(Method::POST, "/events/token").header("Idempotency-Key", "k2");
        anyhow::Ok(send(request).await?.json()["token"].clone())
    };
    let (first, again) = (token().await?, token().await?);
    assert!(first.is_string() && first != again);
    Ok(())
}

#[tokio::test]
async fn a_webhook_does_not_lead_inside() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = server.project("p").await?;
    for (url, code) in [
        ("http://127.0.0.1:9/", "webhook_url_private"),
        ("http://2130706433/", "webhook_url_private"),
        ("http://[::1]/", "webhook_url_private"),
        ("http://localhost/", "webhook_url_private"),
        ("http://169.254.169.254/latest/", "webhook_url_private"),
        ("http://user@example.org/", "invalid_webhook_url"),
        ("file:///etc/passwd", "invalid_webhook_url"),
    ] {
        let refused = owner.post("/projects/p/webhooks", &json!({ "url": url })).await?;
        assert_eq!((refused.status, refused.code().as_str()), (422, code), "{url}");
    }
    let unknown =
        owner.post("/projects/p/webhooks", &json!({ "url": "https://192.0.2.1/", "types": "nonsense" })).await?;
    assert_eq!((unknown.status, unknown.code().as_str()), (400, "invalid_event_type"));
    Ok(())
}
