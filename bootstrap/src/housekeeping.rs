//! What is done from time to time: forgetting what need not be kept any longer.

use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use gadwall_application::audit::Audit;
use gadwall_application::error::UseCaseError;
use gadwall_application::events::Events;
use gadwall_application::idempotency::Idempotency;
use gadwall_application::operations::Operations;
use gadwall_application::queries::{BackgroundQueries, Queries};
use gadwall_application::sharing::Sharing;

use crate::lakes::Lakes;
use crate::rounds::Rounds;

/// How often, unless something is kept for a shorter time.
const EVERY: Duration = Duration::from_mins(10);
/// How old a data file must be before it counts as left behind.
const ORPHANED_AFTER: Duration = Duration::from_hours(1);

/// All that keeps something for a while.
pub(crate) struct Keepers {
    pub(crate) idempotency: Arc<Idempotency>,
    pub(crate) operations: Arc<Operations>,
    pub(crate) queries: Arc<Queries>,
    pub(crate) results: Arc<BackgroundQueries>,
    pub(crate) sharing: Arc<Sharing>,
    pub(crate) audit: Arc<Audit>,
    pub(crate) events: Arc<Events>,
    pub(crate) lakes: Lakes,
}

/// Starts it: the first round at once. Results are kept for so long.
pub(crate) fn start(keepers: Keepers, results_for: Duration) -> Rounds {
    let keepers = Arc::new(keepers);
    let every = EVERY.min(results_for).max(Duration::from_secs(1));
    Rounds::start(every, move || {
        let keepers = Arc::clone(&keepers);
        async move { keepers.clean_up().await }
    })
}

impl Keepers {
    async fn clean_up(&self) {
        tell("answers of repeatable requests", self.idempotency.clean_up().await);
        tell("operations", self.operations.clean_up().await);
        tell("the history of queries", self.queries.clean_up().await);
        tell("what was read of others without a link", self.sharing.clean_up().await);
        tell("the audit log", self.audit.clean_up().await);
        tell("the log of events", self.events.clean_up().await);
        let removed = self.lakes.sweep(ORPHANED_AFTER).await;
        tracing::debug!(removed, "files of interrupted writes removed");
        tell("results", self.results.clean_up().await);
    }
}

fn tell(what: &str, cleaned: Result<impl Display, UseCaseError>) {
    match cleaned {
        Ok(removed) => tracing::debug!(%removed, what, "cleaned up"),
        Err(error) => tracing::warn!(%error, what, "not cleaned up"),
    }
}
