//! The changes of a table, read as lines of JSON.

use std::fmt;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use futures_util::StreamExt as _;
use serde_json::{Value, json};

use super::{Options, PROJECT, tables_of_points, write_rows};
use crate::server::{ServerProcess, StartOptions};

/// How often all changes are read; the fastest counts.
const TIMES: u32 = 3;

/// What was measured.
#[derive(Debug, Clone)]
pub struct Report {
    rows: u64,
    bytes: u64,
    took: Duration,
    first: Duration,
    peak_mb: Option<f64>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        #[expect(clippy::cast_precision_loss, reason = "figures for people to read")]
        let (rows, megabytes) = (self.rows as f64, self.bytes as f64 / 1e6);
        let seconds = self.took.as_secs_f64();
        writeln!(f, "changes: {} rows inserted, updated and deleted, as lines of JSON", self.rows)?;
        writeln!(f, "  read             {:>9.0} rows/s, {:.1} MB/s", rows / seconds, megabytes / seconds)?;
        writeln!(f, "  until the first  {:>9} ms", self.first.as_millis())?;
        writeln!(f, "  most memory      {:>9.0} MB", self.peak_mb.unwrap_or(f64::NAN))
    }
}

/// Changes so many rows of a table, and reads how: seven of ten are inserted, one updated (told as it was and as it is),
/// and one deleted.
pub async fn run(options: &Options, rows: u64) -> Result<Report> {
    let say = options.progress.as_ref();
    let tenth = rows / 10;
    let folder = tempfile::Builder::new().prefix("gadwall-changes-").tempdir().context("no folder for the rows")?;
    let file = folder.path().join("rows.parquet");
    write_rows(&file, 7 * tenth)?;
    let mut server = ServerProcess::start(&StartOptions::default()).await?;
    let client = tables_of_points(&server, &["changing"]).await?;
    let tables = format!("/projects/{PROJECT}/buckets/bench/tables");
    let before = client.get(&format!("/projects/{PROJECT}/snapshots?limit=1"), 200).await?;
    let before = newest(&before).context("the newest snapshot is not told")?;

    say(&format!("{rows} rows change"));
    let body = tokio::fs::read(&file).await?;
    client.post_body(&format!("{tables}/changing/rows"), "application/vnd.apache.parquet", body, 200).await?;
    let query = format!("/projects/{PROJECT}/query");
    for (statement, of) in [
        ("UPDATE bench.changing SET x = x + 1 WHERE id % 7 = ?", 0),
        ("DELETE FROM bench.changing WHERE id % 7 = ?", 1),
    ] {
        client.post(&query, &json!({ "query": statement, "params": [of] }), 200).await?;
    }
    say("the changes are read");
    let path = format!("{}{tables}/changing/changes/stream?cursor={before}&follow=false", server.url());
    let mut report = Report { rows: 0, bytes: 0, took: Duration::MAX, first: Duration::MAX, peak_mb: None };
    for _ in 0..TIMES {
        let (counted, bytes, took, first) = read(&path, client.key()).await?;
        if counted != 10 * tenth {
            bail!("{counted} changes were told of {}", 10 * tenth);
        }
        report.rows = counted;
        report.bytes = bytes;
        report.took = report.took.min(took);
        report.first = report.first.min(first);
    }
    report.peak_mb = server.peak_mb();
    server.stop().await?;
    Ok(report)
}

fn newest(page: &Value) -> Option<u64> {
    page["snapshots"].as_array()?.iter().filter_map(|snapshot| snapshot["snapshot_id"].as_u64()).max()
}

/// Reads all changes; answers how many rows and bytes came, and how long that took, and the first.
async fn read(address: &str, key: &str) -> Result<(u64, u64, Duration, Duration)> {
    const CHANGE: &[u8] = b"{\"event\":\"change\"";
    let client = crate::client::builder().build()?;
    let begun = Instant::now();
    let request = client.get(address).bearer_auth(key).header("accept", "application/x-ndjson");
    let mut body = request.send().await?.error_for_status()?.bytes_stream();
    let (mut rows, mut bytes, mut first) = (0, 0, None);
    // A line may begin in one piece and go on in the next: what is there of its beginning.
    let mut head = Vec::with_capacity(CHANGE.len());
    while let Some(piece) = body.next().await {
        let piece = piece?;
        first.get_or_insert_with(|| begun.elapsed());
        bytes += piece.len() as u64;
        let mut rest = &piece[..];
        while !rest.is_empty() {
            let wanted = (CHANGE.len() - head.len()).min(rest.len());
            if let Some(end) = rest[..wanted].iter().position(|byte| *byte == b'\n') {
                head.clear();
                rest = &rest[end + 1..];
                continue;
            }
            if wanted > 0 {
                head.extend_from_slice(&rest[..wanted]);
                rows += u64::from(head == CHANGE);
                rest = &rest[wanted..];
                continue;
            }
            match rest.iter().position(|byte| *byte == b'\n') {
                Some(end) => {
                    head.clear();
                    rest = &rest[end + 1..];
                }
                None => break,
            }
        }
    }
    Ok((rows, bytes, begun.elapsed(), first.unwrap_or_default()))
}
