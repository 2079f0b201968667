//! Alpaca's WebSocket stream: of minute bars, or of trades that become shorter bars.
//!
//! A connection greets, is authenticated, subscribed, and then read until it ends. What it missed of minute
//! bars is refilled by REST.

use super::parse::{self, Message};
use super::trade_bars::TradeBars;
use crate::excerpt::excerpt;
use crate::websocket::{self, Connection, Ended, ReconnectPolicy, StreamEndpoint, TICK};
use crate::{FeedErrorKind, Reject, StreamEvent};
use jiff::{SignedDuration, Timestamp};
use qqq_core::{Cadence, Clock, FeedLabel, Symbol};
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
    pub(super) cadence: Cadence,
    /// How far behind the market the feed is on purpose.
    pub(super) delay: SignedDuration,
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
        let mut trades =
            (settings.cadence != Cadence::Sixty).then(|| TradeBars::new(settings.feed, settings.cadence));
        async move { session.run(trades.as_mut()).await }
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
    /// Whether their minute bars are: always, but where trades alone are as much as the plan takes.
    bars: bool,
    /// How many shall be.
    until: usize,
    /// How many were asked for so far.
    sent: usize,
    /// Those that the server has acknowledged, of earlier messages.
    present: Vec<String>,
    /// Those whose minute bars it has.
    present_bars: Vec<String>,
    /// What the server said where it took fewer than all.
    limited: Option<String>,
}

impl Subscription {
    fn of(wanted: usize) -> Self {
        Self {
            bars: true,
            until: wanted,
            sent: 0,
            present: Vec::new(),
            present_bars: Vec::new(),
            limited: None,
        }
    }

    /// Takes in that the last message asked for too much. What was there before stays; where nothing was,
    /// less is asked for. False where there is nothing less to ask for.
    fn limit(&mut self, said: String, with_trades: bool) -> bool {
        if self.present.is_empty() && self.bars && with_trades {
            // Whether minute bars count beside trades is not documented: they are the ones to do without.
            (self.bars, self.sent) = (false, 0);
            return true;
        }
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
    async fn run(&self, mut trades: Option<&mut TradeBars>) {
        let mut reconnect = ReconnectPolicy::new(self.settings.line.pace);
        loop {
            let (ended, live) = self.connection(trades.as_deref_mut()).await;
            if let Some(trades) = trades.as_deref_mut() {
                trades.disconnected();
            }
            if !reconnect.after(ended, live, &self.events).await {
                return;
            }
        }
    }

    /// One connection, from dialling to its end, and how long it was live.
    async fn connection(&self, trades: Option<&mut TradeBars>) -> (Ended, Duration) {
        let mut connection = match self.settings.line.dial().await {
            Ok(connection) => connection,
            Err(ended) => return (ended, Duration::ZERO),
        };
        let mut live_since = None;
        let Err(ended) = self.converse(&mut connection, trades, &mut live_since).await;
        let live = live_since.map_or(Duration::ZERO, |since: Instant| since.elapsed());
        connection.close().await;
        (ended, live)
    }

    /// Everything said on an open connection, until it ends.
    async fn converse(
        &self,
        connection: &mut Connection<'_>,
        mut trades: Option<&mut TradeBars>,
        live_since: &mut Option<Instant>,
    ) -> Result<Infallible, Ended> {
        let line = &self.settings.line;
        let mut phase = Phase::Greeting;
        let mut deadline = Instant::now() + line.pace.handshake;
        loop {
            let until = match phase {
                Phase::Live if trades.is_some() => Instant::now() + TICK,
                Phase::Live => Instant::now() + FOREVER,
                _ => deadline,
            };
            let Some(frame) = connection.hear(until).await? else {
                match phase {
                    Phase::Live => {
                        self.hand_out(connection, trades.as_deref_mut(), false).await;
                        continue;
                    }
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
                    (Message::Bar(bar), _) => self.bar(bar, trades.as_deref_mut()).await,
                    (Message::Tape(told), _) => {
                        let now = self.market_time(self.settings.clock.now());
                        let taken = trades.as_deref_mut().map(|trades| trades.take(&told, now));
                        if let Some(Err(reject)) = taken {
                            self.tell(StreamEvent::Rejected(reject)).await;
                        }
                    }
                    (Message::Reject(reject), _) => self.tell(StreamEvent::Rejected(reject)).await,
                    // 403: already authenticated.
                    (Message::Error { code: 403, .. }, _) => {}
                    (
                        message @ (Message::Subscribed { .. } | Message::Error { code: LIMIT_EXCEEDED, .. }),
                        Phase::Subscribing(subscription),
                    ) => {
                        match message {
                            Message::Subscribed { bars, trades: names } => {
                                let present = if trades.is_some() { names } else { bars.clone() };
                                (subscription.present, subscription.present_bars) = (present, bars);
                            }
                            Message::Error { message, .. }
                                if !subscription
                                    .limit(self.settings.line.redact(&message), trades.is_some()) =>
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
                            self.go_live(subscription, trades.as_deref_mut()).await;
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
                    (Message::Success(_) | Message::Subscribed { .. }, _) => {}
                }
            }
            if matches!(phase, Phase::Live) {
                self.hand_out(connection, trades.as_deref_mut(), true).await;
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
        let mut subscribe = serde_json::json!({ "action": "subscribe" });
        if subscription.bars {
            (subscribe["bars"], subscribe["updatedBars"]) = (names.clone().into(), names.clone().into());
        }
        if self.settings.cadence != Cadence::Sixty {
            subscribe["trades"] = names.into();
        }
        subscription.sent = next;
        connection.tell(&subscribe).await
    }

    /// Tells that bars may come now, and of which symbols none will.
    async fn go_live(&self, subscription: &Subscription, trades: Option<&mut TradeBars>) {
        let (present, missing) = self.present_and_missing(&subscription.present);
        let (now, polled) = (self.market_time(self.settings.clock.now()), trades.is_none());
        self.tell(StreamEvent::Connected).await;
        if let Some(trades) = trades {
            let (checked, _) = self.present_and_missing(&subscription.present_bars);
            trades.connected(checked.into_iter().collect(), now);
            for symbol in trades.misses(&missing) {
                self.tell(StreamEvent::SymbolProblem { symbol, problem: None }).await;
            }
            if !subscription.bars {
                let reason = "the plan takes no minute bars beside the trades: those made of trades are not \
                              compared with them";
                self.reject("the stream".to_owned(), reason.to_owned()).await;
            }
        }
        if missing.is_empty() {
            return;
        }
        if let Some(said) = &subscription.limited {
            let (wanted, streamed) = (self.wanted.len(), present.len());
            let others: Vec<&str> = missing.iter().map(Symbol::as_str).collect();
            let what = if polled { "only polled" } else { "without any bars" };
            let reason = format!(
                "error {LIMIT_EXCEEDED}: {}: {streamed} of {wanted} symbols are streamed, \
                 the others {what}: {}",
                excerpt(said),
                excerpt(&others.join(" ")),
            );
            self.reject("the stream".to_owned(), reason).await;
        }
        for symbol in missing {
            if !polled {
                let problem = match &subscription.limited {
                    Some(_) => "alpaca does not stream it: the plan takes no more symbols".to_owned(),
                    None => "alpaca does not stream it".to_owned(),
                };
                self.tell(StreamEvent::SymbolProblem { symbol, problem: Some(problem) }).await;
            }
            if subscription.limited.is_none() {
                self.reject(symbol.to_string(), "the provider did not subscribe it".to_owned()).await;
            }
        }
    }

    /// The wanted symbols that are among these names, and those that are not.
    fn present_and_missing(&self, names: &[String]) -> (Vec<Symbol>, Vec<Symbol>) {
        let all = names.iter().any(|name| name == "*");
        let present: HashSet<Symbol> = names.iter().filter_map(|name| name.parse().ok()).collect();
        self.wanted.iter().partition(|symbol| all || present.contains(symbol))
    }

    /// Hands out bars of trades that are due. More may wait behind a frame, if nobody read for a while: then
    /// nothing is complete beyond its trades.
    async fn hand_out(&self, connection: &Connection<'_>, trades: Option<&mut TradeBars>, is_busy: bool) {
        let Some(trades) = trades else { return };
        let mut complete = self.market_time(connection.heard_at(&*self.settings.clock));
        if is_busy {
            complete = complete.min(trades.newest());
        }
        for event in trades.due(complete) {
            self.tell(event).await;
        }
    }

    async fn bar(&self, bar: qqq_core::Bar, trades: Option<&mut TradeBars>) {
        if bar.start.start().duration_since(self.settings.clock.now()) > MAX_AHEAD {
            let place = format!("{} {}", bar.symbol, bar.start);
            return self.reject(place, "more than 2 minutes ahead of the clock".to_owned()).await;
        }
        match trades {
            Some(trades) => trades.take_minute(bar),
            None => self.tell(StreamEvent::Bar(bar)).await,
        }
    }

    /// The moment of the market that the feed shows at a time.
    fn market_time(&self, at: Timestamp) -> Timestamp {
        at.checked_sub(self.settings.delay).unwrap_or(at)
    }

    async fn reject(&self, place: String, reason: String) {
        self.tell(StreamEvent::Rejected(Reject { place, reason })).await;
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
