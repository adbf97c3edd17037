//! Events that are handed on to another server of lineage.

use std::sync::Arc;

use chrono::TimeDelta;
use gadwall_domain::ports::lineage::ForwardProgress;
use gadwall_domain::ports::metadata::MetadataStore;
use serde_json::{Value, json};

use super::lineage::{texts, two_projects};
use crate::testing::builders::{noon, project_id};

/// Events wait in their order until they are taken out; of too many the oldest go, and are counted.
pub async fn events_are_handed_on_in_order(store: Arc<dyn MetadataStore>) {
    let mut tx = two_projects(&store).await;
    let (p1, p2) = (project_id("p1"), project_id("p2"));
    let lineage = tx.lineage();
    assert_eq!(lineage.forward_progress().await.unwrap(), ForwardProgress::default());
    let events: Vec<Value> = (0..3).map(|number| json!({ "n": number, "text": "\0" })).collect();
    lineage.forward(&p1, &[], noon(), 9).await.unwrap();
    lineage.forward(&p1, &texts(&events), noon(), 9).await.unwrap();
    lineage.forward(&p2, &texts(&[json!("other")]), noon() + TimeDelta::seconds(9), 9).await.unwrap();
    let waiting = lineage.to_forward(10).await.unwrap();
    assert_eq!(waiting.iter().map(|queued| &queued.event).collect::<Vec<_>>()[..3], events.iter().collect::<Vec<_>>());
    assert_eq!(lineage.to_forward(2).await.unwrap(), waiting[..2]);
    lineage.forwarded(&[waiting[0].position]).await.unwrap();
    assert_eq!(lineage.to_forward(10).await.unwrap(), waiting[1..]);
    let of_p2 = lineage.forward_backlog(Some(&p2)).await.unwrap();
    assert_eq!((of_p2.waiting, of_p2.oldest), (1, Some(noon() + TimeDelta::seconds(9))));
    assert_eq!(lineage.forward_backlog(None).await.unwrap().waiting, 3);
    lineage.forward(&p1, &texts(&[json!("new")]), noon(), 2).await.unwrap();
    let left: Vec<Value> = lineage.to_forward(10).await.unwrap().into_iter().map(|queued| queued.event).collect();
    assert_eq!(left, [json!("other"), json!("new")]);
    assert_eq!(lineage.forward_progress().await.unwrap().dropped, 2);
    lineage.clear(&p1).await.unwrap();
    assert_eq!(lineage.to_forward(10).await.unwrap().len(), 1);
}

/// One server hands on at a time, and none before it is due.
pub async fn handing_on_is_claimed(store: Arc<dyn MetadataStore>) {
    let mut tx = two_projects(&store).await;
    let lineage = tx.lineage();
    let after = |seconds| noon() + TimeDelta::seconds(seconds);
    assert!(lineage.claim_forwarding(noon(), after(60)).await.unwrap());
    assert!(!lineage.claim_forwarding(after(59), after(90)).await.unwrap(), "another has it");
    assert!(lineage.claim_forwarding(after(60), after(90)).await.unwrap(), "who had it is gone");
    let progress =
        ForwardProgress { attempts: 3, due_at: Some(after(100)), error: Some("it is away".to_owned()), dropped: 0 };
    lineage.release_forwarding(&progress, 2).await.unwrap();
    assert!(!lineage.claim_forwarding(after(99), after(120)).await.unwrap(), "it isn't due");
    assert_eq!(lineage.forward_progress().await.unwrap(), ForwardProgress { dropped: 2, ..progress });
    assert!(lineage.claim_forwarding(after(100), after(120)).await.unwrap());
    lineage.release_forwarding(&ForwardProgress::default(), 1).await.unwrap();
    let done = lineage.forward_progress().await.unwrap();
    assert_eq!(done, ForwardProgress { dropped: 3, ..ForwardProgress::default() });
}
