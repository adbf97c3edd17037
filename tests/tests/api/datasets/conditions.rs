//! Ranges and conditional requests.

use anyhow::Result;
use gadwall_tests::support::{Client, Reply, TestServer, send};
use reqwest::Method;

use super::{D, owner, put};

async fn with(client: &Client<'_>, method: Method, name: &str, headers: &[(&str, &str)]) -> Result<Reply> {
    let mut request = client.request(method.clone(), &format!("{D}/{name}"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    send(if method == Method::PUT { request.body("new") } else { request }).await
}

#[tokio::test]
async fn a_part_is_sent_where_a_part_is_asked_for() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = owner(&server).await?;
    let made = put(&owner, &format!("{D}/a"), "0123456789").await?;
    for (range, expected, content_range) in [
        ("bytes=0-3", "0123", "bytes 0-3/10"),
        ("bytes=7-", "789", "bytes 7-9/10"),
        ("bytes=-2", "89", "bytes 8-9/10"),
        ("bytes=9-100", "9", "bytes 9-9/10"),
    ] {
        let reply = with(&owner, Method::GET, "a", &[("Range", range)]).await?;
        assert_eq!((reply.status, reply.text.as_str()), (206, expected), "{range}");
        assert_eq!(reply.header("content-range"), content_range);
        assert_eq!(reply.header("content-length"), expected.len().to_string());
        assert_eq!((reply.header("etag"), reply.header("content-type")), (made.header("etag"), "text/x-test"));
    }
    for range in ["bytes=10-", "bytes=-0"] {
        let reply = with(&owner, Method::GET, "a", &[("Range", range)]).await?;
        assert_eq!((reply.status, reply.code().as_str()), (416, "range_not_satisfiable"), "{}", reply.text);
        assert_eq!(reply.header("content-range"), "bytes */10");
    }
    for range in ["bytes=0-1,3-4", "lines=1-2", "bytes=x"] {
        assert_eq!(with(&owner, Method::GET, "a", &[("Range", range)]).await?.status, 200, "{range}");
    }
    let etag = made.header("etag");
    assert_eq!(with(&owner, Method::GET, "a", &[("Range", "bytes=0-0"), ("If-Range", etag)]).await?.status, 206);
    put(&owner, &format!("{D}/a"), "other").await?;
    let whole = with(&owner, Method::GET, "a", &[("Range", "bytes=0-0"), ("If-Range", etag)]).await?;
    assert_eq!((whole.status, whole.text.as_str()), (200, "other"));
    Ok(())
}

#[tokio::test]
async fn what_the_client_has_is_not_sent_again() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = owner(&server).await?;
    put(&owner, &format!("{D}/a"), "x").await?;
    let got = owner.get(&format!("{D}/a")).await?;
    let (etag, time) = (got.header("etag"), got.header("last-modified"));
    for method in [Method::GET, Method::HEAD] {
        for headers in [&[("If-None-Match", etag)][..], &[("If-Modified-Since", time)], &[("If-None-Match", "*")]] {
            let reply = with(&owner, method.clone(), "a", headers).await?;
            assert_eq!((reply.status, reply.text.as_str()), (304, ""), "{method} {headers:?}");
            assert_eq!(reply.header("etag"), etag);
        }
        let changed =
            with(&owner, method.clone(), "a", &[("If-None-Match", "\"x\""), ("If-Modified-Since", time)]).await?;
        assert_eq!(changed.status, 200);
        let presumed = with(&owner, method, "a", &[("If-Match", "\"x\"")]).await?;
        assert_eq!(presumed.status, 412);
    }
    Ok(())
}

#[tokio::test]
async fn a_change_can_depend_on_what_is_there() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = owner(&server).await?;
    let absent = [("If-None-Match", "*")];
    let early = with(&owner, Method::PUT, "a", &[("If-Match", "*")]).await?;
    assert_eq!((early.status, early.code().as_str()), (412, "precondition_failed"), "{}", early.text);
    let made = with(&owner, Method::PUT, "a", &absent).await?;
    assert_eq!(made.status, 201);
    assert_eq!(with(&owner, Method::PUT, "a", &absent).await?.status, 412);
    let etag = made.header("etag");
    assert_eq!(with(&owner, Method::PUT, "a", &[("If-Match", etag)]).await?.status, 200);
    assert_eq!(with(&owner, Method::PUT, "a", &[("If-Match", etag)]).await?.status, 412);
    assert_eq!(with(&owner, Method::PUT, "a", &[("If-Match", "W/\"x\"")]).await?.status, 412);
    assert_eq!(with(&owner, Method::DELETE, "a", &[("If-Match", etag)]).await?.status, 412);
    let now = owner.get(&format!("{D}/a")).await?;
    assert_eq!((now.status, now.text.as_str()), (200, "new"));
    assert_eq!(with(&owner, Method::DELETE, "a", &[("If-Match", now.header("etag"))]).await?.status, 204);
    assert_eq!(with(&owner, Method::DELETE, "a", &[("If-Match", "*")]).await?.status, 412);
    Ok(())
}
