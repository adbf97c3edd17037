//! Governed records in bulk, beside the same rows in a table without rules.

use std::fmt;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Options, PROJECT};
use crate::demo::Client;
use crate::server::{ServerProcess, StartOptions};

/// How often each is sent; the fastest counts.
const TIMES: u32 = 3;
const LINES: &str = "application/x-ndjson";

/// What was measured.
#[derive(Debug, Clone)]
pub struct Report {
    records: u64,
    bulk: Duration,
    same_table: Duration,
    plain: Duration,
    peak_mb: Option<f64>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        #[expect(clippy::cast_precision_loss, reason = "a rate for people to read")]
        let rate = |took: Duration| self.records as f64 / took.as_secs_f64();
        let of = |took: Duration| took.as_secs_f64() / self.bulk.as_secs_f64();
        writeln!(f, "governed: {} records as lines of JSON", self.records)?;
        writeln!(f, "  /ops/projects/bulk          {:>9.0}/s", rate(self.bulk))?;
        writeln!(f, "  rows of that table          {:>9.0}/s, × {:.2}", rate(self.same_table), of(self.same_table))?;
        writeln!(f, "  rows of one without rules   {:>9.0}/s, × {:.2}", rate(self.plain), of(self.plain))?;
        writeln!(f, "  most memory                 {:>9.0} MB", self.peak_mb.unwrap_or(f64::NAN))
    }
}

/// Sends so many records in one request, and the same rows into plain tables.
pub async fn run(options: &Options, records: u64) -> Result<Report> {
    let say = options.progress.as_ref();
    let mut server = ServerProcess::start(&StartOptions::default()).await?;
    let client = Client::new(server.url(), server.admin_key())?.project(PROJECT, json!({})).await?;
    client.post("/ops/initialize", &json!(null), 200).await?;
    let tables = format!("/projects/{PROJECT}/buckets/main/tables");
    let governed = client.get(&format!("{tables}/projects"), 200).await?;
    let columns = governed["columns"].as_array().context("the table has no columns")?;
    let columns: Vec<Value> =
        columns.iter().map(|column| json!({ "name": column["name"], "type": column["type"] })).collect();
    client.post(&tables, &json!({ "name": "plain", "columns": columns }), 201).await?;

    let mut report =
        Report { records, bulk: Duration::MAX, same_table: Duration::MAX, plain: Duration::MAX, peak_mb: None };
    let bulk = lines(records, None);
    for round in 0..TIMES {
        say(&format!("{records} records, {} MB", bulk.len() / 1_000_000));
        let (took, kept) = send(&client, "/ops/projects/bulk", bulk.clone()).await?;
        if kept["count"].as_u64() != Some(records) {
            bail!("{} records were kept of {records}", kept["count"]);
        }
        report.bulk = report.bulk.min(took);
        let (took, _) = send(&client, &format!("{tables}/projects/rows"), lines(records, Some(round))).await?;
        report.same_table = report.same_table.min(took);
        let (took, _) = send(&client, &format!("{tables}/plain/rows"), lines(records, Some(round))).await?;
        report.plain = report.plain.min(took);
    }
    report.peak_mb = server.peak_mb();
    server.stop().await?;
    Ok(report)
}

async fn send(client: &Client, path: &str, body: Vec<u8>) -> Result<(Duration, Value)> {
    let begun = Instant::now();
    let answer = client.post_body(path, LINES, body, 200).await?;
    Ok((begun.elapsed(), answer))
}

/// Records a line each; as rows they also have what the server fills in otherwise.
fn lines(records: u64, whole: Option<u32>) -> Vec<u8> {
    let mut text = String::new();
    for number in 0..records {
        text.push('{');
        if let Some(round) = whole {
            // Each table has them once.
            let id = Uuid::from_u64_pair(u64::from(round) + 1, number);
            let _ = write!(
                text,
                r#""project_id":"{id}","creation_date":"2026-01-01","last_updated":"2026-01-01T00:00:00","currency_code":"USD","#
            );
        }
        let _ = writeln!(
            text,
            r#""project_name":"Project {number}","total_amount":{}.25,"maturity_years":{},"expected_tri":7.25,"dscr":1.35,"status":"ACTIVE"}}"#,
            1_000_000 + number,
            1 + number % 30
        );
    }
    text.into_bytes()
}
