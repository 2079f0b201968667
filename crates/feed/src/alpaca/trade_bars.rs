//! Bars of less than a minute out of Alpaca's trades.

use super::check::Check;
use super::tape::Tape;
use crate::trades::Aggregator;
use crate::{Reject, StreamEvent};
use jiff::Timestamp;
use qqq_core::{Bar, Cadence, FeedLabel, Symbol};
use std::collections::BTreeSet;

/// What a stream of trades has become so far, over its connections.
pub(super) struct TradeBars {
    aggregator: Aggregator,
    check: Check,
    /// Whose minute bars are told besides.
    checked: BTreeSet<Symbol>,
    /// Whose trades are not told.
    missing: BTreeSet<Symbol>,
}

impl TradeBars {
    pub(super) fn new(feed: FeedLabel, cadence: Cadence) -> Self {
        Self {
            aggregator: Aggregator::new(feed, cadence),
            check: Check::default(),
            checked: BTreeSet::new(),
            missing: BTreeSet::new(),
        }
    }

    /// Trades are told from `now` on, and of the symbols `checked` minute bars besides.
    pub(super) fn connected(&mut self, checked: BTreeSet<Symbol>, now: Timestamp) {
        self.checked = checked;
        self.aggregator.connected(now);
    }

    /// The trades of `missing` are not told. Answers those whose trades are told again.
    pub(super) fn misses(&mut self, missing: &[Symbol]) -> Vec<Symbol> {
        let before = std::mem::replace(&mut self.missing, missing.iter().copied().collect());
        before.difference(&self.missing).copied().collect()
    }

    pub(super) fn disconnected(&mut self) {
        self.aggregator.disconnected();
    }

    /// Takes what the tape tells at `now`. An error says what could not be used.
    pub(super) fn take(&mut self, told: &Tape, now: Timestamp) -> Result<(), Reject> {
        match told {
            Tape::Trade(trade) => self.aggregator.take(trade, now),
            Tape::Cancel(name) => self.aggregator.cancel(name),
            Tape::Correction(correction) => self.aggregator.correct(correction),
        }
    }

    /// Takes a minute bar of Alpaca's own.
    pub(super) fn take_minute(&mut self, bar: Bar) {
        self.check.take(bar);
    }

    /// The time of the newest trade.
    pub(super) fn newest(&self) -> Timestamp {
        self.aggregator.newest()
    }

    /// What is to be told, given that all that was sent before `complete` has arrived.
    pub(super) fn due(&mut self, complete: Timestamp) -> Vec<StreamEvent> {
        let mut events = self.aggregator.due(complete);
        events.extend(self.check.due(complete, &self.aggregator, &self.checked));
        events
    }
}
