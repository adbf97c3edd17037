//! The one DuckDB instance, and another in its place when it broke for good.
//!
//! After a fatal error an instance answers nothing any more; it has to be replaced. What still runs on it is interrupted,
//! and whoever needs a connection waits until the last of its own is back: two instances must never be at work on the
//! same files.
//!
//! Its connections are never closed: with a transaction open in a lake, closing one would end the process (DuckLake
//! throws where DuckDB can't catch, see docs/engine-facts.md). So a broken instance is left lying with its memory. It
//! does nothing any more, and what it has not written is lost, as in a crash.
//!
//! One that works may be replaced as well: then what runs on it may end, and it is closed for good.

use std::cell::Cell;
use std::collections::HashMap;
use std::ops::Deref;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::{Duration, Instant};

use duckdb::{Connection, InterruptHandle};
use gadwall_domain::ids::LakeId;
use tokio::sync::watch;

use crate::engine::OpenError;
use crate::error::message;
use crate::readers::{Reader, Readers, Reads};

/// Longest wait for what still runs on a broken instance.
const PATIENCE: Duration = Duration::from_secs(10);
/// Connections that are kept for questions about statements, while nobody asks.
const MAX_ASIDE: usize = 4;
/// Longest time in which work may end by itself, when a working instance is to be replaced.
const DRAIN: Duration = Duration::from_secs(4);
/// An interrupt that comes between two statements has no effect, so it is repeated.
const INTERRUPT_EVERY: Duration = Duration::from_millis(20);

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
    lent: HashMap<u64, Arc<Interrupter>>,
    next: u64,
    /// Connections of the instance on which questions stay prepared, none of them in a transaction.
    aside: Vec<Connection>,
    /// Connections of the instance in transactions that go on with the next query.
    readers: Readers,
    /// Whether somebody waits for the end of all work, to replace an instance that works.
    draining: bool,
}

/// Why a working instance was not replaced.
#[derive(Debug)]
pub(crate) enum ReopenError {
    /// Work on it doesn't end, or somebody else replaces it. It is there as before.
    Busy,
    /// No other could be opened. The next one who needs it tries again.
    Failed(OpenError),
}

/// Interrupts a connection for as long as it is lent. The crate's own handle may not be used while its connection is
/// being closed.
pub(crate) struct Interrupter(Mutex<Option<Arc<InterruptHandle>>>);

impl Interrupter {
    fn lock(&self) -> MutexGuard<'_, Option<Arc<InterruptHandle>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn interrupt(&self) {
        if let Some(handle) = &*self.lock() {
            handle.interrupt();
        }
    }
}

/// A connection of its own for one piece of work.
pub(crate) struct Lent {
    root: Arc<Root>,
    id: u64,
    generation: u64,
    interrupter: Arc<Interrupter>,
    /// There until this is dropped.
    connection: Option<Connection>,
    /// Whether it measures what statements take.
    profiled: Cell<bool>,
    /// What its transaction reads, if it was open before.
    reads: Option<Reads>,
}

impl Lent {
    /// Interrupts what runs on it.
    pub(crate) fn interrupter(&self) -> Arc<Interrupter> {
        Arc::clone(&self.interrupter)
    }

    /// Whether it measures what statements take.
    pub(crate) fn is_profiled(&self) -> bool {
        self.profiled.get()
    }

    /// It does from now on.
    pub(crate) fn set_profiled(&self) {
        self.profiled.set(true);
    }

    /// Whether it came with a transaction.
    pub(crate) fn goes_on(&self) -> bool {
        self.reads.is_some()
    }

    /// Leaves its transaction open for the next query, if its lake still stands where it stood. Only for one in which nothing went
    /// wrong, nothing was written and nothing was left behind.
    pub(crate) fn keep(mut self, reads: Reads, stands_still: impl FnOnce() -> bool) {
        let Some(connection) = self.connection.take() else { return };
        // Whoever wanted this stopped has no part in what runs on it next.
        *self.interrupter.lock() = None;
        let reads = self.reads.unwrap_or(reads);
        let reader = Reader { connection, reads, profiled: self.profiled.get() };
        let mut inner = self.root.lock();
        // Asked under the lock: a commit that begins now ends it, as soon as it gets that.
        let stays =
            stands_still() && inner.generation == self.generation && inner.instance.is_some() && !reads.is_old();
        let gone = if stays { inner.readers.put(reader) } else { Some(reader) };
        drop(inner);
        self.root.end(self.generation, gone);
    }

    /// Ends the transactions of a lake that nobody uses at the moment.
    pub(crate) fn end_readers(&self, lake: LakeId) {
        let ending = self.root.lock().readers.of(lake);
        self.root.end(self.generation, ending);
    }

    /// A connection of the same instance for questions that are asked again and again: `prepare_cached` keeps them, which
    /// saves most of what they cost. Nothing else may be left on it. It sees nothing of this one's transaction.
    pub(crate) fn aside(&self) -> Result<Aside<'_>, duckdb::Error> {
        let mut inner = self.root.lock();
        let kept = if inner.generation == self.generation { inner.aside.pop() } else { None };
        drop(inner);
        let connection = kept.map_or_else(|| self.try_clone(), Ok)?;
        Ok(Aside { of: self, connection: Some(connection) })
    }
}

/// A connection for questions, given back before the one that it was asked for with.
pub(crate) struct Aside<'a> {
    of: &'a Lent,
    /// There until this is dropped.
    connection: Option<Connection>,
}

impl Deref for Aside<'_> {
    type Target = Connection;

    #[expect(clippy::expect_used, reason = "it is taken out only when this is dropped")]
    fn deref(&self) -> &Connection {
        self.connection.as_ref().expect("a connection for questions is there")
    }
}

impl Drop for Aside<'_> {
    fn drop(&mut self) {
        let Some(connection) = self.connection.take() else { return };
        let mut inner = self.of.root.lock();
        if inner.generation != self.of.generation {
            // As with any other of an instance that broke.
            std::mem::forget(connection);
        } else if inner.instance.is_some() && inner.aside.len() < MAX_ASIDE {
            inner.aside.push(connection);
        } else {
            drop(inner);
            drop(connection);
        }
    }
}

impl Deref for Lent {
    type Target = Connection;

    #[expect(clippy::expect_used, reason = "it is taken out only when this is dropped")]
    fn deref(&self) -> &Connection {
        self.connection.as_ref().expect("a connection that is lent is there")
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        *self.interrupter.lock() = None;
        if let Some(connection) = self.connection.take() {
            self.root.close(self.generation, connection);
        }
        self.root.lock().lent.remove(&self.id);
        self.root.returned.notify_all();
    }
}

impl Root {
    /// Opens an instance; the same is done again when it broke.
    pub(crate) fn new(open: Open) -> Result<Arc<Self>, OpenError> {
        let inner = Inner {
            instance: Some(open()?),
            generation: 0,
            lent: HashMap::new(),
            next: 0,
            aside: Vec::new(),
            readers: Readers::default(),
            draining: false,
        };
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

    /// Whether a connection is out.
    pub(crate) fn is_lending(&self) -> bool {
        !self.lock().lent.is_empty()
    }

    /// How many connections are out.
    pub(crate) fn lending(&self) -> usize {
        self.lock().lent.len()
    }

    /// Lets work end, closes the instance, and opens another. Whoever comes meanwhile waits for that. Blocks.
    pub(crate) fn reopen(&self) -> Result<(), ReopenError> {
        let mut inner = self.lock();
        if inner.draining {
            return Err(ReopenError::Busy);
        }
        // One that broke is replaced by who needs it next; there is nothing to be waited for but that.
        let old = inner.instance.take();
        let aside = std::mem::take(&mut inner.aside);
        let readers = inner.readers.all();
        let generation = inner.generation;
        inner.draining = true;
        // At once: who works on it still may want to detach a lake.
        drop(inner);
        self.end(generation, readers);
        let mut inner = self.lock();
        let begun = Instant::now();
        let deadline = begun + PATIENCE;
        let mut told = false;
        while !inner.lent.is_empty() && Instant::now() < deadline {
            if begun.elapsed() >= DRAIN {
                inner.lent.values().for_each(|connection| connection.interrupt());
                if !told {
                    // Those who wait for a slow reader don't hear an interrupt.
                    self.broken.send_replace(generation);
                    told = true;
                }
            }
            let waited = self.returned.wait_timeout(inner, INTERRUPT_EVERY);
            inner = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        if !inner.lent.is_empty() {
            inner.draining = false;
            // It may have broken meanwhile; then it is no good any more.
            inner.instance = old.filter(|_| inner.generation == generation);
            self.returned.notify_all();
            return Err(ReopenError::Busy);
        }
        // Nobody gets a connection meanwhile, and those who only look need not wait.
        drop(inner);
        // Closed before the next one is opened: two must never be at work on the same files.
        drop(aside);
        drop(old);
        let opened = (self.open)();
        let mut inner = self.lock();
        inner.draining = false;
        let done = opened.map(|instance| inner.instance = Some(instance)).map_err(ReopenError::Failed);
        drop(inner);
        self.returned.notify_all();
        done
    }

    /// A fresh connection. Blocks.
    pub(crate) fn connect(self: &Arc<Self>) -> Result<Lent, duckdb::Error> {
        let deadline = Instant::now() + PATIENCE;
        let mut inner = self.lock();
        loop {
            if let Some(instance) = &inner.instance {
                let connection = instance.try_clone()?;
                let (old, lent) = (inner.readers.old(), self.lend(&mut inner, connection, false, None));
                drop(inner);
                // While one is lent, nobody opens another instance.
                self.end(lent.generation, old);
                return Ok(lent);
            }
            if inner.lent.is_empty() && !inner.draining {
                inner.instance = Some((self.open)().map_err(|error| unavailable(&error.to_string()))?);
                tracing::info!("the engine was opened anew");
                continue;
            }
            if Instant::now() >= deadline {
                return Err(unavailable("work on the broken one doesn't end"));
            }
            if !inner.draining {
                inner.lent.values().for_each(|connection| connection.interrupt());
            }
            let waited = self.returned.wait_timeout(inner, INTERRUPT_EVERY);
            inner = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// A connection in a transaction that reads a lake as it is in this turn, if there is one. Never waits: who has the lock may be
    /// opening an instance, and wait for who asks.
    pub(crate) fn reader(self: &Arc<Self>, lake: LakeId, turn: u64) -> Option<Lent> {
        let mut inner = match self.inner.try_lock() {
            Ok(inner) => inner,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return None,
        };
        let Reader { connection, reads, profiled } = inner.readers.take(lake, turn)?;
        Some(self.lend(&mut inner, connection, profiled, Some(reads)))
    }

    #[cfg(test)]
    pub(crate) fn readers(&self) -> usize {
        self.lock().readers.len()
    }

    /// Ends the transactions of an instance, and closes their connections.
    fn end(&self, generation: u64, readers: impl IntoIterator<Item = Reader>) {
        readers.into_iter().for_each(|reader| self.close(generation, reader.connection));
    }

    /// Ends what is open on a connection, and closes it unless its instance broke.
    fn close(&self, generation: u64, connection: Connection) {
        let error = fatal(&connection);
        if let Some(error) = &error {
            self.condemn(generation, error);
        }
        if error.is_some() || self.lock().generation != generation {
            // Closing it might end the process.
            std::mem::forget(connection);
        }
    }

    fn lend(self: &Arc<Self>, inner: &mut Inner, connection: Connection, profiled: bool, reads: Option<Reads>) -> Lent {
        let id = inner.next;
        inner.next += 1;
        let interrupter = Arc::new(Interrupter(Mutex::new(Some(connection.interrupt_handle()))));
        inner.lent.insert(id, Arc::clone(&interrupter));
        let (root, generation) = (Arc::clone(self), inner.generation);
        let profiled = Cell::new(profiled);
        Lent { root, id, generation, interrupter, connection: Some(connection), profiled, reads }
    }

    /// Gives an instance up. Whoever else finds it broken, too, does nothing.
    fn condemn(&self, generation: u64, error: &duckdb::Error) {
        let mut inner = self.lock();
        if inner.generation != generation {
            return;
        }
        tracing::error!(error = %message(error), "the engine broke and is opened anew; its memory stays taken");
        inner.generation += 1;
        // The instance's first connection never has a transaction, and others outlive it.
        inner.instance = None;
        inner.aside.drain(..).for_each(std::mem::forget);
        inner.readers.all().into_iter().for_each(std::mem::forget);
        self.broken.send_replace(inner.generation);
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        let mut inner = self.lock();
        let (readers, generation) = (inner.readers.all(), inner.generation);
        drop(inner);
        self.end(generation, readers);
    }
}

/// Whether an instance broke for good, and with which words it says so.
///
/// Asked of a connection that did its work: any instance refuses to roll back where nothing is open, but a broken one for
/// another reason. It costs less than 30 µs.
fn fatal(connection: &Connection) -> Option<duckdb::Error> {
    connection.execute_batch("ROLLBACK").err().filter(|error| message(error).starts_with("FATAL Error"))
}

fn unavailable(reason: &str) -> duckdb::Error {
    let message = format!("FATAL Error: the engine broke and could not be opened anew: {reason}");
    duckdb::Error::DuckDBFailure(duckdb::ffi::Error::new(1), Some(message))
}
