//! An issuer of tokens on a port of its own, which fails on command.

mod signing;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Context as _;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

pub use signing::SigningKey;

/// Bytes of an answer that is far too large.
const HUGE: usize = 50 * 1024 * 1024;

/// What the issuer answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answers {
    /// Its documents.
    Documents,
    /// A discovery document that names another issuer.
    OtherIssuer(String),
    /// This status.
    Status(u16),
    /// What is no JSON.
    Garbage,
    /// 50 MB.
    Huge,
    /// Nothing, without an end.
    Nothing,
    /// That its documents are elsewhere.
    Redirect(String),
}

/// An issuer. Gone when dropped.
#[derive(Debug)]
pub struct Issuer {
    address: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    url: String,
    keys: Mutex<Value>,
    answers: Mutex<Answers>,
    asked: AtomicUsize,
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Issuer {
    /// Begins to publish these keys.
    ///
    /// # Errors
    /// When no port can be listened on.
    pub async fn start(keys: &[&SigningKey]) -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("no port to listen on")?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            url: format!("http://{address}"),
            keys: Mutex::default(),
            answers: Mutex::new(Answers::Documents),
            asked: AtomicUsize::default(),
        });
        let serving = Arc::clone(&shared);
        let task = tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                tokio::spawn(serve(connection, Arc::clone(&serving)));
            }
        });
        let issuer = Self { address, shared, task };
        issuer.publish(keys);
        Ok(issuer)
    }

    /// Its URL, as its tokens have it.
    pub fn url(&self) -> &str {
        &self.shared.url
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where its keys are.
    pub fn jwks_url(&self) -> String {
        format!("{}/keys", self.shared.url)
    }

    /// Publishes other keys.
    pub fn publish(&self, keys: &[&SigningKey]) {
        self.publish_document(json!({ "keys": keys.iter().map(|key| key.jwk()).collect::<Vec<_>>() }));
    }

    /// Publishes any document.
    pub fn publish_document(&self, document: Value) {
        *lock(&self.shared.keys) = document;
    }

    /// From now on.
    pub fn answer(&self, answers: Answers) {
        *lock(&self.shared.answers) = answers;
    }

    /// How often it was asked for its keys.
    pub fn asked(&self) -> usize {
        self.shared.asked.load(Ordering::Relaxed)
    }
}

impl Drop for Issuer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Answers one request; a client that goes away is none of the test's business.
async fn serve(mut connection: TcpStream, shared: Arc<Shared>) {
    let mut head = Vec::new();
    let mut buffer = [0; 4096];
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        match connection.read(&mut buffer).await {
            Ok(read) if read > 0 && head.len() < 64 * 1024 => head.extend_from_slice(&buffer[..read]),
            _ => return,
        }
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let path = head.split(' ').nth(1).unwrap_or_default();
    if path == "/keys" {
        shared.asked.fetch_add(1, Ordering::Relaxed);
    }
    let answers = lock(&shared.answers).clone();
    let said = match &answers {
        Answers::OtherIssuer(other) => other.clone(),
        _ => shared.url.clone(),
    };
    let document = match path {
        "/.well-known/openid-configuration" => {
            Some(json!({ "issuer": said, "jwks_uri": format!("{}/keys", shared.url) }))
        }
        "/keys" => Some(lock(&shared.keys).clone()),
        _ => None,
    };
    let (status, more, body) = match (answers, document) {
        (Answers::Nothing, _) => return std::future::pending().await,
        (Answers::Status(status), _) => (status, String::new(), b"{}".to_vec()),
        (Answers::Garbage, _) => (200, String::new(), b"<html>".to_vec()),
        (Answers::Huge, _) => (200, String::new(), vec![b' '; HUGE]),
        (Answers::Redirect(to), _) => (302, format!("Location: {to}{path}\r\n"), Vec::new()),
        (_, Some(document)) => (200, String::new(), document.to_string().into_bytes()),
        (_, None) => (404, String::new(), Vec::new()),
    };
    // Without a length: whoever reads decides how far.
    let head = format!("HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nConnection: close\r\n{more}\r\n");
    if connection.write_all(head.as_bytes()).await.is_ok() {
        let _ = connection.write_all(&body).await;
        let _ = connection.shutdown().await;
    }
}
