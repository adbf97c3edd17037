//! Projects and keys.

use std::collections::BTreeSet;
use std::sync::Arc;

use chrono::TimeDelta;
use gadwall_domain::access::{ApiKey, Scope};
use gadwall_domain::ports::metadata::{MetadataStore, ProjectFilter, StoreError};
use gadwall_domain::project::{Deletion, Project, ProjectSize, ProjectStatus};
use serde_json::json;

use super::{insert, insert_keys};
use crate::testing::builders::{api_key, bucket, noon, project, project_id, seconds_past_noon};

/// A project reads back as it was stored, times to the microsecond.
pub async fn a_project_reads_back_as_stored(store: Arc<dyn MetadataStore>) {
    let mut stored = project("Sales-2026");
    stored.name = Some("Ducks 🦆 'n \"geese\"".to_owned());
    stored.settings = json!({ "a": { "b": [1, null, "x"] }, "é": 1.5 }).as_object().cloned();
    stored.created_at = noon() + TimeDelta::microseconds(123_456);
    stored.updated_at = noon() + TimeDelta::microseconds(999_999);
    stored.size = ProjectSize { size_bytes: 1 << 45, table_count: 3, bucket_count: 2 };
    let mut plain = project("p2");
    plain.settings = Some(serde_json::Map::new());
    let mut tx = store.write().await.unwrap();
    tx.projects().insert(&stored).await.unwrap();
    tx.projects().insert(&plain).await.unwrap();
    tx.commit().await.unwrap();
    let mut tx = store.read().await.unwrap();
    let found = tx.projects().find(&stored.id).await.unwrap().unwrap();
    assert_eq!(found, stored);
    assert_eq!(found.id.as_str(), "Sales-2026");
    assert_eq!(tx.projects().find(&plain.id).await.unwrap(), Some(plain));
    assert_eq!(tx.projects().find(&project_id("other")).await.unwrap(), None);
}

/// A project's id is taken whatever its case, and stays so when the project is deleted.
pub async fn a_project_id_is_taken_once(store: Arc<dyn MetadataStore>) {
    let mut first = project("Sales");
    insert(&store, "Sales").await;
    let mut again = project("sALES");
    again.lake = project("another").lake;
    let refused = store.write().await.unwrap().projects().insert(&again).await;
    assert!(matches!(refused, Err(StoreError::AlreadyExists)), "{refused:?}");
    first.status = ProjectStatus::Deleted;
    let mut tx = store.write().await.unwrap();
    assert!(tx.projects().update(&first).await.unwrap());
    tx.commit().await.unwrap();
    let refused = store.write().await.unwrap().projects().insert(&again).await;
    assert!(matches!(refused, Err(StoreError::AlreadyExists)), "{refused:?}");
    let found = store.read().await.unwrap().projects().find(&again.id).await.unwrap().unwrap();
    assert_eq!((found.id.as_str(), found.status), ("Sales", ProjectStatus::Deleted));
}

/// No two projects stand on one lake.
pub async fn a_lake_belongs_to_one_project(store: Arc<dyn MetadataStore>) {
    insert(&store, "p1").await;
    let mut thief = project("p2");
    thief.lake = project("p1").lake;
    assert!(store.write().await.unwrap().projects().insert(&thief).await.is_err());
}

/// Name, settings, status and the time of the update are replaced; the rest stays.
pub async fn an_update_replaces_only_what_may_change(store: Arc<dyn MetadataStore>) {
    let mut stored = project("p1");
    stored.name = Some("before".to_owned());
    stored.size.table_count = 7;
    let mut tx = store.write().await.unwrap();
    tx.projects().insert(&stored).await.unwrap();
    let mut change = project("P1");
    change.settings = json!({ "a": 1 }).as_object().cloned();
    change.status = ProjectStatus::Deleted;
    change.updated_at = seconds_past_noon(60);
    change.created_at = seconds_past_noon(60);
    change.lake = project("another").lake;
    assert!(tx.projects().update(&change).await.unwrap());
    assert!(!tx.projects().update(&project("p2")).await.unwrap());
    tx.commit().await.unwrap();
    let found = store.read().await.unwrap().projects().find(&stored.id).await.unwrap().unwrap();
    stored.name = None;
    stored.settings = change.settings;
    stored.status = ProjectStatus::Deleted;
    stored.updated_at = seconds_past_noon(60);
    assert_eq!(found, stored);
}

/// Counters are kept beside the rest; those of a project that isn't there are ignored.
pub async fn sizes_are_recorded(store: Arc<dyn MetadataStore>) {
    insert(&store, "p1").await;
    let size = ProjectSize { size_bytes: 5, table_count: 2, bucket_count: 1 };
    let mut tx = store.write().await.unwrap();
    tx.projects().record_size(&project_id("P1"), size).await.unwrap();
    tx.projects().record_size(&project_id("p2"), size).await.unwrap();
    tx.commit().await.unwrap();
    let found = store.read().await.unwrap().projects().find(&project_id("p1")).await.unwrap().unwrap();
    assert_eq!(found, Project { size, ..project("p1") });
}

/// Projects are listed newest first (by id where they are of the same age), in pages, by status.
pub async fn projects_are_listed_newest_first_in_pages(store: Arc<dyn MetadataStore>) {
    let mut tx = store.write().await.unwrap();
    for (id, age, status) in [
        ("old", 10, ProjectStatus::Active),
        ("gone", 20, ProjectStatus::Deleted),
        ("Twin-b", 30, ProjectStatus::Active),
        ("twin-a", 30, ProjectStatus::Active),
        ("new", 40, ProjectStatus::Active),
    ] {
        let mut stored = project(id);
        stored.created_at = seconds_past_noon(age);
        stored.status = status;
        tx.projects().insert(&stored).await.unwrap();
    }
    tx.commit().await.unwrap();
    let mut tx = store.read().await.unwrap();
    for (status, limit, offset, expected, total) in [
        (None, 10, 0, &["new", "twin-a", "Twin-b", "gone", "old"][..], 5),
        (None, 2, 1, &["twin-a", "Twin-b"], 5),
        (None, 10, 5, &[], 5),
        (None, 0, 0, &[], 5),
        (Some(ProjectStatus::Active), 3, 0, &["new", "twin-a", "Twin-b"], 4),
        (Some(ProjectStatus::Deleted), 10, 0, &["gone"], 1),
    ] {
        let (found, count) = tx.projects().list(ProjectFilter { status, limit, offset }).await.unwrap();
        let ids: Vec<&str> = found.iter().map(|project| project.id.as_str()).collect();
        assert_eq!((ids.as_slice(), count), (expected, total), "{status:?} {limit} {offset}");
    }
}

/// A key is found by its digest and reads back as it was stored.
pub async fn a_key_is_found_by_its_digest(store: Arc<dyn MetadataStore>) {
    insert(&store, "p1").await;
    let full = api_key("p1", "full");
    let limited = ApiKey {
        name: "reader".to_owned(),
        scopes: BTreeSet::from([Scope::Read]),
        bucket: Some(bucket("in_c_Sales")),
        expires_at: Some(seconds_past_noon(60)),
        ..api_key("P1", "limited")
    };
    let mut useless = api_key("p1", "useless");
    useless.scopes = BTreeSet::new();
    useless.revoked_at = Some(seconds_past_noon(30));
    insert_keys(&store, &[&full, &limited, &useless]).await;
    let mut tx = store.read().await.unwrap();
    for key in [full, limited, useless] {
        assert_eq!(tx.keys().find_by_digest(&key.digest).await.unwrap(), Some(key));
    }
    assert_eq!(tx.keys().find_by_digest(&api_key("p1", "other").digest).await.unwrap(), None);
}

/// Neither a key's id nor its digest is ever there twice.
pub async fn a_key_is_stored_once(store: Arc<dyn MetadataStore>) {
    insert(&store, "p1").await;
    let key = api_key("p1", "one");
    insert_keys(&store, &[&key]).await;
    let mut same_id = api_key("p1", "two");
    same_id.id = key.id;
    let mut same_digest = api_key("p1", "three");
    same_digest.digest = key.digest;
    for twin in [same_id, same_digest] {
        let refused = store.write().await.unwrap().keys().insert(&twin).await;
        assert!(matches!(refused, Err(StoreError::AlreadyExists)), "{refused:?}");
    }
}

/// Revoking takes a project's keys that still work, and no other's; a key keeps the time it was revoked at first.
pub async fn all_keys_of_a_project_are_revoked_at_once(store: Arc<dyn MetadataStore>) {
    insert(&store, "p1").await;
    insert(&store, "p2").await;
    let mut revoked = api_key("p1", "revoked");
    revoked.revoked_at = Some(noon());
    let (first, second, foreign) = (api_key("p1", "first"), api_key("p1", "second"), api_key("p2", "foreign"));
    insert_keys(&store, &[&first, &second, &revoked, &foreign]).await;
    let mut tx = store.write().await.unwrap();
    let at = seconds_past_noon(60);
    assert_eq!(tx.keys().revoke_all(&project_id("P1"), at).await.unwrap(), 2);
    assert_eq!(tx.keys().revoke_all(&project_id("p1"), at).await.unwrap(), 0);
    tx.commit().await.unwrap();
    let mut tx = store.read().await.unwrap();
    for (key, expected) in [(first, Some(at)), (second, Some(at)), (revoked, Some(noon())), (foreign, None)] {
        let found = tx.keys().find_by_digest(&key.digest).await.unwrap().unwrap();
        assert_eq!(found.revoked_at, expected);
    }
}

async fn delete(store: &Arc<dyn MetadataStore>, id: &str, deletion: Deletion) -> Project {
    let deleted = Project { status: ProjectStatus::Deleted, deletion: Some(deletion), ..project(id) };
    let mut tx = store.write().await.unwrap();
    assert!(tx.projects().update(&deleted).await.unwrap());
    tx.commit().await.unwrap();
    deleted
}

fn deleted_until(seconds: i64) -> Deletion {
    Deletion {
        at: noon(),
        purge_after: seconds_past_noon(seconds),
        claimed_until: None,
        purged_at: None,
        freed_bytes: 0,
    }
}

/// When a project was deleted, and what became of its data, reads back; and that it can't be deleted.
pub async fn a_deleted_project_reads_back_as_stored(store: Arc<dyn MetadataStore>) {
    insert(&store, "gone").await;
    let protected = Project { deletion_protection: true, ..project("kept") };
    let mut tx = store.write().await.unwrap();
    tx.projects().insert(&protected).await.unwrap();
    tx.commit().await.unwrap();
    let claimed_until = Some(seconds_past_noon(3));
    let deletion =
        Deletion { claimed_until, purged_at: Some(seconds_past_noon(2)), freed_bytes: 7, ..deleted_until(1) };
    let gone = delete(&store, "gone", deletion).await;
    assert!(!store.read().await.unwrap().lake_index().is_in_use(&gone.id).await.unwrap());
    assert!(store.read().await.unwrap().lake_index().is_in_use(&protected.id).await.unwrap());
    let found = async |id| store.read().await.unwrap().projects().find(&project_id(id)).await.unwrap();
    assert_eq!((found("gone").await, found("kept").await), (Some(gone), Some(protected)));
    let mut tx = store.write().await.unwrap();
    assert!(tx.projects().update(&project("gone")).await.unwrap());
    tx.commit().await.unwrap();
    assert_eq!(found("gone").await, Some(project("gone")), "it can be brought back");
}

/// Whose time is over is found, those that wait longest first; whose data is gone is found by when.
pub async fn deleted_projects_wait_for_their_purge(store: Arc<dyn MetadataStore>) {
    for (id, deletion) in [
        ("active", None),
        ("second", Some(deleted_until(20))),
        ("first", Some(deleted_until(10))),
        ("later", Some(deleted_until(60))),
        ("claimed", Some(Deletion { claimed_until: Some(seconds_past_noon(50)), ..deleted_until(5) })),
        ("purged", Some(Deletion { purged_at: Some(seconds_past_noon(25)), ..deleted_until(5) })),
    ] {
        insert(&store, id).await;
        if let Some(deletion) = deletion {
            delete(&store, id, deletion).await;
        }
    }
    let mut tx = store.read().await.unwrap();
    let ids = |found: Vec<Project>| found.into_iter().map(|project| project.id.to_string()).collect::<Vec<_>>();
    assert_eq!(ids(tx.projects().to_purge(seconds_past_noon(20), 10).await.unwrap()), ["first", "second"]);
    assert_eq!(ids(tx.projects().to_purge(seconds_past_noon(50), 1).await.unwrap()), ["claimed"]);
    assert_eq!(ids(tx.projects().purged_since(seconds_past_noon(25), 10).await.unwrap()), ["purged"]);
    assert!(tx.projects().purged_since(seconds_past_noon(26), 10).await.unwrap().is_empty());
}

/// Keys of a deleted project are not found by their secrets, and are again when it is brought back.
pub async fn keys_of_a_deleted_project_open_nothing(store: Arc<dyn MetadataStore>) {
    insert(&store, "p1").await;
    let key = api_key("p1", "secret");
    insert_keys(&store, &[&key]).await;
    let found = async || store.read().await.unwrap().keys().find_by_digest(&key.digest).await.unwrap();
    delete(&store, "p1", deleted_until(10)).await;
    assert_eq!(found().await, None);
    let mut tx = store.write().await.unwrap();
    assert!(tx.keys().find(&project_id("p1"), key.id).await.unwrap().is_some());
    assert!(tx.projects().update(&project("p1")).await.unwrap());
    tx.commit().await.unwrap();
    assert_eq!(found().await, Some(key.clone()));
}
