//! Named snapshots.

use std::sync::Arc;

use gadwall_domain::history::Tag;
use gadwall_domain::ids::SnapshotId;
use gadwall_domain::names::TagName;
use gadwall_domain::ports::metadata::{MetadataStore, StoreError};

use super::insert;
use crate::testing::builders::{project_id, seconds_past_noon};

fn name(name: &str) -> TagName {
    TagName::parse(name).unwrap()
}

pub(super) fn tag(project: &str, tag: &str, snapshot: i64) -> Tag {
    Tag {
        project: project_id(project),
        name: name(tag),
        snapshot: SnapshotId::new(snapshot).unwrap(),
        description: None,
        created_at: seconds_past_noon(snapshot),
        created_by: "admin".to_owned(),
    }
}

async fn add(store: &Arc<dyn MetadataStore>, tags: &[Tag]) {
    let mut tx = store.write().await.unwrap();
    for tag in tags {
        tx.tags().insert(tag).await.unwrap();
    }
    tx.commit().await.unwrap();
}

/// A project's tags as `name snapshot`, names as spelled.
async fn listed(store: &Arc<dyn MetadataStore>, project: &str) -> Vec<String> {
    let tags = store.read().await.unwrap().tags().list(&project_id(project)).await.unwrap();
    tags.iter().map(|tag| format!("{} {}", tag.name.as_str(), tag.snapshot)).collect()
}

/// A tag reads back as it was stored, in whatever case it is named.
pub async fn a_tag_reads_back_as_stored(store: Arc<dyn MetadataStore>) {
    insert(&store, "P1").await;
    let description = Some("before 'the' import \u{1f986}".to_owned());
    let full = Tag { description, created_by: "key:1".to_owned(), ..tag("p1", "Release-1", 7) };
    add(&store, &[full.clone(), tag("p1", "empty", 0)]).await;
    let mut tx = store.read().await.unwrap();
    let found = tx.tags().find(&project_id("p1"), &name("RELEASE-1")).await.unwrap().unwrap();
    assert_eq!((found.name.as_str(), found.project.as_str()), ("Release-1", "P1"));
    assert_eq!(found, full);
    assert_eq!(tx.tags().list(&project_id("p1")).await.unwrap(), [tag("p1", "empty", 0), full]);
    assert_eq!(tx.tags().find(&project_id("p1"), &name("none")).await.unwrap(), None);
}

/// A name stands for one snapshot, without regard to case; it is free again when its tag is removed.
pub async fn a_tag_stands_for_one_snapshot(store: Arc<dyn MetadataStore>) {
    insert(&store, "p1").await;
    add(&store, &[tag("p1", "v1", 1)]).await;
    let taken = store.write().await.unwrap().tags().insert(&tag("P1", "V1", 2)).await;
    assert!(matches!(taken, Err(StoreError::AlreadyExists)), "{taken:?}");
    let mut tx = store.write().await.unwrap();
    assert!(tx.tags().remove(&project_id("p1"), &name("V1")).await.unwrap());
    assert!(!tx.tags().remove(&project_id("p1"), &name("v1")).await.unwrap());
    tx.tags().insert(&tag("p1", "V1", 2)).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(listed(&store, "p1").await, ["V1 2"]);
}

/// Tags are listed by name without regard to case.
pub async fn tags_are_listed_by_name(store: Arc<dyn MetadataStore>) {
    insert(&store, "p1").await;
    assert!(listed(&store, "p1").await.is_empty());
    add(&store, &[tag("p1", "c", 1), tag("p1", "B", 3), tag("p1", "a", 3)]).await;
    assert_eq!(listed(&store, "P1").await, ["a 3", "B 3", "c 1"]);
}

/// Projects don't see each other's tags, and clearing one's leaves the other's.
pub async fn tags_of_projects_are_apart(store: Arc<dyn MetadataStore>) {
    insert(&store, "p1").await;
    insert(&store, "p2").await;
    add(&store, &[tag("p1", "a", 1), tag("p1", "b", 2), tag("p2", "a", 5)]).await;
    let mut tx = store.write().await.unwrap();
    assert!(!tx.tags().remove(&project_id("p2"), &name("b")).await.unwrap());
    tx.tags().clear(&project_id("P1")).await.unwrap();
    tx.commit().await.unwrap();
    assert!(listed(&store, "p1").await.is_empty());
    assert_eq!(listed(&store, "p2").await, ["a 5"]);
}

/// Tags aren't part of the index: they stay when it is cleared to be rebuilt.
pub async fn tags_outlive_the_index(store: Arc<dyn MetadataStore>) {
    insert(&store, "p1").await;
    add(&store, &[tag("p1", "a", 1)]).await;
    let mut tx = store.write().await.unwrap();
    tx.lake_index().clear(&project_id("p1")).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(listed(&store, "p1").await, ["a 1"]);
}
