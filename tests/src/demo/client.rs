//! A small client of the HTTP API.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;
use tokio::io::AsyncReadExt as _;

/// Longer than any step of the demo takes on a busy machine.
const TIMEOUT: Duration = Duration::from_mins(10);
/// How much of an answer that isn't a problem document an error shows.
const SHOWN: usize = 300;
/// How much of a file is sent at a time.
const CHUNK: usize = 256 * 1024;

/// Speaks to one server with one key.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    url: String,
    key: String,
}

impl Client {
    /// A client of the server at `url`.
    pub fn new(url: &str, key: &str) -> Result<Self> {
        let http = crate::client::builder().timeout(TIMEOUT).build().context("no HTTP client")?;
        Ok(Self { http, url: url.trim_end_matches('/').to_owned(), key: key.to_owned() })
    }

    /// The same server with another key.
    #[must_use]
    pub fn with_key(&self, key: &str) -> Self {
        Self { key: key.to_owned(), ..self.clone() }
    }

    /// Makes a project; a client with its key. `more` is what its definition says beside the id.
    pub async fn project(&self, id: &str, more: Value) -> Result<Self> {
        let mut definition = more;
        definition["id"] = id.into();
        let made = self.post("/projects", &definition, 201).await?;
        let key = made.get("api_key").and_then(Value::as_str).context("the new project came without its api_key")?;
        Ok(self.with_key(key))
    }

    /// The key it uses.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Sends JSON and returns the JSON of the answer, which must have the status `expected`.
    pub async fn post(&self, path: &str, body: &Value, expected: u16) -> Result<Value> {
        self.post_body(path, "application/json", serde_json::to_vec(body)?, expected).await
    }

    /// Sends a file as it is read, and returns the JSON of the answer, which must have the status `expected`.
    pub async fn post_file(&self, path: &str, content_type: &str, file: &Path, expected: u16) -> Result<Value> {
        let file = tokio::fs::File::open(file).await.with_context(|| format!("{} can't be read", file.display()))?;
        let chunks = futures_util::stream::try_unfold(file, |mut file| async move {
            let mut chunk = vec![0; CHUNK];
            let read = file.read(&mut chunk).await?;
            chunk.truncate(read);
            std::io::Result::Ok((read > 0).then_some((chunk, file)))
        });
        self.send(path, content_type, reqwest::Body::wrap_stream(chunks), expected).await
    }

    /// Asks for something and returns the JSON of the answer, which must have the status `expected`.
    pub async fn get(&self, path: &str, expected: u16) -> Result<Value> {
        let request = self.http.get(format!("{}{path}", self.url)).bearer_auth(&self.key);
        json_of(request, path, expected).await
    }

    /// Sends a body of any type and returns the JSON of the answer, which must have the status `expected`.
    pub async fn post_body(
        &self,
        path: &str,
        content_type: &str,
        body: impl Into<reqwest::Body>,
        expected: u16,
    ) -> Result<Value> {
        self.send(path, content_type, body.into(), expected).await
    }

    /// Puts JSON there and returns the JSON of the answer, which must have the status `expected`.
    pub async fn put(&self, path: &str, body: &Value, expected: u16) -> Result<Value> {
        let request = self.http.put(format!("{}{path}", self.url)).bearer_auth(&self.key).json(body);
        json_of(request, path, expected).await
    }

    async fn send(&self, path: &str, content_type: &str, body: reqwest::Body, expected: u16) -> Result<Value> {
        let request = self
            .http
            .post(format!("{}{path}", self.url))
            .bearer_auth(&self.key)
            .header("content-type", content_type)
            .body(body);
        json_of(request, path, expected).await
    }
}

async fn json_of(request: reqwest::RequestBuilder, path: &str, expected: u16) -> Result<Value> {
    let answer = request.send().await.with_context(|| format!("{path}: no answer"))?;
    let status = answer.status().as_u16();
    let bytes = answer.bytes().await.with_context(|| format!("{path}: the answer broke off"))?;
    if status != expected {
        bail!("{path}: {status} instead of {expected}: {}", problem(&bytes));
    }
    serde_json::from_slice(&bytes).with_context(|| format!("{path}: the answer is not JSON"))
}

/// What a problem document says, in one line.
fn problem(bytes: &[u8]) -> String {
    let document: Value = serde_json::from_slice(bytes).unwrap_or(Value::Null);
    let text = |name: &str| document.get(name).and_then(Value::as_str);
    match (text("code"), text("detail")) {
        (Some(code), Some(detail)) => {
            let first = document.get("errors").and_then(|errors| errors.get(0));
            format!("{code}: {detail}{}", first.map(|error| format!(" ({error})")).unwrap_or_default())
        }
        _ => String::from_utf8_lossy(bytes).chars().take(SHOWN).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_shows_what_the_server_said() {
        let document = br#"{"code":"malformed_body","detail":"row 3 is short","errors":[{"row":3}]}"#;
        assert_eq!(problem(document), r#"malformed_body: row 3 is short ({"row":3})"#);
        assert_eq!(problem(b"<html>"), "<html>");
    }
}
