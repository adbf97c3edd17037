//! What a killed server leaves behind: every row it answered for, exactly once, and nothing half made.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result};
use gadwall_tests::server::{ServerProcess, StartOptions};
use gadwall_tests::sse::EventSource;
use gadwall_tests::support::count_up;
use reqwest::Client;
use serde_json::{Value, json};

const CLIENTS: usize = 6;
const ROUNDS: u64 = 3;

async fn post(client: &Client, url: &str, key: &str, body: &Value) -> Result<Value> {
    let response = client.post(url).bearer_auth(key).json(body).send().await?;
    let status = response.status();
    let body: Value = response.json().await?;
    anyhow::ensure!(status.is_success(), "{status}: {body}");
    Ok(body)
}

async fn query(client: &Client, server: &ServerProcess, sql: &str) -> Result<Vec<Vec<Value>>> {
    let url = format!("{}/projects/p/query", server.url());
    let mut body = post(client, &url, server.admin_key(), &json!({ "query": sql })).await?;
    Ok(serde_json::from_value(body["rows"].take())?)
}

/// Appends rows of unused numbers until the server dies; answers the numbers that were acknowledged.
async fn append_until_killed(client: Client, url: String, key: String, next: Arc<AtomicU64>) -> Vec<u64> {
    let mut acknowledged = Vec::new();
    loop {
        let first = next.fetch_add(3, Ordering::Relaxed);
        let rows: Vec<Value> = (first..first + 3).map(|id| json!({ "id": id, "text": "x".repeat(50) })).collect();
        match post(&client, &url, &key, &Value::Array(rows)).await {
            Ok(_) => acknowledged.extend(first..first + 3),
            Err(_) => return acknowledged,
        }
    }
}

/// Makes and drops tables until the server dies.
async fn churn_tables(client: Client, tables: String, key: String, round: u64, alive: Arc<AtomicBool>) {
    for number in 0.. {
        let name = format!("t{round}_{number}");
        let body = json!({ "name": name, "columns": [{"name": "i", "type": "INT"}] });
        if post(&client, &tables, &key, &body).await.is_err() || !alive.load(Ordering::Relaxed) {
            return;
        }
        if number % 2 == 0 && client.delete(format!("{tables}/{name}")).bearer_auth(&key).send().await.is_err() {
            return;
        }
    }
}

/// A server that can be started again on its data, under the same key.
fn options_of(data: &tempfile::TempDir) -> StartOptions {
    StartOptions {
        data_dir: Some(data.path().to_owned()),
        admin_key: "the-key-of-the-crash-test".to_owned(),
        ..StartOptions::default()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_were_answered_for_survive_kill_9_exactly_once() -> Result<()> {
    let data = tempfile::tempdir()?;
    let options = options_of(&data);
    let client = gadwall_tests::client::builder().timeout(Duration::from_secs(20)).build()?;
    let next = Arc::new(AtomicU64::new(0));
    let mut acknowledged = BTreeSet::new();
    for round in 0..ROUNDS {
        let mut server = ServerProcess::start(&options).await?;
        let (url, key) = (server.url().to_owned(), server.admin_key().to_owned());
        if round == 0 {
            post(&client, &format!("{url}/projects"), &key, &json!({ "id": "p" })).await?;
            let columns = json!([{"name": "id", "type": "BIGINT"}, {"name": "text", "type": "VARCHAR"}]);
            let table = json!({ "name": "t", "columns": columns, "primary_key": ["id"] });
            post(&client, &format!("{url}/projects/p/buckets/main/tables"), &key, &table).await?;
        }
        let rows = format!("{url}/projects/p/buckets/main/tables/t/rows");
        let appends: Vec<_> = (0..CLIENTS)
            .map(|_| tokio::spawn(append_until_killed(client.clone(), rows.clone(), key.clone(), Arc::clone(&next))))
            .collect();
        let alive = Arc::new(AtomicBool::new(true));
        let tables = format!("{url}/projects/p/buckets/main/tables");
        let churn = tokio::spawn(churn_tables(client.clone(), tables, key, round, Arc::clone(&alive)));
        // Each client sends the next rows once it was answered, so that some were by then.
        count_up(&next, 3 * (CLIENTS as u64 + 5)).await?;
        tokio::time::sleep(Duration::from_millis(300 + 137 * round)).await;
        server.kill_9()?;
        alive.store(false, Ordering::Relaxed);
        for append in appends {
            acknowledged.extend(append.await?);
        }
        churn.await?;
        check(&client, &options, &acknowledged).await.with_context(|| format!("after kill {round}"))?;
    }
    assert!(acknowledged.len() > 30, "only {} rows were written before the kills", acknowledged.len());
    Ok(())
}

async fn check(client: &Client, options: &StartOptions, acknowledged: &BTreeSet<u64>) -> Result<()> {
    let mut server = ServerProcess::start(options).await?;
    let ids = query(client, &server, "SELECT id, count(*) FROM t GROUP BY id").await?;
    let there: BTreeSet<u64> = ids.iter().filter_map(|row| row[0].as_u64()).collect();
    let lost: Vec<_> = acknowledged.difference(&there).collect();
    anyhow::ensure!(lost.is_empty(), "acknowledged rows are gone: {lost:?}");
    anyhow::ensure!(ids.iter().all(|row| row[1] == 1), "a row is there twice");
    anyhow::ensure!(there.len().is_multiple_of(3), "half of an append is there");

    let tables = format!("{}/projects/p/buckets/main/tables", server.url());
    let listed: Value = client.get(&tables).bearer_auth(server.admin_key()).send().await?.json().await?;
    for table in listed["tables"].as_array().context("a list of tables")? {
        let name = table["name"].as_str().unwrap_or_default();
        let preview = client.get(format!("{tables}/{name}/preview")).bearer_auth(server.admin_key()).send().await?;
        anyhow::ensure!(preview.status() == 200, "table {name} is listed but can't be read");
    }
    // The key still holds, and the table still takes rows.
    let known = acknowledged.first().context("something was acknowledged")?;
    let rows = format!("{tables}/t/rows");
    let twice = client.post(&rows).bearer_auth(server.admin_key()).json(&json!([{ "id": known }])).send().await?;
    anyhow::ensure!(twice.status() == 409, "a known key was taken again: {}", twice.status());
    server.stop().await?;
    Ok(())
}

/// Puts one object again and again until the server dies: each time a longer one, which says how long it is, under
/// a content type that says so too. Counts those that were acknowledged.
async fn put_until_killed(client: Client, url: String, key: String, acknowledged: Arc<AtomicU64>) {
    for version in acknowledged.load(Ordering::Relaxed) + 1.. {
        let body = contents(version);
        let put = client.put(&url).bearer_auth(&key).header("Content-Type", format!("x/v{version}")).body(body);
        match put.send().await {
            Ok(answer) if answer.status().is_success() => acknowledged.store(version, Ordering::Relaxed),
            _ => break,
        }
    }
}

fn contents(version: u64) -> String {
    let number = format!("{version:08}");
    (0..version * 400).map(|_| number.as_str()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_that_were_answered_for_survive_kill_9_whole_and_with_their_types() -> Result<()> {
    let data = tempfile::tempdir()?;
    let options = options_of(&data);
    let client = gadwall_tests::client::builder().timeout(Duration::from_secs(20)).build()?;
    let acknowledged: [Arc<AtomicU64>; 4] = Default::default();
    for round in 0..ROUNDS {
        let mut server = ServerProcess::start(&options).await?;
        let (url, key) = (server.url().to_owned(), server.admin_key().to_owned());
        if round == 0 {
            post(&client, &format!("{url}/projects/default/datasets"), &key, &json!({ "name": "d" })).await?;
        }
        let object = |number: usize| format!("{url}/projects/default/datasets/d/a/{number}");
        for (number, known) in acknowledged.iter().map(|known| known.load(Ordering::Relaxed)).enumerate() {
            if known == 0 {
                continue;
            }
            let answer = client.get(object(number)).bearer_auth(&key).send().await?;
            let told = answer.headers()["content-type"].to_str()?.strip_prefix("x/v").context("its type")?.to_owned();
            let (version, text) = (told.parse::<u64>()?, answer.text().await?);
            anyhow::ensure!(version >= known, "version {known} was answered for, {version} is there");
            anyhow::ensure!(text == contents(version), "version {version} isn't whole");
        }
        let put = |(number, known)| tokio::spawn(put_until_killed(client.clone(), object(number), key.clone(), known));
        let puts: Vec<_> = acknowledged.iter().cloned().enumerate().map(put).collect();
        for known in &acknowledged {
            count_up(known, 3).await?;
        }
        tokio::time::sleep(Duration::from_millis(100 + 137 * round)).await;
        server.kill_9()?;
        for put in puts {
            put.await?;
        }
    }
    let most = acknowledged.map(|known| known.load(Ordering::Relaxed));
    assert!(most.iter().all(|version| *version > 5), "too few puts before the kills: {most:?}");
    let _server = ServerProcess::start(&options).await?;
    assert_eq!(std::fs::read_dir(data.path().join("files/.incoming"))?.count(), 0);
    Ok(())
}

/// What the server has counted of the project's queries today.
async fn counted(client: &Client, server: &ServerProcess) -> Result<u64> {
    let url = format!("{}/projects/p/usage?days=2", server.url());
    let usage: Value = client.get(url).bearer_auth(server.admin_key()).send().await?.json().await?;
    // The day may change meanwhile.
    let days = usage["days"].as_array().context("a list of days")?;
    Ok(days.iter().filter_map(|day| day["queries"]["count"].as_u64()).sum())
}

#[tokio::test]
async fn counts_that_were_written_down_survive_kill_9_and_none_counts_twice() -> Result<()> {
    let data = tempfile::tempdir()?;
    let options = options_of(&data);
    let client = gadwall_tests::client::builder().timeout(Duration::from_secs(20)).build()?;
    let mut server = ServerProcess::start(&options).await?;
    post(&client, &format!("{}/projects", server.url()), server.admin_key(), &json!({ "id": "p" })).await?;
    for number in 0..5 {
        query(&client, &server, &format!("SELECT {number}")).await?;
    }
    for _ in 0..400 {
        if counted(&client, &server).await? == 5 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    anyhow::ensure!(counted(&client, &server).await? == 5, "the queries are not counted within 10 s");
    // These may be lost: the server dies before it is sure to have written them down.
    for number in 0..5 {
        query(&client, &server, &format!("SELECT 1{number}")).await?;
    }
    server.kill_9()?;
    let mut server = ServerProcess::start(&options).await?;
    let after = counted(&client, &server).await?;
    anyhow::ensure!((5..=10).contains(&after), "{after} queries are counted");
    server.stop().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_of_events_goes_on_after_kill_9_without_gap_or_repeat() -> Result<()> {
    let data = tempfile::tempdir()?;
    let options = options_of(&data);
    let client = gadwall_tests::client::builder().timeout(Duration::from_mins(1)).build()?;
    let (mut seen, mut last) = (Vec::new(), "0".to_owned());
    let mut acknowledged = 0;
    for round in 0..ROUNDS {
        let mut server = ServerProcess::start(&options).await?;
        let (url, key) = (server.url().to_owned(), server.admin_key().to_owned());
        let tables = format!("{url}/projects/default/buckets/main/tables");
        if round == 0 {
            let table = json!({ "name": "t", "columns": [{"name": "id", "type": "BIGINT"}, {"name": "text", "type": "VARCHAR"}] });
            post(&client, &tables, &key, &table).await?;
        }
        let next = Arc::new(AtomicU64::new(0));
        let writing = tokio::spawn(append_until_killed(client.clone(), format!("{tables}/t/rows"), key.clone(), next));
        let request = client.get(format!("{url}/projects/default/events?types=rows.appended")).bearer_auth(&key);
        let mut stream = EventSource::open(request.header("Last-Event-ID", &last)).await?;
        for _ in 0..10 {
            let event = stream.next_of("rows.appended").await?;
            seen.push(event.data["snapshotid"].clone());
            last = event.id;
        }
        server.kill_9()?;
        acknowledged += writing.await?.len() / 3;
        // What had been sent by then counts; what broke off doesn't.
        for event in stream.rest().await {
            seen.push(event.data["snapshotid"].clone());
            last = event.id;
        }
    }
    let server = ServerProcess::start(&options).await?;
    // Whoever uses the project has what the crash left out copied.
    let tables = format!("{}/projects/default/buckets/main/tables", server.url());
    client.get(tables).bearer_auth(server.admin_key()).send().await?.error_for_status()?;
    let log = format!("{}/projects/default/events?types=rows.appended", server.url());
    let get = async |url: String| -> Result<Value> {
        Ok(client.get(url).bearer_auth(server.admin_key()).send().await?.json().await?)
    };
    let snapshots = |page: &Value| -> Vec<Value> {
        page["events"].as_array().into_iter().flatten().map(|event| event["snapshotid"].clone()).collect()
    };
    seen.extend(snapshots(&get(format!("{log}&after={last}&limit=1000")).await?));
    let all = snapshots(&get(format!("{log}&after=0&limit=1000")).await?);
    assert!(all.len() >= acknowledged, "{} events of {acknowledged} requests", all.len());
    assert_eq!(seen, all, "no gap and no repeat");
    Ok(())
}
