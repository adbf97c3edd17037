//! The accept loop.
//!
//! The framework's own loop ends a broken stream as if it were whole: over HTTP/1.1 an error in the middle of a
//! body is followed by a clean end, and the client takes half of the data for all of it. This one drops the
//! connection instead, so that truncated data looks truncated.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use poem::http::uri::Scheme;
use poem::web::{LocalAddr, RemoteAddr};
use poem::{Addr, Endpoint as _, Request};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, Semaphore};

use crate::App;

/// A pause after an accept failed (too many open files), so that the loop doesn't spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Limits of the accept loop.
#[derive(Debug, Clone, Copy)]
pub struct ServerConfig {
    /// Connections served at once; more wait in the system's backlog.
    pub max_connections: usize,
    /// Longest time to send a request's head.
    pub header_read_timeout: Duration,
    /// Longest time for requests to finish after shutdown was asked for.
    pub shutdown_grace: Duration,
}

/// Serves until `shutdown` completes, then lets running requests finish.
pub async fn serve(
    listener: TcpListener,
    app: Arc<App>,
    config: ServerConfig,
    shutdown: impl Future<Output = ()> + Send,
) -> io::Result<()> {
    let local = listener.local_addr()?;
    let graceful = GracefulShutdown::new();
    let places = Arc::new(Semaphore::new(config.max_connections));
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        let accept = async {
            let place = Arc::clone(&places).acquire_owned().await;
            (place, listener.accept().await)
        };
        let (place, accepted) = tokio::select! {
            accepted = accept => accepted,
            () = &mut shutdown => break,
        };
        match accepted {
            Ok((stream, remote)) => {
                let connection = connection(stream, Arc::clone(&app), config, local, remote, &graceful);
                tokio::spawn(async move {
                    connection.await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(error = %error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    if tokio::time::timeout(config.shutdown_grace, graceful.shutdown()).await.is_err() {
        tracing::warn!("some requests did not finish in time and are cut off");
    }
    Ok(())
}

fn connection(
    stream: TcpStream,
    app: Arc<App>,
    config: ServerConfig,
    local: SocketAddr,
    remote: SocketAddr,
    graceful: &GracefulShutdown,
) -> impl Future<Output = ()> + Send + 'static {
    // Small answers must not wait for an acknowledgement of the one before.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(error = %error, "TCP_NODELAY was refused");
    }
    // Set once, with the connection's first request.
    let asked = Arc::new(Notify::new());
    let first = Arc::clone(&asked);
    let service = service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
        first.notify_one();
        let app = Arc::clone(&app);
        async move {
            let request =
                Request::from((request, LocalAddr(Addr::from(local)), RemoteAddr(Addr::from(remote)), Scheme::HTTP));
            let response = app.routes.get_response(request).await;
            Ok::<_, Infallible>(hyper::Response::from(response))
        }
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(config.header_read_timeout);
    builder.http2().timer(TokioTimer::new());
    let serving = builder.serve_connection(TokioIo::new(stream), service).into_owned();
    let watched = graceful.watch(serving);
    async move {
        let mut watched = std::pin::pin!(watched);
        // A client that says nothing, or only how it will speak, is under none of the protocols' own limits yet.
        let ended = tokio::select! {
            ended = &mut watched => Some(ended),
            asked = tokio::time::timeout(config.header_read_timeout, asked.notified()) => match asked {
                Ok(()) => None,
                Err(_) => return tracing::debug!("a connection without a request is closed"),
            },
        };
        let ended = match ended {
            Some(ended) => ended,
            None => watched.await,
        };
        if let Err(error) = ended {
            tracing::debug!(error = %error, "a connection ended early");
        }
    }
}
