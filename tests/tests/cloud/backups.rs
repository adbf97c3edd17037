//! Backups of projects: made beside writes, verified, destroyed and restored, on both kinds of installations and across them.

use std::path::Path;
use std::process::Output;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use gadwall_tests::server::{profile_dir, setting};
use gadwall_tests::support::send;
use reqwest::Method;
use serde_json::{Value, json};

use crate::servers::{Api, KEY, Place};

const TABLES: &str = "/projects/shop/buckets/sales/tables";
const ORDERS: &str = "/projects/shop/buckets/sales/tables/orders";

/// A project with a past; answers its key.
async fn fill(api: &Api) -> Result<String> {
    let made = api.post("/projects", &json!({ "id": "shop", "name": "The shop" })).await?;
    let key = made.json()["api_key"].as_str().context("a key")?.to_owned();
    api.post("/projects/shop/buckets", &json!({ "name": "sales", "description": "what was sold" })).await?;
    let orders = json!({ "name": "orders", "primary_key": ["id"], "columns": [
        {"name": "id", "type": "BIGINT"}, {"name": "who", "type": "VARCHAR(10)"}, {"name": "größe", "type": "DECIMAL(10,2)"}] });
    api.post(TABLES, &orders).await?;
    append(api, 0..3_000).await?;
    api.post(&format!("{ORDERS}/rows?mode=upsert"), &json!([{"id": 1, "who": "ann", "größe": "0.25"}])).await?;
    api.post(&format!("{ORDERS}/columns"), &json!({"name": "note", "type": "VARCHAR", "default": "'-'"})).await?;
    let some = json!({"filter": {"column": "id", "op": "lt", "value": 100}});
    api.post(&format!("{ORDERS}/rows/delete"), &some).await?;
    let tag = api.request(Method::PUT, "/projects/shop/tags/full").json(&json!({ "snapshot_id": 3 }));
    ensure!(send(tag).await?.status < 300, "a tag");
    api.post("/projects/shop/datasets", &json!({ "name": "raw" })).await?;
    for (name, bytes) in [("a.csv", "x,y\n1,2\n"), ("deep/er/b.bin", "\u{1}\u{0}z"), ("empty", "")] {
        let put = api.request(Method::PUT, &format!("/projects/shop/datasets/raw/{name}"));
        ensure!(send(put.header("Content-Type", "application/x-mine").body(bytes)).await?.status < 300, "{name}");
    }
    Ok(key)
}

async fn append(api: &Api, ids: std::ops::Range<u32>) -> Result<()> {
    let rows: Vec<Value> = ids.map(|id| json!({"id": id, "who": format!("c{}", id % 7), "größe": id % 100})).collect();
    api.post(&format!("{ORDERS}/rows"), &json!(rows)).await.map(drop)
}

/// What a project answers, whose name stands nowhere in it.
async fn answers(api: &Api, project: &str, key: &str) -> Result<Vec<String>> {
    let sum = |more: &str| format!("query?query=SELECT+count(*),sum(id),max(who)+FROM+sales.orders&format=csv{more}");
    let paths = [
        "buckets".to_owned(),
        "buckets/sales/tables".to_owned(),
        "buckets/sales/tables/orders".to_owned(),
        "buckets/sales/tables/orders/preview?limit=50".to_owned(),
        "buckets/sales/tables/orders/snapshots".to_owned(),
        sum(""),
        sum("&snapshot=3"),
        sum("&snapshot=5"),
        "snapshots".to_owned(),
        "tags".to_owned(),
        "datasets/raw/a.csv".to_owned(),
        "datasets/raw/deep/er/b.bin".to_owned(),
    ];
    let mut answers = Vec::new();
    for path in paths {
        let reply = send(api.as_key(Method::GET, &format!("/projects/{project}/{path}"), key)).await?;
        ensure!(reply.status == 200, "{path}: {}\n{}", reply.text, api.server.log());
        answers.push(format!("{path}\n{}", reply.text));
    }
    Ok(answers)
}

/// Waits for an operation's end; answers its result, or its problem's code.
async fn carry_out(api: &Api, path: &str, body: &Value) -> Result<Result<Value, String>> {
    let begun = send(api.request(Method::POST, path).json(body)).await?;
    if begun.status != 202 {
        return Ok(Err(begun.code()));
    }
    let place = begun.header("location").to_owned();
    loop {
        let now = api.get(&place).await?.json();
        match now["state"].as_str() {
            Some("succeeded") => return Ok(Ok(now["result"].clone())),
            Some("failed") => return Ok(Err(now["problem"]["code"].as_str().unwrap_or_default().to_owned())),
            _ => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

async fn back_up(api: &Api, body: Value) -> Result<Value> {
    carry_out(api, "/admin/backups", &body).await?.map_err(anyhow::Error::msg)
}

/// The command line, in a folder of its own data.
fn gadwall(data_dir: &Path, env: &[(String, String)], words: &[&str]) -> Result<Output> {
    let mut command = std::process::Command::new(profile_dir()?.join("gadwall"));
    command.args(words).envs(env.iter().cloned()).env("DATA_DIR", data_dir).env("ADMIN_API_KEY", KEY);
    // Nothing answers there: the files are its own.
    command.env("GADWALL__SERVER__PORT", "1").current_dir(data_dir);
    Ok(command.output()?)
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn target(place: &str) -> (String, String) {
    setting("BACKUP__TARGET", place)
}

fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let (mut found, mut waiting) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(folder) = waiting.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            if entry.path().is_dir() { waiting.push(entry.path()) } else { found.push(entry.path()) }
        }
    }
    found
}

fn one(folder: &Path, end: &str) -> std::path::PathBuf {
    files(folder).into_iter().find(|path| path.to_string_lossy().ends_with(end)).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_destroyed_installation_comes_back() -> Result<()> {
    let (data, kept) = (tempfile::tempdir()?, tempfile::tempdir()?);
    let env = vec![target(kept.path().to_str().unwrap())];
    let mut api = Api::start(data.path(), env.clone()).await?;
    let key = fill(&api).await?;
    let before = answers(&api, "shop", &key).await?;

    let made = back_up(&api, json!({})).await?;
    assert_eq!((&made["projects"], &made["failed"]), (&json!(2), &json!({})), "{made}");
    let first = made["backup_id"].as_str().unwrap().to_owned();
    let again = back_up(&api, json!({ "projects": ["shop"] })).await?;
    assert_eq!(again["files_there"], made["files_copied"].as_u64().unwrap() - 4, "only metadata and catalogs are new");
    // Without its manifest it doesn't count, but what it copied needs no second copy.
    std::fs::remove_file(one(kept.path(), &format!("{}/manifest.json", again["backup_id"].as_str().unwrap())))?;
    std::fs::remove_file(one(kept.path(), &format!("{first}/manifest.json")))?;
    assert_eq!(api.get("/admin/backups").await?.json()["backups"], json!([]));
    let resumed = back_up(&api, json!({})).await?;
    assert_eq!(resumed["files_there"], again["files_there"]);

    assert_eq!(carry_out(&api, "/admin/backups/latest/restore", &json!({})).await?, Err("project_exists".to_owned()));
    api.server.kill_9()?;
    std::fs::remove_dir_all(data.path())?;
    std::fs::create_dir(data.path())?;
    let restored = gadwall(data.path(), &env, &["restore"])?;
    assert!(restored.status.success(), "{}", said(&restored));
    let api = Api::start(data.path(), env.clone()).await?;
    for (before, after) in before.iter().zip(answers(&api, "shop", &key).await?) {
        assert_eq!(*before, after);
    }
    // It lives on: keys of rows hold, and so do those of callers; the log of events begins with its return.
    let taken = api.as_key(Method::POST, &format!("{ORDERS}/rows"), &key).json(&json!([{"id": 200}]));
    assert_eq!(send(taken).await?.code(), "duplicate_key");
    append(&api, 9_000..9_001).await?;
    let audit = api.get("/projects/shop/audit?limit=1000").await?.text;
    assert!(audit.contains("project.restored") && audit.contains("table.created"), "{audit}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_stands_at_a_snapshot_while_others_write() -> Result<()> {
    let (data, kept) = (tempfile::tempdir()?, tempfile::tempdir()?);
    let api = Api::start(data.path(), vec![target(kept.path().to_str().unwrap())]).await?;
    fill(&api).await?;
    let writes = async {
        for number in 0..20 {
            append(&api, 10_000 + number * 100..10_100 + number * 100).await?;
        }
        anyhow::Ok(())
    };
    let backups = async {
        let mut made = Vec::new();
        for _ in 0..3 {
            made.push(back_up(&api, json!({ "projects": ["shop"] })).await?);
        }
        anyhow::Ok(made)
    };
    let ((), made) = tokio::try_join!(writes, backups)?;
    let listed = api.get("/admin/backups").await?.json();
    for (number, made) in made.iter().enumerate() {
        let id = made["backup_id"].as_str().unwrap();
        let verified = carry_out(&api, &format!("/admin/backups/{id}/verify"), &json!({})).await?;
        assert_eq!(verified.map(|verified| verified["findings"].clone()), Ok(json!([])));
        let name = format!("shop{number}");
        let wanted = json!({ "project": "shop", "as": name });
        let restored = carry_out(&api, &format!("/admin/backups/{id}/restore"), &wanted).await?;
        assert!(restored.is_ok(), "{restored:?}");
        let snapshot = &listed["backups"][number]["projects"][0]["snapshot_id"];
        let count = |project: &str, more: &str| {
            format!("/projects/{project}/query?query=SELECT+count(*),sum(id)+FROM+sales.orders&format=csv{more}")
        };
        let was = api.get(&count("shop", &format!("&snapshot={snapshot}"))).await?.text;
        assert_eq!(api.get(&count(&name, "")).await?.text, was);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_damaged_is_found_and_never_restored() -> Result<()> {
    let (data, kept) = (tempfile::tempdir()?, tempfile::tempdir()?);
    let place = kept.path().to_str().unwrap();
    let mut api = Api::start(data.path(), vec![target(place)]).await?;
    fill(&api).await?;
    back_up(&api, json!({ "projects": ["shop"] })).await?;
    append(&api, 5_000..5_100).await?;
    back_up(&api, json!({ "projects": ["shop"] })).await?;
    let gone = api.request(Method::DELETE, "/projects/shop?purge=true");
    ensure!(send(gone).await?.status < 300, "deleted");

    // The oldest goes, and what only it needed; the newest stays whole.
    let pruned = carry_out(&api, "/admin/backups/prune", &json!({ "keep": 1 })).await?;
    assert_eq!(pruned.map(|pruned| pruned["backups"].as_array().unwrap().len()), Ok(1));
    let whole = gadwall(data.path(), &[], &["backup", "verify", place])?;
    assert!(whole.status.success(), "{}", said(&whole));

    let parquet = one(&kept.path().join("data"), ".parquet");
    let bytes = std::fs::read(&parquet)?;
    let mut flipped = bytes.clone();
    flipped[bytes.len() / 2] ^= 1;
    std::fs::write(&parquet, &flipped)?;
    let found = gadwall(data.path(), &[], &["backup", "verify", place])?;
    assert_eq!(found.status.code(), Some(1), "{}", said(&found));
    assert!(said(&found).contains("not those that were written"), "{}", said(&found));
    let restore = json!({ "project": "shop" });
    assert_eq!(carry_out(&api, "/admin/backups/latest/restore", &restore).await?, Err("backup_damaged".to_owned()));
    std::fs::remove_file(&parquet)?;
    let found = gadwall(data.path(), &[], &["backup", "verify", place])?;
    assert!(said(&found).contains("is missing"), "{}", said(&found));
    assert_eq!(carry_out(&api, "/admin/backups/latest/restore", &restore).await?, Err("backup_damaged".to_owned()));
    assert_eq!(api.get("/projects/shop").await?.json()["status"], "deleted");

    // As it was, it can be restored, over the name of what was purged.
    std::fs::write(&parquet, &bytes)?;
    assert!(carry_out(&api, "/admin/backups/latest/restore", &restore).await?.is_ok());
    assert_eq!(api.get(ORDERS).await?.json()["row_count"], 3_000);
    api.server.stop().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn projects_go_from_one_kind_of_installation_to_the_other() -> Result<()> {
    let (place, other, data, embedded) =
        (Place::new().await?, Place::new().await?, tempfile::tempdir()?, tempfile::tempdir()?);
    let kept = target(&format!("s3://{}/{}/backups", place.s3.bucket, place.s3.fresh_prefix()));
    let with = |env: Vec<(String, String)>| env.into_iter().chain([kept.clone()]).collect::<Vec<_>>();
    let mut api = Api::start(data.path(), with(place.env())).await?;
    let key = fill(&api).await?;
    let before = answers(&api, "shop", &key).await?;
    let made = back_up(&api, json!({})).await?;
    let again = back_up(&api, json!({})).await?;
    assert_eq!(again["files_there"], made["files_copied"].as_u64().unwrap() - 4);
    let copy = json!({ "project": "shop", "as": "copy" });
    assert!(carry_out(&api, "/admin/backups/latest/restore", &copy).await?.is_ok(), "{}", api.server.log());
    let of_copy = answers(&api, "copy", KEY).await?;
    assert_eq!(of_copy[5..8], before[5..8]);
    api.server.kill_9()?;

    // Into files.
    let keys = place.env().into_iter().filter(|(name, _)| name.contains("__STORAGE__") && !name.ends_with("ENABLED"));
    let env = with(keys.collect());
    let restored = gadwall(embedded.path(), &env, &["restore"])?;
    assert!(restored.status.success(), "{}", said(&restored));
    let mut api = Api::start(embedded.path(), env).await?;
    for (before, after) in before.iter().zip(answers(&api, "shop", &key).await?) {
        assert_eq!(*before, after);
    }
    append(&api, 9_000..9_010).await?;
    let before = answers(&api, "shop", &key).await?;
    back_up(&api, json!({ "projects": ["shop"] })).await?;
    api.server.kill_9()?;

    // And into another database and bucket.
    let mut env = with(other.env());
    env.retain(|(name, _)| !name.contains("__STORAGE__"));
    env.extend(place.env().into_iter().filter(|(name, _)| name.contains("__STORAGE__") && !name.ends_with("PREFIX")));
    env.push(setting("STORAGE__PREFIX", place.s3.fresh_prefix()));
    let elsewhere = tempfile::tempdir()?;
    let api = Api::start(elsewhere.path(), env).await?;
    let restored = carry_out(&api, "/admin/backups/latest/restore", &json!({ "project": "shop" })).await?;
    assert!(restored.is_ok(), "{restored:?}\n{}", api.server.log());
    for (before, after) in before.iter().zip(answers(&api, "shop", &key).await?) {
        assert_eq!(*before, after);
    }
    append(&api, 9_100..9_110).await?;
    Ok(())
}
