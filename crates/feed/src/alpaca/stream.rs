//! Alpaca's WebSocket stream of minute bars.
//!
//! One connection at a time, which greets, is authenticated, subscribed, and then read until it ends. It has
//! no sequence numbers and replays nothing, so every (re)connection is told to the receiver, who refills by
//! REST. A slow receiver stops the reading; nothing is buffered beyond a bounded channel.

use super::parse::{self, Message};
use crate::backoff::Backoff;
use crate::http::{self, excerpt};
use crate::{FeedError, FeedErrorKind, Reject, StreamEvent};
use futures_util::{SinkExt as _, StreamExt as _};
use jiff::SignedDuration;
use qqq_core::{Clock, FeedLabel, Symbol};
use reqwest::Url;
use std::collections::{BTreeSet, HashSet};
use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{self, Message as Frame};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async_with_config};

/// Largest frame and message that is read.
const MAX_MESSAGE: usize = 1 << 20;
/// Events that wait for a slow receiver.
const CHANNEL: usize = 1024;
/// Symbols in one subscribe message.
const SUBSCRIBE: usize = 500;
/// Symbols of the free plan, by its description.
const FREE_PLAN: usize = 30;
/// The error of a subscription beyond the plan's number of symbols. What was subscribed before stays.
const LIMIT_EXCEEDED: u16 = 405;
/// How far ahead of the wall clock a bar may start before it is nonsense.
const MAX_AHEAD: SignedDuration = SignedDuration::from_mins(2);

/// The stream's time-outs and pauses.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// To connect, and for each of greeting, authentication and subscription. Alpaca allows 10 s.
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

/// Everything a connection needs.
#[derive(Clone)]
pub(super) struct Settings {
    pub(super) url: Url,
    pub(super) key_id: String,
    pub(super) secret_key: String,
    pub(super) feed: FeedLabel,
    pub(super) pace: Pace,
    pub(super) clock: Arc<dyn Clock>,
}

/// Starts a task that streams bars of `symbols` until the receiver is dropped or an error is final. `None`
/// for no symbols, and outside a tokio runtime.
pub(super) fn start(settings: &Settings, symbols: &[Symbol]) -> Option<mpsc::Receiver<StreamEvent>> {
    let runtime = tokio::runtime::Handle::try_current().ok()?;
    let symbols: BTreeSet<Symbol> = symbols.iter().copied().collect();
    if symbols.is_empty() {
        return None;
    }
    http::install_tls();
    let (events, receiver) = mpsc::channel(CHANNEL);
    let session = Session {
        settings: settings.clone(),
        symbols: symbols.iter().copied().collect(),
        wanted: symbols.into_iter().collect(),
        events,
    };
    runtime.spawn(async move {
        let events = session.events.clone();
        tokio::select! {
            () = events.closed() => {}
            () = session.run() => {}
        }
    });
    Some(receiver)
}

/// Why a connection ended.
struct Ended {
    error: FeedError,
    /// Whether to come back only after a long pause.
    slow: bool,
}

impl Ended {
    fn transient(message: impl fmt::Display) -> Self {
        let message = format!("alpaca's stream {message}");
        Self { error: FeedError::new(FeedErrorKind::Transient, message), slow: false }
    }
}

/// How far a connection has come.
enum Phase {
    Greeting,
    Authenticating,
    Subscribing(Subscription),
    Live,
}

/// What is being subscribed: some first ones of the wanted symbols.
struct Subscription {
    /// How many shall be.
    until: usize,
    /// How many were asked for so far.
    sent: usize,
    /// Those that the server has acknowledged, of earlier messages.
    present: Vec<String>,
    /// What the server said where it took fewer than all.
    limited: Option<String>,
}

impl Subscription {
    fn of(wanted: usize) -> Self {
        Self { until: wanted, sent: 0, present: Vec::new(), limited: None }
    }

    /// Takes in that the last message asked for too much. What was there before stays; where nothing was,
    /// less is asked for. False where there is nothing less to ask for.
    fn limit(&mut self, said: String) -> bool {
        self.limited = Some(said);
        if self.present.is_empty() {
            self.until = if self.sent > FREE_PLAN { FREE_PLAN } else { self.sent / 2 };
            self.sent = 0;
        } else {
            self.until = self.sent;
        }
        self.until > 0
    }
}

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

struct Session {
    settings: Settings,
    symbols: HashSet<Symbol>,
    wanted: Vec<Symbol>,
    events: mpsc::Sender<StreamEvent>,
}

impl Session {
    /// Connects again and again, until an error is final or the receiver is gone.
    async fn run(&self) {
        let pace = self.settings.pace;
        let mut backoff = Backoff::new(pace.first_pause, pace.max_pause);
        let mut slow_backoff = Backoff::new(pace.slow_pause, pace.slow_pause * 10);
        loop {
            let (ended, live) = self.connection().await;
            backoff.worked_for(live);
            slow_backoff.worked_for(live);
            let is_final = ended.error.is_final();
            if self.events.send(StreamEvent::Disconnected(ended.error)).await.is_err() || is_final {
                return;
            }
            let pause = if ended.slow { slow_backoff.pause() } else { backoff.pause() };
            tokio::time::sleep(pause).await;
        }
    }

    /// One connection, from dialling to its end, and how long it was live.
    async fn connection(&self) -> (Ended, Duration) {
        let mut socket = match self.connect().await {
            Ok(socket) => socket,
            Err(ended) => return (ended, Duration::ZERO),
        };
        let mut live_since = None;
        let Err(ended) = self.converse(&mut socket, &mut live_since).await;
        let live = live_since.map_or(Duration::ZERO, |since: Instant| since.elapsed());
        // Polite, but not at any price: the other side may be gone.
        let _ = timeout(Duration::from_millis(200), socket.close(None)).await;
        (ended, live)
    }

    async fn connect(&self) -> Result<Socket, Ended> {
        let config = WebSocketConfig::default()
            .max_message_size(Some(MAX_MESSAGE))
            .max_frame_size(Some(MAX_MESSAGE))
            .max_write_buffer_size(4 * MAX_MESSAGE);
        let dialling = connect_async_with_config(self.settings.url.as_str(), Some(config), true);
        match timeout(self.settings.pace.handshake, dialling).await {
            Ok(Ok((socket, _))) => Ok(socket),
            Ok(Err(tungstenite::Error::Http(response))) => Err(refused(response.status().as_u16())),
            Ok(Err(error)) => Err(Ended::transient(format_args!("cannot be reached: {}", self.show(&error)))),
            Err(_) => Err(Ended::transient("cannot be reached: connecting took too long")),
        }
    }

    /// Everything said on an open connection, until it ends.
    async fn converse(
        &self,
        socket: &mut Socket,
        live_since: &mut Option<Instant>,
    ) -> Result<Infallible, Ended> {
        let pace = self.settings.pace;
        let mut phase = Phase::Greeting;
        let mut deadline = Instant::now() + pace.handshake;
        let mut pinged = false;
        loop {
            let until = match phase {
                Phase::Live => Instant::now() + if pinged { pace.pong } else { pace.ping },
                _ => deadline,
            };
            let frame = match timeout_at(until, socket.next()).await {
                Ok(Some(Ok(frame))) => frame,
                Ok(Some(Err(error))) => {
                    return Err(Ended::transient(format_args!("broke off: {}", self.show(&error))));
                }
                Ok(None) => return Err(Ended::transient("was closed")),
                Err(_) => match phase {
                    Phase::Live if !pinged => {
                        pinged = true;
                        self.say(socket, Frame::Ping(Vec::new().into())).await?;
                        continue;
                    }
                    Phase::Live => return Err(Ended::transient("has gone silent: it answers no ping")),
                    Phase::Greeting => return Err(Ended::transient("did not greet in time")),
                    Phase::Authenticating => {
                        return Err(Ended::transient("did not answer the authentication in time"));
                    }
                    Phase::Subscribing(_) => {
                        return Err(Ended::transient("did not answer the subscription in time"));
                    }
                },
            };
            pinged = false;
            let messages = match &frame {
                Frame::Text(text) => self.parse(text.as_bytes()).await,
                Frame::Binary(bytes) => self.parse(bytes).await,
                Frame::Close(reason) => {
                    let reason = reason.as_ref().map(|close| excerpt(&close.reason)).unwrap_or_default();
                    return Err(Ended::transient(format_args!("was closed by the server: `{reason}`")));
                }
                Frame::Ping(_) | Frame::Pong(_) | Frame::Frame(_) => continue,
            };
            for message in messages {
                match (message, &mut phase) {
                    (Message::Bar(bar), _) => self.bar(bar).await,
                    (Message::Reject(reject), _) => self.tell(StreamEvent::Rejected(reject)).await,
                    // 403: already authenticated.
                    (Message::Error { code: 403, .. }, _) => {}
                    (
                        message @ (Message::Subscribed(_) | Message::Error { code: LIMIT_EXCEEDED, .. }),
                        Phase::Subscribing(subscription),
                    ) => {
                        match message {
                            Message::Subscribed(names) => subscription.present = names,
                            Message::Error { message, .. } if !subscription.limit(self.redact(&message)) => {
                                return Err(self.error(LIMIT_EXCEEDED, &message));
                            }
                            _ => {}
                        }
                        if subscription.sent < subscription.until {
                            self.subscribe(socket, subscription).await?;
                            deadline = Instant::now() + pace.handshake;
                        } else {
                            *live_since = Some(Instant::now());
                            self.go_live(subscription).await;
                            phase = Phase::Live;
                        }
                    }
                    (Message::Error { code: LIMIT_EXCEEDED, message }, Phase::Live) => {
                        let (place, reason) = ("the stream".to_owned(), self.error(LIMIT_EXCEEDED, &message));
                        let reason = reason.error.message;
                        self.tell(StreamEvent::Rejected(Reject { place, reason })).await;
                    }
                    (Message::Error { code, message }, _) => return Err(self.error(code, &message)),
                    (Message::Success(text), Phase::Greeting) if text == "connected" => {
                        let auth = serde_json::json!({
                            "action": "auth", "key": self.settings.key_id, "secret": self.settings.secret_key,
                        });
                        self.say(socket, Frame::text(auth.to_string())).await?;
                        phase = Phase::Authenticating;
                        deadline = Instant::now() + pace.handshake;
                    }
                    (Message::Success(text), Phase::Authenticating) if text == "authenticated" => {
                        let mut subscription = Subscription::of(self.wanted.len());
                        self.subscribe(socket, &mut subscription).await?;
                        phase = Phase::Subscribing(subscription);
                        deadline = Instant::now() + pace.handshake;
                    }
                    (Message::Success(_) | Message::Subscribed(_), _) => {}
                }
            }
        }
    }

    async fn parse(&self, body: &[u8]) -> Vec<Message> {
        match parse::frame(body, |symbol| self.symbols.contains(&symbol), self.settings.feed) {
            Ok(messages) => messages,
            Err(error) => {
                let place = "the stream".to_owned();
                vec![Message::Reject(Reject { place, reason: self.redact(&error.message) })]
            }
        }
    }

    /// Subscribes as many of the next symbols as one message takes.
    async fn subscribe(&self, socket: &mut Socket, subscription: &mut Subscription) -> Result<(), Ended> {
        let next = subscription.until.min(subscription.sent + SUBSCRIBE);
        let names: Vec<&str> = self.wanted[subscription.sent..next].iter().map(Symbol::as_str).collect();
        let subscribe = serde_json::json!({ "action": "subscribe", "bars": names, "updatedBars": names });
        subscription.sent = next;
        self.say(socket, Frame::text(subscribe.to_string())).await
    }

    /// Tells that bars may come now, and of which symbols none will.
    async fn go_live(&self, subscription: &Subscription) {
        self.tell(StreamEvent::Connected).await;
        let names = &subscription.present;
        if names.iter().any(|name| name == "*") {
            return;
        }
        let present: HashSet<Symbol> = names.iter().filter_map(|name| name.parse().ok()).collect();
        let missing: Vec<Symbol> =
            self.wanted.iter().filter(|symbol| !present.contains(symbol)).copied().collect();
        if let Some(said) = &subscription.limited {
            let (wanted, streamed) = (self.wanted.len(), self.wanted.len() - missing.len());
            let polled: Vec<&str> = missing.iter().map(Symbol::as_str).collect();
            let reason = format!(
                "error {LIMIT_EXCEEDED}: {}: {streamed} of {wanted} symbols are streamed, the others only \
                 polled: {}",
                excerpt(said),
                excerpt(&polled.join(" ")),
            );
            return self.tell(StreamEvent::Rejected(Reject { place: "the stream".to_owned(), reason })).await;
        }
        for symbol in missing {
            let reason = "the provider did not subscribe it".to_owned();
            self.tell(StreamEvent::Rejected(Reject { place: symbol.to_string(), reason })).await;
        }
    }

    async fn bar(&self, bar: qqq_core::Bar) {
        if bar.start.start().duration_since(self.settings.clock.now()) > MAX_AHEAD {
            let place = format!("{} {}", bar.symbol, bar.start);
            let reason = "more than 2 minutes ahead of the clock".to_owned();
            return self.tell(StreamEvent::Rejected(Reject { place, reason })).await;
        }
        self.tell(StreamEvent::Bar(bar)).await;
    }

    /// Waits until the receiver has room. Where it is gone, the whole task is about to be dropped.
    async fn tell(&self, event: StreamEvent) {
        let _ = self.events.send(event).await;
    }

    async fn say(&self, socket: &mut Socket, frame: Frame) -> Result<(), Ended> {
        match timeout(self.settings.pace.handshake, socket.send(frame)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(Ended::transient(format_args!("broke off: {}", self.show(&error)))),
            Err(_) => Err(Ended::transient("takes no data")),
        }
    }

    /// What Alpaca's error codes mean.
    fn error(&self, code: u16, message: &str) -> Ended {
        let (kind, slow) = match code {
            402 => (FeedErrorKind::Auth, false),
            LIMIT_EXCEEDED | 408 | 409 | 410 | 411 => (FeedErrorKind::NotEntitled, false),
            400 => (FeedErrorKind::BadRequest, true),
            406 => (FeedErrorKind::RateLimited { retry_after: None }, true),
            _ => (FeedErrorKind::Transient, false),
        };
        let message = format!("alpaca's stream answered error {code}: {}", self.redact(message));
        Ended { error: FeedError::new(kind, message), slow }
    }

    fn show(&self, error: &tungstenite::Error) -> String {
        self.redact(&excerpt(&error.to_string()))
    }

    fn redact(&self, text: &str) -> String {
        text.replace(&self.settings.secret_key, "[redacted]").replace(&self.settings.key_id, "[redacted]")
    }
}

/// What a refusal of the WebSocket handshake means.
fn refused(status: u16) -> Ended {
    let (kind, slow) = match status {
        401 | 403 => (FeedErrorKind::Auth, false),
        429 => (FeedErrorKind::RateLimited { retry_after: None }, true),
        500..=599 => (FeedErrorKind::Transient, false),
        _ => (FeedErrorKind::BadRequest, true),
    };
    Ended { error: FeedError::new(kind, format!("alpaca's stream answered status {status}")), slow }
}
