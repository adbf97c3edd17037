//! Writes that were made under an idempotency key.

use std::sync::Arc;

use gadwall_domain::commit::{Change, Commit, WriteOrigin, WriteRecord};
use gadwall_domain::ids::{ApiKeyId, CallerId, TokenId};
use gadwall_domain::names::ProjectId;
use gadwall_domain::ports::metadata::{KeyedWrite, MetadataStore};
use uuid::Uuid;

use super::insert;
use super::lake_index::apply;
use crate::testing::builders::{commit, origin, project_id, seconds_past_noon, table};

fn key_id(number: u128) -> CallerId {
    CallerId::Key(ApiKeyId::new(Uuid::from_u128(number)))
}

fn token_id(subject: &str) -> CallerId {
    CallerId::Token(TokenId::new("https://id.example.com", subject).unwrap())
}

/// A write of so many rows under a key.
fn keyed(key_id: Option<CallerId>, key: &str, rows: u64) -> WriteRecord {
    let origin = WriteOrigin {
        key_id,
        idempotency_key: Some(key.to_owned()),
        fingerprint: Some(format!("fingerprint of {rows}")),
        traceparent: Some("00-trace".to_owned()),
        run_id: Some("it's a run".to_owned()),
        ..origin("r1")
    };
    WriteRecord::new(origin, Change::RowsAppended { table: table("Sales.t"), rows })
}

fn commit_of(snapshot: u64, writes: Vec<WriteRecord>) -> Commit {
    Commit { writes, ..commit(snapshot, Vec::new()) }
}

async fn found(
    store: &Arc<dyn MetadataStore>,
    project: &ProjectId,
    key_id: Option<CallerId>,
    key: &str,
) -> Option<KeyedWrite> {
    store.read().await.unwrap().lake_index().write_of_key(project, key_id.as_ref(), key).await.unwrap()
}

/// The rows that the write of that key added.
async fn rows_of(store: &Arc<dyn MetadataStore>, key: &str) -> Option<u64> {
    found(store, &project_id("p1"), None, key).await.map(|keyed| keyed.write.change.counts().inserted)
}

/// A write is found by its caller's key, with all that the commit says of it.
pub async fn a_write_is_found_by_its_key(store: Arc<dyn MetadataStore>) {
    insert(&store, "p1").await;
    insert(&store, "p2").await;
    let (p1, p2) = (project_id("p1"), project_id("p2"));
    let long = "k".repeat(255);
    let writes = vec![
        WriteRecord::new(origin("r0"), Change::RowsAppended { table: table("t"), rows: 9 }),
        keyed(None, "it's; a \"key\"", 1),
        keyed(Some(key_id(1)), "k", 2),
        keyed(Some(key_id(2)), "k", 3),
        keyed(None, &long, 4),
        keyed(Some(token_id("ann")), "k", 5),
    ];
    apply(&store, &p1, &[commit_of(7, writes.clone())]).await;
    let expected =
        |index: usize| Some(KeyedWrite { snapshot: commit(7, Vec::new()).snapshot, write: writes[index].clone() });
    assert_eq!(found(&store, &project_id("P1"), None, "it's; a \"key\"").await, expected(1));
    assert_eq!(found(&store, &p1, Some(key_id(1)), "k").await, expected(2));
    assert_eq!(found(&store, &p1, Some(key_id(2)), "k").await, expected(3));
    assert_eq!(found(&store, &p1, None, &long).await, expected(4));
    assert_eq!(found(&store, &p1, Some(token_id("ann")), "k").await, expected(5));
    assert_eq!(found(&store, &p1, Some(token_id("bob")), "k").await, None);
    // Neither of another caller, nor in another case, nor in another project.
    assert_eq!(found(&store, &p1, None, "k").await, None);
    assert_eq!(found(&store, &p1, Some(key_id(3)), "k").await, None);
    assert_eq!(found(&store, &p1, Some(key_id(1)), "K").await, None);
    assert_eq!(found(&store, &p1, None, "").await, None);
    assert_eq!(found(&store, &p2, Some(key_id(1)), "k").await, None);
}

/// Of several writes of one key the first one counts, in one commit and in several.
pub async fn the_first_write_of_a_key_counts(store: Arc<dyn MetadataStore>) {
    insert(&store, "p1").await;
    let first = commit_of(2, vec![keyed(None, "k", 1), keyed(None, "k", 2)]);
    let old = commit_of(1, vec![keyed(None, "k", 9)]);
    apply(&store, &project_id("p1"), &[first, commit_of(3, vec![keyed(None, "k", 3)])]).await;
    let mut tx = store.write().await.unwrap();
    assert!(!tx.lake_index().apply(&project_id("p1"), &old).await.unwrap());
    tx.commit().await.unwrap();
    assert_eq!(rows_of(&store, "k").await, Some(1));
}

/// Keys of commits before a time are forgotten, in all projects; such a key is free for another write.
pub async fn old_keys_are_forgotten(store: Arc<dyn MetadataStore>) {
    insert(&store, "p1").await;
    insert(&store, "p2").await;
    let (p1, p2) = (project_id("p1"), project_id("p2"));
    let commits = [1, 2, 3].map(|number| commit_of(number, vec![keyed(None, &format!("k{number}"), number)]));
    apply(&store, &p1, &commits).await;
    apply(&store, &p1, &[commit_of(4, vec![keyed(None, "k1", 4)])]).await;
    apply(&store, &p2, &[commit_of(1, vec![keyed(None, "k", 1)])]).await;
    let mut tx = store.write().await.unwrap();
    assert_eq!(tx.lake_index().forget_keys(seconds_past_noon(1)).await.unwrap(), 0, "not of the time itself");
    assert_eq!(tx.lake_index().forget_keys(seconds_past_noon(3)).await.unwrap(), 3);
    tx.commit().await.unwrap();
    assert_eq!(found(&store, &p2, None, "k").await, None);
    assert_eq!([rows_of(&store, "k2").await, rows_of(&store, "k3").await], [None, Some(3)]);
    assert_eq!(rows_of(&store, "k1").await, Some(4));
}

/// What is cleared is forgotten; commits that are applied again are known again.
pub async fn keys_are_rebuilt_from_the_commits(store: Arc<dyn MetadataStore>) {
    insert(&store, "p1").await;
    insert(&store, "p2").await;
    let commits = [commit_of(1, vec![keyed(None, "a", 1)]), commit_of(2, vec![keyed(None, "a", 2)])];
    for project in ["p1", "p2"] {
        apply(&store, &project_id(project), &commits).await;
    }
    let mut tx = store.write().await.unwrap();
    tx.lake_index().clear(&project_id("p1")).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(rows_of(&store, "a").await, None);
    assert!(found(&store, &project_id("p2"), None, "a").await.is_some());
    apply(&store, &project_id("p1"), &commits).await;
    assert_eq!(rows_of(&store, "a").await, Some(1));
}
