//! Reading bars, wherever they lie: rows and blocks as one.

use super::blocks;
use super::open_bars::{self, ALWAYS};
use super::write_bars::inclusive;
use crate::block::Stored;
use crate::{ChangeCursor, Key, Sequence, StoreError};
use qqq_core::{Second, Symbol};
use sqlx::SqliteConnection;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::{Range, RangeInclusive};

/// So many symbols are read one by one; more of them as all that lie between the first and the last.
const FEW: usize = 16;

/// Bars of a symbol, oldest first, at most `limit`.
pub(super) async fn of_symbol(
    connection: &mut SqliteConnection,
    symbol: Symbol,
    range: &Range<Second>,
    limit: usize,
) -> Result<Vec<Stored>, StoreError> {
    let Some(range) = inclusive(range) else { return Ok(Vec::new()) };
    let mut bars = blocks::of_symbol(connection, symbol, range.clone(), limit).await?;
    let rows = open_bars::of_symbol(connection, symbol, range, limit).await?;
    if !rows.is_empty() {
        bars.extend(rows);
        bars.sort_by_key(|one| one.row.bar.start);
        bars.truncate(limit);
    }
    Ok(bars)
}

/// For each symbol, the bars of the seconds up to its newest one, by (start, symbol).
pub(super) async fn recent(
    connection: &mut SqliteConnection,
    symbols: &[Symbol],
    seconds: i64,
) -> Result<Vec<Stored>, StoreError> {
    let symbols: BTreeSet<Symbol> = symbols.iter().copied().collect();
    let ends = open_bars::ends(connection).await?;
    // What lies further back is of symbols without newer rows: few.
    let horizon = ends.as_ref().map(|ends| ends.end().plus_seconds(-seconds));
    let mut rows = match horizon {
        Some(horizon) => rows_of(connection, &symbols, horizon.plus_seconds(1)..=Second::MAX).await?,
        None => BTreeMap::new(),
    };
    let further_back = ends.zip(horizon).map(|(ends, horizon)| *ends.start()..=horizon);
    let further_back = further_back.filter(|range| !range.is_empty());

    let mut recent = Vec::new();
    for symbol in symbols {
        let mut bars = rows.remove(&symbol).unwrap_or_default();
        let mut newest = bars.iter().map(|one| one.row.bar.start).max();
        if let (None, Some(range)) = (newest, &further_back) {
            let last = open_bars::last_of(connection, symbol, range.clone()).await?;
            newest = last.map(|last| last.row.bar.start);
        }
        let blocks = blocks::recent(connection, symbol, newest, seconds).await?;
        newest = newest.max(blocks.last().map(|block| block.last));
        let Some(newest) = newest else { continue };
        let since = newest.plus_seconds(-seconds);
        if let Some(range) = &further_back
            && since < *range.end()
        {
            let range = since.max(*range.start())..=*range.end();
            bars.extend(open_bars::of_symbol(connection, symbol, range, usize::MAX).await?);
        }
        for block in blocks {
            bars.extend(block.read()?);
        }
        recent.extend(bars.into_iter().filter(|one| one.row.bar.start > since));
    }
    recent.sort_unstable_by_key(|one| (one.row.bar.start, one.row.bar.symbol));
    Ok(recent)
}

/// The rows of some symbols in a range, by symbol.
async fn rows_of(
    connection: &mut SqliteConnection,
    symbols: &BTreeSet<Symbol>,
    range: RangeInclusive<Second>,
) -> Result<BTreeMap<Symbol, Vec<Stored>>, StoreError> {
    let mut rows: BTreeMap<Symbol, Vec<Stored>> = BTreeMap::new();
    let (Some(first), Some(last)) = (symbols.first(), symbols.last()) else { return Ok(rows) };
    let read = if symbols.len() <= FEW {
        let mut read = Vec::new();
        for &symbol in symbols {
            read.extend(open_bars::of_symbol(connection, symbol, range.clone(), usize::MAX).await?);
        }
        read
    } else {
        open_bars::of_symbols(connection, *first..=*last, range, usize::MAX).await?
    };
    for one in read {
        if symbols.contains(&one.row.bar.symbol) {
            rows.entry(one.row.bar.symbol).or_default().push(one);
        }
    }
    Ok(rows)
}

/// The last bar of each of these symbols in a range, where it has one there.
pub(super) async fn last(
    connection: &mut SqliteConnection,
    wanted: &[(Symbol, Range<Second>)],
) -> Result<Vec<Option<Stored>>, StoreError> {
    // Ranges are sessions: many symbols have the same, and most have no rows any more.
    let mut have_rows: BTreeMap<(Second, Second), bool> = BTreeMap::new();
    let mut found = Vec::with_capacity(wanted.len());
    for (symbol, range) in wanted {
        let Some(range) = inclusive(range) else {
            found.push(None);
            continue;
        };
        let key = (*range.start(), *range.end());
        let has_rows = match have_rows.get(&key) {
            Some(&known) => known,
            None => {
                let any = open_bars::are_any(connection, range.clone()).await?;
                have_rows.insert(key, any);
                any
            }
        };
        let row = match has_rows {
            true => open_bars::last_of(connection, *symbol, range.clone()).await?,
            false => None,
        };
        // In blocks, only a later one counts.
        let after = row.map_or(*range.start(), |row| row.row.bar.start.plus_seconds(1));
        let in_block = match after <= *range.end() {
            true => blocks::last_of(connection, *symbol, after..=*range.end()).await?,
            false => None,
        };
        found.push(in_block.or(row));
    }
    Ok(found)
}

/// The bars that stand after a place and belong to commits up to `upto`, in order, at most `limit`.
pub(super) async fn after(
    connection: &mut SqliteConnection,
    place: ChangeCursor,
    upto: Sequence,
    limit: usize,
) -> Result<Vec<Stored>, StoreError> {
    let mut bars = open_bars::after(connection, place, upto, limit).await?;
    let place_of = |one: &Stored| {
        let key = Key::Bar(one.row.bar.symbol, one.row.bar.start);
        ChangeCursor { sequence: one.sequence, key }
    };
    // The place may be within its commit.
    let before = match place.key {
        Key::Bar(..) => Sequence(place.sequence.0.saturating_sub(1)),
        _ => place.sequence,
    };
    let rows = bars.len();
    blocks::visit_changed(connection, before, |one| {
        if one.sequence <= upto && place_of(&one) > place {
            bars.push(one);
        }
        true
    })
    .await?;
    if bars.len() > rows {
        bars.sort_unstable_by_key(place_of);
        bars.truncate(limit);
    }
    Ok(bars)
}

/// How many bars each commit after one changed last, oldest commit first: as many commits as hold `limit`
/// bars that lie as rows, or more.
pub(super) async fn by_commit(
    connection: &mut SqliteConnection,
    after: Sequence,
    limit: usize,
) -> Result<BTreeMap<Sequence, usize>, StoreError> {
    let mut counts = open_bars::by_commit(connection, after, limit).await?;
    blocks::visit_changed(connection, after, |one| {
        *counts.entry(one.sequence).or_default() += 1;
        true
    })
    .await?;
    Ok(counts)
}

/// Whether commits after one changed more than `count` bars last. Looks at no more of them.
pub(super) async fn are_more(
    connection: &mut SqliteConnection,
    after: Sequence,
    count: usize,
) -> Result<bool, StoreError> {
    let rows = open_bars::by_commit(connection, after, count.saturating_add(1)).await?;
    let mut found = rows.into_values().fold(0, usize::saturating_add);
    if found <= count {
        blocks::visit_changed(connection, after, |_| {
            found += 1;
            found <= count
        })
        .await?;
    }
    Ok(found > count)
}

/// Whether any bar is kept.
pub(super) async fn is_any(connection: &mut SqliteConnection) -> Result<bool, StoreError> {
    Ok(open_bars::are_any(connection, ALWAYS).await? || blocks::newest_end(connection).await?.is_some())
}
