//! What readers see, held in memory: built from the store at start, then told of every commit.
//!
//! [`Model`] is the writer's side: it takes changes and publishes an immutable [`Snapshot`] after each
//! commit. A ticker that did not change is shared between snapshots; an answer is made when the first reader
//! asks.

use crate::read_model::session_filter::SessionFilter;
use crate::read_model::snapshot::{ALERTS_KEPT, Snapshot};
use crate::read_model::ticker::Ticker;
use jiff::Timestamp;
use jiff::civil::Date;
use qqq_core::market::names::Names;
use qqq_core::statistics::profile::Profile;
use qqq_core::{Alert, AlertId, Calendar, FeedLabel, FeedMode, FeedStatus, Second, Statistics, Symbol};
use qqq_engine::watchlist::VersionedWatchlist;
use qqq_store::{AlertQuery, BarRecord, Changes, Sequence, Store, StoreError, SymbolNames};
use std::collections::{BTreeMap, BTreeSet};
use std::mem;
use std::ops::Range;
use std::sync::Arc;

/// Symbols whose bars are read in one go at start: bounds the memory the rows take on their way in.
const SYMBOLS_PER_READ: usize = 200;
/// Tickers whose earlier sessions are read in one go: news wait so long.
const PROFILES_AT_ONCE: usize = 32;

/// The state behind the snapshots.
#[derive(Clone)]
pub(crate) struct Model {
    watchlist: Arc<VersionedWatchlist>,
    names: Arc<Names>,
    /// When a source told those.
    names_told: Option<Timestamp>,
    calendar: Arc<Calendar>,
    tickers: Vec<Arc<Ticker>>,
    /// Tickers whose day has begun, or whose earlier sessions changed, since what is usual was read.
    without_profile: BTreeSet<usize>,
    /// Those that everybody may read, newest last.
    alerts: BTreeMap<(Second, AlertId), Arc<Alert>>,
    feed: Option<FeedStatus>,
    sequence: Sequence,
}

impl Model {
    /// Reads what readers may ask for: 24 hours of bars per symbol, the figures, the newest alerts, the feed.
    pub(crate) async fn load(
        store: &dyn Store,
        watchlist: Arc<VersionedWatchlist>,
        calendar: Arc<Calendar>,
    ) -> Result<Self, StoreError> {
        // Taken first: what is committed while we read is seen again by the tail, which changes nothing.
        let sequence = store.sequence().await?;
        let mut model = Self::empty(watchlist, calendar, sequence);
        model.read(store, Arc::clone(&model.watchlist).list.symbols()).await?;
        let newest = AlertQuery { limit: ALERTS_KEPT, ..AlertQuery::default() };
        model.take_alerts(store.alerts(newest).await?);
        model.feed = store.feed_status().await?;
        model.take_names(store.symbol_names().await?);
        // Of a short watchlist all, so that the first reader sees them.
        for wanted in model.wanted_profiles() {
            let profile = wanted.read(store, &model.calendar).await?;
            model.take_profile(wanted, profile);
        }
        Ok(model)
    }

    /// The same with another watchlist: what is known of symbols on both stays, what is stored of others is
    /// read. As of the same commit: what came since is seen again.
    pub(crate) async fn relisted(
        mut self,
        store: &dyn Store,
        watchlist: Arc<VersionedWatchlist>,
    ) -> Result<Self, StoreError> {
        let before = mem::replace(&mut self.watchlist, watchlist);
        let symbols = self.watchlist.list.symbols().to_vec();
        let known = |symbol: Symbol| before.list.id(symbol).map(|id| (id, Arc::clone(&self.tickers[id])));
        let kept: Vec<_> = symbols.iter().map(|&symbol| known(symbol)).collect();
        self.without_profile = (0..)
            .zip(&kept)
            .filter(|(_, kept)| kept.as_ref().is_some_and(|(id, _)| self.without_profile.contains(id)))
            .map(|(id, _)| id)
            .collect();
        let new: Vec<Symbol> =
            symbols.iter().copied().filter(|&symbol| before.list.id(symbol).is_none()).collect();
        let tracked = self.calendar.metrics();
        self.tickers = symbols
            .iter()
            .zip(kept)
            .map(|(&symbol, kept)| {
                kept.map_or_else(|| Arc::new(Ticker::empty(symbol, tracked)), |(_, ticker)| ticker)
            })
            .collect();
        self.read(store, &new).await?;
        Ok(self)
    }

    /// Reads of some symbols what readers may ask for.
    async fn read(&mut self, store: &dyn Store, symbols: &[Symbol]) -> Result<(), StoreError> {
        // Neighbours by name lie together.
        let mut symbols = symbols.to_vec();
        symbols.sort_unstable();
        for some in symbols.chunks(SYMBOLS_PER_READ) {
            let bars = store.recent_bars(some, self.calendar.metrics().reach()).await?;
            self.take_bars(&bars);
            self.look_further_back(store, &bars).await?;
        }
        self.take_figures(&store.statistics().await?);
        self.load_previous_closes(store).await
    }

    fn empty(watchlist: Arc<VersionedWatchlist>, calendar: Arc<Calendar>, sequence: Sequence) -> Self {
        let symbols = watchlist.list.symbols();
        let tracked = calendar.metrics();
        let tickers = symbols.iter().map(|&symbol| Arc::new(Ticker::empty(symbol, tracked))).collect();
        let (without_profile, alerts) = (BTreeSet::new(), BTreeMap::new());
        Self {
            watchlist,
            names: Arc::default(),
            names_told: None,
            calendar,
            tickers,
            without_profile,
            alerts,
            feed: None,
            sequence,
        }
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

    /// Takes in what symbols are called.
    pub(crate) fn take_names(&mut self, SymbolNames { told, names }: SymbolNames) {
        self.names_told = told;
        self.names = Arc::new(Names::told(names));
    }

    /// When a source told the names there are.
    pub(crate) fn names_told(&self) -> Option<Timestamp> {
        self.names_told
    }

    /// The time it is for readers, in whole bars: by the wall clock on a live feed, by the feed's own clock
    /// otherwise.
    pub(crate) fn time(&self, now: Timestamp) -> Second {
        let clock = self.feed.as_ref().filter(|feed| feed.mode != FeedMode::Live).map(|feed| feed.clock);
        self.calendar.cadence().bar_of(clock.unwrap_or(now))
    }

    /// Everything as it stands.
    pub(crate) fn snapshot(&self, now: Timestamp) -> Snapshot {
        let time = self.time(now);
        Snapshot::new(
            self.sequence,
            now,
            (self.calendar.cadence(), self.calendar.metrics(), time, self.calendar.phase(time)),
            self.feed.clone(),
            (Arc::clone(&self.watchlist), Arc::clone(&self.names)),
            self.tickers.clone(),
            self.alerts.values().rev().cloned().collect(),
        )
    }

    fn take_bars<'a>(&mut self, records: impl IntoIterator<Item = &'a BarRecord>) {
        let calendar = Arc::clone(&self.calendar);
        let mut filter = SessionFilter::of(&calendar);
        let mut touched: Vec<(usize, Second)> = Vec::new();
        for record in records {
            let Some(id) = self.watchlist.list.id(record.bar.symbol) else { continue };
            if !filter.counts(record.bar.start) {
                continue;
            }
            if Arc::make_mut(&mut self.tickers[id]).take(*record) {
                touched.push((id, record.bar.start));
            }
        }
        touched.sort_unstable();
        touched.dedup_by_key(|(id, _)| *id);
        for (id, oldest) in touched {
            let ticker = Arc::make_mut(&mut self.tickers[id]);
            remember_previous_close(ticker, &calendar);
            if let Some(minute) = ticker.without_session() {
                ticker.set_session(session_of(&calendar, minute));
            }
            ticker.forget_old();
            // Another day has begun, or one of the sessions before has changed.
            if ticker.profile().is_none_or(|profile| profile.rests_on(oldest)) {
                self.without_profile.insert(id);
            }
        }
    }

    fn take_figures<'a>(&mut self, statistics: impl IntoIterator<Item = &'a Statistics>) {
        for one in statistics {
            if let Some(id) = self.watchlist.list.id(one.symbol) {
                Arc::make_mut(&mut self.tickers[id]).set_statistics(one.clone());
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
        const WEEK: i64 = 7 * Second::PER_DAY;
        let newest: BTreeMap<Symbol, Second> =
            read.iter().map(|one| (one.bar.symbol, one.bar.start)).collect();
        for (symbol, newest) in newest {
            if self.calendar.counts(newest) {
                continue;
            }
            let week = newest.plus_seconds(-WEEK)..newest.plus_seconds(1);
            let most = (WEEK / self.calendar.cadence().seconds()) as usize;
            self.take_bars(&store.bars(symbol, week, most).await?);
        }
        Ok(())
    }

    /// A day's change wants the close of the session before, which the last 24 hours do not hold at a day's
    /// end or after a weekend: asks the store for it.
    async fn load_previous_closes(&mut self, store: &dyn Store) -> Result<(), StoreError> {
        let (mut ids, mut sessions) = (Vec::new(), Vec::new());
        for (id, ticker) in self.tickers.iter().enumerate() {
            let Some(newest) = ticker.newest() else { continue };
            let Some(session) = self.session_before(newest.bar.start) else { continue };
            if ticker.previous_close.is_none_or(|point| point.start < session.start) {
                ids.push(id);
                sessions.push((ticker.symbol, session));
            }
        }
        for (id, last) in ids.into_iter().zip(store.last_bars(&sessions).await?) {
            if let Some(last) = last {
                let ticker = Arc::make_mut(&mut self.tickers[id]);
                ticker.previous_close = Some(ticker.point(&last.bar));
            }
        }
        Ok(())
    }

    /// Tickers of which it is to be read what is usual on the newest bar's day, some at a time.
    pub(crate) fn wanted_profiles(&self) -> Vec<WantedProfile> {
        let since = self.session_before_last();
        self.without_profile
            .iter()
            .filter_map(|&id| {
                let ticker = &self.tickers[id];
                let bar = &ticker.newest()?.bar;
                // While a history is being stored, day after day begins: what is usual on them nobody asks.
                if since.is_some_and(|since| bar.start < since) {
                    return None;
                }
                let date = self.calendar.date_of(bar.start);
                Some(WantedProfile { id, symbol: ticker.symbol, feed: bar.feed, date })
            })
            .take(PROFILES_AT_ONCE)
            .collect()
    }

    /// Where the last session but one began, by the feed's clock.
    fn session_before_last(&self) -> Option<Second> {
        let now = Second::minute_of(self.feed.as_ref()?.clock);
        let last = self.calendar.tracked_until(now)?;
        Some(self.calendar.tracked_until(last.start.plus_minutes(-1))?.start)
    }

    /// Takes in what was read of a profile.
    pub(crate) fn take_profile(&mut self, wanted: WantedProfile, profile: Option<Profile>) {
        if let Some(profile) = profile {
            Arc::make_mut(&mut self.tickers[wanted.id]).set_profile(wanted.feed, profile);
        }
        self.without_profile.remove(&wanted.id);
    }

    fn session_before(&self, minute: Second) -> Option<Range<Second>> {
        session_before(&self.calendar, minute)
    }
}

/// What a ticker's profile is to be made of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WantedProfile {
    id: usize,
    symbol: Symbol,
    feed: FeedLabel,
    date: Date,
}

impl WantedProfile {
    /// Reads the sessions before from the store.
    pub(crate) async fn read(
        &self,
        store: &dyn Store,
        calendar: &Calendar,
    ) -> Result<Option<Profile>, StoreError> {
        let reach = Profile::reach(calendar, self.date);
        let most = (reach.end.seconds_since(reach.start) / calendar.cadence().seconds()) as usize;
        let bars = store.bars(self.symbol, reach, most).await?;
        let bars: Vec<_> = bars
            .iter()
            .map(|record| &record.bar)
            .filter(|bar| bar.feed == self.feed)
            .map(|bar| (bar.start, bar.close, bar.volume))
            .collect();
        Ok(Profile::new(calendar, self.date, &bars))
    }
}

/// The minutes of the phase that a counting minute is of, on its day.
fn session_of(calendar: &Calendar, minute: Second) -> Option<Range<Second>> {
    let phases = calendar.phases_on(calendar.date_of(minute))?;
    phases.into_iter().map(|(stretch, _)| stretch).find(|stretch| stretch.contains(&minute))
}

/// The regular session of the trading day before the one of `minute`.
fn session_before(calendar: &Calendar, minute: Second) -> Option<Range<Second>> {
    let midnight = calendar.midnight(calendar.date_of(minute));
    let before = calendar.tracked_until(midnight.plus_minutes(-1))?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::read_model::ranking::{Figured, rank};
    use proptest::prelude::*;
    use qqq_core::Metric;
    use qqq_core::market::calendar::Market;
    use qqq_core::{Bar, Figures, Price, Volume, Watchlist};
    use std::collections::HashMap;

    const SYMBOLS: [&str; 3] = ["AAPL", "MSFT", "TSLA"];

    fn symbol(text: &str) -> Symbol {
        text.parse().unwrap()
    }

    fn listed(names: &[&str]) -> Arc<VersionedWatchlist> {
        let list = Watchlist::new(names.iter().map(|name| symbol(name)), []).unwrap();
        Arc::new(VersionedWatchlist { version: 0, list: Arc::new(list), edits: Vec::new() })
    }

    fn model(market: Market) -> Model {
        Model::empty(listed(&SYMBOLS), Arc::new(Calendar::new(market, false, [])), Sequence(0))
    }

    fn record(name: &str, start: Second, close: i64) -> BarRecord {
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

    fn at(text: &str) -> Second {
        Second::minute_of(text.parse().unwrap())
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
            let mut oracle: HashMap<(usize, Second), i64> = HashMap::new();
            for lot in bars.chunks(lots) {
                let records = lot.iter().map(|&(id, minute, close)| {
                    record(names[id], monday.plus_minutes(minute), close)
                });
                model.take_bars(&records.collect::<Vec<_>>());
                let placed = |&(id, minute, close): &_| ((id, monday.plus_minutes(minute)), close);
                oracle.extend(lot.iter().map(placed));
            }
            for id in 0..SYMBOLS.len() {
                let mut of_symbol: Vec<(Second, i64)> = oracle
                    .iter()
                    .filter(|((other, start), _)| *other == id && calendar.counts(*start))
                    .map(|((_, start), close)| (*start, *close))
                    .collect();
                of_symbol.sort_unstable();
                let newest = of_symbol.last().map(|(start, _)| *start);
                let day: Vec<i64> = of_symbol
                    .iter()
                    .filter(|(start, _)| {
                        newest.is_some_and(|newest| newest.seconds_since(*start) < Second::PER_DAY)
                    })
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
        model.take_bars(&[record("AAPL", Second::from_minute(10), 5)]);
        let before = model.snapshot(Timestamp::UNIX_EPOCH);
        model.take_bars(&[
            record("AAPL", Second::from_minute(11), 6),
            record("AAPL", Second::from_minute(10), 7),
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
                start: Second::from_minute(0),
                feed: "test".parse().unwrap(),
                price: figures(stdev),
                volume: figures(stdev.map(|one| one * if name == "TSLA" { 2.0 } else { 1.0 })),
                further: Vec::new(),
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
