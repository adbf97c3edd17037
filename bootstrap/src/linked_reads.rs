//! The task that stops what reads linked buckets here when another server ended their shares or links.

use std::sync::Arc;
use std::time::Duration;

use gadwall_application::sharing::Sharing;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};

/// How long reads may go on that another server ended.
const EVERY: Duration = Duration::from_secs(1);

/// The task; it ends with this.
#[derive(Debug)]
pub(crate) struct LinkedReadsTask(JoinHandle<()>);

impl LinkedReadsTask {
    /// Starts it. Where nothing linked is read it asks nobody.
    pub(crate) fn start(sharing: Arc<Sharing>) -> Self {
        Self(tokio::spawn(async move {
            let mut rounds = interval(EVERY);
            rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                rounds.tick().await;
                if let Err(error) = sharing.stop_ended().await {
                    tracing::warn!(error = %error, "whether links have ended could not be told");
                }
            }
        }))
    }
}

impl Drop for LinkedReadsTask {
    fn drop(&mut self) {
        self.0.abort();
    }
}
