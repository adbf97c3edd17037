//! Catalogs that are damaged on purpose: the doctor finds it, mends what can be mended, and exits as it says.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use duckdb::Connection;
use gadwall_tests::server::profile_dir;
use serde_json::{Value, json};

use crate::servers::{Api, KEY, Place};

const ORDERS: &str = "/projects/shop/buckets/sales/tables/orders";
const HEALTHY: Option<i32> = Some(0);
const FINDINGS: Option<i32> = Some(1);
const NOT_LOOKED: Option<i32> = Some(2);

async fn fill(api: &Api) -> Result<()> {
    api.post("/projects", &json!({ "id": "shop" })).await?;
    api.post("/projects/shop/buckets", &json!({ "name": "sales" })).await?;
    let orders = json!({ "name": "orders", "columns": [{"name": "id", "type": "BIGINT"}] });
    api.post("/projects/shop/buckets/sales/tables", &orders).await?;
    append(api, 1_000).await?;
    let some = json!({"filter": {"column": "id", "op": "lt", "value": 10}});
    api.post(&format!("{ORDERS}/rows/delete"), &some).await?;
    append(api, 500).await
}

async fn append(api: &Api, rows: u32) -> Result<()> {
    let rows: Vec<Value> = (0..rows).map(|id| json!({ "id": id })).collect();
    api.post(&format!("{ORDERS}/rows"), &json!(rows)).await.map(drop)
}

fn doctor(data_dir: &Path, words: &[&str]) -> Result<Output> {
    let mut command = std::process::Command::new(profile_dir()?.join("gadwall"));
    command.arg("doctor").args(words).env("DATA_DIR", data_dir).env("ADMIN_API_KEY", KEY);
    Ok(command.env("GADWALL__SERVER__PORT", "1").current_dir(data_dir).output()?)
}

fn told(output: &Output) -> Result<Value> {
    let text = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(&text).with_context(|| format!("{text}{}", String::from_utf8_lossy(&output.stderr)))
}

/// The codes of the findings in `shop`.
fn codes(result: &Value) -> BTreeSet<String> {
    let shop = result["projects"].as_array().unwrap().iter().find(|project| project["project"] == "shop").unwrap();
    let code = |finding: &Value| finding["code"].as_str().unwrap().to_owned();
    shop["findings"].as_array().unwrap().iter().map(code).collect()
}

fn set(codes: &[&str]) -> BTreeSet<String> {
    codes.iter().map(|code| (*code).to_owned()).collect()
}

/// The file of a catalog that has tables.
fn catalog(data_dir: &Path) -> Result<PathBuf> {
    let lakes = std::fs::read_dir(data_dir.join("lakes"))?;
    let lake = lakes.flatten().map(|entry| entry.path()).find(|lake| lake.join("data/sales").is_dir());
    Ok(lake.context("a lake")?.join("catalog.ducklake"))
}

/// Damage that can be mended, to a catalog in this place.
fn mendable(md: &str) -> String {
    format!(
        "UPDATE {md}.ducklake_snapshot SET next_file_id = 0, next_catalog_id = 0
          WHERE snapshot_id = (SELECT max(snapshot_id) FROM {md}.ducklake_snapshot);
         UPDATE {md}.ducklake_table_stats SET next_row_id = 3;
         INSERT INTO {md}.ducklake_file_column_stats (data_file_id, table_id, column_id) VALUES (4711, 1, 1);
         INSERT INTO {md}.ducklake_delete_file (delete_file_id, table_id, begin_snapshot, data_file_id, path, path_is_relative,
           format, delete_count, file_size_bytes) SELECT 4712, table_id, begin_snapshot, 4711, path, path_is_relative, format, 1,
           file_size_bytes FROM {md}.ducklake_delete_file LIMIT 1;
         INSERT INTO {md}.ducklake_column (column_id, begin_snapshot, table_id, column_order, column_name, column_type, nulls_allowed)
           VALUES (77, 1, 4713, 1, 'x', 'int32', true);"
    )
}

const MENDABLE: [&str; 5] = [
    "delete_file_without_data_file",
    "next_catalog_id_too_low",
    "next_file_id_too_low",
    "next_row_id_too_low",
    "statistics_without_file",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_with_a_catalog_in_files_is_found_and_mended() -> Result<()> {
    let data = tempfile::tempdir()?;
    let mut api = Api::start(data.path(), Vec::new()).await?;
    fill(&api).await?;
    // The server has the data, and isn't where it is looked for.
    assert_eq!(doctor(data.path(), &["--json"])?.status.code(), NOT_LOOKED);
    api.server.stop().await?;
    let healthy = doctor(data.path(), &["--json"])?;
    assert_eq!((healthy.status.code(), codes(&told(&healthy)?)), (HEALTHY, set(&[])));

    let file = catalog(data.path())?;
    Connection::open(&file)?.execute_batch(&mendable("main"))?;
    let found = doctor(data.path(), &["--json"])?;
    let mut wanted = set(&MENDABLE);
    wanted.insert("columns_of_ended_table".to_owned());
    assert_eq!((found.status.code(), codes(&told(&found)?)), (FINDINGS, wanted.clone()));
    // Looking changes nothing.
    assert_eq!(codes(&told(&doctor(data.path(), &["--json"])?)?), wanted);
    let repaired = doctor(data.path(), &["--json", "--repair", "--project", "shop"])?;
    // When the table of those columns ended is known to nobody.
    assert_eq!((repaired.status.code(), codes(&told(&repaired)?)), (FINDINGS, set(&["columns_of_ended_table"])));
    Connection::open(&file)?.execute_batch("DELETE FROM ducklake_column WHERE table_id = 4713")?;

    // It goes on as if nothing had been.
    let mut api = Api::start(data.path(), Vec::new()).await?;
    append(&api, 100).await?;
    assert_eq!(api.get(ORDERS).await?.json()["row_count"], 1_590);
    let before = std::fs::read(&file)?;
    api.server.stop().await?;
    let older = std::fs::read(&file)?;
    ensure!(!before.is_empty(), "a catalog");
    let mut api = Api::start(data.path(), Vec::new()).await?;
    append(&api, 1).await?;
    api.server.stop().await?;
    let newer = std::fs::read(&file)?;
    std::fs::write(&file, older)?;
    let lost = doctor(data.path(), &["--json", "--repair"])?;
    assert_eq!((lost.status.code(), codes(&told(&lost)?)), (FINDINGS, set(&["index_ahead_of_lake"])));
    std::fs::write(&file, newer)?;

    // What nobody can mend is told, and stays as it is.
    let connection = Connection::open(&file)?;
    let path: String =
        connection
            .query_row("SELECT min(path) FROM ducklake_data_file WHERE record_count = 1000", [], |row| row.get(0))?;
    connection.execute_batch(
        "UPDATE ducklake_data_file SET record_count = 499 WHERE record_count = 500;
         UPDATE ducklake_data_file SET end_snapshot = begin_snapshot - 1 WHERE record_count = 100;
         UPDATE ducklake_delete_file SET begin_snapshot = 4711",
    )?;
    drop(connection);
    std::fs::remove_file(file.with_file_name("data").join("sales/orders").join(path.rsplit('/').next().unwrap()))?;
    let found = doctor(data.path(), &["--json", "--repair"])?;
    let wanted = ["ended_before_it_began", "file_missing", "later_than_the_newest", "row_count_differs"];
    assert_eq!((found.status.code(), codes(&told(&found)?)), (FINDINGS, set(&wanted)));
    let words = doctor(data.path(), &[])?;
    let words = String::from_utf8_lossy(&words.stdout).into_owned();
    assert!(words.contains("default: healthy") && words.contains("shop: error file_missing (1 times)"), "{words}");

    std::fs::write(&file, b"nothing of the kind")?;
    let found = doctor(data.path(), &["--json"])?;
    assert_eq!((found.status.code(), codes(&told(&found)?)), (FINDINGS, set(&["catalog_unreadable"])));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_catalog_in_postgresql_is_mended_while_it_is_in_use() -> Result<()> {
    let (place, data) = (Place::new().await?, tempfile::tempdir()?);
    let api = Api::start(data.path(), place.env()).await?;
    fill(&api).await?;
    let ask = async |body: Value| {
        let begun = api.post("/admin/doctor", &body).await?.json();
        let at = format!("/projects/default/operations/{}", begun["id"].as_str().unwrap());
        loop {
            let now = api.get(&at).await?.json();
            match now["state"].as_str() {
                Some("succeeded") => return anyhow::Ok(now["result"].clone()),
                Some("failed") => anyhow::bail!("{now}\n{}", api.server.log()),
                _ => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    };
    assert_eq!(ask(json!({})).await?["findings"], 0);
    let duckdb = place.duckdb()?;
    let schema: String = duckdb.query_row(
        "SELECT schema_name FROM duckdb_tables() WHERE database_name = 'pg' AND table_name = 'ducklake_snapshot'
          AND estimated_size IS NOT NULL ORDER BY schema_name DESC LIMIT 1",
        [],
        |row| row.get(0),
    )?;
    let md = format!("pg.\"{schema}\"");
    let damage = mendable(&md);
    let (damage, _) = damage.split_once("INSERT INTO pg").context("a statement")?;
    duckdb.execute_batch(damage)?;
    let found = codes(&ask(json!({ "projects": ["shop"] })).await?);
    assert_eq!(found, set(&["next_catalog_id_too_low", "next_file_id_too_low", "next_row_id_too_low"]));
    let mended = ask(json!({ "projects": ["shop"], "repair": true })).await?;
    assert_eq!((codes(&mended), &mended["projects"][0]["repaired"].as_array().unwrap().len()), (set(&[]), &3));
    append(&api, 100).await?;
    assert_eq!(api.get(ORDERS).await?.json()["row_count"], 1_590);
    Ok(())
}
