//! Keys that are managed.

use std::sync::Arc;

use gadwall_domain::access::{ApiKey, ReplacedSecret};
use gadwall_domain::ids::ApiKeyId;
use gadwall_domain::ports::metadata::{KeyFilter, MetadataStore};
use uuid::Uuid;

use super::{insert, insert_keys};
use crate::access::digest;
use crate::testing::builders::{api_key, noon, project_id, seconds_past_noon};

fn numbered(project: &str, number: u32) -> ApiKey {
    ApiKey { id: ApiKeyId::new(Uuid::from_u128(number.into())), ..api_key(project, &number.to_string()) }
}

/// A key reads back with all that is known of it, also by the secret before its present one.
pub async fn a_managed_key_reads_back_as_stored(store: Arc<dyn MetadataStore>) {
    insert(&store, "p1").await;
    let key = ApiKey {
        created_by: "key:x".to_owned(),
        last_used_at: Some(seconds_past_noon(1)),
        replaced: Some(ReplacedSecret { digest: digest("before"), until: seconds_past_noon(2) }),
        request_digest: Some("r".to_owned()),
        ..api_key("p1", "now")
    };
    insert_keys(&store, &[&key]).await;
    let mut tx = store.read().await.unwrap();
    for secret in ["now", "before"] {
        assert_eq!(tx.keys().find_by_digest(&digest(secret)).await.unwrap().as_ref(), Some(&key), "{secret}");
    }
    assert_eq!(tx.keys().find_by_request(&project_id("P1"), "r").await.unwrap(), Some(key));
    assert_eq!(tx.keys().find_by_request(&project_id("p1"), "R").await.unwrap(), None);
}

/// A key is there for its own project only.
pub async fn a_key_is_found_in_its_project_only(store: Arc<dyn MetadataStore>) {
    insert(&store, "p1").await;
    insert(&store, "p2").await;
    let key = numbered("p1", 1);
    insert_keys(&store, &[&key]).await;
    let mut tx = store.write().await.unwrap();
    assert_eq!(tx.keys().find(&project_id("P1"), key.id).await.unwrap(), Some(key.clone()));
    assert_eq!(tx.keys().find(&project_id("p2"), key.id).await.unwrap(), None);
    let page = KeyFilter { after: None, limit: 10 };
    assert_eq!(tx.keys().list(&project_id("p2"), page).await.unwrap(), []);
    assert!(!tx.keys().update(&ApiKey { project: project_id("p2"), ..key }).await.unwrap());
}

/// A project's keys come newest first, in pages, whatever their state.
pub async fn keys_come_newest_first_in_pages(store: Arc<dyn MetadataStore>) {
    insert(&store, "p1").await;
    insert(&store, "p2").await;
    let mut all: Vec<ApiKey> = (1..=5).map(|number| numbered("p1", number)).collect();
    all[2].revoked_at = Some(noon());
    insert_keys(&store, &all.iter().collect::<Vec<_>>()).await;
    insert_keys(&store, &[&numbered("p2", 6)]).await;
    let mut tx = store.read().await.unwrap();
    let mut seen = Vec::new();
    for expected in [2, 2, 1, 0] {
        let after = seen.last().map(|key: &ApiKey| key.id);
        let page = tx.keys().list(&project_id("p1"), KeyFilter { after, limit: 2 }).await.unwrap();
        assert_eq!(page.len(), expected);
        seen.extend(page);
    }
    all.reverse();
    assert_eq!(seen, all);
}

/// Secrets and the time of revocation are replaced; the rest stays.
pub async fn an_update_of_a_key_replaces_only_what_may_change(store: Arc<dyn MetadataStore>) {
    insert(&store, "p1").await;
    let stored = ApiKey { last_used_at: Some(noon()), ..numbered("p1", 1) };
    insert_keys(&store, &[&stored]).await;
    let change = ApiKey {
        digest: digest("new"),
        replaced: Some(ReplacedSecret { digest: stored.digest, until: seconds_past_noon(9) }),
        request_digest: Some("r".to_owned()),
        revoked_at: Some(seconds_past_noon(5)),
        name: "other".to_owned(),
        scopes: std::collections::BTreeSet::new(),
        last_used_at: None,
        ..stored.clone()
    };
    let mut tx = store.write().await.unwrap();
    assert!(tx.keys().update(&change).await.unwrap());
    tx.commit().await.unwrap();
    let found = store.read().await.unwrap().keys().find(&project_id("p1"), stored.id).await.unwrap();
    let (name, scopes) = (stored.name, stored.scopes);
    assert_eq!(found, Some(ApiKey { name, scopes, last_used_at: Some(noon()), ..change }));
}

/// Of several uses the latest counts; a key that isn't there is no failure, and there may be many.
pub async fn the_latest_use_of_a_key_counts(store: Arc<dyn MetadataStore>) {
    insert(&store, "p1").await;
    let (first, second, unused) = (numbered("p1", 1), numbered("p1", 2), numbered("p1", 3));
    insert_keys(&store, &[&first, &second, &unused]).await;
    let mut tx = store.write().await.unwrap();
    let mut uses = vec![(first.id, seconds_past_noon(5)), (second.id, seconds_past_noon(7))];
    uses.extend((10..1_500).map(|number| (numbered("p1", number).id, noon())));
    tx.keys().record_uses(&uses).await.unwrap();
    tx.keys().record_uses(&[(first.id, seconds_past_noon(3)), (second.id, seconds_past_noon(9))]).await.unwrap();
    tx.keys().record_uses(&[]).await.unwrap();
    tx.commit().await.unwrap();
    let mut tx = store.read().await.unwrap();
    for (key, expected) in [(first, Some(5)), (second, Some(9)), (unused, None)] {
        let found = tx.keys().find(&project_id("p1"), key.id).await.unwrap().unwrap();
        assert_eq!(found.last_used_at, expected.map(seconds_past_noon));
    }
}
