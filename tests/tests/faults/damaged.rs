//! Catalogs that aren't what was written.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use gadwall_tests::support::{Client, TestServer, send};
use reqwest::Method;
use serde_json::{Value, json};

/// Names and contents of a lake's catalog and its log.
type Catalog = BTreeMap<&'static str, Vec<u8>>;

const CATALOG: &str = "catalog.ducklake";
const LOG: &str = "catalog.ducklake.wal";

fn read(lake: &Path) -> Catalog {
    [CATALOG, LOG].into_iter().filter_map(|name| Some((name, fs::read(lake.join(name)).ok()?))).collect()
}

fn write(lake: &Path, catalog: &Catalog) -> Result<()> {
    for name in [CATALOG, LOG] {
        match catalog.get(name) {
            Some(bytes) => fs::write(lake.join(name), bytes)?,
            None => drop(fs::remove_file(lake.join(name))),
        }
    }
    Ok(())
}

/// Ways to damage a catalog.
fn damages(good: &Catalog) -> Vec<(&'static str, Catalog)> {
    let damage = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut catalog = good.clone();
        if let Some(bytes) = catalog.get_mut(CATALOG) {
            change(bytes);
        }
        catalog
    };
    let flip = |bytes: &mut [u8]| bytes.iter_mut().for_each(|byte| *byte ^= 0xff);
    vec![
        ("garbage", damage(&|bytes| *bytes = b"garbage".repeat(5_000))),
        ("emptied", damage(&Vec::clear)),
        ("cut off", damage(&|bytes| bytes.truncate(bytes.len() / 2))),
        ("cut to its headers", damage(&|bytes| bytes.truncate(3 * 4096))),
        ("flipped headers", damage(&|bytes| flip(&mut bytes[..3 * 4096]))),
        ("flipped blocks", damage(&|bytes| flip(&mut bytes[3 * 4096..]))),
        ("a log of another", damage(&|_| ()).into_iter().chain([(LOG, b"garbage".repeat(500))]).collect()),
        ("gone", damage(&|_| ()).into_iter().filter(|(name, _)| *name != CATALOG).collect()),
    ]
}

async fn furnish(client: &Client<'_>, project: &str) -> Result<()> {
    let tables = format!("/projects/{project}/buckets/main/tables");
    let table = json!({ "name": "t", "columns": [{"name": "id", "type": "BIGINT"}] });
    ensure!(client.post(&tables, &table).await?.status == 201);
    for id in 0..3 {
        ensure!(client.post(&format!("{tables}/t/rows"), &json!([{ "id": id }])).await?.status == 200);
    }
    Ok(())
}

async fn count(client: &Client<'_>, project: &str) -> Result<Value> {
    let query = json!({ "query": "SELECT count(*) FROM t" });
    let found = client.post(&format!("/projects/{project}/query"), &query).await?;
    Ok(found.json()["rows"][0][0].take())
}

fn lakes(server: &Path) -> Result<Vec<PathBuf>> {
    fs::read_dir(server.join("lakes"))?.map(|entry| Ok(entry?.path())).collect()
}

/// The damaged project's requests say so, the other's are answered, and nothing touches the files.
async fn check_broken(server: &TestServer, lake: &Path, damaged: &Catalog) -> Result<()> {
    let admin = server.admin();
    let tables = "/projects/bad/buckets/main/tables";
    for reply in [
        admin.get(&format!("{tables}/t")).await?,
        admin.get(&format!("{tables}/t/preview")).await?,
        admin.post(&format!("{tables}/t/rows"), &json!([{ "id": 7 }])).await?,
        admin.post("/projects/bad/query", &json!({ "query": "SELECT 1" })).await?,
        admin.post(tables, &json!({ "name": "u", "columns": [{"name": "i", "type": "INT"}] })).await?,
    ] {
        ensure!((reply.status, reply.code().as_str()) == (503, "lake_unavailable"), "{}", reply.text);
        ensure!(reply.header("retry-after") == "1");
        for secret in [CATALOG, "lakes/", &*server.data_dir().to_string_lossy()] {
            ensure!(!reply.text.contains(secret), "{secret} is told: {}", reply.text);
        }
    }
    ensure!(count(&admin, "good").await? == 3);
    let name = lake.file_name().context("a name")?.to_string_lossy().into_owned();
    let told = json!({ "count": 1, "lakes": [name] });
    let ready = send(server.request(Method::GET, "/readyz?verbose")).await?;
    ensure!(ready.status == 200 && ready.json()["status"] == "degraded", "{}", ready.text);
    ensure!(ready.json()["checks"]["lakes"] == told, "{}", ready.text);
    let health = send(server.request(Method::GET, "/health")).await?;
    ensure!(health.status == 200 && health.json()["status"] == "degraded", "{}", health.text);
    ensure!(health.json()["ducklake"]["degraded"] == told, "{}", health.text);
    ensure!(!health.text.contains("\"bad\"") && !health.text.contains(CATALOG), "{}", health.text);
    ensure!(read(lake) == *damaged, "the damaged files were written");
    Ok(())
}

#[tokio::test]
async fn a_damaged_catalog_takes_only_its_project_away_until_it_is_put_back() -> Result<()> {
    let server = TestServer::start().await?;
    server.project("good").await?;
    furnish(&server.admin(), "good").await?;
    let before = lakes(server.data_dir())?;
    server.project("bad").await?;
    furnish(&server.admin(), "bad").await?;
    let lake = lakes(server.data_dir())?.into_iter().find(|lake| !before.contains(lake)).context("a lake")?;
    let mut dir = server.stop().await?;
    // All in the catalog itself, so that there is something to damage.
    duckdb::Connection::open(lake.join(CATALOG))?.execute_batch("CHECKPOINT")?;
    let good = read(&lake);
    ensure!(good[CATALOG].len() > 100_000 && !good.contains_key(LOG), "the log is not in the catalog yet");
    for (name, damaged) in damages(&good) {
        // Damaged while the server is away, and once more while it is there and nobody has used the lake yet.
        for running in [false, true] {
            if !running {
                write(&lake, &damaged)?;
            }
            let server = TestServer::start_in(dir, |_| {}).await?;
            write(&lake, &damaged)?;
            check_broken(&server, &lake, &damaged).await.with_context(|| format!("{name}, running: {running}"))?;
            write(&lake, &good)?;
            // Health alone finds out that all is well again.
            let ready = send(server.request(Method::GET, "/readyz?verbose=true")).await?.json();
            ensure!(ready["status"] == "ok" && ready["checks"]["lakes"] == "ok", "{name}: {ready}");
            ensure!(count(&server.admin(), "bad").await? == 3, "{name}");
            let written = server.admin().post("/projects/bad/buckets/main/tables/t/rows", &json!([])).await?;
            ensure!(written.status == 200, "{name}: {}", written.text);
            dir = server.stop().await?;
            write(&lake, &good)?;
        }
    }
    let plain = TestServer::start_in(dir, |_| {}).await?;
    let ready = send(plain.request(Method::GET, "/readyz")).await?;
    ensure!(ready.json() == json!({ "status": "ok" }), "{}", ready.text);
    Ok(())
}
