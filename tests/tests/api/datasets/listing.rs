//! Listings of many objects.

use anyhow::Result;
use futures_util::{StreamExt as _, TryStreamExt as _};
use gadwall_tests::support::{TestServer, send};
use reqwest::Method;
use serde_json::json;

use super::{D, owner, put};

#[tokio::test]
async fn more_than_a_thousand_objects_are_all_listed() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = owner(&server).await?;
    let mut names: Vec<String> = (0..1_050).map(|number| format!("part/{number:04}")).collect();
    names.extend(["é x".to_owned(), "part-2".to_owned()]);
    names.sort();
    let puts = names.iter().map(|name| {
        let owner = owner.clone();
        async move { put(&owner, &format!("{D}/{name}"), "x").await }
    });
    let made: Vec<_> = futures_util::stream::iter(puts).buffer_unordered(16).try_collect().await?;
    assert!(made.iter().all(|reply| reply.status == 201));

    assert_eq!(owner.get("/datasets/d").await?.json(), json!({ "bucket": "d", "objects": names }));
    let page = owner.get(D).await?;
    let objects = page.json()["objects"].as_array().unwrap().len();
    assert_eq!(objects, 1_000);

    let mut seen = Vec::new();
    let mut next = Some(format!("{D}?limit=400"));
    while let Some(path) = next {
        let page = owner.get(&path).await?;
        assert_eq!(page.status, 200, "{}", page.text);
        let body = page.json();
        seen.extend(
            body["objects"].as_array().unwrap().iter().map(|object| object["name"].as_str().unwrap().to_owned()),
        );
        let link = page.header("link");
        assert_eq!(body["next_cursor"].is_string(), !link.is_empty());
        next = link.strip_prefix('<').and_then(|link| link.strip_suffix(">; rel=\"next\"")).map(str::to_owned);
    }
    assert_eq!(seen, names);

    let some = owner.get(&format!("{D}?prefix=%C3%A9%20&limit=1")).await?.json();
    assert_eq!(some["objects"].as_array().unwrap().len(), 1);
    assert_eq!(some["objects"][0]["name"], "é x");
    assert!(some.get("next_cursor").is_none());
    let first = owner.get(&format!("{D}?prefix=part/&limit=1")).await?;
    assert!(first.header("link").contains("prefix=part%2F"), "{}", first.header("link"));
    for bad in ["limit=0", "limit=1001", "cursor=x", "cursor=Li4"] {
        let reply = send(owner.request(Method::GET, &format!("{D}?{bad}"))).await?;
        assert_eq!((reply.status, reply.code().as_str()), (422, "validation_failed"), "{bad}: {}", reply.text);
    }
    Ok(())
}
