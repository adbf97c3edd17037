//! A client of server-sent events.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use reqwest::{RequestBuilder, Response};
use serde_json::Value;

/// Longest wait for an event.
const PATIENCE: Duration = Duration::from_secs(20);

/// A stream of events.
#[derive(Debug)]
pub struct EventSource {
    response: Response,
    text: String,
}

/// One event.
#[derive(Debug, Clone, PartialEq)]
pub struct SentEvent {
    /// Where it resumes; empty without.
    pub id: String,
    /// Its kind.
    pub kind: String,
    /// Its data.
    pub data: Value,
}

impl EventSource {
    /// Opens a stream; fails unless it is one.
    pub async fn open(request: RequestBuilder) -> Result<Self> {
        let response = request.header("Accept", "text/event-stream").send().await?;
        let status = response.status();
        let kind = response.headers().get("content-type").and_then(|value| value.to_str().ok()).unwrap_or_default();
        if !status.is_success() || kind != "text/event-stream" {
            bail!("{status}: {}", response.text().await?);
        }
        Ok(Self { response, text: String::new() })
    }

    /// A header of the answer.
    pub fn header(&self, name: &str) -> &str {
        self.response.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The next event; none at the end of the stream.
    pub async fn next(&mut self) -> Result<Option<SentEvent>> {
        loop {
            while let Some((block, rest)) = self.text.split_once("\n\n") {
                let (block, rest) = (block.to_owned(), rest.to_owned());
                self.text = rest;
                let event = parse(&block)?;
                if !event.kind.is_empty() {
                    return Ok(Some(event));
                }
            }
            let chunk = tokio::time::timeout(PATIENCE, self.response.chunk()).await.context("no event came")??;
            let Some(chunk) = chunk else { return Ok(None) };
            self.text.push_str(std::str::from_utf8(&chunk)?);
        }
    }

    /// The next event of a kind; others are passed over.
    pub async fn next_of(&mut self, kind: &str) -> Result<SentEvent> {
        loop {
            let event = self.next().await?.with_context(|| format!("the stream ended before {kind}"))?;
            if event.kind == kind {
                return Ok(event);
            }
        }
    }

    /// All that comes until the stream ends, or breaks.
    pub async fn rest(&mut self) -> Vec<SentEvent> {
        let mut all = Vec::new();
        while let Ok(Some(event)) = self.next().await {
            all.push(event);
        }
        all
    }
}

fn parse(block: &str) -> Result<SentEvent> {
    let mut event = SentEvent { id: String::new(), kind: String::new(), data: Value::Null };
    for line in block.lines() {
        match line.split_once(": ") {
            Some(("id", id)) => id.clone_into(&mut event.id),
            Some(("event", kind)) => kind.clone_into(&mut event.kind),
            Some(("data", data)) => event.data = serde_json::from_str(data)?,
            Some(("retry" | "", _)) => {}
            _ => bail!("not a line of an event: {line:?}"),
        }
    }
    Ok(event)
}
