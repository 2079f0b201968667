//! The connections: accepted, counted, limited in time and size, and drained when the server stops.
//!
//! HTTP/1.1 only, over hyper's own connection type: it is the one whose header timer also closes peers that
//! send nothing, a byte, half a header, or the beginning of HTTP/2. That same timer runs between requests, so
//! it is the idle limit too. A peer that stops reading is seen by the kernel alone (`TCP_USER_TIMEOUT`).

use crate::api::Api;
use crate::http::client::{Network, Peer};
use crate::http::connections::{Activity, Connections, Place};
use crate::http::lifetime::{Endless, Stopping};
use crate::http::linger;
use crate::metrics::Metrics;
use axum::Router;
use axum::body::Body;
use axum::http::Request;
use axum::response::Response;
use hyper::body::{Body as _, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use prometheus_client::metrics::gauge::Gauge;
use std::convert::Infallible;
use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

/// hyper's smallest buffer is 8 KiB; a request's head must fit in it whole.
const BUFFER: usize = 16 * 1024;
/// Bytes the kernel keeps for a peer before they are sent (`TCP_NOTSENT_LOWAT`).
#[cfg(target_os = "linux")]
const UNSENT: u32 = 64 * 1024;
/// For the last words of a stream when the server stops; whoever does not take them goes without.
const LAST_WORDS: Duration = Duration::from_millis(500);
/// After a failure to accept that will not pass at once (no file descriptors left).
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);
/// How often such a failure is told in the log.
const TELL_EVERY: Duration = Duration::from_secs(60);
/// Connections to the operators' listener: a scraper or two, and somebody who looks.
const FOR_OPERATORS: usize = 16;

const FULL: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\nretry-after: 5\r\nconnection: close\r\n\r\n";

impl Api {
    /// Serves connections of `listener` until `stop`; then answers what is under way, for as long as
    /// [`Limits::drain`](crate::Limits::drain) allows, and closes the rest.
    pub async fn serve(&self, listener: TcpListener, stop: CancellationToken) -> io::Result<()> {
        let limits = &self.0.config.limits;
        let open = self.0.metrics.connections().clone();
        let connections = Connections::new(limits.connections, limits.connections_per_network, open);
        self.serve_router(listener, self.router(), connections, stop).await
    }

    /// The same for operators alone: health, readiness and metrics, with places of their own.
    pub async fn serve_metrics(&self, listener: TcpListener, stop: CancellationToken) -> io::Result<()> {
        let connections = Connections::new(FOR_OPERATORS, FOR_OPERATORS, Gauge::default());
        self.serve_router(listener, self.operators_router(), connections, stop).await
    }

    async fn serve_router(
        &self,
        listener: TcpListener,
        router: Router,
        connections: Connections,
        stop: CancellationToken,
    ) -> io::Result<()> {
        let tasks = TaskTracker::new();
        let abort = CancellationToken::new();
        let mut troubles = Troubles::default();
        loop {
            let accepted = tokio::select! {
                biased;
                () = stop.cancelled() => break,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) => {
                    let Some(place) = self.place(&connections, peer).await else {
                        turn_away(stream);
                        continue;
                    };
                    let connection = Connection {
                        api: self.clone(),
                        router: router.clone(),
                        stop: stop.clone(),
                        abort: abort.clone(),
                    };
                    tasks.spawn(connection.run(stream, peer, place));
                }
                Err(error) if is_the_peers(&error) => {}
                Err(error) => {
                    troubles.happened(&error, &self.0.metrics);
                    tokio::select! {
                        () = stop.cancelled() => break,
                        () = tokio::time::sleep(ACCEPT_PAUSE) => {}
                    }
                }
            }
        }
        drop(listener);
        tasks.close();
        if tokio::time::timeout(self.0.config.limits.drain, tasks.wait()).await.is_err() {
            tracing::warn!(open = tasks.len(), "closing connections that did not finish in time");
            abort.cancel();
            tasks.wait().await;
        }
        Ok(())
    }

    async fn place(&self, connections: &Connections, peer: SocketAddr) -> Option<Place> {
        let counted =
            !self.0.config.trusted_proxies.iter().any(|net| net.contains(&peer.ip().to_canonical()));
        let entered = connections.enter(counted.then(|| Network::from(peer.ip()))).await;
        entered.inspect_err(|full| self.0.metrics.refused(full.into_str())).ok()
    }
}

/// Connections that could not be accepted: all of them counted, one a minute told in the log.
#[derive(Default)]
struct Troubles {
    told: Option<Instant>,
    untold: u64,
}

impl Troubles {
    fn happened(&mut self, error: &io::Error, metrics: &Metrics) {
        metrics.accept_failed();
        if self.told.is_some_and(|told| told.elapsed() < TELL_EVERY) {
            self.untold += 1;
            return;
        }
        self.told = Some(Instant::now());
        let untold = std::mem::take(&mut self.untold);
        tracing::warn!(%error, untold, "cannot accept connections; trying again");
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
    async fn run(self, stream: TcpStream, peer: SocketAddr, place: Place) {
        let limits = &self.api.0.config.limits;
        if let Err(error) = prepare(&stream, limits.write_stall) {
            tracing::debug!(%error, "a connection was gone before it began");
            return;
        }
        let (router, stopping) = (self.router, Stopping(self.stop.clone()));
        let streams = Arc::new(AtomicBool::new(false));
        let sends = Arc::new(AtomicBool::new(false));
        let (is_streaming, may_be_sending) = (Arc::clone(&streams), Arc::clone(&sends));
        let activity = place.activity();
        let service = service_fn(move |request: Request<Incoming>| {
            let (router, stopping, streams) = (router.clone(), stopping.clone(), Arc::clone(&streams));
            let activity = activity.clone();
            sends.store(!request.body().is_end_stream(), Ordering::Relaxed);
            async move {
                let response = answer(router, request, peer, stopping, &activity).await;
                streams.store(response.extensions().get::<Endless>().is_some(), Ordering::Relaxed);
                Ok::<_, Infallible>(response.map(|body| activity.answer(body)))
            }
        });
        let mut connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.header_read)
            .max_headers(limits.headers)
            .max_header_size(limits.head)
            .max_buf_size(BUFFER)
            .serve_connection(TokioIo::new(stream), service);
        let ended = tokio::select! {
            biased;
            () = self.stop.cancelled() => {
                Pin::new(&mut connection).graceful_shutdown();
                tokio::select! {
                    biased;
                    () = self.abort.cancelled() => return,
                    ended = &mut connection => ended,
                    () = tokio::time::sleep(LAST_WORDS), if is_streaming.load(Ordering::Relaxed) => return,
                }
            }
            // A new one takes its place.
            () = place.has_to_leave() => {
                self.api.0.metrics.refused("idle");
                return;
            }
            ended = &mut connection => ended,
        };
        if let Err(error) = &ended {
            if timed_out(error) {
                self.api.0.metrics.stalled();
            }
            // A peer's doing: it went away, was too slow, or spoke no HTTP.
            tracing::debug!(%error, "a connection ended early");
        }
        let rest = connection.into_parts();
        // Of a request whose answer came early, or that could not be read, or of one after the last.
        let more_may_come = match ended {
            Ok(()) => may_be_sending.load(Ordering::Relaxed) || !rest.read_buf.is_empty(),
            Err(error) => error.is_parse(),
        };
        if more_may_come {
            tokio::select! {
                () = self.abort.cancelled() => {}
                () = place.has_to_leave() => {}
                () = linger::close(rest.io.into_inner(), limits.linger) => {}
            }
        }
    }
}

async fn answer(
    router: Router,
    request: Request<Incoming>,
    peer: SocketAddr,
    stopping: Stopping,
    activity: &Activity,
) -> Response {
    let mut request = request.map(|body| Body::new(activity.request(body)));
    request.extensions_mut().insert(Peer(peer));
    request.extensions_mut().insert(stopping);
    match router.oneshot(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    }
}

/// Small answers leave at once; a peer that acknowledges nothing for `write_stall` is given up, and the
/// kernel holds no more than [`UNSENT`] bytes for one that is slow. What is on its way is not limited, so a
/// fast peer far away loses nothing (a small `SO_SNDBUF` would).
fn prepare(stream: &TcpStream, write_stall: Duration) -> io::Result<()> {
    stream.set_nodelay(true)?;
    #[cfg(target_os = "linux")]
    {
        let socket = socket2::SockRef::from(stream);
        socket.set_tcp_user_timeout(Some(write_stall))?;
        socket.set_tcp_notsent_lowat(UNSENT)?;
    }
    #[cfg(not(target_os = "linux"))]
    let _ = write_stall;
    Ok(())
}

/// Whether the kernel gave a connection up (`TCP_USER_TIMEOUT`). A head that came too slowly is hyper's
/// doing.
fn timed_out(error: &hyper::Error) -> bool {
    let cause = std::error::Error::source(error).and_then(|cause| cause.downcast_ref::<io::Error>());
    cause.is_some_and(|cause| cause.kind() == io::ErrorKind::TimedOut)
}

/// Says so, if the socket takes it at once, and closes. A request that has come already is read first, as far
/// as it may be long: unread, it would make the close a reset. Nothing is waited for.
fn turn_away(stream: TcpStream) {
    let Ok(mut stream) = stream.into_std() else { return };
    let _ = stream.write(FULL);
    let _ = stream.shutdown(Shutdown::Write);
    let _ = stream.read(&mut [0; BUFFER]);
}

/// Whether accepting failed because of one connection, not because of this process.
fn is_the_peers(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionRefused
    )
}
