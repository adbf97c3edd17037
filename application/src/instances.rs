//! Which servers live: several may share a metadata store, and what one of them has begun is no concern of the others
//! as long as it lives.
//!
//! A server says again and again that it is alive. One that was not heard of for a while is dead, unless who judges was
//! away itself: after an outage of the store everyone is given the time to be heard again. The servers' clocks
//! need not agree exactly, but to within a fraction of that while.

use std::collections::HashSet;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};
use gadwall_domain::ports::metadata::{MetadataStore, MetadataTx, StoreError};
use gadwall_domain::ports::system::Clock;
use uuid::Uuid;

/// This life of the server among those that share its store.
pub struct Instances {
    store: Arc<dyn MetadataStore>,
    clock: Arc<dyn Clock>,
    id: Uuid,
    dead_after: TimeDelta,
    /// When it was first and last heard of without a gap.
    heard: Mutex<Option<(DateTime<Utc>, DateTime<Utc>)>>,
}

impl fmt::Debug for Instances {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Instances").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Instances {
    /// This life of the server. Who isn't heard of for so long is dead.
    pub fn new(store: Arc<dyn MetadataStore>, clock: Arc<dyn Clock>, id: Uuid, dead_after: TimeDelta) -> Self {
        Self { store, clock, id, dead_after, heard: Mutex::default() }
    }

    /// Its id.
    pub fn id(&self) -> Uuid {
        self.id
    }

    /// Says for the first time that it is alive. Others that can't be are forgotten at once: all, where nobody else can
    /// use what belongs to the store; or one that is known to have ended.
    pub async fn begin(&self, over: Over) -> Result<(), StoreError> {
        let now = self.clock.now();
        let mut tx = self.store.write().await?;
        let over: Vec<Uuid> = match over {
            Over::All => tx.instances().list().await?.into_iter().map(|instance| instance.id).collect(),
            Over::One(id) => vec![id],
            Over::None => Vec::new(),
        };
        for id in over {
            tx.instances().remove(id, DateTime::<Utc>::MAX_UTC).await?;
        }
        tx.instances().renew(self.id, now).await?;
        tx.commit().await?;
        self.was_heard(now);
        Ok(())
    }

    /// Says that it is alive; answers who is dead. Their work is to be marked before they are forgotten.
    pub async fn renew(&self) -> Result<Vec<Uuid>, StoreError> {
        let now = self.clock.now();
        let mut tx = self.store.write().await?;
        tx.instances().renew(self.id, now).await?;
        let all = tx.instances().list().await?;
        tx.commit().await?;
        self.was_heard(now);
        let since = self.alive_since();
        Ok(all.into_iter().filter(|instance| instance.last_seen < since).map(|instance| instance.id).collect())
    }

    /// Forgets the dead, if they are dead still.
    pub async fn forget(&self, dead: &[Uuid]) -> Result<(), StoreError> {
        let since = self.alive_since();
        let mut tx = self.store.write().await?;
        for id in dead {
            tx.instances().remove(*id, since).await?;
        }
        tx.commit().await
    }

    /// Says that this life is over.
    pub async fn end(&self) -> Result<(), StoreError> {
        let mut tx = self.store.write().await?;
        tx.instances().remove(self.id, DateTime::<Utc>::MAX_UTC).await?;
        tx.commit().await
    }

    /// Who was heard of since then is alive. Who isn't known at all is dead in any case; everyone known is alive to one
    /// that isn't heard of itself.
    pub(crate) fn alive_since(&self) -> DateTime<Utc> {
        let now = self.clock.now();
        match *self.heard() {
            Some((first, last)) if now - last < self.dead_after && now - first >= self.dead_after => {
                now - self.dead_after
            }
            _ => DateTime::UNIX_EPOCH,
        }
    }

    /// Those that are alive.
    pub(crate) async fn alive(&self, tx: &mut dyn MetadataTx) -> Result<HashSet<Uuid>, StoreError> {
        let since = self.alive_since();
        let all = tx.instances().list().await?;
        Ok(all.into_iter().filter(|instance| instance.last_seen >= since).map(|instance| instance.id).collect())
    }

    fn was_heard(&self, now: DateTime<Utc>) {
        let mut heard = self.heard();
        *heard = match *heard {
            Some((first, last)) if now - last < self.dead_after => Some((first, now)),
            _ => Some((now, now)),
        };
    }

    fn heard(&self) -> std::sync::MutexGuard<'_, Option<(DateTime<Utc>, DateTime<Utc>)>> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Which lives are over for sure when one begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    /// All others: only one server at a time can use the lakes.
    All,
    /// The one before it, whose data directory it has now.
    One(Uuid),
    /// None that is known.
    None,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::builders::noon;
    use crate::testing::{FixedClock, MemoryMetadata};

    const DEAD_AFTER: TimeDelta = TimeDelta::seconds(30);

    struct Scene {
        store: Arc<MemoryMetadata>,
        clock: Arc<FixedClock>,
    }

    impl Scene {
        fn new() -> Self {
            Self { store: Arc::default(), clock: Arc::new(FixedClock::at(noon())) }
        }

        async fn born(&self, number: u128, over: Over) -> Instances {
            let (store, clock) = (Arc::clone(&self.store) as _, Arc::clone(&self.clock) as _);
            let born = Instances::new(store, clock, Uuid::from_u128(number), DEAD_AFTER);
            born.begin(over).await.unwrap();
            born
        }

        async fn pass(&self, instance: &Instances, seconds: i64) -> Vec<Uuid> {
            let mut dead = Vec::new();
            for _ in 0..seconds / 5 {
                self.clock.advance(TimeDelta::seconds(5));
                dead = instance.renew().await.unwrap();
            }
            dead
        }

        async fn alive(&self, to: &Instances) -> usize {
            to.alive(&mut *self.store.read().await.unwrap()).await.unwrap().len()
        }
    }

    #[tokio::test]
    async fn who_is_not_heard_of_is_dead_and_forgotten() {
        let scene = Scene::new();
        let (one, other) = (scene.born(1, Over::None).await, scene.born(2, Over::None).await);
        assert!(scene.pass(&one, 30).await.is_empty());
        assert_eq!(scene.pass(&one, 5).await, [other.id()]);
        assert_eq!(scene.alive(&one).await, 1);
        one.forget(&[other.id()]).await.unwrap();
        assert!(scene.pass(&one, 5).await.is_empty());
        // It only slept: from now on it is known again.
        other.renew().await.unwrap();
        assert_eq!(scene.alive(&one).await, 2);
    }

    #[tokio::test]
    async fn who_was_away_gives_the_others_time() {
        let scene = Scene::new();
        let (one, other) = (scene.born(1, Over::None).await, scene.born(2, Over::None).await);
        scene.pass(&one, 60).await;
        scene.clock.advance(TimeDelta::minutes(5));
        assert!(one.renew().await.unwrap().is_empty(), "the store was away from all of them");
        assert_eq!(scene.alive(&one).await, 2);
        other.renew().await.unwrap();
        assert!(scene.pass(&one, 30).await.is_empty());
        assert_eq!(scene.pass(&one, 5).await, [other.id()]);
    }

    #[tokio::test]
    async fn one_that_came_back_is_not_forgotten() {
        let scene = Scene::new();
        let (one, other) = (scene.born(1, Over::None).await, scene.born(2, Over::None).await);
        let dead = scene.pass(&one, 60).await;
        other.renew().await.unwrap();
        one.forget(&dead).await.unwrap();
        assert_eq!(scene.alive(&one).await, 2);
    }

    #[tokio::test]
    async fn what_is_over_for_sure_is_over_at_once() {
        let scene = Scene::new();
        let (one, two) = (scene.born(1, Over::None).await, scene.born(2, Over::None).await);
        let three = scene.born(3, Over::One(one.id())).await;
        assert_eq!(scene.alive(&three).await, 2);
        two.end().await.unwrap();
        assert_eq!(scene.alive(&three).await, 1);
        scene.born(4, Over::None).await;
        let five = scene.born(5, Over::All).await;
        assert_eq!(scene.alive(&five).await, 1);
    }
}
