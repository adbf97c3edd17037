//! Stopping what reads linked buckets here when another server ended their shares or links.

use std::sync::Arc;
use std::time::Duration;

use gadwall_application::sharing::Sharing;

use crate::rounds::Rounds;

/// How long reads may go on that another server ended.
const EVERY: Duration = Duration::from_secs(1);

/// Starts it. Where nothing linked is read it asks nobody.
pub(crate) fn start(sharing: Arc<Sharing>) -> Rounds {
    Rounds::start(EVERY, move || stop_ended(Arc::clone(&sharing)))
}

async fn stop_ended(sharing: Arc<Sharing>) {
    if let Err(error) = sharing.stop_ended().await {
        tracing::warn!(error = %error, "whether links have ended could not be told");
    }
}
