//! Where a session closed, as the store has it.

use qqq_core::{Minute, Symbol};
use qqq_store::{BarRecord, Store, StoreError};
use std::ops::Range;

/// Nearly every symbol trades in a session's last half hour.
const LAST_MINUTES: i32 = 30;

/// The last bar of a symbol in a session. `None` where it has none there.
pub async fn last_bar(
    store: &dyn Store,
    symbol: Symbol,
    session: Range<Minute>,
) -> Result<Option<BarRecord>, StoreError> {
    let late = session.start.max(session.end.plus(-LAST_MINUTES))..session.end;
    let mut bars = store.bars(symbol, late, LAST_MINUTES as usize).await?;
    if bars.is_empty() {
        bars = store.bars(symbol, session, Minute::PER_DAY as usize).await?;
    }
    Ok(bars.last().copied())
}
