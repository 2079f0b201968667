//! The JSON shapes of the contract. Prices and volumes are written as exact decimal numbers, never through a
//! double; what has no value is `null`.

use crate::bars::Row;
use crate::snapshot::{Figured, Snapshot, Ticker};
use qqq_core::{Alert, Bar, Figures, Metric, Watchlist};
use serde::Serialize;
use serde_json::value::RawValue;
use std::fmt::Display;

/// A number, digit by digit as given.
fn exact(number: impl Display) -> Option<Box<RawValue>> {
    RawValue::from_string(number.to_string()).ok()
}

/// A list, a page at a time.
#[derive(Serialize)]
pub(crate) struct PageOut<T> {
    pub(crate) items: Vec<T>,
    pub(crate) next_cursor: Option<String>,
}

#[derive(Serialize)]
pub(crate) struct BarOut {
    start: String,
    open: Option<Box<RawValue>>,
    high: Option<Box<RawValue>>,
    low: Option<Box<RawValue>>,
    close: Option<Box<RawValue>>,
    volume: i64,
    vwap: Option<Box<RawValue>>,
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

/// A bar of any interval, as a list of bars tells it.
#[derive(Serialize)]
pub(crate) struct BarRowOut {
    start: String,
    open: Option<Box<RawValue>>,
    high: Option<Box<RawValue>>,
    low: Option<Box<RawValue>>,
    close: Option<Box<RawValue>>,
    volume: i64,
    vwap: Option<Box<RawValue>>,
    trades: Option<u64>,
    feed: Option<String>,
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

#[derive(Serialize)]
struct DayChangeOut {
    amount: Option<Box<RawValue>>,
    percent: f64,
}

#[derive(Serialize)]
pub(crate) struct FiguresOut {
    stdev: Option<f64>,
    relative_stdev: Option<f64>,
    trailing_average: Option<f64>,
    ratio: Option<f64>,
    window_bars: u16,
}

impl From<Figures> for FiguresOut {
    fn from(figures: Figures) -> Self {
        let Figures { stdev, relative_stdev, trailing_average, ratio, window_bars } = figures;
        Self { stdev, relative_stdev, trailing_average, ratio, window_bars }
    }
}

#[derive(Serialize)]
struct StatisticsOut {
    price: FiguresOut,
    volume: FiguresOut,
}

/// One symbol with its newest bar.
#[derive(Serialize)]
pub(crate) struct SymbolOut {
    symbol: String,
    name: Option<&'static str>,
    former_symbols: Vec<String>,
    feed: Option<String>,
    session: &'static str,
    bar: Option<BarOut>,
    /// Whole minutes, in seconds, from the end of the newest bar to `as_of`.
    age_seconds: Option<i64>,
    /// The minute of the feed's clock this was said in.
    as_of: String,
    day_change: Option<DayChangeOut>,
    statistics: StatisticsOut,
}

impl SymbolOut {
    pub(crate) fn new(ticker: &Ticker, snapshot: &Snapshot, watchlist: &Watchlist) -> Self {
        let newest = ticker.newest().map(|record| &record.bar);
        let age = |bar: &Bar| i64::from(snapshot.minute.since(bar.start.plus(1)).max(0)) * 60;
        let figures = |metric| ticker.figures(metric).unwrap_or_default().into();
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
            age_seconds: newest.map(age),
            as_of: snapshot.minute.to_string(),
            day_change: ticker
                .day_change()
                .map(|(amount, percent)| DayChangeOut { amount: exact(Metric::Price.show(amount)), percent }),
            statistics: StatisticsOut { price: figures(Metric::Price), volume: figures(Metric::Volume) },
        }
    }
}

/// One place of a ranking. Symbols without a value come last and share no rank with others.
#[derive(Serialize)]
pub(crate) struct RankedOut {
    rank: usize,
    symbol: String,
    name: Option<&'static str>,
    metric: &'static str,
    by: &'static str,
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
#[derive(Serialize)]
pub(crate) struct AlertOut {
    id: String,
    rule: String,
    symbol: String,
    metric: &'static str,
    start: String,
    value: Option<Box<RawValue>>,
    average: Option<f64>,
    ratio: Option<f64>,
    window_bars: u16,
    feed: String,
    revision: u32,
    state: &'static str,
    raised_at: String,
    occurrences: usize,
    peak: Option<Box<RawValue>>,
}

impl From<&Alert> for AlertOut {
    fn from(alert: &Alert) -> Self {
        let finite = |number: f64| number.is_finite().then_some(number);
        Self {
            id: alert.id.to_string(),
            rule: alert.rule.clone(),
            symbol: alert.symbol.to_string(),
            metric: alert.metric.as_str(),
            start: alert.start.to_string(),
            value: exact(alert.metric.show(alert.value)),
            average: finite(alert.average()),
            ratio: finite(alert.ratio()),
            window_bars: alert.window_bars,
            feed: alert.feed.to_string(),
            revision: alert.revision,
            state: alert.state.as_str(),
            raised_at: alert.raised_at.to_string(),
            occurrences: alert.occurrences.len(),
            peak: exact(alert.metric.show(alert.peak())),
        }
    }
}
