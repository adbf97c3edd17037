//! Who watches a project's events while servers die.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use gadwall_tests::sse::EventSource;
use reqwest::Method;
use serde_json::Value;
use tokio::sync::RwLock;

use super::Replica;

const LOG: &str = "/projects/p/events?types=rows.appended";
/// How long it stays at one server.
const STAY: Duration = Duration::from_millis(700);

/// Watches appends at one server and then the other, also when it is cut off, each time from the last event that it saw, until
/// it is over and all was seen. Answers what it saw.
pub(super) async fn follow(replicas: Arc<[RwLock<Replica>; 2]>, over: Arc<AtomicBool>) -> Result<Vec<Value>> {
    let (mut seen, mut last) = (Vec::new(), "0".to_owned());
    for turn in 0.. {
        let request = {
            let replica = replicas[turn % 2].read().await;
            if over.load(Ordering::Acquire) && page(&replica, &last).await?.is_empty() {
                break;
            }
            replica.request(Method::GET, LOG)
        };
        let Ok(mut stream) = EventSource::open(request.header("Last-Event-ID", &last)).await else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let until = Instant::now() + STAY;
        while Instant::now() < until {
            match tokio::time::timeout(STAY, stream.next()).await {
                Ok(Ok(Some(event))) if event.kind == "rows.appended" => {
                    seen.push(event.data["id"].clone());
                    last = event.id;
                }
                Ok(Ok(Some(_))) | Err(_) => {}
                Ok(Ok(None) | Err(_)) => break,
            }
        }
    }
    Ok(seen)
}

/// What is in the log after an event.
async fn page(replica: &Replica, after: &str) -> Result<Vec<Value>> {
    let page = replica.get(&format!("{LOG}&after={after}&limit=1000")).await?;
    ensure!(page.status == 200, "{}", page.text);
    let events = page.json()["events"].as_array().cloned().context("no events")?;
    Ok(events.into_iter().map(|event| event["id"].clone()).collect())
}
