//! Long work on the engine that stops when nobody waits for it any more.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use gadwall_domain::operation::Progress;
use gadwall_domain::ports::transfer::{TransferError, Watcher};
use gadwall_domain::query::QueryError;
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::engine::Engine;
use crate::error::{fault, lake_error};
use crate::priority;
use crate::query::watch;
use crate::root::Lent;

/// How often the growth of a file is told.
const TELL_EVERY: Duration = Duration::from_millis(250);

/// Runs work on a blocking thread with a connection of its own. It is interrupted when this is dropped, or when the
/// limit is over. The number of these is bounded by who starts them: so much work in the background at once.
pub(super) async fn interruptible<T, F>(engine: &Arc<Engine>, limit: Duration, work: F) -> Result<T, TransferError>
where
    T: Send + 'static,
    F: FnOnce(&Lent) -> Result<T, TransferError> + Send + 'static,
{
    let (handle_tx, handle) = oneshot::channel();
    let (done_tx, done) = oneshot::channel();
    let (alive, gone) = oneshot::channel::<()>();
    let timed_out = Arc::new(AtomicBool::new(false));
    let (engine, span) = (Arc::clone(engine), tracing::Span::current());
    let job = tokio::task::spawn_blocking(move || {
        let run = || {
            priority::give_way();
            let connection = engine.connect().map_err(|error| lake_error(&error))?;
            // Nobody may wait any more; then the watcher is gone, or interrupts at once.
            let _ = handle_tx.send(connection.interrupter());
            work(&connection)
        };
        // What nobody takes is dropped, and with it what was written.
        drop(done_tx.send(span.in_scope(run)));
    });
    tokio::spawn(watch(handle, gone, Instant::now() + limit, Arc::clone(&timed_out), job));
    let result = done.await.unwrap_or_else(|_| Err(fault("work on the engine panicked").into()));
    drop(alive);
    match result {
        Err(_) if timed_out.load(Ordering::Acquire) => Err(QueryError::Timeout(limit).into()),
        result => result,
    }
}

/// Tells how a file grows while work goes on.
pub(super) async fn watched<T>(path: &Path, watcher: &Watcher, work: impl Future<Output = T>) -> T {
    let tell = async {
        loop {
            tokio::time::sleep(TELL_EVERY).await;
            if let Ok(file) = tokio::fs::metadata(path).await {
                watcher(Progress { percent: None, rows: 0, bytes: file.len() });
            }
        }
    };
    tokio::select! {
        done = work => done,
        () = tell => std::future::pending().await,
    }
}
