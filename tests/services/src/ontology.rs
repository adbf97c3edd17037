//! An ontology server on a port of its own, which fails on command.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// Bytes of an answer that is far too large.
const HUGE: usize = 50 * 1024 * 1024;

/// What the server answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Says {
    /// Its documents.
    Documents,
    /// The same, after a while.
    Slowly(Duration),
    /// This status, with an empty object.
    Status(u16),
    /// This status once or more often, and then its documents.
    StatusAtFirst(u16, usize),
    /// What is no JSON.
    Garbage,
    /// 50 MB of JSON.
    Huge,
    /// Half of a document.
    Half,
    /// Nothing, without an end.
    Nothing,
    /// That it is to be asked for at the same place again.
    Loop,
    /// That it is to be asked for elsewhere.
    Redirect(String),
}

/// An ontology server. Gone when dropped.
#[derive(Debug)]
pub struct Ontology {
    address: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    schemas: Mutex<BTreeMap<String, (Value, String)>>,
    says: Mutex<Says>,
    published: AtomicUsize,
    asked: AtomicUsize,
    unchanged: AtomicUsize,
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Ontology {
    /// Begins to serve no schema at all.
    ///
    /// # Errors
    /// When no port can be listened on.
    pub async fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("no port to listen on")?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            schemas: Mutex::default(),
            says: Mutex::new(Says::Documents),
            published: AtomicUsize::default(),
            asked: AtomicUsize::default(),
            unchanged: AtomicUsize::default(),
        });
        let serving = Arc::clone(&shared);
        let task = tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                tokio::spawn(serve(connection, Arc::clone(&serving)));
            }
        });
        Ok(Self { address, shared, task })
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Serves a schema under an id, with a tag that changes with it.
    pub fn publish(&self, id: &str, document: Value) {
        let number = self.shared.published.fetch_add(1, Ordering::Relaxed);
        let tag = format!("\"{number}\"");
        lock(&self.shared.schemas).insert(id.to_owned(), (document, tag));
    }

    /// Serves it no longer.
    pub fn withdraw(&self, id: &str) {
        lock(&self.shared.schemas).remove(id);
    }

    /// From now on.
    pub fn say(&self, says: Says) {
        *lock(&self.shared.says) = says;
    }

    /// How often it was asked for a schema.
    pub fn asked(&self) -> usize {
        self.shared.asked.load(Ordering::Relaxed)
    }

    /// How often it could say that nothing had changed.
    pub fn unchanged(&self) -> usize {
        self.shared.unchanged.load(Ordering::Relaxed)
    }
}

impl Drop for Ontology {
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
    let known = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("if-none-match").then(|| value.trim().to_owned())
    });
    if path.starts_with("/schemas/") {
        shared.asked.fetch_add(1, Ordering::Relaxed);
    }
    let says = {
        let mut says = lock(&shared.says);
        let now = says.clone();
        if let Says::StatusAtFirst(status, times) = now {
            *says = if times > 1 { Says::StatusAtFirst(status, times - 1) } else { Says::Documents };
        }
        now
    };
    if let Says::Slowly(time) = &says {
        tokio::time::sleep(*time).await;
    }
    let id = path.strip_prefix("/schemas/").unwrap_or_default();
    let document = lock(&shared.schemas).get(id).cloned();
    let (status, more, body) = match (says, document) {
        (Says::Nothing, _) => return std::future::pending().await,
        (Says::Status(status) | Says::StatusAtFirst(status, _), _) => (status, String::new(), b"{}".to_vec()),
        (Says::Garbage, _) => (200, String::new(), b"<html>".to_vec()),
        (Says::Huge, _) => (200, String::new(), vec![b' '; HUGE]),
        (Says::Loop, _) => (302, format!("Location: {path}\r\n"), Vec::new()),
        (Says::Redirect(to), _) => (302, format!("Location: {to}{path}\r\n"), Vec::new()),
        (_, None) if path == "/health" => (200, String::new(), br#"{"status":"ok"}"#.to_vec()),
        (_, None) => (404, String::new(), Vec::new()),
        (_, Some((_, tag))) if known.as_ref() == Some(&tag) => {
            shared.unchanged.fetch_add(1, Ordering::Relaxed);
            (304, format!("ETag: {tag}\r\n"), Vec::new())
        }
        (Says::Half, Some((document, _))) => {
            let text = document.to_string();
            (200, format!("Content-Length: {}\r\n", text.len()), text.as_bytes()[..text.len() / 2].to_vec())
        }
        (_, Some((document, tag))) => (200, format!("ETag: {tag}\r\n"), document.to_string().into_bytes()),
    };
    // Mostly without a length: whoever reads decides how far.
    let head = format!("HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nConnection: close\r\n{more}\r\n");
    if connection.write_all(head.as_bytes()).await.is_ok() {
        let _ = connection.write_all(&body).await;
        let _ = connection.shutdown().await;
    }
}
