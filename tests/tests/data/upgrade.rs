//! Data that earlier versions wrote is read by this one. `infra/upgrade/fixture.py` keeps such data at each release.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use gadwall_tests::support::{TestServer, send};
use reqwest::Method;
use serde_json::Value;

/// The folders of `tests/fixtures/upgrade`, one for each version.
fn kept() -> Result<Vec<PathBuf>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/upgrade");
    let mut versions = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        versions.push(entry?.path());
    }
    versions.sort();
    Ok(versions)
}

/// Where an answer says anything else than the earlier version did. What it says beyond that is fine.
fn difference(before: &Value, now: &Value, place: &str) -> Option<String> {
    match (before, now) {
        (Value::Object(before), Value::Object(now)) => before.iter().find_map(|(name, value)| {
            difference(value, now.get(name).unwrap_or(&Value::Null), &format!("{place}/{name}"))
        }),
        (Value::Array(before), Value::Array(now)) if before.len() == now.len() => {
            let mut pairs = before.iter().zip(now).enumerate();
            pairs.find_map(|(at, (before, now))| difference(before, now, &format!("{place}/{at}")))
        }
        _ => (before != now).then(|| format!("{place} was {before} and is {now}")),
    }
}

async fn said_again(server: &TestServer, keys: &Value, asked: &Value) -> Result<()> {
    let text = |value: &Value| value.as_str().map(str::to_owned).context("a text");
    let (path, key) = (text(&asked["path"])?, text(&keys[text(&asked["who"])?])?);
    let reply = send(server.with_key(&key).request(Method::GET, &path)).await?;
    ensure!(asked["status"] == reply.status, "{path} was {} and is {}: {}", asked["status"], reply.status, reply.text);
    let now = serde_json::from_str(&reply.text).unwrap_or(Value::String(reply.text));
    if let Some(difference) = difference(&asked["answer"], &now, "") {
        anyhow::bail!("{path}: {difference}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_earlier_versions_wrote_is_read_as_they_read_it() -> Result<()> {
    let versions = kept()?;
    ensure!(!versions.is_empty(), "no version's data is kept");
    for version in versions {
        let folder = tempfile::tempdir()?;
        let packed = version.join("data.tar.xz");
        let unpacked = Command::new("tar").arg("-xf").arg(packed).arg("-C").arg(folder.path()).status()?;
        ensure!(unpacked.success(), "{} can't be unpacked", version.display());
        let told: Value = serde_json::from_str(&std::fs::read_to_string(version.join("answers.json"))?)?;
        let server = TestServer::start_in(folder, |_| {}).await?;
        let asked = told["asked"].as_array().context("answers")?;
        ensure!(asked.len() >= 35, "only {} answers of {}", asked.len(), version.display());
        for asked in asked {
            said_again(&server, &told["keys"], asked).await.with_context(|| version.display().to_string())?;
        }
        let owner = server.with_key(told["keys"]["owner"].as_str().context("a key")?);
        let rows = serde_json::json!([{ "id": 1_000, "kind": "NEW", "amount": 1 }]);
        let table = "/projects/old/buckets/sales/tables/orders";
        let appended = owner.post(&format!("{table}/rows"), &rows).await?;
        ensure!(appended.status == 200, "writing goes on: {}", appended.text);
        let restored = owner.post(&format!("{table}/restore?tag=first"), &Value::Null).await?;
        ensure!(restored.status == 200, "what was named is brought back: {}", restored.text);
    }
    Ok(())
}
