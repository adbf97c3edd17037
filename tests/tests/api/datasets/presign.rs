//! Addresses that need no key, where files lie on local disk; in S3: `replicas.rs`.

use anyhow::Result;
use gadwall_tests::cloud;
use gadwall_tests::support::{TestServer, send};
use reqwest::Method;
use serde_json::json;

use super::{D, owner, put};

#[tokio::test]
async fn files_on_local_disk_have_no_addresses() -> Result<()> {
    if cloud::passes_over("in S3 there are addresses") {
        return Ok(());
    }
    let server = TestServer::start().await?;
    let owner = owner(&server).await?;
    put(&owner, &format!("{D}/a/b"), "x").await?;
    for path in [format!("{D}/a/b/presign"), "/datasets/d/a/b/presign".to_owned()] {
        for method in ["GET", "PUT"] {
            let refused = owner.post(&path, &json!({ "method": method })).await?;
            assert_eq!((refused.status, refused.code().as_str()), (422, "presign_unsupported"), "{}", refused.text);
        }
        for body in [json!({ "expires_in": 0 }), json!({ "expires_in": 86_401 })] {
            let refused = owner.post(&path, &body).await?;
            assert_eq!((refused.status, refused.code().as_str()), (422, "validation_failed"), "{}", refused.text);
        }
    }
    // A name may end like the route.
    put(&owner, &format!("{D}/c/presign"), "y").await?;
    let read = send(owner.request(Method::GET, &format!("{D}/c/presign"))).await?;
    assert_eq!((read.status, read.text.as_str()), (200, "y"));
    Ok(())
}
