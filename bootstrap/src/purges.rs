//! Purging deleted projects when their time is over.

use std::sync::Arc;
use std::time::Duration;

use gadwall_application::projects::{Projects, PurgeRound};

use crate::rounds::Rounds;

/// How often, unless projects can be brought back for a shorter time.
const EVERY: Duration = Duration::from_mins(1);

/// Starts it: the first round at once, for what an earlier life of the process left undone.
pub(crate) fn start(projects: Arc<Projects>, undelete_for: Duration) -> Rounds {
    let every = EVERY.min(undelete_for).max(Duration::from_secs(1));
    Rounds::start(every, move || purge(Arc::clone(&projects)))
}

async fn purge(projects: Arc<Projects>) {
    match projects.purge_due().await {
        Ok(PurgeRound { purged: 0, .. }) => {}
        Ok(PurgeRound { purged, freed_bytes, .. }) => {
            tracing::info!(purged, freed_bytes, "deleted projects were purged");
        }
        Err(error) => tracing::warn!(error = %error, "deleted projects were not purged"),
    }
}
