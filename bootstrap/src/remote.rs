//! A server that is asked to do it.

use std::time::Duration;

use anyhow::{Context as _, bail};
use reqwest::{Client, Method, RequestBuilder, StatusCode};
use serde_json::Value;

use crate::backups::command::Whom;
use crate::config::Config;
use crate::ready;

/// Longest wait for a server that may not be there.
const FIRST: Duration = Duration::from_secs(2);
/// Longest wait for an answer.
const PATIENCE: Duration = Duration::from_mins(1);
/// How often it is looked how far an operation is, and how many looks in a row may fail.
const LOOK_EVERY: Duration = Duration::from_secs(1);
const FAILED_LOOKS: u32 = 30;

/// A server, and a key of its administrator.
pub(crate) struct Remote {
    client: Client,
    url: String,
    key: String,
}

impl Remote {
    /// The server that is named; else the one that the configuration starts, if it answers.
    pub(crate) async fn find(config: &Config, whom: &Whom) -> anyhow::Result<Option<Self>> {
        // Fails where the process has one already, which serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder().connect_timeout(FIRST).timeout(PATIENCE).build()?;
        let url = whom.server.clone().unwrap_or_else(|| ready::address(config));
        let url = url.trim_end_matches('/').to_owned();
        if whom.server.is_none() && client.get(format!("{url}/livez")).timeout(FIRST).send().await.is_err() {
            return Ok(None);
        }
        let own = || config.auth.admin_keys.first().map(|key| key.expose().to_owned());
        let key = whom.key.clone().or_else(own);
        let key =
            key.context("a server runs, and needs a key of an administrator: give --key, or set ADMIN_API_KEY")?;
        Ok(Some(Self { client, url, key }))
    }

    async fn send(&self, method: Method, path: &str, body: Option<&Value>) -> anyhow::Result<(StatusCode, Value)> {
        let mut request = self.client.request(method, format!("{}{path}", self.url)).bearer_auth(&self.key);
        if let Some(body) = body {
            request = request.json(body);
        }
        answer(request).await
    }

    /// What is there.
    pub(crate) async fn get(&self, path: &str) -> anyhow::Result<Value> {
        told(self.send(Method::GET, path, None).await?)
    }

    /// Has something made or changed; answers what it is then.
    pub(crate) async fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        told(self.send(Method::POST, path, Some(body)).await?)
    }

    /// Has something made, where this answer is as good.
    pub(crate) async fn post_unless(&self, path: &str, body: &Value, fine: StatusCode) -> anyhow::Result<()> {
        let answer = self.send(Method::POST, path, Some(body)).await?;
        if answer.0 == fine { Ok(()) } else { told(answer).map(drop) }
    }

    /// Has something end.
    pub(crate) async fn delete(&self, path: &str) -> anyhow::Result<()> {
        told(self.send(Method::DELETE, path, None).await?).map(drop)
    }

    /// Puts the rows of a Parquet file into a table.
    pub(crate) async fn put_rows(&self, path: &str, file: Vec<u8>) -> anyhow::Result<Value> {
        let request = self.client.post(format!("{}{path}", self.url)).bearer_auth(&self.key);
        told(answer(request.header("content-type", "application/vnd.apache.parquet").body(file)).await?)
    }

    /// Has an operation done; answers its result.
    pub(crate) async fn carry_out(&self, path: &str, body: &Value, progress: fn(u64)) -> anyhow::Result<Value> {
        let (status, begun) = self.send(Method::POST, path, Some(body)).await?;
        if !status.is_success() {
            bail!("{status}: {}", reason(&begun));
        }
        let id = begun["id"].as_str().context("the server's answer has no operation")?;
        let path = format!("/projects/default/operations/{id}");
        let mut failed = 0;
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let now = match self.get(&path).await {
                Ok(now) => now,
                Err(_) if failed < FAILED_LOOKS => {
                    failed += 1;
                    continue;
                }
                Err(error) => return Err(error),
            };
            failed = 0;
            progress(now["bytes"].as_u64().unwrap_or_default());
            match now["state"].as_str() {
                Some("succeeded") => return Ok(now["result"].clone()),
                Some("failed") => bail!(reason(&now["problem"])),
                Some("cancelled") => bail!("it was cancelled"),
                _ => {}
            }
        }
    }
}

async fn answer(request: RequestBuilder) -> anyhow::Result<(StatusCode, Value)> {
    let answer = request.send().await.context("the server does not answer")?;
    let status = answer.status();
    let body = answer.bytes().await.context("the server's answer broke off")?;
    Ok((status, serde_json::from_slice(&body).unwrap_or(Value::Null)))
}

fn told((status, body): (StatusCode, Value)) -> anyhow::Result<Value> {
    if status.is_success() { Ok(body) } else { bail!("{status}: {}", reason(&body)) }
}

/// What a problem says.
pub(crate) fn reason(problem: &Value) -> String {
    let said = ["detail", "message", "title"].iter().find_map(|key| problem[*key].as_str());
    let code = problem["code"].as_str().unwrap_or("unknown");
    format!("{} ({code})", said.unwrap_or("it failed"))
}
