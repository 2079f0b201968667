//! Blocks: the closed form of bars, the same on every backend. All bars of one symbol in a stretch of time,
//! as compressed columns of exact integers with a check over the whole. `docs/blocks.md` has every byte of
//! it.
//!
//! ```text
//! columns  numbers as bytes: LEB128, zigzag
//! merge    writing a bar that a block may hold already
//! ```

mod columns;
mod merge;

pub(crate) use merge::{Merged, Written, put};

use crate::{BarRecord, Sequence, Stamped, StoreError};
use columns::{Columns, push_signed, push_text, push_unsigned, unzigzag, zigzag};
use qqq_core::{Bar, FeedLabel, Price, Second, Symbol, Volume};
use std::cell::RefCell;
use zstd::bulk::{Compressor, Decompressor};

/// A bar as it lies in a block: with its revision, and the commit that last changed it.
pub(crate) type Stored = Stamped<BarRecord>;

/// The most bars of a block: those of a day of seconds, and room for the day that has 25 hours.
pub(crate) const MOST_BARS: usize = 100_000;

const MAGIC: [u8; 4] = *b"QQQB";
const VERSION: u8 = 1;
/// CRC-32 of all that stands before it.
const CHECK: usize = 4;
/// Columns of one number for each bar.
const COLUMNS: usize = 11;
/// No columns are longer: of each bar, so many numbers of ten bytes at most; and what is told once.
const MOST_BYTES: usize = MOST_BARS * COLUMNS * 10 + 64 * 1024;
/// More takes longer and saves nothing: what is left is noise.
const LEVEL: i32 = 3;

thread_local! {
    // Made once: they hold tables that are larger than a block.
    static COMPRESSOR: RefCell<Option<Compressor<'static>>> = const { RefCell::new(None) };
    static DECOMPRESSOR: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
}

/// Writes bars of one symbol, at least one and at most [`MOST_BARS`], each later than the one before.
pub(crate) fn encode(bars: &[Stored]) -> Result<Vec<u8>, StoreError> {
    let refused = |what: &str| StoreError::Backend(format!("a block cannot be made: {what}"));
    let Some(first) = bars.first() else { return Err(refused("it would hold no bar")) };
    if bars.len() > MOST_BARS {
        return Err(refused("it would hold too many bars"));
    }
    let symbol = first.row.bar.symbol;
    let follows = |pair: &[Stored]| match pair {
        [one, next] => one.row.bar.start < next.row.bar.start && next.row.bar.symbol == symbol,
        _ => true,
    };
    if !bars.windows(2).all(follows) {
        return Err(refused("its bars are not of one symbol and in order"));
    }
    let columns = columns_of(symbol, bars);
    let mut block = Vec::with_capacity(columns.len());
    block.extend_from_slice(&MAGIC);
    block.push(VERSION);
    let length = u32::try_from(columns.len()).map_err(|_| refused("its columns are too long"))?;
    block.extend_from_slice(&length.to_le_bytes());
    block.extend_from_slice(&compressed(&columns).map_err(|error| refused(&error.to_string()))?);
    let check = crc32fast::hash(&block);
    block.extend_from_slice(&check.to_le_bytes());
    Ok(block)
}

fn compressed(columns: &[u8]) -> std::io::Result<Vec<u8>> {
    COMPRESSOR.with_borrow_mut(|kept| {
        let compressor = match kept {
            Some(compressor) => compressor,
            None => kept.insert(Compressor::new(LEVEL)?),
        };
        compressor.compress(columns)
    })
}

fn columns_of(symbol: Symbol, bars: &[Stored]) -> Vec<u8> {
    let all = || bars.iter().map(|one| &one.row.bar);
    let first = bars.first().map_or(0, |one| one.row.bar.start.unix());
    let step = unit(all().map(|bar| bar.start.unix() - first));
    let dollars = unit(all().flat_map(|bar| [bar.open, bar.high, bar.low, bar.close]).map(Price::nanos));
    let to_close = |bar: &Bar| bar.vwap.map(|vwap| vwap.nanos() - bar.close.nanos());
    let vwap_unit = unit(all().filter_map(to_close));
    let mut feeds: Vec<FeedLabel> = Vec::new();
    for bar in all() {
        // They change seldom: the last one is looked at first.
        if !feeds.iter().rev().any(|feed| *feed == bar.feed) {
            feeds.push(bar.feed);
        }
    }

    let mut out = Vec::with_capacity(bars.len() * 16 + 64);
    push_text(&mut out, symbol.as_str());
    push_unsigned(&mut out, bars.len() as u64);
    push_signed(&mut out, first);
    for unit in [step, dollars, vwap_unit] {
        push_unsigned(&mut out, unit.unsigned_abs());
    }
    push_unsigned(&mut out, feeds.len() as u64);
    for feed in &feeds {
        push_text(&mut out, feed.as_str());
    }

    let mut before = first;
    for bar in all() {
        push_unsigned(&mut out, ((bar.start.unix() - before) / step).unsigned_abs());
        before = bar.start.unix();
    }
    let in_units = |price: Price| price.nanos() / dollars;
    let mut before = 0;
    for bar in all() {
        push_signed(&mut out, in_units(bar.close) - before);
        before = in_units(bar.close);
    }
    let mut before = 0;
    for bar in all() {
        push_signed(&mut out, in_units(bar.open) - before);
        before = in_units(bar.close);
    }
    for bar in all() {
        push_signed(&mut out, in_units(bar.high) - in_units(bar.open.max(bar.close)));
    }
    for bar in all() {
        push_signed(&mut out, in_units(bar.open.min(bar.close)) - in_units(bar.low));
    }
    for bar in all() {
        push_unsigned(&mut out, bar.volume.shares().unsigned_abs());
    }
    for bar in all() {
        push_unsigned(&mut out, to_close(bar).map_or(0, |distance| 1 + zigzag(distance / vwap_unit)));
    }
    for bar in all() {
        push_unsigned(&mut out, bar.trades.map_or(0, |trades| 1 + u64::from(trades)));
    }
    for bar in all() {
        push_unsigned(&mut out, feeds.iter().position(|feed| *feed == bar.feed).unwrap_or(0) as u64);
    }
    for one in bars {
        push_unsigned(&mut out, one.row.revision.into());
    }
    let mut before = 0_i64;
    for one in bars {
        push_signed(&mut out, one.sequence.0.wrapping_sub(before));
        before = one.sequence.0;
    }
    out
}

/// The largest number that divides all of these; 1 where they are all 0.
fn unit(numbers: impl Iterator<Item = i64>) -> i64 {
    let mut greatest = 0_i64;
    for number in numbers {
        let (mut a, mut b) = (greatest, number);
        while b != 0 {
            (a, b) = (b, a % b);
        }
        greatest = a.abs();
        if greatest == 1 {
            break;
        }
    }
    greatest.max(1)
}

/// Reads the bars of a block of `symbol`. Whatever is not as [`encode`] wrote it is an error that names the
/// symbol and the time at which the block begins, as it is known from elsewhere.
pub(crate) fn decode(symbol: Symbol, first: Second, block: &[u8]) -> Result<Vec<Stored>, StoreError> {
    read(symbol, block).map_err(|what| StoreError::Corrupt {
        table: "blocks",
        reason: format!(
            "the block of {symbol} that begins at {first} is not what was written ({what}). \
             Import the bars of that day again, which mends it, or bring back a backup"
        ),
    })
}

fn read(symbol: Symbol, block: &[u8]) -> Result<Vec<Stored>, &'static str> {
    let (told, check) = block.split_last_chunk::<CHECK>().ok_or("it is too short")?;
    if crc32fast::hash(told) != u32::from_le_bytes(*check) {
        return Err("its checksum differs");
    }
    let (magic, rest) = told.split_first_chunk().ok_or("it is too short")?;
    let (&[version], rest) = rest.split_first_chunk().ok_or("it is too short")?;
    let (length, packed) = rest.split_first_chunk().ok_or("it is too short")?;
    if *magic != MAGIC {
        return Err("it is no block");
    }
    if version != VERSION {
        return Err("a newer version of this program wrote it");
    }
    let length = usize::try_from(u32::from_le_bytes(*length)).unwrap_or(usize::MAX);
    if length > MOST_BYTES {
        return Err("its columns are too long");
    }
    let columns = decompressed(packed, length).map_err(|_| "its columns cannot be unpacked")?;
    if columns.len() != length {
        return Err("its columns are shorter than it says");
    }
    let mut columns = Columns::new(&columns);
    let bars = bars_of(symbol, &mut columns)?;
    if !columns.is_empty() {
        return Err("something stands behind its columns");
    }
    Ok(bars)
}

fn decompressed(packed: &[u8], length: usize) -> std::io::Result<Vec<u8>> {
    DECOMPRESSOR.with_borrow_mut(|kept| {
        let decompressor = match kept {
            Some(decompressor) => decompressor,
            None => kept.insert(Decompressor::new()?),
        };
        decompressor.decompress(packed, length)
    })
}

fn bars_of(symbol: Symbol, from: &mut Columns<'_>) -> Result<Vec<Stored>, &'static str> {
    if from.text()? != symbol.as_str() {
        return Err("it is of another symbol");
    }
    let count = usize::try_from(from.unsigned()?).unwrap_or(usize::MAX);
    if !(1..=MOST_BARS).contains(&count) {
        return Err("it says to hold no bar, or too many");
    }
    let first = from.signed()?;
    let (step, dollars, vwap_unit) = (from.unit()?, from.unit()?, from.unit()?);
    let feeds = usize::try_from(from.unsigned()?).unwrap_or(usize::MAX);
    if !(1..=count).contains(&feeds) {
        return Err("it says to hold bars of no feed, or of too many");
    }
    let mut labels = Vec::new();
    for _ in 0..feeds {
        labels.push(FeedLabel::new(from.text()?).map_err(|_| "the name of a feed makes no sense")?);
    }

    let columns = from.numbers(count * COLUMNS)?;
    let mut columns = columns.chunks_exact(count);
    let mut column = || columns.next().unwrap_or_default().iter().copied();
    let (mut starts, mut closes, mut opens, mut highs) = (column(), column(), column(), column());
    let (mut lows, mut volumes, mut vwaps, mut trades) = (column(), column(), column(), column());
    let (mut of_feeds, mut revisions, mut sequences) = (column(), column(), column());

    // What makes no sense overflows, or is no price: the arithmetic may wrap, as every result is looked at.
    let price = |units: i64| {
        let nanos = units.checked_mul(dollars).ok_or("a price is too high")?;
        Price::from_nanos(nanos).map_err(|_| "a price is none")
    };
    let mut bars = Vec::with_capacity(count);
    let (mut start, mut close, mut sequence) = (first, 0_i64, 0_i64);
    for n in 0..count {
        let next = |column: &mut dyn Iterator<Item = u64>| column.next().unwrap_or_default();
        let steps = i64::try_from(next(&mut starts)).map_err(|_| "a time makes no sense")?;
        if (steps == 0) != (n == 0) {
            return Err("its bars are not in order");
        }
        start = steps.checked_mul(step).and_then(|by| start.checked_add(by)).ok_or("a time is too late")?;
        let before = close;
        close = before.wrapping_add(unzigzag(next(&mut closes)));
        let open = before.wrapping_add(unzigzag(next(&mut opens)));
        let high = open.max(close).wrapping_add(unzigzag(next(&mut highs)));
        let low = open.min(close).wrapping_sub(unzigzag(next(&mut lows)));
        let closed = price(close)?;
        let volume = i64::try_from(next(&mut volumes)).map_err(|_| "a volume is too high")?;
        let vwap = match next(&mut vwaps) {
            0 => None,
            distance => {
                let distance = unzigzag(distance - 1).wrapping_mul(vwap_unit);
                let nanos = closed.nanos().wrapping_add(distance);
                Some(Price::from_nanos(nanos).map_err(|_| "a volume-weighted price is none")?)
            }
        };
        let trades = match next(&mut trades) {
            0 => None,
            count => Some(u32::try_from(count - 1).map_err(|_| "a count of trades is too high")?),
        };
        let feed = usize::try_from(next(&mut of_feeds)).ok().and_then(|feed| labels.get(feed));
        let revision = u32::try_from(next(&mut revisions)).map_err(|_| "a revision is too high")?;
        sequence = sequence.wrapping_add(unzigzag(next(&mut sequences)));
        let bar = Bar {
            symbol,
            start: Second::at_unix(start).ok_or("a time lies outside 1900 - 2200")?,
            open: price(open)?,
            high: price(high)?,
            low: price(low)?,
            close: closed,
            volume: Volume::from_shares(volume).map_err(|_| "a volume is too high")?,
            vwap,
            trades,
            feed: *feed.ok_or("a bar is of a feed that is not named")?,
        };
        bars.push(Stamped { sequence: Sequence(sequence), row: BarRecord { bar, revision } });
    }
    Ok(bars)
}

#[cfg(test)]
mod tests;
