//! Webhooks and what they could not be told.

use std::sync::Arc;

use chrono::TimeDelta;
use gadwall_domain::ids::WebhookId;
use gadwall_domain::ports::metadata::MetadataStore;
use gadwall_domain::webhook::{DeadLetter, Webhook, WebhookProgress, WebhookSecret, WebhookUrl};
use uuid::Uuid;

use super::insert;
use crate::testing::builders::{event, noon, project_id};

fn webhook(number: u128, project: &str) -> Webhook {
    Webhook {
        id: WebhookId::new(Uuid::from_u128(number)),
        project: project_id(project),
        url: WebhookUrl::parse("https://example.org/hook").unwrap(),
        types: Some("rows.*".to_owned()),
        secret: WebhookSecret([9; 32]),
        created_at: noon(),
        progress: WebhookProgress { position: 0, attempts: 0, due_at: noon(), error: None },
    }
}

/// A webhook reads back as stored, in its project, and its progress moves on.
pub async fn a_webhook_reads_back_as_stored(store: Arc<dyn MetadataStore>) {
    insert(&store, "p1").await;
    insert(&store, "p2").await;
    let first = webhook(1, "p1");
    let plain = Webhook { types: None, ..webhook(2, "p1") };
    let mut tx = store.write().await.unwrap();
    for webhook in [&plain, &first, &webhook(3, "p2")] {
        tx.webhooks().insert(webhook).await.unwrap();
    }
    assert_eq!(tx.webhooks().list(&project_id("P1")).await.unwrap(), [first.clone(), plain.clone()]);
    assert_eq!(tx.webhooks().find(&project_id("p2"), first.id).await.unwrap(), None);
    let progress = WebhookProgress {
        position: 7,
        attempts: 2,
        due_at: noon() + TimeDelta::seconds(4),
        error: Some("x".to_owned()),
    };
    tx.webhooks().keep(first.id, &progress).await.unwrap();
    let found = tx.webhooks().find(&first.project, first.id).await.unwrap();
    assert_eq!(found, Some(Webhook { progress, ..first.clone() }));
    assert!(!tx.webhooks().remove(&project_id("p2"), first.id).await.unwrap());
    assert!(tx.webhooks().remove(&first.project, first.id).await.unwrap());
    tx.webhooks().clear(&first.project).await.unwrap();
    assert!(tx.webhooks().list(&first.project).await.unwrap().is_empty());
    assert_eq!(tx.webhooks().list(&project_id("p2")).await.unwrap().len(), 1);
}

/// Due is what has events to be told of, and belongs to whoever claims it first.
pub async fn a_webhook_is_due_when_there_is_something_to_tell(store: Arc<dyn MetadataStore>) {
    insert(&store, "p1").await;
    let (first, later) = (webhook(1, "p1"), webhook(2, "p1"));
    let later = Webhook {
        progress: WebhookProgress { due_at: noon() + TimeDelta::seconds(5), ..later.progress.clone() },
        ..later
    };
    let at = |seconds| noon() + TimeDelta::seconds(seconds);
    let mut tx = store.write().await.unwrap();
    tx.webhooks().insert(&later).await.unwrap();
    tx.webhooks().insert(&first).await.unwrap();
    assert!(tx.webhooks().due(at(9), 10).await.unwrap().is_empty());
    tx.events().append(&[event("p1")]).await.unwrap();
    let position = tx.events().extent(None).await.unwrap().last;
    assert_eq!(tx.webhooks().due(at(0), 10).await.unwrap(), std::slice::from_ref(&first));
    assert_eq!(tx.webhooks().due(at(5), 10).await.unwrap(), [first.clone(), later.clone()]);
    assert_eq!(tx.webhooks().due(at(5), 1).await.unwrap(), std::slice::from_ref(&first));
    assert!(tx.webhooks().claim(first.id, at(0), at(60)).await.unwrap());
    assert!(!tx.webhooks().claim(first.id, at(59), at(99)).await.unwrap());
    assert_eq!(tx.webhooks().due(at(59), 10).await.unwrap(), [later]);
    assert!(tx.webhooks().claim(first.id, at(60), at(99)).await.unwrap(), "whoever had it is gone");
    let told = WebhookProgress { position, ..first.progress.clone() };
    tx.webhooks().keep(first.id, &told).await.unwrap();
    assert_eq!(tx.webhooks().due(at(61), 10).await.unwrap().len(), 1, "the first has been told");
    assert!(tx.webhooks().claim(first.id, at(61), at(99)).await.unwrap(), "and was given back");
}

/// Dead letters come newest first, each once, and so many.
pub async fn dead_letters_are_kept_newest_first(store: Arc<dyn MetadataStore>) {
    insert(&store, "p1").await;
    let webhook = webhook(1, "p1");
    let letter = |position| DeadLetter {
        webhook: webhook.id,
        position,
        event_type: "rows.appended".to_owned(),
        subject: "b.t".to_owned(),
        attempts: 10,
        error: "the address answered with status 500".to_owned(),
        failed_at: noon(),
    };
    let mut tx = store.write().await.unwrap();
    tx.webhooks().insert(&webhook).await.unwrap();
    for position in [1, 2, 2, 3] {
        tx.webhooks().bury(&letter(position), 2).await.unwrap();
    }
    assert_eq!(tx.webhooks().dead_letters(webhook.id, 10).await.unwrap(), [letter(3), letter(2)]);
    assert_eq!(tx.webhooks().dead_letters(webhook.id, 1).await.unwrap(), [letter(3)]);
    assert!(tx.webhooks().remove(&webhook.project, webhook.id).await.unwrap());
}
