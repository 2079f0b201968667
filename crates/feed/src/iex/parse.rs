//! Bytes of the IEX Cloud batch form to bars, or to counted rejects. Pure.

use super::model::{WireMinute, WireSymbol};
use crate::answer::Answer;
use crate::excerpt::excerpt;
use crate::{FeedError, FeedErrorKind, Fetched, json};
use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use qqq_core::market::calendar::new_york;
use qqq_core::{Bar, FeedLabel, Price, Second, Symbol};
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::ops::Range;

const PROVIDER: &str = "iex";

/// Parses an answer of `stock/market/batch?types=intraday-prices` that was asked for `symbols`.
///
/// The form counts records, not time, so minutes outside the range are to be expected and left out. A symbol
/// that is absent, or `null`, is not known: it failed.
pub fn batch(
    body: &[u8],
    symbols: &[Symbol],
    minutes: Range<Second>,
    feed: FeedLabel,
) -> Result<Fetched, FeedError> {
    let batch: BTreeMap<String, &RawValue> = json::read(PROVIDER, body)?;
    let zone = new_york();
    let mut answer = Answer::default();
    let mut present = Vec::new();
    for (name, raw) in batch {
        let Some(symbol) = name.parse().ok().filter(|symbol| symbols.contains(symbol)) else {
            answer.reject(excerpt(&name), "a symbol that was not asked for");
            continue;
        };
        // `null` is what some servers say of a symbol they do not know.
        if json::is_null(raw) {
            continue;
        }
        present.push(symbol);
        let entry: WireSymbol<'_> = match json::item(raw) {
            Ok(entry) => entry,
            Err(reason) => {
                let message =
                    format!("{PROVIDER} answered for {symbol} what is not the JSON expected ({reason})");
                answer.fail(symbol, FeedError::new(FeedErrorKind::Unreadable, message));
                continue;
            }
        };
        for (index, raw) in entry.minutes.unwrap_or_default().into_iter().enumerate() {
            match bar(raw, symbol, &zone, feed) {
                Ok(Some(bar)) if minutes.contains(&bar.start) => answer.bar(bar),
                Ok(_) => {}
                Err(reason) => answer.reject_bar(symbol, format!("{symbol}[{index}]"), reason),
            }
        }
    }
    for symbol in symbols.iter().filter(|symbol| !present.contains(symbol)) {
        let message = format!("{PROVIDER} does not know {symbol}: it has no part of the answer");
        answer.fail(*symbol, FeedError::new(FeedErrorKind::NotFound, message));
    }
    Ok(answer.finish())
}

/// One record; `None` where nothing traded.
fn bar(raw: &RawValue, symbol: Symbol, zone: &TimeZone, feed: FeedLabel) -> Result<Option<Bar>, String> {
    let wire: WireMinute<'_> = json::item(raw)?;
    // `Option<&RawValue>` is `None` for `null` and for a missing member.
    let (Some(open), Some(high), Some(low), Some(close)) = (wire.open, wire.high, wire.low, wire.close)
    else {
        return Ok(None);
    };
    let start = start(&wire.date, &wire.minute, zone)?;
    let volume = wire.volume.ok_or_else(|| format!("{start}: prices without a volume"))?;
    let named = |reason: String| format!("{start}: {reason}");
    let bar = Bar {
        symbol,
        start,
        open: json::price("open", open, Price::PLACES).map_err(named)?,
        high: json::price("high", high, Price::PLACES).map_err(named)?,
        low: json::price("low", low, Price::PLACES).map_err(named)?,
        close: json::price("close", close, Price::PLACES).map_err(named)?,
        volume: json::volume("volume", volume).map_err(named)?,
        vwap: json::optional_price("average", wire.average).map_err(named)?,
        trades: json::optional_count("numberOfTrades", wire.number_of_trades).map_err(named)?,
        feed,
    };
    bar.validate().map(Some).map_err(|error| named(error.to_string()))
}

/// The minute of a New York date and wall-clock time.
fn start(date: &str, minute: &str, zone: &TimeZone) -> Result<Second, String> {
    let at: Option<(Date, Time)> = date.parse().ok().zip(minute.parse().ok());
    let at = at.and_then(|(date, time)| zone.to_timestamp(date.to_datetime(time)).ok());
    at.and_then(Second::at_minute)
        .ok_or_else(|| format!("`{}` `{}`: not the start of a minute", excerpt(date), excerpt(minute)))
}
