//! The task that writes down what was asked.

use std::time::Duration;

use gadwall_application::queries::QueryLogWriter;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// How long the last queries may take to be written down when the server stops.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// The task; it ends with this.
#[derive(Debug)]
pub(crate) struct QueryLogTask {
    task: JoinHandle<()>,
    stop: Option<oneshot::Sender<()>>,
}

impl QueryLogTask {
    /// Starts it.
    pub(crate) fn start(writer: QueryLogWriter) -> Self {
        let (stop, stopped) = oneshot::channel::<()>();
        let stopped = async {
            // A dropped sender stops it as well as a sent message.
            let _ = stopped.await;
        };
        Self { task: tokio::spawn(writer.run(stopped)), stop: Some(stop) }
    }

    /// Ends it once all that ended by now is written.
    pub(crate) async fn finish(mut self) {
        drop(self.stop.take());
        if timeout(LAST_WORDS, &mut self.task).await.is_err() {
            tracing::warn!("the last queries are missing in the history");
        }
    }
}

impl Drop for QueryLogTask {
    fn drop(&mut self) {
        self.task.abort();
    }
}
