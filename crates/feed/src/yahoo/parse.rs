//! Bytes from Yahoo to bars, or to counted rejects. Pure.

use super::model::{Chart, Envelope, Quote, WireSplit};
use crate::answer::Answer;
use crate::excerpt::excerpt;
use crate::{FeedError, FeedErrorKind, Fetched, Reject, json};
use jiff::Timestamp;
use jiff::civil::Date;
use qqq_core::market::calendar::new_york;
use qqq_core::{Bar, FeedLabel, Second, Split, Symbol, Volume};
use serde_json::value::RawValue;
use std::ops::{Range, RangeInclusive};

const PROVIDER: &str = "yahoo";

/// How Yahoo spells a symbol: share classes stand behind a dash, `BRK-B`.
pub fn spelling(symbol: Symbol) -> String {
    symbol.as_str().replace('.', "-")
}

/// Parses an answer of the chart endpoint that was asked for minute bars of `symbol` in `minutes`.
pub fn bars(
    body: &[u8],
    symbol: Symbol,
    minutes: Range<Second>,
    feed: FeedLabel,
) -> Result<Fetched, FeedError> {
    let result = result(body, symbol)?;
    if let Some(granularity) = result.meta.data_granularity.filter(|granularity| granularity != "1m") {
        let what = format!("bars of {} where minutes were asked for", excerpt(&granularity));
        return Err(no_answer(symbol, &what));
    }
    let mut answer = Answer::default();
    // Where nothing traded there are no times at all.
    let Some(times) = result.timestamp.filter(|times| !times.is_empty()) else {
        return Ok(answer.finish());
    };
    let Some(quote) = result.indicators.and_then(|indicators| indicators.quote?.into_iter().next()) else {
        return Err(no_answer(symbol, "times without prices"));
    };
    let lists = [&quote.open, &quote.high, &quote.low, &quote.close, &quote.volume];
    if lists.iter().any(|list| list.len() != times.len()) {
        return Err(no_answer(symbol, "lists of different lengths"));
    }

    let mut found = Vec::new();
    let last = times.len() - 1;
    for (index, time) in times.into_iter().enumerate() {
        let start = match start(time) {
            Ok(start) => start,
            // The minute that is still running is stamped with the time of its last trade.
            Err(Unstarted::NotOnMinute) if index == last => continue,
            Err(unstarted) => {
                answer.reject_bar(symbol, format!("{symbol}[{index}]"), unstarted.reason(time));
                continue;
            }
        };
        match bar(symbol, start, &quote, index, feed) {
            Ok(Some(bar)) => found.push(bar),
            Ok(None) => {}
            Err(reason) => answer.reject_bar(symbol, format!("{symbol} {start}"), reason),
        }
    }
    for bar in without_artefacts(&found) {
        if minutes.contains(&bar.start) {
            answer.bar(*bar);
        } else if bar.start != minutes.end {
            // Whether the end is exclusive is not documented: the bar just there is no surprise.
            answer.reject(format!("{symbol} {}", bar.start), "outside the time asked for");
        }
    }
    Ok(answer.finish())
}

/// Parses an answer of the chart endpoint that was asked for splits of `symbol`: those with ex-dates in
/// `days`, and what was none.
pub fn splits(
    body: &[u8],
    symbol: Symbol,
    days: &RangeInclusive<Date>,
) -> Result<(Vec<Split>, Vec<Reject>), FeedError> {
    let mut answer = Answer::default();
    let mut found = Vec::new();
    let listed = result(body, symbol)?.events.and_then(|events| events.splits).unwrap_or_default();
    for (key, raw) in listed {
        match split(raw, symbol) {
            Ok(split) if days.contains(&split.ex_date) => found.push(split),
            Ok(_) => {}
            Err(reason) => answer.reject(format!("{symbol} splits[{}]", excerpt(&key)), reason),
        }
    }
    found.sort_unstable_by_key(|split| split.ex_date);
    found.dedup_by_key(|split| split.ex_date);
    Ok((found, answer.finish().rejects))
}

/// Parses an answer of the chart endpoint: when `symbol` last traded, where it says so.
pub fn last_trade(body: &[u8], symbol: Symbol) -> Result<Option<Timestamp>, FeedError> {
    let result = result(body, symbol)?;
    Ok(result.meta.regular_market_time.and_then(|seconds| Timestamp::from_second(seconds).ok()))
}

/// What Yahoo says in the body of a refusal, where it says anything.
pub(super) fn refusal(body: &str) -> Option<FeedErrorKind> {
    let envelope: Envelope<'_> = serde_json::from_str(body).ok()?;
    Some(kind(&envelope.chart))
}

fn kind(chart: &Chart<'_>) -> FeedErrorKind {
    match chart.error.as_ref().and_then(|error| error.code.as_deref()) {
        Some("Not Found") => FeedErrorKind::NotFound,
        // There is no key that could be wrong.
        Some("Unauthorized" | "Too Many Requests") => FeedErrorKind::RateLimited { retry_after: None },
        Some("Internal Server Error") => FeedErrorKind::Transient,
        _ => FeedErrorKind::BadRequest,
    }
}

/// The one result of an answer. An answer without one, or for another symbol, says nothing about the time
/// that was asked for, so it is no answer.
fn result(body: &[u8], symbol: Symbol) -> Result<super::model::Result<'_>, FeedError> {
    let envelope: Envelope<'_> = json::read(PROVIDER, body)?;
    if let Some(error) = &envelope.chart.error {
        let said = [&error.code, &error.description].map(|text| text.as_deref().unwrap_or_default());
        let message = format!("{PROVIDER} answered for {symbol}: {}", excerpt(&said.join(": ")));
        return Err(FeedError::new(kind(&envelope.chart), message));
    }
    let Some(result) = envelope.chart.result.and_then(|results| results.into_iter().next()) else {
        return Err(no_answer(symbol, "neither a result nor an error"));
    };
    let answered: Option<Symbol> = result.meta.symbol.parse().ok();
    if answered.map(spelling) != Some(spelling(symbol)) {
        // As good as "unknown": it stays so, and must not hold up the other symbols' splits.
        let what = format!("{PROVIDER}, asked for {symbol}, answered for {}", excerpt(&result.meta.symbol));
        return Err(FeedError::new(FeedErrorKind::NotFound, what));
    }
    Ok(result)
}

fn no_answer(symbol: Symbol, what: &str) -> FeedError {
    FeedError::new(FeedErrorKind::Unreadable, format!("{PROVIDER}, asked for {symbol}, answered {what}"))
}

/// Why a time is no bar's start.
enum Unstarted {
    NotATime,
    NotOnMinute,
}

impl Unstarted {
    fn reason(&self, raw: &RawValue) -> String {
        let shown = excerpt(raw.get());
        match self {
            Self::NotATime => format!("timestamp {shown}: not a time"),
            Self::NotOnMinute => format!("timestamp {shown}: not the start of a minute"),
        }
    }
}

fn start(raw: &RawValue) -> Result<Second, Unstarted> {
    let seconds: i64 = raw.get().parse().map_err(|_| Unstarted::NotATime)?;
    let at = Timestamp::from_second(seconds).map_err(|_| Unstarted::NotATime)?;
    if seconds % 60 != 0 {
        return Err(Unstarted::NotOnMinute);
    }
    Second::at_minute(at).ok_or(Unstarted::NotATime)
}

/// The bar at `index`; `None` where the minute has none.
fn bar(
    symbol: Symbol,
    start: Second,
    quote: &Quote<'_>,
    index: usize,
    feed: FeedLabel,
) -> Result<Option<Bar>, String> {
    let values =
        [quote.open[index], quote.high[index], quote.low[index], quote.close[index], quote.volume[index]];
    if values.into_iter().any(json::is_null) {
        return Ok(None);
    }
    let bar = Bar {
        symbol,
        start,
        open: json::widened_price("open", values[0])?,
        high: json::widened_price("high", values[1])?,
        low: json::widened_price("low", values[2])?,
        close: json::widened_price("close", values[3])?,
        volume: json::volume("volume", values[4])?,
        vwap: None,
        trades: None,
        feed,
    };
    bar.validate().map(Some).map_err(|error| error.to_string())
}

/// Yahoo makes up the edges of an answer: a first bar, and one for the running minute, of no volume. In
/// between, a volume of 0 is normal outside the regular session.
fn without_artefacts(bars: &[Bar]) -> &[Bar] {
    let is_empty = |bar: &Bar| bar.volume == Volume::ZERO;
    let bars = match bars {
        [first, rest @ ..] if is_empty(first) => rest,
        bars => bars,
    };
    match bars {
        [rest @ .., last] if is_empty(last) => rest,
        bars => bars,
    }
}

fn split(raw: &RawValue, symbol: Symbol) -> Result<Split, String> {
    let wire: WireSplit<'_> = json::item(raw)?;
    let at = Timestamp::from_second(wire.date).map_err(|_| format!("date {}: not a time", wire.date))?;
    json::split(symbol, new_york().to_datetime(at).date(), wire.numerator, wire.denominator)
}
