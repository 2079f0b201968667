//! Where bars come from.
//!
//! A [`Provider`] is asked (and may stream); a [`ReplaySource`] has a clock of its own and plays: the
//! simulator and recordings. One folder per provider: `client` gets bytes, `parse` (pure, fuzzed) makes bars
//! of them or counted rejects. Nothing a provider sends can panic, and nothing invalid leaves this crate as a
//! bar.

pub mod alpaca;
mod answer;
pub mod bar_file;
mod budget;
mod csv_text;
mod error;
mod excerpt;
pub mod finnhub;
pub mod http;
pub mod iex;
pub mod invesco;
mod json;
pub mod names;
mod parts;
pub mod replay;
pub mod sim;
pub mod split_file;
pub mod trades;
mod websocket;
pub mod yahoo;

pub use alpaca::{Alpaca, AlpacaConfig};
pub use error::{FeedError, FeedErrorKind};
pub use finnhub::{Finnhub, FinnhubConfig};
pub use iex::{Iex, IexConfig};
pub use names::{Directory, NameSource};
pub use replay::{Replay, ReplaySpeed};
pub use sim::{Sim, SimConfig};
pub use yahoo::{Yahoo, YahooConfig};

use async_trait::async_trait;
use jiff::Timestamp;
use jiff::civil::Date;
use qqq_core::{Bar, FeedInfo, Second, Split, Symbol};
use std::collections::BTreeSet;
use std::ops::{Range, RangeInclusive};
use std::sync::Arc;
use tokio::sync::mpsc;

/// Something a source sent that is no valid bar: counted, logged, never passed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reject {
    /// Where: `AAPL 2025-01-31T20:59:00Z`, `line 12`, `values[3]`.
    pub place: String,
    /// What was wrong with it.
    pub reason: String,
}

/// A provider's answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fetched {
    /// Valid bars, in no particular order, of symbols that were asked for and minutes in the range.
    pub bars: Vec<Bar>,
    /// What was not valid.
    pub rejects: Vec<Reject>,
    /// Symbols the provider does not know, or failed on while it answered for others.
    pub failed: Vec<(Symbol, FeedError)>,
    /// Symbols of which some bars are among the rejects.
    pub unreadable: BTreeSet<Symbol>,
}

/// A source of the live market that answers questions.
#[async_trait]
pub trait Provider: Send + Sync {
    /// What this feed is.
    fn info(&self) -> &FeedInfo;

    /// Asks for the bars of `symbols` that start in `minutes`. Pages, budgets and retries of single requests
    /// happen inside; the error is what remained. A minute without a bar is not an error.
    async fn bars(&self, symbols: &[Symbol], minutes: Range<Second>) -> Result<Fetched, FeedError>;

    /// Asks for splits whose ex-date lies in `days`. Providers without that knowledge answer none.
    async fn splits(&self, symbols: &[Symbol], days: RangeInclusive<Date>) -> Result<Vec<Split>, FeedError> {
        let _ = (symbols, days);
        Ok(Vec::new())
    }

    /// Whether bars can be asked for. Where not, [`bars`](Self::bars) answers none, and what the stream
    /// missed stays missing.
    fn has_history(&self) -> bool {
        true
    }

    /// Starts streaming bars of `symbols` as they form, where the provider can. The stream reconnects by
    /// itself, for ever, and says so: what was missed meanwhile must be asked for. It ends when the receiver
    /// is dropped.
    fn stream(&self, symbols: &[Symbol]) -> Option<mpsc::Receiver<StreamEvent>> {
        let _ = symbols;
        None
    }

    /// What tells the names of all symbols, where the provider has a list of them.
    fn name_source(&self) -> Option<Arc<dyn NameSource>> {
        None
    }

    /// Asks the least possible to learn whether address and credentials work: for `qqq-tracker check`.
    /// Answers one line for the operator.
    async fn check(&self, symbol: Symbol) -> Result<String, FeedError>;
}

/// What a stream tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StreamEvent {
    /// Subscribed, for the first time or again: bars since the last one seen may have been missed.
    Connected,
    /// A new or corrected bar.
    Bar(Bar),
    /// Something that is no valid bar.
    Rejected(Reject),
    /// What is wrong with one symbol while others are served, from now on; `None`: nothing any more.
    SymbolProblem {
        /// Which.
        symbol: Symbol,
        /// What is wrong, in words that anybody may read; one line.
        problem: Option<String>,
    },
    /// The connection is gone, or could not be made; it will be tried again unless the error is final.
    Disconnected(FeedError),
}

/// A source with a clock of its own.
#[async_trait]
pub trait ReplaySource: Send {
    /// What this feed is.
    fn info(&self) -> &FeedInfo;

    /// The next step, when its time has come. `None` at the end of a recording. Cancel-safe: a step not
    /// returned is not lost.
    async fn next(&mut self) -> Result<Option<TimedBatch>, FeedError>;
}

/// One step of a replay source: the bars of one minute (several minutes while it hands over its history).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimedBatch {
    /// The bars, oldest first.
    pub bars: Vec<Bar>,
    /// What was not valid.
    pub rejects: Vec<Reject>,
    /// The source's clock: never before the end of the newest bar, never going back.
    pub clock: Timestamp,
}
