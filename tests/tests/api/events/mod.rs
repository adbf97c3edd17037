//! Events: their streams, their log, and those who watch.

mod changes;
mod clients;
mod webhooks;

use std::time::Duration;

use anyhow::{Context as _, Result};
use gadwall_domain::access::Scope;
use gadwall_domain::names::BucketName;
use gadwall_tests::sse::EventSource;
use gadwall_tests::support::{ADMIN_KEY, Client, TestServer, add_key, send};
use reqwest::Method;
use serde_json::json;

/// A client's stream.
async fn open(client: &Client<'_>, path: &str) -> Result<EventSource> {
    EventSource::open(client.request(Method::GET, path)).await
}

async fn make_table(client: &Client<'_>, project: &str, name: &str) -> Result<()> {
    let table = json!({ "name": name, "columns": [{"name": "i", "type": "INT"}] });
    let made = client.post(&format!("/projects/{project}/buckets/main/tables"), &table).await?;
    assert_eq!(made.status, 201, "{}", made.text);
    Ok(())
}

#[tokio::test]
async fn a_stream_tells_of_what_happens() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = server.project("p").await?;
    let other = server.project("q").await?;
    let mut stream = open(&owner, "/events/stream?replay=0").await?;
    let mut theirs = open(&other, "/api/v1/events/stream?replay=0").await?;
    let mut admins = open(&server.admin(), "/events/stream?replay=0&events=table.*").await?;
    for (name, value) in [("cache-control", "no-cache"), ("x-accel-buffering", "no")] {
        assert_eq!(stream.header(name), value);
    }
    let first = stream.next().await?.context("it ended")?;
    assert_eq!(
        (first.kind.as_str(), &first.data["data"]["client_id"]),
        ("connected", &stream.header("x-client-id").into())
    );
    assert!(first.data["timestamp"].is_f64());
    make_table(&owner, "p", "t").await?;
    let made = stream.next().await?.context("it ended")?;
    assert_eq!(made.kind, "table.created");
    assert!(made.id.parse::<u64>()? > first.id.parse()?);
    assert_eq!(made.data["data"]["subject"], "main.t");
    assert_eq!(made.data["data"]["project_id"], "p");
    assert_eq!(made.data["data"]["snapshot_id"], 1);
    assert_eq!(admins.next_of("table.created").await?, made, "an admin watches all");
    make_table(&other, "q", "of_q").await?;
    assert_eq!(theirs.next_of("table.created").await?.data["data"]["subject"], "main.of_q", "and nobody else does");
    Ok(())
}

#[tokio::test]
async fn a_project_reads_its_log_as_cloud_events() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = server.project("p").await?;
    let mut stream = open(&owner, "/projects/p/events?types=dev.gadwall.table.created").await?;
    for name in ["a", "b", "c"] {
        make_table(&owner, "p", name).await?;
    }
    let page = owner.get("/projects/p/events?types=table.created&limit=1000").await?.json();
    let events = page["events"].as_array().context("no events")?;
    assert_eq!(
        events.iter().map(|event| event["subject"].as_str().unwrap()).collect::<Vec<_>>(),
        ["main.a", "main.b", "main.c"]
    );
    assert_eq!((&events[0]["specversion"], &events[0]["type"]), (&json!("1.0"), &json!("dev.gadwall.table.created")));
    assert_eq!((&events[0]["source"], &page["more"]), (&json!("/projects/p"), &json!(false)));
    for event in events {
        let sent = stream.next_of("table.created").await?;
        assert_eq!((&sent.data, &json!(sent.id)), (event, &event["id"]), "both tell the same");
    }
    let after = events[1]["id"].as_str().context("no id")?;
    let rest = owner.request(Method::GET, &format!("/projects/p/events?after={after}"));
    let rest = send(rest.header("Accept", "application/cloudevents-batch+json")).await?;
    assert_eq!((rest.header("content-type"), rest.json()), ("application/cloudevents-batch+json", json!([events[2]])));
    let next = page["next_after"].as_u64().context("no next_after")?;
    let none = owner.get(&format!("/projects/p/events?after={next}")).await?.json();
    assert_eq!((&none["events"], &none["next_after"]), (&json!([]), &json!(next)));
    for bad in ["after=x", "after=-1", "limit=0", "limit=1001"] {
        assert_eq!(owner.get(&format!("/projects/p/events?{bad}")).await?.status, 422, "{bad}");
    }
    assert_eq!(server.admin().get("/projects/nowhere/events").await?.status, 404);
    Ok(())
}

#[tokio::test]
async fn a_stream_goes_on_where_it_was_while_rows_are_written_and_after_a_restart() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = server.project("p").await?;
    let key = owner.key().to_owned();
    make_table(&owner, "p", "t").await?;
    let write = async {
        for number in 0..60 {
            let rows = owner.post("/projects/p/buckets/main/tables/t/rows", &json!([{ "i": number }])).await?;
            anyhow::ensure!(rows.status < 300, "{}", rows.text);
        }
        anyhow::Ok(())
    };
    let read = async {
        let (mut seen, mut last) = (Vec::new(), "0".to_owned());
        while seen.len() < 40 {
            let request =
                owner.request(Method::GET, "/events/stream?events=rows.appended").header("Last-Event-ID", &last);
            let mut stream = EventSource::open(request).await?;
            for _ in 0..7 {
                let event = stream.next_of("rows.appended").await?;
                last = event.id;
                seen.push(event.data["data"]["snapshot_id"].as_u64().context("no snapshot")?);
            }
        }
        anyhow::Ok((seen, last))
    };
    let ((), (mut seen, last)) = tokio::try_join!(write, read)?;
    let server = TestServer::start_in(server.stop().await?, |_| {}).await?;
    let owner = server.with_key(&key);
    let path = format!("/events/stream?events=rows.*&last_event_id={last}&follow=false");
    for event in open(&owner, &path).await?.rest().await.into_iter().filter(|event| event.kind == "rows.appended") {
        seen.push(event.data["data"]["snapshot_id"].as_u64().context("no snapshot")?);
    }
    assert_eq!(seen, (2..62).collect::<Vec<_>>(), "no gap and no repeat");
    Ok(())
}

#[tokio::test]
async fn only_what_is_asked_for_is_sent() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = server.project("p").await?;
    let mut stream = open(&owner, "/events/stream?events=nonsense,rows.appended&replay=0").await?;
    make_table(&owner, "p", "t").await?;
    owner.post("/projects/p/buckets/main/tables/t/rows", &json!([{ "i": 1 }])).await?;
    assert_eq!(stream.next().await?.context("it ended")?.kind, "connected");
    assert_eq!(stream.next().await?.context("it ended")?.kind, "rows.appended");
    let none = owner.get("/events/stream?events=nonsense").await?;
    assert_eq!((none.status, none.code().as_str()), (400, "invalid_event_type"));
    for bad in ["last_event_id=x", "replay=1001", "client_id=a/b", "client_id="] {
        assert_eq!(owner.get(&format!("/events/stream?{bad}")).await?.status, 422, "{bad}");
    }
    let again =
        open(&owner, "/events/stream?events=table.created,rows.appended&follow=false&replay=1").await?.rest().await;
    assert_eq!(again.iter().map(|event| event.kind.as_str()).collect::<Vec<_>>(), ["connected", "rows.appended"]);
    Ok(())
}

#[tokio::test]
async fn a_key_of_a_bucket_sees_what_happens_there_and_nothing_of_keys() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = server.project("p").await?;
    owner.post("/projects/p/buckets", &json!({ "name": "b" })).await?;
    make_table(&owner, "p", "elsewhere").await?;
    let columns = json!([{"name": "i", "type": "INT"}]);
    owner.post("/projects/p/buckets/b/tables", &json!({ "name": "t", "columns": columns })).await?;
    add_key(server.data_dir(), "p", "in-b", &Scope::ALL, Some(BucketName::parse("B")?)).await?;
    add_key(server.data_dir(), "p", "reader", &[Scope::Read], None).await?;
    for (key, expected) in [
        ("in-b", &["bucket.created", "table.created"][..]),
        ("reader", &["project.created", "bucket.created", "table.created", "table.created"]),
        (owner.key(), &["project.created", "key.created", "bucket.created", "table.created", "table.created"]),
    ] {
        let client = server.with_key(key);
        let sent = open(&client, "/events/stream?last_event_id=0&follow=false").await?.rest().await;
        let kinds: Vec<_> =
            sent.iter().skip(1).map(|event| event.kind.as_str()).filter(|kind| *kind != "reset").collect();
        assert_eq!(kinds, expected, "{key}");
        let page = client.get("/projects/p/events").await?.json();
        assert_eq!(page["events"].as_array().map(Vec::len), Some(expected.len()), "{key}");
    }
    Ok(())
}

#[tokio::test]
async fn a_stream_ends_with_its_key() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = server.project("p").await?;
    let made = owner.post("/projects/p/keys", &json!({ "name": "k", "scopes": ["read"] })).await?.json();
    let (id, secret) = (made["id"].as_str().context("no id")?, made["api_key"].as_str().context("no key")?);
    let mut stream = open(&server.with_key(secret), "/events/stream").await?;
    stream.next_of("connected").await?;
    owner.delete(&format!("/projects/p/keys/{id}")).await?;
    assert_eq!(stream.next_of("error").await?.data["data"]["error_type"], "access_ended");
    assert!(stream.next().await?.is_none());
    Ok(())
}

#[tokio::test]
async fn a_token_opens_streams_for_who_cannot_send_a_key() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = server.project("p").await?;
    server.project("q").await?;
    let made = owner.post("/events/token", &json!({})).await?.json();
    let token = made["token"].as_str().context("no token")?;
    assert_eq!((&made["project_id"], made["expires_in"].as_i64() > Some(200)), (&json!("p"), true));
    let path = format!("/events/stream?follow=false&replay=5&token={token}");
    let sent = EventSource::open(server.request(Method::GET, &path)).await?.rest().await;
    assert!(sent.iter().any(|event| event.kind == "project.created"));
    let status = async |path: &str| anyhow::Ok(send(server.request(Method::GET, path)).await?.status);
    assert_eq!(status(&format!("/projects/p/events?token={token}")).await?, 200);
    assert_eq!(status(&format!("/projects/q/events?token={token}")).await?, 403);
    assert_eq!(status(&format!("/events/stream?token={token}x")).await?, 401);
    assert_eq!(status(&format!("/projects/p?token={token}")).await?, 401, "it opens nothing else");
    assert_eq!(status(&format!("/events/stats?token={token}")).await?, 401);
    let admins = send(server.request(Method::POST, "/events/token").bearer_auth(ADMIN_KEY)).await?.json();
    assert_eq!(admins["project_id"], json!(null));
    Ok(())
}

#[tokio::test]
async fn figures_are_told_and_not_kept() -> Result<()> {
    let server = TestServer::start_with(|config| {
        config.events.metrics_interval = Duration::from_secs(1);
        config.events.heartbeat_interval = Duration::from_secs(1);
    })
    .await?;
    let owner = server.project("p").await?;
    let mut ours = open(&owner, "/events/metrics").await?;
    let mut admins = open(&server.admin(), "/events/metrics").await?;
    let figure = ours.next_of("system_metric").await?;
    assert_eq!((figure.id.as_str(), &figure.data["data"]["metric_type"]), ("", &json!("connected_clients")));
    assert_eq!(figure.data["data"]["value"], 1);
    assert_eq!(admins.next_of("system_metric").await?.data["data"]["metric_type"], "memory_usage");
    // Words come on every stream, whatever it is of.
    let mut jobs = open(&owner, "/events/jobs").await?;
    let heartbeat = jobs.next_of("heartbeat").await?;
    assert_eq!((heartbeat.id.as_str(), &heartbeat.data["data"]["client_id"]), ("", &json!(jobs.header("x-client-id"))));
    let ping = jobs.next_of("ping").await?;
    assert_eq!(ping.data["data"]["expected_pong"], true);
    let page = owner.get("/projects/p/events").await?.json();
    assert_eq!(page["events"].as_array().map(Vec::len), Some(2), "{page}");
    Ok(())
}

#[tokio::test]
async fn streams_do_not_keep_a_server_from_stopping() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = server.project("p").await?;
    let mut stream = open(&owner, "/events/stream").await?;
    stream.next_of("connected").await?;
    let begun = std::time::Instant::now();
    let (stopped, rest) = tokio::join!(server.stop(), stream.rest());
    stopped?;
    assert!(rest.iter().any(|event| event.data["data"]["error_type"] == "stopping"), "{rest:?}");
    assert!(begun.elapsed() < Duration::from_secs(15), "as long as a request may take to finish");
    Ok(())
}
