//! Lineage: how fast events come in and are worked off, and how fast a large graph is asked.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use futures_util::future::try_join_all;
use serde_json::{Value, json};
use uuid::Uuid;

use super::measure::{Figures, MakeRequest, hammer};
use super::{JSON, Options, PROJECT, head, unlimited};
use crate::demo::Client;
use crate::server::{ServerProcess, StartOptions, setting};

/// Datasets that an event reads.
const READ: u64 = 3;
/// Datasets that it writes.
const WRITTEN: u64 = 2;
/// Datasets for each edge, the other way round: each is read or written so often.
const EDGES_OF_A_SET: u64 = 10;
/// Columns that each dataset is said to have, so that an event has the size of those that Spark or dbt send.
const COLUMNS: u64 = 8;
/// Events in one request.
const BATCH: u64 = 500;
/// Clients that send batches at once, each one after the other.
const SENDERS: [u64; 2] = [1, 4];
/// Most clients that ask for the graph at once.
const ASKERS: usize = 16;
/// How long the working off may take.
const PATIENCE: Duration = Duration::from_mins(30);

/// What was measured.
#[derive(Debug, Clone)]
pub struct Report {
    edges: u64,
    events: u64,
    told: Vec<Told>,
    asked: Vec<(usize, Figures)>,
}

/// How long all events took from so many clients, until they were taken in and until they were worked off.
#[derive(Debug, Clone)]
struct Told {
    senders: u64,
    taken: Duration,
    worked_off: Duration,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        #[expect(clippy::cast_precision_loss, reason = "a rate for people to read")]
        let rate = |time: Duration| self.events as f64 / time.as_secs_f64();
        writeln!(f, "lineage: {} events with {} edges, in batches of {BATCH}", self.events, self.edges)?;
        for Told { senders, taken, worked_off } in &self.told {
            let (taken, worked_off) = (rate(*taken), rate(*worked_off));
            writeln!(f, "  from {senders} clients: {taken:.0}/s taken in, {worked_off:.0}/s taken in and worked off")?;
        }
        for (clients, figures) in &self.asked {
            let Figures { per_second, p50, p99, failed } = figures;
            writeln!(
                f,
                "  graph, depth 5, {clients:>2} clients: {per_second:.0}/s, p50 {p50:.1} ms, p99 {p99:.1} ms, {failed} failed"
            )?;
        }
        Ok(())
    }
}

/// Measures a graph of so many edges; its servers keep metadata in this PostgreSQL, or in SQLite.
pub async fn run(options: &Options, edges: u64, metadata: Option<&str>) -> Result<Report> {
    let say = options.progress.as_ref();
    let (events, sets) = (edges / (READ + WRITTEN), edges / EDGES_OF_A_SET);
    let bytes = event(0, sets).to_string().len();
    let batches = batches(events, sets)?;

    let (mut told, mut last) = (Vec::new(), None);
    for senders in SENDERS {
        drop(last);
        let server = server(metadata).await?;
        // All is new to it, also where the servers share their metadata.
        let project = format!("{PROJECT}{senders}");
        let client = Client::new(server.url(), server.admin_key())?.project(&project, json!({})).await?;
        say(&format!("{events} events of {bytes} bytes come in from {senders} clients"));
        told.push(tell(&client, senders, &batches).await?);
        last = Some((server, client));
    }

    let mut asked = Vec::new();
    let (server, client) = last.context("nobody sent events")?;
    let host = server.url().trim_start_matches("http://").to_owned();
    for clients in options.clients.iter().copied().filter(|clients| *clients <= ASKERS) {
        say(&format!("the graph is asked by {clients}"));
        let questions = questions(&host, client.key(), (events, sets));
        asked.push((clients, hammer(&host, clients, options.length, questions).await?));
    }
    Ok(Report { edges, events, told, asked })
}

async fn server(metadata: Option<&str>) -> Result<ServerProcess> {
    let mut env = unlimited();
    env.extend(metadata.map(|url| setting("METADATA__URL", url)));
    ServerProcess::start(&StartOptions { env, ..StartOptions::default() }).await
}

/// Made before the time counts: it is the server that is measured.
fn batches(events: u64, sets: u64) -> Result<Vec<Bytes>> {
    let batch = |first: u64| -> Bytes {
        let batch: Vec<Value> = (first..events.min(first + BATCH)).map(|number| event(number, sets)).collect();
        json!(batch).to_string().into()
    };
    Ok((0..events).step_by(usize::try_from(BATCH)?).map(batch).collect())
}

/// Sends all batches, each to be sent by whoever is free, and waits until they are worked off.
async fn tell(client: &Client, senders: u64, batches: &[Bytes]) -> Result<Told> {
    let next = AtomicUsize::new(0);
    let send = async || {
        while let Some(batch) = batches.get(next.fetch_add(1, Ordering::Relaxed)) {
            client.post_body("/api/v1/lineage/batch", "application/json", batch.clone(), 200).await?;
        }
        anyhow::Ok(())
    };
    let begun = Instant::now();
    try_join_all((0..senders).map(|_| send())).await?;
    let taken = begun.elapsed();
    while client.get("/api/v1/lineage/queue", 200).await?["waiting"] != 0 {
        if begun.elapsed() > PATIENCE {
            bail!("events still wait after {} s", PATIENCE.as_secs());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(Told { senders, taken, worked_off: begun.elapsed() })
}

/// Spreads datasets over jobs, so that what is around a node grows with each step.
fn set(number: u64, place: u64, sets: u64) -> String {
    let of = number.wrapping_mul(7_919).wrapping_add(place.wrapping_mul(104_729)) % sets.max(1);
    format!("d{of}")
}

fn event(number: u64, sets: u64) -> Value {
    let schema = facet("1-2-0/SchemaDatasetFacet.json", &json!({ "fields": fields() }));
    let named = |place| {
        let facets = json!({ "schema": schema });
        json!({ "namespace": "ducklake", "name": set(number, place, sets), "facets": facets })
    };
    let some = |places: std::ops::Range<u64>| places.map(named).collect::<Vec<_>>();
    json!({
        "eventType": "COMPLETE", "eventTime": "2026-01-01T00:00:00Z", "producer": "https://example.org/bench",
        "schemaURL": "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent",
        "run": { "runId": Uuid::from_u128(u128::from(number) + 1) },
        "job": { "namespace": "bench", "name": format!("j{number}") },
        "inputs": some(0..READ), "outputs": some(READ..READ + WRITTEN),
    })
}

fn facet(schema: &str, told: &Value) -> Value {
    let mut facet = told.clone();
    facet["_producer"] = "https://example.org/bench".into();
    facet["_schemaURL"] = format!("https://openlineage.io/spec/facets/{schema}").into();
    facet
}

fn fields() -> Vec<Value> {
    (0..COLUMNS).map(|number| json!({ "name": format!("column_{number}"), "type": "VARCHAR" })).collect()
}

/// Another node each time: what some event wrote.
fn questions(host: &str, key: &str, (events, sets): (u64, u64)) -> MakeRequest {
    let head = head(host, key, JSON);
    Arc::new(move |number| {
        let node = set(number.wrapping_mul(31) % events.max(1), READ, sets);
        let path = format!("/api/v1/lineage?nodeId=dataset:ducklake:{node}&depth=5&direction=upstream");
        format!("GET {path} HTTP/1.1\r\n{head}\r\n").into_bytes()
    })
}
