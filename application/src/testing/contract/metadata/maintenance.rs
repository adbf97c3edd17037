//! What projects want of their maintenance.

use std::sync::Arc;

use chrono::TimeDelta;
use gadwall_domain::ids::SnapshotId;
use gadwall_domain::maintenance::PolicyChanges;
use gadwall_domain::ports::maintenance::KeptMaintenance;
use gadwall_domain::ports::metadata::MetadataStore;

use super::insert;
use crate::testing::builders::{noon, project_id};

/// Nothing is the default of all; what is kept reads back.
pub async fn maintenance_reads_back_as_stored(store: Arc<dyn MetadataStore>) {
    insert(&store, "p1").await;
    let id = project_id("p1");
    let mut tx = store.write().await.unwrap();
    assert_eq!(tx.maintenance().find(&id).await.unwrap(), KeptMaintenance::default());
    let kept = KeptMaintenance {
        changes: PolicyChanges { keep_snapshots: Some(7), delete_ratio: Some(0.25), ..PolicyChanges::default() },
        is_paused: true,
        next_at: Some(noon()),
        ending: vec![SnapshotId::new(3).unwrap(), SnapshotId::new(9).unwrap()],
    };
    for kept in [kept.clone(), KeptMaintenance { is_paused: false, ending: Vec::new(), ..kept }] {
        tx.maintenance().put(&id, &kept).await.unwrap();
        assert_eq!(tx.maintenance().find(&project_id("P1")).await.unwrap(), kept);
    }
    tx.maintenance().clear(&id).await.unwrap();
    assert_eq!(tx.maintenance().find(&id).await.unwrap(), KeptMaintenance::default());
    tx.commit().await.unwrap();
}

/// Those that were never maintained come first; paused ones don't.
pub async fn maintenance_is_due_by_its_time(store: Arc<dyn MetadataStore>) {
    for id in ["p1", "p2", "p3", "p4"] {
        insert(&store, id).await;
    }
    let mut tx = store.write().await.unwrap();
    for (id, seconds, is_paused) in [("p1", 5, false), ("p2", 1, false), ("p3", 1, true)] {
        let next_at = Some(noon() + TimeDelta::seconds(seconds));
        let kept = KeptMaintenance { is_paused, next_at, ..KeptMaintenance::default() };
        tx.maintenance().put(&project_id(id), &kept).await.unwrap();
    }
    let mut at = async |seconds, limit| {
        let due = tx.maintenance().due(noon() + TimeDelta::seconds(seconds), limit).await.unwrap();
        due.into_iter().map(|id| id.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(at(0, 10).await, ["p4"]);
    assert_eq!(at(1, 10).await, ["p4", "p2"]);
    assert_eq!(at(9, 10).await, ["p4", "p2", "p1"]);
    assert_eq!(at(9, 1).await, ["p4"]);
}
