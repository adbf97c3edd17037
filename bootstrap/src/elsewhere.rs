//! The task that stops here what other servers are asked to stop.

use std::sync::Arc;

use gadwall_application::elsewhere::Elsewhere;
use gadwall_application::events::Events;
use gadwall_application::operations::Operations;
use gadwall_application::queries::RunningQueries;
use tokio::task::JoinHandle;

/// The task; it ends with this.
#[derive(Debug)]
pub(crate) struct ElsewhereTask(JoinHandle<()>);

impl ElsewhereTask {
    pub(crate) fn start(
        elsewhere: Arc<Elsewhere>,
        queries: Arc<RunningQueries>,
        operations: Arc<Operations>,
        events: Arc<Events>,
    ) -> Self {
        Self(tokio::spawn(async move { elsewhere.serve(&queries, &operations, &events).await }))
    }
}

impl Drop for ElsewhereTask {
    fn drop(&mut self) {
        self.0.abort();
    }
}
