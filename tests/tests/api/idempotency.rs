//! Requests that are repeated under an idempotency key.

use std::time::Duration;

use anyhow::Result;
use futures_util::stream;
use gadwall_tests::support::{Client, Reply, TestServer, send};
use reqwest::Method;
use serde_json::{Value, json};

const TABLE: &str = "/projects/p/buckets/main/tables";
const ROWS: &str = "/projects/p/buckets/main/tables/t/rows";

async fn keyed(client: &Client<'_>, method: Method, path: &str, key: &str, body: &Value) -> Result<Reply> {
    send(client.request(method, path).header("Idempotency-Key", key).json(body)).await
}

async fn post(client: &Client<'_>, path: &str, key: &str, body: &Value) -> Result<Reply> {
    keyed(client, Method::POST, path, key, body).await
}

async fn with_table(server: &TestServer) -> Result<Client<'_>> {
    let client = server.project("p").await?;
    let table = json!({ "name": "t", "columns": [{"name": "id", "type": "INTEGER"}] });
    assert_eq!(client.post(TABLE, &table).await?.status, 201);
    Ok(client)
}

async fn count(client: &Client<'_>) -> Result<Value> {
    Ok(client.get("/projects/p/buckets/main/tables/t").await?.json()["row_count"].clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_request_is_carried_out_once_and_answered_alike() -> Result<()> {
    let server = TestServer::start().await?;
    let client = with_table(&server).await?;
    let first = post(&client, ROWS, "k1", &json!([{ "id": 1 }])).await?;
    assert_eq!((first.status, first.header("idempotency-replayed")), (200, ""));
    for _ in 0..3 {
        let again = post(&client, ROWS, "k1", &json!([{ "id": 1 }])).await?;
        assert_eq!((again.status, again.header("idempotency-replayed")), (200, "true"));
        assert_eq!(again.json(), first.json());
        assert_eq!(again.header("content-type"), first.header("content-type"));
    }
    assert_eq!(count(&client).await?, 1);
    // As the draft writes it, and as the older service does.
    assert_eq!(post(&client, ROWS, "\"k1\"", &json!([{ "id": 1 }])).await?.json(), first.json());
    let older = client.request(Method::POST, ROWS).header("X-Idempotency-Key", "k1").json(&json!([{ "id": 1 }]));
    assert_eq!(send(older).await?.json(), first.json());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_stands_for_one_request() -> Result<()> {
    let server = TestServer::start().await?;
    let client = with_table(&server).await?;
    assert_eq!(post(&client, ROWS, "k", &json!([{ "id": 1 }])).await?.status, 200);
    let other_table = json!({ "name": "u", "columns": [{"name": "id", "type": "INTEGER"}] });
    let other_type = client.request(Method::POST, ROWS).header("Idempotency-Key", "k");
    for reply in [
        post(&client, ROWS, "k", &json!([{ "id": 2 }])).await?,
        post(&client, &format!("{ROWS}?mode=append"), "k", &json!([{ "id": 1 }])).await?,
        post(&client, TABLE, "k", &other_table).await?,
        keyed(&client, Method::DELETE, "/projects/p/buckets/main/tables/t", "k", &json!([{ "id": 1 }])).await?,
        send(other_type.header("Content-Type", "application/x-ndjson").body("[{\"id\":1}]")).await?,
    ] {
        assert_eq!((reply.status, reply.code().as_str()), (422, "idempotency_key_reused"), "{}", reply.text);
    }
    assert_eq!(count(&client).await?, 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_failed_may_be_tried_again_under_its_key() -> Result<()> {
    let server = TestServer::start().await?;
    let client = with_table(&server).await?;
    assert_eq!(post(&client, ROWS, "k", &json!([{ "id": "x" }])).await?.code(), "rows_invalid");
    assert_eq!(post(&client, ROWS, "k", &json!([{ "id": 1 }])).await?.status, 200);
    let late = json!({ "name": "late", "columns": [{"name": "id", "type": "INTEGER"}] });
    let rows = json!([{ "id": 1 }]);
    assert_eq!(post(&client, &format!("{TABLE}/late/rows"), "k2", &rows).await?.code(), "table_not_found");
    assert_eq!(post(&client, TABLE, "k3", &late).await?.status, 201);
    assert_eq!(post(&client, &format!("{TABLE}/late/rows"), "k2", &rows).await?.status, 200);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_of_different_callers_have_nothing_to_do_with_each_other() -> Result<()> {
    let server = TestServer::start().await?;
    let client = with_table(&server).await?;
    let other = server.project("q").await?;
    assert_eq!(post(&client, ROWS, "k", &json!([{ "id": 1 }])).await?.status, 200);
    // Neither another tenant nor someone without a good key learns of an answer.
    assert_eq!(post(&other, ROWS, "k", &json!([{ "id": 1 }])).await?.code(), "forbidden");
    assert_eq!(post(&server.with_key("nonsense"), ROWS, "k", &json!([{ "id": 1 }])).await?.code(), "forbidden");
    let bare = server.request(Method::POST, ROWS).header("Idempotency-Key", "k").json(&json!([{ "id": 1 }]));
    assert_eq!(send(bare).await?.status, 401);
    let admins = post(&server.admin(), ROWS, "k", &json!([{ "id": 1 }])).await?;
    assert_eq!((admins.status, admins.header("idempotency-replayed")), (200, ""));
    assert_eq!(count(&client).await?, 2);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_is_being_carried_out_is_not_begun_again() -> Result<()> {
    let server = TestServer::start().await?;
    let client = with_table(&server).await?;
    let (more, chunks) = tokio::sync::mpsc::channel::<std::io::Result<&'static str>>(4);
    let body = stream::unfold(chunks, |mut chunks| async { Some((chunks.recv().await?, chunks)) });
    let request = client.request(Method::POST, ROWS).header("Idempotency-Key", "slow");
    let request = request.header("Content-Type", "application/x-ndjson").body(reqwest::Body::wrap_stream(body));
    more.send(Ok("{\"id\":1}\n")).await?;
    let slow = tokio::spawn(send(request));
    tokio::time::sleep(Duration::from_millis(200)).await;
    let reply = post(&client, ROWS, "slow", &json!([{ "id": 1 }])).await?;
    assert_eq!(reply.status, 409);
    assert_eq!(reply.code(), "idempotency_key_in_use");
    drop(more);
    assert_eq!(slow.await??.status, 200);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn many_repetitions_at_once_change_one_thing() -> Result<()> {
    let server = TestServer::start().await?;
    let client = with_table(&server).await?;
    let replies = futures_util::future::join_all((0..16).map(|_| async {
        let row = json!([{ "id": 7 }]);
        loop {
            let reply = post(&client, ROWS, "storm", &row).await?;
            if reply.status != 409 {
                return anyhow::Ok(reply);
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }))
    .await;
    let bodies: Vec<Value> = replies.into_iter().map(|reply| Ok(reply?.json())).collect::<Result<_>>()?;
    assert!(bodies.iter().all(|body| body == &bodies[0] && body["rows"] == 1), "{bodies:?}");
    assert_eq!(count(&client).await?, 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn structure_is_changed_once_too() -> Result<()> {
    let server = TestServer::start().await?;
    let admin = server.admin();
    let project = post(&admin, "/projects", "make-p", &json!({ "id": "p" })).await?;
    assert_eq!(project.status, 201);
    let again = post(&admin, "/projects", "make-p", &json!({ "id": "p" })).await?;
    assert_eq!((again.status, again.json()["id"].as_str()), (201, Some("p")));
    assert!(again.json()["api_key"].is_null() && again.json()["api_key_note"].is_string(), "{}", again.text);
    assert!(!again.text.contains(project.json()["api_key"].as_str().unwrap_or("?")));
    assert_eq!(admin.post("/projects", &json!({ "id": "p" })).await?.code(), "project_exists");

    let table = json!({ "name": "t", "columns": [{"name": "id", "type": "INTEGER"}] });
    for (method, path, body, status) in [
        (Method::POST, "/projects/p/buckets", json!({ "name": "b" }), 201),
        (Method::POST, "/projects/p/buckets/b/tables", table, 201),
        (Method::DELETE, "/projects/p/buckets/b/tables/t", Value::Null, 204),
        (Method::DELETE, "/projects/p/buckets/b", Value::Null, 204),
        (Method::PUT, "/projects/p", json!({ "name": "P" }), 200),
    ] {
        let key = format!("{method}{path}");
        for attempt in 0..2 {
            let reply = keyed(&admin, method.clone(), path, &key, &body).await?;
            assert_eq!(reply.status, status, "{method} {path}, attempt {attempt}: {}", reply.text);
            assert_eq!(reply.header("idempotency-replayed") == "true", attempt == 1, "{method} {path}");
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_outlives_the_server() -> Result<()> {
    let server = TestServer::start().await?;
    let client = with_table(&server).await?;
    let key = client.key().to_owned();
    let first = post(&client, ROWS, "k", &json!([{ "id": 1 }])).await?;
    let server = TestServer::start_in(server.stop().await?, |_| {}).await?;
    let client = server.with_key(&key);
    assert_eq!(post(&client, ROWS, "k", &json!([{ "id": 1 }])).await?.json(), first.json());
    assert_eq!(count(&client).await?, 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_can_not_be_kept_are_refused() -> Result<()> {
    let server = TestServer::start().await?;
    let client = with_table(&server).await?;
    let long = "x".repeat(256);
    for bad in ["", "a b", "\"\"", &long] {
        let reply = post(&client, ROWS, bad, &json!([{ "id": 1 }])).await?;
        assert_eq!((reply.status, reply.code().as_str()), (400, "invalid_idempotency_key"), "{bad:?}");
    }
    assert_eq!(post(&client, ROWS, &long[..255], &json!([{ "id": 1 }])).await?.status, 200);
    assert_eq!(count(&client).await?, 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_that_only_reads_takes_no_key_for_itself() -> Result<()> {
    let server = TestServer::start().await?;
    let client = with_table(&server).await?;
    for expected in [1, 2] {
        let reply = post(&client, "/projects/p/query", "k", &json!({ "query": format!("SELECT {expected}") })).await?;
        assert_eq!((reply.status, &reply.json()["rows"][0][0]), (200, &json!(expected)));
    }
    Ok(())
}
