//! Asks a server whether it is ready, for health checks of containers that have no other HTTP client.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs as _};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};

use crate::config::Config;

/// Longest wait for a connection, and then for the answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// How much of the answer is read: its status comes first.
const HEAD: usize = 64;

/// The address of the server that this configuration starts, as seen from the same machine.
pub fn address(config: &Config) -> String {
    let host = match config.server.host.as_str() {
        "0.0.0.0" => "127.0.0.1",
        "::" | "[::]" => "[::1]",
        host => host,
    };
    let host = if host.contains(':') && !host.starts_with('[') { format!("[{host}]") } else { host.to_owned() };
    let scheme = if config.tls.certificate.is_some() { "https" } else { "http" };
    format!("{scheme}://{host}:{}", config.server.port)
}

/// Fails unless the server at `http://host:port` is ready.
pub fn require_ready(url: &str) -> anyhow::Result<()> {
    let host = url.strip_prefix("http://").context(
        "only a server without TLS can be asked, at an address that begins with http://; with TLS ask its /readyz by a \
         client that knows its certificate",
    )?.trim_end_matches('/');
    let host = if host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok()) {
        host.to_owned()
    } else {
        format!("{host}:80")
    };
    let status = ask(&host).with_context(|| format!("{url} does not answer"))?;
    ensure!(status == "200", "{url} is not ready (status {status})");
    Ok(())
}

fn ask(host: &str) -> anyhow::Result<String> {
    let mut stream = connect(host)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    // In one piece: a server that answers the first part of a request and closes would cut off the rest.
    let request = format!("GET /readyz HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut head = Vec::new();
    let mut limited = stream.take(HEAD as u64);
    while !head.contains(&b'\n') {
        let mut part = [0; HEAD];
        let read = limited.read(&mut part)?;
        if read == 0 {
            break;
        }
        head.extend(part.iter().take(read));
    }
    let line = String::from_utf8_lossy(&head);
    match line.split_whitespace().nth(1) {
        Some(status) if line.starts_with("HTTP/1.") => Ok(status.to_owned()),
        _ => bail!("the answer is not HTTP"),
    }
}

fn connect(host: &str) -> anyhow::Result<TcpStream> {
    let mut last = None;
    for address in host.to_socket_addrs()?.collect::<Vec<SocketAddr>>() {
        match TcpStream::connect_timeout(&address, PATIENCE) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = Some(error),
        }
    }
    Err(last.map_or_else(|| anyhow::anyhow!("the name has no address"), Into::into))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    fn answers(text: &'static str) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            // Until the request has ended: what is unread when the socket closes takes the answer with it.
            let mut asked = Vec::new();
            while !asked.ends_with(b"\r\n\r\n") {
                let mut part = [0; 1024];
                let read = stream.read(&mut part).unwrap();
                asked.extend(&part[..read]);
            }
            stream.write_all(text.as_bytes()).unwrap();
        });
        format!("http://{address}")
    }

    #[test]
    fn only_200_is_ready() {
        require_ready(&answers("HTTP/1.1 200 OK\r\n\r\n")).unwrap();
        for other in ["HTTP/1.1 503 Service Unavailable\r\n\r\n", "SSH-2.0 200\r\n", ""] {
            assert!(require_ready(&answers(other)).is_err(), "{other}");
        }
        assert!(require_ready("https://localhost").is_err());
    }

    #[test]
    fn a_server_that_listens_everywhere_is_asked_here() {
        let mut config = Config::default();
        assert_eq!(address(&config), "http://127.0.0.1:8000");
        config.server.host = "0.0.0.0".to_owned();
        config.server.port = 9;
        assert_eq!(address(&config), "http://127.0.0.1:9");
        config.server.host = "::".to_owned();
        assert_eq!(address(&config), "http://[::1]:9");
    }
}
