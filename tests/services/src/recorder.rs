//! An S3 server that keeps nothing but what it was asked.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Context as _;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// A request, as it came.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// Its method.
    pub method: String,
    /// Its path with its query.
    pub path: String,
    /// Its headers; names are in small letters.
    pub headers: Vec<(String, String)>,
}

impl Recorded {
    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Whether an object begins to be with it: it is put as a whole, or its upload in parts begins.
    pub fn makes_an_object(&self) -> bool {
        let begins = self.method == "POST" && self.path.contains("uploads") && !self.path.contains("uploadId");
        begins || self.method == "PUT" && !self.path.contains("uploadId")
    }
}

/// Listens on a port of its own, and says that whatever is written is there. Nothing that is read is. Gone when dropped.
#[derive(Debug)]
pub struct Recorder {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<Recorded>>>,
    task: JoinHandle<()>,
}

impl Recorder {
    /// Listens on a free port.
    ///
    /// # Errors
    /// When no port can be listened on.
    pub async fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("no port to listen on")?;
        let (address, seen) = (listener.local_addr()?, Arc::<Mutex<Vec<Recorded>>>::default());
        let kept = Arc::clone(&seen);
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(serve(client, Arc::clone(&kept)));
            }
        });
        Ok(Self { address, seen, task })
    }

    /// Where it listens, for a client of HTTP.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What it was asked so far.
    pub fn seen(&self) -> Vec<Recorded> {
        lock(&self.seen).clone()
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn lock(seen: &Mutex<Vec<Recorded>>) -> MutexGuard<'_, Vec<Recorded>> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Answers requests until the client goes away.
async fn serve(client: TcpStream, seen: Arc<Mutex<Vec<Recorded>>>) -> Option<()> {
    let mut client = BufReader::new(client);
    loop {
        let request = head(&mut client).await?;
        if request.header("expect").is_some() {
            client.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await.ok()?;
        }
        let mut body = vec![0; request.header("content-length").map_or(Some(0), |length| length.parse().ok())?];
        client.read_exact(&mut body).await.ok()?;
        let answer = answer(&request);
        lock(&seen).push(request);
        client.write_all(answer.as_bytes()).await.ok()?;
    }
}

pub(crate) async fn head(client: &mut BufReader<TcpStream>) -> Option<Recorded> {
    let first = line(client).await?;
    let mut words = first.split(' ').map(str::to_owned);
    let (method, path) = (words.next()?, words.next()?);
    let mut headers = Vec::new();
    loop {
        let line = line(client).await?;
        if line.is_empty() {
            return Some(Recorded { method, path, headers });
        }
        let (name, value) = line.split_once(':')?;
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
}

async fn line(client: &mut BufReader<TcpStream>) -> Option<String> {
    let mut line = String::new();
    let read = client.read_line(&mut line).await.ok()?;
    (read > 0).then(|| line.trim_end().to_owned())
}

fn answer(request: &Recorded) -> String {
    let (status, body) = match request.method.as_str() {
        "POST" if request.path.contains("uploadId") => {
            ("200 OK", "<CompleteMultipartUploadResult><ETag>\"e\"</ETag></CompleteMultipartUploadResult>")
        }
        "POST" => (
            "200 OK",
            "<InitiateMultipartUploadResult><Bucket>b</Bucket><Key>k</Key><UploadId>u</UploadId>\
             </InitiateMultipartUploadResult>",
        ),
        "PUT" => ("200 OK", ""),
        "DELETE" => ("204 No Content", ""),
        _ => ("404 Not Found", ""),
    };
    format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nETag: \"e\"\r\n\r\n{body}", body.len())
}
