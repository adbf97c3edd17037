//! What every request passes first, asked by clients that mean harm or are just slow.

mod browsers;
mod limits;
mod rates;
mod reload;
mod slow;
mod tls;

use std::time::Duration;

use anyhow::{Context as _, Result};
use gadwall_tests::support::{TestServer, send};
use reqwest::Method;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Longest wait for what must come; all that is waited for takes much less.
const PATIENCE: Duration = Duration::from_secs(20);

async fn connect(server: &TestServer) -> Result<TcpStream> {
    Ok(TcpStream::connect(address(server)).await?)
}

fn address(server: &TestServer) -> String {
    server.url("").trim_start_matches("http://").to_owned()
}

/// Everything until the server closes the connection, however it does.
async fn rest(connection: &mut (impl AsyncRead + Unpin)) -> Result<String> {
    let mut bytes = Vec::new();
    let _ = tokio::time::timeout(PATIENCE, connection.read_to_end(&mut bytes)).await.context("still open")?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Sends bytes as they are and reads until the server closes.
async fn raw(server: &TestServer, bytes: &[u8]) -> Result<String> {
    let mut connection = connect(server).await?;
    // The server may answer and close before all of it is sent.
    let _ = connection.write_all(bytes).await;
    rest(&mut connection).await
}

/// The server is there for others.
async fn answers(server: &TestServer) -> Result<()> {
    let health = send(server.request(Method::GET, "/health")).await?;
    assert_eq!(health.status, 200, "{}", health.text);
    assert_eq!(server.admin().get("/projects").await?.status, 200);
    Ok(())
}
