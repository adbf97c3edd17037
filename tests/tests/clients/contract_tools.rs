//! Contracts that Gadwall writes are read by others: by a YAML parser and the schema of the standard, in Python.

use std::path::Path;
use std::process::Command;

use anyhow::{Result, ensure};
use gadwall_tests::support::{TestServer, send};
use reqwest::Method;
use serde_json::json;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
const TABLES: &str = "/projects/p/buckets/main/tables";

#[tokio::test]
async fn contracts_are_as_the_standard_has_them() -> Result<()> {
    let tools = Path::new(ROOT).join(".tools/contract-check");
    ensure!(tools.is_dir(), "the packages of .config/contract-check.txt are missing; run: make setup-test");
    let server = TestServer::start().await?;
    let owner = server.project("p").await?;
    let columns = json!([
        { "name": "id", "type": "BIGINT" },
        { "name": "code", "type": "VARCHAR(8)", "checks": { "pattern": "^[A-Z]+$", "min_length": 2 } },
        { "name": "price", "type": "DECIMAL(9,2)", "checks": { "minimum": 0, "exclusive_maximum": 1000 } },
        { "name": "state", "type": "VARCHAR" }, { "name": "made", "type": "TIMESTAMP WITH TIME ZONE" },
        { "name": "day", "type": "DATE" }, { "name": "at", "type": "TIME" }, { "name": "ok", "type": "BOOLEAN" },
        { "name": "tags", "type": "VARCHAR[]" }, { "name": "where", "type": "STRUCT(x DOUBLE, y DOUBLE)" },
        { "name": "extra", "type": "JSON" }, { "name": "uid", "type": "UUID" }, { "name": "bytes", "type": "BLOB" },
    ]);
    let table = json!({ "name": "t", "columns": columns, "primary_key": ["id"] });
    ensure!(owner.post(TABLES, &table).await?.status == 201);
    let rows: Vec<_> = (0..60).map(|id| json!({ "id": id, "state": if id % 2 == 0 { "NO" } else { "on" } })).collect();
    ensure!(owner.post(&format!("{TABLES}/t/rows"), &json!(rows)).await?.status == 200);

    let folder = tempfile::tempdir()?;
    let contract = format!("{TABLES}/t/contract");
    let ask = |method: Method, path: String| send(owner.request(method, &path).header("Accept", "application/yaml"));
    let proposed = ask(Method::POST, format!("{contract}/derive")).await?;
    std::fs::write(folder.path().join("proposed.yaml"), &proposed.text)?;
    let put =
        owner.request(Method::PUT, &contract).header("Content-Type", "application/yaml").body(proposed.text.clone());
    let put = send(put).await?;
    ensure!(put.status == 201, "{}\n{}", put.text, proposed.text);
    std::fs::write(folder.path().join("kept.yaml"), ask(Method::GET, contract).await?.text)?;

    let files = ["proposed.yaml", "kept.yaml"].map(|name| folder.path().join(name));
    let script = Path::new(ROOT).join("infra/contracts/check.py");
    let check = move || Command::new("python3").arg(script).arg(tools).args(files).output();
    let checked = tokio::task::spawn_blocking(check).await??;
    let told = format!("{}{}", String::from_utf8_lossy(&checked.stdout), String::from_utf8_lossy(&checked.stderr));
    ensure!(checked.status.success() && told.contains("2 contracts"), "{told}\n{}", proposed.text);
    Ok(())
}
