//! The table of blocks: bars of closed sessions.

use super::rows::Columns;
use crate::block::{self, MOST_BARS, Stored};
use crate::{ClosedExtent, Sequence, StoreError};
use qqq_core::{Second, Symbol};
use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteRow;
use std::ops::{Range, RangeInclusive};

/// Blocks read in one go.
const AT_ONCE: i64 = 64;

macro_rules! block_columns {
    () => {
        "rowid, symbol, first, last, bars, data"
    };
}

/// The blocks of symbol ?1 that reach into ?2 to ?3. None overlap: the first of them is the last that begins
/// by ?2, so the index bounds them on both sides.
macro_rules! overlapping {
    ($rest:expr) => {
        concat!(
            "select ",
            block_columns!(),
            " from blocks where symbol = ?1 and last >= ?2 and first <= ?3 \
             and first >= coalesce((select max(first) from blocks where symbol = ?1 and first <= ?2), ?2) ",
            $rest
        )
    };
}

pub(super) const OVERLAPPING: &str = overlapping!("order by first limit ?4");

pub(super) const LAST: &str = overlapping!("order by first desc limit 1");

/// Of symbol ?1, what reaches into the last ?3 seconds up to ?2, or to the end of the newest one where that
/// is later.
pub(super) const RECENT: &str = concat!(
    "select ",
    block_columns!(),
    " from (select max(?2, last) - ?3 as since from blocks where symbol = ?1 order by first desc limit 1) \
     cross join blocks where symbol = ?1 and last > since \
     and first >= coalesce((select max(first) from blocks where symbol = ?1 and first <= since), since) \
     order by first"
);

/// What stands after (?1, ?2), by the newest commit in it.
pub(super) const CHANGED: &str = concat!(
    "select ",
    block_columns!(),
    ", newest_sequence from blocks where (newest_sequence, rowid) > (?1, ?2) \
     order by newest_sequence, rowid limit ?3"
);

/// Symbols after ?3 with several blocks that end from ?1 to ?2.
pub(super) const IN_PARTS: &str = "select symbol from blocks where last >= ?1 and last <= ?2 and symbol > ?3 \
     group by symbol having count(*) > 1 order by symbol limit ?4";

pub(super) const OLD: &str = "select rowid, bars from blocks where last < ? order by last limit ?";

pub(super) const FIRST_END: &str = "select min(last) from blocks where last >= ?";

pub(super) const EXTENT: &str = "select coalesce(sum(bars), 0), coalesce(max(newest_sequence), 0), \
     coalesce(sum(newest_sequence), 0) from blocks where last >= ? and last < ?";

pub(super) const SYMBOLS: &str =
    "select distinct symbol from blocks where last >= ? and last < ? order by symbol";

/// A block as it lies there.
pub(super) struct StoredBlock {
    pub(super) id: i64,
    pub(super) symbol: Symbol,
    pub(super) first: Second,
    pub(super) last: Second,
    pub(super) bars: u64,
    data: Vec<u8>,
}

impl StoredBlock {
    fn of(row: &SqliteRow) -> Result<Self, StoreError> {
        Self::take(&mut Columns::new(row, "blocks"))
    }

    fn take(columns: &mut Columns<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            id: columns.take()?,
            symbol: columns.parse()?,
            first: columns.second()?,
            last: columns.second()?,
            bars: columns.take()?,
            data: columns.take()?,
        })
    }

    /// Whether a bar of this time would lie in it.
    pub(super) fn spans(&self, start: Second) -> bool {
        (self.first..=self.last).contains(&start)
    }

    /// Its bars. They begin and end as the table says, or it is an error.
    pub(super) fn read(&self) -> Result<Vec<Stored>, StoreError> {
        let bars = block::decode(self.symbol, self.first, &self.data)?;
        let ends = bars.first().zip(bars.last()).map(|(a, b)| (a.row.bar.start, b.row.bar.start));
        if ends == Some((self.first, self.last)) && bars.len() as u64 == self.bars {
            return Ok(bars);
        }
        Err(StoreError::Corrupt {
            table: "blocks",
            reason: format!(
                "the block of {} from {} to {} holds other bars than the table says. \
                 Import the bars of that day again, which mends it, or bring back a backup",
                self.symbol, self.first, self.last
            ),
        })
    }
}

fn blocks(rows: &[SqliteRow]) -> Result<Vec<StoredBlock>, StoreError> {
    rows.iter().map(StoredBlock::of).collect()
}

/// The blocks of a symbol that reach into a range, oldest first, at most `limit`.
async fn some(
    connection: &mut SqliteConnection,
    symbol: Symbol,
    range: &RangeInclusive<Second>,
    limit: i64,
) -> Result<Vec<StoredBlock>, StoreError> {
    let rows = sqlx::query(OVERLAPPING)
        .bind(symbol.as_str().to_owned())
        .bind(range.start().unix())
        .bind(range.end().unix())
        .bind(limit)
        .fetch_all(connection)
        .await?;
    blocks(&rows)
}

/// The blocks of a symbol that reach into a range, oldest first.
pub(super) async fn overlapping(
    connection: &mut SqliteConnection,
    symbol: Symbol,
    range: &RangeInclusive<Second>,
) -> Result<Vec<StoredBlock>, StoreError> {
    some(connection, symbol, range, i64::MAX).await
}

/// The first block of a symbol that reaches into a range.
pub(super) async fn first_in(
    connection: &mut SqliteConnection,
    symbol: Symbol,
    range: &RangeInclusive<Second>,
) -> Result<Option<StoredBlock>, StoreError> {
    Ok(some(connection, symbol, range, 1).await?.pop())
}

/// Bars of a symbol in a range, oldest first, at most `limit`.
pub(super) async fn of_symbol(
    connection: &mut SqliteConnection,
    symbol: Symbol,
    range: RangeInclusive<Second>,
    limit: usize,
) -> Result<Vec<Stored>, StoreError> {
    let mut bars = Vec::new();
    let mut rest = range.clone();
    while bars.len() < limit && !rest.is_empty() {
        let blocks = some(connection, symbol, &rest, AT_ONCE).await?;
        for block in &blocks {
            rest = block.last.plus_seconds(1)..=*range.end();
            let is_within = range.contains(&block.first) && range.contains(&block.last);
            let read = block.read()?;
            bars.extend(read.into_iter().filter(|one| is_within || range.contains(&one.row.bar.start)));
            if bars.len() >= limit {
                break;
            }
        }
        if (blocks.len() as i64) < AT_ONCE {
            break;
        }
    }
    bars.truncate(limit);
    Ok(bars)
}

/// The blocks of a symbol that reach into the last `seconds` up to `newest`, or up to the end of its newest
/// block where that is later.
pub(super) async fn recent(
    connection: &mut SqliteConnection,
    symbol: Symbol,
    newest: Option<Second>,
    seconds: i64,
) -> Result<Vec<StoredBlock>, StoreError> {
    let rows = sqlx::query(RECENT)
        .bind(symbol.as_str().to_owned())
        .bind(newest.unwrap_or(Second::MIN).unix())
        .bind(seconds)
        .fetch_all(connection)
        .await?;
    blocks(&rows)
}

/// The last bar of a symbol in a range.
pub(super) async fn last_of(
    connection: &mut SqliteConnection,
    symbol: Symbol,
    range: RangeInclusive<Second>,
) -> Result<Option<Stored>, StoreError> {
    let mut rest = range;
    while !rest.is_empty() {
        let row = sqlx::query(LAST)
            .bind(symbol.as_str().to_owned())
            .bind(rest.start().unix())
            .bind(rest.end().unix())
            .fetch_optional(&mut *connection)
            .await?;
        let Some(row) = row else { break };
        let block = StoredBlock::of(&row)?;
        let last = block.read()?.into_iter().rfind(|one| rest.contains(&one.row.bar.start));
        if last.is_some() {
            return Ok(last);
        }
        // It has a gap where the range lies.
        rest = *rest.start()..=block.first.plus_seconds(-1);
    }
    Ok(None)
}

/// Goes through the bars that commits after one changed last, in no order, for as long as `take` says so.
/// Holds a few blocks at a time: a reader may be far behind.
pub(super) async fn visit_changed(
    connection: &mut SqliteConnection,
    after: Sequence,
    mut take: impl FnMut(Stored) -> bool,
) -> Result<(), StoreError> {
    let mut place = (after.0, i64::MAX);
    loop {
        let rows = sqlx::query(CHANGED)
            .bind(place.0)
            .bind(place.1)
            .bind(AT_ONCE)
            .fetch_all(&mut *connection)
            .await?;
        for row in &rows {
            let mut columns = Columns::new(row, "blocks");
            let block = StoredBlock::take(&mut columns)?;
            place = (columns.take()?, block.id);
            for one in block.read()?.into_iter().filter(|one| one.sequence > after) {
                if !take(one) {
                    return Ok(());
                }
            }
        }
        if (rows.len() as i64) < AT_ONCE {
            return Ok(());
        }
    }
}

/// Where the newest block ends.
pub(super) async fn newest_end(connection: &mut SqliteConnection) -> Result<Option<Second>, StoreError> {
    let row = sqlx::query("select max(last) from blocks").fetch_one(connection).await?;
    Columns::new(&row, "blocks").maybe_second()
}

/// Where the first block ends that ends at a time or later.
pub(super) async fn first_end(
    connection: &mut SqliteConnection,
    from: Second,
) -> Result<Option<Second>, StoreError> {
    let row = sqlx::query(FIRST_END).bind(from.unix()).fetch_one(connection).await?;
    Columns::new(&row, "blocks").maybe_second()
}

/// What the blocks hold that end in a range.
pub(super) async fn extent(
    connection: &mut SqliteConnection,
    range: &Range<Second>,
) -> Result<ClosedExtent, StoreError> {
    let (start, end) = (range.start.unix(), range.end.unix());
    let row = sqlx::query(EXTENT).bind(start).bind(end).fetch_one(connection).await?;
    let mut columns = Columns::new(&row, "blocks");
    Ok(ClosedExtent { bars: columns.take()?, newest: Sequence(columns.take()?), sequences: columns.take()? })
}

/// The symbols of the blocks that end in a range, in order.
pub(super) async fn symbols(
    connection: &mut SqliteConnection,
    range: &Range<Second>,
) -> Result<Vec<Symbol>, StoreError> {
    let (start, end) = (range.start.unix(), range.end.unix());
    let rows = sqlx::query(SYMBOLS).bind(start).bind(end).fetch_all(connection).await?;
    rows.iter().map(|row| Columns::new(row, "blocks").parse()).collect()
}

/// The first `limit` symbols after one whose bars in a range lie in several blocks, in order.
pub(super) async fn symbols_in_parts(
    connection: &mut SqliteConnection,
    range: &RangeInclusive<Second>,
    after: &str,
    limit: i64,
) -> Result<Vec<Symbol>, StoreError> {
    let rows = sqlx::query(IN_PARTS)
        .bind(range.start().unix())
        .bind(range.end().unix())
        .bind(after.to_owned())
        .bind(limit)
        .fetch_all(connection)
        .await?;
    rows.iter().map(|row| Columns::new(row, "blocks").parse()).collect()
}

/// Puts bars of a symbol, in order, in the place of some blocks.
pub(super) async fn replace(
    connection: &mut SqliteConnection,
    symbol: Symbol,
    old: &[StoredBlock],
    bars: &[Stored],
) -> Result<(), StoreError> {
    for block in old {
        delete(connection, block.id).await?;
    }
    for piece in bars.chunks(MOST_BARS) {
        let (Some(first), Some(last)) = (piece.first(), piece.last()) else { continue };
        let newest = piece.iter().map(|one| one.sequence.0).max().unwrap_or_default();
        sqlx::query(
            "insert into blocks (symbol, first, last, bars, newest_sequence, data) values (?, ?, ?, ?, ?, ?)",
        )
        .bind(symbol.as_str().to_owned())
        .bind(first.row.bar.start.unix())
        .bind(last.row.bar.start.unix())
        .bind(piece.len() as i64)
        .bind(newest)
        .bind(block::encode(piece)?)
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}

async fn delete(connection: &mut SqliteConnection, id: i64) -> Result<(), StoreError> {
    sqlx::query("delete from blocks where rowid = ?").bind(id).execute(connection).await?;
    Ok(())
}

/// A row within the span of a block of its symbol: a bar's place would not follow from its time.
pub(super) const ASTRAY: &str = "select bars.symbol, bars.start from bars cross join blocks \
     on blocks.symbol = bars.symbol and blocks.first <= bars.start and blocks.last >= bars.start \
     and blocks.first = (select max(first) from blocks where symbol = bars.symbol and first <= bars.start) \
     limit 1";

/// Reads every block, and looks whether each bar lies where it belongs.
pub(super) async fn check(connection: &mut SqliteConnection) -> Result<(), StoreError> {
    visit_changed(connection, Sequence(i64::MIN), |_| true).await?;
    let Some(row) = sqlx::query(ASTRAY).fetch_optional(connection).await? else { return Ok(()) };
    let mut columns = Columns::new(&row, "bars");
    let (symbol, start): (Symbol, Second) = (columns.parse()?, columns.second()?);
    let reason = format!("the bar of {symbol} at {start} lies beside the block that spans it");
    Err(StoreError::Corrupt { table: "bars", reason })
}

/// Deletes blocks that end before a time, oldest first, until that were `limit` bars, and answers how many.
pub(super) async fn prune(
    connection: &mut SqliteConnection,
    before: Second,
    limit: u64,
) -> Result<u64, StoreError> {
    let old = sqlx::query(OLD)
        .bind(before.unix())
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .fetch_all(&mut *connection)
        .await?;
    let mut pruned = 0;
    for row in &old {
        if pruned >= limit {
            break;
        }
        let mut columns = Columns::new(row, "blocks");
        let (id, bars): (i64, u64) = (columns.take()?, columns.take()?);
        delete(connection, id).await?;
        pruned += bars;
    }
    Ok(pruned)
}
