//! The server of schemas as it is asked: once for all who ask at the same time, and not while it fails.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared, WeakShared};
use gadwall_domain::ontology::{SchemaId, SchemaVersion};
use gadwall_domain::ports::metadata::{MetadataStore, StoreError};
use gadwall_domain::ports::ontology::{Fetched, RegistryError};
use gadwall_domain::ports::system::Clock;

use super::known::{Known, Memory};
use super::{Failure, SchemaServer};

/// Versions that are kept of each schema.
const KEEP: u32 = 100;
/// So long it is believed how the server said it is.
const WELL_FOR: TimeDelta = TimeDelta::seconds(5);

type Answer = Result<Arc<Known>, Failure>;
/// A question on its way, as long as somebody waits for its answer.
type Flight<T> = Shared<BoxFuture<'static, T>>;
type Flown<T> = WeakShared<BoxFuture<'static, T>>;

pub(super) struct Remote {
    server: SchemaServer,
    store: Arc<dyn MetadataStore>,
    clock: Arc<dyn Clock>,
    memory: Mutex<Memory>,
    /// Questions on their way.
    flights: Mutex<BTreeMap<SchemaId, Flown<Answer>>>,
    /// How the server said it is, and when.
    well: Mutex<Option<(DateTime<Utc>, bool)>>,
    asking: Mutex<Option<Flown<bool>>>,
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing between lock and unlock panics half way, so a poisoned lock is still good.
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Remote {
    pub(super) fn new(server: SchemaServer, store: Arc<dyn MetadataStore>, clock: Arc<dyn Clock>) -> Arc<Self> {
        Arc::new(Self {
            server,
            store,
            clock,
            memory: Mutex::default(),
            flights: Mutex::default(),
            well: Mutex::default(),
            asking: Mutex::default(),
        })
    }

    pub(super) fn is_fresh(&self, known: &Known, now: DateTime<Utc>) -> bool {
        now - known.seen_at < self.server.times.fresh_for
    }

    pub(super) fn may_stand_in(&self, known: &Known, now: DateTime<Utc>) -> bool {
        now - known.seen_at < self.server.times.stale_for
    }

    pub(super) fn failed_lately(&self, id: &SchemaId, now: DateTime<Utc>) -> Option<Failure> {
        lock(&self.memory).failed_lately(id, now)
    }

    /// What is known without asking: in memory, else of another life or server.
    pub(super) async fn known(&self, id: &SchemaId) -> Option<Arc<Known>> {
        let found = lock(&self.memory).get(id);
        if found.is_some() {
            return found;
        }
        let kept = async { self.store.read().await?.schemas().latest(id).await };
        let kept = kept.await.inspect_err(|error| tracing::warn!(schema = %id, %error, "no kept schema")).ok()??;
        let known = Arc::new(Known::kept(kept)?);
        lock(&self.memory).put(id, Arc::clone(&known));
        Some(known)
    }

    /// Asks the server, or waits for who asks it already.
    pub(super) async fn refresh(self: &Arc<Self>, id: &SchemaId) -> Answer {
        self.flight(id).await
    }

    /// Has the server asked beside the request.
    pub(super) fn refresh_beside(self: &Arc<Self>, id: &SchemaId) {
        if lock(&self.flights).get(id).and_then(Flown::upgrade).is_some() {
            return;
        }
        match self.server.background.reserve() {
            Ok(place) => {
                let flight = self.flight(id);
                place.start("schema", Box::pin(async move { drop(flight.await) }));
            }
            // The next request asks.
            Err(error) => tracing::debug!(schema = %id, %error, "the schema is not refreshed yet"),
        }
    }

    fn flight(self: &Arc<Self>, id: &SchemaId) -> Flight<Answer> {
        let mut flights = lock(&self.flights);
        if let Some(flight) = flights.get(id).and_then(Flown::upgrade) {
            return flight;
        }
        flights.retain(|_, flown| flown.upgrade().is_some());
        let (remote, asked) = (Arc::clone(self), id.clone());
        let flight = async move {
            let answer = remote.ask(&asked).await;
            if let Err(failure) = &answer {
                tracing::warn!(schema = %asked, %failure, "the schema was not fetched");
                lock(&remote.memory).fail(&asked, failure.clone(), remote.clock.now());
            }
            lock(&remote.flights).remove(&asked);
            answer
        };
        let flight = flight.boxed().shared();
        if let Some(flown) = flight.downgrade() {
            flights.insert(id.clone(), flown);
        }
        flight
    }

    async fn ask(&self, id: &SchemaId) -> Answer {
        let known = self.known(id).await;
        let permit = self.server.breaker.admit().map_err(|refused| Failure::LeftAlone(refused.retry_after))?;
        let tag = known.as_ref().and_then(|known| known.tag.as_deref());
        let fetched = self.server.registry.fetch(id, tag).await;
        match &fetched {
            Ok(_) | Err(RegistryError::NotFound) => permit.answered(),
            Err(RegistryError::Unavailable(_) | RegistryError::Unusable(_)) => permit.failed(),
        }
        let now = self.clock.now();
        let (known, version) = match (fetched.map_err(failure)?, known) {
            (Fetched::Document { body, tag }, _) => {
                let (known, version) = Known::read(id, body, tag, now)?;
                (Arc::new(known), Some(version))
            }
            (Fetched::Unchanged, Some(known)) => (Arc::new(Known { seen_at: now, ..(*known).clone() }), None),
            (Fetched::Unchanged, None) => {
                return Err(Failure::Unusable("it says that nothing changed, but nothing was known".to_owned()));
            }
        };
        lock(&self.memory).put(id, Arc::clone(&known));
        if let Err(error) = self.keep(id, &known, version).await {
            tracing::warn!(schema = %id, %error, "the schema was not kept");
        }
        Ok(known)
    }

    /// Keeps a version; of one that was kept before, that it was seen again.
    async fn keep(&self, id: &SchemaId, known: &Known, version: Option<SchemaVersion>) -> Result<(), StoreError> {
        let mut tx = self.store.write().await?;
        let version = match version {
            Some(version) => Some(version),
            None => tx.schemas().latest(id).await?.filter(|kept| kept.digest == known.digest),
        };
        if let Some(version) = version {
            tx.schemas().record(&SchemaVersion { last_seen: known.seen_at, ..version }, KEEP).await?;
        }
        tx.commit().await
    }

    /// Whether the server says that it is well, or said so a moment ago.
    pub(super) async fn is_well(self: &Arc<Self>) -> bool {
        let now = self.clock.now();
        if let Some((_, well)) = lock(&self.well).filter(|(at, _)| now - *at < WELL_FOR) {
            return well;
        }
        let flight = {
            let mut asking = lock(&self.asking);
            asking.as_ref().and_then(Flown::upgrade).unwrap_or_else(|| {
                let remote = Arc::clone(self);
                let flight = async move { remote.ask_how_it_is().await }.boxed().shared();
                *asking = flight.downgrade();
                flight
            })
        };
        flight.await
    }

    async fn ask_how_it_is(&self) -> bool {
        let well = self.server.registry.health().await;
        if let Err(error) = &well {
            tracing::warn!(%error, "the ontology server is not well");
        }
        *lock(&self.well) = Some((self.clock.now(), well.is_ok()));
        *lock(&self.asking) = None;
        well.is_ok()
    }
}

fn failure(error: RegistryError) -> Failure {
    match error {
        RegistryError::NotFound => Failure::NotFound,
        RegistryError::Unavailable(cause) => Failure::Away(cause.to_string()),
        RegistryError::Unusable(reason) => Failure::Unusable(reason),
    }
}
