//! Writing a bar among those of a block.

use super::Stored;
use crate::{BarRecord, Imported, Sequence, Stamped};
use qqq_core::Bar;

/// A bar to be written.
#[derive(Clone, Copy)]
pub(crate) struct Written<'b> {
    /// The bar.
    pub(crate) bar: &'b Bar,
    /// Its revision. `None`: one more than that of the bar it replaces.
    pub(crate) revision: Option<u32>,
}

impl<'b> From<&'b BarRecord> for Written<'b> {
    fn from(record: &'b BarRecord) -> Self {
        Self { bar: &record.bar, revision: Some(record.revision) }
    }
}

impl<'b> From<&'b Bar> for Written<'b> {
    fn from(bar: &'b Bar) -> Self {
        Self { bar, revision: None }
    }
}

/// What became of a bar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Merged {
    New,
    Revised,
    Unchanged,
}

impl Imported {
    /// Counts one more.
    pub(crate) fn count(&mut self, merged: Merged) {
        match merged {
            Merged::New => self.new += 1,
            Merged::Revised => self.revised += 1,
            Merged::Unchanged => self.unchanged += 1,
        }
    }
}

/// Writes a bar among those of its symbol, which are in order and stay so. One equal to that of its time
/// changes nothing; another one replaces it, stamped with the commit.
pub(crate) fn put(bars: &mut Vec<Stored>, written: Written<'_>, sequence: Sequence) -> Merged {
    let Written { bar, revision } = written;
    let new = |revision: Option<u32>| Stamped {
        sequence,
        row: BarRecord { bar: *bar, revision: revision.unwrap_or_default() },
    };
    // They come in order, mostly.
    if bars.last().is_none_or(|last| last.row.bar.start < bar.start) {
        bars.push(new(revision));
        return Merged::New;
    }
    match bars.binary_search_by_key(&bar.start, |one| one.row.bar.start) {
        Err(place) => {
            bars.insert(place, new(revision));
            Merged::New
        }
        Ok(place) => {
            let Some(known) = bars.get_mut(place) else { return Merged::Unchanged };
            let is_as_told = revision.is_none_or(|revision| revision == known.row.revision);
            if known.row.bar == *bar && is_as_told {
                return Merged::Unchanged;
            }
            *known = new(revision.or_else(|| Some(known.row.revision.saturating_add(1))));
            Merged::Revised
        }
    }
}
