//! The load test: what the server does per second, beside DuckDB without a server, in one run.
//!
//! Each kind of request is sent by 1, 16 and 64 clients for a bounded time over loopback, and right after it DuckDB
//! does the same in this process: on tables of its own, and on a DuckLake. So the ratios hold even on a machine
//! that is busy with other things.

pub mod bulk;
pub mod changes;
pub mod compaction;
pub mod crowd;
pub mod governed;
pub mod lineage;
pub mod local;
mod measure;
mod report;
pub mod soak;
pub mod streams;
pub mod telemetry;
mod turns;
pub(crate) mod wire;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use duckdb::Connection;
use gadwall_ducklake::find_extension_dir;
use serde_json::json;

pub use measure::Figures;
pub use report::{Measured, Report};
pub use turns::Turns;

use crate::demo::{Client, Progress};
use crate::server::{ServerProcess, StartOptions, setting};
use local::Local;
use measure::{MakeRequest, hammer};
use wire::Wire;

/// Rows of the table that is read.
pub const ROWS: u64 = 200_000;
/// What an idle server gets to come to rest.
const REST: Duration = Duration::from_secs(2);
const PROJECT: &str = "load";
const JSON: &str = "application/json";
const AGGREGATE: &str = "SELECT count(*), max(x) FROM bench.points WHERE id >= ?";

/// How the load test runs.
#[derive(Clone)]
pub struct Options {
    /// How long each measurement takes.
    pub length: Duration,
    /// Clients at once, one round each.
    pub clients: Vec<usize>,
    /// What is measured.
    pub works: Vec<Work>,
    /// Where progress goes.
    pub progress: Progress,
}

impl std::fmt::Debug for Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options").field("length", &self.length).field("clients", &self.clients).finish_non_exhaustive()
    }
}

/// What is measured, besides doing nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// The first 100 rows.
    Preview,
    /// A small aggregate.
    Query,
    /// The same aggregate again and again.
    Cached,
    /// One row, durable when answered.
    Append,
}

impl Work {
    /// All of it.
    pub const ALL: [Self; 4] = [Self::Preview, Self::Query, Self::Cached, Self::Append];

    /// What it is called.
    pub fn label(self) -> &'static str {
        match self {
            Self::Preview => "preview, 100 rows",
            Self::Query => "count and max",
            Self::Cached => "the same query",
            Self::Append => "append, 1 row",
        }
    }

    /// How a client asks the server for it.
    fn requests(self, host: &str, key: &str) -> MakeRequest {
        let head = head(host, key, JSON);
        let tables = format!("/projects/{PROJECT}/buckets/bench/tables");
        match self {
            Self::Preview => {
                let request = format!("GET {tables}/points/preview?limit=100 HTTP/1.1\r\n{head}\r\n").into_bytes();
                Arc::new(move |_| request.clone())
            }
            Self::Query => Arc::new(move |number| {
                // Another parameter each time, or a cache of results would answer.
                let body = json!({ "query": AGGREGATE, "params": [parameter(number)] }).to_string();
                post(&format!("/projects/{PROJECT}/query"), &head, &body)
            }),
            Self::Cached => {
                let body = json!({ "query": AGGREGATE, "params": [0] }).to_string();
                let request = post(&format!("/projects/{PROJECT}/query"), &head, &body);
                Arc::new(move |_| request.clone())
            }
            Self::Append => Arc::new(move |number| {
                let row = json!([{ "id": number, "at": "2024-01-01T00:00:00", "place": "here", "x": 0.5 }]);
                post(&format!("{tables}/arrivals/rows"), &head, &row.to_string())
            }),
        }
    }
}

/// Asks whether an answer that was given is still the one.
async fn unchanged(host: &str, key: &str) -> Result<MakeRequest> {
    let path = format!("/projects/{PROJECT}/query?query=SELECT%20count(*),%20max(x)%20FROM%20bench.points");
    let first = reqwest::Client::new().get(format!("http://{host}{path}")).bearer_auth(key).send().await?;
    let etag = first.headers().get("etag").and_then(|etag| etag.to_str().ok()).context("a query has no ETag")?;
    let request = format!("GET {path} HTTP/1.1\r\n{}if-none-match: {etag}\r\n\r\n", head(host, key, JSON));
    let answer = Wire::connect(host).await?.exchange(request.as_bytes()).await?;
    ensure!(answer.status == 304, "an unchanged answer came with {}", answer.status);
    let request = request.into_bytes();
    Ok(Arc::new(move |_| request.clone()))
}

/// Settings of a server that turns nobody away for asking often.
fn unlimited() -> Vec<(String, String)> {
    ["RATE_LIMIT__KEY_REQUESTS", "RATE_LIMIT__ADDRESS_REQUESTS"].map(|name| setting(name, "0")).into()
}

/// What each request says of itself.
pub(crate) fn head(host: &str, key: &str, accept: &str) -> String {
    format!("host: {host}\r\nauthorization: Bearer {key}\r\naccept: {accept}\r\n")
}

pub(crate) fn post(path: &str, head: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("POST {path} HTTP/1.1\r\n{head}content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}")
        .into_bytes()
}

/// The parameter of the n-th query.
pub fn parameter(number: u64) -> u64 {
    number.wrapping_mul(7919) % ROWS
}

/// Runs the load test against a server of its own.
pub async fn run(options: &Options) -> Result<Report> {
    let say = options.progress.as_ref();
    let folder = tempfile::Builder::new().prefix("gadwall-load-").tempdir().context("no folder for the load test")?;
    let rows = folder.path().join("points.parquet");
    write_rows(&rows, ROWS)?;
    say("DuckDB and DuckLake in this process");
    let extensions = find_extension_dir(None)?;
    let duckdb = Arc::new(Local::duckdb(folder.path(), &rows)?);
    let ducklake = Arc::new(Local::ducklake(folder.path(), &extensions, &rows)?);

    say("starting the server");
    let start =
        StartOptions { data_dir: Some(folder.path().join("data")), env: unlimited(), ..StartOptions::default() };
    let mut server = ServerProcess::start(&start).await?;
    let mut report = Report { first_start: server.first_answer(), ..Report::default() };
    let key = fill(&server, &rows).await?;
    server.stop().await?;
    server = ServerProcess::start(&start).await?;
    report.restart = server.first_answer();

    let host = server.url().trim_start_matches("http://").to_owned();
    hammer(&host, 1, Duration::from_millis(100), Work::Preview.requests(&host, &key)).await?;
    tokio::time::sleep(REST).await;
    report.idle_mb = server.resident_mb();

    let idle: MakeRequest = {
        let request = format!("GET /livez HTTP/1.1\r\nhost: {host}\r\n\r\n").into_bytes();
        Arc::new(move |_| request.clone())
    };
    for &clients in &options.clients {
        say(&format!("nothing, {clients} clients"));
        let figures = hammer(&host, clients, options.length, Arc::clone(&idle)).await?;
        report.measured.push(Measured { request: "nothing (livez)", clients, by: "Gadwall", figures, ratio: 1.0 });
        for &work in &options.works {
            say(&format!("{}, {clients} clients", work.label()));
            let mut take = |by, figures: Figures, own: Figures| {
                let ratio = figures.per_second / own.per_second;
                report.measured.push(Measured { request: work.label(), clients, by, figures, ratio });
            };
            let own = hammer(&host, clients, options.length, work.requests(&host, &key)).await?;
            take("Gadwall", own, own);
            for (by, local) in [("DuckDB", &duckdb), ("DuckLake", &ducklake)] {
                let (local, length) = (Arc::clone(local), options.length);
                let figures = tokio::task::spawn_blocking(move || local.hammer(work, clients, length)).await??;
                take(by, figures, own);
            }
            if clients == 1 && matches!(work, Work::Preview | Work::Query) {
                let requests = work.requests(&host, &key);
                report.turns.push(turns::run(&host, &requests, &ducklake, work, options.length).await?);
            }
            if work == Work::Cached {
                let figures = hammer(&host, clients, options.length, unchanged(&host, &key).await?).await?;
                report.measured.push(Measured {
                    request: "unchanged (304)",
                    clients,
                    by: "Gadwall",
                    figures,
                    ratio: 1.0,
                });
            }
        }
    }
    report.loaded_mb = server.resident_mb();
    server.stop().await?;
    Ok(report)
}

/// Writes so many rows that are read, as a Parquet file.
pub fn write_rows(file: &Path, rows: u64) -> Result<()> {
    let connection = Connection::open_in_memory().context("DuckDB cannot be opened")?;
    let copy = format!(
        "COPY (
            SELECT i AS id, TIMESTAMP '2024-01-01' + to_seconds(i) AS at, 'place ' || i % 97 AS place,
                   sin(i) * 1000 AS x
            FROM range({rows}) AS t(i)
         ) TO '{}' (FORMAT parquet)",
        file.display()
    );
    Ok(connection.execute_batch(&copy)?)
}

/// Makes the project and its tables; returns the project's key.
async fn fill(server: &ServerProcess, rows: &Path) -> Result<String> {
    let client = tables_of_points(server, &["points", "arrivals"]).await?;
    let body = tokio::fs::read(rows).await?;
    let path = format!("/projects/{PROJECT}/buckets/bench/tables/points/rows");
    client.post_body(&path, "application/vnd.apache.parquet", body, 200).await?;
    Ok(client.key().to_owned())
}

/// Makes the project and empty tables for such rows; returns a client with the project's key.
async fn tables_of_points(server: &ServerProcess, tables: &[&str]) -> Result<Client> {
    let client = Client::new(server.url(), server.admin_key())?.project(PROJECT, json!({})).await?;
    let buckets = format!("/projects/{PROJECT}/buckets");
    client.post(&buckets, &json!({ "name": "bench" }), 201).await?;
    for table in tables {
        let columns = [("id", "BIGINT"), ("at", "TIMESTAMP"), ("place", "VARCHAR"), ("x", "DOUBLE")]
            .map(|(name, data_type)| json!({ "name": name, "type": data_type }));
        let definition = json!({ "name": table, "columns": columns });
        client.post(&format!("{buckets}/bench/tables"), &definition, 201).await?;
    }
    Ok(client)
}
