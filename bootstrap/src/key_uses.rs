//! The task that writes down when keys were last used.

use std::sync::Arc;
use std::time::Duration;

use gadwall_application::access::Access;
use tokio::time::timeout;

use crate::rounds::Rounds;

/// How long the last uses may take to be written down when the server stops.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// The task; it ends with this.
#[derive(Debug)]
pub(crate) struct KeyUsesTask {
    rounds: Rounds,
    access: Arc<Access>,
}

impl KeyUsesTask {
    /// Starts it. A crash loses what is noted since its last round.
    pub(crate) fn start(access: Arc<Access>, every: Duration) -> Self {
        let of_round = Arc::clone(&access);
        let rounds = Rounds::start(every, move || {
            let access = Arc::clone(&of_round);
            async move { write(&access).await }
        });
        Self { rounds, access }
    }

    /// Ends it once all that is noted by now is written.
    pub(crate) async fn finish(self) {
        drop(self.rounds);
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
