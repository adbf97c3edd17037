//! A proxy between a client and a server that fails on command.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

const BUFFER: usize = 64 * 1024;
/// How long a refused client may go on to send what nobody reads.
const LINGER: Duration = Duration::from_secs(2);

/// What becomes of connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// They reach the server.
    Pass,
    /// All that is said arrives this much later.
    Delay(Duration),
    /// Those that are open are cut, and new ones as soon as they are made.
    Drop,
    /// Those that are open are cut, and nobody listens for new ones.
    Refuse,
    /// So many HTTP requests get this status for an answer, each on a new connection; what comes after passes.
    Answer {
        /// The status, e.g. 503.
        status: u16,
        /// How many get it.
        times: usize,
    },
}

/// A proxy on a port of its own. Gone when dropped.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    mode: watch::Sender<Mode>,
    answered: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Proxy {
    /// Listens on a free port for connections to this `host:port`; an `http://` before it is left out.
    ///
    /// # Errors
    /// When no port can be listened on.
    pub async fn start(server: &str) -> anyhow::Result<Self> {
        let server: Arc<str> = server.trim_start_matches("http://").trim_end_matches('/').into();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("no port to listen on")?;
        let address = listener.local_addr()?;
        let (mode, modes) = watch::channel(Mode::Pass);
        let answered = Arc::new(AtomicUsize::new(0));
        let listening = Listening { address, server, modes, answered: Arc::clone(&answered) };
        Ok(Self { address, mode, answered, task: tokio::spawn(listening.run(listener)) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where it listens, for a client of HTTP.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// From now on. Connections that are open are cut, unless all is to pass as it did.
    pub fn set(&self, mode: Mode) {
        self.answered.store(0, Ordering::Relaxed);
        self.mode.send_replace(mode);
    }

    /// How many requests it answered itself since the mode was set.
    pub fn answered(&self) -> usize {
        self.answered.load(Ordering::Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[derive(Clone)]
struct Listening {
    address: SocketAddr,
    server: Arc<str>,
    modes: watch::Receiver<Mode>,
    answered: Arc<AtomicUsize>,
}

impl Listening {
    async fn run(mut self, listener: TcpListener) {
        let mut listener = Some(listener);
        loop {
            let mode = *self.modes.borrow_and_update();
            if mode == Mode::Refuse {
                listener = None;
            } else if listener.is_none() {
                listener = TcpListener::bind(self.address).await.ok();
            }
            let accepted = async {
                match &listener {
                    Some(listener) => listener.accept().await.ok(),
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                changed = self.modes.changed() => if changed.is_err() { return },
                accepted = accepted => if let Some((client, _)) = accepted {
                    tokio::spawn(self.clone().serve(client));
                },
            }
        }
    }

    async fn serve(mut self, client: TcpStream) {
        let mode = *self.modes.borrow_and_update();
        let work = async {
            match mode {
                Mode::Drop | Mode::Refuse => {}
                Mode::Pass => relay(client, &self.server, Duration::ZERO).await,
                Mode::Delay(delay) => relay(client, &self.server, delay).await,
                Mode::Answer { status, times } => {
                    let taken = self.answered.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |answered| {
                        (answered < times).then_some(answered + 1)
                    });
                    match taken {
                        Ok(_) => answer(client, status).await,
                        Err(_) => relay(client, &self.server, Duration::ZERO).await,
                    }
                }
            }
        };
        tokio::select! {
            () = work => {}
            _ = self.modes.wait_for(|now| *now != mode) => {}
        }
    }
}

async fn relay(client: TcpStream, server: &str, delay: Duration) {
    let Ok(server) = TcpStream::connect(server).await else { return };
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    tokio::join!(copy(from_client, to_server, delay), copy(from_server, to_client, delay));
}

async fn copy(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin, delay: Duration) {
    let mut buffer = vec![0; BUFFER];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        tokio::time::sleep(delay).await;
        if to.write_all(&buffer[..read]).await.is_err() {
            break;
        }
    }
    let _ = to.shutdown().await;
}

/// Reads a request's head, answers it, and reads on for a moment: a client that still writes would not see the answer.
async fn answer(mut client: TcpStream, status: u16) {
    let (mut head, mut buffer) = (Vec::new(), vec![0; BUFFER]);
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        match client.read(&mut buffer).await {
            Ok(read @ 1..) if head.len() < BUFFER => head.extend_from_slice(&buffer[..read]),
            _ => return,
        }
    }
    let text = format!("HTTP/1.1 {status} Proxied\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    if client.write_all(text.as_bytes()).await.is_err() || client.shutdown().await.is_err() {
        return;
    }
    let rest = async { while let Ok(1..) = client.read(&mut buffer).await {} };
    let _ = tokio::time::timeout(LINGER, rest).await;
}
