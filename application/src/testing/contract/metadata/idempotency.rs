//! Requests that may be repeated.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use gadwall_domain::idempotency::{IdempotencyRecord, IdempotencyState, StoredAnswer};
use gadwall_domain::ports::metadata::{Begun, MetadataStore};
use uuid::Uuid;

use crate::testing::builders::{noon, seconds_past_noon};

const ME: Uuid = Uuid::from_u128(1);
const ANOTHER: Uuid = Uuid::from_u128(2);
/// Nobody is dead because of their age alone.
const ALIVE_SINCE: DateTime<Utc> = DateTime::UNIX_EPOCH;

/// Begins a request, so many seconds past noon.
async fn begin(store: &Arc<dyn MetadataStore>, caller: &str, key: &str, instance: Uuid, second: i64) -> Begun {
    let mut tx = store.write().await.unwrap();
    let begun = tx.idempotency().begin(caller, key, instance, seconds_past_noon(second), ALIVE_SINCE).await.unwrap();
    tx.commit().await.unwrap();
    begun
}

async fn answer(store: &Arc<dyn MetadataStore>, caller: &str, key: &str, answer: &StoredAnswer) -> bool {
    let mut tx = store.write().await.unwrap();
    let kept = tx.idempotency().answer(caller, key, "fingerprint", answer).await.unwrap();
    tx.commit().await.unwrap();
    kept
}

async fn forget(store: &Arc<dyn MetadataStore>, caller: &str, key: &str) {
    let mut tx = store.write().await.unwrap();
    tx.idempotency().forget(caller, key).await.unwrap();
    tx.commit().await.unwrap();
}

fn short(status: u16) -> StoredAnswer {
    StoredAnswer { status, headers: Vec::new(), body: Vec::new() }
}

fn record(caller: &str, key: &str, instance: Uuid, second: i64, state: IdempotencyState) -> Begun {
    let (caller, key) = (caller.to_owned(), key.to_owned());
    Begun::Before(IdempotencyRecord { caller, key, instance, created_at: seconds_past_noon(second), state })
}

fn answered(answer: StoredAnswer) -> IdempotencyState {
    IdempotencyState::Answered { fingerprint: "fingerprint".to_owned(), answer }
}

/// A request begins once; whoever repeats it is told that it runs.
pub async fn a_request_begins_once(store: Arc<dyn MetadataStore>) {
    assert_eq!(begin(&store, "admin", "k", ME, 1).await, Begun::Now);
    let running = record("admin", "k", ME, 1, IdempotencyState::Running);
    assert_eq!(begin(&store, "admin", "k", ME, 2).await, running);
    assert_eq!(begin(&store, "admin", "k", ME, 3).await, running);
}

/// Requests are told apart by caller and key, both as they are, to the case.
pub async fn requests_are_told_apart_by_caller_and_key(store: Arc<dyn MetadataStore>) {
    let long = "k".repeat(255);
    let longer = format!("{}K", "k".repeat(254));
    let named = [
        ("admin", "k"),
        ("admin", "K"),
        ("Admin", "k"),
        ("", "adminK"),
        ("key:1", "it's \"%_\\"),
        ("a", ""),
        ("", "a"),
    ];
    let named = named.into_iter().chain([("admin", long.as_str()), ("admin", longer.as_str())]);
    for (second, (caller, key)) in (1..).zip(named.clone()) {
        assert_eq!(begin(&store, caller, key, ME, second).await, Begun::Now, "{caller:?} {key:?}");
    }
    for (second, (caller, key)) in (1..).zip(named) {
        let running = record(caller, key, ME, second, IdempotencyState::Running);
        assert_eq!(begin(&store, caller, key, ME, 99).await, running);
    }
}

/// Of many at once, one carries the request out.
pub async fn of_many_at_once_one_begins(store: Arc<dyn MetadataStore>) {
    let ask = |store: Arc<dyn MetadataStore>| async move { begin(&store, "admin", "k", ME, 1).await };
    let asking: Vec<_> = (0..20).map(|_| tokio::spawn(ask(Arc::clone(&store)))).collect();
    let mut begun = 0;
    for asked in asking {
        begun += usize::from(asked.await.unwrap() == Begun::Now);
    }
    assert_eq!(begun, 1);
}

/// A request whose process died over it is taken over, once; it stays as old as it is.
pub async fn a_dead_request_is_taken_over(store: Arc<dyn MetadataStore>) {
    begin(&store, "admin", "k", ANOTHER, 1).await;
    assert_eq!(begin(&store, "admin", "k", ME, 5).await, Begun::Now);
    let mine = record("admin", "k", ME, 1, IdempotencyState::Running);
    assert_eq!(begin(&store, "admin", "k", ME, 6).await, mine);
}

/// What an instance has begun that lives is its own; when it isn't seen any more, or not since long ago, it is anyone's.
pub async fn a_request_of_one_that_lives_is_not_taken_over(store: Arc<dyn MetadataStore>) {
    let mut tx = store.write().await.unwrap();
    tx.instances().renew(ANOTHER, seconds_past_noon(10)).await.unwrap();
    for key in ["a", "b"] {
        tx.idempotency().begin("admin", key, ANOTHER, seconds_past_noon(1), ALIVE_SINCE).await.unwrap();
    }
    tx.commit().await.unwrap();
    let theirs = record("admin", "a", ANOTHER, 1, IdempotencyState::Running);
    assert_eq!(begin(&store, "admin", "a", ME, 11).await, theirs);
    let mut tx = store.write().await.unwrap();
    let seen = seconds_past_noon(10);
    assert_eq!(tx.idempotency().begin("admin", "a", ME, seconds_past_noon(50), seen).await.unwrap(), theirs);
    let later = seconds_past_noon(11);
    assert_eq!(tx.idempotency().begin("admin", "a", ME, seconds_past_noon(50), later).await.unwrap(), Begun::Now);
    assert!(tx.instances().remove(ANOTHER, later).await.unwrap());
    tx.commit().await.unwrap();
    assert_eq!(begin(&store, "admin", "b", ME, 60).await, Begun::Now);
}

/// An answered request reads back with its answer, byte for byte, in every life of the process.
pub async fn an_answer_is_given_again(store: Arc<dyn MetadataStore>) {
    let headers = [("content-type", "application/json"), ("x-odd", "é \"quoted\", 'and' more"), ("x-odd", "")];
    let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let body = (0..1_u32 << 20).map(|index| index.to_le_bytes()[0]).collect();
    let large = StoredAnswer { status: 201, headers: headers.into(), body };
    for (key, kept) in [("large", large), ("empty", short(204))] {
        begin(&store, "admin", key, ANOTHER, 1).await;
        assert!(answer(&store, "admin", key, &kept).await);
        for instance in [ANOTHER, ME, ME] {
            let expected = record("admin", key, ANOTHER, 1, answered(kept.clone()));
            assert!(begin(&store, "admin", key, instance, 9).await == expected, "{key}");
        }
    }
}

/// An answer is kept for a running request, once.
pub async fn an_answer_needs_a_running_request(store: Arc<dyn MetadataStore>) {
    assert!(!answer(&store, "admin", "k", &short(200)).await);
    begin(&store, "admin", "k", ME, 1).await;
    assert!(!answer(&store, "admin", "K", &short(200)).await);
    assert!(!answer(&store, "other", "k", &short(200)).await);
    assert!(answer(&store, "admin", "k", &short(200)).await);
    assert!(!answer(&store, "admin", "k", &short(500)).await);
    assert_eq!(begin(&store, "admin", "k", ME, 2).await, record("admin", "k", ME, 1, answered(short(200))));
}

/// A running request that is forgotten may be tried again; an answered one stays.
pub async fn a_forgotten_request_may_be_tried_again(store: Arc<dyn MetadataStore>) {
    for key in ["a", "b"] {
        begin(&store, "admin", key, ME, 1).await;
    }
    for (caller, key) in [("admin", "a"), ("other", "b"), ("admin", "B"), ("admin", "none")] {
        forget(&store, caller, key).await;
    }
    assert_eq!(begin(&store, "admin", "a", ME, 2).await, Begun::Now);
    assert_eq!(begin(&store, "admin", "b", ME, 2).await, record("admin", "b", ME, 1, IdempotencyState::Running));
    answer(&store, "admin", "b", &short(200)).await;
    forget(&store, "admin", "b").await;
    assert_eq!(begin(&store, "admin", "b", ME, 3).await, record("admin", "b", ME, 1, answered(short(200))));
}

/// Requests begun before a time are forgotten, whatever became of them.
pub async fn old_requests_are_forgotten(store: Arc<dyn MetadataStore>) {
    for (second, key) in (0..).zip(["a", "b", "c", "d"]) {
        begin(&store, "admin", key, ME, second).await;
    }
    answer(&store, "admin", "a", &short(200)).await;
    let mut tx = store.write().await.unwrap();
    assert_eq!(tx.idempotency().forget_before(noon()).await.unwrap(), 0, "not of the time itself");
    assert_eq!(tx.idempotency().forget_before(seconds_past_noon(2)).await.unwrap(), 2);
    tx.commit().await.unwrap();
    for (key, second) in [("a", None), ("b", None), ("c", Some(2)), ("d", Some(3))] {
        let expected = second.map(|second| record("admin", key, ME, second, IdempotencyState::Running));
        assert_eq!(begin(&store, "admin", key, ME, 9).await, expected.unwrap_or(Begun::Now), "{key}");
    }
}

/// A request that is begun in a unit of work that isn't committed was never begun.
pub async fn a_request_begins_with_its_unit_of_work(store: Arc<dyn MetadataStore>) {
    let mut tx = store.write().await.unwrap();
    assert_eq!(tx.idempotency().begin("admin", "k", ME, noon(), ALIVE_SINCE).await.unwrap(), Begun::Now);
    assert!(tx.idempotency().answer("admin", "k", "f", &short(200)).await.unwrap());
    drop(tx);
    assert_eq!(begin(&store, "admin", "k", ME, 1).await, Begun::Now);
}
