//! Many rows at once, and what else the issue of loading names: ratios of Gadwall over HTTP to DuckLake in this process,
//! in one run.

use std::fmt;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use arrow::ipc::writer::StreamWriter;
use duckdb::Connection;
use gadwall_ducklake::find_extension_dir;
use serde_json::{Value, json};

use super::local::Local;
use super::measure::{Figures, hammer};
use super::{Options, PROJECT, ROWS, Work, fill, write_rows};
use crate::demo::Client;
use crate::demo::table::Table;
use crate::server::{ServerProcess, StartOptions, setting};

/// Tables of the project whose list is timed.
const TABLES: usize = 1000;
const COLUMNS: [(&str, &str); 8] = [
    ("id", "BIGINT"),
    ("at", "TIMESTAMP"),
    ("day", "DATE"),
    ("place", "VARCHAR"),
    ("kind", "VARCHAR"),
    ("count", "INTEGER"),
    ("x", "DOUBLE"),
    ("fine", "BOOLEAN"),
];

/// One load of many rows.
#[derive(Debug, Clone)]
struct Loaded {
    format: &'static str,
    gadwall: Duration,
    direct: Duration,
    peak_mb: Option<f64>,
}

/// What was measured.
#[derive(Debug, Clone, Default)]
pub struct BulkReport {
    rows: u64,
    loads: Vec<Loaded>,
    quiet: Option<Figures>,
    disturbed: Option<Figures>,
    list: Duration,
    first_table: Duration,
    last_table: Duration,
}

impl fmt::Display for BulkReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table =
            Table::new(["load", "rows", "Gadwall s", "DuckLake s", "speed of DuckLake's", "peak memory MB"], 1);
        for load in &self.loads {
            table.row([
                load.format.to_owned(),
                self.rows.to_string(),
                format!("{:.2}", load.gadwall.as_secs_f64()),
                format!("{:.2}", load.direct.as_secs_f64()),
                format!("× {:.2}", load.direct.as_secs_f64() / load.gadwall.as_secs_f64()),
                load.peak_mb.map_or("unknown".to_owned(), |mb| format!("{mb:.0}")),
            ]);
        }
        writeln!(f, "{table}")?;
        if let (Some(quiet), Some(disturbed)) = (self.quiet, self.disturbed) {
            writeln!(
                f,
                "p99 of one-row appends (1 client): {:.1} ms; beside a load of {} rows {:.1} ms: × {:.1}",
                quiet.p99,
                self.rows,
                disturbed.p99,
                disturbed.p99 / quiet.p99
            )?;
        }
        writeln!(
            f,
            "{TABLES} tables: listed in {} ms; the first made in {} ms, the next after all in {} ms: × {:.1}",
            self.list.as_millis(),
            self.first_table.as_millis(),
            self.last_table.as_millis(),
            self.last_table.as_secs_f64() / self.first_table.as_secs_f64()
        )
    }
}

/// Measures loads of so many rows.
pub async fn run(options: &Options, rows: u64) -> Result<BulkReport> {
    let say = options.progress.as_ref();
    let folder = tempfile::Builder::new().prefix("gadwall-bulk-").tempdir().context("no folder for the load test")?;
    say("making the rows");
    let points = folder.path().join("points.parquet");
    write_rows(&points, ROWS)?;
    make_files(folder.path(), rows)?;
    let extensions = find_extension_dir(None)?;
    let local = Local::ducklake(folder.path(), &extensions, &points)?;
    let start = StartOptions {
        data_dir: Some(folder.path().join("data")),
        env: vec![setting("SERVER__MAX_BODY_BYTES", "4GiB")],
        ..StartOptions::default()
    };
    let mut server = ServerProcess::start(&start).await?;
    let key = fill(&server, &points).await?;
    let client = Client::new(server.url(), &key)?;
    let tables = format!("/projects/{PROJECT}/buckets/bench/tables");
    let mut report = BulkReport { rows, ..BulkReport::default() };

    let direct = local.connect()?;
    for (format, name, content_type, from) in [
        ("Parquet", "big.parquet", "application/vnd.apache.parquet", "read_parquet('{}')"),
        ("Arrow stream", "big.arrows", "application/vnd.apache.arrow.stream", "read_parquet('{}')"),
        ("CSV", "big.csv", "text/csv", "read_csv('{}', header = true)"),
    ] {
        say(&format!("{rows} rows as {format}"));
        let table = format!("big_{}", content_type.len());
        make_table(&client, &tables, &table).await?;
        let path = folder.path().join(name);
        let begun = Instant::now();
        client.post_file(&format!("{tables}/{table}/rows"), content_type, &path, 200).await?;
        let gadwall = begun.elapsed();
        let source = if name.ends_with("arrows") { folder.path().join("big.parquet") } else { path };
        let select = from.replace("{}", &source.to_string_lossy());
        let columns = COLUMNS.map(|(name, kind)| format!("\"{name}\" {kind}")).join(", ");
        direct.execute_batch(&format!("CREATE TABLE store.bench.{table} ({columns})"))?;
        let begun = Instant::now();
        direct.execute_batch(&format!("INSERT INTO store.bench.{table} SELECT * FROM {select}"))?;
        report.loads.push(Loaded { format, gadwall, direct: begun.elapsed(), peak_mb: server.peak_mb() });
    }

    let host = server.url().trim_start_matches("http://").to_owned();
    say("one-row appends, alone and beside a large one");
    report.quiet = Some(hammer(&host, 1, options.length, Work::Append.requests(&host, &key)).await?);
    report.disturbed = Some(beside_a_load(options, &client, &tables, folder.path(), &host, &key).await?);

    say(&format!("{TABLES} tables"));
    let buckets = format!("/projects/{PROJECT}/buckets");
    client.post(&buckets, &json!({ "name": "many" }), 201).await?;
    let many = format!("{buckets}/many/tables");
    for number in 0..TABLES {
        let took = make_table(&client, &many, &format!("t{number}")).await?;
        if number == 0 {
            report.first_table = took;
        }
    }
    report.last_table = make_table(&client, &many, "last").await?;
    let begun = Instant::now();
    client.get(&many, 200).await?;
    report.list = begun.elapsed();
    server.stop().await?;
    Ok(report)
}

/// One-row appends for as long as loads of many rows go into another table.
async fn beside_a_load(
    options: &Options,
    client: &Client,
    tables: &str,
    folder: &Path,
    host: &str,
    key: &str,
) -> Result<Figures> {
    make_table(client, tables, "beside").await?;
    let stop = Arc::new(AtomicBool::new(false));
    let loading = {
        let (client, stop) = (client.clone(), Arc::clone(&stop));
        let (path, file) = (format!("{tables}/beside/rows"), folder.join("big.arrows"));
        tokio::spawn(async move {
            while !stop.load(Ordering::Acquire) {
                client.post_file(&path, "application/vnd.apache.arrow.stream", &file, 200).await?;
            }
            anyhow::Ok(())
        })
    };
    let figures = hammer(host, 1, options.length, Work::Append.requests(host, key)).await;
    stop.store(true, Ordering::Release);
    loading.await??;
    figures
}

async fn make_table(client: &Client, tables: &str, name: &str) -> Result<Duration> {
    let columns: Vec<Value> = COLUMNS.iter().map(|(name, kind)| json!({ "name": name, "type": kind })).collect();
    let begun = Instant::now();
    client.post(tables, &json!({ "name": name, "columns": columns }), 201).await?;
    Ok(begun.elapsed())
}

/// The same rows as Parquet, as an Arrow stream and as CSV.
fn make_files(folder: &Path, rows: u64) -> Result<()> {
    let connection = Connection::open_in_memory().context("DuckDB cannot be opened")?;
    let parquet = folder.join("big.parquet");
    connection.execute_batch(&format!(
        "COPY (
            SELECT i AS id, TIMESTAMP '2024-01-01' + to_seconds(i) AS at, DATE '2024-01-01' + (i % 700)::INTEGER AS day,
                   'place ' || i % 9973 AS place, ['red', 'green', 'blue'][1 + i % 3] AS kind,
                   (i * 7919 % 100000)::INTEGER AS count, sin(i) * 1000 AS x, i % 5 = 0 AS fine
            FROM range({rows}) AS t(i)
         ) TO '{parquet}' (FORMAT parquet);
         COPY (FROM read_parquet('{parquet}')) TO '{}' (FORMAT csv, HEADER);",
        folder.join("big.csv").display(),
        parquet = parquet.display(),
    ))?;
    let mut statement = connection.prepare(&format!("FROM read_parquet('{}')", parquet.display()))?;
    let batches = statement.query_arrow([])?;
    let mut writer = StreamWriter::try_new(File::create(folder.join("big.arrows"))?, &batches.get_schema())?;
    for batch in batches {
        writer.write(&batch)?;
    }
    Ok(writer.finish()?)
}
