//! `/datasets` and `/projects/{id}/datasets`: files of a project.

mod conditions;
mod hostile;
mod listing;
mod objects;
mod presign;

use anyhow::Result;
use gadwall_tests::support::{Client, Reply, TestServer, send};
use reqwest::Method;
use serde_json::json;

const D: &str = "/projects/p/datasets/d";

/// The owner of a project with a dataset.
async fn owner(server: &TestServer) -> Result<Client<'_>> {
    let owner = server.project("p").await?;
    let made = owner.post("/projects/p/datasets", &json!({ "name": "d" })).await?;
    assert_eq!((made.status, made.json()), (201, json!({ "name": "d" })), "{}", made.text);
    Ok(owner)
}

async fn put(client: &Client<'_>, path: &str, body: impl Into<reqwest::Body>) -> Result<Reply> {
    send(client.request(Method::PUT, path).header("Content-Type", "text/x-test").body(body)).await
}
