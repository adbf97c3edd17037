//! `gadwall bench-data`: a sample dataset in a folder, or at a server.

use std::io::Write as _;
use std::path::Path;

use anyhow::Context as _;
use gadwall_ducklake::{SAMPLE, SampleFile, write_sample};
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::backups::command::Whom;
use crate::config::Config;
use crate::output::print_json;
use crate::remote::Remote;

/// Writes the sample into a folder, and tells which files.
///
/// # Errors
/// When it can't be written.
pub async fn write(folder: &Path, orders: u64, as_json: bool) -> anyhow::Result<()> {
    let files = made(folder, orders).await?;
    let told = |file: &SampleFile| json!({ "file": file.path, "table": file.table.name, "rows": file.rows, "bytes": file.bytes });
    tell(&files.iter().map(told).collect::<Vec<_>>(), "file", as_json)
}

/// Loads the sample into a bucket at a server, in place of what these tables have there.
///
/// # Errors
/// When the server can't be asked, or refuses.
pub async fn load(
    config: &Config,
    whom: &Whom,
    (project, bucket): (&str, &str),
    orders: u64,
    as_json: bool,
) -> anyhow::Result<()> {
    let server = Remote::find(config, whom)
        .await?
        .context("no server answers where the configuration says: start it, or name another by --server")?;
    let folder = tempfile::tempdir().context("no folder for the files")?;
    let files = made(folder.path(), orders).await?;
    server.make("/projects", &json!({ "id": project })).await?;
    server.make(&format!("/projects/{project}/buckets"), &json!({ "name": bucket })).await?;
    let tables = format!("/projects/{project}/buckets/{bucket}/tables");
    for table in &SAMPLE {
        let columns: Vec<_> = table.columns.iter().map(|(name, kind)| json!({ "name": name, "type": kind })).collect();
        let definition = json!({ "name": table.name, "columns": columns, "primary_key": [table.columns[0].0] });
        server.make(&tables, &definition).await?;
    }
    let mut loaded: Vec<Value> = Vec::new();
    for SampleFile { table, path, rows, bytes } in files {
        let first = loaded.last().is_none_or(|last| last["table"] != table.name);
        let mode = if first { "replace" } else { "append" };
        let body = tokio::fs::read(&path).await.context("a file of the sample can't be read")?;
        server.put_rows(&format!("{tables}/{}/rows?mode={mode}", table.name), body).await?;
        loaded.push(json!({ "table": table.name, "rows": rows, "bytes": bytes }));
    }
    tell(&loaded, "table", as_json)
}

async fn made(folder: &Path, orders: u64) -> anyhow::Result<Vec<SampleFile>> {
    let folder = folder.to_owned();
    Ok(tokio::task::spawn_blocking(move || write_sample(&folder, orders)).await??)
}

fn tell(all: &[Value], name: &str, as_json: bool) -> anyhow::Result<()> {
    if as_json {
        return print_json(all);
    }
    let mut out = std::io::stdout().lock();
    for one in all {
        writeln!(out, "{}  {} rows, {} bytes", one[name].as_str().unwrap_or_default(), one["rows"], one["bytes"])?;
    }
    Ok(())
}

impl Remote {
    /// Makes something, unless it is there already.
    async fn make(&self, path: &str, body: &Value) -> anyhow::Result<()> {
        self.post_unless(path, body, StatusCode::CONFLICT).await.with_context(|| format!("{path} refused {body}"))
    }
}
