//! What readers see, held in memory: built from the store at start, then told of every commit.
//!
//! [`Model`] is the writer's side: it takes changes and publishes an immutable [`Snapshot`] after each lot.
//! A ticker that did not change is shared between snapshots; an answer is made when the first reader asks.

use crate::snapshot::{Figured, Point, Snapshot, Ticker};
use jiff::Timestamp;
use qqq_core::{
    Alert, AlertId, Calendar, FeedMode, FeedStatus, Metric, Minute, Phase, Statistics, Symbol, Watchlist,
};
use qqq_store::{AlertQuery, BarRecord, Changes, Sequence, Store, StoreError};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Newest alerts kept in memory; older ones are read from the store.
pub(crate) const ALERTS_KEPT: usize = 500;
/// Symbols whose bars are read in one go at start: bounds the memory the rows take on their way in.
const SYMBOLS_PER_READ: usize = 200;

/// The state behind the snapshots.
pub(crate) struct Model {
    watchlist: Arc<Watchlist>,
    calendar: Arc<Calendar>,
    tickers: Vec<Arc<Ticker>>,
    /// Those that everybody may read, newest last.
    alerts: BTreeMap<(Minute, AlertId), Arc<Alert>>,
    feed: Option<FeedStatus>,
    sequence: Sequence,
}

/// What the calendar says of a minute. Bars arrive minute by minute, so the last answer is usually the next.
pub(crate) struct Judge<'a> {
    calendar: &'a Calendar,
    last: Option<(Minute, bool)>,
}

impl<'a> Judge<'a> {
    pub(crate) fn of(calendar: &'a Calendar) -> Self {
        Self { calendar, last: None }
    }

    pub(crate) fn counts(&mut self, minute: Minute) -> bool {
        match self.last {
            Some((known, counts)) if known == minute => counts,
            _ => {
                let counts = self.calendar.counts(minute);
                self.last = Some((minute, counts));
                counts
            }
        }
    }
}

impl Model {
    /// Reads what readers may ask for: 24 hours of bars per symbol, the figures, the newest alerts, the feed.
    pub(crate) async fn load(
        store: &dyn Store,
        watchlist: Arc<Watchlist>,
        calendar: Arc<Calendar>,
    ) -> Result<Self, StoreError> {
        // Taken first: what is committed while we read is seen again by the tail, which changes nothing.
        let sequence = store.sequence().await?;
        let mut model = Self::empty(watchlist, calendar, sequence);
        let symbols = model.watchlist.symbols().to_vec();
        for some in symbols.chunks(SYMBOLS_PER_READ) {
            let bars = store.recent_bars(some, Minute::PER_DAY).await?;
            model.take_bars(&bars);
            model.look_further_back(store, &bars).await?;
        }
        model.take_figures(&store.statistics().await?);
        model.load_previous_closes(store).await?;
        let newest = AlertQuery { limit: ALERTS_KEPT, ..AlertQuery::default() };
        model.take_alerts(store.alerts(newest).await?);
        model.feed = store.feed_status().await?;
        Ok(model)
    }

    fn empty(watchlist: Arc<Watchlist>, calendar: Arc<Calendar>, sequence: Sequence) -> Self {
        let tickers = watchlist.symbols().iter().map(|&symbol| Arc::new(Ticker::empty(symbol))).collect();
        Self { watchlist, calendar, tickers, alerts: BTreeMap::new(), feed: None, sequence }
    }

    /// The newest commit taken in.
    pub(crate) fn sequence(&self) -> Sequence {
        self.sequence
    }

    /// Takes in what was committed.
    pub(crate) fn apply(&mut self, changes: &Changes) {
        self.take_bars(changes.bars.iter().map(|one| &one.row));
        self.take_figures(changes.statistics.iter().map(|one| &one.row));
        self.take_alerts(
            changes.alerts.iter().map(|one| &one.row).filter(|alert| alert.is_public()).cloned(),
        );
        self.sequence = self.sequence.max(changes.sequence);
    }

    /// Takes in how the feed is doing. Says whether that is news.
    pub(crate) fn take_feed(&mut self, feed: Option<FeedStatus>) -> bool {
        let news = self.feed != feed;
        self.feed = feed;
        news
    }

    /// The minute it is for readers: by the wall clock on a live feed, by the feed's own clock otherwise.
    pub(crate) fn minute(&self, now: Timestamp) -> Minute {
        match &self.feed {
            Some(feed) if feed.mode != FeedMode::Live => Minute::containing(feed.clock),
            _ => Minute::containing(now),
        }
    }

    /// Everything as it stands.
    pub(crate) fn snapshot(&self, now: Timestamp) -> Snapshot {
        let minute = self.minute(now);
        Snapshot::new(
            self.sequence,
            now,
            minute,
            self.calendar.phase(minute),
            self.feed.clone(),
            self.tickers.clone(),
            self.alerts.values().rev().cloned().collect(),
        )
    }

    fn take_bars<'a>(&mut self, records: impl IntoIterator<Item = &'a BarRecord>) {
        let calendar = Arc::clone(&self.calendar);
        let mut judge = Judge::of(&calendar);
        let mut touched: Vec<usize> = Vec::new();
        for record in records {
            let Some(id) = self.watchlist.id(record.bar.symbol) else { continue };
            if !judge.counts(record.bar.start) {
                continue;
            }
            if Arc::make_mut(&mut self.tickers[id]).take(*record) {
                touched.push(id);
            }
        }
        touched.sort_unstable();
        touched.dedup();
        for id in touched {
            let ticker = Arc::make_mut(&mut self.tickers[id]);
            remember_previous_close(ticker, &calendar);
            ticker.forget_old();
        }
    }

    fn take_figures<'a>(&mut self, statistics: impl IntoIterator<Item = &'a Statistics>) {
        for one in statistics {
            if let Some(id) = self.watchlist.id(one.symbol) {
                Arc::make_mut(&mut self.tickers[id]).set_statistics(*one);
            }
        }
    }

    fn take_alerts(&mut self, alerts: impl IntoIterator<Item = Alert>) {
        for alert in alerts {
            self.alerts.insert((alert.start, alert.id), Arc::new(alert));
        }
        while self.alerts.len() > ALERTS_KEPT {
            self.alerts.pop_first();
        }
    }

    /// The store's newest bar of a symbol may be one that does not count (imported, or of hours that counted
    /// under another configuration). What was read then ends too early: reads a week for such symbols.
    async fn look_further_back(&mut self, store: &dyn Store, read: &[BarRecord]) -> Result<(), StoreError> {
        const WEEK: i32 = 7 * Minute::PER_DAY;
        let newest: BTreeMap<Symbol, Minute> =
            read.iter().map(|one| (one.bar.symbol, one.bar.start)).collect();
        for (symbol, newest) in newest {
            if self.calendar.counts(newest) {
                continue;
            }
            let week = newest.plus(-WEEK)..newest.plus(1);
            self.take_bars(&store.bars(symbol, week, WEEK as usize).await?);
        }
        Ok(())
    }

    /// A day's change wants the close of the session before, which the last 24 hours do not hold at a day's
    /// end or after a weekend: asks the store for it.
    async fn load_previous_closes(&mut self, store: &dyn Store) -> Result<(), StoreError> {
        /// Nearly every symbol trades in a session's last half hour.
        const LAST_MINUTES: i32 = 30;
        for id in 0..self.tickers.len() {
            let Some(newest) = self.tickers[id].newest() else { continue };
            let Some(session) = self.session_before(newest.bar.start) else { continue };
            let ticker = &self.tickers[id];
            if ticker.previous_close.is_some_and(|point| point.start >= session.start) {
                continue;
            }
            let symbol = ticker.symbol;
            let late = session.start.max(session.end.plus(-LAST_MINUTES))..session.end;
            let mut bars = store.bars(symbol, late, LAST_MINUTES as usize).await?;
            if bars.is_empty() {
                bars = store.bars(symbol, session, Minute::PER_DAY as usize).await?;
            }
            if let Some(last) = bars.last() {
                Arc::make_mut(&mut self.tickers[id]).previous_close = Some(Point::of(&last.bar));
            }
        }
        Ok(())
    }

    fn session_before(&self, minute: Minute) -> Option<std::ops::Range<Minute>> {
        session_before(&self.calendar, minute)
    }
}

/// The regular session of the trading day before the one of `minute`.
fn session_before(calendar: &Calendar, minute: Minute) -> Option<std::ops::Range<Minute>> {
    let midnight = calendar.midnight(calendar.date_of(minute));
    let before = calendar.tracked_until(midnight.plus(-1))?;
    let session = calendar.session_on(calendar.date_of(before.start))?;
    Some(session.open..session.close)
}

/// Keeps the last regular close of the trading day before the newest bar's. Asked before old bars are
/// forgotten; where that day left no bar in memory and none was kept, there is none.
fn remember_previous_close(ticker: &mut Ticker, calendar: &Calendar) {
    let Some(session) = ticker.newest().and_then(|newest| session_before(calendar, newest.bar.start)) else {
        ticker.previous_close = None;
        return;
    };
    let before = ticker.points().partition_point(|point| point.start < session.end);
    let in_memory = ticker.points()[..before].last().copied();
    ticker.previous_close = [in_memory, ticker.previous_close]
        .into_iter()
        .flatten()
        .filter(|point| session.contains(&point.start))
        .reduce(|one, other| if other.start > one.start { other } else { one });
}

/// The order of a ranking: largest first, ties by symbol, symbols without a value last.
pub(crate) fn rank(tickers: &[Arc<Ticker>], metric: Metric, by: Figured) -> Vec<u32> {
    let mut order: Vec<(Option<f64>, Symbol, u32)> = tickers
        .iter()
        .zip(0_u32..)
        .map(|(ticker, index)| {
            (ticker.figures(metric).and_then(|figures| by.of(&figures)), ticker.symbol, index)
        })
        .collect();
    order.sort_unstable_by(|(one, symbol, _), (other, other_symbol, _)| {
        match (one, other) {
            (Some(one), Some(other)) => other.total_cmp(one),
            (one, other) => other.is_some().cmp(&one.is_some()),
        }
        .then(symbol.cmp(other_symbol))
    });
    order.into_iter().map(|(_, _, index)| index).collect()
}

/// How long a live feed has been silent in a running session: the seconds since the newest bar of any symbol
/// ended or the session began. `None` for other feeds and outside the session.
pub(crate) fn silence(snapshot: &Snapshot, calendar: &Calendar, now: Timestamp) -> Option<i64> {
    let live = snapshot.feed.as_ref().is_some_and(|feed| feed.mode == FeedMode::Live);
    let minute = Minute::containing(now);
    if !live || calendar.phase(minute) != Phase::Regular {
        return None;
    }
    let opened = calendar.session_on(calendar.date_of(minute))?.open.start();
    let since = snapshot.newest_end().map_or(opened, |end| end.max(opened));
    Some(now.as_second() - since.as_second())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use qqq_core::calendar::Market;
    use qqq_core::{Bar, Figures, Price, Volume};
    use std::collections::HashMap;

    const SYMBOLS: [&str; 3] = ["AAPL", "MSFT", "TSLA"];

    fn symbol(text: &str) -> Symbol {
        text.parse().unwrap()
    }

    fn model(market: Market) -> Model {
        let watchlist = Watchlist::new(SYMBOLS.map(symbol), []).unwrap();
        Model::empty(Arc::new(watchlist), Arc::new(Calendar::new(market, false, [])), Sequence(0))
    }

    fn record(name: &str, start: Minute, close: i64) -> BarRecord {
        let price = Price::from_nanos(close).unwrap();
        let bar = Bar {
            symbol: symbol(name),
            start,
            open: price,
            high: price,
            low: price,
            close: price,
            volume: Volume::from_shares(close % 1000).unwrap(),
            vwap: None,
            trades: None,
            feed: "test".parse().unwrap(),
        };
        BarRecord { bar, revision: 0 }
    }

    fn at(text: &str) -> Minute {
        Minute::containing(text.parse().unwrap())
    }

    fn closes(model: &Model, id: usize) -> Vec<i64> {
        model.tickers[id].points().iter().map(|point| point.close).collect()
    }

    proptest! {
        /// The oracle keeps everything and picks what the contract says at the end.
        #[test]
        fn readers_see_the_closes_of_the_24_hours_up_to_the_newest_in_any_order_of_arrival(
            bars in prop::collection::vec((0_usize..4, 0..5_000_i32, 1..1_000_000_i64), 0..200),
            lots in 1_usize..20,
        ) {
            let names = ["AAPL", "MSFT", "TSLA", "IBM"];
            let monday = at("2025-01-27T00:00:00Z");
            let calendar = Calendar::new(Market::Xnas, false, []);
            let mut model = model(Market::Xnas);
            let mut oracle: HashMap<(usize, Minute), i64> = HashMap::new();
            for lot in bars.chunks(lots) {
                let records: Vec<_> =
                    lot.iter().map(|&(id, minute, close)| record(names[id], monday.plus(minute), close)).collect();
                model.take_bars(&records);
                oracle.extend(lot.iter().map(|&(id, minute, close)| ((id, monday.plus(minute)), close)));
            }
            for id in 0..SYMBOLS.len() {
                let mut of_symbol: Vec<(Minute, i64)> = oracle
                    .iter()
                    .filter(|((other, start), _)| *other == id && calendar.counts(*start))
                    .map(|((_, start), close)| (*start, *close))
                    .collect();
                of_symbol.sort_unstable();
                let newest = of_symbol.last().map(|(start, _)| *start);
                let day: Vec<i64> = of_symbol
                    .iter()
                    .filter(|(start, _)| newest.is_some_and(|newest| newest.since(*start) < Minute::PER_DAY))
                    .map(|(_, close)| *close)
                    .collect();
                prop_assert_eq!(closes(&model, id), day);
                prop_assert_eq!(model.tickers[id].newest().map(|one| one.bar.start), newest);
            }
        }
    }

    #[test]
    fn a_days_change_is_from_the_last_close_of_the_trading_day_before() {
        let mut model = model(Market::Xnas);
        let change = |model: &Model| model.tickers[0].day_change().map(|(amount, _)| amount);
        model.take_bars(&[record("AAPL", at("2025-01-17T15:00:00Z"), 100)]);
        assert_eq!(change(&model), None, "nothing before");
        model.take_bars(&[record("AAPL", at("2025-01-17T20:59:00Z"), 110)]);
        assert_eq!(change(&model), None, "the same day");
        // Monday was Martin Luther King Day: Tuesday follows Friday, three days and a half later.
        model.take_bars(&[record("AAPL", at("2025-01-21T14:30:00Z"), 120)]);
        assert_eq!(change(&model), Some(10));
        model.take_bars(&[record("AAPL", at("2025-01-21T20:59:00Z"), 150)]);
        assert_eq!(change(&model), Some(40));
        model.take_bars(&[record("AAPL", at("2025-01-17T20:59:00Z"), 111)]);
        assert_eq!(change(&model), Some(39), "the close was corrected");
        model.take_bars(&[record("AAPL", at("2025-01-17T20:58:00Z"), 1)]);
        assert_eq!(change(&model), Some(39), "an earlier minute was not the close");
        model.take_bars(&[record("AAPL", at("2025-01-23T14:30:00Z"), 160)]);
        assert_eq!(change(&model), None, "of the day between nothing is known");
        assert_eq!(model.tickers[0].points().len(), 1);
    }

    #[test]
    fn a_snapshot_does_not_change_when_the_model_does() {
        let mut model = model(Market::Always);
        model.take_bars(&[record("AAPL", Minute::from_index(10), 5)]);
        let before = model.snapshot(Timestamp::UNIX_EPOCH);
        model.take_bars(&[
            record("AAPL", Minute::from_index(11), 6),
            record("AAPL", Minute::from_index(10), 7),
        ]);
        let points = |snapshot: &Snapshot| snapshot.tickers[0].points().len();
        assert_eq!(points(&before), 1);
        let after = model.snapshot(Timestamp::UNIX_EPOCH);
        assert_eq!(points(&after), 2);
        assert!(Arc::ptr_eq(&before.tickers[1], &after.tickers[1]), "what did not change is shared");
    }

    #[test]
    fn a_ranking_is_largest_first_with_ties_by_symbol_and_the_unknown_last() {
        let mut model = model(Market::Always);
        let figures = |stdev| Figures { stdev, ..Figures::default() };
        for (name, stdev) in [("MSFT", Some(2.0)), ("TSLA", Some(2.0)), ("AAPL", None)] {
            let statistics = Statistics {
                symbol: symbol(name),
                start: Minute::from_index(0),
                feed: "test".parse().unwrap(),
                price: figures(stdev),
                volume: figures(stdev.map(|one| one * if name == "TSLA" { 2.0 } else { 1.0 })),
            };
            model.take_figures(&[statistics]);
        }
        let names = |metric, by| -> Vec<String> {
            let order = rank(&model.tickers, metric, by);
            order.iter().map(|&index| model.tickers[index as usize].symbol.to_string()).collect()
        };
        assert_eq!(names(Metric::Price, Figured::Stdev), ["MSFT", "TSLA", "AAPL"]);
        assert_eq!(names(Metric::Volume, Figured::Stdev), ["TSLA", "MSFT", "AAPL"]);
        assert_eq!(names(Metric::Price, Figured::RelativeStdev), ["AAPL", "MSFT", "TSLA"]);
    }
}
