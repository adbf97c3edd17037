//! Ports to other machines that are away, behind their breakers.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use chrono::TimeDelta;
use gadwall_domain::dataset::{DatasetName, ObjectName};
use gadwall_domain::error::Classify as _;
use gadwall_domain::ports::lake::LakeError;
use gadwall_domain::ports::metadata::{MetadataStore, MetadataTx, StoreError};
use gadwall_domain::ports::objects::{ObjectError, ObjectStorage as _};

use super::outside::{ask, ask_both};
use super::*;
use crate::breaker::{BreakerConfig, BreakerState};
use crate::error::UseCaseError;
use crate::testing::builders::lake;
use crate::testing::{FixedClock, MemoryMetadata, MemoryObjects};

/// Metadata that is away when it is told so.
#[derive(Default)]
struct Database {
    store: MemoryMetadata,
    refuses: AtomicBool,
    asked: AtomicUsize,
}

impl Database {
    fn answer(&self) -> Result<(), StoreError> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        if self.refuses.load(Ordering::Relaxed) { Err(StoreError::Unavailable("away".into())) } else { Ok(()) }
    }
}

#[async_trait]
impl MetadataStore for Database {
    async fn read(&self) -> Result<Box<dyn MetadataTx>, StoreError> {
        self.answer()?;
        self.store.read().await
    }

    async fn write(&self) -> Result<Box<dyn MetadataTx>, StoreError> {
        self.answer()?;
        self.store.write().await
    }
}

fn breaker(clock: &Arc<FixedClock>) -> Arc<Breaker> {
    Breaker::new("metadata", BreakerConfig::default(), Arc::clone(clock) as _)
}

#[tokio::test]
async fn metadata_that_is_away_is_left_alone_and_found_again() {
    let (clock, store) = (Arc::new(FixedClock::default()), Arc::new(Database::default()));
    let breaker = breaker(&clock);
    let guarded = GuardedMetadata::new(Arc::clone(&store) as _, Arc::clone(&breaker));
    store.refuses.store(true, Ordering::Relaxed);
    // A turn that didn't come says nothing.
    for _ in 0..10 {
        assert!(guarded.write().await.is_err());
    }
    assert_eq!(breaker.status().state, BreakerState::Closed);
    for _ in 0..5 {
        assert!(guarded.read().await.is_err());
    }
    assert_eq!(breaker.status().state, BreakerState::Open);
    let asked = store.asked.load(Ordering::Relaxed);
    let refused: UseCaseError = guarded.read().await.err().map(Into::into).unwrap();
    assert_eq!((refused.code(), refused.retry_after()), ("metadata_unavailable", Some(Duration::from_secs(30))));
    assert!(guarded.write().await.is_err());
    assert_eq!(store.asked.load(Ordering::Relaxed), asked, "it was asked");

    store.refuses.store(false, Ordering::Relaxed);
    clock.advance(TimeDelta::seconds(30));
    for _ in 0..3 {
        assert!(guarded.read().await.is_ok());
    }
    assert_eq!(breaker.status().state, BreakerState::Closed);
}

#[tokio::test]
async fn what_is_wrong_with_a_request_never_opens_it() {
    let clock = Arc::new(FixedClock::default());
    let breaker = breaker(&clock);
    let objects = GuardedObjects::new(Arc::new(MemoryObjects::default()), Arc::clone(&breaker));
    let (dataset, object) = (DatasetName::parse("d").unwrap(), ObjectName::parse("o").unwrap());
    for _ in 0..10 {
        let missing = objects.head(lake(1), &dataset, &object).await;
        assert!(matches!(missing, Err(ObjectError::NoDataset)), "{missing:?}");
    }
    objects.create_dataset(lake(1), &dataset).await.unwrap();
    for _ in 0..10 {
        assert!(matches!(objects.create_dataset(lake(1), &dataset).await, Err(ObjectError::DatasetExists)));
        assert!(matches!(objects.head(lake(1), &dataset, &object).await, Err(ObjectError::NoObject)));
    }
    let tally = breaker.status().tally;
    assert_eq!((breaker.status().state, tally.failed, tally.successful), (BreakerState::Closed, 0, 31));
}

#[tokio::test]
async fn what_may_be_the_datas_fault_is_not_counted_for_the_catalog() {
    let clock = Arc::new(FixedClock::default());
    let breaker = breaker(&clock);
    let away = || LakeError::Unavailable("away".into());
    for _ in 0..10 {
        assert!(ask_both(&breaker, async { Err::<(), _>(away()) }).await.is_err());
    }
    assert_eq!(breaker.status().state, BreakerState::Closed);
    for _ in 0..5 {
        assert!(ask(&breaker, async { Err::<(), _>(away()) }).await.is_err());
    }
    assert_eq!(breaker.status().state, BreakerState::Open);
    let refused = ask_both(&breaker, async { Ok::<_, QueryError>(()) }).await.unwrap_err();
    assert_eq!((refused.code(), refused.retry_after()), ("lake_unavailable", Some(Duration::from_secs(30))));
}
