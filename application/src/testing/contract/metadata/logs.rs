//! Events and audit entries.

use std::sync::Arc;

use chrono::TimeDelta;
use gadwall_domain::audit::AuditEntry;
use gadwall_domain::events::{Event, ProjectFact};
use gadwall_domain::ids::SnapshotId;
use gadwall_domain::ports::metadata::MetadataStore;
use serde_json::json;

use super::insert;
use crate::testing::builders::{audit_entry, event, noon, project_id, request};

/// Events come back in the order they were appended, each project its own, after a position.
pub async fn events_are_read_on_from_a_position(store: Arc<dyn MetadataStore>) {
    insert(&store, "p1").await;
    insert(&store, "p2").await;
    let mut tx = store.write().await.unwrap();
    for subject in ["a", "b", "c", "d"] {
        let mut own = event("P1");
        subject.clone_into(&mut own.subject);
        tx.events().append(&[own, event("p2")]).await.unwrap();
    }
    tx.events().append(&[]).await.unwrap();
    tx.commit().await.unwrap();
    let mut tx = store.read().await.unwrap();
    let p1 = project_id("p1");
    let all = tx.events().read_after(&p1, 0, 100).await.unwrap();
    let subjects: Vec<&str> = all.iter().map(|event| event.subject.as_str()).collect();
    assert_eq!(subjects, ["a", "b", "c", "d"]);
    assert!(all.windows(2).all(|pair| pair[0].position < pair[1].position));
    assert!(all[0].position > 0, "a reader starts after position 0");
    assert_eq!(tx.events().read_after(&p1, all[1].position, 1).await.unwrap(), all[2..3]);
    assert_eq!(tx.events().read_after(&p1, all[1].position, 100).await.unwrap(), all[2..]);
    for after in [all[3].position, all[3].position + 1_000, u64::MAX] {
        assert!(tx.events().read_after(&p1, after, 100).await.unwrap().is_empty());
    }
}

/// An event reads back as it was appended.
pub async fn an_event_reads_back_as_appended(store: Arc<dyn MetadataStore>) {
    insert(&store, "p1").await;
    let appended = Event {
        subject: "sales.orders".to_owned(),
        occurred_at: noon() + TimeDelta::microseconds(1),
        request_id: request("a-b_c.1"),
        snapshot: Some(SnapshotId::new(12).unwrap()),
        data: json!({ "n": 1, "deep": [{ "x": null }], "text": "🦆'\"" }),
        ..ProjectFact::Updated.event(project_id("p1"), noon(), request("r1"))
    };
    let mut tx = store.write().await.unwrap();
    tx.events().append(std::slice::from_ref(&appended)).await.unwrap();
    tx.commit().await.unwrap();
    let found = store.read().await.unwrap().events().read_after(&appended.project, 0, 10).await.unwrap();
    let [found] = found.as_slice() else { panic!("one event, not {found:?}") };
    assert_eq!(found.project, appended.project);
    assert_eq!(found.event_type, "project.updated");
    assert_eq!(found.subject, appended.subject);
    assert_eq!(found.occurred_at, appended.occurred_at);
    assert_eq!(found.request_id, appended.request_id);
    assert_eq!(found.snapshot, appended.snapshot);
    assert_eq!(found.data, appended.data);
}

/// Positions grow with every unit of work; the events of a later one come after those of an earlier one.
pub async fn positions_grow_from_one_unit_of_work_to_the_next(store: Arc<dyn MetadataStore>) {
    insert(&store, "p1").await;
    insert(&store, "p2").await;
    let mut last = 0;
    for project in ["p1", "p2", "p1"] {
        let mut tx = store.write().await.unwrap();
        tx.events().append(&[event(project)]).await.unwrap();
        tx.commit().await.unwrap();
        let mut tx = store.read().await.unwrap();
        let seen = tx.events().read_after(&project_id(project), last, 10).await.unwrap();
        assert_eq!(seen.len(), 1);
        assert!(seen[0].position > last);
        last = seen[0].position;
    }
}

/// Audit entries come newest first, each project its own, as they were appended.
pub async fn audit_entries_come_newest_first(store: Arc<dyn MetadataStore>) {
    insert(&store, "p1").await;
    insert(&store, "p2").await;
    let detailed = AuditEntry {
        at: noon() + TimeDelta::microseconds(7),
        principal: "key:1".to_owned(),
        resource: "sales.orders".to_owned(),
        snapshot: Some(SnapshotId::new(3).unwrap()),
        ..audit_entry("P1", "table.created")
    };
    let entries = [audit_entry("p1", "project.created"), audit_entry("p2", "project.created"), detailed.clone()];
    let mut tx = store.write().await.unwrap();
    tx.audit().append(&entries).await.unwrap();
    tx.audit().append(&[audit_entry("p1", "project.updated")]).await.unwrap();
    tx.commit().await.unwrap();
    let mut tx = store.read().await.unwrap();
    let found = tx.audit().latest(&project_id("p1"), 10).await.unwrap();
    assert_eq!(found, [audit_entry("p1", "project.updated"), detailed, audit_entry("p1", "project.created")]);
    assert_eq!(tx.audit().latest(&project_id("p1"), 1).await.unwrap(), found[..1]);
}
