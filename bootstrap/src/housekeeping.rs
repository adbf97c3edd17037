//! What is done from time to time: forgetting what need not be kept any longer.

use std::sync::Arc;
use std::time::Duration;

use gadwall_application::audit::Audit;
use gadwall_application::events::Events;
use gadwall_application::idempotency::Idempotency;
use gadwall_application::operations::Operations;
use gadwall_application::queries::{BackgroundQueries, Queries};
use gadwall_application::sharing::Sharing;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};

use crate::lakes::Lakes;

/// How often, unless something is kept for a shorter time.
const EVERY: Duration = Duration::from_mins(10);
/// How old a data file must be before it counts as left behind.
const ORPHANED_AFTER: Duration = Duration::from_hours(1);

/// The task that does it; it ends with this.
#[derive(Debug)]
pub(crate) struct Housekeeping(JoinHandle<()>);

impl Housekeeping {
    /// Starts it: the first round at once.
    pub(crate) fn start(
        idempotency: Arc<Idempotency>,
        operations: Arc<Operations>,
        queries: Arc<Queries>,
        results: (Arc<BackgroundQueries>, Duration),
        sharing: Arc<Sharing>,
        (audit, events): (Arc<Audit>, Arc<Events>),
        lakes: Lakes,
    ) -> Self {
        let (results, kept_for) = results;
        Self(tokio::spawn(async move {
            let mut rounds = interval(EVERY.min(kept_for).max(Duration::from_secs(1)));
            rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                rounds.tick().await;
                match idempotency.clean_up().await {
                    Ok(forgotten) => tracing::debug!(forgotten, "answers of repeatable requests forgotten"),
                    Err(error) => tracing::warn!(error = %error, "answers of repeatable requests were not cleaned up"),
                }
                match operations.clean_up().await {
                    Ok(forgotten) => tracing::debug!(forgotten, "operations forgotten"),
                    Err(error) => tracing::warn!(error = %error, "operations were not cleaned up"),
                }
                match queries.clean_up().await {
                    Ok(forgotten) => tracing::debug!(forgotten, "queries forgotten"),
                    Err(error) => tracing::warn!(error = %error, "the history of queries was not cleaned up"),
                }
                match sharing.clean_up().await {
                    Ok(ended) => tracing::debug!(ended, "what was read of others without a link ended"),
                    Err(error) => tracing::warn!(error = %error, "what is read of others was not cleaned up"),
                }
                match audit.clean_up().await {
                    Ok(forgotten) => tracing::debug!(forgotten, "audit entries forgotten"),
                    Err(error) => tracing::warn!(error = %error, "the audit log was not cleaned up"),
                }
                match events.clean_up().await {
                    Ok(forgotten) => tracing::debug!(forgotten, "events forgotten"),
                    Err(error) => tracing::warn!(error = %error, "the log of events was not cleaned up"),
                }
                let removed = lakes.sweep(ORPHANED_AFTER).await;
                tracing::debug!(removed, "files of interrupted writes removed");
                match results.clean_up().await {
                    Ok(deleted) => tracing::debug!(deleted, "results deleted"),
                    Err(error) => tracing::warn!(error = %error, "results were not cleaned up"),
                }
            }
        }))
    }
}

impl Drop for Housekeeping {
    fn drop(&mut self) {
        self.0.abort();
    }
}
