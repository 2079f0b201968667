//! Bars of any cadence out of trades: pure, time comes in as data.
//!
//! A trade belongs to the bar of the time it was made at; within a bar trades are ordered by that time, then
//! by arrival. A bar is handed out once its time is over and a grace has passed. Trades that come later, are
//! corrected or cancelled change it, and it is handed out again as a revision, for some minutes.
//!
//! Only bars that were seen from their beginning to their end are handed out. One in which the connection
//! came up or was lost is dropped: a part of its volume would look like all of it, and there is nobody to ask
//! for the rest. An interval without a trade that may set a price has no bar.

use super::sums::{Order, Sums};
use super::trade::{Effect, Trade, TradeId, TradeName};
use crate::{Reject, StreamEvent};
use jiff::{SignedDuration, Timestamp};
use qqq_core::{Bar, Cadence, FeedLabel, Price, Second, Symbol, Volume};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;

/// How long after a bar's end it is handed out.
pub const GRACE: SignedDuration = SignedDuration::from_secs(2);
/// How long after a bar was handed out it may be again.
pub const REISSUE: SignedDuration = SignedDuration::from_secs(10);
/// How long after a bar's end its trades are still taken, corrected and cancelled. Exchanges have 10 seconds
/// to report; some reports are minutes late.
pub const LATE: SignedDuration = SignedDuration::from_mins(5);
/// How far ahead of the clock a trade may be before it is nonsense.
pub const AHEAD: SignedDuration = SignedDuration::from_mins(2);
/// Trades of one symbol that can be corrected or cancelled at the most; beyond, those of its oldest bars
/// become final. About 100 bytes each.
pub const MOST_NAMED: usize = 50_000;
/// How long a subscription takes to work, for one that nothing acknowledges.
const SETTLING: SignedDuration = SignedDuration::from_secs(2);

/// A trade that was told wrongly, and what it was instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Correction {
    /// As it was told.
    pub told: TradeName,
    /// What its exchange calls it now.
    pub id: TradeId,
    /// At what price it was made.
    pub price: Price,
    /// How much it was, in millionths of a share.
    pub size: i64,
    /// What it may change.
    pub effect: Effect,
}

/// Makes bars of trades.
#[derive(Debug)]
pub struct Aggregator {
    feed: FeedLabel,
    cadence: Cadence,
    symbols: HashMap<Symbol, Tape>,
    /// Bars that are to be handed out, by when.
    queue: BTreeSet<(Timestamp, Second, Symbol)>,
    /// The first bar that is seen from its beginning. `None` without a connection.
    whole_from: Option<Second>,
    /// Trades so far: their order of arrival.
    arrived: u64,
    newest: Timestamp,
    /// Bars that ended before are forgotten.
    forgotten: Second,
}

/// The bars of a symbol.
#[derive(Debug, Default)]
struct Tape {
    bars: BTreeMap<Second, Cell>,
    /// How many trades can be corrected or cancelled.
    named: usize,
    /// The close of the newest bar that is forgotten.
    before: Option<Price>,
}

/// One bar of one symbol.
#[derive(Debug, Default)]
struct Cell {
    /// Trades that nothing can change any more.
    settled: Sums,
    /// Those that can be corrected and cancelled.
    named: HashMap<TradeName, (Order, Effect)>,
    /// When it was last looked at.
    looked: Option<Timestamp>,
    /// Whether it was handed out.
    is_told: bool,
    /// When it is due, where it has changed since.
    due: Option<Timestamp>,
}

impl Cell {
    fn sums(&self) -> Sums {
        let mut sums = self.settled.clone();
        for (name, &(order, effect)) in &self.named {
            sums.add(order, name.price, name.size, effect);
        }
        sums
    }

    fn settle(&mut self) -> usize {
        self.settled = self.sums();
        let settled = self.named.len();
        self.named = HashMap::new();
        settled
    }
}

impl Aggregator {
    /// Has seen nothing.
    pub fn new(feed: FeedLabel, cadence: Cadence) -> Self {
        Self {
            feed,
            cadence,
            symbols: HashMap::new(),
            queue: BTreeSet::new(),
            whole_from: None,
            arrived: 0,
            newest: Timestamp::MIN,
            forgotten: Second::MIN,
        }
    }

    /// Trades were subscribed at `now`: from the next bar on, all of them are seen.
    pub fn connected(&mut self, now: Timestamp) {
        self.whole_from = Some(self.cadence.next_from(plus(now, SETTLING)));
    }

    /// The connection is gone. Bars not handed out yet are dropped; those that were stay open for late
    /// trades.
    pub fn disconnected(&mut self) {
        self.whole_from = None;
        for tape in self.symbols.values_mut() {
            tape.bars.retain(|_, cell| cell.looked.is_some());
            tape.named = tape.bars.values().map(|cell| cell.named.len()).sum();
        }
        let symbols = &self.symbols;
        self.queue.retain(|(_, start, symbol)| {
            symbols.get(symbol).is_some_and(|tape| tape.bars.contains_key(start))
        });
    }

    /// Takes a trade that arrived at `now`. One of a bar that was not wholly seen is passed over, as is one
    /// that is told again under its name; one that is far too late or ahead of time is refused.
    pub fn take(&mut self, trade: &Trade, now: Timestamp) -> Result<(), Reject> {
        let start = self.cadence.bar_of(trade.at);
        let reject = |reason: &str| Err(rejected(trade.symbol, trade.at, reason));
        if trade.at > plus(now, AHEAD) {
            return reject("a trade more than 2 minutes ahead of the clock");
        }
        if now > plus(self.cadence.end(start), LATE) {
            return reject("a trade of a bar that was over more than 5 minutes ago");
        }
        self.newest = self.newest.max(trade.at);
        let name = trade.name();
        if !trade.effect.volume && name.is_none() {
            return Ok(());
        }
        self.arrived += 1;
        let order = (trade.at, self.arrived);
        let is_whole = self.whole_from.is_some_and(|first| start >= first);
        let tape = self.symbols.entry(trade.symbol).or_default();
        let cell = match is_whole {
            true => tape.bars.entry(start).or_default(),
            false => match tape.bars.get_mut(&start) {
                Some(cell) => cell,
                None => return Ok(()),
            },
        };
        match name {
            Some(name) if cell.named.contains_key(&name) => return Ok(()),
            Some(name) => {
                cell.named.insert(name, (order, trade.effect));
                tape.named += 1;
            }
            None => cell.settled.add(order, trade.price, trade.size, trade.effect),
        }
        if tape.named > MOST_NAMED {
            tape.settle_oldest();
        }
        self.changed(trade.symbol, start);
        Ok(())
    }

    /// Takes a trade back. An error says that it is not known (any more).
    pub fn cancel(&mut self, name: &TradeName) -> Result<(), Reject> {
        self.replace(name, None)
    }

    /// Puts what a trade really was in its place, at its time. An error says that it is not known (any more).
    pub fn correct(&mut self, correction: &Correction) -> Result<(), Reject> {
        let Correction { told, id, price, size, effect } = *correction;
        self.replace(&told, Some((TradeName { symbol: told.symbol, id, price, size }, effect)))
    }

    fn replace(&mut self, told: &TradeName, by: Option<(TradeName, Effect)>) -> Result<(), Reject> {
        let found = self.symbols.get_mut(&told.symbol).and_then(|tape| {
            let place = |(&start, cell): (&Second, &mut Cell)| Some((start, cell.named.remove(told)?));
            let (start, (order, _)) = tape.bars.iter_mut().rev().find_map(place)?;
            tape.named -= 1;
            if let (Some((name, effect)), Some(cell)) = (by, tape.bars.get_mut(&start)) {
                let is_new = cell.named.insert(name, (order, effect)).is_none();
                tape.named += usize::from(is_new);
            }
            Some(start)
        });
        let Some(start) = found else {
            let TradeName { symbol, id, .. } = told;
            let what = if by.is_some() { "corrected" } else { "cancelled" };
            let reason = format!(
                "trade {} of exchange {} is {what}, but not known here (any more): its bar stays as it is",
                id.number, id.exchange
            );
            return Err(Reject { place: symbol.to_string(), reason });
        };
        self.changed(told.symbol, start);
        Ok(())
    }

    /// Notes that a bar is to be handed out (again).
    fn changed(&mut self, symbol: Symbol, start: Second) {
        let cell = self.symbols.get_mut(&symbol).and_then(|tape| tape.bars.get_mut(&start));
        let Some(cell) = cell.filter(|cell| cell.due.is_none()) else { return };
        let end = self.cadence.end(start);
        let due = cell.looked.map_or(plus(end, GRACE), |looked| plus(looked, REISSUE));
        cell.due = Some(due);
        self.queue.insert((due, start, symbol));
    }

    /// The time of the newest trade.
    pub fn newest(&self) -> Timestamp {
        self.newest
    }

    /// Whether a bar that starts at `start` was seen from its beginning, over the connection that stands.
    pub fn is_whole(&self, start: Second) -> bool {
        self.whole_from.is_some_and(|first| start >= first)
    }

    /// The bars to hand out, oldest first, given that all trades sent before `complete` have arrived: new
    /// ones, and those that late trades, corrections and cancels have changed.
    pub fn due(&mut self, complete: Timestamp) -> Vec<StreamEvent> {
        let mut due = BTreeSet::new();
        while let Some(&(at, start, symbol)) = self.queue.first()
            && at <= complete
        {
            self.queue.pop_first();
            due.insert((start, symbol));
        }
        let events = due.into_iter().filter_map(|(start, symbol)| self.hand_out(start, symbol, complete));
        let events = events.collect();
        self.forget(complete);
        events
    }

    fn hand_out(&mut self, start: Second, symbol: Symbol, complete: Timestamp) -> Option<StreamEvent> {
        let feed = self.feed;
        let tape = self.symbols.get_mut(&symbol)?;
        let cell = tape.bars.get_mut(&start)?;
        (cell.looked, cell.due) = (Some(complete), None);
        let bar = match (cell.sums().bar(symbol, start, feed), cell.is_told) {
            (Some(bar), _) => bar,
            // No trade has set its price so far.
            (None, false) => return None,
            (None, true) => tape.emptied(symbol, start, feed),
        };
        if let Some(cell) = tape.bars.get_mut(&start) {
            cell.is_told |= bar.is_ok();
        }
        Some(match bar {
            Ok(bar) => StreamEvent::Bar(bar),
            Err(reason) => StreamEvent::Rejected(Reject { place: format!("{symbol} {start}"), reason }),
        })
    }

    /// One bar over the trades of `time` that are remembered, as far as bars begin in it.
    pub fn bar_over(&self, symbol: Symbol, time: Range<Second>) -> Option<Result<Bar, String>> {
        let start = time.start;
        let mut sums = Sums::default();
        for cell in self.symbols.get(&symbol)?.bars.range(time).map(|(_, cell)| cell) {
            sums.merge(&cell.sums());
        }
        sums.bar(symbol, start, self.feed)
    }

    /// Forgets bars that are over for so long that nothing may change them.
    fn forget(&mut self, complete: Timestamp) {
        let late = complete.checked_sub(LATE).unwrap_or(Timestamp::MIN);
        let first = self.cadence.bar_of(late).plus_seconds(-self.cadence.seconds());
        if first <= self.forgotten {
            return;
        }
        self.forgotten = first;
        for tape in self.symbols.values_mut() {
            while let Some(oldest) = tape.bars.first_entry()
                && *oldest.key() < first
                && oldest.get().due.is_none()
            {
                let cell = oldest.remove();
                tape.named -= cell.named.len();
                tape.before = cell.sums().close().or(tape.before);
            }
        }
    }
}

impl Tape {
    /// Makes the trades of the oldest bar that has any of them final.
    fn settle_oldest(&mut self) {
        if let Some(cell) = self.bars.values_mut().find(|cell| !cell.named.is_empty()) {
            self.named -= cell.settle();
        }
    }

    /// What is told of a bar that was handed out and has lost all trades that made it: nothing was traded at
    /// a price, which stayed where it was before. A bar cannot be taken back, and the price of a trade that
    /// never was must not stand.
    fn emptied(&self, symbol: Symbol, start: Second, feed: FeedLabel) -> Result<Bar, String> {
        let before = self.bars.range(..start).rev().find_map(|(_, cell)| cell.sums().close()).or(self.before);
        let Some(price) = before else {
            return Err("all its trades were cancelled, and no price before it is known: it stays".to_owned());
        };
        Ok(Bar {
            symbol,
            start,
            open: price,
            high: price,
            low: price,
            close: price,
            volume: Volume::ZERO,
            vwap: None,
            trades: Some(0),
            feed,
        })
    }
}

fn rejected(symbol: Symbol, at: Timestamp, reason: &str) -> Reject {
    Reject { place: format!("{symbol} {at}"), reason: reason.to_owned() }
}

fn plus(at: Timestamp, by: SignedDuration) -> Timestamp {
    at.checked_add(by).unwrap_or(at)
}
