//! The JSON shapes of the contract. Prices and volumes are written as exact decimal numbers, never through a
//! double; what has no value is `null`.

use crate::dto::feed::StandInOut;
use crate::dto::words::{RankedByWord, SessionWord};
use crate::read_model::ranking::Figured;
use crate::read_model::snapshot::Snapshot;
use crate::read_model::ticker::Ticker;
use qqq_contract::DayChangeOut;
use qqq_contract::number::{exact, four_decimals};
use qqq_contract::words::MetricWord;
use qqq_core::{Bar, Candle, Figures, Metric, MetricSet, Statistics};
use qqq_store::BarRecord;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use std::borrow::Cow;
use utoipa::openapi::schema::{ObjectBuilder, Schema};
use utoipa::openapi::{Ref, RefOr};
use utoipa::{PartialSchema, ToSchema};

/// A list, a page at a time.
#[derive(Serialize, ToSchema)]
#[schema(as = Page)]
pub(crate) struct PageOut<T> {
    /// The entries of this page.
    pub(crate) items: Vec<T>,
    /// Where the next page begins: goes back in as `cursor`, with the other parameters as they were. `null`
    /// on the last page.
    #[schema(required = true)]
    pub(crate) next_cursor: Option<String>,
}

impl<T> PageOut<T> {
    /// The first `limit` of what was found: one more than that was asked for, to tell whether there is
    /// another page. `cursor` says where it begins, of the last entry of this one.
    pub(crate) fn of<E>(
        found: &[E],
        limit: usize,
        item: impl Fn(&E) -> T,
        cursor: impl Fn(&E) -> String,
    ) -> Self {
        let shown = &found[..found.len().min(limit)];
        let last = shown.last().filter(|_| found.len() > limit);
        Self { items: shown.iter().map(item).collect(), next_cursor: last.map(cursor) }
    }
}

/// One candlestick of one minute. A minute without trades has none.
#[derive(Serialize, ToSchema)]
#[schema(as = Bar)]
pub(crate) struct BarOut {
    /// The first instant of its minute, UTC.
    #[schema(format = DateTime, example = "2025-01-31T20:59:00Z")]
    start: String,
    /// First price, dollars. Exact, like all prices: at most nine decimals.
    #[schema(value_type = f64, exclusive_minimum = 0, example = 689.1)]
    open: Option<Box<RawValue>>,
    /// Highest price, dollars.
    #[schema(value_type = f64, exclusive_minimum = 0, example = 689.4)]
    high: Option<Box<RawValue>>,
    /// Lowest price, dollars.
    #[schema(value_type = f64, exclusive_minimum = 0, example = 688.9)]
    low: Option<Box<RawValue>>,
    /// Last price, dollars: "the price" of the bar.
    #[schema(value_type = f64, exclusive_minimum = 0, example = 689.2)]
    close: Option<Box<RawValue>>,
    /// Shares traded.
    #[schema(minimum = 0, example = 51234)]
    volume: i64,
    /// Volume-weighted average price, dollars; `null` where the feed does not tell it.
    #[schema(value_type = Option<f64>, required = true, example = json!(null))]
    vwap: Option<Box<RawValue>>,
    /// Number of trades; `null` where the feed does not tell it.
    #[schema(required = true, example = json!(null))]
    trades: Option<u32>,
}

impl From<&Bar> for BarOut {
    fn from(bar: &Bar) -> Self {
        Self {
            start: bar.start.to_string(),
            open: exact(bar.open),
            high: exact(bar.high),
            low: exact(bar.low),
            close: exact(bar.close),
            volume: bar.volume.shares(),
            vwap: bar.vwap.and_then(exact),
            trades: bar.trades,
        }
    }
}

/// One bar as it is told.
pub(crate) struct Row {
    pub(crate) candle: Candle,
    /// How often it was corrected; of one-minute bars only.
    pub(crate) revision: Option<u32>,
}

/// A bar of any interval.
#[derive(Serialize, ToSchema)]
#[schema(as = IntervalBar)]
pub(crate) struct BarRowOut {
    /// The first instant of its interval, UTC.
    #[schema(format = DateTime, example = "2025-01-31T20:55:00Z")]
    start: String,
    /// First price, dollars. Exact, like all prices: at most nine decimals.
    #[schema(value_type = f64, exclusive_minimum = 0, example = 689.1)]
    open: Option<Box<RawValue>>,
    /// Highest price, dollars.
    #[schema(value_type = f64, exclusive_minimum = 0, example = 689.4)]
    high: Option<Box<RawValue>>,
    /// Lowest price, dollars.
    #[schema(value_type = f64, exclusive_minimum = 0, example = 688.9)]
    low: Option<Box<RawValue>>,
    /// Last price, dollars.
    #[schema(value_type = f64, exclusive_minimum = 0, example = 689.2)]
    close: Option<Box<RawValue>>,
    /// Shares traded.
    #[schema(minimum = 0, example = 251234)]
    volume: i64,
    /// Volume-weighted average price, dollars, rounded once to nine decimals; `null` unless the feed told it
    /// of every bar within.
    #[schema(value_type = Option<f64>, required = true, example = 689.152340071)]
    vwap: Option<Box<RawValue>>,
    /// Number of trades; `null` unless the feed told it of every bar within.
    #[schema(required = true, example = 1311)]
    trades: Option<u64>,
    /// The feed the bars within came from; `null` where they came from several.
    #[schema(required = true, example = "iex")]
    feed: Option<String>,
    /// How often the bar was corrected, of `1m` bars; `null` of longer ones.
    #[schema(required = true, example = json!(null))]
    revision: Option<u32>,
}

impl From<&Row> for BarRowOut {
    fn from(Row { candle, revision }: &Row) -> Self {
        Self {
            start: candle.span.start.to_string(),
            open: exact(candle.open),
            high: exact(candle.high),
            low: exact(candle.low),
            close: exact(candle.close),
            volume: candle.volume,
            vwap: candle.vwap.and_then(exact),
            trades: candle.trades,
            feed: candle.feed.map(|feed| feed.to_string()),
            revision: *revision,
        }
    }
}

fn session_vwap(ticker: &Ticker) -> Option<Box<RawValue>> {
    ticker.session_vwap().and_then(|nanos| exact(Metric::Price.show(nanos)))
}

/// Figures of one metric, in its unit (dollars or shares) unless said otherwise.
#[derive(Serialize, ToSchema)]
#[schema(as = Figures)]
pub(crate) struct FiguresOut {
    /// Sample standard deviation of the changes from bar to bar over 24 hours; `null` with fewer than two
    /// changes.
    #[schema(required = true, minimum = 0, example = 0.61)]
    stdev: Option<f64>,
    /// `stdev` over the mean value of the same bars, no unit; `null` where the mean is 0.
    #[schema(required = true, minimum = 0, example = 0.0009)]
    relative_stdev: Option<f64>,
    /// Mean of the bars of the trailing window, without the newest; `null` where it holds none.
    #[schema(required = true, minimum = 0, example = 688.7)]
    trailing_average: Option<f64>,
    /// Newest value over `trailing_average`, no unit.
    #[schema(required = true, minimum = 0, example = 1.0007)]
    ratio: Option<f64>,
    /// Bars in the trailing window.
    #[schema(example = 60)]
    window_bars: u32,
}

impl From<Figures> for FiguresOut {
    fn from(figures: Figures) -> Self {
        let Figures { stdev, relative_stdev, trailing_average, ratio, window_bars } = figures;
        Self { stdev, relative_stdev, trailing_average, ratio, window_bars }
    }
}

/// Figures by metric.
struct StatisticsOut(Vec<(Metric, FiguresOut)>);

impl StatisticsOut {
    fn new(metrics: MetricSet, figures: impl Fn(Metric) -> Figures) -> Self {
        Self(metrics.iter().map(|metric| (metric, figures(metric).into())).collect())
    }
}

impl From<&Statistics> for StatisticsOut {
    fn from(statistics: &Statistics) -> Self {
        Self(statistics.iter().map(|(metric, figures)| (metric, figures.into())).collect())
    }
}

impl Serialize for StatisticsOut {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(metric, figures)| (metric.as_str(), figures)))
    }
}

impl PartialSchema for StatisticsOut {
    fn schema() -> RefOr<Schema> {
        let figures = || Ref::from_schema_name("Figures");
        ObjectBuilder::new()
            .description(Some(
                "Figures by metric: of the close, of the volume, and of whatever else is tracked.",
            ))
            .property("price", figures())
            .property("volume", figures())
            .required("price")
            .required("volume")
            .additional_properties(Some(figures()))
            .into()
    }
}

impl ToSchema for StatisticsOut {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("Statistics")
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((FiguresOut::name().into_owned(), FiguresOut::schema()));
    }
}

/// The day's move, measured by what is usual.
#[derive(Serialize, ToSchema)]
#[schema(as = UnusualMove)]
struct UnusualMoveOut {
    /// The move over the root mean square of the moves that the sessions before had made by the same time;
    /// `null` with fewer than five such sessions.
    #[schema(required = true, example = -2.41)]
    sigma: Option<f64>,
    /// The move from the previous regular close, per cent, rounded to four decimals.
    #[schema(required = true, example = -3.53)]
    percent: Option<f64>,
    /// Sessions it was measured by, of the last 20.
    #[schema(maximum = 20, example = 20)]
    sessions: u8,
}

/// The volume so far, measured by what is usual.
#[derive(Serialize, ToSchema)]
#[schema(as = RelativeVolume)]
struct RelativeVolumeOut {
    /// Shares of the session so far over the median that the sessions before had traded by the same time;
    /// `null` with fewer than five such sessions, and where the session's bars came from several feeds.
    #[schema(required = true, minimum = 0, example = 1.8)]
    ratio: Option<f64>,
    /// Sessions it was measured by, of the last 20.
    #[schema(maximum = 20, example = 20)]
    sessions: u8,
}

/// The newest bar's volume, measured by its hour.
#[derive(Serialize, ToSchema)]
#[schema(as = UnusualMinute)]
struct UnusualMinuteOut {
    /// The `ratio` of the volume's statistics.
    #[schema(required = true, minimum = 0, example = 1.2)]
    ratio: Option<f64>,
}

/// How unusual a symbol is, as of its newest bar.
#[derive(Serialize, ToSchema)]
#[schema(as = Unusual)]
struct UnusualOut {
    /// The largest of `|sigma|`, `log2(relative_volume.ratio) + 1` and `log2(minute.ratio) + 1`: 1 is usual.
    #[schema(required = true, example = 2.41)]
    score: Option<f64>,
    r#move: UnusualMoveOut,
    relative_volume: RelativeVolumeOut,
    minute: UnusualMinuteOut,
}

impl UnusualOut {
    fn of(ticker: &Ticker) -> Self {
        let unusual = ticker.unusual();
        Self {
            score: unusual.score,
            r#move: UnusualMoveOut {
                sigma: unusual.sigma,
                percent: unusual.percent.map(four_decimals),
                sessions: unusual.move_sessions,
            },
            relative_volume: RelativeVolumeOut {
                ratio: unusual.relative_volume,
                sessions: unusual.volume_sessions,
            },
            minute: UnusualMinuteOut { ratio: unusual.minute },
        }
    }
}

/// One symbol with its newest bar.
#[derive(Serialize, ToSchema)]
#[schema(as = Symbol, example = json!({
    "symbol": "META", "name": "Meta Platforms", "former_symbols": ["FB"], "feed": "iex", "session": "regular",
    "bar": {"start": "2025-01-31T20:59:00Z", "open": 689.1, "high": 689.4, "low": 688.9, "close": 689.2,
            "volume": 51234, "vwap": null, "trades": null},
    "age_seconds": 0, "as_of": "2025-01-31T21:00:00Z",
    "day_change": {"amount": 3.1, "percent": 0.45}, "session_vwap": 688.412,
    "statistics": {
        "price": {"stdev": 0.61, "relative_stdev": 0.0009, "trailing_average": 688.7, "ratio": 1.0007,
                  "window_bars": 60},
        "volume": {"stdev": 9120.4, "relative_stdev": 0.42, "trailing_average": 21034.5, "ratio": 2.44,
                   "window_bars": 60}},
    "unusual": {"score": 2.29, "move": {"sigma": 0.41, "percent": 0.45, "sessions": 20},
                "relative_volume": {"ratio": 1.8, "sessions": 20}, "minute": {"ratio": 2.44}}
}))]
pub(crate) struct SymbolOut {
    /// The ticker as listed today.
    symbol: String,
    /// The company's name, where it is known here.
    #[schema(required = true)]
    name: Option<String>,
    /// Earlier tickers of the same company; they are understood everywhere, unless they are tracked
    /// themselves: then they mean whoever has them now.
    former_symbols: Vec<String>,
    /// Where the newest bar came from; `sim` is an invented market.
    #[schema(required = true)]
    feed: Option<String>,
    /// What the market does at `as_of`.
    #[schema(value_type = SessionWord)]
    session: &'static str,
    /// The newest bar that counts; `null` before the first.
    #[schema(required = true)]
    bar: Option<BarOut>,
    /// Seconds, in whole minutes, from the end of the newest bar to `as_of`.
    #[schema(required = true, minimum = 0)]
    age_seconds: Option<i64>,
    /// The minute of the feed's clock this was said in, UTC.
    #[schema(format = DateTime)]
    as_of: String,
    /// `null` where one of the two closes is not known.
    #[schema(required = true)]
    day_change: Option<DayChangeOut>,
    /// Volume-weighted average price of the newest bar's session up to it, dollars, rounded once to nine
    /// decimals. Of bars whose feed tells none, the mean of high, low and close is weighed.
    #[schema(value_type = Option<f64>, required = true, example = 688.412)]
    session_vwap: Option<Box<RawValue>>,
    /// Figures as of the newest bar.
    statistics: StatisticsOut,
    /// How unusual the newest bar finds the symbol, by its own last sessions and hour.
    unusual: UnusualOut,
}

impl SymbolOut {
    pub(crate) fn new(ticker: &Ticker, snapshot: &Snapshot) -> Self {
        let watchlist = &snapshot.watchlist.list;
        let newest = ticker.newest().map(|record| &record.bar);
        Self {
            symbol: ticker.symbol.to_string(),
            name: snapshot.names.of(ticker.symbol).map(str::to_owned),
            former_symbols: watchlist
                .former_symbols(ticker.symbol)
                .map(|former| former.former.to_string())
                .collect(),
            feed: newest
                .map(|bar| bar.feed)
                .or_else(|| snapshot.feed.as_ref().map(|feed| feed.label))
                .map(|label| label.to_string()),
            session: snapshot.phase.as_str(),
            bar: newest.map(BarOut::from),
            age_seconds: newest.map(|bar| snapshot.age_seconds(bar.start)),
            as_of: snapshot.time.to_string(),
            day_change: ticker.day_change().map(DayChangeOut::from),
            session_vwap: session_vwap(ticker),
            statistics: StatisticsOut::new(snapshot.metrics, |metric| {
                ticker.figures(metric).unwrap_or_default()
            }),
            unusual: UnusualOut::of(ticker),
        }
    }
}

/// A new or corrected bar, of a stream.
#[derive(Serialize)]
pub(crate) struct BarEventOut {
    symbol: String,
    #[serde(flatten)]
    bar: BarOut,
    feed: String,
    revision: u32,
}

impl From<&BarRecord> for BarEventOut {
    fn from(BarRecord { bar, revision }: &BarRecord) -> Self {
        let (symbol, feed) = (bar.symbol.to_string(), bar.feed.to_string());
        Self { symbol, bar: bar.into(), feed, revision: *revision }
    }
}

/// A symbol's new figures, of a stream.
#[derive(Serialize)]
pub(crate) struct StatisticsEventOut {
    symbol: String,
    start: String,
    feed: String,
    day_change: Option<DayChangeOut>,
    session_vwap: Option<Box<RawValue>>,
    statistics: StatisticsOut,
    unusual: Option<UnusualOut>,
}

impl StatisticsEventOut {
    /// `ticker` tells the day's change and how unusual it is, where its newest bar is the one the figures are
    /// of.
    pub(crate) fn new(statistics: &Statistics, ticker: &Ticker) -> Self {
        let is_newest = ticker.newest().is_some_and(|newest| newest.bar.start == statistics.start);
        Self {
            symbol: statistics.symbol.to_string(),
            start: statistics.start.to_string(),
            feed: statistics.feed.to_string(),
            day_change: ticker.day_change().filter(|_| is_newest).map(DayChangeOut::from),
            session_vwap: session_vwap(ticker).filter(|_| is_newest),
            statistics: StatisticsOut::from(statistics),
            unusual: is_newest.then(|| UnusualOut::of(ticker)),
        }
    }
}

/// How things stand, of a stream. Where nothing was said by a feed yet, its members are `null`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct StatusOut {
    provider: Option<String>,
    feed: Option<String>,
    mode: Option<&'static str>,
    coverage: Option<String>,
    stands_in_for: Option<StandInOut>,
    problem: Option<String>,
    session: &'static str,
    /// The time of the feed's clock this was said at, in whole bars.
    as_of: String,
    /// Seconds, in whole bars, from the end of the newest bar of all to `as_of`.
    age_seconds: Option<i64>,
    /// How often operators have changed the watchlist: with another number, its symbols are others.
    watchlist_version: u64,
}

impl From<&Snapshot> for StatusOut {
    fn from(snapshot: &Snapshot) -> Self {
        let feed = snapshot.feed.as_ref();
        Self {
            provider: feed.map(|feed| feed.provider.clone()),
            feed: feed.map(|feed| feed.label.to_string()),
            mode: feed.map(|feed| feed.mode.as_str()),
            coverage: feed.map(|feed| feed.coverage.clone()),
            stands_in_for: feed.and_then(|feed| feed.stands_in_for.as_ref()).map(StandInOut::from),
            problem: feed.and_then(|feed| feed.problem.clone()),
            session: snapshot.phase.as_str(),
            as_of: snapshot.time.to_string(),
            age_seconds: snapshot.newest_start().map(|start| snapshot.age_seconds(start)),
            watchlist_version: snapshot.watchlist.version,
        }
    }
}

/// One place of a ranking. Symbols without a value come last and share no rank with others.
#[derive(Serialize, ToSchema)]
#[schema(as = Ranked)]
pub(crate) struct RankedOut {
    /// From 1.
    #[schema(minimum = 1, example = 1)]
    rank: usize,
    /// The ticker as listed today.
    #[schema(example = "TSLA")]
    symbol: String,
    /// The company's name, where it is known here.
    #[schema(required = true, example = "Tesla")]
    name: Option<String>,
    /// What is ranked.
    #[schema(value_type = MetricWord)]
    metric: &'static str,
    /// The figure it is ranked by.
    #[schema(value_type = RankedByWord)]
    by: &'static str,
    /// That figure; `null` where the symbol has none.
    #[schema(required = true, example = 0.0031)]
    value: Option<f64>,
    #[serde(flatten)]
    figures: FiguresOut,
}

impl RankedOut {
    pub(crate) fn new(
        rank: usize,
        ticker: &Ticker,
        metric: Metric,
        by: Figured,
        snapshot: &Snapshot,
    ) -> Self {
        let figures = ticker.figures(metric).unwrap_or_default();
        Self {
            rank,
            symbol: ticker.symbol.to_string(),
            name: snapshot.names.of(ticker.symbol).map(str::to_owned),
            metric: metric.as_str(),
            by: by.into_str(),
            value: by.of(&figures),
            figures: figures.into(),
        }
    }
}
