//! No room.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use gadwall_tests::server::{ServerProcess, StartOptions};
use reqwest::Method;
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use serde_json::json;

use crate::{Host, TABLES, copy, works};

/// Starts the server in a mount namespace of its own, with a small disk for its data; as root, or as root of a user
/// namespace.
const SMALL_DISK: &str =
    r#"exec unshare FLAGS sh -c 'mount -t tmpfs -o size=96m gadwall "$DATA_DIR" && exec "$GADWALL"'"#;

fn small_disk() -> Option<String> {
    let probe = |flags: &&str| works(&format!("unshare {flags} sh -c 'mount -t tmpfs gadwall /mnt'"));
    let flags = ["-m", "-rm"].into_iter().find(probe);
    if flags.is_none() {
        eprintln!("not run: neither root nor a user namespace may mount a small disk here");
    }
    flags.map(|flags| SMALL_DISK.replace("FLAGS", flags))
}

/// Fills a disk to the last byte, and makes some room again.
fn fill(filler: &Path, leaving: u64) -> Result<()> {
    let mut file = File::create(filler)?;
    for block in [vec![7; 1 << 20], vec![7; 4096]] {
        while file.write_all(&block).is_ok() {}
    }
    file.set_len(file.metadata()?.len().saturating_sub(leaving))?;
    Ok(())
}

#[tokio::test]
async fn a_full_disk_refuses_writes_and_nothing_else_until_there_is_room() -> Result<()> {
    let Some(script) = small_disk() else { return Ok(()) };
    let host = Host::start(&script).await?;
    host.furnish().await?;
    ensure!(host.append(10).await?.status == 200 && host.put("before").await?.status == 201);
    let disk = Path::new("/proc").join(host.server.pid().to_string()).join("root").join(host.data.strip_prefix("/")?);
    let filler = disk.join("filler");
    let mut rows = 10;
    for (round, leaving) in [0, 60_000, 3 << 20].into_iter().enumerate() {
        fill(&filler, leaving)?;
        let table = json!({ "name": "new", "columns": [{"name": "i", "type": "INT"}] });
        for refused in [
            host.append(3).await?,
            host.append_many().await?,
            host.put("new").await?,
            host.post("/projects", &json!({ "id": "new" })).await?,
            host.post(TABLES, &table).await?,
        ] {
            host.refused(&refused, 507, "storage_full")?;
            ensure!(refused.json()["retryable"] == true);
        }
        for missing in ["/projects/new", &format!("{TABLES}/new"), "/projects/p/datasets/d/new"] {
            ensure!(host.get(missing).await?.status == 404, "{missing} is half there");
        }
        host.check_reads(rows).await?;
        let health = host.get("/health").await?;
        host.refused(&health, 503, "storage_unavailable")?;
        ensure!(health.json()["details"]["problems"]["data_dir"] == "full", "{}", health.text);
        if round == 0 {
            check_crashed(&disk, rows).await.context("a server on what a crash would leave")?;
        }
        fs::remove_file(&filler)?;
        host.check_writes(&format!("after{round}")).await?;
        rows += 3 + 120_000;
        host.check_reads(rows).await?;
    }
    ensure!(fs::read_dir(disk.join("lakes"))?.count() == 2 + 3, "a project that was refused left something");
    Ok(())
}

/// What lies on the full disk, where there is room again.
async fn check_crashed(disk: &Path, rows: u64) -> Result<()> {
    let elsewhere = tempfile::tempdir()?;
    copy(&disk.join("lakes"), &elsewhere.path().join("data/lakes"))?;
    copy(&disk.join("files"), &elsewhere.path().join("data/files"))?;
    for name in ["metadata.sqlite", "metadata.sqlite-wal"] {
        fs::copy(disk.join(name), elsewhere.path().join("data").join(name))?;
    }
    let options = StartOptions {
        data_dir: Some(elsewhere.path().join("data")),
        admin_key: crate::KEY.to_owned(),
        ..StartOptions::default()
    };
    let server = ServerProcess::start(&options).await?;
    let client = gadwall_tests::client::builder().build()?;
    let query = client.post(format!("{}/projects/p/query", server.url())).bearer_auth(crate::KEY);
    let found: serde_json::Value =
        query.json(&json!({ "query": "SELECT count(*) FROM t" })).send().await?.json().await?;
    ensure!(found["rows"][0][0] == rows, "{found}");
    Ok(())
}

/// Limits how long files of a process may become: needs no rights, and hits in the midst of a commit.
fn limit_files(server: &ServerProcess, longest: Option<u64>) -> Result<()> {
    let pid = Pid::from_raw(i32::try_from(server.pid())?);
    prlimit(pid, Resource::Fsize, Rlimit { current: longest, maximum: None })?;
    Ok(())
}

/// Where files end.
#[derive(Clone, Copy)]
enum Limit {
    At(u64),
    /// So much after the end of the longest log of a catalog.
    AfterLog(u64),
}

fn longest_log(data: &Path) -> Result<u64> {
    let logs = fs::read_dir(data.join("lakes"))?.map(|lake| Ok(lake?.path().join("catalog.ducklake.wal")));
    let logs = logs.collect::<Result<Vec<_>>>()?;
    Ok(logs.iter().filter_map(|log| Some(log.metadata().ok()?.len())).max().unwrap_or_default())
}

#[tokio::test]
async fn a_commit_that_finds_no_room_leaves_nothing_and_the_next_one_works() -> Result<()> {
    // The signal that comes with the limit is for programs that don't look at what they are told.
    let host = Host::start(r#"trap '' XFSZ; exec "$GADWALL""#).await?;
    host.furnish().await?;
    ensure!(host.append(10).await?.status == 200 && host.put("before").await?.status == 201);
    let mut rows = 10;
    let mut refused = 0;
    // From where nothing can be written, over where the rows' files can, to where the log of the catalog ends in the
    // midst of a commit.
    let before = [Limit::At(0), Limit::At(512), Limit::At(5_000)];
    let within = [0, 1, 50, 300, 900, 1_500, 2_500, 4_000].map(Limit::AfterLog);
    for limit in before.into_iter().chain(within) {
        let longest = match limit {
            Limit::At(longest) => longest,
            Limit::AfterLog(more) => longest_log(&host.data)? + more,
        };
        limit_files(&host.server, Some(longest))?;
        let done = futures_util::future::join_all((0..6).map(|_| host.append(3))).await;
        let created = host.post(TABLES, &json!({ "name": "new", "columns": [{"name": "i", "type": "INT"}] })).await?;
        let found = host.count().await?;
        limit_files(&host.server, None)?;
        let mut unknown = 0;
        for reply in done {
            let reply = reply?;
            match reply.status {
                200 => rows += 3,
                507 => {
                    host.refused(&reply, 507, "storage_full")?;
                    refused += 1;
                }
                // The rows may be there, but the index of the commits has no room: not "nothing was written".
                _ => {
                    host.refused(&reply, 503, "metadata_unavailable")?;
                    unknown += 3;
                }
            }
        }
        let fits = (rows..=rows + unknown).contains(&found) && found % 3 == 1;
        ensure!(fits, "at {longest}: {found} rows are there, {rows} were answered for");
        rows = found;
        ensure!(matches!(created.status, 201 | 503 | 507), "at {longest}: {}", created.text);
        let again = host.append(3).await?;
        ensure!(again.status == 200, "after {longest}: {}", again.text);
        rows += 3;
        host.check_reads(rows).await?;
        host.call(Method::DELETE, &format!("{TABLES}/new"), None).await?;
    }
    ensure!(refused > 10, "the limit refused {refused} only");
    host.check_writes("after").await?;
    Ok(())
}
