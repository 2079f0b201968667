//! One moment of the store, immutable: tickers, alerts, feed, and the answers made from them so far.

use crate::answer::Answer;
use crate::model::{ALERTS_KEPT, rank};
use jiff::Timestamp;
use qqq_core::{Alert, Bar, FeedStatus, Figures, Interval, Metric, Minute, Phase, Statistics, Symbol};
use qqq_store::{AlertQuery, BarRecord, Sequence};
use serde_json::value::RawValue;
use std::fmt::Write as _;
use std::sync::{Arc, OnceLock};
use tokio::sync::OnceCell;

/// What a bar leaves in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Point {
    pub(crate) start: Minute,
    /// 1e-9 dollars.
    pub(crate) close: i64,
    /// Shares.
    pub(crate) volume: i64,
}

impl Point {
    pub(crate) fn of(bar: &Bar) -> Self {
        Self { start: bar.start, close: bar.close.nanos(), volume: bar.volume.shares() }
    }

    fn value(&self, metric: Metric) -> i64 {
        match metric {
            Metric::Price => self.close,
            Metric::Volume => self.volume,
        }
    }
}

/// What is known of one tracked symbol.
#[derive(Debug)]
pub(crate) struct Ticker {
    pub(crate) symbol: Symbol,
    /// Last regular close of the trading day before the newest bar's.
    pub(crate) previous_close: Option<Point>,
    /// By minute, of the 24 hours up to the newest.
    points: Vec<Point>,
    newest: Option<BarRecord>,
    statistics: Option<Statistics>,
    /// `[1,2,3]`: the values as the original endpoints list them, by metric.
    lists: [OnceLock<String>; 2],
    /// The line of its day, finished.
    sparkline: OnceLock<Box<RawValue>>,
    /// The page of the newest bars, by interval. Costs nothing until somebody asks for one.
    newest_bars: OnceLock<Box<[OnceCell<Answer>; Interval::ALL.len()]>>,
}

impl Clone for Ticker {
    /// A clone is made to be changed: it starts without finished texts.
    fn clone(&self) -> Self {
        Self {
            points: self.points.clone(),
            lists: Default::default(),
            sparkline: OnceLock::new(),
            newest_bars: OnceLock::new(),
            ..*self
        }
    }
}

impl Ticker {
    pub(crate) fn empty(symbol: Symbol) -> Self {
        Self {
            symbol,
            previous_close: None,
            points: Vec::new(),
            newest: None,
            statistics: None,
            lists: Default::default(),
            sparkline: OnceLock::new(),
            newest_bars: OnceLock::new(),
        }
    }

    pub(crate) fn points(&self) -> &[Point] {
        &self.points
    }

    pub(crate) fn newest(&self) -> Option<&BarRecord> {
        self.newest.as_ref()
    }

    /// The answer to who asks for the newest bars of an interval and says nothing more, once it was made.
    pub(crate) fn newest_bars(&self, interval: Interval) -> &OnceCell<Answer> {
        &self.newest_bars.get_or_init(Default::default)[interval as usize]
    }

    /// The line of its day as JSON, made by `write` when nobody has asked since its last bar.
    pub(crate) fn sparkline(&self, write: impl FnOnce(&Self) -> Box<RawValue>) -> &RawValue {
        self.sparkline.get_or_init(|| write(self))
    }

    pub(crate) fn figures(&self, metric: Metric) -> Option<Figures> {
        self.statistics.map(|statistics| match metric {
            Metric::Price => statistics.price,
            Metric::Volume => statistics.volume,
        })
    }

    /// Takes in a bar, new or revised. Says whether it is new here. A bar from before the last 24 hours may
    /// still be the previous day's close; [`forget_old`](Self::forget_old) drops it later.
    pub(crate) fn take(&mut self, record: BarRecord) -> bool {
        let point = Point::of(&record.bar);
        let is_newest = self.newest.is_none_or(|newest| newest.bar.start <= point.start);
        if is_newest && self.newest == Some(record) {
            return false;
        }
        if is_newest {
            self.newest = Some(record);
        }
        match self.points.binary_search_by_key(&point.start, |known| known.start) {
            Ok(at) => self.points[at] = point,
            Err(at) => self.points.insert(at, point),
        }
        self.lists = Default::default();
        self.sparkline = OnceLock::new();
        self.newest_bars = OnceLock::new();
        true
    }

    /// Drops what lies 24 hours or more before the newest bar.
    pub(crate) fn forget_old(&mut self) {
        let Some(newest) = self.newest else { return };
        let from = newest.bar.start.plus(-Minute::PER_DAY);
        let old = self.points.partition_point(|point| point.start <= from);
        self.points.drain(..old);
    }

    pub(crate) fn set_statistics(&mut self, statistics: Statistics) {
        self.statistics = Some(statistics);
    }

    /// Newest close less the previous day's: (1e-9 dollars, percent).
    pub(crate) fn day_change(&self) -> Option<(i64, f64)> {
        let (newest, previous) = (self.newest?.bar.close.nanos(), self.previous_close?.close);
        let amount = newest - previous;
        let percent = amount as f64 / previous as f64 * 100.0;
        Some((amount, (percent * 1e4).round() / 1e4))
    }

    /// The values of the last 24 hours, oldest first, as exact decimal numbers of a JSON array.
    fn list(&self, metric: Metric) -> &str {
        self.lists[metric as usize].get_or_init(|| {
            let mut list = String::with_capacity(self.points.len() * 8 + 2);
            list.push('[');
            for (index, point) in self.points.iter().enumerate() {
                let comma = if index == 0 { "" } else { "," };
                let _ = write!(list, "{comma}{}", metric.show(point.value(metric)));
            }
            list.push(']');
            list
        })
    }
}

/// Which figure a ranking is by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Figured {
    RelativeStdev,
    Stdev,
}

impl Figured {
    pub(crate) const ALL: [Self; 2] = [Self::RelativeStdev, Self::Stdev];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::RelativeStdev => "relative_stdev",
            Self::Stdev => "stdev",
        }
    }

    pub(crate) fn of(self, figures: &Figures) -> Option<f64> {
        match self {
            Self::RelativeStdev => figures.relative_stdev,
            Self::Stdev => figures.stdev,
        }
    }
}

/// A lazily made value per ticker. Costs nothing until somebody asks for one.
type PerTicker = OnceLock<Box<[OnceLock<Answer>]>>;

/// One moment, as readers see it.
#[derive(Debug)]
pub(crate) struct Snapshot {
    /// The newest commit contained.
    pub(crate) sequence: Sequence,
    /// Wall clock when it was published.
    pub(crate) published_at: Timestamp,
    /// The minute it is, by the feed's clock.
    pub(crate) minute: Minute,
    /// What the market does in that minute.
    pub(crate) phase: Phase,
    pub(crate) feed: Option<FeedStatus>,
    /// By watchlist id.
    pub(crate) tickers: Vec<Arc<Ticker>>,
    /// Those that everybody may read, newest first.
    pub(crate) alerts: Vec<Arc<Alert>>,
    rankings: [[OnceLock<Vec<u32>>; 2]; 2],
    ranking_lists: [OnceLock<String>; 2],
    originals: [PerTicker; 2],
    details: PerTicker,
    pub(crate) symbols_page: OnceLock<Answer>,
    pub(crate) ranking_pages: [[OnceLock<Answer>; 2]; 2],
    pub(crate) alerts_page: OnceLock<Answer>,
    pub(crate) sessions_page: OnceLock<Answer>,
    pub(crate) sparklines_page: OnceLock<Answer>,
}

impl Snapshot {
    pub(crate) fn new(
        sequence: Sequence,
        published_at: Timestamp,
        minute: Minute,
        phase: Phase,
        feed: Option<FeedStatus>,
        tickers: Vec<Arc<Ticker>>,
        alerts: Vec<Arc<Alert>>,
    ) -> Self {
        Self {
            sequence,
            published_at,
            minute,
            phase,
            feed,
            tickers,
            alerts,
            rankings: Default::default(),
            ranking_lists: Default::default(),
            originals: Default::default(),
            details: OnceLock::new(),
            symbols_page: OnceLock::new(),
            ranking_pages: Default::default(),
            alerts_page: OnceLock::new(),
            sessions_page: OnceLock::new(),
            sparklines_page: OnceLock::new(),
        }
    }

    /// The end of the newest bar of all.
    pub(crate) fn newest_end(&self) -> Option<Timestamp> {
        self.tickers.iter().filter_map(|ticker| ticker.newest()).map(|record| record.bar.start.end()).max()
    }

    /// Whole minutes, in seconds, from the end of a bar to the minute of the feed's clock.
    pub(crate) fn age_seconds(&self, end: Timestamp) -> i64 {
        (self.minute.start().as_second() - end.as_second()).max(0)
    }

    /// The alerts a query asks for, newest first, where those in memory are enough to answer it like the
    /// store would. As many as there are, so more than the query's limit where there is another page.
    pub(crate) fn alerts_of(&self, query: &AlertQuery) -> Option<Vec<&Arc<Alert>>> {
        let AlertQuery { symbol, metric, rule, since, after, limit, private_too: _ } = *query;
        let found: Vec<_> = self
            .alerts
            .iter()
            .skip_while(|alert| after.is_some_and(|after| (alert.start, alert.id) >= after))
            .take_while(|alert| since.is_none_or(|since| alert.start >= since))
            .filter(|alert| symbol.is_none_or(|symbol| alert.symbol == symbol))
            .filter(|alert| metric.is_none_or(|metric| alert.metric == metric))
            .filter(|alert| rule.is_none_or(|rule| alert.rule == rule))
            .collect();
        // Older ones than the oldest held are in the store alone, some of the oldest's minute among them.
        let all_held = self.alerts.len() < ALERTS_KEPT;
        let oldest = self.alerts.last().map(|alert| alert.start);
        let since_held = since.is_some_and(|since| oldest.is_some_and(|oldest| oldest < since));
        (all_held || since_held || found.len() > limit).then_some(found)
    }

    /// Watchlist ids, in the order of a ranking.
    pub(crate) fn ranking(&self, metric: Metric, by: Figured) -> &[u32] {
        self.rankings[metric as usize][by as usize].get_or_init(|| rank(&self.tickers, metric, by))
    }

    /// The tickers in the order of a ranking.
    pub(crate) fn ranked(&self, metric: Metric, by: Figured) -> impl Iterator<Item = &Arc<Ticker>> {
        self.ranking(metric, by).iter().filter_map(|&index| self.tickers.get(index as usize))
    }

    /// The answer of `GET /{ticker}/price` or `/volume`.
    pub(crate) fn original(&self, id: usize, metric: Metric) -> Option<&Answer> {
        self.per_ticker(&self.originals[metric as usize], id, |ticker| {
            let key = match metric {
                Metric::Price => "prices",
                Metric::Volume => "volume",
            };
            let (list, rankings) = (ticker.list(metric), self.ranking_list(metric));
            Answer::json(format!("{{\"{key}\":{list},\"rankings\":{rankings}}}").into_bytes())
        })
    }

    /// The answer of `GET /v1/symbols/{symbol}`, made by `render` when it is the first of this snapshot.
    pub(crate) fn detail(&self, id: usize, render: impl FnOnce(&Ticker) -> Answer) -> Option<&Answer> {
        self.per_ticker(&self.details, id, render)
    }

    fn per_ticker<'a>(
        &'a self,
        answers: &'a PerTicker,
        id: usize,
        render: impl FnOnce(&Ticker) -> Answer,
    ) -> Option<&'a Answer> {
        let answers = answers.get_or_init(|| self.tickers.iter().map(|_| OnceLock::new()).collect());
        let ticker = self.tickers.get(id)?;
        Some(answers.get(id)?.get_or_init(|| render(ticker)))
    }

    /// `["TSLA","NVDA"]`: the original ranking, by `stdev`.
    fn ranking_list(&self, metric: Metric) -> &str {
        self.ranking_lists[metric as usize].get_or_init(|| {
            // A symbol holds nothing that JSON would escape.
            let symbols: Vec<_> =
                self.ranked(metric, Figured::Stdev).map(|ticker| format!("\"{}\"", ticker.symbol)).collect();
            format!("[{}]", symbols.join(","))
        })
    }
}
