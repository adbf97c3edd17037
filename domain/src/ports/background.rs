//! Work that goes on after its request was answered.

use std::pin::Pin;

use thiserror::Error;

/// A piece of work.
pub type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Too much work waits already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("too much work waits already")]
pub struct BackgroundFull;

/// Runs work beside requests: so much at once, so much waiting.
pub trait Background: Send + Sync {
    /// Takes a place in the queue, given back when dropped.
    fn reserve(&self) -> Result<Box<dyn Place>, BackgroundFull>;
}

/// A place in the queue of work.
pub trait Place: Send {
    /// Lets the work run once its turn comes. The name is for the log.
    fn start(self: Box<Self>, name: &'static str, work: Work);
}
