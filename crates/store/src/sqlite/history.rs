//! Many bars at once. A row costs more on its way here than what it holds: a copy of each column, and a
//! message between two threads. So SQLite writes a few thousand bars into one text, and they are read from
//! that.

use super::checksum;
use super::sql::bounded;
use crate::StoreError;
use qqq_core::{Bar, FeedLabel, Price, Second, Symbol, Volume};
use sqlx::SqliteConnection;
use std::ops::Range;

/// Bars in one text: some 400 kB.
const PIECE_BARS: usize = 4096;

/// One text of the bars from a time on: fields between commas, `-` for none, bars between semicolons.
/// Prices are told by their distance from the close, in fewer digits.
const PIECE: &str = "select group_concat(concat_ws(',', start, close, \
     open - close, high - close, low - close, \
     volume, ifnull(vwap - close, '-'), ifnull(trades, '-'), feed, checksum), ';') \
     from (select start, open, high, low, close, volume, vwap, trades, feed, checksum \
     from bars where symbol = ? and start >= ? and start < ? order by start limit ?)";

/// Reads bars of one symbol, oldest first, at most `limit`.
pub(super) async fn read(
    connection: &mut SqliteConnection,
    symbol: Symbol,
    range: Range<Second>,
    limit: usize,
) -> Result<Vec<Bar>, StoreError> {
    let mut bars = Vec::new();
    let mut from = range.start;
    while bars.len() < limit {
        let wanted = PIECE_BARS.min(limit - bars.len());
        let text: Option<String> = sqlx::query_scalar(PIECE)
            .bind(symbol.as_str().to_owned())
            .bind(from.unix())
            .bind(range.end.unix())
            .bind(bounded(wanted))
            .fetch_one(&mut *connection)
            .await?;
        let Some(text) = text else { break };
        let before = bars.len();
        // Feeds change seldom, and each is checked once.
        let mut feed = None;
        for fields in text.split(';') {
            let (bar, checksum) = bar(symbol, fields, &mut feed).ok_or_else(|| StoreError::Corrupt {
                table: "bars",
                reason: format!("a bar of {symbol} after {from} cannot be read: {fields}"),
            })?;
            checksum::verify(&bar, checksum)?;
            bars.push(bar);
        }
        match bars.last() {
            Some(last) if bars.len() - before == wanted => from = last.start.plus_seconds(1),
            _ => break,
        }
    }
    Ok(bars)
}

fn bar<'t>(symbol: Symbol, fields: &'t str, feed: &mut Option<(&'t str, FeedLabel)>) -> Option<(Bar, i64)> {
    let mut fields = fields.split(',');
    let mut number = || -> Option<i64> { fields.next()?.parse().ok() };
    let start = Second::at_unix(number()?)?;
    let close = number()?;
    let price = |distance: i64| Price::from_nanos(close.checked_add(distance)?).ok();
    let open = price(number()?)?;
    let high = price(number()?)?;
    let low = price(number()?)?;
    let volume = Volume::from_shares(number()?).ok()?;
    let vwap = match fields.next()? {
        "-" => None,
        distance => Some(price(distance.parse().ok()?)?),
    };
    let trades = match fields.next()? {
        "-" => None,
        count => Some(count.parse().ok()?),
    };
    let name = fields.next()?;
    let label = match *feed {
        Some((known, label)) if known == name => label,
        _ => feed.insert((name, name.parse().ok()?)).1,
    };
    let checksum = fields.next()?.parse().ok()?;
    let close = price(0)?;
    Some((Bar { symbol, start, open, high, low, close, volume, vwap, trades, feed: label }, checksum))
}
