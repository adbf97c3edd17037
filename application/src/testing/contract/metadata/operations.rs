//! Long-running operations.

use std::sync::Arc;

use gadwall_domain::ids::OperationId;
use gadwall_domain::operation::{Operation, OperationKind, OperationState, Progress};
use gadwall_domain::ports::metadata::{MetadataStore, OperationFilter, StoreError};
use serde_json::json;
use uuid::Uuid;

use super::insert;
use crate::testing::builders::{noon, project_id, request, seconds_past_noon};

fn id(number: u128) -> OperationId {
    OperationId::new(Uuid::from_u128(number))
}

/// An operation that waits for its turn. A greater number is a newer one.
pub(super) fn pending(project: &str, number: u128) -> Operation {
    Operation {
        id: id(number),
        project: project_id(project),
        kind: OperationKind::Import,
        subject: "Sales.t".to_owned(),
        started_by: "admin".to_owned(),
        request_id: request("r1"),
        created_at: noon(),
        finished_at: None,
        state: OperationState::Pending,
        progress: Progress::default(),
        instance: Uuid::from_u128(7),
    }
}

/// One that ended so many seconds past noon.
fn ended(project: &str, number: u128, second: i64) -> Operation {
    let state = OperationState::Cancelled;
    Operation { state, finished_at: Some(seconds_past_noon(second)), ..pending(project, number) }
}

async fn add(store: &Arc<dyn MetadataStore>, operations: &[Operation]) {
    let mut tx = store.write().await.unwrap();
    for operation in operations {
        tx.operations().insert(operation).await.unwrap();
    }
    tx.commit().await.unwrap();
}

async fn update(store: &Arc<dyn MetadataStore>, operation: &Operation) -> bool {
    let mut tx = store.write().await.unwrap();
    let updated = tx.operations().update(operation).await.unwrap();
    tx.commit().await.unwrap();
    updated
}

async fn find(store: &Arc<dyn MetadataStore>, project: &str, number: u128) -> Option<Operation> {
    store.read().await.unwrap().operations().find(&project_id(project), id(number)).await.unwrap()
}

/// The ids of a page of a project's operations.
async fn page(store: &Arc<dyn MetadataStore>, project: &str, after: Option<u128>, limit: u32) -> Vec<u128> {
    let filter = OperationFilter { after: after.map(id), kind: None, limit };
    let found = store.read().await.unwrap().operations().list(&project_id(project), filter).await.unwrap();
    found.iter().map(|operation| operation.id.uuid().as_u128()).collect()
}

/// An operation reads back as it was stored, whatever its state.
pub async fn an_operation_reads_back_as_stored(store: Arc<dyn MetadataStore>) {
    insert(&store, "P1").await;
    let problem = json!({"code": "it's", "status": 422, "errors": [null, 1.5, "é\u{1f986}"]});
    let states = [
        OperationState::Pending,
        OperationState::Running,
        OperationState::Succeeded(json!({"rows": u64::MAX})),
        OperationState::Succeeded(json!(null)),
        OperationState::Failed(problem),
        OperationState::Cancelled,
    ];
    for (number, state) in (1..).zip(states) {
        let full = Operation {
            kind: OperationKind::Export,
            subject: "Größe 'n' more".to_owned(),
            started_by: "key:1".to_owned(),
            finished_at: state.is_final().then(|| seconds_past_noon(9)),
            state,
            progress: Progress { percent: Some(33.333_333_333_333_336), rows: 1 << 53 | 1, bytes: u64::MAX >> 1 },
            ..pending("p1", number)
        };
        add(&store, std::slice::from_ref(&full)).await;
        let found = find(&store, "p1", number).await.unwrap();
        assert_eq!(found.project.as_str(), "P1");
        assert_eq!(found, full);
    }
    add(&store, &[pending("p1", 99)]).await;
    assert_eq!(find(&store, "p1", 99).await, Some(pending("p1", 99)));
}

/// An operation is stored once, and found only in its project.
pub async fn an_operation_belongs_to_one_project(store: Arc<dyn MetadataStore>) {
    insert(&store, "p1").await;
    insert(&store, "p2").await;
    add(&store, &[pending("p1", 1)]).await;
    let taken = store.write().await.unwrap().operations().insert(&pending("p2", 1)).await;
    assert!(matches!(taken, Err(StoreError::AlreadyExists)), "{taken:?}");
    assert_eq!(find(&store, "p2", 1).await, None);
    assert_eq!(find(&store, "p1", 2).await, None);
    assert!(!update(&store, &ended("p2", 1, 5)).await);
    assert_eq!(find(&store, "P1", 1).await, Some(pending("p1", 1)));
}

/// An update replaces state, progress and time of end, and nothing else, until the operation has ended.
pub async fn an_operation_moves_on_until_it_has_ended(store: Arc<dyn MetadataStore>) {
    insert(&store, "p1").await;
    add(&store, &[pending("p1", 1)]).await;
    let progress = Progress { percent: Some(50.0), rows: 5, bytes: 6 };
    let running = Operation { state: OperationState::Running, progress, ..pending("p1", 1) };
    let other = Operation {
        subject: "other".to_owned(),
        kind: OperationKind::Export,
        started_by: "other".to_owned(),
        created_at: seconds_past_noon(7),
        request_id: request("r2"),
        ..running.clone()
    };
    assert!(update(&store, &other).await);
    assert_eq!(find(&store, "p1", 1).await, Some(running.clone()));
    let succeeded = OperationState::Succeeded(json!({"rows": 5}));
    let done = Operation { state: succeeded, finished_at: Some(seconds_past_noon(9)), ..running.clone() };
    assert!(update(&store, &done).await);
    for late in [running, ended("p1", 1, 10), done.clone()] {
        assert!(!update(&store, &late).await);
        assert_eq!(find(&store, "p1", 1).await, Some(done.clone()));
    }
    assert!(!update(&store, &pending("p1", 2)).await);
}

/// An operation ends with a time of end, and has none before.
pub async fn an_operation_ends_at_a_time(store: Arc<dyn MetadataStore>) {
    insert(&store, "p1").await;
    add(&store, &[pending("p1", 1)]).await;
    let early = Operation { finished_at: Some(noon()), ..pending("p1", 1) };
    let timeless = Operation { state: OperationState::Failed(json!({})), ..pending("p1", 1) };
    for wrong in [early, timeless] {
        let refused = store.write().await.unwrap().operations().update(&wrong).await;
        assert!(matches!(refused, Err(StoreError::Fault(_))), "{refused:?}");
        let wrong = Operation { id: id(2), ..wrong };
        let refused = store.write().await.unwrap().operations().insert(&wrong).await;
        assert!(matches!(refused, Err(StoreError::Fault(_))), "{refused:?}");
    }
}

/// A project's operations come newest first, in pages that go on after the last one seen, even if that is gone.
pub async fn operations_come_newest_first_in_pages(store: Arc<dyn MetadataStore>) {
    insert(&store, "p1").await;
    insert(&store, "p2").await;
    // An id with letters among them, so that their order is not that of decimal numbers.
    let ids = [0x1f, 0x20, 0x0a, 0x2b, 0x09];
    let all: Vec<Operation> = ids.into_iter().map(|number| pending("p1", number)).collect();
    add(&store, &all).await;
    add(&store, &[pending("p2", 0x15)]).await;
    assert_eq!(page(&store, "P1", None, 10).await, [0x2b, 0x20, 0x1f, 0x0a, 0x09]);
    assert_eq!(page(&store, "p1", None, 2).await, [0x2b, 0x20]);
    assert_eq!(page(&store, "p1", Some(0x20), 2).await, [0x1f, 0x0a]);
    assert_eq!(page(&store, "p1", Some(0x15), 9).await, [0x0a, 0x09]);
    assert!(page(&store, "p1", Some(0x09), 9).await.is_empty());
    assert!(page(&store, "p1", None, 0).await.is_empty());
    assert_eq!(page(&store, "p2", Some(u128::MAX), 9).await, [0x15]);
}

/// Those that have not ended are found over all projects.
pub async fn unfinished_operations_are_found(store: Arc<dyn MetadataStore>) {
    insert(&store, "p1").await;
    insert(&store, "p2").await;
    let running = Operation { state: OperationState::Running, ..pending("p1", 3) };
    add(&store, &[running.clone(), ended("p1", 2, 1), pending("p2", 1)]).await;
    let found = store.read().await.unwrap().operations().unfinished().await.unwrap();
    assert_eq!(found, [pending("p2", 1), running.clone()]);
    let failed = OperationState::Failed(json!({"code": "server_restarted"}));
    assert!(update(&store, &Operation { state: failed, finished_at: Some(noon()), ..running }).await);
    let found = store.read().await.unwrap().operations().unfinished().await.unwrap();
    assert_eq!(found, [pending("p2", 1)]);
}

/// Those that ended before a time are forgotten; those that have not ended stay.
pub async fn old_operations_are_forgotten(store: Arc<dyn MetadataStore>) {
    insert(&store, "p1").await;
    insert(&store, "p2").await;
    let operations = [pending("p1", 1), ended("p1", 2, 1), ended("p2", 3, 2), ended("p1", 4, 3)];
    add(&store, &operations).await;
    let mut tx = store.write().await.unwrap();
    assert_eq!(tx.operations().forget_before(seconds_past_noon(1)).await.unwrap(), 0, "not of the time itself");
    assert_eq!(tx.operations().forget_before(seconds_past_noon(3)).await.unwrap(), 2);
    tx.commit().await.unwrap();
    assert_eq!(page(&store, "p1", None, 9).await, [4, 1]);
    assert!(page(&store, "p2", None, 9).await.is_empty());
}
