//! What the WebSocket streams have in common: dialling, listening, noticing silence, coming back.
//!
//! A stream is one task with one connection at a time. It has no sequence numbers and replays nothing, so
//! every (re)connection is told to the receiver. A slow receiver stops the reading; nothing is buffered
//! beyond a bounded channel.

use crate::excerpt::excerpt;
use crate::http::{self, jittered};
use crate::{FeedError, FeedErrorKind, StreamEvent};
use futures_util::{SinkExt as _, StreamExt as _};
use jiff::{SignedDuration, Timestamp};
use qqq_core::Clock;
use qqq_core::redaction::Redaction;
use qqq_core::retry::Backoff;
use reqwest::Url;
use std::fmt;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{self, Bytes, Message as Frame};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async_with_config};

/// Largest frame and message that is read.
const MAX_MESSAGE: usize = 1 << 20;
/// How often bars made of trades are looked for that are due.
pub(crate) const TICK: Duration = Duration::from_millis(250);
/// After so much silence a ping is sent where bars of less than a minute are made of trades: its pong says
/// that a quiet time is over, and that its bars are complete.
pub(crate) const QUICK_PING: Duration = Duration::from_secs(1);
/// Events that wait for a slow receiver.
const CHANNEL: usize = 1024;

/// A stream's time-outs and pauses.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// To connect, and for each step until bars may come.
    pub handshake: Duration,
    /// After so much silence a ping is sent.
    pub ping: Duration,
    /// After a ping, so much silence ends the connection.
    pub pong: Duration,
    /// First pause before connecting again.
    pub first_pause: Duration,
    /// Longest pause.
    pub max_pause: Duration,
    /// First pause after a refusal that only time can mend, such as a second connection of the same key.
    pub slow_pause: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            handshake: Duration::from_secs(10),
            ping: Duration::from_secs(10),
            pong: Duration::from_secs(10),
            first_pause: Duration::from_millis(500),
            max_pause: Duration::from_secs(60),
            slow_pause: Duration::from_secs(30),
        }
    }
}

/// Starts the task of a stream: it ends by itself, or once nobody receives. `None` outside a tokio runtime.
pub(crate) fn start<F>(
    task: impl FnOnce(mpsc::Sender<StreamEvent>) -> F,
) -> Option<mpsc::Receiver<StreamEvent>>
where
    F: Future<Output = ()> + Send + 'static,
{
    let runtime = tokio::runtime::Handle::try_current().ok()?;
    http::install_tls();
    let (events, receiver) = mpsc::channel(CHANNEL);
    let task = task(events.clone());
    runtime.spawn(async move {
        tokio::select! {
            () = events.closed() => {}
            () = task => {}
        }
    });
    Some(receiver)
}

/// Why a connection ended.
pub(crate) struct Ended {
    pub(crate) error: FeedError,
    /// Whether to come back only after a long pause.
    pub(crate) slow: bool,
}

/// The pauses between connections.
pub(crate) struct ReconnectPolicy {
    quick: Backoff,
    slow: Backoff,
}

impl ReconnectPolicy {
    pub(crate) fn new(pace: Pace) -> Self {
        Self {
            quick: Backoff::new(pace.first_pause, pace.max_pause),
            slow: Backoff::new(pace.slow_pause, pace.slow_pause * 10),
        }
    }

    /// Tells that a connection ended that was `live` for so long, and waits until the next may be tried.
    /// False where none may: the error is final, or nobody listens.
    pub(crate) async fn after(
        &mut self,
        ended: Ended,
        live: Duration,
        events: &mpsc::Sender<StreamEvent>,
    ) -> bool {
        self.quick.worked_for(live);
        self.slow.worked_for(live);
        let is_final = ended.error.is_final();
        if events.send(StreamEvent::Disconnected(ended.error)).await.is_err() || is_final {
            return false;
        }
        let pause = if ended.slow { self.slow.next() } else { self.quick.next() };
        tokio::time::sleep(jittered(pause.unwrap_or_default())).await;
        true
    }
}

/// Where a provider's stream is, and what nobody may read in a message about it.
#[derive(Clone)]
pub(crate) struct StreamEndpoint {
    pub(crate) provider: &'static str,
    pub(crate) url: Url,
    pub(crate) pace: Pace,
    /// What no message may tell.
    pub(crate) redaction: Redaction,
}

impl StreamEndpoint {
    pub(crate) async fn dial(&self) -> Result<Connection<'_>, Ended> {
        let config = WebSocketConfig::default()
            .max_message_size(Some(MAX_MESSAGE))
            .max_frame_size(Some(MAX_MESSAGE))
            .max_write_buffer_size(4 * MAX_MESSAGE);
        let dialling = connect_async_with_config(self.url.as_str(), Some(config), true);
        match timeout(self.pace.handshake, dialling).await {
            Ok(Ok((socket, _))) => Ok(Connection { line: self, socket, heard: Instant::now(), pinged: None }),
            Ok(Err(tungstenite::Error::Http(response))) => Err(self.refused(response.status().as_u16())),
            Ok(Err(error)) => Err(self.broken(format_args!("cannot be reached: {}", self.show(&error)))),
            Err(_) => Err(self.broken("cannot be reached: connecting took too long")),
        }
    }

    /// A failure that may pass.
    pub(crate) fn broken(&self, what: impl fmt::Display) -> Ended {
        self.ended(FeedErrorKind::Transient, false, what)
    }

    pub(crate) fn ended(&self, kind: FeedErrorKind, slow: bool, what: impl fmt::Display) -> Ended {
        Ended { error: FeedError::new(kind, format!("{}'s stream {what}", self.provider)), slow }
    }

    pub(crate) fn redact(&self, text: &str) -> String {
        self.redaction.redact(text)
    }

    fn show(&self, error: &tungstenite::Error) -> String {
        excerpt(&self.redact(&error.to_string()))
    }

    /// What a refusal of the WebSocket handshake means.
    fn refused(&self, status: u16) -> Ended {
        let (kind, slow) = match status {
            401 | 403 => (FeedErrorKind::Auth, false),
            429 => (FeedErrorKind::RateLimited { retry_after: None }, true),
            500..=599 => (FeedErrorKind::Transient, false),
            _ => (FeedErrorKind::BadRequest, true),
        };
        self.ended(kind, slow, format_args!("answered status {status}"))
    }
}

/// An open connection.
pub(crate) struct Connection<'a> {
    line: &'a StreamEndpoint,
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    heard: Instant,
    pinged: Option<Instant>,
}

impl Connection<'_> {
    /// The next text or binary frame; `None` where none has come by `deadline`. Silence is broken with pings,
    /// and where they are not answered, the connection has ended.
    pub(crate) async fn hear(&mut self, deadline: Instant) -> Result<Option<Bytes>, Ended> {
        let pace = self.line.pace;
        loop {
            let patience = self.pinged.map_or(self.heard + pace.ping, |pinged| pinged + pace.pong);
            let frame = match timeout_at(patience.min(deadline), self.socket.next()).await {
                Ok(Some(Ok(frame))) => frame,
                Ok(Some(Err(error))) => {
                    return Err(self.line.broken(format_args!("broke off: {}", self.line.show(&error))));
                }
                Ok(None) => return Err(self.line.broken("was closed")),
                Err(_) if deadline <= Instant::now() => return Ok(None),
                Err(_) if self.pinged.is_none() => {
                    self.say(Frame::Ping(Bytes::new())).await?;
                    self.pinged = Some(Instant::now());
                    continue;
                }
                Err(_) => return Err(self.line.broken("has gone silent: it answers no ping")),
            };
            self.heard = Instant::now();
            self.pinged = None;
            match frame {
                Frame::Text(text) => return Ok(Some(text.into())),
                Frame::Binary(bytes) => return Ok(Some(bytes)),
                Frame::Close(reason) => {
                    let reason = reason.as_ref().map(|close| close.reason.as_str()).unwrap_or_default();
                    let reason = excerpt(&self.line.redact(reason));
                    return Err(self.line.broken(format_args!("was closed by the server: `{reason}`")));
                }
                Frame::Ping(_) | Frame::Pong(_) | Frame::Frame(_) => {}
            }
        }
    }

    /// When anything was last heard, a pong included, by a clock. What was sent before has arrived: a
    /// connection that died unnoticed hides trades, and bars it may hide some of are not handed out.
    pub(crate) fn heard_at(&self, clock: &dyn Clock) -> Timestamp {
        let ago = SignedDuration::try_from(self.heard.elapsed()).unwrap_or_default();
        let now = clock.now();
        now.checked_sub(ago).unwrap_or(now)
    }

    pub(crate) async fn tell(&mut self, message: &serde_json::Value) -> Result<(), Ended> {
        self.say(Frame::text(message.to_string())).await
    }

    /// Closes politely, but not at any price: the other side may be gone.
    pub(crate) async fn close(&mut self) {
        let _ = timeout(Duration::from_millis(200), self.socket.close(None)).await;
    }

    async fn say(&mut self, frame: Frame) -> Result<(), Ended> {
        match timeout(self.line.pace.handshake, self.socket.send(frame)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(self.line.broken(format_args!("broke off: {}", self.line.show(&error)))),
            Err(_) => Err(self.line.broken("takes no data")),
        }
    }
}
