//! A long mixed load, and whether the server holds no more at its end than at its beginning.

mod chores;
mod levels;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use super::unlimited;
use crate::demo::Client;
use crate::server::{ServerProcess, StartOptions, setting};
use chores::{Chore, Worker};
use levels::{Sample, look, verdicts};

pub use levels::{Rule, Thing, Verdict};

/// How often the server is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How often progress is told.
const TELL_EVERY: Duration = Duration::from_mins(1);
/// What the engine may hold: little enough that what it only gives up for something else is there before anything counts.
const ENGINE_MEMORY: &str = "256MiB";
/// What kept results may take: few enough that they are full before anything counts. At its default it fills for an hour, as it should.
const RESULT_CACHE: &str = "4MiB";
const PROJECT: &str = "soak";

/// How long, and what is asked of it.
#[derive(Debug, Clone)]
pub struct Soak {
    /// The whole load.
    pub length: Duration,
    /// What is asked of the levels.
    pub rule: Rule,
    /// The PostgreSQL that keeps metadata; SQLite without.
    pub metadata: Option<String>,
}

/// How often a chore was answered so; 0 where the connection broke.
type Answers = BTreeMap<(Chore, u16), u64>;

/// What came of it.
#[derive(Debug)]
pub struct Report {
    soak: Soak,
    answers: Answers,
    samples: Vec<Sample>,
    verdicts: Vec<Verdict>,
    survived: bool,
    log: String,
}

impl Report {
    /// Whether nothing grew and nothing failed. To be turned away when all is taken is no failure.
    pub fn held(&self) -> bool {
        let is_known = !self.verdicts.is_empty();
        self.survived && is_known && self.verdicts.iter().all(Verdict::is_good) && self.failures().next().is_none()
    }

    fn failures(&self) -> impl Iterator<Item = (&(Chore, u16), &u64)> {
        self.answers.iter().filter(|((_, status), _)| !matches!(status, 200..=299 | 429 | 503))
    }

    /// What the server wrote into its log.
    pub fn log(&self) -> &str {
        &self.log
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "soak: a mixed load for {} s", self.soak.length.as_secs())?;
        for chore in Chore::ALL {
            let of = self.answers.iter().filter(|((of, _), _)| *of == chore);
            let told: Vec<_> = of.map(|((_, status), count)| format!("{count} × {status}")).collect();
            writeln!(f, "  {:<22} {}", chore.label(), told.join(", "))?;
        }
        let minute = |sample: &&Sample| sample.at.as_secs().is_multiple_of(TELL_EVERY.as_secs());
        for sample in self.samples.iter().filter(minute) {
            writeln!(f, "  minute {:>3}: {sample}", sample.at.as_secs() / TELL_EVERY.as_secs())?;
        }
        for verdict in &self.verdicts {
            writeln!(f, "{verdict}")?;
        }
        writeln!(f, "  it {}", if self.held() { "held" } else { "did NOT hold" })
    }
}

/// Runs the load against a server of its own.
pub async fn run(soak: Soak, say: &dyn Fn(&str)) -> Result<Report> {
    let mut env = unlimited();
    env.extend([
        setting("PROJECTS__UNDELETE_FOR", "0"),
        // Longer than a query takes, as it must be: who began before reads them still.
        setting("MAINTENANCE__KEEP_FILES_FOR", "10s"),
        setting("ENGINE__MEMORY_LIMIT", ENGINE_MEMORY),
        setting("ENGINE__RESULT_CACHE", RESULT_CACHE),
    ]);
    env.extend(soak.metadata.iter().map(|url| setting("METADATA__URL", url)));
    let mut server = ServerProcess::start(&StartOptions { env, ..StartOptions::default() }).await?;
    let key = prepare(&server).await?;
    let begun = Instant::now();
    let end = begun + soak.length;
    let worker = Arc::new(Worker::new(&server, &key, begun + soak.rule.hurry, end)?);
    let tasks: Vec<_> = Chore::ALL
        .into_iter()
        .flat_map(|chore| (0..chore.workers()).map(move |number| (chore, number)))
        .map(|(chore, number)| tokio::spawn(Arc::clone(&worker).work(chore, number)))
        .collect();

    let port = soak.metadata.as_deref().and_then(port_of);
    let admin = Client::new(server.url(), server.admin_key())?;
    let (mut samples, mut told) = (Vec::new(), Duration::ZERO);
    while Instant::now() < end && server.is_running() {
        let at = begun.elapsed();
        let sample = Sample { at, held: look(server.pid(), port), engine: engine_memory(&admin).await };
        samples.push(sample);
        if at >= told {
            say(&format!("{:>4} s: {sample}", at.as_secs()));
            told += TELL_EVERY;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    let mut answers = Answers::new();
    for task in tasks {
        for (answer, count) in task.await.context("a worker failed")? {
            *answers.entry(answer).or_default() += count;
        }
    }
    let survived = server.is_running();
    let verdicts = verdicts(&samples, soak.rule);
    if survived {
        server.stop().await?;
    }
    Ok(Report { soak, answers, samples, verdicts, survived, log: server.log() })
}

/// What the engine says that it holds, in MB; not a number where it says nothing.
async fn engine_memory(admin: &Client) -> f64 {
    let told = admin.get("/metrics/memory", 200).await;
    told.ok().and_then(|told| told["components"]["engine"].as_f64()).unwrap_or(f64::NAN)
}

/// The port in a database's address.
fn port_of(url: &str) -> Option<u16> {
    let host = url.rsplit_once('@').map_or(url, |(_, rest)| rest);
    let host = host.split_once("://").map_or(host, |(_, rest)| rest).split(['/', '?']).next()?;
    host.rsplit_once(':').map_or(Some(5432), |(_, port)| port.parse().ok())
}

/// Makes the project with its tables, and has its old snapshots end soon; returns its key.
async fn prepare(server: &ServerProcess) -> Result<String> {
    let client = Client::new(server.url(), server.admin_key())?.project(PROJECT, json!({})).await?;
    let buckets = format!("/projects/{PROJECT}/buckets");
    client.post(&buckets, &json!({ "name": "bench" }), 201).await?;
    client.post(&format!("/projects/{PROJECT}/datasets"), &json!({ "name": "files" }), 201).await?;
    let columns = json!([{ "name": "id", "type": "BIGINT" }, { "name": "v", "type": "VARCHAR" }]);
    for (table, key) in [("arrivals", json!([])), ("state", json!(["id"])), ("points", json!([]))] {
        let definition = json!({ "name": table, "columns": columns, "primary_key": key });
        client.post(&format!("{buckets}/bench/tables"), &definition, 201).await?;
    }
    let rows: Vec<Value> = (0..20_000).map(|id| json!({ "id": id, "v": format!("value {id}") })).collect();
    client.post(&format!("{buckets}/bench/tables/points/rows"), &json!(rows), 200).await?;
    let policy = json!({ "keep_snapshots_for_seconds": 0, "keep_snapshots": 20 });
    client.put(&format!("/projects/{PROJECT}/maintenance/policy"), &policy, 200).await?;
    Ok(client.key().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_is_found_in_an_address() {
        assert_eq!(port_of("postgres://u:p@127.0.0.1:5433/db?sslmode=disable"), Some(5433));
        assert_eq!(port_of("postgres://u@host/db"), Some(5432));
    }
}
