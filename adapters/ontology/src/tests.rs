//! The adapter before servers that misbehave.

use std::error::Error as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use gadwall_application::testing::contract::registry::{Fed, Feed};
use gadwall_domain::ontology::SchemaId;
use gadwall_domain::ports::ontology::{Fetched, RegistryError, SchemaRegistry};
use gadwall_test_services::{Ontology, Says};
use serde_json::{Value, json};

use crate::{HttpRegistry, OntologyConfig};

struct Served(Ontology);

#[async_trait]
impl Feed for Served {
    async fn publish(&self, id: &str, document: Option<Value>) {
        match document {
            Some(document) => self.0.publish(id, document),
            None => self.0.withdraw(id),
        }
    }

    async fn fail(&self, fails: bool) {
        self.0.say(if fails { Says::Status(500) } else { Says::Documents });
    }
}

fn registry(url: &str, timeout: Duration) -> HttpRegistry {
    HttpRegistry::new(&OntologyConfig { url: url.to_owned(), timeout }).unwrap()
}

async fn fresh() -> (Fed, ()) {
    let server = Ontology::start().await.unwrap();
    let registry = registry(&format!("{}/", server.url()), Duration::from_secs(5));
    ((Arc::new(registry), Arc::new(Served(server))), ())
}

gadwall_application::registry_contract!(fresh().await);

fn id() -> SchemaId {
    SchemaId::parse("projects").unwrap()
}

/// A server with one schema, and the adapter that asks it.
async fn scene(timeout: Duration) -> (Ontology, HttpRegistry) {
    let server = Ontology::start().await.unwrap();
    server.publish("projects", json!({ "columns": [{ "name": "a", "type": "INT" }] }));
    let registry = registry(&server.url(), timeout);
    (server, registry)
}

/// What is told of an unavailable server.
fn cause(answer: Result<Fetched, RegistryError>) -> String {
    let error = answer.unwrap_err();
    assert!(matches!(error, RegistryError::Unavailable(_)), "{error:?}");
    error.source().unwrap().to_string()
}

#[tokio::test]
async fn a_server_that_is_down_is_unavailable_soon() {
    let (server, registry) = scene(Duration::from_secs(5)).await;
    let url = server.url();
    drop(server);
    let begun = Instant::now();
    let told = cause(registry.fetch(&id(), None).await);
    assert!(begun.elapsed() < Duration::from_secs(5));
    assert!(!told.contains(url.trim_start_matches("http://")), "{told}");
}

#[tokio::test]
async fn no_answer_takes_longer_than_the_timeout() {
    for says in [Says::Slowly(Duration::from_secs(10)), Says::Nothing] {
        let (server, registry) = scene(Duration::from_millis(300)).await;
        server.say(says);
        let begun = Instant::now();
        assert_eq!(cause(registry.fetch(&id(), None).await), "it did not answer in time");
        assert!(registry.health().await.is_err());
        assert!(begun.elapsed() < Duration::from_secs(5));
        assert_eq!(server.asked(), 1, "who is slow isn't asked again");
    }
}

#[tokio::test]
async fn a_fault_that_passes_is_not_noticed() {
    let (server, registry) = scene(Duration::from_secs(5)).await;
    server.say(Says::StatusAtFirst(503, 2));
    assert!(matches!(registry.fetch(&id(), None).await, Ok(Fetched::Document { .. })));
    assert_eq!(server.asked(), 3);
}

#[tokio::test]
async fn a_fault_that_stays_is_told_after_a_few_times() {
    let (server, registry) = scene(Duration::from_secs(5)).await;
    server.say(Says::Status(500));
    assert_eq!(cause(registry.fetch(&id(), None).await), "it answered with status 500");
    assert_eq!(server.asked(), 3);
    server.say(Says::Status(403));
    assert_eq!(cause(registry.fetch(&id(), None).await), "it answered with status 403");
    assert_eq!(server.asked(), 4, "a refusal stays one");
}

#[tokio::test]
async fn what_cannot_be_a_schema_is_unusable() {
    for (says, told) in [(Says::Garbage, "is not JSON"), (Says::Huge, "is larger than")] {
        let (server, registry) = scene(Duration::from_secs(20)).await;
        server.say(says);
        match registry.fetch(&id(), None).await {
            Err(RegistryError::Unusable(reason)) => assert!(reason.contains(told), "{reason}"),
            other => panic!("{other:?}"),
        }
    }
    let (server, registry) = scene(Duration::from_secs(5)).await;
    server.say(Says::Half);
    cause(registry.fetch(&id(), None).await);
}

#[tokio::test]
async fn nobody_is_followed_in_circles_or_elsewhere() {
    let (server, registry) = scene(Duration::from_secs(5)).await;
    server.say(Says::Loop);
    cause(registry.fetch(&id(), None).await);
    assert!(server.asked() < 10, "asked {} times", server.asked());
    let (other, _) = scene(Duration::from_secs(5)).await;
    server.say(Says::Redirect(other.url()));
    assert_eq!(cause(registry.fetch(&id(), None).await), "it answered with status 302");
    assert_eq!(other.asked(), 0);
}

#[tokio::test]
async fn well_is_exactly_200() {
    let (server, registry) = scene(Duration::from_secs(5)).await;
    for (status, well) in [(200, true), (204, false), (301, false), (404, false), (500, false)] {
        server.say(Says::Status(status));
        assert_eq!(registry.health().await.is_ok(), well, "{status}");
    }
}
