//! How a statement's rows come from the thread that it runs on to who reads them.

use std::pin::Pin;
use std::task::{Context, Poll};

use arrow::array::RecordBatch;
use futures_core::Stream;
use gadwall_domain::query::QueryError;
use tokio::runtime::Handle;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

/// How a statement ended. Apart from the batches, so that it arrives also where no batch fits any more.
pub(crate) type Ended = Result<(), QueryError>;

/// The batches of a running statement. Dropping it drops `_alive`, which the watcher sees.
pub(crate) struct Output {
    pub(crate) batches: mpsc::Receiver<Result<RecordBatch, QueryError>>,
    pub(crate) ended: Option<oneshot::Receiver<Ended>>,
    pub(crate) _alive: oneshot::Sender<()>,
}

impl Stream for Output {
    type Item = Result<RecordBatch, QueryError>;

    /// Ends well only if the statement said that it did: one that just stopped is a failure.
    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Some(batch) = std::task::ready!(self.batches.poll_recv(context)) {
            return Poll::Ready(Some(batch));
        }
        let Some(ended) = &mut self.ended else { return Poll::Ready(None) };
        let ended = std::task::ready!(Pin::new(ended).poll(context));
        self.ended = None;
        let stopped = |_| Err(QueryError::Engine("the query stopped before its last row".to_owned()));
        Poll::Ready(ended.unwrap_or_else(stopped).err().map(Err))
    }
}

/// Hands batches to the reader.
pub(crate) struct Sender {
    pub(crate) runtime: Handle,
    pub(crate) batches: mpsc::Sender<Result<RecordBatch, QueryError>>,
    pub(crate) broken: watch::Receiver<u64>,
}

/// Why a batch wasn't handed over.
pub(crate) enum Unsent {
    /// The reader went away.
    Gone,
    /// The reader didn't take it in time.
    Late,
    /// The engine broke, and others wait until it can be opened anew.
    Broken,
}

impl Sender {
    /// Waits for a slow reader, but not for ever: it holds a place that others wait for.
    pub(crate) fn send(&self, batch: RecordBatch, deadline: Instant) -> Result<(), Unsent> {
        // Mostly there is room, and waiting costs more than a batch does.
        let batch = match self.batches.try_send(Ok(batch)) {
            Ok(()) => return Ok(()),
            Err(TrySendError::Closed(_)) => return Err(Unsent::Gone),
            Err(TrySendError::Full(batch)) => batch,
        };
        let mut broken = self.broken.clone();
        self.runtime.block_on(async {
            tokio::select! {
                biased;
                sent = self.batches.send(batch) => sent.map_err(|_| Unsent::Gone),
                _ = broken.changed() => Err(Unsent::Broken),
                () = tokio::time::sleep_until(deadline) => Err(Unsent::Late),
            }
        })
    }
}
