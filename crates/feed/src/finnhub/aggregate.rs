//! One-minute bars out of trades: pure, time comes in as data.
//!
//! Trades are put into minutes by the time they were made at; within a minute they are ordered by that time,
//! then by arrival. A bar is handed out once its minute is over and a grace has passed. Trades that come
//! later change it, and it is handed out again as a revision, for some minutes.
//!
//! Only minutes that were seen from their beginning to their end become bars. One in which the connection
//! came up or was lost is dropped: a part of its volume would look like all of it, and there is nobody to ask
//! for the rest.

pub use super::trade::{SHARE, Trade};

use super::repeats::Repeats;
use crate::{Reject, StreamEvent};
use jiff::{SignedDuration, Timestamp};
use qqq_core::decimal::divide_half_even;
use qqq_core::{Bar, FeedLabel, Price, Second, Symbol, Volume};
use std::collections::BTreeMap;

/// How long after a minute its bar is handed out.
pub const GRACE: SignedDuration = SignedDuration::from_secs(2);
/// How long after a bar was handed out it may be again.
pub const REISSUE: SignedDuration = SignedDuration::from_secs(10);
/// How long after a minute its trades are still taken. Exchanges have 10 seconds to report; some reports are
/// minutes late.
pub const LATE: SignedDuration = SignedDuration::from_mins(5);
/// How far ahead of the clock a trade may be before it is nonsense.
pub const AHEAD: SignedDuration = SignedDuration::from_mins(2);
/// How long a subscription takes to work. Nothing acknowledges it.
const SETTLING: SignedDuration = SignedDuration::from_secs(2);

/// Makes bars of trades.
#[derive(Debug)]
pub struct Aggregator {
    feed: FeedLabel,
    minutes: BTreeMap<(Second, Symbol), Cell>,
    /// The first minute that is seen from its beginning. `None` without a connection.
    whole_from: Option<Second>,
    /// Trades so far: their order of arrival.
    arrived: u64,
    newest: Timestamp,
    repeats: Repeats,
}

impl Aggregator {
    /// Has seen nothing.
    pub fn new(feed: FeedLabel) -> Self {
        Self {
            feed,
            minutes: BTreeMap::new(),
            whole_from: None,
            arrived: 0,
            newest: Timestamp::MIN,
            repeats: Repeats::default(),
        }
    }

    /// Trades were subscribed at `now`: from the next minute on, all of them are seen.
    pub fn connected(&mut self, now: Timestamp) {
        let settled = plus(now, SETTLING);
        let minute = Second::minute_of(settled);
        self.whole_from = Some(if minute.start() == settled { minute } else { minute.plus_minutes(1) });
    }

    /// The connection is gone. Minutes not handed out yet are dropped; those that were stay open for late
    /// trades.
    pub fn disconnected(&mut self) {
        self.whole_from = None;
        self.minutes.retain(|_, cell| cell.issued.is_some());
    }

    /// Takes the trades of one message that arrived at `now`, but for those that earlier messages of the last
    /// seconds have told. Answers what was refused.
    pub fn take_message(&mut self, message: &[Trade], now: Timestamp) -> Vec<Reject> {
        let fresh = self.repeats.strip(message, now);
        fresh.iter().filter_map(|trade| self.take(trade, now).err()).collect()
    }

    /// Takes a trade that arrived at `now`. One of a minute that was not wholly seen is passed over; one that
    /// is far too late or ahead of time is refused.
    pub fn take(&mut self, trade: &Trade, now: Timestamp) -> Result<(), Reject> {
        let minute = Second::minute_of(trade.at);
        let reject = |reason: &str| {
            Err(Reject { place: format!("{} {}", trade.symbol, trade.at), reason: reason.to_owned() })
        };
        if trade.at > plus(now, AHEAD) {
            return reject("a trade more than 2 minutes ahead of the clock");
        }
        if now > plus(minute.minute_end(), LATE) {
            return reject("a trade of a minute that was over more than 5 minutes ago");
        }
        self.newest = self.newest.max(trade.at);
        if !trade.effect.volume {
            return Ok(());
        }
        self.arrived += 1;
        let order = (trade.at, self.arrived);
        let is_whole = self.whole_from.is_some_and(|first| minute >= first);
        let key = (minute, trade.symbol);
        if is_whole {
            self.minutes.entry(key).or_default().add(trade, order);
        } else if let Some(cell) = self.minutes.get_mut(&key) {
            cell.add(trade, order);
        }
        Ok(())
    }

    /// The time of the newest trade.
    pub fn newest(&self) -> Timestamp {
        self.newest
    }

    /// The bars to hand out, oldest first, given that all trades sent before `complete` have arrived: new
    /// ones, and those that late trades have changed.
    pub fn due(&mut self, complete: Timestamp) -> Vec<StreamEvent> {
        let mut events = Vec::new();
        for (&(minute, symbol), cell) in &mut self.minutes {
            let from = cell.issued.map_or(plus(minute.minute_end(), GRACE), |issued| plus(issued, REISSUE));
            if cell.changed && complete >= from {
                match cell.bar(symbol, minute, self.feed) {
                    None => {}
                    Some(Ok(bar)) => events.push(StreamEvent::Bar(bar)),
                    Some(Err(reason)) => {
                        let place = format!("{symbol} {minute}");
                        events.push(StreamEvent::Rejected(Reject { place, reason }));
                    }
                }
                cell.issued = Some(complete);
                cell.changed = false;
            }
        }
        self.minutes.retain(|(minute, _), cell| complete <= plus(minute.minute_end(), LATE) || cell.changed);
        events
    }
}

/// One minute of one symbol.
#[derive(Debug, Default)]
struct Cell {
    regular: Prices,
    extended: Prices,
    /// Millionths of shares.
    size: i128,
    /// 1e-9 dollars times millionths of shares.
    notional: i128,
    trades: u32,
    /// When it was last handed out (or looked at in vain: without a price there is no bar).
    issued: Option<Timestamp>,
    /// Since then.
    changed: bool,
}

/// When a trade was made, and as which it arrived.
type Order = (Timestamp, u64);

#[derive(Debug, Default)]
struct Prices {
    open: Option<(Order, Price)>,
    close: Option<(Order, Price)>,
    low: Option<Price>,
    high: Option<Price>,
}

impl Cell {
    fn add(&mut self, trade: &Trade, order: Order) {
        let Trade { price, effect, .. } = *trade;
        let prices = if effect.extended { &mut self.extended } else { &mut self.regular };
        if effect.last {
            let one = (order, price);
            prices.open = Some(prices.open.map_or(one, |open| open.min(one)));
            prices.close = Some(prices.close.map_or(one, |close| close.max(one)));
        }
        if effect.range {
            prices.low = Some(prices.low.map_or(price, |low| low.min(price)));
            prices.high = Some(prices.high.map_or(price, |high| high.max(price)));
        }
        let size = i128::from(trade.size);
        self.size = self.size.saturating_add(size);
        self.notional = self.notional.saturating_add(size * i128::from(price.nanos()));
        self.trades = self.trades.saturating_add(1);
        self.changed = true;
    }

    /// The bar of the trades so far. `None` where no trade may set a first and last price.
    fn bar(&self, symbol: Symbol, start: Second, feed: FeedLabel) -> Option<Result<Bar, String>> {
        let prices = if self.regular.open.is_some() { &self.regular } else { &self.extended };
        let (open, close) = (prices.open?.1, prices.close?.1);
        let (low, high) = (prices.low?, prices.high?);
        let bar = || {
            let shares = i64::try_from(divide_half_even(self.size, SHARE.into()))
                .map_err(|_| "a volume out of range".to_owned())?;
            // A trade's size is above 0, and an average lies between what it averages.
            let vwap = i64::try_from(divide_half_even(self.notional, self.size.max(1))).ok();
            let vwap = vwap.and_then(|nanos| Price::from_nanos(nanos).ok());
            let bar = Bar {
                symbol,
                start,
                open,
                high,
                low,
                close,
                volume: Volume::from_shares(shares).map_err(|error| format!("volume {shares}: {error}"))?,
                vwap,
                trades: Some(self.trades),
                feed,
            };
            bar.validate().map_err(|error| error.to_string())
        };
        Some(bar())
    }
}

fn plus(at: Timestamp, by: SignedDuration) -> Timestamp {
    at.checked_add(by).unwrap_or(at)
}
