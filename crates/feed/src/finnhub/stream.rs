//! Finnhub's WebSocket stream of trades, made into bars.
//!
//! The key is in the address; each symbol is subscribed by a message of its own, and nothing is acknowledged.
//! One connection of a key is allowed: a second one refuses or ends the first, which then comes back ever
//! more rarely.

use super::parse;
use super::repeats::Repeats;
use crate::trades::Aggregator;
use crate::websocket::{self, Connection, Ended, ReconnectPolicy, StreamEndpoint, TICK};
use crate::{FeedErrorKind, Reject, StreamEvent};
use qqq_core::{Cadence, Clock, FeedLabel, Symbol};
use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// Everything a connection needs.
#[derive(Clone)]
pub(super) struct Settings {
    pub(super) line: StreamEndpoint,
    pub(super) feed: FeedLabel,
    pub(super) cadence: Cadence,
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
        let aggregator = Aggregator::new(settings.feed, settings.cadence);
        let session = Session { settings: settings.clone(), symbols, events };
        async move { session.run(aggregator).await }
    })
}

/// What has come over a connection so far.
#[derive(Default)]
struct SoFar {
    /// Refusals of access. Each is of one symbol or of all, and does not say of which.
    refusals: usize,
    trades: bool,
}

impl SoFar {
    /// Whether nothing is left of `symbols` that were subscribed: each was refused, and none was traded.
    fn is_refused_whole(&self, symbols: usize) -> bool {
        !self.trades && self.refusals >= symbols
    }
}

struct Session {
    settings: Settings,
    symbols: BTreeSet<Symbol>,
    events: mpsc::Sender<StreamEvent>,
}

impl Session {
    /// Connects again and again, until an error is final or the receiver is gone.
    async fn run(&self, mut aggregator: Aggregator) {
        let mut reconnect = ReconnectPolicy::new(self.settings.line.pace);
        let mut repeats = Repeats::default();
        loop {
            let (ended, live) = self.connection(&mut aggregator, &mut repeats).await;
            aggregator.disconnected();
            if !reconnect.after(ended, live, &self.events).await {
                return;
            }
        }
    }

    /// One connection, from dialling to its end, and how long it was live.
    async fn connection(&self, aggregator: &mut Aggregator, repeats: &mut Repeats) -> (Ended, Duration) {
        let mut connection = match self.settings.line.dial().await {
            Ok(connection) => connection,
            Err(ended) => return (ended, Duration::ZERO),
        };
        let mut live_since = None;
        let Err(ended) = self.listen(&mut connection, aggregator, repeats, &mut live_since).await;
        let live = live_since.map_or(Duration::ZERO, |since: Instant| since.elapsed());
        connection.close().await;
        (ended, live)
    }

    /// Subscribes, then hears trades and hands out bars, until the connection ends.
    async fn listen(
        &self,
        connection: &mut Connection<'_>,
        aggregator: &mut Aggregator,
        repeats: &mut Repeats,
        live_since: &mut Option<Instant>,
    ) -> Result<Infallible, Ended> {
        for symbol in &self.symbols {
            let subscribe = serde_json::json!({ "type": "subscribe", "symbol": symbol.as_str() });
            connection.tell(&subscribe).await?;
        }
        *live_since = Some(Instant::now());
        aggregator.connected(self.settings.clock.now());
        self.tell(StreamEvent::Connected).await;
        let mut so_far = SoFar::default();
        loop {
            let frame = connection.hear(Instant::now() + TICK).await?;
            let mut complete = connection.heard_at(&*self.settings.clock);
            if let Some(frame) = frame {
                self.take(&frame, aggregator, repeats, &mut so_far).await?;
                // More may wait behind it, if nobody read for a while.
                complete = complete.min(aggregator.newest());
            }
            for event in aggregator.due(complete) {
                self.tell(event).await;
            }
        }
    }

    async fn take(
        &self,
        frame: &[u8],
        aggregator: &mut Aggregator,
        repeats: &mut Repeats,
        so_far: &mut SoFar,
    ) -> Result<(), Ended> {
        let line = &self.settings.line;
        let told = match parse::message(frame, |symbol| self.symbols.contains(&symbol)) {
            Ok(told) => told,
            Err(error) => {
                self.reject(line.redact(&error.message)).await;
                return Ok(());
            }
        };
        so_far.trades |= !told.trades.is_empty();
        let now = self.settings.clock.now();
        let fresh = repeats.strip(&told.trades, now);
        let refused = fresh.iter().filter_map(|trade| aggregator.take(trade, now).err());
        for reject in told.rejects.into_iter().chain(refused) {
            self.tell(StreamEvent::Rejected(reject)).await;
        }
        let Some(said) = told.error else { return Ok(()) };
        let said = line.redact(&said);
        let complaint = complaint(&said);
        so_far.refusals += usize::from(complaint == Some(FeedErrorKind::NotEntitled));
        match complaint {
            Some(kind) if kind == FeedErrorKind::Auth || so_far.is_refused_whole(self.symbols.len()) => {
                Err(line.ended(kind, false, format_args!("answered: {said}")))
            }
            _ => {
                // It may concern one symbol, and the others go on. What concerns the connection ends it.
                self.reject(format!("the server complains: {said}")).await;
                Ok(())
            }
        }
    }

    async fn reject(&self, reason: String) {
        self.tell(StreamEvent::Rejected(Reject { place: "the stream".to_owned(), reason })).await;
    }

    /// Waits until the receiver has room. Where it is gone, the whole task is about to be dropped.
    async fn tell(&self, event: StreamEvent) {
        let _ = self.events.send(event).await;
    }
}

/// The complaints that are known to be final, for all symbols or for one, by the texts of the REST interface.
fn complaint(said: &str) -> Option<FeedErrorKind> {
    match said.to_ascii_lowercase() {
        said if said.contains("api key") => Some(FeedErrorKind::Auth),
        said if said.contains("don't have access") => Some(FeedErrorKind::NotEntitled),
        _ => None,
    }
}
