//! The end of projects: deleted, brought back, purged; under load, too.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use bytes::Bytes;
use futures_util::StreamExt as _;
use gadwall_tests::support::{Client, Reply, TestServer, send};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::sync::mpsc;

/// A project `p` with a table `b.t` that holds rows, and a dataset `d` with an object.
async fn filled(server: &TestServer) -> Result<Client<'_>> {
    let owner = server.project("p").await?;
    let columns = json!([{"name": "i", "type": "INT"}]);
    for (path, body) in [
        ("/projects/p/buckets", json!({ "name": "b" })),
        ("/projects/p/buckets/b/tables", json!({ "name": "t", "columns": columns })),
        ("/projects/p/buckets/b/tables/t/rows", json!([{ "i": 1 }])),
        ("/projects/p/datasets", json!({ "name": "d" })),
    ] {
        let made = owner.post(path, &body).await?;
        assert!(made.status < 300, "{path}: {}", made.text);
    }
    let stored = owner.request(Method::PUT, "/projects/p/datasets/d/o.csv").body("i\n1\n");
    assert_eq!(send(stored).await?.status / 100, 2);
    Ok(owner)
}

/// Files below a folder, but for those of the metadata store and of the project `default`.
fn files(folder: &Path, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            files(&path, found);
        } else if !path.to_string_lossy().contains("metadata.sqlite") {
            found.push(path.to_string_lossy().into_owned());
        }
    }
}

fn files_of(server: &TestServer) -> Vec<String> {
    let mut found = Vec::new();
    files(server.data_dir(), &mut found);
    found
}

async fn project(client: &Client<'_>) -> Result<Value> {
    Ok(client.get("/projects/p").await?.json())
}

#[tokio::test]
async fn a_deleted_project_comes_back_with_all_it_had() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = filled(&server).await?;
    let admin = server.admin();
    assert_eq!(owner.delete("/projects/p").await?.status, 204);
    assert_eq!(owner.get("/projects/p").await?.status, 403);
    assert_eq!(owner.get("/api/v1/duckdb").await?.status, 401, "its key is no key");
    let listed = admin.get("/projects?deleted=true").await?.json();
    assert_eq!((listed["total"].as_u64(), listed["projects"][0]["id"].as_str()), (Some(1), Some("p")));
    assert!(listed["projects"][0]["purge_after"].is_string(), "{listed}");
    assert_eq!(admin.get("/projects?deleted=false").await?.json()["total"], 1, "the project default");
    let taken = admin.post("/projects", &json!({ "id": "P" })).await?;
    assert_eq!((taken.status, taken.code().as_str()), (409, "project_deleted"));

    let back = admin.post("/projects/p/undelete", &json!({})).await?;
    assert_eq!((back.status, back.json()["status"].as_str()), (200, Some("active")), "{}", back.text);
    assert_eq!(owner.get("/projects/p/buckets/b/tables/t/preview").await?.json()["total_row_count"], 1);
    assert_eq!(owner.get("/projects/p/datasets/d/o.csv").await?.text, "i\n1\n");
    let more = owner.post("/projects/p/buckets/b/tables/t/rows", &json!([{ "i": 2 }])).await?;
    assert_eq!(more.status, 200, "{}", more.text);
    Ok(())
}

#[tokio::test]
async fn a_purge_takes_all_files_and_the_name_stays() -> Result<()> {
    let server = TestServer::start().await?;
    let before = files_of(&server);
    let owner = filled(&server).await?;
    let admin = server.admin();
    assert_eq!(admin.post("/projects/p/purge", &json!({})).await?.code(), "project_in_use");
    assert_eq!(owner.delete("/projects/p?purge=true").await?.status, 401);
    assert_eq!(owner.delete("/projects/p").await?.status, 204);
    assert!(gadwall_tests::cloud::is_on() || files_of(&server).len() > before.len(), "there is something to remove");
    let purged = admin.post("/projects/p/purge", &json!({})).await?;
    assert_eq!(purged.status, 200, "{}", purged.text);
    assert!(purged.json()["freed_bytes"].as_u64() > Some(0) && purged.json()["purged_at"].is_string());
    assert_eq!(files_of(&server), before);
    let late = admin.post("/projects/p/undelete", &json!({})).await?;
    assert_eq!((late.status, late.code().as_str()), (409, "project_purged"));
    let taken = admin.post("/projects", &json!({ "id": "p" })).await?;
    assert_eq!((taken.status, taken.code().as_str()), (409, "project_deleted"));
    let told = admin.get("/projects/p/audit?action=project.purged").await?.json();
    assert_eq!(told["entries"].as_array().map(Vec::len), Some(1));
    Ok(())
}

#[tokio::test]
async fn a_deleted_project_is_purged_when_its_time_is_over() -> Result<()> {
    let server = TestServer::start_with(|config| config.projects.undelete_for = Duration::from_secs(1)).await?;
    let before = files_of(&server);
    filled(&server).await?.delete("/projects/p").await?;
    for _ in 0..100 {
        if project(&server.admin()).await?["purged_at"].is_string() {
            assert_eq!(files_of(&server), before);
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    anyhow::bail!("it was not purged within 10 s")
}

#[tokio::test]
async fn a_protected_project_stays() -> Result<()> {
    let server = TestServer::start().await?;
    let made = server.admin().post("/projects", &json!({ "id": "p", "deletion_protection": true })).await?.json();
    assert_eq!(made["deletion_protection"], true);
    let owner = server.with_key(made["api_key"].as_str().context("no key")?);
    for client in [&owner, &server.admin()] {
        for path in ["/projects/p", "/projects/p?purge=true"] {
            let kept = client.delete(path).await?;
            let expected = if client.key() == owner.key() && path.contains("purge") { 401 } else { 409 };
            assert_eq!(kept.status, expected, "{path}: {}", kept.text);
            assert!(expected == 401 || kept.code() == "deletion_protected");
        }
    }
    assert_eq!(owner.put("/projects/p", &json!({ "deletion_protection": false })).await?.status, 200);
    assert_eq!(owner.delete("/projects/p").await?.status, 204);
    Ok(())
}

/// Whether an answer to something in a project that is going says so.
fn is_clear(reply: &Reply) -> bool {
    reply.status < 300 || matches!(reply.status, 401 | 403 | 404 | 409 | 499 | 503) && !reply.code().is_empty()
}

#[tokio::test]
async fn who_is_at_work_in_a_project_that_is_deleted_is_told_so() -> Result<()> {
    let server = TestServer::start().await?;
    let before = files_of(&server);
    let owner = filled(&server).await?;
    let admin = server.admin();
    let (deleting, gone) = (AtomicBool::new(false), AtomicBool::new(false));
    let at_work = async |client: &Client<'_>, number: usize| -> Result<u32> {
        let mut done = 0;
        loop {
            // Asked before the answer is there: what began after the deletion has no excuse.
            let began_after = gone.load(Ordering::SeqCst);
            let reply = match number % 4 {
                0 => client.post("/projects/p/buckets/b/tables/t/rows", &json!([{ "i": 2 }])).await?,
                1 => {
                    let path = format!("/projects/p/datasets/d/o{number}-{done}");
                    send(client.request(Method::PUT, &path).body("x".repeat(10_000))).await?
                }
                2 => {
                    let query = "SELECT count(*) AS n FROM b.t, range(1000000)";
                    match client.post("/projects/p/query", &json!({ "query": query })).await {
                        Ok(reply) => reply,
                        // An answer that had begun breaks off, so that it doesn't look whole.
                        Err(_) => return Ok(done),
                    }
                }
                _ => client.get("/projects/p/buckets/b/tables/t/preview").await?,
            };
            assert!(is_clear(&reply), "{number}: {} {}", reply.status, reply.text);
            if reply.status >= 300 {
                // The deletion holds before its own answer is there.
                anyhow::ensure!(reply.status == 503 || deleting.load(Ordering::SeqCst), "{}", reply.text);
                if reply.status != 503 || began_after {
                    return Ok(done);
                }
            } else {
                assert!(!began_after, "{number}: answered after the deletion: {}", reply.text);
                done += 1;
            }
        }
    };
    let deletion = async {
        tokio::time::sleep(Duration::from_millis(700)).await;
        deleting.store(true, Ordering::SeqCst);
        let deleted = admin.delete("/projects/p?purge=true").await?;
        gone.store(true, Ordering::SeqCst);
        anyhow::ensure!(deleted.status == 204, "{}", deleted.text);
        Ok(())
    };
    let clients = [&owner, &admin];
    let working = futures_util::future::join_all((0..8).map(|number| at_work(clients[number / 4], number)));
    let (worked, deleted) = tokio::join!(working, deletion);
    deleted?;
    let done: u32 = worked.into_iter().sum::<Result<u32>>()?;
    assert!(done > 8, "they were at work: {done}");
    assert!(project(&admin).await?["purged_at"].is_string());
    assert_eq!(files_of(&server), before);
    Ok(())
}

/// Begins an upload whose body comes piece by piece; answers where to put the pieces, and the answer.
fn upload(request: reqwest::RequestBuilder) -> (mpsc::Sender<Bytes>, impl Future<Output = Result<Reply>>) {
    let (pieces, coming) = mpsc::channel::<Bytes>(1);
    let coming = futures_util::stream::unfold(coming, |mut coming| async move {
        let piece = coming.recv().await?;
        Some((Ok::<_, std::io::Error>(piece), coming))
    });
    (pieces, send(request.body(reqwest::Body::wrap_stream(coming.boxed()))))
}

#[tokio::test]
async fn an_upload_ends_when_its_key_is_revoked_and_leaves_nothing() -> Result<()> {
    let server = TestServer::start().await?;
    let owner = filled(&server).await?;
    let before = files_of(&server);
    for (method, path, media_type, piece) in [
        (Method::PUT, "/projects/p/datasets/d/upload", "text/csv", "1\n"),
        (Method::POST, "/projects/p/buckets/b/tables/t/rows", "application/x-ndjson", "{\"i\": 7}\n"),
    ] {
        for goes_on in [false, true] {
            let made = owner.post("/projects/p/keys", &json!({ "name": "k", "scopes": ["write"] })).await?.json();
            let (id, secret) = (made["id"].as_str().context("no id")?, made["api_key"].as_str().context("no key")?);
            let request = server.with_key(secret).request(method.clone(), path).header("Content-Type", media_type);
            let (pieces, answer) = upload(request);
            let feeding = async {
                for _ in 0..3 {
                    pieces.send(Bytes::from(piece.repeat(1000))).await?;
                }
                // The body is under way for longer than a look at the key holds.
                tokio::time::sleep(Duration::from_millis(100)).await;
                anyhow::ensure!(owner.delete(&format!("/projects/p/keys/{id}")).await?.status == 204);
                let revoked = Instant::now();
                if goes_on {
                    // The body has no end: the server ends it.
                    pieces.closed().await;
                }
                drop(pieces);
                Ok(revoked)
            };
            let (answer, revoked) = tokio::join!(answer, feeding);
            let took = revoked?.elapsed();
            // A client may be cut off while it sends; then it has no answer, and surely no good one.
            if let Ok(answer) = answer {
                assert_eq!((answer.status, answer.code().as_str()), (401, "key_revoked"), "{path}: {}", answer.text);
            } else {
                assert!(goes_on, "{path}: {answer:?}");
            }
            assert!(took < Duration::from_secs(5), "{path}: {took:?}");
        }
    }
    let rows = owner.get("/projects/p/buckets/b/tables/t/preview").await?.json();
    assert_eq!(rows["total_row_count"], 1);
    assert_eq!(owner.get("/projects/p/datasets/d/upload").await?.status, 404);
    assert_eq!(files_of(&server), before);
    Ok(())
}

#[tokio::test]
async fn an_admins_upload_ends_when_its_project_is_deleted() -> Result<()> {
    let server = TestServer::start().await?;
    filled(&server).await?;
    let admin = server.admin();
    let (pieces, answer) = upload(admin.request(Method::PUT, "/projects/p/datasets/d/upload"));
    let feeding = async {
        pieces.send(Bytes::from("x".repeat(1000))).await?;
        tokio::time::sleep(Duration::from_millis(100)).await;
        anyhow::ensure!(admin.delete("/projects/p").await?.status == 204);
        drop(pieces);
        Ok(())
    };
    let (answer, fed) = tokio::join!(answer, feeding);
    fed?;
    let answer = answer?;
    assert_eq!((answer.status, answer.code().as_str()), (404, "project_not_found"), "{}", answer.text);
    Ok(())
}
