//! The cheapest client there is: prepared bytes out, an answer read and dropped, over one kept connection.
//!
//! A full client would cost as much as the server on the same two cores and blur what is measured.

use anyhow::{Context, Result, bail};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// One connection.
#[derive(Debug)]
pub(crate) struct Wire {
    stream: TcpStream,
    /// What has come in; what lies before `read` is done with.
    buffer: Vec<u8>,
    read: usize,
}

/// What there was to an answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Whether it says when to ask again.
    pub(crate) retry_after: bool,
}

/// How the end of a body is known.
enum Body {
    Length(usize),
    Chunks,
}

impl Wire {
    pub(crate) async fn connect(address: &str) -> Result<Self> {
        let stream = TcpStream::connect(address).await.with_context(|| format!("cannot connect to {address}"))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: Vec::with_capacity(256 * 1024), read: 0 })
    }

    /// Sends a whole request and reads the whole answer.
    pub(crate) async fn exchange(&mut self, request: &[u8]) -> Result<Answer> {
        self.stream.write_all(request).await?;
        let first = self.line().await?;
        let status = first.get(9..12).and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok());
        let status = status.context("the answer is not HTTP")?;
        let (mut body, mut retry_after) = (Body::Length(0), false);
        loop {
            let line = self.line().await?.to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            let line = String::from_utf8_lossy(&line);
            if let Some(length) = line.strip_prefix("content-length:") {
                body = Body::Length(length.trim().parse().context("a strange content-length")?);
            } else if line.strip_prefix("transfer-encoding:").is_some_and(|value| value.contains("chunked")) {
                body = Body::Chunks;
            } else if line.starts_with("retry-after:") {
                retry_after = true;
            }
        }
        match body {
            Body::Length(length) => self.skip(length).await?,
            Body::Chunks => self.skip_chunks().await?,
        }
        Ok(Answer { status, retry_after })
    }

    async fn skip_chunks(&mut self) -> Result<()> {
        loop {
            let line = self.line().await?;
            let digits = line.split(|byte| *byte == b';').next().unwrap_or_default();
            let digits = std::str::from_utf8(digits).context("a strange chunk")?;
            let size = usize::from_str_radix(digits.trim(), 16).context("a strange chunk")?;
            if size == 0 {
                while !self.line().await?.is_empty() {}
                return Ok(());
            }
            self.skip(size + 2).await?;
        }
    }

    /// The next line, without its end.
    async fn line(&mut self) -> Result<Vec<u8>> {
        let mut searched = self.read;
        loop {
            let found = self.buffer[searched..].windows(2).position(|pair| pair == b"\r\n");
            if let Some(at) = found {
                let end = searched + at;
                let line = self.buffer[self.read..end].to_vec();
                self.read = end + 2;
                return Ok(line);
            }
            searched = self.buffer.len().saturating_sub(1).max(self.read);
            self.more().await?;
        }
    }

    async fn skip(&mut self, mut count: usize) -> Result<()> {
        loop {
            let here = count.min(self.buffer.len() - self.read);
            self.read += here;
            count -= here;
            if self.read == self.buffer.len() {
                self.buffer.clear();
                self.read = 0;
            }
            if count == 0 {
                return Ok(());
            }
            self.more().await?;
        }
    }

    async fn more(&mut self) -> Result<()> {
        if self.stream.read_buf(&mut self.buffer).await? == 0 {
            bail!("the server closed the connection");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn answers_end_where_they_say() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let answers = [
            "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc",
            "HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n3\r\na\r\n\r\n1;x=y\r\nb\r\n0\r\nT: 1\r\n\r\n",
            "HTTP/1.1 204 No Content\r\n\r\n",
            "HTTP/1.1 503 Busy\r\ncontent-length:0\r\n\r\n",
        ];
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            for answer in answers {
                stream.read_u8().await.unwrap();
                for byte in answer.as_bytes() {
                    stream.write_all(&[*byte]).await.unwrap();
                }
            }
        });
        let mut wire = Wire::connect(&address).await.unwrap();
        for expected in [200, 201, 204, 503] {
            assert_eq!(wire.exchange(b"x").await.unwrap().status, expected);
        }
        server.await.unwrap();
        assert!(wire.exchange(b"x").await.is_err());
    }
}
