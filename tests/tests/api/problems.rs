//! Failures look alike everywhere: RFC 9457 problems.

use anyhow::Result;
use gadwall_tests::support::{TestServer, send};
use reqwest::Method;
use serde_json::json;

#[tokio::test]
async fn the_frameworks_own_errors_are_problems_too() -> Result<()> {
    let server = TestServer::start().await?;
    let admin = server.admin();
    let bad_json =
        send(admin.request(Method::POST, "/projects").header("Content-Type", "application/json").body("{\"id\": "));
    let wrong_type = send(admin.request(Method::POST, "/projects").header("Content-Type", "text/plain").body("x"));
    let cases = [
        (admin.get("/nowhere").await?, 404, "route_not_found"),
        (admin.get("/projects/p/nothing").await?, 404, "route_not_found"),
        (admin.delete("/projects").await?, 405, "method_not_allowed"),
        (bad_json.await?, 422, "validation_failed"),
        (admin.post("/projects", &json!([1])).await?, 422, "validation_failed"),
        (admin.post("/projects", &json!({})).await?, 422, "validation_failed"),
        (wrong_type.await?, 415, "unsupported_media_type"),
        (admin.get("/projects?limit=many").await?, 422, "validation_failed"),
    ];
    for (reply, status, code) in cases {
        assert_eq!((reply.status, reply.code().as_str()), (status, code), "{}", reply.text);
        assert_eq!(reply.header("content-type"), "application/problem+json");
        let body = reply.json();
        assert_eq!(body["status"], status);
        assert_eq!(body["request_id"].as_str(), Some(reply.header("x-request-id")), "{}", reply.text);
        assert!(!body["detail"].as_str().unwrap().is_empty());
        assert_eq!((&body["error"], &body["message"]), (&body["code"], &body["detail"]), "for older clients");
    }
    Ok(())
}

#[tokio::test]
async fn a_wrong_method_is_told_the_right_ones() -> Result<()> {
    let server = TestServer::start().await?;
    let refused = server.admin().delete("/projects").await?;
    let mut methods: Vec<_> = refused.header("allow").split(", ").collect();
    methods.sort_unstable();
    assert_eq!((refused.status, methods), (405, vec!["GET", "POST"]));
    assert_eq!(server.admin().post("/projects/p/stats", &json!({})).await?.header("allow"), "GET");
    Ok(())
}

#[tokio::test]
async fn a_problem_has_this_form() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = server.project("p1").await?;
    owner.post("/projects/p1/buckets", &json!({ "name": "raw" })).await?;
    let body = json!({ "name": "raw" });
    let again = owner.request(Method::POST, "/projects/p1/buckets").header("X-Request-ID", "r-1").json(&body);
    insta::assert_snapshot!(serde_json::to_string_pretty(&send(again).await?.json())?, @r#"
    {
      "type": "https://gadwall.dev/problems/bucket_exists",
      "title": "Bucket exists",
      "status": 409,
      "detail": "bucket raw exists already in project p1",
      "instance": "/projects/p1/buckets",
      "code": "bucket_exists",
      "request_id": "r-1",
      "retryable": false,
      "details": {
        "project_id": "p1",
        "bucket_name": "raw"
      },
      "error": "bucket_exists",
      "message": "bucket raw exists already in project p1"
    }
    "#);
    Ok(())
}

#[tokio::test]
async fn a_refused_change_of_a_table_says_what_to_do() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = server.project("p1").await?;
    let table = json!({ "name": "t", "columns": [{"name": "i", "type": "INT"}, {"name": "v", "type": "INT"}] });
    owner.post("/projects/p1/buckets/main/tables", &table).await?;
    let path = "/projects/p1/buckets/main/tables/t";
    let drop = |header: &'static str, value: &'static str| {
        let request = owner.request(Method::DELETE, &format!("{path}/columns/v"));
        send(request.header("X-Request-ID", "r-1").header(header, value))
    };
    insta::assert_snapshot!(serde_json::to_string_pretty(&drop("Accept", "*/*").await?.json())?, @r#"
    {
      "type": "https://gadwall.dev/problems/breaking_change",
      "title": "Breaking change",
      "status": 409,
      "detail": "this change of table main.t is breaking: those who read or write the column no longer can; repeat it with allow_breaking=true if that is meant",
      "instance": "/projects/p1/buckets/main/tables/t/columns/v",
      "code": "breaking_change",
      "request_id": "r-1",
      "retryable": false,
      "error": "breaking_change",
      "message": "this change of table main.t is breaking: those who read or write the column no longer can; repeat it with allow_breaking=true if that is meant"
    }
    "#);
    let stale = drop("If-Match", "\"7.7\"").await?;
    assert_eq!(stale.code(), "breaking_change", "told first: it needs no look at the versions");
    let stale = owner.request(Method::POST, &format!("{path}/truncate"));
    let stale = send(stale.header("X-Request-ID", "r-1").header("If-Match", "\"7.7\"")).await?;
    assert_eq!((stale.status, stale.header("etag")), (412, owner.get(path).await?.header("etag")));
    let version = &owner.get(path).await?.json()["version"];
    assert_eq!(stale.json()["details"], json!({ "table": "main.t", "version": version }));
    Ok(())
}

#[tokio::test]
async fn a_request_id_is_kept_when_it_is_fit_and_minted_otherwise() -> Result<()> {
    let server = TestServer::start().await?;
    let ask = |id: &'static str| send(server.request(Method::GET, "/").header("X-Request-ID", id));
    assert_eq!(ask("trace-7").await?.header("x-request-id"), "trace-7");
    let minted = ask("has space").await?;
    assert_eq!(minted.header("x-request-id").len(), 36);
    assert_eq!(send(server.request(Method::GET, "/nowhere")).await?.header("x-request-id").len(), 36);
    Ok(())
}
