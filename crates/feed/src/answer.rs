//! Gathers what a provider answered, bounded and without duplicates.

use crate::{FeedError, Fetched, Reject};
use qqq_core::{Bar, Second, Symbol};
use std::collections::{BTreeMap, BTreeSet};

/// Rejects listed one by one; those beyond are counted in one last line.
const MAX_REJECTS: usize = 1000;

/// An answer as it grows: of bars of the same symbol and minute the last one stays.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    bars: BTreeMap<(Symbol, Second), Bar>,
    rejects: Vec<Reject>,
    more_rejects: usize,
    failed: Vec<(Symbol, FeedError)>,
    unreadable: BTreeSet<Symbol>,
    is_answered: bool,
}

impl Answer {
    pub(crate) fn bar(&mut self, bar: Bar) {
        self.bars.insert((bar.symbol, bar.start), bar);
    }

    pub(crate) fn reject(&mut self, place: impl Into<String>, reason: impl Into<String>) {
        self.push_reject(Reject { place: place.into(), reason: reason.into() });
    }

    /// Something that should be a bar of a symbol.
    pub(crate) fn reject_bar(&mut self, symbol: Symbol, place: impl Into<String>, reason: impl Into<String>) {
        self.unreadable.insert(symbol);
        self.reject(place, reason);
    }

    pub(crate) fn fail(&mut self, symbol: Symbol, error: FeedError) {
        self.failed.push((symbol, error));
    }

    /// Takes over all of a later part.
    pub(crate) fn extend(&mut self, part: Fetched) {
        part.bars.into_iter().for_each(|bar| self.bar(bar));
        part.rejects.into_iter().for_each(|reject| self.push_reject(reject));
        self.failed.extend(part.failed);
        self.unreadable.extend(part.unreadable);
        self.is_answered = true;
    }

    /// Whether any part has come.
    pub(crate) fn is_answered(&self) -> bool {
        self.is_answered
    }

    pub(crate) fn finish(mut self) -> Fetched {
        if self.more_rejects > 0 {
            let reason = format!("{} more like those before, not listed", self.more_rejects);
            self.rejects.push(Reject { place: "the answer".to_owned(), reason });
        }
        // The first failure of a symbol is the one that tells.
        let mut seen = BTreeSet::new();
        self.failed.retain(|(symbol, _)| seen.insert(*symbol));
        Fetched {
            bars: self.bars.into_values().collect(),
            rejects: self.rejects,
            failed: self.failed,
            unreadable: self.unreadable,
        }
    }

    fn push_reject(&mut self, reject: Reject) {
        if self.rejects.len() < MAX_REJECTS {
            self.rejects.push(reject);
        } else {
            self.more_rejects += 1;
        }
    }
}
