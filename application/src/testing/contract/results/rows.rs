//! Promises about rows, and the room they take.

use futures_util::StreamExt as _;
use gadwall_domain::ports::results::ResultError;
use gadwall_domain::query::QueryError;

use super::{LAKE, ROOMY, Store, batch, id, kept, note, put, read, schema, stream};
use crate::testing::builders::lake;

/// Rows of a result, and room that one of it fits in, but not two.
const ROWS: u64 = 20_000;
const ROOM: u64 = ROWS * 8 * 3 / 2;

/// Batches come back in their order, with all that their schema says; so does a result without rows.
pub async fn rows_come_back_as_they_were(store: Store) {
    let batches = vec![batch(0, 3), batch(3, 1), batch(4, 1_000)];
    store.put(lake(LAKE), id(1), stream(batches.iter().cloned().map(Ok).collect()), ROOMY).await.unwrap();
    store.put(lake(LAKE), id(2), stream(vec![]), ROOMY).await.unwrap();
    for _ in 0..2 {
        let rows = store.open(lake(LAKE), id(1)).await.unwrap().unwrap();
        assert_eq!(rows.schema, schema());
        assert_eq!(read(rows).await, batches);
    }
    let none = store.open(lake(LAKE), id(2)).await.unwrap().unwrap();
    assert_eq!(none.schema, schema());
    assert!(read(none).await.is_empty());
}

/// A result of some megabytes comes back.
pub async fn large_results_come_back(store: Store) {
    let batches: Vec<_> = (0..30).map(|number| batch(number * 50_000, 50_000)).collect();
    store.put(lake(LAKE), id(1), stream(batches.iter().cloned().map(Ok).collect()), ROOMY).await.unwrap();
    assert!(kept(&store, LAKE, 1).await.unwrap() == batches);
}

/// A query that fails in the middle leaves no result, and its failure is told as it is.
pub async fn rows_that_break_off_are_not_kept(store: Store) {
    let broken = vec![Ok(batch(0, ROWS)), Err(QueryError::Engine("broken".to_owned()))];
    let failure = store.put(lake(LAKE), id(1), stream(broken), ROOM).await;
    assert!(matches!(&failure, Err(ResultError::Query(QueryError::Engine(text))) if text == "broken"), "{failure:?}");
    assert!(kept(&store, LAKE, 1).await.is_none());
    put(&store, LAKE, 2, ROWS, ROOM).await.unwrap();
}

/// A put whose caller goes away in the middle leaves nothing, and takes no room.
pub async fn a_put_that_is_dropped_keeps_nothing(store: Store) {
    let mut rows = stream(vec![Ok(batch(0, ROWS))]);
    rows.batches = Box::pin(rows.batches.chain(futures_util::stream::pending()));
    let mut putting = store.put(lake(LAKE), id(1), rows, ROOM);
    for _ in 0..20 {
        let _ = futures_util::future::poll_immediate(&mut putting).await;
        tokio::task::yield_now().await;
    }
    drop(putting);
    assert!(kept(&store, LAKE, 1).await.is_none());
    // What it had begun ends by itself, in its own time.
    while let Err(error) = put(&store, LAKE, 2, ROWS, ROOM).await {
        assert!(matches!(error, ResultError::LimitReached { .. }), "{error:?}");
        tokio::task::yield_now().await;
    }
}

/// A result that doesn't fit beside a project's others is not kept; those of other projects don't count.
pub async fn results_take_no_more_room_than_they_may(store: Store) {
    put(&store, LAKE, 1, ROWS, ROOM).await.unwrap();
    let refused = put(&store, LAKE, 2, ROWS, ROOM).await;
    assert!(matches!(refused, Err(ResultError::LimitReached { limit: ROOM })), "{refused:?}");
    assert!(kept(&store, LAKE, 2).await.is_none());
    put(&store, 2, 2, ROWS, ROOM).await.unwrap();
    put(&store, LAKE, 3, 1, ROOM).await.unwrap();
    put(&store, LAKE, 2, ROWS, ROOM * 2).await.unwrap();
}

/// What is deleted, swept or removed takes no room any more.
pub async fn room_is_given_back(store: Store) {
    for round in 0..3 {
        store.keep_note(&note(LAKE, round, Some(0))).await.unwrap();
        put(&store, LAKE, round, ROWS, ROOM).await.unwrap();
        match round {
            0 => assert!(store.delete(lake(LAKE), id(round)).await.unwrap()),
            1 => drop(store.remove_all(lake(LAKE)).await.unwrap()),
            _ => assert_eq!(store.sweep(chrono::DateTime::<chrono::Utc>::MAX_UTC).await.unwrap(), 1),
        }
    }
    put(&store, LAKE, 9, ROWS, ROOM).await.unwrap();
}

/// Whoever has begun to read reads on when the result is deleted.
pub async fn what_is_open_is_read_to_its_end(store: Store) {
    store.keep_note(&note(LAKE, 1, Some(0))).await.unwrap();
    let batches = [batch(0, 100), batch(100, 100)];
    store.put(lake(LAKE), id(1), stream(batches.iter().cloned().map(Ok).collect()), ROOMY).await.unwrap();
    let mut rows = store.open(lake(LAKE), id(1)).await.unwrap().unwrap();
    assert_eq!(rows.batches.next().await.unwrap().unwrap(), batches[0]);
    assert!(store.delete(lake(LAKE), id(1)).await.unwrap());
    assert_eq!(read(rows).await, [batches[1].clone()]);
}
