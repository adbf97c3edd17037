//! `gadwall keys`: the keys of a project, at a server that runs.

use std::io::Write as _;

use anyhow::{Context as _, bail};
use serde_json::{Value, json};

use crate::backups::command::Whom;
use crate::config::Config;
use crate::output::print_json;
use crate::remote::Remote;

/// Keys that are listed at a time.
const PAGE: u32 = 1_000;

/// What is to be done with keys.
#[derive(Debug, Clone)]
pub enum Task {
    /// List them.
    List,
    /// Make one.
    Create {
        /// What it is called.
        name: String,
        /// What it allows: `read`, `write`, `manage`.
        scopes: Vec<String>,
        /// The one bucket that it is limited to.
        bucket: Option<String>,
        /// Seconds after which it ends.
        expires_in: Option<u64>,
    },
    /// Give one another secret.
    Rotate {
        /// Its id.
        key: String,
        /// Seconds that the replaced secret goes on working.
        overlap: Option<u64>,
    },
    /// End one.
    Revoke {
        /// Its id.
        key: String,
    },
}

/// Does it, and tells what came of it: as JSON, or a new secret alone on standard output, and all else in words.
///
/// # Errors
/// When the server can't be asked, or refuses.
pub async fn run(config: &Config, whom: &Whom, project: &str, task: &Task, as_json: bool) -> anyhow::Result<()> {
    let server = Remote::find(config, whom).await?.context(
        "no server answers where the configuration says: start it, or name another by --server (keys are made by a server that runs)",
    )?;
    let keys = format!("/projects/{project}/keys");
    match task {
        Task::List => list(&server, &keys, as_json).await,
        Task::Create { name, scopes, bucket, expires_in } => {
            let body = json!({ "name": name, "scopes": scopes, "bucket": bucket, "expires_in": expires_in });
            shown(&server.post(&keys, &body).await?, as_json)
        }
        Task::Rotate { key, overlap } => {
            let overlap = overlap.map(|seconds| format!("?overlap={seconds}")).unwrap_or_default();
            let path = format!("{keys}/{}/rotate{overlap}", segment(key)?);
            shown(&server.post(&path, &json!({})).await?, as_json)
        }
        Task::Revoke { key } => {
            server.delete(&format!("{keys}/{}", segment(key)?)).await?;
            if as_json {
                return print_json(&json!({ "id": key, "revoked": true }));
            }
            Ok(writeln!(std::io::stderr(), "{key} is revoked")?)
        }
    }
}

/// An id is part of a path, and a path's other parts are none of its business.
fn segment(key: &str) -> anyhow::Result<&str> {
    let is_id = !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
    if is_id { Ok(key) } else { bail!("{key:?} is no id of a key: `gadwall keys list` tells them") }
}

async fn list(server: &Remote, keys: &str, as_json: bool) -> anyhow::Result<()> {
    let mut all = Vec::new();
    let mut after = String::new();
    loop {
        let page = server.get(&format!("{keys}?limit={PAGE}{after}")).await?;
        all.extend(page["keys"].as_array().cloned().unwrap_or_default());
        match page["next_cursor"].as_str() {
            Some(cursor) => after = format!("&after={cursor}"),
            None => break,
        }
    }
    if as_json {
        return print_json(&json!({ "keys": all }));
    }
    let mut out = std::io::stdout().lock();
    for key in &all {
        writeln!(out, "{}", line(key))?;
    }
    Ok(())
}

/// A key on one line.
fn line(key: &Value) -> String {
    let text = |name: &str| key[name].as_str().unwrap_or("-").to_owned();
    let scopes: Vec<_> = key["scopes"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let state = match (key["revoked_at"].as_str(), key["expires_at"].as_str()) {
        (Some(at), _) => format!("revoked {at}"),
        (None, Some(at)) => format!("until {at}"),
        (None, None) => "without an end".to_owned(),
    };
    let bucket = key["bucket"].as_str().map(|bucket| format!(" in {bucket}")).unwrap_or_default();
    format!(
        "{}  {}{bucket}  {state}, last used {}  {}",
        text("id"),
        scopes.join(","),
        text("last_used_at"),
        text("name")
    )
}

/// A key that has a new secret.
fn shown(key: &Value, as_json: bool) -> anyhow::Result<()> {
    if as_json {
        return print_json(key);
    }
    // Apart, so that a script can take the one and a person sees the other.
    writeln!(std::io::stderr(), "{}\nIts secret is shown only this once:", line(key))?;
    let secret = key["api_key"].as_str().context("the server's answer has no secret")?;
    Ok(writeln!(std::io::stdout(), "{secret}")?)
}
