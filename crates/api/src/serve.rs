//! The connections: accepted, counted, limited in time and size, and drained when the server stops.
//!
//! HTTP/1.1 only, over hyper's own connection type: it is the one whose header timer also closes peers that
//! send nothing, a byte, half a header, or the beginning of HTTP/2. That same timer runs between requests, so
//! it is the idle limit too. A peer that stops reading is seen by the kernel alone (`TCP_USER_TIMEOUT`).

use crate::client::{Network, Peer};
use crate::{Api, lock};
use axum::Router;
use axum::body::Body;
use axum::http::Request;
use axum::response::Response;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use prometheus_client::metrics::gauge::Gauge;
use std::collections::HashMap;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

/// hyper's smallest buffer is 8 KiB; a request's head must fit in it whole.
const BUFFER: usize = 16 * 1024;
/// After a failure to accept that will not pass at once (no file descriptors left).
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

const FULL: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\nretry-after: 5\r\nconnection: close\r\n\r\n";

impl Api {
    /// Serves connections of `listener` until `stop`; then answers what is under way, for as long as
    /// [`Limits::drain`](crate::Limits::drain) allows, and closes the rest.
    pub async fn serve(&self, listener: TcpListener, stop: CancellationToken) -> io::Result<()> {
        let limits = &self.0.config.limits;
        let gate = Gate {
            all: Arc::new(Semaphore::new(limits.connections)),
            per_network: Arc::default(),
            most_per_network: limits.connections_per_network,
        };
        let router = self.router();
        let connections = TaskTracker::new();
        let abort = CancellationToken::new();
        loop {
            let accepted = tokio::select! {
                biased;
                () = stop.cancelled() => break,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) => {
                    let Some(seat) = self.seat(&gate, peer) else {
                        turn_away(stream);
                        continue;
                    };
                    let connection = Connection {
                        api: self.clone(),
                        router: router.clone(),
                        stop: stop.clone(),
                        abort: abort.clone(),
                    };
                    connections.spawn(connection.run(stream, peer, seat));
                }
                Err(error) if is_the_peers(&error) => {}
                Err(error) => {
                    self.0.metrics.accept_failed();
                    tracing::warn!(%error, "cannot accept connections; trying again");
                    tokio::select! {
                        () = stop.cancelled() => break,
                        () = tokio::time::sleep(ACCEPT_PAUSE) => {}
                    }
                }
            }
        }
        drop(listener);
        connections.close();
        if tokio::time::timeout(limits.drain, connections.wait()).await.is_err() {
            tracing::warn!(open = connections.len(), "closing connections that did not finish in time");
            abort.cancel();
            connections.wait().await;
        }
        Ok(())
    }

    fn seat(&self, gate: &Gate, peer: SocketAddr) -> Option<Seat> {
        let counted =
            !self.0.config.trusted_proxies.iter().any(|net| net.contains(&peer.ip().to_canonical()));
        match gate.enter(peer, counted, self.0.metrics.connections().clone()) {
            Ok(seat) => Some(seat),
            Err(reason) => {
                self.0.metrics.refused(reason);
                None
            }
        }
    }
}

/// Open connections by network.
type Counts = Arc<Mutex<HashMap<Network, usize>>>;

/// Counts connections: all of them, and by network.
struct Gate {
    all: Arc<Semaphore>,
    per_network: Counts,
    most_per_network: usize,
}

/// A connection's place; given back when dropped.
struct Seat {
    _permit: OwnedSemaphorePermit,
    network: Option<(Network, Counts)>,
    open: Gauge,
}

impl Gate {
    fn enter(&self, peer: SocketAddr, counted: bool, open: Gauge) -> Result<Seat, &'static str> {
        let permit = Arc::clone(&self.all).try_acquire_owned().map_err(|_| "all")?;
        let network = if counted {
            let network = Network::from(peer.ip());
            let mut counts = lock(&self.per_network);
            let count = counts.entry(network).or_default();
            if *count >= self.most_per_network {
                return Err("network");
            }
            *count += 1;
            Some((network, Arc::clone(&self.per_network)))
        } else {
            None
        };
        open.inc();
        Ok(Seat { _permit: permit, network, open })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.open.dec();
        let Some((network, counts)) = &self.network else { return };
        let mut counts = lock(counts);
        if let Some(count) = counts.get_mut(network) {
            *count -= 1;
            if *count == 0 {
                counts.remove(network);
            }
        }
    }
}

struct Connection {
    api: Api,
    router: Router,
    /// No further request is taken; the one under way is answered.
    stop: CancellationToken,
    /// Dropped as it is.
    abort: CancellationToken,
}

impl Connection {
    async fn run(self, stream: TcpStream, peer: SocketAddr, seat: Seat) {
        let _seat = seat;
        let limits = &self.api.0.config.limits;
        if let Err(error) = prepare(&stream, limits.write_stall) {
            tracing::debug!(%error, "a connection was gone before it began");
            return;
        }
        let router = self.router;
        let service = service_fn(move |request: Request<Incoming>| {
            let router = router.clone();
            async move { Ok::<_, Infallible>(answer(router, request, peer).await) }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.header_read)
            .max_headers(limits.headers)
            .max_header_size(limits.head)
            .max_buf_size(BUFFER)
            .serve_connection(TokioIo::new(stream), service);
        tokio::pin!(connection);
        let ended = tokio::select! {
            biased;
            () = self.stop.cancelled() => {
                connection.as_mut().graceful_shutdown();
                tokio::select! {
                    biased;
                    () = self.abort.cancelled() => return,
                    ended = connection.as_mut() => ended,
                }
            }
            ended = connection.as_mut() => ended,
        };
        if let Err(error) = ended {
            // A peer's doing: it went away, was too slow, or spoke no HTTP.
            tracing::debug!(%error, "a connection ended early");
        }
    }
}

async fn answer(router: Router, request: Request<Incoming>, peer: SocketAddr) -> Response {
    let mut request = request.map(Body::new);
    request.extensions_mut().insert(Peer(peer));
    match router.oneshot(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    }
}

/// Small answers leave at once; a peer that acknowledges nothing for `write_stall` is given up.
fn prepare(stream: &TcpStream, write_stall: Duration) -> io::Result<()> {
    stream.set_nodelay(true)?;
    #[cfg(target_os = "linux")]
    socket2::SockRef::from(stream).set_tcp_user_timeout(Some(write_stall))?;
    #[cfg(not(target_os = "linux"))]
    let _ = write_stall;
    Ok(())
}

/// Says so, if the socket takes it at once, and closes.
fn turn_away(stream: TcpStream) {
    if let Ok(stream) = stream.into_std() {
        let _ = io::Write::write(&mut &stream, FULL);
    }
}

/// Whether accepting failed because of one connection, not because of this process.
fn is_the_peers(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionRefused
    )
}
