//! The JSON shapes of the contract. Prices and volumes are written as exact decimal numbers, never through a
//! double; what has no value is `null`.

use crate::bars::Row;
use crate::openapi::{AlertStateWord, MetricWord, RankedByWord, RuleKindWord, SessionWord};
use crate::snapshot::{Figured, Snapshot, Ticker};
use crate::status::StandInOut;
use qqq_core::{Alert, Bar, Evidence, Figures, Metric, Statistics, Watchlist};
use qqq_store::BarRecord;
use serde::Serialize;
use serde_json::value::RawValue;
use std::fmt::Display;
use utoipa::ToSchema;

/// A number, digit by digit as given.
pub(crate) fn exact(number: impl Display) -> Option<Box<RawValue>> {
    RawValue::from_string(number.to_string()).ok()
}

/// A list, a page at a time.
#[derive(Serialize, ToSchema)]
#[schema(as = Page)]
pub(crate) struct PageOut<T> {
    /// The entries of this page.
    pub(crate) items: Vec<T>,
    /// Where the next page begins: goes back in as `cursor`, with the other parameters as they were. `null` on the
    /// last page.
    #[schema(required = true)]
    pub(crate) next_cursor: Option<String>,
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
    /// Volume-weighted average price, dollars, rounded once to nine decimals; `null` unless the feed told it of every
    /// bar within.
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
            start: candle.minutes.start.to_string(),
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

/// Newest close against the regular close of the trading day before.
#[derive(Serialize, ToSchema)]
#[schema(as = DayChange)]
struct DayChangeOut {
    /// Dollars, exact.
    #[schema(value_type = f64, example = 3.1)]
    amount: Option<Box<RawValue>>,
    /// Per cent, rounded to four decimals.
    #[schema(example = 0.45)]
    percent: f64,
}

impl DayChangeOut {
    fn of(ticker: &Ticker) -> Option<Self> {
        let (amount, percent) = ticker.day_change()?;
        Some(Self { amount: exact(Metric::Price.show(amount)), percent })
    }
}

/// Figures of one metric, in its unit (dollars or shares) unless said otherwise.
#[derive(Serialize, ToSchema)]
#[schema(as = Figures)]
pub(crate) struct FiguresOut {
    /// Sample standard deviation of the changes from bar to bar over 24 hours; `null` with fewer than two changes.
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
    window_bars: u16,
}

impl From<Figures> for FiguresOut {
    fn from(figures: Figures) -> Self {
        let Figures { stdev, relative_stdev, trailing_average, ratio, window_bars } = figures;
        Self { stdev, relative_stdev, trailing_average, ratio, window_bars }
    }
}

/// Figures of both metrics.
#[derive(Serialize, ToSchema)]
#[schema(as = Statistics)]
struct StatisticsOut {
    /// Of the close.
    price: FiguresOut,
    /// Of the volume.
    volume: FiguresOut,
}

impl StatisticsOut {
    fn new(figures: impl Fn(Metric) -> Figures) -> Self {
        Self { price: figures(Metric::Price).into(), volume: figures(Metric::Volume).into() }
    }
}

/// One symbol with its newest bar.
#[derive(Serialize, ToSchema)]
#[schema(as = Symbol, example = json!({
    "symbol": "META", "name": "Meta Platforms", "former_symbols": ["FB"], "feed": "iex", "session": "regular",
    "bar": {"start": "2025-01-31T20:59:00Z", "open": 689.1, "high": 689.4, "low": 688.9, "close": 689.2,
            "volume": 51234, "vwap": null, "trades": null},
    "age_seconds": 0, "as_of": "2025-01-31T21:00:00Z",
    "day_change": {"amount": 3.1, "percent": 0.45},
    "statistics": {
        "price": {"stdev": 0.61, "relative_stdev": 0.0009, "trailing_average": 688.7, "ratio": 1.0007, "window_bars": 60},
        "volume": {"stdev": 9120.4, "relative_stdev": 0.42, "trailing_average": 21034.5, "ratio": 2.44, "window_bars": 60}}
}))]
pub(crate) struct SymbolOut {
    /// The ticker as listed today.
    symbol: String,
    /// The company's name, where it is known here.
    #[schema(required = true)]
    name: Option<&'static str>,
    /// Earlier tickers of the same company; they are understood everywhere, unless they are tracked themselves: then they
    /// mean whoever has them now.
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
    /// Figures as of the newest bar.
    statistics: StatisticsOut,
}

impl SymbolOut {
    pub(crate) fn new(ticker: &Ticker, snapshot: &Snapshot, watchlist: &Watchlist) -> Self {
        let newest = ticker.newest().map(|record| &record.bar);
        Self {
            symbol: ticker.symbol.to_string(),
            name: watchlist.name(ticker.symbol),
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
            age_seconds: newest.map(|bar| snapshot.age_seconds(bar.start.end())),
            as_of: snapshot.minute.to_string(),
            day_change: DayChangeOut::of(ticker),
            statistics: StatisticsOut::new(|metric| ticker.figures(metric).unwrap_or_default()),
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
    statistics: StatisticsOut,
}

impl StatisticsEventOut {
    /// `ticker` tells the day's change, where its newest bar is the one the figures are of.
    pub(crate) fn new(statistics: &Statistics, ticker: &Ticker) -> Self {
        let is_newest = ticker.newest().is_some_and(|newest| newest.bar.start == statistics.start);
        Self {
            symbol: statistics.symbol.to_string(),
            start: statistics.start.to_string(),
            feed: statistics.feed.to_string(),
            day_change: DayChangeOut::of(ticker).filter(|_| is_newest),
            statistics: StatisticsOut::new(|metric| match metric {
                Metric::Price => statistics.price,
                Metric::Volume => statistics.volume,
            }),
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
    /// The minute of the feed's clock this was said in.
    as_of: String,
    /// Whole minutes, in seconds, from the end of the newest bar of all to `as_of`.
    age_seconds: Option<i64>,
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
            as_of: snapshot.minute.to_string(),
            age_seconds: snapshot.newest_end().map(|end| snapshot.age_seconds(end)),
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
    name: Option<&'static str>,
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
        watchlist: &Watchlist,
    ) -> Self {
        let figures = ticker.figures(metric).unwrap_or_default();
        Self {
            rank,
            symbol: ticker.symbol.to_string(),
            name: watchlist.name(ticker.symbol),
            metric: metric.as_str(),
            by: by.as_str(),
            value: by.of(&figures),
            figures: figures.into(),
        }
    }
}

/// An alert with its evidence.
#[derive(Serialize, ToSchema)]
#[schema(as = Alert, example = json!({
    "id": "f781bcc6-15b4-57da-b522-3b1126688157", "rule": "spike", "kind": "spike", "symbol": "META", "metric": "volume",
    "start": "2025-01-31T20:59:00Z", "value": 151234, "average": 21034.5, "ratio": 7.19, "window_bars": 60,
    "feed": "iex", "revision": 0, "state": "raised", "raised_at": "2025-01-31T21:00:04.120Z", "occurrences": 1,
    "peak": 151234, "evidence": {"type": "average", "sum": 1262070, "bars": 60}
}))]
pub(crate) struct AlertOut {
    /// Derived from rule, symbol, metric and minute: the same bar seen again is the same alert.
    #[schema(format = "uuid")]
    id: String,
    /// The rule that fired: `spike`, the server's own, or the text of one in the grammar of rules.
    rule: String,
    /// Its kind.
    #[schema(value_type = RuleKindWord)]
    kind: &'static str,
    /// The ticker as listed today.
    symbol: String,
    /// What was unusual.
    #[schema(value_type = MetricWord)]
    metric: &'static str,
    /// The first instant of the bar's minute, UTC.
    #[schema(format = DateTime)]
    start: String,
    /// The bar's value, exact: dollars or shares.
    #[schema(value_type = f64, minimum = 0)]
    value: Option<Box<RawValue>>,
    /// What it was held against, in the same unit: the trailing average before the bar, or the earlier price, the level
    /// or the median that the rule is about.
    #[schema(required = true, minimum = 0)]
    average: Option<f64>,
    /// `value` over `average`, no unit.
    #[schema(required = true, minimum = 0)]
    ratio: Option<f64>,
    /// Bars (or sessions) the average was made of.
    window_bars: u16,
    /// The feed the bar came from.
    feed: String,
    /// How often the bar had been corrected when the alert was raised.
    revision: u32,
    /// `retracted`: a correction of the bar took its ground away.
    #[schema(value_type = AlertStateWord)]
    state: &'static str,
    /// When it was raised, UTC.
    #[schema(format = DateTime)]
    raised_at: String,
    /// Bars that qualified during its cool-down, itself included.
    occurrences: usize,
    /// The largest value of these, in the same unit.
    #[schema(value_type = f64, minimum = 0)]
    peak: Option<Box<RawValue>>,
    /// What the value was compared with, exact: enough to compute the verdict again.
    evidence: EvidenceOut,
}

/// What an alert's value was compared with. Sums and values are exact, in dollars or shares.
#[derive(Serialize, ToSchema)]
#[schema(as = Evidence)]
#[serde(untagged)]
enum EvidenceOut {
    /// `spike`: the value is at least `ratio` times `sum / bars`.
    Average {
        /// `average`.
        #[schema(pattern = "^average$")]
        r#type: &'static str,
        /// Of the values in the trailing window.
        #[schema(value_type = f64)]
        sum: Option<Box<RawValue>>,
        /// How many.
        bars: u16,
    },
    /// `zscore`: the value is at least `z` sample standard deviations from `sum / bars`.
    Deviation {
        /// `deviation`.
        #[schema(pattern = "^deviation$")]
        r#type: &'static str,
        /// Of the values in the trailing window.
        #[schema(value_type = f64)]
        sum: Option<Box<RawValue>>,
        /// Of their squares.
        #[schema(value_type = f64)]
        sum_of_squares: Option<Box<RawValue>>,
        /// How many.
        bars: u16,
        /// Their sample standard deviation, rounded once.
        #[schema(required = true)]
        stdev: Option<f64>,
    },
    /// `move`: the value is at least `percent` away from an earlier one.
    Origin {
        /// `origin`.
        #[schema(pattern = "^origin$")]
        r#type: &'static str,
        /// The earlier price.
        #[schema(value_type = f64)]
        value: Option<Box<RawValue>>,
        /// The minute it is of, UTC.
        #[schema(format = DateTime)]
        start: String,
    },
    /// `cross`: the value is at or beyond `level`, the one before was not.
    Crossing {
        /// `crossing`.
        #[schema(pattern = "^crossing$")]
        r#type: &'static str,
        /// The level.
        #[schema(value_type = f64)]
        level: Option<Box<RawValue>>,
        /// The latest value that was on its other side.
        #[schema(value_type = f64)]
        before: Option<Box<RawValue>>,
    },
    /// `time_of_day`: the value is at least `ratio` times `median`.
    Median {
        /// `median`.
        #[schema(pattern = "^median$")]
        r#type: &'static str,
        /// Of the same minute in earlier sessions.
        #[schema(value_type = f64)]
        median: Option<Box<RawValue>>,
        /// How many of them had a bar there.
        sessions: u16,
    },
}

impl EvidenceOut {
    fn new(metric: Metric, evidence: &Evidence) -> Self {
        let shown = |value: i64| exact(metric.show(value));
        match *evidence {
            Evidence::Average { sum, bars } => Self::Average { r#type: "average", sum: shown(sum), bars },
            Evidence::Deviation { sum, squares, bars } => Self::Deviation {
                r#type: "deviation",
                sum: shown(sum),
                sum_of_squares: exact(metric.show_square(squares)),
                bars,
                stdev: evidence.stdev().map(|stdev| stdev / metric.units() as f64),
            },
            Evidence::Origin { value, start } => {
                Self::Origin { r#type: "origin", value: shown(value), start: start.to_string() }
            }
            Evidence::Crossing { level, before } => {
                Self::Crossing { r#type: "crossing", level: shown(level), before: shown(before) }
            }
            Evidence::Median { twice, sessions } => {
                let half = if twice % 2 == 0 { "" } else { ".5" };
                Self::Median {
                    r#type: "median",
                    median: exact(format_args!("{}{half}", twice / 2)),
                    sessions,
                }
            }
        }
    }
}

impl From<&Alert> for AlertOut {
    fn from(alert: &Alert) -> Self {
        Self {
            id: alert.id.to_string(),
            rule: alert.rule.to_string(),
            kind: alert.rule.kind(),
            symbol: alert.symbol.to_string(),
            metric: alert.metric.as_str(),
            start: alert.start.to_string(),
            value: exact(alert.metric.show(alert.value)),
            average: alert.baseline(),
            ratio: alert.ratio(),
            window_bars: alert.evidence.bars(),
            feed: alert.feed.to_string(),
            revision: alert.revision,
            state: alert.state.as_str(),
            raised_at: alert.raised_at.to_string(),
            occurrences: alert.count(),
            peak: exact(alert.metric.show(alert.peak())),
            evidence: EvidenceOut::new(alert.metric, &alert.evidence),
        }
    }
}
