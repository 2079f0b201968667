//! Closing: the rows of a stretch of time, and the blocks in it, become one block a symbol.

use super::blocks;
use super::open_bars;
use super::write_bars::{inclusive, insert_rows};
use crate::block::Stored;
use crate::{Closed, StoreError};
use qqq_core::{Second, Symbol};
use sqlx::SqliteConnection;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// Symbols of one transaction: a commit waits no longer than for these.
const SYMBOLS_AT_ONCE: usize = 200;

/// Closes the bars of the first symbols after one.
pub(super) async fn close(
    connection: &mut SqliteConnection,
    range: &Range<Second>,
    after: Option<Symbol>,
) -> Result<Closed, StoreError> {
    let mut closed = Closed::default();
    let Some(range) = inclusive(range) else { return Ok(closed) };
    let after = after.map(|symbol| symbol.as_str().to_owned()).unwrap_or_default();
    let open = open_bars::symbols_in(connection, &range, &after, SYMBOLS_AT_ONCE).await?;
    let in_parts = blocks::symbols_in_parts(connection, &range, &after, SYMBOLS_AT_ONCE as i64).await?;
    let symbols: BTreeSet<Symbol> = open.into_iter().chain(in_parts).collect();
    let symbols: Vec<Symbol> = symbols.into_iter().take(SYMBOLS_AT_ONCE).collect();
    let (Some(&first), Some(&last)) = (symbols.first(), symbols.last()) else { return Ok(closed) };

    let mut rows: BTreeMap<Symbol, Vec<Stored>> = BTreeMap::new();
    for one in open_bars::of_symbols(connection, first..=last, range.clone(), usize::MAX).await? {
        rows.entry(one.row.bar.symbol).or_default().push(one);
    }
    open_bars::delete(connection, first..=last, &range).await?;
    for symbol in symbols {
        // Where a block reaches beyond the range, there are no rows.
        let old = blocks::overlapping(connection, symbol, &range).await?;
        let rows = rows.remove(&symbol).unwrap_or_default();
        let mut all = Vec::new();
        for block in &old {
            all.extend(block.read()?);
        }
        insert_rows(&mut all, &rows);
        blocks::replace(connection, symbol, &old, &all).await?;
        closed.bars += rows.len() as u64;
    }
    closed.upto = Some(last);
    Ok(closed)
}
