//! Rows by where they stand in the store's history.

use crate::batch::BarRecord;
use crate::sequence::Sequence;
use qqq_core::{Alert, AlertId, Second, Statistics, Symbol};

/// A row, and the commit that last changed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamped<T> {
    /// The commit.
    pub sequence: Sequence,
    /// The row as it left it.
    pub row: T,
}

/// What readers have not seen yet. All of it belongs to commits up to `sequence`, and nothing is missing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Changes {
    /// The newest commit contained.
    pub sequence: Sequence,
    /// Bars that are new or changed, by (start, symbol).
    pub bars: Vec<Stamped<BarRecord>>,
    /// Figures that changed.
    pub statistics: Vec<Stamped<Statistics>>,
    /// Alerts that are new or changed, oldest change first: all of them, whoever may read them.
    pub alerts: Vec<Stamped<Alert>>,
}

impl Changes {
    /// The rows of all kinds, in the order of their places.
    pub fn into_rows(self) -> Vec<Stamped<Row>> {
        let bars = self.bars.into_iter().map(|one| one.map(Row::Bar));
        let statistics = self.statistics.into_iter().map(|one| one.map(Row::Statistics));
        let alerts = self.alerts.into_iter().map(|one| one.map(Row::Alert));
        let mut rows: Vec<_> = bars.chain(statistics).chain(alerts).collect();
        rows.sort_unstable_by_key(Stamped::place);
        rows
    }
}

impl<T> Stamped<T> {
    fn map<U>(self, make: impl FnOnce(T) -> U) -> Stamped<U> {
        Stamped { sequence: self.sequence, row: make(self.row) }
    }
}

/// A row of any kind that readers see.
#[derive(Clone, Debug, PartialEq)]
pub enum Row {
    /// A bar.
    Bar(BarRecord),
    /// The figures of a symbol.
    Statistics(Statistics),
    /// An alert.
    Alert(Alert),
}

/// Where a row stands among all rows: by the commit that last changed it, then by what it is. A row that
/// changes again moves to its new commit; the places of the others stay as they are, so a reader that
/// remembers one place has seen what stands up to it and nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChangeCursor {
    /// The commit.
    pub sequence: Sequence,
    /// The row in it.
    pub key: Key,
}

impl ChangeCursor {
    /// After everything of a commit.
    pub const fn end_of(sequence: Sequence) -> Self {
        Self { sequence, key: Key::End }
    }
}

/// What tells the rows of a commit apart, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    /// The bar of a symbol and start.
    Bar(Symbol, Second),
    /// The figures of a symbol.
    Statistics(Symbol),
    /// An alert.
    Alert(AlertId),
    /// After all of them.
    End,
}

impl Stamped<Row> {
    /// Where it stands.
    pub fn place(&self) -> ChangeCursor {
        let key = match &self.row {
            Row::Bar(record) => Key::Bar(record.bar.symbol, record.bar.start),
            Row::Statistics(statistics) => Key::Statistics(statistics.symbol),
            Row::Alert(alert) => Key::Alert(alert.id),
        };
        ChangeCursor { sequence: self.sequence, key }
    }
}
