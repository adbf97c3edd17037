//! A data directory moved into PostgreSQL and S3: the same projects, keys, tables, history and datasets answer there.

use std::path::Path;
use std::process::Output;

use anyhow::{Context as _, Result};
use gadwall_tests::server::profile_dir;
use gadwall_tests::support::{Reply, send};
use reqwest::Method;
use serde_json::{Value, json};

use crate::servers::{Api, KEY, Place};

const TABLES: &str = "/projects/acme/buckets/sales/tables";
const ORDERS: &str = "/projects/acme/buckets/sales/tables/orders";
const DONE: Option<i32> = Some(0);
const REFUSED: Option<i32> = Some(3);

/// Fills a server; answers the project's key.
async fn fill(api: &Api) -> Result<String> {
    let made = api.post("/projects", &json!({ "id": "acme", "name": "Acme" })).await?;
    let key = made.json()["api_key"].as_str().context("a key")?.to_owned();
    api.post("/projects", &json!({ "id": "gone" })).await?;
    send(api.request(Method::DELETE, "/projects/gone?purge=true")).await?;
    api.post("/projects/acme/buckets", &json!({ "name": "sales", "description": "what was sold" })).await?;
    let orders = json!({ "name": "orders", "primary_key": ["id"], "columns": [
        {"name": "id", "type": "BIGINT"}, {"name": "who", "type": "VARCHAR(10)"}, {"name": "amount", "type": "DECIMAL(10,2)"}] });
    api.post(TABLES, &orders).await?;
    let rows: Vec<Value> =
        (0..3_000).map(|id| json!({"id": id, "who": format!("c{}", id % 7), "amount": id})).collect();
    api.post(&format!("{ORDERS}/rows"), &json!(rows)).await?;
    api.post(&format!("{ORDERS}/rows?mode=upsert"), &json!([{"id": 1, "who": "ann", "amount": "0.25"}])).await?;
    api.post(&format!("{ORDERS}/columns"), &json!({"name": "note", "type": "VARCHAR", "default": "'-'"})).await?;
    let some = json!({"filter": {"column": "id", "op": "lt", "value": 100}});
    api.post(&format!("{ORDERS}/rows/delete"), &some).await?;
    let other = json!({ "name": "times", "columns": [{"name": "größe", "type": "TIMESTAMP"}] });
    api.post(TABLES, &other).await?;
    api.post("/projects/acme/datasets", &json!({ "name": "raw" })).await?;
    for (name, bytes) in [("a.csv", "x,y\n1,2\n"), ("deep/er/b.bin", "\u{1}\u{0}z"), ("empty", "")] {
        let put = api.request(Method::PUT, &format!("/projects/acme/datasets/raw/{name}"));
        let put = send(put.header("Content-Type", "application/x-mine").body(bytes)).await?;
        assert!(put.status < 300, "{} {}", put.status, put.text);
    }
    Ok(key)
}

fn migrate(data_dir: &Path, place: &Place, more: &[&str]) -> Result<Output> {
    let mut command = std::process::Command::new(profile_dir()?.join("gadwall"));
    command.args(["migrate", "--from", "embedded", "--to", "cloud"]).args(more);
    command.envs(place.env()).env("DATA_DIR", data_dir).env("ADMIN_API_KEY", KEY).current_dir(data_dir);
    Ok(command.output()?)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metadata_is_brought_to_this_version_before_servers_come() -> Result<()> {
    let (place, data) = (Place::new().await?, tempfile::tempdir()?);
    let run = |env: Vec<(String, String)>| {
        let mut command = std::process::Command::new(profile_dir()?.join("gadwall"));
        command.args(["migrate", "--json"]).envs(env).env("DATA_DIR", data.path()).env("ADMIN_API_KEY", KEY);
        anyhow::Ok(command.current_dir(data.path()).output()?)
    };
    for env in [place.env(), place.env(), Vec::new()] {
        let done = run(env)?;
        let version = serde_json::from_slice::<Value>(&done.stdout)?["metadata_version"].as_u64();
        assert!(version > Some(0), "{version:?}");
        let told = said(&done);
        assert!(done.status.success() && told.contains("metadata is at version "), "{told}");
    }
    let api = Api::start(data.path(), Vec::new()).await?;
    let running = run(Vec::new())?;
    assert_eq!(running.status.code(), Some(3), "a server has it open: {}", said(&running));
    drop(api);
    let half =
        std::process::Command::new(profile_dir()?.join("gadwall")).args(["migrate", "--to", "cloud"]).output()?;
    assert_eq!(half.status.code(), Some(2), "{}", said(&half));
    Ok(())
}

/// What was told as JSON, and of it the project.
fn told(output: &Output) -> Result<(Value, Value)> {
    let told: Value = serde_json::from_slice(&output.stdout)?;
    let acme = told["projects"].as_array().into_iter().flatten().find(|project| project["project"] == "acme");
    let acme = acme.context("acme is not told of")?.clone();
    Ok((told, acme))
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// What can be asked for, with what doesn't depend on where it lies.
async fn answers(api: &Api, key: &str) -> Result<Vec<String>> {
    let sum = |more: &str| {
        format!("/projects/acme/query?query=SELECT+count(*),sum(amount),max(who)+FROM+sales.orders&format=csv{more}")
    };
    let paths = [
        "/projects".to_owned(),
        "/projects/acme/buckets".to_owned(),
        TABLES.to_owned(),
        ORDERS.to_owned(),
        format!("{ORDERS}/preview?limit=50"),
        format!("{ORDERS}/snapshots"),
        sum(""),
        sum("&snapshot=3"),
        sum("&snapshot=4"),
        "/projects/acme/snapshots".to_owned(),
        "/projects/acme/datasets/raw/a.csv".to_owned(),
        "/projects/acme/datasets/raw/deep/er/b.bin".to_owned(),
    ];
    let mut answers = Vec::new();
    for path in paths {
        let request = api.as_key(Method::GET, &path, if path == "/projects" { KEY } else { key });
        let Reply { status, text, .. } = send(request).await?;
        assert_eq!(status, 200, "{path}: {text}");
        answers.push(format!("{path}\n{text}"));
    }
    Ok(answers)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_answers_the_same_afterwards() -> Result<()> {
    let (place, data, elsewhere) = (Place::new().await?, tempfile::tempdir()?, tempfile::tempdir()?);
    let mut api = Api::start(data.path(), Vec::new()).await?;
    let key = fill(&api).await?;
    let before = answers(&api, &key).await?;

    // A server on the data keeps it for itself.
    let locked = migrate(data.path(), &place, &[])?;
    assert_eq!(locked.status.code(), REFUSED, "{}", said(&locked));
    assert!(said(&locked).contains("another server"), "{}", said(&locked));
    // As after a crash: what its logs hold is moved, too.
    api.server.kill_9()?;

    let dry = migrate(data.path(), &place, &["--dry-run", "--json"])?;
    assert_eq!(dry.status.code(), DONE, "{}", said(&dry));
    assert!(said(&dry).contains("nothing was copied"), "{}", said(&dry));
    let (dry, acme) = told(&dry)?;
    assert_eq!((&dry["dry_run"], &dry["metadata_rows"]), (&json!(true), &json!({})));
    assert_eq!((&acme["data_files"], &acme["copied"]), (&json!(4), &json!(null)));
    let moved = migrate(data.path(), &place, &["--json"])?;
    assert_eq!(moved.status.code(), DONE, "{}", said(&moved));
    let (all, acme) = told(&moved)?;
    assert_eq!((&all["dry_run"], &all["metadata_rows"]["projects"]), (&json!(false), &json!(3)));
    assert_eq!(acme["copied"]["data_files"], json!({"number": 4, "were_there": 0, "bytes": acme["data_bytes"]}));
    assert_eq!((&acme["copied"]["tables"], &acme["copied"]["objects"]["number"]), (&json!(2), &json!(3)));
    // Again, it finds the files in their place, and puts right what isn't as it was.
    let duckdb = place.duckdb()?;
    let spoilt = format!("SELECT min(file) FROM glob('s3://{}/*/lakes/**/*.parquet')", place.s3.bucket);
    let spoilt: String = duckdb.query_row(&spoilt, [], |row| row.get(0))?;
    duckdb.execute_batch(&format!("COPY (SELECT 42 AS spoilt) TO '{spoilt}' (FORMAT parquet)"))?;
    let again = migrate(data.path(), &place, &[])?;
    assert_eq!(again.status.code(), DONE, "{}", said(&again));
    assert!(said(&again).contains("data files: 4 of 4, 3 of them were there"), "{}", said(&again));
    assert!(said(&again).contains("objects in datasets: 3, 3 of them were there"), "{}", said(&again));

    let api = Api::start(elsewhere.path(), place.env()).await?;
    for (before, after) in before.iter().zip(answers(&api, &key).await?) {
        assert_eq!(*before, after);
    }

    // It goes on there: keys hold, events follow those before, and what was moved is not moved over it again.
    let taken = api.as_key(Method::POST, &format!("{ORDERS}/rows"), &key).json(&json!([{"id": 200}]));
    assert_eq!(send(taken).await?.code(), "duplicate_key");
    api.post(&format!("{ORDERS}/rows"), &json!([{"id": 9_000}])).await?;
    let kinds = "SELECT string_agg(event_type, ',' ORDER BY position) FROM pg.public.events WHERE project = 'acme'";
    let kinds: String = duckdb.query_row(kinds, [], |row| row.get(0))?;
    assert!(
        kinds.ends_with("table.created,rows.appended")
            && kinds.starts_with("project.created,key.created,bucket.created,table.created,"),
        "{kinds}"
    );
    let over = migrate(data.path(), &place, &[])?;
    assert_eq!(over.status.code(), REFUSED, "{}", said(&over));
    assert!(said(&over).contains("was used since"), "{}", said(&over));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_target_with_projects_of_its_own_is_left_alone() -> Result<()> {
    let (place, data, elsewhere) = (Place::new().await?, tempfile::tempdir()?, tempfile::tempdir()?);
    let mut embedded = Api::start(data.path(), Vec::new()).await?;
    embedded.server.stop().await?;
    let mut cloud = Api::start(elsewhere.path(), place.env()).await?;
    cloud.server.stop().await?;
    let refused = migrate(data.path(), &place, &[])?;
    assert_eq!(refused.status.code(), REFUSED, "{}", said(&refused));
    assert!(said(&refused).contains("project default of its own"), "{}", said(&refused));
    Ok(())
}
