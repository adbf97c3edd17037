//! A server with its PostgreSQL and its S3 behind proxies.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use gadwall::Config;
use gadwall::config::{CatalogKind, Secret};
use gadwall_test_services::{PostgresProcess, Proxy, S3};
use gadwall_tests::support::{Client, Reply, TestServer};
use serde_json::{Value, json};

/// Longest time until all works again when the cause is gone.
pub(crate) const SOON: Duration = Duration::from_secs(5);
pub(crate) const ROWS: &str = "/projects/p/buckets/b/tables/t/rows";

pub(crate) struct Scene {
    pub(crate) postgres: PostgresProcess,
    pub(crate) s3: S3,
    pub(crate) to_postgres: Proxy,
    pub(crate) to_s3: Proxy,
    pub(crate) server: TestServer,
}

/// The parts of `postgres://user:password@host:port/database`.
fn parts(url: &str) -> (String, String, String, String) {
    let (user, place) = url.trim_start_matches("postgres://").split_once('@').unwrap();
    let (user, password) = user.split_once(':').unwrap();
    let (host, database) = place.split_once('/').unwrap();
    [user, password, host, database.split('?').next().unwrap()].map(str::to_owned).into()
}

/// Has a server keep its data in these places.
pub(crate) fn configure(config: &mut Config, postgres: &PostgresProcess, at: (&str, u16), s3: &S3, endpoint: &str) {
    let (user, password, _, database) = parts(postgres.url());
    config.ducklake.catalog = CatalogKind::Postgres;
    config.ducklake.secret_key = Some(Secret::new("the secret of servers under test"));
    config.ducklake.connection_timeout = Duration::from_secs(2);
    // Soon found again.
    config.breaker.timeout = Duration::from_secs(1);
    config.breaker.max_timeout = Duration::from_secs(1);
    config.breaker.success_threshold = 1;
    config.metadata.acquire_timeout = Duration::from_secs(2);
    config.metadata.statement_timeout = Duration::from_secs(5);
    let place = &mut config.postgres;
    (place.host, place.port, place.user, place.database) = (at.0.to_owned(), at.1, user, database);
    place.password = Some(Secret::new(&password));
    place.statement_timeout = Duration::from_secs(5);
    place.max_connections = 6;
    let storage = &mut config.storage;
    storage.enabled = true;
    (storage.endpoint, storage.default_bucket) = (endpoint.to_owned(), s3.bucket.clone());
    storage.prefix = s3.fresh_prefix();
    storage.access_key = Some(Secret::new(&s3.access_key));
    storage.secret_key = Some(Secret::new(&s3.secret_key));
    storage.connect_timeout = Duration::from_secs(1);
    storage.request_timeout = Duration::from_secs(4);
}

impl Scene {
    /// A project `p` with a table `b.t` of numbers `i`, all running.
    pub(crate) async fn new() -> Result<Self> {
        Self::with(|_| {}).await
    }

    /// The same with other settings.
    pub(crate) async fn with(change: impl FnOnce(&mut Config)) -> Result<Self> {
        // What it acknowledged must outlive its end.
        let (postgres, s3) = tokio::join!(PostgresProcess::durable(), S3::start());
        let (postgres, s3) = (postgres?, s3?);
        let (_, _, address, _) = parts(postgres.url());
        let (to_postgres, to_s3) = (Proxy::start(&address).await?, Proxy::start(&s3.endpoint).await?);
        let (ip, port) = (to_postgres.address().ip().to_string(), to_postgres.address().port());
        let server = TestServer::start_with(|config| {
            configure(config, &postgres, (&ip, port), &s3, &to_s3.url());
            change(config);
        })
        .await?;
        let scene = Self { postgres, s3, to_postgres, to_s3, server };
        let admin = scene.server.admin();
        for (path, body) in [
            ("/projects", json!({"id": "p"})),
            ("/projects/p/buckets", json!({"name": "b"})),
            ("/projects/p/buckets/b/tables", json!({"name": "t", "columns": [{"name": "i", "type": "BIGINT"}]})),
        ] {
            let reply = admin.post(path, &body).await?;
            ensure!(reply.status == 201, "{path}: {} {}", reply.status, reply.text);
        }
        Ok(scene)
    }

    pub(crate) fn admin(&self) -> Client<'_> {
        self.server.admin()
    }

    /// Appends a number.
    pub(crate) async fn append(&self, i: usize) -> Result<Reply> {
        self.admin().post(ROWS, &json!([{ "i": i }])).await
    }

    /// Appends numbers until `stop` says so; answers those that were acknowledged. What isn't says that it can be
    /// tried again.
    pub(crate) async fn append_while(&self, mut go_on: impl FnMut() -> bool, from: usize) -> Result<BTreeSet<i64>> {
        let mut acknowledged = BTreeSet::new();
        let mut i = from;
        while go_on() {
            let reply = self.append(i).await?;
            match reply.status {
                200 | 201 => drop(acknowledged.insert(i64::try_from(i)?)),
                _ => away(&reply)?,
            }
            i += 1;
        }
        Ok(acknowledged)
    }

    /// Tries until rows can be appended and read again.
    pub(crate) async fn recovers(&self, i: usize) -> Result<()> {
        let begun = Instant::now();
        loop {
            let written = self.append(i).await?;
            let read = self.admin().get("/projects/p/query?query=SELECT%20count(*)%20FROM%20b.t").await?;
            if matches!(written.status, 200 | 201) && read.status == 200 {
                return Ok(());
            }
            let waited = begun.elapsed();
            ensure!(waited < SOON, "after {waited:?}: {} {}", written.text, read.text);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// The numbers in the table, in order.
    pub(crate) async fn numbers(&self) -> Result<Vec<i64>> {
        let reply = self.admin().post("/projects/p/query", &json!({"query": "SELECT i FROM b.t ORDER BY i"})).await?;
        ensure!(reply.status == 200, "{} {}", reply.status, reply.text);
        let rows = reply.json()["rows"].as_array().cloned().unwrap_or_default();
        Ok(rows.iter().filter_map(|row| row[0].as_i64()).collect())
    }

    /// Every acknowledged number is there once, and none is there twice.
    pub(crate) async fn holds(&self, acknowledged: &BTreeSet<i64>) -> Result<()> {
        let numbers = self.numbers().await?;
        let distinct: BTreeSet<i64> = numbers.iter().copied().collect();
        ensure!(distinct.len() == numbers.len(), "a row is there twice: {numbers:?}");
        ensure!(acknowledged.is_subset(&distinct), "lost: {:?}", acknowledged.difference(&distinct));
        Ok(())
    }

    /// What the service says of itself.
    pub(crate) async fn readiness(&self) -> Result<(u16, Value)> {
        let reply = self.admin().get("/readyz?verbose=true").await?;
        Ok((reply.status, reply.json()))
    }
}

/// The answer of a service that can't do it now: 503 with `Retry-After`, or a deadline that passed.
pub(crate) fn away(reply: &Reply) -> Result<()> {
    let told = reply.headers.contains_key("retry-after");
    ensure!(reply.status == 503 && told, "{} {} (retry-after: {told})", reply.status, reply.text);
    ensure!(!reply.text.contains("127.0.0.1") && !reply.text.contains("swordfish"), "{}", reply.text);
    Ok(())
}

/// Connections of a test beside the server.
impl Scene {
    async fn beside(&self) -> Result<sqlx::PgConnection> {
        use sqlx::Connection as _;
        Ok(sqlx::PgConnection::connect(self.postgres.url()).await?)
    }

    /// Ends the sessions that hold advisory locks; answers how many there were.
    pub(crate) async fn end_turns(&self) -> Result<u64> {
        let ended = sqlx::query(
            "SELECT pg_terminate_backend(pid) FROM pg_locks
              WHERE locktype = 'advisory' AND granted AND pid <> pg_backend_pid()",
        );
        Ok(ended.execute(&mut self.beside().await?).await?.rows_affected())
    }

    /// Takes connections until the server has none left.
    pub(crate) async fn hold_all_connections(&self) -> Result<Vec<sqlx::PgConnection>> {
        let mut held = Vec::new();
        while let Ok(connection) = self.beside().await {
            held.push(connection);
            ensure!(held.len() < 1_000, "the server never runs out of connections");
        }
        Ok(held)
    }
}
