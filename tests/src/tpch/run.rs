//! The queries, asked of a server and of a DuckLake in this process, and results in bulk.

use std::fmt;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use arrow::record_batch::RecordBatch;
use duckdb::Connection;
use gadwall_ducklake::find_extension_dir;
use serde_json::json;

use super::{TABLES, generate, parquet, queries};
use crate::load::post;
use crate::load::wire::Wire;
use crate::server::{ServerProcess, StartOptions, setting};

/// How often each query is asked; the fastest counts.
const TIMES: usize = 5;
/// How often each stream is read; the fastest counts.
const STREAMED: usize = 3;
const PARQUET: &str = "application/vnd.apache.parquet";

/// What was measured.
#[derive(Debug, Clone)]
pub struct Report {
    scale: f64,
    /// Of each query: over HTTP and in process.
    queries: Vec<(Duration, Duration)>,
    /// Of each format: its name, over HTTP, in process, and megabytes that the server grew by.
    streams: Vec<(&'static str, Duration, Duration, f64)>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "TPC-H at scale {}: fastest of {TIMES}, over HTTP and with DuckLake in this process", self.scale)?;
        let mut total = (Duration::ZERO, Duration::ZERO);
        for (number, (http, local)) in self.queries.iter().enumerate() {
            total = (total.0 + *http, total.1 + *local);
            writeln!(
                f,
                "  query {:>2}  {:>8.1} ms  {:>8.1} ms  {:>5.2}",
                number + 1,
                ms(*http),
                ms(*local),
                ratio(*http, *local)
            )?;
        }
        writeln!(f, "  all       {:>8.1} ms  {:>8.1} ms  {:>5.2}", ms(total.0), ms(total.1), ratio(total.0, total.1))?;
        writeln!(f, "all of lineitem:")?;
        for (format, http, local, grown) in &self.streams {
            let speed = local.as_secs_f64() / http.as_secs_f64();
            writeln!(
                f,
                "  {format:<7} {:>8.0} ms  {:>8.0} ms  {speed:>5.2} of its speed, the server grew by {grown:.0} MB",
                ms(*http),
                ms(*local)
            )?;
        }
        Ok(())
    }
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

fn ratio(one: Duration, other: Duration) -> f64 {
    one.as_secs_f64() / other.as_secs_f64()
}

/// A DuckLake in this process that holds the tables.
pub fn local(folder: &Path) -> Result<Connection> {
    let connection = Connection::open_in_memory().context("DuckDB cannot be opened")?;
    connection.execute_batch(&format!(
        "SET extension_directory = '{}'; SET autoinstall_known_extensions = false; LOAD ducklake;
         ATTACH 'ducklake:{}' AS lake (DATA_PATH '{}', DATA_INLINING_ROW_LIMIT 0); USE lake;",
        find_extension_dir(None)?.display(),
        folder.join("local.ducklake").display(),
        folder.join("local").display()
    ))?;
    for (table, _) in TABLES {
        let rows = parquet(folder, table);
        connection.execute_batch(&format!("CREATE TABLE {table} AS FROM read_parquet('{}')", rows.display()))?;
    }
    Ok(connection)
}

/// What a query answers in this process.
pub fn ask(connection: &Connection, sql: &str) -> Result<Vec<RecordBatch>> {
    let mut statement = connection.prepare(sql)?;
    Ok(statement.query_arrow([])?.collect())
}

/// Measures a server of its own.
pub async fn run(scale: f64, say: &dyn Fn(&str)) -> Result<Report> {
    let folder = tempfile::Builder::new().prefix("gadwall-tpch-").tempdir()?;
    say("making the rows");
    generate(folder.path(), scale)?;
    say("loading them into DuckLake in this process");
    let lake = local(folder.path())?;
    say("loading them over HTTP");
    let start = StartOptions {
        data_dir: Some(folder.path().join("data")),
        env: vec![setting("SERVER__MAX_BODY_BYTES", "8GB")],
        ..StartOptions::default()
    };
    let mut server = ServerProcess::start(&start).await?;
    load(&server, folder.path()).await?;
    let mut host = Host::connect(&server).await?;

    let mut report = Report { scale, queries: Vec::new(), streams: Vec::new() };
    for (number, sql) in queries().into_iter().enumerate() {
        say(&format!("query {}", number + 1));
        let mut best = (Duration::MAX, Duration::MAX);
        for time in 0..TIMES {
            let begun = Instant::now();
            ask(&lake, sql)?;
            best.1 = best.1.min(begun.elapsed());
            let begun = Instant::now();
            // A comment that differs, so that no result is one that was kept.
            host.query(&format!("{sql} -- {time}"), "application/json").await?;
            best.0 = best.0.min(begun.elapsed());
        }
        say(&format!("  {:.1} ms, in process {:.1} ms", ms(best.0), ms(best.1)));
        report.queries.push(best);
    }
    // Memory that the queries left behind would hide what the streams take.
    server.stop().await?;
    for (format, accept, write) in [
        ("arrow", "application/vnd.apache.arrow.stream", None),
        ("csv", "text/csv", Some("FORMAT csv")),
        ("ndjson", "application/x-ndjson", Some("FORMAT json")),
    ] {
        say(&format!("all of lineitem as {format}"));
        let all = "SELECT * FROM lineitem";
        let mut server = ServerProcess::start(&start).await?;
        Host::connect(&server).await?.query("SELECT count(*) FROM lineitem", "application/json").await?;
        let before = server.resident_mb().unwrap_or_default();
        let mut best = (Duration::MAX, Duration::MAX);
        for _ in 0..STREAMED {
            let begun = Instant::now();
            match write {
                None => drop(fetch(&lake, all)?),
                Some(options) => {
                    let file = folder.path().join("out");
                    lake.execute_batch(&format!("COPY ({all}) TO '{}' ({options})", file.display()))?;
                }
            }
            best.1 = best.1.min(begun.elapsed());
            // The server closes connections on which nothing comes for long.
            let mut host = Host::connect(&server).await?;
            let begun = Instant::now();
            host.query(all, accept).await?;
            best.0 = best.0.min(begun.elapsed());
        }
        say(&format!("  {:.0} ms, in process {:.0} ms", ms(best.0), ms(best.1)));
        report.streams.push((format, best.0, best.1, server.peak_mb().unwrap_or_default() - before));
        server.stop().await?;
    }
    Ok(report)
}

/// Reads all rows, batch by batch.
fn fetch(connection: &Connection, sql: &str) -> Result<usize> {
    let mut statement = connection.prepare(sql)?;
    drop(statement.stream_arrow([])?);
    let mut rows = 0;
    while let Some(batch) = statement.step()? {
        rows += arrow::array::Array::len(&batch);
    }
    Ok(rows)
}

/// Makes the tables in the project `default` of a server, and loads their rows.
pub(crate) async fn load(server: &ServerProcess, folder: &Path) -> Result<()> {
    let client = crate::client::builder().build()?;
    let post = |path: &str| {
        let url = format!("{}/projects/default/buckets/main/tables{path}", server.url());
        client.post(url).bearer_auth(server.admin_key())
    };
    for (table, columns) in TABLES {
        let columns: Vec<_> = columns.iter().map(|(name, kind)| json!({"name": name, "type": kind})).collect();
        let made = post("").json(&json!({"name": table, "columns": columns})).send().await?;
        ensure!(made.status().is_success(), "{}", made.text().await?);
        let rows = tokio::fs::read(parquet(folder, table)).await?;
        let rows = post(&format!("/{table}/rows")).header("content-type", PARQUET).body(rows);
        let loaded = rows.send().await?;
        ensure!(loaded.status().is_success(), "{}", loaded.text().await?);
    }
    Ok(())
}

/// One connection. It drops what it reads, as the other side drops its batches: the two cores are the server's.
struct Host {
    wire: Wire,
    head: String,
}

impl Host {
    async fn connect(server: &ServerProcess) -> Result<Self> {
        let host = server.url().trim_start_matches("http://");
        let head = format!("host: {host}\r\nauthorization: Bearer {}\r\n", server.admin_key());
        Ok(Self { wire: Wire::connect(host).await?, head })
    }

    /// Asks, and reads the answer to its end.
    async fn query(&mut self, sql: &str, accept: &str) -> Result<()> {
        let head = format!("{}accept: {accept}\r\n", self.head);
        let request = post("/projects/default/query?timeout=300", &head, &json!({"query": sql}).to_string());
        let answer = self.wire.exchange(&request).await?;
        ensure!(answer.status == 200, "{sql}: {}", answer.status);
        Ok(())
    }
}
