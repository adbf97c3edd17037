//! Queries that have ended.

use std::sync::Arc;

use gadwall_domain::ids::QueryId;
use gadwall_domain::ports::metadata::{MetadataStore, StoreError};
use gadwall_domain::query_figures::QueryProfile;
use gadwall_domain::query_record::{QueryFilter, QueryRecord, QueryState};
use uuid::Uuid;

use super::insert;
use crate::testing::builders::{noon, project_id, request, seconds_past_noon};

fn id(number: u128) -> QueryId {
    QueryId::new(Uuid::from_u128(number))
}

/// A query that ran for a second. A greater number is a newer one.
pub(super) fn asked(project: &str, number: u128) -> QueryRecord {
    QueryRecord {
        id: id(number),
        project: project_id(project),
        principal: "admin".to_owned(),
        sql: "select 1".to_owned(),
        request_id: request("r1"),
        started_at: noon(),
        finished_at: Some(seconds_past_noon(1)),
        state: QueryState::Done,
        rows: 1,
        error_code: None,
        profile: None,
        progress: None,
    }
}

async fn add(store: &Arc<dyn MetadataStore>, queries: &[QueryRecord]) {
    let mut tx = store.write().await.unwrap();
    for query in queries {
        tx.queries().insert(query).await.unwrap();
    }
    tx.commit().await.unwrap();
}

async fn find(store: &Arc<dyn MetadataStore>, project: &str, number: u128) -> Option<QueryRecord> {
    store.read().await.unwrap().queries().find(&project_id(project), id(number)).await.unwrap()
}

fn all() -> QueryFilter {
    QueryFilter { state: None, since: None, principal: None, before: None, limit: 100 }
}

/// The numbers of a project's queries.
async fn listed(store: &Arc<dyn MetadataStore>, project: &str, filter: QueryFilter) -> Vec<u128> {
    let found = store.read().await.unwrap().queries().list(&project_id(project), &filter).await.unwrap();
    found.iter().map(|query| query.id.uuid().as_u128()).collect()
}

/// A query reads back as it was stored, however it ended.
pub async fn a_query_reads_back_as_stored(store: Arc<dyn MetadataStore>) {
    insert(&store, "P1").await;
    let failed = QueryRecord {
        principal: "key:1".to_owned(),
        sql: "select 'it''s', \"Größe\" -- \u{1f986}\n".to_owned(),
        state: QueryState::Failed,
        rows: u64::MAX >> 1,
        error_code: Some("query_timeout".to_owned()),
        ..asked("p1", 1)
    };
    let cancelled = QueryRecord { state: QueryState::Cancelled, sql: String::new(), rows: 0, ..asked("p1", 2) };
    let profile = QueryProfile { rows_scanned: 10, bytes_scanned: u64::MAX >> 1, peak_memory: 1 << 20, peak_spill: 0 };
    let measured = QueryRecord { profile: Some(profile), ..asked("p1", 4) };
    add(&store, &[failed.clone(), cancelled.clone(), asked("p1", 3), measured.clone()]).await;
    let found = find(&store, "p1", 1).await.unwrap();
    assert_eq!(found.project.as_str(), "P1");
    assert_eq!(found, failed);
    assert_eq!(find(&store, "P1", 2).await, Some(cancelled));
    assert_eq!(find(&store, "p1", 3).await, Some(asked("p1", 3)));
    assert_eq!(find(&store, "p1", 4).await, Some(measured));
}

/// A query is stored once, and found only in its project.
pub async fn a_query_belongs_to_one_project(store: Arc<dyn MetadataStore>) {
    insert(&store, "p1").await;
    insert(&store, "p2").await;
    add(&store, &[asked("p1", 1)]).await;
    let taken = store.write().await.unwrap().queries().insert(&asked("p2", 1)).await;
    assert!(matches!(taken, Err(StoreError::AlreadyExists)), "{taken:?}");
    assert_eq!(find(&store, "p2", 1).await, None);
    assert_eq!(find(&store, "p1", 2).await, None);
    assert!(listed(&store, "p2", all()).await.is_empty());
}

/// What has not ended is not kept.
pub async fn only_queries_that_ended_are_kept(store: Arc<dyn MetadataStore>) {
    insert(&store, "p1").await;
    let endless = QueryRecord { finished_at: None, ..asked("p1", 1) };
    let running = QueryRecord { state: QueryState::Running, ..asked("p1", 1) };
    for wrong in [endless, running] {
        let refused = store.write().await.unwrap().queries().insert(&wrong).await;
        assert!(matches!(refused, Err(StoreError::Fault(_))), "{refused:?}");
    }
}

/// A project's queries come newest first, in pages that go on after the last one seen, even if that is gone.
pub async fn queries_come_newest_first_in_pages(store: Arc<dyn MetadataStore>) {
    insert(&store, "p1").await;
    insert(&store, "p2").await;
    // An id with letters among them, so that their order is not that of decimal numbers.
    let ids = [0x1f, 0x20, 0x0a, 0x2b, 0x09];
    add(&store, &ids.map(|number| asked("p1", number))).await;
    add(&store, &[asked("p2", 0x15)]).await;
    let page = |before: Option<u128>, limit| QueryFilter { before: before.map(id), limit, ..all() };
    assert_eq!(listed(&store, "P1", page(None, 10)).await, [0x2b, 0x20, 0x1f, 0x0a, 0x09]);
    assert_eq!(listed(&store, "p1", page(None, 2)).await, [0x2b, 0x20]);
    assert_eq!(listed(&store, "p1", page(Some(0x20), 2)).await, [0x1f, 0x0a]);
    assert_eq!(listed(&store, "p1", page(Some(0x15), 9)).await, [0x0a, 0x09]);
    assert!(listed(&store, "p1", page(Some(0x09), 9)).await.is_empty());
    assert!(listed(&store, "p1", page(None, 0)).await.is_empty());
}

/// Filters hold together.
pub async fn queries_are_found_by_state_age_and_principal(store: Arc<dyn MetadataStore>) {
    insert(&store, "p1").await;
    let query = |number: u128, second, state, principal: &str| QueryRecord {
        started_at: seconds_past_noon(second),
        finished_at: Some(seconds_past_noon(99)),
        state,
        principal: principal.to_owned(),
        ..asked("p1", number)
    };
    let queries = [
        query(1, 1, QueryState::Done, "admin"),
        query(2, 2, QueryState::Failed, "key:1"),
        query(3, 3, QueryState::Done, "key:1"),
        query(4, 4, QueryState::Cancelled, "admin"),
    ];
    add(&store, &queries).await;
    let state = |state| QueryFilter { state: Some(state), ..all() };
    assert_eq!(listed(&store, "p1", state(QueryState::Done)).await, [3, 1]);
    assert!(listed(&store, "p1", state(QueryState::Running)).await.is_empty());
    let since = |second| QueryFilter { since: Some(seconds_past_noon(second)), ..all() };
    assert_eq!(listed(&store, "p1", since(3)).await, [4, 3]);
    let own = QueryFilter { principal: Some("key:1".to_owned()), ..all() };
    assert_eq!(listed(&store, "p1", own.clone()).await, [3, 2]);
    let both = QueryFilter { since: Some(seconds_past_noon(3)), limit: 1, ..own };
    assert_eq!(listed(&store, "p1", both).await, [3]);
}

/// Of a project's queries only the newest are kept.
pub async fn the_newest_queries_are_kept(store: Arc<dyn MetadataStore>) {
    insert(&store, "p1").await;
    insert(&store, "p2").await;
    add(&store, &[1, 2, 3, 4].map(|number| asked("p1", number))).await;
    add(&store, &[asked("p2", 5)]).await;
    let mut tx = store.write().await.unwrap();
    assert_eq!(tx.queries().keep_newest(&project_id("p1"), 4).await.unwrap(), 0);
    assert_eq!(tx.queries().keep_newest(&project_id("P1"), 2).await.unwrap(), 2);
    tx.commit().await.unwrap();
    assert_eq!(listed(&store, "p1", all()).await, [4, 3]);
    assert_eq!(listed(&store, "p2", all()).await, [5]);
    let mut tx = store.write().await.unwrap();
    assert_eq!(tx.queries().keep_newest(&project_id("p2"), 0).await.unwrap(), 1);
}

/// Those that ended before a time are forgotten.
pub async fn old_queries_are_forgotten(store: Arc<dyn MetadataStore>) {
    insert(&store, "p1").await;
    insert(&store, "p2").await;
    let ended = |project, number, second| QueryRecord {
        finished_at: Some(seconds_past_noon(second)),
        ..asked(project, number)
    };
    add(&store, &[ended("p1", 1, 1), ended("p2", 2, 2), ended("p1", 3, 3)]).await;
    let mut tx = store.write().await.unwrap();
    assert_eq!(tx.queries().forget_before(seconds_past_noon(1)).await.unwrap(), 0, "not of the time itself");
    assert_eq!(tx.queries().forget_before(seconds_past_noon(3)).await.unwrap(), 2);
    tx.commit().await.unwrap();
    assert_eq!(listed(&store, "p1", all()).await, [3]);
    assert!(listed(&store, "p2", all()).await.is_empty());
}
