//! The log as those read it who watch: to its end, and from where it was forgotten.

use std::sync::Arc;

use chrono::TimeDelta;
use gadwall_domain::access::KeyDigest;
use gadwall_domain::events::{Event, LogExtent};
use gadwall_domain::ids::SnapshotId;
use gadwall_domain::live::{ChangeConsumer, EventToken, Viewer};
use gadwall_domain::names::ConsumerName;
use gadwall_domain::ports::metadata::MetadataStore;

use super::insert;
use crate::testing::builders::{event, noon, project_id, table};

async fn append(store: &Arc<dyn MetadataStore>, events: &[(&str, i64)]) {
    let at =
        |(project, second): &(&str, i64)| Event { occurred_at: noon() + TimeDelta::seconds(*second), ..event(project) };
    let mut tx = store.write().await.unwrap();
    tx.events().append(&events.iter().map(at).collect::<Vec<_>>()).await.unwrap();
    tx.commit().await.unwrap();
}

async fn forget(store: &Arc<dyn MetadataStore>, before: i64, limit: u32) -> u64 {
    let mut tx = store.write().await.unwrap();
    let forgotten = tx.events().forget_before(noon() + TimeDelta::seconds(before), limit).await.unwrap();
    tx.commit().await.unwrap();
    forgotten
}

/// All projects' events are one log, which is read on from a position, or from its end.
pub async fn the_log_is_read_as_one_and_from_its_end(store: Arc<dyn MetadataStore>) {
    insert(&store, "p1").await;
    insert(&store, "p2").await;
    let extent = store.read().await.unwrap().events().extent(None).await.unwrap();
    assert_eq!(extent, LogExtent { forgotten: 0, last: 0 });
    append(&store, &[("p1", 0), ("p2", 1), ("p1", 2)]).await;
    let mut tx = store.read().await.unwrap();
    let all = tx.events().read_all_after(0, 10).await.unwrap();
    assert_eq!(all.iter().map(|event| event.project.as_str()).collect::<Vec<_>>(), ["p1", "p2", "p1"]);
    assert_eq!(tx.events().read_all_after(all[0].position, 1).await.unwrap(), all[1..2]);
    assert!(tx.events().read_all_after(u64::MAX, 1).await.unwrap().is_empty());
    assert_eq!(tx.events().newest(None, 2).await.unwrap(), all[1..]);
    assert_eq!(tx.events().newest(Some(&project_id("P1")), 1).await.unwrap(), all[2..]);
    let extent = tx.events().extent(Some(&project_id("p2"))).await.unwrap();
    assert_eq!(extent, LogExtent { forgotten: 0, last: all[2].position });
}

/// The oldest go first, so many at a time and never past one that is kept; positions are not given again.
pub async fn old_events_are_forgotten_and_their_positions_remembered(store: Arc<dyn MetadataStore>) {
    insert(&store, "p1").await;
    insert(&store, "p2").await;
    assert_eq!(forget(&store, 100, 10).await, 0);
    // The fourth was told of late, after a later one.
    append(&store, &[("p1", 0), ("p2", 1), ("p1", 20), ("p1", 2)]).await;
    let all = store.read().await.unwrap().events().read_all_after(0, 10).await.unwrap();
    assert_eq!(forget(&store, 0, 10).await, 0);
    assert_eq!(forget(&store, 10, 1).await, 1);
    assert_eq!(forget(&store, 10, 10).await, 1);
    assert_eq!(forget(&store, 10, 10).await, 0);
    let mut tx = store.read().await.unwrap();
    assert_eq!(tx.events().read_all_after(0, 10).await.unwrap(), all[2..]);
    for (project, forgotten) in [(Some("p1"), 0), (Some("p2"), 1), (None, 1)] {
        let found = tx.events().extent(project.map(project_id).as_ref()).await.unwrap();
        assert_eq!(found, LogExtent { forgotten: all[forgotten].position, last: all[3].position }, "{project:?}");
    }
    drop(tx);
    assert_eq!(forget(&store, 100, 10).await, 2);
    let extent = store.read().await.unwrap().events().extent(Some(&project_id("p1"))).await.unwrap();
    assert_eq!(extent, LogExtent { forgotten: all[3].position, last: all[3].position });
    append(&store, &[("p1", 0)]).await;
    let next = store.read().await.unwrap().events().read_all_after(0, 10).await.unwrap();
    assert!(next.len() == 1 && next[0].position > all[3].position);
}

/// A token shows what it was made for until its time is over.
pub async fn a_token_of_events_ends_by_itself(store: Arc<dyn MetadataStore>) {
    let viewer = Viewer {
        label: "admin".to_owned(),
        project: Some(project_id("p1")),
        bucket: None,
        manages: true,
        key: None,
        until: Some(noon()),
    };
    let end = noon() + TimeDelta::seconds(60);
    let token = EventToken { digest: KeyDigest([7; 32]), viewer, expires_at: end };
    let mut tx = store.write().await.unwrap();
    tx.event_tokens().insert(&token).await.unwrap();
    tx.commit().await.unwrap();
    let mut tx = store.write().await.unwrap();
    assert_eq!(tx.event_tokens().find(&token.digest, noon()).await.unwrap().as_ref(), Some(&token));
    assert!(tx.event_tokens().find(&token.digest, end).await.unwrap().is_none());
    assert!(tx.event_tokens().find(&KeyDigest([8; 32]), noon()).await.unwrap().is_none());
    assert_eq!(tx.event_tokens().forget_ended(noon()).await.unwrap(), 0);
    assert_eq!(tx.event_tokens().forget_ended(end).await.unwrap(), 1);
}

/// A consumer belongs to a table; it moves, and stays as old as it is.
pub async fn a_consumer_of_changes_reads_back_as_stored(store: Arc<dyn MetadataStore>) {
    insert(&store, "p1").await;
    let first = ChangeConsumer {
        project: project_id("p1"),
        table: table("b.t"),
        name: ConsumerName::parse("Search").unwrap(),
        snapshot: SnapshotId::new(3).unwrap(),
        created_at: noon(),
        moved_at: noon(),
    };
    let later = noon() + TimeDelta::seconds(1);
    let name = ConsumerName::parse("search").unwrap();
    let moved = ChangeConsumer { snapshot: SnapshotId::new(9).unwrap(), moved_at: later, ..first.clone() };
    let other = ChangeConsumer { table: table("a.t"), ..first.clone() };
    let mut tx = store.write().await.unwrap();
    tx.consumers().put(&first).await.unwrap();
    assert_eq!(tx.consumers().find(&first.project, &table("B.T"), &name).await.unwrap(), Some(first.clone()));
    let again = ChangeConsumer { created_at: later, name: name.clone(), ..moved.clone() };
    tx.consumers().put(&again).await.unwrap();
    tx.consumers().put(&other).await.unwrap();
    tx.commit().await.unwrap();
    let mut tx = store.write().await.unwrap();
    let all = tx.consumers().list(&first.project).await.unwrap();
    assert_eq!(all, [other, moved]);
    assert_eq!(all[1].name.as_str(), "Search");
    assert!(tx.consumers().remove(&first.project, &first.table, &name).await.unwrap());
    assert!(!tx.consumers().remove(&first.project, &first.table, &name).await.unwrap());
    tx.consumers().clear(&first.project).await.unwrap();
    assert!(tx.consumers().list(&first.project).await.unwrap().is_empty());
}
