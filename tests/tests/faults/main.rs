//! Storage that fails under a running server: full, read-only, damaged. What was acknowledged stays, what fails says so
//! with a stable code and without a path, and all works again when the cause is gone.

#![cfg(target_os = "linux")]

mod damaged;
mod full;
mod read_only;

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use gadwall_tests::server::{ServerProcess, StartOptions, profile_dir};
use gadwall_tests::support::{Reply, send};
use reqwest::{Client, Method};
use serde_json::{Value, json};
use tempfile::TempDir;

const KEY: &str = "the-key-of-the-fault-tests";
const TABLES: &str = "/projects/p/buckets/main/tables";

/// A server whose start is wrapped in a shell's words, and a client of it.
struct Host {
    server: ServerProcess,
    client: Client,
    data: PathBuf,
    own: TempDir,
}

impl Host {
    /// Starts the server by a script, in which `$DATA_DIR` is its data directory and `$GADWALL` the program. The script
    /// must end in an `exec`, so that the process stays the same.
    async fn start(script: &str) -> Result<Self> {
        Self::start_in(tempfile::tempdir()?, script).await
    }

    /// Starts the server on what another one left.
    async fn start_in(own: TempDir, script: &str) -> Result<Self> {
        let data = own.path().join("data");
        let server = ServerProcess::start(&options(own.path(), &data, script)?).await?;
        let client = gadwall_tests::client::builder().timeout(Duration::from_secs(30)).build()?;
        Ok(Self { server, client, data, own })
    }

    async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Reply> {
        let mut request = self.client.request(method, format!("{}{path}", self.server.url())).bearer_auth(KEY);
        if let Some(body) = body {
            request = request.json(body);
        }
        send(request).await
    }

    async fn get(&self, path: &str) -> Result<Reply> {
        self.call(Method::GET, path, None).await
    }

    async fn post(&self, path: &str, body: &Value) -> Result<Reply> {
        self.call(Method::POST, path, Some(body)).await
    }

    async fn send_as(&self, method: Method, path: &str, media_type: &str, body: String) -> Result<Reply> {
        let request = self.client.request(method, format!("{}{path}", self.server.url())).bearer_auth(KEY);
        send(request.header("Content-Type", media_type).body(body)).await
    }

    async fn append(&self, rows: u64) -> Result<Reply> {
        let rows: Vec<Value> = (0..rows).map(|id| json!({ "id": id, "text": "x".repeat(50) })).collect();
        self.post(&format!("{TABLES}/t/rows"), &Value::Array(rows)).await
    }

    /// So many rows that they become a file of their own before their commit.
    async fn append_many(&self) -> Result<Reply> {
        let mut rows = "id,text\n".to_owned();
        for id in 0..120_000_u64 {
            writeln!(rows, "{id},{}", id.wrapping_mul(0x9e37_79b9_7f4a))?;
        }
        self.send_as(Method::POST, &format!("{TABLES}/t/rows"), "text/csv", rows).await
    }

    async fn put(&self, object: &str) -> Result<Reply> {
        let path = format!("/projects/p/datasets/d/{object}");
        self.send_as(Method::PUT, &path, "text/plain", "y".repeat(100_000)).await
    }

    /// Makes the project `p` with a table `t` and a dataset `d`.
    async fn furnish(&self) -> Result<()> {
        let columns = json!([{"name": "id", "type": "BIGINT"}, {"name": "text", "type": "VARCHAR"}]);
        for (path, body) in [
            ("/projects", json!({ "id": "p" })),
            (TABLES, json!({ "name": "t", "columns": columns })),
            ("/projects/p/datasets", json!({ "name": "d" })),
        ] {
            let made = self.post(path, &body).await?;
            ensure!(made.status == 201, "{path}: {}", made.text);
        }
        Ok(())
    }

    async fn count(&self) -> Result<u64> {
        let found = self.post("/projects/p/query", &json!({ "query": "SELECT count(*) FROM t" })).await?;
        found.json()["rows"][0][0].as_u64().with_context(|| format!("no count in {}", found.text))
    }

    /// Reads of all kinds go on.
    async fn check_reads(&self, rows: u64) -> Result<()> {
        ensure!(self.count().await? == rows, "{} rows are there, not {rows}", self.count().await?);
        for path in [TABLES, &format!("{TABLES}/t"), &format!("{TABLES}/t/preview"), "/projects/p/datasets/d/before"] {
            let read = self.get(path).await?;
            ensure!(read.status == 200, "{path}: {}", read.text);
        }
        Ok(())
    }

    /// Everything that writes works again.
    async fn check_writes(&self, name: &str) -> Result<()> {
        let body = json!({ "name": name, "columns": [{"name": "i", "type": "INT"}] });
        for done in [
            self.append(3).await?,
            self.append_many().await?,
            self.put(name).await?,
            self.post("/projects", &json!({ "id": name })).await?,
            self.post(TABLES, &body).await?,
        ] {
            ensure!(matches!(done.status, 200 | 201), "{}", done.text);
        }
        let health = self.get("/health").await?;
        ensure!(health.json()["status"] == "healthy", "{}", health.text);
        Ok(())
    }

    /// An answer says what is wrong by a stable code, and nothing of where things lie.
    fn refused(&self, reply: &Reply, status: u16, code: &str) -> Result<()> {
        ensure!((reply.status, reply.code().as_str()) == (status, code), "{}: {}", reply.status, reply.text);
        ensure!(reply.header("content-type") == "application/problem+json");
        let place = self.data.to_string_lossy();
        for secret in [&*place, "catalog.ducklake", ".parquet", "metadata.sqlite", "p_0"] {
            ensure!(!reply.text.contains(secret), "{secret} is told: {}", reply.text);
        }
        Ok(())
    }
}

fn options(own: &Path, data: &Path, script: &str) -> Result<StartOptions> {
    let binary = own.join("start");
    let program = profile_dir()?.join("gadwall");
    fs::write(&binary, format!("#!/bin/sh\nGADWALL='{}'\nexport GADWALL\n{script}\n", program.display()))?;
    fs::set_permissions(&binary, fs::Permissions::from_mode(0o755))?;
    Ok(StartOptions {
        binary: Some(binary),
        data_dir: Some(data.to_owned()),
        admin_key: KEY.to_owned(),
        ..StartOptions::default()
    })
}

/// Whether a shell's words succeed here.
fn works(script: &str) -> bool {
    let mut shell = Command::new("sh");
    shell.args(["-c", script]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    shell.status().is_ok_and(|status| status.success())
}

/// A copy of a folder.
fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let (path, kind) = entry.map(|entry| (entry.path(), entry.file_type()))?;
        let target = to.join(path.file_name().context("a name")?);
        if kind?.is_dir() {
            copy(&path, &target)?;
        } else {
            fs::copy(&path, &target)?;
        }
    }
    Ok(())
}
