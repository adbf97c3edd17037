//! What a server of schemas promises.

use std::sync::Arc;

use async_trait::async_trait;
use gadwall_domain::ontology::SchemaId;
use gadwall_domain::ports::ontology::{Fetched, RegistryError, SchemaRegistry};
use serde_json::{Value, json};

/// A registry under test, and the hand that feeds it.
#[async_trait]
pub trait Feed: Send + Sync {
    /// Has the server serve a document under an id; none ends it.
    async fn publish(&self, id: &str, document: Option<Value>);
    /// Has the server fail, or work again.
    async fn fail(&self, fails: bool);
}

/// Tests that an adapter keeps every promise of `SchemaRegistry`. The expression answers
/// `((Arc<dyn SchemaRegistry>, Arc<dyn Feed>), guard)`: a fresh and empty server for each test.
#[macro_export]
macro_rules! registry_contract {
    ($fresh:expr) => {
        $crate::contract_tests! {
            $crate::testing::contract::registry, $fresh, [
                a_document_comes_as_it_is_served,
                what_is_not_there_is_not_found,
                what_is_known_does_not_come_again,
                a_changed_document_comes_again,
                a_server_that_fails_is_unavailable,
                a_server_that_is_well_says_so,
            ]
        }
    };
}

/// A registry, and the hand that feeds it.
pub type Fed = (Arc<dyn SchemaRegistry>, Arc<dyn Feed>);

fn id(text: &str) -> SchemaId {
    SchemaId::parse(text).unwrap()
}

async fn fetched(registry: &Arc<dyn SchemaRegistry>, text: &str) -> (Value, Option<String>) {
    match registry.fetch(&id(text), None).await.unwrap() {
        Fetched::Document { body, tag } => (body, tag),
        Fetched::Unchanged => panic!("nothing was known"),
    }
}

/// A document is what the server has; nothing of it is checked.
pub async fn a_document_comes_as_it_is_served((registry, feed): Fed) {
    for document in [json!({ "columns": [{ "name": "a", "type": "INT" }] }), json!(["no schema"])] {
        feed.publish("a.b-c_1", Some(document.clone())).await;
        assert_eq!(fetched(&registry, "a.b-c_1").await.0, document);
    }
}

/// A schema that isn't there, or no longer, is not found.
pub async fn what_is_not_there_is_not_found((registry, feed): Fed) {
    feed.publish("a", Some(json!({}))).await;
    let missing = registry.fetch(&id("b"), None).await;
    assert!(matches!(missing, Err(RegistryError::NotFound)), "{missing:?}");
    feed.publish("a", None).await;
    let gone = registry.fetch(&id("a"), Some("\"1\"")).await;
    assert!(matches!(gone, Err(RegistryError::NotFound)), "{gone:?}");
}

/// Asked with its tag, a document that is still the same doesn't come again.
pub async fn what_is_known_does_not_come_again((registry, feed): Fed) {
    feed.publish("a", Some(json!({ "v": 1 }))).await;
    let (_, tag) = fetched(&registry, "a").await;
    let again = registry.fetch(&id("a"), tag.as_deref()).await.unwrap();
    assert_eq!(again, Fetched::Unchanged);
}

/// Asked with a tag of before, the document comes that is there now.
pub async fn a_changed_document_comes_again((registry, feed): Fed) {
    feed.publish("a", Some(json!({ "v": 1 }))).await;
    let (_, before) = fetched(&registry, "a").await;
    feed.publish("a", Some(json!({ "v": 1, "more": true }))).await;
    let Fetched::Document { body, tag } = registry.fetch(&id("a"), before.as_deref()).await.unwrap() else {
        panic!("it has changed");
    };
    assert_eq!(body["more"], json!(true));
    assert_ne!(tag, before);
}

/// A server that fails is unavailable, for schemas that it has and for others; and it may come back.
pub async fn a_server_that_fails_is_unavailable((registry, feed): Fed) {
    feed.publish("a", Some(json!({ "v": 1 }))).await;
    feed.fail(true).await;
    for name in ["a", "b"] {
        let failed = registry.fetch(&id(name), None).await;
        assert!(matches!(failed, Err(RegistryError::Unavailable(_))), "{failed:?}");
    }
    feed.fail(false).await;
    assert_eq!(fetched(&registry, "a").await.0, json!({ "v": 1 }));
}

/// A server says that it is well, and one that fails doesn't.
pub async fn a_server_that_is_well_says_so((registry, feed): Fed) {
    registry.health().await.unwrap();
    feed.fail(true).await;
    assert!(matches!(registry.health().await, Err(RegistryError::Unavailable(_))));
}
