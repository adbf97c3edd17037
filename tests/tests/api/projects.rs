//! Projects: their life, their keys, who may see them.

use anyhow::Result;
use gadwall_tests::support::{TestServer, send};
use reqwest::Method;
use serde_json::json;

#[tokio::test]
async fn a_project_is_created_with_a_key_that_is_shown_once() -> Result<()> {
    let server = TestServer::start().await?;
    let made = server
        .admin()
        .post("/projects", &json!({ "id": "acme", "name": "Acme", "settings": {"z": 1, "a": 2} }))
        .await?;
    assert_eq!(made.status, 201, "{}", made.text);
    let body = made.json();
    assert_eq!(body["id"], "acme");
    assert_eq!(body["db_path"], "project_acme");
    assert_eq!(body["status"], "active");
    assert_eq!(body["bucket_count"], 0);
    assert!(made.text.contains(r#""settings":{"z":1,"a":2}"#), "order is kept: {}", made.text);
    let key = body["api_key"].as_str().unwrap();
    let secret = key.strip_prefix("proj_acme_admin_").unwrap();
    assert!(secret.len() == 32 && secret.bytes().all(|b| b.is_ascii_hexdigit()), "{key}");

    let seen = server.with_key(key).get("/projects/acme").await?;
    assert_eq!(seen.status, 200);
    assert!(seen.json().get("api_key").is_none());
    assert!(!server.admin().get("/projects").await?.text.contains(secret));
    Ok(())
}

#[tokio::test]
async fn an_id_is_taken_without_regard_to_case_and_for_ever() -> Result<()> {
    let server = TestServer::start().await?;
    server.project("acme").await?;
    let again = server.admin().post("/projects", &json!({ "id": "ACME" })).await?;
    assert_eq!((again.status, again.code().as_str()), (409, "project_exists"));
    assert_eq!(again.json()["details"]["status"], "active");

    assert_eq!(server.admin().delete("/projects/acme").await?.status, 204);
    let again = server.admin().post("/projects", &json!({ "id": "acme" })).await?;
    assert_eq!((again.status, again.code().as_str()), (409, "project_deleted"));
    assert_eq!(again.json()["details"]["status"], "deleted");
    Ok(())
}

#[tokio::test]
async fn deletion_is_soft_and_ends_the_keys() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = server.project("acme").await?;
    assert_eq!(owner.delete("/projects/acme").await?.status, 204);
    let seen = server.admin().get("/projects/acme").await?;
    assert_eq!((seen.status, seen.json()["status"].as_str()), (200, Some("deleted")));
    assert_eq!(server.admin().delete("/projects/acme").await?.status, 204);
    assert_eq!(owner.get("/projects/acme").await?.status, 403);
    let listed = server.admin().get("/projects?status=deleted").await?.json();
    assert_eq!((listed["total"].as_u64(), listed["projects"][0]["id"].as_str()), (Some(1), Some("acme")));
    let inside = server.admin().get("/projects/acme/buckets").await?;
    assert_eq!((inside.status, inside.code().as_str()), (404, "project_not_found"));
    let changed = server.admin().put("/projects/acme", &json!({ "name": "x" })).await?;
    assert_eq!((changed.status, changed.code().as_str()), (404, "not_found"));
    Ok(())
}

#[tokio::test]
async fn name_and_settings_change_and_what_is_left_out_stays() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = server.project("acme").await?;
    let changed = owner.put("/projects/acme", &json!({ "name": "Acme", "settings": {"tier": "gold"} })).await?;
    assert_eq!(changed.status, 200, "{}", changed.text);
    let changed = owner.put("/projects/acme", &json!({})).await?.json();
    assert_eq!((changed["name"].as_str(), changed["settings"]["tier"].as_str()), (Some("Acme"), Some("gold")));
    let seen = owner.get("/projects/acme").await?.json();
    assert_eq!(seen["settings"]["tier"], "gold");
    Ok(())
}

#[tokio::test]
async fn lists_are_newest_first_and_paged() -> Result<()> {
    let server = TestServer::start().await?;
    for id in ["a", "b", "c"] {
        server.project(id).await?;
    }
    let page = server.admin().get("/projects?limit=2&offset=1").await?.json();
    let ids: Vec<_> = page["projects"].as_array().unwrap().iter().map(|p| p["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["b", "a"]);
    assert_eq!(page["total"], 4, "the default project counts too");
    for query in ["limit=0", "limit=1001", "limit=x", "offset=-1", "status=odd"] {
        let refused = server.admin().get(&format!("/projects?{query}")).await?;
        assert_eq!((refused.status, refused.code().as_str()), (422, "validation_failed"), "{query}");
    }
    Ok(())
}

#[tokio::test]
async fn stats_count_what_is_there_now() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = server.project("acme").await?;
    let empty = owner.get("/projects/acme/stats").await?.json();
    assert_eq!(empty, json!({ "id": "acme", "size_bytes": 0, "table_count": 0, "bucket_count": 0 }));
    owner.post("/projects/acme/buckets", &json!({ "name": "b" })).await?;
    owner
        .post("/projects/acme/buckets/b/tables", &json!({ "name": "t", "columns": [{"name": "i", "type": "INT"}] }))
        .await?;
    owner.post("/projects/acme/buckets/b/tables/t/rows", &json!([{ "i": 1 }])).await?;
    let stats = owner.get("/projects/acme/stats").await?.json();
    assert_eq!((stats["table_count"].as_u64(), stats["bucket_count"].as_u64()), (Some(1), Some(1)));
    assert!(stats["size_bytes"].as_u64() > Some(0));
    let listed = server.admin().get("/projects?limit=1").await?.json();
    assert_eq!(listed["projects"][0]["table_count"], 1, "listed counters follow");
    Ok(())
}

#[tokio::test]
async fn keys_open_what_they_should() -> Result<()> {
    let server = TestServer::start().await?;
    // Ids that share a prefix up to an underscore must not share keys.
    let one = server.project("acme_dev_1").await?;
    let two = server.project("acme_dev_2").await?;
    assert_eq!(one.get("/projects/acme_dev_1").await?.status, 200);
    assert_eq!(two.get("/projects/acme_dev_2").await?.status, 200);
    assert_eq!(one.get("/projects/acme_dev_2").await?.status, 403);
    // What isn't there looks the same to a project's key, and different to an admin's.
    assert_eq!(one.get("/projects/nobody").await?.status, 403);
    let absent = server.admin().get("/projects/nobody").await?;
    assert_eq!((absent.status, absent.code().as_str()), (404, "not_found"));
    // On routes for admins a project's key is no key.
    assert_eq!(one.get("/projects").await?.status, 401);
    assert_eq!(server.with_key("wrong").get("/projects").await?.status, 401);
    assert_eq!(server.with_key("wrong").get("/projects/acme_dev_1").await?.status, 403);
    Ok(())
}

#[tokio::test]
async fn a_missing_or_odd_authorization_is_a_401_that_says_how() -> Result<()> {
    let server = TestServer::start().await?;
    for header in ["", "Bearer", "Bearer ", "Basic abc", "admin-key-of-the-tests"] {
        let reply = send(server.request(Method::GET, "/projects").header("Authorization", header)).await?;
        assert_eq!((reply.status, reply.code().as_str()), (401, "unauthorized"), "{header:?}: {}", reply.text);
        assert_eq!(reply.header("www-authenticate"), "Bearer");
    }
    let reply = send(server.request(Method::GET, "/projects")).await?;
    assert_eq!(reply.status, 401);
    // The scheme's case doesn't matter.
    let lower = format!("bearer {}", gadwall_tests::support::ADMIN_KEY);
    let reply = send(server.request(Method::GET, "/projects").header("Authorization", lower)).await?;
    assert_eq!(reply.status, 200);
    Ok(())
}

#[tokio::test]
async fn the_default_project_stays() -> Result<()> {
    let server = TestServer::start().await?;
    let refused = server.admin().delete("/projects/default").await?;
    assert_eq!((refused.status, refused.code().as_str()), (409, "default_project"));
    assert_eq!(server.admin().get("/tables").await?.status, 200);
    Ok(())
}
