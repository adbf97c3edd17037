//! Work beside requests: so much at once, so much waiting, and none after the server's end.

use std::sync::{Arc, Mutex, PoisonError};

use gadwall_domain::ports::background::{Background, BackgroundFull, Place, Work};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tracing::Instrument as _;

/// Pieces of work that run at once.
const RUNNING: usize = 4;
/// Pieces of work that wait for one of those places.
pub(crate) const WAITING: usize = 100;

/// Runs work on tokio.
#[derive(Debug)]
pub(crate) struct TokioBackground {
    running: Arc<Semaphore>,
    accepted: Arc<Semaphore>,
    tasks: Arc<Mutex<JoinSet<()>>>,
}

/// Stops all work when it is dropped.
#[derive(Debug)]
pub(crate) struct StopBackground(Arc<TokioBackground>);

impl Drop for StopBackground {
    fn drop(&mut self) {
        self.0.accepted.close();
        self.0.tasks.lock().unwrap_or_else(PoisonError::into_inner).abort_all();
    }
}

impl TokioBackground {
    pub(crate) fn new() -> Arc<Self> {
        Self::of(RUNNING, WAITING)
    }

    pub(crate) fn of(running: usize, waiting: usize) -> Arc<Self> {
        Arc::new(Self {
            running: Arc::new(Semaphore::new(running)),
            accepted: Arc::new(Semaphore::new(running + waiting)),
            tasks: Arc::default(),
        })
    }

    /// The guard that ends its work with the server.
    pub(crate) fn stop_with(self: &Arc<Self>) -> StopBackground {
        StopBackground(Arc::clone(self))
    }
}

impl Background for TokioBackground {
    fn reserve(&self) -> Result<Box<dyn Place>, BackgroundFull> {
        let accepted = Arc::clone(&self.accepted).try_acquire_owned().map_err(|_| BackgroundFull)?;
        Ok(Box::new(TokioPlace { accepted, running: Arc::clone(&self.running), tasks: Arc::clone(&self.tasks) }))
    }
}

struct TokioPlace {
    accepted: OwnedSemaphorePermit,
    running: Arc<Semaphore>,
    tasks: Arc<Mutex<JoinSet<()>>>,
}

impl Place for TokioPlace {
    fn start(self: Box<Self>, name: &'static str, work: Work) {
        let Self { accepted, running, tasks } = *self;
        let task = async move {
            let _accepted = accepted;
            // Closed only with the process.
            let Ok(_turn) = running.acquire_owned().await else { return };
            work.await;
        };
        let mut tasks = tasks.lock().unwrap_or_else(PoisonError::into_inner);
        // What has ended makes room; a panic was told when it happened.
        while tasks.try_join_next().is_some() {}
        tasks.spawn(task.instrument(tracing::info_span!("background", name, otel.kind = "internal")));
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn so_much_runs_so_much_waits_and_the_rest_is_refused() {
        let background = TokioBackground::of(1, 1);
        let (told, mut heard) = mpsc::channel(10);
        let (go, gate) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
        let work = |number: u32| -> Work {
            let (told, gate) = (told.clone(), Arc::clone(&gate));
            Box::pin(async move {
                told.send(number).await.unwrap();
                gate.acquire().await.unwrap().forget();
            })
        };
        background.reserve().unwrap().start("first", work(1));
        background.reserve().unwrap().start("second", work(2));
        assert_eq!(background.reserve().err(), Some(BackgroundFull));
        assert_eq!(heard.recv().await, Some(1));
        tokio::task::yield_now().await;
        assert!(heard.try_recv().is_err(), "the second waits");
        gate.add_permits(1);
        assert_eq!(heard.recv().await, Some(2));
        let unused = background.reserve().unwrap();
        assert!(background.reserve().is_err());
        drop(unused);
        assert!(background.reserve().is_ok());
        drop((background.stop_with(), go));
        assert!(background.reserve().is_err(), "nothing begins after the end");
        drop(told);
        assert_eq!(heard.recv().await, None, "what ran was stopped");
    }
}
