//! A server that is killed again and again under clients that repeat what they heard no answer to: in the end every
//! request was carried out exactly once.
//!
//! `GADWALL_CHAOS_KILLS` sets how often it is killed (`make test-chaos`).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use gadwall_tests::server::{ServerProcess, StartOptions, free_port};
use gadwall_tests::support::count_up;
use reqwest::{Client, Method};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

const CLIENTS: u64 = 6;
const KILLS: u64 = 3;
/// A server lives at least until it has answered so many requests, however slow the machine.
const ANSWERS_IN_A_LIFE: u64 = 10;
/// A request that isn't answered for so long, over several lives of the server, never will be.
const PATIENCE: Duration = Duration::from_mins(1);

/// Clients and what they did.
struct Users {
    client: Client,
    url: String,
    key: String,
    next: AtomicU64,
    answers: AtomicU64,
    stop: AtomicBool,
}

impl Users {
    /// Sends a request under a key until it is answered. What the answer says is for the caller.
    async fn until_answered(&self, method: Method, path: &str, key: &str, body: &Value) -> Result<(u16, Value)> {
        let started = Instant::now();
        loop {
            ensure!(started.elapsed() < PATIENCE, "{method} {path} under {key} was never answered");
            let request = self.client.request(method.clone(), format!("{}{path}", self.url)).bearer_auth(&self.key);
            let answer = match request.header("Idempotency-Key", key).json(body).send().await {
                Ok(response) => {
                    let status = response.status().as_u16();
                    response.text().await.ok().map(|text| (status, serde_json::from_str(&text).unwrap_or_default()))
                }
                Err(_) => None,
            };
            match answer {
                // An earlier attempt is still under way, or the server has no room.
                Some((409, problem)) if in_use(&problem) => {}
                Some((503, _)) | None => {}
                Some(answer) => {
                    self.answers.fetch_add(1, Ordering::Relaxed);
                    return Ok(answer);
                }
            }
            sleep(Duration::from_millis(15)).await;
        }
    }

    /// Appends to a table without a primary key, so that nothing but the idempotency key keeps rows from doubling.
    async fn append(&self) -> Result<Vec<(u64, u64)>> {
        let mut answered = Vec::new();
        while !self.stop.load(Ordering::Relaxed) {
            let first = self.next.fetch_add(3, Ordering::Relaxed);
            let rows: Vec<Value> = (first..first + 3).map(|id| json!({ "id": id, "text": "x".repeat(40) })).collect();
            let key = format!("rows-{first}");
            let path = "/projects/p/buckets/main/tables/t/rows";
            let (status, body) = self.until_answered(Method::POST, path, &key, &Value::Array(rows)).await?;
            ensure!(status == 200 && body["rows"] == 3, "append {first}: {status} {body}");
            let snapshot = body["snapshot_id"].as_u64().context("a snapshot")?;
            answered.extend((first..first + 3).map(|id| (id, snapshot)));
        }
        Ok(answered)
    }

    /// Makes and drops tables: each request must succeed, as if it had been sent once.
    async fn make_and_drop(&self) -> Result<Vec<String>> {
        let mut kept = Vec::new();
        for number in 0.. {
            if self.stop.load(Ordering::Relaxed) {
                return Ok(kept);
            }
            let (tables, name) = ("/projects/p/buckets/main/tables", format!("made_{number}"));
            let body = json!({ "name": name, "columns": [{"name": "i", "type": "INT"}] });
            let (status, answer) = self.until_answered(Method::POST, tables, &format!("make-{name}"), &body).await?;
            ensure!(status == 201, "make {name}: {status} {answer}");
            if number % 2 == 0 {
                let path = format!("{tables}/{name}");
                let key = format!("drop-{name}");
                let (status, answer) = self.until_answered(Method::DELETE, &path, &key, &Value::Null).await?;
                ensure!(status == 204, "drop {name}: {status} {answer}");
            } else {
                kept.push(name);
            }
        }
        Ok(kept)
    }
}

fn in_use(problem: &Value) -> bool {
    problem["code"] == "idempotency_key_in_use"
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn repeated_requests_survive_kill_9_exactly_once() -> Result<()> {
    #[expect(clippy::disallowed_methods, reason = "how long the test takes is for whoever runs it")]
    let kills = std::env::var("GADWALL_CHAOS_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(KILLS);
    let data = tempfile::tempdir()?;
    let options = StartOptions {
        data_dir: Some(data.path().to_owned()),
        port: Some(free_port()?),
        admin_key: "the-key-of-the-chaos-test".to_owned(),
        ..StartOptions::default()
    };
    let mut server = ServerProcess::start(&options).await?;
    let users = Arc::new(Users {
        client: gadwall_tests::client::builder().timeout(Duration::from_secs(10)).build()?,
        url: server.url().to_owned(),
        key: server.admin_key().to_owned(),
        next: AtomicU64::new(0),
        answers: AtomicU64::new(0),
        stop: AtomicBool::new(false),
    });
    users.until_answered(Method::POST, "/projects", "p", &json!({ "id": "p" })).await?;
    let columns = json!([{"name": "id", "type": "BIGINT"}, {"name": "text", "type": "VARCHAR"}]);
    let table = json!({ "name": "t", "columns": columns });
    users.until_answered(Method::POST, "/projects/p/buckets/main/tables", "t", &table).await?;

    let task = |users: &Arc<Users>| Arc::clone(users);
    let appends: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let users = task(&users);
            tokio::spawn(async move { users.append().await })
        })
        .collect();
    let maker = task(&users);
    let made = tokio::spawn(async move { maker.make_and_drop().await });
    for kill in 0..kills {
        count_up(&users.answers, ANSWERS_IN_A_LIFE).await.with_context(|| format!("before kill {kill}"))?;
        sleep(Duration::from_millis(kill * 97 % 450)).await;
        server.kill_9()?;
        server = ServerProcess::start(&options).await.with_context(|| format!("start after kill {kill}"))?;
    }
    count_up(&users.answers, ANSWERS_IN_A_LIFE).await.context("after the last kill")?;
    users.stop.store(true, Ordering::Relaxed);
    let mut answered = BTreeMap::new();
    for append in appends {
        answered.extend(append.await??);
    }
    let kept = made.await??;
    check(&users, &answered, &kept).await?;
    eprintln!("{kills} kills, {} rows answered for, {} tables kept", answered.len(), kept.len());
    server.stop().await?;
    Ok(())
}

async fn check(users: &Users, answered: &BTreeMap<u64, u64>, kept: &[String]) -> Result<()> {
    ensure!(answered.len() > 60, "only {} rows were answered for", answered.len());
    let sql = json!({ "query": "SELECT id, count(*) FROM t GROUP BY id ORDER BY id" });
    let response = users.client.post(format!("{}/projects/p/query", users.url)).bearer_auth(&users.key).json(&sql);
    let found: Value = response.send().await?.json().await?;
    let found = found["rows"].as_array().context("rows")?;
    let twice: Vec<_> = found.iter().filter(|row| row[1] != 1).collect();
    ensure!(twice.is_empty(), "rows are there twice: {twice:?}");
    let there: Vec<u64> = found.iter().filter_map(|row| row[0].as_u64()).collect();
    let expected: Vec<u64> = answered.keys().copied().collect();
    ensure!(there == expected, "{} rows are there, {} were answered for", there.len(), expected.len());

    let listed = users.client.get(format!("{}/projects/p/buckets/main/tables", users.url)).bearer_auth(&users.key);
    let listed: Value = listed.send().await?.json().await?;
    let names = listed["tables"].as_array().context("tables")?.iter();
    let mut names: Vec<&str> = names.filter_map(|table| table["name"].as_str()).collect();
    names.retain(|name| name.starts_with("made_"));
    let mut kept: Vec<&str> = kept.iter().map(String::as_str).collect();
    names.sort_unstable();
    kept.sort_unstable();
    ensure!(names == kept, "tables {names:?}, expected {kept:?}");
    Ok(())
}
