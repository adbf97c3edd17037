//! The engines that are open.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use gadwall_domain::ids::LakeId;
use gadwall_domain::ports::lake::LakeError;
use gadwall_domain::query::LinkedSource;
use tokio::sync::{OnceCell, Semaphore};
use tokio::time::Instant;

use super::shares::Share;
use super::{CatalogServer, EngineLimits};
use crate::area::Area;
use crate::catalogs::Catalogs;
use crate::config::LakeConfig;
use crate::engine::{OpenError, prepare_folder};
use crate::error::{fault, lake_error};
use crate::instance::{self, OneLake, Serves, SharedLake};
use crate::sql;
use crate::store::EmbeddedLakes;

/// Engines that are opened at the same time: each takes a processor for a third of a second.
const OPENING: usize = 2;
/// How often somebody who needs an engine looks for room.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// How often an engine is opened anew for what a request wants to read, while others change what is shared.
const TRIES: u32 = 3;

type Cell = Arc<OnceCell<Opened>>;

/// An open engine, and what it reads of other lakes.
#[derive(Clone)]
struct Opened {
    lakes: Arc<EmbeddedLakes>,
    shares: Arc<[Share]>,
}

struct Slot {
    cell: Cell,
    last: Instant,
}

impl Slot {
    /// Whether somebody is at work with it, or about to be.
    fn is_used(&self) -> bool {
        Arc::strong_count(&self.cell) > 1
            || self
                .cell
                .get()
                .is_some_and(|Opened { lakes, .. }| Arc::strong_count(lakes) > 1 || lakes.engine.is_busy())
    }
}

pub(super) struct OpenLakes {
    config: LakeConfig,
    server: Arc<CatalogServer>,
    area: Arc<dyn Area>,
    limits: EngineLimits,
    opening: Semaphore,
    slots: Mutex<HashMap<LakeId, Slot>>,
    /// Engines that were opened so far.
    opened: AtomicU64,
}

impl OpenLakes {
    pub(super) fn new(
        config: LakeConfig,
        server: Arc<CatalogServer>,
        area: Arc<dyn Area>,
        limits: EngineLimits,
    ) -> Arc<Self> {
        let opening = Semaphore::new(OPENING);
        Arc::new(Self { config, server, area, limits, opening, slots: Mutex::default(), opened: AtomicU64::new(0) })
    }

    fn slots(&self) -> MutexGuard<'_, HashMap<LakeId, Slot>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The engine of a lake; waits for room if there are too many.
    pub(super) async fn get(&self, lake: LakeId) -> Result<Arc<EmbeddedLakes>, LakeError> {
        Ok(self.opened(lake).await?.lakes)
    }

    /// The engine of a lake which reads these buckets of others. What an engine reaches can't be widened, so another one is
    /// opened in its place, and it goes on with what it is at.
    pub(super) async fn reading(
        &self,
        lake: LakeId,
        sources: &[&LinkedSource],
    ) -> Result<Arc<EmbeddedLakes>, LakeError> {
        for _ in 0..TRIES {
            let mut shares = self.server.shares(lake).await?;
            if !self.server.are_shown(&shares, sources).await? {
                for source in sources {
                    self.server.share(lake, source.lake, &source.bucket).await?;
                }
                shares = self.server.shares(lake).await?;
            }
            let opened = self.opened(lake).await?;
            if *opened.shares == *shares {
                return Ok(opened.lakes);
            }
            self.replace(lake, &opened);
        }
        Err(LakeError::Busy)
    }

    /// Has the next request open another engine, unless somebody did so already.
    fn replace(&self, lake: LakeId, old: &Opened) {
        let mut slots = self.slots();
        let is_old = |slot: &Slot| slot.cell.get().is_some_and(|now| Arc::ptr_eq(&now.lakes, &old.lakes));
        if slots.get(&lake).is_some_and(is_old)
            && let Some(slot) = slots.remove(&lake)
        {
            close(slot);
        }
    }

    async fn opened(&self, lake: LakeId) -> Result<Opened, LakeError> {
        let deadline = Instant::now() + self.config.queue_timeout;
        let cell = loop {
            match self.slot(lake) {
                Some(cell) => break cell,
                None if Instant::now() >= deadline => return Err(LakeError::Busy),
                None => tokio::time::sleep(LOOK_AGAIN).await,
            }
        };
        cell.get_or_try_init(|| self.open(lake)).await.cloned()
    }

    /// The lake's slot; `None` while others take all there are.
    fn slot(&self, lake: LakeId) -> Option<Cell> {
        let mut slots = self.slots();
        if let Some(slot) = slots.get_mut(&lake) {
            slot.last = Instant::now();
            return Some(Arc::clone(&slot.cell));
        }
        if slots.len() >= self.limits.max_open.max(1) {
            let idle = slots.iter().filter(|(_, slot)| !slot.is_used());
            let oldest = idle.min_by_key(|(_, slot)| slot.last).map(|(lake, _)| *lake)?;
            close(slots.remove(&oldest)?);
        }
        let cell = Cell::default();
        slots.insert(lake, Slot { cell: Arc::clone(&cell), last: Instant::now() });
        Some(cell)
    }

    async fn open(&self, lake: LakeId) -> Result<Opened, LakeError> {
        if !self.server.has(lake).await? {
            return Err(LakeError::NoLake);
        }
        let _place = self.opening.acquire().await.map_err(|_| fault("no engine is opened any more"))?;
        let shares = self.server.shares(lake).await?;
        let one = OneLake {
            lake,
            data: self.area.data(lake),
            postgres: self.server.place().clone(),
            role: CatalogServer::schema(lake),
            password: self.server.password(lake)?,
            schema: CatalogServer::schema(lake),
            shares: shares.iter().map(|share| self.shared(share)).collect(),
        };
        let mut config = self.config.clone();
        // The engine before it may be at work still.
        let number = self.opened.fetch_add(1, Ordering::Relaxed);
        config.spill_dir = config.spill_dir.join(format!("{}_{number}", lake.uuid().simple()));
        let (area, server) = (Arc::clone(&self.area), Arc::clone(&self.server));
        let work = move || {
            prepare_folder("spill", &config.spill_dir, true)?;
            let catalogs = Arc::new(Catalogs::of_instance(&config, Arc::clone(&area)));
            let lakes = EmbeddedLakes::of(&config, Serves::One(Box::new(one)), catalogs, area, Some(server))?;
            // One that could not be attached is tried again by who reads it.
            let attached = instance::attached(&*lakes.engine.connect()?)?;
            let shares = shares.into_iter().filter(|share| attached.contains(&sql::catalog(share.owner))).collect();
            Ok(Opened { lakes: Arc::new(lakes), shares })
        };
        let opened = tokio::task::spawn_blocking(work).await;
        match opened.map_err(|panic| fault(format!("an engine could not be opened: {panic}")))? {
            Ok(opened) => Ok(opened),
            Err(OpenError::Engine(error)) => Err(lake_error(&error)),
            Err(error) => Err(LakeError::Fault(Box::new(error))),
        }
    }

    fn shared(&self, share: &Share) -> SharedLake {
        let data = self.area.data(share.owner);
        let folders = share.folders().map(|folder| data.join(folder)).collect();
        SharedLake { lake: share.owner, data, schema: share.schema.clone(), folders }
    }

    /// Closes the engine of a lake, if it is open. Work that it is at goes on.
    pub(super) fn forget(&self, lake: LakeId) {
        if let Some(slot) = self.slots().remove(&lake) {
            close(slot);
        }
    }

    /// Closes all engines that are open; answers whose they were. Work that they are at goes on.
    pub(super) fn forget_all(&self) -> Vec<LakeId> {
        let mut slots = self.slots();
        let open: Vec<LakeId> =
            slots.iter().filter(|(_, slot)| slot.cell.initialized()).map(|(lake, _)| *lake).collect();
        for slot in open.iter().filter_map(|lake| slots.remove(lake)).collect::<Vec<_>>() {
            close(slot);
        }
        open
    }

    pub(super) fn count(&self) -> usize {
        self.slots().values().filter(|slot| slot.cell.initialized()).count()
    }

    pub(super) fn all(&self) -> Vec<Arc<EmbeddedLakes>> {
        self.slots().values().filter_map(|slot| Some(Arc::clone(&slot.cell.get()?.lakes))).collect()
    }

    /// Closes engines that nobody used for a while, until the lakes are closed themselves.
    pub(super) async fn close_idle(lakes: Weak<Self>, every: Duration) {
        loop {
            tokio::time::sleep(every).await;
            let Some(lakes) = lakes.upgrade() else { return };
            let mut slots = lakes.slots();
            let idle = |slot: &Slot| !slot.is_used() && slot.last.elapsed() >= lakes.limits.idle;
            let gone: Vec<LakeId> = slots.iter().filter(|(_, slot)| idle(slot)).map(|(lake, _)| *lake).collect();
            for lake in gone {
                if let Some(slot) = slots.remove(&lake) {
                    close(slot);
                }
            }
        }
    }
}

/// Closing an engine takes a moment, which no request should wait for.
fn close(slot: Slot) {
    if let Ok(runtime) = tokio::runtime::Handle::try_current() {
        runtime.spawn_blocking(move || drop(slot));
    }
}
