//! Events and audit entries.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use gadwall_domain::audit::{AuditAge, AuditEntry, AuditFilter, AuditOutcome};
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

async fn listed(store: &Arc<dyn MetadataStore>, filter: AuditFilter) -> Vec<AuditEntry> {
    let limit = if filter.limit == 0 { 100 } else { filter.limit };
    let found = store.read().await.unwrap().audit().list(&AuditFilter { limit, ..filter }).await.unwrap();
    found.into_iter().map(|logged| logged.entry).collect()
}

fn of(project: &str) -> AuditFilter {
    AuditFilter { project: Some(project_id(project)), ..AuditFilter::default() }
}

/// An entry of someone who was refused.
fn refused(project: Option<&str>, at: DateTime<Utc>) -> AuditEntry {
    AuditEntry {
        at,
        principal: "unknown".to_owned(),
        project: project.map(project_id),
        address: Some("2001:db8::1".parse().unwrap()),
        outcome: AuditOutcome::Refused { code: "unauthorized".to_owned(), times: 7 },
        ..audit_entry("p1", "GET")
    }
}

async fn append(store: &Arc<dyn MetadataStore>, entries: &[AuditEntry]) {
    let mut tx = store.write().await.unwrap();
    tx.audit().append(entries).await.unwrap();
    tx.commit().await.unwrap();
}

/// Audit entries come newest first, each project its own, as they were appended.
pub async fn audit_entries_come_newest_first(store: Arc<dyn MetadataStore>) {
    insert(&store, "p1").await;
    insert(&store, "p2").await;
    let detailed = AuditEntry {
        at: noon() + TimeDelta::microseconds(7),
        principal: "key:1".to_owned(),
        resource: "sales.orders".to_owned(),
        address: Some("192.0.2.1".parse().unwrap()),
        snapshot: Some(SnapshotId::new(3).unwrap()),
        ..audit_entry("P1", "table.created")
    };
    let entries = [audit_entry("p1", "project.created"), audit_entry("p2", "project.created"), detailed.clone()];
    append(&store, &entries).await;
    append(&store, &[audit_entry("p1", "project.updated"), refused(None, noon())]).await;
    let found = listed(&store, of("p1")).await;
    assert_eq!(found, [audit_entry("p1", "project.updated"), detailed, audit_entry("p1", "project.created")]);
    assert_eq!(listed(&store, AuditFilter { limit: 1, ..of("p1") }).await, found[..1]);
    let all = listed(&store, AuditFilter::default()).await;
    assert_eq!((all.len(), &all[0]), (5, &refused(None, noon())));
}

/// A list goes on where the page before it ended.
pub async fn audit_entries_come_in_pages(store: Arc<dyn MetadataStore>) {
    insert(&store, "p1").await;
    let entries: Vec<_> = (0..5).map(|number| audit_entry("p1", &format!("o{number}"))).collect();
    append(&store, &entries).await;
    let (mut before, mut seen) = (None, Vec::new());
    loop {
        let filter = AuditFilter { before, limit: 2, ..AuditFilter::default() };
        let page = store.read().await.unwrap().audit().list(&filter).await.unwrap();
        let Some(last) = page.last() else { break };
        before = Some(last.position);
        seen.extend(page.into_iter().map(|logged| logged.entry.operation));
        // What is written in between doesn't move the pages.
        append(&store, &[audit_entry("p1", "later")]).await;
    }
    assert_eq!(seen, ["o4", "o3", "o2", "o1", "o0"]);
}

/// Entries are found by who, what, outcome and time.
pub async fn audit_entries_are_filtered(store: Arc<dyn MetadataStore>) {
    insert(&store, "p1").await;
    let later = AuditEntry { at: noon() + TimeDelta::seconds(10), ..audit_entry("p1", "later") };
    let keyed = AuditEntry { principal: "key:1".to_owned(), ..audit_entry("p1", "keyed") };
    append(&store, &[audit_entry("p1", "first"), later, keyed, refused(Some("p1"), noon())]).await;
    let none = AuditFilter::default;
    let at = |seconds| Some(noon() + TimeDelta::seconds(seconds));
    for (filter, expected) in [
        (none(), &["GET", "keyed", "later", "first"][..]),
        (AuditFilter { principal: Some("key:1".to_owned()), ..none() }, &["keyed"]),
        (AuditFilter { operation: Some("later".to_owned()), ..none() }, &["later"]),
        (AuditFilter { outcome: Some("refused"), ..none() }, &["GET"]),
        (AuditFilter { outcome: Some("done"), ..of("P1") }, &["keyed", "later", "first"]),
        (AuditFilter { since: at(10), ..none() }, &["later"]),
        (AuditFilter { since: at(11), ..none() }, &[]),
        (AuditFilter { until: at(10), ..of("p1") }, &["GET", "keyed", "first"]),
    ] {
        let found = listed(&store, filter.clone()).await;
        let found: Vec<&str> = found.iter().map(|entry| entry.operation.as_str()).collect();
        assert_eq!(found, expected, "{filter:?}");
    }
}

/// Old entries are forgotten, refusals sooner than changes, so many at a time; no position is given twice.
pub async fn old_audit_entries_are_forgotten(store: Arc<dyn MetadataStore>) {
    insert(&store, "p1").await;
    let aged = |seconds| AuditEntry { at: noon() + TimeDelta::seconds(seconds), ..audit_entry("p1", "change") };
    let entries: Vec<_> = (0..3).flat_map(|age| [aged(age), refused(None, noon() + TimeDelta::seconds(age))]).collect();
    append(&store, &entries).await;
    let last = store.read().await.unwrap().audit().list(&AuditFilter { limit: 1, ..of("p1") }).await.unwrap();
    let forget = async |changes: i64, refusals: i64, limit| {
        let mut tx = store.write().await.unwrap();
        let (changes_before, refusals_before) =
            (noon() + TimeDelta::seconds(changes), noon() + TimeDelta::seconds(refusals));
        let forgotten = tx.audit().forget_before(AuditAge { changes_before, refusals_before, limit }).await.unwrap();
        tx.commit().await.unwrap();
        forgotten
    };
    assert_eq!(forget(1, 3, 2).await, 1 + 2);
    assert_eq!(
        listed(&store, AuditFilter::default()).await,
        [refused(None, noon() + TimeDelta::seconds(2)), aged(2), aged(1)]
    );
    assert_eq!(forget(1, 3, 2).await, 1);
    assert_eq!(forget(10, 10, 10).await, 2);
    append(&store, &[aged(0)]).await;
    let again = store.read().await.unwrap().audit().list(&AuditFilter { limit: 1, ..of("p1") }).await.unwrap();
    assert!(again[0].position > last[0].position);
}
