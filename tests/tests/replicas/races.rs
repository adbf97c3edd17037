//! What one server ends while the other is at it.

use bytes::Bytes;
use futures_util::StreamExt as _;
use tokio::sync::mpsc;

use super::*;

/// Reads through a link for longer than anybody waits.
const LINKED: &str = "SELECT max(a.range * b.range + t.id) FROM theirs.t, range(10000000) a, range(10000000) b";
/// How long a server may be at what the other one ended.
const NOTICED: Duration = Duration::from_secs(5);

/// Sends rows to a server, piece by piece.
fn upload(to: &Replica, key: &str) -> (mpsc::Sender<Bytes>, impl Future<Output = Result<Reply>> + use<>) {
    let (pieces, coming) = mpsc::channel::<Bytes>(1);
    let coming = futures_util::stream::unfold(coming, |mut coming| async move {
        let piece = coming.recv().await?;
        Some((Ok::<_, std::io::Error>(piece), coming))
    });
    let body = reqwest::Body::wrap_stream(coming.boxed());
    let request = to.client.post(format!("{}{ROWS}", to.server.url())).bearer_auth(key);
    (pieces, send(request.header("Content-Type", "application/x-ndjson").body(body)))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_share_that_ends_at_one_server_is_read_no_further_at_the_other() -> Result<()> {
    let shared = Shared::start().await?;
    let (a, b) = tokio::try_join!(shared.replica(), shared.replica())?;
    table_in_a_project(&a).await?;
    a.made(ROWS, &json!([{ "id": 1 }])).await?;
    a.made("/projects", &json!({ "id": "r" })).await?;
    a.made("/projects/p/buckets/main/share", &json!({ "target_project_id": "r" })).await?;
    let source = json!({ "source_project_id": "p", "source_bucket_name": "main" });
    b.made("/projects/r/buckets/theirs/link", &source).await?;
    let count = json!({ "query": "SELECT count(*) FROM theirs.t" });
    for on in [&a, &b] {
        let counted = on.made("/projects/r/query", &count).await?;
        ensure!(counted.json()["rows"] == json!([[1]]), "{}", counted.text);
    }

    let body = json!({ "query": LINKED, "timeout_seconds": 60 });
    let asked = tokio::spawn(send(a.request(Method::POST, "/projects/r/query").json(&body)));
    a.wait("/projects/r/queries?state=running", |seen| seen["queries"][0]["id"].is_string()).await?;
    let begun = Instant::now();
    let ended = send(b.request(Method::DELETE, "/projects/p/buckets/main/share?target_project_id=r")).await?;
    ensure!(ended.status == 204, "{}", ended.text);
    // No server answers a query that begins now.
    for on in [&a, &b] {
        let refused = on.post("/projects/r/query", &count).await?;
        ensure!(refused.status >= 400, "{}", refused.text);
    }
    let asked = asked.await??;
    let took = begun.elapsed();
    ensure!(asked.code() == "query_cancelled", "{} {}", asked.status, asked.text);
    ensure!(took < NOTICED, "the query went on for {took:?}");
    println!("a query was stopped {took:?} after the share ended at the other server");

    // The owner hears of the reads of both servers.
    let reads = |seen: &Value| seen["readers"][0]["reads"].as_u64();
    let readers = a.wait("/projects/p/readers", |seen| reads(seen) == Some(2)).await?;
    ensure!(readers["readers"][0]["project_id"] == "r", "{readers}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_is_revoked_at_one_server_sends_nothing_more_to_the_other() -> Result<()> {
    let shared = Shared::start().await?;
    let (a, b) = tokio::try_join!(shared.replica(), shared.replica())?;
    table_in_a_project(&a).await?;
    let key = a.made("/projects/p/keys", &json!({ "name": "k", "scopes": ["write"] })).await?.json();
    let (id, secret) = (key["id"].as_str().context("no id")?, key["api_key"].as_str().context("no key")?);
    let (pieces, answer) = upload(&a, secret);
    let feeding = async {
        for _ in 0..3 {
            pieces.send(Bytes::from("{\"id\": 7}\n".repeat(1000))).await?;
        }
        let revoked = send(b.request(Method::DELETE, &format!("/projects/p/keys/{id}"))).await?;
        ensure!(revoked.status == 204, "{}", revoked.text);
        let begun = Instant::now();
        // The body has no end: the server ends it.
        pieces.closed().await;
        Ok(begun)
    };
    let (answer, begun) = tokio::join!(answer, feeding);
    let took = begun?.elapsed();
    ensure!(took < NOTICED, "the upload went on for {took:?}");
    // A client may be cut off while it sends; then it has no answer, and surely no good one.
    if let Ok(answer) = answer {
        ensure!((answer.status, answer.code().as_str()) == (401, "key_revoked"), "{}", answer.text);
    }
    println!("an upload was ended {took:?} after its key was revoked at the other server");
    ensure!(b.rows(COUNT).await? == [[json!(0)]]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_project_that_is_deleted_at_one_server_is_gone_at_the_other_under_load() -> Result<()> {
    let shared = Shared::start().await?;
    let (a, b) = tokio::try_join!(shared.replica(), shared.replica())?;
    table_in_a_project(&a).await?;
    let mut working = JoinSet::new();
    for number in 0_u64..4 {
        let (client, url) = (a.client.clone(), a.server.url().to_owned());
        working.spawn(async move {
            let mut answered = 0_u64;
            loop {
                let rows = json!([{ "id": number * 1_000_000 + answered }]);
                let reply = send(client.post(format!("{url}{ROWS}")).bearer_auth(KEY).json(&rows)).await?;
                match reply.status {
                    200 => answered += 1,
                    503 => tokio::time::sleep(Duration::from_millis(20)).await,
                    // Told what it is, and not that something broke.
                    404 | 409 => return Ok(answered),
                    _ => anyhow::bail!("{} {}", reply.status, reply.text),
                }
            }
        });
    }
    tokio::time::sleep(Duration::from_millis(700)).await;
    let deleted = send(b.request(Method::DELETE, "/projects/p?purge=true")).await?;
    ensure!(deleted.status == 204, "{}", deleted.text);
    // What begins from now on finds nothing there, on either server.
    for on in [&a, &b] {
        let reply = on.post(ROWS, &json!([{ "id": 1 }])).await?;
        ensure!([404, 409].contains(&reply.status), "{} {}", reply.status, reply.text);
    }
    let mut done = 0;
    while let Some(answered) = working.join_next().await {
        done += answered??;
    }
    ensure!(done > 0, "nobody was at work");
    a.wait("/projects/p", |seen| seen["purged_at"].is_string()).await?;
    println!("{done} appends before the project was gone");
    Ok(())
}
