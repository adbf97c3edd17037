//! The task that writes what was refused into the audit log.

use std::sync::Arc;
use std::time::Duration;

use gadwall_application::audit::Audit;
use tokio::time::timeout;

use crate::rounds::Rounds;

/// How soon after a request its refusal is written.
const EVERY: Duration = Duration::from_secs(1);
/// How long the last ones may take to be written down when the server stops.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// The task; it ends with this.
#[derive(Debug)]
pub(crate) struct RefusalsTask {
    rounds: Rounds,
    audit: Arc<Audit>,
}

impl RefusalsTask {
    /// Starts it. A crash loses what was refused since its last round.
    pub(crate) fn start(audit: Arc<Audit>) -> Self {
        let of_round = Arc::clone(&audit);
        let rounds = Rounds::start(EVERY, move || {
            let audit = Arc::clone(&of_round);
            async move { write(&audit, false).await }
        });
        Self { rounds, audit }
    }

    /// Ends it once all that was refused by now is written.
    pub(crate) async fn finish(self) {
        drop(self.rounds);
        if timeout(LAST_WORDS, write(&self.audit, true)).await.is_err() {
            tracing::warn!("the last refusals are missing in the audit log");
        }
    }
}

async fn write(audit: &Audit, is_last: bool) {
    if let Err(error) = audit.write_refusals(is_last).await {
        tracing::warn!(error = %error, dropped = audit.dropped(), "refused requests are missing in the audit log");
    }
}
