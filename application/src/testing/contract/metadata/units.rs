//! Units of work: all or nothing, one at a time, apart from each other.

use std::sync::Arc;

use gadwall_domain::ports::metadata::MetadataStore;
use gadwall_domain::project::ProjectSize;
use uuid::Uuid;

use super::operations::pending;
use super::queries::asked;
use super::tags::tag;
use super::{insert, projects_in};
use crate::testing::builders::{api_key, audit_entry, event, noon, project, project_id};

/// What wasn't committed is gone, whatever was written.
pub async fn a_dropped_unit_of_work_leaves_nothing(store: Arc<dyn MetadataStore>) {
    insert(&store, "p1").await;
    let mut tx = store.write().await.unwrap();
    tx.projects().insert(&project("p2")).await.unwrap();
    tx.keys().insert(&api_key("p1", "secret")).await.unwrap();
    tx.events().append(&[event("p1")]).await.unwrap();
    drop(tx);
    assert_eq!(projects_in(&store).await, ["p1"]);
    let mut tx = store.read().await.unwrap();
    assert!(tx.keys().find_by_digest(&api_key("p1", "secret").digest).await.unwrap().is_none());
    assert!(tx.events().read_after(&project_id("p1"), 0, 10).await.unwrap().is_empty());
}

/// All of a unit of work becomes visible with its commit, and is visible within it before.
pub async fn a_committed_unit_of_work_lasts(store: Arc<dyn MetadataStore>) {
    let mut tx = store.write().await.unwrap();
    tx.projects().insert(&project("p1")).await.unwrap();
    assert!(tx.projects().find(&project_id("p1")).await.unwrap().is_some());
    assert!(projects_in(&store).await.is_empty());
    tx.commit().await.unwrap();
    assert_eq!(projects_in(&store).await, ["p1"]);
}

/// A unit of work that reads can't write.
pub async fn a_reading_unit_of_work_refuses_writes(store: Arc<dyn MetadataStore>) {
    insert(&store, "p1").await;
    let id = project_id("p1");
    assert!(store.read().await.unwrap().projects().insert(&project("p2")).await.is_err());
    assert!(store.read().await.unwrap().projects().update(&project("p1")).await.is_err());
    let size = ProjectSize::default();
    assert!(store.read().await.unwrap().projects().record_size(&id, size).await.is_err());
    assert!(store.read().await.unwrap().keys().insert(&api_key("p1", "secret")).await.is_err());
    assert!(store.read().await.unwrap().keys().revoke_all(&id, noon()).await.is_err());
    assert!(store.read().await.unwrap().events().append(&[event("p1")]).await.is_err());
    assert!(store.read().await.unwrap().audit().append(&[audit_entry("p1", "x")]).await.is_err());
    assert!(store.read().await.unwrap().lake_index().clear(&id).await.is_err());
    assert!(store.read().await.unwrap().lake_index().forget_keys(noon()).await.is_err());
    assert!(store.read().await.unwrap().tags().insert(&tag("p1", "a", 1)).await.is_err());
    assert!(store.read().await.unwrap().tags().clear(&id).await.is_err());
    let instance = Uuid::from_u128(1);
    assert!(store.read().await.unwrap().idempotency().begin("admin", "k", instance, noon(), noon()).await.is_err());
    assert!(store.read().await.unwrap().idempotency().forget("admin", "k").await.is_err());
    assert!(store.read().await.unwrap().operations().insert(&pending("p1", 1)).await.is_err());
    assert!(store.read().await.unwrap().operations().forget_before(noon()).await.is_err());
    assert!(store.read().await.unwrap().queries().insert(&asked("p1", 1)).await.is_err());
    assert!(store.read().await.unwrap().queries().keep_newest(&id, 0).await.is_err());
    assert!(store.read().await.unwrap().queries().forget_before(noon()).await.is_err());
    assert_eq!(projects_in(&store).await, ["p1"]);
}

/// A unit of work that reads sees one state, whatever is committed meanwhile.
pub async fn a_reading_unit_of_work_sees_one_state(store: Arc<dyn MetadataStore>) {
    insert(&store, "p1").await;
    let mut tx = store.read().await.unwrap();
    assert!(tx.projects().find(&project_id("p1")).await.unwrap().is_some());
    insert(&store, "p2").await;
    assert!(tx.projects().find(&project_id("p2")).await.unwrap().is_none());
    drop(tx);
    assert_eq!(projects_in(&store).await, ["p1", "p2"]);
}

/// Writers wait for each other: what each read before it wrote still held when it committed.
pub async fn writing_units_of_work_take_turns(store: Arc<dyn MetadataStore>) {
    insert(&store, "p1").await;
    let add_one = |store: Arc<dyn MetadataStore>| async move {
        let mut tx = store.write().await.unwrap();
        let mut size = tx.projects().find(&project_id("p1")).await.unwrap().unwrap().size;
        tokio::task::yield_now().await;
        size.table_count += 1;
        tx.projects().record_size(&project_id("p1"), size).await.unwrap();
        tx.commit().await.unwrap();
    };
    let running: Vec<_> = (0..20).map(|_| tokio::spawn(add_one(Arc::clone(&store)))).collect();
    for writer in running {
        writer.await.unwrap();
    }
    let found = store.read().await.unwrap().projects().find(&project_id("p1")).await.unwrap().unwrap();
    assert_eq!(found.size.table_count, 20);
}

/// Whatever belongs to a project needs one; nothing is kept for one that isn't there.
pub async fn nothing_is_kept_for_a_project_that_is_not_there(store: Arc<dyn MetadataStore>) {
    assert!(store.write().await.unwrap().keys().insert(&api_key("p1", "secret")).await.is_err());
    assert!(store.write().await.unwrap().events().append(&[event("p1")]).await.is_err());
    assert!(store.write().await.unwrap().audit().append(&[audit_entry("p1", "x")]).await.is_err());
    assert!(store.write().await.unwrap().tags().insert(&tag("p1", "a", 1)).await.is_err());
    assert!(store.write().await.unwrap().operations().insert(&pending("p1", 1)).await.is_err());
    assert!(store.write().await.unwrap().queries().insert(&asked("p1", 1)).await.is_err());
    let commit = crate::testing::builders::commit(1, Vec::new());
    assert!(store.write().await.unwrap().lake_index().apply(&project_id("p1"), &commit).await.is_err());
}
