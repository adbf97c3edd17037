//! Following a table over HTTP.

use anyhow::{Context as _, Result};
use gadwall_tests::sse::{EventSource, SentEvent};
use gadwall_tests::support::{Client, TestServer, send};
use reqwest::Method;
use serde_json::{Value, json};

use super::{make_table, open};

const TABLE: &str = "/projects/p/buckets/main/tables/t";

async fn append(client: &Client<'_>, numbers: &[i64]) -> Result<u64> {
    let rows: Vec<Value> = numbers.iter().map(|number| json!({ "i": number })).collect();
    let done = client.post(&format!("{TABLE}/rows"), &json!(rows)).await?;
    assert!(done.status < 300, "{}", done.text);
    done.json()["snapshot_id"].as_u64().context("no snapshot")
}

/// Kind and number of each change, and markers and checkpoints by their snapshots.
fn told(event: &SentEvent) -> String {
    let data = &event.data;
    match event.kind.as_str() {
        "change" => format!("{} {}", data["change_type"].as_str().unwrap_or_default(), data["i"]),
        "schema" => format!("{} {}", data["type"].as_str().unwrap_or_default(), data["snapshot_id"]),
        kind => format!("{kind} {}", data["snapshot_id"]),
    }
}

#[tokio::test]
async fn a_table_is_followed_row_by_row_and_on() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = server.project("p").await?;
    make_table(&owner, "p", "t").await?;
    append(&owner, &[1, 2]).await?;
    make_table(&owner, "p", "other").await?;
    owner.post(&format!("{TABLE}/columns"), &json!({ "name": "x", "type": "INT" })).await?;
    append(&owner, &[3]).await?;
    let mut stream = open(&owner, &format!("{TABLE}/changes/stream?cursor=0")).await?;
    let mut all = Vec::new();
    while all.last().is_none_or(|last| last != "checkpoint 5") {
        all.push(told(&stream.next().await?.context("it ended")?));
    }
    let mut rows = all[3..5].to_vec();
    rows.sort();
    assert_eq!(all[..2], ["table.created 1", "checkpoint 1"]);
    let expected =
        ["insert 1", "insert 2", "checkpoint 2", "table.altered 4", "checkpoint 4", "insert 3", "checkpoint 5"];
    all.drain(..2);
    all[..2].sort();
    assert_eq!(all, expected, "{rows:?}");
    // What comes later comes at once.
    let one = json!({ "filter": { "column": "i", "op": "eq", "value": 1 } });
    owner.post(&format!("{TABLE}/rows/delete"), &one).await?;
    assert_eq!(told(&stream.next().await?.context("it ended")?), "delete 1");
    let checkpoint = stream.next().await?.context("it ended")?;
    assert_eq!((checkpoint.id.as_str(), checkpoint.kind.as_str()), ("6", "checkpoint"));
    owner.delete(TABLE).await?;
    assert_eq!(told(&stream.next().await?.context("it ended")?), "table.deleted 7");
    assert_eq!(told(&stream.next().await?.context("it ended")?), "checkpoint 7");
    assert!(stream.next().await?.is_none(), "nothing more comes under this name");
    Ok(())
}

#[tokio::test]
async fn following_resumes_at_a_checkpoint_without_gap_or_repeat_while_rows_are_written() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = server.project("p").await?;
    make_table(&owner, "p", "t").await?;
    let write = async {
        for number in 0..40 {
            append(&owner, &[number]).await?;
        }
        anyhow::Ok(())
    };
    let read = async {
        let (mut seen, mut cursor) = (Vec::new(), "1".to_owned());
        while seen.len() < 40 {
            let request =
                owner.request(Method::GET, &format!("{TABLE}/changes/stream")).header("Last-Event-ID", &cursor);
            let mut stream = EventSource::open(request).await?;
            for _ in 0..3 {
                let mut rows = Vec::new();
                let id = loop {
                    let event = stream.next().await?.context("it ended")?;
                    match event.kind.as_str() {
                        "change" => rows.push(event.data["i"].as_i64().context("no row")?),
                        "checkpoint" => break event.id,
                        other => anyhow::bail!("{other}"),
                    }
                };
                (cursor, seen) = (id, [seen, rows].concat());
                if seen.len() >= 40 {
                    break;
                }
            }
        }
        anyhow::Ok(seen)
    };
    let ((), mut seen) = tokio::try_join!(write, read)?;
    seen.sort_unstable();
    assert_eq!(seen, (0..40).collect::<Vec<_>>());
    Ok(())
}

#[tokio::test]
async fn lines_tell_the_same_and_are_not_held_back() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = server.project("p").await?;
    make_table(&owner, "p", "t").await?;
    append(&owner, &[7]).await?;
    let request = owner.request(Method::GET, &format!("{TABLE}/changes/stream?cursor=1&follow=false"));
    let lines = send(request.header("Accept", "application/x-ndjson").header("Accept-Encoding", "gzip")).await?;
    assert_eq!((lines.header("content-type"), lines.header("content-encoding")), ("application/x-ndjson", ""));
    let lines: Vec<Value> = lines.text.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert_eq!(
        (&lines[0]["event"], &lines[0]["data"]["i"], &lines[0]["data"]["change_type"]),
        (&json!("change"), &json!(7), &json!("insert"))
    );
    assert_eq!(lines[1], json!({ "event": "checkpoint", "data": { "snapshot_id": 2 } }));
    Ok(())
}

#[tokio::test]
async fn a_consumer_goes_on_where_it_said_it_was() -> Result<()> {
    let server = TestServer::start().await?;
    let (owner, other) = (server.project("p").await?, server.project("q").await?);
    make_table(&owner, "p", "t").await?;
    let first = append(&owner, &[1]).await?;
    let path = format!("{TABLE}/consumers/Search");
    assert_eq!(owner.get(&path).await?.code(), "consumer_not_found");
    let made = owner.put(&path, &json!({})).await?;
    assert_eq!((made.status, &made.json()["snapshot_id"]), (201, &json!(first)));
    let second = append(&owner, &[2]).await?;
    let known = owner.get(&format!("{TABLE}/consumers/search")).await?.json();
    assert_eq!((&known["name"], &known["newest_snapshot_id"]), (&json!("Search"), &json!(second)));
    let sent = open(&owner, &format!("{TABLE}/changes/stream?consumer=search&follow=false")).await?.rest().await;
    assert_eq!(told(&sent[0]), "insert 2");
    let moved = owner.put(&path, &json!({ "snapshot_id": second })).await?;
    assert_eq!((moved.status, &moved.json()["snapshot_id"]), (200, &json!(second)));
    let sent = open(&owner, &format!("{TABLE}/changes/stream?consumer=search&follow=false")).await?.rest().await;
    assert!(sent.is_empty(), "{sent:?}");
    assert_eq!(owner.put(&path, &json!({ "snapshot_id": 99 })).await?.code(), "snapshot_not_found");
    assert_eq!(other.get(&path).await?.status, 403);
    assert_eq!(owner.delete(&path).await?.status, 204);
    assert_eq!(owner.delete(&path).await?.status, 404);
    for (query, code) in
        [("cursor=99", "snapshot_not_found"), ("cursor=x", "validation_failed"), ("consumer=no", "consumer_not_found")]
    {
        assert_eq!(owner.get(&format!("{TABLE}/changes/stream?{query}")).await?.code(), code, "{query}");
    }
    let nowhere = owner.get("/projects/p/buckets/main/tables/none/changes/stream").await?;
    assert_eq!((nowhere.status, nowhere.code().as_str()), (404, "table_not_found"));
    Ok(())
}
