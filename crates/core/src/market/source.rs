//! Where bars come from, as far as readers must know it.

use crate::UnknownWord;
use crate::{FeedLabel, Second, Symbol};
use jiff::Timestamp;
use strum::{Display, EnumString, IntoStaticStr, VariantNames};

/// Whose time a feed lives in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Display, EnumString, IntoStaticStr, VariantNames)]
#[strum(serialize_all = "snake_case")]
#[strum(parse_err_ty = UnknownWord, parse_err_fn = UnknownWord::of::<FeedMode>)]
pub enum FeedMode {
    /// Bars of the real market, now. The feed's clock is the wall clock.
    Live,
    /// Invented bars in simulated time.
    Simulated,
    /// Recorded bars in recorded time.
    Replayed,
}

crate::words::words!(FeedMode);

/// What a feed is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeedInfo {
    /// `sim`, `replay`, `alpaca`, ...
    pub provider: &'static str,
    /// The label its bars carry.
    pub label: FeedLabel,
    /// Whose time it lives in.
    pub mode: FeedMode,
    /// How much of the market it sees, in words: "IEX only: about 2.5 % of US volume".
    pub coverage: String,
    /// Whether its prices of past days are already in today's units after a split.
    pub split_adjusted: bool,
    /// How far behind the market it is on purpose, minutes: 0 for real-time feeds.
    pub delay_minutes: i32,
}

/// How a feed is doing: written by the worker with its commits, read by servers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeedStatus {
    /// `sim`, `replay`, `alpaca`, ...
    pub provider: String,
    /// The label its bars carry.
    pub label: FeedLabel,
    /// Whose time it lives in.
    pub mode: FeedMode,
    /// How much of the market it sees, in words.
    pub coverage: String,
    /// For which feed it stands in; `None` where it is the first choice.
    pub stands_in_for: Option<StandIn>,
    /// The feed's clock at the last commit: the wall clock for live feeds.
    pub clock: Timestamp,
    /// When the feed last answered, wall clock.
    pub answered_at: Option<Timestamp>,
    /// What is wrong now, in a sentence for the operator; `None` while all is well.
    pub problem: Option<String>,
    /// Until when the feed was asked, and has answered: what came to be after that is not known yet. `None`
    /// for feeds that are not asked.
    pub asked_until: Option<Second>,
    /// Symbols that it does not serve as it serves the others, by symbol.
    pub symbol_problems: Vec<SymbolProblem>,
}

/// The feed that another one stands in for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StandIn {
    /// The provider that failed.
    pub provider: String,
    /// What was wrong with it, in words that anybody may read, as far as it said anything.
    pub reason: Option<String>,
}

/// What is wrong with one symbol at a feed that serves others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SymbolProblem {
    /// Which.
    pub symbol: Symbol,
    /// What is wrong, in words that anybody may read; one line.
    pub problem: String,
    /// Since when.
    pub since: Timestamp,
    /// When it is asked for again; `None` while it still is asked for with the others.
    pub next_attempt: Option<Timestamp>,
}
