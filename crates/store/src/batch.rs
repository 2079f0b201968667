//! What is written at once, and what that did.

use crate::sequence::Sequence;
use qqq_core::alert::AlertChange;
use qqq_core::{Bar, FeedStatus, Second, Split, Statistics, Symbol};
use std::ops::{Add, Range};

/// A bar and how often its close or volume has been replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BarRecord {
    /// The candlestick.
    pub bar: Bar,
    /// 0 as first received.
    pub revision: u32,
}

/// A split and the time from which bars are in the new units (New York midnight of its ex-date).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SplitRecord {
    /// The split.
    pub split: Split,
    /// Stored bars that start before this are rescaled.
    pub from: Second,
}

/// All effects of one step of the detector.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// Splits, applied to the stored bars before anything else. One already known changes nothing.
    pub splits: Vec<SplitRecord>,
    /// New and revised bars. A bar equal to the stored one changes nothing.
    pub bars: Vec<BarRecord>,
    /// Bars from before all windows, in today's units: written as [`import`](crate::BarStore::import) writes
    /// them.
    pub history: Vec<Bar>,
    /// The bars that wait to be confirmed, each of another symbol; replace those that waited. `None`: as
    /// before.
    pub quarantined: Option<Vec<Bar>>,
    /// Figures of the symbols whose newest bar or window changed; replace the stored ones.
    pub statistics: Vec<Statistics>,
    /// Alerts, in the order they happened.
    pub alerts: Vec<AlertChange>,
    /// How the feed is doing now.
    pub feed: Option<FeedStatus>,
}

/// What a commit did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Committed {
    /// Where in the store's history it stands.
    pub sequence: Sequence,
    /// How many deliveries it enqueued.
    pub deliveries: u64,
}

/// Bars of one symbol in a session that has closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionBars {
    /// The symbol.
    pub symbol: Symbol,
    /// The stretch of time that is kept as one: a day, mostly. Every bar begins within it.
    pub range: Range<Second>,
    /// The bars, in any order.
    pub bars: Vec<Bar>,
}

/// How far a stretch of time is closed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Closed {
    /// Bars that lay open.
    pub bars: u64,
    /// The last symbol whose bars are closed; `None` where nothing of the stretch lies open any more.
    pub upto: Option<Symbol>,
}

/// What is closed of a stretch of time. It is another whenever a closed bar in it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClosedExtent {
    /// How many bars.
    pub bars: u64,
    /// The newest commit among them.
    pub newest: Sequence,
    /// The newest commits of each symbol's stretch, added up: a bar of an earlier commit that was closed
    /// later shows, too.
    pub sequences: i64,
}

/// What became of imported bars.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// Bars of times that had none.
    pub new: u64,
    /// Bars that replaced a different one.
    pub revised: u64,
    /// Bars that were already there.
    pub unchanged: u64,
}

impl Add for Imported {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            new: self.new + other.new,
            revised: self.revised + other.revised,
            unchanged: self.unchanged + other.unchanged,
        }
    }
}
