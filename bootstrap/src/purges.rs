//! The task that purges deleted projects when their time is over.

use std::sync::Arc;
use std::time::Duration;

use gadwall_application::projects::{Projects, PurgeRound};
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};

/// How often, unless projects can be brought back for a shorter time.
const EVERY: Duration = Duration::from_mins(1);

/// The task; it ends with this.
#[derive(Debug)]
pub(crate) struct PurgeTask(JoinHandle<()>);

impl PurgeTask {
    /// Starts it: the first round at once, for what an earlier life of the process left undone.
    pub(crate) fn start(projects: Arc<Projects>, undelete_for: Duration) -> Self {
        Self(tokio::spawn(async move {
            let mut rounds = interval(EVERY.min(undelete_for).max(Duration::from_secs(1)));
            rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                rounds.tick().await;
                match projects.purge_due().await {
                    Ok(PurgeRound { purged: 0, .. }) => {}
                    Ok(PurgeRound { purged, freed_bytes, .. }) => {
                        tracing::info!(purged, freed_bytes, "deleted projects were purged");
                    }
                    Err(error) => tracing::warn!(error = %error, "deleted projects were not purged"),
                }
            }
        }))
    }
}

impl Drop for PurgeTask {
    fn drop(&mut self) {
        self.0.abort();
    }
}
