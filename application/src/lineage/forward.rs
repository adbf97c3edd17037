//! Handing events on to another server of lineage: at least once, and those of one run in their order.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use chrono::TimeDelta;
use futures_util::StreamExt as _;
use futures_util::stream;
use gadwall_domain::ports::lineage::{ForwardProgress, ForwardedEvent, LineageSender};
use gadwall_domain::ports::metadata::MetadataStore;
use gadwall_domain::ports::system::Clock;
use gadwall_domain::ports::webhooks::DeliveryError;
use serde_json::Value;
use tokio::sync::Mutex;

use crate::error::UseCaseError;

/// Events that are read for one turn.
const PAGE: u32 = 500;
/// Runs whose events are sent at once.
const LANES: usize = 8;
/// How long a turn is; then it is kept how far it came.
const TURN: TimeDelta = TimeDelta::seconds(10);
/// The pause after the first failure; after each further one it is twice as long.
const FIRST_PAUSE: TimeDelta = TimeDelta::seconds(1);
const LONGEST_PAUSE: TimeDelta = TimeDelta::minutes(5);

/// The use case of handing on.
pub struct Forwarding {
    store: Arc<dyn MetadataStore>,
    sender: Arc<dyn LineageSender>,
    clock: Arc<dyn Clock>,
    /// How long the handing on belongs to the server that does it: a turn, and the last answer in it.
    claim: TimeDelta,
}

impl fmt::Debug for Forwarding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Forwarding")
    }
}

/// What a turn came to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Forwarded {
    /// Events that were handed on.
    pub sent: usize,
    /// Events that the other server refused for what they are; they are left out.
    pub refused: usize,
    /// Why it ended early.
    pub failed: Option<DeliveryError>,
}

impl Forwarding {
    /// Hands on through this sender, which waits for an answer so long at most.
    pub fn new(
        store: Arc<dyn MetadataStore>,
        sender: Arc<dyn LineageSender>,
        clock: Arc<dyn Clock>,
        timeout: TimeDelta,
    ) -> Self {
        Self { store, sender, clock, claim: TURN + timeout * 2 + TimeDelta::seconds(10) }
    }

    /// Hands on for a turn, if it is due and no other server does.
    pub async fn deliver(&self) -> Result<Forwarded, UseCaseError> {
        if self.store.read().await?.lineage().to_forward(1).await?.is_empty() {
            return Ok(Forwarded::default());
        }
        let begun = self.clock.now();
        let mut tx = self.store.write().await?;
        if !tx.lineage().claim_forwarding(begun, begun + self.claim).await? {
            return Ok(Forwarded::default());
        }
        tx.commit().await?;
        let mut tx = self.store.read().await?;
        let events = tx.lineage().to_forward(PAGE).await?;
        let before = tx.lineage().forward_progress().await?;
        drop(tx);
        let sent = self.send(events, begun + TURN).await;
        let now = self.clock.now();
        let progress = match &sent.failed {
            None => ForwardProgress::default(),
            Some(error) => {
                let attempts = before.attempts.saturating_add(1);
                let pause = FIRST_PAUSE * 2_i32.pow(attempts.saturating_sub(1).min(16));
                let due_at = Some(now + pause.min(LONGEST_PAUSE));
                ForwardProgress { attempts, due_at, error: Some(error.to_string()), dropped: 0 }
            }
        };
        let done = Forwarded { sent: sent.done.len(), refused: sent.refused.len(), failed: sent.failed };
        let gone: Vec<u64> = sent.done.into_iter().chain(sent.refused).collect();
        let mut tx = self.store.write().await?;
        tx.lineage().forwarded(&gone).await?;
        tx.lineage().release_forwarding(&progress, done.refused as u64).await?;
        tx.commit().await?;
        Ok(done)
    }

    /// Sends events, those of different runs at once, until one fails or time is up.
    async fn send(&self, events: Vec<ForwardedEvent>, until: chrono::DateTime<chrono::Utc>) -> Sent {
        let mut lanes: BTreeMap<String, Vec<ForwardedEvent>> = BTreeMap::new();
        for event in events {
            lanes.entry(lane(&event.event)).or_default().push(event);
        }
        let sent = Mutex::new(Sent::default());
        let lane = |events: Vec<ForwardedEvent>| {
            let sent = &sent;
            async move {
                for event in events {
                    if self.clock.now() >= until || sent.lock().await.failed.is_some() {
                        return;
                    }
                    let answer = self.sender.send(&event.event).await;
                    let mut sent = sent.lock().await;
                    match answer {
                        Ok(()) => sent.done.push(event.position),
                        Err(error) if is_of_the_event(&error) => {
                            tracing::warn!(error = %error, "an event of lineage is refused by the other server");
                            sent.refused.push(event.position);
                        }
                        Err(error) => {
                            sent.failed = Some(error);
                            return;
                        }
                    }
                }
            }
        };
        stream::iter(lanes.into_values()).for_each_concurrent(LANES, lane).await;
        sent.into_inner()
    }
}

/// What became of events, by their places.
#[derive(Default)]
struct Sent {
    done: Vec<u64>,
    refused: Vec<u64>,
    failed: Option<DeliveryError>,
}

/// Events of one run follow each other; of others, those of one job or dataset.
fn lane(event: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    match event["run"]["runId"].as_str() {
        Some(run) => run.to_ascii_lowercase(),
        None => ["job", "dataset"].map(|kind| text(&event[kind]["name"])).concat(),
    }
}

/// Whether the same event would be refused again. Others may be the fault of the server, or of how it is asked.
fn is_of_the_event(error: &DeliveryError) -> bool {
    matches!(error, DeliveryError::Status(400 | 413 | 422))
}
