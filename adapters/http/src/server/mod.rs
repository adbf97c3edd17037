//! The accept loop.
//!
//! The framework's own loop ends a broken stream as if it were whole: over HTTP/1.1 an error in the middle of a
//! body is followed by a clean end, and the client takes half of the data for all of it. This one drops the
//! connection instead, so that truncated data looks truncated. It also has limits that the framework's lacks.

mod activity;
mod answer;
mod connection;
mod paced;
mod places;
mod refuse;
mod tls;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::App;
use crate::layers::door::HeadLimits;
use crate::peer::Networks;
use connection::Shared;
use places::Places;
use refuse::Refusals;

pub use tls::{ClientAuthority, Tls, TlsConfig, TlsError};

/// A pause after an accept failed (too many open files), so that the loop doesn't spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Limits of the accept loop and of connections.
#[derive(Debug, Clone)]
pub struct ServerConfig {
    /// Connections served at once; more are refused.
    pub max_connections: usize,
    /// Of them, those of one address; 0 for any number. Proxies have no such limit.
    pub max_connections_per_address: usize,
    /// Proxies, who come for many.
    pub trusted_proxies: Networks,
    /// Longest time to send a request's head, or to agree on TLS.
    pub header_read_timeout: Duration,
    /// Longest time without a request.
    pub keep_alive_timeout: Duration,
    /// Longest time in which a client takes no byte of its answer.
    pub write_stall_timeout: Duration,
    /// Longest time for requests to finish after shutdown was asked for.
    pub shutdown_grace: Duration,
    /// How large a request's head may be.
    pub heads: HeadLimits,
    /// Limits of HTTP/2.
    pub http2: Http2Config,
    /// The certificate, if connections are encrypted.
    pub tls: Option<Arc<Tls>>,
}

/// Limits of HTTP/2.
#[derive(Debug, Clone, Copy)]
pub struct Http2Config {
    /// Requests of one connection at once.
    pub max_streams: u32,
    /// How often a client is asked whether it is still there; zero for never.
    pub ping_interval: Duration,
    /// Longest wait for its answer.
    pub ping_timeout: Duration,
}

/// Serves until `shutdown` completes, then lets running requests finish.
pub async fn serve(
    listener: TcpListener,
    app: Arc<App>,
    config: ServerConfig,
    shutdown: impl Future<Output = ()> + Send,
) -> io::Result<()> {
    let (stop, stopped) = watch::channel(false);
    let config = Arc::new(config);
    let shared = Shared { app, config: Arc::clone(&config), local: listener.local_addr()?, stop: stopped };
    let places =
        Places::new(config.max_connections, config.max_connections_per_address, config.trusted_proxies.clone());
    let refusals = Refusals::new();
    let mut connections = JoinSet::new();
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => continue,
            () = &mut shutdown => break,
        };
        match accepted {
            Ok((stream, remote)) => match places.take(remote.ip()) {
                Some(place) => {
                    let serving = connection::serve(stream, remote, shared.clone());
                    connections.spawn(async move {
                        serving.await;
                        drop(place);
                    });
                }
                None if config.tls.is_some() => tracing::debug!("a connection too many is closed"),
                None => {
                    if let Some(refusal) = refusals.refuse(stream) {
                        connections.spawn(refusal);
                    }
                }
            },
            Err(error) => {
                tracing::warn!(error = %error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    // Only connections listen, and those that are gone don't.
    let _ = stop.send(true);
    let ended = async { while connections.join_next().await.is_some() {} };
    if timeout(config.shutdown_grace, ended).await.is_err() {
        tracing::warn!("some requests did not finish in time and are cut off");
        connections.shutdown().await;
    }
    Ok(())
}
