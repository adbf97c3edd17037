//! Two servers on one PostgreSQL and one S3: as if there were one, also when one of them dies.

mod projects;
mod races;
mod watching;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use gadwall_test_services::{Database, Postgres, S3};
use gadwall_tests::server::{ServerProcess, StartOptions, setting};
use gadwall_tests::sse::EventSource;
use gadwall_tests::support::{Reply, send};
use reqwest::{Client, Method, Url};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::RwLock;
use tokio::task::JoinSet;

const KEY: &str = "the-key-of-the-replica-tests";
const TABLES: &str = "/projects/p/buckets/main/tables";
const ROWS: &str = "/projects/p/buckets/main/tables/t/rows";
const COUNT: &str = "SELECT count(*) FROM t";
const ENDLESS: &str = "SELECT a.range + b.range AS x FROM range(1000000) a, range(1000000) b";
const LONG: &str = "SELECT max(a.range * b.range) FROM range(10000000) a, range(10000000) b";
/// Longest wait for anything.
const PATIENCE: Duration = Duration::from_secs(30);
/// How many write, how long, and how often a server is killed meanwhile.
const STORM: (usize, Duration, u32) = (8, Duration::from_secs(10), 1);
/// The same with `GADWALL_TEST_STORM` set (`make test-chaos`).
const LONG_STORM: (usize, Duration, u32) = (32, Duration::from_mins(1), 2);

/// The database and the bucket that servers share.
struct Shared {
    database: Database,
    s3: S3,
    prefix: String,
    client: Client,
}

/// A server, and what it needs to start again.
struct Replica {
    server: ServerProcess,
    options: StartOptions,
    client: Client,
    _data: TempDir,
}

impl Shared {
    async fn start() -> Result<Self> {
        let (database, s3) = tokio::try_join!(Postgres::database(), S3::start())?;
        let prefix = s3.fresh_prefix();
        let client = Client::builder().timeout(PATIENCE).no_proxy().build()?;
        Ok(Self { database, s3, prefix, client })
    }

    fn env(&self) -> Result<Vec<(String, String)>> {
        let url = Url::parse(self.database.url())?;
        let s3 = &self.s3;
        let settings = [
            ("DUCKLAKE__CATALOG", "postgres"),
            ("DUCKLAKE__SECRET_KEY", "a key that nobody can guess"),
            ("POSTGRES__HOST", url.host_str().context("no host")?),
            ("POSTGRES__PORT", &url.port().unwrap_or(5432).to_string()),
            ("POSTGRES__USER", url.username()),
            ("POSTGRES__PASSWORD", url.password().unwrap_or_default()),
            ("POSTGRES__DATABASE", url.path().trim_start_matches('/')),
            ("POSTGRES__SSL_MODE", "disable"),
            ("STORAGE__ENABLED", "true"),
            ("STORAGE__ENDPOINT", &s3.endpoint),
            ("STORAGE__ACCESS_KEY", &s3.access_key),
            ("STORAGE__SECRET_KEY", &s3.secret_key),
            ("STORAGE__DEFAULT_BUCKET", &s3.bucket),
            ("STORAGE__PREFIX", &self.prefix),
            ("AUTH__LAST_USED_INTERVAL", "1"),
            ("METADATA__INSTANCE_RENEWAL", "1"),
            ("METADATA__INSTANCE_TIMEOUT", "3"),
            ("ENGINE__MEMORY_LIMIT", "1GB"),
        ];
        Ok(settings.map(|(name, value)| setting(name, value)).into())
    }

    async fn replica(&self) -> Result<Replica> {
        let data = tempfile::tempdir()?;
        let options = StartOptions {
            data_dir: Some(data.path().to_owned()),
            admin_key: KEY.to_owned(),
            env: self.env()?,
            ..StartOptions::default()
        };
        let server = ServerProcess::start(&options).await?;
        Ok(Replica { server, options, client: self.client.clone(), _data: data })
    }
}

impl Replica {
    fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.client.request(method, format!("{}{path}", self.server.url())).bearer_auth(KEY)
    }

    async fn get(&self, path: &str) -> Result<Reply> {
        send(self.request(Method::GET, path)).await
    }

    async fn post(&self, path: &str, body: &Value) -> Result<Reply> {
        send(self.request(Method::POST, path).json(body)).await
    }

    /// Posts what must succeed.
    async fn made(&self, path: &str, body: &Value) -> Result<Reply> {
        let made = self.post(path, body).await?;
        ensure!(made.status < 300, "{path}: {}\n{}", made.text, self.server.log());
        Ok(made)
    }

    async fn ask(&self, sql: &str, known: Option<&str>) -> Result<Reply> {
        let mut request = self.request(Method::GET, "/projects/p/query").query(&[("query", sql)]);
        if let Some(known) = known {
            request = request.header("If-None-Match", known);
        }
        send(request).await
    }

    async fn rows(&self, sql: &str) -> Result<Vec<Vec<Value>>> {
        let reply = self.made("/projects/p/query", &json!({ "query": sql, "limit": 100_000 })).await?;
        Ok(serde_json::from_value(reply.json()["rows"].take())?)
    }

    async fn add(&self, id: u64, key: &str) -> Result<Reply> {
        let request = self.request(Method::POST, ROWS).header("Idempotency-Key", key);
        send(request.json(&json!([{ "id": id }]))).await
    }

    /// Starts again after it was killed, in the same data directory.
    async fn start_again(&mut self) -> Result<()> {
        self.server = ServerProcess::start(&self.options).await?;
        Ok(())
    }

    /// Waits until something at this path is as wanted.
    async fn wait(&self, path: &str, wanted: impl Fn(&Value) -> bool) -> Result<Value> {
        let begun = Instant::now();
        loop {
            let seen = self.get(path).await?.json();
            if wanted(&seen) {
                return Ok(seen);
            }
            ensure!(begun.elapsed() < PATIENCE, "{path} stayed {seen}\n{}", self.server.log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

async fn table_in_a_project(on: &Replica) -> Result<()> {
    on.made("/projects", &json!({ "id": "p" })).await?;
    on.made(TABLES, &json!({ "name": "t", "columns": [{ "name": "id", "type": "BIGINT" }] })).await.map(drop)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_done_on_one_server_holds_on_the_other_at_once() -> Result<()> {
    let shared = Shared::start().await?;
    // Both for the first time: migrations and the default project are made once.
    let (mut a, b) = tokio::try_join!(shared.replica(), shared.replica())?;
    table_in_a_project(&a).await?;

    for id in 1..4_u64 {
        let (one, other) = if id % 2 == 0 { (&b, &a) } else { (&a, &b) };
        let before = other.ask(COUNT, None).await?;
        ensure!(before.json()["rows"] == json!([[id - 1]]), "{}", before.text);
        let added = one.add(id, &format!("k{id}")).await?;
        ensure!(added.status == 200, "{}", added.text);
        // Neither a kept answer nor a tag outlives the write.
        let known = Some(before.header("etag")).filter(|tag| !tag.is_empty());
        let after = other.ask(COUNT, known).await?;
        ensure!(after.status == 200 && after.json()["rows"] == json!([[id]]), "{} {}", after.status, after.text);
        // The same request again, at the other.
        let again = other.add(id, &format!("k{id}")).await?;
        ensure!((again.status, again.header("idempotency-replayed")) == (200, "true"), "{}", again.text);
        ensure!(again.json()["snapshot_id"] == added.json()["snapshot_id"], "{} {}", again.text, added.text);
    }

    // A table's shape, its key and its end.
    b.made(TABLES, &json!({ "name": "u", "columns": [{ "name": "id", "type": "BIGINT" }], "primary_key": ["id"] }))
        .await?;
    let rows = format!("{TABLES}/u/rows");
    a.made(&rows, &json!([{ "id": 1 }])).await?;
    let twice = b.post(&rows, &json!([{ "id": 1 }])).await?;
    ensure!(twice.status == 409, "{}", twice.text);
    a.made(&format!("{TABLES}/u/columns"), &json!({ "name": "v", "type": "BIGINT" })).await?;
    b.made(&rows, &json!([{ "id": 2, "v": 3 }])).await?;
    let dropped = send(a.request(Method::DELETE, &format!("{TABLES}/u"))).await?;
    ensure!(dropped.status < 300, "{}", dropped.text);
    ensure!(b.post(&rows, &json!([{ "id": 3 }])).await?.status == 404);

    // Keys and projects are gone for both at once.
    let made = a.made("/projects", &json!({ "id": "q" })).await?;
    let key = made.json()["api_key"].as_str().context("no key")?.to_owned();
    let with_key = async |on: &Replica| {
        let request = on.client.get(format!("{}/projects/q/buckets", on.server.url())).bearer_auth(&key);
        send(request).await.map(|reply| reply.status)
    };
    ensure!((with_key(&b).await?, with_key(&a).await?) == (200, 200));
    let deleted = send(b.request(Method::DELETE, "/projects/q")).await?;
    ensure!(deleted.status < 300, "{}", deleted.text);
    let refused = (with_key(&a).await?, with_key(&b).await?);
    ensure!(refused.0 == refused.1 && (401..=404).contains(&refused.0), "{refused:?}");

    // What one is at is seen by the other, and interrupted when it dies: not before.
    a.made("/projects/p/datasets", &json!({ "name": "d" })).await?;
    let started = a.made("/projects/p/export", &json!({ "to": "/d/x.csv", "query": ENDLESS })).await?;
    let location = started.header("location").to_owned();
    let asked = a.request(Method::POST, "/projects/p/query").header("Prefer", "respond-async");
    let asked = send(asked.json(&json!({ "query": LONG }))).await?;
    ensure!(asked.status == 202, "{}", asked.text);
    let query = asked.header("location").to_owned();
    b.wait(&location, |seen| seen["state"] == "running").await?;
    // Servers that start beside it look for what dead ones left, and for what is left of deleted projects.
    let (c, _d) = tokio::try_join!(shared.replica(), shared.replica())?;
    for on in [&b, &c] {
        let seen = on.get(&location).await?.json();
        ensure!(seen["state"] == "running", "{seen}");
        let seen = on.get(&query).await?.json();
        ensure!(["queued", "running"].map(Value::from).contains(&seen["state"]), "{seen}");
    }
    a.server.kill_9()?;
    let ended = b.wait(&location, |seen| seen["state"] == "failed").await?;
    ensure!(ended["problem"]["code"] == "interrupted", "{ended}");
    let failed = b.wait(&query, |seen| seen["state"] == "failed").await?;
    ensure!(failed["error_code"] == "interrupted", "{failed}");
    // Told once, to everyone.
    ensure!(c.get(&location).await?.json() == ended);
    Ok(())
}

/// Adds rows until the time is over, on one server after the other; what isn't answered for is asked again, under the same
/// key. Answers each row with its snapshot.
async fn write(number: usize, replicas: Arc<[RwLock<Replica>; 2]>, until: Instant) -> Result<BTreeMap<u64, u64>> {
    let mut done = BTreeMap::new();
    for count in 0.. {
        if Instant::now() > until {
            break;
        }
        let id = (number * 1_000_000 + count) as u64;
        let begun = Instant::now();
        for attempt in 0.. {
            let reply = {
                let replica = replicas[(number + count + attempt) % 2].read().await;
                replica.add(id, &format!("w{id}")).await
            };
            if let Ok(reply) = &reply
                && reply.status == 200
            {
                let snapshot = reply.json()["snapshot_id"].as_u64().context("no snapshot")?;
                done.insert(id, snapshot);
                break;
            }
            let busy = reply.as_ref().is_ok_and(|reply| ![409, 503].contains(&reply.status));
            ensure!(!busy && begun.elapsed() < PATIENCE, "{id}: {reply:?}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
    Ok(done)
}

#[expect(clippy::disallowed_methods, reason = "how long a test takes is no business of the server's configuration")]
fn is_long() -> bool {
    std::env::var_os("GADWALL_TEST_STORM").is_some()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_row_that_was_answered_for_is_there_once_when_a_server_dies() -> Result<()> {
    let shared = Shared::start().await?;
    let (a, b) = tokio::try_join!(shared.replica(), shared.replica())?;
    table_in_a_project(&a).await?;
    let replicas = Arc::new([RwLock::new(a), RwLock::new(b)]);
    let (count, long, kills) = if is_long() { LONG_STORM } else { STORM };
    let until = Instant::now() + long;
    let over = Arc::new(AtomicBool::new(false));
    let watching = tokio::spawn(watching::follow(Arc::clone(&replicas), Arc::clone(&over)));
    let mut writers = JoinSet::new();
    for number in 0..count {
        writers.spawn(write(number, Arc::clone(&replicas), until));
    }
    for _ in 0..kills {
        tokio::time::sleep(long / (kills + 2)).await;
        let pid = i32::try_from(replicas[0].read().await.server.pid())?;
        let pid = rustix::process::Pid::from_raw(pid).context("no pid")?;
        rustix::process::kill_process(pid, rustix::process::Signal::KILL)?;
        replicas[0].write().await.start_again().await?;
    }

    let mut answered = BTreeMap::new();
    while let Some(done) = writers.join_next().await {
        let done = done??;
        // Each row was asked for after the one before it was there.
        let snapshots: Vec<u64> = done.values().copied().collect();
        ensure!(snapshots.is_sorted_by(|before, after| before < after), "{snapshots:?}");
        answered.extend(done);
    }
    for replica in replicas.iter() {
        let replica = replica.read().await;
        let rows = replica.rows("SELECT id FROM t ORDER BY id").await?;
        let found: Vec<u64> = rows.iter().filter_map(|row| row[0].as_u64()).collect();
        let once: BTreeSet<u64> = found.iter().copied().collect();
        ensure!(once.len() == found.len(), "{} rows are there more than once", found.len() - once.len());
        ensure!(once.iter().eq(answered.keys()), "{} answered for, {} there", answered.len(), once.len());
    }
    over.store(true, Ordering::Release);
    let seen = tokio::time::timeout(PATIENCE, watching).await.context("events don't come to their end")???;
    let once: HashSet<&Value> = seen.iter().collect();
    ensure!(once.len() == seen.len(), "{} events came more than once", seen.len() - once.len());
    ensure!(seen.len() == answered.len(), "{} rows, {} events of them", answered.len(), seen.len());
    println!("{} rows in {} snapshots", answered.len(), answered.values().collect::<BTreeSet<_>>().len());
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_server_is_at_can_be_stopped_at_the_other() -> Result<()> {
    let shared = Shared::start().await?;
    let (a, b) = tokio::try_join!(shared.replica(), shared.replica())?;
    table_in_a_project(&a).await?;
    a.made("/projects/p/datasets", &json!({ "name": "d" })).await?;

    // A query whose client waits for it.
    let asking = send(a.request(Method::POST, "/projects/p/query").json(&json!({ "query": LONG })));
    let asking = tokio::spawn(asking);
    let listed = a.wait("/projects/p/queries?state=running", |seen| seen["queries"][0]["id"].is_string()).await?;
    let path = format!("/projects/p/queries/{}", listed["queries"][0]["id"].as_str().context("no id")?);
    let begun = Instant::now();
    let stopped = send(b.request(Method::DELETE, &path)).await?;
    let took = begun.elapsed();
    ensure!(stopped.status == 200 && stopped.json()["state"] == "cancelled", "{} {}", stopped.status, stopped.text);
    let asked = asking.await??;
    ensure!(asked.status >= 400 && asked.text.contains("cancelled"), "{} {}", asked.status, asked.text);
    println!("a query was stopped at the other server in {took:?}");

    // One in the background, and an operation.
    let asked = a.request(Method::POST, "/projects/p/query").header("Prefer", "respond-async");
    let asked = send(asked.json(&json!({ "query": LONG }))).await?;
    let query = asked.header("location").to_owned();
    a.wait(&query, |seen| seen["state"] == "running").await?;
    let stopped = send(b.request(Method::DELETE, &query)).await?;
    ensure!(stopped.status == 200 && stopped.json()["state"] == "cancelled", "{} {}", stopped.status, stopped.text);
    b.wait(&query, |seen| seen["state"] == "cancelled").await?;
    let started = a.made("/projects/p/export", &json!({ "to": "/d/x.csv", "query": ENDLESS })).await?;
    let operation = started.header("location").to_owned();
    b.wait(&operation, |seen| seen["state"] == "running").await?;
    let stopped = send(b.request(Method::DELETE, &operation)).await?;
    ensure!(stopped.status < 300, "{} {}", stopped.status, stopped.text);
    b.wait(&operation, |seen| seen["state"] == "cancelled").await?;

    // What nobody is at.
    let unknown = "/projects/p/queries/0190b5a0-0000-7000-8000-000000000000";
    let missing = send(b.request(Method::DELETE, unknown)).await?;
    ensure!(missing.status == 404, "{} {}", missing.status, missing.text);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn objects_are_put_at_two_servers_as_at_one() -> Result<()> {
    let shared = Shared::start().await?;
    let (a, b) = tokio::try_join!(shared.replica(), shared.replica())?;
    a.made("/projects", &json!({ "id": "p" })).await?;
    a.made("/projects/p/datasets", &json!({ "name": "d" })).await?;
    let put = async |on: &Replica, name: &str| {
        let request = on.request(Method::PUT, &format!("/projects/p/datasets/d/{name}"));
        send(request.header("If-None-Match", "*").body("i\n1\n")).await
    };
    for round in 0..5 {
        let (file, below) = (format!("f{round}"), format!("f{round}/a"));
        let (one, other) = tokio::try_join!(put(&a, &file), put(&b, &below))?;
        let mut answers = [one.status, other.status];
        answers.sort_unstable();
        ensure!(answers == [201, 409], "{} {}", one.text, other.text);
        let name = format!("same{round}");
        let (one, other) = tokio::try_join!(put(&a, &name), put(&b, &name))?;
        let mut answers = [one.status, other.status];
        answers.sort_unstable();
        ensure!(answers == [201, 412], "{} {}", one.text, other.text);
    }

    // An address for one of them.
    let stored = send(a.request(Method::PUT, "/projects/p/datasets/d/x/y.csv").body("i\n1\n")).await?;
    ensure!(stored.status == 201, "{}", stored.text);
    let presigned = b.post("/projects/p/datasets/d/x/y.csv/presign", &json!({ "expires_in": 60 })).await?;
    ensure!(presigned.status == 201, "{} {}", presigned.status, presigned.text);
    let url = presigned.json()["url"].as_str().context("no url")?.to_owned();
    let read = send(shared.client.get(&url)).await?;
    ensure!((read.status, read.text.as_str()) == (200, "i\n1\n"), "{} {}", read.status, read.text);
    let written = send(shared.client.put(&url).body("other")).await?;
    ensure!(written.status == 403, "{} {}", written.status, written.text);
    for (path, body, status) in [
        ("/projects/p/datasets/d/x/y.csv/presign", json!({ "method": "PUT" }), 422),
        ("/projects/p/datasets/d/x/y.csv/presign", json!({ "expires_in": 86_401 }), 422),
        ("/projects/p/datasets/d/none/presign", json!({}), 404),
    ] {
        let refused = b.post(path, &body).await?;
        ensure!(refused.status == status, "{path}: {} {}", refused.status, refused.text);
    }
    let audited = a.get("/projects/p/audit").await?;
    ensure!(audited.text.contains("object.presigned"), "{}", audited.text);
    ensure!(!audited.text.contains("X-Amz"), "{}", audited.text);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_reach_those_who_watch_at_the_other_server() -> Result<()> {
    let shared = Shared::start().await?;
    let (a, b) = tokio::try_join!(shared.replica(), shared.replica())?;
    a.made("/projects", &json!({ "id": "p" })).await?;
    let watch = async |on: &Replica, path: &str| EventSource::open(on.request(Method::GET, path)).await;
    let mut stream = watch(&a, "/events/stream?client_id=mine&replay=0").await?;
    stream.next_of("connected").await?;
    b.made(TABLES, &json!({ "name": "t", "columns": [{ "name": "id", "type": "BIGINT" }] })).await?;
    let made = stream.next_of("table.created").await?;
    ensure!(made.data["data"]["project_id"] == "p", "{made:?}");
    // What was seen at the one is where the other goes on.
    b.made(ROWS, &json!([{ "id": 1 }])).await?;
    let mut other = watch(&b, &format!("/projects/p/events?after={}", made.id)).await?;
    let appended = other.next_of("rows.appended").await?;
    ensure!(stream.next_of("rows.appended").await?.id == appended.id);
    b.made("/events/broadcast", &json!({ "event_type": "job_status", "data": { "x": 1 } })).await?;
    ensure!(stream.next_of("job_status").await?.data["data"] == json!({ "x": 1 }));
    b.made("/events/pong", &json!({ "client_id": "mine", "ping_id": "1" })).await?;
    let ended = send(b.request(Method::DELETE, "/events/clients/mine")).await?;
    ensure!(ended.status == 200, "{}", ended.text);
    ensure!(stream.next_of("error").await?.data["data"]["error_type"] == "disconnected");
    let gone = send(b.request(Method::DELETE, "/events/clients/mine")).await?;
    ensure!(gone.status == 404, "{}", gone.text);
    Ok(())
}
