//! Promises about notes.

use gadwall_domain::ids::QueryId;
use gadwall_domain::query_record::QueryState;

use super::{LAKE, ROOMY, Store, batch, id, kept, note, put};
use crate::testing::builders::{lake, noon, seconds_past_noon};

/// A note is told as it was kept last.
pub async fn a_note_is_kept_until_another_one(store: Store) {
    let mut first = note(LAKE, 1, None);
    store.keep_note(&first).await.unwrap();
    assert_eq!(store.note(lake(LAKE), id(1)).await.unwrap(), Some(first.clone()));
    first.query.state = QueryState::Failed;
    first.query.finished_at = Some(noon());
    first.failure = Some(serde_json::json!({ "code": "é", "details": [1, null] }));
    store.keep_note(&first).await.unwrap();
    assert_eq!(store.note(lake(LAKE), id(1)).await.unwrap(), Some(first));
}

/// What isn't there is told; a result without a note counts for nothing in a deletion's answer.
pub async fn what_is_not_kept_is_told(store: Store) {
    assert_eq!(store.note(lake(LAKE), id(1)).await.unwrap(), None);
    assert!(kept(&store, LAKE, 1).await.is_none());
    assert!(!store.delete(lake(LAKE), id(1)).await.unwrap());
    store.remove_all(lake(LAKE)).await.unwrap();
    store.keep_note(&note(LAKE, 1, None)).await.unwrap();
    assert!(kept(&store, LAKE, 1).await.is_none());
    put(&store, LAKE, 1, 3, ROOMY).await.unwrap();
    assert!(store.delete(lake(LAKE), id(1)).await.unwrap());
    assert!(!store.delete(lake(LAKE), id(1)).await.unwrap());
    assert!(kept(&store, LAKE, 1).await.is_none());
    assert_eq!(store.note(lake(LAKE), id(1)).await.unwrap(), None);
}

/// What the service did not see the end of is found, in every project.
pub async fn notes_of_queries_without_an_end_are_found(store: Store) {
    for number in 1..=20 {
        let ended = (number % 2 == 0).then_some(0);
        store.keep_note(&note(number % 3, number, ended)).await.unwrap();
    }
    let mut found: Vec<QueryId> = store.unfinished().await.unwrap().into_iter().map(|note| note.query.id).collect();
    found.sort_unstable();
    let odd: Vec<QueryId> = (1..=20).filter(|number| number % 2 == 1).map(id).collect();
    assert_eq!(found, odd);
}

/// Only what ended before is swept, with its rows; what has no end stays.
pub async fn results_of_queries_that_ended_before_are_swept(store: Store) {
    for (on, number, ended) in [(1, 1, Some(10)), (2, 2, Some(19)), (1, 3, Some(20)), (1, 4, None)] {
        store.keep_note(&note(on, number, ended)).await.unwrap();
        put(&store, on, number, 2, ROOMY).await.unwrap();
    }
    let before = seconds_past_noon(20);
    assert_eq!(store.sweep(before).await.unwrap(), 2);
    assert_eq!(store.sweep(before).await.unwrap(), 0);
    for (on, number, stays) in [(1, 1, false), (2, 2, false), (1, 3, true), (1, 4, true)] {
        assert_eq!(store.note(lake(on), id(number)).await.unwrap().is_some(), stays, "{number}");
        assert_eq!(kept(&store, on, number).await.is_some(), stays, "{number}");
    }
}

/// A query's id of another project finds nothing, and removing one project's results leaves the others.
pub async fn projects_results_are_apart(store: Store) {
    for on in [1, 2] {
        store.keep_note(&note(on, 7, Some(0))).await.unwrap();
        put(&store, on, 7, u64::try_from(on).unwrap(), ROOMY).await.unwrap();
    }
    assert_eq!(kept(&store, 2, 7).await.unwrap(), [batch(0, 2)]);
    assert_eq!(store.note(lake(3), id(7)).await.unwrap(), None);
    assert!(!store.delete(lake(3), id(7)).await.unwrap());
    store.remove_all(lake(1)).await.unwrap();
    assert_eq!(store.note(lake(1), id(7)).await.unwrap(), None);
    assert!(kept(&store, 1, 7).await.is_none());
    assert_eq!(store.note(lake(2), id(7)).await.unwrap(), Some(note(2, 7, Some(0))));
    assert_eq!(kept(&store, 2, 7).await.unwrap(), [batch(0, 2)]);
}
