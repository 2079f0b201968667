//! Bars that lie as rows: those of sessions that are not closed, and what came late.
//!
//! A row costs more on its way here than what it holds: a copy of each column, and a message between two
//! threads. So SQLite writes a few thousand bars into one text, and they are read from that.
//!
//! Rows lie by time, as they come: what is asked of some symbols is found with one search for each time there
//! is.

use super::bulk::Bulk;
use super::checksum;
use super::rows::{self, bar_columns};
use super::sql::bounded;
use crate::block::{Stored, Written};
use crate::{BarRecord, ChangeCursor, Imported, Key, Sequence, Stamped, StoreError};
use qqq_core::{Bar, FeedLabel, Price, Second, Symbol, Volume};
use sqlx::SqliteConnection;
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::LazyLock;

type Query = sqlx::query::Query<'static, sqlx::Sqlite, SqliteArguments>;

/// Bars in one text: some 400 kB.
const PIECE_BARS: usize = 4096;

/// One text of bars: fields between commas, `-` for none, bars between semicolons. Prices are told by their
/// distance from the close, in fewer digits.
macro_rules! text_of {
    ($($of:expr),+) => {
        concat!(
            "select group_concat(concat_ws(',', symbol, start, close, \
             open - close, high - close, low - close, \
             volume, ifnull(vwap - close, '-'), ifnull(trades, '-'), feed, \
             checksum, revision, sequence), ';') \
             from (select symbol, start, open, high, low, close, volume, vwap, trades, feed, \
             checksum, revision, sequence ",
            $($of,)+
            ")"
        )
    };
}

/// The times of bars from ?1 to ?2, each found from the one before. A join that begins with them goes
/// through them in their order.
macro_rules! starts {
    ($what:expr) => {
        concat!(
            "with recursive starts(at) as (\
             select min(start) from bars where start >= ?1 and start <= ?2 \
             union all \
             select (select min(start) from bars where start > starts.at and start <= ?2) from starts \
             where starts.at is not null) ",
            $what
        )
    };
}

/// Of symbols from ?3 to ?4, what stands after (?5, ?6), at most ?7, by (start, symbol).
pub(super) const OF_SYMBOLS: &str = text_of!(
    "from (",
    starts!("select at from starts where at is not null"),
    ") cross join bars on start = at where symbol >= ?3 and symbol <= ?4 \
     and (start, symbol) > (?5, ?6) limit ?7"
);

/// The last one of symbol ?3 from ?1 to ?2.
pub(super) const LAST: &str = text_of!(
    "from (with recursive starts(at) as (\
     select max(start) from bars where start >= ?1 and start <= ?2 \
     union all \
     select (select max(start) from bars where start < starts.at and start >= ?1) from starts \
     where starts.at is not null) select at from starts where at is not null) \
     cross join bars on start = at where symbol = ?3 limit 1"
);

/// In the order of places, which is that of the index.
pub(super) const AFTER: &str = text_of!(
    "from bars where (sequence, symbol, start) > (?1, ?2, ?3) and sequence <= ?4 \
     order by sequence, symbol, start limit ?5"
);

/// At each time from ?1 to ?2, the first ?4 symbols after ?3.
pub(super) const SYMBOLS: &str = starts!(
    "select (select group_concat(symbol, ',') from (select symbol from bars where start = at and symbol > ?3 \
     order by symbol limit ?4)) from starts where at is not null"
);

pub(super) const DELETE: &str = concat!(
    "delete from bars where (start, symbol) in (select start, symbol from (",
    starts!("select at from starts where at is not null"),
    ") cross join bars on start = at where symbol >= ?3 and symbol <= ?4)"
);

pub(super) const PRUNE: &str = "delete from bars where (start, symbol) in \
     (select start, symbol from bars where start < ? order by start limit ?)";

/// Everything there is.
pub(super) const ALWAYS: RangeInclusive<Second> = Second::MIN..=Second::MAX;

/// Bars of some symbols, by (start, symbol), at most `limit`.
pub(super) async fn of_symbols(
    connection: &mut SqliteConnection,
    symbols: RangeInclusive<Symbol>,
    range: RangeInclusive<Second>,
    limit: usize,
) -> Result<Vec<Stored>, StoreError> {
    let mut bars: Vec<Stored> = Vec::new();
    let mut after = (i64::MIN, String::new());
    while bars.len() < limit {
        let wanted = PIECE_BARS.min(limit - bars.len());
        let text: Option<String> = sqlx::query_scalar(OF_SYMBOLS)
            .bind(range.start().unix().max(after.0))
            .bind(range.end().unix())
            .bind(symbols.start().as_str().to_owned())
            .bind(symbols.end().as_str().to_owned())
            .bind(after.0)
            .bind(after.1)
            .bind(bounded(wanted))
            .fetch_one(&mut *connection)
            .await?;
        let read = read(text.as_deref(), &mut bars)?;
        match bars.last() {
            Some(last) if read == wanted => {
                after = (last.row.bar.start.unix(), last.row.bar.symbol.as_str().to_owned());
            }
            _ => break,
        }
    }
    Ok(bars)
}

/// Bars of a symbol, oldest first, at most `limit`.
pub(super) async fn of_symbol(
    connection: &mut SqliteConnection,
    symbol: Symbol,
    range: RangeInclusive<Second>,
    limit: usize,
) -> Result<Vec<Stored>, StoreError> {
    of_symbols(connection, symbol..=symbol, range, limit).await
}

/// The last bar of a symbol in a range.
pub(super) async fn last_of(
    connection: &mut SqliteConnection,
    symbol: Symbol,
    range: RangeInclusive<Second>,
) -> Result<Option<Stored>, StoreError> {
    let text: Option<String> = sqlx::query_scalar(LAST)
        .bind(range.start().unix())
        .bind(range.end().unix())
        .bind(symbol.as_str().to_owned())
        .fetch_one(connection)
        .await?;
    let mut bars = Vec::new();
    read(text.as_deref(), &mut bars)?;
    Ok(bars.pop())
}

/// The bars that stand after a place and belong to commits up to `upto`, in order, at most `limit`.
pub(super) async fn after(
    connection: &mut SqliteConnection,
    place: ChangeCursor,
    upto: Sequence,
    limit: usize,
) -> Result<Vec<Stored>, StoreError> {
    let mut bars: Vec<Stored> = Vec::new();
    let mut after = match place.key {
        Key::Bar(symbol, start) => (place.sequence.0, symbol.as_str().to_owned(), start.unix()),
        // Of its commit, no bar is left.
        _ => (place.sequence.0.saturating_add(1), String::new(), 0),
    };
    while bars.len() < limit {
        let wanted = PIECE_BARS.min(limit - bars.len());
        let text: Option<String> = sqlx::query_scalar(AFTER)
            .bind(after.0)
            .bind(after.1)
            .bind(after.2)
            .bind(upto.0)
            .bind(bounded(wanted))
            .fetch_one(&mut *connection)
            .await?;
        let read = read(text.as_deref(), &mut bars)?;
        match bars.last() {
            Some(Stamped { sequence, row: BarRecord { bar, .. } }) if read == wanted => {
                after = (sequence.0, bar.symbol.as_str().to_owned(), bar.start.unix());
            }
            _ => break,
        }
    }
    Ok(bars)
}

pub(super) const BY_COMMIT: &str = "select sequence, count(*) from \
     (select sequence from bars where sequence > ? order by sequence limit ?) group by sequence";

/// How many bars each commit after one changed last, as far as it takes to have `limit` of them.
pub(super) async fn by_commit(
    connection: &mut SqliteConnection,
    after: Sequence,
    limit: usize,
) -> Result<BTreeMap<Sequence, usize>, StoreError> {
    let rows = sqlx::query(BY_COMMIT).bind(after.0).bind(bounded(limit)).fetch_all(connection).await?;
    let one = |row| {
        let mut columns = rows::Columns::new(row, "bars");
        let (sequence, count): (i64, u64) = (columns.take()?, columns.take()?);
        Ok((Sequence(sequence), usize::try_from(count).unwrap_or(usize::MAX)))
    };
    rows.iter().map(one).collect()
}

/// Whether any bar lies in a range.
pub(super) async fn are_any(
    connection: &mut SqliteConnection,
    range: RangeInclusive<Second>,
) -> Result<bool, StoreError> {
    Ok(sqlx::query_scalar("select exists (select 1 from bars where start >= ? and start <= ?)")
        .bind(range.start().unix())
        .bind(range.end().unix())
        .fetch_one(connection)
        .await?)
}

/// When the oldest, or the newest bar begins.
pub(super) async fn ends(
    connection: &mut SqliteConnection,
) -> Result<Option<RangeInclusive<Second>>, StoreError> {
    let row = sqlx::query("select (select min(start) from bars), (select max(start) from bars)")
        .fetch_one(connection)
        .await?;
    let mut columns = rows::Columns::new(&row, "bars");
    let (oldest, newest) = (columns.maybe_second()?, columns.maybe_second()?);
    Ok(oldest.zip(newest).map(|(oldest, newest)| oldest..=newest))
}

/// The first `limit` symbols after one that have bars in a range, in order.
pub(super) async fn symbols_in(
    connection: &mut SqliteConnection,
    range: &RangeInclusive<Second>,
    after: &str,
    limit: usize,
) -> Result<Vec<Symbol>, StoreError> {
    let texts: Vec<Option<String>> = sqlx::query_scalar(SYMBOLS)
        .bind(range.start().unix())
        .bind(range.end().unix())
        .bind(after.to_owned())
        .bind(bounded(limit))
        .fetch_all(connection)
        .await?;
    let mut symbols = texts
        .iter()
        .flatten()
        .flat_map(|text| text.split(','))
        .map(|name| name.parse().map_err(|_| unreadable(name)))
        .collect::<Result<Vec<Symbol>, _>>()?;
    symbols.sort_unstable();
    symbols.dedup();
    symbols.truncate(limit);
    Ok(symbols)
}

/// Deletes the bars of some symbols in a range.
pub(super) async fn delete(
    connection: &mut SqliteConnection,
    symbols: RangeInclusive<Symbol>,
    range: &RangeInclusive<Second>,
) -> Result<(), StoreError> {
    sqlx::query(DELETE)
        .bind(range.start().unix())
        .bind(range.end().unix())
        .bind(symbols.start().as_str().to_owned())
        .bind(symbols.end().as_str().to_owned())
        .execute(connection)
        .await?;
    Ok(())
}

fn unreadable(text: &str) -> StoreError {
    StoreError::Corrupt { table: "bars", reason: format!("a bar cannot be read: {text}") }
}

/// Reads the bars of a text, and answers how many. What is not what was written is an error.
fn read(text: Option<&str>, bars: &mut Vec<Stored>) -> Result<usize, StoreError> {
    let Some(text) = text else { return Ok(0) };
    let before = bars.len();
    let mut known = Known::default();
    for fields in text.split(';') {
        let (bar, checksum) = known.bar(fields).ok_or_else(|| unreadable(fields))?;
        checksum::verify(&bar.row.bar, checksum)?;
        bars.push(bar);
    }
    Ok(bars.len() - before)
}

/// Names that were checked already: the same symbol or feed comes many times in a row.
#[derive(Default)]
struct Known<'t> {
    symbol: Option<(&'t str, Symbol)>,
    feed: Option<(&'t str, FeedLabel)>,
}

impl<'t> Known<'t> {
    fn bar(&mut self, fields: &'t str) -> Option<(Stored, i64)> {
        let mut fields = fields.split(',');
        let symbol = name(&mut self.symbol, fields.next()?)?;
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
        let feed = name(&mut self.feed, fields.next()?)?;
        let checksum = fields.next()?.parse().ok()?;
        let revision = fields.next()?.parse().ok()?;
        let sequence = Sequence(fields.next()?.parse().ok()?);
        let close = price(0)?;
        let bar = Bar { symbol, start, open, high, low, close, volume, vwap, trades, feed };
        Some((Stamped { sequence, row: BarRecord { bar, revision } }, checksum))
    }
}

fn name<'t, T: Copy + std::str::FromStr>(known: &mut Option<(&'t str, T)>, text: &'t str) -> Option<T> {
    match *known {
        Some((same, name)) if same == text => Some(name),
        _ => Some(known.insert((text, text.parse().ok()?)).1),
    }
}

macro_rules! upsert_bar {
    ($revision:literal, $differ:literal) => {
        Bulk::new(
            concat!("insert into bars (", bar_columns!(), ", sequence) values"),
            13,
            concat!(
                "on conflict (start, symbol) do update set \
                 (open, high, low, close, volume, vwap, trades, feed, revision, checksum, sequence) = \
                 (excluded.open, excluded.high, excluded.low, excluded.close, excluded.volume, \
                  excluded.vwap, excluded.trades, excluded.feed, ",
                $revision,
                ", excluded.checksum, excluded.sequence) where \
                 (excluded.open, excluded.high, excluded.low, excluded.close, excluded.volume, \
                  excluded.vwap, excluded.trades, excluded.feed, excluded.checksum",
                $differ
            ),
        )
    };
}

/// Takes the revision as given.
static STORE_BAR: LazyLock<Bulk> = LazyLock::new(|| {
    upsert_bar!(
        "excluded.revision",
        ", excluded.revision) is not (open, high, low, close, volume, vwap, trades, feed, checksum, revision)"
    )
});

/// Counts the revision itself, and tells what it wrote: revision 0 is a new bar.
static IMPORT_BAR: LazyLock<Bulk> = LazyLock::new(|| {
    upsert_bar!(
        "bars.revision + 1",
        ") is not (open, high, low, close, volume, vwap, trades, feed, checksum) returning revision"
    )
});

/// Nothing but the check.
pub(super) static CHECK_BARS: LazyLock<Bulk> = LazyLock::new(|| {
    Bulk::new(
        concat!("insert into bars (", bar_columns!(), ", sequence) values"),
        13,
        "on conflict (start, symbol) do update set checksum = excluded.checksum",
    )
});

pub(super) fn bind_bar(query: Query, bar: &Bar, revision: u32, sequence: i64) -> Query {
    query
        .bind(bar.symbol.as_str().to_owned())
        .bind(bar.start.unix())
        .bind(bar.open.nanos())
        .bind(bar.high.nanos())
        .bind(bar.low.nanos())
        .bind(bar.close.nanos())
        .bind(bar.volume.shares())
        .bind(bar.vwap.map(|price| price.nanos()))
        .bind(bar.trades)
        .bind(bar.feed.as_str().to_owned())
        .bind(revision)
        .bind(checksum::of(bar))
        .bind(sequence)
}

/// Writes bars with the revisions they have. Answers how many were new or different.
pub(super) async fn write(
    connection: &mut SqliteConnection,
    bars: &[Written<'_>],
    sequence: i64,
) -> Result<u64, StoreError> {
    let mut changed = 0;
    for (sql, piece) in STORE_BAR.pieces(bars) {
        let query = piece.iter().fold(sqlx::query(sql), |query, one| {
            bind_bar(query, one.bar, one.revision.unwrap_or_default(), sequence)
        });
        changed += query.execute(&mut *connection).await?.rows_affected();
    }
    Ok(changed)
}

/// Writes bars whose revision the store counts.
pub(super) async fn import(
    connection: &mut SqliteConnection,
    bars: &[Written<'_>],
    sequence: i64,
) -> Result<Imported, StoreError> {
    let mut imported = Imported::default();
    if are_new(connection, bars).await? {
        // None replaces another one, and nothing has to be told of each: a good deal quicker.
        imported.new = write(connection, bars, sequence).await?;
        return Ok(imported);
    }
    for (sql, piece) in IMPORT_BAR.pieces(bars) {
        let query = piece.iter().fold(sqlx::query(sql), |query, one| bind_bar(query, one.bar, 0, sequence));
        let written: Vec<SqliteRow> = query.fetch_all(&mut *connection).await?;
        for row in &written {
            match rows::Columns::new(row, "bars").take::<u32>()? {
                0 => imported.new += 1,
                _ => imported.revised += 1,
            }
        }
        imported.unchanged += (piece.len() - written.len()) as u64;
    }
    Ok(imported)
}

/// Whether these are bars of times from which none is there, each of another symbol or time.
async fn are_new(connection: &mut SqliteConnection, bars: &[Written<'_>]) -> Result<bool, StoreError> {
    let mut keys: Vec<(Second, Symbol)> = bars.iter().map(|one| (one.bar.start, one.bar.symbol)).collect();
    keys.sort_unstable();
    let (Some(first), Some(last)) = (keys.first(), keys.last()) else { return Ok(true) };
    let is_each_another = keys.windows(2).all(|pair| pair.first() != pair.last());
    Ok(is_each_another && !are_any(connection, first.0..=last.0).await?)
}
