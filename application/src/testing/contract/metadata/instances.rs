//! The servers that share the store.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use gadwall_domain::instance::Instance;
use gadwall_domain::ports::metadata::MetadataStore;
use uuid::Uuid;

use crate::testing::builders::seconds_past_noon;

async fn renew(store: &Arc<dyn MetadataStore>, number: u128, second: i64) {
    let mut tx = store.write().await.unwrap();
    tx.instances().renew(Uuid::from_u128(number), seconds_past_noon(second)).await.unwrap();
    tx.commit().await.unwrap();
}

async fn remove(store: &Arc<dyn MetadataStore>, number: u128, unless_seen_since: DateTime<Utc>) -> bool {
    let mut tx = store.write().await.unwrap();
    let removed = tx.instances().remove(Uuid::from_u128(number), unless_seen_since).await.unwrap();
    tx.commit().await.unwrap();
    removed
}

async fn list(store: &Arc<dyn MetadataStore>) -> Vec<Instance> {
    store.read().await.unwrap().instances().list().await.unwrap()
}

fn instance(number: u128, started: i64, seen: i64) -> Instance {
    let (started_at, last_seen) = (seconds_past_noon(started), seconds_past_noon(seen));
    Instance { id: Uuid::from_u128(number), started_at, last_seen }
}

/// An instance is known from the first time that it is seen; it stays as old as it is.
pub async fn an_instance_is_known_once_it_was_seen(store: Arc<dyn MetadataStore>) {
    assert_eq!(list(&store).await, []);
    for (number, second) in [(2, 1), (1, 2), (2, 3)] {
        renew(&store, number, second).await;
    }
    assert_eq!(list(&store).await, [instance(2, 1, 3), instance(1, 2, 2)]);
}

/// An instance is removed unless it was seen since a time; then it may come again.
pub async fn an_instance_that_was_seen_stays(store: Arc<dyn MetadataStore>) {
    for number in [1, 2] {
        renew(&store, number, 5).await;
    }
    assert!(!remove(&store, 3, DateTime::<Utc>::MAX_UTC).await);
    assert!(!remove(&store, 1, DateTime::UNIX_EPOCH).await);
    assert!(!remove(&store, 1, seconds_past_noon(5)).await);
    assert!(remove(&store, 1, seconds_past_noon(6)).await);
    assert!(!remove(&store, 1, seconds_past_noon(6)).await);
    assert_eq!(list(&store).await, [instance(2, 5, 5)]);
    assert!(remove(&store, 2, DateTime::<Utc>::MAX_UTC).await);
    renew(&store, 2, 9).await;
    assert_eq!(list(&store).await, [instance(2, 9, 9)]);
}
