//! One connection: its handshake, its requests, and when it ends.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use poem::http::Version;
use poem::http::uri::Scheme;
use poem::web::{LocalAddr, RemoteAddr};
use poem::{Addr, Endpoint as _, Request};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::timeout;

use super::ServerConfig;
use super::activity::{Activity, Patience, Quiet};
use super::answer::AnswerBody;
use super::paced::Paced;
use crate::App;

/// How many streams that their client has reset may wait to be looked at. More is an attack, and ends the connection.
const MAX_RESET_STREAMS: usize = 20;
/// Most bytes of a head and of what is read or written ahead, over HTTP/1.1; hyper's own default.
const BUFFER: usize = 400 * 1024;

/// Bytes that wait in the system until there is room for them on their way.
#[cfg(target_os = "linux")]
const UNSENT: u32 = 128 * 1024;

/// What connections have in common.
#[derive(Clone)]
pub(super) struct Shared {
    pub(super) app: Arc<App>,
    pub(super) config: Arc<ServerConfig>,
    pub(super) local: SocketAddr,
    /// Becomes true when the server is asked to stop.
    pub(super) stop: watch::Receiver<bool>,
}

/// Serves a connection to its end.
pub(super) async fn serve(stream: TcpStream, remote: SocketAddr, shared: Shared) {
    // Small answers must not wait for an acknowledgement of the one before.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(error = %error, "TCP_NODELAY was refused");
    }
    keep_little_unsent(&stream);
    let activity = Activity::new();
    let stream = Paced::new(stream, activity.clone(), shared.config.write_stall_timeout);
    let Some(tls) = &shared.config.tls else { return speak(stream, remote, Scheme::HTTP, activity, shared).await };
    match timeout(shared.config.header_read_timeout, tls.acceptor().accept(stream)).await {
        Ok(Ok(stream)) => speak(stream, remote, Scheme::HTTPS, activity, shared).await,
        Ok(Err(error)) => tracing::debug!(error = %error, "a TLS handshake failed"),
        Err(_) => tracing::debug!("a TLS handshake took too long"),
    }
}

/// Has the system hold little of what a client doesn't take, beside what is on its way: megabytes for each would be a lot of
/// memory, and it would take minutes until it is seen that nothing is taken.
#[cfg(target_os = "linux")]
fn keep_little_unsent(stream: &TcpStream) {
    if let Err(error) = socket2::SockRef::from(stream).set_tcp_notsent_lowat(UNSENT) {
        tracing::debug!(error = %error, "TCP_NOTSENT_LOWAT was refused");
    }
}

#[cfg(not(target_os = "linux"))]
fn keep_little_unsent(_: &TcpStream) {}

async fn speak<S>(stream: S, remote: SocketAddr, scheme: Scheme, activity: Activity, mut shared: Shared)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (app, local, of_requests) = (Arc::clone(&shared.app), shared.local, activity.clone());
    let stall = shared.config.write_stall_timeout;
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let active = of_requests.begin(request.version() == Version::HTTP_2);
        let (app, scheme) = (Arc::clone(&app), scheme.clone());
        async move {
            let request =
                Request::from((request, LocalAddr(Addr::from(local)), RemoteAddr(Addr::from(remote)), scheme));
            let response = app.routes.get_response(request).await;
            let response = hyper::Response::from(response);
            Ok::<_, Infallible>(response.map(|body| AnswerBody::new(body, active, stall)))
        }
    });
    let patience = Patience { head: shared.config.header_read_timeout, keep_alive: shared.config.keep_alive_timeout };
    let builder = builder(&shared.config);
    let mut serving = std::pin::pin!(builder.serve_connection(TokioIo::new(stream), service));
    let mut quiet = std::pin::pin!(activity.clone().quiet(patience));
    let mut ending = false;
    loop {
        tokio::select! {
            ended = serving.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!(error, "a connection ended early");
                }
                return;
            }
            why = quiet.as_mut() => {
                if ending || why == Quiet::NoRequest {
                    return tracing::debug!("a connection without a request is closed");
                }
                // Over HTTP/2 a request may be on its way; the client has as long again to end.
                ending = true;
                serving.as_mut().graceful_shutdown();
                quiet.set(activity.clone().quiet(patience));
            }
            _ = shared.stop.wait_for(|stop| *stop), if !ending => {
                ending = true;
                serving.as_mut().graceful_shutdown();
            }
        }
    }
}

fn builder(config: &ServerConfig) -> auto::Builder<TokioExecutor> {
    let heads = config.heads;
    // What goes over our limits is a problem; over twice that it is hyper's bare 414 or 431.
    let head_bytes = 2 * (heads.max_uri_bytes + heads.max_header_bytes);
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        // `Activity` limits the time of a head; this one would limit the time between requests too.
        .header_read_timeout(None)
        .max_headers(2 * heads.max_headers)
        .max_buf_size(BUFFER.max(head_bytes));
    let http2 = config.http2;
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(http2.max_streams)
        .max_pending_accept_reset_streams(MAX_RESET_STREAMS)
        .max_header_list_size(u32::try_from(head_bytes).unwrap_or(u32::MAX))
        .keep_alive_interval((!http2.ping_interval.is_zero()).then_some(http2.ping_interval))
        .keep_alive_timeout(http2.ping_timeout);
    builder
}
