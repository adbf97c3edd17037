//! Telling those who watch how much lineage waits: each project of its own, and admins of all.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use gadwall_application::events::{Audience, Events};
use gadwall_application::lineage::Lineage;
use gadwall_domain::ports::lineage::Backlog;
use gadwall_domain::ports::system::Clock;
use serde_json::{Value, json};

use crate::rounds::Rounds;

/// Starts it. Where nobody watches, nobody is asked.
pub(crate) fn start(lineage: Arc<Lineage>, events: Arc<Events>, clock: Arc<dyn Clock>, every: Duration) -> Rounds {
    Rounds::start(every, move || tell(Arc::clone(&lineage), Arc::clone(&events), Arc::clone(&clock)))
}

async fn tell(lineage: Arc<Lineage>, events: Arc<Events>, clock: Arc<dyn Clock>) {
    for project in events.watched() {
        match lineage.backlog_of(project.as_ref()).await {
            Ok(backlog) => {
                let to = project.map_or(Audience::Admins, Audience::Project);
                events.announce("queue_status", told(backlog, clock.now()), &to);
            }
            Err(error) => {
                tracing::warn!(error = %error, "how much lineage waits could not be told");
                return;
            }
        }
    }
}

/// In the words that clients know. Nothing is queued to be told: who watches follows the log.
fn told(backlog: Backlog, now: DateTime<Utc>) -> Value {
    json!({
        "lineage_events": backlog.waiting,
        "lineage_events_dlq": backlog.dead,
        "lineage_notifications": 0,
        "total_messages": backlog.waiting + backlog.dead,
        "timestamp": now,
    })
}
