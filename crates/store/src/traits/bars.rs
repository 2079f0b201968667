//! Bars, statistics, and the commit of a step.

use crate::batch::{BarRecord, Batch, Closed, ClosedExtent, Committed, Imported, SessionBars, SplitRecord};
use crate::error::StoreError;
use crate::places::{ChangeCursor, Changes, Row, Stamped};
use crate::query::Audience;
use crate::sequence::Sequence;
use async_trait::async_trait;
use jiff::Timestamp;
#[cfg(doc)]
use qqq_core::delivery::Outcome;
use qqq_core::{Bar, Cadence, FeedStatus, Second, Statistics, Symbol};
use std::ops::Range;

/// Bars, statistics, and the commit of a step.
#[async_trait]
pub trait BarStore: Send + Sync {
    /// Writes all effects of a step, or none: bars, statistics, alerts, and one delivery for every active
    /// subscription that an alert concerns: same symbol, metric and rule, `active_from <= alert.start`, not
    /// paused.
    ///
    /// Ids are derived from inputs, so committing a batch again changes nothing and owes nothing twice.
    /// Raising an alert that exists leaves the stored one. An alert is known by its rule, symbol, metric and
    /// start: what concerns one of another id is about the stored one, as it is told and follow-ups name it.
    /// For a retraction: a delivery that waits is cancelled, and whoever may have been told gets exactly one
    /// follow-up, a delivery of kind `Retraction`, unless the subscription has ended or is paused. May have
    /// been told: whoever had an attempt that was tried, unless it was the only one and ended as
    /// [`Outcome::Failed`]. What is under way is judged by this when it ends, and what had ended before as
    /// well, however it had. `now` is the wall clock.
    async fn commit(&self, batch: &Batch, now: Timestamp) -> Result<Committed, StoreError>;

    /// Takes on a cadence for all bars that come, or fails with [`StoreError::OtherCadence`] where bars of
    /// another are kept. Before it is said, bars come every minute.
    async fn settle_cadence(&self, cadence: Cadence) -> Result<(), StoreError>;

    /// The cadence of the bars here.
    async fn cadence(&self) -> Result<Cadence, StoreError>;

    /// Writes bars without judging them. A bar equal to the stored one changes nothing; a different one
    /// replaces it with the next revision.
    async fn import(&self, bars: &[Bar]) -> Result<Imported, StoreError>;

    /// The same for bars of sessions that have closed, each of which is at once brought into the form that
    /// [`close_bars`](Self::close_bars) gives it. `others` are written beside them, as by
    /// [`import`](Self::import).
    async fn import_sessions(&self, sessions: &[SessionBars], others: &[Bar])
    -> Result<Imported, StoreError>;

    /// When the oldest bar begins that is not closed.
    async fn oldest_open(&self) -> Result<Option<Second>, StoreError>;

    /// Brings bars that begin in `range` into the form in which they stay, where they take a fraction of the
    /// room: those of the first symbols after `after` that have open ones, some hundred symbols a call.
    /// Nothing that readers see changes, and a bar that comes late or is corrected afterwards is written as
    /// any other. `range` should be over, and be closed as a whole: a day.
    async fn close_bars(&self, range: Range<Second>, after: Option<Symbol>) -> Result<Closed, StoreError>;

    /// When the first stretch of closed bars ends, of those that end at `from` or later: when its last bar
    /// begins.
    async fn closed_from(&self, from: Second) -> Result<Option<Second>, StoreError>;

    /// How much of `range` is closed. It should hold whole stretches: days.
    async fn closed_extent(&self, range: Range<Second>) -> Result<ClosedExtent, StoreError>;

    /// The symbols with closed bars in `range`, in order.
    async fn closed_symbols(&self, range: Range<Second>) -> Result<Vec<Symbol>, StoreError>;

    /// Bars of one symbol in `range`, oldest first, at most `limit`.
    async fn bars(
        &self,
        symbol: Symbol,
        range: Range<Second>,
        limit: usize,
    ) -> Result<Vec<BarRecord>, StoreError>;

    /// The same bars without their revisions, read in a fraction of the time: for backtests, which take years
    /// of bars.
    async fn history(
        &self,
        symbol: Symbol,
        range: Range<Second>,
        limit: usize,
    ) -> Result<Vec<Bar>, StoreError>;

    /// For each of `symbols`, the bars of the `seconds` up to its newest one:
    /// `newest - seconds < start <= newest`. Ordered by (start, symbol).
    async fn recent_bars(&self, symbols: &[Symbol], seconds: i64) -> Result<Vec<BarRecord>, StoreError>;

    /// The last bar of each of these symbols in a range, where it has one there. In the order asked for, read
    /// in one snapshot.
    async fn last_bars(
        &self,
        wanted: &[(Symbol, Range<Second>)],
    ) -> Result<Vec<Option<BarRecord>>, StoreError>;

    /// The stored figures of every symbol.
    async fn statistics(&self) -> Result<Vec<Statistics>, StoreError>;

    /// The bars that wait to be confirmed, by symbol. No reader sees them.
    async fn quarantined(&self) -> Result<Vec<Bar>, StoreError>;

    /// The splits applied so far.
    async fn splits(&self) -> Result<Vec<SplitRecord>, StoreError>;

    /// The sequence of the newest commit.
    async fn sequence(&self) -> Result<Sequence, StoreError>;

    /// Everything readers have not seen: the changes of whole commits after `after`. Takes as many commits
    /// as hold about `limit` bars, but at least one. Read in one snapshot.
    async fn changes(&self, after: Sequence, limit: usize) -> Result<Changes, StoreError>;

    /// The rows that stand after a place and belong to commits up to `upto`, in order, at most `limit`, as
    /// far as `audience` may read them. Fewer than `limit` are all there are. Read in one snapshot.
    async fn rows_after(
        &self,
        after: ChangeCursor,
        upto: Sequence,
        limit: usize,
        audience: Audience<'_>,
    ) -> Result<Vec<Stamped<Row>>, StoreError>;

    /// Whether commits after `after` hold more than `count` bars. Costs no more than looking at so many.
    async fn holds_more_bars(&self, after: Sequence, count: usize) -> Result<bool, StoreError>;

    /// How the feed was doing at the newest commit that said so.
    async fn feed_status(&self) -> Result<Option<FeedStatus>, StoreError>;

    /// Deletes bars that start before `before`, about `limit` of them, and answers how many; fewer than
    /// `limit` mean that none is left. Closed bars go together: a stretch goes once its last bar may.
    async fn prune_bars(&self, before: Second, limit: u32) -> Result<u64, StoreError>;
}
