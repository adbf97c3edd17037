//! What a connection hears for which there is no place.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

use crate::problem;

/// Connections that are told at once; more are closed without a word.
const AT_ONCE: usize = 64;
/// How long telling may take.
const PATIENCE: Duration = Duration::from_secs(1);
/// How much of the request is read away: closing a connection with unread bytes could take back the answer.
const UNREAD: usize = 16 * 1024;

/// Tells clients that there is no place, to some of them at once.
pub(super) struct Refusals(Arc<Semaphore>);

impl Refusals {
    pub(super) fn new() -> Self {
        Self(Arc::new(Semaphore::new(AT_ONCE)))
    }

    /// The telling; none if too many are told already.
    pub(super) fn refuse(&self, stream: TcpStream) -> Option<impl Future<Output = ()> + Send + 'static> {
        let place = Arc::clone(&self.0).try_acquire_owned().ok()?;
        Some(async move {
            let _ = tokio::time::timeout(PATIENCE, tell(stream)).await;
            drop(place);
        })
    }
}

async fn tell(mut stream: TcpStream) -> std::io::Result<()> {
    stream.write_all(answer().await.as_bytes()).await?;
    stream.shutdown().await?;
    let mut left = UNREAD;
    let mut part = [0; 1024];
    while left > 0 {
        match stream.read(&mut part).await? {
            0 => break,
            read => left = left.saturating_sub(read),
        }
    }
    Ok(())
}

/// The answer as HTTP/1.1 writes it: no request was read, so nobody else does.
async fn answer() -> String {
    let mut response = problem::too_many_connections();
    let _ = problem::take_refusal(&mut response);
    let mut text = format!("HTTP/1.1 {}\r\nconnection: close\r\n", response.status());
    for (name, value) in response.headers() {
        // Writing to a string doesn't fail.
        let _ = write!(text, "{name}: {}\r\n", value.to_str().unwrap_or_default());
    }
    let body = response.into_body().into_string().await.unwrap_or_default();
    let _ = write!(text, "content-length: {}\r\n\r\n{body}", body.len());
    text
}
