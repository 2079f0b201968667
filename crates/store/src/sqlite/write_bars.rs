//! Writing bars, wherever they lie: a bar within the span of a block becomes part of the block, any other is
//! a row.

use super::blocks::{self, StoredBlock};
use super::open_bars;
use crate::block::{Merged, Stored, Written, put};
use crate::{BarRecord, Imported, Sequence, SessionBars, StoreError};
use qqq_core::{Bar, Second, Split, Symbol};
use sqlx::SqliteConnection;
use std::collections::BTreeMap;
use std::ops::{Range, RangeInclusive};

/// Bars of one symbol that are rescaled at a time: a split must not read years of bars into memory.
const RESCALED_AT_ONCE: usize = 10_000;

/// Writes bars with the revisions they have. Answers how many were new or different.
pub(super) async fn store(
    connection: &mut SqliteConnection,
    bars: &[BarRecord],
    sequence: i64,
) -> Result<u64, StoreError> {
    let bars: Vec<Written<'_>> = bars.iter().map(Written::from).collect();
    let (open, merged) = into_blocks(connection, bars, sequence).await?;
    Ok(merged.new + merged.revised + open_bars::write(connection, &open, sequence).await?)
}

/// Writes bars whose revision the store counts.
pub(super) async fn import(
    connection: &mut SqliteConnection,
    bars: &[Bar],
    sequence: i64,
) -> Result<Imported, StoreError> {
    let bars: Vec<Written<'_>> = bars.iter().map(Written::from).collect();
    let (open, merged) = into_blocks(connection, bars, sequence).await?;
    Ok(merged + open_bars::import(connection, &open, sequence).await?)
}

/// Writes those of the bars that lie within the span of a block, into that block. Answers the others, and
/// what became of these.
async fn into_blocks<'b>(
    connection: &mut SqliteConnection,
    bars: Vec<Written<'b>>,
    sequence: i64,
) -> Result<(Vec<Written<'b>>, Imported), StoreError> {
    let mut merged = Imported::default();
    let Some(newest) = blocks::newest_end(connection).await? else { return Ok((bars, merged)) };
    let (late, mut open): (Vec<_>, Vec<_>) = bars.into_iter().partition(|one| one.bar.start <= newest);
    let mut by_symbol: BTreeMap<Symbol, Vec<Written<'b>>> = BTreeMap::new();
    for one in late {
        by_symbol.entry(one.bar.symbol).or_default().push(one);
    }
    for (symbol, bars) in by_symbol {
        let starts = || bars.iter().map(|one| one.bar.start);
        let (Some(first), Some(last)) = (starts().min(), starts().max()) else { continue };
        let mut rest = bars.clone();
        for block in blocks::overlapping(connection, symbol, &(first..=last)).await? {
            let (within, others): (Vec<_>, Vec<_>) =
                rest.into_iter().partition(|one| block.spans(one.bar.start));
            rest = others;
            if within.is_empty() {
                continue;
            }
            let mut all = block.read()?;
            let mut changed = false;
            for one in within {
                let outcome = put(&mut all, one, Sequence(sequence));
                changed |= outcome != Merged::Unchanged;
                merged.count(outcome);
            }
            if changed {
                blocks::replace(connection, symbol, &[block], &all).await?;
            }
        }
        open.extend(rest);
    }
    Ok((open, merged))
}

/// Writes the bars of closed sessions, each session's at once into the form in which they stay.
pub(super) async fn import_sessions(
    connection: &mut SqliteConnection,
    sessions: &[SessionBars],
    sequence: i64,
) -> Result<Imported, StoreError> {
    let mut imported = Imported::default();
    for session in sessions {
        let Some(within) = inclusive(&session.range) else { continue };
        let (bars, others): (Vec<&Bar>, Vec<&Bar>) =
            session.bars.iter().partition(|bar| bar.symbol == session.symbol && within.contains(&bar.start));
        if let Some(stray) = others.first() {
            let (symbol, at) = (stray.symbol, stray.start);
            return Err(StoreError::Backend(format!("the bar of {symbol} at {at} is not of its session")));
        }
        // Where a block reaches beyond, there are no rows.
        let old = blocks::overlapping(connection, session.symbol, &within).await?;
        let rows = match open_bars::are_any(connection, within.clone()).await? {
            true => open_bars::of_symbol(connection, session.symbol, within.clone(), usize::MAX).await?,
            false => Vec::new(),
        };
        let mut all = kept(&old, &bars)?;
        insert_rows(&mut all, &rows);
        let before = imported;
        for bar in bars {
            imported.count(put(&mut all, bar.into(), Sequence(sequence)));
        }
        let changed = (before.new, before.revised) != (imported.new, imported.revised);
        if changed || !rows.is_empty() || old.len() > 1 {
            if !rows.is_empty() {
                open_bars::delete(connection, session.symbol..=session.symbol, &within).await?;
            }
            blocks::replace(connection, session.symbol, &old, &all).await?;
        }
    }
    Ok(imported)
}

/// What some blocks hold. One that cannot be read gives way to bars that stand for all of it.
fn kept(old: &[StoredBlock], bars: &[&Bar]) -> Result<Vec<Stored>, StoreError> {
    let mut all = Vec::new();
    for block in old {
        match block.read() {
            Ok(read) => all.extend(read),
            Err(error) => {
                let within = bars.iter().filter(|bar| block.spans(bar.start));
                let ends = bars.iter().any(|bar| bar.start == block.first)
                    && bars.iter().any(|bar| bar.start == block.last);
                if !ends || (within.count() as u64) < block.bars {
                    return Err(error);
                }
                tracing::warn!(%error, "the bars that are imported take its place");
            }
        }
    }
    Ok(all)
}

/// The bars of rows, among those of blocks.
pub(super) fn insert_rows(all: &mut Vec<Stored>, rows: &[Stored]) {
    all.extend_from_slice(rows);
    // Both are in order: this is one merge.
    all.sort_by_key(|one| one.row.bar.start);
}

/// The same seconds with the last one named; `None` where there are none.
pub(super) fn inclusive(range: &Range<Second>) -> Option<RangeInclusive<Second>> {
    (range.start < range.end).then(|| range.start..=range.end.plus_seconds(-1))
}

/// Brings the bars of a symbol before a time into the units of a split. Answers how many changed.
pub(super) async fn rescale(
    connection: &mut SqliteConnection,
    split: &Split,
    from: Second,
    sequence: i64,
) -> Result<u64, StoreError> {
    let Some(before) = inclusive(&(Second::MIN..from)) else { return Ok(0) };
    let rescaled = |old: &Stored| BarRecord { bar: split.bar(&old.row.bar), ..old.row };
    let mut changed = 0;
    let mut rows = before.clone();
    loop {
        let old = open_bars::of_symbol(connection, split.symbol, rows.clone(), RESCALED_AT_ONCE).await?;
        let Some(last) = old.last() else { break };
        rows = last.row.bar.start.plus_seconds(1)..=*rows.end();
        let new: Vec<BarRecord> = old.iter().map(rescaled).collect();
        let new: Vec<Written<'_>> = new.iter().map(Written::from).collect();
        changed += open_bars::write(connection, &new, sequence).await?;
    }
    let mut next = before;
    while let Some(block) = blocks::first_in(connection, split.symbol, &next).await? {
        let mut all = block.read()?;
        let mut outcomes = Imported::default();
        let new: Vec<BarRecord> =
            all.iter().filter(|one| next.contains(&one.row.bar.start)).map(rescaled).collect();
        for record in &new {
            outcomes.count(put(&mut all, record.into(), Sequence(sequence)));
        }
        next = block.last.plus_seconds(1)..=*next.end();
        if outcomes.revised > 0 {
            changed += outcomes.revised;
            blocks::replace(connection, split.symbol, &[block], &all).await?;
        }
    }
    Ok(changed)
}
