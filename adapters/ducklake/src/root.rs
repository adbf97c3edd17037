//! The one DuckDB instance, and another in its place when it broke for good.
//!
//! After a fatal error DuckDB answers nothing any more until it is opened anew. The old instance must be closed by then:
//! two at once on the same files would write over each other. So every connection is counted, those of a broken instance
//! are interrupted, and whoever needs the next one waits until the last of them is back.

use std::collections::HashMap;
use std::ops::Deref;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use duckdb::{Connection, InterruptHandle};
use tokio::sync::watch;

use crate::engine::OpenError;
use crate::error::message;

/// Longest wait for what still runs on a broken instance.
const PATIENCE: Duration = Duration::from_secs(10);
/// An interrupt that comes between two statements has no effect, so it is repeated.
const INTERRUPT_EVERY: Duration = Duration::from_millis(20);

/// How many instances are tried for one connection.
const TRIES: u32 = 3;

type Open = Box<dyn Fn() -> Result<Connection, OpenError> + Send + Sync>;

/// Holds the instance and lends connections.
pub(crate) struct Root {
    open: Open,
    inner: Mutex<Inner>,
    returned: Condvar,
    broken: watch::Sender<u64>,
}

struct Inner {
    /// None while the connections of a broken one come back.
    instance: Option<Connection>,
    generation: u64,
    lent: HashMap<u64, Arc<InterruptHandle>>,
    next: u64,
}

/// A connection of its own for one piece of work.
pub(crate) struct Lent {
    // Closed before it counts as returned: fields are dropped in this order.
    connection: Connection,
    generation: u64,
    _returns: Returns,
}

struct Returns {
    root: Arc<Root>,
    id: u64,
}

impl Deref for Lent {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.connection
    }
}

impl Drop for Returns {
    fn drop(&mut self) {
        self.root.lock().lent.remove(&self.id);
        self.root.returned.notify_all();
    }
}

impl Root {
    /// Opens an instance; the same is done again when it broke.
    pub(crate) fn new(open: Open) -> Result<Arc<Self>, OpenError> {
        let inner = Inner { instance: Some(open()?), generation: 0, lent: HashMap::new(), next: 0 };
        Ok(Arc::new(Self { open, inner: Mutex::new(inner), returned: Condvar::new(), broken: watch::Sender::new(0) }))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A panic while cloning leaves nothing half done, so a poisoned lock is still good.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells when the instance breaks that is there now.
    pub(crate) fn broken(&self) -> watch::Receiver<u64> {
        self.broken.subscribe()
    }

    /// A fresh connection of an instance that works. Blocks.
    pub(crate) fn connect(self: &Arc<Self>) -> Result<Lent, duckdb::Error> {
        for _ in 0..TRIES {
            let lent = self.lend()?;
            match fatal(&lent) {
                Some(error) => self.condemn(lent, &error),
                // Somebody else may have found out first, and interrupted this one while it looked.
                None if lent.generation == self.lock().generation => return Ok(lent),
                None => {}
            }
        }
        Err(unavailable("it breaks again and again"))
    }

    fn lend(self: &Arc<Self>) -> Result<Lent, duckdb::Error> {
        let deadline = Instant::now() + PATIENCE;
        let mut inner = self.lock();
        loop {
            if let Some(instance) = &inner.instance {
                let connection = instance.try_clone()?;
                return Ok(self.register(&mut inner, connection));
            }
            if inner.lent.is_empty() {
                inner.instance = Some((self.open)().map_err(|error| unavailable(&error.to_string()))?);
                tracing::info!("the engine was opened anew");
                continue;
            }
            if Instant::now() >= deadline {
                return Err(unavailable("work on the broken engine doesn't end"));
            }
            inner.lent.values().for_each(|connection| connection.interrupt());
            let waited = self.returned.wait_timeout(inner, INTERRUPT_EVERY);
            inner = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn register(self: &Arc<Self>, inner: &mut Inner, connection: Connection) -> Lent {
        let id = inner.next;
        inner.next += 1;
        inner.lent.insert(id, connection.interrupt_handle());
        Lent { connection, generation: inner.generation, _returns: Returns { root: Arc::clone(self), id } }
    }

    /// Gives an instance up. Whoever else found it broken, too, does nothing.
    fn condemn(&self, lent: Lent, error: &duckdb::Error) {
        let generation = lent.generation;
        drop(lent);
        let mut inner = self.lock();
        if inner.generation != generation {
            return;
        }
        tracing::error!(error = %message(error), "the engine broke and is opened anew");
        inner.generation += 1;
        inner.instance = None;
        self.broken.send_replace(inner.generation);
    }
}

/// Whether an instance broke for good, and with which words it says so.
///
/// Costs under 30 µs for each connection. Nothing is open that could be rolled back, so any instance refuses it, but a broken
/// one for another reason. (A prepared statement would not do: a broken instance still prepares.)
fn fatal(connection: &Connection) -> Option<duckdb::Error> {
    connection.execute_batch("ROLLBACK").err().filter(|error| message(error).starts_with("FATAL Error"))
}

fn unavailable(reason: &str) -> duckdb::Error {
    let message = format!("FATAL Error: the engine broke and could not be opened anew: {reason}");
    duckdb::Error::DuckDBFailure(duckdb::ffi::Error::new(1), Some(message))
}
