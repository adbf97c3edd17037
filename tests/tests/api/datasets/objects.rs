//! Objects in and out.

use std::time::Duration;

use anyhow::Result;
use bytes::Bytes;
use futures_util::StreamExt as _;
use gadwall_tests::cloud::passes_over;
use gadwall_tests::support::{TestServer, send};
use reqwest::Method;
use reqwest::multipart::{Form, Part};
use serde_json::json;

use super::{D, owner, put};

#[tokio::test]
async fn an_object_lives_its_life() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = owner(&server).await?;
    let path = format!("{D}/a/b.csv");
    let made = put(&owner, &path, "x,y\n1,2\n").await?;
    assert_eq!(made.status, 201, "{}", made.text);
    let body = made.json();
    assert_eq!(
        (&body["name"], &body["size"], &body["content_type"]),
        (&json!("a/b.csv"), &json!(8), &json!("text/x-test"))
    );
    assert_eq!(body["etag"], made.header("etag"));

    let got = owner.get(&path).await?;
    assert_eq!((got.status, got.text.as_str()), (200, "x,y\n1,2\n"));
    for (name, value) in [
        ("content-type", "text/x-test"),
        ("content-length", "8"),
        ("accept-ranges", "bytes"),
        ("etag", made.header("etag")),
        ("x-content-type-options", "nosniff"),
        ("content-disposition", "attachment; filename*=UTF-8''b.csv"),
        ("content-security-policy", "sandbox; default-src 'none'"),
    ] {
        assert_eq!(got.header(name), value, "{name}");
    }
    assert!(got.header("last-modified").ends_with(" GMT"));
    let head = send(owner.request(Method::HEAD, &path)).await?;
    assert_eq!((head.status, head.text.as_str(), head.header("content-length")), (200, "", "8"));
    assert_eq!((head.header("etag"), head.header("content-type")), (made.header("etag"), "text/x-test"));

    // Without a type, the name tells.
    let again = send(owner.request(Method::PUT, &path).body("z")).await?;
    assert_eq!((again.status, &again.json()["content_type"]), (200, &json!("text/csv")), "{}", again.text);
    assert_ne!(again.header("etag"), made.header("etag"));
    for _ in 0..2 {
        assert_eq!(owner.delete(&path).await?.status, 204);
    }
    for reply in [owner.get(&path).await?, owner.get(&format!("{D}/a")).await?] {
        assert_eq!((reply.status, reply.code().as_str()), (404, "object_not_found"));
    }
    assert_eq!(send(owner.request(Method::HEAD, &path)).await?.status, 404);
    Ok(())
}

#[tokio::test]
async fn short_routes_do_the_same_in_ones_own_project() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = server.project("p").await?;
    let message = |text: &str| Some(text.to_owned());
    let told = |reply: &gadwall_tests::support::Reply| reply.json()["message"].as_str().map(str::to_owned);
    let made = owner.post("/datasets/d", &json!({})).await?;
    assert_eq!((made.status, told(&made)), (200, message("Bucket d created successfully")), "{}", made.text);
    let again = send(owner.request(Method::POST, "/api/v1/datasets/D")).await?;
    assert_eq!((again.status, again.code().as_str()), (409, "dataset_exists"));
    let bad = send(owner.request(Method::POST, "/datasets/a.b")).await?;
    assert_eq!((bad.status, bad.code().as_str()), (400, "invalid_name"));

    let form = Form::new().text("note", "x").part("file", Part::bytes(b"in a form".to_vec()).mime_str("a/form")?);
    let stored = send(owner.request(Method::PUT, "/datasets/d/x/form").multipart(form)).await?;
    assert_eq!(
        (stored.status, told(&stored)),
        (200, message("Object x/form uploaded successfully")),
        "{}",
        stored.text
    );
    let raw = owner.request(Method::PUT, "/api/v1/datasets/d/x/raw").header("Content-Type", "application/json");
    assert_eq!(send(raw.body(vec![0xff, 0x00])).await?.status, 200);
    let got = owner.get("/datasets/d/x/form").await?;
    assert_eq!((got.text.as_str(), got.header("content-type")), ("in a form", "a/form"));
    let got = owner.get("/projects/p/datasets/d/x/raw").await?;
    assert_eq!((got.header("content-length"), got.header("content-type")), ("2", "application/json"));
    assert_eq!(send(owner.request(Method::HEAD, "/datasets/d/x/raw")).await?.header("content-length"), "2");

    assert_eq!(owner.get("/datasets/d").await?.text, r#"{"bucket":"d","objects":["x/form","x/raw"]}"#);
    assert_eq!(owner.get("/datasets").await?.json(), json!({ "datasets": ["d"] }));
    for reply in [owner.get("/datasets/none").await?, put(&owner, "/datasets/none/x", "x").await?] {
        assert_eq!((reply.status, reply.code().as_str()), (404, "dataset_not_found"), "{}", reply.text);
    }
    assert_eq!(owner.get("/datasets/d/none").await?.status, 404);
    let full = owner.delete("/datasets/d").await?;
    assert_eq!((full.status, full.code().as_str()), (409, "dataset_not_empty"));
    for path in ["/datasets/d/x/form", "/datasets/d/x/raw", "/datasets/d/x/raw"] {
        assert_eq!(owner.delete(path).await?.status, 200);
    }
    assert_eq!(owner.delete("/datasets/d").await?.status, 200);
    assert_eq!(owner.get("/datasets").await?.json(), json!({ "datasets": [] }));
    // An admin's own project is `default`, or the one it names.
    let named = server.admin().request(Method::POST, "/datasets/e").header("X-Project", "p");
    assert_eq!(send(named).await?.status, 200);
    assert_eq!(owner.get("/projects/p/datasets").await?.json(), json!({ "datasets": [{"name": "e"}], "total": 1 }));
    Ok(())
}

#[tokio::test]
async fn a_form_needs_a_file_and_its_end() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = owner(&server).await?;
    let path = format!("{D}/a");
    let empty = send(owner.request(Method::PUT, &path).multipart(Form::new().text("note", "x"))).await?;
    assert_eq!((empty.status, empty.code().as_str()), (400, "malformed_body"), "{}", empty.text);
    let cut = "--B\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\nhalf of";
    let form = owner.request(Method::PUT, &path).header("Content-Type", "multipart/form-data; boundary=B").body(cut);
    let reply = send(form).await?;
    assert_eq!((reply.status, reply.code().as_str()), (400, "body_incomplete"), "{}", reply.text);
    let odd = send(owner.request(Method::PUT, &path).header("Content-Type", "nonsense").body("x")).await?;
    assert_eq!((odd.status, odd.code().as_str()), (400, "invalid_content_type"), "{}", odd.text);
    assert_eq!(owner.get(&path).await?.status, 404);
    Ok(())
}

/// Bytes that tell where they are.
fn chunk(number: u32) -> Bytes {
    (0..65_536_u32).map(|byte| u8::try_from((number.wrapping_mul(31) + byte) % 251).unwrap_or(0)).collect()
}

const CHUNKS: u32 = 480;

#[tokio::test]
async fn thirty_megabytes_stream_in_and_out() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = owner(&server).await?;
    let chunks = futures_util::stream::iter((0..CHUNKS).map(|number| Ok::<_, std::io::Error>(chunk(number))));
    let made = put(&owner, &format!("{D}/large"), reqwest::Body::wrap_stream(chunks)).await?;
    assert_eq!((made.status, made.json()["size"].as_u64()), (201, Some(u64::from(CHUNKS) * 65_536)), "{}", made.text);

    let mut body = owner.request(Method::GET, &format!("{D}/large")).send().await?.bytes_stream();
    let mut read = Vec::new();
    // Replaced while it is read: the reader gets the version it began with, to its end.
    read.extend_from_slice(&body.next().await.unwrap()?);
    assert_eq!(put(&owner, &format!("{D}/large"), "small").await?.status, 200);
    while let Some(part) = body.next().await {
        read.extend_from_slice(&part?);
    }
    let whole: Vec<u8> = (0..CHUNKS).flat_map(|number| chunk(number).to_vec()).collect();
    assert!(read == whole);
    assert_eq!(owner.get(&format!("{D}/large")).await?.text, "small");
    Ok(())
}

#[tokio::test]
async fn an_upload_that_breaks_off_leaves_what_was_there() -> Result<()> {
    if passes_over("it looks for files in the data directory") {
        return Ok(());
    }
    let server = TestServer::start_with(|config| config.server.body_idle_timeout = Duration::from_millis(300)).await?;
    let owner = owner(&server).await?;
    put(&owner, &format!("{D}/old"), "old").await?;
    let first = || futures_util::stream::iter([Ok(Bytes::from(vec![b'n'; 100_000]))]);
    for name in ["old", "new/x"] {
        // The client goes away; then one that stays and says nothing more.
        let dies = first().chain(futures_util::stream::iter([Err(std::io::Error::other("gone"))]));
        let _ = put(&owner, &format!("{D}/{name}"), reqwest::Body::wrap_stream(dies)).await;
        let stalls = reqwest::Body::wrap_stream(first().chain(futures_util::stream::pending()));
        let reply = tokio::time::timeout(Duration::from_secs(10), put(&owner, &format!("{D}/{name}"), stalls)).await?;
        if let Ok(reply) = reply {
            assert_eq!((reply.status, reply.code().as_str()), (408, "body_timeout"), "{}", reply.text);
        }
    }
    assert_eq!(owner.get(&format!("{D}/old")).await?.text, "old");
    assert_eq!(owner.get(&format!("{D}/new/x")).await?.status, 404);
    assert_eq!(owner.get("/datasets/d").await?.json()["objects"], json!(["old"]));
    let incoming = || std::fs::read_dir(server.data_dir().join("files/.incoming")).map(Iterator::count);
    for _ in 0..50 {
        if incoming()? == 0 {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    anyhow::bail!("unfinished files stay behind")
}

#[tokio::test]
async fn an_upload_has_the_limit_of_rows() -> Result<()> {
    let server = TestServer::start_with(|config| config.server.max_body_bytes = 6_000_000).await?;
    let owner = owner(&server).await?;
    // More than a document may have.
    assert_eq!(put(&owner, &format!("{D}/fits"), vec![b'x'; 6_000_000]).await?.status, 201);
    if let Ok(reply) = put(&owner, &format!("{D}/declared"), vec![b'x'; 6_000_001]).await {
        assert_eq!((reply.status, reply.code().as_str()), (413, "body_too_large"));
    }
    let endless = futures_util::stream::repeat_with(|| Ok::<_, std::io::Error>(Bytes::from(vec![b'y'; 65_536])));
    if let Ok(reply) = put(&owner, &format!("{D}/endless"), reqwest::Body::wrap_stream(endless.take(200))).await {
        assert_eq!((reply.status, reply.code().as_str()), (413, "body_too_large"));
    }
    assert_eq!(owner.get("/datasets/d").await?.json()["objects"], json!(["fits"]));
    Ok(())
}

#[tokio::test]
async fn files_survive_a_restart_and_go_with_their_project() -> Result<()> {
    if passes_over("it looks for files in the data directory") {
        return Ok(());
    }
    let server = TestServer::start().await?;
    let key = {
        let owner = owner(&server).await?;
        put(&owner, &format!("{D}/a/b"), "kept").await?;
        owner.key().to_owned()
    };
    let server = TestServer::start_in(server.stop().await?, |_| {}).await?;
    let owner = server.with_key(&key);
    let got = owner.get(&format!("{D}/a/b")).await?;
    assert_eq!((got.text.as_str(), got.header("content-type")), ("kept", "text/x-test"));
    let lakes = || -> Result<usize> {
        let entries = std::fs::read_dir(server.data_dir().join("files"))?;
        Ok(entries.filter_map(Result::ok).filter(|entry| !entry.file_name().to_string_lossy().starts_with('.')).count())
    };
    assert_eq!(lakes()?, 1);
    assert_eq!(server.admin().delete("/projects/p?purge=true").await?.status, 204);
    assert_eq!(lakes()?, 0);
    Ok(())
}
