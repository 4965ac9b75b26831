//! Connections: how many are open, how long each may wait, and how they end. Knows nothing of what is asked over them.
//!
//! HTTP/1.1 only: WebSockets need it, and proxies that speak HTTP/2 to browsers speak HTTP/1.1 to servers like this one.

mod files;
mod slots;
mod stage;
mod stream;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::Response;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use settings::HttpSettings;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;
use tower::ServiceExt;

use super::clients::Client;
use crate::error::Result;

pub use files::raise_limit;
use slots::Slot;
pub use slots::Slots;
use stage::{Limits, Stage, Watch};
use stream::Stream;

/// What a process serves over its connections.
pub struct Service {
    /// What is served usually.
    pub usual: Router,
    /// What is served on the few connections beyond the limit: health, and that there are too many.
    pub beyond: Router,
    /// The slots of connections.
    pub slots: Slots,
}

/// Wait after a connection could not be accepted because the process or the system has no file or memory left for it:
/// others must end first.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Bytes that wait in the system until a connection takes more: enough to keep it busy. The system's own limit is 4 MB, and
/// what a client never reads would be made up to there for each of its subscriptions (`benches/subscriptions.py`). What
/// is on its way is not limited, so that far clients read as fast as before.
#[cfg(target_os = "linux")]
const UNSENT: u32 = 32 * 1024;

/// Serves until `stop`, then lets open requests end, as long as the grace lasts.
///
/// # Errors
/// None: a connection that cannot be had is no reason to give up the others.
pub async fn serve(
    listener: TcpListener,
    service: Service,
    settings: &HttpSettings,
    stop: CancellationToken,
) -> Result<()> {
    let open = TaskTracker::new();
    let _ = stop.run_until_cancelled(accept_all(&listener, &service, settings, &stop, &open)).await;
    drop(listener);
    open.close();
    let _ = tokio::time::timeout(settings.shutdown_grace, open.wait()).await;
    Ok(())
}

async fn accept_all(
    listener: &TcpListener,
    service: &Service,
    settings: &HttpSettings,
    stop: &CancellationToken,
    open: &TaskTracker,
) {
    loop {
        let (tcp, peer) = accept(listener).await;
        // Beyond all slots this one waits here, and the others in the system's queue.
        let slot = service.slots.take().await;
        let (router, limits) = match slot.is_beyond {
            false => (service.usual.clone(), Limits::of(settings)),
            true => (service.beyond.clone(), Limits::short(settings)),
        };
        // Also held where a WebSocket takes the stream over.
        let guard = (slot, open.token());
        tokio::spawn(talk(tcp, peer, router, limits, stop.clone(), guard));
    }
}

/// The next connection. Faults are waited for to pass: the listener itself does not break.
async fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    let mut is_warned = false;
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            // The client has left already.
            Err(cause) if cause.kind() == std::io::ErrorKind::ConnectionAborted => {}
            Err(cause) => {
                if !std::mem::replace(&mut is_warned, true) {
                    tracing::warn!(%cause, "connections cannot be accepted now");
                }
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Serves one connection to its end, or until a WebSocket takes it over.
async fn talk(
    tcp: TcpStream,
    peer: SocketAddr,
    router: Router,
    limits: Limits,
    stop: CancellationToken,
    guard: (Slot, TaskTrackerToken),
) {
    // Events are small and come one by one: none shall wait for the acknowledgement of the one before.
    drop(tcp.set_nodelay(true));
    #[cfg(target_os = "linux")]
    drop(socket2::SockRef::from(&tcp).set_tcp_notsent_lowat(UNSENT));
    let is_beyond = guard.0.is_beyond;
    let watch = Watch::default();
    let stream = Stream::new(tcp, limits, watch.clone(), guard);
    let client = Client::of(peer.ip());
    let answers = service_fn(move |request| answer(router.clone(), watch.clone(), client, request));
    let mut http = http1::Builder::new();
    // Its own limit knows no difference between a head that is late and a client that has nothing to ask.
    http.header_read_timeout(None).keep_alive(!is_beyond);
    let connection = http.serve_connection(TokioIo::new(stream), answers).with_upgrades();
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(cause) = ended {
        tracing::debug!(%cause, "a connection ended early");
    }
}

async fn answer(
    router: Router,
    watch: Watch,
    client: Client,
    request: hyper::Request<Incoming>,
) -> Result<Response, Infallible> {
    watch.enter(Stage::Busy);
    let mut request: Request = request.map(Body::new);
    request.extensions_mut().insert(client);
    let response = router.oneshot(request).await?;
    let is_upgrade = response.status() == StatusCode::SWITCHING_PROTOCOLS;
    watch.enter(if is_upgrade { Stage::Upgraded } else { Stage::Idle });
    Ok(response)
}
