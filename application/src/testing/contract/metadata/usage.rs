//! Limits of projects, and what their queries did.

use std::sync::Arc;

use chrono::NaiveDate;
use gadwall_domain::ports::metadata::MetadataStore;
use gadwall_domain::project::Project;
use gadwall_domain::quota::{DayUsage, QueryUsage, Quota, QuotaKind};

use crate::testing::builders::{project, project_id};

fn day(number: u32) -> NaiveDate {
    NaiveDate::from_ymd_opt(2026, 1, number).unwrap()
}

fn usage(project: &str, number: u32, count: u64) -> DayUsage {
    let queries = QueryUsage { count, failed: 1, bytes_scanned: count * 10, bytes_sent: 1 << 45, millis: count };
    DayUsage { project: project_id(project), day: day(number), queries }
}

async fn add(store: &Arc<dyn MetadataStore>, days: &[DayUsage]) {
    let mut tx = store.write().await.unwrap();
    tx.usage().add(days).await.unwrap();
    tx.commit().await.unwrap();
}

async fn since(store: &Arc<dyn MetadataStore>, project: &str, number: u32) -> Vec<DayUsage> {
    store.read().await.unwrap().usage().since(&project_id(project), day(number)).await.unwrap()
}

/// A project's limits read back as stored, from its making on and when they change.
pub async fn a_quota_reads_back_as_stored(store: Arc<dyn MetadataStore>) {
    let first = Quota::default().with(QuotaKind::Tables, 3).unwrap();
    let made = Project { quota: first, ..project("p1") };
    let mut tx = store.write().await.unwrap();
    tx.projects().insert(&made).await.unwrap();
    tx.projects().insert(&project("p2")).await.unwrap();
    assert_eq!(tx.projects().find(&made.id).await.unwrap().as_ref(), Some(&made));
    let most = QuotaKind::ALL.into_iter().try_fold(Quota::default(), |quota, kind| quota.with(kind, i64::MAX.into()));
    for quota in [most.unwrap(), Quota::default()] {
        let changed = Project { quota, ..made.clone() };
        assert!(tx.projects().update(&changed).await.unwrap());
        assert_eq!(tx.projects().find(&made.id).await.unwrap(), Some(changed));
    }
    assert!(tx.projects().find(&project_id("p2")).await.unwrap().unwrap().quota.is_empty());
    tx.commit().await.unwrap();
}

/// What is counted on one day comes together, whoever counted it and whatever the case of the project's id.
pub async fn counts_of_a_day_add_up(store: Arc<dyn MetadataStore>) {
    add(&store, &[]).await;
    add(&store, &[usage("p1", 2, 3), usage("p1", 1, 1)]).await;
    add(&store, &[usage("P1", 2, 4), usage("p2", 2, 9)]).await;
    let both = usage("p1", 2, 3).queries.and(usage("p1", 2, 4).queries);
    let second = DayUsage { queries: both, ..usage("p1", 2, 0) };
    assert_eq!(since(&store, "p1", 1).await, [usage("p1", 1, 1), second.clone()], "oldest first");
    assert_eq!(since(&store, "p1", 2).await, [second]);
    assert_eq!(since(&store, "p1", 3).await, []);
    assert_eq!(since(&store, "p2", 1).await, [usage("p2", 2, 9)], "projects are apart");
}

/// Days go when they are old, and with their project.
pub async fn old_counts_are_forgotten(store: Arc<dyn MetadataStore>) {
    add(&store, &[usage("p1", 1, 1), usage("p1", 2, 1), usage("p2", 1, 1), usage("p2", 3, 1)]).await;
    let mut tx = store.write().await.unwrap();
    assert_eq!(tx.usage().forget_before(day(2)).await.unwrap(), 2);
    tx.usage().clear(&project_id("P1")).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(since(&store, "p1", 1).await, []);
    assert_eq!(since(&store, "p2", 1).await, [usage("p2", 3, 1)]);
}

/// Many days are added at once.
pub async fn many_counts_are_added_at_once(store: Arc<dyn MetadataStore>) {
    let many: Vec<DayUsage> = (0..1_201).map(|number| usage(&format!("p{number}"), 1, number)).collect();
    add(&store, &many).await;
    assert_eq!(since(&store, "p1200", 1).await, [usage("p1200", 1, 1_200)]);
}
