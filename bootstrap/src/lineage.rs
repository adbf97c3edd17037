//! The task that works off what events of lineage say of datasets.

use std::sync::Arc;
use std::time::Duration;

use gadwall_application::lineage::Lineage;
use tokio::task::JoinHandle;
use tokio::time::sleep;

/// How long the queue isn't looked at, unless something comes here. What another server left behind waits so long.
const EVERY: Duration = Duration::from_secs(1);

/// The task; it ends with this. What it was at is done by who comes next.
#[derive(Debug)]
pub(crate) struct LineageTask(JoinHandle<()>);

impl LineageTask {
    /// Starts it: at once, for what an earlier life of the process left.
    pub(crate) fn start(lineage: Arc<Lineage>) -> Self {
        Self(tokio::spawn(async move {
            loop {
                match lineage.work_off().await {
                    Ok(0) => lineage.wait(EVERY).await,
                    Ok(events) => tracing::debug!(events, "events of lineage worked off"),
                    Err(error) => {
                        tracing::warn!(error = %error, "events of lineage were not worked off");
                        sleep(EVERY).await;
                    }
                }
            }
        }))
    }
}

impl Drop for LineageTask {
    fn drop(&mut self) {
        self.0.abort();
    }
}
