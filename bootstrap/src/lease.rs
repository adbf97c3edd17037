//! Tells the other servers that this one is alive, and ends what those left behind that are not.

use std::sync::Arc;
use std::time::Duration;

use gadwall_application::error::UseCaseError;
use gadwall_application::instances::Instances;
use gadwall_application::operations::Operations;
use gadwall_application::queries::BackgroundQueries;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval_at};

/// How often work is looked for whose server is gone, but whose end nobody told: its server, or who was to tell, died
/// over it.
const LOOK_EVERY: Duration = Duration::from_mins(10);

/// Longest that an end in order waits for the store: the others find out by themselves.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// What belongs to a life of a server.
#[derive(Debug, Clone)]
pub(crate) struct Work {
    pub(crate) instances: Arc<Instances>,
    pub(crate) operations: Arc<Operations>,
    pub(crate) background: Arc<BackgroundQueries>,
}

/// The task that does it; it ends with this.
#[derive(Debug)]
pub(crate) struct Lease {
    task: Option<JoinHandle<()>>,
    work: Work,
}

impl Lease {
    /// A lease that has begun and that nobody else asks for.
    pub(crate) fn alone(work: Work) -> Self {
        Self { task: None, work }
    }

    /// Renews the lease, which has begun, so often.
    pub(crate) fn keep(work: Work, every: Duration) -> Self {
        let kept = work.clone();
        let task = tokio::spawn(async move {
            let mut rounds = interval_at(tokio::time::Instant::now() + every, every);
            rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
            let mut looked = tokio::time::Instant::now();
            loop {
                rounds.tick().await;
                let look = looked.elapsed() >= LOOK_EVERY;
                match kept.round(look).await {
                    Ok(()) if look => looked = tokio::time::Instant::now(),
                    Ok(()) => {}
                    Err(error) => {
                        tracing::warn!(error = %error, "the other servers were not told that this one is alive");
                    }
                }
            }
        });
        Self { task: Some(task), work }
    }

    /// Ends it in order: what this server was at is told as ended, and nobody waits to hear of it again.
    pub(crate) async fn end(self) {
        self.stop();
        let ended = async {
            self.work.instances.end().await?;
            self.work.mark_interrupted().await
        };
        match tokio::time::timeout(LAST_WORDS, ended).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(error = %error, "the other servers were not told that this one ends"),
            Err(_) => tracing::warn!("the other servers were not told in time that this one ends"),
        }
    }

    fn stop(&self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Work {
    async fn round(&self, look: bool) -> Result<(), UseCaseError> {
        let dead = self.instances.renew().await?;
        if !dead.is_empty() || look {
            self.mark_interrupted().await?;
        }
        if !dead.is_empty() {
            tracing::info!(instances = ?dead, "servers were not heard of any more; what they were at is ended");
            self.instances.forget(&dead).await?;
        }
        Ok(())
    }

    /// Tells the end of work whose server lives no more.
    pub(crate) async fn mark_interrupted(&self) -> Result<(), UseCaseError> {
        self.operations.mark_interrupted().await?;
        self.background.mark_interrupted().await
    }
}
