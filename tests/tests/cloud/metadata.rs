//! A server that keeps its metadata in PostgreSQL: what it knows is in the database, and nowhere else.

use gadwall::config::Secret;
use gadwall_test_services::Postgres;
use gadwall_tests::support::TestServer;
use serde_json::json;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn projects_and_keys_are_in_the_database() {
    let database = Postgres::database().await.unwrap();
    let on_postgres = |config: &mut gadwall::Config| config.metadata.url = Some(Secret::new(database.url()));
    let server = TestServer::start_with(on_postgres).await.unwrap();
    let made = server.admin().post("/projects", &json!({ "id": "acme" })).await.unwrap();
    let key = made.json()["api_key"].as_str().unwrap().to_owned();
    let owner = server.with_key(&key);
    let bucket = owner.post("/projects/acme/buckets", &json!({ "name": "sales" })).await.unwrap();
    assert_eq!(bucket.status, 201, "{}", bucket.text);
    assert!(!server.data_dir().join("metadata.sqlite").exists());

    // The same database after a restart, and with it the same keys and commits.
    let dir = server.stop().await.unwrap();
    let server = TestServer::start_in(dir, on_postgres).await.unwrap();
    let buckets = server.with_key(&key).get("/projects/acme/buckets").await.unwrap();
    assert_eq!(buckets.status, 200, "{}", buckets.text);
    assert!(buckets.text.contains("sales"), "{}", buckets.text);

    // What is revoked is refused at once.
    let deleted = server.admin().delete("/projects/acme").await.unwrap();
    assert!(deleted.status < 300, "{}", deleted.text);
    assert_eq!(server.with_key(&key).get("/projects/acme/buckets").await.unwrap().status, 403);
}
