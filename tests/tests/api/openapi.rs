//! The OpenAPI document: reviewed when it changes.

use anyhow::Result;
use gadwall_tests::support::{TestServer, operations, send};
use reqwest::Method;
use serde_json::Value;

async fn document() -> Result<Value> {
    let server = TestServer::start().await?;
    Ok(send(server.request(Method::GET, "/openapi.json")).await?.json())
}

#[tokio::test]
async fn a_change_of_the_document_is_seen_in_review() -> Result<()> {
    let document = serde_json::to_string_pretty(&document().await?)?;
    insta::with_settings!({ snapshot_path => "../snapshots", prepend_module_to_snapshot => false }, {
        insta::assert_snapshot!("openapi", document);
    });
    Ok(())
}

#[tokio::test]
async fn every_operation_is_named_described_and_says_how_it_fails() -> Result<()> {
    let document = document().await?;
    let mut ids = std::collections::HashSet::new();
    for (path, method, operation) in operations(&document) {
        let id = operation["operationId"].as_str().unwrap_or_default();
        assert!(!id.is_empty() && ids.insert(id.to_owned()), "{method} {path} needs an operationId of its own");
        assert!(operation["summary"].is_string(), "{method} {path} needs a summary");
        assert!(operation["tags"].is_array(), "{method} {path} needs a tag");
        if operation["security"].is_array() {
            assert!(operation["responses"]["401"].is_object(), "{method} {path} needs its errors");
        }
    }
    assert!(ids.len() >= 24, "only {} operations", ids.len());
    Ok(())
}
