//! The task that writes down when keys were last used.

use std::sync::Arc;
use std::time::Duration;

use gadwall_application::access::Access;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, timeout};

/// How long the last uses may take to be written down when the server stops.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// The task; it ends with this.
#[derive(Debug)]
pub(crate) struct KeyUsesTask {
    task: JoinHandle<()>,
    access: Arc<Access>,
}

impl KeyUsesTask {
    /// Starts it. A crash loses what is noted since its last round.
    pub(crate) fn start(access: Arc<Access>, every: Duration) -> Self {
        let of_task = Arc::clone(&access);
        let task = tokio::spawn(async move {
            let mut rounds = interval(every);
            rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                rounds.tick().await;
                write(&of_task).await;
            }
        });
        Self { task, access }
    }

    /// Ends it once all that is noted by now is written.
    pub(crate) async fn finish(self) {
        self.task.abort();
        if timeout(LAST_WORDS, write(&self.access)).await.is_err() {
            tracing::warn!("the last uses of keys are not written down");
        }
    }
}

async fn write(access: &Access) {
    match access.write_uses().await {
        Ok(keys) => tracing::debug!(keys, "uses of keys written down"),
        Err(error) => tracing::warn!(error = %error, "uses of keys were not written down"),
    }
}

impl Drop for KeyUsesTask {
    fn drop(&mut self) {
        self.task.abort();
    }
}
