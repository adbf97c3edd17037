//! Catalogs that aren't what was written.

use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use serde_json::json;

use crate::{Host, TABLES};

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
    let log = &good[LOG];
    let with_log = |bytes: Vec<u8>| good.clone().into_iter().chain([(LOG, bytes)]).collect();
    let flipped = |range: Range<usize>| {
        let mut bytes = log.clone();
        bytes[range].iter_mut().for_each(|byte| *byte ^= 0xff);
        bytes
    };
    let flip = |bytes: &mut [u8]| bytes.iter_mut().for_each(|byte| *byte ^= 0xff);
    vec![
        ("garbage", damage(&|bytes| *bytes = b"garbage".repeat(5_000))),
        ("emptied", damage(&Vec::clear)),
        ("cut off", damage(&|bytes| bytes.truncate(bytes.len() / 2))),
        ("cut to its headers", damage(&|bytes| bytes.truncate(3 * 4096))),
        ("flipped headers", damage(&|bytes| flip(&mut bytes[..3 * 4096]))),
        ("flipped blocks", damage(&|bytes| flip(&mut bytes[3 * 4096..]))),
        ("a log of garbage", with_log(b"garbage".repeat(500))),
        ("a log of another database", with_log(log.iter().map(|byte| byte ^ 0xff).collect())),
        ("flipped in the log's beginning", with_log(flipped(9..25))),
        ("flipped in the log's midst", with_log(flipped(record_in_the_midst(log)))),
        ("gone", damage(&|_| ()).into_iter().filter(|(name, _)| *name != CATALOG).collect()),
    ]
}

/// What a record of the log in its midst says. In front of that stand its length and checksum; the engine takes a length
/// that reaches past the end for the trace of a crash, and the log for as long as it came before.
fn record_in_the_midst(log: &[u8]) -> Range<usize> {
    const HEAD: usize = 16;
    let records = |begin: usize| {
        let (mut at, mut found) = (begin, Vec::new());
        while let Some(head) = log.get(at..at + HEAD) {
            let length = u64::from_le_bytes(head[..8].try_into().unwrap_or_default());
            let says = at + HEAD..(at + HEAD).saturating_add(usize::try_from(length).unwrap_or(usize::MAX));
            if length == 0 || says.end > log.len() {
                break;
            }
            at = says.end;
            found.push(says);
        }
        (at == log.len()).then_some(found)
    };
    // How long the log's own head is is the engine's business: behind it records follow upon each other to the end.
    let records = (0..log.len()).find_map(|begin| records(begin).filter(|found| found.len() > 2)).unwrap_or_default();
    records[records.len() / 2].clone()
}

fn lakes(data: &Path) -> Result<Vec<PathBuf>> {
    fs::read_dir(data.join("lakes"))?.map(|entry| Ok(entry?.path())).collect()
}

/// The damaged project's requests say so, the other's are answered, and nothing touches the files.
async fn check_broken(host: &Host, lake: &Path, damaged: &Catalog) -> Result<()> {
    for reply in [
        host.get(&format!("{TABLES}/t")).await?,
        host.get(&format!("{TABLES}/t/preview")).await?,
        host.append(1).await?,
        host.post("/projects/p/query", &json!({ "query": "SELECT count(*) FROM t" })).await?,
        host.post(TABLES, &json!({ "name": "u", "columns": [{"name": "i", "type": "INT"}] })).await?,
    ] {
        host.refused(&reply, 503, "lake_unavailable")?;
        ensure!(reply.header("retry-after") == "1");
    }
    let other = host.get("/projects/other/buckets").await?;
    ensure!(other.status == 200, "{}", other.text);
    let name = lake.file_name().context("a name")?.to_string_lossy().into_owned();
    let told = json!({ "count": 1, "lakes": [name] });
    let ready = host.get("/readyz?verbose").await?;
    ensure!(ready.status == 200 && ready.json()["status"] == "degraded", "{}", ready.text);
    ensure!(ready.json()["checks"]["lakes"] == told, "{}", ready.text);
    let health = host.get("/health").await?;
    ensure!(health.status == 200 && health.json()["status"] == "degraded", "{}", health.text);
    ensure!(health.json()["ducklake"]["degraded"] == told, "{}", health.text);
    ensure!(!health.text.contains(CATALOG) && !health.text.contains("\"p\""), "{}", health.text);
    let log = host.server.log();
    ensure!(log.contains(&name) && log.contains("from a backup"), "{log}");
    ensure!(read(lake) == *damaged, "the damaged files were written");
    Ok(())
}

/// A project `p` whose lake has something in its catalog and in the log.
async fn furnished() -> Result<(Host, PathBuf)> {
    let mut host = Host::start(SERVE).await?;
    ensure!(host.post("/projects", &json!({ "id": "other" })).await?.status == 201);
    let before = lakes(&host.data)?;
    host.furnish().await?;
    let lake = lakes(&host.data)?.into_iter().find(|lake| !before.contains(lake)).context("a lake")?;
    ensure!(host.append(3).await?.status == 200);
    host.server.stop().await?;
    let mut host = Host::start_in(host.own, SERVE).await?;
    ensure!(host.append(3).await?.status == 200);
    host.server.kill_9()?;
    Ok((host, lake))
}

const SERVE: &str = r#"exec "$GADWALL""#;

#[tokio::test]
async fn a_damaged_catalog_takes_only_its_project_away_until_it_is_put_back() -> Result<()> {
    let (mut host, lake) = furnished().await?;
    let good = read(&lake);
    ensure!(good[CATALOG].len() > 100_000 && good[LOG].len() > 1_000);
    for (number, (name, damaged)) in damages(&good).into_iter().enumerate() {
        // Damaged while the server is away, or while it is there and nobody has used the lake yet.
        let running = number % 2 == 1;
        write(&lake, if running { &good } else { &damaged })?;
        host = Host::start_in(host.own, SERVE).await?;
        write(&lake, &damaged)?;
        check_broken(&host, &lake, &damaged).await.with_context(|| format!("{name}, running: {running}"))?;
        write(&lake, &good)?;
        // Health alone finds out that all is well again.
        let ready = host.get("/readyz?verbose=true").await?.json();
        ensure!(ready["status"] == "ok" && ready["checks"]["lakes"] == "ok", "{name}: {ready}");
        ensure!(host.count().await? == 6, "{name}");
        ensure!(host.append(1).await?.status == 200, "{name}");
        host.server.kill_9()?;
        write(&lake, &good)?;
    }
    let plain = Host::start_in(host.own, SERVE).await?;
    let ready = plain.get("/readyz").await?;
    ensure!(ready.json() == json!({ "status": "ok" }), "{}", ready.text);
    Ok(())
}
