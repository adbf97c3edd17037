//! What is done again and again while the server runs.

use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};

/// A task that does a round at once, and then one after each interval; it ends with this.
#[derive(Debug)]
pub(crate) struct Rounds(JoinHandle<()>);

impl Rounds {
    /// Starts it. A round that takes longer than the interval delays the next ones.
    pub(crate) fn start<R>(every: Duration, round: impl Fn() -> R + Send + 'static) -> Self
    where
        R: Future<Output = ()> + Send,
    {
        Self(tokio::spawn(async move {
            let mut ticks = interval(every);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                ticks.tick().await;
                round().await;
            }
        }))
    }
}

impl Drop for Rounds {
    fn drop(&mut self) {
        self.0.abort();
    }
}
