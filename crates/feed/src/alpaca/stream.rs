//! Alpaca's WebSocket stream of minute bars.
//!
//! A connection greets, is authenticated, subscribed, and then read until it ends. What it missed is refilled
//! by REST.

use super::parse::{self, Message};
use crate::excerpt::excerpt;
use crate::websocket::{self, Connection, Ended, ReconnectPolicy, StreamEndpoint};
use crate::{FeedErrorKind, Reject, StreamEvent};
use jiff::SignedDuration;
use qqq_core::{Clock, FeedLabel, Symbol};
use std::collections::{BTreeSet, HashSet};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// Symbols in one subscribe message.
const SUBSCRIBE: usize = 500;
/// Symbols of the free plan, by its description.
const FREE_PLAN: usize = 30;
/// The error of a subscription beyond the plan's number of symbols. What was subscribed before stays.
const LIMIT_EXCEEDED: u16 = 405;
/// How far ahead of the wall clock a bar may start before it is nonsense.
const MAX_AHEAD: SignedDuration = SignedDuration::from_mins(2);
/// A live connection waits for ever; its silence is noticed by pings.
const FOREVER: Duration = Duration::from_secs(3600);

/// Everything a connection needs.
#[derive(Clone)]
pub(super) struct Settings {
    pub(super) line: StreamEndpoint,
    pub(super) key_id: String,
    pub(super) secret_key: String,
    pub(super) feed: FeedLabel,
    pub(super) clock: Arc<dyn Clock>,
}

/// Starts a task that streams bars of `symbols` until the receiver is dropped or an error is final. `None`
/// for no symbols, and outside a tokio runtime.
pub(super) fn start(settings: &Settings, symbols: &[Symbol]) -> Option<mpsc::Receiver<StreamEvent>> {
    let symbols: BTreeSet<Symbol> = symbols.iter().copied().collect();
    if symbols.is_empty() {
        return None;
    }
    websocket::start(|events| {
        let session = Session {
            settings: settings.clone(),
            symbols: symbols.iter().copied().collect(),
            wanted: symbols.into_iter().collect(),
            events,
        };
        async move { session.run().await }
    })
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

struct Session {
    settings: Settings,
    symbols: HashSet<Symbol>,
    wanted: Vec<Symbol>,
    events: mpsc::Sender<StreamEvent>,
}

impl Session {
    /// Connects again and again, until an error is final or the receiver is gone.
    async fn run(&self) {
        let mut reconnect = ReconnectPolicy::new(self.settings.line.pace);
        loop {
            let (ended, live) = self.connection().await;
            if !reconnect.after(ended, live, &self.events).await {
                return;
            }
        }
    }

    /// One connection, from dialling to its end, and how long it was live.
    async fn connection(&self) -> (Ended, Duration) {
        let mut connection = match self.settings.line.dial().await {
            Ok(connection) => connection,
            Err(ended) => return (ended, Duration::ZERO),
        };
        let mut live_since = None;
        let Err(ended) = self.converse(&mut connection, &mut live_since).await;
        let live = live_since.map_or(Duration::ZERO, |since: Instant| since.elapsed());
        connection.close().await;
        (ended, live)
    }

    /// Everything said on an open connection, until it ends.
    async fn converse(
        &self,
        connection: &mut Connection<'_>,
        live_since: &mut Option<Instant>,
    ) -> Result<Infallible, Ended> {
        let line = &self.settings.line;
        let mut phase = Phase::Greeting;
        let mut deadline = Instant::now() + line.pace.handshake;
        loop {
            let until = match phase {
                Phase::Live => Instant::now() + FOREVER,
                _ => deadline,
            };
            let Some(frame) = connection.hear(until).await? else {
                match phase {
                    Phase::Live => continue,
                    Phase::Greeting => return Err(line.broken("did not greet in time")),
                    Phase::Authenticating => {
                        return Err(line.broken("did not answer the authentication in time"));
                    }
                    Phase::Subscribing(_) => {
                        return Err(line.broken("did not answer the subscription in time"));
                    }
                }
            };
            let messages = self.parse(&frame);
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
                            Message::Error { message, .. }
                                if !subscription.limit(self.settings.line.redact(&message)) =>
                            {
                                return Err(self.error(LIMIT_EXCEEDED, &message));
                            }
                            _ => {}
                        }
                        if subscription.sent < subscription.until {
                            self.subscribe(connection, subscription).await?;
                            deadline = Instant::now() + line.pace.handshake;
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
                        connection.tell(&auth).await?;
                        phase = Phase::Authenticating;
                        deadline = Instant::now() + line.pace.handshake;
                    }
                    (Message::Success(text), Phase::Authenticating) if text == "authenticated" => {
                        let mut subscription = Subscription::of(self.wanted.len());
                        self.subscribe(connection, &mut subscription).await?;
                        phase = Phase::Subscribing(subscription);
                        deadline = Instant::now() + line.pace.handshake;
                    }
                    (Message::Success(_) | Message::Subscribed(_), _) => {}
                }
            }
        }
    }

    fn parse(&self, body: &[u8]) -> Vec<Message> {
        match parse::frame(body, |symbol| self.symbols.contains(&symbol), self.settings.feed) {
            Ok(messages) => messages,
            Err(error) => {
                let place = "the stream".to_owned();
                vec![Message::Reject(Reject { place, reason: self.settings.line.redact(&error.message) })]
            }
        }
    }

    /// Subscribes as many of the next symbols as one message takes.
    async fn subscribe(
        &self,
        connection: &mut Connection<'_>,
        subscription: &mut Subscription,
    ) -> Result<(), Ended> {
        let next = subscription.until.min(subscription.sent + SUBSCRIBE);
        let names: Vec<&str> = self.wanted[subscription.sent..next].iter().map(Symbol::as_str).collect();
        let subscribe = serde_json::json!({ "action": "subscribe", "bars": names, "updatedBars": names });
        subscription.sent = next;
        connection.tell(&subscribe).await
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

    /// What Alpaca's error codes mean.
    fn error(&self, code: u16, message: &str) -> Ended {
        let (kind, slow) = match code {
            402 => (FeedErrorKind::Auth, false),
            LIMIT_EXCEEDED | 408 | 409 | 410 | 411 => (FeedErrorKind::NotEntitled, false),
            400 => (FeedErrorKind::BadRequest, true),
            406 => (FeedErrorKind::RateLimited { retry_after: None }, true),
            _ => (FeedErrorKind::Transient, false),
        };
        let message = self.settings.line.redact(message);
        self.settings.line.ended(kind, slow, format_args!("answered error {code}: {message}"))
    }
}
