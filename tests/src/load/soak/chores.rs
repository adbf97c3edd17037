//! What workers do again and again until the end.

use std::time::{Duration, Instant};

use anyhow::Result;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Answers, PROJECT};
use crate::server::ServerProcess;

/// A client waits this long for an answer.
const PATIENCE: Duration = Duration::from_mins(1);
/// Bytes of a file.
const FILE: usize = 1 << 20;
/// Jobs that lineage tells of: each runs again and again.
const JOBS: u64 = 50;

/// What a worker does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Chore {
    Append,
    Upsert,
    Cached,
    Query,
    Preview,
    Files,
    Watch,
    Lineage,
    Maintenance,
    Projects,
    Figures,
}

impl Chore {
    pub(super) const ALL: [Self; 11] = [
        Self::Append,
        Self::Upsert,
        Self::Cached,
        Self::Query,
        Self::Preview,
        Self::Files,
        Self::Watch,
        Self::Lineage,
        Self::Maintenance,
        Self::Projects,
        Self::Figures,
    ];

    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Append => "rows appended",
            Self::Upsert => "rows upserted",
            Self::Cached => "the same query",
            Self::Query => "other queries",
            Self::Preview => "previews",
            Self::Files => "files up and down",
            Self::Watch => "watchers of events",
            Self::Lineage => "events of lineage",
            Self::Maintenance => "runs of maintenance",
            Self::Projects => "projects come and go",
            Self::Figures => "figures",
        }
    }

    /// How many workers do it.
    pub(super) fn workers(self) -> u64 {
        match self {
            Self::Append | Self::Cached | Self::Query => 2,
            Self::Watch => 6,
            _ => 1,
        }
    }

    /// How long a worker rests between two rounds: all together keep two cores busy for about half of the time.
    fn rest(self) -> Duration {
        Duration::from_millis(match self {
            Self::Cached => 10,
            Self::Query | Self::Preview => 40,
            Self::Lineage => 100,
            Self::Append | Self::Files => 200,
            Self::Upsert => 300,
            Self::Watch => 50,
            Self::Projects => 1_000,
            Self::Figures => 2_000,
            Self::Maintenance => 5_000,
        })
    }
}

/// What all workers know.
pub(super) struct Worker {
    http: reqwest::Client,
    url: String,
    key: String,
    admin: String,
    /// Until then nobody rests.
    hurry: Instant,
    end: Instant,
}

/// One worker's count of answers.
struct Counted<'w> {
    worker: &'w Worker,
    chore: Chore,
    answers: Answers,
}

impl Worker {
    pub(super) fn new(server: &ServerProcess, key: &str, hurry: Instant, end: Instant) -> Result<Self> {
        let http = crate::client::builder().timeout(PATIENCE).build()?;
        let (url, admin) = (server.url().to_owned(), server.admin_key().to_owned());
        Ok(Self { http, url, key: key.to_owned(), admin, hurry, end })
    }

    /// Does a chore until the end; answers how it was answered.
    pub(super) async fn work(self: std::sync::Arc<Self>, chore: Chore, number: u64) -> Answers {
        let mut counted = Counted { worker: &self, chore, answers: Answers::new() };
        // Workers of a kind count in turns, so that no two have the same number.
        let mut round = number;
        while Instant::now() < self.end {
            counted.round(round).await;
            round += chore.workers();
            if Instant::now() >= self.hurry {
                tokio::time::sleep(chore.rest()).await;
            }
        }
        counted.answers
    }
}

impl Counted<'_> {
    async fn round(&mut self, round: u64) {
        let tables = format!("/projects/{PROJECT}/buckets/bench/tables");
        let query = format!("/projects/{PROJECT}/query");
        match self.chore {
            Chore::Append => {
                // Now and then the table begins anew, or it would grow for the whole time.
                let mode = if round.is_multiple_of(400) { "replace" } else { "append" };
                let rows: Vec<_> = (0..20).map(|row| json!({ "id": round * 20 + row, "v": "a" })).collect();
                self.json(Method::POST, &format!("{tables}/arrivals/rows?mode={mode}"), &json!(rows)).await;
            }
            Chore::Upsert => {
                let row = |row: u64| json!({ "id": (round * 7 + row) % 500, "v": round.to_string() });
                let rows: Vec<_> = (0..20).map(row).collect();
                self.json(Method::POST, &format!("{tables}/state/rows?mode=upsert"), &json!(rows)).await;
            }
            Chore::Cached => {
                let sql = json!({ "query": "SELECT count(*), max(v) FROM bench.points" });
                self.json(Method::POST, &query, &sql).await;
            }
            Chore::Query => {
                let sql = "SELECT a.v, count(*) FROM bench.points a JOIN bench.arrivals b ON a.id = b.id % 20000
                           WHERE a.id >= ? GROUP BY 1 ORDER BY 2 DESC LIMIT 100";
                self.json(Method::POST, &query, &json!({ "query": sql, "params": [round % 1_000] })).await;
            }
            Chore::Preview => {
                let table = if round.is_multiple_of(2) { "state" } else { "arrivals" };
                self.get(&format!("{tables}/{table}/preview?limit=100")).await;
            }
            Chore::Files => self.file(round).await,
            Chore::Watch => self.watch(round).await,
            Chore::Lineage => {
                let kind = if round.is_multiple_of(2) { "START" } else { "COMPLETE" };
                let set = |number: u64| json!({ "namespace": "soak", "name": format!("d{}", number % JOBS) });
                let event = json!({
                    "eventType": kind, "eventTime": "2026-01-01T00:00:00Z", "producer": "https://example.org/soak",
                    "schemaURL": "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent",
                    "run": { "runId": Uuid::from_u128(u128::from(round / 2) + 1) },
                    "job": { "namespace": "soak", "name": format!("j{}", round / 2 % JOBS) },
                    "inputs": [set(round), set(round + 1)], "outputs": [set(round + 2)],
                });
                self.json(Method::POST, "/api/v1/lineage", &event).await;
            }
            Chore::Maintenance => self.maintain().await,
            Chore::Projects => self.project(round).await,
            Chore::Figures => {
                self.get("/metrics").await;
                self.get(&format!("/projects/{PROJECT}/maintenance")).await;
            }
        }
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.worker.http.request(method, format!("{}{path}", self.worker.url)).bearer_auth(&self.worker.key)
    }

    async fn get(&mut self, path: &str) -> Value {
        self.send(self.request(Method::GET, path)).await
    }

    async fn json(&mut self, method: Method, path: &str, body: &Value) -> Value {
        self.send(self.request(method, path).json(body)).await
    }

    /// Sends, reads it all, and counts it.
    async fn send(&mut self, request: RequestBuilder) -> Value {
        let answered = async {
            let answer = request.send().await?;
            let status = answer.status().as_u16();
            Ok::<_, reqwest::Error>((status, answer.bytes().await?))
        };
        let (status, body) = answered.await.unwrap_or_default();
        *self.answers.entry((self.chore, status)).or_default() += 1;
        serde_json::from_slice(&body).unwrap_or_default()
    }

    async fn file(&mut self, round: u64) {
        let path = format!("/projects/{PROJECT}/datasets/files/f{}", round % 10);
        let body = vec![u8::try_from(round % 251).unwrap_or_default(); FILE];
        self.send(self.request(Method::PUT, &path).header("content-type", "application/octet-stream").body(body)).await;
        self.get(&path).await;
        if round.is_multiple_of(2) {
            self.send(self.request(Method::DELETE, &path)).await;
        }
    }

    /// Watches events for a while, and goes without a word.
    async fn watch(&mut self, round: u64) {
        let request = self.request(Method::GET, "/events/stream?replay=10").header("accept", "text/event-stream");
        let mut status = 0;
        if let Ok(mut stream) = request.send().await {
            status = stream.status().as_u16();
            let until = Instant::now() + Duration::from_millis(200 + round * 131 % 1_500);
            while let Ok(Ok(Some(_))) =
                tokio::time::timeout(until.saturating_duration_since(Instant::now()), stream.chunk()).await
            {
                if Instant::now() >= until.min(self.worker.end) {
                    break;
                }
            }
        }
        *self.answers.entry((self.chore, status)).or_default() += 1;
    }

    async fn maintain(&mut self) {
        let runs = format!("/projects/{PROJECT}/maintenance/runs");
        let begun = self.json(Method::POST, &runs, &json!({})).await;
        let Some(id) = begun["id"].as_str().map(str::to_owned) else { return };
        while Instant::now() < self.worker.end {
            let told = self.get(&format!("{runs}/{id}")).await;
            match told["state"].as_str() {
                Some("pending" | "running") => tokio::time::sleep(Duration::from_millis(200)).await,
                Some("succeeded") | None => return,
                // No status of HTTP, and no good one.
                Some(_) => {
                    *self.answers.entry((self.chore, 599)).or_default() += 1;
                    return;
                }
            }
        }
    }

    /// A project comes, is used a little, and goes.
    async fn project(&mut self, round: u64) {
        let path = format!("/projects/short{round}");
        let admin = self.worker.admin.clone();
        let of_admin = |request: RequestBuilder| request.bearer_auth(&admin);
        let ask = |method: Method, path: &str| {
            of_admin(self.worker.http.request(method, format!("{}{path}", self.worker.url)))
        };
        let columns = json!([{ "name": "id", "type": "BIGINT" }]);
        let steps = [
            ask(Method::POST, "/projects").json(&json!({ "id": format!("short{round}") })),
            ask(Method::POST, &format!("{path}/buckets/main/tables")).json(&json!({ "name": "t", "columns": columns })),
            ask(Method::POST, &format!("{path}/buckets/main/tables/t/rows")).json(&json!([{ "id": round }])),
            ask(Method::POST, &format!("{path}/query")).json(&json!({ "query": "SELECT sum(id) FROM t" })),
            ask(Method::DELETE, &path),
        ];
        for step in steps {
            self.send(step).await;
        }
    }
}
