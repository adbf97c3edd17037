//! Changes on top of the version that is meant, and no other.

use anyhow::Result;
use gadwall_tests::support::{Client, Reply, TestServer, send};
use reqwest::Method;
use serde_json::{Value, json};

const TABLE: &str = "/projects/p/buckets/main/tables/t";

async fn filled(server: &TestServer) -> Result<Client<'_>> {
    let owner = server.project("p").await?;
    let table = json!({ "name": "t", "columns": [{"name": "id", "type": "INTEGER"}] });
    let made = owner.post("/projects/p/buckets/main/tables", &table).await?;
    assert_eq!((made.status, made.header("etag")), (201, owner.get(TABLE).await?.header("etag")));
    assert_eq!(owner.post(&format!("{TABLE}/rows"), &json!([{"id": 1}, {"id": 2}])).await?.status, 200);
    Ok(owner)
}

async fn tag(owner: &Client<'_>) -> Result<String> {
    Ok(owner.get(TABLE).await?.header("etag").to_owned())
}

async fn on(owner: &Client<'_>, tag: &str, method: Method, what: &str, body: &Value) -> Result<Reply> {
    let request = owner.request(method, &format!("{TABLE}{what}")).header("If-Match", tag);
    send(if body.is_null() { request } else { request.json(body) }).await
}

#[tokio::test]
async fn a_version_that_is_known_is_not_sent_again() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = filled(&server).await?;
    let tag = tag(&owner).await?;
    let ask = |known: String| send(owner.request(Method::GET, TABLE).header("If-None-Match", known));
    for known in [tag.clone(), format!("\"1.1\", {tag}"), format!("W/{tag}"), "*".to_owned()] {
        let reply = ask(known.clone()).await?;
        assert_eq!((reply.status, reply.text.as_str(), reply.header("etag")), (304, "", tag.as_str()), "{known}");
    }
    owner.post(&format!("{TABLE}/rows"), &json!([{"id": 3}])).await?;
    let reply = ask(tag.clone()).await?;
    assert_eq!((reply.status, &reply.json()["row_count"]), (200, &json!(3)));
    assert_ne!(reply.header("etag"), tag);
    Ok(())
}

#[tokio::test]
async fn every_change_of_the_document_changes_the_tag() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = filled(&server).await?;
    let mut seen = vec![tag(&owner).await?];
    for (method, what, body) in [
        (Method::POST, "/columns", json!({"name": "v", "type": "INT"})),
        (Method::PUT, "/columns/v", json!({"new_type": "BIGINT"})),
        (Method::PUT, "/columns/v", json!({"default": "1"})),
        (Method::PUT, "/columns/v", json!({"comment": "c"})),
        (Method::PATCH, "", json!({"comment": "c"})),
        (Method::PATCH, "", json!({"sort_by": ["id"]})),
        (Method::POST, "/primary-key", json!({"columns": ["id"]})),
        (Method::POST, "/rows/update", json!({"filter": {"column": "id", "op": "eq", "value": 1}, "set": {"v": 5}})),
        (Method::POST, "/rows/delete", json!({"filter": {"column": "id", "op": "eq", "value": 1}})),
        (Method::POST, "/truncate", Value::Null),
    ] {
        let last = seen.last().cloned().unwrap_or_default();
        let done = on(&owner, &last, method, &format!("{what}?allow_breaking=true"), &body).await?;
        assert!(matches!(done.status, 200 | 201), "{what} {body}: {} {}", done.status, done.text);
        let now = tag(&owner).await?;
        assert!(!seen.contains(&now), "{what} {body}: {now}");
        seen.push(now);
    }
    Ok(())
}

#[tokio::test]
async fn a_stale_version_is_refused_with_the_current_one() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = filled(&server).await?;
    let old = tag(&owner).await?;
    owner.post(&format!("{TABLE}/rows"), &json!([{"id": 3}])).await?;
    let now = tag(&owner).await?;
    let one = json!({"filter": {"column": "id", "op": "eq", "value": 1}});
    let update = json!({"filter": {"column": "id", "op": "eq", "value": 1}, "set": {"id": 9}});
    for (method, what, body) in [
        (Method::POST, "/rows", json!([{"id": 4}])),
        (Method::POST, "/rows?mode=replace", json!([{"id": 4}])),
        (Method::POST, "/rows?mode=replace&dry_run=true", json!([{"id": 4}])),
        (Method::POST, "/rows/delete", one.clone()),
        (Method::DELETE, "/rows", one.clone()),
        (Method::POST, "/rows/update", update.clone()),
        (Method::PATCH, "/rows", update),
        (Method::POST, "/rows/purge", one),
        (Method::POST, "/truncate", Value::Null),
        (Method::DELETE, "", Value::Null),
    ] {
        for stale in [old.as_str(), "\"another's\"", "W/\"1.1\"", "\"0.0\""] {
            let refused = on(&owner, stale, method.clone(), what, &body).await?;
            let told = (refused.status, refused.code());
            assert_eq!(told, (412, "precondition_failed".to_owned()), "{method} {what}: {}", refused.text);
            assert_eq!(refused.header("etag"), now, "{method} {what}");
        }
        for malformed in ["1.2", "\"1.2", "x y", ""] {
            let refused = on(&owner, malformed, method.clone(), what, &body).await?;
            assert_eq!((refused.status, refused.code().as_str()), (400, "malformed_header"), "{malformed}");
        }
    }
    // Rows that came in between don't count for the shape.
    let added = on(&owner, &old, Method::POST, "/columns", &json!({"name": "v", "type": "INT"})).await?;
    assert_eq!(added.status, 201, "{}", added.text);
    let stale = on(&owner, &now, Method::POST, "/columns", &json!({"name": "w", "type": "INT"})).await?;
    assert_eq!((stale.status, stale.header("etag")), (412, tag(&owner).await?.as_str()));
    assert_eq!(on(&owner, "*", Method::DELETE, "", &Value::Null).await?.status, 204);
    Ok(())
}

#[tokio::test]
async fn of_writers_who_saw_the_same_version_one_wins() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = filled(&server).await?;
    for (what, body) in [("/rows", json!([{"id": 7}])), ("/columns", json!({"name": "v", "type": "INT"}))] {
        let tag = tag(&owner).await?;
        let tries = (0..12).map(|_| on(&owner, &tag, Method::POST, what, &body));
        let replies = futures_util::future::try_join_all(tries).await?;
        let won = replies.iter().filter(|reply| matches!(reply.status, 200 | 201)).count();
        // Who comes late enough to see the new column is told that it is there.
        let lost = replies.iter().filter(|reply| matches!(reply.status, 412 | 409)).count();
        let statuses: Vec<u16> = replies.iter().map(|reply| reply.status).collect();
        assert_eq!((won, lost), (1, 11), "{what}: {statuses:?}");
    }
    let table = owner.get(TABLE).await?.json();
    assert_eq!((&table["row_count"], table["columns"].as_array().map(Vec::len)), (&json!(3), Some(2)));
    Ok(())
}
